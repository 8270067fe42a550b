"""What the containers of photos hold beside the pixels: size, EXIF, XMP, IPTC, colour profile."""

import io
import mmap
import struct
import warnings
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from immich_sidecar.develop import jpeg, jxl, raw, tiff
from immich_sidecar.develop.damage import told_as_damage
from immich_sidecar.develop.formats import Format, has_raw_name
from immich_sidecar.develop.icc import H273_PRIMARIES, matrix_profile, profile_name
from immich_sidecar.develop.tiff import Exif
from immich_sidecar.errors import UndecodableError, UnsupportedError

_DNG_VERSION, _PHOTOMETRIC, _COMPRESSION, _BITS = 50706, 262, 259, 258
_SAMPLE_FORMAT, _FLOATING = 339, 3
#: Photometric interpretations and compressions that only RAW files have.
_RAW_PHOTOMETRICS, _RAW_COMPRESSIONS = {32803, 34892}, {34713, 32767, 65000, 65535, 34892}


@dataclass(frozen=True)
class Contents:
    """The parts of a photo's file, as stored."""

    format: Format
    #: Size as stored, before `orientation`.
    width: int
    height: int
    #: EXIF orientation still to be applied to the decoded pixels.
    orientation: int = 1
    exif: Exif = field(default_factory=Exif)
    #: The TIFF structure of the EXIF block.
    exif_block: bytes = b""
    xmp: bytes = b""
    #: Photoshop image resources (IPTC).
    photoshop: bytes = b""
    icc: bytes = b""
    bit_depth: int = 8
    #: Colour primaries and transfer of an `nclx` box (ITU-T H.273); 2 is unspecified.
    primaries: int = 2
    transfer: int = 2
    frames: int = 1
    has_iso_gain_map: bool = False
    #: Whether a JPEG lists pictures that follow the first.
    has_more_pictures: bool = False

    @property
    def icc_name(self) -> str | None:
        """The colour profile's name."""
        return profile_name(self.icc) if self.icc else None


def read_contents(path: Path, found: Format, data: mmap.mmap) -> Contents:
    """Read the container; `found` is what the first bytes say.

    Raises
    ------
    UndecodableError
        If the header is damaged.
    """
    if found is Format.JPEG:
        return _jpeg(path, data)
    if found is Format.RAW:
        return _raw(path, tiff.read(io.BytesIO(data[: 1 << 20])))
    if found is Format.OTHER:
        try:
            return _raw(path, tiff.read(io.BytesIO(data[: 1 << 20])))
        except UnsupportedError:
            message = f"{path.name} is named like a photo but holds something else."
            raise UndecodableError(message) from None
    if found is Format.TIFF:
        directories = tiff.read(_Stream(data))
        if _is_raw(directories, data) or has_raw_name(path.name):
            try:
                return _raw(path, directories)
            except (UndecodableError, UnsupportedError):
                if _is_raw(directories, data):
                    raise
    if found is Format.HEIC:
        return _heic(path, data)
    if found is Format.JXL:
        return _jxl(path, data)
    return _by_pillow(path, found, data)


class _Stream:
    """What `tiff.read` needs of a file, over a memory map."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data, self._position = data, 0

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = offset
        return offset

    def read(self, size: int = -1) -> bytes:
        return self._data[self._position : self._position + size]


def _orientation(exif: Exif) -> int:
    value = exif.main.number(274)
    return int(value) if value is not None and value in range(1, 9) else 1


def _jpeg(path: Path, data: mmap.mmap) -> Contents:
    header = jpeg.read_header_of(data)
    if not header.frame:
        raise UndecodableError(f"{path.name} is a damaged JPEG: it has no frame.")
    marker, precision, height, width, _ = header.frame
    if marker not in (0xC0, 0xC1, 0xC2) or precision != 8:
        raise UnsupportedError(f"{path.name} is a JPEG of a rare kind (frame {marker:#x}, {precision} bits).")
    exif = tiff.read(io.BytesIO(header.exif))
    return Contents(
        Format.JPEG,
        width,
        height,
        _orientation(exif),
        exif,
        header.exif,
        header.xmp + header.extended_xmp,
        header.photoshop,
        header.icc,
        bit_depth=precision,
        has_iso_gain_map=header.has_iso_gain_map,
        has_more_pictures=header.has_more_pictures,
    )


def _is_raw(directories: Exif, data: mmap.mmap) -> bool:
    if data[8:10] == b"CR" or _DNG_VERSION in directories.main.values:
        return True
    return any(
        d.number(_PHOTOMETRIC) in _RAW_PHOTOMETRICS or d.number(_COMPRESSION) in _RAW_COMPRESSIONS
        for d in directories.images
    )


def _raw(path: Path, directories: Exif) -> Contents:
    head = raw.read_head(path)
    if not directories.main.values and head.preview_exif:
        directories = tiff.read(io.BytesIO(head.preview_exif))
    return Contents(
        Format.RAW,
        head.width,
        head.height,
        head.orientation,
        directories,
        head.preview_exif,
        bit_depth=_raw_depth(directories),
    )


def _raw_depth(directories: Exif) -> int:
    """The bits per sample of the picture that is no preview; 14 where the file does not say."""
    depths = (int(d.number(_BITS) or 0) for d in directories.images if d.number(258) != 8)
    return max((d for d in depths if 8 < d <= 16), default=14)


def _heic(path: Path, data: mmap.mmap) -> Contents:
    import pillow_heif

    with told_as_damage(path):
        heif = pillow_heif.open_heif(path)
        info = heif.info
    block = _after_exif_mark(info.get("exif") or b"")
    primaries, transfer = _nclx(data)
    return Contents(
        Format.HEIC,
        width=heif.size[0],
        height=heif.size[1],
        # libheif has applied the file's own rotation; the tag in EXIF repeats it.
        orientation=1,
        exif=tiff.read(io.BytesIO(block)),
        exif_block=block,
        xmp=_bytes(info.get("xmp")),
        icc=info.get("icc_profile") or b"",
        bit_depth=int(info.get("bit_depth") or 8),
        primaries=primaries,
        transfer=transfer,
    )


def _jxl(path: Path, data: mmap.mmap) -> Contents:
    parts = jxl.read_parts(data)
    try:
        header = jxl.read_header(parts.codestream)
    except (ValueError, KeyError) as error:
        raise UndecodableError(f"{path.name} is damaged: {error}.") from None
    turned = header.orientation >= 5
    known = H273_PRIMARIES.get(header.primaries)
    return Contents(
        Format.JXL,
        width=header.height if turned else header.width,
        height=header.width if turned else header.height,
        # libjxl turns the picture upright by the codestream's own orientation; the tag in EXIF repeats it.
        orientation=1,
        exif=tiff.read(io.BytesIO(parts.exif)),
        exif_block=parts.exif,
        xmp=parts.xmp,
        icc=matrix_profile(known) if known and not header.has_icc else b"",
        bit_depth=header.bit_depth,
        primaries=header.primaries,
        transfer=header.transfer,
        frames=2 if header.is_animation else 1,
        has_iso_gain_map=parts.has_gain_map,
    )


def _by_pillow(path: Path, found: Format, data: mmap.mmap) -> Contents:
    from PIL import Image

    if found is Format.TIFF:
        _refuse_rare_tiff(path, data)
    with told_as_damage(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path) as image:
            info: dict[Any, Any] = dict(image.info)
            width, height = image.size
            frames = 1 if found is Format.TIFF else getattr(image, "n_frames", 1)
            block = _after_exif_mark(info.get("exif") or b"")
            exif = tiff.read(io.BytesIO(block)) if block else Exif()
            if found is Format.TIFF:
                exif = tiff.read(_Stream(data))
                # Pillow turns TIFFs upright by itself and gives the upright size.
                width, height = _tiff_size(exif) or (width, height)
                info["xmp"] = info.get("xmp") or _bytes_of(exif.main.values.get(700, ()))
            bits = 16 if image.mode.startswith("I;16") else _depth(found, exif, data)
            shown = image.getexif().get(274, 1) if found is Format.AVIF else _orientation(exif)
    primaries, transfer = _nclx(data) if found is Format.AVIF else (2, 2)
    return Contents(
        found,
        width,
        height,
        orientation=shown if shown in range(1, 9) else 1,
        exif=exif,
        exif_block=block,
        xmp=_bytes(info.get("xmp") or info.get("XML:com.adobe.xmp")),
        icc=_bytes(info.get("icc_profile")),
        bit_depth=bits,
        primaries=primaries,
        transfer=transfer,
        frames=frames,
    )


def _refuse_rare_tiff(path: Path, data: mmap.mmap) -> None:
    main = tiff.read(_Stream(data)).main
    bits, is_floating = main.number(_BITS) or 8, main.number(_SAMPLE_FORMAT) == _FLOATING
    if bits > 16 or is_floating:
        words = ", floating point" if is_floating else ""
        raise UnsupportedError(f"{path.name} is a TIFF of a kind that is not read ({bits:.0f} bits{words}).")


def _tiff_size(exif: Exif) -> tuple[int, int] | None:
    width, height = exif.main.number(256), exif.main.number(257)
    return (int(width), int(height)) if width and height else None


def _depth(found: Format, exif: Exif, data: mmap.mmap) -> int:
    if found is Format.PNG:
        return data[24]
    if found is Format.TIFF:
        return int(exif.main.number(_BITS) or 8)
    if found is Format.AVIF:
        at = data.find(b"av1C", 0, 1 << 16)
        flags = data[at + 6] if at >= 0 else 0
        return (12 if flags & 0x20 else 10) if flags & 0x40 else 8
    return 8


def _nclx(data: mmap.mmap) -> tuple[int, int]:
    """Primaries and transfer of the first `colr` box of type `nclx` (ISO/IEC 14496-12, 12.1.5)."""
    at = data.find(b"colrnclx", 0, 1 << 16)
    return struct.unpack_from(">HH", data, at + 8) if at >= 0 and at + 12 <= len(data) else (2, 2)


def _after_exif_mark(block: bytes) -> bytes:
    return block[6:] if block.startswith(b"Exif\0\0") else block


def _bytes(value: object) -> bytes:
    """Text or bytes as bytes; of a damaged file what should be those may be anything else."""
    return value.encode() if isinstance(value, str) else value if isinstance(value, bytes) else b""


def _bytes_of(values: tuple[tiff.Value, ...]) -> bytes:
    """The content of a tag whose type may be `undefined` or `byte`."""
    if values and isinstance(values[0], bytes):
        return values[0]
    return bytes(v for v in values if isinstance(v, int) and 0 <= v <= 255)
