"""Frames after a turn, and crops carried over from one to another."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from immich_sidecar.recipe.frame import inner_rectangle, reproject_crop

sides = st.integers(16, 8000)
angles = st.floats(-45, 45)


def corners_inside(width, height, degrees, inner) -> bool:
    """Whether an upright rectangle about the centre lies inside the turned picture."""
    angle = math.radians(degrees)
    for sx in (-0.5, 0.5):
        for sy in (-0.5, 0.5):
            x, y = sx * inner[0], sy * inner[1]
            back_x = x * math.cos(angle) + y * math.sin(angle)
            back_y = -x * math.sin(angle) + y * math.cos(angle)
            if abs(back_x) > width / 2 + 1e-6 * width or abs(back_y) > height / 2 + 1e-6 * height:
                return False
    return True


@given(sides, sides, angles)
def test_the_rectangle_lies_inside_and_touches(width, height, degrees) -> None:
    inner = inner_rectangle(width, height, degrees)
    assert corners_inside(width, height, degrees, inner)
    if abs(degrees) > 0.01:
        assert not corners_inside(width, height, degrees, (inner[0] * 1.01, inner[1] * 1.01))


@given(st.integers(200, 4000), st.integers(200, 4000), st.floats(0.5, 44))
def test_no_other_rectangle_is_larger(width, height, degrees) -> None:
    inner = inner_rectangle(width, height, degrees)
    for factor in (0.9, 0.97, 1.03, 1.1):
        other = (inner[0] * factor, inner[1] / factor * 1.002)
        assert not corners_inside(width, height, degrees, other)


@pytest.mark.parametrize("degrees", [0, 0.0, -0.0])
def test_no_turn_leaves_the_frame(degrees) -> None:
    assert inner_rectangle(400, 300, degrees) == (400, 300)


@st.composite
def crops(draw):
    x, y = draw(st.floats(0, 0.9)), draw(st.floats(0, 0.9))
    width = draw(st.floats(0.05, 1)) * (1 - x)
    height = draw(st.floats(0.05, 1)) * (1 - y)
    return {"x": x, "y": y, "width": width, "height": height}


@given(crops(), sides, sides, angles, angles)
def test_a_carried_crop_is_always_a_crop(crop, width, height, old, new) -> None:
    moved = reproject_crop(crop, (width, height), old, new)
    assert moved["x"] >= 0
    assert moved["y"] >= 0
    assert moved["x"] + moved["width"] <= 1 + 1e-9
    assert moved["y"] + moved["height"] <= 1 + 1e-9
    assert moved["width"] > 0
    assert moved["height"] > 0


@given(st.floats(-10, 10), st.floats(-10, 10))
def test_a_crop_that_fits_keeps_its_place_and_pixels_and_comes_back(old, new) -> None:
    crop = {"x": 0.42, "y": 0.38, "width": 0.2, "height": 0.25}
    size = (4000, 3000)
    moved = reproject_crop(crop, size, old, new)
    before, after = inner_rectangle(*size, old), inner_rectangle(*size, new)
    assert moved["width"] * after[0] == pytest.approx(crop["width"] * before[0])
    assert moved["height"] * after[1] == pytest.approx(crop["height"] * before[1])
    back = reproject_crop(moved, size, new, old)
    assert back == pytest.approx(crop, abs=1e-9)


def test_the_centre_follows_the_picture() -> None:
    # A crop in the right half moves down when the picture turns clockwise.
    crop = {"x": 0.7, "y": 0.45, "width": 0.1, "height": 0.1}
    moved = reproject_crop(crop, (4000, 3000), 0, 5)
    assert 0.53 < moved["y"] + moved["height"] / 2 < 0.54
