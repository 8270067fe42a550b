"""How a camera turned its RAW data into the picture it shows, as an exposure and one curve.

Every camera stores a small finished picture beside the RAW data. Pairs of (linear RAW value, displayed value) at the
same place give the curve: medians in bins, made monotone, drawn towards a neutral curve where there are few pairs.
Where the stored picture is missing, tiny, or shows something else, the neutral curve is used alone.
"""

from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from immich_sidecar.analysis.measure.exposure import LUMINANCE

#: Points of a curve.
_POINTS = 12
#: Size in pixels at which pairs are taken; small enough that misalignment hardly matters.
_GRID = 192
#: Pairs that weigh as much as the neutral curve does in one bin.
_PRIOR = 25.0
#: Stops that a RAW file may be brightened at most.
_MOST = 3.5
#: Rank correlation from which the stored picture is taken for the same scene.
_SAME_SCENE = 0.8


class LookSource(StrEnum):
    """Where a look comes from."""

    #: Pairs of pixels of the RAW data and the camera's own picture.
    PAIRS = "pairs"
    #: Distributions of both, where places do not match.
    DISTRIBUTION = "distribution"
    #: A neutral curve and a brightness found from the RAW data alone.
    NEUTRAL = "neutral"


class Look(BaseModel):
    """How scene-linear values become displayed ones."""

    model_config = ConfigDict(frozen=True)

    #: Exposure in EV before the curve.
    baseline_ev: float
    #: Points (scene-linear after `baseline_ev`, display-linear 0..1), both rising from (0, 0).
    tone_curve: tuple[tuple[float, float], ...]
    #: Where it comes from.
    source: LookSource
    #: Rank correlation -1..1 between RAW data and the camera's picture; None without one.
    similarity: float | None = None


def fit_look(linear: NDArray[np.float32], embedded: NDArray[np.uint8] | None) -> Look:
    """Find the look of a RAW file.

    Parameters
    ----------
    linear
        HxWx3 scene-linear sRGB of the RAW data, 1.0 where the sensor saturates.
    embedded
        The camera's picture, HxWx3 sRGB display values, or None.
    """
    if embedded is None or min(embedded.shape[:2]) < 64:
        return _neutral(linear, None)
    scene, shown, similarity = _align(linear, embedded)
    if similarity >= _SAME_SCENE:
        return _fit(scene, shown, LookSource.PAIRS, similarity)
    if similarity >= 0.4:
        return _fit(np.sort(scene.ravel()), np.sort(shown.ravel()), LookSource.DISTRIBUTION, similarity)
    return _neutral(linear, similarity)


def _align(
    linear: NDArray[np.float32], embedded: NDArray[np.uint8]
) -> tuple[NDArray[np.float32], NDArray[np.float32], float]:
    """Luminance of both at the same places, in the orientation and framing that match best, and how well."""
    display = embedded.astype(np.float32) / 255
    shown_linear = np.where(display <= 0.04045, display / 12.92, ((display + 0.055) / 1.055) ** 2.4)
    shown = (shown_linear @ LUMINANCE).astype(np.float32)
    scene = (np.maximum(linear, 0) @ LUMINANCE).astype(np.float32)
    best: tuple[NDArray[np.float32], NDArray[np.float32], float] | None = None
    for turns in (0, 2, 1, 3):
        turned = np.rot90(shown, turns)
        for framed in _framings(scene, turned.shape[1] / turned.shape[0]):
            size = _size(framed.shape)
            a, b = _grid(framed, size), _grid(turned, size)
            # Pairs at the border suffer from lens correction and from missing lines.
            margin = max(4, size[1] // 12), max(4, size[0] // 12)
            a, b = a[margin[0] : -margin[0], margin[1] : -margin[1]], b[margin[0] : -margin[0], margin[1] : -margin[1]]
            similarity = _rank_correlation(a, b)
            if best is None or similarity > best[2] + 0.02:
                best = a, b, similarity
        if best is not None and best[2] > 0.93:
            break
    if best is None:
        raise AssertionError("there is always at least one framing")
    return best


def _grid(image: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """Shrunk and blurred, so that places need not match exactly."""
    small = cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA)
    return np.asarray(cv2.GaussianBlur(small, (0, 0), 1.5), np.float32)


def _framings(scene: NDArray[np.float32], aspect: float) -> list[NDArray[np.float32]]:
    """The whole scene, and its middle cut to the aspect (width / height) of the other picture."""
    height, width = scene.shape
    if abs(width / height / aspect - 1) < 0.01:
        return [scene]
    if width / height > aspect:
        left = int((width - height * aspect) / 2)
        return [scene[:, left : width - left], scene] if left < width / 3 else [scene]
    top = int((height - width / aspect) / 2)
    return [scene[top : height - top], scene] if top < height / 3 else [scene]


def _size(shape: tuple[int, ...]) -> tuple[int, int]:
    scale = _GRID / max(shape)
    return max(32, round(shape[1] * scale)), max(32, round(shape[0] * scale))


def _rank_correlation(a: NDArray[np.float32], b: NDArray[np.float32]) -> float:
    """Spearman's correlation: the same for every rising curve between the two."""
    ranks = [np.argsort(np.argsort(v.ravel(), kind="stable"), kind="stable").astype(np.float64) for v in (a, b)]
    value = float(np.corrcoef(ranks[0], ranks[1])[0, 1])
    return value if np.isfinite(value) else 0.0


def _fit(scene: NDArray[np.float32], shown: NDArray[np.float32], source: LookSource, similarity: float) -> Look:
    """A curve through pairs of scene-linear and displayed luminance."""
    x, y = scene.ravel().astype(np.float64), shown.ravel().astype(np.float64)
    usable = (x > 2**-11) & (x < 0.9) & (y > 0.002) & (y < 0.97)
    if usable.sum() < 200:
        usable = (x > 2**-12) & (x < 1.0)
    if usable.sum() < 50:
        return _neutral(np.repeat(scene.reshape(-1, 1, 1), 3, axis=2).astype(np.float32), similarity)
    middle = usable & (y > 0.03) & (y < 0.6)
    ratio = np.median((y / x)[middle if middle.sum() > 100 else usable])
    baseline = float(np.clip(np.log2(ratio), -1.0, _MOST))
    x = x * 2**baseline
    end = 2**baseline
    knots = _knots(end)
    # In logarithms, as the eye sees it; the mean of a bin would be drawn by its brightest pixels.
    log_x, log_y = np.log2(x[usable]), np.log2(np.maximum(y[usable], 2e-4))
    inner = knots[1:-1]
    edges = np.concatenate([[-np.inf], (np.log2(inner[1:]) + np.log2(inner[:-1])) / 2, [np.inf]])
    place = np.searchsorted(edges, log_x) - 1
    prior = np.log2(np.maximum(neutral_curve(inner, end), 2e-4))
    counts, fitted = np.zeros(inner.size), prior.copy()
    for i in range(inner.size):
        inside = place == i
        counts[i] = inside.sum()
        if counts[i]:
            # Each pair moves along the diagonal to its knot, so that wide bins are not biased.
            fitted[i] = np.median(log_y[inside] + np.log2(inner[i]) - log_x[inside])
    # Where there are few pairs the neutral curve goes on from where the others end.
    known = counts >= _PRIOR
    index = np.arange(inner.size)
    shift = np.interp(index, index[known], (fitted - prior)[known]) if known.any() else np.zeros(inner.size)
    weights = counts + _PRIOR
    values = (counts * fitted + _PRIOR * (prior + shift)) / weights
    values = _rising(values, weights)
    shown_values = np.minimum(2**values, 0.995)
    curve = _curve(knots, shown_values)
    return Look(baseline_ev=round(baseline, 3), tone_curve=curve, source=source, similarity=round(similarity, 3))


def _neutral(linear: NDArray[np.float32], similarity: float | None) -> Look:
    """The neutral curve, with the brightness that puts the middle of the picture where people expect it."""
    luminance = np.maximum(linear, 0) @ LUMINANCE
    key = 2 ** float(np.log2(luminance + 1e-4).mean())
    bright = float(np.percentile(luminance, 99.5)) + 1e-4
    # The middle where people expect it; and light that was left unused, as far as the middle stays a middle.
    baseline = max(np.log2(0.15 / key), min(np.log2(0.9 / bright), np.log2(0.26 / key)))
    # Lamps at night and the moon stay what they are: bright things may pass white by two stops, not more.
    baseline = float(np.clip(baseline, 0.0, min(_MOST, max(0.0, np.log2(4.0 / bright)))))
    end = 2**baseline
    knots = _knots(end)
    curve = _curve(knots, neutral_curve(knots[1:-1], end))
    return Look(baseline_ev=round(baseline, 3), tone_curve=curve, source=LookSource.NEUTRAL, similarity=similarity)


def neutral_curve(x: NDArray[np.float64], white: float) -> NDArray[np.float64]:
    """A plain photographic curve: contrast below middle grey, a shoulder above that ends at `white`.

    `x` is scene-linear, the result display-linear 0..1; middle grey (0.18) stays. The shoulder is Reinhard's
    extended operator (2002), scaled; it fades away as the range above white does.
    """
    white = max(white, 1.0)

    def shoulder(v: NDArray[np.float64]) -> NDArray[np.float64]:
        return v * (1 + v / white**2) / (1 + v)

    amount = float(np.clip(np.log2(white), 0.0, 1.0))
    # Camera curves are about a third steeper than light in the shadows, less and less in the darkest.
    toe = 0.18 * (np.maximum(x, 1e-9) / 0.18) ** 1.3
    bent = np.where(x < 0.18, np.maximum(toe, 0.4 * x), x)
    gain = 0.18 / shoulder(np.array([0.18]))[0]
    # The gain that keeps grey is given back towards white.
    fade = np.clip(np.log2(np.maximum(bent, 1e-9) / 0.18) / np.log2(max(white, 1.01) / 0.18), 0.0, 1.0)
    curved = shoulder(bent) * gain ** (1 - fade)
    result: NDArray[np.float64] = np.clip(amount * curved + (1 - amount) * np.minimum(bent, 1.0), 0.0, 1.0)
    return result


def _knots(end: float) -> NDArray[np.float64]:
    """Places of the points: 0, then equal steps in stops, up to the brightest value there is."""
    return np.concatenate([[0.0], np.geomspace(end * 2**-8.5, end * 0.85, _POINTS - 2), [end]])


def _curve(knots: NDArray[np.float64], inner: NDArray[np.float64]) -> tuple[tuple[float, float], ...]:
    y = np.concatenate([[0.0], np.maximum.accumulate(np.clip(inner, 0.0, 1.0)), [1.0]])
    return tuple((round(float(a), 6), round(float(b), 6)) for a, b in zip(knots, y, strict=True))


def _rising(values: NDArray[np.float64], weights: NDArray[np.float64]) -> NDArray[np.float64]:
    """The nearest sequence that never falls (pool adjacent violators)."""
    blocks: list[list[float]] = []
    for value, weight in zip(values, weights, strict=True):
        blocks.append([value, weight, 1])
        while len(blocks) > 1 and blocks[-2][0] > blocks[-1][0]:
            last = blocks.pop()
            total = blocks[-1][1] + last[1]
            blocks[-1] = [
                (blocks[-1][0] * blocks[-1][1] + last[0] * last[1]) / total,
                total,
                blocks[-1][2] + last[2],
            ]
    return np.concatenate([np.full(int(n), value) for value, _, n in blocks])
