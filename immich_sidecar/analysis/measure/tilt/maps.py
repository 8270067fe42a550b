"""What a picture looks like to the network that weighs directions: a coarse grid of small squares.

Each square tells how much of it runs in each direction that is nearly level or nearly upright, in steps of a degree,
and a little about itself: how light, of which colour, how lively, and where it lies.
"""

import cv2
import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop.averaging import averaged

Maps = NDArray[np.float32]
Display = NDArray[np.uint8]

#: Edge of a square, and about how many pixels the picture has when it is looked at.
SQUARE, PIXELS = 16, 384 * 288
#: Largest lean, in degrees, of a direction that may be level, and of one that may be upright; steps of a degree.
LEVEL_REACH, UPRIGHT_REACH = 15, 22
#: How many steps those are, and how many other things a square tells.
LEVELS, UPRIGHTS, REST = 2 * LEVEL_REACH + 1, 2 * UPRIGHT_REACH + 1, 9
#: Pixels along the border that have no say: frames.
_BORDER = 6
#: A pixel with less weight than this has no say.
_LEAST = 0.02
_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def looked_at(display: Display) -> Display:
    """The picture in the size that is looked at: its pixels stay squares, and what fills no square is cut."""
    height, width = display.shape[:2]
    scale = float(np.sqrt(PIXELS / (height * width)))
    size = (max(SQUARE, round(width * scale)), max(SQUARE, round(height * scale)))
    if scale < 1:
        # A strip would have no square at all: it is widened.
        narrow = min(height, width) * scale < SQUARE
        small = averaged(display, size, factor=None if narrow else 1 / scale)
    else:
        small = np.asarray(cv2.resize(display, size, interpolation=cv2.INTER_LINEAR), np.uint8)
    left, top = size[0] % SQUARE, size[1] % SQUARE
    small = small[top // 2 : size[1] - (top - top // 2), left // 2 : size[0] - (left - left // 2)]
    return np.ascontiguousarray(small)


def maps(picture: Display) -> Maps:
    """Describe a picture whose edges are multiples of `SQUARE`.

    Returns
    -------
    Shape (LEVELS + UPRIGHTS + REST, height / SQUARE, width / SQUARE). The first two parts are square roots of shares.
    """
    height, width = picture.shape[:2]
    rows, columns = height // SQUARE, width // SQUARE
    grey = np.asarray(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), np.float32)
    smooth = cv2.GaussianBlur(grey, (0, 0), 1.0)
    gx, gy = cv2.Scharr(smooth, cv2.CV_32F, 1, 0) / 16, cv2.Scharr(smooth, cv2.CV_32F, 0, 1) / 16
    xx, yy, xy = (cv2.blur(p, (7, 7)) for p in (gx * gx, gy * gy, gx * gy))
    energy, double = np.maximum(xx + yy, 0), (xx - yy, 2 * xy)
    # How far the neighbourhood of a pixel has one direction, squared; and how strong it is beside the whole picture.
    both = double[0] ** 2 + double[1] ** 2
    one_way = both / (energy + 0.3) ** 2
    strength = np.sqrt(energy)
    typical = float(strength.mean()) + 1.0
    weight = one_way * strength / (strength + typical)
    for side in (np.s_[:_BORDER], np.s_[-_BORDER:], np.s_[:, :_BORDER], np.s_[:, -_BORDER:]):
        weight[side] = 0
    square = (np.arange(height) // SQUARE * columns)[:, None] + np.arange(width) // SQUARE
    length = np.sqrt(both)
    parts = []
    # The double of the gradient's direction points to the left where an edge is level, to the right where upright.
    for sign, reach in ((-1.0, LEVEL_REACH), (1.0, UPRIGHT_REACH)):
        along = sign * double[0]
        here = np.flatnonzero((along > np.cos(np.radians(2 * reach)) * length) & (weight > _LEAST))
        lean = -0.5 * np.degrees(np.arctan2(sign * double[1].ravel()[here], along.ravel()[here]))
        steps = 2 * reach + 1
        low = np.clip(np.floor(lean + reach).astype(np.int64), 0, steps - 1)
        part, high = lean + reach - low, np.minimum(low + 1, steps - 1)
        start, votes = square.ravel()[here] * steps, weight.ravel()[here]
        count = rows * columns * steps
        told = np.bincount(start + low, votes * (1 - part), count) + np.bincount(start + high, votes * part, count)
        share = np.maximum(told, 0).reshape(rows * columns, steps).T / SQUARE**2
        parts.append(np.sqrt(share).reshape(steps, rows, columns))

    def mean(plane: NDArray[np.float32]) -> NDArray[np.float32]:
        return np.asarray(plane.reshape(rows, SQUARE, columns, SQUARE).mean(axis=(1, 3)), np.float32)

    red, green, blue = (mean(np.asarray(picture[..., i], np.float32)) / 255 for i in range(3))
    light = _LUMA[0] * red + _LUMA[1] * green + _LUMA[2] * blue
    lively = np.sqrt(np.maximum(mean(grey**2) - mean(grey) ** 2, 0)) / 64
    longer = max(height, width)
    down = ((np.arange(rows) + 0.5) * SQUARE - height / 2) / longer * 2
    aside = np.abs((np.arange(columns) + 0.5) * SQUARE - width / 2) / longer * 2
    rest = [
        *(light - light.mean(), (red - light) * 3, (blue - light) * 3, lively),
        *(mean(strength) / typical / 3, mean(one_way), mean(weight) * 2),
        *np.broadcast_arrays(down[:, None], aside),
    ]
    return np.concatenate([*parts, np.stack(rest)]).astype(np.float32)
