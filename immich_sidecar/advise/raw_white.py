"""The white of a RAW file, where the camera was wrong about the light.

What the camera measured is trusted unless the evidence is strong: a large cast that the estimator is sure of, that no
light of the hour explains, and that leads to a light which there is.
"""

import math

from immich_sidecar.advise.suggestion import Suggestion, ramp
from immich_sidecar.analysis.analysis import Analysis
from immich_sidecar.analysis.measure.raw_white import RawWhite

#: Deviation of colours below which a picture has none of its own (see `advise.white_balance`).
_NO_COLOURS = 0.12
#: Below this confidence a step is not even offered.
_WORTH_OFFERING = 0.25


def suggest(analysis: Analysis) -> Suggestion | None:
    """A white balance on the camera's own colours."""
    white = analysis.raw_white
    if white is None or white.variety < _NO_COLOURS:
        return None
    # Night, a stage: what is lit shows the colour of its lamps.
    sure = white.confidence * ramp(analysis.exposure.darkness, 0.7, 0.5)
    if sure < _WORTH_OFFERING:
        return None
    return Suggestion(
        operation="white_balance",
        parameters={"gains": list(white.gains), "space": "camera"},
        confidence=round(sure, 3),
        reason=_reason(white),
    )


def _reason(white: RawWhite) -> str:
    red, _, blue = (math.log2(gain) for gain in white.gains)
    warm, magenta = (blue - red) / 2, -(blue + red) / 2
    across = abs(magenta) > abs(warm)
    name = {True: ("green", "magenta"), False: ("blue", "orange")}[across][(magenta if across else warm) > 0]
    told = ""
    if white.claimed is not None and white.found is not None and not across:
        told = f": it took {white.claimed[0]:.0f} K for white, the light was about {white.found[0]:.0f} K"
    return f"the camera left a {name} cast over the whole picture{told}"
