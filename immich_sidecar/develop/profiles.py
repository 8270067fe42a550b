"""Changing the colour space of a finished picture."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop.icc import ColourSpace

#: Rows that are worked on at a time.
_STRIP = 128


def in_space(image: NDArray[Any], source: ColourSpace, target: ColourSpace) -> NDArray[Any]:
    """Code values (`uint8` or `uint16`) of one space in another, relative colorimetric; what lies outside is cut."""
    same = np.allclose(source.to_xyz, target.to_xyz, atol=2e-3)
    if same and all(float(np.abs(a - b).max()) < 2e-3 for a, b in zip(source.curves, target.curves, strict=True)):
        return image
    deep = image.dtype == np.uint16
    curves = source.decoding(65536 if deep else 256)
    matrix = (np.linalg.inv(target.to_xyz) @ source.to_xyz).T.astype(np.float32)
    encoding = target.encoding_16 if deep else target.encoding
    out = np.empty_like(image)
    for start in range(0, len(image), _STRIP):
        strip = image[start : start + _STRIP]
        linear = np.stack([curves[i][strip[..., i]] for i in range(3)], axis=-1) @ matrix
        places = np.round(np.clip(linear, 0.0, 1.0) * np.float32(65535.0)).astype(np.uint16)
        for i in range(3):
            out[start : start + _STRIP, :, i] = encoding[i][places[..., i]]
    return out
