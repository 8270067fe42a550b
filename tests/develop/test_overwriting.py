"""Pictures that are written over what they are made of are the same."""

import cv2
import numpy as np
import pytest

from immich_sidecar.develop.decode import Decoded, display_space
from immich_sidecar.develop.engine import finish
from immich_sidecar.develop.geometry import placed
from immich_sidecar.develop.proxy import halved
from immich_sidecar.develop.straightening import straightened
from immich_sidecar.recipe.operations import plan
from immich_sidecar.recipe.plan import GeometryPlan
from tests.develop.test_lens import BARREL, DECENTRED
from tests.develop.test_straightening import way


def rough(size, depth=np.uint16):
    return np.random.default_rng(1).integers(0, np.iinfo(depth).max, (size[1], size[0], 3)).astype(depth)


@pytest.mark.parametrize("size", [(60, 8), (400, 900), (900, 700)])
@pytest.mark.parametrize("degrees", [3.9, -1.5, 0.1])
@pytest.mark.parametrize("shift", [(0.0, 0.0), (5.3, -40.6), (-3.2, 55.4)])
def test_turning_by_a_small_angle(size, degrees, shift) -> None:
    pixels, matrix = rough(size), way(degrees, size, shift)
    apart = straightened(pixels, matrix, size)
    over = straightened(pixels, matrix, size, over=True)
    assert np.array_equal(over, apart)
    assert np.may_share_memory(over, pixels)


@pytest.mark.parametrize(
    "geometry",
    [
        GeometryPlan(crop=(0.1, 0.2, 0.7, 0.6)),
        GeometryPlan(degrees=2.0, crop=(0.0, 0.3, 1.0, 0.7)),
        GeometryPlan(quarter_turns=1, degrees=-1.0),
        GeometryPlan(degrees=9.0),
        GeometryPlan(warp=BARREL),
        GeometryPlan(warp=DECENTRED, degrees=1.0, crop=(0.1, 0.0, 0.8, 0.9)),
    ],
)
@pytest.mark.parametrize("orientation", [1, 3, 6])
def test_every_geometry(geometry, orientation) -> None:
    pixels = rough((700, 600))
    apart = placed(pixels, orientation, geometry)
    assert np.array_equal(placed(pixels.copy(), orientation, geometry, over=True), apart)


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("degrees", [0.0, 1.5])
def test_a_whole_recipe(steps, deep, degrees) -> None:
    recipe = plan(
        steps(
            exposure={"ev": 0.4},
            tone={"shadows": 30, "highlights": -20, "contrast": 8},
            straighten={"degrees": degrees},
            crop={"x": 0.03, "y": 0.02, "width": 0.94, "height": 0.95},
            denoise={"luma": 20, "chroma": 20},
            sharpen={"amount": 40},
        )
    )
    pixels = cv2.GaussianBlur(rough((700, 600)), (0, 0), 2.0)
    before = pixels.copy()
    apart = finish(Decoded(pixels, display_space(), 1, (700, 600)), recipe, deep=deep)
    assert np.array_equal(pixels, before)
    over = finish(Decoded(pixels, display_space(), 1, (700, 600)), recipe, deep=deep, over=True)
    assert np.array_equal(over, apart)


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
@pytest.mark.parametrize("size", [(1200, 901), (907, 1301), (2050, 40)])
def test_halving_some_rows_at_a_time(size, depth) -> None:
    pixels = rough(size, depth)
    expected, longest = pixels, max(size)
    wide, tall = round(size[0] * 130 / longest), round(size[1] * 130 / longest)
    while min(expected.shape[0] // tall, expected.shape[1] // wide) >= 2:
        height, width = expected.shape[0] // 2, expected.shape[1] // 2
        expected = cv2.resize(expected[: 2 * height, : 2 * width], (width, height), interpolation=cv2.INTER_AREA)
    assert np.array_equal(halved(pixels, 130), expected)
