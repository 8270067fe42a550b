"""What kind of picture a file holds: a photo, a screenshot, a document, a graphic, or nothing.

Only photos get tonal steps. What a camera has signed is a photo or a photographed page; everything else has to look
like a photo: drawn pictures have areas of exactly one colour, which sensors never deliver. Where nothing is to be
seen, behind a lens cap or in a pocket, nothing can be put right either.
"""

from enum import StrEnum
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from immich_sidecar.analysis.measure.exposure import extremes
from immich_sidecar.analysis.measure.percentiles import percentile
from immich_sidecar.analysis.screens import is_screen
from immich_sidecar.develop.proxy import shrunk


class Kind(StrEnum):
    """What a picture is."""

    #: Light through a lens.
    PHOTO = "photo"
    #: What a screen showed.
    SCREENSHOT = "screenshot"
    #: A scanned or photographed page.
    DOCUMENT = "document"
    #: Drawn or computed.
    GRAPHIC = "graphic"
    #: Tiny, or of one even colour.
    BLANK = "blank"


#: Pixels of the shorter side below which a picture is an icon at most.
_TINY = 32
#: Code values by which the parts of an even picture differ at most, and how many parts are looked at along the longer
#: side. Parts of photos differ by 85 and more, and still by 30 where they were taken five stops too dark.
_EVEN, _PARTS = 10, 32


def measure_kind(
    display: NDArray[np.uint8],
    *,
    size: tuple[int, int],
    from_camera: bool,
    lossless: bool = False,
    software: str | None = None,
) -> Kind:
    """Decide what kind of picture this is.

    Parameters
    ----------
    display
        HxWx3, sRGB, a proxy of about 1000 px.
    size
        Width and height of the file.
    from_camera
        Whether the file names a camera.
    lossless
        Whether the format keeps areas of one colour exactly (PNG, and such).
    software
        What the file says it was written by.
    """
    if min(size) < _TINY or _is_even(display):
        return Kind.BLANK
    if "screenshot" in (software or "").lower():
        return Kind.SCREENSHOT
    if _is_page(display):
        return Kind.DOCUMENT
    if from_camera:
        return Kind.PHOTO
    flat = _flat_share(display)
    screen = is_screen(*size)
    if flat > (0.25 if lossless or screen else 0.4):
        return Kind.SCREENSHOT if screen else Kind.GRAPHIC
    return Kind.PHOTO


def _is_even(display: NDArray[np.uint8]) -> bool:
    """Whether all parts of the picture look alike, noise apart."""
    parts = shrunk(display, _PARTS).reshape(-1, 3)
    return int((parts.max(axis=0) - parts.min(axis=0)).max()) <= _EVEN


def _flat_share(display: NDArray[np.uint8]) -> float:
    """Share of 8x8 tiles of one colour that are neither black nor white from clipping."""
    rows, columns = display.shape[0] // 8, display.shape[1] // 8
    if not rows or not columns:
        return 0.0
    # Over the rows of each tile first, by halves: whole rows of a picture are reduced fast.
    bands = np.ascontiguousarray(display[: rows * 8, : columns * 8]).reshape(rows, 8, columns * 24)
    tiles = (rows, columns, 8, 3)
    highest = _halved(_halved(bands, np.maximum).reshape(tiles).swapaxes(1, 2), np.maximum)
    lowest = _halved(_halved(bands, np.minimum).reshape(tiles).swapaxes(1, 2), np.minimum)
    reach = highest.astype(np.int16) - lowest
    level = _halved(_halved(bands.astype(np.uint16), np.add).reshape(tiles).swapaxes(1, 2), np.add).max(axis=2) / 64
    flat = (reach.max(axis=2) <= 1) & (level > 6)
    counted = level > 6
    return float(flat.sum() / max(1, counted.sum())) if counted.mean() > 0.1 else 0.0


def _halved(values: NDArray[Any], join: np.ufunc) -> NDArray[Any]:
    """Eight along the second axis joined to one."""
    for half in (4, 2, 1):
        values = join(values[:, :half], values[:, half:])
    return values[:, 0]


def _is_page(display: NDArray[np.uint8]) -> bool:
    """Whether the picture is mostly light, even paper with fine dark strokes on it."""
    small = shrunk(display, 512)
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    smallest, largest = extremes(small)
    colour = largest - smallest
    # Paper: what remains when fine dark strokes are closed.
    paper = cv2.morphologyEx(grey, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    bright = paper > max(120, int(percentile(paper, 90)) - 45)
    if float(bright.mean()) <= 0.7 or float((colour < 42).mean()) <= 0.85:
        return False
    strokes = paper.astype(np.int16) - grey > 28
    inked = float(strokes.mean())
    # Lines of writing are many and small; a fence or branches against the sky are few and long.
    count, _, stats, _ = cv2.connectedComponentsWithStats(strokes.astype(np.uint8), connectivity=8)
    small_parts = (
        int(((stats[1:, cv2.CC_STAT_AREA] >= 2) & (stats[1:, cv2.CC_STAT_AREA] < 150)).sum()) if count > 1 else 0
    )
    even = float(np.abs(cv2.Laplacian(cv2.GaussianBlur(paper, (0, 0), 4).astype(np.float32), cv2.CV_32F)).mean())
    return 0.01 < inked < 0.35 and small_parts > 80 and even < 2.0
