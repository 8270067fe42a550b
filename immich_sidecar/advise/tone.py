"""Brightness and contrast: what is clearly too dark, too bright or veiled.

The surest sign of underexposure is light that was never used: no lamp, cloud, paper or reflection in the whole photo
comes near white. Dark photos that do reach white (night, stage, low key, silhouettes) were meant so, and are not
brightened.
"""

import math

from immich_sidecar.advise.suggestion import Suggestion, ramp
from immich_sidecar.analysis.analysis import Analysis
from immich_sidecar.analysis.measure.exposure import Exposure

#: Stops of headroom that good photos have.
_USUAL_HEADROOM = 0.15
#: A smaller correction is not worth a step.
_LEAST_EV = 0.4
#: A larger one brings up more noise than picture.
_MOST_EV = 3.0
#: Display value to which the veil of good photos reaches.
_USUAL_VEIL = 22.0


def suggest(analysis: Analysis) -> list[Suggestion]:
    """Exposure and tone."""
    exposure = analysis.exposure
    found = [s for s in (_brighter(exposure), _clearer(exposure), _darker(exposure)) if s is not None]
    # They answer the same question; the surest answers it alone.
    return sorted(found, key=lambda s: -s.confidence)[:1]


def _brighter(exposure: Exposure) -> Suggestion | None:
    """More light, as far as the brightest parts allow."""
    median, key = exposure.percentiles[3], exposure.key
    # Bright enough in the middle is bright enough: fog and high key keep their grey.
    room = min(exposure.headroom - _USUAL_HEADROOM, -1.4 - median, -1.7 - key, _MOST_EV)
    if room < _LEAST_EV:
        return None
    sure = ramp(exposure.headroom, 0.45, 1.05) * ramp(room, 0.2, 0.6)
    # Night, the moon, a stage: most of the frame is dark against its brightest parts.
    sure *= ramp(exposure.darkness, 0.65, 0.35)
    # Fog, haze, a faded print: where black is missing too, light alone makes it paler.
    sure *= ramp(exposure.veil, 50.0, 28.0)
    # A low sun, candles: bright parts that are deep yellow to red keep their dusk.
    sure *= 1 - 0.6 * ramp(exposure.warmth, 0.6, 0.9) * ramp(exposure.headroom, 2.4, 1.4)
    confidence = 0.93 * sure
    if confidence < 0.25:
        return None
    return Suggestion(
        operation="exposure",
        parameters={"ev": round(room, 2)},
        confidence=round(confidence, 3),
        reason=f"underexposed by about {room:.1f} stops: nothing in it comes near white",
    )


def _darker(exposure: Exposure) -> Suggestion | None:
    """Less light, where whites are burnt out and everything else is pale."""
    burnt = exposure.clipped[3]
    darkest, median = exposure.percentiles[1], exposure.percentiles[3]
    sure = ramp(burnt, 0.04, 0.15) * ramp(median, -1.9, -1.1) * ramp(darkest, -5.0, -3.6)
    ev = -round(min(1.5, max(0.0, (median + 2.3) * 0.6)), 2)
    confidence = 0.55 * sure
    if confidence < 0.25 or ev > -_LEAST_EV:
        return None
    return Suggestion(
        operation="exposure",
        parameters={"ev": ev},
        confidence=round(confidence, 3),
        reason=f"overexposed by about {-ev:.1f} stops: burnt-out parts and pale middle tones",
    )


def _clearer(exposure: Exposure) -> Suggestion | None:
    """Black where black is missing, white where white is missing."""
    lifted = exposure.veil - _USUAL_VEIL
    white = 255 * _encoded(2**-exposure.headroom)
    if lifted < 8 or white > 225:
        return None
    # Both ends unused means a veil. A fog has one too, and a snowfield, so this is offered and never applied.
    sure = ramp(lifted, 10, 30) * ramp(white, 228, 205) * ramp(exposure.percentiles[3], -0.8, -1.4)
    confidence = 0.58 * sure
    if confidence < 0.25:
        return None
    black = -min(100.0, lifted / 255 / 0.15 * 100)
    whiter = min(100.0, (1 - white / 250) / 0.25 * 100)
    return Suggestion(
        operation="tone",
        parameters={"black": round(black, 0), "white": round(max(0.0, whiter), 0)},
        confidence=round(confidence, 3),
        reason="flat: neither black nor white is used",
    )


def _encoded(linear: float) -> float:
    """Display value 0..1 of a linear one (sRGB)."""
    return linear * 12.92 if linear <= 0.0031308 else 1.055 * math.pow(linear, 1 / 2.4) - 0.055
