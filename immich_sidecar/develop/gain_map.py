"""Gain maps: what makes an HDR picture of an SDR one (ISO 21496-1; Ultra HDR Image Format 1.1; Adobe Gain Map 1.0).

Light of the HDR picture is (SDR + offset) * 2^gain - offset of HDR, in linear light, where the map gives the gain of
each place. A developed picture keeps its gains: the map goes the way of the picture's geometry, and is computed anew
so that HDR by SDR stays at every place what it was.
"""

import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from xml.etree import ElementTree

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop import jpeg
from immich_sidecar.develop.icc import ColourSpace

ISO = b"urn:iso:std:iso:ts:21496:-1\0"
HDRGM = "http://ns.adobe.com/hdr-gain-map/1.0/"
_RDF = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
_MULTICHANNEL, _BASE_SPACE, _BACKWARD, _COMMON = 0x80, 0x40, 0x04, 0x08
#: Light below which the ratio of HDR to SDR is too uncertain to be asked for.
_DARK = 1e-3
#: Light (with the offset of a map) from which on it has a logarithm.
_LEAST = 1e-6
_QUALITY = 95

Three = tuple[float, float, float]


@dataclass(frozen=True)
class Gains:
    """What the numbers of a map mean; gains, and headrooms, are exponents of 2."""

    #: The gains that the map's 0 and 255 stand for, of red, green and blue.
    low: Three
    high: Three
    gamma: Three = (1.0, 1.0, 1.0)
    #: Added to the light of SDR before, and taken from that of HDR after.
    offset_sdr: Three = (1 / 64, 1 / 64, 1 / 64)
    offset_hdr: Three = (1 / 64, 1 / 64, 1 / 64)
    #: Headroom of the display from which the map acts at all, and wholly.
    least_headroom: float = 0.0
    full_headroom: float = 1.0


@dataclass(frozen=True, eq=False)
class GainMap:
    """A gain map as it lies in a file."""

    gains: Gains
    #: A JPEG.
    encoded: bytes

    def values(self) -> NDArray[np.uint8]:
        """The map, shape (height, width, 1 or 3), as stored.

        Raises
        ------
        NoGainMapError
            If it is damaged.
        """
        import simplejpeg

        grey = jpeg.read_header(self.encoded).frame
        try:
            decoded: NDArray[np.uint8] = simplejpeg.decode_jpeg(
                self.encoded, "GRAY" if grey and grey[4] == 1 else "RGB"
            )
        except ValueError:
            raise NoGainMapError("that is damaged") from None
        return decoded


class NoGainMapError(ValueError):
    """A gain map that cannot be kept; the message says why."""


def find(data: Any) -> GainMap:
    """The gain map of a JPEG, given as bytes or a memory map.

    Raises
    ------
    NoGainMapError
        If there is none that we can read, saying why in a few words.
    """
    at = _end_of_header(data)
    # Coded pixels never hold the mark of a beginning, so what follows is another picture.
    while (at := data.find(b"\xff\xd8\xff", at)) >= 0:
        header = jpeg.read_header(data[at : at + (1 << 18)])
        if header.frame is not None:
            gains = _told(header)
            if gains is not None:
                return GainMap(gains, bytes(data[at : jpeg.end_of_picture(data, at)]))
        at += 3
    raise NoGainMapError("of a kind that is not known")


def _told(header: jpeg.Header) -> Gains | None:
    for segment in header.segments:
        if segment.marker == 0xE2 and segment.payload.startswith(ISO) and len(segment.payload) > len(ISO) + 5:
            return read_iso(segment.payload[len(ISO) :])
    return read_xmp(header.xmp) if HDRGM.encode() in header.xmp else None


def _end_of_header(data: Any) -> int:
    """Where the first scan of the first picture begins."""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF and data[at + 1] not in (0xDA, 0xD9):
        at += 2 + int(struct.unpack_from(">H", data, at + 2)[0])
    return at


def read_xmp(packet: bytes) -> Gains:
    """What a packet with properties of `hdrgm` says.

    Raises
    ------
    NoGainMapError
        If it is damaged, or its SDR picture is not the first one.
    """
    try:
        root = ElementTree.fromstring(packet.decode("utf-8").strip("\0 \r\n\t"))  # noqa: S314 -- no entities in XMP
    except (ElementTree.ParseError, UnicodeDecodeError, ValueError):
        raise NoGainMapError("whose description is damaged") from None
    found: dict[str, list[str]] = {}
    for element in root.iter():
        for name, value in element.attrib.items():
            if name.startswith(f"{{{HDRGM}}}"):
                found[name.rpartition("}")[2]] = [value]
        if element.tag.startswith(f"{{{HDRGM}}}"):
            items = [item.text or "" for item in element.iter(f"{{{_RDF}}}li")]
            found[element.tag.rpartition("}")[2]] = items or [element.text or ""]
    if found.get("BaseRenditionIsHDR", ["False"])[0].lower() == "true":
        raise NoGainMapError("that makes SDR of HDR")
    try:
        gains = Gains(
            low=_three(found, "GainMapMin", 0.0),
            high=_three(found, "GainMapMax", None),
            gamma=_three(found, "Gamma", 1.0),
            offset_sdr=_three(found, "OffsetSDR", 1 / 64),
            offset_hdr=_three(found, "OffsetHDR", 1 / 64),
            least_headroom=float(found.get("HDRCapacityMin", ["0"])[0]),
            full_headroom=float(found["HDRCapacityMax"][0]),
        )
    except (KeyError, ValueError):
        raise NoGainMapError("whose description is not complete") from None
    return _checked(gains)


def _three(found: Mapping[str, list[str]], name: str, default: float | None) -> Three:
    values = [float(v) for v in found[name]] if name in found or default is None else [default]
    first, second, third = values if len(values) == 3 else values[:1] * 3
    return first, second, third


def read_iso(content: bytes) -> Gains:
    """The metadata of ISO 21496-1, annex C, behind the mark of its segment; raises as `read_xmp`."""
    try:
        least, _, flags = struct.unpack_from(">HHB", content)
        if least > 0 or flags & _BACKWARD:
            raise NoGainMapError("that makes SDR of HDR" if flags & _BACKWARD else "of a newer kind")
        at, common = 5, 0
        if flags & _COMMON:
            (common,), at = struct.unpack_from(">I", content, at), at + 4

        def fraction(signed: str) -> float:
            nonlocal at
            numerator = struct.unpack_from(f">{signed}", content, at)[0]
            at += 4
            if common:
                return float(numerator) / common
            denominator = struct.unpack_from(">I", content, at)[0]
            at += 4
            return float(numerator) / float(denominator)

        base, alternate = fraction("I"), fraction("I")
        channels = [
            [fraction(kind) for kind in ("i", "i", "I", "i", "i")] for _ in range(3 if flags & _MULTICHANNEL else 1)
        ]
    except (struct.error, ZeroDivisionError):
        raise NoGainMapError("whose description is damaged") from None
    columns = [(c[0], c[0], c[0]) if len(c) == 1 else (c[0], c[1], c[2]) for c in zip(*channels, strict=True)]
    low, high, gamma, offset_sdr, offset_hdr = columns
    return _checked(Gains(low, high, gamma, offset_sdr, offset_hdr, base, alternate))


def _checked(gains: Gains) -> Gains:
    numbers = [*gains.low, *gains.high, *gains.gamma, *gains.offset_sdr, *gains.offset_hdr]
    if not all(math.isfinite(n) and abs(n) < 64 for n in (*numbers, gains.least_headroom, gains.full_headroom)):
        raise NoGainMapError("whose description is damaged")
    if min(gains.gamma) <= 0 or min(gains.least_headroom, gains.full_headroom) < 0:
        raise NoGainMapError("whose description is damaged")
    if any(b < a for a, b in zip(gains.low, gains.high, strict=True)):
        raise NoGainMapError("whose description is damaged")
    return gains


def written_iso(gains: Gains) -> bytes:
    """The metadata of ISO 21496-1 for a segment, behind its mark."""
    channels = list(zip(gains.low, gains.high, gains.gamma, gains.offset_sdr, gains.offset_hdr, strict=True))
    channels = channels[:1] if len(set(channels)) == 1 else channels
    parts = [struct.pack(">HHB", 0, 0, _BASE_SPACE | (_MULTICHANNEL if len(channels) == 3 else 0))]
    scale = 1_000_000
    parts += [struct.pack(">II", round(value * scale), scale) for value in (gains.least_headroom, gains.full_headroom)]
    for channel in channels:
        for kind, value in zip(("i", "i", "I", "i", "i"), channel, strict=True):
            parts.append(struct.pack(f">{kind}I", round(value * scale), scale))
    return b"".join(parts)


def logs(values: NDArray[Any], gains: Gains) -> NDArray[np.float32]:
    """Gains (exponents of 2) of a map's numbers, 0..255 or, in 16 bits, 0..65535."""
    top = 255.0 if values.dtype == np.uint8 else 65535.0
    channels = values.shape[2]
    low, high, gamma = (np.array(v[:channels], np.float32) for v in (gains.low, gains.high, gains.gamma))
    part = (values.astype(np.float32) / np.float32(top)) ** (1.0 / gamma)
    return np.asarray(low + part * (high - low), np.float32)


def anew(
    before: NDArray[Any], after: NDArray[Any], map_logs: NDArray[np.float32], space: ColourSpace, gains: Gains
) -> GainMap:
    """The map of a developed picture.

    Parameters
    ----------
    before, after
        The SDR picture before and after development, in the geometry and size of the map, code values of `space`.
    map_logs
        The old gains there (`logs`), 1 or 3 channels.
    """
    channels = map_logs.shape[2]
    old, new = _light(before, space, channels), _light(after, space, channels)
    sdr, hdr = (np.array(v[:channels], np.float32) for v in (gains.offset_sdr, gains.offset_hdr))
    ratio = np.maximum((old + sdr) * np.exp2(map_logs) - hdr, 0.0) / np.maximum(old, _DARK)
    # Offsets may be nought or negative: what is black then has no ratio, and keeps its gain.
    hdr_light, sdr_light = new * ratio + hdr, new + sdr
    known = (old >= _DARK) & (hdr_light > _LEAST) & (sdr_light > _LEAST)
    wanted = np.log2(np.where(known, hdr_light, 1.0) / np.where(known, sdr_light, 1.0))
    low, high = map_logs.min(axis=(0, 1)), map_logs.max(axis=(0, 1))
    wanted = np.clip(np.where(known, wanted, map_logs), low - 0.5, high + 0.5)
    return _encoded(np.asarray(wanted, np.float32), gains)


def _encoded(map_logs: NDArray[np.float32], gains: Gains) -> GainMap:
    import simplejpeg

    low, high = map_logs.min(axis=(0, 1)), np.maximum(map_logs.max(axis=(0, 1)), map_logs.min(axis=(0, 1)) + 0.01)
    # Written with six digits, and computed with what is written.
    low, high = np.floor(low * 1e4) / 1e4, np.ceil(high * 1e4) / 1e4
    channels = map_logs.shape[2]
    gamma = np.array(gains.gamma[:channels], np.float32)
    part = np.clip((map_logs - low) / (high - low), 0.0, 1.0) ** gamma
    codes = np.ascontiguousarray(np.round(part * 255.0).astype(np.uint8))
    encoded: bytes = simplejpeg.encode_jpeg(
        codes, quality=_QUALITY, colorspace="GRAY" if channels == 1 else "RGB", colorsubsampling="444"
    )
    return GainMap(replace(gains, low=_tripled(low), high=_tripled(high)), encoded)


def _tripled(values: NDArray[Any]) -> Three:
    return (float(values[0]), float(values[-2 if len(values) > 1 else 0]), float(values[-1]))


def _light(pixels: NDArray[Any], space: ColourSpace, channels: int) -> NDArray[np.float32]:
    curves = space.decoding(65536 if pixels.dtype == np.uint16 else 256)
    linear = np.stack([curves[i][pixels[..., i]] for i in range(3)], axis=-1)
    if channels == 3:
        return linear
    return np.asarray(linear @ space.luminance.astype(np.float32), np.float32)[..., None]
