"""Which candidate is right, by boosted trees over its evidence, and how likely, by how it stands among the others.

The trees are small and lie beside this file (`judge.json`); `tests/benchmarks/train_tilt.py` grows them from photos
that were turned by known angles, and tells how they do on photos that they have not seen.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: A lead in log odds beyond which nothing is gained, also on nobody.
_MOST_LEAD = 8.0
#: Sizes below this, in degrees, are level; which of them is no matter.
_LEVEL = 0.5
#: Every tree asks so many questions in a row.
DEPTH = 3


@dataclass(frozen=True, eq=False)
class Judge:
    """Trees in the shape of a heap: node i asks first, then node 2i + 1 (at most) or 2i + 2 (more)."""

    #: Names of the figures, in the order of `feature`.
    names: tuple[str, ...]
    #: Index of the figure that each node looks at, one row a tree.
    feature: NDArray[np.int64]
    #: What it is compared with.
    threshold: Floats
    #: What each end of the tree adds to the log odds.
    leaf: Floats
    #: Log odds before any tree.
    start: float
    #: What each figure of `standing` adds to the log odds of the chosen candidate, and what is added to all.
    weights: Floats
    offset: float

    def odds(self, evidence: Sequence[Mapping[str, float]]) -> Floats:
        """Log odds of each candidate, by itself, to lie within half a degree of the truth."""
        return self.odds_of(np.array([[one[name] for name in self.names] for one in evidence], np.float64))

    def odds_of(self, table: Floats) -> Floats:
        """The same for a table of figures: one row a candidate, columns as `names`."""
        trees = np.arange(self.leaf.shape[0])
        node = np.zeros((table.shape[0], trees.size), np.int64)
        for _ in range(DEPTH):
            value = np.take_along_axis(table, self.feature[trees, node], axis=1)
            node = 2 * node + 1 + (value > self.threshold[trees, node])
        return np.asarray(self.start + self.leaf[trees, node - (2**DEPTH - 1)].sum(axis=1))

    def choose(self, evidence: Sequence[Mapping[str, float]], degrees: Sequence[float]) -> tuple[int, float]:
        """The likeliest candidate of a picture, and how likely it is within half a degree of the truth, 0..1."""
        odds = self.odds(evidence)
        stands = standing(odds, np.array(degrees, np.float64))
        return int(odds.argmax()), float(1.0 / (1.0 + np.exp(-(stands @ self.weights + self.offset))))


def standing(odds: Floats, degrees: Floats) -> Floats:
    """How the likeliest candidate of a picture stands among the others.

    Parameters
    ----------
    odds
        Log odds of each candidate of the picture.
    degrees
        Their leans.

    Returns
    -------
    Its odds, whole and below even; its lead on leans that differ by more than a degree, whole and up to 2; the share of
    leans that say nearly the same, and how evenly likelihood is spread (nats); how many leans are right by themselves;
    and its size in degrees, up to 1, 2, 4 and 8.
    """
    best = int(odds.argmax())
    chosen, off = float(odds[best]), np.abs(degrees - degrees[best])
    lead = min(_MOST_LEAD, chosen - float(odds[off > 1.0].max(initial=-_MOST_LEAD)))
    shares = np.exp(odds - chosen)
    shares /= shares.sum()
    size = max(_LEVEL, float(abs(degrees[best])))
    return np.array(
        [
            chosen,
            min(chosen, 0.0),
            lead,
            min(lead, 2.0),
            float(shares[off <= 0.5].sum()),
            -float((shares * np.log(shares + 1e-9)).sum()),
            float((1.0 / (1.0 + np.exp(-odds))).sum()),
            *(min(size, most) for most in (1.0, 2.0, 4.0, 8.0)),
        ]
    )


def from_json(text: str) -> Judge:
    """Read what the training wrote."""
    data = json.loads(text)
    return Judge(
        names=tuple(data["names"]),
        feature=np.array(data["feature"], np.int64),
        threshold=np.array(data["threshold"], np.float64),
        leaf=np.array(data["leaf"], np.float64),
        start=float(data["start"]),
        weights=np.array(data["weights"], np.float64),
        offset=float(data["offset"]),
    )


@lru_cache(maxsize=1)
def judge() -> Judge:
    """The trees that came with the program."""
    return from_json(files(__package__).joinpath("judge.json").read_text("utf-8"))
