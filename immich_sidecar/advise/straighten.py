"""Turning a leaning photo level."""

from immich_sidecar.advise.suggestion import Suggestion, ramp
from immich_sidecar.analysis.analysis import Analysis

#: A smaller lean is not seen, and turning costs sharpness and borders.
_LEAST_DEGREES = 0.6
#: A larger one is mostly meant.
_MOST_DEGREES = 8.0
#: From so many degrees on a lean is rarer than among the photos that the judge has learnt from, where every lean was as
#: frequent; and what is left of the odds for it at the most.
_RARE_DEGREES, _RARE = 3.0, 0.5
#: How much more a wrong turn counts than a right one.
_CAUTION = 0.3
#: Below this confidence a lean is not even offered.
_WORTH_OFFERING = 0.3
#: Share of the evidence from which a lean is told of the uprights.
_UPRIGHTS = 0.6


def suggest(analysis: Analysis) -> Suggestion | None:
    """A turn, where the photo leans visibly and the estimators agree about it."""
    tilt = analysis.tilt
    degrees = tilt.degrees
    if degrees is None or not _LEAST_DEGREES <= abs(degrees) <= _MOST_DEGREES:
        return None
    rarity = 1.0 - (1.0 - _RARE) * ramp(abs(degrees), _RARE_DEGREES, _MOST_DEGREES)
    likely = rarity * tilt.confidence / (1.0 - (1.0 - rarity) * tilt.confidence)
    # A wrong turn is worse than none, and what is hardly seen has to be surer still.
    confidence = likely - _CAUTION * (1 - likely)
    confidence *= 0.8 + 0.2 * ramp(abs(degrees), _LEAST_DEGREES, 1.2)
    if confidence < _WORTH_OFFERING:
        return None
    side = "left" if degrees > 0 else "right"
    what = "uprights lean" if tilt.by_uprights >= _UPRIGHTS else "horizon leans"
    return Suggestion(
        operation="straighten",
        parameters={"degrees": round(degrees, 2)},
        confidence=round(confidence, 3),
        reason=f"{what} {abs(degrees):.1f} degrees {side}",
    )
