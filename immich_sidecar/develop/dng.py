"""What a DNG says that LibRaw leaves out: the frame to be seen, where its pixels end, pixels as JPEG XL.

After the DNG specification 1.7.1.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop import jxl, tiff
from immich_sidecar.errors import UndecodableError

_VERSION, _KIND, _PHOTOMETRIC, _COMPRESSION = 50706, 254, 262, 259
_WIDTH, _HEIGHT, _BITS, _ROWS = 256, 257, 258, 278
_OFFSETS, _COUNTS = (273, 324), (279, 325)
_TILE_WIDTH, _TILE_HEIGHT = 322, 323
_FIELDS, _COLUMN_FIELDS = 50975, 52547
_CFA_SIZE, _CROP_ORIGIN, _CROP_SIZE, _USER_CROP = 33421, 50719, 50720, 51125
#: Ways in which sensor values are laid out: a mosaic, and some values a pixel.
_MOSAIC, _LINEAR = 32803, 34892
_UNCOMPRESSED, _VC5, _JPEG_XL = 1, 9, 52546
_ORDERS: dict[bytes, Literal["<", ">"]] = {b"II": "<", b"MM": ">"}
#: Bytes that may be missing at the very end of compressed pixels: padding.
_PADDING = 3
#: What a directory has of tiles and strips.
_PLACES = {_BITS, _COMPRESSION, *_OFFSETS, *_COUNTS, _ROWS, _TILE_WIDTH, _TILE_HEIGHT, 317, _FIELDS, _COLUMN_FIELDS}


@dataclass(frozen=True)
class Dng:
    """The directory of a DNG that has the sensor values."""

    directory: tiff.Directory
    #: Whether the values of the file are little-endian (`<`) or big-endian (`>`).
    order: Literal["<", ">"]
    #: In bytes.
    file_size: int

    @property
    def is_jpeg_xl(self) -> bool:
        """Whether its pixels are in a form that LibRaw does not read, and `uncompressed` does."""
        return self.directory.number(_COMPRESSION) == _JPEG_XL

    @property
    def ends_early(self) -> bool:
        """Whether compressed pixels are missing at the end: LibRaw leaves them black and says nothing."""
        if self.directory.number(_COMPRESSION) in (None, _UNCOMPRESSED):
            return False
        places, sizes = (next((n for n in map(self.directory.numbers, t) if n), ()) for t in (_OFFSETS, _COUNTS))
        return any(at + size > self.file_size + _PADDING for at, size in zip(places, sizes, strict=False))

    @property
    def problem(self) -> str | None:
        """Why neither LibRaw nor we can make a picture of it; None: there is no such reason."""
        if self.directory.number(_COMPRESSION) == _VC5:
            return "its pixels are compressed as VC-5, GoPro's own way"
        size = self.directory.numbers(_CFA_SIZE)
        if self.directory.number(_PHOTOMETRIC) == _MOSAIC and len(size) == 2 and size[1] > 2 and size != (6.0, 6.0):
            return f"the colours of its sensor repeat after {size[0]:.0f} x {size[1]:.0f} pixels"
        return None

    def crop(self) -> tuple[float, float, float, float] | None:
        """Top, left, height, width of what is to be seen, in pixels of the active area; None where nothing is said."""
        return crop_of(self.directory)


def crop_of(directory: tiff.Directory) -> tuple[float, float, float, float] | None:
    """What `Dng.crop` is: the default crop, and in it the one that the camera's user chose (an aspect, a zoom)."""
    origin, size = directory.numbers(_CROP_ORIGIN), directory.numbers(_CROP_SIZE)
    if len(origin) != 2 or len(size) != 2 or not all(np.isfinite((*origin, *size))) or min(size) <= 0:
        return None
    (left, top), (width, height) = origin, size
    chosen = directory.numbers(_USER_CROP)
    if len(chosen) == 4 and 0 <= chosen[0] < chosen[2] <= 1 and 0 <= chosen[1] < chosen[3] <= 1:
        top, left = top + chosen[0] * height, left + chosen[1] * width
        height, width = (chosen[2] - chosen[0]) * height, (chosen[3] - chosen[1]) * width
    return top, left, height, width


def opcodes(blob: bytes) -> Iterator[tuple[int, bytes]]:
    """Numbers and data of the opcodes of a list, which is big-endian in every file."""
    (count,) = struct.unpack_from(">I", blob)
    at = 4
    for _ in range(count):
        identity, _, _, length = struct.unpack_from(">4I", blob, at)
        at += 16
        if at + length > len(blob):
            raise ValueError("an opcode is cut short")
        yield identity, blob[at : at + length]
        at += length


def read(path: Path) -> Dng | None:
    """The sensor values' directory of a file; None where it is no DNG."""
    with path.open("rb") as file:
        order = _ORDERS.get(file.read(2))
        directories = tiff.read(file)
        if order is None or not directories.main.values.get(_VERSION):
            return None
        size = file.seek(0, 2)
    holders = (
        d for d in directories.images if d.number(_PHOTOMETRIC) in (_MOSAIC, _LINEAR) and not (d.number(_KIND) or 0)
    )
    holder = next(holders, None)
    return None if holder is None else Dng(holder, order, size)


def uncompressed(path: Path, dng: Dng, *, with_pixels: bool = True) -> bytes:
    """The whole file with its JPEG XL made plain values, for LibRaw; without pixels, only its header is of use.

    Raises
    ------
    UndecodableError
        If the pixels are damaged.
    """
    data = bytearray(path.read_bytes())
    data += bytes(len(data) % 2)
    at, size = dng.directory.offset, int(dng.directory.number(_HEIGHT) or 0)
    bits = [int(n) for n in dng.directory.numbers(_BITS)]
    values: NDArray[Any] = np.zeros(0, np.uint16)
    if with_pixels:
        try:
            values = _decoded(data, dng)
        except (ValueError, IndexError) as error:
            raise UndecodableError(f"{path.name} is a damaged RAW file: {error}.") from None
        bits = [8 * values.itemsize] * len(bits)
    order = dng.order
    bits_at = len(data)
    data += struct.pack(f"{order}{len(bits)}H", *bits).ljust(4, b"\0")
    data += bytes(len(data) % 2)
    pixels_at = len(data)
    data += values.astype(values.dtype.newbyteorder(order)).tobytes()
    (count,) = struct.unpack_from(f"{order}H", data, at)
    old = [bytes(data[at + 2 + 12 * i : at + 14 + 12 * i]) for i in range(count)]
    following = data[at + 2 + 12 * count : at + 6 + 12 * count]
    inline = struct.pack(f"{order}{len(bits)}H", *bits).ljust(4, b"\0") if len(bits) <= 2 else None
    new = [
        struct.pack(f"{order}HHI", _BITS, 3, len(bits)) + (inline or struct.pack(f"{order}I", bits_at)),
        struct.pack(f"{order}HHIHH", _COMPRESSION, 3, 1, _UNCOMPRESSED, 0),
        struct.pack(f"{order}HHII", _OFFSETS[0], 4, 1, pixels_at),
        struct.pack(f"{order}HHII", _ROWS, 4, 1, size),
        struct.pack(f"{order}HHII", _COUNTS[0], 4, 1, values.nbytes),
    ]
    kept = [entry for entry in old if struct.unpack_from(f"{order}H", entry)[0] not in _PLACES]
    entries = sorted(kept + new, key=lambda entry: int(struct.unpack_from(f"{order}H", entry)[0]))
    # There are fewer entries than before, so they have room where the old ones were.
    table = struct.pack(f"{order}H", len(entries)) + b"".join(entries) + following
    data[at : at + len(table)] = table
    return bytes(data)


def _decoded(data: bytearray, dng: Dng) -> NDArray[Any]:
    """The values of all tiles or strips, (h, w) or (h, w, samples): `uint16`, or `float16` or `float32`."""
    directory = dng.directory
    height, width = (int(directory.number(tag) or 0) for tag in (_HEIGHT, _WIDTH))
    rows = int(directory.number(_TILE_HEIGHT) or directory.number(_ROWS) or height)
    columns = int(directory.number(_TILE_WIDTH) or width)
    places, sizes = (next((n for n in map(directory.numbers, t) if n), ()) for t in (_OFFSETS, _COUNTS))
    whole: NDArray[Any] | None = None
    starts = [(y, x) for y in range(0, height, rows) for x in range(0, width, columns)]
    for (y, x), at, size in zip(starts, places, sizes, strict=True):
        part = jxl.decoded(bytes(data[int(at) : int(at + size)]))
        part = part.astype(np.uint16) if part.dtype == np.uint8 else part
        part = part[: height - y, : width - x]
        if whole is None:
            whole = np.zeros((height, width, *part.shape[2:]), part.dtype)
        whole[y : y + part.shape[0], x : x + part.shape[1]] = part
    if whole is None:
        raise ValueError("it has no pixels")
    return _interleaved(whole, *(int(directory.number(tag) or 1) for tag in (_FIELDS, _COLUMN_FIELDS)))


def _interleaved(values: NDArray[Any], rows: int, columns: int) -> NDArray[Any]:
    """Values that are stored as one field of lines (and columns) after the other, in their places."""
    if rows == columns == 1:
        return values
    found = np.empty_like(values)
    top = 0
    for y in range(rows):
        left, height = 0, found[y::rows].shape[0]
        for x in range(columns):
            width = found[:, x::columns].shape[1]
            found[y::rows, x::columns] = values[top : top + height, left : left + width]
            left += width
        top += height
    return found
