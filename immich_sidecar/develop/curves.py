"""The one-dimensional functions of colour: exposure, tone curve, black, white, contrast.

All take and return `float64` arrays. "Linear" is light with full white 1.0, "display" the sRGB curve of it.
"""

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.recipe.plan import ColourPlan, DecodePlan

Curve = NDArray[np.float64]

#: Where the roll-off of highlights begins, in linear light.
KNEE = 0.8
#: 18 % of light on the display scale.
MIDDLE_GREY = 0.46135612950044164
#: The parts of the display scale that `tone.black` and `tone.white` move at 100.
BLACK_REACH, WHITE_REACH = 0.15, 0.25
#: EV that `tone.shadows` and `tone.highlights` add at 100 where they act most.
SHADOWS_EV, HIGHLIGHTS_EV = 2.0, 0.8
#: What is left of the effect of `tone.highlights` at white.
_HIGHLIGHTS_AT_WHITE = 0.25


def display_curve(linear: Curve) -> Curve:
    """IEC 61966-2-1; values outside 0..1 are clipped."""
    x = np.clip(linear, 0.0, 1.0)
    return np.where(x <= 0.0031308, 12.92 * x, 1.055 * np.power(x, 1 / 2.4) - 0.055)


def linear_curve(display: Curve) -> Curve:
    """The inverse of `display_curve`."""
    x = np.clip(display, 0.0, 1.0)
    return np.where(x <= 0.04045, x / 12.92, np.power((x + 0.055) / 1.055, 2.4))


def exposure_curve(linear: Curve, ev: float, top: float = 1.0, brightest: float = 1.0) -> Curve:
    """Linear light times 2^ev, with 0 keeping its place.

    Brightening is a plain product up to `KNEE` and a hyperbola of the same slope from there on, which leads what
    is `brightest` (as a part of `top`) to `top`; where the product does not lead it beyond, there is no hyperbola.
    Darkening is the inverse function of brightening by the same amount.
    """
    gain = 2.0 ** abs(ev)
    if ev == 0.0:
        return linear
    product: Curve = linear * gain
    knee = KNEE * top
    # u counts from the knee in units of the room above it; at the end of the range it is `last`.
    last = (gain * top * brightest - knee) / (top - knee)
    if last <= 1.0:
        return np.minimum(product, top) if ev > 0 else np.asarray(linear / gain)
    bend = 1.0 - 1.0 / last
    if ev > 0:
        u = np.maximum(product - knee, 0.0) / (top - knee)
        rolled: Curve = knee + (top - knee) * u / (1.0 + bend * u)
        return np.where(product <= knee, product, np.minimum(rolled, top))
    t = np.clip((linear - knee) / (top - knee), 0.0, 1.0)
    unrolled: Curve = np.where(linear <= knee, linear, knee + (top - knee) * t / (1.0 - bend * t))
    return np.asarray(unrolled / gain)


def exposure_numbers(ev: float, brightest: float = 1.0) -> tuple[float, float, float]:
    """`exposure_curve` for light up to 1, as factors before and after a hyperbola of this bend.

    With y = light * before and u = max(y - `KNEE`, 0) / (1 - `KNEE`), light becomes what is left below 1 of
    (min(y, `KNEE`) + (1 - `KNEE`) * u / (1 + bend * u)) * after.
    """
    gain = 2.0 ** abs(ev)
    last = (gain * brightest - KNEE) / (1.0 - KNEE)
    bend = 1.0 - 1.0 / last if last > 1.0 else 0.0
    return (gain, 1.0, bend) if ev > 0 else (1.0, 1.0 / gain, -bend)


def tone_curve(linear: Curve, points: tuple[tuple[float, float], ...]) -> Curve:
    """A smooth curve through points that rises wherever they do; beyond them the end values hold.

    Cubic Hermite pieces with the slopes of Fritsch and Butland (1984), which do not overshoot. No points:
    the identity up to 1.
    """
    if not points:
        return np.clip(linear, 0.0, 1.0)
    x, y = np.array(points, np.float64).T
    h, rise = np.diff(x), np.diff(y) / np.diff(x)
    slopes = np.empty_like(x)
    slopes[0], slopes[-1] = rise[0], rise[-1]
    if len(x) > 2:
        w0, w1 = 2.0 * h[1:] + h[:-1], h[1:] + 2.0 * h[:-1]
        product = rise[:-1] * rise[1:]
        with np.errstate(divide="ignore", invalid="ignore"):
            mean = (w0 + w1) / (w0 / rise[:-1] + w1 / rise[1:])
        slopes[1:-1] = np.where(product > 0, mean, 0.0)
    inside = np.clip(linear, x[0], x[-1])
    i = np.clip(np.searchsorted(x, inside, side="right") - 1, 0, len(h) - 1)
    t = (inside - x[i]) / h[i]
    t2, t3 = t * t, t * t * t
    value: Curve = (2 * t3 - 3 * t2 + 1) * y[i] + (t3 - 2 * t2 + t) * h[i] * slopes[i]
    value = value + (3 * t2 - 2 * t3) * y[i + 1] + (t3 - t2) * h[i] * slopes[i + 1]
    clipped: Curve = np.clip(value, 0.0, 1.0)
    return clipped


def scene_to_display(linear: Curve, ev: float, decode: DecodePlan | None, top: float, brightest: float = 1.0) -> Curve:
    """Exposure, and for RAW the baseline and the tone curve: linear light in, display-linear 0..1 out."""
    exposed = exposure_curve(linear, ev, top, brightest)
    if decode is None:
        return np.clip(exposed, 0.0, 1.0)
    return tone_curve(exposed * 2.0**decode.baseline_ev, decode.tone_curve)


def black_white_contrast(linear: Curve, colour: ColourPlan) -> Curve:
    """Black point, white point and contrast, on the display scale; linear light in and out."""
    if not (colour.black or colour.white or colour.contrast):
        return linear
    v = display_curve(linear)
    black = BLACK_REACH * colour.black / 100.0
    v = black + v * (1.0 - black) if black > 0 else np.maximum(v + black, 0.0) / (1.0 + black)
    white = WHITE_REACH * colour.white / 100.0
    v = np.minimum(v / (1.0 - white), 1.0) if white > 0 else v * (1.0 + white)
    power = 2.0 ** (colour.contrast / 100.0)
    if power != 1.0:
        grey = MIDDLE_GREY
        low = grey * np.power(np.minimum(v, grey) / grey, power)
        high = 1.0 - (1.0 - grey) * np.power((1.0 - np.maximum(v, grey)) / (1.0 - grey), power)
        v = np.where(v < grey, low, high)
    return linear_curve(v)


def local_gain(base: Curve, colour: ColourPlan) -> Curve:
    """The factor that `shadows` and `highlights` ask for where the surroundings have display value `base`."""
    shadow = 1.0 - _smooth(base / 0.5)
    bright = _smooth((base - 0.35) / 0.35)
    bright = bright * (1.0 - (1.0 - _HIGHLIGHTS_AT_WHITE) * _smooth((base - 0.7) / 0.3))
    ev = SHADOWS_EV * colour.shadows / 100.0 * shadow + HIGHLIGHTS_EV * colour.highlights / 100.0 * bright
    gain: Curve = np.exp2(ev)
    return gain


def _smooth(x: Curve) -> Curve:
    t = np.clip(x, 0.0, 1.0)
    return t * t * (3.0 - 2.0 * t)
