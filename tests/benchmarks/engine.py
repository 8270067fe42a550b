"""How fast, how well and in how much memory a RAW file of 24 megapixels is developed, against peers.

``python -m tests.benchmarks.engine [--rounds 3] [--without-peers]`` prints tables. The file is a known-truth DNG
(uncompressed, 14 bits, 6000 x 4000) whose truth is a sheet of photos shrunk to half their size: those of the folder
that SIDECAR_TEST_DATA names, or scikit-image's. Everything but the last table runs on one core of the machine, and
seconds are seconds of that core, best of the rounds, so that other work on the machine counts as little as possible.
Programs that are not installed are left out, and said to be.
"""

import argparse
import contextlib
import multiprocessing
import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from tests.photos import make

SIZE = (6000, 4000)
LARGE = (9504, 6336)
#: Width and height of one photo of the sheet.
CELL = (750, 500)
#: MB (1e6 bytes) that a worker may hold at most.
MOST = {"24 MP": 450, "61 MP": 1000}
#: A person's recipe: everything that needs the whole picture at once.
FULL = {
    "straighten": {"degrees": 1.5},
    "crop": {"x": 0.02, "y": 0.02, "width": 0.95, "height": 0.95},
    "tone": {"shadows": 25, "highlights": -20, "contrast": 10},
    "denoise": {"luma": 15, "chroma": 25},
}


def truth() -> np.ndarray:
    """A sheet of photos, shrunk by a box filter so that each pixel is known in all three colours."""
    import cv2

    folder = Path(os.environ.get("SIDECAR_TEST_DATA", "")) / "photos"
    pictures = [make.sample_photo(n) for n in ("astronaut", "coffee", "rocket")]
    if found := sorted(folder.glob("*.jpg")):
        pictures = [make.shrunk(np.ascontiguousarray(cv2.imread(str(p))[..., ::-1]), 2) for p in found]
    width, height = CELL
    cells = []
    for picture in pictures:
        rows, columns = -(-height // picture.shape[0]), -(-width // picture.shape[1])
        whole = np.tile(picture, (rows, columns, 1))
        top, left = (whole.shape[0] - height) // 2, (whole.shape[1] - width) // 2
        cells.append(whole[top : top + height, left : left + width])
    across, down = SIZE[0] // width, SIZE[1] // height
    lines = [np.hstack([cells[(y * across + x) % len(cells)] for x in range(across)]) for y in range(down)]
    return np.ascontiguousarray(np.vstack(lines))


def psnr(image: np.ndarray, known: np.ndarray) -> float:
    """Peak signal to noise ratio in dB of display values, a border of 16 pixels left out."""
    total = 0.0
    for top in range(16, image.shape[0] - 16, 500):
        bottom = min(top + 500, image.shape[0] - 16)
        total += ((image[top:bottom, 16:-16].astype(np.float32) - known[top:bottom, 16:-16]) ** 2).sum()
    return float(10 * np.log10(255.0**2 / (total / image[16:-16, 16:-16].size)))


def core_seconds(work: Callable[[], Any], rounds: int) -> float:
    """Seconds of processor time, of this process and of those it waits for, best of the rounds."""
    best = np.inf
    for _ in range(rounds):
        began = _used()
        work()
        best = min(best, _used() - began)
    return best


def _used() -> float:
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time() + children.ru_utime + children.ru_stime


@contextlib.contextmanager
def one_core() -> Iterator[None]:
    """Keep this process, and those it starts, on one core."""
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def operations(**wanted: Any) -> Any:
    """Operations given by keyword."""
    from immich_sidecar.recipe.recipe import merge

    return merge([], wanted, at=datetime(2024, 5, 6, tzinfo=UTC))


def usual(path: Path) -> dict[str, Any]:
    """The recipe that the adviser gives the file."""
    from immich_sidecar.advise.adviser import advise
    from immich_sidecar.analysis.analysis import analyse

    return {s.operation: s.parameters for s in advise(analyse(path)).suggestions if s.applied}


def by_rawpy(path: Path, algorithm: str) -> np.ndarray:
    """8 bits, sRGB, without automatic brightness."""
    import rawpy

    with rawpy.imread(str(path)) as file:
        return file.postprocess(
            demosaic_algorithm=getattr(rawpy.DemosaicAlgorithm, algorithm),
            use_camera_wb=True,
            no_auto_bright=True,
            adjust_maximum_thr=0.0,
            gamma=(2.4, 12.92),
            user_flip=0,
        )


def speed_and_quality(path: Path, known: np.ndarray, rounds: int, peers: bool) -> Table:
    """Seconds of one core for file to JPEG, and PSNR of a plain rendering."""
    import rawpy

    from immich_sidecar.develop.encode import jpeg_bytes
    from immich_sidecar.develop.engine import render

    def unpack() -> None:
        with rawpy.imread(str(path)) as file:
            file.raw_image  # noqa: B018 -- asking for it unpacks it

    recipe = usual(path)
    picture = render(path, operations(**recipe)).image
    ends = core_seconds(unpack, rounds), core_seconds(lambda: jpeg_bytes(picture), rounds)
    rows: list[tuple[str, float, float | None]] = [
        ("unpack", ends[0], None),
        ("encode (JPEG 4:4:4 q92)", ends[1], None),
    ]
    for quality in ("fast", "best"):
        steps = operations(**(recipe | {"decode": recipe["decode"] | {"demosaic": quality}}))
        seconds = core_seconds(lambda steps=steps: jpeg_bytes(render(path, steps).image), rounds)
        plain = render(path, operations(decode={"demosaic": quality})).image
        rows.append((f"ours, {quality}", seconds, psnr(plain, known)))
    for algorithm in ("LINEAR", "PPG", "AHD", "DHT"):
        seconds = core_seconds(lambda a=algorithm: jpeg_bytes(by_rawpy(path, a)), 1)
        rows.append((f"rawpy {algorithm} + JPEG", seconds, psnr(by_rawpy(path, algorithm), known)))
    rows += [(name, seconds, None) for name, seconds in programs(path, peers)]
    by_name = {name: seconds for name, seconds, _ in rows}
    table = Table(title=f"One RAW file of 24 MP to JPEG; steps of the usual recipe: {', '.join(recipe)}")
    for name in ("", "core seconds", "of unpack + encode", "of darktable-cli", "of rawpy AHD + JPEG", "PSNR dB"):
        table.add_column(name, justify="left" if not name else "right")
    for name, seconds, quality in rows:
        ratios = [
            f"{seconds / whole:.2f}" if whole else "not installed"
            for whole in (sum(ends), by_name.get("darktable-cli"), by_name["rawpy AHD + JPEG"])
        ]
        table.add_row(name, f"{seconds:.3f}", *ratios, "" if quality is None else f"{quality:.1f}")
    table.add_row("limit for fast", "", "3.00", "", "", "33.8", style="dim")
    table.add_row("limit for best", "", "", "0.20", "1.00", "35.2", style="dim")
    return table


def programs(path: Path, wanted: bool) -> Iterator[tuple[str, float]]:
    """Whole runs of other programs, with their start in it; they tone the picture in their own ways, so no PSNR."""
    with tempfile.TemporaryDirectory() as name:
        folder, one = Path(name), {"OMP_NUM_THREADS": "1"}
        target = folder / "out.jpg"
        commands = {
            "darktable-cli": [
                str(path),
                str(target),
                "--core",
                "--configdir",
                name,
                "--library",
                ":memory:",
                "-t",
                "1",
            ],
            "rawtherapee-cli": ["-o", str(target), "-j92", "-js3", "-Y", "-d", "-c", str(path)],
        }
        for program, arguments in commands.items():
            if not wanted or shutil.which(program) is None:
                continue

            def work(command: list[str] = [program, *arguments]) -> None:  # noqa: B006
                target.unlink(missing_ok=True)
                environment = os.environ | one | {"HOME": name}
                subprocess.run(command, check=True, capture_output=True, env=environment, timeout=600)

            try:
                yield program, core_seconds(work, 1)
            except (OSError, subprocess.SubprocessError):
                continue


def most_held() -> float:
    """The most memory that this process has held so far, in MB."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) * 1024 / 1e6


@dataclass(frozen=True)
class Job:
    """What a process of its own does, some times."""

    path: Path
    target: Path
    wanted: dict[str, Any]
    number: int = 1

    def run(self, ready: Any, go: Any, answers: Any) -> None:
        """Get ready as a worker does, develop, and tell seconds of the processor a photo and memory."""
        from immich_sidecar.develop import engine
        from immich_sidecar.recipe.recipe import new_recipe

        engine.warm()
        recipe = new_recipe("a" * 64, [], self.wanted, at=datetime(2024, 5, 6, tzinfo=UTC))
        before = most_held()
        if self.number > 1:
            engine.develop(self.path, recipe, self.target)
        ready.release()
        go.wait()
        began = time.process_time()
        for _ in range(self.number):
            engine.develop(self.path, recipe, self.target)
        answers.put(((time.process_time() - began) / self.number, before, most_held()))


def side_by_side(jobs: Sequence[Job]) -> tuple[float, list[tuple[float, float, float]]]:
    """Run jobs at the same time: the seconds by the clock, and what each tells."""
    context = multiprocessing.get_context("spawn")
    ready, go, answers = context.Semaphore(0), context.Event(), context.Queue()
    processes = [context.Process(target=job.run, args=(ready, go, answers)) for job in jobs]
    for process in processes:
        process.start()
    for _ in processes:
        ready.acquire()
    began = time.perf_counter()
    go.set()
    told = [answers.get(timeout=600) for _ in processes]
    seconds = time.perf_counter() - began
    for process in processes:
        process.join()
    return seconds, told


def memory(files: dict[str, Path], folder: Path) -> Table:
    """The most memory that a process of its own holds while it develops one file, written with its metadata."""
    table = Table(title="Peak memory of a worker, MB")
    for name in ("", "before", "peak", "limit", "of the limit"):
        table.add_column(name, justify="left" if not name else "right")
    for size, path in files.items():
        for recipe, wanted in (("usual recipe", usual(path)), ("turned, cropped, toned, denoised", usual(path) | FULL)):
            _, told = side_by_side([Job(path, folder / "peak.jpg", wanted)])
            _, before, peak = told[0]
            limit = MOST[size]
            table.add_row(f"{size}, {recipe}", f"{before:.0f}", f"{peak:.0f}", str(limit), f"{peak / limit:.2f}")
    return table


def throughput(path: Path, folder: Path, number: int, rounds: int) -> Table:
    """Photos a minute of one worker process and of two side by side."""
    wanted = usual(path)
    clock, core = {1: np.inf, 2: np.inf}, {1: np.inf, 2: np.inf}
    for _ in range(rounds):
        for workers in (1, 2):
            jobs = [Job(path, folder / f"{i}.jpg", wanted, number) for i in range(workers)]
            seconds, told = side_by_side(jobs)
            clock[workers] = min(clock[workers], seconds)
            core[workers] = min(core[workers], float(np.mean([one[0] for one in told])))
    table = Table(
        title=f"Throughput on {len(os.sched_getaffinity(0))} cores, best of {rounds}; metadata and disk included"
    )
    for name in (
        "workers",
        "photos a minute",
        "of one worker",
        "core seconds a photo",
        "as if cores were free",
        "goal",
    ):
        table.add_column(name, justify="right")
    for workers in (1, 2):
        rate, alone = 60 * workers * number / clock[workers], 60 * number / clock[1]
        free = workers * core[1] / core[workers]
        table.add_row(
            *(str(workers), f"{rate:.0f}", f"{rate / alone:.2f}", f"{core[workers]:.3f}", f"{free:.2f}"),
            "" if workers == 1 else "1.80",
        )
    return table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--photos", type=int, default=6, help="photos of each worker")
    parser.add_argument("--without-peers", action="store_true", help="no other programs")
    options = parser.parse_args()
    from immich_sidecar.develop import engine

    console = Console(width=140)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        known = truth()
        files = {"24 MP": make.write_dng(folder / "24.dng", known)}
        files["61 MP"] = make.write_dng(folder / "61.dng", np.tile(known, (2, 2, 1))[: LARGE[1], : LARGE[0]])
        began = time.process_time()
        engine.warm()
        console.print(f"Kernels compiled or loaded in {time.process_time() - began:.1f} s")
        with one_core():
            console.print(speed_and_quality(files["24 MP"], known, options.rounds, not options.without_peers))
            console.print(memory(files, folder))
        console.print(throughput(files["24 MP"], folder, options.photos, options.rounds))


if __name__ == "__main__":
    main()
