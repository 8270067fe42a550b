"""Means of each channel over all pixels, in compiled loops: NumPy takes ten times as long for columns so short.

Sums are those of NumPy, in the precision of the values and one row after the other.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop.compiled import compiled_exactly

Pixels = NDArray[np.float32]


def channel_means(pixels: Pixels) -> Pixels:
    """The mean of each channel; `pixels` has the shape (n, 3), with at least one row."""
    out = np.zeros(3, np.float32)
    _add_up(pixels, out)
    return np.asarray(out / np.float32(len(pixels)), np.float32)


def fifth_powers(pixels: Pixels) -> Pixels:
    """The mean of the fifth power of each channel; as for `channel_means`."""
    out = np.zeros(3, np.float32)
    _add_fifth_powers(pixels, out)
    return np.asarray(out / np.float32(len(pixels)), np.float32)


def edge_powers(across: Pixels, down: Pixels, second: Pixels, use: NDArray[np.bool_]) -> Pixels:
    """Means over some of the pixels of what edges are in each channel.

    Parameters
    ----------
    across, down
        First derivatives, shape (n, 3).
    second
        Second derivative, of the same shape.
    use
        Which pixels count, shape (n,); at least one.

    Returns
    -------
    Shape (3, 3): of the gradient, of its fourth power, and of the third power of the size of the second derivative;
    one column each channel.
    """
    out = np.zeros((3, 3), np.float32)
    _add_edges(across, down, second, use, out)
    return np.asarray(out / np.float32(np.count_nonzero(use)), np.float32)


def warm() -> None:
    """Compile (or load) the inner loops."""
    one = np.zeros((1, 3), np.float32)
    channel_means(one)
    fifth_powers(one)
    edge_powers(one, one, one, np.ones(1, bool))


@compiled_exactly
def _add_up(pixels: Any, out: Any) -> None:
    red, green, blue = out[0], out[1], out[2]
    for i in range(pixels.shape[0]):
        red += pixels[i, 0]
        green += pixels[i, 1]
        blue += pixels[i, 2]
    out[0], out[1], out[2] = red, green, blue


@compiled_exactly
def _add_fifth_powers(pixels: Any, out: Any) -> None:
    red, green, blue = out[0], out[1], out[2]
    for i in range(pixels.shape[0]):
        r, g, b = pixels[i, 0], pixels[i, 1], pixels[i, 2]
        red += r * r * r * r * r
        green += g * g * g * g * g
        blue += b * b * b * b * b
    out[0], out[1], out[2] = red, green, blue


@compiled_exactly
def _add_edges(across: Any, down: Any, second: Any, use: Any, out: Any) -> None:
    for channel in range(3):
        first, fourth, third = out[0, channel], out[1, channel], out[2, channel]
        for i in range(use.shape[0]):
            if use[i]:
                x, y, z = across[i, channel], down[i, channel], abs(second[i, channel])
                size = np.sqrt(x * x + y * y)
                square = size * size
                first += size
                fourth += square * square
                third += z * z * z
        out[0, channel], out[1, channel], out[2, channel] = first, fourth, third
