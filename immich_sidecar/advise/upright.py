"""Making uprights parallel that run together; offered only, never done unasked."""

from math import atan, cos, degrees, hypot, radians, sin

from immich_sidecar.advise.suggestion import Suggestion
from immich_sidecar.analysis.analysis import Analysis

#: The camera's angle, in degrees, below which converging is not seen and from which it is meant.
_LEAST_DEGREES, _MOST_DEGREES = 1.5, 15.0
#: Below this confidence it is not even offered.
_WORTH_OFFERING = 0.4
#: Confidence of the surest suggestion: below what is applied, for looking up may well be meant.
_MOST_CONFIDENCE = 0.55
#: Focal length in mm as on 36 x 24 mm where none is known; uprights become parallel with any, it only shapes the
#: picture.
_FOCAL_LENGTH = 35.0
#: Diagonal of 36 x 24 mm.
_DIAGONAL = hypot(36.0, 24.0)


def suggest(analysis: Analysis) -> Suggestion | None:
    """A correction of the perspective, where many uprights meet in one point not too far away."""
    tilt, facts = analysis.tilt, analysis.facts
    if tilt.convergence_confidence < _WORTH_OFFERING:
        return None
    focal_length = min(200.0, max(14.0, analysis.focal_length_35mm or _FOCAL_LENGTH))
    focal = focal_length / _DIAGONAL * hypot(facts.width, facts.height) / max(facts.width, facts.height)
    pitch = degrees(atan(tilt.convergence * focal))
    if not _LEAST_DEGREES <= abs(pitch) <= _MOST_DEGREES:
        return None
    # Uprights meet above the middle of the leaning picture, not above that of the frame.
    lean = radians(tilt.degrees or 0.0)
    where = "the top" if pitch > 0 else "the bottom"
    return Suggestion(
        operation="upright",
        parameters={
            "vertical": round(pitch * cos(lean), 2),
            "horizontal": round(-pitch * sin(lean), 2),
            "focal_length_35mm": round(focal_length, 1),
        },
        confidence=round(_MOST_CONFIDENCE * min(1.0, tilt.convergence_confidence), 3),
        reason=f"uprights run together towards {where} (camera {abs(pitch):.0f} degrees off level)",
    )
