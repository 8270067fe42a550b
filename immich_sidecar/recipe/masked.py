"""Steps that change a part of the picture: where it is, how softly it ends, and what happens there.

A mask lies in the recipe itself, so that it is replayed without the model that found it.
"""

from dataclasses import replace
from typing import Any, Self

from pydantic import Field, model_validator

from immich_sidecar.recipe.operation_type import OperationType, Parameters
from immich_sidecar.recipe.plan import LocalPlan, Plan
from immich_sidecar.recipe.relative import Numbers
from immich_sidecar.recipe.run_lengths import read

#: Columns and rows of a mask, and characters of its text, at most: edges are refined by the picture itself.
LARGEST_GRID, LONGEST_TEXT = 1024, 24_000
#: Place in the canonical order: on finished colours, before noise removal.
ORDER = 98


class MaskParameters(Parameters):
    """Where something is, on a grid over the whole original as its camera noted its orientation."""

    #: Columns and rows.
    width: int = Field(gt=0, le=LARGEST_GRID)
    height: int = Field(gt=0, le=LARGEST_GRID)
    #: Run lengths down the columns, outside first; see `recipe.run_lengths`.
    counts: str = Field(max_length=LONGEST_TEXT)

    @model_validator(mode="after")
    def _check(self) -> Self:
        read(self.counts, self.width, self.height)
        return self


class MaskedParameters(Parameters):
    """What happens inside the mask; light and colour outside stay.

    The mask is softened by `feather`, and its edge is drawn to those of the picture near it (a guided filter; He, Sun
    and Tang 2013). Light changes by `ev` in the dark and ever less towards white, which stays white: linear light x
    becomes g x / (1 + (g - 1) x), g = 2^ev, x being the largest of red, green and blue, which change by the same
    factor. Then each moves from their luminance, or towards it, by `saturation` percent, as far as none is cut.
    """

    mask: MaskParameters
    #: EV, in the dark parts.
    ev: float = Field(0.0, ge=-2.0, le=2.0)
    #: -100: no colour; 100: twice as far from grey.
    saturation: float = Field(0.0, ge=-100.0, le=100.0)
    #: 0: as sharp as the mask; 100: softened by a deviation of 3 % of the picture's longer side.
    feather: float = Field(20.0, ge=0.0, le=100.0)


def masked(name: str, *, outside: bool = False) -> OperationType:
    """A kind of step that works inside a mask, or outside of it."""

    def plan(parameters: Any, whole: Plan) -> Plan:
        p: MaskedParameters = parameters
        if not p.ev and not p.saturation:
            return whole
        mask = p.mask
        part = LocalPlan(
            width=mask.width,
            height=mask.height,
            runs=read(mask.counts, mask.width, mask.height),
            is_outside=outside,
            feather=p.feather / 100.0,
            ev=p.ev,
            saturation=p.saturation / 100.0,
        )
        return replace(whole, local=(*whole.local, part))

    return OperationType(name, ORDER, MaskedParameters, plan, Numbers(MaskedParameters), is_of_photo=True)
