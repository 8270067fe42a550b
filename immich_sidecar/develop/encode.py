"""Pixels to the bytes of a file."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop import tiff_file
from immich_sidecar.develop.packets import Packets
from immich_sidecar.recipe.plan import OutputPlan

#: Quality of versions: 4:4:4, 0..100 in libjpeg's sense.
DEFAULT_QUALITY = 92
#: Formats that hold more than 8 bits.
DEEP_FORMATS = {"heic", "jxl", "tiff16"}
#: x265's fastest preset: as good per byte in still pictures as the others, in a quarter of the time.
_HEIC_PRESET = "ultrafast"
#: Side of the tiles of a HEIC; larger pictures would take another 17 bytes of memory a pixel.
_HEIC_TILE = 1024
#: Effort of the encoder for JPEG XL (1..10).
_JXL_EFFORT = 5


def jpeg_bytes(image: NDArray[np.uint8], *, quality: int = DEFAULT_QUALITY, subsampling: str = "444") -> bytes:
    """Encode `uint8` RGB pixels (height, width, 3) as a baseline JPEG without metadata."""
    import simplejpeg

    encoded: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(image), quality=quality, colorspace="RGB", colorsubsampling=subsampling
    )
    return encoded


def small_jpeg_bytes(image: NDArray[np.uint8], *, quality: int) -> bytes:
    """Encode `uint8` RGB pixels as a JPEG (4:2:0, progressive) without metadata, by jpegli."""
    import pyjpegli

    height, width = image.shape[:2]
    encoded: bytes = pyjpegli.encode(np.ascontiguousarray(image), width, height, quality=quality)
    return encoded


def whole_file(image: NDArray[Any], icc: bytes, packets: Packets, plan: OutputPlan) -> bytes:
    """Encode pixels in a format that takes its metadata along: HEIC, AVIF, JPEG XL or TIFF.

    Parameters
    ----------
    image
        RGB, `uint8`, or `uint16` over its whole range where the format is one of `DEEP_FORMATS`.
    icc
        Profile of the pixels.
    packets
        Already true for this picture.
    """
    quality = plan.quality or DEFAULT_QUALITY
    if plan.format == "tiff16":
        return tiff_file.written(image, icc, packets)
    if plan.format == "heic":
        return _heic(image, icc, packets, quality)
    if plan.format == "avif":
        from immich_sidecar.develop import avif

        return avif.written(image, icc, packets, quality=quality)
    return _jxl(image, icc, packets, quality)


def _heic(image: NDArray[Any], icc: bytes, packets: Packets, quality: int) -> bytes:
    import pillow_heif

    height, width = image.shape[:2]
    mode = "RGB;16" if image.dtype == np.uint16 else "RGB"
    pixels = np.ascontiguousarray(image)
    heif = pillow_heif.from_bytes(mode, (width, height), memoryview(pixels).cast("B"))  # type: ignore[arg-type]
    target = io.BytesIO()
    heif.save(
        target,
        quality=quality,
        chroma=444,
        enc_params={"preset": _HEIC_PRESET},
        **({"tile_size": _HEIC_TILE} if max(width, height) > _HEIC_TILE else {}),
        icc_profile=icc,
        exif=packets.exif or None,
        xmp=packets.whole_xmp or None,
    )
    return target.getvalue()


def _jxl(image: NDArray[Any], icc: bytes, packets: Packets, quality: int) -> bytes:
    from immich_sidecar.develop import jxl

    return jxl.written(image, icc, packets, distance=_jxl_distance(quality), effort=_JXL_EFFORT)


def _jxl_distance(quality: int) -> float:
    """The scale of libjxl itself: 100 is 0.1 and 90 is 1.0, in just noticeable differences; steeper below 30."""
    if quality >= 30:
        return 0.1 + (100 - quality) * 0.09
    return 53.0 / 3000.0 * quality * quality - 23.0 / 20.0 * quality + 25.0
