"""`upright`: make lines parallel that run together because the camera was tilted (perspective)."""

import math
from dataclasses import replace
from typing import Self

from pydantic import Field, model_validator

from immich_sidecar.recipe.operation_type import OperationType, Parameters
from immich_sidecar.recipe.plan import Plan, UprightPlan

#: Half of the diagonal of 36 x 24 mm.
_HALF_DIAGONAL = math.hypot(36.0, 24.0) / 2.0
#: Beyond this angle from the axis of the corrected view, in degrees, a picture is stretched without measure.
_WIDEST = 80.0


class UprightParameters(Parameters):
    """By how much the camera leaned when the picture was taken.

    The picture is shown as the camera would have seen it had it been turned back about its own place: by the
    length of (`vertical`, `horizontal`) about the one axis in the plane of the picture that they make up. What
    that leaves, together with `straighten`, is cut to the largest rectangle without empty corners.
    """

    #: Degrees; positive where the camera looked up, so that uprights run together towards the top.
    vertical: float = Field(0.0, ge=-30.0, le=30.0)
    #: Degrees; positive where it looked to the right of a wall's middle, so that its lines run together to the right.
    horizontal: float = Field(0.0, ge=-30.0, le=30.0)
    #: Focal length in mm as on 36 x 24 mm; it decides how much an angle changes, and that shapes stay true.
    focal_length_35mm: float = Field(35.0, ge=10.0, le=2000.0)

    @model_validator(mode="after")
    def _check(self) -> Self:
        field_of_view = math.degrees(math.atan(_HALF_DIAGONAL / self.focal_length_35mm))
        if field_of_view + math.hypot(self.vertical, self.horizontal) > _WIDEST:
            raise ValueError("vertical and horizontal are together too much for so short a focal length")
        return self


def _plan(parameters: UprightParameters, plan: Plan) -> Plan:
    if not (parameters.vertical or parameters.horizontal):
        return plan
    return replace(plan, geometry=replace(plan.geometry, upright=UprightPlan(**parameters.model_dump())))


OPERATION = OperationType("upright", 35, UprightParameters, _plan)
