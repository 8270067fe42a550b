"""What remains of known damage, by source of photos: the goals for exposure and colour, quickly measured.

Run ``python -m tests.benchmarks.goals_light FOLDER [--names NAMES] [--every N]`` (a fifth of a second a picture).
FOLDER holds one folder of photos per source; those whose names begin with one of NAMES (with commas between; default:
`unseen`, as in `train_light`) are taken, and of each the N-th photos. Each is shrunk to 512 pixels, spoilt, saved as
JPEG, and rendered by the engine with the steps that the advisers apply. Unlike `judgement_light`, this measures nothing
but exposure and colour, knows no peers, and compares at 96 x 96 pixels, so that some hundred photos are judged in
minutes. Figures are mean dE2000 to the truth.
"""

import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from immich_sidecar.advise import tone, white_balance
from immich_sidecar.advise.suggestion import APPLY_AT, Suggestion
from immich_sidecar.analysis.analysis import Analysis
from immich_sidecar.analysis.measure.exposure import measure_exposure
from immich_sidecar.analysis.measure.light import measure_light
from immich_sidecar.develop.engine import render
from tests.benchmarks.calibrate_light import distances
from tests.benchmarks.judgement_light import BINS, DAMAGE, GOALS, LIGHT, operation_of
from tests.benchmarks.train_light import photos
from tests.photos.make import Display, degraded, linear_from_display, write_jpeg

#: Damages that are tried: those of the goals, and two more.
TRIED = (*GOALS, "magenta", "+1 EV")
#: Edge of the pictures that are compared.
EDGE = 96


@dataclass(frozen=True)
class Result:
    """One spoilt photo: dE2000 as it is, after the applied steps, and what each offered step takes away alone."""

    source: str
    damage: str
    before: float
    after: float
    touched: bool
    steps: tuple[tuple[str, float, float], ...]


def advised(picture: Display) -> list[Suggestion]:
    """The steps for exposure and colour that are offered."""
    linear = linear_from_display(picture)
    analysis = Analysis.model_construct(exposure=measure_exposure(picture, linear), light=measure_light(linear))
    balance = white_balance.suggest(analysis)
    found = [s for s in (balance, *tone.suggest(analysis)) if s is not None]
    return [s for s in found if s.operation in LIGHT]


def distance(a: Display, b: Display) -> float:
    """Mean dE2000 of two small copies."""
    small = [cv2.resize(p, (EDGE, EDGE), interpolation=cv2.INTER_AREA)[None] for p in (a, b)]
    return float(distances(*small)[0])


def results(folder: Path, names: tuple[str, ...], every: int) -> Iterator[Result]:
    """Spoil, advise, render and compare."""
    seen: dict[str, int] = defaultdict(int)
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "spoilt.jpg"
        for name, truth in photos(folder):
            source = name.split("/")[0]
            if not source.startswith(names):
                continue
            seen[source] += 1
            if (seen[source] - 1) % every:
                continue
            for damage in TRIED:
                ev, cast = DAMAGE[damage]
                write_jpeg(path, degraded(truth, ev=ev, cast=cast))
                spoilt = np.asarray(cv2.imread(str(path))[..., ::-1], np.uint8)
                offered = advised(spoilt)
                applied = [s for s in offered if s.confidence >= APPLY_AT]
                before = distance(spoilt, truth)
                alone = {s.operation: before - distance(_rendered(path, [s]), truth) for s in offered}
                if len(applied) == 1:
                    after = before - alone[applied[0].operation]
                else:
                    after = distance(_rendered(path, applied), truth) if applied else before
                steps = tuple((s.operation, s.confidence, alone[s.operation]) for s in offered)
                yield Result(source, damage, before, after, bool(applied), steps)


def _rendered(path: Path, steps: list[Suggestion]) -> Display:
    return render(path, [operation_of(s.operation, s.parameters) for s in steps]).image


def main(arguments: list[str]) -> None:
    """Print both tables."""
    cv2.setNumThreads(1)
    options = {a: b for a, b in pairwise(arguments) if a.startswith("--")}
    names = tuple(options.get("--names", "unseen").split(","))
    found = list(results(Path(arguments[0]), names, int(options.get("--every", "1"))))
    console = Console(width=150)
    damages = Table(title="Mean dE2000 to the truth, before and after; and how many were touched")
    for column in ("source", "photos", *(f"{d} ({GOALS[d]:.1f})" if d in GOALS else d for d in TRIED), "mean of goals"):
        damages.add_column(column, justify="right")
    sources = sorted({r.source for r in found})
    for source in sources:
        cells, means = [], []
        for damage in TRIED:
            own = [r for r in found if r.source == source and r.damage == damage]
            after = float(np.mean([r.after for r in own]))
            cells.append(
                f"{np.mean([r.before for r in own]):.1f} > {after:.2f}, {np.mean([r.touched for r in own]):.0%}"
            )
            means += [after] if damage in GOALS else []
        count = sum(r.source == source for r in found) // len(TRIED)
        damages.add_row(source, str(count), *cells, f"{np.mean(means):.2f}")
    console.print(damages)
    steps = Table(title=f"Steps by confidence (applied from {APPLY_AT}): how many, how many helped, dE gained")
    for column in ("step", "confidence", *sources):
        steps.add_column(column, justify="right")
    for operation in ("white_balance", "exposure"):
        for low, high in pairwise(BINS):
            cells = []
            for source in sources:
                gains = [
                    gain
                    for r in found
                    if r.source == source
                    for name, sure, gain in r.steps
                    if name == operation and low <= sure < high
                ]
                cells.append(
                    f"{len(gains)}: {np.mean(np.array(gains) > 0):.0%}, {np.mean(gains):+.1f}" if gains else "-"
                )
            steps.add_row(operation, f"{low:.2f} to {min(high, 1):.2f}", *cells)
    console.print(steps)


if __name__ == "__main__":
    main(sys.argv[1:])
