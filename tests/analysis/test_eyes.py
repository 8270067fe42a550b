"""Open and closed eyes: real faces with open eyes, and the same with lids drawn over them."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps

from immich_sidecar.analysis.measure.eyes import eyes_open
from tests.photos.make import sample_photo

Place = tuple[float, float]

#: Right and left eye, by hand, in pixels of the photo at 1440.
IN_PHOTOS: dict[str, tuple[str, Place, Place]] = {
    "narrow": ("group-indoors-canon-a560.jpg", (227, 418), (314, 420)),
    "smiling": ("group-indoors-canon-a560.jpg", (530, 304), (597, 316)),
    "laughing": ("group-indoors-canon-a560.jpg", (881, 276), (948, 273)),
    "blonde": ("group-indoors-canon-a560.jpg", (1124, 281), (1189, 284)),
    "in shadow": ("two-people-indoors.jpg", (1018, 499), (1100, 501)),
    "child": ("father-child-flash-canon-ixus750.jpg", (702, 353), (744, 351)),
    "flash": ("father-child-flash-canon-ixus750.jpg", (837, 201), (890, 189)),
}
ASTRONAUT = ((203.0, 101.0), (246.0, 103.0))


def _landmarks(display: NDArray[np.uint8], right: Place, left: Place, *, turned: float = 0.0) -> tuple[Place, ...]:
    height, width = display.shape[:2]
    along = np.subtract(left, right)
    nose = np.add(right, left) / 2 + np.array([-along[1], along[0]]) * 0.6 + along * turned
    return tuple((float(x) / width, float(y) / height) for x, y in (right, left, nose))


def _closed(display: NDArray[np.uint8], right: Place, left: Place) -> NDArray[np.uint8]:
    """Skin from below the eyes drawn over them, and a line of lashes."""
    picture = display.astype(np.float32)
    rows, columns = np.mgrid[0 : display.shape[0], 0 : display.shape[1]]
    along = np.subtract(left, right)
    distance = float(np.hypot(*along))
    x, y = along / distance
    soft = cv2.GaussianBlur(picture, (0, 0), distance * 0.03)
    skin = np.roll(soft, (-round(0.22 * distance * x), round(0.22 * distance * y)), (0, 1))
    for eye in (right, left):
        across = ((columns - eye[0]) * x + (rows - eye[1]) * y) / distance
        down = ((rows - eye[1]) * x - (columns - eye[0]) * y) / distance
        lid = np.clip(2.2 - 2 * np.hypot(across / 0.24, down / 0.13), 0, 1)[..., None]
        picture = picture * (1 - lid) + skin * lid
        lashes = (np.exp(-(((down - 0.03 + 0.6 * across**2) / 0.018) ** 2)) * (np.abs(across) < 0.18))[..., None]
        picture = picture * (1 - 0.7 * lashes)
    return np.clip(picture, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("name", IN_PHOTOS)
def test_eyes_in_real_photos(photos: Path, name: str) -> None:
    file, right, left = IN_PHOTOS[name]
    image = ImageOps.exif_transpose(Image.open(photos / file)).convert("RGB")
    image.thumbnail((1440, 1440))
    display = np.asarray(image)

    as_it_is = eyes_open(display, _landmarks(display, right, left))
    lids_down = eyes_open(_closed(display, right, left), _landmarks(display, right, left))

    assert as_it_is is not None
    assert as_it_is > 0.5
    assert lids_down is not None
    assert lids_down < 0.2


def test_one_closed_eye_counts() -> None:
    display = sample_photo("astronaut", shrink=1)
    right, left = ASTRONAUT
    closed = _closed(display, right, left)
    winking = display.copy()
    winking[:, 225:] = closed[:, 225:]

    assert eyes_open(display, _landmarks(display, right, left)) == 1.0
    assert eyes_open(winking, _landmarks(display, right, left)) == 0.0


@pytest.mark.parametrize("degrees", [-25, 15])
def test_a_head_that_leans_is_measured_alike(degrees: float) -> None:
    display = sample_photo("astronaut", shrink=1)
    turn = cv2.getRotationMatrix2D((224.0, 102.0), degrees, 1.0)
    leaning = np.asarray(cv2.warpAffine(display, turn, (512, 512)), np.uint8)
    right, left = (tuple(turn @ np.array([*place, 1.0])) for place in ASTRONAUT)

    assert eyes_open(leaning, _landmarks(leaning, right, left)) == pytest.approx(1.0, abs=0.1)
    assert eyes_open(_closed(leaning, right, left), _landmarks(leaning, right, left)) == pytest.approx(0.0, abs=0.1)


@pytest.mark.parametrize("off", [(1.5, 0.0), (-1.5, 1.0), (0.0, -1.5)])
def test_places_need_not_be_exact(off: Place) -> None:
    display = sample_photo("astronaut", shrink=1)
    right, left = (tuple(np.add(place, off)) for place in ASTRONAUT)
    closed = _closed(display, *ASTRONAUT)

    found = eyes_open(display, _landmarks(display, right, left))
    lids_down = eyes_open(closed, _landmarks(display, right, left))

    assert found is not None
    assert lids_down is not None
    assert found - lids_down > 0.6


def test_nothing_is_said_where_nothing_can_be_told() -> None:
    display = sample_photo("astronaut", shrink=1)
    right, left = ASTRONAUT
    seen = _landmarks(display, right, left)
    small = np.asarray(Image.fromarray(display).resize((256, 256)))
    flat = np.full_like(display, 150)

    assert eyes_open(display, seen[:2]) is None, "no nose"
    assert eyes_open(display, ()) is None, "no landmarks"
    assert eyes_open(small, seen) is None, "too small"
    assert eyes_open(flat, seen) is None, "no contrast"
    assert eyes_open(display, _landmarks(display, right, left, turned=0.6)) is None, "turned aside"
    assert eyes_open(display, ((0.5, 0.5), (0.5, 0.5), (0.5, 0.5))) is None, "no distance"


def test_eyes_at_the_edge_do_no_harm() -> None:
    display = sample_photo("astronaut", shrink=1)

    for places in (((0.0, 1.0), (0.12, 1.0), (0.05, 1.0)), ((0.88, 0.0), (1.0, 0.0), (0.95, 0.1))):
        value = eyes_open(display, places)
        assert value is None or 0 <= value <= 1
