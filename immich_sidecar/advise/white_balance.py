"""Colour casts that no light of the day explains.

Cameras remove casts themselves, and the warmth or coolness that they leave is mostly the hour's. What they get wrong
is green and magenta (lamps, mixed light, old film), which daylight, dusk and candles do not have. So only the part of
a cast across the line from blue to orange is ever applied; a blue or orange cast is offered, not applied.
"""

import math

from immich_sidecar.advise.suggestion import Suggestion, ramp
from immich_sidecar.analysis.analysis import Analysis

#: Share of a measured cast that is taken away; the rest may be the picture's own.
_AMOUNT = 0.9


def suggest(analysis: Analysis) -> Suggestion | None:
    """A white balance, where a cast is strong, agreed upon and explains the picture."""
    cast = analysis.cast
    if cast.light is None or analysis.exposure.darkness > 0.5:
        return None
    red, blue = cast.light
    # Along the line of daylights (warm is positive) and across it (magenta is positive).
    warm, magenta = (red - blue) / math.sqrt(2), (red + blue) / math.sqrt(2)
    common = (
        ramp(cast.disagreement, 0.34, 0.2)
        * ramp(cast.neutral, 0.02, 0.006)
        * ramp(cast.explained, 0.02, 0.05)
        * ramp(cast.explained_everywhere, 0.002, 0.01)
        * ramp(cast.colourful, 0.5, 0.25)
    )
    across = common * ramp(abs(magenta), 0.28, 0.42) * ramp(abs(warm), 0.8, 0.5) * ramp(abs(magenta), 1.2, 0.9)
    if across > 0.3:
        name = "magenta" if magenta > 0 else "green"
        shift = _AMOUNT * magenta / math.sqrt(2)
        return _gains(-shift, -shift, 0.85 * across, f"{name} cast over the whole picture")
    along = common * ramp(abs(warm), 0.45, 0.8) * ramp(cast.explained, 0.1, 0.3) * ramp(abs(warm), 1.5, 1.2)
    if along > 0.4:
        name = "orange" if warm > 0 else "blue"
        shift = 0.6 * warm / math.sqrt(2)
        return _gains(-shift, shift, 0.5 * along, f"{name} light over the whole picture")
    return None


def _gains(red_stops: float, blue_stops: float, confidence: float, reason: str) -> Suggestion:
    """Gains that move red and blue by as many stops and keep the brightness of grey."""
    red, blue = 2**red_stops, 2**blue_stops
    grey = 0.2126 * red + 0.7152 + 0.0722 * blue
    return Suggestion(
        operation="white_balance",
        parameters={"gains": [round(red / grey, 4), round(1 / grey, 4), round(blue / grey, 4)]},
        confidence=round(confidence, 3),
        reason=reason,
    )
