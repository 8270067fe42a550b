"""`orientation`: turn a picture by right angles, or mirror it, as a person wants it beyond what the camera noted."""

from dataclasses import replace

from pydantic import Field

from immich_sidecar.recipe.operation_type import OperationType, Parameters
from immich_sidecar.recipe.plan import Plan


class OrientationParameters(Parameters):
    """Eight ways to lay a picture; the original's own orientation is applied before."""

    #: Clockwise, in quarters of a full turn.
    quarter_turns: int = Field(0, ge=0, le=3)
    #: Whether left and right are exchanged, before it is turned.
    mirror: bool = False


def _plan(parameters: OrientationParameters, plan: Plan) -> Plan:
    p = parameters
    return replace(plan, geometry=replace(plan.geometry, quarter_turns=p.quarter_turns, mirror=p.mirror))


OPERATION = OperationType("orientation", 30, OrientationParameters, _plan)
