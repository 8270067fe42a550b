"""How sure a turn has to be, by how large it is."""

import pytest

from immich_sidecar.advise import straighten
from immich_sidecar.advise.suggestion import APPLY_AT
from immich_sidecar.analysis.analysis import Analysis
from immich_sidecar.analysis.measure.tilt import Tilt
from immich_sidecar.analysis.measure.tilt.candidates import LEADS, compare


def confidence(degrees: float, likely: float) -> float:
    step = straighten.suggest(Analysis.model_construct(tilt=Tilt(degrees=degrees, confidence=likely)))
    return step.confidence if step else 0.0


def test_what_is_certain_is_turned_however_large() -> None:
    assert confidence(2.0, 0.97) == pytest.approx(0.97, abs=0.01)
    assert confidence(-7.5, 0.995) > 0.9


def test_large_turns_have_to_be_surer_than_small_ones() -> None:
    assert confidence(2.0, 0.7) > APPLY_AT > confidence(7.5, 0.7)
    steps = [confidence(degrees, 0.9) for degrees in (1.5, 3.0, 3.5, 4.0, 5.0)]
    assert steps[0] == steps[1]
    assert steps[1:] == sorted(set(steps[1:]), reverse=True)


def test_a_lean_is_rare_as_among_photos_that_nobody_turned() -> None:
    for degrees, likely in ((4.5, 0.83), (7.5, 0.9)):
        assert confidence(degrees, likely) < APPLY_AT <= confidence(2.0, likely)
    assert confidence(4.5, 0.9) >= APPLY_AT
    assert confidence(7.5, 0.97) >= APPLY_AT


def test_hardly_visible_and_enormous_leans_are_left() -> None:
    assert confidence(0.5, 0.99) == 0.0
    assert confidence(8.5, 0.99) == 0.0


def test_a_lean_is_told_its_lead_on_the_best_of_the_others() -> None:
    names = ("weight", "lengths", "gradient", "spectrum", "longest", "path")
    figures = [{f"{family}_{name}": value for family in ("level", "upright") for name in names} for value in (0.5, 0.2)]
    found = [{**dict.fromkeys(LEADS, 0.0), **one, "support": one["level_path"] * 2} for one in figures]
    compare(found)
    assert found[0]["lead_support"] == pytest.approx(0.6)
    assert found[1]["lead_level_longest"] == pytest.approx(-0.3)
    assert found[0]["share_weight"] == pytest.approx(0.5)
    alone = [{**dict.fromkeys(LEADS, 0.0), **figures[0], "support": 1.0}]
    compare(alone)
    assert alone[0]["lead_support"] == 1.0
