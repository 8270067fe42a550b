"""Metadata of the original, carried over into the file that was made of it.

`docs/metadata.md` is the rule. EXIF blocks of pictures are changed where they stand (see `exif_patch`); those
of TIFF-based files, which are spread over the file, are gathered by Exiv2. Exiv2 is not thread-safe: this
module belongs into worker processes, one photo at a time.
"""

import mmap
import struct
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop import exif_patch, jpeg, xmp_patch
from immich_sidecar.develop.containers import Contents
from immich_sidecar.develop.encode import jpeg_bytes
from immich_sidecar.develop.foreign_names import exiv2_image
from immich_sidecar.develop.formats import Format
from immich_sidecar.develop.iptc import with_iptc
from immich_sidecar.develop.packets import Packets, split_xmp, without_resources
from immich_sidecar.develop.probe import contents_of
from immich_sidecar.develop.proxy import shrunk
from immich_sidecar.errors import UndecodableError
from immich_sidecar.recipe.plan import OutputPlan

#: Longer side and quality of the thumbnail in EXIF.
THUMBNAIL_EDGE, _THUMBNAIL_QUALITY = 160, 75

_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_EXTENDED_XMP, _ICC = b"http://ns.adobe.com/xmp/extension/\0", b"ICC_PROFILE\0"
_PHOTOSHOP = b"Photoshop 3.0\0"
#: Resources of Photoshop that picture the old file: thumbnails (old and new kind), the ICC profile, slices.
_STALE_RESOURCES = {1033, 1036, 1039, 1050}
_LARGEST_SEGMENT = 65533
_LARGEST_PACKET = _LARGEST_SEGMENT - len(_XMP)
#: Formats that have no place for IPTC records: what those say is told in XMP there.
_WITHOUT_IPTC = {"heic", "avif", "jxl"}
#: Tags DNGVersion and DNGBackwardVersion: what has them is taken for sensor values, whatever it holds.
_MARKS_OF_A_DNG = {50706, 50707}
_APP0, _APP1, _APP2, _APP13, _COMMENT = 0xE0, 0xE1, 0xE2, 0xED, 0xFE


def packets_for(original: Path, image: NDArray[Any], plan: OutputPlan) -> Packets:
    """The original's metadata, made true for `image` (RGB, `uint8` or `uint16`) in the format of `plan`.

    Raises
    ------
    OSError
        If the original cannot be read.
    """
    height, width = image.shape[:2]
    packets = _packets_of(original)

    def thumbnail() -> bytes:
        small = np.ascontiguousarray(shrunk(image, THUMBNAIL_EDGE))
        if small.dtype == np.uint16:
            small = (small >> 8).astype(np.uint8)
        return jpeg_bytes(small, quality=_THUMBNAIL_QUALITY, subsampling="420")

    exif = exif_patch.patched(packets.exif, width=width, height=height, thumbnail=thumbnail)
    xmp = xmp_patch.patched(packets.xmp, width=width, height=height)
    photoshop = without_resources(packets.photoshop, _STALE_RESOURCES)
    if plan.format in _WITHOUT_IPTC and photoshop:
        xmp = with_iptc(xmp, replace(packets, photoshop=photoshop).iptc)
    return replace(packets, exif=exif, xmp=xmp, photoshop=photoshop)


def packets_turned(original: Path, size: tuple[int, int], orientation: int) -> Packets:
    """The original's metadata for a JPEG with the same pixels (of that width and height) and another orientation."""
    packets = _packets_of(original)
    xmp = xmp_patch.patched(packets.xmp, width=size[0], height=size[1], orientation=orientation)
    photoshop = without_resources(packets.photoshop, _STALE_RESOURCES)
    exif = exif_patch.with_orientation(packets.exif, orientation)
    return replace(packets, exif=exif, xmp=xmp, photoshop=photoshop)


def into_jpeg(encoded: bytes, packets: Packets, icc: bytes) -> bytes:
    """`encoded` (a JPEG without metadata) with packets and a colour profile."""
    segments: list[tuple[int, bytes]] = []
    if packets.exif and len(packets.exif) <= exif_patch.LARGEST_BLOCK:
        segments.append((_APP1, _EXIF + packets.exif))
    xmp, extended = packets.xmp, packets.extended_xmp
    if len(xmp) > _LARGEST_PACKET:
        xmp, extended = split_xmp(xmp, _LARGEST_PACKET)
    if xmp:
        segments.append((_APP1, _XMP + xmp))
        segments.extend((_APP1, _EXTENDED_XMP + part) for part in extended)
    if packets.photoshop:
        segments.extend((_APP13, part) for part in _split(_PHOTOSHOP, packets.photoshop))
    segments.extend((_APP2, part) for part in _icc_segments(icc))
    segments.extend((_COMMENT, comment) for comment in packets.comments)
    start = after_jfif(encoded)
    inserted = b"".join(struct.pack(">BBH", 0xFF, m, len(p) + 2) + p for m, p in segments)
    return b"".join((encoded[:start], inserted, memoryview(encoded)[start:]))


def _packets_of(original: Path) -> Packets:
    contents = contents_of(original)
    if contents.format is Format.JPEG:
        with original.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            header = jpeg.read_header_of(data)
        comments = tuple(s.payload for s in header.segments if s.marker == _COMMENT)
        parts = Packets(header.exif, header.xmp, header.extended_xmp_parts, header.photoshop, comments)
    elif contents.format in (Format.RAW, Format.TIFF):
        return _gathered(original, contents)
    else:
        parts = Packets(contents.exif_block, contents.xmp)
    return _gathered(original, contents) if len(parts.exif) > exif_patch.LARGEST_BLOCK else parts


def _gathered(original: Path, contents: Contents) -> Packets:
    """What Exiv2 makes of a file when it copies its metadata into a JPEG."""
    spare = contents.exif_block if len(contents.exif_block) <= exif_patch.LARGEST_BLOCK else b""
    try:
        with exiv2_image(original) as source:
            try:
                header = _copied(source, with_xmp=True)
                xmp = header.xmp
            except RuntimeError:
                # A packet that is larger than a segment keeps nothing else from being copied.
                header = _copied(source, with_xmp=False)
                xmp = contents.xmp or source.read_raw_xmp().encode()
    except (RuntimeError, UnicodeError):
        return Packets(spare, contents.xmp)
    exif = exif_patch.without(header.exif, _MARKS_OF_A_DNG) if header.exif else spare
    return Packets(exif, xmp, header.extended_xmp_parts, header.photoshop)


def _copied(source: Any, *, with_xmp: bool) -> jpeg.Header:
    """The header of a tiny JPEG into which Exiv2 copies the metadata of a file that it has opened."""
    import pyexiv2

    blank = jpeg_bytes(np.zeros((8, 8, 3), np.uint8))
    with pyexiv2.ImageData(blank) as target:
        source.copy_to_another_image(
            target, exif=True, iptc=True, xmp=with_xmp, comment=False, icc=False, thumbnail=False
        )
        return jpeg.read_header(target.get_bytes())


def _split(prefix: bytes, content: bytes) -> list[bytes]:
    room = _LARGEST_SEGMENT - len(prefix)
    return [prefix + content[i : i + room] for i in range(0, len(content), room)]


def _icc_segments(icc: bytes) -> list[bytes]:
    room = _LARGEST_SEGMENT - len(_ICC) - 2
    chunks = [icc[i : i + room] for i in range(0, len(icc), room)]
    return [_ICC + bytes((n, len(chunks))) + chunk for n, chunk in enumerate(chunks, 1)]


def after_jfif(encoded: bytes) -> int:
    """Where segments may be inserted: behind the start of image and the JFIF segment."""
    if encoded[2:4] == bytes((0xFF, _APP0)):
        return 4 + int(struct.unpack_from(">H", encoded, 4)[0])
    if encoded[:2] != b"\xff\xd8":
        raise UndecodableError("What was encoded is no JPEG.")
    return 2
