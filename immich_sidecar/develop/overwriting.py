"""Pictures that are written over those that they are made of, so that one of them at a time lies in memory."""

from collections import deque
from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop.picture_memory import MOST


def takes_much(pixels: NDArray[Any]) -> bool:
    """Whether a second picture like this one is better not made: copying rows takes time, too."""
    return pixels.dtype == np.uint16 or pixels.nbytes > MOST


class Overwritten:
    """A picture that is made from top to bottom.

    Parameters
    ----------
    pixels
        What it is made of, contiguous.
    shape
        Its own, with no more values than `pixels` have.
    """

    def __init__(self, pixels: NDArray[Any], shape: tuple[int, ...]) -> None:
        self._row = pixels[0].size
        flat = pixels.reshape(-1)
        self._picture = flat[: int(np.prod(shape))].reshape(shape)
        self._own_row = self._picture[0].size
        self._waiting: deque[NDArray[Any]] = deque()
        self._written = 0

    def add(self, rows: NDArray[Any], needed: int) -> None:
        """Take the next rows; `needed` is the first row of `pixels` that any after them is made of."""
        self._waiting.append(rows)
        while self._waiting and (self._written + len(self._waiting[0])) * self._own_row <= needed * self._row:
            self._write()

    def finished(self) -> NDArray[Any]:
        """The picture, in the memory of `pixels`."""
        while self._waiting:
            self._write()
        return self._picture

    def _write(self) -> None:
        rows = self._waiting.popleft()
        self._picture[self._written : self._written + len(rows)] = rows
        self._written += len(rows)


def moved_up(pixels: NDArray[Any], box: tuple[int, int, int, int]) -> NDArray[Any]:
    """The part (left, top, right, bottom) of contiguous pixels, moved to where they begin."""
    left, top, right, bottom = box
    part = Overwritten(pixels, (bottom - top, right - left, *pixels.shape[2:]))
    for row in range(top, bottom):
        part.add(pixels[row : row + 1, left:right].copy(), row + 1)
    return part.finished()


def in_bytes(pixels: NDArray[np.uint16]) -> NDArray[np.uint8]:
    """An array of the same shape in the memory of contiguous pixels: half of it, from its beginning on."""
    whole: NDArray[np.uint8] = pixels.reshape(-1).view(np.uint8)[: pixels.size].reshape(pixels.shape)
    return whole
