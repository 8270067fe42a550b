"""The look of a RAW file without a usable picture of the camera's: white set, the middle held, the rest as it is."""

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.analysis.measure.exposure import LUMINANCE
from immich_sidecar.analysis.measure.look.curve import Points, knots, neutral_curve, points_of

#: Part of the pixels, in percent, whose largest channel lies below what becomes white, and where that comes to lie.
_BRIGHT, _WHITE = 99.7, 0.95
#: Geometric mean luminance that white may lift the picture to, and below which it is lifted past white.
_MOST_KEY, _LEAST_KEY = 0.3, 0.08
#: Part of what is missing to that which is given, in stops, and the most of it.
_PART, _MOST_PAST = 0.35, 1.5
#: Stops that a RAW file may be brightened at most.
_MOST = 4.0
#: Contrast of the shadows: gentler than cameras', because nobody asked for it.
_TOE = 1.12


def neutral_look(linear: NDArray[np.float32]) -> tuple[float, Points]:
    """Exposure in EV and a curve.

    What is bright becomes white, unless the middle would be too bright then; a middle that stays dark is lifted a
    little further, and what passes white is rolled off. `linear` is HxWx3 scene-linear sRGB.
    """
    luminance = np.maximum(linear, 0) @ LUMINANCE
    key = 2 ** float(np.log2(luminance + 1e-4).mean())
    bright = float(np.percentile(np.maximum(linear, 0).max(axis=2), _BRIGHT)) + 1e-4
    baseline = min(float(np.log2(_WHITE / bright)), float(np.log2(_MOST_KEY / key)))
    baseline += float(np.clip(_PART * (np.log2(_LEAST_KEY / key) - baseline), 0.0, _MOST_PAST))
    # Lamps at night and the moon stay what they are: bright things may pass white by two stops, not more.
    baseline = round(float(np.clip(baseline, 0.0, min(_MOST, max(0.0, np.log2(4.0 / bright))))), 3)
    white = max(1.0, bright / _WHITE * 2**baseline)
    places = knots(2**baseline)
    return baseline, points_of(places, neutral_curve(places[1:-1], white, toe=_TOE))
