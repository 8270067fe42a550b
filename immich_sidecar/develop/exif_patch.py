"""Changing an EXIF block where it stands.

Maker notes hold offsets that only their camera understands, so a block is not rebuilt: the few values that a
new picture makes untrue are overwritten in place, and a new thumbnail takes the place of the old one or is
laid behind the block. Everything else stays byte for byte.
"""

import struct
from collections.abc import Callable, Collection
from dataclasses import dataclass

#: An EXIF segment of a JPEG holds this much (65535 less its length field and "Exif\0\0").
LARGEST_BLOCK = 65535 - 2 - 6

_WIDTH, _HEIGHT, _COMPRESSION, _ORIENTATION = 256, 257, 259, 274
_EXIF_IFD, _PIXEL_X, _PIXEL_Y = 0x8769, 0xA002, 0xA003
_THUMBNAIL_AT, _THUMBNAIL_LENGTH = 513, 514
_SHORT, _LONG = 3, 4
_JPEG_COMPRESSION = 6


@dataclass(frozen=True)
class _Entry:
    kind: int
    count: int
    value_at: int


def patched(
    block: bytes,
    *,
    width: int,
    height: int,
    thumbnail: Callable[[], bytes],
    limit: int = LARGEST_BLOCK,
) -> bytes:
    """The block for a picture of another size that stands upright.

    Orientation becomes 1 and dimensions true, where they are stated; a JPEG thumbnail is replaced where there
    is one, or removed where it would not fit or is of another kind. `thumbnail` is asked only if needed.
    """
    return _Block(block).patched(width, height, thumbnail, limit)


def with_orientation(block: bytes, orientation: int) -> bytes:
    """The block with another orientation, which is added where there is none."""
    return _Block(block).with_orientation(orientation)


def without(block: bytes, tags: Collection[int]) -> bytes:
    """The block without some tags of its first directory; what those point to stays, and nothing else moves."""
    return _Block(block).without(tags)


class _Block:
    def __init__(self, block: bytes) -> None:
        self._data = bytearray(block)
        self._order = {b"II": "<", b"MM": ">"}.get(block[:2], "")

    def patched(self, width: int, height: int, thumbnail: Callable[[], bytes], limit: int) -> bytes:
        if not self._order or len(self._data) < 8:
            return bytes(self._data)
        first = self._number(4, _LONG)
        main, following_at = self._directory(first)
        self._orient(main.get(_ORIENTATION), 1)
        self._write(main.get(_WIDTH), width)
        self._write(main.get(_HEIGHT), height)
        pointer = main.get(_EXIF_IFD)
        if pointer:
            exif, _ = self._directory(self._number(pointer.value_at, _LONG))
            self._write(exif.get(_PIXEL_X), width)
            self._write(exif.get(_PIXEL_Y), height)
        second = self._number(following_at, _LONG) if following_at else 0
        if second and not self._replace_thumbnail(second, thumbnail, limit):
            struct.pack_into(self._order + "I", self._data, following_at, 0)
        return bytes(self._data)

    def with_orientation(self, orientation: int) -> bytes:
        if not self._order or len(self._data) < 8:
            if orientation == 1:
                return bytes(self._data)
            self._data, self._order = bytearray(b"II*\0\x08\0\0\0\0\0\0\0\0\0"), "<"
        main, following_at = self._directory(self._number(4, _LONG))
        following = self._number(following_at, _LONG) if following_at else 0
        if _ORIENTATION in main:
            self._orient(main[_ORIENTATION], orientation)
        elif orientation != 1:
            # A new first directory behind the block, with the old entries; what those point to stays in its place.
            self._data += bytes(len(self._data) % 2)
            table = {tag: bytes(self._data[entry.value_at - 8 : entry.value_at + 4]) for tag, entry in main.items()}
            table[_ORIENTATION] = struct.pack(self._order + "HHIHH", _ORIENTATION, _SHORT, 1, orientation, 0)
            struct.pack_into(self._order + "I", self._data, 4, len(self._data))
            self._data += struct.pack(self._order + "H", len(table)) + b"".join(table[tag] for tag in sorted(table))
            self._data += struct.pack(self._order + "I", following)
        if following:
            self._orient(self._directory(following)[0].get(_ORIENTATION), orientation)
        return bytes(self._data)

    def without(self, tags: Collection[int]) -> bytes:
        if not self._order or len(self._data) < 8:
            return bytes(self._data)
        first = self._number(4, _LONG)
        main, following_at = self._directory(first)
        kept = [entry for tag, entry in main.items() if tag not in tags]
        if len(kept) == len(main) or not following_at:
            return bytes(self._data)
        table = b"".join(self._data[entry.value_at - 8 : entry.value_at + 4] for entry in kept)
        table += self._data[following_at : following_at + 4]
        struct.pack_into(self._order + "H", self._data, first, len(kept))
        self._data[first + 2 : following_at + 4] = table.ljust(following_at + 2 - first, b"\0")
        return bytes(self._data)

    def _replace_thumbnail(self, directory: int, thumbnail: Callable[[], bytes], limit: int) -> bool:
        entries, _ = self._directory(directory)
        place, length = entries.get(_THUMBNAIL_AT), entries.get(_THUMBNAIL_LENGTH)
        compression = entries.get(_COMPRESSION)
        if not place or not length or place.kind != _LONG or length.kind not in (_SHORT, _LONG):
            return False
        if compression and self._number(compression.value_at, compression.kind) != _JPEG_COMPRESSION:
            return False
        start, old = self._number(place.value_at, _LONG), self._number(length.value_at, length.kind)
        # What is said to lie elsewhere would be written over something else.
        if start + old > len(self._data) or self._data[start : start + min(old, 2)] != b"\xff\xd8":
            return False
        picture = thumbnail()
        if length.kind == _SHORT and len(picture) > 0xFFFF:
            return False
        if len(picture) <= old:
            self._data[start : start + old] = picture + bytes(old - len(picture))
        else:
            at_end = start + old >= len(self._data) - 1
            self._data[start : start + old] = b"" if at_end else bytes(old)
            self._data += bytes(len(self._data) % 2)
            if len(self._data) + len(picture) > limit:
                return False
            struct.pack_into(self._order + "I", self._data, place.value_at, len(self._data))
            self._data += picture
        self._write(length, len(picture))
        self._orient(entries.get(_ORIENTATION), 1)
        return True

    def _directory(self, offset: int) -> tuple[dict[int, _Entry], int]:
        """Entries of a directory by tag, and where the offset of the next one stands (0: nowhere)."""
        if offset < 8 or offset + 2 > len(self._data):
            return {}, 0
        count = self._number(offset, _SHORT)
        end = offset + 2 + 12 * count
        if end > len(self._data):
            return {}, 0
        entries = {}
        for at in range(offset + 2, end, 12):
            tag, kind, values = struct.unpack_from(self._order + "HHI", self._data, at)
            entries[tag] = _Entry(kind, values, at + 8)
        return entries, end if end + 4 <= len(self._data) else 0

    def _number(self, at: int, kind: int) -> int:
        letter = "H" if kind == _SHORT else "I"
        return int(struct.unpack_from(self._order + letter, self._data, at)[0])

    def _write(self, entry: _Entry | None, value: int) -> None:
        if entry and entry.count == 1 and entry.kind in (_SHORT, _LONG):
            letter = "H" if entry.kind == _SHORT else "I"
            struct.pack_into(self._order + letter, self._data, entry.value_at, value)

    def _orient(self, entry: _Entry | None, orientation: int) -> None:
        """Write an orientation as EXIF wants it; where it is another kind of number, it is read all the same."""
        if entry and (entry.count != 1 or entry.kind not in (_SHORT, _LONG)):
            struct.pack_into(self._order + "HIHH", self._data, entry.value_at - 6, _SHORT, 1, orientation, 0)
        else:
            self._write(entry, orientation)
