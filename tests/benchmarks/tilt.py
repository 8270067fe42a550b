"""Are leaning photos found, and level ones left alone?

Run ``python -m tests.benchmarks.tilt FOLDER...`` (some minutes); each FOLDER holds folders of collections, as
`tilt_photos` tells (the folder that holds the test photos serves, as its `photos` are the collection `shared`).
Each photo is turned by known angles, as large as a proxy, and asked about. The peer is the vote of straight lines
alone, each by its squared length, which always answers.

The trees that judge have grown from the listed photos; how they do on photos that they have not seen is told by
`train_tilt`, which deals the photos into parts. Here the same photos show what is new to nobody: how the whole does
beside its peer, what is said of each photo as it is, and the time that it takes.
"""

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from immich_sidecar.advise import straighten
from immich_sidecar.advise.suggestion import APPLY_AT
from immich_sidecar.analysis.analysis import Analysis
from immich_sidecar.analysis.measure.tilt import Tilt, measure_tilt
from tests.benchmarks.tilt_photos import known_photos, turned, turns
from tests.photos.make import Display

RIGHT, LEAST = 0.5, 0.6
BINS = ((0.3, 0.6), (0.6, 0.8), (0.8, 0.9), (0.9, 1.01))


@dataclass
class Answers:
    """What one of them said: (answer, truth, whether the photo tells its level, confidence)."""

    rows: list[tuple[float, float, bool, float]] = field(default_factory=list)
    pictures: list[tuple[float, bool]] = field(default_factory=list)
    seconds: float = 0.0


def line_votes(picture: Display) -> float:
    """The lean that straight lines vote for, within 10 degrees, whatever they are."""
    grey = cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)
    found = cv2.createLineSegmentDetector(cv2.LSD_REFINE_STD).detect(grey)[0]
    if found is None:
        return 0.0
    x1, y1, x2, y2 = found.reshape(-1, 4).astype(np.float64).T
    angle = (np.degrees(np.arctan2(y1 - y2, x2 - x1)) + 45) % 90 - 45
    weight = ((x2 - x1) ** 2 + (y2 - y1) ** 2) * (np.abs(angle) < 10)
    grid = np.arange(-10, 10.05, 0.1)
    votes = weight @ np.exp(-0.5 * ((angle[:, None] - grid) / 0.3) ** 2)
    return float(grid[votes.argmax()])


def suggested(tilt: Tilt) -> tuple[float, float] | None:
    """Degrees and confidence of the suggestion that would be made."""
    step = straighten.suggest(Analysis.model_construct(tilt=tilt))
    return (float(step.parameters["degrees"]), step.confidence) if step else None


def row(name: str, answers: Answers, baseline: Answers) -> list[str]:
    """One line of the table, for what reaches the threshold."""
    done = [r for r in answers.rows if r[3] >= APPLY_AT]
    right = [r for r in done if abs(r[0] - r[1]) < RIGHT]
    leaning = [p for p in answers.pictures if abs(p[0]) >= LEAST]
    level = [p for p in answers.pictures if abs(p[0]) < RIGHT]
    spoilt = [r for r in done if abs(r[1]) < RIGHT and abs(r[0] - r[1]) >= RIGHT]
    found = [r for r in right if abs(r[1]) >= LEAST]
    telling = sum(p[1] for p in leaning)
    count = len(answers.pictures)
    return [
        name,
        str(len(done)),
        f"{len(right) / max(1, len(done)):.1%}",
        f"{np.median([abs(r[0] - r[1]) for r in done] or [0]):.2f}",
        f"{len(found) / max(1, len(leaning)):.1%}",
        f"{sum(r[2] for r in found) / max(1, telling):.1%}",
        f"{len(spoilt)} of {len(level)} ({len(spoilt) / max(1, len(level)):.1%})",
        f"{answers.seconds / max(1, count) * 1000:.0f} ms",
        f"{answers.seconds / baseline.seconds:.1f}",
    ]


def main(arguments: list[str]) -> None:
    """Ask both about every photo at every turn."""
    cv2.setNumThreads(1)
    console = Console(width=150)
    ours, peer = Answers(), Answers()
    asked: list[str] = []
    for photo in known_photos([Path(a) for a in arguments]):
        picture = photo.picture()
        telling = photo.lean is not None
        for angle in turns(photo.name):
            shown, truth = turned(picture, angle), (photo.lean or 0.0) + angle
            started = time.process_time()
            answer = suggested(measure_tilt(shown))
            ours.seconds += time.process_time() - started
            started = time.process_time()
            voted = line_votes(shown)
            peer.seconds += time.process_time() - started
            ours.pictures.append((truth, telling))
            peer.pictures.append((truth, telling))
            if answer:
                ours.rows.append((answer[0], truth, telling, answer[1]))
                if angle == 0 and answer[1] >= APPLY_AT:
                    asked.append(f"{photo.name} {answer[0]:+.1f} (known {truth:+.1f})")
            if abs(voted) >= LEAST:
                peer.rows.append((voted, truth, telling, 1.0))
    table = Table(title=f"{len(ours.pictures)} pictures: photos as they are, and turned by up to 8 degrees")
    for column in (
        "who",
        "turned",
        "right to 0.5°",
        "median error",
        "leaning found",
        "of those that tell",
        "level spoilt",
        "CPU a picture",
        "ratio",
    ):
        table.add_column(column, justify="right")
    table.add_row(*row("line votes", peer, peer))
    table.add_row(*row("ours", ours, peer))
    console.print(table)
    calibration = Table(title="Of the turns announced with a confidence of ..., so many are right")
    for column in ("confidence", "turns", "announced", "right to 0.5°"):
        calibration.add_column(column, justify="right")
    for low, high in BINS:
        here = [r for r in ours.rows if low <= r[3] < high]
        if here:
            right = np.mean([abs(r[0] - r[1]) < RIGHT for r in here])
            mean = np.mean([r[3] for r in here])
            calibration.add_row(f"{low:.1f} to {min(high, 1.0):.1f}", str(len(here)), f"{mean:.2f}", f"{right:.2f}")
    console.print(calibration)
    console.print("photos that would be turned as they are: " + ("; ".join(asked) or "none"))


if __name__ == "__main__":
    main(sys.argv[1:])
