"""From a colour table that a model made to one that recipes can name, with what it would do to the photo."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from immich_sidecar.analysis.findings import ToneTable
from immich_sidecar.analysis.models.view import View
from immich_sidecar.develop.cube import cube_of

#: Points along the edges of the table that is kept. Every second of the model's 33: an eighth of the file (120 KB),
#: and on 25 photos a mean difference of 0.4 (CIEDE2000; the worst photo 0.6) to all of them.
KEPT_POINTS = 17
#: Longest edge in pixels of the picture on which its effect is measured.
_MEASURED_EDGE = 192


@dataclass(frozen=True, eq=False)
class MadeTable:
    """A table to keep."""

    record: ToneTable
    #: The table as text, as `develop.cube` reads it; named by its digest.
    normal_form: bytes
    points: int


def made_table(table: NDArray[np.float32], view: View) -> MadeTable:
    """Make ready to keep what a model answered for a photo.

    Parameters
    ----------
    table
        (n, n, n, 3) by blue, green, red over 0..1; n odd.

    Raises
    ------
    UnsupportedError
        If it is no such table.
    """
    step = max(1, (table.shape[0] - 1) // (KEPT_POINTS - 1))
    cube = cube_of(np.clip(table[::step, ::step, ::step], 0.0, 1.0))
    before = view.fitted(_MEASURED_EDGE).astype(np.float32) / np.float32(255)
    now, then = (cv2.cvtColor(picture, cv2.COLOR_RGB2LAB) for picture in (before, through(cube.table, before)))
    change = then.astype(np.float64) - now.astype(np.float64)
    chroma = np.hypot(then[..., 1], then[..., 2]) - np.hypot(now[..., 1], now[..., 2])
    record = ToneTable(
        sha256=cube.sha256,
        lightness=round(float(change[..., 0].mean()), 2),
        chroma=round(float(chroma.mean()), 2),
        distance=round(float(np.linalg.norm(change, axis=-1).mean()), 2),
    )
    return MadeTable(record, cube.normal_form, cube.size)


def through(table: NDArray[np.float32], display: NDArray[np.float32]) -> NDArray[np.float32]:
    """A picture (height, width, 3) of display values 0..1 sent through a table, trilinear; for measuring only."""
    points = table.shape[0]
    place = np.clip(display, 0, 1) * np.float32(points - 1)
    low = np.minimum(place.astype(np.intp), points - 2)
    part = place - low
    found = np.zeros_like(display)
    for corner in range(8):
        red, green, blue = (corner >> bit & 1 for bit in range(3))
        weight = np.ones(display.shape[:2], np.float32)
        for channel, is_high in enumerate((red, green, blue)):
            weight *= part[..., channel] if is_high else 1 - part[..., channel]
        entry = table[low[..., 2] + blue, low[..., 1] + green, low[..., 0] + red]
        found += weight[..., None] * entry
    return np.asarray(np.clip(found, 0, 1), np.float32)
