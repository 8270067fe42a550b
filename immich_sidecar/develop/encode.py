"""Pixels to JPEG bytes."""

import numpy as np
from numpy.typing import NDArray

#: Quality of versions: 4:4:4, 0..100 in libjpeg's sense.
DEFAULT_QUALITY = 92


def jpeg_bytes(image: NDArray[np.uint8], *, quality: int = DEFAULT_QUALITY, subsampling: str = "444") -> bytes:
    """Encode `uint8` RGB pixels (height, width, 3) as a baseline JPEG without metadata."""
    import simplejpeg

    encoded: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(image), quality=quality, colorspace="RGB", colorsubsampling=subsampling
    )
    return encoded
