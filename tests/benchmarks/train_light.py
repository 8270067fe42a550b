"""Train the estimator of light on photos that are spoilt by known amounts.

Run ``python -m tests.benchmarks.train_light FOLDER [--samples FILE] [--out FILE] [--judge NAMES]`` (a second a photo
for the samples, which ``--samples`` keeps, and ten minutes for the networks). FOLDER holds one folder of photos per
source; `docs/judgement.md` names the sources that the shipped weights were made from, and their licences. Photos
of a folder whose name begins with `unseen`, or with one of NAMES (with commas between), are never trained on: they
only judge.

Every photo is shrunk, cropped, given a random light and exposure in linear light, clipped, and saved as JPEG. Two
small ensembles of networks learn to tell from `light_features` what was done: one the colour, one the brightness, as a
correction of a linear estimate. They learn a mean and a deviation (Seitzer et al. 2022, beta 0.5), and how far to
believe the formula that tells both from the levels at which channels were cut off. Figures are from photos that the
networks had not seen: five folds by photo. From the same predictions comes the calibration: a logistic curve each for
the probability that a step brings the picture nearer to the truth.
"""

import sys
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console
from rich.table import Table

from immich_sidecar.analysis.measure import light
from immich_sidecar.analysis.measure.exposure import LUMINANCE
from immich_sidecar.analysis.measure.light_features import BRIGHTNESS, light_features, vector
from immich_sidecar.develop.proxy import load_proxy
from immich_sidecar.develop.white import light_xyz
from immich_sidecar.errors import SidecarError
from tests.photos.make import SRGB_TO_XYZ, display_from_linear, linear_from_display

Array = NDArray[np.float32]

#: Linear light of each display value.
_LEVELS = linear_from_display(np.arange(256, dtype=np.uint8))
#: Longer edge of a photo when it is spoilt, and edge of the pictures that steps are tried on.
EDGE, TRIED = 512, 40
#: Random samples of each photo and samples that nothing is done to; the same of artful ones; folds; networks.
RANDOM, CLEAN, ARTFUL_RANDOM, ARTFUL_CLEAN, FOLDS, NETWORKS = 19, 3, 12, 2, 5, 6
#: Share of samples whose damage is one of a few plain ones: too dark, warm, cool, green, magenta.
PLAIN = 0.3
#: log2 factors of red, green and blue of the casts among those.
PLAIN_CASTS = ((0.38, 0.0, -0.51), (-0.41, 0.0, 0.43), (-0.4, 0.0, -0.4), (0.32, -0.07, 0.32))
#: Hidden units of a layer, and part of the features that is hidden while networks learn.
HIDDEN, DROPPED = 128, 0.1
#: How far networks believe the formula before they have learnt anything (log odds).
BELIEF = -1.0
#: Sources of pictures that were chosen or edited for their mood: learnt from, but no measure of what is usual.
ARTFUL = (
    *("bolts", "budgie", "codec", "commons", "elementary", "hawaii", "hugo", "mate", "pexels", "plasma", "popos"),
    *("ubuntu", "unsplash"),
)
#: How much such a picture counts beside others, and one that nothing was done to. That such pictures are many more than
#: that is asked of the confidence, lest every answer be drawn towards nothing.
ARTFUL_WEIGHT, CLEAN_WEIGHT = 0.3, 1.2
#: Part of a file's name that says: no photo of the world, or one whose colours are an artist's alone.
NOT_PHOTOS = (
    *("valley-midnight", "waves-midnight", "abstract-spiral", "saturnian", "spacex-81773", "tony-webster"),
    *("sebastien-gabriel", "nasa-", "jake-hills", "Fossa", "Infinite", "umang", "Painting-Color", "analogpattern"),
    *("Elephants", "GreenTraditional", "Wood.", "computer-screen", "density_plot", "multiple-icc", "webpvp8x"),
    *("motion-photo-s", "document-canon", "ng-32703"),
)


@dataclass
class Samples:
    """Spoilt pictures as the estimator sees them, and what was done to them."""

    features: Array
    #: Of `features`, the columns that the network for brightness looks at.
    brightness: NDArray[np.bool_]
    #: log2 factors of red, green, blue.
    damage: Array
    #: Which photo, and which of them are never trained on.
    photo: NDArray[np.int64]
    unseen: NDArray[np.bool_]
    #: The truth and the spoilt picture at `TRIED` pixels, `uint8`.
    truth: NDArray[np.uint8]
    spoilt: NDArray[np.uint8]
    names: list[str]

    @property
    def artful(self) -> NDArray[np.bool_]:
        """Which are of pictures whose colours and dusk are an artist's choice."""
        return np.array([name.startswith(ARTFUL) for name in self.names])[self.photo]


def photos(folder: Path) -> Iterator[tuple[str, NDArray[np.uint8]]]:
    """Name (with its source) and truth of every photo."""
    for path in sorted(folder.glob("*/*")):
        if any(part in path.name for part in NOT_PHOTOS) or not path.is_file():
            continue
        try:
            yield f"{path.parent.name}/{path.name}", load_proxy(path, max_edge=EDGE).display
        except SidecarError:
            continue


def plain_damage(random: np.random.Generator) -> Array:
    """log2 factors of red, green and blue: less light, or a cast of one of four kinds, of which green is often dark."""
    kind, size, apart = int(random.integers(0, 5)), random.uniform(0.55, 1.3), random.normal(0, 0.05, 3)
    if kind == 0:
        return np.full(3, random.uniform(-2.0, -0.7), np.float32)
    is_green = kind == 3
    ev = random.uniform(-1.5, 0) if is_green or random.random() < 0.3 else 0.0
    return np.asarray(np.array(PLAIN_CASTS[kind - 1]) * size + apart + ev, np.float32)


def random_damage(random: np.random.Generator) -> Array:
    """log2 factors of red, green and blue: a light, perhaps, and an exposure, perhaps."""
    if random.random() < PLAIN:
        return plain_damage(random)
    kind, factors = random.random(), np.zeros(3)
    if 0.35 <= kind < 0.6:
        # Along the Planckian locus, in mired away from 6500 K.
        mired = max(-85.0, random.uniform(20, 140) * random.choice([-1, 1]))
        factors = _light(1e6 / (1e6 / 6500 + mired), random.normal(0, 8))
    elif 0.6 <= kind < 0.75:
        green = random.uniform(0.15, 0.65) * random.choice([-1, 1])
        factors = np.array([green, 0, green]) + random.normal(0, 0.06, 3)
    elif 0.75 <= kind < 0.9:
        side = random.choice([-1, 1])
        factors = np.array([side * random.uniform(0.08, 0.55), 0, -side * random.uniform(0.08, 0.7)])
    elif kind >= 0.9:
        factors = random.normal(0, 0.3, 3)
    anchor = random.random()
    if anchor < 0.45:
        factors = factors - factors[1]
    elif anchor < 0.65:
        factors = factors - factors.max()
    else:
        factors = factors - np.log2(2**factors @ LUMINANCE)
    ev = 0.0 if random.random() < 0.4 else random.uniform(-2.8, 1.2)
    return (factors + ev).astype(np.float32)


def _light(kelvin: float, tint: float) -> NDArray[np.float64]:
    to_rgb = np.linalg.inv(SRGB_TO_XYZ)
    ratio = (to_rgb @ light_xyz(kelvin, tint)) / (to_rgb @ light_xyz(6500.0, 0.0))
    return np.log2(np.maximum(ratio, 0.05))


def make_samples(folder: Path) -> Samples:
    """Spoil every photo of a folder."""
    found: dict[str, list[Any]] = {n: [] for n in ("features", "damage", "photo", "unseen", "truth", "spoilt")}
    names: list[str] = []
    columns: NDArray[np.bool_] | None = None
    for name, truth in photos(folder):
        random, unseen = np.random.default_rng(zlib.crc32(name.encode())), name.startswith("unseen")
        clean, spoilt_ones = (ARTFUL_CLEAN, ARTFUL_RANDOM) if name.startswith(ARTFUL) else (CLEAN, RANDOM)
        for i in range(clean + spoilt_ones):
            picture = truth if i == 0 or random.random() < 0.4 else _cropped(truth, random)
            damage = np.zeros(3, np.float32) if i < clean else random_damage(random)
            spoilt = _spoilt(picture, damage, random, plain=i < clean)
            features = light_features(np.take(_LEVELS, spoilt))
            if columns is None:
                columns = np.concatenate([np.full(len(v), n in BRIGHTNESS) for n, v in features.items()])
            found["features"].append(vector(features))
            found["damage"].append(damage)
            found["photo"].append(len(names))
            found["unseen"].append(unseen)
            for key, image in (("truth", picture), ("spoilt", spoilt)):
                found[key].append(cv2.resize(image, (TRIED, TRIED), interpolation=cv2.INTER_AREA))
        names.append(name)
    assert columns is not None, f"no photo in {folder}"
    return Samples(brightness=columns, names=names, **{key: np.array(values) for key, values in found.items()})


def _cropped(picture: NDArray[np.uint8], random: np.random.Generator) -> NDArray[np.uint8]:
    height, width = picture.shape[:2]
    part = random.uniform(0.6, 1.0)
    h, w = int(height * part), int(width * part)
    y, x = random.integers(0, height - h + 1), random.integers(0, width - w + 1)
    return picture[y : y + h, x : x + w]


def _spoilt(
    picture: NDArray[np.uint8], damage: Array, random: np.random.Generator, *, plain: bool
) -> NDArray[np.uint8]:
    codes = cv2.LUT(picture, display_from_linear(_LEVELS[:, None, None] * np.exp2(damage))).astype(np.float32)
    if not plain and random.random() < 0.05:
        codes = (codes - 118) * random.uniform(0.6, 0.95) + 118
    if not plain and random.random() < 0.1:
        codes = codes + random.normal(0, random.uniform(2, 8), codes.shape)
    shown = np.clip(np.round(codes), 0, 255).astype(np.uint8)
    _, jpeg = cv2.imencode(".jpg", shown[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(85, 98))])
    return np.asarray(cv2.imdecode(jpeg, cv2.IMREAD_COLOR)[..., ::-1], np.uint8)


def targets(damage: Array) -> Array:
    """What is to be told: chromaticity of the light, and EV of luminance."""
    ev = np.log2(np.exp2(damage) @ LUMINANCE)
    return np.stack([damage[:, 0] - damage[:, 1], damage[:, 2] - damage[:, 1], ev], axis=1).astype(np.float32)


def train_network(x: Array, y: Array, level: Array, weight: Array, *, seed: int) -> list[Array]:
    """One network of two hidden layers (tanh), by Adam with decoupled decay.

    It tells means, log deviations and how far to believe `level`, the answers of the formula (`light.level_answer`).
    """
    random = np.random.default_rng(seed)
    count, width, out = x.shape[0], x.shape[1], y.shape[1]
    sizes = ((width, HIDDEN), (HIDDEN, HIDDEN), (HIDDEN, 3 * out))
    p: list[Any] = []
    for i, (a, b) in enumerate(sizes):
        p += [random.normal(0, (0.3 if i == 2 else 1.0) / np.sqrt(a), (a, b)).astype(np.float32), np.zeros(b, "f4")]
    p[5][2 * out :] = BELIEF
    first, second = [0 * q for q in p], [0 * q for q in p]
    epochs, batch, rate, decay = 60, 256, 4e-3, 0.1
    steps, step = epochs * (count // batch), 0
    for _ in range(epochs):
        order = random.permutation(count)
        for start in range(0, count - batch + 1, batch):
            at = order[start : start + batch]
            kept = random.random((batch, width), dtype=np.float32) > DROPPED
            seen = x[at] * kept * np.float32(1 / (1 - DROPPED))
            h1 = np.tanh(seen @ p[0] + p[1])
            h2 = np.tanh(h1 @ p[2] + p[3])
            z = h2 @ p[4] + p[5]
            told, log_dev, belief = z[:, :out], np.clip(z[:, out : 2 * out], -4, 2), 1 / (1 + np.exp(-z[:, 2 * out :]))
            apart = level[at] - told
            off, precision, beta = told + belief * apart - y[at], np.exp(-2 * log_dev), np.exp(log_dev)
            w = weight[at, None] * beta / batch
            g_mean, g_dev = off * precision * w, (1 - off * off * precision) * w
            g = np.concatenate([g_mean * (1 - belief), g_dev, g_mean * apart * belief * (1 - belief)], axis=1)
            g2 = g @ p[4].T * (1 - h2 * h2)
            g1 = g2 @ p[2].T * (1 - h1 * h1)
            gradients = (seen.T @ g1, g1.sum(0), h1.T @ g2, g2.sum(0), h2.T @ g, g.sum(0))
            step += 1
            now = rate * 0.5 * (1 + np.cos(np.pi * step / steps)) + 1e-5
            whole, size = np.float32(now / (1 - 0.9**step)), np.float32(1 - 0.999**step)
            for j, gradient in enumerate(gradients):
                first[j] += np.float32(0.1) * (gradient - first[j])
                second[j] += np.float32(0.001) * (gradient * gradient - second[j])
                if p[j].ndim == 2:
                    p[j] *= np.float32(1 - now * decay)
                p[j] -= whole * first[j] / (np.sqrt(second[j] / size) + np.float32(1e-8))
    return p


def train(samples: Samples, rows: NDArray[np.bool_], *, seed: int) -> light.Weights:
    """Both ensembles from some of the samples."""
    y = targets(samples.damage)
    clean = np.abs(samples.damage).max(axis=1) < 1e-6
    weight = (np.where(clean, CLEAN_WEIGHT, 1.0) * np.where(samples.artful, ARTFUL_WEIGHT, 1.0)).astype(np.float32)
    mean, deviation = samples.features[rows].mean(axis=0), samples.features[rows].std(axis=0) + 1e-3
    x, level = light.standardised(samples.features, mean, deviation), light.level_answer(samples.features)
    colour = [
        train_network(x[rows], y[rows, :2], level[rows, :2], weight[rows], seed=seed + i) for i in range(NETWORKS)
    ]
    linear, seen = _linear(x[:, samples.brightness], y[:, 2:], weight, rows)
    rest, level = y[:, 2:] - seen[:, -1:] / 2, level[:, 2:] - seen[:, -1:] / 2
    bright = [
        train_network(seen[rows], rest[rows], level[rows], weight[rows], seed=seed + 50 + i) for i in range(NETWORKS)
    ]
    return light.Weights(
        mean=mean.astype(np.float32),
        deviation=deviation.astype(np.float32),
        brightness=samples.brightness,
        linear=linear,
        colour=_stacked(colour),
        ev=_stacked(bright),
        colour_sure=np.zeros(0, np.float32),
        ev_sure=np.zeros(0, np.float32),
    )


def _linear(x: Array, y: Array, weight: Array, rows: NDArray[np.bool_]) -> tuple[Array, Array]:
    """Ridge regression, and the features with its answer (doubled) beside them."""
    wide = np.concatenate([x, np.ones((len(x), 1), np.float32)], axis=1).astype(np.float64)
    weighted = wide[rows] * weight[rows, None]
    penalty = 300.0 * np.eye(wide.shape[1])
    solved = np.linalg.solve(weighted.T @ wide[rows] + penalty, weighted.T @ y[rows]).astype(np.float32)
    return solved[:, 0], np.concatenate([x, 2 * wide @ solved], axis=1).astype(np.float32)


def _stacked(networks: list[list[Array]]) -> tuple[Array, ...]:
    return tuple(np.stack(layer).astype(np.float32) for layer in zip(*networks, strict=True))


def main(arguments: list[str]) -> None:
    """Make samples, cross-validate, calibrate, train on everything, write."""
    from tests.benchmarks.calibrate_light import calibrate, figures

    cv2.setNumThreads(1)
    options = {a: b for a, b in pairwise(arguments) if a.startswith("--")}
    judging = tuple(options.get("--judge", "unseen").split(","))
    kept = Path(options["--samples"]) if "--samples" in options else None
    if kept is not None and kept.exists():
        stored = np.load(kept)
        samples = Samples(**{k: stored[k] for k in stored.files if k != "names"}, names=stored["names"].tolist())
    else:
        samples = make_samples(Path(arguments[0]))
        if kept is not None:
            np.savez(kept, **vars(samples))
    samples.unseen = np.array([name.startswith((*judging, "unseen")) for name in samples.names])[samples.photo]
    console = Console(width=150)
    fold = np.random.default_rng(0).integers(0, FOLDS, len(samples.names))[samples.photo]
    predicted = np.zeros((len(fold), 3, 2), np.float32)
    for i in range(FOLDS):
        weights = train(samples, (fold != i) & ~samples.unseen, seed=100 * i)
        asked = (fold == i) | samples.unseen
        share = np.where(samples.unseen[asked], 1 / FOLDS, 1.0)[:, None, None]
        predicted[asked] += share * np.stack(light.predict(weights, samples.features[asked]), axis=2)
    weights = train(samples, ~samples.unseen, seed=1000)
    weights, told = calibrate(samples, predicted, fold, weights)
    table: Table = figures(samples, predicted, told)
    console.print(table)
    out = Path(options.get("--out", str(light.WEIGHTS)))
    light.save(weights, out)
    trained = len({int(i) for i in samples.photo[~samples.unseen]})
    console.print(f"trained on {trained} photos, {int((~samples.unseen).sum())} samples: {out}")


if __name__ == "__main__":
    main(sys.argv[1:])
