"""`exposure`: brighter or darker, as if more or less light had been let in."""

from dataclasses import replace

from pydantic import Field

from immich_sidecar.recipe.operation_type import OperationType, Parameters
from immich_sidecar.recipe.plan import Plan
from immich_sidecar.recipe.relative import Numbers


class ExposureParameters(Parameters):
    """By how much.

    Linear light is multiplied by 2^`ev`; when brightening, what would pass 0.8 of full white is rolled off
    so that nothing up to `brightest` is cut. Darkening by the same amount is the exact inverse.
    """

    #: Exposure in EV (stops); positive brightens.
    ev: float = Field(ge=-5.0, le=5.0)
    #: The brightest light in the picture, as a part of full white in linear light: the roll-off leads it to white.
    #: A dark picture that holds nothing brighter than 0.3 needs no roll-off to be brightened by 1.7 EV. None is 1.
    brightest: float | None = Field(None, ge=0.01, le=1.0)


def _plan(parameters: ExposureParameters, plan: Plan) -> Plan:
    brightest = 1.0 if parameters.brightest is None else parameters.brightest
    return replace(plan, colour=replace(plan.colour, ev=parameters.ev, brightest=brightest))


OPERATION = OperationType(
    "exposure", 70, ExposureParameters, _plan, Numbers(ExposureParameters), of_photo=frozenset({"brightest"})
)
