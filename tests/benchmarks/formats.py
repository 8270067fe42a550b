"""What each output format costs and keeps, against the JPEG (4:4:4, quality 92) of the same run.

Run ``python -m tests.benchmarks.formats [PHOTO...]`` (some minutes); without photos, five of `photos` in
``SIDECAR_TEST_DATA`` are taken. Each photo is rendered once, at most 12 MP of it; then every format is encoded at its
usual quality with the original's metadata, in turns, and decoded again. Time is CPU time of encoding with metadata, one
thread. Memory is the peak of a process that brightens a JPEG of 24 megapixels (grainy, of 10 MB) and writes it so. PSNR
and SSIM (of luma) are measured against the render, in 8 bits. The last rows are JPEG by libjpeg-turbo in 4:2:0, at the
lowest quality that comes as near to the render as jpegli does at its usual one, by PSNR and by SSIM.
"""

import io
import os
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from statistics import geometric_mean, mean

import cv2
import imagecodecs
import numpy as np
import pillow_heif
import simplejpeg
from PIL import Image
from rich.console import Console
from rich.table import Table
from skimage.metrics import structural_similarity

from immich_sidecar.develop import engine
from immich_sidecar.develop.engine import render
from immich_sidecar.develop.probe import probe
from immich_sidecar.develop.version_file import version_file
from immich_sidecar.recipe.operations import plan
from immich_sidecar.recipe.plan import OUTPUT_FORMATS
from immich_sidecar.recipe.recipe import Operation, Source
from tests.benchmarks.pictures import GRAIN, jpeg_of_24_megapixels, recipe
from tests.develop.conftest import AT
from tests.photos.make import Display

NAMES = (
    *("fruit-portrait-canon-5d-12mp.jpg", "koi-kodak-s1-16mp.jpg", "lake-samsung-s730.jpg"),
    *("palace-dusk-panasonic-lx3.jpg", "beers-24mp.jpg"),
)
MOST_EDGE = 4000
_MEMORY = "--memory"


def decoded(content: bytes, name: str) -> Display:
    """The pixels of a file in 8 bits."""
    if name == "heic":
        return np.asarray(pillow_heif.open_heif(io.BytesIO(content), convert_hdr_to_8bit=True))[..., :3]
    if name == "jxl":
        pixels = np.asarray(imagecodecs.jpegxl_decode(content))
        return pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)
    if name == "tiff16":
        found = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
        return np.round(cv2.cvtColor(found, cv2.COLOR_BGR2RGB) / 257.0).astype(np.uint8)
    return np.asarray(Image.open(io.BytesIO(content)).convert("RGB"))


def psnr(a: Display, b: Display) -> float:
    """Of two pictures, in dB; 99 for equal ones."""
    error = float(np.square(a.astype(np.float32) - b).mean())
    return 99.0 if error == 0 else 10 * np.log10(255.0**2 / error)


def ssim(a: Display, b: Display) -> float:
    """Mean over four pieces of luma."""
    luma = [cv2.cvtColor(np.ascontiguousarray(one), cv2.COLOR_RGB2GRAY) for one in (a, b)]
    height, width = luma[0].shape
    edge = min(512, height // 2, width // 2)
    places = [(y, x) for y in (height // 4, height // 2) for x in (width // 4, width // 2)]
    pieces = [[one[y : y + edge, x : x + edge] for one in luma] for y, x in places]
    return mean(float(structural_similarity(*piece, data_range=255)) for piece in pieces)


def as_good_as(picture: Display, wanted: float, near: Callable[[Display, Display], float]) -> tuple[bytes, int]:
    """The smallest JPEG of libjpeg-turbo (4:2:0) that is at least as near, or that of quality 100."""
    for quality in range(60, 101):
        encoded = simplejpeg.encode_jpeg(np.ascontiguousarray(picture), quality=quality, colorsubsampling="420")
        if near(simplejpeg.decode_jpeg(encoded), picture) >= wanted:
            break
    return encoded, quality


def measure(path: Path) -> dict[str, dict[str, float]]:
    """Size, seconds, PSNR and SSIM of each format for one photo."""
    facts = probe(path)
    rendered = render(path, [], max_edge=MOST_EDGE, facts=facts)
    found: dict[str, dict[str, float]] = {name: {} for name in OUTPUT_FORMATS}
    seconds: dict[str, list[float]] = defaultdict(list)
    for _ in range(2):
        for name in OUTPUT_FORMATS:
            step = Operation(type="output", parameters={"format": name}, timestamp=AT, source=Source.USER)
            began = time.process_time()
            content = version_file(path, facts, plan([step]), rendered.image, rendered.space, quality=92, seconds={})
            seconds[name].append(time.process_time() - began)
            found[name] = {"bytes": len(content)}
            if not _told(found[name], lambda name=name, content=content: decoded(content, name), rendered.image):
                raise SystemExit(f"{path.name} as {name}: another size")
    for name, times in seconds.items():
        found[name]["seconds"] = min(times)
    for word, near in (("psnr", psnr), ("ssim", ssim)):
        encoded, quality = as_good_as(rendered.image, found["small"][word], near)
        row = found[f"libjpeg 4:2:0 of equal {word.upper()}"] = {"bytes": len(encoded), "quality": quality}
        _told(row, lambda encoded=encoded: decoded(encoded, "jpeg"), rendered.image)
    return found


def _told(row: dict[str, float], read: Callable[[], Display], truth: Display) -> bool:
    pixels = read()
    if pixels.shape != truth.shape:
        return False
    row["psnr"], row["ssim"] = psnr(pixels, truth), ssim(pixels, truth)
    return True


def peak_megabytes(original: Path, name: str) -> float:
    """The most memory of a process that develops a picture into this format, compiled kernels being there."""
    command = [sys.executable, "-m", "tests.benchmarks.formats", _MEMORY, name, str(original)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _tell_memory(name: str, original: Path) -> None:
    engine.warm()
    with tempfile.TemporaryDirectory() as folder:
        engine.develop(original, recipe(exposure={"ev": 0.3}, output={"format": name}), Path(folder) / "out")
    status = Path("/proc/self/status").read_text(encoding="ascii")
    print(float(status.split("VmHWM:")[1].split()[0]) * 1024 / 1e6)


def main() -> None:
    """Print the table."""
    cv2.setNumThreads(1)
    if sys.argv[1:2] == [_MEMORY]:
        _tell_memory(sys.argv[2], Path(sys.argv[3]))
        return
    folder = Path(os.environ.get("SIDECAR_TEST_DATA", "shared")) / "photos"
    paths = [Path(name) for name in sys.argv[1:]] or [folder / name for name in NAMES]
    every = [measure(path) for path in paths]
    engine.warm()
    with tempfile.TemporaryDirectory() as name:
        large = Path(name) / "large.jpg"
        large.write_bytes(jpeg_of_24_megapixels(None, grain=GRAIN))
        peaks = {name: peak_megabytes(large, name) for name in OUTPUT_FORMATS}
    table = Table(title=f"formats at their usual quality, {len(paths)} photos; ratios to JPEG 4:4:4 q92 of this run")
    for heading in ("format", "size", "CPU time", "PSNR dB", "SSIM", "worst SSIM", "MB at 24 MP"):
        table.add_column(heading, justify="left" if heading == "format" else "right")
    for name in every[0]:
        rows = [one[name] for one in every]
        size = geometric_mean(row["bytes"] / one["jpeg"]["bytes"] for row, one in zip(rows, every, strict=True))
        cells = [f"{size:.2f}"]
        if "seconds" in rows[0]:
            spent = [row["seconds"] / one["jpeg"]["seconds"] for row, one in zip(rows, every, strict=True)]
            cells.append(f"{geometric_mean(spent):.1f}")
        else:
            cells.append("")
        cells += [f"{mean(row['psnr'] for row in rows):.1f}", f"{mean(row['ssim'] for row in rows):.4f}"]
        label = f"{name}, q{mean(row['quality'] for row in rows):.0f}" if "quality" in rows[0] else name
        table.add_row(
            label, *cells, f"{min(row['ssim'] for row in rows):.4f}", f"{peaks[name]:.0f}" if name in peaks else ""
        )
    Console().print(table)
    per_pixel = [one["jpeg"]["seconds"] for one in every]
    print(f"JPEG 4:4:4 q92 with metadata: {mean(per_pixel):.3f} s of CPU a photo")


if __name__ == "__main__":
    main()
