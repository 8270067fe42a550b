"""Does the adviser repair what is spoilt, and leave alone what is good?

Run ``python -m tests.benchmarks.judgement [FOLDER]`` (some minutes); FOLDER (default: `photos` in
``SIDECAR_TEST_DATA``) holds real photos. Each photo is shrunk to a truth of about 1200 pixels, spoilt by a known
amount, analysed, advised and rendered. Colour distances are mean dE2000 to the truth; "ratio" compares with doing
nothing, below 1 is better.
"""

import os
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from immich_sidecar.advise.adviser import advise
from immich_sidecar.analysis.analysis import Analysis, analyse
from immich_sidecar.analysis.measure.kind import Kind
from immich_sidecar.develop.engine import render
from immich_sidecar.develop.proxy import load_proxy
from immich_sidecar.errors import SidecarError
from immich_sidecar.recipe.recipe import Operation, Source
from tests.photos.make import Display, degraded, full_exif, sample_photo, tilted, write_jpeg

EDGE = 1200
SPOILT: dict[str, dict[str, object]] = {
    "dark 1.0 EV": {"ev": -1.0},
    "dark 1.5 EV": {"ev": -1.5},
    "dark 2.5 EV": {"ev": -2.5},
    "bright 1.0 EV": {"ev": 1.0},
    "green cast": {"cast": (0.76, 1.0, 0.76)},
    "magenta cast": {"cast": (1.25, 0.95, 1.25)},
    "orange cast": {"cast": (1.3, 1.0, 0.7)},
    "blue cast": {"cast": (0.75, 1.0, 1.35)},
    "noise 12": {"noise": 8.0, "chroma_noise": 8.0},
    "flat": {"contrast": 0.6},
    "dark 1.5 EV, noise 5": {"ev": -1.5, "noise": 3.0, "chroma_noise": 4.0},
}
ANGLES = (-5.0, -2.0, -1.0, 1.0, 2.0, 5.0)


@dataclass
class Row:
    """What came of one kind of damage over all photos."""

    before: list[float] = field(default_factory=list)
    after: list[float] = field(default_factory=list)
    #: Photos for which something was applied.
    touched: int = 0


def distance(a: Display, b: Display) -> float:
    """Mean dE2000 of two pictures of about the same frame."""
    from skimage.color import deltaE_ciede2000, rgb2lab

    size = (480, max(1, round(480 * a.shape[0] / a.shape[1])))
    small = [rgb2lab(cv2.resize(p, size, interpolation=cv2.INTER_AREA)) for p in (a, b)]
    return float(deltaE_ciede2000(*small).mean())


def real_photos(folder: Path | None) -> Iterator[tuple[str, Path]]:
    """The real photos of a folder, without the broken ones."""
    for path in sorted(folder.rglob("*")) if folder else []:
        if path.is_file() and not {"broken", "weights"} & set(path.parts) and path.suffix not in {".md", ".txt"}:
            yield path.name, path


def judged(path: Path) -> tuple[Analysis, list[Operation], str]:
    """Analysis, applied operations, and a line of reasons."""
    analysis = analyse(path)
    advice = advise(analysis)
    at = datetime.now(UTC)
    operations = [
        Operation(type=s.operation, parameters=s.parameters, timestamp=at, source=Source.AI)
        for s in advice.suggestions
        if s.applied
    ]
    said = advice.left_alone or "; ".join(f"{s.reason} ({s.confidence:.2f})" for s in advice.suggestions if s.applied)
    return analysis, operations, said


def main(arguments: list[str]) -> None:
    """Print the tables."""
    cv2.setNumThreads(1)
    data = os.environ.get("SIDECAR_TEST_DATA")
    folder = Path(arguments[0]) if arguments else (Path(data) / "photos" if data else None)
    console = Console(width=150)
    with tempfile.TemporaryDirectory() as temporary:
        truths = untouched(console, folder, Path(temporary))
        spoilt(console, truths, Path(temporary))
        turned(console, truths, Path(temporary))


def untouched(console: Console, folder: Path | None, temporary: Path) -> dict[str, Display]:
    """How photos fare that nobody spoilt; the pictures that may serve as truths."""
    truths: dict[str, Display] = {
        name: sample_photo(name, shrink=1) for name in ("astronaut", "coffee", "chelsea", "rocket")
    }
    table = Table(title="Photos as they are")
    for column in ("photo", "kind", "seconds", "change (dE2000)", "outcome"):
        table.add_column(column)
    total = alone = 0
    seconds: list[float] = []
    for name, path in real_photos(folder):
        started = time.perf_counter()
        try:
            analysis, operations, said = judged(path)
        except SidecarError as error:
            table.add_row(name, "-", "-", "-", type(error).__name__)
            continue
        seconds.append(time.perf_counter() - started)
        change = 0.0
        if not analysis.facts.is_raw:
            total += 1
            alone += not operations
            colour = [o for o in operations if o.type != "straighten"]
            if colour:
                change = distance(render(path, colour, max_edge=800).image, render(path, [], max_edge=800).image)
        table.add_row(name, analysis.kind.value, f"{seconds[-1]:.2f}", f"{change:.1f}", said)
        if analysis.kind is Kind.PHOTO and not analysis.facts.is_raw and min(analysis.facts.width, 900) >= 900:
            truths[name] = load_proxy(path, max_edge=EDGE).display
    console.print(table)
    if total:
        console.print(
            f"left alone: {alone} of {total} ({alone / total:.0%}); "
            f"seconds a photo: median {np.median(seconds):.2f}, most {max(seconds):.2f}\n"
        )
    return truths


def spoilt(console: Console, truths: dict[str, Display], temporary: Path) -> None:
    """How known damage is repaired."""
    table = Table(title=f"Spoilt by a known amount ({len(truths)} photos)")
    for column in ("damage", "touched", "dE before", "dE after", "ratio", "ratio where touched", "worse by > 1 dE"):
        table.add_column(column, justify="right")
    for damage, options in SPOILT.items():
        row, gains, worse = Row(), [], []
        for name, truth in truths.items():
            picture = degraded(truth, **options)  # type: ignore[arg-type] # the options are of the right types
            path = write_jpeg(temporary / "spoilt.jpg", picture, exif=full_exif())
            _, operations, _ = judged(path)
            operations = [o for o in operations if o.type != "straighten"]
            before = distance(picture, truth)
            after = distance(render(path, operations).image, truth) if operations else before
            row.before.append(before)
            row.after.append(after)
            row.touched += bool(operations)
            if operations:
                gains.append(after / before)
            if after > before + 1:
                worse.append(name)
        table.add_row(
            damage,
            f"{row.touched}/{len(truths)}",
            f"{np.mean(row.before):.1f}",
            f"{np.mean(row.after):.1f}",
            f"{np.mean(row.after) / np.mean(row.before):.2f}",
            f"{np.mean(gains):.2f}" if gains else "-",
            ", ".join(worse) or "none",
        )
    console.print(table)


def turned(console: Console, truths: dict[str, Display], temporary: Path) -> None:
    """How known turns are found."""
    errors: list[float] = []
    far: list[str] = []
    answered = asked = 0
    for name, truth in truths.items():
        base = analyse(write_jpeg(temporary / "level.jpg", truth, exif=full_exif())).tilt
        for degrees in ANGLES:
            path = write_jpeg(temporary / "turned.jpg", tilted(truth, degrees), exif=full_exif())
            _, operations, _ = judged(path)
            asked += 1
            found = [float(o.parameters["degrees"]) for o in operations if o.type == "straighten"]
            if found:
                answered += 1
                error = abs(found[0] - degrees - (base.degrees or 0.0 if base.confidence > 0.5 else 0.0))
                errors.append(error)
                if error > 1:
                    far.append(f"{name} {degrees:+.0f}: {found[0]:+.1f}")
    table = Table(title="Turned by a known angle")
    for column in (
        "asked",
        "answered",
        "median error",
        "90 %",
        "most",
        "mean error / mean turn",
        "further than 1 degree",
    ):
        table.add_column(column, justify="right")
    if errors:
        table.add_row(
            str(asked),
            f"{answered} ({answered / asked:.0%})",
            f"{np.median(errors):.2f}",
            f"{np.percentile(errors, 90):.2f}",
            f"{max(errors):.2f}",
            f"{np.mean(errors) / np.mean(np.abs(ANGLES)):.2f}",
            ", ".join(far) or "none",
        )
    console.print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
