"""The same places in RAW data and in the camera's own picture of it.

The stored picture may be small, turned, cut to another aspect, or show a little less than the RAW data do (many
cameras cut 1 or 2 % off). Only its brightness is compared, by ranks, so that its look does not matter.
"""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from immich_sidecar.analysis.measure.exposure import LUMINANCE

Linear = NDArray[np.float32]

#: Longer side in pixels at which pairs are taken, and at which the turn of the picture is looked for.
_GRID, _COARSE = 224, 96
#: Deviation in pixels of the blur before pairs are taken, so that places need not match exactly.
_BLUR = 1.0
#: By how much the stored picture may be larger or smaller than the frame that it was taken for.
_MOST_SCALE = 0.05
#: How sure a window has to be of its shift, 0..1.
_RESPONSE = 0.08


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pixels of the RAW data and of the camera's picture."""

    #: Nx3 scene-linear, and Nx3 display-linear.
    scene: Linear
    shown: Linear
    #: For each pair, which of two halves of the picture (tiles of a chessboard) it lies in.
    half: NDArray[np.bool_]
    #: Rank correlation of their luminance, -1..1.
    similarity: float
    #: Correlation of their fine structure, -1..1: near 0 where light and dark agree by chance only.
    detail: float
    #: Quarter turns that lay the picture on the RAW data.
    turns: int


def pairs_of(linear: Linear, embedded: NDArray[np.uint8]) -> Pairs:
    """Pairs at the same places, in the orientation and framing that match best.

    Parameters
    ----------
    linear
        HxWx3 scene-linear sRGB.
    embedded
        The camera's picture, sRGB.
    """
    shown = _linear(embedded)
    turns, framing = _best_framing(linear, shown)
    turned = np.rot90(shown, turns)
    top, left, height, width = framing
    framed = linear[top : top + height, left : left + width]
    size = _size(framed.shape, _GRID)
    b = _shrunk(turned, size)
    a = _registered(framed, b, size)
    # Pairs at the border suffer from lens correction and from missing lines.
    inner = slice(max(3, size[1] // 16), -max(3, size[1] // 16)), slice(max(3, size[0] // 16), -max(3, size[0] // 16))
    a, b = _blurred(a)[inner], _blurred(b)[inner]
    y, x = np.mgrid[0 : a.shape[0], 0 : a.shape[1]]
    half = ((y // 12 + x // 12) % 2).astype(bool)
    light = np.maximum(a, 0) @ LUMINANCE, b @ LUMINANCE
    return Pairs(
        scene=a.reshape(-1, 3),
        shown=b.reshape(-1, 3),
        half=half.ravel(),
        similarity=rank_correlation(*light),
        detail=_correlation(*(_structure(v) for v in light)),
        turns=turns,
    )


def rank_correlation(a: NDArray[Any], b: NDArray[Any]) -> float:
    """Spearman's correlation: the same for every rising curve between the two."""
    ranks = [np.argsort(np.argsort(v.ravel(), kind="stable"), kind="stable").astype(np.float64) for v in (a, b)]
    return _correlation(ranks[0], ranks[1]) if min(float(np.ptp(v)) for v in (a, b)) > 1e-6 else 0.0


def _correlation(a: NDArray[Any], b: NDArray[Any]) -> float:
    with np.errstate(invalid="ignore", divide="ignore"):
        value = float(np.corrcoef(a.ravel(), b.ravel())[0, 1])
    return value if np.isfinite(value) else 0.0


def _structure(light: Linear) -> Linear:
    """What is lighter or darker than its surroundings, about evenly for light and dark places."""
    value = np.sqrt(light)
    return np.asarray(value - cv2.GaussianBlur(value, (0, 0), 4.0), np.float32)


@lru_cache(maxsize=1)
def _table() -> NDArray[np.uint16]:
    display = np.arange(256) / 255.0
    linear = np.where(display <= 0.04045, display / 12.92, ((display + 0.055) / 1.055) ** 2.4)
    return np.round(linear * 65535.0).astype(np.uint16)


def _linear(embedded: NDArray[np.uint8]) -> Linear:
    """The camera's picture in linear light, not larger than needed."""
    # One channel after the other keeps the table small enough for the processor's nearest memory.
    linear: NDArray[Any] = cv2.LUT(np.ascontiguousarray(embedded), _table())
    factor = max(1, max(linear.shape[:2]) // (2 * _GRID))
    if factor > 1:
        size = linear.shape[1] // factor, linear.shape[0] // factor
        cut = linear[: size[1] * factor, : size[0] * factor]
        linear = cv2.resize(cut, size, interpolation=cv2.INTER_AREA)
    return linear.astype(np.float32) / np.float32(65535.0)


def _best_framing(linear: Linear, shown: Linear) -> tuple[int, tuple[int, int, int, int]]:
    """Quarter turns of the picture, and top, left, height, width of the part of the RAW data that it shows."""
    scene = np.maximum(_shrunk(linear, _size(linear.shape, 2 * _COARSE)), 0) @ LUMINANCE
    light = shown @ LUMINANCE
    scale = linear.shape[0] / scene.shape[0], linear.shape[1] / scene.shape[1]
    best: tuple[float, int, tuple[int, int, int, int]] | None = None
    for turns in (0, 2, 1, 3):
        turned = np.rot90(light, turns)
        for top, left, height, width in _framings(scene.shape, turned.shape[1] / turned.shape[0]):
            size = _size((height, width), _COARSE)
            a = _blurred(_shrunk(scene[top : top + height, left : left + width], size))
            similarity = rank_correlation(a, _blurred(_shrunk(turned, size)))
            if best is None or similarity > best[0] + 0.02:
                place = round(top * scale[0]), round(left * scale[1]), round(height * scale[0]), round(width * scale[1])
                best = similarity, turns, place
        if best is not None and best[0] > 0.93:
            break
    if best is None:
        raise AssertionError("there is always at least one framing")
    return best[1], best[2]


def _framings(shape: tuple[int, ...], aspect: float) -> list[tuple[int, int, int, int]]:
    """The whole scene, and its middle cut to the aspect (width / height) of the other picture."""
    height, width = shape
    whole = 0, 0, height, width
    if abs(width / height / aspect - 1) < 0.01:
        return [whole]
    if width / height > aspect:
        left = int((width - height * aspect) / 2)
        return [(0, left, height, width - 2 * left), whole] if left < width / 3 else [whole]
    top = int((height - width / aspect) / 2)
    return [(top, 0, height - 2 * top, width), whole] if top < height / 3 else [whole]


def _registered(framed: Linear, shown: Linear, size: tuple[int, int]) -> Linear:
    """The scene, shrunk to `size`, moved and scaled a little so that it lies on the picture.

    The shift is measured in nine windows by phase correlation; a scale and a shift for each axis explain them.
    """
    small = _shrunk(framed, size)
    a = np.sqrt(np.maximum(small, 0) @ LUMINANCE)
    b = np.sqrt(shown @ LUMINANCE)
    edge = size[0] // 2, size[1] // 2
    window = cv2.createHanningWindow(edge, cv2.CV_32F)
    found = []
    for i in range(3):
        for j in range(3):
            y, x = (size[1] - edge[1]) * i // 2, (size[0] - edge[0]) * j // 2
            pieces = [np.ascontiguousarray(v[y : y + edge[1], x : x + edge[0]], np.float32) for v in (a, b)]
            if min(float(p.std()) for p in pieces) < 0.01:
                continue
            (dx, dy), response = cv2.phaseCorrelate(pieces[0], pieces[1], window)
            if response > _RESPONSE:
                found.append((x + edge[0] / 2 - size[0] / 2, y + edge[1] / 2 - size[1] / 2, dx, dy, response))
    if len(found) < 5:
        return small
    cx, cy, dx, dy, weight = np.array(found).T
    scale_x, shift_x = np.polyfit(cx, dx, 1, w=weight)
    scale_y, shift_y = np.polyfit(cy, dy, 1, w=weight)
    if max(abs(scale_x), abs(scale_y)) > _MOST_SCALE or max(abs(shift_x), abs(shift_y)) > _MOST_SCALE * max(size):
        return small
    # From places in `small` to places in the RAW data, which are finer.
    zoom = framed.shape[1] / size[0], framed.shape[0] / size[1]
    steps = (1 / (1 + scale_x), 1 / (1 + scale_y))
    middle = size[0] / 2, size[1] / 2
    left = middle[0] - (middle[0] + shift_x) * steps[0]
    top = middle[1] - (middle[1] + shift_y) * steps[1]
    fine = framed
    if zoom[0] >= 2:
        fine = _shrunk(framed, (2 * size[0], 2 * size[1]))
        zoom = 2.0, 2.0
    matrix = np.array(
        [
            [steps[0] * zoom[0], 0.0, (left + 0.5 * steps[0]) * zoom[0] - 0.5],
            [0.0, steps[1] * zoom[1], (top + 0.5 * steps[1]) * zoom[1] - 0.5],
        ]
    )
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    moved = np.asarray(cv2.warpAffine(fine, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE), np.float32)
    light = np.maximum(moved, 0) @ LUMINANCE
    return moved if rank_correlation(light, b) > rank_correlation(a, b) else small


def _size(shape: tuple[int, ...], edge: int) -> tuple[int, int]:
    scale = edge / max(shape[:2])
    return max(32, round(shape[1] * scale)), max(32, round(shape[0] * scale))


def _shrunk(image: Linear, size: tuple[int, int]) -> Linear:
    return np.asarray(cv2.resize(np.ascontiguousarray(image), size, interpolation=cv2.INTER_AREA), np.float32)


def _blurred(image: Linear) -> Linear:
    return np.asarray(cv2.GaussianBlur(image, (0, 0), _BLUR), np.float32)
