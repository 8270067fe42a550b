"""What was done to the light of a photo: its colour and its brightness, estimated from the picture alone.

Two small ensembles of networks answer, trained on photos that were spoilt by known amounts
(`tests/benchmarks/train_light.py`; `docs/judgement.md` has the photos, the figures and the limits). An ensemble says
how sure it is: each network tells a deviation, and networks that disagree tell another.

Where each channel was cut off, the level that it does not pass tells the light by a formula (`level_answer`), and to a
hundredth of a stop. So a network tells a third thing, how far to believe the formula, and that is what it answers.
"""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from immich_sidecar.analysis.measure.exposure import LUMINANCE
from immich_sidecar.analysis.measure.light_features import FLOOR, TOPS, light_features, vector

Array = NDArray[np.float32]

#: The weights, beside this file.
WEIGHTS = Path(__file__).with_name("light.npz")
#: Deviations from its mean at which a feature is held.
_MOST_DEVIATIONS = 4.0
#: By so much more lights may be warmer than shadows: the sun is, beside the shade of a blue sky.
_USUAL_GLOW = 0.1
#: Linear light below which a channel's level is taken for this.
_DARKEST_TOP = 1e-4
#: Deviations from nothing beyond which it makes no difference how many they are.
_FAR = 6.0


class Light(BaseModel):
    """What seems to have been done to a photo that came well out of a camera."""

    model_config = ConfigDict(frozen=True)

    #: Colour of the light that lies over it: log2 of red/green and blue/green that a grey thing shows.
    colour: tuple[float, float]
    #: Deviation of each.
    colour_deviation: tuple[float, float]
    #: How different the colours of the picture are (deviation, in the same stops); next to 0 where it has none, or a
    #: toning alone.
    variety: float
    #: EV by which it is too bright (negative: too dark).
    ev: float
    #: Deviation of it.
    ev_deviation: float
    #: By how many stops (red against blue, see `_glow`) the light parts are warmer than what lies over everything; 0 in
    #: analyses that were stored before it was measured.
    glow: float = 0.0
    #: Probability 0..1 that taking the colour, and the brightness, away makes the picture better.
    colour_confidence: float
    ev_confidence: float


class Weights(NamedTuple):
    """Everything that was learnt."""

    #: Mean and deviation of each feature, and which of them the brightness is told from.
    mean: Array
    deviation: Array
    brightness: NDArray[np.bool_]
    #: Linear estimate of the EV from those, and its constant.
    linear: Array
    #: Layers of the networks, each array with the network as its first index: matrix, constant, three times.
    colour: tuple[Array, ...]
    ev: tuple[Array, ...]
    #: Logistic curves of the confidence in colour and in brightness; see `confidence_terms`.
    colour_sure: Array
    ev_sure: Array


def measure_light(linear: NDArray[np.float32]) -> Light:
    """Estimate what was done to a picture.

    Parameters
    ----------
    linear
        HxWx3 linear sRGB, 0..1.
    """
    weights, features = _weights(), light_features(linear)
    row = vector(features)[None]
    mean, deviation = predict(weights, row)
    red, blue, ev = (float(v) for v in mean[0])
    red_deviation, blue_deviation, ev_deviation = (float(v) for v in deviation[0])
    colour_sure, ev_sure = confidence(weights, row, mean, deviation)
    return Light(
        colour=(round(red, 3), round(blue, 3)),
        colour_deviation=(round(red_deviation, 3), round(blue_deviation, 3)),
        variety=round(float(np.hypot(*features["deviation"])), 3),
        glow=round(_glow(features, red, blue), 3),
        ev=round(ev, 3),
        ev_deviation=round(ev_deviation, 3),
        colour_confidence=round(float(colour_sure[0]), 3),
        ev_confidence=round(float(ev_sure[0]), 3),
    )


def _glow(features: dict[str, NDArray[np.float64]], red: float, blue: float) -> float:
    """How much warmer the brightest parts are than the light that was told, or the lighter parts than the shadows.

    A cast lies over everything alike; a low sun, an evening sky and lamps are warm where it is bright.
    """
    shadows, _, *lights = (_warm(*pair) for pair in features["zones"].reshape(-1, 2))
    return max(_warm(*features["plateau_colour"]) - _warm(red, blue), max(lights) - shadows - _USUAL_GLOW)


def _warm(red: float, blue: float) -> float:
    return float(red - blue) / 2**0.5


def standardised(features: Array, mean: Array, deviation: Array) -> Array:
    """Features in deviations from their means."""
    return np.asarray(np.clip((features - mean) / deviation, -_MOST_DEVIATIONS, _MOST_DEVIATIONS), np.float32)


def predict(weights: Weights, features: Array) -> tuple[Array, Array]:
    """Means and deviations of (log2 red/green, log2 blue/green, EV), one row for each row of features."""
    x, level = standardised(features, weights.mean, weights.deviation), level_answer(features)
    colour, colour_deviation = _ensemble(weights.colour, x, level[:, :2])
    bright = x[:, weights.brightness]
    linear = bright @ weights.linear[:-1, None] + weights.linear[-1]
    ev, ev_deviation = _ensemble(weights.ev, np.concatenate([bright, 2 * linear], axis=1), level[:, 2:] - linear)
    mean = np.concatenate([colour, ev + linear], axis=1)
    return mean, np.concatenate([colour_deviation, ev_deviation], axis=1)


def level_answer(features: Array) -> Array:
    """(log2 red/green, log2 blue/green, EV) if the level that each channel does not pass was white once."""
    tops = np.log2(np.maximum(np.exp2(features[:, TOPS]) - FLOOR, _DARKEST_TOP))
    ev = np.log2(np.exp2(tops) @ LUMINANCE)
    return np.stack([tops[:, 0] - tops[:, 1], tops[:, 2] - tops[:, 1], ev], axis=1).astype(np.float32)


def confidence_terms(x: Array, mean: Array, deviation: Array) -> tuple[Array, Array]:
    """What the confidence in colour and in brightness depends on, one row for each; the first of each is 1.

    Parameters
    ----------
    x
        Standardised features.
    mean, deviation
        What was told of them.
    """
    ones = np.ones((len(x), 1), np.float32)
    red, blue, ev = mean.T
    size, spread, stops = np.hypot(red, blue), np.hypot(*deviation[:, :2].T), np.abs(ev)
    warm, magenta = (red - blue) / 2**0.5, (red + blue) / 2**0.5
    sizes = [np.log(size + 0.03), np.log(spread), size, 2 * red, 2 * blue, ev]
    # Each direction of a cast by itself: what is usual of daylight and lamps is not of green; and how far from nothing
    # in deviations.
    apart = [np.abs(warm), np.abs(magenta), np.maximum(warm, 0), np.maximum(magenta, 0)]
    apart += [np.log((size + 0.03) / spread) ** 2, np.minimum(size / spread, _FAR)]
    apart += [stops, np.minimum(stops / deviation[:, 2], _FAR)]
    both, unsure = np.stack(apart, axis=1), np.log(deviation)
    colour = np.concatenate([ones, np.stack(sizes, axis=1), both, unsure[:, :2], x], axis=1)
    bright = np.concatenate([ones, np.log(stops + 0.05)[:, None], mean[:, 2:] > 0, mean, both, unsure], axis=1)
    return colour.astype(np.float32), bright.astype(np.float32)


def confidence(weights: Weights, features: Array, mean: Array, deviation: Array) -> tuple[Array, Array]:
    """Probability that a step for the colour, and one for the brightness, brings a picture nearer to the truth."""
    x = standardised(features, weights.mean, weights.deviation)
    colour, bright = confidence_terms(x, mean, deviation)
    return _logistic(colour @ weights.colour_sure), _logistic(bright @ weights.ev_sure)


def _logistic(value: Array) -> Array:
    return np.asarray(1 / (1 + np.exp(-np.clip(value, -30, 30))), np.float32)


def save(weights: Weights, path: Path) -> None:
    """Write weights."""
    layers = {
        f"{name}_{i}": layer.astype(np.float16)
        for name in ("colour", "ev")
        for i, layer in enumerate(getattr(weights, name))
    }
    flat = {name: value for name, value in weights._asdict().items() if name not in {"colour", "ev"}}
    np.savez_compressed(path, **flat, **layers)


@lru_cache(maxsize=1)
def _weights() -> Weights:
    with np.load(WEIGHTS) as stored:
        return Weights(
            mean=stored["mean"],
            deviation=stored["deviation"],
            brightness=stored["brightness"],
            linear=stored["linear"],
            colour=tuple(stored[f"colour_{i}"].astype(np.float32) for i in range(6)),
            ev=tuple(stored[f"ev_{i}"].astype(np.float32) for i in range(6)),
            colour_sure=stored["colour_sure"],
            ev_sure=stored["ev_sure"],
        )


def _ensemble(layers: tuple[Array, ...], x: Array, level: Array) -> tuple[Array, Array]:
    """Mean and deviation of what the networks say; `level` is the answer of the formula, of each thing asked for."""
    values: Array = np.broadcast_to(x, (len(layers[0]), *x.shape))
    for matrix, constant in zip(layers[0:4:2], layers[1:4:2], strict=True):
        values = np.tanh(values @ matrix + constant[:, None])
    told, unsure, belief = np.split(values @ layers[4] + layers[5][:, None], 3, axis=2)
    mean, variance = told + _logistic(belief) * (level - told), np.exp(2 * np.clip(unsure, -4, 2))
    return mean.mean(axis=0), np.sqrt(variance.mean(axis=0) + mean.var(axis=0))
