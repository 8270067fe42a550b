"""The inner loop of sums along straight paths."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop.compiled import compiled


def sums_along(picture: NDArray[np.float32], slopes: NDArray[np.float64]) -> NDArray[np.float32]:
    """Sums of a picture along straight paths from its left to its right side.

    Parameters
    ----------
    picture
        Shape (height, width). Beyond it there is nothing.
    slopes
        How many pixels paths go down for each to the right.

    Returns
    -------
    Shape (slopes, height): the sum along the path of each slope that is at each height in the middle.
    """
    height, width = picture.shape
    margin = int(np.ceil(np.abs(slopes).max() * width / 2)) + 2
    columns = np.zeros((width, height + 2 * margin), np.float32)
    columns[:, margin:-margin] = picture.T
    out = np.zeros((slopes.size, height), np.float32)
    _add_along(columns, np.ascontiguousarray(slopes, np.float64), margin, out)
    return out


@compiled
def _add_along(columns: Any, slopes: Any, margin: int, out: Any) -> None:
    """Add up columns, each moved by where the path has got to there, between two pixels by both."""
    width, height = columns.shape[0], out.shape[1]
    for i in range(slopes.shape[0]):
        line = out[i]
        for x in range(width):
            place = slopes[i] * (x - width / 2)
            whole = int(np.floor(place))
            part = np.float32(place - whole)
            rest = np.float32(1.0) - part
            above = columns[x, margin + whole : margin + whole + height]
            below = columns[x, margin + whole + 1 : margin + whole + 1 + height]
            for y in range(height):
                line[y] += rest * above[y] + part * below[y]
