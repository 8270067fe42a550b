"""`sharpen`: make fine detail clearer."""

from dataclasses import replace

from pydantic import Field

from immich_sidecar.recipe.operation_type import OperationType, Parameters
from immich_sidecar.recipe.plan import Plan
from immich_sidecar.recipe.relative import Amount


class SharpenParameters(Parameters):
    """By how much.

    Luma is moved away from its own Gaussian blur; red, green and blue move by the same, so colours stay. No pixel
    gets much lighter or darker than the lightest and the darkest of its neighbours, so edges have no halos.
    Previews and smaller outputs scale the radius with themselves.
    """

    #: 0 changes nothing; 100 adds twice the difference to the blurred picture.
    amount: float = Field(ge=0.0, le=100.0)
    #: Standard deviation of the blur, in pixels at full size.
    radius: float = Field(1.0, ge=0.3, le=5.0)
    #: The deviation of the noise that is not to be sharpened, measured like `denoise.luma`: 100 stands for 25.5
    #: code values of 255. Smaller differences than twice of it are mostly left as they are.
    threshold: float = Field(4.0, ge=0.0, le=100.0)


def _plan(parameters: SharpenParameters, plan: Plan) -> Plan:
    p = parameters
    sharpened = replace(plan.detail, sharpen=p.amount, sharpen_radius=p.radius, sharpen_threshold=p.threshold)
    return replace(plan, detail=sharpened)


OPERATION = OperationType("sharpen", 110, SharpenParameters, _plan, Amount("amount", adds=True))
