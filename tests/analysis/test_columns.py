"""Means over all pixels, beside NumPy's."""

import numpy as np
import pytest

from immich_sidecar.analysis.measure.columns import channel_means, edge_powers, fifth_powers

PIXELS = np.random.default_rng(1).random((5000, 3), np.float32)


def test_means_are_those_of_numpy() -> None:
    assert channel_means(PIXELS) == pytest.approx(PIXELS.mean(axis=0), rel=1e-6)
    assert np.array_equal(channel_means(PIXELS[:1]), PIXELS[0])


def test_fifth_powers_are_averaged() -> None:
    assert fifth_powers(PIXELS) == pytest.approx(np.power(PIXELS.astype(np.float64), 5).mean(axis=0), rel=1e-5)


def test_edges_are_averaged_where_they_count() -> None:
    random = np.random.default_rng(2)
    across, down, second = random.normal(size=(3, 5000, 3)).astype(np.float32)
    use = random.random(5000) < 0.4
    found = edge_powers(across, down, second, use)
    size = np.hypot(across, down)[use].astype(np.float64)
    truth = [size.mean(axis=0), (size**4).mean(axis=0), (np.abs(second[use].astype(np.float64)) ** 3).mean(axis=0)]

    assert found == pytest.approx(np.array(truth), rel=1e-4)
