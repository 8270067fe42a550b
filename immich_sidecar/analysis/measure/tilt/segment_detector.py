"""Straight line segments of a picture, by LSD (Grompone von Gioi, Jakubowicz, Morel and Randall, IPOL 2012).

From the steepest pixel on, neighbours whose gradients have nearly the same direction grow into a region; a rectangle
around it, weighed by the gradients, is a segment where the region fills it well enough. A region that does not is
grown again with less tolerance, then cut shorter. The last step of the paper, which counts how likely a rectangle
would be in noise, is left out, as by OpenCV's `LSD_REFINE_STD`, which finds the same segments: with the same
settings, but several times slower, as it works out angles for every pixel that is added, where here directions are
unit vectors throughout. Where pixels are as steep as each other, the two may begin at different ones.
"""

import math
from functools import partial
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from immich_sidecar.develop.compiled import compiled, compiled_exactly

#: Segments are sought in a picture so much smaller, and blurred for it by so much of the inverse.
_SCALE, _SIGMA = 0.8, 0.6
#: How far a blur reaches: to where it has fallen to one in 10 to the power of this.
_BLUR_DIGITS = 3.0
#: Pixels whose gradients are within this angle of a region's, in degrees, are of it.
_TOLERANCE = 22.5
#: By how much rounding may move a grey value; gradients that this may turn by more than the tolerance tell nothing.
_ROUNDING = 2.0
#: Share of its rectangle that a region has to fill.
_DENSITY = 0.7
#: Gradients are ordered by so many steps, from none to the steepest.
_STEPS = 1024
#: By how much the radius of a region is cut, until it fills its rectangle.
_CUT = 0.75

#: Where the middle of the first pixel lies in segments, as in OpenCV's.
OFFSET = -0.125

_TURN = math.radians(_TOLERANCE)
_COSINE = math.cos(_TURN)
#: Of what is only compared, several are looked at at once.
compiled_in_any_order = partial(compiled_exactly, freedom={"contract", "nnan", "nsz"})


def detect(grey: NDArray[np.uint8], shortest: float = 0.0) -> NDArray[np.float64]:
    """Straight segments along the edges of a picture.

    Parameters
    ----------
    grey
        Shape (height, width), of any size.
    shortest
        Segments that are not longer, in pixels, are left out.

    Returns
    -------
    Shape (segments, 4): x and y of both ends in pixels, the middle of the first pixel at `OFFSET`, with the bright
    side always on the same side; those of the steepest edges first.
    """
    picture = _smaller(grey)
    height, width = picture.shape
    if min(height, width) < 2:
        return np.zeros((0, 4))
    order, planes = _ordered(picture, _ROUNDING / math.sin(_TURN))
    fewest = int(-_log_of_tests(width, height) / math.log10(_TOLERANCE / 180))
    found = _grown(order, width + 1, fewest, shortest * _SCALE, planes)
    return np.asarray((found + 0.5) / _SCALE)


def warm() -> None:
    """Compile (or load) the inner loops."""
    detect(np.zeros((8, 8), np.uint8))


def _smaller(grey: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The picture in which regions grow: blurred, that stairs along edges do not turn their gradients, and shrunk."""
    sigma = _SIGMA / _SCALE
    reach = math.ceil(sigma * math.sqrt(2 * _BLUR_DIGITS * math.log(10)))
    blurred = cv2.GaussianBlur(grey, (2 * reach + 1, 2 * reach + 1), sigma)
    if min(grey.shape) < 2:
        return np.asarray(blurred, np.uint8)
    return np.asarray(cv2.resize(blurred, None, fx=_SCALE, fy=_SCALE, interpolation=cv2.INTER_LINEAR_EXACT), np.uint8)


def _log_of_tests(width: int, height: int) -> float:
    """Logarithm, to base 10, of how many rectangles a picture has, of eleven tolerances."""
    return 2.5 * (math.log10(width) + math.log10(height)) + math.log10(11)


@compiled
def _ordered(picture: Any, least: float) -> Any:
    """Gradients, and where those above `least` grey values per pixel are, steepest first.

    With these places come the planes that regions grow in: whether a pixel is free, which those are; the gradient; and
    the unit vector along the edge. All of them have one column and row more on the left and above, so that each pixel
    has neighbours; the last ones have no gradient.
    """
    height, width = picture.shape
    stride, size = width + 1, (width + 1) * (height + 1)
    free, steep, toward = np.zeros(size, np.uint8), np.empty(size, np.float32), np.empty((size, 2), np.float32)
    square = np.zeros(size, np.int32)
    steepest: Any = 0
    for y in range(height - 1):
        start = (y + 1) * stride + 1
        row, below = picture[y], picture[y + 1]
        for x in range(width - 1):
            falling = np.int32(below[x + 1]) - np.int32(row[x])
            rising = np.int32(row[x + 1]) - np.int32(below[x])
            across, down = falling + rising, falling - rising
            both: Any = across * across + down * down
            square[start + x] = both
            steepest = max(steepest, both)
            length = np.sqrt(np.float32(both))
            steep[start + x] = np.float32(0.5) * length
            each = np.float32(1.0) / np.maximum(length, np.float32(1.0))
            toward[start + x, 0] = -np.float32(down) * each
            toward[start + x, 1] = np.float32(across) * each
    # Of squares, which are whole numbers: four times those of the gradients.
    limit = math.floor(4 * least * least)
    if steepest <= limit:
        return np.empty(0, np.int32), (free, steep, toward)
    scale = (_STEPS - 1) / (0.5 * math.sqrt(steepest))
    behind = np.zeros(_STEPS + 1, np.int32)
    step = np.empty(size, np.int16)
    for place in range(size):
        if square[place] > limit:
            free[place] = 1
            step[place] = _STEPS - 1 - int(0.5 * math.sqrt(square[place]) * scale)
            behind[step[place] + 1] += 1
    for i in range(_STEPS):
        behind[i + 1] += behind[i]
    order = np.empty(behind[_STEPS], np.int32)
    for place in range(size):
        if free[place]:
            order[behind[step[place]]] = place
            behind[step[place]] += 1
    return order, (free, steep, toward)


@compiled
def _grown(order: Any, stride: int, fewest: int, shortest: float, planes: Any) -> Any:
    """Grow a region from each pixel that is free, in order; returns both ends of those that are segments."""
    # Of the pixels of a region: where they are, and x, y (from the first one on) and gradient.
    places, numbers = np.empty(order.shape[0], np.int32), np.empty((3, order.shape[0]), np.float32)
    members = (places, numbers[0], numbers[1], numbers[2])
    # What is left of a region has two pixels at least.
    found, number = np.empty((order.shape[0] // 2 + 1, 4)), 0
    sums, box = np.empty(6), np.empty(6)
    free = planes[0]
    for i in range(order.shape[0]):
        seed = order[i]
        if not free[seed]:
            continue
        count, direction = _region(seed, stride, _COSINE, planes, members)
        if count < fewest:
            continue
        _add_up(members, count, sums)
        _rectangle(members, count, direction, sums, box)
        if count < _DENSITY * box[4] * box[5]:
            count = _refined(members, count, stride, planes, box)
        if count > 0 and box[4] > shortest:
            # Without the column and row that were added.
            x, y = seed % stride - 1, seed // stride - 1
            found[number, 0], found[number, 1] = x + box[0], y + box[1]
            found[number, 2], found[number, 3] = x + box[2], y + box[3]
            number += 1
    return found[:number]


@compiled
def _region(seed: int, stride: int, cosine: float, planes: Any, members: Any) -> Any:
    """Take all neighbours, and theirs, that point as the others do; returns how many, and the sum of their vectors."""
    free, steep, toward = planes
    places, xs, ys, weights = members
    sum_x, sum_y = toward[seed, 0], toward[seed, 1]
    free[seed] = 0
    places[0], xs[0], ys[0], weights[0] = seed, 0.0, 0.0, steep[seed]
    share = np.float32(math.copysign(cosine * cosine, cosine))
    count, limit = 1, share
    i = 0
    while i < count:
        place, x, y = places[i], xs[i], ys[i]
        i += 1
        for down in range(-1, 2):
            for across in range(-1, 2):
                other = np.uintp(place + down * stride + across)
                if free[other]:
                    dx, dy = toward[other, 0], toward[other, 1]
                    along = dx * sum_x + dy * sum_y
                    if along * abs(along) >= limit:
                        free[other] = 0
                        places[count], xs[count], ys[count] = other, x + np.float32(across), y + np.float32(down)
                        weights[count] = steep[other]
                        count += 1
                        sum_x += dx
                        sum_y += dy
                        limit = share * (sum_x * sum_x + sum_y * sum_y)
    return count, (float(sum_x), float(sum_y))


@compiled
def _add_up(members: Any, count: int, sums: Any) -> None:
    """The moments of a region: of its gradients the sum, and those with x, y, their squares and their product."""
    _, xs, ys, weights = members
    sums[:] = 0.0
    for i in range(count):
        x, y, weight = float(xs[i]), float(ys[i]), float(weights[i])
        sums[0] += weight
        sums[1] += weight * x
        sums[2] += weight * y
        sums[3] += weight * x * x
        sums[4] += weight * y * y
        sums[5] += weight * x * y


@compiled
def _rectangle(members: Any, count: int, direction: Any, sums: Any, box: Any) -> None:
    """Lay a rectangle around a region, along the axis of least inertia of its gradients.

    `box` becomes both ends (x, y, x, y), from the first pixel on, the length and the width.
    """
    middle_x, middle_y = sums[1] / sums[0], sums[2] / sums[0]
    xx = max(0.0, sums[4] - sums[2] * middle_y)
    yy = max(0.0, sums[3] - sums[1] * middle_x)
    xy = sums[1] * middle_y - sums[5]
    least = 0.5 * (xx + yy - math.sqrt((xx - yy) * (xx - yy) + 4.0 * xy * xy))
    if xx > yy:
        along_x, along_y = xy, least - xx
    else:
        along_x, along_y = least - yy, xy
    size = math.sqrt(along_x * along_x + along_y * along_y)
    along_x, along_y = (along_x / size, along_y / size) if size > 0.0 else (1.0, 0.0)
    # The bright side of an edge is on the same side of its segment.
    sum_x, sum_y = direction
    if along_x * sum_x + along_y * sum_y < _COSINE * math.sqrt(sum_x * sum_x + sum_y * sum_y):
        along_x, along_y = -along_x, -along_y
    first, last, left, right = _extent(members[1][:count], members[2][:count], along_x, along_y)
    middle = middle_x * along_x + middle_y * along_y
    first, last = first - middle, last - middle
    box[0], box[1] = middle_x + first * along_x, middle_y + first * along_y
    box[2], box[3] = middle_x + last * along_x, middle_y + last * along_y
    box[4], box[5] = last - first, max(1.0, right - left)


@compiled_in_any_order
def _extent(xs: Any, ys: Any, along_x: float, along_y: float) -> Any:
    """From where to where a region reaches, along a direction and square to it."""
    first = last = float(xs[0]) * along_x + float(ys[0]) * along_y
    left = right = float(ys[0]) * along_x - float(xs[0]) * along_y
    for i in range(xs.shape[0]):
        x, y = float(xs[i]), float(ys[i])
        along, aside = x * along_x + y * along_y, y * along_x - x * along_y
        first, last = min(first, along), max(last, along)
        left, right = min(left, aside), max(right, aside)
    return first, last, left, right


@compiled
def _refined(members: Any, count: int, stride: int, planes: Any, box: Any) -> int:
    """Grow a region anew, with the tolerance that the pixels around its seed ask for, and cut it where that fails.

    Returns how many pixels remain; 0 where nothing does.
    """
    free, _, toward = planes
    places, xs, ys, weights = members
    seed = places[0]
    along_x, along_y = float(toward[seed, 0]), float(toward[seed, 1])
    total, squares, near, reach = 0.0, 0.0, 0, box[5] * box[5]
    for i in range(count):
        place = places[i]
        free[place] = 1
        if xs[i] * xs[i] + ys[i] * ys[i] < reach:
            sine = along_x * toward[place, 1] - along_y * toward[place, 0]
            off = math.atan2(sine, along_x * toward[place, 0] + along_y * toward[place, 1])
            total += off
            squares += off * off
            near += 1
    mean = total / near
    tolerance = 2.0 * math.sqrt(max(0.0, squares / near - mean * mean))
    cosine = math.cos(min(tolerance, math.pi))
    count, direction = _region(seed, stride, cosine, planes, members)
    if count < 2:
        return 0
    sums = np.empty(6)
    _add_up(members, count, sums)
    _rectangle(members, count, direction, sums, box)
    radius = max(box[0] * box[0] + box[1] * box[1], box[2] * box[2] + box[3] * box[3])
    while count < _DENSITY * box[4] * box[5]:
        radius *= _CUT * _CUT
        i = 0
        while i < count:
            if xs[i] * xs[i] + ys[i] * ys[i] > radius:
                x, y, weight = float(xs[i]), float(ys[i]), float(weights[i])
                sums[0] -= weight
                sums[1] -= weight * x
                sums[2] -= weight * y
                sums[3] -= weight * x * x
                sums[4] -= weight * y * y
                sums[5] -= weight * x * y
                free[places[i]] = 1
                count -= 1
                places[i], xs[i], ys[i], weights[i] = places[count], xs[count], ys[count], weights[count]
            else:
                i += 1
        if count < 2:
            return 0
        _rectangle(members, count, direction, sums, box)
    return count
