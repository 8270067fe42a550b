"""How a RAW file becomes a picture: the look that the camera gave its own."""

from immich_sidecar.advise.suggestion import Suggestion
from immich_sidecar.analysis.analysis import Analysis
from immich_sidecar.analysis.measure.look import LookSource

_REASONS = {
    LookSource.PAIRS: "RAW developed to the look of the camera's own picture",
    LookSource.DISTRIBUTION: "RAW developed to the brightness of the camera's own picture",
    LookSource.NEUTRAL: "RAW developed with a neutral curve: it holds no usable picture of the camera's",
}


def suggest(analysis: Analysis) -> Suggestion | None:
    """The decoding of a RAW file; always applied. None for files that are pictures already."""
    look = analysis.look
    if look is None:
        return None
    return Suggestion(
        operation="decode",
        parameters={
            "white_balance": "as_shot",
            "highlight": "clip",
            "baseline_ev": look.baseline_ev,
            "tone_curve": [list(point) for point in look.tone_curve],
        },
        confidence=1.0,
        reason=_REASONS[look.source],
    )
