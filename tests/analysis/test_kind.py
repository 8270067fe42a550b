"""Photos are told from screenshots, pages and drawings."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from immich_sidecar.analysis.measure.kind import Kind, measure_kind
from tests.photos.make import Display, degraded, sample_photo, scene


def page(*, colour: tuple[int, int, int] = (246, 244, 238)) -> Display:
    """A page of writing."""
    image = Image.new("RGB", (760, 1024), colour)
    draw = ImageDraw.Draw(image)
    font = ImageFont.load_default(size=15)
    for line in range(44):
        words = "The quick brown fox jumps over the lazy dog and writes about it at length"[: 40 + line * 7 % 32]
        draw.text((60, 50 + line * 21), words, fill=(30, 30, 34), font=font)
    return np.asarray(image)


def screen(width: int = 1170, height: int = 2532) -> Display:
    """A screen with bars, panels and words."""
    image = Image.new("RGB", (width, height), (24, 26, 34))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, width, 160), fill=(66, 80, 175))
    for i in range(9):
        draw.rounded_rectangle((40, 220 + i * 250, width - 40, 430 + i * 250), 30, fill=(40, 44, 58))
        draw.text((80, 260 + i * 250), "A message that somebody wrote", fill=(220, 220, 230), font_size=44)
    return np.asarray(image.resize((width // 3, height // 3)))


@pytest.mark.parametrize("name", ["astronaut", "chelsea", "coffee", "rocket"])
def test_photos_are_photos(name: str) -> None:
    picture = sample_photo(name, shrink=1)
    size = (picture.shape[1], picture.shape[0])

    assert measure_kind(picture, size=size, from_camera=False, lossless=True) is Kind.PHOTO
    assert measure_kind(degraded(picture, ev=-2), size=size, from_camera=False) is Kind.PHOTO


def test_screen_is_a_screenshot() -> None:
    assert measure_kind(screen(), size=(1170, 2532), from_camera=False, lossless=True) is Kind.SCREENSHOT
    assert measure_kind(scene(), size=(960, 640), from_camera=False, software="Android Screenshot") is Kind.SCREENSHOT


def test_drawing_is_a_graphic() -> None:
    drawing = np.full((600, 800, 3), 240, np.uint8)
    drawing[100:300, 100:400] = (200, 30, 30)
    drawing[350:500, 300:700] = (20, 90, 180)

    assert measure_kind(drawing, size=(800, 600), from_camera=False) is Kind.GRAPHIC


@pytest.mark.parametrize("from_camera", [False, True])
def test_page_is_a_document(from_camera: bool) -> None:
    assert measure_kind(page(), size=(1520, 2048), from_camera=from_camera) is Kind.DOCUMENT


def test_night_is_no_graphic() -> None:
    night = np.zeros((600, 800, 3), np.uint8)
    night[250:300, 300:420] = np.random.default_rng(1).integers(120, 255, (50, 120, 3))

    assert measure_kind(night, size=(4000, 3000), from_camera=False) is Kind.PHOTO


def test_real_photos_are_photos(photos: Path) -> None:
    from immich_sidecar.analysis.analysis import analyse

    for name in (
        "sea-poles-sony-h9.jpg",
        "hills-canon-ixus430.jpg",
        "skiers-snow-canon-a70.jpg",
        "moon-kodak-fz201.jpg",
    ):
        assert analyse(photos / name).kind is Kind.PHOTO, name
    assert analyse(photos / "formats" / "density_plot.png").kind is Kind.GRAPHIC


@pytest.mark.parametrize("from_camera", [False, True])
@pytest.mark.parametrize("colour", [(0, 0, 0), (9, 4, 12), (0, 128, 0), (250, 250, 250)])
def test_where_nothing_is_to_be_seen(colour: tuple[int, int, int], from_camera: bool) -> None:
    """A lens cap, a pocket, an empty sheet: also with the noise of a sensor over it."""
    noise = np.random.default_rng(3).normal(0.0, 6.0, (640, 960, 3))
    picture = np.clip(np.array(colour) + noise, 0, 255).astype(np.uint8)
    assert measure_kind(picture, size=(3000, 2000), from_camera=from_camera) is Kind.BLANK


def test_an_icon_is_no_photo() -> None:
    assert measure_kind(scene(24, 24), size=(24, 24), from_camera=True) is Kind.BLANK


@pytest.mark.parametrize("name", ["astronaut", "coffee", "rocket"])
def test_a_photo_five_stops_too_dark_is_one(name: str) -> None:
    picture = degraded(sample_photo(name, shrink=1), ev=-5)
    assert measure_kind(picture, size=(picture.shape[1], picture.shape[0]), from_camera=True) is Kind.PHOTO


def test_a_lamp_in_the_dark_is_something() -> None:
    picture = np.zeros((640, 960, 3), np.uint8)
    picture[300:330, 500:530] = (255, 220, 170)
    assert measure_kind(picture, size=(3000, 2000), from_camera=True) is Kind.PHOTO
