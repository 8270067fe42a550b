"""Frames are offered on the photo page and by the API, for the picture as it is levelled."""

import re
from typing import Any

import pytest

from immich_sidecar.analysis.findings import Box, Face, Findings, FoundObject
from tests.web.conftest import Front
from tests.web.shelf import SUGGESTIONS

#: Somebody low and left.
FOUND = Findings(
    objects=(FoundObject(label="person", score=0.9, box=Box(x=0.15, y=0.55, width=0.1, height=0.35)),),
    faces=(Face(box=Box(x=0.17, y=0.58, width=0.04, height=0.06), score=0.9, source="by hand"),),
)
ANALYSIS: dict[str, Any] = {"findings": FOUND.model_dump(mode="json")}
LARGE = {"width": 6000, "height": 4000}


async def test_the_api_tells_frames(front: Front) -> None:
    photo = await front.shelf.put(analysis=ANALYSIS, **LARGE)
    told = await front.json("GET", f"/api/photos/{photo.sha256}/crops")

    assert {"4:3", "1:1", "16:9"} <= {item["shape"] for item in told["items"]}
    for item in told["items"]:
        assert set(item["crop"]) == {"x", "y", "width", "height"}
        assert item["reason"]
        assert item["crop"]["x"] <= 0.16


async def test_the_page_offers_them_for_the_picture_as_the_form_levels_it(front: Front) -> None:
    photo = await front.shelf.put(analysis=ANALYSIS, **LARGE)
    page = await front.page(f"/photos/{photo.sha256}")
    assert f"/photos/{photo.sha256}/frames" in page
    level = await front.page(f"/photos/{photo.sha256}/frames?straighten=0")
    leaning = await front.page(f"/photos/{photo.sha256}/frames?straighten=9")
    turned = await front.page(f"/photos/{photo.sha256}/frames?quarter_turns=2&mirror=0")

    frames = re.findall(r'data-frame="([^"]+)"', level)
    assert len(frames) >= 3
    assert all(0 <= float(part) <= 1 for frame in frames for part in frame.split())
    assert len({level, leaning, turned}) == 3


@pytest.mark.parametrize("analysis", [None, {}, {"findings": None}, {"findings": {"objects": "many"}}])
async def test_without_findings_none_is_offered_and_the_page_says_why(front: Front, analysis: Any) -> None:
    photo = await front.shelf.put(analysis=analysis, **LARGE)

    assert (await front.json("GET", f"/api/photos/{photo.sha256}/crops"))["items"] == []
    assert "data-frame" not in await front.page(f"/photos/{photo.sha256}/frames")


async def test_frames_of_a_photo_that_has_no_recipe_are_refused(front: Front) -> None:
    photo = await front.shelf.put("analysing", analysis=ANALYSIS)
    await front.json("GET", f"/api/photos/{photo.sha256}/crops", status=409)
    await front.page(f"/photos/{photo.sha256}/frames", status=409)
    kept = await front.shelf.put(analysis=ANALYSIS, seed=2)
    await front.page(f"/photos/{kept.sha256}/frames?straighten=x", status=400)


async def test_a_crop_that_is_switched_on_lies_where_it_was_meant(front: Front) -> None:
    crop = {"operation": "crop", "parameters": {"x": 0.1, "y": 0.3, "width": 0.5, "height": 0.5}}
    crop |= {"confidence": 0.5, "reason": "closer", "applied": False}
    photo = await front.shelf.put(suggestions=(*SUGGESTIONS, crop), **LARGE)
    commands = front.home.context.commands
    level = await commands.change("local", photo.sha256, 1, {"straighten": None})
    form = {"version": str(level.version), "operation": "crop", "to": "on"}
    async with front.client.post(f"/photos/{photo.sha256}/switch", data=form, allow_redirects=False) as response:
        assert response.status == 303, await response.text()
    told = await front.json("GET", f"/api/photos/{photo.sha256}")
    set_now = told["recipe"]["user_overrides"]["crop"]

    # Level, the frame is larger than the one that 2.1 degrees leave: the same spot is a smaller part of it.
    assert set_now["width"] < 0.5
    assert set_now["x"] + set_now["width"] / 2 == pytest.approx(0.35, abs=0.04)
