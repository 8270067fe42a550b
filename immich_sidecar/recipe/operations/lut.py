"""`lut`: send the finished colours through a table (`.cube`)."""

import re
from dataclasses import replace
from typing import Annotated

from pydantic import AfterValidator, Field

from immich_sidecar.recipe.operation_type import OperationType, Parameters
from immich_sidecar.recipe.plan import NamedLut, Plan
from immich_sidecar.recipe.relative import Amount

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


def _digest(value: str) -> str:
    if not _SHA256.match(value):
        raise ValueError("a SHA-256 is 64 lower-case hexadecimal digits")
    return value


class LutParameters(Parameters):
    """Which table, and how much of it.

    The table maps red, green and blue of the picture as sRGB shows it (0..1) to the same. Between its points it is
    interpolated in tetrahedra. The recipe names it by its digest, so that no other can ever take its place; the
    table itself lies beside the recipes.
    """

    #: SHA-256 of the table in its normal form (`develop.cube`), 64 hexadecimal digits.
    sha256: Annotated[str, AfterValidator(_digest)]
    #: What people call it; it decides nothing.
    name: str = Field("", max_length=100)
    #: 0: the picture as it is; 100: as the table says; between the two a mixture of display values.
    strength: float = Field(100.0, ge=0.0, le=100.0)


def _plan(parameters: LutParameters, plan: Plan) -> Plan:
    lut = NamedLut(parameters.sha256, parameters.strength / 100.0, parameters.name)
    return replace(plan, lut=lut if parameters.strength > 0 else None)


OPERATION = OperationType("lut", 97, LutParameters, _plan, Amount("strength"))
