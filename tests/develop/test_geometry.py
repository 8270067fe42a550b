"""Geometry: points of a picture are found where the composed map says, and what is exact stays exact."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from immich_sidecar.develop.geometry import crop_box, frame_size, output_size, placed
from immich_sidecar.develop.orientation import combined, oriented
from immich_sidecar.recipe.frame import frame_of, levelled, moved
from immich_sidecar.recipe.plan import GeometryPlan, UprightPlan
from tests.photos import make

SIZE = (360, 240)


def dotted(x: float, y: float, size: tuple[int, int] = SIZE) -> np.ndarray:
    """A black picture with one soft white dot, whose centre lies at x, y from the top left corner."""
    rows, columns = np.mgrid[0 : size[1], 0 : size[0]] + 0.5
    dot = 250 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / (2 * 3.0**2))
    return np.repeat(np.round(dot).astype(np.uint8)[..., None], 3, axis=2)


def centre(picture: np.ndarray) -> tuple[float, float]:
    """Where the dot lies."""
    light = picture[..., 1].astype(float)
    rows, columns = np.mgrid[0 : light.shape[0], 0 : light.shape[1]] + 0.5
    return float((columns * light).sum() / light.sum()), float((rows * light).sum() / light.sum())


def followed(point: tuple[float, float], geometry: GeometryPlan, size: tuple[int, int] = SIZE) -> tuple[float, float]:
    """Where a point of the upright original comes to lie in the result, worked out step by step."""
    x, y, (width, height) = *point, size
    if geometry.mirror:
        x = width - x
    for _ in range(geometry.quarter_turns):
        x, y, width, height = height - y, x, height, width
    x, y = moved(levelled(size, geometry), (x - width / 2, y - height / 2))
    frame, whole = frame_of(size, geometry), frame_size(*size, geometry)
    left, top, _, _ = crop_box(whole, geometry.crop)
    return x - frame.x + whole[0] / 2 - left, y - frame.y + whole[1] / 2 - top


orientations = st.integers(1, 8)
uprights = st.one_of(st.none(), st.builds(UprightPlan, st.floats(-12, 12), st.floats(-12, 12), st.floats(24, 100)))
crops = st.sampled_from([(0.0, 0.0, 1.0, 1.0), (0.1, 0.05, 0.8, 0.9), (0.25, 0.2, 0.6, 0.55)])
geometries = st.builds(
    GeometryPlan,
    quarter_turns=st.integers(0, 3),
    mirror=st.booleans(),
    upright=uprights,
    degrees=st.one_of(st.just(0.0), st.floats(-12, 12)),
    crop=crops,
)


@settings(max_examples=150)
@given(geometries, orientations, st.floats(0.35, 0.65), st.floats(0.35, 0.65))
def test_a_dot_is_found_where_the_map_says(geometry, orientation, x, y) -> None:
    point = (x * SIZE[0], y * SIZE[1])
    stored = make.oriented(dotted(*point), orientation)
    result = placed(stored, orientation, geometry)
    assert (result.shape[1], result.shape[0]) == output_size(*SIZE, geometry)
    expected = followed(point, geometry)
    if min(*expected, result.shape[1] - expected[0], result.shape[0] - expected[1]) < 14:
        return
    found = centre(result)
    # Perspective stretches a dot unevenly, which moves its centre of light a little.
    assert math.dist(found, expected) < (0.5 if geometry.upright else 0.1)


@given(st.integers(0, 3), st.booleans(), orientations, crops)
def test_quarter_turns_and_crops_are_exact(turns, mirror, orientation, crop) -> None:
    picture = make.scene(48, 32)
    result = placed(
        make.oriented(picture, orientation), orientation, GeometryPlan(quarter_turns=turns, mirror=mirror, crop=crop)
    )
    expected = np.rot90(picture[:, ::-1] if mirror else picture, -turns)
    left, top, right, bottom = crop_box((expected.shape[1], expected.shape[0]), crop)
    assert np.array_equal(result, expected[top:bottom, left:right])


@given(orientations, st.integers(0, 3), st.booleans())
def test_orientations_combine(orientation, turns, mirror) -> None:
    picture = np.arange(6).reshape(2, 3)
    once = oriented(picture, orientation)
    assert np.array_equal(
        oriented(picture, combined(orientation, turns, mirror)), np.rot90(once[:, ::-1] if mirror else once, -turns)
    )


@pytest.mark.parametrize("turns", [1, 2, 3])
@pytest.mark.parametrize("mirror", [False, True])
def test_a_turned_recipe_renders_the_turned_picture(turns, mirror) -> None:
    """The whole result turns: perspective, lean and crop with it."""
    from immich_sidecar.recipe.operations import plan
    from immich_sidecar.recipe.recipe import change, new_recipe
    from tests.develop.conftest import AT

    picture = make.scene(240, 160)
    steps = {
        "straighten": {"degrees": 3.0},
        "upright": {"vertical": 6.0, "horizontal": -3.0},
        "crop": {"x": 0.1, "y": 0.2, "width": 0.5, "height": 0.6},
    }
    recipe = new_recipe("a" * 64, [], steps, at=AT, ai_metadata={"size": [240, 160]})
    changed = change(recipe, {"orientation": {"quarter_turns": turns, "mirror": mirror}}, at=AT)
    before = placed(picture, 1, plan(recipe.operations).geometry)
    after = placed(picture, 1, plan(changed.operations).geometry)
    expected = np.rot90(before[:, ::-1] if mirror else before, -turns)
    height, width = (min(a, b) for a, b in zip(after.shape[:2], expected.shape[:2], strict=True))
    assert max(abs(a - b) for a, b in zip(after.shape[:2], expected.shape[:2], strict=True)) <= 1
    difference = np.abs(after[:height, :width].astype(int) - expected[:height, :width].astype(int))
    assert difference.mean() < 1.5
