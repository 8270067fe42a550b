"""Writing of TIFF files of 16 bits (TIFF 6.0), with their metadata.

An EXIF block is a TIFF structure already, and maker notes hold offsets that count from its start. So the file
begins with the block as it is; a new first directory behind it takes the block's entries together with those of
the picture. Nothing inside the block moves.
"""

import struct
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop.packets import IPTC_RESOURCE, Packets, without_resources

_SHORT, _LONG, _UNDEFINED, _BYTE = 3, 4, 7, 1
_DEFLATE, _RGB, _HORIZONTAL_DIFFERENCE = 8, 2, 2
#: Rows that are compressed together; deflate's level: higher ones gain 2 % and take four times as long.
_ROWS, _LEVEL = 64, 1
#: Tags that say how and where the picture lies, and those that are written anew below.
_OF_THE_PICTURE = {
    *(254, 255, 256, 257, 258, 259, 262, 263, 266, 273, 277, 278, 279, 280, 281, 284, 317, 320),
    *(322, 323, 324, 325, 330, 338, 339, 347, 529, 530, 531, 700, 33421, 33422, 33723, 34377, 34675),
}
_LARGEST_FILE = (1 << 32) - 1


@dataclass(frozen=True)
class _Entry:
    tag: int
    kind: int
    count: int
    #: Four bytes as stored: the value or its offset.
    stored: bytes


def written(image: NDArray[Any], icc: bytes, packets: Packets) -> bytes:
    """A TIFF of 16 bits, without loss, of RGB pixels (height, width, 3), `uint16` or `uint8`, with metadata."""
    file = _File(packets.exif)
    height, width = image.shape[:2]
    offsets, sizes = [], []
    for start in range(0, height, _ROWS):
        strip = image[start : start + _ROWS]
        strip = strip if strip.dtype == np.uint16 else strip.astype(np.uint16) * np.uint16(257)
        differences = strip.copy()
        differences[:, 1:] -= strip[:, :-1]
        content = zlib.compress(differences.astype(file.order + "u2").tobytes(), _LEVEL)
        offsets.append(file.add(content))
        sizes.append(len(content))
    entries = [
        file.numbers(256, _LONG, width),
        file.numbers(257, _LONG, height),
        file.numbers(258, _SHORT, 16, 16, 16),
        file.numbers(259, _SHORT, _DEFLATE),
        file.numbers(262, _SHORT, _RGB),
        file.numbers(273, _LONG, *offsets),
        file.numbers(277, _SHORT, 3),
        file.numbers(278, _LONG, min(_ROWS, height)),
        file.numbers(279, _LONG, *sizes),
        file.numbers(284, _SHORT, 1),
        file.numbers(317, _SHORT, _HORIZONTAL_DIFFERENCE),
        file.numbers(339, _SHORT, 1, 1, 1),
        file.content(34675, _UNDEFINED, icc),
    ]
    for tag, kind, content in (
        (700, _BYTE, packets.whole_xmp),
        (33723, _UNDEFINED, packets.iptc),
        (34377, _BYTE, without_resources(packets.photoshop, {IPTC_RESOURCE})),
    ):
        if content:
            entries.append(file.content(tag, kind, content))
    return file.closed(entries)


class _File:
    """A file that grows; it begins with an EXIF block, or with an empty header where there is none."""

    def __init__(self, block: bytes) -> None:
        usable = len(block) >= 8 and block[:4] in (b"II*\0", b"MM\0*")
        #: numpy's and struct's letter for the byte order.
        self.order = ">" if usable and block[:2] == b"MM" else "<"
        self._parts = [block if usable else b"II*\0" + bytes(4)]
        self._size = len(self._parts[0])
        self._old, self._following = self._directory() if usable else ([], 0)

    def add(self, content: bytes) -> int:
        """Lay bytes at the end, on an even place; returns where."""
        if self._size % 2:
            self._append(b"\0")
        place = self._size
        self._append(content)
        if self._size > _LARGEST_FILE:
            raise OverflowError("a TIFF holds at most 4 GiB")
        return place

    def numbers(self, tag: int, kind: int, *values: int) -> _Entry:
        """An entry of numbers."""
        packed = struct.pack(f"{self.order}{len(values)}{'H' if kind == _SHORT else 'I'}", *values)
        return _Entry(tag, kind, len(values), self._stored(packed))

    def content(self, tag: int, kind: int, content: bytes) -> _Entry:
        """An entry of bytes."""
        return _Entry(tag, kind, len(content), self._stored(content))

    def closed(self, entries: list[_Entry]) -> bytes:
        """The whole file, with a first directory of the block's entries and these."""
        kept = [entry for entry in self._old if entry.tag not in _OF_THE_PICTURE]
        every = sorted([*kept, *entries], key=lambda entry: entry.tag)
        table = b"".join(struct.pack(self.order + "HHI", e.tag, e.kind, e.count) + e.stored for e in every)
        place = self.add(
            struct.pack(self.order + "H", len(every)) + table + struct.pack(self.order + "I", self._following)
        )
        head = self._parts[0]
        self._parts[0] = head[:4] + struct.pack(self.order + "I", place) + head[8:]
        return b"".join(self._parts)

    def _append(self, content: bytes) -> None:
        self._parts.append(content)
        self._size += len(content)

    def _stored(self, packed: bytes) -> bytes:
        if len(packed) <= 4:
            return packed.ljust(4, b"\0")
        return struct.pack(self.order + "I", self.add(packed))

    def _directory(self) -> tuple[list[_Entry], int]:
        """The entries of the block's first directory, and where the next one stands."""
        block = self._parts[0]
        start = struct.unpack_from(self.order + "I", block, 4)[0]
        if start < 8 or start + 2 > len(block):
            return [], 0
        count = struct.unpack_from(self.order + "H", block, start)[0]
        end = start + 2 + 12 * count
        if end > len(block):
            return [], 0
        entries = []
        for at in range(start + 2, end, 12):
            tag, kind, values = struct.unpack_from(self.order + "HHI", block, at)
            entries.append(_Entry(tag, kind, values, block[at + 8 : at + 12]))
        following = struct.unpack_from(self.order + "I", block, end)[0] if end + 4 <= len(block) else 0
        return entries, following
