"""`white_balance`: take a colour cast away, or put one in."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from immich_sidecar.recipe.light import NEUTRAL_KELVIN, gains_of
from immich_sidecar.recipe.operation_type import OperationType, Parameters
from immich_sidecar.recipe.plan import Plan

Gain = Annotated[float, Field(ge=0.25, le=4.0)]


class WhiteBalanceParameters(Parameters):
    """Either a colour temperature with a tint, or gains.

    `temperature` names the light that the picture, as it is, is taken to be balanced away from: 6500 K with
    tint 0 changes nothing, more makes it warmer, less cooler. It is relative: a RAW file's as-shot white
    counts as 6500 K too. The change is a Bradford adaptation from that light (Planckian locus, tint measured
    across it) to that of 6500 K and keeps the brightness of grey. `gains` multiply linear sRGB red, green and
    blue as they stand: a surface that is grey but shows as (1/r, 1/g, 1/b) becomes neutral. Clipped white
    stays white.
    """

    #: Kelvin.
    temperature: float | None = Field(None, ge=2000.0, le=15000.0)
    #: -100 (greener) to 100 (more magenta); 100 is 1/30 in CIE 1960 uv, across the Planckian locus.
    tint: float | None = Field(None, ge=-100.0, le=100.0)
    #: Red, green, blue.
    gains: tuple[Gain, Gain, Gain] | None = None
    #: `camera`: the gains are those of a RAW file's own red, green and blue, on top of its white balance, which is how
    #: a camera's error is undone; grey stays as bright. Without it, or in a file of another kind: of linear sRGB.
    space: Literal["camera"] | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        by_light = self.temperature is not None or self.tint is not None
        if by_light == (self.gains is not None):
            raise ValueError("give either temperature and tint, or gains")
        if self.space is not None and self.gains is None:
            raise ValueError("space belongs to gains")
        return self


def _plan(parameters: WhiteBalanceParameters, plan: Plan) -> Plan:
    if parameters.gains is not None:
        of_camera = parameters.space == "camera"
        return replace(plan, colour=replace(plan.colour, gains=parameters.gains, gains_of_camera=of_camera))
    temperature = 6500.0 if parameters.temperature is None else parameters.temperature
    tint = parameters.tint or 0.0
    return replace(plan, colour=replace(plan.colour, temperature=temperature, tint=tint))


class _Shifts:
    """Balances one after the other: temperatures add up in mired, tints as they are, gains are multiplied.

    Of two that are written differently both are written as gains, in the camera's own colours where one of them is: a
    look shifts those by about as much as the colours of the picture.
    """

    def scaled(self, values: Mapping[str, Any], factor: float) -> dict[str, Any] | None:
        """The balance at part of its way from neutral."""
        if values.get("gains"):
            return _gains([float(gain) ** factor for gain in values["gains"]], values)
        mired, tint = _light(values)
        return _by_light(mired * factor, tint * factor)

    def added(self, base: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
        """Both balances."""
        return self._joined(base, values, 1) or {"temperature": NEUTRAL_KELVIN, "tint": 0.0}

    def beyond(self, values: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any] | None:
        """The balance that leads from one to the other."""
        return self._joined(values, base, -1)

    @staticmethod
    def _joined(one: Mapping[str, Any], other: Mapping[str, Any], sign: int) -> dict[str, Any] | None:
        if not one.get("gains") and not other.get("gains"):
            (mired, tint), (more, tint_more) = _light(one), _light(other)
            return _by_light(mired + sign * more, tint + sign * tint_more)
        pairs = zip(_as_gains(one), _as_gains(other), strict=True)
        return _gains([first * second**sign for first, second in pairs], one, other)


def _light(values: Mapping[str, Any]) -> tuple[float, float]:
    """Warmth in mired (0 is neutral, more is warmer) and tint."""
    kelvin = values.get("temperature") or NEUTRAL_KELVIN
    return 1e6 / NEUTRAL_KELVIN - 1e6 / kelvin, values.get("tint") or 0.0


def _by_light(mired: float, tint: float) -> dict[str, Any] | None:
    left = 1e6 / NEUTRAL_KELVIN - mired
    kelvin = min(15000.0, max(2000.0, 1e6 / left)) if left > 0 else 15000.0
    kelvin, tint = round(kelvin, 1), round(min(100.0, max(-100.0, tint)), 3)
    if kelvin == NEUTRAL_KELVIN and not tint:
        return None
    return {"temperature": kelvin, "tint": tint}


def _as_gains(values: Mapping[str, Any]) -> tuple[float, float, float]:
    if values.get("gains"):
        red, green, blue = values["gains"]
        return float(red), float(green), float(blue)
    return gains_of(values.get("temperature") or NEUTRAL_KELVIN, values.get("tint") or 0.0)


def _gains(values: list[float], *origins: Mapping[str, Any]) -> dict[str, Any] | None:
    held = [round(min(4.0, max(0.25, value)), 5) for value in values]
    space = {"space": "camera"} if any(origin.get("space") for origin in origins) else {}
    return None if all(value == 1.0 for value in held) else {"gains": held, **space}


OPERATION = OperationType("white_balance", 60, WhiteBalanceParameters, _plan, _Shifts())
