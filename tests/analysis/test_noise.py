"""Noise is measured as a sensor makes it; texture is not taken for noise."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from immich_sidecar.analysis.measure.noise import Noise, measure_noise
from tests.photos.make import Display, display_from_linear, linear_from_display, sample_photo, scene


def noise_of(display: Display) -> Noise:
    rgb = display.astype(np.float32) / 255
    luma = (rgb @ np.array([0.299, 0.587, 0.114], np.float32)).astype(np.float32)
    chroma = np.stack([(rgb[..., 2] - luma) / 1.772, (rgb[..., 0] - luma) / 1.402], axis=-1)
    return measure_noise([luma], [chroma])


def grainy(display: Display, shot: float) -> tuple[Display, float]:
    """A picture as a sensor would see it, and the deviation of the noise in its luma."""
    linear = linear_from_display(display).astype(np.float64)
    read = float(np.exp(2.18 * np.log(shot) + 1.20))
    grain = np.random.default_rng(3).normal(0.0, 1.0, linear.shape)
    noisy = display_from_linear(linear + grain * np.sqrt(shot * linear + read))
    weights = np.array([0.299, 0.587, 0.114])
    return noisy, float(np.median(np.abs((noisy.astype(float) - display) @ weights)) / 0.6745)


def soft(name: str) -> Display:
    """A photo without noise of its own."""
    picture = sample_photo(name, shrink=1)
    return np.asarray(cv2.GaussianBlur(picture, (0, 0), 1.5), np.uint8)


def recompressed(display: Display, quality: int) -> Display:
    buffer = io.BytesIO()
    Image.fromarray(display).save(buffer, "JPEG", quality=quality)
    return np.asarray(Image.open(buffer))


@pytest.mark.parametrize("shot", [0.0008, 0.004, 0.012])
@pytest.mark.parametrize("name", ["astronaut", "coffee", "rocket"])
def test_sensor_noise_is_measured(name: str, shot: float) -> None:
    noisy, deviation = grainy(soft(name), shot)
    noise = noise_of(noisy)

    assert noise.luma == pytest.approx(deviation, rel=0.3)
    assert noise.unevenness < 1.35


@pytest.mark.parametrize("shot", [0.002, 0.008])
def test_the_growth_of_noise_with_light_is_found(shot: float) -> None:
    ramp = np.repeat(np.linspace(20, 235, 1024, dtype=np.float32)[None, :, None], 768, axis=0)
    noisy, _ = grainy(np.repeat(ramp, 3, axis=2).astype(np.uint8), shot)
    # The luma of grey with three independent channels.
    share = 0.299**2 + 0.587**2 + 0.114**2

    assert noise_of(noisy).shot == pytest.approx(shot * share, rel=0.3)


@pytest.mark.parametrize("quality", [95, 90])
def test_noise_is_found_below_jpeg_and_never_overrated(quality: int) -> None:
    noisy, deviation = grainy(soft("coffee"), 0.004)
    noise = noise_of(recompressed(noisy, quality))

    assert 0.5 * deviation < noise.luma < 1.2 * deviation


def test_texture_is_no_noise() -> None:
    random = np.random.default_rng(5)
    gravel = cv2.GaussianBlur(random.normal(0, 1, (768, 1024)).astype(np.float32), (0, 0), 0.5) * 20
    # Rough everywhere, but here more than there.
    place = cv2.GaussianBlur(random.normal(0, 1, (768, 1024)).astype(np.float32), (0, 0), 30) * 100
    picture = np.clip(125 + gravel * np.exp(place), 0, 255).astype(np.uint8)
    noise = noise_of(np.repeat(picture[..., None], 3, axis=2))

    assert noise.luma < 0.5 * float(np.median(np.abs(cv2.Laplacian(picture, cv2.CV_32F))))
    assert noise.unevenness > 1.5


def test_clean_pictures_have_no_noise() -> None:
    for picture in (soft("coffee"), scene(1024, 768)):
        assert noise_of(picture).luma < 2.5
    assert noise_of(np.full((300, 300, 3), 128, np.uint8)).luma == pytest.approx(0.0, abs=0.05)


def test_small_pictures_tell_nothing() -> None:
    assert noise_of(np.full((40, 40, 3), 128, np.uint8)).blocks == 0
