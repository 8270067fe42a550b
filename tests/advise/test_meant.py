"""Scenes whose light is meant are left as they are; casts and lost light are not meant."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from immich_sidecar.advise.adviser import APPLY_AT, advise
from immich_sidecar.advise.suggestion import Suggestion
from immich_sidecar.analysis.analysis import analyse
from immich_sidecar.develop.engine import render
from immich_sidecar.recipe.recipe import merge
from tests.advise.test_adviser import AT, distance
from tests.photos.make import Display, degraded, display_from_linear, full_exif, sample_photo, scene, write_jpeg

WIDTH, HEIGHT = 960, 640
LIGHT = {"exposure", "tone", "white_balance"}


def texture(seed: int, *, cell: int = 6, strength: float = 0.15) -> NDArray[np.float32]:
    """Uneven surfaces: factors about 1."""
    random = np.random.default_rng(seed)
    small = random.normal(0, 1, (HEIGHT // cell + 2, WIDTH // cell + 2)).astype(np.float32)
    large = cv2.resize(small, (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
    return np.exp(strength * large)[..., None]


def painted(*parts: tuple[NDArray[np.bool_], tuple[float, float, float]], seed: int = 1) -> Display:
    """Areas of linear colours, textured."""
    picture = np.zeros((HEIGHT, WIDTH, 3), np.float32)
    for mask, colour in parts:
        picture[mask] = colour
    return display_from_linear(picture * texture(seed))


def places() -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    y, x = np.mgrid[0:HEIGHT, 0:WIDTH].astype(np.float32)
    return y / HEIGHT, x / WIDTH


def trees(count: int, *, seed: int) -> NDArray[np.bool_]:
    y, x = places()
    random = np.random.default_rng(seed)
    mask = np.zeros((HEIGHT, WIDTH), bool)
    for left in random.uniform(0, 0.97, count):
        mask |= (np.abs(x - left) < 0.004 + 0.02 * np.clip(y - 0.25, 0, 1)) & (y > 0.25) & (y < 0.62)
    return mask


def snow() -> Display:
    """A bright slope under a pale sky with a few dark firs."""
    y, _ = places()
    return painted((y >= 0, (0.62, 0.70, 0.82)), (y > 0.5, (0.80, 0.82, 0.86)), (trees(14, seed=3), (0.03, 0.04, 0.03)))


def night() -> Display:
    """Streets with lamps, nearly everything dark."""
    picture = degraded(scene(WIDTH, HEIGHT), ev=-6)
    random = np.random.default_rng(2)
    for x, y in random.integers(40, 600, (30, 2)):
        cv2.circle(picture, (int(x * 1.5), int(y)), 7, (255, 226, 170), -1)
    return picture


def sunset() -> Display:
    """The sun low over a dark land."""
    y, x = places()
    glow = np.exp(-((x - 0.6) ** 2 + (y - 0.5) ** 2) / 0.05)[..., None]
    sky = np.float32([0.22, 0.10, 0.05]) + glow * np.float32([0.9, 0.45, 0.12])
    picture = sky.astype(np.float32) * texture(4, cell=40, strength=0.08)
    picture[y > 0.62] = np.float32([0.012, 0.008, 0.006])
    picture[((x - 0.6) * 1.5) ** 2 + (y - 0.5) ** 2 < 0.0012] = (1.0, 0.95, 0.7)
    return display_from_linear(picture)


def silhouette() -> Display:
    """Somebody dark before a bright sky."""
    y, x = places()
    body = (np.abs(x - 0.45) < 0.12 + 0.1 * y) & (y > 0.35)
    body |= ((x - 0.45) * 1.5) ** 2 + (y - 0.27) ** 2 < 0.012
    return painted((y >= 0, (0.75, 0.82, 0.95)), (y > 0.85, (0.02, 0.02, 0.02)), (body, (0.006, 0.006, 0.007)), seed=6)


def low_key() -> Display:
    """A lit face before black."""
    y, x = places()
    picture = np.full((HEIGHT, WIDTH, 3), 0.003, np.float32)
    inside = np.clip(1 - ((x - 0.5) * 1.5) ** 2 / 0.03 - (y - 0.45) ** 2 / 0.06, 0, 1)[..., None]
    side = np.clip(1.3 - 4 * np.abs(x - 0.44), 0.05, 1)[..., None]
    picture += np.sqrt(inside) * side * np.float32([0.75, 0.48, 0.36])
    return display_from_linear(picture * texture(8, strength=0.06))


def candles() -> Display:
    """A table by the light of candles."""
    y, x = places()
    picture = scene(WIDTH, HEIGHT, seed=9)
    linear = (picture.astype(np.float32) / 255) ** 2.2 * np.float32([0.5, 0.2, 0.05])
    for cx in (0.3, 0.5, 0.72):
        near = np.exp(-(((x - cx) * 1.5) ** 2 + (y - 0.4) ** 2) / 0.02)[..., None]
        linear = linear * (1 + 2 * near) + near**8 * np.float32([1.2, 0.7, 0.25])
    return display_from_linear(linear)


def fog() -> Display:
    return degraded(scene(WIDTH, HEIGHT), contrast=0.35)


MEANT: tuple[Callable[[], Display], ...] = (snow, night, sunset, silhouette, low_key, candles, fog)


def applied(path: Path) -> list[Suggestion]:
    return [s for s in advise(analyse(path)).suggestions if s.applied and s.operation in LIGHT]


@pytest.mark.parametrize("make", MEANT, ids=lambda make: make.__name__)
def test_light_that_is_meant_is_kept(tmp_path: Path, make: Callable[[], Display]) -> None:
    assert applied(write_jpeg(tmp_path / "meant.jpg", make(), exif=full_exif())) == []


def test_one_colour_that_fills_a_picture_is_no_cast(tmp_path: Path) -> None:
    y, x = places()
    spots = (np.sin(37 * x) * np.sin(29 * y)) > 0.75
    fields = {
        "meadow": ((0.11, 0.22, 0.05), (0.75, 0.75, 0.72)),
        "red wall": ((0.35, 0.06, 0.04), (0.6, 0.6, 0.6)),
        "sea": ((0.04, 0.14, 0.22), (0.8, 0.82, 0.85)),
    }
    for name, (colour, white) in fields.items():
        picture = painted((y >= 0, colour), (spots, white), (y > 0.93, (0.02, 0.02, 0.02)))
        found = applied(write_jpeg(tmp_path / "field.jpg", picture, exif=full_exif()))
        assert "white_balance" not in {s.operation for s in found}, name


CASTS = {
    "warm": (1.3, 1.0, 0.7),
    "cool": (0.75, 1.0, 1.35),
    "green": (0.76, 1.0, 0.76),
    "magenta": (1.25, 0.95, 1.25),
}


@pytest.mark.parametrize("name", ["astronaut", "coffee"])
@pytest.mark.parametrize("cast", CASTS)
def test_casts_on_photos_are_told_by_their_name(tmp_path: Path, name: str, cast: str) -> None:
    truth = sample_photo(name, shrink=1)
    spoilt = degraded(truth, cast=CASTS[cast])
    path = write_jpeg(tmp_path / "cast.jpg", spoilt, exif=full_exif())
    words = {"warm": "orange", "cool": "blue", "green": "green", "magenta": "magenta"}
    steps = [s for s in advise(analyse(path)).suggestions if s.operation == "white_balance"]
    assert [words[cast] in s.reason for s in steps] in ([True], [])
    for step in steps:
        operations = merge([], {"white_balance": step.parameters}, at=AT)
        after = distance(render(path, operations).image, truth)
        # What is announced as sure has to help; what is not may be offered and be wrong.
        assert step.confidence < APPLY_AT or after < distance(spoilt, truth)


def test_black_and_white_keeps_its_tone(tmp_path: Path) -> None:
    grey = sample_photo("astronaut", shrink=1).mean(axis=2, keepdims=True).repeat(3, axis=2).astype(np.uint8)
    for tone in ((1.0, 1.0, 1.0), (1.15, 1.0, 0.82)):
        path = write_jpeg(tmp_path / "grey.jpg", degraded(grey, cast=tone), exif=full_exif())
        assert "white_balance" not in {s.operation for s in applied(path)}
