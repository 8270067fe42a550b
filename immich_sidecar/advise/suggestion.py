"""What the adviser says: suggestions, and what they add up to."""

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

#: Confidence from which a suggestion is applied without being asked for.
APPLY_AT = 0.6
#: Confidence of every applied step from which a version may be approved by itself.
AUTO_APPROVE_AT = 0.9


class Suggestion(BaseModel):
    """One proposed operation."""

    model_config = ConfigDict(frozen=True)

    #: The operation's type, as `straighten`.
    operation: str
    #: Its parameters, as the operation's own model takes them.
    parameters: dict[str, Any]
    #: How sure the adviser is that people would do this, 0..1.
    confidence: float = Field(ge=0, le=1)
    #: Why, in words for the photo's owner.
    reason: str
    #: Whether it became part of the recipe.
    applied: bool = False


class Advice(BaseModel):
    """All suggestions for a photo."""

    model_config = ConfigDict(frozen=True)

    #: In the order in which they are carried out; those not applied are kept to be offered.
    suggestions: tuple[Suggestion, ...] = ()
    #: Why the photo needs nothing; None where something is applied.
    left_alone: str | None = None
    #: The part of their strength that is left of steps by what their owner likes; 0: not applied for it.
    taste: Mapping[str, float] = Field(default_factory=dict)


def ramp(value: float, low: float, high: float) -> float:
    """0 up to `low`, 1 from `high` on, a line between; turned round where `high` is the smaller."""
    return min(1.0, max(0.0, (value - low) / (high - low)))


def odds(probability: float, times: float) -> float:
    """The probability whose odds are so many times as high."""
    return probability * times / (1 - probability + probability * times)
