"""How a RAW file becomes a picture: the look that the camera gave its own."""

from typing import Any

from immich_sidecar.advise.suggestion import Suggestion, ramp
from immich_sidecar.analysis.analysis import Analysis
from immich_sidecar.analysis.measure.look import LookSource

#: EV by which a camera's exposure may differ from what is expected and be right; and from where it is wrong.
_METERED = 0.4, 1.6

_REASONS = {
    LookSource.PAIRS: "RAW developed to the look of the camera's own picture",
    LookSource.DISTRIBUTION: "RAW developed to the brightness of the camera's own picture",
    LookSource.NEUTRAL: "RAW developed with a neutral curve: it holds no usable picture of the camera's",
}


def beside_the_camera(step: Suggestion) -> Suggestion:
    """A step of brightness for a RAW file that looks as its camera showed it, less sure the smaller it is.

    Cameras meter well: what is less than a stop or so away is their rendering, or was meant.
    """
    ev = abs(float(step.parameters.get("ev", 0.0)))
    return step.model_copy(update={"confidence": round(step.confidence * ramp(ev, *_METERED), 3)})


def suggest(analysis: Analysis) -> Suggestion | None:
    """The decoding of a RAW file; always applied. None for files that are pictures already."""
    look = analysis.look
    if look is None:
        return None
    parameters: dict[str, Any] = {
        "white_balance": look.white_balance,
        "highlight": "clip",
        "demosaic": "best",
        "baseline_ev": look.baseline_ev,
        "tone_curve": [list(point) for point in look.tone_curve],
    }
    if look.colour_matrix is not None:
        parameters["colour_matrix"] = [list(row) for row in look.colour_matrix]
    return Suggestion(
        operation="decode",
        parameters=parameters,
        confidence=1.0,
        reason=_REASONS[look.source],
    )
