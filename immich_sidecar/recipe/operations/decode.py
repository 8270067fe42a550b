"""`decode`: how a RAW file becomes a picture.

It holds what would otherwise be defaults of the program, so that a later default changes no old recipe. Files
that are pictures already (JPEG, HEIC, ...) have no such step.
"""

import math
from dataclasses import replace
from itertools import pairwise
from typing import Literal, Self

from pydantic import Field, model_validator

from immich_sidecar.recipe.operation_type import OperationType, Parameters
from immich_sidecar.recipe.plan import DecodePlan, Matrix, Plan


class DecodeParameters(Parameters):
    """The way from sensor values to display-linear pixels.

    Sensor values, black level subtracted and white balanced so that saturation is 1.0, become linear sRGB
    by the colour matrix, are multiplied by 2^`baseline_ev`, and go through `tone_curve`. The curve acts on
    the largest and the smallest of the three channels; the middle one keeps its relative place between them,
    so hues stay and highlights fade to white.
    """

    #: `as_shot`: the camera's measurement; `auto`: grey world by LibRaw; `daylight`: fixed multipliers.
    white_balance: Literal["as_shot", "auto", "daylight"] = "as_shot"
    #: `clip`: saturated channels make white; `blend` keeps the brightness of what is left of them, `reconstruct`
    #: also guesses their colour from the bright parts around; for sensors other than Bayer's: LibRaw's ways.
    highlight: Literal["clip", "blend", "reconstruct"] = "clip"
    #: Exposure before the curve, in EV.
    baseline_ev: float = Field(0.0, ge=-5.0, le=5.0)
    #: Points [scene-linear 0..16, display-linear 0..1], 2 to 64 of them, the first numbers rising, the second
    #: never falling; beyond the ends their values hold. Empty: a straight line, cut at 1.
    tone_curve: tuple[tuple[float, float], ...] = Field((), max_length=64)
    #: How the values of a Bayer sensor become colours: `best` finds more detail, `fast` takes a little less time.
    #: Absent means `best`. For other sensors LibRaw interpolates, in one pass or in three.
    demosaic: Literal["fast", "best"] = "best"
    #: White-balanced camera RGB to linear sRGB, rows first; null: what LibRaw knows of the camera.
    colour_matrix: Matrix | None = None

    @model_validator(mode="after")
    def _check(self) -> Self:
        points = self.tone_curve
        if len(points) == 1:
            raise ValueError("tone_curve needs no points or at least two")
        for (x0, y0), (x1, y1) in pairwise(points):
            if not (x0 < x1 and y0 <= y1):
                raise ValueError("the points of tone_curve must rise")
        if any(not (0.0 <= x <= 16.0 and 0.0 <= y <= 1.0) for x, y in points):
            raise ValueError("the points of tone_curve lie in 0..16 and 0..1")
        if self.colour_matrix and any(not (math.isfinite(v) and abs(v) <= 16) for r in self.colour_matrix for v in r):
            raise ValueError("the numbers of colour_matrix lie in -16..16")
        return self


def _plan(parameters: DecodeParameters, plan: Plan) -> Plan:
    return replace(
        plan,
        decode=DecodePlan(
            white_balance=parameters.white_balance,
            highlight=parameters.highlight,
            baseline_ev=parameters.baseline_ev,
            tone_curve=parameters.tone_curve,
            colour_matrix=parameters.colour_matrix,
            demosaic=parameters.demosaic,
        ),
    )


OPERATION = OperationType("decode", 10, DecodeParameters, _plan, is_of_photo=True)
