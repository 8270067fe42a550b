"""Pictures that need no demosaicing: how long recipes and suggestions take, and how much memory, beside others' tools.

Run ``python -m tests.benchmarks.pictures [JPEG]`` (about a minute); JPEG (default: the largest of the `photos` in
``SIDECAR_TEST_DATA``) is brought to 24 megapixels, once as it is and once with the grain of a sensor, which makes the
file as large as cameras write them: photos that were published are softer, and decoded faster. Times are processor time
of one thread, the best of some rounds in which everything takes turns; the limit is decoding and encoding alone,
measured in the same rounds. Tools of their own processes are measured whole, with their start; those that are not
installed are left out. ``PHOTO_S`` may name the command of photo-s-tools (with its extra `enhance`).
"""

import argparse
import io
import os
import resource
import shlex
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
from PIL import Image, ImageOps
from rich.console import Console
from rich.table import Table

from immich_sidecar.advise.adviser import advise
from immich_sidecar.analysis.analysis import Analysis
from immich_sidecar.develop import engine
from immich_sidecar.develop.encode import DEFAULT_QUALITY, jpeg_bytes
from immich_sidecar.develop.preview import PREVIEW_EDGE, PreviewSource
from immich_sidecar.pipeline import tasks
from immich_sidecar.recipe.recipe import Recipe, new_recipe
from tests.photos.make import scene

WIDTH, HEIGHT = 6000, 4000
RECIPE = {
    "exposure": {"ev": 0.4},
    "white_balance": {"temperature": 5800, "tint": 5},
    "tone": {"shadows": 30, "highlights": -20, "contrast": 8, "white": 4, "black": -3},
    "straighten": {"degrees": 1.5},
    "crop": {"x": 0.03, "y": 0.02, "width": 0.94, "height": 0.95},
    "sharpen": {"amount": 40},
}
#: Code values by which the grain of a sensor deviates here.
GRAIN = 8.0
#: Times decoding and encoding; milliseconds of a preview and of measuring a file; megabytes of a worker.
LIMITS = (2.0, 60.0, 250.0, 450.0)
_MEMORY = "--memory"


def recipe(**operations: dict[str, float]) -> Recipe:
    """A recipe of these operations."""
    at = datetime(2024, 1, 1, tzinfo=UTC)
    return new_recipe("a" * 64, [], operations, at=at, recipe_id="00000000-0000-4000-8000-000000000000")


def jpeg_of_24_megapixels(path: Path | None, *, grain: float = 0.0) -> bytes:
    """A photo enlarged or shrunk to that size, or a drawn scene where there is none.

    `grain` is the deviation of noise that is added, in code values; with some, the quality is 95 in place of 92.
    """
    stored = None if path is None else cv2.imread(str(path))
    picture = scene(1500, 1000) if stored is None else np.asarray(stored[..., ::-1], np.uint8)
    if picture.shape[:2] != (HEIGHT, WIDTH):
        picture = np.asarray(cv2.resize(picture, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA), np.uint8)
    if grain:
        noise = np.random.default_rng(0).normal(0.0, 1.0, picture.shape[:2]).astype(np.float32)
        noise = np.asarray(cv2.GaussianBlur(noise, (0, 0), 0.6), np.float32)
        noise *= np.float32(grain) / noise.std()
        picture = np.clip(picture + noise[..., np.newaxis], 0.0, 255.0).astype(np.uint8)
    return jpeg_bytes(picture, quality=95 if grain else 92, subsampling="420")


def pixels(path: Path) -> int:
    """How many a picture has."""
    with Image.open(path) as image:
        return image.width * image.height


def tools(original: Path, folder: Path) -> dict[str, Callable[[], object]]:
    """Others' automatic corrections, as far as they are installed."""
    copy, out = folder / "copy.jpg", folder / "out.jpg"
    found: dict[str, Callable[[], object]] = {}

    def run(*command: str) -> None:
        subprocess.run(command, check=True, capture_output=True, env={**os.environ, "OMP_NUM_THREADS": "1"})

    if shutil.which("aaphoto"):
        found["aaphoto"] = lambda: (shutil.copy(original, copy), run("aaphoto", "--overwrite", "-q90", str(copy)))
    magick = shutil.which("magick") or shutil.which("convert")
    if magick:
        steps = ("-auto-level", "-rotate", "1.5", "-unsharp", "0x1", "-quality", str(DEFAULT_QUALITY))
        found["imagemagick"] = lambda: run(magick, str(original), *steps, str(out))
    if os.environ.get("PHOTO_S"):
        auto = ("--auto-levels", "--auto-straighten", "-q", str(DEFAULT_QUALITY), "-o", str(folder))
        command = (*shlex.split(os.environ["PHOTO_S"]), "convert", *auto)
        found["photo-s-tools"] = lambda: run(*command, str(original))

    def pillow() -> None:
        with Image.open(original) as image:
            ImageOps.autocontrast(image, cutoff=1).save(io.BytesIO(), "JPEG", quality=DEFAULT_QUALITY, subsampling=0)

    found["Pillow autocontrast"] = pillow
    return {name: tool for name, tool in found.items() if works(name, tool)}


def works(name: str, tool: Callable[[], object]) -> bool:
    """Whether a tool does what it is asked for; one that fails at once would look fast."""
    try:
        tool()
    except subprocess.CalledProcessError as error:
        print(f"{name} is left out: it ended with {error.returncode}")
        return False
    return True


def taken(work: Callable[[], object]) -> float:
    """Processor time of some work in this process and those it starts, in seconds."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.process_time()
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    children = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return time.process_time() - started + children


def suggestion(original: Path, folder: Path) -> None:
    """What a new photo goes through before the page shows its steps: previews, measurements, advice."""
    found = tasks.analyse_file(str(original), str(folder / "thumbnail.jpg"), str(folder / "preview.jpg"))
    advise(Analysis.model_validate(found.analysis))


def peak_megabytes(original: Path) -> float:
    """The most memory of a process that develops the picture twice."""
    command = [sys.executable, "-m", "tests.benchmarks.pictures", _MEMORY, str(original)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _tell_memory(original: Path) -> None:
    engine.warm()
    with tempfile.TemporaryDirectory() as name:
        for _ in range(2):
            engine.develop(original, recipe(**RECIPE), Path(name) / "out.jpg")
    # Unlike the resource usage, this does not count what the starting process held.
    status = Path("/proc/self/status").read_text(encoding="ascii")
    print(float(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("jpeg", nargs="?", type=Path)
    parser.add_argument(_MEMORY, action="store_true")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    if options.memory:
        _tell_memory(options.jpeg)
        return
    photos = Path(os.environ.get("SIDECAR_TEST_DATA", "../shared")) / "photos"
    largest = max(photos.glob("*.jpg"), key=pixels, default=None)
    wanted = recipe(**RECIPE)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        original, grainy, out = folder / "original.jpg", folder / "grainy.jpg", folder / "developed.jpg"
        original.write_bytes(jpeg_of_24_megapixels(options.jpeg or largest))
        grainy.write_bytes(jpeg_of_24_megapixels(options.jpeg or largest, grain=GRAIN))
        engine.warm()
        preview = PreviewSource.of(original)
        preview.jpeg(wanted.operations)
        suggestion(original, folder)
        works: dict[str, Callable[[], object]] = {
            **of_the_file("plain", original, wanted, out),
            **of_the_file("grainy", grainy, wanted, out),
            "preview": lambda: preview.jpeg(wanted.operations),
            "suggestion": lambda: suggestion(original, folder),
            **tools(original, folder),
        }
        best = dict.fromkeys(works, float("inf"))
        for _ in range(options.rounds):
            for each, work in works.items():
                best[each] = min(best[each], taken(work))
        memory = peak_megabytes(original)
        bits = {
            each: 8 * path.stat().st_size / WIDTH / HEIGHT for each, path in (("plain", original), ("grainy", grainy))
        }
    shown, told = best.pop("preview"), best.pop("suggestion")
    console = Console()
    console.print(f"{WIDTH} x {HEIGHT}: {', '.join(RECIPE)}")
    table = Table("whole recipe, warm", "bits a pixel", "ms", "to decode + encode", "limit")
    floors = {}
    for kind in ("plain", "grainy"):
        floors[kind] = best.pop(f"{kind}, decode") + best.pop(f"{kind}, encode")
        own = best.pop(f"{kind}, developed")
        table.add_row(f"decode + encode, {kind}", f"{bits[kind]:.1f}", f"{1000 * floors[kind]:.0f}", "1.0", "")
        ratio = f"{own / floors[kind]:.2f}"
        table.add_row(f"immich-sidecar, {kind}", "", f"{1000 * own:.0f}", ratio, f"{LIMITS[0]:.1f}")
    for each, seconds in best.items():
        table.add_row(f"{each}, plain", "", f"{1000 * seconds:.0f}", f"{seconds / floors['plain']:.2f}", "")
    console.print(table)
    others = Table("", "measured", "to the limit")
    for each, measured, limit in (
        (f"preview of {PREVIEW_EDGE} px", f"{1000 * shown:.0f} ms", 1000 * shown / LIMITS[1]),
        ("suggestion, with previews", f"{1000 * told:.0f} ms", 1000 * told / LIMITS[2]),
        ("peak memory", f"{memory:.0f} MB", memory / LIMITS[3]),
    ):
        others.add_row(each, measured, f"{limit:.2f}")
    console.print(others)


def of_the_file(kind: str, original: Path, wanted: Recipe, out: Path) -> dict[str, Callable[[], object]]:
    """Developing a file, and what could not be left out of that."""
    data = original.read_bytes()
    engine.develop(original, wanted, out)
    developed = simplejpeg.decode_jpeg(out.read_bytes(), "RGB")
    return {
        f"{kind}, decode": lambda: simplejpeg.decode_jpeg(data, "RGB"),
        f"{kind}, encode": lambda: jpeg_bytes(developed),
        f"{kind}, developed": lambda: engine.develop(original, wanted, out),
    }


if __name__ == "__main__":
    main()
