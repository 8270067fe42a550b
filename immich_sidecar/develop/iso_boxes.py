"""Boxes of ISO/IEC 14496-12, of which HEIC, AVIF and JPEG XL files consist."""

import struct
from collections.abc import Iterator
from typing import Any


def boxes(data: Any) -> Iterator[tuple[bytes, int, int]]:
    """Type, start and end of the content of each box of a container (bytes, or a memory map)."""
    at, length = 0, len(data)
    while at + 8 <= length:
        size, kind = struct.unpack_from(">I4s", data, at)
        start = at + 8
        if size == 1:
            if at + 16 > length:
                return
            size, start = struct.unpack_from(">Q", data, at + 8)[0], at + 16
        end = length if size == 0 else at + size
        if end > length or end < start:
            return
        yield kind, start, end
        at = end


def box(kind: bytes, content: bytes) -> bytes:
    """A box, with a long size where it needs one."""
    size = len(content) + 8
    if size >= 1 << 32:
        return struct.pack(">I4sQ", 1, kind, size + 8) + content
    return struct.pack(">I4s", size, kind) + content


def full_box(kind: bytes, content: bytes, *, version: int = 0, flags: int = 0) -> bytes:
    """A box that says its version and has flags."""
    return box(kind, struct.pack(">I", version << 24 | flags) + content)
