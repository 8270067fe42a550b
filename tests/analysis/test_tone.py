"""What is kept of a colour table that a model made, and what is said of it."""

import numpy as np
import pytest
from numpy.typing import NDArray

from immich_sidecar.analysis.models.view import View
from immich_sidecar.analysis.tone import KEPT_POINTS, made_table, through
from immich_sidecar.develop.cube import cube_of, read_cube
from immich_sidecar.errors import UnsupportedError
from tests.photos.make import sample_photo


def _table(points: int = 33, *, gamma: float = 1.0, chroma: float = 1.0) -> NDArray[np.float32]:
    """By blue, green, red: a curve, and colours further from grey or nearer to it."""
    even = np.linspace(0, 1, points) ** gamma
    blue, green, red = np.meshgrid(even, even, even, indexing="ij")
    table = np.stack([red, green, blue], axis=-1)
    grey = table.mean(axis=-1, keepdims=True)
    return (grey + (table - grey) * chroma).astype(np.float32)


PHOTO = View(sample_photo("coffee", shrink=1))


def test_what_changes_nothing_is_told_as_that() -> None:
    made = made_table(_table(), PHOTO)

    assert made.points == KEPT_POINTS
    assert made.record.lightness == pytest.approx(0, abs=0.01)
    assert made.record.distance < 0.05


@pytest.mark.parametrize(("gamma", "sign"), [(0.7, 1), (1.5, -1)])
def test_brighter_and_darker_are_told(gamma: float, sign: int) -> None:
    record = made_table(_table(gamma=gamma), PHOTO).record

    assert record.lightness * sign > 5
    assert record.distance >= abs(record.lightness)


@pytest.mark.parametrize(("chroma", "sign"), [(1.4, 1), (0.5, -1)])
def test_fuller_and_calmer_colours_are_told(chroma: float, sign: int) -> None:
    assert made_table(_table(chroma=chroma), PHOTO).record.chroma * sign > 2


def test_what_is_kept_is_a_cube_file_of_that_name() -> None:
    made = made_table(_table(gamma=0.8) * 1.3 - 0.1, PHOTO)

    cube = read_cube(made.normal_form)

    assert (cube.sha256, cube.size) == (made.record.sha256, made.points)
    assert cube.table.min() >= 0
    assert cube.table.max() <= 1


def test_sending_through_agrees_with_interpolation_point_by_point() -> None:
    from scipy.interpolate import RegularGridInterpolator

    table = np.random.default_rng(2).uniform(0, 1, (9, 9, 9, 3)).astype(np.float32)
    display = np.random.default_rng(3).uniform(0, 1, (20, 30, 3)).astype(np.float32)
    even = np.linspace(0, 1, 9)

    expected = RegularGridInterpolator((even, even, even), table)(display[..., ::-1])

    np.testing.assert_allclose(through(table, display), expected, atol=1e-5)
    np.testing.assert_allclose(through(table, np.ones((1, 1, 3), np.float32))[0, 0], table[8, 8, 8], atol=1e-6)


@pytest.mark.parametrize(
    "table",
    [np.zeros((33, 33, 33, 4)), np.zeros((33, 33, 17, 3)), np.zeros((1, 1, 1, 3)), np.full((17, 17, 17, 3), np.nan)],
)
def test_what_is_no_table_is_refused(table: NDArray[np.float64]) -> None:
    with pytest.raises(UnsupportedError, match="table"):
        cube_of(table.astype(np.float32))


def test_a_table_of_numbers_and_its_file_are_the_same_cube() -> None:
    table = _table(5, gamma=0.9)

    cube = cube_of(table)

    again = read_cube(cube.normal_form)
    assert again.sha256 == cube.sha256
    np.testing.assert_array_equal(again.table, cube.table)
