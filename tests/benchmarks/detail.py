"""Is noise found and taken away, and is what is clean left alone?

Run ``python -m tests.benchmarks.detail [FOLDER] [--photos N]`` (some minutes); FOLDER (default: `photos` in
``SIDECAR_TEST_DATA``) holds real photos. Each is shrunk to a truth of 1000 pixels, gets a sensor's noise in linear
light (variance shot * x + read, read = exp(2.18 ln shot + 1.20), Brooks et al. 2019), is written as JPEG or RAW,
analysed, advised and rendered. Gains are PSNR in dB against the truth, over doing nothing; for RAW files sharpening
is judged on a truth that a lens has blurred by 0.7 pixels before the sensor saw it.
"""

import os
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from immich_sidecar.advise.adviser import APPLY_AT, advise
from immich_sidecar.analysis.analysis import analyse
from immich_sidecar.analysis.measure.kind import Kind
from immich_sidecar.develop.engine import render
from immich_sidecar.develop.proxy import load_proxy
from immich_sidecar.errors import SidecarError
from immich_sidecar.recipe.recipe import Operation, Source
from tests.benchmarks.judgement import real_photos
from tests.photos.make import (
    Display,
    display_from_linear,
    full_exif,
    linear_from_display,
    write_dng,
    write_jpeg,
)

EDGE = 1000
#: Shot noise and JPEG quality; 100 is nearly lossless.
SPOILT = ((0.0, 95), (0.0, 80), (0.0002, 100), (0.0008, 100), (0.0008, 92), (0.004, 100), (0.004, 92), (0.012, 85))
RAW_SHOTS = (1e-5, 0.0002, 0.0008, 0.004, 0.012)
BINS = ((0.0, 0.3), (0.3, 0.6), (0.6, 0.9), (0.9, 1.01))


def noisy(truth: Display, shot: float, seed: int = 1) -> Display:
    """A truth as a sensor would see it."""
    if not shot:
        return truth
    linear = linear_from_display(truth).astype(np.float64)
    read = float(np.exp(2.18 * np.log(shot) + 1.20))
    grain = np.random.default_rng(seed).normal(0.0, 1.0, linear.shape)
    return display_from_linear(linear + grain * np.sqrt(shot * linear + read))


def psnr(picture: Display, truth: Display) -> float:
    """Peak signal to noise ratio in dB."""
    error = np.mean((picture.astype(np.float64) - truth) ** 2)
    return float(10 * np.log10(255.0**2 / max(error, 1e-3)))


def truths(folder: Path, most: int) -> Iterator[tuple[str, Display]]:
    """Photos that are at least twice as large as the truth made of them."""
    count = 0
    for name, path in real_photos(folder):
        try:
            proxy = load_proxy(path, max_edge=EDGE)
        except SidecarError:
            continue
        if proxy.is_raw or proxy.scale > 0.5:
            continue
        height, width = (n - n % 2 for n in proxy.display.shape[:2])
        yield name, np.ascontiguousarray(proxy.display[:height, :width])
        count += 1
        if count == most:
            return


def step(kind: str, parameters: dict[str, object]) -> Operation:
    """One operation of a recipe."""
    return Operation(type=kind, parameters=parameters, timestamp=datetime.now(UTC), source=Source.AI)


def judged(path: Path, truth: Display) -> dict[str, tuple[float, float]]:
    """For each detail step that is suggested its confidence and its gain."""
    analysis = analyse(path)
    if analysis.kind is not Kind.PHOTO:
        return {}
    suggestions = advise(analysis).suggestions
    base = [step(s.operation, s.parameters) for s in suggestions if s.operation == "decode"]
    result = {}
    before = psnr(render(path, base).image, truth)
    for one in suggestions:
        if one.operation in ("denoise", "sharpen"):
            after = psnr(render(path, [*base, step(one.operation, one.parameters)]).image, truth)
            result[one.operation] = (one.confidence, after - before)
    return result


def main(arguments: list[str]) -> None:
    """Print the tables."""
    cv2.setNumThreads(1)
    most = int(arguments.pop(arguments.index("--photos") + 1)) if "--photos" in arguments else 12
    names = [a for a in arguments if a != "--photos"]
    folder = Path(names[0]) if names else Path(os.environ["SIDECAR_TEST_DATA"]) / "photos"
    console = Console(width=130)
    pictures = list(truths(folder, most))
    steps: dict[str, list[tuple[float, float]]] = {"denoise": [], "denoise (RAW)": [], "sharpen (RAW)": []}
    table = Table(title=f"Noise in {len(pictures)} photos")
    for column in ("file", "shot noise", "applied", "gain where applied, dB", "least", "worse"):
        table.add_column(column, justify="right")
    with tempfile.TemporaryDirectory() as temporary:
        for shot, quality in SPOILT:
            gains = []
            for _, truth in pictures:
                path = write_jpeg(Path(temporary) / "a.jpg", noisy(truth, shot), quality=quality, exif=full_exif())
                found = judged(path, truth).get("denoise")
                steps["denoise"] += [found] if found else []
                gains += [found[1]] if found and found[0] >= APPLY_AT else []
            table.add_row(f"JPEG {quality}", f"{shot:g}", *told(gains, len(pictures)))
        for shot in RAW_SHOTS:
            gains = []
            for _, truth in pictures:
                path = write_dng(Path(temporary) / "a.dng", truth, shot=shot, preview=truth)
                found = judged(path, truth).get("denoise")
                steps["denoise (RAW)"] += [found] if found else []
                gains += [found[1]] if found and found[0] >= APPLY_AT else []
            table.add_row("RAW", f"{shot:g}", *told(gains, len(pictures)))
        console.print(table)
        for shot in RAW_SHOTS[:3]:
            for _, truth in pictures:
                seen = np.asarray(cv2.GaussianBlur(truth, (0, 0), 0.7), np.uint8)
                path = write_dng(Path(temporary) / "a.dng", seen, shot=shot, preview=seen)
                found = judged(path, truth).get("sharpen")
                steps["sharpen (RAW)"] += [found] if found else []
    calibration = Table(title="Of the steps announced with a confidence of ..., so many come nearer to the truth")
    for column in ("step", "confidence", "steps", "better", "mean gain, dB"):
        calibration.add_column(column, justify="right")
    for kind, found_steps in steps.items():
        for low, high in BINS:
            gained = [gain for confidence, gain in found_steps if low <= confidence < high]
            if gained:
                better = f"{np.mean(np.array(gained) > 0):.0%}"
                span = f"{low:.1f} to {min(high, 1.0):.1f}"
                calibration.add_row(kind, span, str(len(gained)), better, f"{np.mean(gained):+.2f}")
    console.print(calibration)


def told(gains: list[float], count: int) -> tuple[str, str, str, str]:
    """A line about the gains of the applied steps."""
    if not gains:
        return f"0/{count}", "-", "-", "-"
    worse = sum(gain < 0 for gain in gains)
    return f"{len(gains)}/{count}", f"{np.mean(gains):+.2f}", f"{min(gains):+.2f}", str(worse)


if __name__ == "__main__":
    main(sys.argv[1:])
