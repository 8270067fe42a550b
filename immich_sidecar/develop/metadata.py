"""Metadata of the original, carried over into the JPEG that was made of it.

`docs/metadata.md` is the rule. EXIF blocks of pictures are changed where they stand (see `exif_patch`); those
of TIFF-based files, which are spread over the file, are gathered by Exiv2. Exiv2 is not thread-safe: this
module belongs into worker processes, one photo at a time.
"""

import struct
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop import exif_patch, jpeg, xmp_patch
from immich_sidecar.develop.containers import Contents
from immich_sidecar.develop.encode import jpeg_bytes
from immich_sidecar.develop.formats import Format
from immich_sidecar.develop.probe import contents_of
from immich_sidecar.develop.proxy import shrunk
from immich_sidecar.errors import UndecodableError

#: Longer side and quality of the thumbnail in EXIF.
THUMBNAIL_EDGE, _THUMBNAIL_QUALITY = 160, 75

_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"
_EXTENDED_XMP, _ICC = b"http://ns.adobe.com/xmp/extension/\0", b"ICC_PROFILE\0"
_PHOTOSHOP = b"Photoshop 3.0\0"
#: Resources of Photoshop that picture the old file: thumbnails (old and new kind), the ICC profile, slices.
_STALE_RESOURCES = {1033, 1036, 1039, 1050}
_LARGEST_SEGMENT = 65533
_APP0, _APP1, _APP2, _APP13, _COMMENT = 0xE0, 0xE1, 0xE2, 0xED, 0xFE


@dataclass(frozen=True)
class _Parts:
    """Metadata as JPEG segments hold it, without their prefixes."""

    exif: bytes = b""
    xmp: bytes = b""
    extended_xmp: tuple[bytes, ...] = ()
    photoshop: bytes = b""
    comments: tuple[bytes, ...] = ()


def carried_over(original: Path, image: NDArray[np.uint8], icc: bytes, encoded: bytes) -> bytes:
    """`encoded` (a JPEG of `image`) with the original's metadata and the colour profile `icc`.

    Raises
    ------
    OSError
        If the original cannot be read.
    """
    height, width = image.shape[:2]
    parts = _parts_of(original)

    def thumbnail() -> bytes:
        small = np.ascontiguousarray(shrunk(image, THUMBNAIL_EDGE))
        return jpeg_bytes(small, quality=_THUMBNAIL_QUALITY, subsampling="420")

    exif = exif_patch.patched(parts.exif, width=width, height=height, thumbnail=thumbnail)
    xmp = xmp_patch.patched(parts.xmp, width=width, height=height)
    segments: list[tuple[int, bytes]] = []
    if exif and len(exif) <= exif_patch.LARGEST_BLOCK:
        segments.append((_APP1, _EXIF + exif))
    if xmp and len(_XMP) + len(xmp) <= _LARGEST_SEGMENT:
        segments.append((_APP1, _XMP + xmp))
        segments.extend((_APP1, _EXTENDED_XMP + part) for part in parts.extended_xmp)
    resources = _PHOTOSHOP + _fresh_resources(parts.photoshop)
    if len(_PHOTOSHOP) < len(resources):
        segments.extend((_APP13, part) for part in _split(_PHOTOSHOP, resources[len(_PHOTOSHOP) :]))
    segments.extend((_APP2, part) for part in _icc_segments(icc))
    segments.extend((_COMMENT, comment) for comment in parts.comments)
    start = _after_jfif(encoded)
    inserted = b"".join(struct.pack(">BBH", 0xFF, m, len(p) + 2) + p for m, p in segments)
    return encoded[:start] + inserted + encoded[start:]


def _parts_of(original: Path) -> _Parts:
    contents = contents_of(original)
    if contents.format is Format.JPEG:
        header = jpeg.read_header(original.read_bytes())
        comments = tuple(s.payload for s in header.segments if s.marker == _COMMENT)
        parts = _Parts(header.exif, header.xmp, header.extended_xmp_parts, header.photoshop, comments)
    elif contents.format in (Format.RAW, Format.TIFF):
        return _gathered(original, contents)
    else:
        parts = _Parts(contents.exif_block, contents.xmp)
    too_large = len(parts.exif) > exif_patch.LARGEST_BLOCK or len(parts.xmp) > _LARGEST_SEGMENT - len(_XMP)
    return _gathered(original, contents) if too_large else parts


def _gathered(original: Path, contents: Contents) -> _Parts:
    """What Exiv2 makes of a file when it copies its metadata into a JPEG."""
    import pyexiv2

    pyexiv2.set_log_level(4)
    blank = jpeg_bytes(np.zeros((8, 8, 3), np.uint8))
    spare = contents.exif_block if len(contents.exif_block) <= exif_patch.LARGEST_BLOCK else b""
    try:
        with pyexiv2.Image(str(original)) as source, pyexiv2.ImageData(blank) as target:
            source.copy_to_another_image(
                target, exif=True, iptc=True, xmp=True, comment=False, icc=False, thumbnail=False
            )
            header = jpeg.read_header(target.get_bytes())
    except (RuntimeError, UnicodeDecodeError):
        return _Parts(spare, contents.xmp)
    return _Parts(header.exif or spare, header.xmp, header.extended_xmp_parts, header.photoshop)


def _fresh_resources(resources: bytes) -> bytes:
    """Photoshop's image resources without those that picture the old file; as they are where damaged."""
    kept, at = b"", 0
    while at + 12 <= len(resources) and resources[at : at + 4] == b"8BIM":
        kind = struct.unpack_from(">H", resources, at + 4)[0]
        name_end = at + 6 + resources[at + 6] + 1
        name_end += (name_end - at) % 2
        if name_end + 4 > len(resources):
            return resources
        size = struct.unpack_from(">I", resources, name_end)[0]
        end = name_end + 4 + size + size % 2
        if end > len(resources) + 1:
            return resources
        if kind not in _STALE_RESOURCES:
            kept += resources[at:end]
        at = end
    return kept + resources[at:]


def _split(prefix: bytes, content: bytes) -> list[bytes]:
    room = _LARGEST_SEGMENT - len(prefix)
    return [prefix + content[i : i + room] for i in range(0, len(content), room)]


def _icc_segments(icc: bytes) -> list[bytes]:
    room = _LARGEST_SEGMENT - len(_ICC) - 2
    chunks = [icc[i : i + room] for i in range(0, len(icc), room)]
    return [_ICC + bytes((n, len(chunks))) + chunk for n, chunk in enumerate(chunks, 1)]


def _after_jfif(encoded: bytes) -> int:
    """Where segments may be inserted: behind the start of image and the JFIF segment."""
    if encoded[2:4] == bytes((0xFF, _APP0)):
        return 4 + int(struct.unpack_from(">H", encoded, 4)[0])
    if encoded[:2] != b"\xff\xd8":
        raise UndecodableError("What was encoded is no JPEG.")
    return 2
