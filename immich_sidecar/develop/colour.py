"""Colour in one pass: code values to linear light, balance, exposure, curves, local light, saturation, code values."""

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop import bayer
from immich_sidecar.develop.averaging import boxed
from immich_sidecar.develop.bayer import Mosaic
from immich_sidecar.develop.curves import (
    black_white_contrast,
    display_curve,
    exposure_numbers,
    linear_curve,
    local_gain,
    scene_to_display,
)
from immich_sidecar.develop.decode import Decoded
from immich_sidecar.develop.icc import ColourSpace
from immich_sidecar.develop.overwriting import in_bytes
from immich_sidecar.develop.picture_memory import picture
from immich_sidecar.develop.proxy import shrunk
from immich_sidecar.develop.tints import grey_weights, oklab_matrices, toned_greys
from immich_sidecar.develop.white import balance_in
from immich_sidecar.recipe.plan import ColourPlan, LutPlan, Plan

#: Longer side of the map from which `shadows` and `highlights` learn the surroundings of a pixel; the radius
#: of those in its pixels; and how much a surface may vary (display scale, squared) and still be smoothed.
MAP_EDGE, _MAP_RADIUS, _MAP_VARIANCE = 512, 20, 0.01
#: Rows of linear light that are laid out as planes at a time: they stay in the cache.
_ROWS = 16
#: Code values that a curve may stray from the sRGB curve and still count as that.
_SAME_CODES = 0.1
#: From this whole factor on, means of so many pixels a side are made faster than halves of halves.
_BOXED = 6
_NOTHING = np.zeros((1, 1), np.float32)


@dataclass(frozen=True, eq=False)
class Falloff:
    """How the light of a lens falls off towards the corners."""

    #: What linear light is multiplied by, evenly over the squared distance 0..1 from the optical centre (at least
    #: two numbers; beyond, the last one holds). `float32`.
    factors: NDArray[np.float32]
    #: 3x3: pixel (x, y, 1) of the picture that is coloured (the centre of its first pixel is (0, 0)) to coordinates
    #: (u, v, w); the squared distance is (u^2 + v^2) / w^2.
    to_centre: NDArray[np.float64]


class ColourPass:
    """The colour part of a plan, made ready for the pixels of one picture, which may come in strips.

    Parameters
    ----------
    plan
        What to do.
    space
        The colour space of the pixels and of the result.
    size
        Width and height of the picture.
    headroom
        What 65535 stands for in linear `uint16` pixels, and the largest value of linear `float32` ones.
    is_linear
        Whether pixels are scene-linear (RAW) instead of code values.
    small
        The whole picture as `run` would get it, shrunk to about `MAP_EDGE`; needed for shadows and highlights
        (see `needs_small`).
    falloff
        Of the lens, where it is to be undone.
    deep
        Whether code values of 16 bits are made, in place of 8.
    """

    def __init__(
        self,
        plan: Plan,
        space: ColourSpace,
        size: tuple[int, int],
        *,
        headroom: float = 1.0,
        is_linear: bool = False,
        small: NDArray[Any] | None = None,
        falloff: Falloff | None = None,
        deep: bool = False,
    ) -> None:
        from immich_sidecar.develop.kernels import Stages
        from immich_sidecar.develop.local_tone_kernels import GAIN_STEPS
        from immich_sidecar.develop.table_kernels import ROOT_STEPS, code_lights

        colour, decode = plan.colour, plan.decode
        self._space, self._headroom, self._is_linear = space, headroom, is_linear
        self._tables: dict[int, NDArray[np.float32]] = {}
        light = (np.arange(ROOT_STEPS + 1) / (ROOT_STEPS - 1)) ** 2
        # Light at the places of the curves.
        laid = light if deep else code_lights().astype(float)
        is_local = needs_small(plan)
        to_picture = decode if is_linear else None
        # What is a formula need not be looked up.
        is_formula = is_local and not is_linear

        def curve(lights: NDArray[Any]) -> NDArray[np.float32]:
            first = scene_to_display(lights * headroom, colour.ev, to_picture, headroom, colour.brightest)
            return (first if is_local else black_white_contrast(first, colour)).astype(np.float32)

        first = _NOTHING[0] if is_formula else curve(laid)
        has_second = is_local and bool(colour.black or colour.white or colour.contrast)
        matrix = balance_in(space, colour, plan.decode.colour_matrix if plan.decode else None)
        to_cones, from_cones = oklab_matrices(space)
        grey = colour.monochrome
        lut = colour.lut
        changes_colour = bool(colour.saturation or colour.vibrance or grey is not None or lut is not None)
        same = np.eye(3, dtype=np.float32)
        display, undisplay, _ = _display_tables()
        self._stages = Stages(
            is_display=is_on_display_curve(space),
            width=size[0],
            height=size[1],
            has_falloff=falloff is not None,
            falloff=_NOTHING[0] if falloff is None else _padded(falloff.factors),
            falloff_map=same if falloff is None else falloff.to_centre.astype(np.float32),
            has_before=decode is not None and decode.colour_matrix is not None,
            before=np.array(decode.colour_matrix, np.float32) if decode and decode.colour_matrix else same,
            has_balance=matrix is not None,
            balance=same if matrix is None else matrix.astype(np.float32),
            top=float(headroom),
            has_exposure=is_formula and colour.ev != 0.0,
            exposure=np.array(exposure_numbers(colour.ev, colour.brightest), np.float32),
            # The last value is for interpolation alone. What comes after a curve wants light between 0 and 1.
            has_first=not is_formula
            and bool(is_linear or changes_colour or np.abs(first - laid.astype(np.float32))[:-1].max() > 0.0),
            first=first,
            is_local=False,
            map_a=_NOTHING,
            map_b=_NOTHING,
            luminance=space.luminance.astype(np.float32),
            display=display,
            gains=local_gain(display_curve(np.linspace(0.0, 1.0, GAIN_STEPS) ** 2), colour).astype(np.float32),
            has_second=has_second,
            second=black_white_contrast(laid, colour).astype(np.float32) if has_second else _NOTHING[0],
            has_saturation=bool(colour.saturation or colour.vibrance),
            saturation=1.0 + colour.saturation / 100.0,
            vibrance=colour.vibrance / 100.0,
            to_cones=to_cones,
            from_cones=from_cones,
            is_monochrome=grey is not None,
            weights=_NOTHING[0] if grey is None else grey_weights(space, grey),
            grey_amount=1.0 if grey is None else grey.amount,
            toning=_NOTHING if grey is None else toned_greys(space, grey, light[:-1]),
            has_lut=lut is not None and lut.strength > 0.0,
            lut=_NOTHING[0] if lut is None else _table(lut),
            lut_points=0 if lut is None else lut.size,
            lut_strength=0.0 if lut is None else lut.strength,
            to_srgb=space.to_srgb.astype(np.float32),
            from_srgb=np.linalg.inv(space.to_srgb).astype(np.float32),
            undisplay=undisplay,
            encoding=encoding_table(space, deep=deep),
        )
        if is_local:
            if small is None:
                raise ValueError("shadows and highlights need a small picture")
            first = curve(code_lights()) if deep and not is_formula else first
            map_a, map_b = self._surroundings(np.ascontiguousarray(small), first)
            self._stages = self._stages._replace(is_local=True, map_a=map_a, map_b=map_b)

    def run(self, pixels: NDArray[Any], out: NDArray[Any], *, first_row: int = 0) -> None:
        """Colour a strip.

        Parameters
        ----------
        pixels
            Rows of the picture from `first_row` on, shape (rows, width, 3): code values (`uint8` or `uint16`), or
            linear light (`uint16` with 65535 for the headroom, or `float32` with 1.0 for saturation).
        out
            `uint8` (where deep, `uint16`), of the same shape; may be `pixels`.
        """
        self._run(pixels, out, first_row, self._stages)

    def run_planes(self, planes: NDArray[np.float32], out: NDArray[Any], *, first_row: int = 0) -> None:
        """Colour a strip of linear light whose channels lie apart: `planes` (3, rows, width), else as `run`."""
        from immich_sidecar.develop.kernels import colour_planes

        colour_planes(planes, first_row, self._stages, out)

    def _run(self, pixels: NDArray[Any], out: NDArray[Any], first_row: int, stages: Any) -> None:
        from immich_sidecar.develop.kernels import colour_codes, colour_planes
        from immich_sidecar.develop.reading_kernels import planes_of_codes, planes_of_light

        tables = None if self._is_linear else self._decoding(65536 if pixels.dtype == np.uint16 else 256)
        if tables is not None and pixels.dtype == np.uint8 and out.dtype == np.uint8:
            colour_codes(pixels, tables, first_row, stages, out)
            return
        scale = np.float32(1.0 if pixels.dtype == np.float32 else self._headroom / 65535.0)
        for first in range(0, len(pixels), _ROWS):
            rows = pixels[first : first + _ROWS]
            planes = np.empty((3, *rows.shape[:2]), np.float32)
            if tables is not None:
                planes_of_codes(rows, tables, planes)
            else:
                planes_of_light(rows, scale, planes)
            colour_planes(planes, first_row + first, stages, out[first : first + _ROWS])

    def _decoding(self, levels: int) -> NDArray[np.float32]:
        if levels not in self._tables:
            self._tables[levels] = self._space.decoding(levels)
        return self._tables[levels]

    def _surroundings(
        self, small: NDArray[Any], curve: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Maps a, b with base = a * root + b: a guided filter of the root of luminance by itself.

        `curve` is what `Stages.first` is for code values of 8 bits.

        He and Sun, "Fast Guided Filter" (2015): the coefficients come from a small picture and are applied to
        the large one, so edges stay as sharp as they are there.
        """
        import cv2

        height, width = small.shape[:2]
        stages = self._stages
        to_small = np.diag([stages.width / width, stages.height / height, 1.0])
        # Pixel centres: x of the picture is (x of the small one + 0.5) * ratio - 0.5.
        to_small[:2, 2] = 0.5 * (np.diag(to_small)[:2] - 1.0)
        seen = np.empty(small.shape, np.uint8)
        first = stages._replace(
            width=width,
            height=height,
            falloff_map=(stages.falloff_map @ to_small).astype(np.float32),
            first=curve,
            has_second=False,
            has_saturation=False,
            is_monochrome=False,
            has_lut=False,
            encoding=_display_tables()[2],
        )
        self._run(small, seen, 0, first)
        linear = linear_curve(np.arange(256) / 255.0).astype(np.float32)
        light = sum(part * linear[seen[..., i]] for i, part in enumerate(stages.luminance))
        # Of spaces whose colours reach beyond all that can be seen some have less light than none.
        value = np.sqrt(np.maximum(light, 0.0))
        size = (2 * _MAP_RADIUS + 1, 2 * _MAP_RADIUS + 1)

        def mean(array: NDArray[Any]) -> NDArray[Any]:
            blurred: NDArray[Any] = cv2.blur(array, size, borderType=cv2.BORDER_REFLECT_101)
            return blurred

        if min(value.shape) < 2:
            return np.zeros_like(value), value
        average = mean(value)
        variance = np.maximum(mean(value * value) - average * average, 0.0)
        a = variance / (variance + _MAP_VARIANCE)
        b = average * (1.0 - a)
        return np.ascontiguousarray(mean(a), np.float32), np.ascontiguousarray(mean(b), np.float32)


def coloured(
    decoded: Decoded,
    pixels: NDArray[Any],
    plan: Plan,
    *,
    in_place: bool = False,
    falloff: Falloff | None = None,
    deep: bool = False,
) -> NDArray[Any]:
    """Apply the colour part of a plan to pixels of a decoded file.

    `pixels` are those of `decoded` after geometry, `uint8` or `uint16` (height, width, 3). The result is
    `uint8` (with `deep`, `uint16`) in the colour space of the file. Nothing is done, and nothing copied, where
    nothing is asked; `in_place` allows to overwrite `pixels`. `falloff` is in pixels of `pixels`. Of a
    decoded file with a mosaic all of its pixels are coloured, before geometry.
    """
    if decoded.mosaic is not None:
        return _coloured_mosaic(decoded, decoded.mosaic, plan, falloff, deep)
    depth = np.uint16 if deep else np.uint8
    can_stay = deep or pixels.dtype == np.uint8
    if not decoded.is_linear and can_stay and falloff is None and is_neutral(plan.colour):
        return pixels if pixels.dtype == depth else np.multiply(pixels, np.uint16(257), dtype=np.uint16)
    pixels = np.ascontiguousarray(pixels)
    whole = ColourPass(
        plan,
        decoded.space,
        (pixels.shape[1], pixels.shape[0]),
        headroom=decoded.headroom,
        is_linear=decoded.is_linear,
        small=small_picture(pixels) if needs_small(plan) else None,
        falloff=falloff,
        deep=deep,
    )
    out: NDArray[Any]
    if in_place and pixels.dtype == depth:
        out = pixels
    elif in_place and not deep:
        # A few rows are read before any is written, and bytes come to lie before what they are made of.
        out = in_bytes(pixels)
    else:
        out = picture(pixels.shape, depth)
    whole.run(pixels, out)
    return out


def small_picture(pixels: NDArray[Any]) -> NDArray[Any]:
    """A picture (height, width, 3) shrunk to `MAP_EDGE`, for a `ColourPass`."""
    whole = max(pixels.shape[:2]) // MAP_EDGE
    is_large = whole >= _BOXED and pixels.dtype == np.uint8
    return shrunk(boxed(pixels, whole, thinned=True) if is_large else pixels, MAP_EDGE)


def _coloured_mosaic(decoded: Decoded, mosaic: Mosaic, plan: Plan, falloff: Falloff | None, deep: bool) -> NDArray[Any]:
    height, width = mosaic.frame[2:]
    whole = ColourPass(
        plan,
        decoded.space,
        (width, height),
        headroom=mosaic.headroom,
        is_linear=True,
        small=shrunk(bayer.binned(mosaic), MAP_EDGE) if needs_small(plan) else None,
        falloff=falloff,
        deep=deep,
    )
    out = picture((height, width, 3), np.uint16 if deep else np.uint8)
    for first, rows in bayer.strips(mosaic):
        whole.run_planes(rows, out[first : first + rows.shape[1]], first_row=first)
    return out


@lru_cache(maxsize=1)
def _display_tables() -> tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.uint8]]:
    """`Stages.display`, `Stages.undisplay`, and `Stages.encoding` of 8 bits on the sRGB curve: the same for all."""
    from immich_sidecar.develop.table_kernels import ROOT_STEPS, code_lights

    even = np.arange(ROOT_STEPS + 1) / (ROOT_STEPS - 1)
    codes = np.round(display_curve(code_lights()) * 255.0).astype(np.uint8)
    return display_curve(even**2).astype(np.float32), linear_curve(even).astype(np.float32), codes[np.newaxis]


@lru_cache(maxsize=8)
def encoding_table(space: ColourSpace, *, deep: bool) -> NDArray[Any]:
    """What `Stages.encoding` is, for code values of 16 bits or of 8."""
    from immich_sidecar.develop.table_kernels import ROOT_STEPS, code_lights

    codes = np.linspace(0.0, 65535.0 if deep else 255.0, len(space.curves[0]))
    # One table for all channels takes a third of the cache.
    is_same = all(np.array_equal(one, space.curves[0]) for one in space.curves[1:])
    lights = (np.arange(ROOT_STEPS + 1) / (ROOT_STEPS - 1)) ** 2 if deep else code_lights()
    values = np.stack([np.interp(lights, one, codes) for one in space.curves[: 1 if is_same else 3]])
    return values.astype(np.float32) if deep else np.round(values).astype(np.uint8)


def is_on_display_curve(space: ColourSpace) -> bool:
    """Whether the code values of a space are those of the sRGB curve, whatever its primaries."""
    codes = np.arange(256)
    return bool(np.abs(display_curve(space.decoding(256).astype(float)) * 255.0 - codes).max() < _SAME_CODES)


def needs_small(plan: Plan) -> bool:
    """Whether a `ColourPass` of the plan needs a small picture."""
    return bool(plan.colour.shadows or plan.colour.highlights)


def is_neutral(colour: ColourPlan) -> bool:
    """Whether nothing is asked of colour."""
    same = colour.gains is None or set(colour.gains) == {1.0}
    same = same and colour.temperature in (None, 6500.0) and not colour.tint
    same = same and colour.monochrome is None and (colour.lut is None or not colour.lut.strength)
    rest = (colour.ev, colour.black, colour.white, colour.shadows, colour.highlights, colour.contrast)
    return same and not any((*rest, colour.saturation, colour.vibrance))


def _padded(table: NDArray[np.float32]) -> NDArray[np.float32]:
    """A table with its last value once more, so that interpolation may read one behind the end."""
    return np.append(table, table[-1]).astype(np.float32)


def _table(lut: LutPlan) -> NDArray[np.float32]:
    """What `Stages.lut` is."""
    places = np.zeros((lut.size**3, 4), np.float32)
    places[:, :3] = np.frombuffer(lut.values, "<f4").reshape(-1, 3)
    return places.reshape(-1)
