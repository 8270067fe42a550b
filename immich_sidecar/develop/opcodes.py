"""The maker's own lens correction inside a DNG: its third list of opcodes (DNG specification 1.4, chapter 7).

Of the opcodes there, two are about the lens: WarpRectilinear (1) and FixVignetteRadial (3). Both are turned into a
lens profile for the part of the sensor that is developed. Lists with a lens opcode of another kind are left alone.
"""

import math
import struct
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop import tiff
from immich_sidecar.develop.dng import crop_of, opcodes
from immich_sidecar.develop.probe import FileFacts
from immich_sidecar.recipe.operations.lens import Falloff, LensProfile, Warp

_OPCODES, _ACTIVE_AREA = 51022, 50829
_WARP, _WARP_FISHEYE, _VIGNETTE, _WARP_2 = 1, 2, 3, 14
#: Pixels by which the size that LibRaw gives may differ from what the file says.
_SLACK = 8
#: Terms of red and blue beside green, in even powers; from a radius of 0 to a little beyond the corner.
_FRINGE_TERMS, _FARTHEST = 4, 1.05

_Plane = tuple[float, ...]


def embedded_profile(path: Path, facts: FileFacts) -> LensProfile | None:
    """The correction that the file holds; None where there is none of those kinds."""
    try:
        with path.open("rb") as file:
            directories = tiff.read(file)
    except OSError:
        return None
    holder = next((d for d in directories.images if d.values.get(_OPCODES)), None)
    blob = holder.values[_OPCODES][0] if holder else None
    if holder is None or not isinstance(blob, bytes):
        return None
    area = _Area.of(holder, facts)
    if area is None:
        return None
    warp: Warp | None = None
    falloff: Falloff | None = None
    try:
        for identity, data in opcodes(blob):
            if identity in (_WARP_FISHEYE, _WARP_2) or (identity == _WARP and warp is not None):
                return None
            if identity == _WARP:
                warp = _warp(data, area)
            elif identity == _VIGNETTE:
                falloff = _falloff(data, area)
        if warp is None and falloff is None:
            return None
        return LensProfile(name=facts.lens or "", source="maker", warp=warp, falloff=falloff)
    except (struct.error, ValueError):
        # Cut short, or numbers that no lens has.
        return None


class _Area:
    """The active area of a sensor, which opcodes speak of, and the frame in it that is developed."""

    def __init__(self, area: tuple[float, float], corner: tuple[float, float], facts: FileFacts) -> None:
        self._area, self._corner, self._orientation = area, corner, facts.orientation
        swapped = facts.orientation >= 5
        self._frame = (facts.height, facts.width) if swapped else (facts.width, facts.height)

    @classmethod
    def of(cls, directory: tiff.Directory, facts: FileFacts) -> "_Area | None":
        width, height = directory.number(256), directory.number(257)
        if not width or not height:
            return None
        active = directory.numbers(_ACTIVE_AREA)
        top, left, bottom, right = active if len(active) == 4 else (0.0, 0.0, height, width)
        area = (right - left, bottom - top)
        frame = (facts.height, facts.width) if facts.orientation >= 5 else (facts.width, facts.height)
        crop = crop_of(directory)
        if crop is not None and _alike((crop[3], crop[2]), frame):
            return cls(area, (crop[1], crop[0]), facts)
        if _alike(area, frame):
            return cls(area, (0.0, 0.0), facts)
        return cls(area, (-left, -top), facts) if _alike((width, height), frame) else None

    def placed(self, x: float, y: float) -> tuple[tuple[float, float], float]:
        """A centre in fractions of the area as one of the upright frame, and what r = 1 is, in halves of its diagonal.

        It is the distance of the farthest corner of the area.
        """
        at = (x * self._area[0], y * self._area[1])
        farthest = max(math.dist(at, (a, b)) for a in (0.0, self._area[0]) for b in (0.0, self._area[1]))
        u, v = ((at[i] - self._corner[i]) / self._frame[i] for i in range(2))
        if self._orientation >= 5:
            u, v = v, u
        u = 1.0 - u if self._orientation in (2, 3, 6, 7) else u
        v = 1.0 - v if self._orientation in (3, 4, 7, 8) else v
        return (u, v), farthest / (math.hypot(*self._frame) / 2.0)

    def turned(self, x: float, y: float) -> tuple[float, float]:
        """A direction on the sensor as one of the upright frame."""
        if self._orientation >= 5:
            x, y = y, x
        x = -x if self._orientation in (2, 3, 6, 7) else x
        return x, -y if self._orientation in (3, 4, 7, 8) else y


def _alike(size: tuple[float, ...], frame: tuple[int, int]) -> bool:
    return all(abs(a - b) <= _SLACK for a, b in zip(size, frame, strict=True))


def _warp(data: bytes, area: _Area) -> Warp:
    (planes,) = struct.unpack_from(">I", data)
    if planes not in (1, 3):
        raise ValueError("a warp of neither one nor three planes")
    numbers = struct.unpack_from(f">{6 * planes + 2}d", data, 4)
    of_each: list[_Plane] = [numbers[6 * i : 6 * i + 6] for i in range(planes)]
    centre, radius = area.placed(numbers[-2], numbers[-1])
    green = of_each[planes // 2]
    # The two tangential terms are those of down and of right, in this order; together they are a direction.
    right, down = area.turned(green[5], green[4])
    fringes = {} if planes == 1 else {"red": _beside(of_each[0], green), "blue": _beside(of_each[2], green)}
    radial = (green[0], 0.0, green[1], 0.0, green[2], 0.0, green[3])
    return Warp(centre=centre, radius=radius, radial=radial, tangential=(down, right), **fringes)


def _beside(plane: _Plane, green: _Plane) -> tuple[float, ...]:
    """Where a colour lies, as a factor of the distance at which green lies; fitted."""
    radius = np.linspace(0.0, _FARTHEST, 64)
    even = radius**2
    own, greens = (np.polynomial.polynomial.polyval(even, p[:4]) for p in (plane, green))
    at: NDArray[Any] = radius * greens
    terms = np.linalg.lstsq(np.vander(at**2, _FRINGE_TERMS, increasing=True), own / greens, rcond=None)[0]
    found = [0.0] * (2 * _FRINGE_TERMS - 1)
    found[::2] = [round(float(term), 9) for term in terms]
    return tuple(found)


def _falloff(data: bytes, area: _Area) -> Falloff:
    *terms, x, y = struct.unpack_from(">7d", data)
    centre, radius = area.placed(x, y)
    return Falloff(centre=centre, radius=radius, terms=tuple(terms), kind="gain")
