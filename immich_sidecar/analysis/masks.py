"""Masks as run lengths: small enough to keep with a photo, exact enough to develop by.

Recipes hold them in the same form (`recipe.run_lengths`); here they meet arrays and boxes.
"""

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.analysis.findings import Box, Mask
from immich_sidecar.recipe import run_lengths


def encode(inside: NDArray[np.bool_]) -> Mask:
    """The mask that is true where the array is, shape (height, width)."""
    if inside.ndim != 2 or inside.dtype != np.bool_:
        raise ValueError(f"a mask of shape (height, width) and bool, not {inside.shape} {inside.dtype}")
    height, width = inside.shape
    down = inside.T.ravel()
    turns = np.flatnonzero(down[1:] != down[:-1]) + 1
    first = [0, 0] if down.size and down[0] else [0]
    runs = np.diff(np.concatenate([first, turns, [down.size]]))
    return Mask(width=width, height=height, counts=run_lengths.written(runs.tolist()))


def decode(mask: Mask) -> NDArray[np.bool_]:
    """The grid of a mask, shape (height, width), true inside.

    Raises
    ------
    ValueError
        If its text is no run lengths, or not those of a grid of that size.
    """
    runs = _runs(mask)
    values = np.zeros(len(runs), np.bool_)
    values[1::2] = True
    down = np.repeat(values, runs)
    return np.ascontiguousarray(down.reshape(mask.width, mask.height).T)


def area(mask: Mask) -> float:
    """The share of the photo inside the mask, 0 to 1."""
    return float(_runs(mask)[1::2].sum()) / (mask.width * mask.height)


def bounding_box(mask: Mask) -> Box | None:
    """The smallest box around everything inside; None where nothing is."""
    inside = decode(mask)
    columns = np.flatnonzero(inside.any(axis=0))
    rows = np.flatnonzero(inside.any(axis=1))
    if not len(columns):
        return None
    return Box(
        x=float(columns[0]) / mask.width,
        y=float(rows[0]) / mask.height,
        width=float(columns[-1] + 1 - columns[0]) / mask.width,
        height=float(rows[-1] + 1 - rows[0]) / mask.height,
    )


def coverage(mask: Mask, width: int, height: int) -> NDArray[np.float32]:
    """How far each cell of another grid lies inside, 0 to 1, shape (height, width).

    Averaged where the grid is coarser than the mask's own, interpolated linearly where it is finer.
    """
    import cv2

    inside = decode(mask).astype(np.float32)
    for axis, size in ((1, width), (0, height)):
        target = (size, inside.shape[0]) if axis == 1 else (inside.shape[1], size)
        method = cv2.INTER_AREA if size < inside.shape[axis] else cv2.INTER_LINEAR
        inside = np.asarray(cv2.resize(inside, target, interpolation=method), np.float32).reshape(target[::-1])
    return inside


def resized(mask: Mask, width: int, height: int) -> Mask:
    """The mask on another grid; a cell is inside where at least half of it is."""
    if (width, height) == (mask.width, mask.height):
        return mask
    # Averages of single precision may fall short of a half by a rounding error.
    return encode(coverage(mask, width, height) >= 0.5 - 1e-5)


def covers(mask: Mask, box: Box) -> float:
    """The share of a box that lies inside the mask, 0 to 1; 0 for a box without area.

    Cells that the box cuts count by the part that is cut.
    """
    across = _overlap(box.x, box.width, mask.width)
    down = _overlap(box.y, box.height, mask.height)
    whole = float(across.sum() * down.sum())
    if whole <= 0:
        return 0.0
    return min(1.0, float(down @ decode(mask).astype(np.float64) @ across) / whole)


def _overlap(start: float, length: float, cells: int) -> NDArray[np.float64]:
    """How much of each cell of an axis lies in an interval given in fractions, 0 to 1."""
    edges = np.arange(cells + 1, dtype=np.float64)
    shared = np.minimum(edges[1:], (start + length) * cells) - np.maximum(edges[:-1], start * cells)
    return np.asarray(np.clip(shared, 0, 1), np.float64)


def _runs(mask: Mask) -> NDArray[np.int64]:
    """The run lengths of a mask, outside first."""
    return np.array(run_lengths.read(mask.counts, mask.width, mask.height), np.int64)
