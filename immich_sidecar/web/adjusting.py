"""The form of the photo page: sliders and crop, and what they mean for the recipe."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web

#: Reciprocal megakelvin of light that changes nothing (6500 K), and of one step of the slider.
_NEUTRAL_MIRED, _STEP_MIRED = 1e6 / 6500, 0.87
#: By how much one step changes red to blue of grey in linear sRGB; measured between -50 and 50.
_RATIO = 1.0086

Operations = Sequence[Mapping[str, Any]]


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


def warmth_to_kelvin(warmth: float) -> float:
    """Colour temperature of a slider position: -100 (cooler) to 100 (warmer), even in mired, 0 is 6500 K."""
    return round(1e6 / (_NEUTRAL_MIRED - _STEP_MIRED * warmth))


def kelvin_to_warmth(kelvin: float) -> float:
    """Slider position of a colour temperature, held to the slider's ends."""
    return max(-100.0, min(100.0, round((_NEUTRAL_MIRED - 1e6 / kelvin) / _STEP_MIRED, 1)))


def gains_to_warmth(gains: Sequence[float]) -> float:
    """The slider position that shifts red against blue as the gains do, held to the slider's ends."""
    warmth = math.log(float(gains[0]) / float(gains[2])) / math.log(_RATIO)
    return float(max(-100, min(100, round(warmth))))


def parameters_of(operations: Operations, name: str) -> dict[str, Any]:
    """Parameters of one operation, or nothing where the recipe has none."""
    return next((dict(item["parameters"]) for item in operations if item["type"] == name), {})


def warmth_of(operations: Operations) -> float:
    """Slider position of the recipe's white balance."""
    values = parameters_of(operations, "white_balance")
    if values.get("gains"):
        return gains_to_warmth(values["gains"])
    return kelvin_to_warmth(float(values["temperature"])) if values.get("temperature") else 0.0


def sliders(operations: Operations) -> list[Slider]:
    """The five sliders, standing where the recipe stands."""
    tone = parameters_of(operations, "tone")
    return [
        Slider(
            "exposure",
            "Exposure",
            -3,
            3,
            0.05,
            round(float(parameters_of(operations, "exposure").get("ev", 0)), 2),
            "EV",
            ("darker", "brighter"),
        ),
        Slider("highlights", "Highlights", -100, 100, 1, round(tone.get("highlights", 0)), "", ("recover", "lift")),
        Slider("shadows", "Shadows", -100, 100, 1, round(tone.get("shadows", 0)), "", ("deepen", "open")),
        Slider("temperature", "Temperature", -100, 100, 1, round(warmth_of(operations)), "", ("cooler", "warmer")),
        Slider(
            "straighten",
            "Straighten",
            -15,
            15,
            0.1,
            round(float(parameters_of(operations, "straighten").get("degrees", 0)), 2),
            "°",
            ("anticlockwise", "clockwise"),
        ),
    ]


def crop_of(operations: Operations) -> dict[str, float]:
    """The recipe's crop; the whole frame where there is none."""
    return parameters_of(operations, "crop") or {"x": 0.0, "y": 0.0, "width": 1.0, "height": 1.0}


def patch_of_form(form: Mapping[str, Any], operations: Operations) -> dict[str, Any]:
    """The overrides that the form asks for, compared with the recipe it was made from.

    A slider that was not moved changes nothing; one moved to its middle switches its part off.

    Raises
    ------
    web.HTTPBadRequest
        If a value is no number.
    """
    patch: dict[str, Any] = {}
    now = {slider.name: slider.value for slider in sliders(operations)}
    wanted = {name: _number(form, name) for name in now if form.get(name) not in (None, "")}
    moved = {name: value for name, value in wanted.items() if abs(value - now[name]) > 1e-6}
    if "exposure" in moved:
        patch["exposure"] = {"ev": moved["exposure"]} if moved["exposure"] else None
    if "straighten" in moved:
        patch["straighten"] = {"degrees": moved["straighten"]} if moved["straighten"] else None
    if "highlights" in moved or "shadows" in moved:
        tone = parameters_of(operations, "tone")
        tone |= {name: moved[name] for name in ("highlights", "shadows") if name in moved}
        patch["tone"] = tone if any(tone.values()) else None
    if "temperature" in moved:
        patch["white_balance"] = _white_balance(moved["temperature"], operations)
    patch |= _crop_patch(form, operations)
    return patch


def _white_balance(warmth: float, operations: Operations) -> dict[str, Any] | None:
    before = parameters_of(operations, "white_balance")
    if before.get("gains"):
        # Gains stay gains: what they do to green is not in the slider's hands.
        half = _RATIO ** ((warmth - gains_to_warmth(before["gains"])) / 2)
        red, green, blue = (float(gain) for gain in before["gains"])
        return {"gains": [round(max(0.25, min(4.0, gain)), 4) for gain in (red * half, green, blue / half)]}
    tint = before.get("tint") or 0.0
    if not warmth and not tint:
        return None
    return {"temperature": warmth_to_kelvin(warmth), "tint": tint}


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
