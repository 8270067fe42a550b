"""How much memory the service needs to fetch and to send a file of 300 MB.

``python -m tests.benchmarks.large_files [--megabytes 300]`` prints a table. The real service takes one such photo from
a stand-in Immich, and sends another one there that was laid into its hot folder. Measured is the highest resident set
of the service's own process (workers come and go, and hold pictures) while that happens, against the highest while it
did the same with a photo of 1 MB.
"""

import argparse
import asyncio
import tempfile
from pathlib import Path

import numpy as np
import psutil
import tifffile

from tests.immich_server import ImmichServer
from tests.service.running import Home, home, until

#: MiB by which the process may grow.
LIMIT = 64
#: Width of the pictures, in pixels of three bytes.
WIDTH = 10_000


def photo(path: Path, megabytes: float, seed: int) -> Path:
    """An uncompressed TIFF of about this size."""
    height = max(16, round(megabytes * 1e6 / WIDTH / 3)) if megabytes > 2 else 200
    width = WIDTH if megabytes > 2 else 1000
    picture = tifffile.memmap(path, shape=(height, width, 3), dtype=np.uint8, photometric="rgb")
    ramp = np.linspace(20, 110, width, dtype=np.uint8)
    for top in range(0, height, 100):
        picture[top : top + 100] = ramp[None, :, None]
        picture[top, :, seed % 3] = seed % 200
    picture.flush()
    return path


class Peak:
    """The highest resident set of a process since this was made."""

    def __init__(self, process: psutil.Process) -> None:
        self._process = process
        # 5 resets the mark of the highest resident set; see proc(5).
        Path(f"/proc/{process.pid}/clear_refs").write_text("5")

    def mebibytes(self) -> float:
        """That highest resident set, so far."""
        for line in Path(f"/proc/{self._process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) / 1024
        raise RuntimeError("/proc does not tell the highest resident set")


def process_of(stage: Home) -> psutil.Process:
    """The service's own process."""
    assert stage.service._process is not None
    return psutil.Process(stage.service._process.pid)


async def download(stage: Home, path: Path) -> float:
    """Peak while a photo is fetched from Immich and developed."""
    peak = Peak(process_of(stage))
    stage.immich.add_asset(stage.user, path, path.name)
    await stage.service.photo(path.name)
    await stage.service.settled(300)
    return peak.mebibytes()


async def upload(stage: Home, path: Path) -> float:
    """Peak while a photo of the hot folder is sent to Immich and developed."""
    peak = Peak(process_of(stage))
    await asyncio.to_thread(path.rename, stage.service.inbox / path.name)
    await stage.service.photo(path.name)
    await until(lambda: any(asset.name == path.name for asset in stage.immich.assets.values()), "it is sent")
    await stage.service.settled(300)
    return peak.mebibytes()


async def measure(folder: Path, megabytes: int) -> dict[str, tuple[float, float]]:
    """Peaks with the small photo and with the large one, by what was done."""
    async with ImmichServer() as immich, home(folder / "service", immich, SIDECAR_TASK_TIMEOUT="600") as stage:
        found = {}
        for number, (what, work) in enumerate((("download", download), ("upload", upload))):
            small = 0.0
            # The second time nothing is loaded for the first time any more.
            for again in range(2):
                small = await work(stage, photo(folder / f"small-{what}-{again}.tif", 1, 10 * number + again))
            large = await work(stage, photo(folder / f"large-{what}.tif", megabytes, 10 * number + 5))
            found[what] = small, large
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=300)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        found = asyncio.run(measure(Path(name), options.megabytes))
    print(f"one file of {options.megabytes} MB, the service's own process")
    print(f"{'highest resident set, MiB':28} {'1 MB':>8} {'large':>8} {'more':>8} {'limit':>8} {'ratio':>7}")
    for what, (small, large) in found.items():
        print(f"{what:28} {small:8.0f} {large:8.0f} {large - small:8.0f} {LIMIT:8.0f} {(large - small) / LIMIT:7.2f}")


if __name__ == "__main__":
    main()
