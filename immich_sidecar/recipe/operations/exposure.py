"""`exposure`: brighter or darker, as if more or less light had been let in."""

from dataclasses import replace

from pydantic import Field

from immich_sidecar.recipe.operation_type import OperationType, Parameters
from immich_sidecar.recipe.plan import Plan


class ExposureParameters(Parameters):
    """By how much.

    Linear light is multiplied by 2^`ev`; when brightening, what would pass 0.8 of full white is rolled off
    so that white stays white and nothing is cut. Darkening by the same amount is the exact inverse.
    """

    #: Exposure in EV (stops); positive brightens.
    ev: float = Field(ge=-5.0, le=5.0)


def _plan(parameters: ExposureParameters, plan: Plan) -> Plan:
    return replace(plan, colour=replace(plan.colour, ev=parameters.ev))


OPERATION = OperationType("exposure", 70, ExposureParameters, _plan)
