"""A picture that is turned by a known angle says that angle; one without straight edges says nothing."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from immich_sidecar.advise.suggestion import APPLY_AT
from immich_sidecar.analysis.measure.tilt import measure_tilt
from tests.photos.make import Display, degraded, sample_photo, scene, tilted

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


def sea() -> Display:
    """A sky and a sea that meet in one level line; waves, no other edge."""
    random = np.random.default_rng(4)
    picture = np.zeros((700, 1050, 3), np.float32)
    picture[:300] = np.linspace(150, 225, 300)[:, None, None] * (0.85, 0.95, 1.0)
    waves = cv2.GaussianBlur(random.normal(0, 1, (400, 1050)).astype(np.float32), (0, 0), 6, sigmaY=1.5)
    picture[300:] = (90 + 120 * waves)[..., None] * (0.5, 0.8, 1.0)
    return np.asarray(np.clip(picture + random.normal(0, 2, picture.shape), 0, 255), np.uint8)


def facade(*, pitch: float = 0.0, roll: float = 0.0, focal: float = 0.85) -> Display:
    """A wall of windows, seen by a camera that looks up by `pitch` and leans by `roll` degrees."""
    random = np.random.default_rng(6)
    wall = random.normal(150, 6, (1400, 1800)).astype(np.float32)
    for x in range(60, 1760, 110):
        for y in range(50, 1350, 140):
            cv2.rectangle(wall, (x, y), (x + 50, y + 85), float(random.uniform(40, 90)), -1)
            cv2.rectangle(wall, (x - 6, y + 85), (x + 56, y + 91), 215.0, -1)
    length = focal * 1000
    up, turn = np.radians(pitch), np.radians(roll)
    pitched = np.array([[1, 0, 0], [0, np.cos(up), np.sin(up)], [0, -np.sin(up), np.cos(up)]])
    rolled = np.array([[np.cos(turn), np.sin(turn), 0], [-np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    to_camera = np.array([[1 / length, 0, -900 / length], [0, 1 / length, -700 / length], [0, 0, 1.0]])
    to_picture = np.array([[length, 0, 500], [0, length, 375], [0, 0, 1.0]])
    seen = cv2.warpPerspective(wall, to_picture @ rolled @ pitched @ to_camera, (1000, 750), borderValue=180.0)
    return np.repeat(np.clip(cv2.GaussianBlur(seen, (0, 0), 0.7), 0, 255).astype(np.uint8)[..., None], 3, axis=2)


def forest() -> Display:
    """Trunks that mean to be upright, each a little off, before a bright ground of leaves."""
    random = np.random.default_rng(8)
    ground = cv2.GaussianBlur(random.normal(0, 1, (750, 1000)).astype(np.float32), (0, 0), 3)
    picture = np.clip(150 + 110 * ground, 0, 255)
    for x in random.uniform(20, 980, 26):
        off = np.tan(np.radians(random.normal(0, 0.9))) * 750
        cv2.line(picture, (int(x), 0), (int(x + off), 750), float(random.uniform(20, 60)), int(random.uniform(8, 26)))
    return np.repeat(np.asarray(picture, np.uint8)[..., None], 3, axis=2)


def stairs() -> Display:
    """Steps that run away to one side: every edge slants, each by another angle, and nothing is upright."""
    random = np.random.default_rng(9)
    picture = np.full((750, 1000), 120, np.float32)
    for i in range(16):
        left, right = 60 + 46 * i, 30 + 34 * i - 6 * i
        shape = np.array([[0, left], [1000, right], [1000, right + 20], [0, left + 30]])
        cv2.fillPoly(picture, [shape], float(random.uniform(60, 220)))
    picture += cv2.GaussianBlur(random.normal(0, 1, picture.shape).astype(np.float32), (0, 0), 2) * 40
    return np.repeat(np.clip(picture, 0, 255).astype(np.uint8)[..., None], 3, axis=2)


@pytest.mark.parametrize("degrees", [-5.0, -1.5, 2.5])
def test_sea_horizon_is_found(degrees: float) -> None:
    tilt = measure_tilt(tilted(sea(), degrees))

    assert tilt.degrees == pytest.approx(degrees, abs=0.3)
    assert tilt.confidence >= APPLY_AT
    assert tilt.by_uprights < 0.5


@pytest.mark.parametrize("pitch", [-6.0, 0.0, 9.0])
@pytest.mark.parametrize("roll", [-3.0, 0.0, 4.0])
def test_lean_and_looking_up_are_told_apart(pitch: float, roll: float) -> None:
    tilt = measure_tilt(facade(pitch=pitch, roll=roll))

    assert tilt.degrees == pytest.approx(roll, abs=0.3)
    assert tilt.confidence >= APPLY_AT
    assert tilt.convergence == pytest.approx(np.tan(np.radians(pitch)) / 0.85, abs=0.03)
    assert tilt.convergence_confidence > 0.4


@pytest.mark.parametrize("degrees", [-4.0, 3.0])
def test_a_forest_is_upright_as_a_whole(degrees: float) -> None:
    tilt = measure_tilt(tilted(forest(), degrees))

    assert tilt.confidence < APPLY_AT or tilt.degrees == pytest.approx(degrees, abs=0.5)


@pytest.mark.parametrize("degrees", [-2.0, 0.0, 3.0])
def test_stairs_are_no_horizon(degrees: float) -> None:
    assert measure_tilt(tilted(stairs(), degrees)).confidence < APPLY_AT
