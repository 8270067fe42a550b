"""Votes for leans and directions of gradients are counted as they are told."""

import numpy as np
import pytest

from immich_sidecar.analysis.measure.tilt.grid import GRID
from immich_sidecar.analysis.measure.tilt.histograms import clear_directions, votes_for_leans
from immich_sidecar.analysis.measure.tilt.lines import CONVERGENCE, Family


@pytest.mark.parametrize("upright", [False, True])
def test_segments_vote_for_the_lean_that_they_imply(upright: bool) -> None:
    random = np.random.default_rng(3)
    lean, length, x, y = random.normal(0, 5, 300), random.random(300), *random.uniform(-0.5, 0.5, (2, 300))
    family = Family(lean, length, x, y, 0.5, 0.4, upright)
    slopes = family.implied(0.01) - family.implied(0.0)
    votes = votes_for_leans(lean, np.sin(np.radians(slopes)) / 0.01, family.weight, CONVERGENCE)

    for row, convergence in enumerate(CONVERGENCE):
        implied = family.implied(float(convergence))
        counted = np.histogram(implied, bins=[*(GRID - 0.05), GRID[-1] + 0.05], weights=family.weight)[0]
        # A segment between two leans may go to either.
        assert np.abs(np.cumsum(votes[row] - counted)).max() < 1.5
        assert votes[row].sum() == pytest.approx(counted.sum(), abs=1.5)


def test_segments_beyond_the_grid_do_not_vote() -> None:
    one = np.ones(1)

    assert votes_for_leans(12.2 * one, 0 * one, one, np.zeros(1)).sum() == 0
    assert votes_for_leans(3.0 * one, 0 * one, one, np.zeros(1))[0].argmax() == np.abs(GRID - 3).argmin()


@pytest.mark.parametrize("lean", [-11.0, -2.0, 0.0, 0.3, 7.5])
@pytest.mark.parametrize("upright", [False, True])
def test_gradients_are_counted_at_their_direction(lean: float, upright: bool) -> None:
    along, across = np.float32(np.tan(np.radians(lean))), np.float32(1)
    right, down = (across, -along) if upright else (along, across)
    gx, gy = np.full((20, 30), 8 * right, np.float32), np.full((20, 30), 8 * down, np.float32)
    size = np.sqrt(gx * gx + gy * gy)
    squares = (gx * gx, gy * gy, gx * gy)
    counted = clear_directions((gx, gy, size), squares, 50.0)
    weak = clear_directions((gx, gy, size), squares, 1000.0)

    assert counted[int(upright)].argmax() == np.abs(GRID - lean).argmin()
    assert counted[int(upright)].sum() == pytest.approx(size.sum(), rel=1e-3)
    assert counted[int(not upright)].sum() == weak.sum() == 0


def test_neighbourhoods_without_a_clear_direction_count_little() -> None:
    ones = np.ones((20, 30), np.float32)
    level = (0 * ones, 8 * ones, 8 * ones)
    clear = clear_directions(level, (0 * ones, 64 * ones, 0 * ones), 8.0)
    unclear = clear_directions(level, (60 * ones, 64 * ones, 0 * ones), 8.0)

    assert unclear.sum() < 0.01 * clear.sum()
