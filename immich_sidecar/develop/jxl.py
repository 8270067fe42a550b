"""JPEG XL: its boxes, the header of its codestream (ISO/IEC 18181-2 and -1, Annex D), reading and writing.

libjxl reads and writes the pixels. The header is read here because its bindings do not tell colour and transfer
without decoding, and written here where the picture has a wide gamut: they encode sRGB only. A codestream holds
colour in XYB, which has no gamut; its header names the space that decoders should give, and may be exchanged.
"""

import struct
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop.icc import ColourSpace, read_profile, rgb_to_xyz
from immich_sidecar.develop.iso_boxes import box, boxes
from immich_sidecar.develop.packets import Packets

_SIGNATURE = b"\0\0\0\x0cJXL \r\n\x87\n"
_FILE_TYPE = b"\0\0\0\x14ftypjxl \0\0\0\0jxl "
#: Ratio of width to height by number.
_RATIOS = {1: (1, 1), 2: (12, 10), 3: (4, 3), 4: (3, 2), 5: (16, 9), 6: (5, 4), 7: (2, 1)}
_SIZES = ((9, 1), (13, 1), (18, 1), (30, 1))
#: H.273 numbers of primaries and transfer; those of JPEG XL's enumerations are the same where both exist.
SRGB_PRIMARIES, BT2100_PRIMARIES, P3_PRIMARIES = 1, 9, 11
LINEAR_TRANSFER, SRGB_TRANSFER = 8, 13
_H273_P3 = 12


@dataclass(frozen=True)
class Header:
    """What the header of a codestream says."""

    #: As stored, before `orientation`.
    width: int
    height: int
    orientation: int = 1
    bit_depth: int = 8
    is_float: bool = False
    is_animation: bool = False
    has_alpha: bool = False
    is_grey: bool = False
    #: Whether an ICC profile stands in place of primaries and transfer.
    has_icc: bool = False
    #: As in H.273; 2 is unspecified.
    primaries: int = SRGB_PRIMARIES
    transfer: int = SRGB_TRANSFER
    #: Bits from the beginning: where depth and colour begin and end, and where the header of the pixels ends.
    depth_at: tuple[int, int] = field(default=(0, 0), repr=False)
    colour_at: tuple[int, int] = field(default=(0, 0), repr=False)


class _Bits:
    """Bits of a codestream, the lowest of a byte first."""

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "little")
        self._end = 8 * len(data)
        self.at = 0

    def take(self, count: int) -> int:
        if self.at + count > self._end:
            raise ValueError("the header is cut off")
        value = self._value >> self.at & ((1 << count) - 1)
        self.at += count
        return value

    def flag(self) -> bool:
        return bool(self.take(1))

    def choice(self, *options: tuple[int, int]) -> int:
        """A number of one of four widths, (bits, offset) each."""
        bits, offset = options[self.take(2)]
        return offset + self.take(bits)

    def enumerated(self) -> int:
        return self.choice((0, 0), (0, 1), (4, 2), (6, 18))


def read_header(codestream: bytes) -> Header:
    """Read the header of a codestream.

    Raises
    ------
    ValueError
        If it is none, or damaged.
    """
    if codestream[:2] != b"\xff\x0a":
        raise ValueError("no JPEG XL codestream")
    bits = _Bits(codestream[:1024])
    bits.take(16)
    width, height = _size(bits)
    if bits.flag():
        return Header(width, height)
    orientation, is_animation = 1, False
    if bits.flag():
        orientation = bits.take(3) + 1
        if bits.flag():
            _size(bits)
        if bits.flag():
            _preview(bits)
        is_animation = bits.flag()
        if is_animation:
            _animation(bits)
    depth_start = bits.at
    depth, is_float = _depth(bits)
    depth_end = bits.at
    bits.flag()
    has_alpha = False
    for _ in range(bits.choice((0, 0), (0, 1), (4, 2), (12, 1))):
        has_alpha |= _extra_channel(bits) == 0
    is_xyb = bits.flag()
    colour_start = bits.at
    is_grey, has_icc, primaries, transfer = _colour(bits, is_xyb)
    return Header(
        width=width,
        height=height,
        orientation=orientation,
        bit_depth=depth,
        is_float=is_float,
        is_animation=is_animation,
        has_alpha=has_alpha,
        is_grey=is_grey,
        has_icc=has_icc,
        primaries=primaries,
        transfer=transfer,
        depth_at=(depth_start, depth_end),
        colour_at=(colour_start, bits.at),
    )


def _size(bits: _Bits) -> tuple[int, int]:
    small = bits.flag()
    height = 8 * (bits.take(5) + 1) if small else bits.choice(*_SIZES)
    ratio = bits.take(3)
    if ratio:
        numerator, denominator = _RATIOS[ratio]
        return height * numerator // denominator, height
    return 8 * (bits.take(5) + 1) if small else bits.choice(*_SIZES), height


def _preview(bits: _Bits) -> None:
    by_eight = bits.flag()
    options = ((0, 16), (0, 32), (5, 1), (9, 33)) if by_eight else ((6, 1), (8, 65), (10, 321), (12, 1345))
    bits.choice(*options)
    if not bits.take(3):
        bits.choice(*options)


def _animation(bits: _Bits) -> None:
    bits.choice((0, 100), (0, 1000), (10, 1), (30, 1))
    bits.choice((0, 1), (0, 1001), (8, 1), (10, 1))
    bits.choice((0, 0), (3, 0), (16, 0), (32, 0))
    bits.flag()


def _depth(bits: _Bits) -> tuple[int, bool]:
    if bits.flag():
        depth = bits.choice((0, 32), (0, 16), (0, 24), (6, 1))
        bits.take(4)
        return depth, True
    return bits.choice((0, 8), (0, 10), (0, 12), (6, 1)), False


def _extra_channel(bits: _Bits) -> int:
    """Skip the description of a channel; returns its kind (0: alpha)."""
    if bits.flag():
        return 0
    kind = bits.enumerated()
    _depth(bits)
    bits.choice((0, 0), (0, 3), (0, 4), (3, 1))
    for _ in range(bits.choice((0, 0), (4, 0), (5, 16), (10, 48))):
        bits.take(8)
    if kind == 0:
        bits.flag()
    elif kind == 2:
        bits.take(64)
    elif kind == 5:
        bits.choice((0, 1), (2, 0), (4, 3), (8, 19))
    return kind


def _colour(bits: _Bits, is_xyb: bool) -> tuple[bool, bool, int, int]:
    if bits.flag():
        return False, False, SRGB_PRIMARIES, SRGB_TRANSFER
    has_icc = bits.flag()
    space = bits.enumerated()
    is_grey, is_plain_xyb = space == 1, space == 2
    primaries, transfer = SRGB_PRIMARIES, SRGB_TRANSFER
    if not has_icc:
        if not is_plain_xyb and bits.enumerated() == 2:
            _custom_point(bits)
        if not is_grey and not is_plain_xyb:
            primaries = bits.enumerated()
            if primaries == 2:
                for _ in range(3):
                    _custom_point(bits)
        if not is_plain_xyb:
            if bits.flag():
                bits.take(24)
                transfer = 2
            else:
                transfer = bits.enumerated()
        bits.enumerated()
    return is_grey, has_icc, _H273_P3 if primaries == P3_PRIMARIES else primaries, transfer


def _custom_point(bits: _Bits) -> None:
    for _ in range(2):
        bits.choice((19, 0), (19, 524288), (20, 1048576), (21, 2097152))


@dataclass(frozen=True)
class Parts:
    """The parts of a JPEG XL file."""

    #: The beginning of the codestream, enough for its header.
    codestream: bytes
    exif: bytes = b""
    xmp: bytes = b""
    has_gain_map: bool = False


def read_parts(data: Any) -> Parts:
    """The parts of a file, which is a container or a naked codestream."""
    if data[:2] == b"\xff\x0a":
        return Parts(bytes(data[:4096]))
    codestream = b""
    found: dict[bytes, bytes] = {}
    for kind, start, end in boxes(data):
        content_kind, content = kind, None
        if kind == b"brob":
            content_kind, content = bytes(data[start : start + 4]), _unpacked(bytes(data[start + 4 : end]))
        if kind == b"jxlc" and not codestream:
            codestream = bytes(data[start : min(end, start + 4096)])
        elif kind == b"jxlp" and len(codestream) < 4096:
            codestream += bytes(data[start + 4 : min(end, start + 4096)])
        elif content_kind in (b"Exif", b"xml "):
            found.setdefault(content_kind, bytes(data[start:end]) if content is None else content)
        elif kind == b"jhgm":
            found[kind] = b""
    exif = found.get(b"Exif", b"")
    if len(exif) > 8:
        exif = exif[4 + struct.unpack_from(">I", exif)[0] :]
    return Parts(codestream, exif.removeprefix(b"Exif\0\0"), found.get(b"xml ", b""), b"jhgm" in found)


def _unpacked(content: bytes) -> bytes:
    import imagecodecs

    try:
        return bytes(imagecodecs.brotli_decode(content))
    except (RuntimeError, ValueError):
        return b""


def decoded(data: bytes) -> NDArray[Any]:
    """The pixels, upright: `uint8` up to 8 bits, else `uint16` over its whole range; or `float32`.

    Raises
    ------
    ValueError
        If the file is damaged.
    """
    import imagecodecs

    try:
        pixels: NDArray[Any] = np.asarray(imagecodecs.jpegxl_decode(data, numthreads=1))
    except (RuntimeError, ValueError) as error:
        raise ValueError(str(error)) from None
    return pixels


def profile(data: bytes) -> bytes:
    """The ICC profile of the pixels that `decoded` gives, for a file that has one; decodes everything for that."""
    import pillow_jxl

    found = pillow_jxl.Decoder(num_threads=0)(data)[3]
    return bytes(found or b"")


def written(image: NDArray[Any], icc: bytes, packets: Packets, *, distance: float, effort: int) -> bytes:
    """A JPEG XL file of `uint8` or `uint16` RGB pixels with metadata.

    A picture in a space other than sRGB is told in Display P3 or, if it is neither, with the primaries of Rec. 2020;
    none of its colours is cut.
    """
    import imagecodecs

    space = read_profile(icc)
    pixels = np.ascontiguousarray(image)
    if space is None or (space.is_srgb and pixels.dtype == np.uint8):
        stream = _codestream(bytes(imagecodecs.jpegxl_encode(pixels, effort=effort, distance=distance, numthreads=1)))
    else:
        linear = _linear(pixels, space)
        stream = _codestream(bytes(imagecodecs.jpegxl_encode(linear, effort=effort, distance=distance, numthreads=1)))
        stream = renamed(stream, _primaries(space), 8 * image.dtype.itemsize)
    parts = [_SIGNATURE, _FILE_TYPE]
    if packets.exif:
        parts.append(box(b"Exif", bytes(4) + packets.exif))
    if packets.whole_xmp:
        parts.append(box(b"xml ", packets.whole_xmp))
    return b"".join([*parts, box(b"jxlc", stream)])


def _codestream(encoded: bytes) -> bytes:
    if encoded[:2] == b"\xff\x0a":
        return encoded
    return b"".join(
        encoded[start + (4 if kind == b"jxlp" else 0) : end]
        for kind, start, end in boxes(encoded)
        if kind in (b"jxlc", b"jxlp")
    )


def _primaries(space: ColourSpace) -> int:
    for name, number in (("sRGB", SRGB_PRIMARIES), ("Display P3", P3_PRIMARIES)):
        if np.allclose(space.to_xyz, rgb_to_xyz(name), atol=4e-3):
            return number
    return BT2100_PRIMARIES


def _linear(pixels: NDArray[Any], space: ColourSpace) -> NDArray[np.float16]:
    """Linear sRGB, which goes on below 0 and above 1 for other colours."""
    curves = space.decoding(65536 if pixels.dtype == np.uint16 else 256)
    matrix = space.to_srgb.T.astype(np.float32)
    linear = np.empty(pixels.shape, np.float16)
    for start in range(0, len(pixels), 128):
        strip = pixels[start : start + 128]
        light = np.stack([curves[i][strip[..., i]] for i in range(3)], axis=-1)
        linear[start : start + 128] = light @ matrix
    return linear


def renamed(stream: bytes, primaries: int, depth: int, *, transfer: int = SRGB_TRANSFER) -> bytes:
    """A codestream of libjxl (XYB, linear sRGB, floating point) that names other primaries and whole numbers."""
    header = read_header(stream)
    if header.transfer != LINEAR_TRANSFER or not header.is_float:
        raise ValueError("libjxl was told something else than linear light")
    end = _end_of_headers(stream, header)
    value = int.from_bytes(stream[: (end + 7) // 8], "little")

    def between(start: int, stop: int) -> tuple[int, int]:
        return value >> start & ((1 << (stop - start)) - 1), stop - start

    pieces = [
        between(0, header.depth_at[0]),
        *((0, 1), ((0, 2) if depth == 8 else (3, 2)), *(() if depth == 8 else ((depth - 1, 6),))),
        between(header.depth_at[1], header.colour_at[0]),
        # Not all default, no ICC, RGB, D65, the primaries, no gamma, sRGB's curve, relative colorimetry.
        *((0, 1), (0, 1), (0, 2), (1, 2), *_number(primaries), (0, 1), *_number(transfer), (1, 2)),
        between(header.colour_at[1], end),
    ]
    whole, length = 0, 0
    for bits, count in pieces:
        whole |= bits << length
        length += count
    return whole.to_bytes((length + 7) // 8, "little") + stream[(end + 7) // 8 :]


def _number(value: int) -> tuple[tuple[int, int], ...]:
    """An enumerated number up to 81 as bits."""
    if value < 2:
        return ((value, 2),)
    return ((2, 2), (value - 2, 4)) if value < 18 else ((3, 2), (value - 18, 6))


def _end_of_headers(stream: bytes, header: Header) -> int:
    """The bit behind the last header before the pixels; raises `ValueError` where it has parts that we never write."""
    bits = _Bits(stream[:1024])
    bits.at = header.colour_at[1]
    # No extensions, and the default inverse of XYB.
    if bits.take(2) or not bits.flag():
        raise ValueError("a header of another kind")
    return bits.at
