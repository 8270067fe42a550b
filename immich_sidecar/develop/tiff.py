"""Reading of TIFF structures: EXIF blocks, and the directories of TIFF-based files (TIFF 6.0, EXIF 2.32).

Only what is asked of a file is read; whatever is damaged is left out, since metadata never makes a photo
undecodable.
"""

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Protocol


class Stream(Protocol):
    """Bytes that can be read from anywhere."""

    def seek(self, offset: int, whence: int = 0, /) -> int:
        """Move to `offset`."""
        ...

    def read(self, size: int = -1, /) -> bytes:
        """Read up to `size` bytes."""
        ...


Value = int | float | Fraction | bytes

#: Size in bytes and struct letter of each TIFF field type; rationals are read as two numbers.
_TYPES = {
    1: (1, "B"),
    2: (1, "s"),
    3: (2, "H"),
    4: (4, "I"),
    5: (8, "II"),
    6: (1, "b"),
    7: (1, "s"),
    8: (2, "h"),
    9: (4, "i"),
    10: (8, "ii"),
    11: (4, "f"),
    12: (8, "d"),
    13: (4, "I"),
}
#: Magic numbers after the byte order: TIFF, and the dialects of Olympus (2) and Panasonic.
_MAGICS = {42, 0x4F52, 0x5352, 0x55}
_EXIF, _GPS, _INTEROP, _SUB = 0x8769, 0x8825, 0xA005, 0x014A
_MOST_ENTRIES, _LONGEST = 1000, 1 << 16
#: The lists of opcodes of a DNG hold tables and may be longer.
_OPCODE_LISTS, _LONGEST_OPCODES = {51008, 51009, 51022}, 1 << 24


@dataclass(frozen=True)
class Directory:
    """One image file directory: values by tag number; text and undefined data as `bytes`."""

    values: dict[int, tuple[Value, ...]] = field(default_factory=dict)
    #: Where it lies in the structure.
    offset: int = 0

    def number(self, tag: int) -> float | None:
        """The first value of a tag as a number; None where it is none, or not a finite one."""
        value = next(iter(self.values.get(tag, ())), None)
        return None if value is None or isinstance(value, bytes) or not math.isfinite(value) else float(value)

    def text(self, tag: int) -> str | None:
        """A tag as text without trailing zeros and blanks; None where it is empty."""
        value = next(iter(self.values.get(tag, ())), None)
        if not isinstance(value, bytes):
            return None
        return value.split(b"\0")[0].decode("utf-8", "replace").strip() or None

    def numbers(self, tag: int) -> tuple[float, ...]:
        """All values of a tag that are numbers."""
        return tuple(float(v) for v in self.values.get(tag, ()) if not isinstance(v, bytes))


@dataclass(frozen=True)
class Exif:
    """The directories of an EXIF block or of a TIFF-based file."""

    images: tuple[Directory, ...] = ()
    exif: Directory = field(default_factory=Directory)
    gps: Directory = field(default_factory=Directory)
    interop: Directory = field(default_factory=Directory)

    @property
    def main(self) -> Directory:
        """The first image directory, empty where there is none."""
        return self.images[0] if self.images else Directory()

    @property
    def colour_space(self) -> int | None:
        """The number of the colour space: 1 for sRGB, 65535 for another one."""
        number = self.exif.number(0xA001)
        return None if number is None else int(number)

    @property
    def is_adobe_rgb(self) -> bool:
        """Whether the space is Adobe RGB in the way of DCF: an uncalibrated one and interoperability index R03."""
        return self.colour_space in (2, 65535) and self.interop.text(1) == "R03"


def read(stream: Stream) -> Exif:
    """Read the directories of a TIFF structure that begins where `stream` begins; empty if it is none."""
    return _Reader(stream).exif()


class _Reader:
    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        head = self._at(0, 8)
        self._order = {b"II": "<", b"MM": ">"}.get(head[:2], "")
        self._first = 0
        if self._order and len(head) == 8:
            magic, self._first = struct.unpack(self._order + "HI", head[2:])
            self._first = self._first if magic in _MAGICS else 0
        self._seen: set[int] = set()

    def exif(self) -> Exif:
        images = list(self._chain(self._first))
        for directory in list(images):
            for offset in directory.values.get(_SUB, ())[:16]:
                images.extend(self._chain(offset))
        found = {}
        for name, tag in (("exif", _EXIF), ("gps", _GPS)):
            offsets = [d.values[tag][0] for d in images[:1] if d.values.get(tag)]
            found[name] = next(self._chain(offsets[0]), Directory()) if offsets else Directory()
        interop = found["exif"].values.get(_INTEROP, (0,))[0]
        return Exif(tuple(images), found["exif"], found["gps"], next(self._chain(interop), Directory()))

    def _chain(self, offset: Value) -> Iterator[Directory]:
        while isinstance(offset, int) and offset and offset not in self._seen and len(self._seen) < 64:
            self._seen.add(offset)
            directory, offset = self._directory(offset)
            if directory.values:
                yield directory

    def _directory(self, offset: int) -> tuple[Directory, int]:
        head = self._at(offset, 2)
        if len(head) < 2:
            return Directory(), 0
        count = min(struct.unpack(self._order + "H", head)[0], _MOST_ENTRIES)
        table = self._at(offset + 2, 12 * count + 4)
        values = {}
        for i in range(0, min(12 * count, len(table) - 11), 12):
            tag, kind, length = struct.unpack_from(self._order + "HHI", table, i)
            most = _LONGEST_OPCODES if tag in _OPCODE_LISTS else _LONGEST
            value = self._value(kind, length, table[i + 8 : i + 12]) if length <= most else ()
            if value:
                values[tag] = value
        following = table[12 * count : 12 * count + 4]
        return Directory(values, offset), struct.unpack(self._order + "I", following)[0] if len(following) == 4 else 0

    def _value(self, kind: int, length: int, inline: bytes) -> tuple[Value, ...]:
        if kind not in _TYPES:
            return ()
        size, letter = _TYPES[kind]
        data = inline[: size * length]
        if size * length > 4:
            data = self._at(struct.unpack(self._order + "I", inline)[0], size * length)
        if len(data) < size * length:
            return ()
        if letter == "s":
            return (data,)
        numbers = struct.unpack(f"{self._order}{length * len(letter)}{letter[0]}", data)
        if len(letter) == 1:
            return numbers
        pairs = zip(numbers[::2], numbers[1::2], strict=True)
        return tuple(Fraction(a, b) if b else float("nan") for a, b in pairs)

    def _at(self, offset: int, length: int) -> bytes:
        try:
            self._stream.seek(offset)
            return self._stream.read(length)
        except (OSError, ValueError, OverflowError):
            return b""
