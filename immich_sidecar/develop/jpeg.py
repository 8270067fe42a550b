"""The segments of a JPEG file (ITU-T T.81, JFIF, EXIF): what stands before the first scan."""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

#: Frame headers: every SOF but DHT, JPG and DAC.
_FRAMES = {0xC0 + n for n in range(16)} - {0xC4, 0xC8, 0xCC}
_EXIF, _XMP, _ICC = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0", b"ICC_PROFILE\0"
_EXTENDED_XMP = b"http://ns.adobe.com/xmp/extension/\0"
_PHOTOSHOP, _MPF = b"Photoshop 3.0\0", b"MPF\0"
#: A mark that ends a scan: not a stuffed zero, a restart, or padding.
_MARK = re.compile(rb"\xff[^\x00\xd0-\xd7\xff]")
_ISO_GAIN_MAP = b"urn:iso:std:iso:ts:21496:-1\0"


@dataclass(frozen=True)
class Segment:
    """One marker segment: its second byte and what follows the length."""

    marker: int
    payload: bytes


@dataclass(frozen=True)
class Header:
    """Everything before the first scan of a JPEG."""

    segments: tuple[Segment, ...]

    @cached_property
    def frame(self) -> tuple[int, int, int, int, int] | None:
        """Marker, precision in bits, height, width, components; None where there is no frame."""
        for s in self.segments:
            if s.marker in _FRAMES and len(s.payload) >= 6:
                precision, height, width, components = struct.unpack_from(">BHHB", s.payload)
                return s.marker, precision, height, width, components
        return None

    @property
    def exif(self) -> bytes:
        """The TIFF structure of the EXIF segment."""
        return next(iter(self.exif_blocks), b"")

    @property
    def exif_blocks(self) -> tuple[bytes, ...]:
        """The TIFF structures of all EXIF segments; LibRaw lays one of its own before that of an embedded JPEG."""
        return tuple(self._after(0xE1, _EXIF))

    @property
    def xmp(self) -> bytes:
        """The XMP packet, without extended parts."""
        return next(iter(self._after(0xE1, _XMP)), b"")

    @property
    def extended_xmp_parts(self) -> tuple[bytes, ...]:
        """The segments of the extended XMP behind their mark: GUID, length, offset, content."""
        return tuple(self._after(0xE1, _EXTENDED_XMP))

    @property
    def extended_xmp(self) -> bytes:
        """The content of the extended XMP, in the order stored."""
        return b"".join(part[40:] for part in self.extended_xmp_parts)

    @property
    def photoshop(self) -> bytes:
        """Photoshop's image resources, which hold IPTC."""
        return b"".join(self._after(0xED, _PHOTOSHOP))

    @property
    def icc(self) -> bytes:
        """The ICC profile, put together from its numbered parts; empty where one is missing."""
        parts = {p[0]: p for p in self._after(0xE2, _ICC) if len(p) > 2}
        count = next(iter(parts.values()))[1] if parts else 0
        if sorted(parts) != list(range(1, count + 1)):
            return b""
        return b"".join(parts[n][2:] for n in sorted(parts))

    @property
    def has_iso_gain_map(self) -> bool:
        """Whether an ISO 21496-1 segment is there."""
        return bool(self._after(0xE2, _ISO_GAIN_MAP))

    @property
    def has_more_pictures(self) -> bool:
        """Whether a segment lists pictures that follow (CIPA DC-007, multi-picture format)."""
        return bool(self._after(0xE2, _MPF))

    @property
    def adobe_transform(self) -> int | None:
        """The colour transform of Adobe's segment."""
        found = self._after(0xEE, b"Adobe")
        return found[0][6] if found and len(found[0]) > 6 else None

    def _after(self, marker: int, prefix: bytes) -> list[bytes]:
        found = (s.payload for s in self.segments if s.marker == marker and s.payload.startswith(prefix))
        return [payload[len(prefix) :] for payload in found]


def read_header(data: bytes) -> Header:
    """Read the segments before the first scan; ends early where the file is damaged."""
    return Header(tuple(_segments(data)))


def read_header_of(data: Any) -> Header:
    """As `read_header`, of a file that is mapped into memory: no more of it is read than need be."""
    head = 1 << 18
    while True:
        header = read_header(data[:head])
        # A segment that is cut off begins less than its greatest length before the end.
        read = sum(len(segment.payload) + 4 for segment in header.segments)
        if read + (1 << 17) <= head or head >= len(data):
            return header
        head *= 8


def end_of_picture(data: Any, start: int = 0) -> int | None:
    """Where the picture that begins at `start` ends, behind its last mark; None where that is missing."""
    at = start + 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xD9:
            return at + 2
        if marker in (0xFF, 0x01) or 0xD0 <= marker <= 0xD8:
            at += 1 if marker == 0xFF else 2
            continue
        at += 2 + int(struct.unpack_from(">H", data, at + 2)[0])
        if marker == 0xDA:
            found = _MARK.search(data, at)
            if found is None:
                return None
            at = found.start()
    return at + 2 if data[at : at + 2] == b"\xff\xd9" else None


def without_metadata(data: bytes) -> bytes:
    """A JPEG with no application segments but those that say how its pixels are coded (JFIF, Adobe), and no comments.

    JFIF comes first. What stands behind tables is found as well.
    """
    kept: list[bytes] = []
    at = 2
    while data[at] == 0xFF and data[at + 1] not in (0xD9, 0xDA):
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            kept.append(data[at : at + 2])
            at += 2
            continue
        end = at + 2 + int(struct.unpack_from(">H", data, at + 2)[0])
        content = data[at + 4 : end]
        if marker == 0xE0 and content.startswith(b"JFIF\0"):
            kept.insert(0, data[at:end])
        elif not (0xE0 <= marker <= 0xEF or marker == 0xFE) or (marker == 0xEE and content.startswith(b"Adobe")):
            kept.append(data[at:end])
        at = end
    return data[:2] + b"".join(kept) + data[at:]


def _segments(data: bytes) -> Iterator[Segment]:
    at = 2
    while at + 4 <= len(data):
        if data[at] != 0xFF:
            return
        marker = data[at + 1]
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0x01 or 0xD0 <= marker <= 0xD8:
            at += 2
            continue
        if marker in (0xD9, 0xDA):
            return
        length = struct.unpack_from(">H", data, at + 2)[0]
        if length < 2 or at + 2 + length > len(data):
            return
        yield Segment(marker, data[at + 4 : at + 2 + length])
        at += 2 + length
