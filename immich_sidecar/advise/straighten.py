"""Turning a leaning photo level."""

from immich_sidecar.advise.suggestion import Suggestion, odds, ramp
from immich_sidecar.analysis.analysis import Analysis

#: A smaller lean is not seen, and turning costs sharpness and borders.
_LEAST_DEGREES = 0.6
#: A larger one is mostly meant.
_MOST_DEGREES = 8.0
#: From so many degrees on a lean is rarer than among the photos that the judge has learnt from, which were turned to 3
#: to 5 and 5 to 8 degrees as often as to less; and the power of the degrees with which it becomes so. Of 252 photos of
#: COCO that tell their level, 105 lean by 0.6 to 3 degrees, 10 by 3 to 5 and 4 by 5 to 8 (`tilt_truth.csv`); those who
#: ask for a turn have more.
_RARE_DEGREES, _RARER = 3.0, 2.0
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
    likely = odds(tilt.confidence, min(1.0, _RARE_DEGREES / abs(degrees)) ** _RARER)
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
