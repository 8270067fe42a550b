"""What every kind of operation declares: its name, place, parameters, and what it asks of the engine."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict

from immich_sidecar.recipe.plan import Plan
from immich_sidecar.recipe.relative import WHOLE, Relative


class Parameters(BaseModel):
    """Base of the parameters of an operation: immutable, without unknown keys, without NaN or infinity."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


@dataclass(frozen=True)
class OperationType:
    """One kind of operation."""

    #: The word in recipes.
    name: str
    #: Place in the canonical order: decode 10, lens 20, orientation 30, straighten 40, crop 50,
    #: white_balance 60, exposure 70, tone 80, colour 90, parts of the picture 98, denoise 100, sharpen 110, output 120.
    order: int
    #: The model that validates its parameters.
    parameters: type[Parameters]
    #: Adds what validated parameters ask for to a plan.
    plan: Callable[[Any, Plan], Plan]
    #: How its parameters are weakened, strengthened and added to others, as part of a look.
    relative: Relative = WHOLE
    #: Whether it speaks of this one photo, and so is no part of a look.
    is_of_photo: bool = False
    #: Parameters that speak of this one photo, where the operation as a whole does not.
    of_photo: frozenset[str] = frozenset()
