"""Colour casts: what the estimator of light tells, where it may be sure.

Cameras remove casts themselves, and the warmth or coolness that they leave is mostly the hour's. So a step needs more
than a colour: the estimator's confidence counts good photos as nearly three in four, and evening, lamps and night are
left as they were meant, unless the picture tells nearly exactly what was done to it.
"""

import math

from immich_sidecar.advise.faces import face_light, guarded
from immich_sidecar.advise.suggestion import Suggestion, ramp
from immich_sidecar.analysis.analysis import Analysis
from immich_sidecar.analysis.measure.exposure import LUMINANCE, Exposure
from immich_sidecar.analysis.measure.light import Light

#: A smaller cast, in stops of red/green and blue/green, is not worth a step.
LEAST = 0.12
#: A larger one was not made by a camera that erred.
_MOST = 1.6
#: Below this confidence a step is not even offered.
_WORTH_OFFERING = 0.25
#: Deviation of colours below which a picture has none of its own.
_NO_COLOURS = 0.12
#: Stops by which the light parts of a picture are warmer than what lies over everything, from which on that is taken
#: for the scene's own light, and wholly; and the least part of a magenta that is warm in the pink of a sky.
_GLOW, _PINK = (0.8, 1.25), 0.3
#: Mean saturation from which on, and to which, hardly anything in a picture is pale; a warm cast makes more of it by
#: itself, as it takes from blue, of which there is least.
_NOT_PALE, _NOT_PALE_IF_WARM = (0.75, 0.85), (0.85, 0.95)
#: Deviation of the colour of the light, in stops, up to which it is known whatever the scene is like, and from which on
#: the scene explains it.
_KNOWN = (0.12, 0.15)
#: A green that is so many times as much as its warmth or coolness. No hour of the day is that, and no toning.
_GREEN = 1.5
#: Share of dark pixels from which on, and to which, so little is lit that a green may be the lamp's own.
_LITTLE_LIT = (0.8, 0.7)


def suggest(analysis: Analysis) -> Suggestion | None:
    """A white balance, where a cast is seen and known for one."""
    light = analysis.light
    if light is None:
        return None
    red, blue = light.colour
    warm, magenta = _directions(light)
    green = is_green(light)
    if not LEAST <= math.hypot(red, blue) <= _MOST or (light.variety < _NO_COLOURS and not green):
        # Without colours it is black and white, and a toning of that, brown or blue, is a choice.
        return None
    sure = light.colour_confidence
    if green:
        # No hour of the day is green; but a lamp in the dark may be, and what is dark shows no cast.
        sure *= ramp(analysis.exposure.darkness, *_LITTLE_LIT)
    else:
        sure *= _as_meant(analysis.exposure, light, warm, magenta)
    if sure < _WORTH_OFFERING:
        return None
    is_across = abs(magenta) > abs(warm)
    name = {True: ("green", "magenta"), False: ("blue", "orange")}[is_across][(magenta if is_across else warm) > 0]
    step = Suggestion(
        operation="white_balance",
        parameters={"gains": [round(gain, 4) for gain in gains(red, blue)]},
        confidence=round(min(0.97, sure), 3),
        reason=f"{name} cast over the whole picture",
    )
    return guarded(step, face_light(analysis))


def gains(red: float, blue: float) -> tuple[float, float, float]:
    """Gains that make a surface neutral which shows red/green and blue/green of so many stops; grey stays as bright."""
    raised = (2**-red, 1.0, 2**-blue)
    grey = sum(float(weight) * gain for weight, gain in zip(LUMINANCE, raised, strict=True))
    return raised[0] / grey, raised[1] / grey, raised[2] / grey


def _as_meant(exposure: Exposure, light: Light, warm: float, magenta: float) -> float:
    """What remains of the confidence where light of that kind is usual: 1 where it is not."""
    # Where hardly anything is pale, the scene itself may be of one colour: a lit screen, a stage, a painted wall.
    kept = 1 - 0.4 * ramp(exposure.saturation, *(_NOT_PALE_IF_WARM if warm > abs(magenta) else _NOT_PALE))
    if warm > abs(magenta):
        # A low sun, lamps, candles: the brightest parts are deep yellow to red.
        kept *= 1 - 0.7 * ramp(exposure.warmth, 0.75, 0.95)
    if warm > _PINK * abs(magenta):
        # An evening sky, a low sun on sand: yellow to pink where it is light, not over everything.
        kept *= 1 - 0.7 * ramp(light.glow, *_GLOW)
    # What was cut off before the light was changed tells by how much, and no scene does that.
    kept = 1 - (1 - kept) * ramp(math.hypot(*light.colour_deviation), *_KNOWN)
    # Night, a stage: most of the frame is dark against its brightest parts.
    return kept * ramp(exposure.darkness, 0.6, 0.4)


def is_green(light: Light) -> bool:
    """Whether the light that was told is green, rather than warm, cool or magenta."""
    warm, magenta = _directions(light)
    return -magenta > _GREEN * abs(warm)


def _directions(light: Light) -> tuple[float, float]:
    """Stops along the line of daylights (warm is positive) and across it (magenta is positive)."""
    red, blue = light.colour
    return (red - blue) / math.sqrt(2), (red + blue) / math.sqrt(2)
