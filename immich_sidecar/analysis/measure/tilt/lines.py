"""Straight line segments of a picture, and what they vote for.

Every segment votes for the leans that would explain it: as an upright of the scene (all uprights meet in one
point far above or below, the zenith), or as a level edge (parallel edges meet in one point of the horizon).
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from immich_sidecar.analysis.measure.tilt.grid import GRID, MAX_DEGREES, STEP, smoothed

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

    @property
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
        angle = np.radians(self.lean)
        if self.upright:
            sine = convergence * (self.y * np.sin(angle) - self.x * np.cos(angle))
        else:
            sine = -convergence * ((self.y - horizon_y) * np.cos(angle) + self.x * np.sin(angle))
        return np.asarray(self.lean + np.degrees(np.arcsin(np.clip(sine, -1.0, 1.0))))

    def votes(self, horizon_y: float = 0.0) -> Floats:
        """Weight of the segments for each convergence (rows) and each lean of `GRID` (columns)."""
        weight = self.weight
        count = GRID.size
        out = np.empty((CONVERGENCE.size, count))
        for row, convergence in enumerate(CONVERGENCE):
            place = (self.implied(float(convergence), horizon_y) + MAX_DEGREES) / STEP
            index = np.round(place).astype(np.int64)
            inside = (index >= 0) & (index < count)
            out[row] = np.bincount(index[inside], weight[inside], minlength=count)
        return smoothed(out, _SPREAD / STEP)


def families(grey: NDArray[np.uint8]) -> tuple[Family, Family]:
    """Level and upright segments, by LSD (Grompone von Gioi et al. 2012)."""
    height, width = grey.shape
    edge = float(max(height, width))
    found = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD).detect(grey)[0]
    lines = np.zeros((0, 4)) if found is None else found.reshape(-1, 4).astype(np.float64)
    x1, y1, x2, y2 = lines.T
    length = np.hypot(x2 - x1, y2 - y1)
    middle_x, middle_y = (x1 + x2) / 2, (y1 + y2) / 2
    good = (
        (length > _SHORTEST * edge)
        & (np.abs(middle_x / width - 0.5) < 0.5 - _BORDER)
        & (np.abs(middle_y / height - 0.5) < 0.5 - _BORDER)
    )
    order = np.flatnonzero(good)
    order = order[np.argsort(-length[order], kind="stable")][:_MOST]
    x1, y1, x2, y2 = lines[order].T
    length, middle_x, middle_y = length[order] / edge, middle_x[order], middle_y[order]
    # A counterclockwise turn of the scene: rightwards lines rise, upwards lines lean to the left.
    level = np.degrees(np.arctan2(-(y2 - y1) * np.sign(x2 - x1 + 1e-9), np.abs(x2 - x1)))
    upright = np.degrees(np.arctan2((x2 - x1) * np.sign(y2 - y1 + 1e-9), np.abs(y2 - y1)))
    x, y = (middle_x - width / 2) / edge, (middle_y - height / 2) / edge
    half = width / edge / 2, height / edge / 2

    def family(lean: Floats, *, is_upright: bool) -> Family:
        near = np.abs(lean) <= _REACH
        across, along = half if is_upright else half[::-1]
        return Family(lean[near], length[near], x[near], y[near], across, along, is_upright)

    return family(level, is_upright=False), family(upright, is_upright=True)


def best_over_convergence(votes: Floats) -> tuple[Floats, NDArray[np.int64]]:
    """For each lean the most votes that any convergence brings, and which one; parallels are preferred."""
    paid = votes * (1.0 - _PRICE * np.abs(CONVERGENCE))[:, None]
    which = paid.argmax(axis=0)
    return np.take_along_axis(paid, which[None], axis=0)[0], which
