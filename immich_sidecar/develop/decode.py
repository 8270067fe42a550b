"""Files to pixels, with the colour space they are in.

Pictures come as code values (`uint8`, or `uint16` from files of more than 8 bits that our libraries read so),
RAW files as scene-linear `uint16`. Nothing is oriented here. Transparency is laid over white; grey becomes
three equal channels; CMYK, grey profiles and profiles made of tables become sRGB.
"""

import io
import re
import warnings
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop import deep_tiff, heic, jpeg, jxl, picture_memory, raw, tiff
from immich_sidecar.develop.bayer import Mosaic
from immich_sidecar.develop.camera import Camera
from immich_sidecar.develop.curves import display_curve
from immich_sidecar.develop.damage import told_as_damage
from immich_sidecar.develop.foreign_names import has_text_name
from immich_sidecar.develop.icc import H273_PRIMARIES, ColourSpace, named_space, read_grey_profile, read_profile
from immich_sidecar.develop.picture_memory import picture
from immich_sidecar.develop.probe import FileFacts
from immich_sidecar.errors import UndecodableError, UnsupportedError
from immich_sidecar.recipe.plan import DecodePlan

Pixels = NDArray[np.uint8] | NDArray[np.uint16]

#: What libjpeg reports about files that are whole all the same: padding before a scan or the end (but not
#: before a restart marker, where it means lost data), and odd parameters of a scan.
_HARMLESS = re.compile(r"extraneous bytes before marker 0x(d9|da|c4|dd)|Invalid SOS parameters|Adobe color")
_ENDS_EARLY = "Premature end of JPEG file"
#: What libjpeg-turbo reports about whole files whose channels are sampled in ways that it has no name for.
_ODDLY_SAMPLED = "Could not determine subsampling"
#: Rows that are converted at a time.
_ROWS = 256
_WITH_ALPHA = ("RGBA", "RGBa", "PA", "LA", "La")


@dataclass(frozen=True)
class Decoded:
    """Pixels of a file as stored, before orientation."""

    #: Shape (height, width, 3); with a `mosaic`, only the shape (height, width).
    pixels: Pixels
    #: The space they are in; for RAW, linear sRGB is meant and the profile is that of the output.
    space: ColourSpace
    #: Orientation 1..8 still to be applied.
    orientation: int
    #: Size at full resolution as (width, height), before orientation.
    full_size: tuple[int, int]
    #: Whether the pixels are scene-linear (RAW).
    is_linear: bool = False
    #: What 65535 stands for in scene-linear pixels; 1.0 is sensor saturation.
    headroom: float = 1.0
    #: How the values of a Bayer sensor become linear colours; None where `pixels` are colours.
    mosaic: Mosaic | None = None
    #: RAW: what is known of the camera's colours.
    camera: Camera | None = None


def decode(
    path: Path,
    facts: FileFacts,
    *,
    decode_plan: DecodePlan | None = None,
    at_least: int | None = None,
    keep_mosaic: bool = False,
) -> Decoded:
    """Decode a file.

    `at_least` allows a smaller picture whose longer side is still that many pixels, where the format makes
    one faster (JPEG, RAW). `keep_mosaic` leaves the values of a Bayer sensor as they are (see `Decoded.mosaic`),
    so that a large picture need never lie in memory in linear light.

    Raises
    ------
    UndecodableError
        If the file is damaged; a picture that is only partly there counts as damaged.
    UnsupportedError
        If its kind is not supported.
    """
    if facts.is_raw:
        return _raw(path, facts, decode_plan or DecodePlan(), at_least, keep_mosaic)
    if facts.format == "jpeg":
        return _jpeg(path, facts, at_least)
    if facts.bit_depth > 8 or facts.format != "heic":
        # What other decoders need is their own.
        picture_memory.release()
    if facts.format == "heic":
        return _heic(path, facts)
    if facts.format == "jxl":
        return _jxl(path, facts)
    if facts.bit_depth > 8 and facts.format == "avif":
        return _deep_avif(path, facts)
    if facts.bit_depth == 16 and facts.format in ("png", "tiff"):
        deep = _deep(path, facts)
        if deep:
            return deep
    decoded = _by_pillow(path, facts)
    if facts.format == "tiff":
        # Pillow turns TIFFs upright when it loads them.
        return replace(decoded, orientation=1, full_size=(facts.width, facts.height))
    return decoded


def display_space(name: str = "sRGB") -> ColourSpace:
    """A named colour space, made once per process."""
    return _named(name)


def _raw(path: Path, facts: FileFacts, plan: DecodePlan, at_least: int | None, keep_mosaic: bool) -> Decoded:
    width, height = _stored_size(facts)
    half = at_least is not None and max(width, height) >= 2 * at_least
    linear = raw.read_pixels(path, plan, half_size=half, keep_mosaic=keep_mosaic)
    if isinstance(linear, Mosaic):
        return Decoded(
            np.broadcast_to(np.uint16(0), linear.frame[2:]),
            _named("sRGB"),
            facts.orientation,
            (width, height),
            is_linear=True,
            headroom=linear.headroom,
            mosaic=linear,
        )
    return Decoded(
        linear.pixels,
        _named("sRGB"),
        facts.orientation,
        (width, height),
        is_linear=True,
        headroom=linear.headroom,
        camera=linear.camera,
    )


def _jpeg(path: Path, facts: FileFacts, at_least: int | None) -> Decoded:
    import simplejpeg

    data = path.read_bytes()
    header = jpeg.read_header(data)
    components = header.frame[4] if header.frame else 0
    if header.frame is None or components not in (1, 3) or (components == 1 and header.icc):
        return _by_pillow(path, facts)
    size = _stored_size(facts)
    smaller: dict[str, Any] = {}
    if at_least is not None:
        factor = at_least / max(size)
        smaller = {
            "min_height": max(1, round(size[1] * factor)),
            "min_width": max(1, round(size[0] * factor)),
        }
    else:
        smaller["buffer"] = picture((*header.frame[2:4], 3), np.uint8)
    try:
        pixels = simplejpeg.decode_jpeg(data, "RGB", **smaller)
    except ValueError as error:
        if _ODDLY_SAMPLED in str(error):
            return _by_pillow(path, facts)
        # Where only the last mark is missing, nothing is lost; where pixels are, the mark does not help.
        is_short = _ENDS_EARLY in str(error)
        if not is_short and not _HARMLESS.search(str(error)):
            raise UndecodableError(f"{path.name} is a damaged JPEG: {error}.") from None
        try:
            pixels = simplejpeg.decode_jpeg(data + b"\xff\xd9" * is_short, "RGB", strict=is_short, **smaller)
        except ValueError as fatal:
            raise UndecodableError(f"{path.name} is a damaged JPEG: {error if is_short else fatal}.") from None
    return _managed(pixels, header.icc, facts, adobe_rgb=_is_adobe_rgb(header), grey=components == 1)


def _is_adobe_rgb(header: jpeg.Header) -> bool:
    return not header.icc and bool(header.exif) and tiff.read(io.BytesIO(header.exif)).is_adobe_rgb


def _heic(path: Path, facts: FileFacts) -> Decoded:
    with told_as_damage(path):
        found = heic.read(path)
    return _managed(_three_channels(found.pixels), found.icc, facts, primaries=found.primaries)


def _jxl(path: Path, facts: FileFacts) -> Decoded:
    data = path.read_bytes()
    with told_as_damage(path):
        header = jxl.read_header(jxl.read_parts(data).codestream)
        pixels = jxl.decoded(data)
        named = header.transfer == jxl.SRGB_TRANSFER and header.primaries in H273_PRIMARIES and not header.has_icc
        icc = b"" if named else jxl.profile(data)
    if pixels.dtype not in (np.uint8, np.uint16):
        # Light beyond white, which floating point can hold, is cut.
        pixels = (np.clip(pixels, 0.0, 1.0) * 65535.0 + 0.5).astype(np.uint16)
    return _managed(_three_channels(pixels), icc, facts, primaries=header.primaries)


def _deep_avif(path: Path, facts: FileFacts) -> Decoded:
    import imagecodecs

    with told_as_damage(path):
        pixels = np.asarray(imagecodecs.avif_decode(path.read_bytes(), index=0, numthreads=1))
    if pixels.dtype == np.uint16:
        levels = heic.code_levels((1 << facts.bit_depth) - 1)
        for first in range(0, len(pixels), _ROWS):
            pixels[first : first + _ROWS] = levels[pixels[first : first + _ROWS]]
    icc = _pillow_icc(path)
    primaries = 2 if icc else _nclx_primaries(path)
    return _managed(_three_channels(pixels), icc, facts, primaries=primaries)


def _three_channels(pixels: Any) -> Any:
    """Grey, grey with alpha, or RGB with alpha as RGB."""
    if pixels.ndim == 2:
        pixels = pixels[..., None]
    if pixels.shape[2] <= 2:
        alpha = pixels[..., 1:]
        pixels = np.concatenate([np.repeat(pixels[..., :1], 3, axis=2), alpha], axis=2)
    return np.ascontiguousarray(_over_white(pixels) if pixels.shape[2] == 4 else pixels[..., :3])


def _deep(path: Path, facts: FileFacts) -> Decoded | None:
    """A PNG or TIFF of 16 bits; None where it is not read as such."""
    pixels = deep_tiff.deep_pixels(path) if facts.format == "tiff" else _deep_png(path)
    width, height = _stored_size(facts)
    if pixels is None or pixels.shape[:2] != (height, width):
        return None
    icc = _pillow_icc(path)
    if icc and _space(icc) is None:
        light = read_grey_profile(icc)
        if light is None:
            return None
        # Of three channels that are equal each is as in sRGB then.
        levels = np.round(display_curve(light) * 65535.0).astype(np.uint16)
        return _managed(levels[pixels], b"", facts)
    return _managed(pixels, icc, facts)


def _deep_png(path: Path) -> Any:
    import cv2

    try:
        # It holds the file beside the pixels where it gets no name.
        pixels: Any = (
            cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
            if has_text_name(path)
            else cv2.imdecode(np.frombuffer(path.read_bytes(), np.uint8), cv2.IMREAD_UNCHANGED)
        )
    except cv2.error:
        return None
    if pixels is None or pixels.dtype != np.uint16:
        return None
    if pixels.ndim == 3 and pixels.shape[2] in (3, 4):
        order = cv2.COLOR_BGRA2RGBA if pixels.shape[2] == 4 else cv2.COLOR_BGR2RGB
        for first in range(0, len(pixels), _ROWS):
            pixels[first : first + _ROWS] = cv2.cvtColor(pixels[first : first + _ROWS], order)
    return _three_channels(pixels)


def _pillow_icc(path: Path) -> bytes:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.info.get("icc_profile") or b""
    except (OSError, ValueError, SyntaxError):
        return b""


def _by_pillow(path: Path, facts: FileFacts) -> Decoded:
    from PIL import Image

    with told_as_damage(path), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with Image.open(path) as image:
            image.load()
            icc = image.info.get("icc_profile") or b""
            if image.mode in ("I;16", "I;16B", "I", "F"):
                raise UnsupportedError(f"{path.name}: pixels of the kind {image.mode} are not supported.")
            if image.mode in ("CMYK", "LAB", "L", "LA") and icc and _space(icc) is None:
                return _converted(image, icc, facts)
            if image.mode in _WITH_ALPHA or "transparency" in image.info:
                return _managed(_pixels_of(image, "RGBA"), icc, facts)
            grey = image.mode in ("L", "1")
            pixels = _pixels_of(image, "RGB")
            from_cmyk = image.mode not in ("RGB", "P", "L", "1")
            # Its own pixels would stay for as long as anything refers to it.
            image.close()
    primaries = _nclx_primaries(path) if facts.format == "avif" and not icc else 2
    return _managed(pixels, b"" if from_cmyk else icc, facts, primaries, grey=grey)


def _pixels_of(image: Any, mode: str) -> NDArray[np.uint8]:
    """The pixels of one of Pillow's pictures in RGB, through `mode`; what is transparent is laid over white.

    Some rows at a time: Pillow would copy the whole picture more than once.
    """
    pixels = picture((image.height, image.width, 3), np.uint8)
    for first in range(0, image.height, _ROWS):
        last = min(first + _ROWS, image.height)
        strip = np.asarray(image.crop((0, first, image.width, last)).convert(mode))
        pixels[first:last] = _over_white(strip) if mode == "RGBA" else strip
    return pixels


def _nclx_primaries(path: Path) -> int:
    with path.open("rb") as file:
        head = file.read(1 << 16)
    at = head.find(b"colrnclx")
    return int.from_bytes(head[at + 8 : at + 10], "big") if at >= 0 else 2


def _managed(
    pixels: Pixels,
    icc: bytes,
    facts: FileFacts,
    primaries: int = 2,
    *,
    adobe_rgb: bool = False,
    grey: bool = False,
) -> Decoded:
    """Attach the colour space, turning pixels of spaces that the engine cannot keep into sRGB."""
    space = _named("Adobe RGB (1998)" if adobe_rgb else H273_PRIMARIES.get(primaries, "sRGB"))
    if icc:
        found = _space(icc)
        if found is not None:
            space = found
        elif not grey:
            from PIL import Image

            shallow = pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)
            return _converted(Image.fromarray(shallow), icc, facts)
    return Decoded(pixels, space, facts.orientation, _stored_size(facts))


def _converted(image: Any, icc: bytes, facts: FileFacts) -> Decoded:
    """Turn a picture into sRGB by its profile, over white; without a usable profile by Pillow's plain formula."""
    from PIL import ImageCms

    mode = "L" if image.mode == "LA" else image.mode
    try:
        converted = ImageCms.profileToProfile(
            image.convert(mode),
            ImageCms.ImageCmsProfile(io.BytesIO(icc)),
            ImageCms.ImageCmsProfile(io.BytesIO(_named("sRGB").profile)),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
            flags=ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        converted = None
    pixels = np.array(converted or image.convert("RGB"))
    if image.mode in _WITH_ALPHA or "transparency" in image.info:
        pixels = _over_white(np.dstack([pixels, np.asarray(image.convert("RGBA"))[..., 3]]))
    return Decoded(pixels, _named("sRGB"), facts.orientation, _stored_size(facts))


def _over_white(pixels: Any) -> Any:
    top = 65535 if pixels.dtype == np.uint16 else 255
    alpha = pixels[..., 3:].astype(np.uint32)
    mixed = pixels[..., :3].astype(np.uint32) * alpha + top * (top - alpha)
    return ((mixed + top // 2) // top).astype(pixels.dtype)


def _stored_size(facts: FileFacts) -> tuple[int, int]:
    return (facts.height, facts.width) if facts.orientation >= 5 else (facts.width, facts.height)


@lru_cache(maxsize=8)
def _named(name: str) -> ColourSpace:
    return named_space(name)


@lru_cache(maxsize=8)
def _space(icc: bytes) -> ColourSpace | None:
    """The space of a profile; None where it is of another kind; sRGB where it is damaged."""
    try:
        return read_profile(icc)
    except ValueError:
        return _named("sRGB")
