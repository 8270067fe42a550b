"""The real service, with real files, and a real browser in front of it."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.photos.make import degraded, scene, write_jpeg

ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run", "--disable-sync"]
#: Seconds to wait for the service, and milliseconds to wait for the page: generous, since a busy machine is slow.
WAIT = 90.0
PATIENCE = 45_000
#: Seconds for the first work of a service: kernels are compiled for it, where nothing has compiled them before.
COLD = 240.0
#: What a page says vanishes after six or twelve seconds, which a busy machine may take to come to the next line.
LASTING = """
    const soon = window.setTimeout;
    window.setTimeout = (act, ms, ...rest) => soon(act, ms === 6000 || ms === 12000 ? 120000 : ms, ...rest);
"""

expect.set_options(timeout=PATIENCE)


class Service:
    """`immich-sidecar run`, on a port and in folders of its own."""

    def __init__(self, home: Path, **variables: str) -> None:
        self.home = home
        self._variables = variables
        self.inbox = home / "in"
        self.inbox.mkdir()
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it and wait until it is ready."""
        environment = os.environ | {
            "SIDECAR_DATA_DIR": str(self.home / "data"),
            "SIDECAR_HOT_FOLDERS": str(self.inbox),
            "SIDECAR_PORT": str(self.port),
            "SIDECAR_MIN_FREE": "0",
            "SIDECAR_WORKERS": "2",
            **self._variables,
        }
        log = (self.home / "log").open("ab")
        command = [sys.executable, "-m", "immich_sidecar", "run"]
        self._process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        self.until(self._is_ready)

    def stop(self) -> int:
        """End it as a container platform would."""
        process, self._process = self._process, None
        if process is None:
            return 0
        process.send_signal(signal.SIGTERM)
        return process.wait(120)

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Ask the API."""
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self.url + path, data=data, method=method)
        with urllib.request.urlopen(request, timeout=45) as answer:
            return json.load(answer)

    def photos(self, query: str = "") -> list[dict[str, Any]]:
        """The photos, newest first."""
        found: list[dict[str, Any]] = self.ask("GET", f"/api/photos?limit=200&{query}")["items"]
        return found

    def drop(self, name: str, seed: int, size: tuple[int, int] = (480, 320), ev: float = 0.0) -> None:
        """Put a photo into the hot folder, exposed wrongly by `ev`."""
        write_jpeg(self.home / name, degraded(scene(*size, seed=seed), ev=ev) if ev else scene(*size, seed=seed))
        shutil.move(self.home / name, self.inbox / name)

    def pending(self, count: int) -> list[dict[str, Any]]:
        """At least so many pending photos, made where there are too few."""
        while len(self.photos("review=pending")) < count:
            number = len(self.photos())
            self.drop(f"more-{number}.jpg", 1000 + number)
            self.until(lambda: len(self.photos()) > number)  # noqa: B023
            self.settle()
        return self.photos("review=pending")

    def settle(self, seconds: float = WAIT) -> None:
        """Wait until all work is done; photos that were left alone are developed all the same."""
        self.until(self._is_idle, seconds)
        for photo in self.photos("status=left_alone"):
            self.ask("POST", f"/api/photos/{photo['id']}/develop", {"version": photo["version"]})
        self.until(self._is_idle, seconds)

    def until(self, happens: Callable[[], Any], seconds: float = WAIT) -> Any:
        """Wait until something is so."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := happens():
                return found
            time.sleep(0.1)
        raise TimeoutError(f"not within {seconds} s; the service says:\n{(self.home / 'log').read_text()[-3000:]}")

    def _is_ready(self) -> bool:
        try:
            return bool(self.ask("GET", "/readyz"))
        except OSError:
            return False

    def _is_idle(self) -> bool:
        working = ("analysing", "advising", "rendering", "keeping")
        return all(
            photo["state"] in ("kept", "left_alone", "cancelled") or photo["failed_at"] for photo in self.photos()
        ) and not any(photo["status"] in working for photo in self.photos())


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Let tests here take longer than others: the first of a kind may wait for kernels that are compiled."""
    for item in items:
        if item.path.parent == Path(__file__).parent:
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture(scope="package")
def service(tmp_path_factory: pytest.TempPathFactory, chromium_path: str) -> Iterator[Service]:
    """One service for all tests here; each test brings the photos that it needs."""
    running = Service(tmp_path_factory.mktemp("service"))
    for seed, size in enumerate([(480, 320), (320, 480), (600, 300), (480, 360), (480, 320), (360, 480)], start=1):
        running.drop(f"photo-{seed}.jpg", seed, size)
    whole = write_jpeg(running.home / "whole.jpg", scene(480, 320, seed=77)).read_bytes()
    cut = running.inbox / "cut-in-half.jpg"
    cut.write_bytes(whole[: len(whole) // 2])
    # What was written just now and ends early could be on its way; this is older.
    os.utime(cut, (1_700_000_000, 1_700_000_000))
    try:
        running.start()
        running.until(lambda: len(running.photos()) == 7)
        running.settle(COLD)
    except BaseException:
        # It is not left behind.
        running.stop()
        raise
    yield running
    assert running.stop() == 0, "SIGTERM ends it cleanly"


@pytest.fixture(scope="package")
def browser(chromium_path: str) -> Iterator[Browser]:
    """A real browser."""
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=chromium_path, args=ARGUMENTS)
        yield launched
        launched.close()


def patient(context: BrowserContext) -> BrowserContext:
    """The context, ready for a busy machine: it waits longer, and so does what its pages say."""
    context.set_default_timeout(PATIENCE)
    context.add_init_script(LASTING)
    # Requests pass by here from the start: the first ones after a page begins to hold some back could get past it.
    context.route("**/nothing-of-that-name", lambda route: route.continue_())
    return context


Open = Callable[..., Page]


@pytest.fixture
def open_page(browser: Browser, service: Service) -> Iterator[Open]:
    """Opens a page of the service; at the end nothing may have gone wrong in it, nor left for another host."""
    contexts: list[BrowserContext] = []
    problems: list[str] = []

    def make(
        path: str = "/",
        *,
        width: int = 1280,
        height: int = 850,
        touch: bool = False,
        before: Callable[[Page], None] | None = None,
        **options: Any,
    ) -> Page:
        context = patient(
            browser.new_context(
                viewport={"width": width, "height": height}, has_touch=touch, is_mobile=touch, **options
            )
        )
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(f"{path}: {error}"))
        page.on("console", lambda line: problems.append(f"{path}: {line.text}") if _is_problem(line) else None)
        page.on("request", lambda sent: problems.append(f"left for {sent.url}") if _is_foreign(sent.url) else None)
        if before is not None:
            before(page)
        page.goto(service.url + path)
        return page

    def _is_problem(line: Any) -> bool:
        # What a test provokes: a refusal, an original that is gone, and a service that is away.
        expected = ("409", "410", "ERR_CONNECTION_", "ERR_EMPTY_RESPONSE", "WebSocket connection")
        expected += ("htmx:sendError", "htmx:afterRequest")
        refused_upload = "/api/photos?name=" in line.location.get("url", "")
        return line.type == "error" and not refused_upload and not any(part in line.text for part in expected)

    def _is_foreign(url: str) -> bool:
        return not url.startswith((service.url, service.url.replace("http", "ws"), "blob:", "data:"))

    yield make
    for context in contexts:
        context.close()
    assert not problems
