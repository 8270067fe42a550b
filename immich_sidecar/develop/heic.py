"""Pixels of HEIC files, tile by tile where they are a grid of tiles, as phones write them.

libheif lays all tiles of a grid (ISO/IEC 23008-12, 6.6.2.3) together in YCbCr first and makes RGB of that then, so
that both lie in memory, and its threads keep what they worked in. Here each tile is laid into a file of its own, which
libheif decodes into its place. The pixels are the same: where colour is stored at half the size, libheif repeats it,
and never looks beyond a pixel for that.
"""

import mmap
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop.iso_boxes import box, boxes, full_box
from immich_sidecar.develop.picture_memory import picture

_MARK = struct.pack(">4sI4s4s", b"heic", 0, b"mif1", b"heic")
#: Properties that move pixels, and the kind of colour property that decoding looks at.
_TURN, _MIRROR, _NCLX = b"irot", b"imir", b"nclx"
_MOVING = {_TURN, _MIRROR, b"clap", b"iscl"}
_HANDLER = full_box(b"hdlr", bytes(4) + b"pict" + bytes(13))

#: Type and content of a property.
_Property = tuple[bytes, bytes]


@dataclass(frozen=True)
class Picture:
    """The picture of a HEIC file."""

    #: Upright: `uint8`, or `uint16` over the whole range; shape (height, width), or (height, width, channels).
    pixels: NDArray[Any]
    icc: bytes
    #: Colour primaries (ITU-T H.273); 2 is unspecified.
    primaries: int


@dataclass(frozen=True)
class Grid:
    """How a picture consists of tiles."""

    #: Size before it is turned upright, and that of a tile, as (width, height).
    size: tuple[int, int]
    tile_size: tuple[int, int]
    columns: int
    #: Places of each tile's bytes in the file as (start, end), from left to right and from top to bottom.
    tiles: tuple[tuple[tuple[int, int], ...], ...]
    #: What a decoder has to know of a tile.
    properties: tuple[_Property, ...]
    #: What turns the picture upright, in this order.
    moves: tuple[_Property, ...]


def read(path: Path) -> Picture:
    """Decode the picture of a file; raises what pillow_heif raises, and `ValueError` where a tile is not there."""
    with _one_thread() as pillow_heif:
        heif = pillow_heif.open_heif(path, convert_hdr_to_8bit=False)
        depth = int(heif.info.get("bit_depth") or 8)
        icc = heif.info.get("icc_profile") or b""
        nclx = heif.info.get("nclx_profile") or {}
        primaries = int(nclx.get("color_primaries", 2)) if isinstance(nclx, dict) else 2
        # The bits stand at the upper end of 16.
        levels = None if depth <= 8 else code_levels(((1 << depth) - 1) << (16 - depth))
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            grid = grid_of(data) if heif.mode in ("RGB", "RGB;16") else None
            if grid is not None and _upright(grid) == tuple(heif.size):
                del heif
                return Picture(_by_tiles(data, grid, levels), icc, primaries)
        pixels = np.asarray(heif)
        return Picture(pixels if levels is None else levels[pixels], icc, primaries)


@lru_cache(maxsize=4)
def code_levels(top: int) -> NDArray[np.uint16]:
    """What each of 65536 code values is over all of 16 bits, where the highest is `top`."""
    values = np.minimum(np.arange(65536, dtype=np.uint64) * 65535 + top // 2, 65535 * top) // top
    return values.astype(np.uint16)


@contextmanager
def _one_thread() -> Iterator[Any]:
    """pillow_heif, told to decode in this thread alone: others would each keep memory."""
    import pillow_heif

    before = pillow_heif.options.DECODE_THREADS
    pillow_heif.options.DECODE_THREADS = 0
    try:
        yield pillow_heif
    finally:
        pillow_heif.options.DECODE_THREADS = before


def _upright(grid: Grid) -> tuple[int, int]:
    turns = sum(content[0] & 1 for kind, content in grid.moves if kind == _TURN)
    return grid.size[::-1] if turns % 2 else grid.size


def _by_tiles(data: Any, grid: Grid, levels: NDArray[np.uint16] | None) -> NDArray[Any]:
    width, height = _upright(grid)
    upright = picture((height, width, 3), np.uint8 if levels is None else np.uint16)
    # The same pixels in the order of the tiles.
    stored: NDArray[Any] = upright
    for kind, content in reversed(grid.moves):
        stored = np.rot90(stored, -(content[0] & 3)) if kind == _TURN else np.flip(stored, content[0] & 1)
    wide, tall = grid.tile_size
    for number, parts in enumerate(grid.tiles):
        top, left = number // grid.columns * tall, number % grid.columns * wide
        place = stored[top : top + tall, left : left + wide]
        if any(end > len(data) for _, end in parts):
            raise ValueError("it ends too early")
        tile = _tile(b"".join(data[start:end] for start, end in parts), grid.properties)
        if tile.dtype != (np.uint8 if levels is None else np.uint16) or tile.shape != (tall, wide, 3):
            raise ValueError("its tiles are not alike")
        tile = tile[: place.shape[0], : place.shape[1]]
        place[...] = tile if levels is None else levels[tile]
    return upright


def _tile(coded: bytes, properties: tuple[_Property, ...]) -> NDArray[Any]:
    import pillow_heif

    whole = _file(coded, properties)
    return np.asarray(pillow_heif.open_heif(whole, convert_hdr_to_8bit=False))


def _file(coded: bytes, properties: tuple[_Property, ...]) -> bytes:
    """A file of one coded picture."""
    owned = bytes(range(1, len(properties) + 1))
    head = box(b"ftyp", _MARK)

    def meta(start: int) -> bytes:
        place = struct.pack(">BBHHHHII", 0x44, 0, 1, 1, 0, 1, start, len(coded))
        return full_box(
            b"meta",
            _HANDLER
            + full_box(b"pitm", struct.pack(">H", 1))
            + full_box(b"iloc", place)
            + full_box(
                b"iinf", struct.pack(">H", 1) + full_box(b"infe", struct.pack(">HH4sx", 1, 0, b"hvc1"), version=2)
            )
            + box(
                b"iprp",
                box(b"ipco", b"".join(box(kind, content) for kind, content in properties))
                + full_box(b"ipma", struct.pack(">IHB", 1, 1, len(owned)) + owned),
            ),
        )

    return head + meta(len(head) + len(meta(0)) + 8) + box(b"mdat", coded)


def grid_of(data: Any) -> Grid | None:
    """The grid of tiles that a file's picture is; None where it is none of the usual kind.

    `data` is the whole file: bytes, or a memory map.
    """
    try:
        return _grid(data)
    except (struct.error, IndexError, KeyError, ValueError):
        return None


def _grid(data: Any) -> Grid | None:
    start, end = next((start, end) for kind, start, end in boxes(data) if kind == b"meta")
    meta = {kind: data[start + 4 + a : start + 4 + b] for kind, a, b in boxes(data[start + 4 : end])}
    kinds = _kinds(meta[b"iinf"])
    primary = struct.unpack_from(">H" if meta[b"pitm"][0] == 0 else ">I", meta[b"pitm"], 4)[0]
    if kinds[primary] != b"grid":
        return None
    references = list(_references(meta[b"iref"]))
    numbers = next(to for kind, number, to in references if kind == b"dimg" and number == primary)
    own = _properties(meta[b"iprp"])
    first = own[numbers[0]]
    is_plain = all(kinds[number] == b"hvc1" and own[number] == first for number in numbers)
    moves = tuple(each for each in own[primary] if each[0] in _MOVING)
    if not is_plain or any(kind in _MOVING for kind, _ in first) or any(k not in (_TURN, _MIRROR) for k, _ in moves):
        return None
    # Transparency may be told of tiles, too.
    if any(kind == b"auxl" and set(to) & set(numbers) for kind, _, to in references):
        return None
    places = _places(meta[b"iloc"], meta.get(b"idat", b""))
    head = _content(data, places[primary])
    rows, columns = head[2] + 1, head[3] + 1
    width, height = struct.unpack_from(">II" if head[1] & 1 else ">HH", head, 4)
    wide, tall = struct.unpack_from(">II", dict(first)[b"ispe"], 4)
    covers = (columns - 1) * wide < width <= columns * wide and (rows - 1) * tall < height <= rows * tall
    # Of odd sides, colour at half the size would go beyond a tile.
    if not covers or wide % 2 or tall % 2 or rows * columns != len(numbers):
        return None
    tiles = [places[number] for number in numbers]
    if any(isinstance(one, bytes) for one in tiles):
        return None
    # What is said of the colours of the whole goes before what is said of those of its tiles.
    said = [each for each in own[primary] if _is_nclx(each)] or [each for each in first if _is_nclx(each)]
    properties = (*(each for each in first if each[0] in (b"hvcC", b"ispe", b"pixi")), *said[:1])
    return Grid((width, height), (wide, tall), columns, tuple(tiles), properties, moves)  # type: ignore[arg-type]


def _is_nclx(one: _Property) -> bool:
    return one[0] == b"colr" and one[1][:4] == _NCLX


def _kinds(content: bytes) -> dict[int, bytes]:
    """Kinds of items by their numbers (ISO/IEC 14496-12, 8.11.6)."""
    found = {}
    for _, start, _ in boxes(content[6 if content[0] == 0 else 8 :]):
        at = start + (6 if content[0] == 0 else 8)
        layout = ">H2x4s" if content[at] == 2 else ">I2x4s"
        number, kind = struct.unpack_from(layout, content, at + 4)
        found[number] = kind
    return found


def _references(content: bytes) -> Iterator[tuple[bytes, int, tuple[int, ...]]]:
    """Kind of a reference, the item that refers, and those that it refers to (8.11.12)."""
    letter, size = ("H", 2) if content[0] == 0 else ("I", 4)
    for kind, start, _ in boxes(content[4:]):
        at = 4 + start
        number, count = struct.unpack_from(f">{letter}H", content, at)
        yield kind, number, struct.unpack_from(f">{count}{letter}", content, at + size + 2)


def _properties(content: bytes) -> dict[int, tuple[_Property, ...]]:
    """Properties of items by their numbers, in their order (8.11.14)."""
    parts = {kind: content[start:end] for kind, start, end in boxes(content)}
    every = [(kind, parts[b"ipco"][start:end]) for kind, start, end in boxes(parts[b"ipco"])]
    table = parts[b"ipma"]
    letter, size = ("H", 2) if table[0] == 0 else ("I", 4)
    wide = table[3] & 1
    count, at = struct.unpack_from(">I", table, 4)[0], 8
    found = {}
    for _ in range(count):
        number, owned = struct.unpack_from(f">{letter}B", table, at)
        at += size + 1
        indices = struct.unpack_from(f">{owned}{'H' if wide else 'B'}", table, at)
        at += owned * (2 if wide else 1)
        found[number] = tuple(every[(index & (0x7FFF if wide else 0x7F)) - 1] for index in indices if index & 0x7FFF)
    return found


def _places(content: bytes, inside: bytes) -> dict[int, tuple[tuple[int, int], ...] | bytes]:
    """Where items lie in the file, or what they hold where that lies in the header (8.11.3)."""
    version = content[0]
    sizes = (content[4] >> 4, content[4] & 15, content[5] >> 4, content[5] & 15 if version else 0)
    at = 6

    def number(size: int) -> int:
        nonlocal at
        if at + size > len(content):
            raise ValueError("the list of places is cut off")
        at += size
        return int.from_bytes(content[at - size : at], "big")

    found: dict[int, tuple[tuple[int, int], ...] | bytes] = {}
    for _ in range(number(4 if version == 2 else 2)):
        item = number(4 if version == 2 else 2)
        method = number(2) & 15 if version else 0
        other_file, base = number(2), number(sizes[2])
        parts = []
        for _ in range(number(2)):
            number(sizes[3])
            start, length = base + number(sizes[0]), number(sizes[1])
            parts.append((start, start + length))
        if other_file or method > 1:
            continue
        found[item] = b"".join(inside[a:b] for a, b in parts) if method == 1 else tuple(parts)
    return found


def _content(data: Any, place: tuple[tuple[int, int], ...] | bytes) -> bytes:
    return place if isinstance(place, bytes) else b"".join(data[start:end] for start, end in place)
