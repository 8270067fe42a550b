"""`crop`: keep a rectangle of the frame that orientation and straighten leave."""

from dataclasses import replace
from typing import Self

from pydantic import Field, model_validator

from immich_sidecar.recipe.operation_type import OperationType, Parameters
from immich_sidecar.recipe.plan import Plan

#: What rounding of fractions may add up to beyond the frame.
_SLACK = 1e-6


class CropParameters(Parameters):
    """The rectangle, in fractions of width and height, from the top left corner."""

    #: Left edge.
    x: float = Field(ge=0.0, lt=1.0)
    #: Top edge.
    y: float = Field(ge=0.0, lt=1.0)
    #: Width; `x + width` is at most 1.
    width: float = Field(gt=0.0, le=1.0)
    #: Height; `y + height` is at most 1.
    height: float = Field(gt=0.0, le=1.0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.x + self.width > 1.0 + _SLACK:
            raise ValueError("x + width must not exceed 1")
        if self.y + self.height > 1.0 + _SLACK:
            raise ValueError("y + height must not exceed 1")
        return self


def _plan(parameters: CropParameters, plan: Plan) -> Plan:
    p = parameters
    return replace(plan, geometry=replace(plan.geometry, crop=(p.x, p.y, p.width, p.height)))


OPERATION = OperationType("crop", 50, CropParameters, _plan)
