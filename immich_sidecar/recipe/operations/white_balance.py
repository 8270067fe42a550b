"""`white_balance`: take a colour cast away, or put one in."""

from dataclasses import replace
from typing import Annotated, Self

from pydantic import Field, model_validator

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

    @model_validator(mode="after")
    def _check(self) -> Self:
        by_light = self.temperature is not None or self.tint is not None
        if by_light == (self.gains is not None):
            raise ValueError("give either temperature and tint, or gains")
        return self


def _plan(parameters: WhiteBalanceParameters, plan: Plan) -> Plan:
    if parameters.gains is not None:
        return replace(plan, colour=replace(plan.colour, gains=parameters.gains))
    temperature = 6500.0 if parameters.temperature is None else parameters.temperature
    tint = parameters.tint or 0.0
    return replace(plan, colour=replace(plan.colour, temperature=temperature, tint=tint))


OPERATION = OperationType("white_balance", 60, WhiteBalanceParameters, _plan)
