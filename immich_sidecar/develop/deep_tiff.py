"""Reading of TIFF files of 16 bits (TIFF 6.0): whole pixels or planes, in strips or tiles, with or without alpha."""

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop.damage import DAMAGE

#: Values of the tags for photometric interpretation and extra samples.
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB = 0, 1, 2
_ASSOCIATED, _UNASSOCIATED = 1, 2
#: Bytes of a file that are read ahead.
_BUFFER = 4_000_000


def deep_pixels(path: Path) -> NDArray[np.uint16] | None:
    """The first picture of a file, RGB (height, width, 3), what is transparent laid over white.

    None where it is of another kind, or the file ends before its pixels do.

    Raises
    ------
    OSError
        If the file cannot be read.
    """
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            page = file.pages.first
            colours = 3 if page.photometric == _RGB else 1
            if page.photometric not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB) or page.samplesperpixel < colours:
                return None
            if page.dtype != np.uint16 or page.bitspersample != 16 or page.imagedepth != 1:
                return None
            places = zip(page.dataoffsets, page.databytecounts, strict=True)
            if any(count == 0 or offset + count > file.filehandle.size for offset, count in places):
                return None
            # With samples in planes of their own, or interleaved, in front or behind.
            pixels: NDArray[Any] = page.asarray(maxworkers=1, buffersize=_BUFFER).reshape(page.shaped)
            kinds = page.extrasamples
            is_white = page.photometric == _WHITE_IS_ZERO
    except DAMAGE:
        return None
    # Shaped: planes, depth, height, width, samples; of planes and samples one is 1.
    pixels = pixels[:, 0].transpose(1, 2, 0, 3).reshape(*pixels.shape[2:4], -1)
    light, alpha = pixels[..., :colours], pixels[..., colours : colours + 1]
    if is_white:
        light = 65535 - light
    if kinds and kinds[0] in (_ASSOCIATED, _UNASSOCIATED):
        light = _over_white(light, alpha, is_associated=kinds[0] == _ASSOCIATED)
    whole: NDArray[np.uint16] = np.ascontiguousarray(np.repeat(light, 3, axis=2) if colours == 1 else light, np.uint16)
    return whole


def _over_white(light: NDArray[Any], alpha: NDArray[Any], *, is_associated: bool) -> NDArray[np.uint16]:
    """`is_associated`: light has been multiplied by alpha already."""
    over = 65535 - alpha.astype(np.uint32)
    if is_associated:
        return np.asarray(np.minimum(light + over, 65535), np.uint16)
    mixed = (light.astype(np.uint32) * alpha + 32767) // 65535 + over
    return np.asarray(np.minimum(mixed, 65535), np.uint16)
