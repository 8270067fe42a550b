"""What kind of picture a file holds: a photo, a screenshot, a document, or a graphic.

Only photos get tonal steps. What a camera has signed is a photo or a photographed page; everything else has to look
like a photo: drawn pictures have areas of exactly one colour, which sensors never deliver.
"""

from enum import StrEnum

import cv2
import numpy as np
from numpy.typing import NDArray

#: Sides of common screens in pixels, the longer first; also half and double ones count.
_SCREENS = frozenset(
    {
        (1334, 750), (1792, 828), (1920, 1080), (2160, 1080), (2208, 1242), (2340, 1080), (2400, 1080),
        (2436, 1125), (2532, 1170), (2556, 1179), (2688, 1242), (2778, 1284), (2796, 1290), (1280, 720),
        (1280, 800), (1366, 768), (1440, 900), (1600, 900), (1680, 1050), (2560, 1440), (2560, 1600),
        (2880, 1800), (3024, 1964), (3456, 2234), (3840, 2160), (2048, 1536), (2732, 2048), (3200, 1440),
        (3120, 1440), (3088, 1440), (2622, 1206), (2868, 1320), (2388, 1668), (2360, 1640), (1136, 640),
    }
)  # fmt: skip


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
    if "screenshot" in (software or "").lower():
        return Kind.SCREENSHOT
    if _is_page(display):
        return Kind.DOCUMENT
    if from_camera:
        return Kind.PHOTO
    flat = _flat_share(display)
    screen = (max(size), min(size)) in _SCREENS
    if flat > (0.25 if lossless or screen else 0.4):
        return Kind.SCREENSHOT if screen else Kind.GRAPHIC
    return Kind.PHOTO


def _flat_share(display: NDArray[np.uint8]) -> float:
    """Share of 8x8 tiles of one colour that are neither black nor white from clipping."""
    rows, columns = display.shape[0] // 8, display.shape[1] // 8
    if not rows or not columns:
        return 0.0
    tiles = display[: rows * 8, : columns * 8].reshape(rows, 8, columns, 8, 3)
    reach = tiles.max(axis=(1, 3)).astype(np.int16) - tiles.min(axis=(1, 3))
    level = tiles.mean(axis=(1, 3)).max(axis=2)
    flat = (reach.max(axis=2) <= 1) & (level > 6)
    counted = level > 6
    return float(flat.sum() / max(1, counted.sum())) if counted.mean() > 0.1 else 0.0


def _is_page(display: NDArray[np.uint8]) -> bool:
    """Whether the picture is mostly light, even paper with fine dark strokes on it."""
    scale = 512 / max(display.shape[:2])
    small = cv2.resize(display, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA) if scale < 1 else display
    grey = cv2.cvtColor(small, cv2.COLOR_RGB2GRAY)
    colour = small.max(axis=2).astype(np.int16) - small.min(axis=2)
    # Paper: what remains when fine dark strokes are closed.
    paper = cv2.morphologyEx(grey, cv2.MORPH_CLOSE, np.ones((9, 9), np.uint8))
    strokes = paper.astype(np.int16) - grey > 28
    bright = paper > max(120, int(np.percentile(paper, 90)) - 45)
    neutral = float((colour < 42).mean())
    inked = float(strokes.mean())
    # Lines of writing are many and small; a fence or branches against the sky are few and long.
    count, _, stats, _ = cv2.connectedComponentsWithStats(strokes.astype(np.uint8), connectivity=8)
    small_parts = (
        int(((stats[1:, cv2.CC_STAT_AREA] >= 2) & (stats[1:, cv2.CC_STAT_AREA] < 150)).sum()) if count > 1 else 0
    )
    even = float(np.abs(cv2.Laplacian(cv2.GaussianBlur(paper, (0, 0), 4).astype(np.float32), cv2.CV_32F)).mean())
    return float(bright.mean()) > 0.7 and neutral > 0.85 and 0.01 < inked < 0.35 and small_parts > 80 and even < 2.0
