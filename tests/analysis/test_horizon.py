"""A picture that is turned by a known angle says that angle; one without straight edges says nothing."""

from pathlib import Path

import numpy as np
import pytest

from immich_sidecar.advise.suggestion import APPLY_AT
from immich_sidecar.analysis.measure.horizon import measure_tilt
from tests.photos.make import degraded, sample_photo, scene, tilted

#: Photos of the data folder with a clear horizon or clear uprights.
LEVEL = (
    "sea-sunset-noritsu.jpg",
    "cathedral-olympus-e10.jpg",
    "beers-24mp.jpg",
    "phone-box-orientation6-nikon-d40.jpg",
)


@pytest.mark.parametrize("degrees", [-6.0, -3.1, -1.2, 0.8, 2.1, 4.7])
def test_known_angle_is_found(degrees: float) -> None:
    tilt = measure_tilt(tilted(scene(), degrees))

    assert tilt.degrees == pytest.approx(degrees, abs=0.3)
    assert tilt.confidence >= APPLY_AT


def test_level_scene_is_level() -> None:
    tilt = measure_tilt(scene())

    assert tilt.degrees == pytest.approx(0.0, abs=0.2)


def test_noise_and_darkness_do_not_move_the_angle() -> None:
    tilt = measure_tilt(degraded(scene(), tilt=2.5, ev=-1.5, noise=6, chroma_noise=4))

    assert tilt.degrees == pytest.approx(2.5, abs=0.4)


@pytest.mark.parametrize("name", ["chelsea", "coffee", "retina"])
@pytest.mark.parametrize("degrees", [-4.0, 0.0, 3.0])
def test_pictures_without_a_horizon_are_not_turned(name: str, degrees: float) -> None:
    tilt = measure_tilt(tilted(sample_photo(name, shrink=1), degrees))

    assert tilt.confidence < APPLY_AT


def test_texture_diagonals_and_emptiness_say_nothing() -> None:
    random = np.random.default_rng(3)
    y, x = np.mgrid[0:600, 0:800]
    stripes = np.where((x + y) // 40 % 2 == 0, 60, 190).astype(np.uint8)
    pictures = [
        random.integers(0, 255, (600, 800, 3), dtype=np.uint8),
        np.repeat(stripes[..., None], 3, axis=2),
        np.full((600, 800, 3), 128, np.uint8),
        np.zeros((600, 800, 3), np.uint8),
        np.full((20, 30, 3), 90, np.uint8),
    ]

    assert all(measure_tilt(picture).confidence < APPLY_AT for picture in pictures)


def test_one_leaning_pole_is_no_horizon() -> None:
    picture = np.full((600, 800, 3), 200, np.uint8)
    for row in range(600):
        middle = 300 + int(row * np.tan(np.radians(5)))
        picture[row, middle : middle + 25] = 40

    assert measure_tilt(picture).confidence < APPLY_AT


def test_converging_uprights_are_level_at_the_middle() -> None:
    picture = np.full((600, 800, 3), 210, np.uint8)
    for i in range(-6, 7):
        for row in range(600):
            # Towards the top all uprights lean to the middle, as in a photo of a tower.
            middle = int(400 + i * 58 * (0.75 + 0.25 * row / 600))
            picture[row, max(0, middle - 6) : middle + 6] = 50

    tilt = measure_tilt(picture)

    assert tilt.degrees is None or abs(tilt.degrees) < 0.3


def test_real_photos_turn_by_what_they_were_turned(photos: Path) -> None:
    from immich_sidecar.develop.proxy import load_proxy

    errors = []
    for name in LEVEL:
        display = load_proxy(photos / name).display
        before = measure_tilt(display)
        assert before.degrees is not None, name
        for degrees in (-3.0, -1.5, 2.0, 3.5):
            turned = measure_tilt(tilted(display, degrees))
            if turned.confidence >= APPLY_AT and turned.degrees is not None:
                errors.append(abs(turned.degrees - before.degrees - degrees))

    assert len(errors) >= 10
    assert np.median(errors) < 0.3
    assert max(errors) < 0.8
