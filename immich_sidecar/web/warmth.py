"""The sliders of white balance: how warm a picture is, and how far it leans to green or to magenta."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from immich_sidecar.recipe.light import NEUTRAL_KELVIN, SRGB_TO_XYZ

#: Reciprocal megakelvin of light that changes nothing, and of one step of the slider.
_NEUTRAL_MIRED, _STEP_MIRED = 1e6 / NEUTRAL_KELVIN, 0.87
#: By how much one step of warmth changes red to blue of grey in linear sRGB, and one of tint green to the mean of
#: those two; measured between -50 and 50.
_WARMER, _LESS_GREEN = 1.0086, 0.9942
#: Share of green in luminance.
_GREEN = SRGB_TO_XYZ[1][1]

Parameters = Mapping[str, Any]


def warmth_to_kelvin(warmth: float) -> float:
    """Colour temperature of a slider position: -100 (cooler) to 100 (warmer), even in mired, 0 is 6500 K."""
    return round(1e6 / (_NEUTRAL_MIRED - _STEP_MIRED * warmth))


def kelvin_to_warmth(kelvin: float) -> float:
    """Slider position of a colour temperature, held to the slider's ends."""
    return max(-100.0, min(100.0, round((_NEUTRAL_MIRED - 1e6 / kelvin) / _STEP_MIRED, 1)))


def warmth_of(white_balance: Parameters) -> float:
    """Slider position of the temperature: for gains, the one that shifts red against blue as they do."""
    if gains := white_balance.get("gains"):
        return _held(_warmth(gains))
    return kelvin_to_warmth(float(white_balance["temperature"])) if white_balance.get("temperature") else 0.0


def tint_of(white_balance: Parameters) -> float:
    """Slider position of the tint, -100 (green) to 100 (magenta): for gains, the one that shifts green as they do."""
    if gains := white_balance.get("gains"):
        return _held(_tint(gains))
    return float(white_balance.get("tint") or 0.0)


def moved_to(white_balance: Parameters, *, warmth: float | None, tint: float | None) -> dict[str, Any] | None:
    """The white balance after one or both sliders were moved (None: left where it stands); None where it is neutral.

    Gains stay gains: warmth shifts red against blue and leaves green alone, tint shifts green against both and leaves
    grey as bright as it was.
    """
    if gains := white_balance.get("gains"):
        return {**white_balance, "gains": _moved_gains(gains, warmth, tint)}
    kelvin = white_balance.get("temperature") or NEUTRAL_KELVIN
    kelvin = kelvin if warmth is None else warmth_to_kelvin(warmth)
    tint = tint_of(white_balance) if tint is None else tint
    return {"temperature": kelvin, "tint": tint} if tint or kelvin != NEUTRAL_KELVIN else None


def _moved_gains(gains: Sequence[float], warmth: float | None, tint: float | None) -> list[float]:
    red, green, blue = (float(gain) for gain in gains)
    if warmth is not None:
        half = _WARMER ** ((warmth - _warmth(gains)) / 2)
        red, blue = red * half, blue / half
    if tint is not None:
        change = _LESS_GREEN ** (tint - _tint(gains))
        others = 1.0 / (1.0 - _GREEN + _GREEN * change)
        red, green, blue = red * others, green * others * change, blue * others
    return [round(max(0.25, min(4.0, gain)), 4) for gain in (red, green, blue)]


def _warmth(gains: Sequence[float]) -> float:
    """How many steps of warmth shift red against blue as gains do, also beyond the slider's ends."""
    return math.log(float(gains[0]) / float(gains[2])) / math.log(_WARMER)


def _tint(gains: Sequence[float]) -> float:
    """The same of tint and green."""
    red, green, blue = (float(gain) for gain in gains)
    return math.log(green / math.sqrt(red * blue)) / math.log(_LESS_GREEN)


def _held(position: float) -> float:
    return float(max(-100, min(100, round(position))))
