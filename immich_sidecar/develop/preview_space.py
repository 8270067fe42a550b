"""The colour space of the picture that a camera puts into its RAW file, and that picture in sRGB."""

import io
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop import jpeg, tiff
from immich_sidecar.develop.icc import ColourSpace, named_space, read_profile

#: Tag PreviewColorSpace of a DNG, and the spaces that its values stand for (DNG 1.7; 2 is sRGB).
_PREVIEW_SPACE, _WIDTH, _HEIGHT = 50970, 256, 257
_BY_NUMBER = {2: "sRGB", 3: "Adobe RGB (1998)"}
#: Rows that are turned into sRGB at a time.
_STRIP = 256


def space_of_preview(header: jpeg.Header, whole: tiff.Exif) -> ColourSpace:
    """The colour space of an embedded JPEG.

    Its own profile decides, then its own EXIF, then what the RAW file around it says: a DNG of this very preview,
    others of the space that the camera was set to.
    """
    if header.icc:
        try:
            return read_profile(header.icc) or _named("sRGB")
        except ValueError:
            return _named("sRGB")
    for block in header.exif_blocks:
        own = tiff.read(io.BytesIO(block))
        if own.colour_space is not None:
            return _named("Adobe RGB (1998)" if own.is_adobe_rgb else "sRGB")
    size = (header.frame[3], header.frame[2]) if header.frame else (0, 0)
    for directory in whole.images:
        name = _BY_NUMBER.get(int(directory.number(_PREVIEW_SPACE) or 0))
        if name and (directory.number(_WIDTH), directory.number(_HEIGHT)) == size:
            return _named(name)
    return _named("Adobe RGB (1998)" if whole.is_adobe_rgb else "sRGB")


def in_srgb(pixels: NDArray[np.uint8], space: ColourSpace) -> NDArray[np.uint8]:
    """Display pixels (height, width, 3) of a space as sRGB; colours outside it are cut."""
    if space.is_srgb:
        return pixels
    curves, encoding = space.decoding(256), _named("sRGB").encoding[0]
    matrix = space.to_srgb.T.astype(np.float32)
    out = np.empty_like(pixels)
    for first in range(0, len(pixels), _STRIP):
        rows = pixels[first : first + _STRIP]
        linear = np.stack([curves[i][rows[..., i]] for i in range(3)], axis=-1) @ matrix
        out[first : first + _STRIP] = encoding[np.round(np.clip(linear, 0.0, 1.0) * 65535.0).astype(np.uint16)]
    return out


@lru_cache(maxsize=2)
def _named(name: str) -> ColourSpace:
    return named_space(name)
