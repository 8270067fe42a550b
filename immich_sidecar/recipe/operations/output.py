"""`output`: the file that a version is written to."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Literal

from pydantic import Field, model_validator

from immich_sidecar.recipe.operation_type import OperationType, Parameters
from immich_sidecar.recipe.plan import OutputPlan, Plan

#: Quality where none is given, by format; measured to be hard to tell from the picture at full size.
USUAL_QUALITY = {"jpeg": 92, "small": 85, "heic": 60, "avif": 80, "jxl": 90}


class OutputParameters(Parameters):
    """Format, quality, size and colour space of the file.

    A recipe without this step makes a JPEG of the usual quality, as large as the picture, in the colour space of
    the original. HEIC, JPEG XL and TIFF hold more than 8 bits where the original has more.
    """

    #: `jpeg`: 4:4:4, by libjpeg; `small`: a JPEG by jpegli, 4:2:0; `heic`, `avif`, `jxl`: lossy; `tiff16`: 16 bits.
    format: Literal["jpeg", "small", "heic", "avif", "jxl", "tiff16"] = "jpeg"
    #: 1 to 100 in the sense of the format; filled in where it is not given. None for `tiff16`, which loses nothing.
    quality: int | None = Field(None, ge=1, le=100)
    #: Pixels that the longer side has at most; a smaller picture is not enlarged; 0: as large as it is.
    longest_edge: int = Field(0, ge=0, le=65500)
    #: `keep`: the original's colour space; `srgb`; `p3`: Display P3. Colours outside are cut.
    profile: Literal["keep", "srgb", "p3"] = "keep"

    @model_validator(mode="before")
    @classmethod
    def _fill_in(cls, data: Any) -> Any:
        """Write the usual quality down, so that another usual one changes no old recipe."""
        if not isinstance(data, Mapping):
            return data
        wanted = data.get("format", "jpeg")
        if wanted == "tiff16":
            return {**data, "quality": None}
        if data.get("quality") is None:
            return {**data, "quality": USUAL_QUALITY.get(wanted) if isinstance(wanted, str) else None}
        return data


def _plan(parameters: OutputParameters, plan: Plan) -> Plan:
    return replace(plan, output=OutputPlan(**parameters.model_dump()))


OPERATION = OperationType("output", 120, OutputParameters, _plan)
