"""Straight line segments of a picture, and what they vote for.

Every segment votes for the leans that would explain it: as an upright of the scene (all uprights meet in one
point far above or below, the zenith), or as a level edge (parallel edges meet in one point of the horizon).
"""

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.analysis.measure.tilt import segment_detector
from immich_sidecar.analysis.measure.tilt.grid import STEP, smoothed
from immich_sidecar.analysis.measure.tilt.histograms import votes_for_leans

Floats = NDArray[np.float64]

#: Edges nearer to the border than this share of the picture belong to frames and scans.
_BORDER = 0.015
#: Shortest segment, as a share of the longer edge.
_SHORTEST = 0.022
#: How many segments, longest first, may vote.
_MOST = 400
#: Leans within which a segment may be one of a family, in degrees: convergence adds to the lean.
_REACH = 30.0
#: Deviation of a vote, in degrees.
_SPREAD = 0.35
#: Convergence that is tried: the inverse distance of the vanishing point, in longer edges of the picture.
CONVERGENCE = np.linspace(-0.60, 0.60, 31)
#: What a convergence of 1 costs, so that parallel lines are preferred to converging ones.
_PRICE = 0.45


@dataclass(frozen=True, eq=False)
class Family:
    """Segments that may be uprights, or that may be level; one entry each."""

    #: Direction in degrees; positive where a counterclockwise turn of the scene would cause it.
    lean: Floats
    #: Length in longer edges of the picture.
    length: Floats
    #: Middle, from the centre of the picture, in longer edges; x to the right, y downwards.
    x: Floats
    y: Floats
    #: Half of the picture's extent across and along the family's direction, in longer edges.
    across: float
    along: float
    upright: bool

    @cached_property
    def weight(self) -> Floats:
        """Votes of each segment: long ones know their direction much better than short ones."""
        return np.asarray(self.length**2)

    def implied(self, convergence: float, horizon_y: float = 0.0) -> Floats:
        """The lean of the picture that each segment implies if it points at a vanishing point.

        Parameters
        ----------
        convergence
            Inverse distance of the vanishing point from the centre (uprights) or from the point of the horizon
            below or above it (level edges).
        horizon_y
            Height of the horizon at the middle of the picture; only for level edges.
        """
        sine = convergence * (self._slopes if horizon_y == 0.0 else self._slopes_around(horizon_y))
        return np.asarray(self.lean + np.degrees(np.arcsin(np.minimum(np.maximum(sine, -1.0), 1.0))))

    @cached_property
    def _slopes(self) -> Floats:
        return self._slopes_around(0.0)

    def _slopes_around(self, horizon_y: float) -> Floats:
        """Sine of the angle by which a convergence of 1 turns each segment."""
        angle = np.radians(self.lean)
        if self.upright:
            return np.asarray(self.y * np.sin(angle) - self.x * np.cos(angle))
        return np.asarray(-((self.y - horizon_y) * np.cos(angle) + self.x * np.sin(angle)))

    def only(self, use: NDArray[np.bool_]) -> "Family":
        """Some of the segments."""
        return replace(self, lean=self.lean[use], length=self.length[use], x=self.x[use], y=self.y[use])

    def votes(self, horizon_y: float = 0.0, tried: Floats = CONVERGENCE) -> Floats:
        """Weight of the segments for each convergence that is tried (rows) and each lean of `GRID` (columns)."""
        out = votes_for_leans(self.lean, self._slopes_around(horizon_y), self.weight, tried)
        return smoothed(out, _SPREAD / STEP)


@dataclass(frozen=True, eq=False)
class Segments:
    """Straight segments of any direction, longest first; one entry each."""

    #: Middle, from the centre of the picture, in longer edges; x to the right, y downwards.
    x: Floats
    y: Floats
    #: Unit vector along the segment.
    dx: Floats
    dy: Floats
    #: Length in longer edges of the picture.
    length: Floats
    #: Half of the picture's width and height, in longer edges.
    half: tuple[float, float]

    def family(self, *, upright: bool, reach: float = _REACH) -> Family:
        """Those that may be uprights, or those that may be level: which lean by no more than `reach` degrees."""
        # A counterclockwise turn of the scene: rightwards lines rise, upwards lines lean to the left.
        if upright:
            lean = np.degrees(np.arctan2(self.dx * np.sign(self.dy + 1e-12), np.abs(self.dy)))
        else:
            lean = np.degrees(np.arctan2(-self.dy * np.sign(self.dx + 1e-12), np.abs(self.dx)))
        near = np.abs(lean) <= reach
        across, along = self.half if upright else self.half[::-1]
        return Family(lean[near], self.length[near], self.x[near], self.y[near], across, along, upright)


def segments(grey: NDArray[np.uint8], shortest: float = _SHORTEST) -> Segments:
    """Straight segments, by LSD, longer than a share of the longer edge."""
    height, width = grey.shape
    edge = float(max(height, width))
    x1, y1, x2, y2 = segment_detector.detect(grey, shortest * edge).T
    length = np.hypot(x2 - x1, y2 - y1)
    middle_x, middle_y = (x1 + x2) / 2, (y1 + y2) / 2
    good = (
        (length > shortest * edge)
        & (np.abs(middle_x / width - 0.5) < 0.5 - _BORDER)
        & (np.abs(middle_y / height - 0.5) < 0.5 - _BORDER)
    )
    order = np.flatnonzero(good)
    order = order[np.argsort(-length[order], kind="stable")][:_MOST]
    return Segments(
        x=(middle_x[order] - width / 2) / edge,
        y=(middle_y[order] - height / 2) / edge,
        dx=(x2 - x1)[order] / length[order],
        dy=(y2 - y1)[order] / length[order],
        length=length[order] / edge,
        half=(width / edge / 2, height / edge / 2),
    )


def best_over_convergence(votes: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """For each lean the most votes that any convergence brings, and which one; parallels are preferred."""
    paid = votes * (1.0 - _PRICE * np.abs(CONVERGENCE))[:, None]
    which = paid.argmax(axis=0)
    return np.take_along_axis(paid, which[None], axis=0)[0], which
