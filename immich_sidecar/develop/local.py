"""Parts of the picture: a mask out of the recipe, softened, drawn to the picture's own edges, and what happens there.

What it takes to know a pixel's part in a mask is worked out on a small picture of a fixed size, so that previews and
full size agree.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop.colour import encoding_table, is_on_display_curve
from immich_sidecar.develop.geometry import output_size, to_upright
from immich_sidecar.develop.icc import ColourSpace
from immich_sidecar.develop.lens import LensMap
from immich_sidecar.develop.proxy import shrunk
from immich_sidecar.recipe.plan import GeometryPlan, LocalPlan

#: Longer side of the small picture; the radius within which a mask's edge looks for one of the picture, in its pixels;
#: and how much brightness (root of light, squared) may vary and still be no edge.
MAP_EDGE, _RADIUS, _VARIANCE = 512, 12, 4e-4
#: The softest edge, as a deviation in parts of the longer side.
_SOFTEST = 0.03


def locally(
    pixels: NDArray[np.uint16],
    parts: tuple[LocalPlan, ...],
    space: ColourSpace,
    geometry: GeometryPlan,
    size: tuple[int, int],
    *,
    deep: bool = False,
) -> NDArray[Any]:
    """Change parts of a finished picture.

    Parameters
    ----------
    pixels
        Code values of 16 bits (height, width, 3) in `space`, after geometry.
    size
        Width and height of the upright original, or of the smaller one that went through geometry.
    deep
        Whether the result has 16 bits too, in place of 8.
    """
    from immich_sidecar.develop.local_kernels import STEPS, change_rows

    decoding = space.decoding(65536)
    encoding = encoding_table(space, deep=deep)
    luminance = space.luminance.astype(np.float32)
    small = np.ascontiguousarray(shrunk(pixels, MAP_EDGE))
    light = np.stack([decoding[i][small[..., i]] for i in range(3)], axis=-1)
    guide = np.sqrt(np.maximum(light @ luminance, 0.0)).astype(np.float32)
    maps = [_refined(_placed(part, guide.shape, geometry, size), guide) for part in parts]
    out = np.empty(pixels.shape, np.uint16 if deep else np.uint8)
    change_rows(
        np.ascontiguousarray(pixels),
        decoding,
        encoding,
        is_on_display_curve(space),
        luminance,
        np.stack([a for a, _ in maps]),
        np.stack([b for _, b in maps]),
        np.exp2(np.outer([part.ev for part in parts], np.linspace(0.0, 1.0, STEPS))).astype(np.float32),
        np.array([part.saturation for part in parts], np.float32),
        out,
    )
    return out


def _placed(
    part: LocalPlan, shape: tuple[int, ...], geometry: GeometryPlan, size: tuple[int, int]
) -> NDArray[np.float32]:
    """How much each pixel of the small picture belongs to the part, 0..1, before edges are looked for."""
    import cv2

    rows, columns = shape[:2]
    inside = np.zeros(len(part.runs), np.float32)
    inside[1::2] = 1.0
    grid = np.ascontiguousarray(np.repeat(inside, part.runs).reshape(part.width, part.height).T)
    blur = part.feather * _SOFTEST * max(grid.shape)
    if blur > 0.1:
        grid = np.asarray(cv2.GaussianBlur(grid, (0, 0), blur, borderType=cv2.BORDER_REPLICATE), np.float32)
    placed = output_size(*size, geometry)
    across, down = placed[0] / columns, placed[1] / rows
    x, y = np.meshgrid(np.arange(columns) * across + 0.5 * across - 0.5, np.arange(rows) * down + 0.5 * down - 0.5)
    points = np.stack([x, y, np.ones_like(x)], axis=-1) @ to_upright(size, geometry).T
    points = points[..., :2] / points[..., 2:]
    if geometry.warp is not None:
        points = LensMap(geometry.warp, size).source(points)
    cells = points / np.array(size, float) * np.array([part.width, part.height], float) - 0.5
    no_second_map: Any = None
    taken = cv2.remap(grid, cells.astype(np.float32), no_second_map, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    found = np.asarray(taken, np.float32)
    return 1.0 - found if part.is_outside else found


def _refined(part: NDArray[np.float32], guide: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """As `_drawn`, twice: a mask that runs beside an edge is moved onto it first, and sharpened then."""
    a, b = _drawn(part, guide)
    return _drawn(np.clip(a * guide + b, 0.0, 1.0), guide)


def _drawn(part: NDArray[np.float32], guide: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Maps a, b, so that a * brightness + b is the part drawn to the edges of the picture.

    He and Sun, "Fast Guided Filter" (2015): the coefficients come from a small picture and are applied to the large
    one.
    """
    import cv2

    side = (2 * _RADIUS + 1, 2 * _RADIUS + 1)

    def mean(array: NDArray[Any]) -> NDArray[Any]:
        blurred: NDArray[Any] = cv2.blur(array, side, borderType=cv2.BORDER_REFLECT_101)
        return blurred

    if min(guide.shape) < 2:
        return np.zeros_like(part), part
    brightness, belongs = mean(guide), mean(part)
    variance = np.maximum(mean(guide * guide) - brightness * brightness, 0.0)
    a = (mean(guide * part) - brightness * belongs) / (variance + np.float32(_VARIANCE))
    b = belongs - a * brightness
    return np.asarray(mean(a), np.float32), np.asarray(mean(b), np.float32)
