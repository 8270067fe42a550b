"""The inner loops of what segments vote for, and of where they meet: along a horizon, and at points of the picture."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.analysis.measure.tilt.grid import GRID, MAX_DEGREES, STEP
from immich_sidecar.develop.compiled import compiled

Floats = NDArray[np.float64]

#: Directions along the horizon, from far left to far right, are counted in so many steps of one degree.
STEPS = 180
#: Least deviation of a meeting point along the horizon, in radians; and the one from which on a segment, too short or
#: too near to the horizon to tell, counts less.
_SHARP, _BLURRED = 0.026, 0.06
#: Below this weight such a segment is not counted at all.
_LEAST = 0.15
#: Segments whose middle is nearer to a point, in longer edges, say nothing of whether they point at it.
NEAR = 0.06


def votes_for_leans(leans: Floats, slopes: Floats, weights: Floats, tried: Floats) -> NDArray[np.float64]:
    """Weight of the segments that imply each lean, if they point at a vanishing point.

    Parameters
    ----------
    leans
        How each segment leans, in degrees.
    slopes
        Sine of the angle by which a convergence of 1 turns it.
    weights
        What each counts.
    tried
        Convergences.

    Returns
    -------
    Shape (convergences, leans of `GRID`).
    """
    out = np.zeros((tried.size, GRID.size))
    _add_votes(leans, slopes, weights, tried, out)
    return out


@compiled
def _add_votes(leans: Any, slopes: Any, weights: Any, tried: Any, out: Any) -> None:
    """Add each segment to the lean nearest to that which it implies."""
    degrees = 180.0 / math.pi
    for row in range(tried.shape[0]):
        for i in range(leans.shape[0]):
            sine = min(1.0, max(-1.0, tried[row] * slopes[i]))
            index = int(np.rint((leans[i] + math.asin(sine) * degrees + MAX_DEGREES) / STEP))
            if 0 <= index < out.shape[1]:
                out[row, index] += weights[i]


Planes = tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]


def clear_directions(gradients: Planes, blurred: Planes, ceiling: float) -> NDArray[np.float64]:
    """Histograms of the directions of edges, each weighed by how clear a direction its neighbourhood has.

    Parameters
    ----------
    gradients
        To the right and down, and the size of both.
    blurred
        Mean squares of the first and of the second, and the mean product of both, around each pixel.
    ceiling
        Size of a gradient from which on it counts no more; below a tenth of it, it does not count.

    Returns
    -------
    Shape (2, leans of `GRID`): of edges that are level, and of upright ones.
    """
    out = np.zeros((2, GRID.size))
    _add_directions(gradients, blurred, np.float32(ceiling), np.float32(0.1 * ceiling), out)
    return out


@compiled
def _add_directions(gradients: Any, blurred: Any, ceiling: Any, least: Any, out: Any) -> None:
    """Add each pixel that has a gradient to the lean nearest to its own."""
    across, down, size = gradients
    xx, yy, xy = blurred
    degrees = 180.0 / math.pi
    widest = np.float32(math.tan((MAX_DEGREES + 1) / degrees))
    for y in range(size.shape[0]):
        for x in range(size.shape[1]):
            if size[y, x] <= least:
                continue
            dx, dy = across[y, x], down[y, x]
            is_level, is_upright = abs(dx) < widest * abs(dy), abs(dy) < widest * abs(dx)
            if not (is_level or is_upright):
                continue
            slope = dx / dy if is_level else -dy / dx
            index = int(np.rint((math.atan(float(slope)) * degrees + MAX_DEGREES) / STEP))
            if 0 <= index < out.shape[1]:
                unequal, both = xx[y, x] - yy[y, x], xx[y, x] + yy[y, x] + np.float32(1e-3)
                coherence = (unequal * unequal + np.float32(4) * xy[y, x] * xy[y, x]) / (both * both)
                weight = min(size[y, x], ceiling) * coherence * coherence
                out[0 if is_level else 1, index] += weight


def meetings_on_horizon(
    lines: Floats, turn: float, heights: Floats, *, focal: float, deviation: float
) -> NDArray[np.float64]:
    """How much of the segments meets in each point of a horizon, for several heights of it.

    Parameters
    ----------
    lines
        Shape (5, segments): middle (x, y), unit vector along it (x, y) and weight; lengths in longer edges.
    turn
        Lean of the horizon in radians.
    heights
        How far below the centre it lies, in longer edges.
    focal
        Focal length in longer edges, by which points become directions.
    deviation
        Of a segment's direction, in radians.

    Returns
    -------
    Shape (heights, STEPS): weight of the segments that meet in that direction.
    """
    out = np.zeros((heights.size, STEPS))
    _add_meetings(_turned(lines, turn), heights, focal, deviation, out)
    return out


def _turned(lines: Floats, turn: float) -> Floats:
    """The segments as seen along a horizon: x along it, y below it."""
    cosine, sine = math.cos(turn), math.sin(turn)
    x, y, dx, dy, weight = lines
    return np.array(
        [x * cosine - y * sine, x * sine + y * cosine, dx * cosine - dy * sine, dx * sine + dy * cosine, weight]
    )


@compiled
def _add_meetings(lines: Any, heights: Any, focal: float, deviation: float, out: Any) -> None:
    """Add each segment where its line crosses the horizon, spread by how well it knows where."""
    along, below, run, fall, weight = lines[0], lines[1], lines[2], lines[3], lines[4]
    for i in range(along.shape[0]):
        slope = run[i] / (fall[i] if abs(fall[i]) > 1e-6 else 1e-6)
        for k in range(heights.shape[0]):
            off = below[i] - heights[k]
            way = -off * slope
            point = along[i] + way
            far = (way * way + off * off) / max(abs(off), 1e-3)
            spread = max(_SHARP, deviation * far * focal / (focal * focal + point * point))
            height = min(1.0, _BLURRED / spread)
            if height < _LEAST:
                continue
            place = (math.atan(point / focal) / math.pi + 0.5) * STEPS
            reach = spread / math.pi * STEPS
            for step in range(math.floor(place - reach), math.ceil(place + reach) + 1):
                part = (step + 0.5 - place) / reach
                if -1.0 < part < 1.0:
                    out[k, step % STEPS] += weight[i] * height * (1.0 - part * part)


def meetings_at_points(lines: Floats, across: Floats, down: Floats, *, deviation: float) -> NDArray[np.float64]:
    """How much of the segments points at each point of a grid.

    Parameters
    ----------
    lines
        As for `meetings_on_horizon`.
    across, down
        The grid from the centre of the picture, in longer edges.
    deviation
        Sine of the angle from which on a segment points elsewhere.

    Returns
    -------
    Shape (down, across): weight of the segments.
    """
    out = np.zeros((down.size, across.size))
    _add_pointing(lines, across, down, deviation, out)
    return out


@compiled
def _add_pointing(lines: Any, across: Any, down: Any, deviation: float, out: Any) -> None:
    """Add the segments that point at each point of the grid."""
    x, y, dx, dy, weight = lines[0], lines[1], lines[2], lines[3], lines[4]
    for row in range(down.shape[0]):
        for column in range(across.shape[0]):
            for i in range(x.shape[0]):
                to_x, to_y = across[column] - x[i], down[row] - y[i]
                far = math.sqrt(to_x * to_x + to_y * to_y)
                if far < NEAR:
                    continue
                miss = (to_x * dy[i] - to_y * dx[i]) / far / deviation
                if -1.0 < miss < 1.0:
                    out[row, column] += weight[i] * (1.0 - miss * miss)
