"""The service as its operator meets it: started, used through its folder and its API, stopped."""

import asyncio
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from PIL import Image

#: Seconds within which a service has ended, also on a busy machine: it gives its own parts seven.
PROMPT = 45


def dark_photo(path: Path, seed: int, size: tuple[int, int] = (480, 320)) -> Path:
    """A photo that clearly needs more light."""
    random = np.random.default_rng(seed)
    small = (random.random((8, 12, 3)) * 0.8 + 0.1) * 255
    picture = np.asarray(Image.fromarray(small.astype(np.uint8)).resize(size, Image.Resampling.BICUBIC)) / 255
    linear = np.clip(picture, 0, 1) ** 2.2 * 0.08
    Image.fromarray((linear ** (1 / 2.2) * 255).astype(np.uint8)).save(path, quality=95)
    return path


class Running:
    """A service in a process of its own."""

    def __init__(self, folder: Path, **environment: str) -> None:
        self.data = folder / "data"
        self.log = folder / f"log-{time.monotonic_ns()}"
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("SIDECAR_", "IMMICH_"))}
        settings = {
            "SIDECAR_DATA_DIR": str(self.data),
            "SIDECAR_PORT": "0",
            "SIDECAR_WORKERS": "1",
            "SIDECAR_MIN_FREE": "0",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "immich_sidecar", "run"],
            env=clean | settings | environment,
            stdout=self.log.open("w"),
            stderr=subprocess.STDOUT,
        )
        self.address = ""
        self.environment = clean | settings | environment

    def output(self) -> str:
        return self.log.read_text()

    def wait_until_up(self, seconds: float = 120) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            assert self.process.poll() is None, self.output()
            if match := re.search(r"immich-sidecar \S+: (http://\S+)", self.output()):
                self.address = match[1]
                return
            time.sleep(0.1)
        raise AssertionError(f"not up: {self.output()}")

    def get(self, path: str, headers: dict[str, str] | None = None) -> Any:
        request = urllib.request.Request(self.address + path, headers=headers or {})
        with urllib.request.urlopen(request, timeout=90) as answer:
            return json.load(answer)

    def photos(self) -> dict[str, dict[str, Any]]:
        return {photo["file_name"]: photo for photo in self.get("/api/photos?limit=200")["items"]}

    def wait_for(self, condition: Any, seconds: float = 120) -> Any:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            if found := condition():
                return found
            time.sleep(0.2)
        raise AssertionError(f"{self.photos()}\n{self.output()}")

    def stop(self, number: int = signal.SIGTERM) -> float:
        began = time.monotonic()
        if self.process.poll() is None:
            self.process.send_signal(number)
        self.process.wait(120)
        return time.monotonic() - began

    def verify(self) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "immich_sidecar", "verify"],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
        )


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Any]:
    running: list[Running] = []

    def begin(*, up: bool = True, **environment: str) -> Running:
        service = Running(tmp_path, **environment)
        running.append(service)
        if up:
            service.wait_until_up()
        return service

    yield begin
    for service in running:
        service.stop(signal.SIGKILL)


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("SIDECAR_", "IMMICH_"))}
    return subprocess.run(
        [sys.executable, "-m", "immich_sidecar", *arguments],
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_dropped_photo_is_developed_and_the_folder_only_read(start: Any):
    service = start()
    inbox = service.data / "inbox"
    photo = dark_photo(inbox / "dark.jpg", 1)
    before = photo.read_bytes()
    done = service.wait_for(
        lambda: service.photos().get("dark.jpg", {}).get("status") == "pending" and service.photos()
    )
    assert done["dark.jpg"]["suggestions"][0]["reason"]
    assert photo.read_bytes() == before
    assert [path.name for path in inbox.iterdir()] == ["dark.jpg"]
    assert service.stop() < PROMPT
    assert service.process.returncode == 0
    verified = service.verify()
    assert verified.returncode == 0, verified.stdout


def test_stopped_in_the_middle_it_loses_nothing(start: Any):
    service = start()
    for number in range(8):
        dark_photo(service.data / "inbox" / f"{number}.jpg", number, (1500, 1000))
    service.wait_for(lambda: len(service.photos()) == 8)
    assert service.stop() < PROMPT
    assert service.process.returncode == 0
    again = start()
    again.wait_for(lambda: all(photo["status"] == "pending" for photo in again.photos().values()), 120)
    assert len(again.photos()) == 8
    assert all(photo["version"] == 1 for photo in again.photos().values())
    again.stop()
    verified = again.verify()
    assert verified.returncode == 0, verified.stdout


def test_damaged_file_shows_up_in_verify(start: Any):
    service = start()
    dark_photo(service.data / "inbox" / "dark.jpg", 3)
    service.wait_for(lambda: service.photos().get("dark.jpg", {}).get("status") == "pending")
    service.stop()
    version = next((service.data / "processed").rglob("*_processed_v1.jpg"))
    version.write_bytes(version.read_bytes()[:-1] + b"x")
    verified = service.verify()
    assert verified.returncode == 1
    assert version.name in verified.stdout


def test_idle_service_uses_little_processor_time(start: Any):
    service = start(SIDECAR_WORKERS="2")
    root = psutil.Process(service.process.pid)

    def used() -> float:
        total = 0.0
        for process in [root, *root.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess):
                times = process.cpu_times()
                total += times.user + times.system
        return total

    # Workers warm up first, and on a busy machine nobody can tell when they are done: one calm while is enough.
    until = time.monotonic() + 150
    while True:
        before, began = used(), time.monotonic()
        time.sleep(8)
        share = (used() - before) / (time.monotonic() - began)
        if share < 0.05:
            break
        assert time.monotonic() < until, f"{share:.1%} of a core"


def test_second_service_on_the_same_data_is_refused(start: Any):
    first = start()
    second = run("run", SIDECAR_DATA_DIR=str(first.data), SIDECAR_PORT="0")
    assert second.returncode == 2
    assert "in use by another immich-sidecar" in second.stderr
    assert second.stderr.count("\n") == 1


def test_port_in_use_is_explained(tmp_path: Path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        result = run("run", SIDECAR_DATA_DIR=str(tmp_path / "d"), SIDECAR_PORT=port)
    assert result.returncode == 2
    assert f"SIDECAR_PORT={port}" in result.stderr
    assert result.stderr.strip().count("\n") == 0


def test_wrong_setting_ends_the_start_with_one_line(tmp_path: Path):
    result = run("run", SIDECAR_DATA_DIR=str(tmp_path), SIDECAR_MODE="loud")
    assert result.returncode == 2
    assert (
        result.stderr.strip() == "immich-sidecar: SIDECAR_MODE=loud: not allowed; allowed: 'review', 'stack' or 'auto'"
    )


def test_data_directory_that_cannot_be_made_is_explained(tmp_path: Path):
    (tmp_path / "file").write_text("")
    result = run("run", SIDECAR_DATA_DIR=str(tmp_path / "file" / "data"))
    assert result.returncode == 2
    assert "SIDECAR_DATA_DIR=" in result.stderr


def test_open_host_makes_a_password_and_keeps_it(start: Any):
    service = start(SIDECAR_HOST="0.0.0.0")
    password = re.search(r"password: (\S+)", service.output())[1]
    kept = service.data / "password"
    assert kept.read_text().strip() == password
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    with pytest.raises(urllib.error.HTTPError) as refused:
        service.get("/api/photos")
    assert refused.value.code == 401
    assert service.get("/api/photos", {"Authorization": f"Bearer {password}"})["items"] == []
    assert service.get("/healthz") == {"status": "ok"}
    service.stop()
    again = start(SIDECAR_HOST="0.0.0.0")
    assert f"password: {password}" in again.output()


def test_given_password_is_not_printed(start: Any):
    service = start(SIDECAR_HOST="0.0.0.0", SIDECAR_PASSWORD="something long")
    assert "something long" not in service.output()
    assert not (service.data / "password").exists()
    assert service.get("/api/photos", {"Authorization": "Bearer something long"})["items"] == []


def test_health_command(start: Any):
    service = start()
    port = service.address.rsplit(":", 1)[1]
    service.wait_for(lambda: run("health", SIDECAR_PORT=port).returncode == 0)
    service.stop()
    assert run("health", SIDECAR_PORT=port).returncode == 1


def test_two_owners_with_the_same_photo(start: Any, tmp_path: Path):
    (tmp_path / "anna").mkdir()
    service = start(SIDECAR_HOT_FOLDERS=f"{tmp_path / 'local'}:{tmp_path / 'anna'}=anna")
    photo = dark_photo(tmp_path / "anna" / "dark.jpg", 5)
    # This folder did not exist when the service began.
    (tmp_path / "local").mkdir()
    shutil.copy(photo, tmp_path / "local" / "mine.jpg")
    anna = service.wait_for(
        lambda: [p for p in service.get("/api/photos?owner=anna")["items"] if p["status"] == "pending"]
    )
    mine = service.wait_for(lambda: [p for p in service.get("/api/photos")["items"] if p["status"] == "pending"])
    assert [p["file_name"] for p in anna] == ["dark.jpg"]
    assert [p["file_name"] for p in mine] == ["mine.jpg"]
    assert anna[0]["id"] == mine[0]["id"]
    assert (service.data / "owners" / "anna" / "originals").is_dir()
    body = json.dumps({"version": 1}).encode()
    request = urllib.request.Request(
        f"{service.address}/api/photos/{anna[0]['id']}/approve?owner=anna",
        data=body,
        headers={"Content-Type": "application/json"},
    )
    urllib.request.urlopen(request, timeout=90).close()
    assert service.get("/api/photos?owner=anna")["items"][0]["review"] == "approved"
    assert service.get("/api/photos")["items"][0]["review"] == "pending"


async def test_check_says_what_is_there_and_what_is_not(tmp_path: Path):
    from tests.immich_server import ImmichServer

    hot = tmp_path / "hot"
    hot.mkdir()
    base = {"SIDECAR_DATA_DIR": str(tmp_path / "data"), "SIDECAR_HOT_FOLDERS": str(hot), "SIDECAR_MIN_FREE": "0"}
    nothing = await asyncio.to_thread(run, "check", **base)
    assert nothing.returncode == 0, nothing.stdout
    server = ImmichServer()
    await server.start()
    try:
        user = server.add_user("Anna")
        good = server.add_key(user, ["all"])
        poor = server.add_key(user, ["asset.read", "user.read"])
        fine = await asyncio.to_thread(run, "check", IMMICH_URL=server.url, IMMICH_API_KEY=good, **base)
        assert fine.returncode == 0, fine.stdout
        assert "3.1.0" in fine.stdout
        assert "Anna" in fine.stdout
        lacking = await asyncio.to_thread(run, "check", IMMICH_URL=server.url, IMMICH_API_KEY=poor, **base)
        assert lacking.returncode == 1
        assert "asset.upload" in lacking.stdout
        wrong = await asyncio.to_thread(run, "check", IMMICH_URL=server.url, IMMICH_API_KEY="nonsense", **base)
        assert wrong.returncode == 1
    finally:
        await server.stop()
    away = await asyncio.to_thread(run, "check", IMMICH_URL=server.url, IMMICH_API_KEY=good, **base)
    assert away.returncode == 1
    folder = await asyncio.to_thread(run, "check", **(base | {"SIDECAR_HOT_FOLDERS": str(tmp_path / "none")}))
    assert folder.returncode == 1
    assert "does not exist" in folder.stdout


def test_real_photos_from_drop_to_page(start: Any, photos: Path):
    """The newcomer's minute: four real photos and six broken ones."""
    service = start(SIDECAR_WORKERS="2")
    inbox = service.data / "inbox"
    good = [
        "beers-24mp.jpg",
        "bird-house-iphone-12mp.heic",
        "raw/canon-30d-landscape.cr2",
        "phone-box-orientation6-nikon-d40.jpg",
    ]
    broken = sorted((photos / "broken").iterdir())
    began, began_at = time.monotonic(), time.time()
    for file in [*(photos / name for name in good), *broken]:
        shutil.copy(file, inbox / file.name)
    for file in broken:
        # What was written just now and ends early could be on its way; these are older.
        os.utime(inbox / file.name, (began_at - 1000, began_at - 1000))

    def settled() -> bool:
        found = service.photos()
        ended = ("pending", "left_alone", "failed")
        return len(found) == 8 and all(photo["status"] in ended for photo in found.values())

    service.wait_for(settled, 400)
    print(f"all in place after {time.monotonic() - began:.1f} s")
    found = service.photos()
    assert found["canon-30d-landscape.cr2"]["status"] == "pending"
    for name in good:
        photo = found[Path(name).name]
        assert photo["status"] == "pending" or photo["left_alone_reason"]
    assert found["jpeg-named.nef"]["status"] in ("pending", "left_alone")
    assert found["jpeg-named.nef"]["media_type"] == "image/jpeg"
    for name in ("cut-in-half.jpg", "cut.cr2", "truncated.jpg"):
        assert found[name]["status"] == "failed"
        assert found[name]["error"].startswith(name)
    assert "empty.jpg" not in json.dumps(service.get("/api/status"))
    failed_files = json.dumps(service.get("/api/queue")) + json.dumps(service.get("/api/status"))
    assert "text-named.jpg is named like a photo but holds something else" in failed_files
    service.stop()
    assert service.verify().returncode == 0
