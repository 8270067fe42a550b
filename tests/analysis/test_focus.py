"""Focus on the subject: real photos, of which the subject or what lies around it is blurred by a known amount."""

from functools import cache

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from immich_sidecar.analysis.findings import Box, Face, Focus, FoundObject
from immich_sidecar.analysis.measure.focus import measure_focus
from tests.photos.make import sample_photo

#: The astronaut's face and the cat's head, by hand, in pixels.
FACE, CAT = (170, 50, 290, 190), (130, 20, 330, 240)


@cache
def _photo(name: str) -> NDArray[np.uint8]:
    return sample_photo(name, shrink=1)


def _box(display: NDArray[np.uint8], pixels: tuple[int, int, int, int]) -> Box:
    height, width = display.shape[:2]
    left, top, right, bottom = pixels
    return Box(x=left / width, y=top / height, width=(right - left) / width, height=(bottom - top) / height)


def _blurred(
    display: NDArray[np.uint8], pixels: tuple[int, int, int, int], sigma: float, *, around: bool = False
) -> NDArray[np.uint8]:
    left, top, right, bottom = pixels
    soft = np.asarray(cv2.GaussianBlur(display, (0, 0), sigma), np.uint8)
    result, patch = (soft.copy(), display) if around else (display.copy(), soft)
    result[top:bottom, left:right] = patch[top:bottom, left:right]
    return result


def _face(display: NDArray[np.uint8], pixels: tuple[int, int, int, int] = FACE) -> Face:
    return Face(box=_box(display, pixels), score=0.9, source="test")


def _of_face(display: NDArray[np.uint8]) -> Focus:
    found = measure_focus(display, [_face(display)])
    assert found is not None
    return found


def test_the_more_a_face_is_blurred_the_lower_its_score() -> None:
    photo = _photo("astronaut")

    scores = [_of_face(photo).score] + [_of_face(_blurred(photo, FACE, sigma)).score for sigma in (1, 2, 3)]

    assert scores == sorted(scores, reverse=True)
    assert scores[0] > 0.6
    assert scores[-1] < 0.1


def test_focus_that_missed_the_face_is_told_from_blur_of_everything_and_from_a_soft_background() -> None:
    photo = _photo("astronaut")

    missed = _of_face(_blurred(photo, FACE, 2))
    soft_background = _of_face(_blurred(photo, FACE, 3, around=True))
    shaken = _of_face(np.asarray(cv2.GaussianBlur(photo, (0, 0), 2), np.uint8))

    assert (missed.is_missed, missed.what) == (True, "face")
    assert not _of_face(photo).is_missed
    assert not soft_background.is_missed
    assert soft_background.score == _of_face(photo).score
    assert not shaken.is_missed
    assert shaken.score < 0.3


def test_the_largest_face_counts_then_what_is_alive_then_what_is_large() -> None:
    photo = _photo("chelsea")
    cat = FoundObject(label="cat", score=0.9, box=_box(photo, CAT))
    sofa = FoundObject(label="couch", score=0.9, box=Box(x=0, y=0, width=1, height=1))
    unsure = FoundObject(label="dog", score=0.2, box=Box(x=0, y=0, width=1, height=1))
    small, large = _face(photo, (200, 60, 260, 120)), _face(photo, (150, 60, 320, 220))

    def what(*objects: FoundObject, faces: tuple[Face, ...] = ()) -> tuple[str, Box] | None:
        found = measure_focus(photo, faces, objects)
        return None if found is None else (found.what, found.box)

    assert what(sofa, cat, faces=(small, large)) == ("face", large.box)
    assert what(sofa, cat) == ("cat", cat.box)
    assert what(sofa, unsure) == ("couch", sofa.box)
    assert what(unsure) is None
    assert what() is None


def test_what_fills_the_photo_has_no_surroundings() -> None:
    photo = _photo("chelsea")
    found = measure_focus(photo, objects=[FoundObject(label="cat", score=0.9, box=Box(x=0, y=0, width=1, height=1))])

    assert found is not None
    assert found.around is None
    assert not found.is_missed


@pytest.mark.parametrize("box", [(0, 0, 30, 200), (0, 0, 200, 30)])
def test_what_is_too_small_is_not_measured(box: tuple[int, int, int, int]) -> None:
    photo = _photo("astronaut")

    assert measure_focus(photo, [_face(photo, box)]) is None


def test_what_has_no_edges_is_not_measured() -> None:
    flat = np.full((400, 400, 3), 128, np.uint8)

    assert measure_focus(flat, [_face(flat, (50, 50, 250, 250))]) is None
