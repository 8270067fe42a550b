"""Bayer sensors: what LibRaw knows of the mosaic, and the mosaic as linear colours.

Everything that is no plain Bayer mosaic of three colours (X-Trans, four colours, sRAW, linear DNG, turned or
oblong pixels, cameras without a colour matrix) is left to LibRaw.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop.camera import camera_of
from immich_sidecar.recipe.plan import DecodePlan

#: A sensor whose largest value is shared by this part of its pixels is taken to be saturated there.
_SATURATED_PART = 0.0005
#: No sensor stops below this part of its nominal white level, and no channel far below the others.
_LOWEST_SATURATION, _LOWEST_CHANNEL = 0.75, 0.95
#: No camera amplifies one channel so much more than another.
_MOST_AMPLIFIED = 100.0
#: Smallest sides in pixels.
_SMALLEST = 32


@dataclass(eq=False)
class Mosaic:
    """Values of a Bayer sensor, and all that turns them into linear colours. It may own memory of LibRaw's."""

    #: The whole sensor, `uint16`.
    values: NDArray[np.uint16]
    #: Top, left, height, width of the picture in it.
    frame: tuple[int, int, int, int]
    #: 0, 1, 2 for red, green, blue at the first 2 x 2 pixels of the frame.
    colours: NDArray[np.int64]
    #: Black level there, and the factor that balances what is above it: 1.0 is sensor saturation of the least
    #: amplified channel.
    black: NDArray[np.float32]
    gains: NDArray[np.float32]
    #: Where each channel is saturated then.
    levels: NDArray[np.float32]
    #: Camera RGB to the RGB of the result.
    matrix: NDArray[np.float32]
    #: What 65535 stands for in the result.
    headroom: float
    #: `clip`, `blend` or `reconstruct`.
    highlight: str
    #: `fast` or `best`.
    quality: str
    #: The opened file whose memory `values` is.
    file: Any = None

    def release(self) -> None:
        """Give the memory of the values back; the mosaic cannot be developed after that."""
        self.values = np.empty((0, 0), np.uint16)
        if self.file is not None:
            self.file.close()
            self.file = None


def warm() -> None:
    """Compile (or load) the kernels."""
    full(blank("best"))
    binned(blank("best"))
    _piled(np.zeros((2, 2), np.uint16), (0, 0, 2, 2), np.zeros((2, 2), np.int64))


def read(file: Any, plan: DecodePlan, frame: tuple[int, int, int, int]) -> Mosaic | None:
    """The mosaic of an opened RAW file; None where it is not of the kind that is developed here.

    `frame` is top, left, height, width within LibRaw's visible picture. The values stay in LibRaw's memory.
    """
    places = _bayer_places(file, frame)
    if places is None:
        return None
    sizes = file.sizes
    top, left, height, width = frame[0] + sizes.top_margin, frame[1] + sizes.left_margin, frame[2], frame[3]
    matrix = _camera_matrix(file, plan)
    if matrix is None:
        return None
    values = file.raw_image
    if values is None or values.ndim != 2 or values.dtype != np.uint16 or not values.flags.c_contiguous:
        return None
    if top < 0 or left < 0 or top + height > values.shape[0] or left + width > values.shape[1]:
        return None
    colours = np.array(places).reshape(2, 2)
    seen = values[top : top + height, left : left + width]
    levels = file.black_level_per_channel
    black = np.array([[levels[c] for c in row] for row in colours], np.float64)
    white = _white_levels(values, (top, left, height, width), int(file.white_level))
    kinds = np.where(colours == 3, 1, colours)
    factors = _factors(file, plan, seen, colours, (black, white))
    if factors is None or (white <= black).any() or not np.isfinite(matrix).all():
        return None
    smallest, largest = factors[:3].min(), factors[:3].max()
    factors = factors / smallest
    by_place = np.array([[factors[c] for c in row] for row in colours])
    headroom = 1.0 if plan.highlight == "clip" else float(largest / smallest)
    return Mosaic(
        values=values,
        frame=(top, left, height, width),
        colours=kinds,
        black=black.astype(np.float32),
        gains=(by_place / (white - black)).astype(np.float32),
        levels=factors[:3].astype(np.float32),
        matrix=matrix.astype(np.float32),
        headroom=headroom,
        highlight=plan.highlight,
        quality=plan.demosaic,
        file=file,
    )


def blank(quality: str, highlight: str = "clip") -> Mosaic:
    """A small black mosaic, on which kernels can be warmed."""
    return Mosaic(
        values=np.zeros((_SMALLEST, _SMALLEST), np.uint16),
        frame=(0, 0, _SMALLEST, _SMALLEST),
        colours=np.array([[0, 1], [1, 2]]),
        black=np.zeros((2, 2), np.float32),
        gains=np.ones((2, 2), np.float32),
        levels=np.ones(3, np.float32),
        matrix=np.eye(3, dtype=np.float32),
        headroom=1.0,
        highlight=highlight,
        quality=quality,
    )


def strips(mosaic: Mosaic) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """The mosaic in linear colours, some rows at a time: the first row, and (3, rows, width), valid until the next."""
    from immich_sidecar.develop import demosaic

    height, width = _frame_size(mosaic)
    planes, lines = demosaic.scratch()
    out = np.empty((3, demosaic.TILE_ROWS, width), np.float32)
    method = demosaic.NEAR if mosaic.quality == "fast" else demosaic.WINDOWS
    mode, offsets = _highlights(mosaic)
    for first in range(0, height, demosaic.TILE_ROWS):
        last = min(first + demosaic.TILE_ROWS, height)
        demosaic.demosaic_rows(
            *(mosaic.values, mosaic.frame, first, last, mosaic.colours, mosaic.black, mosaic.gains, mosaic.levels),
            *(offsets, mode, mosaic.matrix, method, planes, lines, out),
        )
        # Compiled code knows contiguous arrays.
        yield first, np.ascontiguousarray(out[:, : last - first])


def full(mosaic: Mosaic) -> NDArray[np.uint16]:
    """The whole mosaic in linear colours, (height, width, 3), with 65535 for the headroom."""
    return _gathered(strips(mosaic), _frame_size(mosaic), mosaic.headroom)


def binned(mosaic: Mosaic) -> NDArray[np.uint16]:
    """One pixel of each 2 x 2 pixels of the mosaic, without interpolation, as `full` gives them."""
    height, width = _frame_size(mosaic)
    return _gathered(_binned_strips(mosaic), (height // 2, width // 2), mosaic.headroom)


def _binned_strips(mosaic: Mosaic) -> Iterator[tuple[int, NDArray[np.float32]]]:
    from immich_sidecar.develop import demosaic

    height, width = (n // 2 for n in mosaic.frame[2:])
    lines = np.empty((3, width), np.float32)
    out = np.empty((3, demosaic.TILE_ROWS, width), np.float32)
    mode, offsets = _highlights(mosaic)
    for first in range(0, height, demosaic.TILE_ROWS):
        last = min(first + demosaic.TILE_ROWS, height)
        demosaic.binned_rows(
            *(mosaic.values, mosaic.frame, first, last, mosaic.colours, mosaic.black, mosaic.gains, mosaic.levels),
            *(offsets, mode, mosaic.matrix, lines, out),
        )
        # Compiled code knows contiguous arrays.
        yield first, np.ascontiguousarray(out[:, : last - first])


def _gathered(
    parts: Iterator[tuple[int, NDArray[np.float32]]], size: tuple[int, int], headroom: float
) -> NDArray[np.uint16]:
    """Strips of light put together as code values, (height, width, 3)."""
    import cv2

    from immich_sidecar.develop import demosaic

    pixels = np.empty((*size, 3), np.uint16)
    codes = np.empty((3, demosaic.TILE_ROWS, size[1]), np.uint16)
    for first, rows in parts:
        if rows.shape != codes.shape:
            codes = np.empty(rows.shape, np.uint16)
        demosaic.to_codes(rows, np.float32(65535.0 / headroom), codes)
        cv2.merge(list(codes), pixels[first : first + rows.shape[1]])
    return pixels


def _frame_size(mosaic: Mosaic) -> tuple[int, int]:
    if not mosaic.values.size:
        raise ValueError("the mosaic was released")
    return mosaic.frame[2:]


def _highlights(mosaic: Mosaic) -> tuple[int, NDArray[np.float32]]:
    """The mode of the kernels, and how far each channel stands above the mean of the others in bright whole parts."""
    from immich_sidecar.develop import demosaic

    nothing = np.zeros(3, np.float32)
    if mosaic.highlight == "clip":
        return demosaic.CLIP, nothing
    if mosaic.highlight == "blend":
        return demosaic.BLEND, nothing
    # Every fourth block is enough.
    height, width = mosaic.frame[2:]
    light = np.empty((height // 8, width // 8, 3), np.float32)
    for colour in range(3):
        places = np.argwhere(mosaic.colours == colour)
        sites = [
            _site(mosaic.values, mosaic.frame, y, x)[: height // 8 * 4 : 4, : width // 8 * 4 : 4] for y, x in places
        ]
        each = [(s - mosaic.black[y, x]) * mosaic.gains[y, x] for s, (y, x) in zip(sites, places, strict=True)]
        light[..., colour] = np.mean(each, axis=0)
    part = light / mosaic.levels
    bright = (part.max(axis=2) < 0.97) & (part.max(axis=2) > 0.7)
    if np.count_nonzero(bright) < 50:
        return demosaic.RECONSTRUCT, nothing
    chosen = light[bright]
    means = (chosen.sum(axis=1, keepdims=True) - chosen) / 2.0
    return demosaic.RECONSTRUCT, np.median(chosen - means, axis=0).astype(np.float32)


def _bayer_places(file: Any, frame: tuple[int, int, int, int]) -> list[int] | None:
    """LibRaw's numbers of the colours (3 is the second green) at the first 2 x 2 pixels of the frame."""
    import rawpy

    sizes = file.sizes
    if file.raw_type != rawpy.RawType.Flat or file.num_colors != 3 or bytes(file.color_desc) != b"RGBG":
        return None
    if (sizes.iheight, sizes.iwidth) != (sizes.height, sizes.width) or sizes.pixel_aspect != 1.0:
        return None
    pattern = file.raw_pattern
    if pattern is None or pattern.shape != (2, 2) or min(frame[2:]) < _SMALLEST:
        return None
    top, left = frame[0] + sizes.top_margin, frame[1] + sizes.left_margin
    places = [int(file.raw_color(top + y, left + x)) for y in range(8) for x in range(2)]
    if places != places[:4] * 4:
        return None
    kinds = [1 if c == 3 else c for c in places[:4]]
    diagonal = kinds[0] == kinds[3] == 1 or kinds[1] == kinds[2] == 1
    return places[:4] if sorted(kinds) == [0, 1, 1, 2] and diagonal else None


def _camera_matrix(file: Any, plan: DecodePlan) -> NDArray[np.float64] | None:
    """White-balanced camera RGB to linear sRGB, as dcraw makes it; None where the camera is not known."""
    if plan.colour_matrix is not None:
        return np.eye(3)
    camera = camera_of(file)
    return camera.to_srgb if camera else None


def _factors(
    file: Any,
    plan: DecodePlan,
    seen: NDArray[np.uint16],
    colours: NDArray[np.int64],
    ends: tuple[NDArray[np.float64], NDArray[np.float64]],
) -> NDArray[np.float64] | None:
    """White balance factors of LibRaw's four colours; `ends` are black and white levels."""
    chosen = [float(v) for v in file.daylight_whitebalance]
    if plan.white_balance == "as_shot" and min(file.camera_whitebalance[:3]) > 0:
        chosen = [float(v) for v in file.camera_whitebalance]
    elif plan.white_balance == "auto":
        chosen = _grey_world(seen, colours, *ends) or chosen
    if len(chosen) < 4 or not chosen[3] > 0:
        chosen = [*chosen[:3], chosen[1]]
    factors = np.array(chosen[:4], np.float64)
    usable = np.isfinite(factors).all() and factors.min() > 0 and factors.max() < _MOST_AMPLIFIED * factors.min()
    return factors if usable else None


def _grey_world(
    seen: NDArray[np.uint16], colours: NDArray[np.int64], black: NDArray[np.float64], white: NDArray[np.float64]
) -> list[float] | None:
    """The factors that make the mean of all 8 x 8 pixels without a saturated one grey, as LibRaw's."""
    height, width = (n // 8 * 8 for n in seen.shape)
    if not height or not width:
        return None
    blocks = seen[:height, :width].reshape(height // 8, 8, width // 8, 8)
    whole = blocks.max(axis=(1, 3)) < white.max() - 25
    if not whole.any():
        return None
    factors = [1.0] * 4
    for colour in (0, 1, 2, 3):
        for y, x in np.argwhere(colours == colour):
            mean = blocks[:, y::2, :, x::2].mean(axis=(1, 3))[whole].mean() - black[y, x]
            factors[colour] = 1.0 / max(float(mean), 1.0)
    return factors


def _white_levels(values: NDArray[np.uint16], frame: tuple[int, int, int, int], nominal: int) -> NDArray[np.float64]:
    """The value at which each of the first 2 x 2 pixels is saturated, shape (2, 2).

    The known white level, or where the sensor stops short of it (see `saturation`); and where single channels
    stop a little short of the others, each its own.
    """
    largest, counts = _piled(values, frame, np.full((2, 2), nominal))
    common = nominal
    top = int(largest.max())
    if _LOWEST_SATURATION * nominal < top < nominal:
        _, counts = _piled(values, frame, np.full((2, 2), _below(top)))
        if counts.sum() > _SATURATED_PART * frame[2] * frame[3]:
            common = _below(top)
    levels = np.full((2, 2), float(common))
    if top < common:
        # Nothing is saturated.
        return levels
    bounds = np.array([[_below(int(v)) for v in row] for row in largest])
    _, counts = _piled(values, frame, bounds)
    full = counts > _SATURATED_PART * frame[2] * frame[3] / 4
    short = (largest < common) & (bounds > _LOWEST_CHANNEL * common) & full
    return np.where(short, bounds, levels)


def _piled(
    values: NDArray[np.uint16], frame: tuple[int, int, int, int], bounds: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    from immich_sidecar.develop import demosaic

    largest, counts = np.zeros((2, 2), np.int64), np.zeros((2, 2), np.int64)
    demosaic.piled(values, frame, bounds, largest, counts)
    return largest, counts


def _below(largest: int) -> int:
    """What counts as the largest value: noise of the converter may spread it a little."""
    return largest - max(1, largest // 500)


def saturation(values: NDArray[np.uint16], white: int) -> int | None:
    """The value at which sensor values are saturated where that is below the known white level, else None.

    Sensors often stop short of the nominal white level; taking that as white would leave a pink cast in
    blown highlights, since the channels are amplified differently. A pile of pixels at the largest value tells.
    """
    largest = int(values.max())
    if not _LOWEST_SATURATION * white < largest < white:
        return None
    piled = np.count_nonzero(values >= _below(largest))
    return _below(largest) if piled > _SATURATED_PART * values.size else None


def _site(values: NDArray[np.uint16], frame: tuple[int, int, int, int], y: int, x: int) -> NDArray[np.uint16]:
    top, left, height, width = frame
    return values[top + y : top + height : 2, left + x : left + width : 2]
