"""Brightness and contrast: what is clearly too dark, too bright or veiled.

The estimator of light tells by how much; its confidence counts good photos as three in five. Night, stage, low key and
low sun were meant dark, snow, fog and high key bright: whatever the estimator says, they are left as they are.
"""

import math

from immich_sidecar.advise import faces, white_balance
from immich_sidecar.advise.suggestion import APPLY_AT, Suggestion, odds, ramp
from immich_sidecar.analysis.analysis import Analysis
from immich_sidecar.analysis.measure.exposure import LUMINANCE, Exposure
from immich_sidecar.analysis.measure.light import Light

#: A smaller correction is not worth a step.
LEAST_EV = 0.25
#: A larger one brings up more noise than picture.
_MOST_EV = 3.0
#: Below this confidence a step is not even offered.
_WORTH_OFFERING = 0.25
#: Display value to which the veil of good photos reaches.
_USUAL_VEIL = 22.0
#: In good photos the brightest light comes to white: where the estimator tells nearly that, both are believed.
_NEARLY_EV = 0.25
#: What remains of the confidence in little more light, and the EV between which that ends: many a good photo is a
#: little darker than most.
_LITTLE, _LITTLE_EV = 0.5, (0.5, 0.8)
#: Where a green is taken away the picture is not as it was meant, and no good photo is in doubt: how many times as high
#: the odds are that light is missing. That counts one picture in four as well exposed, in place of three in five.
_SPOILT_ODDS = 4.0
#: What is burnt out does not come back, so darkening gains less than it seems to.
_DARKER = 0.7
#: Room above the brightest light that was seen on the small picture; single pixels are brighter at full size.
_ROOM = 1.1


def suggest(analysis: Analysis) -> list[Suggestion]:
    """Exposure and tone."""
    exposure = analysis.exposure
    told = None if analysis.light is None else _told(analysis, analysis.light)
    seen = faces.face_light(analysis)
    told = None if told is None else faces.weighed(told, seen)
    found = [s for s in (told, _clearer(exposure), faces.in_the_shade(seen)) if s is not None]
    # They answer the same question; the surest answers it alone.
    return sorted(found, key=lambda s: -s.confidence)[:1]


def _told(analysis: Analysis, light: Light) -> Suggestion | None:
    """More light or less, as the estimator tells, after a cast is taken away."""
    balance = white_balance.suggest(analysis)
    if balance is None or balance.confidence < APPLY_AT:
        return _exposed(analysis.exposure, light, analysis.exposure.headroom, is_spoilt=False)
    # White under that light comes to rest at its luminance; what was measured is its largest channel.
    red, blue = light.colour
    white = (2**red, 1.0, 2**blue)
    luminance = sum(float(weight) * channel for weight, channel in zip(LUMINANCE, white, strict=True))
    room = analysis.exposure.headroom + math.log2(max(white) / luminance)
    return _exposed(analysis.exposure, light, room, is_spoilt=white_balance.is_green(light))


def _exposed(exposure: Exposure, light: Light, room: float, *, is_spoilt: bool) -> Suggestion | None:
    """More light only as far as the brightest parts allow.

    Parameters
    ----------
    room
        Stops between the brightest light and full white.
    is_spoilt
        Whether the colour of the light tells that the picture is not as it was meant.
    """
    ev = thought = max(-_MOST_EV, min(_MOST_EV, -light.ev))
    if ev > 0:
        most, agree = min(room, _MOST_EV), abs(ev - room) < max(_NEARLY_EV, light.ev_deviation)
        ev, thought = ((ev + most) / 2, most) if agree else (min(ev, most), min(ev, most))
    if abs(thought) < LEAST_EV:
        return None
    sure = odds(light.ev_confidence, _SPOILT_ODDS) if is_spoilt else light.ev_confidence
    sure *= _not_meant_dark(exposure) if ev > 0 else _not_meant_bright(exposure)
    if ev > 0 and not is_spoilt:
        sure *= _LITTLE + (1 - _LITTLE) * ramp(thought, *_LITTLE_EV)
    if sure < _WORTH_OFFERING:
        return None
    parameters = {"ev": round(ev, 2)}
    if ev > 0:
        # What is as dark as that needs no roll-off: white comes to rest where it was.
        parameters["brightest"] = round(min(1.0, max(0.01, _ROOM * 2**-room)), 3)
        parameters = {k: v for k, v in parameters.items() if v != 1.0 or k == "ev"}
    why = "underexposed" if ev > 0 else "overexposed"
    more = ": nothing in it comes near white" if ev > 0 and exposure.headroom > 0.5 else ""
    return Suggestion(
        operation="exposure",
        parameters=parameters,
        confidence=round(min(0.97, sure), 3),
        reason=f"{why} by about {abs(ev):.1f} stops{more}",
    )


def _not_meant_dark(exposure: Exposure) -> float:
    """What remains of the confidence in more light: 1 where nothing says that the darkness was meant."""
    # Night, the moon, a stage: most of the frame is dark against its brightest parts.
    kept = ramp(exposure.darkness, 0.75, 0.45)
    # Fog, haze, a faded print: where black is missing too, light alone makes it paler.
    kept *= ramp(exposure.veil, 50.0, 28.0)
    # A low sun, candles, an evening sky: bright parts that are deep yellow to red keep their dusk, if they come as near
    # to white as what shines itself does.
    return kept * (1 - 0.6 * ramp(exposure.warmth, 0.6, 0.9) * ramp(exposure.headroom, 1.8, 1.2))


def _not_meant_bright(exposure: Exposure) -> float:
    """What remains of the confidence in less light: 1 where nothing says that the brightness was meant."""
    # Without anything burnt out it is snow, fog or high key, and darkening it makes it grey.
    return _DARKER * ramp(exposure.clipped[3], 0.005, 0.03)


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
