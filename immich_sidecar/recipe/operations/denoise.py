"""`denoise`: take noise away, brightness and colour apart."""

from dataclasses import replace

from pydantic import Field

from immich_sidecar.recipe.operation_type import OperationType, Parameters
from immich_sidecar.recipe.plan import DetailPlan, Plan


class DenoiseParameters(Parameters):
    """How strong the noise is that is to go.

    100 stands for noise of a standard deviation of 25.5 code values (of 255) at full size, so a measured
    deviation of s codes asks for 100 * s / 25.5. Previews at a smaller size scale it with themselves.
    """

    #: Noise in brightness, removed by a guided filter that keeps edges.
    luma: float = Field(0.0, ge=0.0, le=100.0)
    #: Noise in colour, removed by a Gaussian blur of the colour difference channels.
    chroma: float = Field(0.0, ge=0.0, le=100.0)


def _plan(parameters: DenoiseParameters, plan: Plan) -> Plan:
    return replace(plan, detail=DetailPlan(luma=parameters.luma, chroma=parameters.chroma))


OPERATION = OperationType("denoise", 100, DenoiseParameters, _plan)
