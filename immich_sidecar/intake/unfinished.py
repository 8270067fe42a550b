"""Files that somebody is still writing: what they hold ends before they say that it does.

A copy over a network, from a phone or by FTP may pause for longer than a file is watched. What came so far looks like
a photo from its beginning; the end of a JPEG, the places that a TIFF or RAW file points at, and the lengths of boxes
and chunks tell that more is to come.
"""

import mmap
import struct
from pathlib import Path
from typing import Any

from immich_sidecar.develop import jpeg, tiff
from immich_sidecar.develop.iso_boxes import boxes

#: Tags of where strips, tiles and JPEGs begin, and of how long they are.
_PIECES = ((273, 279), (324, 325), (513, 514))
_PNG, _JXL = b"\x89PNG\r\n\x1a\n", b"\0\0\0\x0cJXL "


def looks_unfinished(path: Path) -> bool:
    """Whether a file ends before it should; False where its kind does not tell, or it cannot be read."""
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            return _is_cut(data)
    except (OSError, ValueError):
        # Empty, gone, or not to be read: others find out.
        return False


def _is_cut(data: Any) -> bool:
    head = bytes(data[:12])
    if head.startswith(b"\xff\xd8\xff"):
        return jpeg.end_of_picture(data) is None
    if head.startswith(_PNG):
        return _png_is_cut(data)
    if head.startswith(b"RIFF"):
        return len(head) < 8 or bool(struct.unpack_from("<I", head, 4)[0] + 8 > len(data))
    if head[4:8] == b"ftyp" or head.startswith(_JXL):
        return _boxes_are_cut(data)
    if head[:2] in {b"II", b"MM"}:
        return _tiff_is_cut(data)
    return False


def _tiff_is_cut(data: Any) -> bool:
    if len(data) < 8:
        return True
    order = "<" if data[:2] == b"II" else ">"
    if struct.unpack_from(order + "I", data, 4)[0] >= len(data):
        # So for all kinds but BigTIFF, where these are other numbers, and small ones.
        return True
    for image in tiff.read(data).images:
        for places, lengths in _PIECES:
            ends = map(sum, zip(image.numbers(places), image.numbers(lengths), strict=False))
            if max(ends, default=0) > len(data):
                return True
    return False


def _png_is_cut(data: Any) -> bool:
    at = len(_PNG)
    while at + 8 <= len(data):
        size, kind = struct.unpack_from(">I4s", data, at)
        at += 12 + size
        if kind == b"IEND":
            return bool(at > len(data))
    return True


def _boxes_are_cut(data: Any) -> bool:
    # None is given that reaches beyond the end.
    return max((end for _, _, end in boxes(data)), default=0) < len(data)
