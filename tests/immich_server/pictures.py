"""What the server reads from a file a moment after its upload, and the thumbnails it makes."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import tifffile
from PIL import ExifTags, Image, IptcImagePlugin, UnidentifiedImageError

from .about import RAW, VIDEO
from .xmp import read_xmp

_MIMES = {
    "jpg": "image/jpeg",
    "jpe": "image/jpeg",
    "tif": "image/tiff",
    "hif": "image/hif",
    "svg": "image/svg+xml",
    "mov": "video/quicktime",
    "m4v": "video/x-m4v",
    "mpg": "video/mpeg",
}


def mime_of(name: str) -> str:
    """The media type that Immich derives from a file name; of a RAW file `image/` and its extension."""
    suffix = Path(name).suffix.lower()
    kind = "video" if suffix in VIDEO else "image"
    return _MIMES.get(suffix[1:], f"{kind}/{suffix[1:]}")


@dataclass(frozen=True)
class Facts:
    """What a file tells about itself."""

    #: After orientation; None where it cannot be read.
    width: int | None = None
    height: int | None = None
    #: The moment of capture, and the camera's wall clock written as UTC; None where the file has no date.
    taken_at: datetime | None = None
    taken_local: datetime | None = None
    exif: dict[str, Any] = field(default_factory=dict)
    #: Where a video begins that is kept behind the picture: it is a motion photo.
    video_at: int | None = None
    #: Descriptions, rating and keywords, by the names that exiftool gives them.
    xmp: dict[str, Any] = field(default_factory=dict)


def _open(path: Path) -> Image.Image:
    if path.suffix.lower() in (".heic", ".heif", ".hif"):
        import pillow_heif

        pillow_heif.register_heif_opener()
    return Image.open(path)


def read_facts(path: Path) -> Facts:
    """Sizes and EXIF of a file; empty facts for what is no picture."""
    if path.suffix.lower() in VIDEO:
        return Facts()
    try:
        with _open(path) as image:
            size, tags = image.size, image.getexif()
            ifd = tags.get_ifd(ExifTags.IFD.Exif)
            gps = tags.get_ifd(ExifTags.IFD.GPSInfo)
            xmp = _xmp(image)
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        size, tags, ifd, gps, xmp = None, {}, {}, {}, {}
    if path.suffix.lower() in RAW:
        size = _raw_size(path) or size
        if not tags:
            tags = ifd = _raw_tags(path)
    if size is None:
        return Facts()
    orientation = tags.get(ExifTags.Base.Orientation)
    width, height = size if orientation not in (5, 6, 7, 8) else size[::-1]
    taken_at, taken_local, zone = _dates(ifd)
    exposure = ifd.get(ExifTags.Base.ExposureTime)
    exif = {
        "make": _text(tags.get(ExifTags.Base.Make)),
        "model": _text(tags.get(ExifTags.Base.Model)),
        "exifImageWidth": size[0],
        "exifImageHeight": size[1],
        "orientation": str(orientation) if orientation else None,
        "timeZone": zone,
        "lensModel": _text(ifd.get(ExifTags.Base.LensModel)),
        "fNumber": _number(ifd.get(ExifTags.Base.FNumber)),
        "focalLength": _number(ifd.get(ExifTags.Base.FocalLength)),
        "iso": ifd.get(ExifTags.Base.ISOSpeedRatings),
        "exposureTime": f"1/{round(1 / exposure)}" if exposure and exposure < 1 else None,
        "latitude": _degrees(gps.get(2), gps.get(1) == "S"),
        "longitude": _degrees(gps.get(4), gps.get(3) == "W"),
    }
    if described := _text(tags.get(ExifTags.Base.ImageDescription)):
        xmp["ImageDescription"] = described
    return Facts(width, height, taken_at, taken_local, exif, video_behind(path), xmp)


def _raw_tags(path: Path) -> dict[int, Any]:
    """What the first directory of a TIFF-like RAW file says: camera, orientation, dates."""
    wanted = (ExifTags.Base.Make, ExifTags.Base.Model, ExifTags.Base.Orientation, ExifTags.Base.DateTimeOriginal)
    try:
        with tifffile.TiffFile(path) as opened:
            found = opened.pages[0].tags
            return {int(tag): found[int(tag)].value for tag in wanted if int(tag) in found}
    except (tifffile.TiffFileError, OSError, ValueError, KeyError, IndexError):
        return {}


def video_behind(path: Path) -> int | None:
    """Where the video of a motion photo begins, of those kinds that phones make; None where there is none."""
    if path.suffix.lower() not in (".jpg", ".jpeg", ".heic"):
        return None
    content = path.read_bytes()
    marked = b"MotionPhoto_Data" in content or re.search(rb"(MotionPhoto|MicroVideo)[>=\s\"']+1", content[:65536])
    box = content.rfind(b"ftyp") if marked else -1
    # Of HEIC files the first box is that of the picture.
    return box - 4 if box > 64 else None


def _xmp(image: Image.Image) -> dict[str, Any]:
    """What the picture's XMP says, with the keywords of its IPTC data."""
    packet = image.info.get("xmp") or image.info.get("XML:com.adobe.xmp") or b""
    found = read_xmp(packet.encode() if isinstance(packet, str) else packet) if packet else {}
    words = (IptcImagePlugin.getiptcinfo(image) or {}).get((2, 25), [])
    words = [word.decode("utf-8", "replace") for word in (words if isinstance(words, list) else [words])]
    if words:
        found["Keywords"] = [*words, *(word for word in found.get("Keywords", []) if word not in words)]
    return found


def _raw_size(path: Path) -> tuple[int, int] | None:
    import rawpy

    try:
        with rawpy.imread(str(path)) as raw:
            return raw.sizes.width, raw.sizes.height
    except rawpy.LibRawError:
        return None


def _text(value: Any) -> str | None:
    return str(value).strip("\0 ") or None if value is not None else None


def _number(value: Any) -> int | float | None:
    if value is None:
        return None
    number = float(value)
    return int(number) if number.is_integer() else number


def _degrees(parts: Any, negative: bool) -> float | None:
    if not parts:
        return None
    degrees, minutes, seconds = (float(part) for part in parts)
    value = degrees + minutes / 60 + seconds / 3600
    return round(-value if negative else value, 6)


def _dates(ifd: dict[int, Any]) -> tuple[datetime | None, datetime | None, str | None]:
    """Moment, wall clock and zone of capture; without an offset the server's zone, UTC, is assumed."""
    tags = ExifTags.Base
    for date, subsecond, offset in (
        (tags.DateTimeOriginal, tags.SubsecTimeOriginal, tags.OffsetTimeOriginal),
        (tags.DateTimeDigitized, tags.SubsecTimeDigitized, tags.OffsetTimeDigitized),
    ):
        try:
            clock = datetime.strptime(str(ifd.get(date)), "%Y:%m:%d %H:%M:%S").replace(tzinfo=UTC)
        except ValueError:
            continue
        if fraction := str(ifd.get(subsecond) or "").strip("\0 "):
            clock = clock.replace(microsecond=int(fraction[:6].ljust(6, "0")))
        zone = str(ifd.get(offset) or "").strip("\0 ")
        if not zone:
            return clock, clock, None
        moment = datetime.fromisoformat(clock.strftime("%Y-%m-%dT%H:%M:%S.%f") + zone)
        hours = int(zone[:3])
        return moment.astimezone(UTC), clock, f"UTC{hours:+d}" if hours else "UTC"
    return None, None, None


def can_be_shown(path: Path) -> bool:
    """Whether a thumbnail can be made, judged by the head of the file (of a video always)."""
    if path.suffix.lower() in VIDEO:
        return True
    if path.suffix.lower() in RAW and _raw_size(path):
        return True
    try:
        with _open(path):
            return True
    except (UnidentifiedImageError, OSError, ValueError, SyntaxError):
        return False


def thumbhash_of(checksum: bytes) -> str:
    """Something that looks like a thumbhash."""
    return base64.b64encode(hashlib.sha256(checksum).digest()[:21]).decode()


def thumbnail(path: Path, size: str) -> tuple[bytes, str]:
    """The picture and its media type: `thumbnail` is WebP of 250 pixels, `preview` JPEG of 1440."""
    edge, kind = (250, "WEBP") if size == "thumbnail" else (1440, "JPEG")
    with open_picture(path) as image:
        image.draft("RGB", (edge, edge))
        orientation = image.getexif().get(ExifTags.Base.Orientation, 1)
        image.thumbnail((edge, edge))
        turned = {3: 180, 6: 270, 8: 90}.get(orientation, 0)
        small = image.convert("RGB").rotate(turned, expand=True)
    buffer = io.BytesIO()
    small.save(buffer, kind, quality=80)
    return buffer.getvalue(), f"image/{kind.lower()}"


def open_picture(path: Path) -> Image.Image:
    """The picture itself; of a RAW file the one embedded in it, of a video something grey."""
    suffix = path.suffix.lower()
    if suffix in VIDEO:
        return Image.new("RGB", (320, 240), "grey")
    if suffix in RAW:
        import rawpy

        try:
            with rawpy.imread(str(path)) as raw:
                embedded = raw.extract_thumb()
            if embedded.format == rawpy.ThumbFormat.JPEG:
                return Image.open(io.BytesIO(embedded.data))
            return Image.fromarray(embedded.data)
        except rawpy.LibRawError:
            return Image.new("RGB", (320, 240), "grey")
    return _open(path)
