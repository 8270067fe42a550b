"""From the webhook to the suggestion on the page, and to the stacked version, for photos of 12 megapixels.

``python -m tests.benchmarks.latency [--photos 100]`` prints a table. Photos come one at a time into a stand-in Immich,
which calls the real service; the page's socket says when the suggestion is there. The baseline is measured in the same
run: fetching the same photo and looking at it, in one process without a service.
"""

import argparse
import asyncio
import hashlib
import io
import json
import socket
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from PIL import Image

from immich_sidecar.immich.api import Api
from tests.immich_server import ImmichServer
from tests.photos.make import degraded, scene
from tests.service.running import Service, connected, until

#: Seconds allowed, at the 95th percentile.
SUGGESTION_LIMIT = 1.0
STACKED_LIMIT = 5.0
#: Pixels of a photo.
SIZE = (4000, 3000)
#: Photos that warm everything up, and that the baseline is measured on.
WARM_UP = 3
BASELINE = 8


@dataclass
class Times:
    """When what happened to one photo, in seconds of one clock."""

    webhook: float
    #: By type of event, and for publishing by its state.
    events: dict[str, float] = field(default_factory=dict)

    def until(self, *names: str) -> float | None:
        """Seconds from the webhook to the first of these."""
        found = [self.events[name] for name in names if name in self.events]
        return min(found) - self.webhook if found else None


def pictures() -> list[np.ndarray]:
    """Three photos that need something, of full size with some grain."""
    rng = np.random.default_rng(7)
    made = []
    for seed, ev in ((1, -1.5), (2, -2.0), (3, -2.5)):
        picture = degraded(scene(*SIZE, seed=seed), ev=ev).astype(np.int16)
        picture += rng.integers(-4, 5, picture.shape, np.int16)
        made.append(np.clip(picture, 0, 255).astype(np.uint8))
    return made


def contents(bases: list[np.ndarray]) -> Callable[[int], bytes]:
    """The file of the photo with a number; no two are alike."""
    encoded = []
    for base in bases:
        buffer = io.BytesIO()
        Image.fromarray(base).save(buffer, "JPEG", quality=92)
        encoded.append(buffer.getvalue())

    def content(number: int) -> bytes:
        # A comment right after the start of the image.
        text = f"photo {number}".encode()
        picture = encoded[number % len(encoded)]
        return picture[:2] + b"\xff\xfe" + (len(text) + 2).to_bytes(2, "big") + text + picture[2:]

    return content


async def baseline(immich: ImmichServer, key: str, folder: Path, asset_ids: list[str]) -> list[float]:
    """Seconds to fetch a photo and to look at it, for each of these."""
    from immich_sidecar.pipeline import tasks

    await asyncio.to_thread(tasks.warm_up)
    api = Api(immich.url, key)
    seconds = []
    original, thumbnail, preview = (folder / name for name in ("original.jpg", "thumbnail.jpg", "preview.jpg"))
    for number, asset_id in enumerate([asset_ids[0], *asset_ids]):
        began = time.perf_counter()
        sha1 = await api.download(asset_id, original, name="photo")
        analysed = await asyncio.to_thread(tasks.analyse_file, str(original), str(thumbnail), str(preview))
        await asyncio.to_thread(
            tasks.advise_photo,
            hashlib.sha256(sha1.encode()).hexdigest(),
            analysed.analysis,
            {},
            "00000000-0000-4000-8000-000000000000",
            datetime.now(UTC),
        )
        if number:
            seconds.append(time.perf_counter() - began)
    await api.close()
    return seconds


class Listening:
    """The page's socket: notes when which photo had which event."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._task: asyncio.Task[None] | None = None
        self.heard: list[tuple[float, dict[str, Any]]] = []

    async def __aenter__(self) -> "Listening":
        opened = asyncio.Event()
        self._task = asyncio.create_task(self._listen(opened))
        await opened.wait()
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()

    async def _listen(self, opened: asyncio.Event) -> None:
        async with aiohttp.ClientSession() as session, session.ws_connect(f"{self._address}/ws") as page:
            opened.set()
            async for message in page:
                self.heard.append((time.time(), json.loads(message.data)))

    def has_done_with(self, sha256: str) -> bool:
        """Whether nothing more comes of a photo by itself."""
        return not {"marked", "photo_left_alone", "photo_failed"}.isdisjoint(self.of(sha256))

    def of(self, sha256: str) -> dict[str, float]:
        """When a photo's events came, by name; the first of each."""
        found: dict[str, float] = {}
        for at, message in self.heard:
            if message["data"].get("file_id") == sha256:
                found.setdefault(message["type"], at)
                if publish := message["data"].get("publish"):
                    found.setdefault(publish, at)
        return found


async def measure(count: int, folder: Path) -> tuple[list[Times], list[float]]:
    """The times of so many photos, and the baseline's."""
    content = contents(pictures())
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with ImmichServer(extraction_delay=0.1, thumbnail_delay=0.1) as immich:
        user = immich.add_user("Ada")
        key = immich.add_key(user)
        phone = Api(immich.url, immich.add_key(user))
        service = Service(
            folder,
            {
                "IMMICH_URL": immich.url,
                "IMMICH_API_KEY": key,
                "SIDECAR_PORT": str(port),
                "SIDECAR_WEBHOOK_URL": f"http://127.0.0.1:{port}",
                # Asking comes too late to help.
                "SIDECAR_POLL_SECONDS": "600",
            },
        )
        await service.start()
        await connected(service)
        await service.stop()
        service.let_time_pass("UPDATE connections SET choices = ?", json.dumps({"webhook": True}))
        await service.start()
        await until(lambda: immich.workflows_of(user), "the webhook is made", service)
        times: list[Times] = []
        asset_ids: list[str] = []
        try:
            async with Listening(service.address) as page:
                for number in range(-WARM_UP, count):
                    bytes_ = content(number + WARM_UP)
                    asset_id, sha256 = await upload(phone, folder, bytes_, f"{number}.jpg")
                    await until(partial(page.has_done_with, sha256), f"photo {number} is done", service, 120)
                    (delivery,) = [one for one in immich.deliveries if one.asset_id == asset_id]
                    if number >= 0:
                        times.append(Times(delivery.at.timestamp(), page.of(sha256)))
                        asset_ids.append(asset_id)
        finally:
            if service.runs:
                await service.stop()
        alone = await baseline(immich, key, folder, asset_ids[:BASELINE])
        await phone.close()
    return times, alone


async def upload(phone: Api, folder: Path, content: bytes, name: str) -> tuple[str, str]:
    """Upload a photo as another client; gives the asset's id and the SHA-256."""
    path = folder / "upload.jpg"
    path.write_bytes(content)
    at = datetime.now(UTC)
    sha1 = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    asset_id, _ = await phone.upload(path, file_name=name, sha1=sha1, created_at=at, modified_at=at, metadata={})
    return asset_id, hashlib.sha256(content).hexdigest()


def percentile(values: list[float], fraction: float) -> float:
    """The value below which this fraction of the values lies."""
    return sorted(values)[min(len(values) - 1, int(fraction * len(values)))]


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=100)
    parser.add_argument("--steps", action="store_true", help="also print when each step was reached")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        times, alone = asyncio.run(measure(options.photos, folder))
    base = statistics.median(alone)
    suggested = [one for time_ in times if (one := time_.until("photo_suggested", "photo_left_alone")) is not None]
    stacked = [one for time_ in times if (one := time_.until("stacked")) is not None]
    print(f"{len(times)} photos of {SIZE[0]} x {SIZE[1]}, one at a time; {len(stacked)} of them stacked")
    print(f"baseline, fetching and looking in one process: {base:.2f} s")
    print(f"{'seconds from the webhook':32} {'p50':>7} {'p95':>7} {'limit':>7} {'p50/baseline':>13}")
    for what, values, limit in (
        ("to the suggestion on the page", suggested, SUGGESTION_LIMIT),
        ("to the stacked version", stacked, STACKED_LIMIT),
    ):
        middle = percentile(values, 0.5)
        print(f"{what:32} {middle:7.2f} {percentile(values, 0.95):7.2f} {limit:7.2f} {middle / base:13.2f}")
    if options.steps:
        for step in sorted({step for one in times for step in one.events}):
            reached = [seconds for one in times if (seconds := one.until(step)) is not None]
            print(f"  {step:30} {percentile(reached, 0.5):7.2f} {percentile(reached, 0.95):7.2f}")


if __name__ == "__main__":
    main()
