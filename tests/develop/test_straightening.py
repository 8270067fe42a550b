"""Turning by a small angle: as true as OpenCV's bicubic interpolation, for every kind of pixels and at every border."""

import math

import cv2
import numpy as np
import pytest

from immich_sidecar.develop.straightening import straightened
from tests.photos import make


def way(degrees: float, size: tuple[int, int], shift: tuple[float, float] = (0.0, 0.0)) -> np.ndarray:
    """A turn around the middle, and a shift."""
    cosine, sine = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    turn = np.array([[cosine, -sine], [sine, cosine]])
    middle = np.array([(size[0] - 1) / 2, (size[1] - 1) / 2])
    return np.hstack([turn, (middle - turn @ middle + shift)[:, None]])


def by_opencv(pixels: np.ndarray, matrix: np.ndarray, flags: int = cv2.INTER_CUBIC) -> np.ndarray:
    size = (pixels.shape[1], pixels.shape[0])
    turned = cv2.warpAffine(pixels, matrix, size, flags=flags | cv2.WARP_INVERSE_MAP, borderMode=cv2.BORDER_REFLECT_101)
    return turned.reshape(pixels.shape)


def psnr(image: np.ndarray, truth: np.ndarray) -> float:
    inner = slice(16, -16)
    return float(10 * np.log10(255**2 / ((image[inner, inner].astype(float) - truth[inner, inner]) ** 2).mean()))


@pytest.mark.parametrize("degrees", [0.2, -1.5, 4.0])
@pytest.mark.parametrize("name", ["astronaut", "coffee"])
def test_no_worse_than_a_bicubic_table(degrees, name) -> None:
    # The truth: turned when it still had four times as many pixels a side.
    photo = make.sample_photo(name)
    large = photo[: photo.shape[0] // 2 * 2, : photo.shape[1] // 2 * 2]
    small = cv2.resize(large, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    turned = by_opencv(large.astype(np.float32), way(degrees, large.shape[1::-1]), cv2.INTER_LANCZOS4)
    truth = cv2.resize(turned, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA)
    matrix = way(degrees, small.shape[1::-1])
    ours = psnr(straightened(small, matrix, small.shape[1::-1]), truth)
    assert ours > psnr(by_opencv(small, matrix), truth) - 0.15


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [(8, 8), (700, 300), (257, 131), (9, 400), (2300, 300)])
@pytest.mark.parametrize("degrees", [3.0, -2.2])
def test_every_kind_of_pixels_up_to_the_border(channels, depth, size, degrees) -> None:
    rng = np.random.default_rng(5)
    rough = rng.integers(0, 256, (size[1], size[0], 3), np.uint8)
    pixels = cv2.GaussianBlur(rough, (0, 0), 3.0)[..., :channels].astype(depth)
    pixels *= depth(np.iinfo(depth).max // 255)
    matrix = way(degrees, size, (6.3, -4.6))
    ours = straightened(pixels, matrix, size)
    assert ours.dtype == depth
    assert ours.shape == pixels.shape
    difference = np.abs(ours.astype(int) - by_opencv(pixels, matrix)) / (np.iinfo(depth).max // 255)
    assert difference.max() < 3


def test_whole_pixels_are_moved_exactly() -> None:
    picture = make.scene(300, 200)
    moved = straightened(picture, np.array([[1.0, 0.0, 20.0], [0.0, 1.0, 30.0]]), (250, 150))
    assert (moved == picture[30:180, 20:270]).all()


def test_what_is_brighter_than_white_is_white() -> None:
    # Beside an edge a cubic rises above white and falls below black.
    picture = np.zeros((40, 40, 3), np.uint8)
    picture[:, 20:] = 255
    moved = straightened(picture, np.array([[1.0, 0.0, 0.5], [0.0, 1.0, 0.0]]), (40, 40))
    assert (np.diff(moved[0, :, 0].astype(int)) >= 0).all()
    assert moved[0, 0, 0] == 0
    assert moved[0, -1, 0] == 255
