"""Whether the parts of a picture agree about a lean, and whether its edges balance around it.

Edges that run into the distance lean to one side above the horizon and to the other below it, and so do those left and
right of the middle where uprights converge: the true lean is where they balance.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.analysis.measure.tilt.grid import GRID, STEP
from immich_sidecar.analysis.measure.tilt.lines import Family, best_over_convergence

Floats = NDArray[np.float64]

#: Votes so near to a lean, in degrees, are votes for it.
_NEAR = 0.4
#: Edges so near to a lean, in degrees, are weighed against each other: those just around it, and many.
_AROUND, _WIDELY = 5.0, 12.0


@dataclass(frozen=True, eq=False)
class Parts:
    """A family of segments, and the votes of its left, right, upper and lower half; one row each."""

    family: Family
    votes: Floats

    def evidence(self, place: int, degrees: float) -> dict[str, float]:
        """What the halves say about a lean, and how the segments lie around it.

        Parameters
        ----------
        place
            Index of the lean in `GRID`.
        degrees
            The lean.
        """
        name, reach = "upright" if self.family.upright else "level", round(_NEAR / STEP)
        here = self.votes[:, max(0, place - reach) : place + reach + 1].max(axis=1)
        most = self.votes.max(axis=1)
        share = np.where(most > 1e-4, here / np.maximum(most, 1e-6), 0.0)
        around, widely = self._balance(degrees, _AROUND), self._balance(degrees, _WIDELY)
        return {
            f"{name}_sides": float(share[:2].min()),
            f"{name}_heights": float(share[2:].min()),
            f"{name}_halves": float(share.sum()),
            f"{name}_sides_even": float(here[:2].min() / max(here[:2].max(), 1e-6)),
            f"{name}_heights_even": float(here[2:].min() / max(here[2:].max(), 1e-6)),
            f"{name}_uneven_around": abs(around[0]),
            f"{name}_mean_around": abs(around[1]),
            f"{name}_uneven": abs(widely[0]),
            f"{name}_mean": widely[1],
        }

    def _balance(self, degrees: float, reach: float) -> tuple[float, float]:
        """How many of the segments around a lean lean more than it (-0.5..0.5), and their mean off it in degrees."""
        off = self.family.lean - degrees
        near = np.abs(off) <= reach
        off, weight = off[near], self.family.length[near]
        if weight.size == 0:
            return 0.0, 0.0
        return float(weight[off > 0].sum() / weight.sum()) - 0.5, float((off * weight).sum() / weight.sum())


def parts(family: Family) -> Parts:
    """Let the halves of the picture vote."""
    votes = []
    for use in (family.x < 0, family.x >= 0, family.y < 0, family.y >= 0):
        half = family.only(use)
        if half.upright:
            votes.append(best_over_convergence(half.votes())[0])
        else:
            votes.append(half.votes(tried=np.zeros(1))[0])
    return Parts(family, np.array(votes).reshape(4, GRID.size))


def balance(place: int, degrees: float, level: Parts, upright: Parts) -> dict[str, float]:
    """What the halves and the balance of both families say about a lean."""
    evidence = {**level.evidence(place, degrees), **upright.evidence(place, degrees)}
    means = evidence["level_mean"], evidence["upright_mean"]
    # Both lean to the same side of a lean that is wrong.
    evidence["means_agree"] = means[0] * means[1] / (abs(means[0]) + abs(means[1]) + 1e-6)
    evidence["means_together"] = abs(means[0] + means[1])
    for name in ("level_mean", "upright_mean"):
        evidence[name] = abs(evidence[name])
    return evidence
