"""How the likeliest of several leans stands among the others, and what is made of it."""

import numpy as np
import pytest

from immich_sidecar.analysis.measure.tilt.judge import Judge, judge, standing


def test_near_leans_agree_and_far_ones_are_rivals() -> None:
    alone = standing(np.array([1.0]), np.array([2.0]))
    seconded = standing(np.array([1.0, 0.8]), np.array([2.0, 2.3]))
    disputed = standing(np.array([1.0, 0.8]), np.array([2.0, -3.0]))

    assert alone[2] == seconded[2] == 8.0
    assert disputed[2] == pytest.approx(0.2)
    assert seconded[4] == pytest.approx(1.0)
    assert disputed[4] == pytest.approx(0.55, abs=0.01)


def test_level_is_level_however_little_it_leans() -> None:
    assert standing(np.array([1.0]), np.array([0.0])).tolist() == standing(np.array([1.0]), np.array([0.4])).tolist()


def test_the_likeliest_is_chosen_and_as_likely_as_its_standing_says() -> None:
    said = Judge(
        names=("agreed",),
        feature=np.zeros((1, 7), np.int64),
        threshold=np.full((1, 7), 0.5),
        leaf=np.array([[-1.0] * 4 + [2.0] * 4]),
        start=0.0,
        # Only the lead counts.
        weights=np.eye(11)[2],
        offset=-2.0,
    )
    which, likely = said.choose([{"agreed": 0.1}, {"agreed": 0.9}], [3.0, -1.0])

    assert which == 1
    assert likely == pytest.approx(1 / (1 + np.exp(-1.0)))


def test_the_weights_fit_what_they_weigh() -> None:
    assert judge().weights.size == standing(np.zeros(2), np.zeros(2)).size
    assert judge().leaf.shape[0] == judge().feature.shape[0] == judge().threshold.shape[0]
