"""Whether the camera of a RAW file took the wrong light for white, as with a preset left from another day.

RAW data are better evidence than a picture: nothing is clipped for looks, the camera's own colours tell light of which
temperature it claims, and what is found can be held against lights that there are. The estimator of light is asked
again after each correction, in the camera's colours, because it is careful about large errors.
"""

import math

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from immich_sidecar.analysis.measure.exposure import LUMINANCE
from immich_sidecar.analysis.measure.light import Light, measure_light
from immich_sidecar.develop.camera import Camera
from immich_sidecar.recipe.light import SRGB_TO_XYZ, TINT_STEP, planckian_uv

#: How often the estimator is asked at most.
_ROUNDS = 4
#: Stops of colour below which nothing is wrong, and below which another round is not worth its time.
_NOTHING, _ENOUGH = 0.2, 0.06
#: The brightest parts come to lie here for the estimator, which knows finished pictures.
_BRIGHT = 0.95
#: The most that a confidence can be.
_MOST_SURE = 0.92
#: Mired of lamps and low sun, and of dusk and deep shade: from where light may be meant to be seen, to where mostly.
_WARM, _COOL = (1e6 / 4300, 1e6 / 3000), (1e6 / 9000, 1e6 / 13000)
#: Temperatures in kelvin between which a light is looked for.
_LOWEST, _HIGHEST = 1500.0, 15000.0


class RawWhite(BaseModel):
    """What the camera seems to have got wrong about the light."""

    model_config = ConfigDict(frozen=True)

    #: Factors of the camera's red, green and blue, on top of its white balance, that make grey things grey.
    gains: tuple[float, float, float]
    #: Size of the cast, in stops of the camera's red/green and blue/green.
    size: float
    #: How sure it is that the camera was wrong, 0..1.
    confidence: float
    #: How different the colours of the picture are (see `Light.variety`).
    variety: float
    #: Kelvin and tint (positive is greener) of the light that the camera claims, and of the one that is found.
    claimed: tuple[float, float] | None = None
    found: tuple[float, float] | None = None


def measure_raw_white(linear: NDArray[np.float32], camera: Camera) -> RawWhite | None:
    """Measure it; None where the estimator sees next to nothing.

    Parameters
    ----------
    linear
        HxWx3 scene-linear sRGB, white-balanced as shot, before any look.
    camera
        The colours of the camera.
    """
    step = max(1, max(linear.shape[:2]) // 512)
    to_camera = np.linalg.inv(camera.to_srgb)
    sensor = linear[::step, ::step] @ to_camera.T.astype(np.float32)
    light = np.ones(3)
    first: Light | None = None
    for _ in range(_ROUNDS):
        told = measure_light(_as_picture(np.asarray(sensor / light, np.float32), camera))
        size = math.hypot(*told.colour)
        if first is None:
            first = told
            if size < _NOTHING:
                return None
        cast = to_camera @ np.array([2 ** told.colour[0], 1.0, 2 ** told.colour[1]])
        light = np.clip(light * cast / cast[1], 0.25, 4.0)
        if size < _ENOUGH:
            break
    if first is None:
        return None
    gains = light[1] / light
    told_first, size = math.hypot(*first.colour), float(np.hypot(*np.log2(gains[[0, 2]])))
    claimed = found = None
    if camera.as_shot is not None:
        claimed, found = light_of(camera, camera.as_shot), light_of(camera, camera.as_shot * gains)
    certainty = told_first / max(0.05, math.hypot(*first.colour_deviation))
    sure = _MOST_SURE * _ramp(size, 0.18, 0.33) * _ramp(certainty, 0.6, 1.3) * _as_meant(claimed, found)
    return RawWhite(
        gains=(round(float(gains[0]), 4), 1.0, round(float(gains[2]), 4)),
        size=round(size, 3),
        confidence=round(sure, 3),
        variety=first.variety,
        claimed=claimed,
        found=found,
    )


def balanced(linear: NDArray[np.float32], camera: Camera, white: RawWhite) -> NDArray[np.float32]:
    """The picture with those gains, grey as bright as before."""
    matrix = camera.to_srgb @ np.diag(white.gains) @ np.linalg.inv(camera.to_srgb)
    matrix = matrix / float(LUMINANCE @ matrix @ np.ones(3))
    return np.asarray(linear @ matrix.T.astype(np.float32), np.float32)


def light_of(camera: Camera, multipliers: NDArray[np.float64]) -> tuple[float, float] | None:
    """Kelvin and tint of the light that a camera's multipliers make neutral; None where that cannot be told."""
    if camera.daylight is None:
        return None
    x, y, z = np.array(SRGB_TO_XYZ) @ camera.to_srgb @ (camera.daylight / multipliers)
    whole = x + 15 * y + 3 * z
    if min(x, y, z) <= 0:
        return None
    u, v = 4 * x / whole, 6 * y / whole
    mired = np.linspace(1e6 / _HIGHEST, 1e6 / _LOWEST, 301)
    places = np.array([planckian_uv(1e6 / m) for m in mired])
    gaps = np.hypot(places[:, 0] - u, places[:, 1] - v)
    at = int(gaps.argmin())
    above = math.copysign(1.0, v - places[at, 1])
    return round(1e6 / float(mired[at])), round(above * float(gaps[at]) / TINT_STEP, 1)


def _as_meant(claimed: tuple[float, float] | None, found: tuple[float, float] | None) -> float:
    """What remains of the confidence where light of that kind is usual, and may be meant to be seen."""
    if found is None or claimed is None:
        return 0.7
    before, after = 1e6 / claimed[0], 1e6 / found[0]
    kept = 1 - 0.6 * (_ramp(after, *_WARM) if after > before else _ramp(after, *_COOL))
    # A light far off the line of lamps and daylights is not taken in exchange for one that lies on it.
    return kept * _ramp(abs(found[1]) - abs(claimed[1]), 45.0, 15.0)


def _ramp(value: float, nothing: float, everything: float) -> float:
    return min(1.0, max(0.0, (value - nothing) / (everything - nothing)))


def _as_picture(sensor: NDArray[np.float32], camera: Camera) -> NDArray[np.float32]:
    picture = sensor @ camera.to_srgb.T.astype(np.float32)
    bright = float(np.percentile(picture.max(axis=2), 99.7))
    return np.asarray(np.clip(picture * np.float32(_BRIGHT / max(bright, 1e-4)), 0.0, 1.0), np.float32)
