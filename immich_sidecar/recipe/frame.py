"""Frames: what a turn leaves of a picture, and where a crop lies after another turn.

Widths and heights are in pixels (or any unit); angles in degrees, positive clockwise.
"""

import math
from collections.abc import Mapping

#: No side of a crop that is carried over becomes smaller than this part of the frame.
_SMALLEST = 0.001


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


def reproject_crop(
    crop: Mapping[str, float], size: tuple[float, float], old_degrees: float, new_degrees: float
) -> dict[str, float]:
    """A crop of the frame after one turn, as a crop of the frame after another.

    Its centre stays on the same spot of the picture and its size in pixels stays; where it no longer fits it
    is made smaller in proportion, then moved inside. `size` is the picture's width and height after
    orientation.
    """
    old_width, old_height = inner_rectangle(*size, old_degrees)
    new_width, new_height = inner_rectangle(*size, new_degrees)
    width, height = crop["width"] * old_width, crop["height"] * old_height
    x = (crop["x"] - 0.5) * old_width + width / 2.0
    y = (crop["y"] - 0.5) * old_height + height / 2.0
    turn = math.radians(new_degrees - old_degrees)
    x, y = x * math.cos(turn) - y * math.sin(turn), x * math.sin(turn) + y * math.cos(turn)
    shrink = min(1.0, new_width / width, new_height / height)
    part_x = min(1.0, max(_SMALLEST, width * shrink / new_width))
    part_y = min(1.0, max(_SMALLEST, height * shrink / new_height))
    left = min(max(0.5 + x / new_width - part_x / 2.0, 0.0), 1.0 - part_x)
    top = min(max(0.5 + y / new_height - part_y / 2.0, 0.0), 1.0 - part_y)
    return {"x": left, "y": top, "width": part_x, "height": part_y}
