"""`denoise`: take noise away, brightness and colour apart."""

from dataclasses import replace

from pydantic import Field

from immich_sidecar.recipe.operation_type import OperationType, Parameters
from immich_sidecar.recipe.plan import Plan
from immich_sidecar.recipe.relative import Numbers


class DenoiseParameters(Parameters):
    """How strong the noise is that is to go.

    100 stands for noise of a standard deviation of 25.5 code values (of 255) at full size, so a measured
    deviation of s codes asks for 100 * s / 25.5. Previews at a smaller size scale it with themselves.
    """

    #: Noise in brightness, removed by dropping the small coefficients of a sliding cosine transform, on a scale on
    #: which the noise of a sensor is even.
    luma: float = Field(0.0, ge=0.0, le=100.0)
    #: Noise in colour, removed in the same way from the colour differences at half the size; finer colour stays
    #: where it is stronger than noise.
    chroma: float = Field(0.0, ge=0.0, le=100.0)


def _plan(parameters: DenoiseParameters, plan: Plan) -> Plan:
    return replace(plan, detail=replace(plan.detail, luma=parameters.luma, chroma=parameters.chroma))


OPERATION = OperationType("denoise", 100, DenoiseParameters, _plan, Numbers(DenoiseParameters))
