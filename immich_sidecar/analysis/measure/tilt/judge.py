"""How likely a candidate is right, by boosted trees over its evidence.

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
    #: Slope and offset that turn the sum into honest odds.
    slope: float
    offset: float

    def probability(self, evidence: Sequence[Mapping[str, float]]) -> Floats:
        """How likely each candidate is within half a degree of the truth, 0..1."""
        table = np.array([[one[name] for name in self.names] for one in evidence], np.float64)
        trees = np.arange(self.leaf.shape[0])
        node = np.zeros((table.shape[0], trees.size), np.int64)
        for _ in range(DEPTH):
            value = np.take_along_axis(table, self.feature[trees, node], axis=1)
            node = 2 * node + 1 + (value > self.threshold[trees, node])
        odds = self.start + self.leaf[trees, node - (2**DEPTH - 1)].sum(axis=1)
        return np.asarray(1.0 / (1.0 + np.exp(-(self.slope * odds + self.offset))))


def from_json(text: str) -> Judge:
    """Read what the training wrote."""
    data = json.loads(text)
    return Judge(
        names=tuple(data["names"]),
        feature=np.array(data["feature"], np.int64),
        threshold=np.array(data["threshold"], np.float64),
        leaf=np.array(data["leaf"], np.float64),
        start=float(data["start"]),
        slope=float(data["slope"]),
        offset=float(data["offset"]),
    )


@lru_cache(maxsize=1)
def judge() -> Judge:
    """The trees that came with the program."""
    return from_json(files(__package__).joinpath("judge.json").read_text("utf-8"))
