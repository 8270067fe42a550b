"""RAW files through LibRaw: facts of the header, the embedded preview, and linear pixels."""

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop import jpeg, tiff
from immich_sidecar.develop.orientation import oriented
from immich_sidecar.errors import UndecodableError, UnsupportedError
from immich_sidecar.recipe.plan import DecodePlan

#: EXIF orientation of LibRaw's `flip` (bit 0 mirrors, bit 1 flips, bit 2 transposes).
_ORIENTATIONS = {0: 1, 1: 2, 2: 4, 3: 3, 4: 5, 5: 8, 6: 6, 7: 7}
#: A sensor whose largest value is shared by this part of its pixels is taken to be saturated there.
_SATURATED_PART = 0.0005
#: No sensor stops below this part of its nominal white level.
_LOWEST_SATURATION = 0.75
_NO_CROP = 0xFFFF


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


def read_head(path: Path) -> Head:
    """Read the header of a RAW file. Asks LibRaw for nothing that makes it read the pixels.

    Raises
    ------
    UndecodableError
        If LibRaw cannot open the file.
    """
    with _opened(path) as file:
        _, _, height, width = _frame(file)
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


def embedded_preview(path: Path) -> NDArray[np.uint8] | None:
    """The camera's own rendering inside a RAW file, upright, sRGB `uint8` (h, w, 3); None where there is none."""
    import simplejpeg

    with _opened(path) as file:
        try:
            thumbnail = _thumbnail(file)
        except UndecodableError:
            return None
        orientation = _ORIENTATIONS.get(file.sizes.flip, 1)
        _, _, height, width = _frame(file)
    if thumbnail is None:
        return None
    if isinstance(thumbnail, bytes):
        try:
            pixels = simplejpeg.decode_jpeg(thumbnail, "RGB", strict=False)
        except ValueError:
            return None
        own = tiff.read(io.BytesIO(jpeg.read_header(thumbnail).exif)).main.number(274)
        if own is not None and own in range(2, 9):
            orientation = int(own)
    else:
        pixels = thumbnail
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or min(pixels.shape[:2]) < 16:
        return None
    # Some cameras store the preview upright already.
    if orientation >= 5 and (pixels.shape[0] > pixels.shape[1]) != (height > width):
        return np.ascontiguousarray(pixels)
    return oriented(pixels, orientation)


def linear_pixels(path: Path, plan: DecodePlan, *, half_size: bool = False) -> LinearPixels:
    """Demosaic a RAW file into linear light.

    `half_size` makes one pixel of each 2 x 2 block of the sensor, without interpolation.

    Raises
    ------
    UndecodableError
        If LibRaw cannot read the pixels.
    """
    import rawpy

    modes = {
        "clip": rawpy.HighlightMode.Clip,
        "blend": rawpy.HighlightMode.Blend,
        "reconstruct": rawpy.HighlightMode.ReconstructDefault,
    }
    with _opened(path) as file:
        as_shot = [float(v) for v in file.camera_whitebalance]
        from_camera = plan.white_balance == "as_shot" and min(as_shot[:3]) > 0
        space = rawpy.ColorSpace.raw if plan.colour_matrix else rawpy.ColorSpace.sRGB
        pixels = file.postprocess(
            demosaic_algorithm=rawpy.DemosaicAlgorithm.AHD,
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
        top, left, height, width = _frame(file)
        whole = (file.sizes.iheight, file.sizes.iwidth)
    # LibRaw scales by the smallest factor when clipping and by the largest otherwise.
    spread = max(factors) / min(factors) if min(factors) > 0 else 1.0
    if pixels.ndim == 2 or pixels.shape[2] == 1:
        pixels = np.repeat(pixels.reshape(*pixels.shape[:2], 1), 3, axis=2)
    step = 2 if half_size and pixels.shape[0] <= (whole[0] + 1) // 2 + 1 else 1
    if abs(pixels.shape[0] * step - whole[0]) <= step and abs(pixels.shape[1] * step - whole[1]) <= step:
        first, last = (top + step - 1) // step, (left + step - 1) // step
        pixels = pixels[first : first + height // step, last : last + width // step]
    return LinearPixels(np.ascontiguousarray(pixels[..., :3]), 1.0 if plan.highlight == "clip" else spread)


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    import rawpy

    with _errors(path):
        file = rawpy.imread(str(path))
        try:
            yield file
        finally:
            file.close()


@contextmanager
def _errors(path: Path) -> Iterator[None]:
    import rawpy

    try:
        yield
    except (rawpy.LibRawFileUnsupportedError, rawpy.LibRawNotImplementedError) as error:
        raise UnsupportedError(f"{path.name} is a RAW file that LibRaw does not read: {_said(error)}.") from None
    except rawpy.LibRawIOError:
        # LibRaw's words for it, "Input/output error", would make people look for a broken disk.
        raise UndecodableError(f"{path.name} is a damaged RAW file: it ends too early.") from None
    except rawpy.LibRawError as error:
        raise UndecodableError(f"{path.name} is a damaged RAW file: {_said(error)}.") from None


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


def _frame(file: Any) -> tuple[int, int, int, int]:
    """Top, left, height, width of the part of LibRaw's picture that the camera means to be seen."""
    sizes = file.sizes
    whole = (0, 0, sizes.iheight, sizes.iwidth)
    left, top = sizes.crop_left_margin - sizes.left_margin, sizes.crop_top_margin - sizes.top_margin
    fits = left >= 0 and top >= 0 and sizes.crop_left_margin != _NO_CROP
    fits = fits and left + sizes.crop_width <= sizes.width and top + sizes.crop_height <= sizes.height
    large = sizes.crop_width > 0.8 * sizes.width and sizes.crop_height > 0.8 * sizes.height
    plain = (sizes.iheight, sizes.iwidth) == (sizes.height, sizes.width)
    return (top, left, sizes.crop_height, sizes.crop_width) if fits and large and plain else whole


def _saturation(file: Any) -> int | None:
    """The value at which the sensor is saturated where that is below the known white level, else None.

    Sensors often stop short of the nominal white level; taking that as white would leave a pink cast in
    blown highlights, since the channels are amplified differently. A pile of pixels at the largest value of
    the file tells (Bayer files only).
    """
    try:
        values = file.raw_image_visible
    except (AttributeError, RuntimeError):
        return None
    if values is None or values.ndim != 2:
        return None
    largest, white = int(values.max()), int(file.white_level)
    if not _LOWEST_SATURATION * white < largest < white:
        return None
    piled = np.count_nonzero(values >= largest - max(1, largest // 500))
    return largest - max(1, largest // 500) if piled > _SATURATED_PART * values.size else None
