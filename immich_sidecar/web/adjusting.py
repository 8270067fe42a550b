"""The form of the photo page: sliders, lists and crop, and what they mean for the recipe."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from aiohttp import web

from immich_sidecar.recipe.operations.lens import undoable
from immich_sidecar.recipe.orientation import Orientation, turned
from immich_sidecar.web.controls import CONTROLS, GROUPS, Chosen, Numbered
from immich_sidecar.web.warmth import moved_to, tint_of, warmth_of

Operations = Sequence[Mapping[str, Any]]
#: Digest and name of each LUT.
Luts = Sequence[tuple[str, str]]
#: Parameters of what was proposed, by operation.
Proposed = Mapping[str, Mapping[str, Any]]
_NOTHING: Proposed = MappingProxyType({})


@dataclass(frozen=True)
class Slider:
    """One slider as the page shows it."""

    name: str
    label: str
    low: float
    high: float
    step: float
    value: float
    unit: str
    #: Words for the two ends.
    ends: tuple[str, str]


@dataclass(frozen=True)
class Choice:
    """One list to choose from, as the page shows it."""

    name: str
    label: str
    #: Values and their words; the value "" stands for "not part of the recipe".
    options: tuple[tuple[str, str], ...]
    value: str


@dataclass(frozen=True)
class Group:
    """What stands together on the page."""

    name: str
    #: Whether it is unfolded from the start.
    is_open: bool
    controls: tuple[Slider | Choice, ...]


def parameters_of(operations: Operations, name: str) -> dict[str, Any]:
    """Parameters of one operation, or nothing where the recipe has none."""
    return next((dict(item["parameters"]) for item in operations if item["type"] == name), {})


def groups(operations: Operations, luts: Luts = (), proposed: Proposed = _NOTHING) -> list[Group]:
    """All controls, standing where the recipe stands; `luts` are those that can be chosen."""
    found: dict[str, list[Slider | Choice]] = {name: [] for name in GROUPS}
    balance = parameters_of(operations, "white_balance")
    found["Colour"] += [
        Slider("temperature", "Temperature", -100, 100, 1, round(warmth_of(balance)), "", ("cooler", "warmer")),
        Slider("tint", "Tint", -100, 100, 1, round(tint_of(balance)), "", ("green", "magenta")),
    ]
    lens = undoable((parameters_of(operations, "lens") or proposed.get("lens", {})).get("profile", {}))
    for one in CONTROLS:
        is_lens = isinstance(one, Numbered) and one.is_of_lens
        is_given = not _is_given(one) or bool(parameters_of(operations, one.operation))
        if isinstance(one, Numbered) and one.is_masked:
            is_given = "mask" in (parameters_of(operations, one.operation) or proposed.get(one.operation, {}))
        if is_given and (not is_lens or one.parameter in lens):
            found[one.group].append(_shown(one, operations))
    found["Colour"] += _lut_controls(operations, luts)
    return [Group(name, GROUPS[name], tuple(controls)) for name, controls in found.items() if controls]


def sliders(operations: Operations, luts: Luts = (), proposed: Proposed = _NOTHING) -> list[Slider]:
    """The sliders of all groups."""
    return [one for group in groups(operations, luts, proposed) for one in group.controls if isinstance(one, Slider)]


def choices(operations: Operations, luts: Luts = ()) -> list[Choice]:
    """The lists of all groups."""
    return [one for group in groups(operations, luts) for one in group.controls if isinstance(one, Choice)]


def _shown(one: Numbered | Chosen, operations: Operations) -> Slider | Choice:
    now = parameters_of(operations, one.operation)
    if isinstance(one, Chosen):
        chosen = one.standing(now)
        # A recipe may say what the list does not offer.
        options = one.options if chosen in dict(one.options) else (*one.options, (chosen, chosen))
        return Choice(one.name, one.label, options, chosen)
    value = round(_standing(one, now), one.digits)
    return Slider(one.name, one.label, one.low, one.high, one.step, value, one.unit, one.ends)


def crop_of(operations: Operations) -> dict[str, float]:
    """The recipe's crop; the whole frame where there is none."""
    return parameters_of(operations, "crop") or {"x": 0.0, "y": 0.0, "width": 1.0, "height": 1.0}


def orientation_of(operations: Operations) -> Orientation:
    """How the recipe lays the picture."""
    return Orientation.of(parameters_of(operations, "orientation"))


def patch_of_form(
    form: Mapping[str, Any], operations: Operations, luts: Luts = (), proposed: Proposed = _NOTHING
) -> dict[str, Any]:
    """The overrides that the form asks for, compared with the recipe it was made from.

    What was not moved changes nothing; an operation whose every number is moved to its middle is switched off.
    Where the picture is turned or mirrored, everything in the form speaks of it as it lies then.

    Raises
    ------
    web.HTTPBadRequest
        If a value is no number, lies beyond the ends of its slider, or is none of those that can be chosen.
    """
    patch: dict[str, Any] = _orientation_patch(form, operations)
    if patch:
        way = orientation_of(operations).to(Orientation.of(patch["orientation"]))
        operations = [
            {"type": item["type"], "parameters": turned(item["type"], item["parameters"], way)} for item in operations
        ]
    moved = _moved(form, operations, luts, proposed)
    for name in dict.fromkeys(one.operation for one in CONTROLS if one.name in moved):
        own = [one for one in CONTROLS if one.operation == name]
        values = parameters_of(operations, name) or _begun(own, proposed)
        for one in own:
            if isinstance(one, Chosen) and one.name in moved:
                values = {key: value for key, value in values.items() if key not in one.forgets}
        values |= {one.parameter: moved[one.name] for one in own if one.name in moved}
        values = {key: value for key, value in values.items() if value != ""}
        patch[name] = values if any(_asks(one, values) or _is_given(one) for one in own) else None
    if "temperature" in moved or "tint" in moved:
        patch["white_balance"] = moved_to(
            parameters_of(operations, "white_balance"), warmth=moved.get("temperature"), tint=moved.get("tint")
        )
    if "lut" in moved or "lut_strength" in moved:
        patch["lut"] = _lut(moved, operations, luts)
    patch |= _crop_patch(form, operations)
    return patch


def _begun(own: Sequence[Numbered | Chosen], proposed: Proposed) -> dict[str, Any]:
    """What an operation starts from that the recipe does not have: what was proposed, asking for nothing yet."""
    numbers = [one for one in own if isinstance(one, Numbered) and (one.is_of_lens or one.is_masked)]
    begun = dict(proposed.get(own[0].operation, {})) if numbers else {}
    return begun | {one.parameter: one.neutral for one in numbers}


def _moved(form: Mapping[str, Any], operations: Operations, luts: Luts, proposed: Proposed) -> dict[str, Any]:
    """What stands elsewhere than in the recipe, by the names of the form."""
    moved: dict[str, Any] = {}
    for slider in sliders(operations, luts, proposed):
        if form.get(slider.name) not in (None, ""):
            value = _number(form, slider.name)
            if abs(value - slider.value) <= 1e-6:
                continue
            if not slider.low <= value <= slider.high:
                raise web.HTTPBadRequest(text=f"{slider.name}: from {slider.low:g} to {slider.high:g}")
            moved[slider.name] = value
    for choice in choices(operations, luts):
        wanted = form.get(choice.name)
        if wanted is None or wanted == choice.value:
            continue
        if wanted not in dict(choice.options):
            raise web.HTTPBadRequest(text=f"{choice.name}: one of {', '.join(dict(choice.options))}")
        moved[choice.name] = wanted
    return moved


def _asks(one: Numbered | Chosen, values: Mapping[str, Any]) -> bool:
    """Whether a parameter asks for anything."""
    if isinstance(one, Chosen):
        return one.standing(values) != one.options[0][0]
    return one.counts and bool(_standing(one, values) != one.neutral)


def _is_given(one: Numbered | Chosen) -> bool:
    return isinstance(one, Chosen) and one.is_given


def _standing(one: Numbered, values: Mapping[str, Any]) -> float:
    """Where a number stands; 0 is a number too."""
    value = values.get(one.parameter)
    return one.neutral if value is None else float(value)


def _lut_controls(operations: Operations, luts: Luts) -> list[Slider | Choice]:
    """The LUT of the recipe and its strength; nothing where there is none to choose from."""
    now = parameters_of(operations, "lut")
    options = dict(luts)
    if now:
        options.setdefault(now["sha256"], now["name"] or "LUT")
    if not options:
        return []
    strength = float(now.get("strength", 100.0))
    return [
        Choice("lut", "LUT", (("", "None"), *options.items()), now.get("sha256", "")),
        Slider("lut_strength", "Strength of the LUT", 0, 100, 1, round(strength), "%", ("none", "full")),
    ]


def _lut(moved: Mapping[str, Any], operations: Operations, luts: Luts) -> dict[str, Any] | None:
    now = parameters_of(operations, "lut")
    sha256 = moved.get("lut", now.get("sha256"))
    strength = moved.get("lut_strength", now.get("strength", 100.0))
    if not sha256 or not strength:
        return None
    name = dict(luts).get(sha256) or now.get("name", "")
    return {"sha256": sha256, "name": name, "strength": strength}


def _orientation_patch(form: Mapping[str, Any], operations: Operations) -> dict[str, Any]:
    if form.get("quarter_turns") in (None, ""):
        return {}
    lies = Orientation(round(_number(form, "quarter_turns")) % 4, form.get("mirror") == "1")
    if lies == orientation_of(operations):
        return {}
    return {"orientation": None if lies == Orientation() else lies._asdict()}


def _crop_patch(form: Mapping[str, Any], operations: Operations) -> dict[str, Any]:
    if form.get("frame") == "whole":
        return {"crop": None}
    if form.get("crop_x") in (None, ""):
        return {}
    crop = {name: round(_number(form, f"crop_{name}"), 5) for name in ("x", "y", "width", "height")}
    crop["width"] = min(crop["width"], round(1 - crop["x"], 5))
    crop["height"] = min(crop["height"], round(1 - crop["y"], 5))
    before = crop_of(operations)
    if all(abs(crop[name] - before[name]) < 1e-4 for name in crop):
        return {}
    return {"crop": None if crop["width"] > 0.9999 and crop["height"] > 0.9999 else crop}


def _number(form: Mapping[str, Any], name: str) -> float:
    try:
        value = float(str(form[name]))
    except (KeyError, ValueError):
        raise web.HTTPBadRequest(text=f"{name}: a number") from None
    if not abs(value) < 1e6:  # also false for NaN
        raise web.HTTPBadRequest(text=f"{name}: a number")
    return value
