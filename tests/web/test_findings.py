"""What models found, on the photo page and in the API: places over the picture, words, reasons; nothing trusted."""

import re
from typing import Any
from xml.etree import ElementTree as ET

import numpy as np
import pytest
from PIL import Image, ImageDraw

from immich_sidecar.analysis import masks
from immich_sidecar.analysis.findings import (
    Box,
    Face,
    Findings,
    Focus,
    FoundObject,
    Job,
    Mask,
    ModelRun,
    Quality,
    Tag,
    WordedCrop,
    Words,
)
from immich_sidecar.library.tables import PhotoRow
from immich_sidecar.web.findings_shown import outline_path
from tests.web.conftest import Build, Front
from tests.web.finding import KnowingModels, circle
from tests.web.shelf import Shelf

EVIL = "<img src=x onerror=alert(1)>"
SVG = "{http://www.w3.org/2000/svg}"
FINDINGS = Findings(
    objects=(
        FoundObject(label="person", score=0.93, box=Box(x=0.25, y=0.5, width=0.25, height=0.4), mask=circle(0.4, 0.6)),
        FoundObject(label="person", score=0.6, box=Box(x=0.7, y=0.5, width=0.1, height=0.2)),
        FoundObject(label=EVIL, score=0.5, box=Box(x=0, y=0, width=1, height=1)),
    ),
    faces=(
        Face(box=Box(x=0.3, y=0.5, width=0.1, height=0.1), score=0.9, name="Ada", eyes_open=0.1, source="immich"),
        Face(box=Box(x=0.7, y=0.5, width=0.1, height=0.1), score=0.8, eyes_open=0.95, source="yunet"),
    ),
    aesthetic=Quality(votes=(0, 0, 0, 0, 0.3, 0.4, 0.3, 0, 0, 0)),
    technical=Quality(votes=(0, 0.5, 0.5, 0, 0, 0, 0, 0, 0, 0)),
    tags=(Tag(word="beach & sun", score=0.7), Tag(word=EVIL, score=0.4)),
    words=Words(
        description=f"Two people at the sea. {EVIL}",
        composition=("more sky",),
        crops=(WordedCrop(box=Box(x=0, y=0, width=0.5, height=0.75), reason="the pair alone"),),
        technical="sharp",
    ),
    runs=(
        ModelRun(job=Job.DETECTION, model="rtdetr", revision="1", device="cpu", seconds=0.41),
        ModelRun(job=Job.SEGMENTATION, model="", error=f"its weights are not here {EVIL}"),
        ModelRun(job=Job.WORDS, model="qwen", cached=True),
    ),
)


async def with_findings(shelf: Shelf, findings: Findings | dict[str, Any] | None, **more: Any) -> PhotoRow:
    stored = findings.model_dump(mode="json") if isinstance(findings, Findings) else findings
    return await shelf.put(analysis={"findings": stored}, **more)


async def test_the_page_shows_what_was_found_and_trusts_none_of_it(front: Front) -> None:
    photo = await with_findings(front.shelf, FINDINGS)
    page = await front.page(f"/photos/{photo.sha256}")
    assert EVIL not in page
    assert page.count("&lt;img src=x onerror=alert(1)&gt;") >= 4
    text = re.sub(r"\s+", " ", re.sub(r"<[^>]+>", " ", page))
    for words in (
        "How it looks good 6.0 of 10, give or take 0.8",
        "How it is made poor 2.5 of 10",
        "2 × person",
        "Ada, eyes closed ; Somebody, eyes open",
        "beach &amp; sun",
        "A language model says unchecked",
        "Two people at the sea.",
        "more sky",
        "the pair alone 50 % × 75 %",
        "3 models, 1 without an answer",
        "rtdetr 0.41 s on cpu",
        "its weights are not here",
        "known from an earlier look",
    ):
        assert words in text, words
    assert "/search?text=beach+%26+sun" in page
    drawing = ET.fromstring(
        re.search(r'<svg id="places".*?</svg>', page, re.DOTALL)[0].replace("<svg", f'<svg xmlns="{SVG[1:-1]}"', 1)
    )  # type: ignore[index]  # it is there
    assert drawing.get("viewBox") == "0 0 360 240"
    boxes = [
        {name: float(rect.get(name, "nan")) for name in ("x", "y", "width", "height")}
        for rect in drawing.iter(f"{SVG}rect")
    ]
    assert boxes[0] == {"x": 90, "y": 120, "width": 90, "height": 96}
    assert len(boxes) == 5
    assert [text.text for text in drawing.iter(f"{SVG}text")] == [
        "person 93 %",
        "person 60 %",
        f"{EVIL} 50 %",
        "Ada 90 %",
        "face 80 %",
    ]
    assert len(list(drawing.iter(f"{SVG}path"))) == 1
    # Nothing can be outlined here: the place is not asked for.
    assert 'data-outline=""' in page
    told = await front.json("GET", f"/api/photos/{photo.sha256}")
    assert Findings.model_validate(told["findings"]) == FINDINGS
    (listed,) = (await front.json("GET", "/api/photos"))["items"]
    assert [item["mask"] for item in listed["findings"]["objects"]] == [None] * len(FINDINGS.objects)
    assert [item["box"] for item in listed["findings"]["objects"]] == [
        item["box"] for item in told["findings"]["objects"]
    ]


@pytest.mark.parametrize(
    ("score", "width", "around", "words"),
    [
        (0.62, 3.9, 3.2, "sharp on the dog"),
        (0.45, 4.6, None, "soft on the dog"),
        (0.2, 6.0, 5.8, "blurred on the dog"),
        (0.2, 6.0, 3.2, "missed: what lies around the dog is sharper"),
    ],
)
async def test_the_focus_on_the_subject_is_told(
    front: Front, score: float, width: float, around: float | None, words: str
) -> None:
    focus = Focus(what="dog", box=Box(x=0, y=0, width=1, height=1), edge_width=width, score=score, around=around)
    photo = await with_findings(front.shelf, Findings(focus=focus))

    assert f"<dt>Focus</dt><dd><bdi>{words}</bdi></dd>" in await front.page(f"/photos/{photo.sha256}")


async def test_an_answer_that_was_no_answer_is_shown_as_it_came(front: Front) -> None:
    photo = await with_findings(front.shelf, Findings(words=Words(malformed=f'{{"description": {EVIL}')))
    page = await front.page(f"/photos/{photo.sha256}")
    assert "did not answer in the form that was asked for" in page
    assert "<pre>{&#34;description&#34;: &lt;img src=x" in page
    assert 'id="show-finds"' not in page


@pytest.mark.parametrize("stored", [None, {}, {"objects": [{"label": 1}]}, {"later": "form"}])
async def test_without_findings_nothing_is_shown(front: Front, stored: dict[str, Any] | None) -> None:
    photo = await with_findings(front.shelf, stored)
    page = await front.page(f"/photos/{photo.sha256}")
    for mark in ('id="findings"', 'id="finds"', 'id="show-finds"', "language model"):
        assert mark not in page
    photo = await front.shelf.put(seed=2)
    assert (await front.json("GET", f"/api/photos/{photo.sha256}"))["findings"] is None


async def test_a_mask_that_cannot_be_read_leaves_its_box(front: Front) -> None:
    broken = Mask(width=4, height=4, counts="???")
    item = FoundObject(label="cat", score=0.9, box=Box(x=0, y=0, width=0.5, height=0.5), mask=broken)
    photo = await with_findings(front.shelf, Findings(objects=(item,)))
    page = await front.page(f"/photos/{photo.sha256}")
    assert "cat 90 %" in page
    assert "<path d=" not in page


async def test_pointing_outlines_what_is_there(build: Build) -> None:
    models = KnowingModels()
    front = await build(models=models)
    photo = await front.shelf.put()
    page = await front.page(f"/photos/{photo.sha256}")
    assert f'data-outline="/photos/{photo.sha256}/outline"' in page
    told = await front.json("POST", f"/api/photos/{photo.sha256}/outline", {"x": 0.5, "y": 0.25})
    preview = front.home.layout.absolute(front.home.layout.preview("local", photo.sha256, 0))
    assert models.pointed == [(preview, 0.5, 0.25)]
    assert Mask.model_validate(told["mask"]) == circle(0.5, 0.25)
    assert told["share"] == pytest.approx(masks.area(circle(0.5, 0.25)))
    assert told["box"]["x"] == pytest.approx(0.3, abs=0.02)
    headers = {"HX-Request": "true"}
    async with front.client.post(
        f"/photos/{photo.sha256}/outline", data={"x": "0.5", "y": "0.25"}, headers=headers
    ) as answer:
        assert answer.status == 200
        drawing = ET.fromstring(await answer.text())
    assert drawing.find(f".//{SVG}path") is not None
    for bad in ({}, {"x": 0.5}, {"x": 2, "y": 0}, {"x": "a", "y": 0}, {"x": True, "y": 0}, [1, 2]):
        assert (
            "fractions" in (await front.json("POST", f"/api/photos/{photo.sha256}/outline", bad, status=400))["error"]
        )
    await front.json("POST", f"/api/photos/{'0' * 64}/outline", {"x": 0.5, "y": 0.5}, status=404)


async def test_without_a_model_pointing_says_why(build: Build) -> None:
    front = await build(
        models=KnowingModels(frozenset(), "No model is chosen that outlines; see SIDECAR_SEGMENTATION.")
    )
    photo = await front.shelf.put()
    told = await front.json("POST", f"/api/photos/{photo.sha256}/outline", {"x": 0.5, "y": 0.5}, status=503)
    assert told["error"] == "No model is chosen that outlines; see SIDECAR_SEGMENTATION."
    assert 'id="finds"' not in await front.page(f"/photos/{photo.sha256}")


def test_a_path_covers_what_its_mask_covers() -> None:
    ring = masks.decode(circle(0.5, 0.5, 0.45)) & ~masks.decode(circle(0.5, 0.5, 0.15))
    for mask in (circle(0.4, 0.5), circle(0.0, 0.0, 0.5), masks.encode(ring)):
        inside = masks.decode(mask)
        drawn = Image.new("L", (64 * 8, 48 * 8))
        pen = ImageDraw.Draw(drawn)
        # Even-odd: outer edges fill, inner ones open again, in the order of their size.
        pieces = [
            [tuple(float(n) for n in point.split()) for point in piece.rstrip("Z").split("L")]
            for piece in outline_path(mask, 64 * 8, 48 * 8).split("M")[1:]
        ]
        widths = [max(p[0] for p in piece) - min(p[0] for p in piece) for piece in pieces]
        for n, (_, piece) in enumerate(sorted(zip(widths, pieces, strict=True), reverse=True)):
            pen.polygon(piece, fill=255 if n % 2 == 0 else 0)
        # Edges run through the middle of the outermost cells: half a cell is missing all around.
        share = float(np.asarray(drawn.resize((64, 48), Image.Resampling.BOX)).sum()) / 255
        assert share == pytest.approx(inside.sum(), rel=0.12)
    assert outline_path(masks.encode(masks.decode(circle(0.5, 0.5)) & False), 10, 10) == ""
