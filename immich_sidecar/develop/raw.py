"""RAW files through LibRaw: facts of the header, the embedded preview, and linear pixels."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop import bayer, dng, jpeg, shading, tiff
from immich_sidecar.develop.bayer import Mosaic
from immich_sidecar.develop.camera import Camera, camera_of
from immich_sidecar.develop.foreign_names import libraw_file
from immich_sidecar.develop.orientation import oriented
from immich_sidecar.develop.preview_space import in_srgb, space_of_preview
from immich_sidecar.errors import UndecodableError, UnsupportedError
from immich_sidecar.recipe.plan import DecodePlan

#: EXIF orientation of LibRaw's `flip` (bit 0 mirrors, bit 1 flips, bit 2 transposes).
_ORIENTATIONS = {0: 1, 1: 2, 2: 4, 3: 3, 4: 5, 5: 8, 6: 6, 7: 7}
_NO_CROP = 0xFFFF
#: Sides in pixels of a crop that may be meant, at least.
_SMALLEST_CROP = 32
#: Tags: the maker; of a DNG the arrangement of colours, and the size of the rectangle of black levels that repeats.
_MAKE, _CFA_PATTERN, _BLACK_REPEATS = 271, 33422, 50713


@dataclass(frozen=True)
class Head:
    """What the header of a RAW file says; sizes before orientation."""

    width: int
    height: int
    orientation: int
    #: EXIF of the embedded preview, for files that are not TIFF-based.
    preview_exif: bytes


@dataclass(frozen=True)
class LinearPixels:
    """Scene-linear pixels before orientation, in linear sRGB (or camera RGB with a recipe's matrix)."""

    #: Shape (height, width, 3), 0..65535.
    pixels: NDArray[np.uint16]
    #: What 65535 stands for, relative to sensor saturation of the least amplified channel.
    headroom: float
    #: What is known of the camera's colours.
    camera: Camera | None = None


def read_head(path: Path) -> Head:
    """Read the header of a RAW file. Asks LibRaw for nothing that makes it read the pixels.

    Raises
    ------
    UndecodableError
        If LibRaw cannot open the file.
    """
    with opened(path) as file:
        _, _, height, width = _frame(file, dng.read(path))
        preview = b""
        try:
            thumbnail = _thumbnail(file)
        except UndecodableError:
            thumbnail = None
        if isinstance(thumbnail, bytes):
            preview = jpeg.read_header(thumbnail).exif
        return Head(
            width=width,
            height=height,
            orientation=_ORIENTATIONS.get(file.sizes.flip, 1),
            preview_exif=preview,
        )


def embedded_preview(path: Path, *, at_least: int | None = None) -> NDArray[np.uint8] | None:
    """The camera's own rendering inside a RAW file, upright, sRGB `uint8` (h, w, 3); None where there is none.

    `at_least` allows a smaller one whose longer side is still that many pixels: many cameras store it at full size.
    """
    import simplejpeg

    with opened(path) as file:
        try:
            thumbnail = _thumbnail(file)
        except UndecodableError:
            return None
        orientation = _ORIENTATIONS.get(file.sizes.flip, 1)
        _, _, height, width = _frame(file, dng.read(path))
    if thumbnail is None:
        return None
    header: jpeg.Header | None = None
    if isinstance(thumbnail, bytes):
        try:
            smaller = {}
            if at_least is not None:
                lines, columns = simplejpeg.decode_jpeg_header(thumbnail, strict=False)[:2]
                factor = min(1.0, at_least / max(lines, columns))
                smaller = {"min_height": max(1, round(lines * factor)), "min_width": max(1, round(columns * factor))}
            pixels = simplejpeg.decode_jpeg(thumbnail, "RGB", strict=False, **smaller)
        except ValueError:
            return None
        header = jpeg.read_header(thumbnail)
        own = tiff.read(io.BytesIO(header.exif)).main.number(274)
        if own is not None and own in range(2, 9):
            orientation = int(own)
    else:
        pixels = thumbnail
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or min(pixels.shape[:2]) < 16:
        return None
    if header is not None:
        with path.open("rb") as stream:
            pixels = in_srgb(pixels, space_of_preview(header, tiff.read(stream)))
    # Some cameras store the preview upright already.
    if orientation >= 5 and (pixels.shape[0] > pixels.shape[1]) != (height > width):
        return np.ascontiguousarray(pixels)
    return oriented(pixels, orientation)


def read_pixels(
    path: Path, plan: DecodePlan, *, half_size: bool = False, keep_mosaic: bool = False
) -> LinearPixels | Mosaic:
    """The pixels of a RAW file in linear light, or what makes them so.

    `half_size` makes one pixel of each 2 x 2 block of the sensor, without interpolation. With `keep_mosaic` a
    Bayer sensor's values come as they are, to be developed a few rows at a time.

    Raises
    ------
    UndecodableError
        If LibRaw cannot read the pixels.
    """
    with _errors(path):
        # Where something fails the file is left to be collected: what is told of the failure may hold its values.
        found = dng.read(path)
        if found is not None and found.problem:
            raise UnsupportedError(_not_read(path, found.problem))
        if found is not None and found.ends_early:
            raise UndecodableError(_ends_early(path))
        file = _opened(path, found)
        frame = _frame(file, found)
        if found is not None:
            shading.undo(file, found)
        mosaic = bayer.read(file, plan, frame) if _is_plain(path) else None
        if mosaic is None:
            linear = _by_libraw(file, plan, frame, half_size=half_size)
            file.close()
            return linear
        if keep_mosaic and not half_size:
            return mosaic
        pixels = bayer.binned(mosaic) if half_size else bayer.full(mosaic)
        linear = LinearPixels(pixels, mosaic.headroom, camera_of(file))
        mosaic.release()
        return linear


def _by_libraw(
    file: Any, plan: DecodePlan, frame: tuple[int, int, int, int] | None = None, *, half_size: bool
) -> LinearPixels:
    import rawpy

    # After the pixels are made LibRaw takes sensors of four colours for ones of three.
    has_three_colours = file.num_colors == 3

    modes = {
        "clip": rawpy.HighlightMode.Clip,
        "blend": rawpy.HighlightMode.Blend,
        "reconstruct": rawpy.HighlightMode.ReconstructDefault,
    }
    # For X-Trans this means one pass or three.
    algorithms = {"fast": rawpy.DemosaicAlgorithm.PPG, "best": rawpy.DemosaicAlgorithm.AHD}
    as_shot = [float(v) for v in file.camera_whitebalance]
    from_camera = plan.white_balance == "as_shot" and min(as_shot[:3]) > 0
    space = rawpy.ColorSpace.raw if plan.colour_matrix else rawpy.ColorSpace.sRGB
    pixels = file.postprocess(
        demosaic_algorithm=algorithms[plan.demosaic],
        half_size=half_size,
        use_camera_wb=from_camera,
        use_auto_wb=plan.white_balance == "auto",
        output_color=space,
        output_bps=16,
        user_flip=0,
        no_auto_bright=True,
        adjust_maximum_thr=0.0,
        user_sat=_saturation(file),
        gamma=(1, 1),
        highlight_mode=modes[plan.highlight],
    )
    balances = {
        "as_shot": as_shot if from_camera else file.daylight_whitebalance,
        "auto": file.auto_whitebalance or file.daylight_whitebalance,
        "daylight": file.daylight_whitebalance,
    }
    factors = [float(v) for v in balances[plan.white_balance][:3]]
    top, left, height, width = frame or _frame(file, None)
    whole = (file.sizes.iheight, file.sizes.iwidth)
    # LibRaw scales by the smallest factor when clipping and by the largest otherwise.
    spread = max(factors) / min(factors) if min(factors) > 0 else 1.0
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        pixels = np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=2)
    step = 2 if half_size and pixels.shape[0] <= (whole[0] + 1) // 2 + 1 else 1
    if abs(pixels.shape[0] * step - whole[0]) <= step and abs(pixels.shape[1] * step - whole[1]) <= step:
        first, last = (top + step - 1) // step, (left + step - 1) // step
        pixels = pixels[first : first + height // step, last : last + width // step]
    headroom = 1.0 if plan.highlight == "clip" else spread
    camera = camera_of(file) if has_three_colours else None
    return LinearPixels(np.ascontiguousarray(pixels[..., :3]), headroom, camera)


@contextmanager
def opened(path: Path) -> Iterator[Any]:
    """A RAW file opened by LibRaw; what goes wrong with it becomes an error of ours."""
    with _errors(path):
        file = _opened(path, dng.read(path), with_pixels=False)
        try:
            yield file
        finally:
            file.close()


def _opened(path: Path, found: dng.Dng | None, *, with_pixels: bool = True) -> Any:
    """A file opened by LibRaw; without pixels, only its header and the preview may be asked for."""
    import rawpy

    if found is None or not found.is_jpeg_xl:
        return libraw_file(path)
    return rawpy.imread(io.BytesIO(dng.uncompressed(path, found, with_pixels=with_pixels)))


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    import rawpy

    try:
        yield
    except (rawpy.LibRawFileUnsupportedError, rawpy.LibRawNotImplementedError) as error:
        found = dng.read(path)
        raise UnsupportedError(_not_read(path, (found and found.problem) or _said(error))) from None
    except rawpy.LibRawIOError:
        # LibRaw's words for it, "Input/output error", would make people look for a broken disk.
        raise UndecodableError(_ends_early(path)) from None
    except rawpy.LibRawError as error:
        raise UndecodableError(f"{path.name} is a damaged RAW file: {_said(error)}.") from None


def _ends_early(path: Path) -> str:
    return f"{path.name} is a damaged RAW file: it ends too early."


def _not_read(path: Path, reason: str) -> str:
    return (
        f"{path.name} is a RAW file that LibRaw does not read: {reason}. "
        "A converter may make a DNG of it that is read; the camera's JPEG is, too."
    )


def _said(error: Exception) -> str:
    text = error.args[0] if error.args else str(error)
    return text.decode("utf-8", "replace") if isinstance(text, bytes) else str(text)


def _thumbnail(file: Any) -> bytes | NDArray[np.uint8] | None:
    import rawpy

    try:
        thumbnail = file.extract_thumb()
    except (rawpy.LibRawNoThumbnailError, rawpy.LibRawUnsupportedThumbnailError):
        return None
    except rawpy.LibRawError as error:
        raise UndecodableError(_said(error)) from None
    if thumbnail.format == rawpy.ThumbFormat.JPEG:
        return bytes(thumbnail.data)
    return np.asarray(thumbnail.data) if thumbnail.format == rawpy.ThumbFormat.BITMAP else None


def _frame(file: Any, found: dng.Dng | None) -> tuple[int, int, int, int]:
    """Top, left, height, width of the part of LibRaw's picture that the camera means to be seen.

    Of a DNG that is what the file says; LibRaw passes over some of it.
    """
    sizes = file.sizes
    whole = (0, 0, sizes.iheight, sizes.iwidth)
    said = found.crop() if found is not None else None
    if said is not None and (sizes.iheight, sizes.iwidth) == (sizes.height, sizes.width):
        top, left, height, width = (int(n) for n in said)
        inside = top >= 0 and left >= 0 and top + height <= sizes.height and left + width <= sizes.width
        if inside and min(height, width) >= _SMALLEST_CROP:
            return top, left, height, width
    left, top = sizes.crop_left_margin - sizes.left_margin, sizes.crop_top_margin - sizes.top_margin
    fits = left >= 0 and top >= 0 and sizes.crop_left_margin != _NO_CROP
    fits = fits and left + sizes.crop_width <= sizes.width and top + sizes.crop_height <= sizes.height
    large = sizes.crop_width > 0.8 * sizes.width and sizes.crop_height > 0.8 * sizes.height
    plain = (sizes.iheight, sizes.iwidth) == (sizes.height, sizes.width)
    return (top, left, sizes.crop_height, sizes.crop_width) if fits and large and plain else whole


def _is_plain(path: Path) -> bool:
    """Whether LibRaw tells all that is needed to develop a mosaic.

    It does not tell black levels of a DNG that repeat otherwise than the colours do, nor those of the halves of large
    sensors (Phase One, Leaf).
    """
    with path.open("rb") as file:
        directories = tiff.read(file).images
    makers = [d.text(_MAKE) or "" for d in directories]
    if any(maker.lower().startswith(("phase one", "leaf")) for maker in makers):
        return False
    sizes = [d.numbers(_BLACK_REPEATS) for d in directories if d.values.get(_CFA_PATTERN)]
    return all(size in ((), (1.0, 1.0), (2.0, 2.0)) for size in sizes)


def _saturation(file: Any) -> int | None:
    """Where values are saturated in a file that is no plain Bayer mosaic, counted from the black level.

    Of one value a pixel that is what `bayer.saturation` finds. With three values a pixel LibRaw takes the white level
    as it is for one above black, which leaves the picture too dark.
    """
    try:
        values = file.raw_image_visible
    except (AttributeError, RuntimeError):
        values = None
    if values is None or values.ndim != 2:
        black = min(file.black_level_per_channel[:3])
        return int(file.white_level) - black if black > 0 else None
    found = bayer.saturation(values, int(file.white_level))
    return None if found is None else found - min(file.black_level_per_channel)
