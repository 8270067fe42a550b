"""`straighten`: turn a leaning picture level, and cut it to the largest rectangle without empty corners."""

from dataclasses import replace

from pydantic import Field

from immich_sidecar.recipe.operation_type import OperationType, Parameters
from immich_sidecar.recipe.plan import Plan
from immich_sidecar.recipe.relative import Numbers


class StraightenParameters(Parameters):
    """By how much to turn."""

    #: Degrees; positive turns the picture clockwise, which lifts the left end of a horizon.
    degrees: float = Field(ge=-45.0, le=45.0)


def _plan(parameters: StraightenParameters, plan: Plan) -> Plan:
    return replace(plan, geometry=replace(plan.geometry, degrees=parameters.degrees))


OPERATION = OperationType("straighten", 40, StraightenParameters, _plan, Numbers(StraightenParameters))
