"""Train the network that weighs directions, on ordinary photos turned by known angles.

Run ``python -m tests.benchmarks.train_weighing FOLDER JUDGED`` (half an hour on one core; needs torch). FOLDER holds
one folder of photos per source; `docs/judgement.md` names the sources of the shipped weights, and their licences.
Folders whose name begins with `unseen` are left out, and so is every photo that looks like one of those that the trees
are grown from and judged with (`tilt_photos`, found under JUDGED).

Nobody has told how the photos lean: they are taken to be level, most are within a degree. Each is turned by random
angles, cut at random (so that neither the shape nor the sharpness of a cut tells the angle), and sometimes made
lighter, noisier, softer, or saved as JPEG. What the network then says about all cuts of a photo together tells how the
photo itself leans (with the belief that leans have a deviation of 0.8 degrees); with those leans it learns on.
"""

import sys
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from immich_sidecar.analysis.measure.tilt import weighing
from immich_sidecar.analysis.measure.tilt.maps import LEVELS, UPRIGHTS, Display, maps
from immich_sidecar.develop.proxy import load_proxy
from immich_sidecar.errors import SidecarError
from tests.benchmarks.tilt_photos import known_photos
from tests.benchmarks.weighing_net import net, plain_weights

Array = NDArray[np.float32]

#: Longer edge of a photo when it is turned; random cuts of each; largest angle.
EDGE, CUTS, MOST = 640, 14, 12.0
#: Heights and widths of cuts, in pixels.
SHAPES = ((288, 384), (384, 288), (336, 336), (256, 432), (432, 256))
#: Steps and deviation of the truth, in degrees, before and after the photos' own leans are told; cuts in a step.
FIRST, SECOND, BATCH = (1800, 0.6), (2800, 0.5), 64
#: Two photos whose prints differ in fewer of 256 bits are taken for one.
_SAME, _LIKE_JUDGED = 30, 40
#: Belief in how photos lean, and how far several cuts of one photo are to be believed.
_BELIEF, _EACH = 0.8, 0.35


@dataclass(frozen=True, eq=False)
class Cuts:
    """Maps of all cuts of one shape."""

    maps: NDArray[np.float16]
    #: By how many degrees each was turned, and which photo it is of.
    turned: Array
    photo: NDArray[np.int64]


def print_of(picture: Display) -> NDArray[np.bool_]:
    """Whether it gets lighter to the right, in 16 x 16 places."""
    small = cv2.resize(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY), (17, 16), interpolation=cv2.INTER_AREA)
    return np.asarray(small[:, 1:] > small[:, :-1]).ravel()


def photos(folder: Path, judged: Path, console: Console) -> list[Display]:
    """Every photo once, none of those that are judged."""
    known = np.array([print_of(photo.picture()) for photo in known_photos([judged])])
    found: list[Display] = []
    prints: list[NDArray[np.bool_]] = []
    for path in sorted(folder.glob("*/*")):
        if path.parent.name.startswith("unseen"):
            continue
        try:
            picture = load_proxy(path, max_edge=EDGE).display
        except SidecarError:
            continue
        edges = sorted(picture.shape[:2])
        if edges[0] < 220 or edges[1] > 2.2 * edges[0]:
            continue
        both = print_of(picture), print_of(np.ascontiguousarray(picture[:, ::-1]))
        if any((known != one).sum(axis=1).min() < _LIKE_JUDGED for one in both):
            continue
        if prints and any((np.array(prints) != one).sum(axis=1).min() < _SAME for one in both):
            continue
        prints.append(both[0])
        found.append(np.ascontiguousarray(picture))
    console.print(f"{len(found)} photos")
    return found


def cut(picture: Display, degrees: float, shape: tuple[int, int], random: np.random.Generator) -> Display:
    """A random part of a picture that is turned counterclockwise, nothing beyond its borders."""
    (height, width), (rows, columns) = picture.shape[:2], shape
    angle = np.radians(degrees)
    cosine, sine = abs(np.cos(angle)), abs(np.sin(angle))
    across, down = columns * cosine + rows * sine, columns * sine + rows * cosine
    scale = min(width / across, height / down) * random.uniform(0.75, 1)
    middle = [
        scale * size / 2 + random.random() * (edge - scale * size) for size, edge in ((across, width), (down, height))
    ]
    way = np.zeros((2, 3))
    way[:, :2] = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    way[:, 2] = middle - way[:, :2] @ [(columns - 1) / 2, (rows - 1) / 2]
    if scale > 1.35:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), 0.45 * scale), np.uint8)
    flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    return np.asarray(
        cv2.warpAffine(picture, way, (columns, rows), flags=flags, borderMode=cv2.BORDER_REFLECT), np.uint8
    )


def worn(picture: Display, random: np.random.Generator) -> Display:
    """Perhaps lighter or darker, toned, noisy, grey, soft, saved as JPEG."""
    if random.random() < 0.4:
        light = 255 * (picture.astype(np.float32) / 255) ** np.exp(random.normal(0, 0.3))
        light *= np.exp(random.normal(0, 0.06, 3)).astype(np.float32)
        if random.random() < 0.5:
            light += random.normal(0, random.uniform(1, 6), light.shape).astype(np.float32)
        picture = np.clip(light, 0, 255).astype(np.uint8)
    if random.random() < 0.1:
        picture = np.repeat(cv2.cvtColor(picture, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2).astype(np.uint8)
    if random.random() < 0.15:
        picture = np.asarray(cv2.GaussianBlur(picture, (0, 0), random.uniform(0.5, 1.2)), np.uint8)
    if random.random() < 0.25:
        file = cv2.imencode(".jpg", picture[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, int(random.integers(60, 93))])[1]
        picture = np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR)[..., ::-1], np.uint8)
    return np.ascontiguousarray(picture)


def make_cuts(pictures: list[Display]) -> list[Cuts]:
    """Random cuts of all photos, by shape."""
    random = np.random.default_rng(1)
    order = np.concatenate([random.permutation(len(pictures)) for _ in range(CUTS)])
    out: list[list[tuple[NDArray[np.float16], float, int]]] = [[] for _ in SHAPES]
    for i in order:
        picture = pictures[i]
        shape = int(random.integers(len(SHAPES)))
        if random.random() < 0.6:
            ratio = picture.shape[0] / picture.shape[1]
            shape = int(np.argmin([abs(np.log(height / width / ratio)) for height, width in SHAPES]))
        even = random.random() < 0.7
        degrees = float(np.clip(random.uniform(-MOST, MOST) if even else random.normal(0, 2.5), -MOST, MOST))
        part = worn(cut(picture, degrees, SHAPES[shape], random), random)
        out[shape].append((maps(part).astype(np.float16), degrees, int(i)))
    return [
        Cuts(
            np.stack([m for m, _, _ in some]),
            np.array([d for _, d, _ in some], np.float32),
            np.array([i for _, _, i in some]),
        )
        for some in out
    ]


def mirrored(some: Array) -> Array:
    """Maps of the mirrored picture."""
    parts = some[:, :LEVELS][:, ::-1], some[:, LEVELS : LEVELS + UPRIGHTS][:, ::-1], some[:, LEVELS + UPRIGHTS :]
    return np.ascontiguousarray(np.concatenate(parts, axis=1)[..., ::-1])


def learn(network: Any, cuts: list[Cuts], own: Array, course: tuple[int, float], console: Console) -> Any:
    """Train on, and give back the running mean of the network over its last steps."""
    import torch
    from torch.nn.functional import log_softmax

    steps, deviation = course
    random = np.random.default_rng(steps)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3, weight_decay=0.02)
    mean = deepcopy(network)
    chance = np.array([part.photo.size for part in cuts], float)
    losses = []
    network.train()
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = 3e-3 * min(1, (step + 1) / 150) * (0.5 + 0.5 * np.cos(np.pi * step / steps) + 0.003)
        part = cuts[random.choice(len(cuts), p=chance / chance.sum())]
        some = np.sort(random.choice(part.photo.size, BATCH))
        seen, lean = part.maps[some].astype(np.float32), part.turned[some] + own[part.photo[some]]
        if random.random() < 0.5:
            seen, lean = mirrored(seen), -lean
        truth = np.exp(-0.5 * ((weighing.LEANS - lean[:, None]) / deviation) ** 2) + 1e-12
        truth = torch.from_numpy((truth / truth.sum(axis=1, keepdims=True)).astype(np.float32))
        loss = -(log_softmax(network(torch.from_numpy(seen)), 1) * truth).sum(1).mean()
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 2.0)
        optimiser.step()
        losses.append(loss.item())
        keep = min(0.995, 1 - 1 / (step + 2))
        with torch.no_grad():
            for kept, new in zip(mean.state_dict().values(), network.state_dict().values(), strict=True):
                if kept.dtype.is_floating_point:
                    kept.mul_(keep).add_(new, alpha=1 - keep)
        if (step + 1) % 300 == 0:
            console.print(f"step {step + 1}: {np.mean(losses[-300:]):.3f}", highlight=False)
    return mean


def own_leans(network: Any, cuts: list[Cuts], count: int) -> Array:
    """How each photo itself seems to lean, in degrees; 0 where its cuts do not tell."""
    import torch
    from torch.nn.functional import log_softmax

    leans = np.arange(-2.5, 2.51, 0.1)
    told = np.tile(-0.5 * (leans / _BELIEF) ** 2, (count, 1))
    network.eval()
    for part in cuts:
        for start in range(0, part.photo.size, BATCH):
            some = np.s_[start : start + BATCH]
            with torch.no_grad():
                likely = log_softmax(network(torch.from_numpy(part.maps[some].astype(np.float32))), 1).numpy()
            for row, degrees, photo in zip(likely, part.turned[some], part.photo[some], strict=True):
                told[photo] += _EACH * np.interp(degrees + leans, weighing.LEANS, row)
    share = np.exp(told - told.max(axis=1, keepdims=True))
    share /= share.sum(axis=1, keepdims=True)
    mean = share @ leans
    deviation = np.sqrt((share * (leans - mean[:, None]) ** 2).sum(axis=1))
    return np.where(deviation < 0.6, mean, 0.0).astype(np.float32)


def main(arguments: list[str]) -> None:
    """Cut, train twice, write."""
    import torch

    console = Console(width=130)
    if len(arguments) != 2:
        console.print(__doc__)
        return
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    torch.manual_seed(0)
    pictures = photos(Path(arguments[0]), Path(arguments[1]), console)
    cuts, count = make_cuts(pictures), len(pictures)
    del pictures
    network = learn(net(), cuts, np.zeros(count, np.float32), FIRST, console)
    own = own_leans(network, cuts, count)
    console.print(f"the photos themselves lean by {own.std():.2f} degrees (deviation)")
    network = learn(network, cuts, own, SECOND, console)
    weighing.save(plain_weights(network), weighing.WEIGHTS)
    console.print(f"{weighing.WEIGHTS.name}: {weighing.WEIGHTS.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
