"""A photo's large shapes as 64 bits, and how two small pictures overlap: what tells that photos show nearly the same.

The bits are the perceptual hash by cosine transform (Zauner 2010, "Implementation and benchmarking of perceptual image
hash functions"): the picture at 32 x 32, its 8 x 8 lowest frequencies, each above or below their median.
"""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_GRID, _KEPT = 32, 8
#: Longer side of the pictures that overlap is measured on, in pixels.
_SMALL_EDGE = 96
#: How well an edge must be found again in the next picture, 0 to 1, and how much better than in its old place.
_SURE, _SURER = 0.8, 0.2
#: Part of a picture by which the next one of a panorama is moved on, least and most.
_LEAST_SHIFT, _MOST_SHIFT = 0.15, 0.75


def small_grey(path: Path) -> NDArray[np.uint8] | None:
    """A thumbnail of ours in grey, at most 96 pixels long; None where it cannot be read."""
    import cv2

    read = cv2.imread(str(path), cv2.IMREAD_GRAYSCALE | cv2.IMREAD_IGNORE_ORIENTATION)
    if read is None:
        return None
    scale = _SMALL_EDGE / max(read.shape)
    size = (max(8, round(read.shape[1] * scale)), max(8, round(read.shape[0] * scale)))
    return np.asarray(cv2.resize(read, size, interpolation=cv2.INTER_AREA), np.uint8)


def shapes_of(grey: NDArray[np.uint8]) -> int:
    """The 64 bits of a picture in grey, as a signed number."""
    import cv2

    grid = cv2.resize(grey, (_GRID, _GRID), interpolation=cv2.INTER_AREA).astype(np.float32)
    low = np.asarray(cv2.dct(grid))[:_KEPT, :_KEPT].ravel()
    bits = low > np.median(low[1:])
    return int(np.packbits(bits).view(">i8")[0])


def bits_apart(first: int, second: int) -> int:
    """In how many of the 64 bits two pictures differ; unrelated ones in about 32."""
    return ((first ^ second) & 0xFFFFFFFFFFFFFFFF).bit_count()


def difference(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """Mean difference of two pictures in grey, 0 to 1, after both were brought to the same brightness and contrast."""
    import cv2

    def plain(grey: NDArray[np.uint8]) -> NDArray[np.float32]:
        grid = cv2.resize(grey, (_GRID, _GRID), interpolation=cv2.INTER_AREA).astype(np.float32)
        return np.asarray((grid - grid.mean()) / max(float(grid.std()), 4.0), np.float32)

    return float(np.clip(np.abs(plain(first) - plain(second)).mean() / 2, 0, 1))


def moved_on(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> str | None:
    """Where the second picture goes on from the first: `left`, `right`, `up` or `down`; None where it does not."""
    if first.shape != second.shape:
        return None
    ways = {"right": (first, second), "left": (first[:, ::-1], second[:, ::-1])}
    ways |= {"down": (first.T, second.T), "up": (first.T[:, ::-1], second.T[:, ::-1])}
    found = {way: _found_again(np.ascontiguousarray(a), np.ascontiguousarray(b)) for way, (a, b) in ways.items()}
    way = max(found, key=lambda one: found[one])
    return way if found[way] >= _SURE else None


def _found_again(first: NDArray[np.uint8], second: NDArray[np.uint8]) -> float:
    """How surely the right edge of the first lies further left in the second, 0 to 1."""
    import cv2

    height, width = first.shape
    strip = width // 4
    edge = first[height // 6 : height - height // 6, width - strip :]
    if float(edge.std()) < 6:
        return 0.0  # sky or a wall: it is found everywhere
    scores = np.asarray(cv2.matchTemplate(second, edge, cv2.TM_CCOEFF_NORMED))
    _, best, _, (x, y) = cv2.minMaxLoc(scores)
    moved = width - strip - x
    if not _LEAST_SHIFT <= moved / width <= _MOST_SHIFT:
        return 0.0
    # A horizon is much the same all along: then the edge is found where it was, too.
    if best - float(scores[:, -1].max()) < _SURER:
        return 0.0
    # And what lies beside the edge has to go on with it.
    down = height // 6 - y
    upper, lower = max(0, down), height + min(0, down)
    before = first[upper:lower, moved:].astype(np.float32)
    after = second[upper - down : lower - down, : width - moved].astype(np.float32)
    before, after = before - before.mean(), after - after.mean()
    power = float(np.sqrt((before**2).sum() * (after**2).sum()))
    return min(float(best), float((before * after).sum()) / power) if power > 0 else 0.0
