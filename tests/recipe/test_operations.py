"""Kinds of operations: what they accept, and what they ask of the engine."""

import pytest

from immich_sidecar.errors import InvalidParameterError, UnknownOperationError
from immich_sidecar.recipe import operations
from immich_sidecar.recipe.operations import operation_types, validate
from immich_sidecar.recipe.plan import UprightPlan
from immich_sidecar.recipe.recipe import Operation, Source


def test_canonical_order() -> None:
    names = list(operation_types())
    assert names == [
        *("decode", "lens", "orientation", "upright", "straighten", "crop"),
        *("white_balance", "exposure", "tone"),
        *("saturation", "monochrome", "lut"),
        *("background", "sky", "subject"),
        *("denoise", "sharpen"),
        "output",
    ]


def test_an_operation_laid_into_the_folder_is_found(tmp_path, monkeypatch) -> None:
    (tmp_path / "sepia.py").write_text(
        "from immich_sidecar.recipe.operation_type import OperationType, Parameters\n"
        "class SepiaParameters(Parameters):\n    amount: float\n"
        "OPERATION = OperationType('sepia', 90, SepiaParameters, lambda parameters, plan: plan)\n"
    )
    monkeypatch.setattr(operations, "__path__", [*operations.__path__, str(tmp_path)])
    operation_types.cache_clear()
    try:
        names = list(operation_types())
        assert names.index("tone") < names.index("sepia") < names.index("denoise")
        assert validate("sepia", {"amount": 1}) == {"amount": 1.0}
    finally:
        operation_types.cache_clear()


@pytest.mark.parametrize(
    ("name", "given", "field"),
    [
        ("exposure", {"ev": 5.1}, "exposure.ev"),
        ("exposure", {}, "exposure.ev"),
        ("exposure", {"ev": 1, "speed": 3}, "exposure.speed"),
        ("exposure", {"ev": float("nan")}, "exposure.ev"),
        ("exposure", {"ev": "lots"}, "exposure.ev"),
        ("straighten", {"degrees": -46}, "straighten.degrees"),
        ("orientation", {"quarter_turns": 4}, "orientation.quarter_turns"),
        ("orientation", {"quarter_turns": 0.5}, "orientation.quarter_turns"),
        ("lens", {}, "lens.profile"),
        ("lens", {"profile": {"source": "lensfun"}}, "lens.profile"),
        (
            "lens",
            {"profile": {"source": "maker", "falloff": {"radius": 0, "terms": [1]}}},
            "lens.profile.falloff.radius",
        ),
        ("upright", {"vertical": 31}, "upright.vertical"),
        ("upright", {"vertical": 25, "focal_length_35mm": 14}, "upright"),
        ("crop", {"x": 0.5, "y": 0, "width": 0.6, "height": 1}, "crop"),
        ("crop", {"x": 0, "y": 0, "width": 0, "height": 1}, "crop.width"),
        ("white_balance", {}, "white_balance"),
        ("white_balance", {"temperature": 5000, "gains": [1, 1, 1]}, "white_balance"),
        ("white_balance", {"gains": [1, 1, 5]}, "white_balance.gains.2"),
        ("white_balance", {"temperature": 900}, "white_balance.temperature"),
        ("tone", {"shadows": 101}, "tone.shadows"),
        ("denoise", {"luma": -1}, "denoise.luma"),
        ("subject", {"ev": 1}, "subject.mask"),
        ("sky", {"mask": {"width": 1, "height": 1, "counts": "01"}, "ev": 2.1}, "sky.ev"),
        ("background", {"mask": {"width": 1, "height": 1, "counts": "1"}, "feather": 101}, "background.feather"),
        ("lut", {}, "lut.sha256"),
        ("lut", {"sha256": "A" * 64}, "lut.sha256"),
        ("lut", {"sha256": "../" + "a" * 61}, "lut.sha256"),
        ("lut", {"sha256": "a" * 64, "strength": 101}, "lut.strength"),
        ("lut", {"sha256": "a" * 64, "name": "x" * 101}, "lut.name"),
        ("decode", {"tone_curve": [[0, 0]]}, "decode"),
        ("decode", {"tone_curve": [[0, 0], [0.5, 0.6], [0.4, 0.9]]}, "decode"),
        ("decode", {"tone_curve": [[0, 0.5], [1, 0.4]]}, "decode"),
        ("decode", {"tone_curve": [[0, 0], [1, 1.2]]}, "decode"),
        ("decode", {"tone_curve": [[0, 0], [1, float("nan")]]}, "decode.tone_curve.1.1"),
        ("decode", {"highlight": "magic"}, "decode.highlight"),
        ("decode", {"colour_matrix": [[1, 0, 0], [0, 1, 0]]}, "decode.colour_matrix.2"),
    ],
)
def test_what_is_out_of_range_is_refused_with_the_field(name, given, field) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        validate(name, given)
    assert caught.value.field == field
    assert str(caught.value).startswith(field)


def test_an_unknown_operation_is_refused_by_name() -> None:
    with pytest.raises(UnknownOperationError, match="vignette"):
        validate("vignette", {})


def test_parameters_are_put_into_a_normal_form() -> None:
    assert validate("tone", {"shadows": 20}) == {
        "black": 0.0,
        "white": 0.0,
        "shadows": 20.0,
        "highlights": 0.0,
        "contrast": 0.0,
    }
    assert validate("white_balance", {"gains": (1, 1.5, 2)}) == {"gains": [1.0, 1.5, 2.0]}
    assert str(validate("exposure", {"ev": -0.0})["ev"]) == "0.0"


def test_a_plan_gathers_all_steps_whatever_their_order(at) -> None:
    def step(name, **parameters):
        return Operation(type=name, parameters=parameters, timestamp=at, source=Source.USER)

    steps = [
        step("denoise", luma=30),
        step("exposure", ev=1),
        step("tone", contrast=10),
        step("white_balance", temperature=5000),
        step("crop", x=0.1, y=0.2, width=0.5, height=0.6),
        step("straighten", degrees=2),
        step("upright", vertical=4),
        step("orientation", quarter_turns=3),
        step("decode", baseline_ev=0.5, tone_curve=[[0, 0], [1, 1]]),
    ]
    plan = operations.plan(steps)
    assert plan == operations.plan(reversed(steps))
    assert plan.decode is not None
    assert plan.decode.baseline_ev == 0.5
    assert plan.geometry.degrees == 2
    assert plan.geometry.upright == UprightPlan(vertical=4.0)
    assert (plan.geometry.quarter_turns, plan.geometry.mirror) == (3, False)
    assert plan.geometry.crop == (0.1, 0.2, 0.5, 0.6)
    assert (plan.colour.ev, plan.colour.contrast, plan.colour.temperature) == (1, 10, 5000)
    assert plan.detail.luma == 30
