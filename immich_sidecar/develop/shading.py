"""What a DNG asks to be done to sensor values before colours are made of them: the gain maps of its second list.

Phones store how their lenses darken and tint the corners that way, and nothing else undoes it: LibRaw leaves the
lists of opcodes alone (DNG specification 1.4, chapter 7, opcode GainMap).
"""

import struct
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop import bayer, dng

_OPCODES, _ACTIVE_AREA, _GAIN_MAP = 51009, 50829, 9
#: Rows of one colour that are worked on at a time.
_ROWS = 256
#: Sensible numbers: points of a map, and factors.
_MOST_POINTS, _MOST_GAIN = 1 << 20, 64.0


@dataclass(frozen=True, eq=False)
class GainMap:
    """Factors for some of the pixels of the active area."""

    #: Top, left, bottom, right of the part.
    area: tuple[int, int, int, int]
    #: Which rows and columns of it: every, or every second one.
    pitch: tuple[int, int]
    #: Distance and place of the points, down and right, in fractions of the active area.
    spacing: tuple[float, float]
    origin: tuple[float, float]
    #: (down, right) factors.
    points: NDArray[np.float32]

    def weights(self, places: NDArray[np.int64], side: int, axis: int) -> NDArray[np.float32]:
        """How much each point counts for rows (axis 0) or columns (1) of an area with this many of them."""
        number = self.points.shape[axis]
        at = ((places + 0.5) / side - self.origin[axis]) / self.spacing[axis] if number > 1 else np.zeros(len(places))
        at = np.clip(at, 0.0, number - 1)
        found: NDArray[np.float32] = np.maximum(1.0 - np.abs(at[:, None] - np.arange(number)), 0.0).astype(np.float32)
        return found


def gain_maps(blob: bytes) -> list[GainMap]:
    """The gain maps of a list of opcodes.

    Raises
    ------
    ValueError
        If the list is damaged.
    """
    try:
        return [_gain_map(data) for identity, data in dng.opcodes(blob) if identity == _GAIN_MAP]
    except struct.error as error:
        raise ValueError(str(error)) from None


def undo(file: Any, found: dng.Dng) -> None:
    """Multiply the sensor values of a file that LibRaw opened, where they lie, by the maps of the file.

    Values above the white level become it; what was saturated stays so. A list that is damaged is left alone.
    """
    blob = next(iter(found.directory.values.get(_OPCODES, ())), None)
    if not isinstance(blob, bytes):
        return
    try:
        maps = gain_maps(blob)
    except ValueError:
        return
    values = file.raw_image if maps else None
    if values is None or values.ndim != 2:
        return
    top, left, bottom, right = (
        int(n) for n in found.directory.numbers(_ACTIVE_AREA) or (0.0, 0.0, *map(float, values.shape))
    )
    seen = values[top:bottom, left:right]
    white = int(file.white_level)
    blacks = file.black_level_per_channel
    saturated = bayer.saturation(seen, white)
    for y, x in np.ndindex(2, 2):
        black = blacks[int(file.raw_color(top + y, left + x))]
        # A sensor that stops short of white must do so everywhere alike, or corners would be white and the sky not.
        factor = 1.0 if saturated is None else (white - black) / (saturated - black)
        for each in maps:
            if _multiplied(seen, each, (y, x), (float(black), float(white), factor)):
                factor = 1.0


def _multiplied(
    seen: NDArray[np.uint16], each: GainMap, place: tuple[int, int], levels: tuple[float, float, float]
) -> bool:
    """Apply a map to one of the 2 x 2 places; `levels` are black, white and a further factor. Whether it did."""
    lines = [_lines(each, place[axis], seen.shape[axis], axis) for axis in (0, 1)]
    if not len(lines[0]) or not len(lines[1]):
        return False
    black, white, factor = levels
    across = (each.weights(lines[1], seen.shape[1], 1) @ each.points.T).T * np.float32(factor)
    columns = slice(int(lines[1][0]), int(lines[1][-1]) + 1, 2)
    for first in range(0, len(lines[0]), _ROWS):
        rows = lines[0][first : first + _ROWS]
        part = seen[int(rows[0]) : int(rows[-1]) + 1 : 2, columns]
        gains = each.weights(rows, seen.shape[0], 0) @ across
        light = (part.astype(np.float32) - np.float32(black)) * gains + np.float32(black + 0.5)
        part[...] = np.clip(light, 0.0, white).astype(np.uint16)
    return True


def _lines(each: GainMap, parity: int, side: int, axis: int) -> NDArray[np.int64]:
    """Rows or columns of one parity that a map is for."""
    begin, end = each.area[axis], min(each.area[axis + 2], side)
    if each.pitch[axis] == 2 and begin % 2 != parity:
        return np.empty(0, np.int64)
    return np.arange(begin + (parity - begin) % 2, end, 2)


def _gain_map(data: bytes) -> GainMap:
    numbers = struct.unpack_from(">10I4dI", data)
    area, (plane, _, *pitch), (down, right) = numbers[:4], numbers[4:8], numbers[8:10]
    planes = numbers[14]
    if plane or not set(pitch) <= {1, 2} or not 0 < down * right * planes <= _MOST_POINTS:
        raise ValueError("a gain map of another kind")
    points = np.frombuffer(data, ">f4", down * right * planes, 76).reshape(down, right, planes)[..., 0]
    if not (np.isfinite(points).all() and points.min() > 0 and points.max() < _MOST_GAIN and min(numbers[10:12]) > 0):
        raise ValueError("a gain map with numbers that no lens has")
    return GainMap(area, (pitch[0], pitch[1]), numbers[10:12], numbers[12:14], points.astype(np.float32))
