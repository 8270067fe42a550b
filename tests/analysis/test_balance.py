"""The true lean is where edges balance, and what all parts of a picture say."""

import numpy as np
import pytest

from immich_sidecar.analysis.measure.tilt.balance import balance, parts
from immich_sidecar.analysis.measure.tilt.grid import GRID
from immich_sidecar.analysis.measure.tilt.lines import Family


def family(lean: list[float], x: list[float], y: list[float], *, upright: bool = False) -> Family:
    values = (np.array(v, np.float64) for v in (lean, np.full(len(lean), 0.2), x, y))
    return Family(*values, 0.5, 0.5, upright)


def place(degrees: float) -> int:
    return int(np.abs(GRID - degrees).argmin())


CORNERS = ([-0.3, 0.3, -0.3, 0.3], [-0.3, -0.3, 0.3, 0.3])
NOTHING = parts(family([], [], [], upright=True))


def test_all_halves_agree_about_what_all_say_and_not_about_what_one_says() -> None:
    everywhere = parts(family([2.0] * 4, *CORNERS)).evidence(place(2.0), 2.0)
    above = parts(family([2.0, 2.0, -3.0, -3.0], *CORNERS)).evidence(place(2.0), 2.0)

    assert everywhere["level_halves"] == pytest.approx(4.0, abs=0.01)
    assert (everywhere["level_sides_even"], everywhere["level_heights_even"]) == pytest.approx((1, 1), abs=0.01)
    assert above["level_sides"] == pytest.approx(1.0, abs=0.01)
    assert above["level_heights"] == pytest.approx(0.0, abs=0.01)


def test_edges_of_a_street_balance_about_the_level() -> None:
    street = parts(family([6.0, 4.0, -6.0, -4.0], *CORNERS))
    level = balance(place(0.0), 0.0, street, NOTHING)
    wrong = balance(place(5.0), 5.0, street, NOTHING)

    assert level["level_mean"] == pytest.approx(0.0)
    assert level["level_uneven"] == pytest.approx(0.0)
    assert wrong["level_mean"] > 4
    assert wrong["upright_mean"] == 0.0


def test_a_wrong_lean_has_level_edges_and_uprights_at_the_same_side() -> None:
    level, upright = parts(family([0.0] * 4, *CORNERS)), parts(family([0.0] * 4, *CORNERS, upright=True))

    assert balance(place(3.0), 3.0, level, upright)["means_agree"] > 1
    assert balance(place(0.0), 0.0, level, upright)["means_agree"] == pytest.approx(0.0)
