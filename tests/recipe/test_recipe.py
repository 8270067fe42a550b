"""Recipes: merging, changing, writing and reading."""

import json
import re
import uuid
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from immich_sidecar.errors import InvalidParameterError, RecipeError, UnknownOperationError
from immich_sidecar.recipe.operations import operation_types
from immich_sidecar.recipe.recipe import Operation, Recipe, Source, change, merge, new_recipe, with_overrides

HASH = "0123456789abcdef" * 4
SUGGESTIONS = [
    {
        "operation": "exposure",
        "parameters": {"ev": 0.8},
        "confidence": 0.9,
        "reason": "dark by 0.8 stops",
        "applied": True,
    },
    {
        "operation": "straighten",
        "parameters": {"degrees": 2.0},
        "confidence": 0.7,
        "reason": "leans",
        "applied": True,
    },
    {
        "operation": "denoise",
        "parameters": {"luma": 10},
        "confidence": 0.3,
        "reason": "grainy",
        "applied": False,
    },
]

PARAMETERS = {
    "decode": st.fixed_dictionaries({"baseline_ev": st.floats(-5, 5), "highlight": st.sampled_from(["clip", "blend"])}),
    "orientation": st.fixed_dictionaries({"quarter_turns": st.integers(0, 3), "mirror": st.booleans()}),
    "upright": st.fixed_dictionaries({"vertical": st.floats(-20, 20), "horizontal": st.floats(-20, 20)}),
    "straighten": st.fixed_dictionaries({"degrees": st.floats(-45, 45)}),
    "crop": st.just({"x": 0.1, "y": 0.2, "width": 0.5, "height": 0.7}),
    "white_balance": st.one_of(
        st.fixed_dictionaries({"temperature": st.floats(2000, 15000), "tint": st.floats(-100, 100)}),
        st.fixed_dictionaries({"gains": st.lists(st.floats(0.25, 4), min_size=3, max_size=3)}),
    ),
    "exposure": st.fixed_dictionaries({"ev": st.floats(-5, 5)}),
    "tone": st.fixed_dictionaries({"shadows": st.floats(-100, 100), "contrast": st.floats(-100, 100)}),
    "denoise": st.fixed_dictionaries({"luma": st.floats(0, 100), "chroma": st.floats(0, 100)}),
}


@st.composite
def step_sets(draw, *, off: bool):
    """Some operations with parameters; with `off`, some of them None."""
    names = draw(st.lists(st.sampled_from(sorted(PARAMETERS)), unique=True))
    values = {}
    for name in names:
        value = st.one_of(st.none(), PARAMETERS[name]) if off else PARAMETERS[name]
        values[name] = draw(value)
    return values


@st.composite
def recipes(draw):
    proposed = draw(step_sets(off=False))
    suggestions = [
        {"operation": n, "parameters": p, "confidence": 0.5, "reason": "é", "applied": draw(st.booleans())}
        for n, p in proposed.items()
    ]
    # A day from the ends of the calendar, where UTC would fall outside of it.
    days = (datetime.min + timedelta(days=2), datetime.max - timedelta(days=2))
    when = draw(st.datetimes(*days, timezones=st.timezones()))
    return new_recipe(HASH, suggestions, draw(step_sets(off=True)), at=when)


@given(recipes())
def test_writing_and_reading_loses_nothing(recipe) -> None:
    text = recipe.to_json()
    again = Recipe.from_json(text)
    assert again == recipe
    assert again.to_json() == text
    assert Recipe.from_json(text.encode()) == recipe


@given(recipes())
def test_operations_stand_in_canonical_order_once_each(recipe) -> None:
    names = [o.type for o in recipe.operations]
    assert names == [n for n in operation_types() if n in names]


@given(recipes(), step_sets(off=True))
def test_operations_are_the_merge_of_proposals_and_overrides(recipe, overrides) -> None:
    changed = with_overrides(recipe, overrides, at=recipe.created_at)
    assert changed.id != recipe.id
    applied = {s["operation"] for s in recipe.ai_metadata["suggestions"] if s["applied"]}
    expected = (applied | {n for n, p in overrides.items() if p is not None}) - {
        n for n, p in overrides.items() if p is None
    }
    assert {o.type for o in changed.operations} == expected
    for operation in changed.operations:
        by_user = operation.type in overrides
        assert operation.source is (Source.USER if by_user else Source.AI)
    # What is proposed is kept whatever the person did, so dropping the changes brings it all back.
    assert with_overrides(changed, {}, at=recipe.created_at).ai_metadata == recipe.ai_metadata
    back = with_overrides(changed, recipe.user_overrides, at=recipe.created_at)
    assert [(o.type, o.parameters) for o in back.operations] == [(o.type, o.parameters) for o in recipe.operations]


def test_only_applied_suggestions_become_operations(at) -> None:
    recipe = new_recipe(HASH, SUGGESTIONS, at=at, ai_metadata={"engine": "1"})
    assert [(o.type, o.source) for o in recipe.operations] == [
        ("straighten", Source.AI),
        ("exposure", Source.AI),
    ]
    assert len(recipe.ai_metadata["suggestions"]) == 3
    assert recipe.ai_metadata["engine"] == "1"
    assert uuid.UUID(recipe.id)


def test_a_patch_sets_switches_off_and_returns_to_the_proposal(at) -> None:
    recipe = new_recipe(HASH, SUGGESTIONS, at=at)
    later = at + timedelta(hours=1)
    mine = change(recipe, {"exposure": {"ev": 0.3}, "straighten": None}, at=later)
    assert [(o.type, o.parameters, o.source) for o in mine.operations] == [("exposure", {"ev": 0.3}, Source.USER)]
    assert mine.user_overrides == {"exposure": {"ev": 0.3}, "straighten": None}
    assert mine.operations[0].timestamp == later
    third = change(mine, {"straighten": "suggested", "tone": {"contrast": 5}}, at=later + timedelta(hours=1))
    assert [o.type for o in third.operations] == ["straighten", "exposure", "tone"]
    assert third.operation("exposure") == mine.operation("exposure")
    assert "straighten" not in third.user_overrides
    assert recipe.user_overrides == {}


def test_changing_the_angle_carries_the_crop_over(at) -> None:
    crop = {"x": 0.7, "y": 0.4, "width": 0.2, "height": 0.2}
    recipe = new_recipe(HASH, SUGGESTIONS, {"crop": crop}, at=at)
    turned = change(recipe, {"straighten": {"degrees": -4}}, at=at, size=(4000, 3000))
    moved = turned.operation("crop")
    assert moved is not None
    assert moved.parameters["y"] < 0.4 - 0.02
    assert turned.user_overrides["crop"] == moved.parameters
    back = change(turned, {"straighten": "suggested"}, at=at, size=(4000, 3000))
    assert back.operation("crop").parameters == pytest.approx(crop)
    named = change(recipe, {"straighten": None, "crop": crop}, at=at, size=(4000, 3000))
    assert named.operation("crop").parameters == crop


ORIENTATIONS = st.fixed_dictionaries({"quarter_turns": st.integers(0, 3), "mirror": st.booleans()})


def test_turning_a_picture_turns_what_was_done_to_it(at) -> None:
    crop = {"x": 0.7, "y": 0.4, "width": 0.2, "height": 0.3}
    recipe = new_recipe(HASH, SUGGESTIONS, {"crop": crop, "upright": {"vertical": 5, "horizontal": 2}}, at=at)
    right = change(recipe, {"orientation": {"quarter_turns": 1}}, at=at, size=(4000, 3000))
    assert right.operation("crop").parameters == pytest.approx({"x": 0.3, "y": 0.7, "width": 0.3, "height": 0.2})
    assert right.operation("straighten").parameters == {"degrees": 2.0}
    upright = right.operation("upright").parameters
    assert (upright["vertical"], upright["horizontal"]) == (-2.0, 5.0)
    mirrored = change(recipe, {"orientation": {"mirror": True}}, at=at, size=(4000, 3000))
    assert mirrored.operation("crop").parameters == pytest.approx(crop | {"x": 0.1})
    assert mirrored.operation("straighten").parameters == {"degrees": -2.0}
    assert mirrored.operation("straighten").source is Source.AI, "a proposal that turns with the picture stays one"
    assert "straighten" not in mirrored.user_overrides
    upright = mirrored.operation("upright").parameters
    assert (upright["vertical"], upright["horizontal"]) == (5.0, -2.0)
    # Off and on again, it still fits the picture as it lies.
    again = change(change(mirrored, {"straighten": None}, at=at), {"straighten": "suggested"}, at=at)
    assert again.operation("straighten").parameters == {"degrees": -2.0}
    back = change(mirrored, {"orientation": None}, at=at, size=(4000, 3000))
    assert back.operation("straighten").parameters == {"degrees": 2.0}
    assert back.operation("crop").parameters == pytest.approx(crop)


def test_perspective_takes_the_photos_own_focal_length(at) -> None:
    recipe = new_recipe(HASH, [], at=at, ai_metadata={"focal_length_35mm": 24.0})
    assert change(recipe, {"upright": {"vertical": 5}}, at=at).operation("upright").parameters == {
        "vertical": 5.0,
        "horizontal": 0.0,
        "focal_length_35mm": 24.0,
    }
    named = change(recipe, {"upright": {"vertical": 5, "focal_length_35mm": 50}}, at=at)
    assert named.operation("upright").parameters["focal_length_35mm"] == 50.0
    unknown = change(new_recipe(HASH, [], at=at), {"upright": {"vertical": 5}}, at=at)
    assert unknown.operation("upright").parameters["focal_length_35mm"] == 35.0


def test_turning_and_straightening_at_once_keeps_the_crop_on_its_spot(at) -> None:
    crop = {"x": 0.7, "y": 0.4, "width": 0.2, "height": 0.2}
    recipe = new_recipe(HASH, [], {"crop": crop}, at=at, ai_metadata={"size": [4000, 3000]})
    one = change(recipe, {"orientation": {"quarter_turns": 1}, "straighten": {"degrees": 3}}, at=at)
    two = change(recipe, {"straighten": {"degrees": 3}}, at=at)
    two = change(two, {"orientation": {"quarter_turns": 1}}, at=at)
    assert one.operation("crop").parameters == pytest.approx(two.operation("crop").parameters)


@given(ORIENTATIONS, ORIENTATIONS, st.floats(-20, 20), st.floats(-10, 10), st.floats(-10, 10))
def test_every_way_of_turning_comes_back(first, second, degrees, vertical, horizontal) -> None:
    crop = {"x": 0.7, "y": 0.4, "width": 0.2, "height": 0.3}
    steps = {
        "crop": crop,
        "straighten": {"degrees": degrees},
        "upright": {"vertical": vertical, "horizontal": horizontal},
        "orientation": first,
    }
    at = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
    recipe = new_recipe(HASH, SUGGESTIONS, steps, at=at, ai_metadata={"size": [4000, 3000]})
    there = change(recipe, {"orientation": second}, at=at)
    back = change(there, {"orientation": first}, at=at)
    for operation in recipe.operations:
        found = back.operation(operation.type).parameters
        assert found == pytest.approx(operation.parameters, abs=1e-9)


def test_a_wrong_patch_is_refused_with_its_field(at) -> None:
    recipe = new_recipe(HASH, SUGGESTIONS, at=at)
    with pytest.raises(InvalidParameterError) as caught:
        change(recipe, {"exposure": {"ev": 50}}, at=at)
    assert caught.value.field == "exposure.ev"
    with pytest.raises(InvalidParameterError) as caught:
        change(recipe, {"exposure": "on"}, at=at)
    assert caught.value.field == "exposure"
    with pytest.raises(UnknownOperationError):
        change(recipe, {"sparkle": None}, at=at)


def test_two_applied_suggestions_of_one_type_are_refused(at) -> None:
    with pytest.raises(RecipeError, match="at most one exposure"):
        new_recipe(HASH, [SUGGESTIONS[0], SUGGESTIONS[0]], at=at)
    proposed = Operation(type="exposure", parameters={"ev": 1}, timestamp=at, source=Source.AI)
    with pytest.raises(RecipeError, match="at most one exposure"):
        merge([proposed, proposed], {}, at=at)


def test_a_recipe_cannot_be_changed_in_place(at) -> None:
    recipe = new_recipe(HASH, SUGGESTIONS, at=at)
    with pytest.raises(ValidationError):
        recipe.operations = ()
    with pytest.raises(ValidationError):
        recipe.operations[0].type = "crop"


def test_reading_puts_operations_into_canonical_order(at) -> None:
    recipe = new_recipe(HASH, SUGGESTIONS, at=at)
    data = json.loads(recipe.to_json())
    data["operations"].reverse()
    assert Recipe.from_json(json.dumps(data)) == recipe


@pytest.mark.parametrize(
    ("damage", "error"),
    [
        (lambda t: t[:-20], RecipeError),
        (lambda t: "[]", RecipeError),
        (lambda t: t.replace('"ev": 0.8', '"ev": NaN'), RecipeError),
        (lambda t: t.replace('"ev": 0.8', '"ev": 1e999'), RecipeError),
        (lambda t: t.replace('"confidence": 0.9', '"confidence": Infinity'), RecipeError),
        (lambda t: t.replace('"ev": 0.8', '"ev": 8'), InvalidParameterError),
        (lambda t: t.replace('"type": "exposure"', '"type": "sparkle"'), UnknownOperationError),
        (lambda t: t.replace('"type": "exposure"', '"type": "straighten"'), InvalidParameterError),
        (lambda t: t.replace(HASH, HASH.upper()), RecipeError),
        (lambda t: t.replace('"source": "ai"', '"source": "oracle"'), RecipeError),
        (lambda t: t.replace('"user_overrides": {}', '"user_overrides": {"exposure": 3}'), RecipeError),
        (lambda t: t.replace('"user_overrides": {}', '"user_overrides": {}, "extra": 1'), RecipeError),
        (lambda t: t.replace('"user_overrides": {}', '"id": "x", "user_overrides": {}'), RecipeError),
        (lambda t: t.replace("+00:00", "").replace('09Z"', '09"'), RecipeError),
        (lambda t: re.sub(r'"created_at": "[^"]*"', '"created_at": "9999-12-31T23:59:59-05:00"', t), RecipeError),
    ],
)
def test_what_is_no_recipe_is_refused(at, damage, error) -> None:
    text = new_recipe(HASH, SUGGESTIONS, at=at).to_json()
    broken = damage(text)
    assert broken != text
    with pytest.raises(error):
        Recipe.from_json(broken)


def test_two_steps_of_one_type_in_a_file_are_refused(at) -> None:
    data = json.loads(new_recipe(HASH, SUGGESTIONS, at=at).to_json())
    data["operations"].append(data["operations"][0])
    with pytest.raises(RecipeError, match="at most one"):
        Recipe.from_json(json.dumps(data))
