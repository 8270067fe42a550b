"""How near do developed RAW files come to the camera's own picture, and to the truth where the camera went wrong?

Run ``python -m tests.benchmarks.raw_look [--photos N] [--part even|odd] [--peers] [FOLDER]`` (some minutes). FOLDER
(default: `photos` in ``SIDECAR_TEST_DATA``) holds real photos. Real RAW files with a large camera picture are fitted on
one half of their tiles and judged on the other. Then each photo is shrunk to a truth of about 1000 pixels and written
as a RAW file of an invented camera: with the picture of a random known look; and, to be developed back to the truth,
3 EV too dark, with a wrong as-shot white balance, and with the noise of ISO 3200. Everything is analysed, advised and
rendered as in the service. Figures are mean dE2000; "ratio" compares with LibRaw's own automatic development in the
same run. `--peers` adds RawTherapee (auto-matched curve) and darktable where they are installed; they are slow, and
see whole pictures.
"""

import argparse
import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from immich_sidecar.advise.adviser import advise
from immich_sidecar.advise.suggestion import Advice
from immich_sidecar.analysis.analysis import analyse
from immich_sidecar.analysis.measure.look import fit_look
from immich_sidecar.develop.engine import render
from immich_sidecar.develop.proxy import load_proxy
from immich_sidecar.errors import SidecarError
from immich_sidecar.recipe.recipe import Operation, Source
from tests.benchmarks.judgement import distance, real_photos
from tests.photos.make import Display, display_from_linear, linear_from_display, random_look, sample_photo, write_dng

EDGE = 1000
#: Rows and columns of tiles of which every second one is fitted.
TILES = 8, 12
#: Photon noise of an invented sensor at its base ISO, and at ISO 3200 (see `write_dng`).
CLEAN, ISO_3200 = 1e-4, 0.006
#: What the camera takes the light for: a warm lamp, deep shade, a green tube.
WRONG = {"blue": (1.5, 1.0, 0.62), "orange": (0.7, 1.0, 1.4), "green": (1.2, 1.0, 1.25)}
RAWTHERAPEE = Path("/usr/share/rawtherapee/profiles/Auto-Matched Curve - ISO Low.pp3")

Developer = Callable[[Path], Display | None]


def operations_of(advice: Advice) -> list[Operation]:
    """The applied steps that change light and colour."""
    at = datetime.now(UTC)
    return [
        Operation(type=s.operation, parameters=s.parameters, timestamp=at, source=Source.AI)
        for s in advice.suggestions
        if s.applied and s.operation not in ("straighten", "crop")
    ]


def by_rawpy(path: Path) -> Display:
    """LibRaw with the camera's white balance and automatic brightness."""
    import rawpy

    with rawpy.imread(str(path)) as file:
        return np.asarray(file.postprocess(use_camera_wb=True))


def by_rawtherapee(path: Path) -> Display | None:
    """RawTherapee with the curve that it matches to the camera's picture."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.png"
        command = ["rawtherapee-cli", "-o", str(out), "-n", "-Y", "-p", str(RAWTHERAPEE), "-c", str(path)]
        return _read(command, out)


def by_darktable(path: Path) -> Display | None:
    """Darktable as it is by default."""
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "out.png"
        command = ["darktable-cli", str(path), str(out), "--core", "--configdir", folder, "--library", ":memory:"]
        return _read(command, out)


def _read(command: list[str], out: Path) -> Display | None:
    subprocess.run(command, check=False, capture_output=True, timeout=300)
    image = cv2.imread(str(out)) if out.exists() else None
    return None if image is None else np.ascontiguousarray(image[..., ::-1])


def peers(wanted: bool) -> dict[str, Developer]:
    """The programs to compare with."""
    found: dict[str, Developer] = {"LibRaw": by_rawpy}
    if wanted and shutil.which("rawtherapee-cli") and RAWTHERAPEE.exists():
        found["RawTherapee"] = by_rawtherapee
    if wanted and shutil.which("darktable-cli"):
        found["darktable"] = by_darktable
    return found


def truths(folder: Path | None, count: int, part: str | None) -> Iterator[tuple[str, Display]]:
    """Photos at about `EDGE` pixels, shrunk at least twice; of every second one the even or the odd."""
    found = 0
    for number, (name, path) in enumerate(real_photos(folder)):
        if found >= count or (part and number % 2 != (part == "odd")):
            continue
        try:
            proxy = load_proxy(path, max_edge=EDGE)
        except SidecarError:
            continue
        if proxy.is_raw or max(proxy.full_size) < 1.9 * EDGE:
            continue
        found += 1
        yield name, proxy.display
    for name in ("astronaut", "coffee", "chelsea", "rocket"):
        if found < count:
            found += 1
            yield name, sample_photo(name, shrink=2)


def framing(picture: Display, shown: Display) -> np.ndarray:
    """Where the camera's picture lies in another of the scene: a 3x3 matrix of places as fractions of the sides."""
    size = 1200, round(1200 * shown.shape[0] / shown.shape[1])
    small = [
        cv2.cvtColor(cv2.resize(p, size, interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY) for p in (shown, picture)
    ]
    a, b = (cv2.equalizeHist(p).astype(np.float32) for p in small)
    steps = (cv2.TERM_CRITERIA_EPS | cv2.TERM_CRITERIA_COUNT, 60, 1e-5)
    _, warp = cv2.findTransformECC(a, b, np.eye(2, 3, dtype=np.float32), cv2.MOTION_AFFINE, steps, None, 5)
    to_pixels = np.array([[size[0], 0, -0.5], [0, size[1], -0.5], [0, 0, 1]])
    return np.asarray(np.linalg.inv(to_pixels) @ np.vstack([warp, [0, 0, 1]]) @ to_pixels)


def framed(picture: np.ndarray, where: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """That part of a picture, with a size of (width, height)."""
    height, width = picture.shape[:2]
    inside = np.array([[width, 0, -0.5], [0, height, -0.5], [0, 0, 1]])
    outside = np.array([[size[0], 0, -0.5], [0, size[1], -0.5], [0, 0, 1]])
    matrix = (inside @ where @ np.linalg.inv(outside))[:2]
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(cv2.warpAffine(picture, matrix, size, flags=flags, borderMode=cv2.BORDER_REPLICATE))


def halved(picture: np.ndarray, half: int) -> np.ndarray:
    """A picture of the tiles of one half, each row of them moved together."""
    height, width = picture.shape[0] // TILES[0], picture.shape[1] // TILES[1]
    tiles = picture[: TILES[0] * height, : TILES[1] * width].reshape(TILES[0], height, TILES[1], width, 3)
    kept = [tiles[i, :, (i + half) % 2 :: 2].reshape(height, -1, 3) for i in range(TILES[0])]
    return np.ascontiguousarray(np.concatenate(kept))


def half_judged(picture: Display, shown: Display, half: int) -> float:
    """Mean dE2000 over the tiles of one half, at 480 pixels."""
    from skimage.color import deltaE_ciede2000, rgb2lab

    size = 480, round(480 * shown.shape[0] / shown.shape[1])
    a, b = (cv2.resize(p, size, interpolation=cv2.INTER_AREA) for p in (picture, shown))
    return float(deltaE_ciede2000(rgb2lab(halved(a, half)), rgb2lab(halved(b, half))).mean())


def half_fitted(path: Path, half: int) -> Display:
    """Our rendering where the look was fitted to the tiles of one half only."""
    proxy = load_proxy(path)
    if proxy.embedded is None or proxy.camera is None:
        raise ValueError(f"{path.name} holds no picture of the camera's, or its colours are unknown")
    # The same places in both: the RAW data are cut to what the camera's picture shows.
    where = framing(display_from_linear(proxy.linear * 2.5), proxy.embedded)
    scene = framed(proxy.linear, where, (proxy.linear.shape[1], proxy.linear.shape[0]))
    look = fit_look(halved(scene, half), halved(proxy.embedded, half), proxy.camera.to_srgb)
    decode = {
        "baseline_ev": look.baseline_ev,
        "tone_curve": [list(p) for p in look.tone_curve],
        "colour_matrix": [list(r) for r in look.colour_matrix or ()],
    }
    return render(
        path, [Operation(type="decode", parameters=decode, timestamp=datetime.now(UTC), source=Source.AI)]
    ).image


def real(console: Console, folder: Path | None, others: dict[str, Developer]) -> None:
    """Real RAW files against their camera's picture."""
    table = Table(
        title="Real RAW files: one half of the tiles fitted, the other judged (both ways); peers see all tiles"
    )
    for column in ("file", "ours", "ratio to LibRaw", *others):
        table.add_column(column, justify="right")
    for name, path in real_photos(folder):
        try:
            proxy = load_proxy(path)
        except SidecarError:
            continue
        if not proxy.is_raw or proxy.camera is None or proxy.embedded is None or max(proxy.embedded.shape) < 480:
            continue
        shown = proxy.embedded
        size = shown.shape[1], shown.shape[0]

        def judged(picture: Display, halves: tuple[int, ...] = (0, 1), shown: Display = shown) -> float:
            same = framed(picture, framing(picture, shown), (shown.shape[1], shown.shape[0]))
            return float(np.mean([half_judged(same, shown, h) for h in halves]))

        own = float(np.mean([judged(half_fitted(path, half), (1 - half,)) for half in (0, 1)]))
        values = {n: judged(p) for n, develop in others.items() if (p := develop(path)) is not None}
        table.add_row(
            f"{name} ({size[0]} x {size[1]})",
            f"{own:.2f}",
            f"{own / values['LibRaw']:.2f}",
            *(f"{values[n]:.2f}" if n in values else "-" for n in others),
        )
    console.print(table)


@dataclass(frozen=True)
class Case:
    """One way to make a RAW file of a truth, and the goal for what is developed from it."""

    name: str
    goal: float
    #: Writes the file; returns what it should be developed to.
    make: Callable[[Path, Display, int], Display]


def _looked(path: Path, truth: Display, seed: int) -> Display:
    scene = linear_from_display(truth)
    meant = random_look(seed)(scene)
    write_dng(path, truth, ev=-0.3 - 0.25 * (seed % 7), shot=CLEAN, preview=meant, seed=seed)
    return meant


def _spoilt(**options: Any) -> Callable[[Path, Display, int], Display]:
    """A RAW file whose faithful development is the truth, spoilt; `shown` adds the camera's picture of it."""

    def make(path: Path, truth: Display, seed: int) -> Display:
        chosen = dict(options)
        shown = chosen.pop("shown", False)
        preview = None
        if shown:
            seen = linear_from_display(truth) / np.array(chosen.get("as_shot", (1.0, 1.0, 1.0)), np.float32)
            # A camera brightens what it darkened itself to keep highlights, not what was exposed wrongly.
            seen *= np.float32(2.0 ** chosen["ev"] if chosen["ev"] < -1 else 1.0)
            preview = display_from_linear(seen)
        write_dng(path, truth, preview=preview, seed=seed, **chosen)
        return truth

    return make


CASES = (
    Case("picture of a known look", 4.0, _looked),
    Case("as it is, no picture", 5.0, _spoilt(shot=CLEAN)),
    Case("-1.5 EV, no picture", 5.0, _spoilt(ev=-1.5, shot=CLEAN)),
    Case("-3 EV, no picture", 5.0, _spoilt(ev=-3.0, shot=CLEAN)),
    Case("-3 EV, its picture", 5.0, _spoilt(ev=-3.0, shot=CLEAN, shown=True)),
    *(
        Case(f"as-shot wrong, {colour}{', its picture' if shown else ', no picture'}", 6.0,
             _spoilt(as_shot=factors, ev=-0.7, shot=CLEAN, shown=shown))
        for colour, factors in WRONG.items() for shown in (False, True)
    ),
    Case("ISO 3200, no picture", 6.0, _spoilt(ev=-0.3, shot=ISO_3200, iso=3200)),
    Case("ISO 3200, its picture", 6.0, _spoilt(ev=-0.3, shot=ISO_3200, iso=3200, shown=True)),
)  # fmt: skip


def known(console: Console, pictures: dict[str, Display], others: dict[str, Developer], chosen: str) -> None:
    """RAW files made from known truths."""
    table = Table(title=f"Known truths as RAW files ({len(pictures)} photos)")
    for column in ("case", "goal", "ours", "90 %", "worst", "ratio to LibRaw", "fit, s", *others):
        table.add_column(column, justify="right")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "photo.dng"
        for case in CASES:
            if chosen not in case.name:
                continue
            own: dict[str, float] = {}
            seconds: list[float] = []
            rest: dict[str, list[float]] = {n: [] for n in others}
            for seed, (name, truth) in enumerate(pictures.items()):
                meant = case.make(path, truth, seed)
                meant = meant[: meant.shape[0] // 2 * 2, : meant.shape[1] // 2 * 2]
                analysis = analyse(path)
                seconds.append(analysis.seconds["look"])
                picture = render(path, operations_of(advise(analysis))).image
                own[name] = distance(picture, meant)
                for n, develop in others.items():
                    developed = develop(path)
                    if developed is not None:
                        rest[n].append(distance(developed, meant))
            values = list(own.values())
            worst = max(own, key=lambda n: own[n])
            table.add_row(
                case.name,
                f"{case.goal:.0f}",
                f"{np.mean(values):.2f}",
                f"{np.percentile(values, 90):.1f}",
                f"{own[worst]:.1f} {worst}",
                f"{np.mean(values) / np.mean(rest['LibRaw']):.2f}",
                f"{np.median(seconds):.2f}",
                *(f"{np.mean(rest[n]):.2f}" if rest[n] else "-" for n in others),
            )
    console.print(table)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--photos", type=int, default=30, help="how many photos at most")
    parser.add_argument("--part", choices=("even", "odd"), help="only every second photo")
    parser.add_argument("--peers", action="store_true", help="with RawTherapee and darktable")
    parser.add_argument("--case", default="", help="only cases whose name contains this; no real files")
    arguments = parser.parse_args()
    cv2.setNumThreads(1)
    data = os.environ.get("SIDECAR_TEST_DATA")
    folder = arguments.folder or (Path(data) / "photos" if data else None)
    console = Console(width=170)
    others = peers(arguments.peers)
    if not arguments.case:
        real(console, folder, others)
    known(console, dict(truths(folder, arguments.photos, arguments.part)), others, arguments.case)


if __name__ == "__main__":
    main()
