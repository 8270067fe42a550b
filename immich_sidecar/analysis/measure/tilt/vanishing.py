"""Where segments that are not uprights meet: on the horizon that belongs to a lean, and anywhere.

All level edges of a scene, whichever way they run, meet on the horizon, and in buildings and streets in one or two
points of it. Turned wrongly, the horizon misses those points (horizon first: Simon, Fond and Berger 2018). How high it
lies is tried, as the focal length is not known; where uprights meet says what is likely.

Edges that run into the distance look level where they are high in the picture or far to its side, and lean. So it is
told, too, how many of those that agree with a lean point at where most edges of the picture meet.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.analysis.measure.tilt.histograms import NEAR, STEPS, meetings_at_points, meetings_on_horizon
from immich_sidecar.analysis.measure.tilt.lines import Family, Segments

Floats = NDArray[np.float64]

#: Focal length in longer edges of the picture where nothing is known: a normal lens of a phone or compact camera.
FOCAL = 0.85
#: How far below the centre a horizon is tried, in longer edges.
_HEIGHTS = np.linspace(-0.5, 0.5, 21)
#: What a horizon away from the centre costs, and one away from where uprights tell it.
_LIKELY = np.exp(-0.15 * (_HEIGHTS / 0.3) ** 2)
_AWAY, _FAR_AWAY = 0.5, 0.25
#: Deviation of a segment's direction, in radians.
_DEVIATION = float(np.radians(1.0))
#: Two directions along the horizon nearer than so many degrees are one.
_APART = 15
#: Where edges may meet, from the centre in longer edges, and closely around the likeliest point; and the angles from
#: which on one points elsewhere.
_ACROSS, _DOWN = np.linspace(-0.8, 0.8, 41), np.linspace(-0.6, 0.6, 31)
_AROUND = np.linspace(-0.03, 0.03, 7)
_ELSEWHERE, _CLOSELY_ELSEWHERE = (float(np.sin(np.radians(degrees))) for degrees in (2.5, 1.2))
#: Segments nearer than so many degrees are uprights, or level, or point at a point.
_UPRIGHT, _LEVEL, _POINTING = 1.5, 0.8, 1.5
#: Uprights lean by no more than so many degrees.
_STEEP = 30.0


@dataclass(frozen=True, eq=False)
class Vanishing:
    """The segments of a picture, and the point at which most of them point."""

    segments: Segments
    #: Shape (5, segments), as `histograms` takes them.
    lines: Floats
    #: The point, from the centre in longer edges, and the share of all segments that point at it.
    x: float
    y: float
    share: float

    @cached_property
    def _steep(self) -> Family:
        """All segments, as uprights."""
        return self.segments.family(upright=True, reach=90.0)

    @cached_property
    def _flat(self) -> Family:
        """All segments, as level edges."""
        return self.segments.family(upright=False, reach=90.0)

    @cached_property
    def _pointing(self) -> NDArray[np.bool_]:
        """Which segments point at the point, whose middle is not too near to it to tell."""
        s = self.segments
        to_x, to_y = self.x - s.x, self.y - s.y
        far = np.hypot(to_x, to_y) + 1e-9
        miss = np.abs(to_x * s.dy - to_y * s.dx) / far
        return np.asarray((miss < np.sin(np.radians(_POINTING))) & (far > NEAR))

    def evidence(self, degrees: float, convergence: float, trust: float) -> dict[str, float]:
        """What the segments say about a lean.

        Parameters
        ----------
        degrees
            The lean.
        convergence
            Inverse distance of the point where uprights meet, in longer edges, positive above.
        trust
            How well that is known, 0..1.
        """
        if self.segments.length.size == 0:
            return dict.fromkeys(_NAMES, 0.0)
        turn, middle = float(np.radians(degrees)), float(np.clip(FOCAL**2 * convergence, -0.5, 0.5))
        uprights = self._uprights(degrees, convergence)
        return {
            **self._horizon(turn, middle, trust, uprights),
            **self._meeting(degrees, middle, uprights),
        }

    def _uprights(self, degrees: float, convergence: float) -> NDArray[np.bool_]:
        """Which segments are uprights, if the picture has that lean."""
        off = np.abs(self._steep.implied(convergence) - degrees)
        return np.asarray((off < _UPRIGHT) & (np.abs(self._steep.lean) <= _STEEP))

    def _horizon(self, turn: float, middle: float, trust: float, uprights: NDArray[np.bool_]) -> dict[str, float]:
        """How much of the other segments meets in one or two points of the horizon."""
        rest = np.ascontiguousarray(self.lines[:, ~uprights])
        weight = max(float(rest[4].sum()), 1e-9)
        counted = meetings_on_horizon(rest, turn, _HEIGHTS, focal=FOCAL, deviation=_DEVIATION)
        first = counted.argmax(axis=1)
        distance = np.abs(np.arange(STEPS) - first[:, None])
        apart = np.minimum(distance, STEPS - distance) >= _APART
        two = counted.max(axis=1) + np.where(apart, counted, 0.0).max(axis=1)
        # Directions of which one is square to the other, as those of most walls.
        square = (counted[:, : STEPS // 2] + counted[:, STEPS // 2 :]).max(axis=1)
        tied = two * (1 - _AWAY * trust * np.clip(np.abs(_HEIGHTS - middle) / _FAR_AWAY, 0, 1))
        best, best_square = int((two * _LIKELY).argmax()), int((square * _LIKELY).argmax())
        one = int((counted.max(axis=1) * _LIKELY).argmax())
        return {
            "horizon_two": float(two[best]) / weight,
            "horizon_length": float(two[best]),
            "horizon_tied": float(tied[int((tied * _LIKELY).argmax())]) / weight,
            "horizon_square": float(square[best_square]) / weight,
            "horizon_square_length": float(square[best_square]),
            "horizon_here": float(np.interp(middle, _HEIGHTS, two)) / weight,
            "horizon_mean": float(two.mean()) / weight,
            "horizon_level": float(max(counted[best, 0], counted[best, -1])) / weight,
            "horizon_cover": float(two[best] + self.lines[4, uprights].sum()) / float(self.lines[4].sum()),
            "horizon_height": float(abs(_HEIGHTS[best])),
            "horizon_off": float(abs(_HEIGHTS[best] - middle)),
            "horizon_side": float(abs(first[one] + 0.5 - STEPS / 2)),
        }

    def _meeting(self, degrees: float, middle: float, uprights: NDArray[np.bool_]) -> dict[str, float]:
        """How the point where most edges meet fits the lean, and how much of what agrees with it points there."""
        turn, weight = np.radians(degrees), self._flat.weight

        def share(family: NDArray[np.bool_]) -> float:
            whole = float(weight[family].sum())
            return float(weight[family & self._pointing].sum()) / whole if whole > 0 else 0.0

        return {
            "meeting_off": float(abs(self.x * np.sin(turn) + self.y * np.cos(turn) - middle)),
            "meeting_side": abs(self.x),
            "meeting_share": self.share,
            "meeting_level": share(np.abs(self._flat.lean - degrees) < _LEVEL),
            "meeting_upright": share(uprights),
        }


_NAMES = (
    *(f"horizon_{name}" for name in ("two", "length", "tied", "square", "square_length", "here", "mean", "level")),
    *(f"horizon_{name}" for name in ("cover", "height", "off", "side")),
    *(f"meeting_{name}" for name in ("off", "side", "share", "level", "upright")),
)


def vanishing(segments: Segments) -> Vanishing:
    """Find the point at which most of the segments point."""
    lines = np.ascontiguousarray([segments.x, segments.y, segments.dx, segments.dy, segments.length], np.float64)
    if segments.length.size == 0:
        return Vanishing(segments, lines, 0.0, 0.0, 0.0)
    x, y = 0.0, 0.0
    for across, down, deviation in ((_ACROSS, _DOWN, _ELSEWHERE), (_AROUND, _AROUND, _CLOSELY_ELSEWHERE)):
        pointing = meetings_at_points(lines, x + across, y + down, deviation=deviation)
        row, column = np.unravel_index(int(pointing.argmax()), pointing.shape)
        x, y = float(x + across[column]), float(y + down[row])
    return Vanishing(segments, lines, x, y, float(pointing.max() / lines[4].sum()))
