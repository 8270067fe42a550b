"""IPTC records told in XMP, for files that have no place for the records themselves.

Exiv2 knows which property stands for which record. It is not thread-safe; see `metadata`.
"""

import struct
from typing import Any

import numpy as np

from immich_sidecar.develop import jpeg
from immich_sidecar.errors import UndecodableError

_XMP, _PHOTOSHOP = b"http://ns.adobe.com/xap/1.0/\0", b"Photoshop 3.0\0"
_LARGEST = 65533


def with_iptc(xmp: bytes, iptc: bytes) -> bytes:
    """The packet with what the records say and the packet does not; as it is where that is nothing."""
    if not iptc or len(iptc) + len(_PHOTOSHOP) + 12 > _LARGEST or len(xmp) + len(_XMP) > _LARGEST:
        return xmp
    import pyexiv2

    pyexiv2.set_log_level(4)
    try:
        with pyexiv2.ImageData(_carrier(xmp, iptc)) as image:
            told, known = pyexiv2.convert_iptc_to_xmp(_records(image)), image.read_xmp()
            missing = {name: value for name, value in told.items() if name not in known}
            if not missing:
                return xmp
            image.modify_xmp(missing)
            return jpeg.read_header(image.get_bytes()).xmp
    except (RuntimeError, UnicodeDecodeError, UndecodableError):
        return xmp


def _records(image: Any) -> dict[str, Any]:
    """What the records say; those that are no UTF-8 are in the code page of Windows, as exiftool takes them to be."""
    try:
        records: dict[str, Any] = image.read_iptc()
    except UnicodeDecodeError:
        records = image.read_iptc("cp1252")
    return records


def _carrier(xmp: bytes, iptc: bytes) -> bytes:
    """A tiny JPEG with both, which Exiv2 can read."""
    from immich_sidecar.develop.encode import jpeg_bytes

    blank = jpeg_bytes(np.zeros((8, 8, 3), np.uint8))
    resource = b"8BIM" + struct.pack(">HHI", 1028, 0, len(iptc)) + iptc + bytes(len(iptc) % 2)
    segments = [(0xED, _PHOTOSHOP + resource), *([(0xE1, _XMP + xmp)] if xmp else [])]
    inserted = b"".join(struct.pack(">BBH", 0xFF, m, len(content) + 2) + content for m, content in segments)
    return blank[:2] + inserted + blank[2:]
