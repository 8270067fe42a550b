"""Frames after a turn, and crops carried over from one to another."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from immich_sidecar.recipe.frame import (
    frame_of,
    inner_rectangle,
    largest_rectangle,
    levelled,
    moved,
    reproject_crop,
    unlevelled,
)
from immich_sidecar.recipe.plan import GeometryPlan, UprightPlan

sides = st.integers(16, 8000)
angles = st.floats(-45, 45)
uprights = st.builds(UprightPlan, st.floats(-20, 20), st.floats(-20, 20), st.floats(24, 200))
geometries = st.builds(GeometryPlan, upright=st.one_of(st.none(), uprights), degrees=st.floats(-20, 20))


def turn(degrees) -> GeometryPlan:
    return GeometryPlan(degrees=degrees)


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


@given(crops(), sides, sides, geometries, geometries)
def test_a_carried_crop_is_always_a_crop(crop, width, height, old, new) -> None:
    carried = reproject_crop(crop, (width, height), old, new)
    assert carried["x"] >= 0
    assert carried["y"] >= 0
    assert carried["x"] + carried["width"] <= 1 + 1e-9
    assert carried["y"] + carried["height"] <= 1 + 1e-9
    assert carried["width"] > 0
    assert carried["height"] > 0


@given(st.floats(-10, 10), st.floats(-10, 10))
def test_a_crop_that_fits_keeps_its_place_and_pixels_and_comes_back(old, new) -> None:
    crop = {"x": 0.42, "y": 0.38, "width": 0.2, "height": 0.25}
    size = (4000, 3000)
    carried = reproject_crop(crop, size, turn(old), turn(new))
    before, after = inner_rectangle(*size, old), inner_rectangle(*size, new)
    assert carried["width"] * after[0] == pytest.approx(crop["width"] * before[0])
    assert carried["height"] * after[1] == pytest.approx(crop["height"] * before[1])
    back = reproject_crop(carried, size, turn(new), turn(old))
    assert back == pytest.approx(crop, abs=1e-9)


def test_the_centre_follows_the_picture() -> None:
    # A crop in the right half moves down when the picture turns clockwise.
    crop = {"x": 0.7, "y": 0.45, "width": 0.1, "height": 0.1}
    carried = reproject_crop(crop, (4000, 3000), turn(0), turn(5))
    assert 0.53 < carried["y"] + carried["height"] / 2 < 0.54


def inside(size, geometry, x, y, slack) -> bool:
    """Whether a point of the levelled picture comes from inside the picture."""
    x, y = moved(unlevelled(size, geometry), (x, y))
    return abs(x) <= size[0] / 2 * (1 + slack) and abs(y) <= size[1] / 2 * (1 + slack)


@given(st.integers(200, 6000), st.integers(200, 6000), geometries)
def test_what_perspective_and_turn_leave_has_no_empty_corner_and_cannot_grow(width, height, geometry) -> None:
    size = (width, height)
    frame = frame_of(size, geometry)
    assert frame.width > 0
    assert frame.height > 0

    def fits(left, top, right, bottom, slack) -> bool:
        corners = [(x, y) for x in (frame.x + left, frame.x + right) for y in (frame.y + top, frame.y + bottom)]
        return all(inside(size, geometry, *corner, slack) for corner in corners)

    w, h = frame.width / 2, frame.height / 2
    assert fits(-w, -h, w, h, 1e-6)
    if geometry.degrees or geometry.upright:
        more = 0.01 * max(frame.width, frame.height)
        assert not fits(-w - more, -h - more, w + more, h + more, 0)


@given(st.integers(200, 6000), st.integers(200, 6000), geometries, st.floats(-1, 1), st.floats(-1, 1))
def test_levelling_has_an_inverse(width, height, geometry, x, y) -> None:
    point = (x * width / 2, y * height / 2)
    there = moved(levelled((width, height), geometry), point)
    assert moved(unlevelled((width, height), geometry), there) == pytest.approx(point, abs=1e-6 * (width + height))


@given(st.floats(0.3, 3), st.floats(-0.45, 0.45), st.floats(-0.45, 0.45), st.floats(0.2, 1))
def test_no_other_rectangle_in_a_trapezium_is_larger(height, left, right, lower) -> None:
    corners = ((-0.5 + left / 4, -height), (0.5 + right / 4, -height), (lower, height), (-lower, height))
    best = largest_rectangle(corners)
    edges = list(zip(corners, (*corners[1:], corners[0]), strict=True))

    def fits(x, y, w, h) -> bool:
        return all(
            (b[0] - a[0]) * (v - a[1]) - (b[1] - a[1]) * (u - a[0]) >= -1e-6
            for a, b in edges
            for u in (x - w / 2, x + w / 2)
            for v in (y - h / 2, y + h / 2)
        )

    assert fits(best.x, best.y, best.width, best.height)
    for factor in (0.8, 0.95, 1.05, 1.25):
        width, tall = best.width * factor, best.height / factor * 1.004
        for dx in (-0.1, -0.02, 0, 0.02, 0.1):
            for dy in (-0.1, -0.02, 0, 0.02, 0.1):
                assert not fits(best.x + dx * best.width, best.y + dy * best.height, width, tall)


def test_a_crop_stays_on_its_spot_when_perspective_changes() -> None:
    crop = {"x": 0.55, "y": 0.3, "width": 0.1, "height": 0.1}
    size, old, new = (4000, 3000), GeometryPlan(), GeometryPlan(upright=UprightPlan(8.0, -4.0, 30.0), degrees=1.0)
    carried = reproject_crop(crop, size, old, new)
    frame = frame_of(size, new)
    x = frame.x + (carried["x"] + carried["width"] / 2 - 0.5) * frame.width
    y = frame.y + (carried["y"] + carried["height"] / 2 - 0.5) * frame.height
    assert moved(unlevelled(size, new), (x, y)) == pytest.approx(((0.6 - 0.5) * 4000, (0.35 - 0.5) * 3000), abs=0.01)
    assert reproject_crop(carried, size, new, old) == pytest.approx(crop, abs=1e-6)


def test_uprights_that_run_together_at_the_top_become_parallel() -> None:
    """A camera that looks up by 10 degrees sees two uprights; `vertical` of 10 sets them upright."""
    size, lean = (3000, 2000), math.radians(10.0)
    focal = 35.0 / 21.633 * math.hypot(*size) / 2
    geometry = GeometryPlan(upright=UprightPlan(10.0, 0.0, 35.0))
    for side in (-1.0, 1.0):
        seen = []
        for height in (-0.3, 0.2, 0.9):  # of a wall three units away, y down, seen from a level camera
            x, y, z = side, -height, 3.0
            y, z = y * math.cos(lean) + z * math.sin(lean), -y * math.sin(lean) + z * math.cos(lean)
            seen.append(moved(levelled(size, geometry), (focal * x / z, focal * y / z)))
        assert seen[0][0] == pytest.approx(seen[1][0], abs=0.1)
        assert seen[0][0] == pytest.approx(seen[2][0], abs=0.1)
        assert seen[0][0] == pytest.approx(side * focal / 3, abs=0.1)
