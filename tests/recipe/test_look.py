"""Looks: made weaker and stronger, put on top of what a photo needs, and taken from what a person did."""

from datetime import datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from immich_sidecar.advise.presets import MEANINGS
from immich_sidecar.develop.white import balance
from immich_sidecar.errors import InvalidParameterError, UnknownOperationError
from immich_sidecar.recipe.light import gains_of
from immich_sidecar.recipe.look import beyond, checked, on_top, scaled
from immich_sidecar.recipe.operations import operation_types, validate
from immich_sidecar.recipe.plan import ColourPlan
from immich_sidecar.recipe.recipe import SUGGESTED, Recipe, Source, change, new_recipe, with_look, with_overrides

HASH = "a" * 64
LOOK = {"tone": {"contrast": 20.0, "black": -10.0}, "white_balance": {"temperature": 7000.0, "tint": 2.0}}
PROPOSED = [
    {"operation": "exposure", "parameters": {"ev": 0.8}, "confidence": 0.9, "reason": "dark", "applied": True},
    {
        "operation": "tone",
        "parameters": validate("tone", {"black": -20, "white": 10}),
        "confidence": 0.8,
        "reason": "flat",
        "applied": True,
    },
]


def looking(at: datetime, strength: float = 100.0, **more: Any) -> Recipe:
    noted = {"name": "Test", "strength": strength, "operations": LOOK}
    return new_recipe(HASH, PROPOSED, at=at, ai_metadata={"preset": "own-1", "look": noted}, **more)


def parameters(recipe: Recipe, name: str) -> dict[str, Any]:
    found = recipe.operation(name)
    assert found is not None
    return found.parameters


def test_a_look_comes_on_top_of_what_the_photo_needs(at: datetime) -> None:
    recipe = looking(at)
    assert parameters(recipe, "exposure") == {"ev": 0.8}, "how bright it is to be is the photo's own affair"
    assert parameters(recipe, "tone") == validate("tone", {"black": -30, "white": 10, "contrast": 20})
    sources = {operation.type: operation.source for operation in recipe.operations}
    assert sources == {"exposure": Source.AI, "tone": Source.PRESET, "white_balance": Source.PRESET}
    assert Recipe.from_json(recipe.to_json()) == recipe


def test_at_nothing_there_is_no_look(at: datetime) -> None:
    plain = new_recipe(HASH, PROPOSED, at=at)
    assert looking(at, 0.0).operations == plain.operations
    assert scaled(LOOK, 0) == {}


def test_the_person_has_the_last_word_and_can_give_it_back(at: datetime) -> None:
    recipe = change(looking(at), {"tone": {"contrast": 50}, "white_balance": None}, at=at)
    assert parameters(recipe, "tone")["contrast"] == 50
    assert recipe.operation("white_balance") is None
    other = with_look(
        recipe,
        PROPOSED,
        preset="own-2",
        look={"name": "B", "strength": 100, "operations": {"exposure": {"ev": 0.3}}},
        at=at,
    )
    assert other.user_overrides == recipe.user_overrides, "another look leaves what the person changed"
    assert parameters(other, "exposure") == {"ev": 1.1}
    assert parameters(other, "tone")["contrast"] == 50
    assert other.ai_metadata["preset"] == "own-2"
    back = change(recipe, dict.fromkeys(recipe.user_overrides, SUGGESTED), at=at)
    assert [(o.type, o.parameters) for o in back.operations] == [(o.type, o.parameters) for o in looking(at).operations]


def test_without_a_look_everything_of_the_old_one_is_gone(at: datetime) -> None:
    plain = with_look(looking(at), PROPOSED, preset=None, look=None, at=at)
    assert {"preset", "look"}.isdisjoint(plain.ai_metadata)
    assert [o.parameters for o in plain.operations] == [{"ev": 0.8}, validate("tone", {"black": -20, "white": 10})]
    assert plain.id != looking(at).id


def test_what_stays_as_it_was_keeps_its_time(at: datetime) -> None:
    later = at.replace(year=2031)
    recipe = with_overrides(looking(at), {"exposure": {"ev": 1.0}}, at=later)
    times = {operation.type: operation.timestamp for operation in recipe.operations}
    assert times == {"exposure": later, "tone": at, "white_balance": at}


@pytest.mark.parametrize("preset", [p for p, meaning in MEANINGS.items() if meaning.look])
def test_every_look_is_valid_up_to_twice_its_strength_and_grows_with_it(preset: str) -> None:
    look = MEANINGS[preset].look
    assert checked(look).keys() == look.keys(), "in canonical order, of operations that there are"
    before: dict[str, dict[str, Any]] = {}
    for strength in range(0, 201, 10):
        now = scaled(look, strength)
        assert {name: validate(name, part) for name, part in now.items()} == now
        for name, part in now.items():
            for key, value in part.items():
                if isinstance(value, float) and name in before and key in before[name]:
                    full = scaled(look, 200)[name][key]
                    assert abs(full - value) <= abs(full - before[name][key]) + 1e-6, (name, key, strength)
        assert before.keys() <= now.keys()
        before = now


BOUNDED = {
    "tone": st.fixed_dictionaries(
        dict.fromkeys(("black", "white", "shadows", "highlights", "contrast"), st.integers(-100, 100).map(float))
    ),
    "exposure": st.fixed_dictionaries({"ev": st.integers(-50, 50).map(lambda n: n / 10)}),
    "white_balance": st.one_of(
        st.fixed_dictionaries(
            {"temperature": st.integers(3000, 12000).map(float), "tint": st.integers(-60, 60).map(float)}
        ),
        st.fixed_dictionaries({"gains": st.lists(st.floats(0.5, 2.0), min_size=3, max_size=3)}),
    ),
}


@given(st.data(), st.sampled_from(sorted(BOUNDED)), st.integers(0, 200))
def test_whatever_is_put_on_whatever_is_valid(data: st.DataObject, name: str, strength: int) -> None:
    one, other = (validate(name, data.draw(BOUNDED[name])) for _ in range(2))
    part = scaled({name: other}, strength).get(name)
    both = on_top(name, one, part) if part else one
    assert validate(name, both) == both


@given(st.data(), st.sampled_from(sorted(BOUNDED)))
def test_what_is_beyond_put_on_top_gives_the_whole(data: st.DataObject, name: str) -> None:
    proposed, whole = (validate(name, data.draw(BOUNDED[name])) for _ in range(2))
    part = beyond({name: whole}, {name: proposed}).get(name)
    again = on_top(name, proposed, part) if part else proposed
    if name == "white_balance":
        first, second = (np.array(grey(values)) for values in (again, whole))
        held = part and (part.get("temperature") in (2000, 15000) or abs(part.get("tint", 0)) == 100)
        held = held or (part and part.get("gains") and not all(0.26 < gain < 3.9 for gain in part["gains"]))
        held = held or not all(0.26 < gain < 3.9 for gain in (*first, *second))
        assert held or np.allclose(first, second, rtol=0.01)
        return
    for key, value in whole.items():
        held = abs(value - proposed[key]) > (5 if name == "exposure" else 100)
        assert held or again[key] == pytest.approx(value, abs=1e-5)


def grey(values: dict[str, Any]) -> tuple[float, ...]:
    return tuple(values["gains"]) if values.get("gains") else gains_of(values.get("temperature", 6500), values["tint"])


@pytest.mark.parametrize(("kelvin", "tint"), [(6500, 0), (2500, 0), (4000, -30), (9000, 40), (15000, 100)])
def test_gains_do_to_grey_what_the_balance_does(kelvin: float, tint: float) -> None:
    matrix = balance(ColourPlan(temperature=kelvin, tint=tint))
    expected = np.ones(3) if matrix is None else matrix @ np.ones(3)
    assert gains_of(kelvin, tint) == pytest.approx(expected, rel=1e-6)


def test_balances_of_both_kinds_add_up() -> None:
    warm, green = {"temperature": 7000.0, "tint": 0.0}, {"gains": [0.95, 1.02, 0.97]}
    both = on_top("white_balance", green, warm)
    assert both["gains"] == pytest.approx(np.array(gains_of(7000, 0)) * [0.95, 1.02, 0.97], abs=1e-4)
    assert on_top("white_balance", warm, {"temperature": 6066.7, "tint": 0.0})["temperature"] == pytest.approx(
        6500, abs=1
    )


def test_a_balance_of_the_cameras_own_colours_stays_one() -> None:
    camera = {"gains": [1.2, 1.0, 0.9], "space": "camera"}
    both = on_top("white_balance", camera, {"temperature": 7000.0, "tint": 0.0})
    assert both["space"] == "camera"
    assert both["gains"] == pytest.approx(np.array(camera["gains"]) * gains_of(7000, 0), abs=1e-4)
    assert scaled({"white_balance": camera}, 50)["white_balance"]["space"] == "camera"


def test_the_parts_of_a_look_that_are_no_numbers_are_whole() -> None:
    crop = validate("crop", {"x": 0.1, "y": 0, "width": 0.5, "height": 1})
    assert scaled({"crop": crop}, 30) == {"crop": crop}
    assert scaled({"crop": crop}, 0) == {}


def test_what_was_proposed_is_no_part_of_a_look_that_is_taken_from_a_photo() -> None:
    proposed = {item["operation"]: item["parameters"] for item in PROPOSED}
    operations = {**proposed, "decode": validate("decode", {})}
    assert beyond(operations, proposed) == {}
    operations["exposure"] = {"ev": 1.0}
    assert beyond(operations, proposed) == {"exposure": {"ev": pytest.approx(0.2)}}


def test_the_brightest_light_of_one_photo_is_no_part_of_a_look() -> None:
    suggested, moved = {"ev": 1.7, "brightest": 0.3}, {"ev": 2.2, "brightest": 0.3}
    assert beyond({"exposure": moved}, {"exposure": suggested}) == {"exposure": {"ev": pytest.approx(0.5)}}
    assert beyond({"exposure": moved}, {}) == {"exposure": {"ev": 2.2}}
    # Nor where a look was kept with it.
    kept = {"ev": 0.5, "brightest": 0.3}
    assert on_top("exposure", None, kept) == {"ev": 0.5}
    assert on_top("exposure", {"ev": 0.4}, kept) == {"ev": pytest.approx(0.9)}
    assert on_top("exposure", {"ev": 0.4, "brightest": 0.6}, kept) == {"ev": pytest.approx(0.9), "brightest": 0.6}


@pytest.mark.parametrize("strength", [-1, 201, float("nan"), float("inf")])
def test_a_strength_out_of_range_is_refused(strength: float) -> None:
    with pytest.raises(InvalidParameterError) as caught:
        scaled(LOOK, strength)
    assert caught.value.field == "strength"


def test_what_cannot_be_a_look_is_refused() -> None:
    with pytest.raises(InvalidParameterError, match="no part of a look"):
        checked({"decode": {}})
    with pytest.raises(UnknownOperationError):
        checked({"sepia": {}})
    with pytest.raises(InvalidParameterError):
        checked({"tone": 3})
    assert list(checked({"denoise": {}, "exposure": {"ev": 1}})) == [
        name for name in operation_types() if name in ("exposure", "denoise")
    ]
