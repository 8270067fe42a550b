"""Frames: what perspective and a turn leave of a picture, and where a crop lies after other ones.

Widths and heights are in pixels (or any unit); angles in degrees, positive clockwise. Points of a levelled picture
are counted from where the optical axis of the corrected view lies, points of the picture before from its centre; x to
the right, y down.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache

from immich_sidecar.recipe.plan import GeometryPlan, Matrix, UprightPlan

Point = tuple[float, float]

#: No side of a crop that is carried over becomes smaller than this part of the frame.
_SMALLEST = 0.001
#: Half of the diagonal of 36 x 24 mm.
_HALF_DIAGONAL_35MM = math.hypot(36.0, 24.0) / 2.0
#: Narrows a range to 1e-10 of itself.
_GOLDEN_STEPS = 48


@dataclass(frozen=True)
class Frame:
    """A rectangle of the levelled picture that holds no empty place."""

    #: Its centre.
    x: float
    y: float
    width: float
    height: float


def inner_rectangle(width: float, height: float, degrees: float) -> tuple[float, float]:
    """Width and height of the largest upright rectangle inside a picture turned about its centre.

    The rectangle shares the picture's centre. Largest means area. Two cases: all four corners touch the
    sides, or (a long picture, a large angle) two of them touch the two long sides at their middle.
    """
    angle = math.radians(abs(degrees) % 180.0)
    if angle > math.pi / 2:
        angle = math.pi - angle
    sin, cos = math.sin(angle), math.cos(angle)
    if sin == 0.0:
        return float(width), float(height)
    long, short = max(width, height), min(width, height)
    if short <= 2.0 * sin * cos * long or abs(sin - cos) < 1e-9:
        half = short / 2.0
        across, along = half / sin, half / cos
        return (across, along) if width >= height else (along, across)
    double = cos * cos - sin * sin
    return (width * cos - height * sin) / double, (height * cos - width * sin) / double


def laid(size: tuple[float, float], geometry: GeometryPlan) -> tuple[float, float]:
    """Width and height of a picture after quarter turns."""
    return (size[1], size[0]) if geometry.quarter_turns % 2 else (size[0], size[1])


def frame_of(size: tuple[float, float], geometry: GeometryPlan) -> Frame:
    """What perspective and turn leave of a picture of that size (before quarter turns)."""
    width, height = laid(size, geometry)
    if geometry.upright is None:
        return Frame(0.0, 0.0, *inner_rectangle(width, height, geometry.degrees))
    return _leaning_frame(width, height, geometry.upright, geometry.degrees)


def unlevelled(size: tuple[float, float], geometry: GeometryPlan) -> Matrix:
    """Homogeneous points of the levelled picture to those of the picture before perspective and turn."""
    angle = math.radians(geometry.degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    turn = ((cos, sin, 0.0), (-sin, cos, 0.0), (0.0, 0.0, 1.0))
    return turn if geometry.upright is None else _product(_leant(size, geometry.upright), turn)


def levelled(size: tuple[float, float], geometry: GeometryPlan) -> Matrix:
    """The inverse of `unlevelled`."""
    angle = math.radians(geometry.degrees)
    cos, sin = math.cos(angle), math.sin(angle)
    turn = ((cos, -sin, 0.0), (sin, cos, 0.0), (0.0, 0.0, 1.0))
    if geometry.upright is None:
        return turn
    lean = geometry.upright
    back = UprightPlan(-lean.vertical, -lean.horizontal, lean.focal_length_35mm)
    return _product(turn, _leant(size, back))


def moved(matrix: Matrix, point: Point) -> Point:
    """A point through a homogeneous matrix."""
    x, y, z = (row[0] * point[0] + row[1] * point[1] + row[2] for row in matrix)
    return x / z, y / z


def reproject_crop(
    crop: Mapping[str, float], size: tuple[float, float], old: GeometryPlan, new: GeometryPlan
) -> dict[str, float]:
    """A crop of the frame that one geometry leaves, as a crop of the frame that another leaves.

    Its centre stays on the same spot of the picture and its size in pixels stays (where perspective changes, its
    part of the picture); where it no longer fits it is made smaller in proportion, then moved inside. `size` is
    the picture's width and height before quarter turns, which have to be those of both.
    """
    before, after = frame_of(size, old), frame_of(size, new)
    width, height = crop["width"] * before.width, crop["height"] * before.height
    x = before.x + (crop["x"] - 0.5) * before.width + width / 2.0
    y = before.y + (crop["y"] - 0.5) * before.height + height / 2.0
    way = _product(levelled(size, new), unlevelled(size, old))
    if old.upright != new.upright:
        larger = math.sqrt(_magnification(way, (x, y)))
        width, height = width * larger, height * larger
    x, y = moved(way, (x, y))
    shrink = min(1.0, after.width / width, after.height / height)
    part_x = min(1.0, max(_SMALLEST, width * shrink / after.width))
    part_y = min(1.0, max(_SMALLEST, height * shrink / after.height))
    left = min(max(0.5 + (x - after.x) / after.width - part_x / 2.0, 0.0), 1.0 - part_x)
    top = min(max(0.5 + (y - after.y) / after.height - part_y / 2.0, 0.0), 1.0 - part_y)
    return {"x": left, "y": top, "width": part_x, "height": part_y}


def largest_rectangle(corners: tuple[Point, ...]) -> Frame:
    """The upright rectangle of the largest area inside a convex polygon, whose corners go round it clockwise.

    For given top and bottom the sides are where the edges let them be; the area's logarithm is concave in both,
    so that two nested golden-section searches find its only maximum.
    """
    edges = [
        (b[1] - a[1], a[0] - b[0], (b[1] - a[1]) * a[0] + (a[0] - b[0]) * a[1])
        for a, b in zip(corners, (*corners[1:], corners[0]), strict=True)
    ]

    def sides(top: float, bottom: float) -> Point:
        left, right = -math.inf, math.inf
        for across, down, most in edges:
            if across:
                at = (most - max(down * top, down * bottom)) / across
                left, right = (left, min(right, at)) if across > 0 else (max(left, at), right)
        return left, right

    def area(top: float, bottom: float) -> float:
        left, right = sides(top, bottom)
        # Where nothing fits, the more it lacks the worse, so that the search finds its way.
        return (right - left) * (bottom - top) if right > left else right - left

    def best_bottom(top: float) -> float:
        return _largest_at(lambda bottom: area(top, bottom), top, lowest)

    highest, lowest = min(y for _, y in corners), max(y for _, y in corners)
    top = _largest_at(lambda top: area(top, best_bottom(top)), highest, lowest)
    bottom = best_bottom(top)
    left, right = sides(top, bottom)
    return Frame((left + right) / 2.0, (top + bottom) / 2.0, right - left, bottom - top)


@lru_cache(maxsize=256)
def _leaning_frame(width: float, height: float, upright: UprightPlan, degrees: float) -> Frame:
    way = levelled((width, height), GeometryPlan(upright=upright, degrees=degrees))
    x, y = width / 2.0, height / 2.0
    # Clockwise with y down, which a turn about an axis before the picture keeps.
    return largest_rectangle(tuple(moved(way, corner) for corner in ((-x, -y), (x, -y), (x, y), (-x, y))))


def _leant(size: tuple[float, float], upright: UprightPlan) -> Matrix:
    """Points of the corrected view to those of the picture as taken: rays turned about the camera's place."""
    focal = upright.focal_length_35mm / _HALF_DIAGONAL_35MM * math.hypot(*size) / 2.0
    angle = math.radians(math.hypot(upright.vertical, upright.horizontal))
    if not angle:
        return ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
    length = math.hypot(upright.vertical, upright.horizontal)
    x, y = -upright.vertical / length, -upright.horizontal / length
    cos, sin = math.cos(angle), math.sin(angle)
    rest = 1.0 - cos
    # Rodrigues' formula for an axis without a part along the view.
    return (
        (cos + x * x * rest, x * y * rest, y * sin * focal),
        (x * y * rest, cos + y * y * rest, -x * sin * focal),
        (-y * sin / focal, x * sin / focal, cos),
    )


def _product(a: Matrix, b: Matrix) -> Matrix:
    def cell(i: int, j: int) -> float:
        return sum(a[i][k] * b[k][j] for k in range(3))

    first, second, third = ((cell(i, 0), cell(i, 1), cell(i, 2)) for i in range(3))
    return first, second, third


def _magnification(matrix: Matrix, point: Point) -> float:
    """By how much an area grows at a point."""
    (a, b, c), (d, e, f), (g, h, i) = matrix
    determinant = a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)
    depth = g * point[0] + h * point[1] + i
    return abs(determinant / depth**3)


def _largest_at(value: Callable[[float], float], low: float, high: float) -> float:
    """Where a function with one peak is largest."""
    part = (math.sqrt(5.0) - 1.0) / 2.0
    first, second = high - part * (high - low), low + part * (high - low)
    at_first, at_second = value(first), value(second)
    for _ in range(_GOLDEN_STEPS):
        if at_first < at_second:
            low, first, at_first = first, second, at_second
            second = low + part * (high - low)
            at_second = value(second)
        else:
            high, second, at_second = second, first, at_first
            first = high - part * (high - low)
            at_first = value(first)
    return (low + high) / 2.0
