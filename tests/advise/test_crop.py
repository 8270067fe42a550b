"""Crops keep everybody whole, are no worse than the picture as it was framed, and say why."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from immich_sidecar.advise.adviser import advise
from immich_sidecar.advise.crop import Crop, crops, suggest
from immich_sidecar.advise.suggestion import APPLY_AT
from immich_sidecar.analysis.analysis import Analysis, analyse
from immich_sidecar.analysis.findings import Box, Face, Findings, FoundObject, Mask, WordedCrop, Words
from immich_sidecar.analysis.measure.glance import measure_glance
from immich_sidecar.recipe.frame import frame_of, levelled, moved
from immich_sidecar.recipe.operations import validate
from immich_sidecar.recipe.plan import GeometryPlan, UprightPlan
from immich_sidecar.recipe.run_lengths import written
from tests.photos.make import full_exif, scene, write_jpeg

SIZE = (6000, 4000)
LEVEL = GeometryPlan()


def box(x: float, y: float, width: float, height: float) -> Box:
    return Box(x=x, y=y, width=width, height=height)


def person(x: float, y: float, width: float, height: float) -> FoundObject:
    return FoundObject(label="person", score=0.9, box=box(x, y, width, height))


def face(x: float, y: float, width: float, height: float, name: str | None = None, **more: object) -> Face:
    return Face(box=box(x, y, width, height), score=0.9, name=name, source="by hand", **more)  # type: ignore[arg-type]


#: A small person low and left in much empty meadow.
SMALL = Findings(objects=(person(0.2, 0.62, 0.08, 0.3),), faces=(face(0.225, 0.64, 0.03, 0.05),))


def holds(crop: Crop, one: Box, slack: float = 0.0) -> bool:
    rect = crop.rect
    return (
        rect.left <= one.x - slack
        and rect.top <= one.y - slack
        and rect.right >= one.x + one.width + slack
        and rect.bottom >= one.y + one.height + slack
    )


def test_a_small_subject_comes_closer_and_onto_a_third() -> None:
    best = crops(SMALL, None, SIZE)[0]

    assert best.shape == "free"
    assert best.gain > 0
    assert best.rect.area < 0.8
    assert holds(best, SMALL.objects[0].box, 0.01)
    x = (0.24 - best.rect.left) / best.rect.width
    assert min(abs(x - 1 / 3), abs(x - 2 / 3), abs(x - 0.5)) < 0.05
    assert "person" in best.reason


def test_every_shape_is_offered_once_and_has_its_shape() -> None:
    found = {one.shape: one.rect for one in crops(SMALL, None, SIZE)}

    for name, ratio in (("4:3", 4 / 3), ("1:1", 1.0), ("16:9", 16 / 9)):
        assert found[name].width * 6000 / (found[name].height * 4000) == pytest.approx(ratio, rel=0.01)
    upright = {one.shape for one in crops(SMALL, None, (4000, 6000))}
    assert {"3:4", "1:1", "9:16"} <= upright
    assert len(found) == len(crops(SMALL, None, SIZE))


fractions = st.floats(0.0, 0.95)
people = st.lists(
    st.tuples(fractions, fractions, st.floats(0.02, 1.0), st.floats(0.05, 1.0), st.booleans()), min_size=1, max_size=4
)


@given(people=people, degrees=st.sampled_from([0.0, 2.5, -4.0]), portrait=st.booleans())
@settings(max_examples=60)
def test_nobody_is_ever_cut_who_was_not_cut_before(people: list, degrees: float, portrait: bool) -> None:
    size = (3000, 4500) if portrait else (4500, 3000)
    boxes = [box(x, y, min(w, 1 - x), min(h, 1 - y)) for x, y, w, h, _ in people]
    heads = [
        face(b.x + b.width * 0.35, b.y + b.height * 0.1, b.width * 0.3, b.height * 0.15, name="Ada")
        for b, (*_, has_face) in zip(boxes, people, strict=True)
        if has_face
    ]
    findings = Findings(objects=tuple(person(b.x, b.y, b.width, b.height) for b in boxes), faces=tuple(heads))
    way = GeometryPlan(degrees=degrees)
    frame = frame_of(size, way)

    def place(x: float, y: float) -> tuple[float, float]:
        px, py = moved(levelled(size, way), ((x - 0.5) * size[0], (y - 0.5) * size[1]))
        return 0.5 + (px - frame.x) / frame.width, 0.5 + (py - frame.y) / frame.height

    for crop in crops(findings, None, size, way):
        rect = crop.rect
        validate("crop", crop.parameters)
        for one in (*boxes, *(f.box for f in heads)):
            corners = [place(x, y) for x in (one.x, one.x + one.width) for y in (one.y, one.y + one.height)]
            left, right = (min(max(f(x for x, _ in corners), 0.0), 1.0) for f in (min, max))
            top, bottom = (min(max(f(y for _, y in corners), 0.0), 1.0) for f in (min, max))
            shared = max(0.0, min(right, rect.right) - max(left, rect.left)) * max(
                0.0, min(bottom, rect.bottom) - max(top, rect.top)
            )
            whole = (right - left) * (bottom - top)
            assert shared <= 1e-9 or shared == pytest.approx(whole, abs=2e-6)
        for head in heads:
            x, y = place(head.box.x + head.box.width / 2, head.box.y + head.box.height / 2)
            if 0 <= x <= 1 and 0 <= y <= 1:
                assert rect.left <= x <= rect.right
                assert rect.top <= y <= rect.bottom


def test_a_mask_that_reaches_beyond_its_box_is_kept_too() -> None:
    # Columns 2 to 5 of 10, all rows: the arm is farther left than the detector's box says.
    mask = Mask(width=10, height=10, counts=written([20, 40, 40]))
    findings = Findings(objects=(FoundObject(label="person", score=0.9, box=box(0.4, 0.3, 0.15, 0.5), mask=mask),))

    assert all(one.rect.left < 0.2 and one.rect.top == 0 for one in crops(findings, None, SIZE))


def test_somebody_in_passing_whom_the_edge_cuts_is_left_out_whole() -> None:
    main, cut = person(0.35, 0.2, 0.3, 0.75), person(0.93, 0.4, 0.07, 0.4)
    findings = Findings(objects=(main, cut), faces=(face(0.45, 0.24, 0.08, 0.12),))
    best = {one.shape: one for one in crops(findings, None, SIZE)}["1:1"]

    assert best.rect.right < 0.93
    named = Findings(objects=(main, cut), faces=(*findings.faces, face(0.94, 0.42, 0.05, 0.08, name="Ada")))
    assert all(one.rect.right == 1.0 for one in crops(named, None, SIZE))


def test_a_face_gets_room_to_look_into() -> None:
    # Eyes and nose of somebody on the right who looks left, out of the short side of the picture.
    landmarks = ((0.905, 0.42), (0.935, 0.42), (0.9, 0.45))
    looking = face(0.88, 0.38, 0.08, 0.12, landmarks=landmarks)
    findings = Findings(objects=(person(0.82, 0.3, 0.17, 0.6),), faces=(looking,))
    for one in crops(findings, None, SIZE):
        assert (0.92 - one.rect.left) / one.rect.width > 0.3


@pytest.mark.parametrize("name", ["well framed", "group"])
def test_what_is_framed_well_is_not_suggested_to_be_framed_anew(name: str) -> None:
    findings = {
        "well framed": Findings(objects=(person(0.2, 0.12, 0.3, 0.85),), faces=(face(0.29, 0.2, 0.1, 0.16),)),
        "group": Findings(objects=tuple(person(0.05 + 0.22 * n, 0.15, 0.22, 0.8) for n in range(4))),
    }[name]

    assert suggest(findings, None, SIZE, LEVEL) is None


def test_one_witness_offers_and_two_apply() -> None:
    alone = suggest(SMALL, None, SIZE, LEVEL)
    assert alone is not None
    assert alone.confidence < APPLY_AT
    rect = crops(SMALL, None, SIZE)[0].rect
    same = WordedCrop(box=box(rect.left, rect.top, rect.width, rect.height), reason="closer to   the walker\n")
    both = suggest(SMALL.model_copy(update={"words": Words(crops=(same,))}), None, SIZE, LEVEL)
    assert both is not None
    assert both.confidence >= APPLY_AT
    other = WordedCrop(box=box(0.1, 0.4, 0.9, 0.6))
    apart = suggest(SMALL.model_copy(update={"words": Words(crops=(other,))}), None, SIZE, LEVEL)
    assert apart is not None
    assert apart.confidence < APPLY_AT


def test_a_model_that_would_cut_a_head_is_not_listened_to() -> None:
    good, bad = box(0.1, 0.4, 0.6, 0.6), box(0.1, 0.66, 0.6, 0.34)
    words = Words(crops=(WordedCrop(box=bad, reason="legs"), WordedCrop(box=good, reason="  calmer\nframe ")))
    found = [one for one in crops(SMALL.model_copy(update={"words": words}), None, SIZE) if one.shape == "words"]

    assert [one.reason for one in found] == ["calmer frame"]


def test_salience_stands_in_where_no_model_found_anything() -> None:
    picture = np.full((800, 1200, 3), (40, 70, 110), np.uint8)
    picture[560:640, 300:380] = (250, 220, 60)
    glance = measure_glance(picture)
    found = crops(Findings(), glance, SIZE)

    assert found
    assert all(holds(one, box(0.25, 0.7, 0.06, 0.1)) for one in found)
    assert "what stands out" in found[0].reason
    assert crops(Findings(), None, SIZE) == ()


def test_a_crop_lies_in_the_frame_that_level_and_perspective_leave() -> None:
    way = GeometryPlan(degrees=6.0, upright=UprightPlan(4.0, 0.0, 35.0))
    frame = frame_of(SIZE, way)
    px, py = moved(levelled(SIZE, way), ((0.24 - 0.5) * SIZE[0], (0.77 - 0.5) * SIZE[1]))
    x, y = 0.5 + (px - frame.x) / frame.width, 0.5 + (py - frame.y) / frame.height
    for one in crops(SMALL, None, SIZE, way):
        assert one.rect.left < x < one.rect.right
        assert one.rect.top < y < one.rect.bottom


def test_turned_and_mirrored_pictures_get_the_same_frames_turned() -> None:
    mirrored = crops(SMALL, None, SIZE, replace(LEVEL, mirror=True))
    for one, other in zip(crops(SMALL, None, SIZE), mirrored, strict=True):
        assert one.gain == pytest.approx(other.gain, abs=0.02)
        assert holds(other, box(1 - 0.28, 0.62, 0.08, 0.3), 0.01)
    for one in crops(SMALL, None, SIZE, replace(LEVEL, quarter_turns=1)):
        assert holds(one, box(1 - 0.92, 0.2, 0.3, 0.08), 0.01)


@pytest.fixture(scope="module")
def analysis(tmp_path_factory: pytest.TempPathFactory) -> Analysis:
    return analyse(write_jpeg(tmp_path_factory.mktemp("crop") / "a.jpg", scene(1200, 800), exif=full_exif()))


def test_without_findings_advice_is_what_it_was(analysis: Analysis) -> None:
    assert analysis.findings is None
    without = advise(analysis.model_copy(update={"glance": None}))
    assert advise(analysis) == without
    assert not any(s.operation == "crop" for s in without.suggestions)


def test_an_offered_crop_leaves_a_good_photo_alone(analysis: Analysis) -> None:
    large = analysis.facts.model_copy(update={"width": SIZE[0], "height": SIZE[1]})
    advice = advise(analysis.model_copy(update={"findings": SMALL, "facts": large}))

    offered = [s for s in advice.suggestions if s.operation == "crop"]
    assert len(offered) == 1
    assert not offered[0].applied
    assert advice.left_alone == advise(analysis).left_alone
