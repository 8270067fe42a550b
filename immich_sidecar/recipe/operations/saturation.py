"""`saturation`: more or less colour, evenly or where it is missing."""

from dataclasses import replace

from pydantic import Field

from immich_sidecar.recipe.operation_type import OperationType, Parameters
from immich_sidecar.recipe.plan import Plan
from immich_sidecar.recipe.relative import Numbers


class SaturationParameters(Parameters):
    """Two numbers from -100 to 100; 0 changes nothing.

    Chroma in OKLab is multiplied by (1 + `saturation`/100) * (1 + `vibrance`/100 * m^2 * (1 - 0.7 * s)); hue and
    lightness stay. m, how muted a colour is, falls from 1 at grey to 0 at chroma 0.3; s is 1 within 25 degrees of
    the hue of skin (48) and falls to 0 at 50 degrees. Where chroma would leave the colour space of the file, the
    factor is bent so that it ends at its border. Grey stays grey and white white.
    """

    #: -100: no colour; 100: twice the chroma.
    saturation: float = Field(0.0, ge=-100.0, le=100.0)
    #: The same for muted colours; vivid ones and skin change less.
    vibrance: float = Field(0.0, ge=-100.0, le=100.0)


def _plan(parameters: SaturationParameters, plan: Plan) -> Plan:
    return replace(plan, colour=replace(plan.colour, **parameters.model_dump()))


OPERATION = OperationType("saturation", 90, SaturationParameters, _plan, Numbers(SaturationParameters))
