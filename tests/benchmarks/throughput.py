"""A thousand small photos dropped at once: how fast, with how much memory, and does the inbox still answer?

``python -m tests.benchmarks.throughput [--photos 1000] [--workers 2]`` prints a table. Everything is measured in one
run on one machine: what the same steps cost in one process without a service, the inbox of the service while it is
idle, and then both while the photos are worked on.
"""

import argparse
import io
import os
import statistics
import tempfile
import threading
import time
import urllib.request
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from tests.photos.make import degraded, scene
from tests.pipeline.running import Running

#: Photos that the baseline is measured on.
BASELINE = 40


def photo(number: int) -> bytes:
    """A photo of 640 x 427 that no other number gives; two of three are worth developing."""
    picture = degraded(scene(640, 427, seed=number % 50), ev=(-2.5, -1.5, 0.0)[number % 3])
    picture[0, :2] = np.frombuffer(number.to_bytes(6, "big"), np.uint8).reshape(2, 3)
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=90, comment=str(number).encode())
    return buffer.getvalue()


def baseline(folder: Path) -> float:
    """Photos per minute of one process that does nothing but the steps of the work, one after the other."""
    from datetime import UTC, datetime
    from hashlib import sha256

    from immich_sidecar.pipeline import tasks

    tasks.warm_up()
    contents = [photo(1_000_000 + number) for number in range(BASELINE)]
    thumbnail, preview, output = (str(folder / name) for name in ("thumbnail.jpg", "preview.jpg", "output.jpg"))
    seconds = 0.0
    for number, content in enumerate([contents[0], *contents]):
        original = folder / "original.jpg"
        original.write_bytes(content)
        began = time.perf_counter()
        analysed = tasks.analyse_file(str(original), thumbnail, preview)
        advised = tasks.advise_photo(
            sha256(content).hexdigest(),
            analysed.analysis,
            {},
            "00000000-0000-4000-8000-000000000000",
            datetime.now(UTC),
        )
        if advised.left_alone is None:
            tasks.render_file(str(original), advised.recipe, output, 92)
            tasks.preview_file(output, thumbnail, preview)
        if number:
            seconds += time.perf_counter() - began
    return 60 * BASELINE / seconds


class Watch:
    """Looks at the service from outside while something happens: its memory, and how fast its inbox answers."""

    def __init__(self, service: Running) -> None:
        assert service.process is not None
        self._process = psutil.Process(service.process.pid)
        self._address = service.address
        self._ended = threading.Event()
        self._threads = [threading.Thread(target=self._ask), threading.Thread(target=self._weigh)]
        self.answers: list[float] = []
        self.most_bytes = 0

    def __enter__(self) -> "Watch":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        for thread in self._threads:
            thread.join()

    def _ask(self) -> None:
        while not self._ended.wait(0.1):
            began = time.perf_counter()
            with urllib.request.urlopen(self._address + "/", timeout=60) as answer:
                answer.read()
            self.answers.append(time.perf_counter() - began)

    def _weigh(self) -> None:
        while not self._ended.wait(1.0):
            total = 0
            for process in [self._process, *self._process.children(recursive=True)]:
                try:
                    # Shared pages count once over all processes.
                    total += process.memory_full_info().pss
                except psutil.Error:
                    continue
            self.most_bytes = max(self.most_bytes, total)

    def p95(self) -> float:
        """95th percentile of the answers, in milliseconds."""
        return 1000 * statistics.quantiles(self.answers, n=20)[-1]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=1000)
    parser.add_argument("--workers", type=int, default=len(os.sched_getaffinity(0)))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        alone = baseline(folder)
        contents = [photo(number) for number in range(options.photos)]
        with Running(folder / "service", arguments=("-m", "immich_sidecar", "run")) as service:
            service.start(SIDECAR_WORKERS=str(options.workers))
            service.drop("first.jpg", photo(2_000_000))
            service.until(lambda: service.rows("select 1 from photos where state in ('kept', 'left_alone')"))
            with Watch(service) as idle:
                time.sleep(5)
            for number, content in enumerate(contents):
                service.drop(f"{number}.jpg", content)
            began = time.perf_counter()
            with Watch(service) as busy:
                service.until(
                    lambda: (
                        service.rows("select count(*) from photos where state in ('kept', 'left_alone')")
                        == [(options.photos + 1,)]
                    ),
                    seconds=3600,
                    pause=0.5,
                )
            seconds = time.perf_counter() - began
            kept = service.rows("select count(*) from photos where state = 'kept'")[0][0]
            stopped = service.stop()
    rate = 60 * options.photos / seconds
    print(f"{options.photos} photos of 640 x 427, {kept} developed; {options.workers} workers")
    print(f"{'':32} {'measured':>12} {'baseline':>12} {'ratio':>7}")
    print(
        f"{'photos per minute':32} {rate:12.0f} {alone * options.workers:12.0f} {rate / alone / options.workers:7.2f}"
    )
    print(f"{'inbox p95, ms':32} {busy.p95():12.0f} {idle.p95():12.0f} {busy.p95() / idle.p95():7.2f}")
    print(
        f"{'memory of all processes, MiB':32} {busy.most_bytes / 2**20:12.0f} {idle.most_bytes / 2**20:12.0f} "
        f"{busy.most_bytes / idle.most_bytes:7.2f}"
    )
    print(f"{'end after SIGTERM, s':32} {stopped:12.1f} {8:12.1f} {stopped / 8:7.2f}")
    print("baselines: the same steps in one process, times the workers; the idle service; the limit of a stop")


if __name__ == "__main__":
    main()
