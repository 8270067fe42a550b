"""Are exposure and colour repaired where they are spoilt, left where they are good, and is confidence honest?

Run ``python -m tests.benchmarks.judgement_light [FOLDER] [--every N] [--sheets FOLDER]`` (some minutes). FOLDER
(default: `photos` in ``SIDECAR_TEST_DATA``) holds real photos; every N-th is taken. Each is shrunk to a truth, spoilt
by a known amount in linear light, clipped, saved as JPEG, analysed, advised and rendered. Distances are mean dE2000
to the truth, seen at 480 pixels. "Limit" undoes the known damage with our own engine, as if an oracle had told it;
"Pillow" is `ImageOps.autocontrast` (cutoff 0.5 %), "grey world" scales the channels' means to their mean.

The second table holds every announced step against what it did alone: of the steps with a confidence of 0.9, nine in
ten should have brought the picture nearer to the truth. ``--sheets`` writes before and after of every photo that nobody
spoilt and that is touched all the same.
"""

import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from PIL import Image, ImageOps
from rich.console import Console
from rich.table import Table

from immich_sidecar.advise.adviser import APPLY_AT, advise
from immich_sidecar.analysis.analysis import analyse
from immich_sidecar.analysis.measure.kind import Kind
from immich_sidecar.develop.engine import render
from immich_sidecar.develop.proxy import load_proxy
from immich_sidecar.errors import SidecarError
from immich_sidecar.recipe.recipe import Operation, Source
from tests.benchmarks.judgement import distance, real_photos
from tests.photos.make import Display, degraded, full_exif, sample_photo, write_jpeg

EDGE = 1000
SAMPLES = ("astronaut", "coffee", "chelsea", "rocket")
#: EV and factors of red, green, blue.
DAMAGE: Mapping[str, tuple[float, tuple[float, float, float]]] = {
    "clean": (0.0, (1.0, 1.0, 1.0)),
    "-1.5 EV": (-1.5, (1.0, 1.0, 1.0)),
    "warm": (0.0, (1.3, 1.0, 0.7)),
    "cool": (0.0, (0.75, 1.0, 1.35)),
    "green, -1 EV": (-1.0, (0.76, 1.0, 0.76)),
    "magenta": (0.0, (1.25, 0.95, 1.25)),
    "slightly warm": (0.0, (1.13, 1.0, 0.85)),
    "warm, -1 EV": (-1.0, (1.3, 1.0, 0.7)),
    "-0.7 EV": (-0.7, (1.0, 1.0, 1.0)),
    "-2.5 EV": (-2.5, (1.0, 1.0, 1.0)),
    "+1 EV": (1.0, (1.0, 1.0, 1.0)),
}
#: What is aimed at.
GOALS = {"clean": 1.0, "-1.5 EV": 2.0, "warm": 3.6, "cool": 3.9, "green, -1 EV": 2.7}
BINS = (0.25, 0.4, 0.6, 0.75, 0.9, 1.01)
LIGHT = frozenset({"white_balance", "exposure", "tone"})


@dataclass
class Step:
    """One announced step and what it did alone."""

    operation: str
    confidence: float
    #: dE2000 to the truth that it took away; negative where it added some.
    gain: float
    is_clean: bool


@dataclass
class Outcome:
    """All photos under one kind of damage."""

    before: list[float] = field(default_factory=list)
    after: list[float] = field(default_factory=list)
    limit: list[float] = field(default_factory=list)
    pillow: list[float] = field(default_factory=list)
    grey_world: list[float] = field(default_factory=list)
    touched: int = 0
    worse: list[str] = field(default_factory=list)


def truths(folder: Path | None, every: int) -> Iterator[tuple[str, Display]]:
    """Photos that may serve as truths."""
    for name in SAMPLES:
        yield name, sample_photo(name, shrink=1)
    for name, path in list(real_photos(folder))[::every]:
        try:
            analysis = analyse(path)
            if analysis.kind is Kind.PHOTO and not analysis.facts.is_raw:
                yield name, load_proxy(path, max_edge=EDGE).display
        except SidecarError:
            continue


def undone(ev: float, cast: tuple[float, float, float]) -> list[Operation]:
    """The steps that undo a damage."""
    grey = float(np.dot((0.2126, 0.7152, 0.0722), cast))
    found: dict[str, dict[str, Any]] = {}
    if cast != (1.0, 1.0, 1.0):
        found["white_balance"] = {"gains": [grey / factor for factor in cast]}
    if ev or abs(grey - 1) > 1e-3:
        found["exposure"] = {"ev": -ev - float(np.log2(grey)), "brightest": min(1.0, 2.0**ev * max(cast))}
    return [operation_of(name, parameters) for name, parameters in found.items()]


def operation_of(name: str, parameters: Mapping[str, Any]) -> Operation:
    return Operation(type=name, parameters=dict(parameters), timestamp=datetime.now(UTC), source=Source.AI)


def grey_world(display: Display) -> Display:
    """The peer that every textbook begins with, in linear light."""
    linear = (display / 255.0) ** 2.2
    means = linear.mean(axis=(0, 1))
    balanced = np.clip(linear * means.mean() / np.maximum(means, 1e-4), 0, 1) ** (1 / 2.2)
    return np.round(balanced * 255).astype(np.uint8)


def judge(folder: Path | None, every: int, sheets: Path | None) -> tuple[dict[str, Outcome], list[Step], int]:
    """Spoil, repair, compare."""
    outcomes = {damage: Outcome() for damage in DAMAGE}
    steps: list[Step] = []
    count = 0
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "spoilt.jpg"
        for name, truth in truths(folder, every):
            count += 1
            for damage, (ev, cast) in DAMAGE.items():
                outcome, is_clean = outcomes[damage], damage == "clean"
                write_jpeg(path, degraded(truth, ev=ev, cast=cast), exif=full_exif())
                spoilt = np.asarray(Image.open(path).convert("RGB"))
                before = distance(spoilt, truth)
                offered = [s for s in advise(analyse(path)).suggestions if s.operation in LIGHT]
                applied = [operation_of(s.operation, s.parameters) for s in offered if s.applied]
                image = render(path, applied).image if applied else spoilt
                after = distance(image, truth)
                for s in offered:
                    alone = distance(render(path, [operation_of(s.operation, s.parameters)]).image, truth)
                    steps.append(Step(s.operation, s.confidence, before - alone, is_clean))
                outcome.before.append(before)
                outcome.after.append(after)
                outcome.limit.append(distance(render(path, undone(ev, cast)).image, truth))
                outcome.pillow.append(
                    distance(np.asarray(ImageOps.autocontrast(Image.fromarray(spoilt), cutoff=0.5)), truth)
                )
                outcome.grey_world.append(distance(grey_world(spoilt), truth))
                outcome.touched += bool(applied)
                if after > before + 0.7:
                    outcome.worse.append(name)
                if is_clean and applied and sheets is not None:
                    said = ", ".join(f"{s.operation} {s.confidence:.2f}" for s in offered if s.applied)
                    _sheet(sheets / f"{name}.png", spoilt, image, f"{name}: {said}")
    return outcomes, steps, count


def _sheet(path: Path, before: Display, after: Display, words: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    both = np.concatenate([before, np.full((before.shape[0], 12, 3), 255, np.uint8), after], axis=1)
    both = cv2.copyMakeBorder(both, 0, 34, 0, 0, cv2.BORDER_CONSTANT, value=(255, 255, 255))
    cv2.putText(both, words, (6, both.shape[0] - 11), cv2.FONT_HERSHEY_SIMPLEX, 0.6, (0, 0, 0), 1, cv2.LINE_AA)
    Image.fromarray(both).save(path)


def outcome_table(outcomes: Mapping[str, Outcome], count: int) -> Table:
    """How each damage is repaired, beside the limit and the peers."""
    table = Table(title=f"Exposure and colour, mean dE2000 to the truth ({count} photos)")
    for column in (
        "damage",
        "touched",
        "before",
        "after",
        "goal",
        "ratio",
        "limit",
        "Pillow",
        "grey world",
        "worse by > 0.7",
    ):
        table.add_column(column, justify="right")
    for damage, o in outcomes.items():
        before, after = float(np.mean(o.before)), float(np.mean(o.after))
        table.add_row(
            *(damage, f"{o.touched}/{count}", f"{before:.2f}", f"{after:.2f}"),
            f"{GOALS[damage]:.1f}" if damage in GOALS else "",
            *(f"{after / before:.2f}", f"{np.mean(o.limit):.2f}", f"{np.mean(o.pillow):.2f}"),
            *(f"{np.mean(o.grey_world):.2f}", f"{len(o.worse)}: {', '.join(o.worse[:4])}" if o.worse else "none"),
        )
    return table


def calibration_table(steps: list[Step], count: int) -> Table:
    """What steps did, by the confidence that they were announced with."""
    table = Table(title=f"Steps by confidence (applied from {APPLY_AT})")
    for column in ("step", "confidence", "steps", "mean", "helped", "dE gained", "clean photos harmed"):
        table.add_column(column, justify="right")
    for operation in (*sorted({s.operation for s in steps}), "all"):
        for low, high in pairwise(BINS):
            found = [s for s in steps if low <= s.confidence < high and operation in {"all", s.operation}]
            if not found:
                continue
            harmed = sum(s.is_clean and s.gain < -0.2 for s in found)
            table.add_row(
                *(operation, f"{low:.2f} to {min(high, 1):.2f}", str(len(found))),
                f"{np.mean([s.confidence for s in found]):.2f}",
                f"{np.mean([s.gain > 0 for s in found]):.0%}",
                f"{np.mean([s.gain for s in found]):+.1f}",
                f"{harmed} of {count}",
            )
    return table


def main(arguments: list[str]) -> None:
    """Print the tables."""
    cv2.setNumThreads(1)
    data = os.environ.get("SIDECAR_TEST_DATA")
    options = {name: value for name, value in pairwise(arguments) if name.startswith("--")}
    every, sheets = int(options.get("--every", "1")), options.get("--sheets")
    named = [a for a in arguments if a not in options and a not in options.values()]
    folder = Path(named[0]) if named else (Path(data) / "photos" if data else None)
    outcomes, steps, count = judge(folder, every, Path(sheets) if sheets else None)
    console = Console(width=150)
    console.print(outcome_table(outcomes, count))
    console.print(calibration_table(steps, count))
    five = [float(np.mean(outcomes[damage].after)) for damage in GOALS]
    console.print(f"mean over the five of the goals: {np.mean(five):.2f}")


if __name__ == "__main__":
    main(sys.argv[1:])
