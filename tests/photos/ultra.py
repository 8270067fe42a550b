"""Ultra HDR pictures of known truth, and a reader of such files that shares nothing with the package."""

import io
import re
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from tests.photos.make import linear_from_display

HDRGM = "http://ns.adobe.com/hdr-gain-map/1.0/"
ISO = b"urn:iso:std:iso:ts:21496:-1\0"


@dataclass(frozen=True)
class Told:
    """What a file says of its gain map, and the map, 0..1, (height, width, 1 or 3)."""

    values: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    gamma: NDArray[np.float64]
    offset_sdr: NDArray[np.float64]
    offset_hdr: NDArray[np.float64]
    capacity: tuple[float, float]

    def hdr(self, sdr: NDArray[np.float64]) -> NDArray[np.float64]:
        """Light of the HDR picture of linear SDR by the published formula, the map interpolated."""
        height, width = sdr.shape[:2]
        channels = self.values.shape[2]
        wide = [
            np.asarray(Image.fromarray(self.values[..., i].astype(np.float32)).resize((width, height), Image.BILINEAR))
            for i in range(channels)
        ]
        recovery = np.stack(wide, axis=-1).astype(np.float64) ** (1 / self.gamma[:channels])
        gain = self.low[:channels] * (1 - recovery) + self.high[:channels] * recovery
        return (sdr + self.offset_sdr) * np.exp2(gain) - self.offset_hdr


def write(
    path: Path,
    sdr: NDArray[np.uint8],
    gain: NDArray[np.float64],
    *,
    exif: bytes = b"",
    icc: bytes | None = None,
    iso: bool = False,
    gamma: float = 1.0,
    offset: float = 1 / 64,
    extra: str = "",
) -> Path:
    """An Ultra HDR JPEG of an SDR picture and gains (exponents of 2), (h, w) or (h, w, 3), of any size."""
    low, high = float(gain.min()), float(gain.max())
    part = ((gain - low) / (high - low)) ** gamma
    numbers = f'hdrgm:GainMapMin="{low:.7g}" hdrgm:GainMapMax="{high:.7g}" hdrgm:Gamma="{gamma}"'
    numbers += f' hdrgm:OffsetSDR="{offset:.7g}" hdrgm:OffsetHDR="{offset:.7g}"'
    numbers += f' hdrgm:HDRCapacityMin="0" hdrgm:HDRCapacityMax="{high:.7g}" {extra}'
    second = _jpeg(np.round(part * 255).astype(np.uint8))
    if iso:
        told = struct.pack(">HHB", 0, 0, 0x48) + struct.pack(">III", 1000, 0, round(high * 1000))
        told += struct.pack(">iiIii", *(round(v * 1000) for v in (low, high, gamma, offset, offset)))
        second = _with(second, (0xE2, ISO + told))
    else:
        second = _with(second, (0xE1, _XMP + _packet(f'hdrgm:Version="1.0" {numbers}', "")))
    directory = (
        "<Container:Directory><rdf:Seq><rdf:li rdf:parseType='Resource'><Container:Item Item:Semantic='Primary' "
        "Item:Mime='image/jpeg'/></rdf:li><rdf:li rdf:parseType='Resource'><Container:Item Item:Semantic='GainMap' "
        f"Item:Mime='image/jpeg' Item:Length='{len(second)}'/></rdf:li></rdf:Seq></Container:Directory>"
    )
    first = _jpeg(sdr, exif=exif, icc=icc)
    rated = 'hdrgm:Version="1.0" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmp:Rating="4"'
    segments = [(0xE1, _XMP + _packet(rated, directory))]
    if iso:
        segments.append((0xE2, ISO + bytes(4)))
    path.write_bytes(_with(first, *segments) + second)
    return path


def read(path: Path) -> tuple[NDArray[np.float64], Told]:
    """Linear SDR and gain map of a file, the map found by the index of pictures (MPF)."""
    data = path.read_bytes()
    at = data.index(b"MPF\0") + 4
    order = {b"MM": ">", b"II": "<"}[data[at : at + 2]]
    entries = at + 8 + 2 + 3 * 12 + 4
    size, offset = struct.unpack_from(order + "II", data, entries + 16 + 4)
    first_size = struct.unpack_from(order + "I", data, entries + 4)[0]
    assert at + offset == first_size, "the second picture follows the first"
    assert at + offset + size == len(data), "and nothing follows that"
    return _read(data, at + offset)


def read_written(path: Path) -> tuple[NDArray[np.float64], Told]:
    """As `read`, for a file by `write`, which has no index."""
    data = path.read_bytes()
    return _read(data, data.rindex(b"\xff\xd8\xff"))


def _read(data: bytes, start: int) -> tuple[NDArray[np.float64], Told]:
    second = data[start:]
    assert second[:3] == b"\xff\xd8\xff"
    with Image.open(io.BytesIO(second)) as image:
        values = np.asarray(image).astype(np.float64) / 255
    text = second[: second.index(b"</x:xmpmeta>")].decode("latin-1")

    def numbers(name: str) -> NDArray[np.float64]:
        found = re.search(rf'hdrgm:{name}="([^"]+)"', text)
        if found:
            return np.array([float(found[1])] * 3)
        listed = re.search(rf"<hdrgm:{name}>(.*?)</hdrgm:{name}>", text, re.DOTALL)
        assert listed, name
        return np.array([float(v) for v in re.findall(r"<rdf:li>([^<]+)<", listed[1])])

    with Image.open(io.BytesIO(data)) as image:
        sdr = linear_from_display(np.asarray(image.convert("RGB"))).astype(np.float64)
    capacity = (float(numbers("HDRCapacityMin")[0]), float(numbers("HDRCapacityMax")[0]))
    told = Told(
        values if values.ndim == 3 else values[..., None],
        *(numbers(name) for name in ("GainMapMin", "GainMapMax", "Gamma", "OffsetSDR", "OffsetHDR")),
        capacity,
    )
    return sdr, told


_XMP = b"http://ns.adobe.com/xap/1.0/\0"


def _jpeg(pixels: NDArray[np.uint8], **options: Any) -> bytes:
    target = io.BytesIO()
    given = {key: value for key, value in options.items() if value}
    if "icc" in given:
        given["icc_profile"] = given.pop("icc")
    Image.fromarray(pixels).save(target, "JPEG", quality=97, subsampling=0, **given)
    return target.getvalue()


def _with(encoded: bytes, *segments: tuple[int, bytes]) -> bytes:
    inserted = b"".join(struct.pack(">BBH", 0xFF, m, len(p) + 2) + p for m, p in segments)
    return encoded[:2] + inserted + encoded[2:]


def _packet(attributes: str, inner: str) -> bytes:
    return (
        '<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
        f'<rdf:Description rdf:about="" xmlns:hdrgm="{HDRGM}" {attributes} '
        'xmlns:Container="http://ns.google.com/photos/1.0/container/" '
        'xmlns:Item="http://ns.google.com/photos/1.0/container/item/">'
        f"{inner}</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end='w'?>"
    ).encode()
