"""What originals of each format cost: processor time of developing and of the suggestion, and how much memory.

Run ``python -m tests.benchmarks.inputs [NAME...]`` (some minutes; NAME is a beginning, as ``heic`` or ``tiff 16``). One
photo of ``SIDECAR_TEST_DATA`` with the grain of a sensor is written in every format: HEIC as phones write it, at 12, 24
and 48 megapixels (a grid of tiles of 512 pixels, 4:2:0, Display P3), others at 24. Each is developed twice, and looked
at twice, by a worker of its own that is warm; what counts is the second time, and the most memory that the worker ever
held. The limit is that of all pictures: 450 MB at 24 megapixels, 1 GB at 61, and what lies between in between.
"""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pillow_heif
import tifffile
from PIL import Image
from rich.console import Console
from rich.table import Table

from immich_sidecar.develop import engine
from immich_sidecar.develop.icc import named_space
from immich_sidecar.pipeline import tasks
from tests.benchmarks.pictures import RECIPE, pixels, recipe
from tests.photos.make import Display, scene

SIZES = {12: (4032, 3024), 24: (5712, 4284), 48: (8064, 6048)}
#: Megabytes of a worker at so many megapixels.
LIMITS = ((24.0, 450.0), (61.0, 1000.0))
#: Code values by which the grain of a sensor deviates here.
GRAIN = 3.0
_MEMORY = "--memory"


def photo(size: tuple[int, int]) -> Display:
    """A photo of this size, with grain; a drawn scene where there is none."""
    found = sorted((Path(os.environ.get("SIDECAR_TEST_DATA", "../shared")) / "photos").glob("*.jpg"), key=pixels)
    stored = cv2.imread(str(found[-1])) if found else None
    picture = scene(1500, 1000) if stored is None else stored[..., ::-1]
    picture = np.asarray(cv2.resize(np.ascontiguousarray(picture), size, interpolation=cv2.INTER_AREA), np.uint8)
    noise = np.random.default_rng(0).normal(0.0, GRAIN, picture.shape[:2]).astype(np.float32)
    for first in range(0, len(picture), 256):
        rows = picture[first : first + 256]
        rows[...] = np.clip(rows + noise[first : first + 256, :, np.newaxis], 0.0, 255.0)
    return picture


def deep(picture: Display) -> np.ndarray:
    """The same in 16 bits, all of which are used."""
    low = np.random.default_rng(1).integers(0, 256, picture.shape, np.uint8)
    return np.asarray(picture.astype(np.uint16) * 256 + low, np.uint16)


def heic(megapixels: int, bits: int) -> Callable[[Path], None]:
    """A writer of a HEIC as phones make it."""

    def write(path: Path) -> None:
        size = SIZES[megapixels]
        picture = photo(size)
        mode, values = ("RGB", picture) if bits == 8 else ("RGB;16", picture.astype(np.uint16) * np.uint16(257))
        heif = pillow_heif.from_bytes(mode, size, values.tobytes())
        icc = named_space("Display P3").profile
        heif.save(path, quality=70, chroma="420", tile_size=512, icc_profile=icc, enc_params={"preset": "ultrafast"})

    return write


def by_pillow(**options: object) -> Callable[[Path], None]:
    """A writer of a picture of 8 bits."""
    return lambda path: Image.fromarray(photo(SIZES[24])).save(path, **options)


def tiff(bits: int, compression: str | None) -> Callable[[Path], None]:
    """A writer of a TIFF."""

    def write(path: Path) -> None:
        picture = photo(SIZES[24]) if bits == 8 else deep(photo(SIZES[24]))
        tifffile.imwrite(
            path, picture, photometric="rgb", compression=compression, rowsperstrip=64, predictor=bool(compression)
        )

    return write


def coded(encode: Callable[[Display], bytes]) -> Callable[[Path], None]:
    """A writer of what an encoder makes of the picture."""
    return lambda path: (path.write_bytes(encode(photo(SIZES[24]))), None)[1]


WRITERS: dict[str, tuple[str, int, Callable[[Path], None]]] = {
    "jpeg": (".jpg", 24, by_pillow(quality=92)),
    **{f"heic {bits} bit, {size} MP": (".heic", size, heic(size, bits)) for bits in (8, 10) for size in SIZES},
    "avif 8 bit": (".avif", 24, by_pillow(quality=70, speed=9)),
    "avif 10 bit": (
        ".avif",
        24,
        coded(lambda p: imagecodecs.avif_encode(deep(p) >> 6, level=70, speed=9, bitspersample=10, numthreads=2)),
    ),
    "jxl 8 bit": (".jxl", 24, coded(lambda p: imagecodecs.jpegxl_encode(p, effort=3, distance=1.0))),
    "jxl 16 bit": (".jxl", 24, coded(lambda p: imagecodecs.jpegxl_encode(deep(p), effort=3, distance=1.0))),
    **{
        f"tiff {bits} bit, {name or 'plain'}": (".tif", 24, tiff(bits, name))
        for bits in (8, 16)
        for name in (None, "deflate", "lzw")
    },
    "png 8 bit": (".png", 24, by_pillow(compress_level=1)),
    "png 16 bit": (".png", 24, lambda path: (cv2.imwrite(str(path), deep(photo(SIZES[24]))), None)[1]),
    "webp": (".webp", 24, by_pillow(quality=85, method=0)),
}


def limit(megapixels: float) -> float:
    """Megabytes that a worker may hold for a picture of this size."""
    (small, least), (large, most) = LIMITS
    return max(least, least + (most - least) * (megapixels - small) / (large - small))


def measured(what: str, path: Path) -> tuple[float, float]:
    """Seconds of the second time, and megabytes, of a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.inputs", _MEMORY, what, str(path)]
    told = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
    return float(told[0]), float(told[1])


def _tell(what: str, path: Path) -> None:
    tasks.warm_up()
    with tempfile.TemporaryDirectory() as name:
        for _ in range(2):
            began = time.process_time()
            if what == "develop":
                engine.develop(path, recipe(**RECIPE), Path(name) / "out.jpg")
            else:
                tasks.analyse_file(str(path), str(Path(name) / "thumbnail.jpg"), str(Path(name) / "preview.jpg"))
            spent = time.process_time() - began
    status = Path("/proc/self/status").read_text(encoding="ascii")
    print(spent, float(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6)


def main() -> None:
    """Measure and print."""
    cv2.setNumThreads(1)
    if sys.argv[1:2] == [_MEMORY]:
        _tell(sys.argv[2], Path(sys.argv[3]))
        return
    wanted = tuple(sys.argv[1:]) or ("",)
    # Compile what is not compiled yet, so that no worker has to.
    tasks.warm_up()
    table = Table("original", "MB of file", "develop, s", "MB", "to the limit", "suggestion, s", "MB", "to the limit")
    with tempfile.TemporaryDirectory() as name:
        for kind, (suffix, megapixels, write) in WRITERS.items():
            if not kind.startswith(wanted):
                continue
            path = Path(name) / f"original{suffix}"
            write(path)
            cells = [f"{path.stat().st_size / 1e6:.1f}"]
            for what in ("develop", "suggestion"):
                seconds, megabytes = measured(what, path)
                cells += [f"{seconds:.2f}", f"{megabytes:.0f}", f"{megabytes / limit(megapixels):.2f}"]
            table.add_row(kind, *cells)
    Console().print(table)


if __name__ == "__main__":
    main()
