"""What a file says about itself, read without decoding its pixels.

Content decides what a file is, not its name. The name decides only how rubbish is judged (a broken photo, or
something that never was one), and whether a file without any signature may be a RAW file.
"""

import mmap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from immich_sidecar.develop import formats, gain_map
from immich_sidecar.develop.containers import Contents, read_contents
from immich_sidecar.develop.damage import MOST_PIXELS
from immich_sidecar.develop.editors import edited_by
from immich_sidecar.develop.exif_facts import captured_at, place
from immich_sidecar.develop.formats import Format
from immich_sidecar.errors import NotAPhotoError, UndecodableError, UnsupportedError

#: A JPEG's sides cannot be longer.
LONGEST_SIDE = 65500

_APPLE_GAIN_MAP = b"urn:com:apple:photo:2020:aux:hdrgainmap"
_HDR_TRANSFERS = {16: "PQ", 18: "HLG"}


@dataclass(frozen=True)
class FileFacts:
    """What is known of a photo's file."""

    #: `jpeg`, `png`, `tiff`, `webp`, `heic`, `avif`, `jxl` or `raw`.
    format: str
    #: As `image/jpeg`; `image/x-raw` for every RAW format.
    media_type: str
    #: Whether it holds sensor values that LibRaw reads.
    is_raw: bool
    #: Size in pixels after orientation.
    width: int
    height: int
    #: EXIF orientation 1..8 that is still to be applied to decoded pixels (1 for HEIC and JPEG XL, with their own).
    orientation: int
    #: When it was taken. Without an offset in the file, the camera's clock is taken to show UTC.
    captured_at: datetime | None = None
    make: str | None = None
    model: str | None = None
    lens: str | None = None
    iso: int | None = None
    #: Exposure time in seconds, and the f-number.
    exposure_seconds: float | None = None
    f_number: float | None = None
    #: Whether the camera took it as one of an exposure bracket, and so lighter or darker on purpose.
    is_bracketed: bool = False
    software: str | None = None
    #: The program for editing photos that it came out of; None: none is known. Never told of RAW files.
    editor: str | None = None
    #: Whether it carries a second picture that says how to show it on HDR displays.
    has_gain_map: bool = False
    #: Whether a JPEG made of it keeps that, and if not, a few words about the gain map that say why.
    keeps_gain_map: bool = False
    gain_map_problem: str = ""
    #: Whether a short video lies in the same file.
    is_motion_photo: bool = False
    #: Whether it is marked as a panorama for a sphere or cylinder.
    is_panorama: bool = False
    #: Name of the embedded colour profile.
    icc: str | None = None
    #: Bits per channel.
    bit_depth: int = 8
    #: Latitude and longitude in degrees.
    gps: tuple[float, float] | None = None
    #: Of a format that holds photos; always true for what `probe` returns.
    is_photo: bool = True
    #: Of a format that is developed; always true for what `probe` returns.
    supported: bool = True


def looks_like_photo_name(path: Path) -> bool:
    """Whether a file's name promises a photo (by its ending), so that intake looks at it."""
    return formats.looks_like_photo_name(path.name)


def probe(path: Path) -> FileFacts:
    """Read the facts of a file.

    Raises
    ------
    UndecodableError
        If the file is empty, damaged beyond its header, or rubbish under a photo's name.
    NotAPhotoError
        If it is a file of another kind, videos included.
    UnsupportedError
        If it is a picture of a kind that is not developed: GIF, SVG, animations, HDR transfer
        curves, and pictures that are too large.
    OSError
        If the file cannot be read.
    """
    with _read(path) as (contents, data):
        facts = _facts(contents, data)
    _refuse_special(path, contents, facts)
    return facts


def contents_of(path: Path) -> Contents:
    """The parts of a photo's file as stored; raises what `probe` raises."""
    with _read(path) as (contents, _):
        return contents


@contextmanager
def _read(path: Path) -> Iterator[tuple[Contents, mmap.mmap]]:
    """The parts of a photo's file, and the file itself in memory for as long as the block lasts."""
    with path.open("rb") as file:
        if not file.seek(0, 2):
            raise UndecodableError(f"{path.name} is empty.")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            found = formats.sniff(data[:4096])
            _refuse_other_kinds(path, found)
            yield read_contents(path, found, data), data


def _refuse_other_kinds(path: Path, found: Format) -> None:
    if found in formats.UNSUPPORTED:
        raise UnsupportedError(f"{path.name}: {formats.UNSUPPORTED[found]} files are not supported.")
    if found is Format.VIDEO:
        raise NotAPhotoError(f"{path.name} is a video.")
    if found is Format.OTHER and not formats.has_raw_name(path.name):
        if formats.looks_like_photo_name(path.name):
            raise UndecodableError(f"{path.name} is named like a photo but holds something else.")
        raise NotAPhotoError(f"{path.name} is no photo.")


def _refuse_special(path: Path, contents: Contents, facts: FileFacts) -> None:
    if contents.frames > 1:
        raise UnsupportedError(f"{path.name} is an animation; those are not supported.")
    if contents.transfer in _HDR_TRANSFERS:
        curve = _HDR_TRANSFERS[contents.transfer]
        raise UnsupportedError(
            f"{path.name} is an HDR picture ({curve}); a developed copy would lose its highlights, so it stays as is."
        )
    if facts.width < 1 or facts.height < 1:
        raise UndecodableError(f"{path.name} says that it has no pixels.")
    if facts.width * facts.height > MOST_PIXELS or max(facts.width, facts.height) > LONGEST_SIDE:
        raise UnsupportedError(f"{path.name} has {facts.width} x {facts.height} pixels, which is too many.")


def _facts(contents: Contents, data: mmap.mmap) -> FileFacts:
    main, exif = contents.exif.main, contents.exif.exif
    iso = exif.number(0x8827) or main.number(0x8827)
    swapped = contents.orientation >= 5
    has_gain_map = _has_gain_map(contents, data)
    problem = _gain_map_problem(contents, data) if has_gain_map else ""
    width, height = (contents.height, contents.width) if swapped else (contents.width, contents.height)
    return FileFacts(
        format=contents.format.value,
        media_type=formats.MEDIA_TYPES[contents.format],
        is_raw=contents.format is Format.RAW,
        width=width,
        height=height,
        orientation=contents.orientation,
        captured_at=captured_at(contents.exif),
        make=main.text(271),
        model=main.text(272),
        lens=exif.text(0xA434),
        iso=int(iso) if iso and 0 < iso < 1e7 else None,
        exposure_seconds=_positive(exif.number(0x829A) or main.number(0x829A)),
        f_number=_positive(exif.number(0x829D) or main.number(0x829D)),
        # ExposureMode 2 is "auto bracket" (Exif 2.3, table 5).
        is_bracketed=exif.number(0xA402) == 2,
        software=main.text(305),
        editor=None if contents.format is Format.RAW else edited_by(main.text(305), contents.xmp),
        has_gain_map=has_gain_map,
        keeps_gain_map=has_gain_map and not problem,
        gain_map_problem=problem,
        is_motion_photo=_is_motion_photo(contents, data),
        is_panorama=_is_panorama(contents.xmp),
        icc=contents.icc_name,
        bit_depth=contents.bit_depth,
        gps=place(contents.exif),
    )


def _positive(number: float | None) -> float | None:
    return number if number is not None and 0 < number < 1e6 else None


def _has_gain_map(contents: Contents, data: mmap.mmap) -> bool:
    """Ultra HDR (hdrgm), ISO 21496-1 (a JPEG segment, or a `tmap` item in HEIF), or Apple's auxiliary image."""
    if contents.format is Format.RAW:
        return False
    if contents.has_iso_gain_map or b"hdrgm:Version" in contents.xmp or b"GainMap" in contents.xmp:
        return True
    if contents.format in (Format.HEIC, Format.AVIF):
        return data.find(b"tmap", 0, 1 << 16) >= 0 or data.find(_APPLE_GAIN_MAP, 0, 1 << 20) >= 0
    return contents.has_more_pictures and data.find(_APPLE_GAIN_MAP) >= 0


def _gain_map_problem(contents: Contents, data: mmap.mmap) -> str:
    if contents.format is not Format.JPEG:
        return f"in a {contents.format.upper()} file"
    try:
        # Maps are small, and whether one is whole is seen only when it is decoded.
        gain_map.find(data).values()
    except gain_map.NoGainMapError as error:
        return str(error)
    return ""


def _is_motion_photo(contents: Contents, data: mmap.mmap) -> bool:
    """Google's marks in XMP (attribute or element), Samsung's trailer, or an `mpvd` box."""
    for name in (b"MotionPhoto", b"MicroVideo"):
        if name + b'="1"' in contents.xmp or name + b">1<" in contents.xmp or name + b"='1'" in contents.xmp:
            return True
    if contents.format not in (Format.JPEG, Format.HEIC, Format.AVIF):
        return False
    # Samsung's trailer ends in its directory; looking for its parts takes time, so that comes first.
    if (
        data.rfind(b"SEFT", max(0, len(data) - (64 << 10))) < 0
        and "samsung" not in (contents.exif.main.text(271) or "").lower()
    ):
        return False
    return data.rfind(b"MotionPhoto_Data", max(0, len(data) - (64 << 20))) >= 0


def _is_panorama(xmp: bytes) -> bool:
    return b"ProjectionType" in xmp and b"ns.google.com/photos/1.0/panorama" in xmp
