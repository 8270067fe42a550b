"""Real photos as models get them; random weights are made by each test with the library that reads them."""

from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from immich_sidecar.analysis.models.view import View

#: Wide, tall, and of another shape.
NAMES = ("skiers-snow-canon-a70.jpg", "phone-box-orientation6-nikon-d40.jpg", "two-beers-samsung-s4.jpg")
EDGE = 480

#: Before any library puts another in its place, as ultralytics does when it is imported.
_OPEN = Image.open


@pytest.fixture(autouse=True)
def pillow_stays_itself() -> Iterator[None]:
    """Leave Pillow to the tests that come after in this process as it was."""
    yield
    Image.open = _OPEN


@pytest.fixture(scope="session")
def pictures(photos: Path) -> list[np.ndarray]:
    """Real photos, oriented, (height, width, 3) uint8 RGB, of three shapes and at most 480 pixels long."""
    found = []
    for name in NAMES:
        picture = cv2.imread(str(photos / name))
        assert picture is not None
        scale = EDGE / max(picture.shape[:2])
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        found.append(np.ascontiguousarray(picture[..., ::-1]))
    assert len({picture.shape for picture in found}) == len(NAMES)
    return found


@pytest.fixture
def views(pictures: list[np.ndarray]) -> list[View]:
    """The photos as models get them; nothing is kept in them yet."""
    return [View(picture) for picture in pictures]
