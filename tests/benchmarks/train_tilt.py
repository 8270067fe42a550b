"""Grow the trees that judge how a photo leans, and tell how they do on photos that they have not seen.

Run ``python -m tests.benchmarks.train_tilt FOLDER...`` (some twenty minutes); each FOLDER holds folders of collections
(see `tilt_photos`). The photos of a place are judged by trees that were grown without them, of the places dealt into
parts in several ways, and what the chosen lean's standing among the others counts is fitted without them too; what is
written to `judge.json` was grown and fitted from all. With ``--keep FILE`` the measured
evidence is kept for another run.
"""

import json
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from immich_sidecar.analysis.measure import tilt
from immich_sidecar.analysis.measure.tilt import Tilt
from immich_sidecar.analysis.measure.tilt.candidates import candidates
from immich_sidecar.analysis.measure.tilt.judge import DEPTH, Judge, from_json, standing
from tests.benchmarks.tilt import suggested
from tests.benchmarks.tilt_photos import known_photos, turned, turns

Floats = NDArray[np.float64]

WHERE = Path(tilt.__file__).with_name("judge.json")
#: A lean is right to so many degrees; a smaller one is level.
RIGHT, LEVEL, LEAST = 0.5, 0.5, 0.6
#: Photos are dealt into so many parts, so many times; each part is judged by trees of the others.
PARTS, DEALS = 8, 5
#: Photos that the trees are judged with apart from the others; see `tilt_photos`.
PROPOSED, BLIND = "coco-more/", "coco-blind/"
_TREES, _RATE, _FEWEST = 400, 0.055, 60
#: So many groups of trees grow by different draws, and are averaged.
_GROUPS = 2
#: Resistance of the standing's weights against growing, as the inverse strength that scikit-learn asks for.
_YIELDING = 0.3
CONFIDENCES = (0.5, 0.6, 0.7, 0.8, 0.9)


@dataclass(frozen=True, eq=False)
class Evidence:
    """All candidates of all turned photos."""

    names: list[str]
    table: Floats
    degrees: Floats
    truth: Floats
    #: Whether anything in the photo tells its level.
    telling: NDArray[np.bool_]
    #: Which turned photo, and which place, each candidate belongs to.
    shown: NDArray[np.int64]
    place: NDArray[np.str_]


def collect(folders: list[Path], console: Console) -> Evidence:
    """Measure every photo at every turn."""
    names: list[str] = []
    rows, degrees, truth, telling, shown, place = [], [], [], [], [], []
    number = 0
    for photo in known_photos(folders):
        picture = photo.picture()
        for angle in turns(photo.name):
            number += 1
            for one in candidates(turned(picture, angle)):
                names = names or sorted(one.evidence)
                rows.append([one.evidence[name] for name in names])
                degrees.append(one.degrees)
                truth.append((photo.lean or 0.0) + angle)
                telling.append(photo.lean is not None)
                shown.append(number)
                place.append(photo.place)
        console.print(f"{photo.name}", highlight=False)
    return Evidence(
        names,
        np.array(rows),
        np.array(degrees),
        np.array(truth),
        np.array(telling),
        np.array(shown),
        np.array(place),
    )


def grown(evidence: Evidence, use: NDArray[np.bool_], seed: int = 0) -> Judge:
    """Trees from some of the candidates."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    right = np.abs(evidence.degrees - evidence.truth) < RIGHT
    inner, ends = 2**DEPTH - 1, 2**DEPTH
    feature, threshold = np.zeros((_GROUPS * _TREES, inner), int), np.full((_GROUPS * _TREES, inner), 1e9)
    leaf = np.zeros((_GROUPS * _TREES, ends))

    def lay(nodes: NDArray[np.void], source: int, number: int, target: int) -> None:
        """Copy a branch into the heap; where it ends early, everything goes to the left."""
        node = nodes[source]
        if target >= inner:
            leaf[number, target - inner] = node["value"] / _GROUPS
            return
        if node["is_leaf"]:
            lay(nodes, source, number, 2 * target + 1)
            return
        feature[number, target] = node["feature_idx"]
        threshold[number, target] = node["num_threshold"]
        lay(nodes, node["left"], number, 2 * target + 1)
        lay(nodes, node["right"], number, 2 * target + 2)

    for group in range(_GROUPS):
        model = HistGradientBoostingClassifier(
            max_iter=_TREES,
            learning_rate=_RATE,
            max_depth=DEPTH,
            max_leaf_nodes=None,
            min_samples_leaf=_FEWEST,
            max_features=0.25,
            max_bins=128,
            l2_regularization=5.0,
            early_stopping=False,
            random_state=100 * seed + group,
        ).fit(evidence.table[use], right[use])
        for number, (tree,) in enumerate(model._predictors):
            lay(tree.nodes, 0, group * _TREES + number, 0)
        start = float(model._baseline_prediction[0, 0])
    return Judge(tuple(evidence.names), feature, threshold, leaf, start, np.zeros(0), 0.0)


def dealt(evidence: Evidence, seed: int) -> NDArray[np.int64]:
    """Which part each candidate's place is dealt into."""
    places = np.unique(evidence.place)
    parts = np.random.default_rng(seed).permutation(places.size) % PARTS
    return np.asarray(parts[np.searchsorted(places, evidence.place)])


def unseen(evidence: Evidence, seed: int) -> Floats:
    """The log odds that trees give which have not seen the place."""
    part = dealt(evidence, seed)
    odds = np.empty(evidence.degrees.size)
    for number in range(PARTS):
        here = part == number
        odds[here] = grown(evidence, ~here, seed).odds_of(evidence.table[here])
    return odds


@dataclass(frozen=True, eq=False)
class Chosen:
    """The likeliest candidate of each turned photo."""

    #: Which candidate.
    which: NDArray[np.int64]
    #: How it stands among the others, one row each.
    stands: Floats
    #: Whether it is right.
    right: NDArray[np.bool_]
    #: Whether it is no level one; only these are to be judged honestly.
    leaning: NDArray[np.bool_]


def choose(evidence: Evidence, odds: Floats) -> Chosen:
    """For each turned photo the likeliest candidate."""
    starts = np.flatnonzero(np.append(True, np.diff(evidence.shown) != 0))
    each = np.split(np.arange(odds.size), starts[1:])
    which = np.array([one[odds[one].argmax()] for one in each])
    stands = np.array([standing(odds[one], evidence.degrees[one]) for one in each])
    right = np.abs(evidence.degrees[which] - evidence.truth[which]) < RIGHT
    return Chosen(which, stands, right, np.abs(evidence.degrees[which]) >= LEVEL)


def fitted(chosen: Chosen, use: NDArray[np.bool_]) -> tuple[Floats, float]:
    """What each figure of the standing counts, so that odds are honest, and what is added (logistic regression)."""
    from sklearn.linear_model import LogisticRegression

    rows = chosen.stands[use & chosen.leaning]
    mean, deviation = rows.mean(axis=0), rows.std(axis=0) + 1e-9
    line = LogisticRegression(C=_YIELDING, max_iter=2000)
    line.fit((rows - mean) / deviation, chosen.right[use & chosen.leaning])
    weights = line.coef_[0] / deviation
    return weights, float(line.intercept_[0] - weights @ mean)


def likelihood(evidence: Evidence, chosen: Chosen, seed: int) -> Floats:
    """How likely the chosen candidates are right, as fitted without their place.

    The odds that it is fitted to come from trees that have seen the place; eleven weights can remember none of it.
    """
    part = dealt(evidence, seed)[chosen.which]
    likely = np.empty(part.size)
    for number in range(PARTS):
        here = part == number
        weights, offset = fitted(chosen, ~here)
        likely[here] = 1 / (1 + np.exp(-(chosen.stands[here] @ weights + offset)))
    return likely


def table(evidence: Evidence, deals: list[tuple[Chosen, Floats]], use: NDArray[np.bool_], which: str) -> Table:
    """How the suggestions do for some of the candidates at several confidences: means over all deals."""
    pictures = np.unique(evidence.shown[use]).size
    title = f"{pictures} pictures of {which} that the trees have not seen, mean of {len(deals)} deals"
    result = Table(title=title)
    for column in ("confidence", "turned", "right to 0.5°", "leaning found", "of those that tell", "level spoilt"):
        result.add_column(column, justify="right")
    told = [figures(evidence, chosen, likely, use[chosen.which]) for chosen, likely in deals]
    for i, least in enumerate(CONFIDENCES):
        turned_ones, right, found, telling, spoilt, level = np.mean([deal[i] for deal in told], axis=0)
        each = " ".join(f"{deal[i][4]:.0f}" for deal in told)
        result.add_row(
            f"{least:.1f}",
            f"{turned_ones:.0f}",
            f"{right:.1%}",
            f"{found:.1%}",
            f"{telling:.1%}",
            f"{spoilt:.1f} of {level:.0f} ({spoilt / level:.2%}): {each}",
        )
    return result


def figures(evidence: Evidence, chosen: Chosen, likely: Floats, use: NDArray[np.bool_]) -> list[tuple[float, ...]]:
    """For each of `CONFIDENCES` what a line of the table tells, about some of the turned photos."""
    best = chosen.which[use]
    degrees, truth, right = evidence.degrees[best], evidence.truth[best], chosen.right[use]
    leaning, level = np.abs(truth) >= LEAST, np.abs(truth) < LEVEL
    steps = [suggested(Tilt(degrees=d, confidence=c)) for d, c in zip(degrees, likely[use], strict=True)]
    confidence = np.array([step[1] if step else 0.0 for step in steps])
    telling = leaning & evidence.telling[best]
    rows = []
    for least in CONFIDENCES:
        done = confidence >= least
        found = done & right
        rows.append(
            (
                float(done.sum()),
                float(right[done].mean()),
                float(found[leaning].mean()),
                float(found[telling].mean()),
                float((done & level & ~right).sum()),
                float(level.sum()),
            )
        )
    return rows


def main(arguments: list[str]) -> None:
    """Measure, judge unseen photos, grow, write."""
    cv2.setNumThreads(1)
    console = Console(width=130)
    keep = Path(arguments.pop(arguments.index("--keep") + 1)) if "--keep" in arguments else None
    folders = [Path(a) for a in arguments if a != "--keep"]
    if keep and keep.exists():
        with np.load(keep) as kept:
            evidence = Evidence(kept["names"].tolist(), *(kept[n] for n in Evidence.__annotations__ if n != "names"))
    else:
        evidence = collect(folders, console)
        if keep:
            np.savez_compressed(keep, **{n: np.array(getattr(evidence, n)) for n in Evidence.__annotations__})
    proposed, blind = (np.char.startswith(evidence.place, name) for name in (PROPOSED, BLIND))
    chosen = [choose(evidence, unseen(evidence, seed)) for seed in range(1, DEALS + 1)]
    deals = [(one, likelihood(evidence, one, seed)) for seed, one in enumerate(chosen, 1)]
    # Photos on which proposals were right, and what was left of the same ones, are together as photos are.
    for which, use in (
        ("photos", ~(proposed | blind)),
        ("coco-blind", blind),
        ("photos of COCO", np.char.startswith(evidence.place, "coco")),
    ):
        console.print(table(evidence, deals, use, which))
    lines = [fitted(one, np.ones(one.which.size, bool)) for one in chosen]
    weights, offset = np.mean([line[0] for line in lines], axis=0), float(np.mean([line[1] for line in lines]))
    judge = grown(evidence, np.ones(evidence.degrees.size, bool))
    data = {
        "names": judge.names,
        "start": round(judge.start, 4),
        "weights": [round(float(v), 4) for v in weights],
        "offset": round(offset, 4),
        "feature": judge.feature.tolist(),
        "threshold": [[round(v, 4) for v in row] for row in judge.threshold.tolist()],
        "leaf": [[round(v, 4) for v in row] for row in judge.leaf.tolist()],
    }
    text = json.dumps(data, separators=(",", ":"))
    from_json(text)
    WHERE.write_text(text + "\n", "utf-8")
    console.print(f"{WHERE.name}: {len(text) / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
