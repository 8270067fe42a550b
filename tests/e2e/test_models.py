"""Models fetched on their page in a browser, from a stand-in for where they are published."""

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.analysis.weights_server import Publisher, publishing
from tests.e2e.conftest import Service, patient

NAME = "rtdetr-v2-r50"


@pytest.fixture
def hub() -> Iterator[Publisher]:
    """A server in a thread of its own."""
    files = {"config.json": b"{}", "preprocessor_config.json": b"{}", "model.safetensors": b"w" * 2_000_000}
    ready, ended = threading.Event(), threading.Event()
    published: list[Publisher] = []

    async def serve() -> None:
        publisher = Publisher({f"PekingU/rtdetr_v2_r50vd/{name}": content for name, content in files.items()})
        async with publishing(publisher):
            published.append(publisher)
            ready.set()
            await asyncio.to_thread(ended.wait)

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(60)
    yield published[0]
    ended.set()
    thread.join(30)


@pytest.fixture
def fetching(tmp_path: Path, hub: Publisher) -> Iterator[Service]:
    """A service that fetches from there."""
    running = Service(tmp_path, SIDECAR_MODELS_MIRROR=hub.address)
    running.start()
    yield running
    running.stop()


def test_a_model_is_fetched_stopped_resumed_and_removed(hub: Publisher, fetching: Service, browser: Browser) -> None:
    problems: list[str] = []
    context = browser.new_context(viewport={"width": 1280, "height": 850})
    patient(context)
    page = context.new_page()
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("dialog", lambda dialog: dialog.accept())
    page.goto(fetching.url + "/models")
    line = page.locator(f"[data-model='{NAME}']")
    expect(line.get_by_role("button", name="Fetch")).to_be_visible()
    others = page.locator("#others-detection")
    expect(others.locator("[data-model='dfine-small']")).to_be_hidden()
    others.locator("summary").click()
    hub.manner, hub.cuts = "stall", [1_600_000]
    line.get_by_role("button", name="Fetch").click()
    expect(line.locator("progress")).to_be_visible()
    expect(line.locator(".model-file")).to_have_text("model.safetensors")
    expect(line.locator(".model-done")).to_have_text("1 MB of 172 MB")
    expect(others.locator("[data-model='dfine-small']")).to_be_visible()
    line.get_by_role("button", name="Stop").click()
    expect(line.get_by_role("button", name="Resume")).to_be_visible()
    hub.manner = ""
    line.get_by_role("button", name="Resume").click()
    expect(line.locator(".chip.state-ok")).to_have_text("Ready")
    assert (fetching.home / "data" / "models" / NAME / "model.safetensors").stat().st_size == 2_000_000
    line.get_by_role("button", name="Remove").click()
    expect(line.get_by_role("button", name="Fetch")).to_be_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_function("() => document.documentElement.clientWidth <= 390")
    wide = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert wide[0] <= wide[1]
    context.close()
    assert problems == []
