"""Faces and subjects weigh in light and colour; without them nothing changes."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from immich_sidecar.advise import faces, parts
from immich_sidecar.advise.adviser import advise, recipe_for
from immich_sidecar.advise.suggestion import Suggestion
from immich_sidecar.analysis.analysis import Analysis, analyse
from immich_sidecar.analysis.findings import Box, Face, Findings, FoundObject
from immich_sidecar.analysis.masks import encode
from tests.advise.test_adviser import AT, HASH
from tests.photos.make import degraded, full_exif, sample_photo, write_jpeg

#: The astronaut's face and outline, by hand.
FACE = Face(box=Box(x=0.365, y=0.16, width=0.19, height=0.21), score=0.9, source="by hand")
Look = Callable[[np.ndarray], Analysis]


def astronaut_mask() -> np.ndarray:
    inside = np.zeros((96, 96), np.uint8)
    cv2.ellipse(inside, (44, 22), (14, 17), 0, 0, 360, 1, -1)
    cv2.ellipse(inside, (36, 92), (32, 58), 0, 0, 360, 1, -1)
    return inside.astype(bool)


FOUND = Findings(
    faces=(FACE,),
    objects=(
        FoundObject(
            label="person",
            score=0.9,
            box=Box(x=0.05, y=0.03, width=0.65, height=0.97),
            mask=encode(astronaut_mask()),
        ),
    ),
)


@pytest.fixture(scope="module")
def look(tmp_path_factory: pytest.TempPathFactory) -> Look:
    folder = tmp_path_factory.mktemp("faces")
    known: dict[bytes, Analysis] = {}

    def run(picture: np.ndarray) -> Analysis:
        key = picture.tobytes()
        if key not in known:
            known[key] = analyse(write_jpeg(folder / "a.jpg", picture, exif=full_exif()))
        return known[key].model_copy(update={"findings": FOUND})

    return run


def shaded(ev: float) -> np.ndarray:
    """The astronaut, with her own outline darkened by so many stops: somebody before a bright wall."""
    picture = sample_photo("astronaut", shrink=1)
    soft = cv2.GaussianBlur(cv2.resize(astronaut_mask().astype(np.float32), picture.shape[1::-1]), (0, 0), 4)[..., None]
    dark = degraded(picture, ev=ev)
    return np.round(picture * (1 - soft) + dark * soft).astype(np.uint8)


def test_a_good_photo_with_a_face_is_left_alone_as_before(look: Look) -> None:
    analysis = look(sample_photo("astronaut", shrink=1))
    light = faces.face_light(analysis)

    assert light is not None
    assert 0.15 < light.luminance < 0.6
    assert not any(s.applied for s in advise(analysis).suggestions)
    assert faces.face_light(analysis.model_copy(update={"findings": None})) is None
    assert faces.face_light(analysis.model_copy(update={"findings": Findings()})) is None


@pytest.mark.parametrize("ev", [-2.5, -3.0])
def test_a_face_against_the_light_is_lifted_where_it_is(look: Look, tmp_path: Path, ev: float) -> None:
    from immich_sidecar.develop.engine import render

    picture = shaded(ev)
    analysis = look(picture)
    advice = advise(analysis)
    found = {s.operation: s for s in advice.suggestions}
    assert found["subject"].parameters["ev"] > 0.6
    assert "shade" in found["subject"].reason
    wanted = advice.model_copy(
        update={
            "suggestions": tuple(s.model_copy(update={"applied": s.operation == "subject"}) for s in advice.suggestions)
        }
    )
    path = write_jpeg(tmp_path / "shade.jpg", picture, exif=full_exif())
    better = render(path, recipe_for(HASH, wanted, analysis, at=AT)).image.astype(float)
    truth = sample_photo("astronaut", shrink=1).astype(float)
    part = cv2.erode(cv2.resize(astronaut_mask().astype(np.uint8), truth.shape[1::-1]), np.ones((25, 25))) > 0
    assert abs(better - truth)[part].mean() < 0.8 * abs(picture - truth)[part].mean()


def test_without_an_outline_shadows_are_opened(look: Look) -> None:
    analysis = look(shaded(-3.0))
    bare = analysis.model_copy(update={"findings": Findings(faces=(FACE,))})
    step = faces.in_the_shade(faces.face_light(bare))

    assert step is not None
    assert step.operation == "tone"
    assert step.parameters["shadows"] > 20
    assert not any(s.operation == "subject" for s in advise(bare).suggestions)
    without = advise(analysis.model_copy(update={"findings": None}))
    assert not any(s.operation == "subject" or s.parameters.get("shadows") for s in without.suggestions)


def exposure(ev: float) -> Suggestion:
    return Suggestion(operation="exposure", parameters={"ev": ev}, confidence=0.8, reason="underexposed")


def light(luminance: float, brightest: float) -> faces.FaceLight:
    return faces.FaceLight(luminance, brightest, (luminance, luminance, luminance), 0.2)


def test_no_face_is_brightened_until_it_is_cut() -> None:
    step = faces.weighed(exposure(2.0), light(0.2, 0.3))
    assert step is not None
    assert 0.3 * 2 ** step.parameters["ev"] <= 0.71
    assert step.confidence < 0.8
    assert faces.weighed(exposure(1.5), light(0.5, 0.68)) is None
    dark = faces.weighed(exposure(1.5), light(0.03, 0.06))
    assert dark is not None
    assert dark.confidence > 0.8
    assert dark.parameters["ev"] == 1.5
    assert faces.weighed(exposure(1.5), None) == exposure(1.5)


def test_a_dark_face_is_not_darkened_and_a_burnt_one_is() -> None:
    assert faces.weighed(exposure(-1.5), light(0.08, 0.15)) is None
    burnt = faces.weighed(exposure(-1.0), light(0.7, 0.95))
    assert burnt is not None
    assert burnt.confidence > 0.8


def test_a_balance_that_makes_skin_green_loses_confidence(look: Look) -> None:
    skin = faces.face_light(look(sample_photo("astronaut", shrink=1)))
    wrong = Suggestion(
        operation="white_balance", parameters={"gains": [0.55, 1.2, 1.3]}, confidence=0.8, reason="orange cast"
    )
    assert faces.guarded(wrong, None) == wrong
    kept = faces.guarded(wrong, skin)
    assert kept is None or kept.confidence < 0.5
    slight = wrong.model_copy(update={"parameters": {"gains": [0.98, 1.0, 1.03]}})
    assert faces.guarded(slight, skin) == slight


@pytest.mark.parametrize("cast", [(0.75, 1.0, 1.5), (1.5, 1.0, 0.6)])
def test_a_true_cast_is_still_taken_away(look: Look, cast: tuple[float, float, float]) -> None:
    analysis = look(degraded(sample_photo("astronaut", shrink=1), cast=cast))
    with_faces = {s.operation: s for s in advise(analysis).suggestions}
    without = {s.operation: s for s in advise(analysis.model_copy(update={"findings": None})).suggestions}
    if "white_balance" in without:
        assert with_faces["white_balance"].confidence >= 0.9 * without["white_balance"].confidence


def test_masks_are_kept_for_the_sliders_and_damaged_ones_are_not() -> None:
    known = parts.masks(FOUND)
    assert set(known) == {"subject", "background"}
    assert len(str(known)) < 6000
    person = FOUND.objects[0]
    assert person.mask is not None
    broken = person.model_copy(update={"mask": person.mask.model_copy(update={"counts": "zzz"})})
    assert parts.masks(Findings(objects=(broken,))) == {}
    assert parts.masks(Findings(objects=(person.model_copy(update={"mask": None}),))) == {}
    assert parts.masks(None) == {}


def test_a_recipe_keeps_the_masks_only_where_there_are_some(look: Look) -> None:
    analysis = look(sample_photo("astronaut", shrink=1))
    with_masks = recipe_for(HASH, advise(analysis), analysis, at=AT)
    assert set(with_masks.ai_metadata["masks"]) == {"subject", "background"}
    bare = analysis.model_copy(update={"findings": None})
    assert "masks" not in recipe_for(HASH, advise(bare), bare, at=AT).ai_metadata
