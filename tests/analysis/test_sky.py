"""A blue sky is outlined where it is one, and nothing else is taken for it."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from immich_sidecar.advise import parts
from immich_sidecar.analysis.findings import Findings
from immich_sidecar.analysis.masks import area, decode
from immich_sidecar.analysis.measure.sky import measure_sky


def landscape(horizon: float, *, upside_down: bool = False) -> np.ndarray:
    rng = np.random.default_rng(5)
    picture = np.empty((600, 900, 3), np.uint8)
    edge = round(600 * horizon)
    fade = np.linspace(0, 60, edge)[:, None]
    picture[:edge] = np.stack([fade + 70, fade + 120, fade * 0 + 215], axis=-1).astype(np.uint8)
    picture[edge:] = rng.integers(30, 140, (600 - edge, 900, 3), dtype=np.uint8)
    return picture[::-1] if upside_down else picture


@pytest.mark.parametrize("horizon", [0.2, 0.45, 0.7])
def test_a_sky_is_outlined(horizon: float) -> None:
    sky = measure_sky(landscape(horizon))

    assert sky is not None
    assert area(sky) == pytest.approx(horizon, abs=0.04)
    assert not decode(sky)[-1].any()
    assert set(parts.masks(Findings(), sky)) == {"sky"}
    assert parts.masks(None, sky) == {}


@pytest.mark.parametrize("shape", [(1, 1), (10, 400), (400, 9)])
def test_small_pictures_have_none(shape: tuple[int, int]) -> None:
    assert measure_sky(np.full((*shape, 3), 200, np.uint8)) is None


def test_water_below_and_blue_walls_are_no_sky() -> None:
    assert measure_sky(landscape(0.4, upside_down=True)) is None
    assert measure_sky(np.full((400, 600, 3), (60, 90, 200), np.uint8)) is None
    assert measure_sky(np.full((400, 600, 3), (230, 230, 230), np.uint8)) is None


PHOTOS = {
    "hills-canon-ixus430.jpg": True,
    "lake-samsung-s730.jpg": True,
    "skiers-snow-canon-a70.jpg": True,
    "koi-kodak-s1-16mp.jpg": False,
    "group-indoors-canon-a560.jpg": False,
    "two-people-indoors.jpg": False,
    "desk-laptops-22mp.jpg": False,
    "dog-meadow-minolta-s404.jpg": False,
}


@pytest.mark.parametrize(("name", "has_sky"), PHOTOS.items())
def test_photos(photos: Path, name: str, has_sky: bool) -> None:
    with Image.open(photos / name) as file:
        file.draft("RGB", (800, 800))
        picture = ImageOps.exif_transpose(file.convert("RGB"))
    picture.thumbnail((1000, 1000))
    assert (measure_sky(np.asarray(picture)) is not None) == has_sky
