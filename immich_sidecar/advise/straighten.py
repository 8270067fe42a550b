"""Turning a leaning photo level."""

from immich_sidecar.advise.suggestion import Suggestion, ramp
from immich_sidecar.analysis.analysis import Analysis

#: A smaller lean is not seen, and turning costs sharpness and borders.
_LEAST_DEGREES = 0.5
#: A larger one is mostly meant.
_MOST_DEGREES = 8.0
#: Below this confidence a lean is not even offered.
_WORTH_OFFERING = 0.3


def suggest(analysis: Analysis) -> Suggestion | None:
    """A turn, where the photo leans visibly and the estimators agree about it."""
    degrees, confidence = analysis.tilt.degrees, analysis.tilt.confidence
    if degrees is None or not _LEAST_DEGREES <= abs(degrees) <= _MOST_DEGREES:
        return None
    confidence *= 0.8 + 0.2 * ramp(abs(degrees), _LEAST_DEGREES, 1.0)
    if confidence < _WORTH_OFFERING:
        return None
    side = "left" if degrees > 0 else "right"
    what = (
        "horizon leans" if analysis.tilt.horizontal.confidence >= analysis.tilt.vertical.confidence else "uprights lean"
    )
    return Suggestion(
        operation="straighten",
        parameters={"degrees": round(degrees, 2)},
        confidence=round(confidence, 3),
        reason=f"{what} {abs(degrees):.1f} degrees {side}",
    )
