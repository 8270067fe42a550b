"""`tone`: black and white point, shadows, highlights, contrast."""

from dataclasses import replace

from pydantic import Field

from immich_sidecar.recipe.operation_type import OperationType, Parameters
from immich_sidecar.recipe.plan import Plan
from immich_sidecar.recipe.relative import Numbers


class ToneParameters(Parameters):
    """Five numbers from -100 to 100; 0 changes nothing.

    "Display scale" is the sRGB curve's 0..1 of a channel. Shadows and highlights change light by an amount
    that depends on the brightness of the surroundings (an edge-preserving mean), so texture keeps its
    contrast and hues stay; they come first. Black, white and contrast are one curve, applied to the largest
    and smallest channel with the middle one keeping its relative place.
    """

    #: -100: what lies at 15 % of the display scale becomes black; 100: black is lifted to 15 %.
    black: float = Field(0.0, ge=-100.0, le=100.0)
    #: 100: what lies at 75 % of the display scale becomes white; -100: white is lowered to 75 %.
    white: float = Field(0.0, ge=-100.0, le=100.0)
    #: 100 brightens the darkest surroundings by 2 EV, falling to none at half of the display scale.
    shadows: float = Field(0.0, ge=-100.0, le=100.0)
    #: 100 brightens surroundings at 70 % of the display scale by 0.8 EV, -100 darkens them by as much; less
    #: towards half and towards white (a quarter of it remains there).
    highlights: float = Field(0.0, ge=-100.0, le=100.0)
    #: The slope at middle grey (18 % of light) on the display scale is 2^(contrast/100); black and white
    #: keep their places.
    contrast: float = Field(0.0, ge=-100.0, le=100.0)


def _plan(parameters: ToneParameters, plan: Plan) -> Plan:
    return replace(plan, colour=replace(plan.colour, **parameters.model_dump()))


OPERATION = OperationType("tone", 80, ToneParameters, _plan, Numbers(ToneParameters))
