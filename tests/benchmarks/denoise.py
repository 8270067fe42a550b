"""How much nearer to the truth does noise removal bring a noisy photo, and what does it cost?

Run ``python -m tests.benchmarks.denoise [FOLDER] [--photos N]`` (about two minutes); FOLDER (default: `photos` in
``SIDECAR_TEST_DATA``) holds real photos. Each is shrunk by at least two (box filter) to a truth, of which the middle
is given noise of the variance shot * x + read in linear light x, with read = exp(2.18 ln shot + 1.2) (Brooks et al.
2019), and rounded to eight bits. Gains are PSNR after minus before, in dB, mean over all photos (smallest in
brackets); times are those of the process, one thread, per megapixel. Our strengths are those that are measured in
the noisy picture, as the adviser asks for them; peers are told the true deviation.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from immich_sidecar.analysis.measure.noise import measure_noise
from immich_sidecar.develop.detail import denoised
from immich_sidecar.recipe.plan import DetailPlan
from tests.photos.make import Display, display_from_linear, linear_from_display

SHOTS = (0.0008, 0.004)
#: The gains at these, in dB, and the time per megapixel, in ms, that are asked for.
GOAL = (3.5, 7.0, 20.0)
EDGE, PATCH = 768, 256
#: Photos on which thresholds were chosen; what is reported is about others.
CHOSEN_ON = ("beers", "fruit", "koi", "tower", "group", "palace")

Denoiser = Callable[[Display, float], Display]


def truth(path: Path) -> Display | None:
    """The middle of a photo, shrunk by at least two; None for what is too small."""
    stored = cv2.imread(str(path))
    if stored is None or max(stored.shape) < 2 * EDGE:
        return None
    factor = max(2, round(max(stored.shape) / 1400))
    height, width = stored.shape[0] // factor, stored.shape[1] // factor
    whole = stored[: height * factor, : width * factor, ::-1]
    small = cv2.resize(np.ascontiguousarray(whole), (width, height), interpolation=cv2.INTER_AREA)
    top, left = max(0, height - EDGE) // 2, max(0, width - EDGE) // 2
    return np.ascontiguousarray(small[top : top + EDGE, left : left + EDGE])


def noisy(picture: Display, shot: float) -> Display:
    """The picture as a sensor with that shot noise would have it."""
    light = linear_from_display(picture)
    deviation = np.sqrt(shot * light + np.exp(2.18 * np.log(shot) + 1.2))
    return display_from_linear(light + np.random.default_rng(0).normal(size=light.shape) * deviation)


def deviation_at_grey(shot: float) -> float:
    """The deviation of such noise in code values at middle grey."""
    slope = 1.055 / 2.4 * 0.18 ** (1 / 2.4 - 1)
    return float(255 * slope * np.sqrt(shot * 0.18 + np.exp(2.18 * np.log(shot) + 1.2)))


def psnr(picture: Display, wanted: Display) -> float:
    """Peak signal to noise ratio in dB."""
    return float(10 * np.log10(255**2 / np.mean((picture.astype(float) - wanted) ** 2)))


def ours(picture: Display, _sigma: float) -> Display:
    """The engine's, as strong as what is measured."""
    luma, chroma = [], []
    for y in range(0, picture.shape[0] - PATCH + 1, PATCH):
        for x in range(0, picture.shape[1] - PATCH + 1, PATCH):
            patch = picture[y : y + PATCH, x : x + PATCH].astype(np.float32) / np.float32(255)
            light = (patch @ np.array([0.299, 0.587, 0.114], np.float32)).astype(np.float32)
            luma.append(light)
            chroma.append(np.stack([(patch[..., 2] - light) / 1.772, (patch[..., 0] - light) / 1.402], axis=-1))
    noise = measure_noise(luma, chroma)
    plan = DetailPlan(luma=min(100, 0.8 * noise.luma / 0.255), chroma=min(100, noise.chroma / 0.255))
    started = time.process_time()
    clean = denoised(picture, plan)
    # Measuring is the analysis's part and not counted.
    ours.seconds = time.process_time() - started  # type: ignore[attr-defined]
    return clean


def bilateral(picture: Display, sigma: float) -> Display:
    """OpenCV's bilateral filter; here and below, the best of some settings."""
    return np.asarray(cv2.bilateralFilter(picture, 7, 5.0 * sigma, 1.5), np.uint8)


def nlm(picture: Display, sigma: float) -> Display:
    """OpenCV's coloured non-local means."""
    return np.asarray(cv2.fastNlMeansDenoisingColored(picture, None, 0.7 * sigma, 1.4 * sigma, 3, 13), np.uint8)


def nlm_and_guided(picture: Display, sigma: float) -> Display:
    """OpenCV's non-local means of luma, and a guided filter of the colour differences by it."""
    luma, red, blue = cv2.split(cv2.cvtColor(picture, cv2.COLOR_RGB2YCrCb))
    luma = cv2.fastNlMeansDenoising(luma, None, 0.9 * sigma, 3, 13)
    clean = [cv2.ximgproc.guidedFilter(luma, plane, 4, (0.6 * sigma) ** 2) for plane in (red, blue)]
    return np.asarray(cv2.cvtColor(cv2.merge([luma, *clean]), cv2.COLOR_YCrCb2RGB), np.uint8)


def median(picture: Display, _sigma: float) -> Display:
    """A median of 3 x 3."""
    return np.asarray(cv2.medianBlur(picture, 3), np.uint8)


PEERS: dict[str, Denoiser] = {
    "immich-sidecar": ours,
    "bilateral": bilateral,
    "median 3 x 3": median,
    "coloured NLM": nlm,
    "NLM + guided": nlm_and_guided,
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", nargs="?", default=os.environ.get("SIDECAR_TEST_DATA", "../shared") + "/photos")
    parser.add_argument("--photos", type=int, default=100)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    paths = [p for p in sorted(Path(options.folder).glob("*.jpg")) if not p.name.startswith(CHOSEN_ON)]
    truths = [t for t in map(truth, paths) if t is not None][: options.photos]
    if not truths:
        sys.exit(f"no photos in {options.folder}")
    ours(truths[0], 5.0)
    gains: dict[str, list[list[float]]] = {name: [[] for _ in SHOTS] for name in PEERS}
    seconds = dict.fromkeys(PEERS, 0.0)
    megapixels = 0.0
    for picture in truths:
        for i, shot in enumerate(SHOTS):
            spoilt = noisy(picture, shot)
            megapixels += picture.shape[0] * picture.shape[1] / 1e6
            before = psnr(spoilt, picture)
            for name, denoise in PEERS.items():
                started = time.process_time()
                clean = denoise(spoilt, deviation_at_grey(shot))
                took = time.process_time() - started
                seconds[name] += ours.seconds if denoise is ours else took  # type: ignore[attr-defined]
                gains[name][i].append(psnr(clean, picture) - before)
    table = Table("denoise", *(f"gain at shot {shot}" for shot in SHOTS), "ms per megapixel", "time to ours")
    own = seconds["immich-sidecar"]
    for name in PEERS:
        shown = [f"{np.mean(one):+.2f} dB ({np.min(one):+.2f})" for one in gains[name]]
        table.add_row(name, *shown, f"{1000 * seconds[name] / megapixels:.1f}", f"{seconds[name] / own:.1f}")
    table.add_row("goal", *(f"{goal:+.1f} dB" for goal in GOAL[:2]), f"{GOAL[2]:.0f}", "")
    console = Console()
    console.print(f"{len(truths)} photos, {megapixels:.0f} megapixels in all")
    console.print(table)


if __name__ == "__main__":
    main()
