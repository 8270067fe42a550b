"""From a photo in Immich into its page here, with the bookmark, in a real browser."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import BrowserContext, expect

from tests.e2e.conftest import Service
from tests.e2e.test_people import Immich, immich, quiet, window  # noqa: F401 - fixtures
from tests.photos.make import scene, write_jpeg


@pytest.fixture(scope="module")
def connected(tmp_path_factory: pytest.TempPathFactory, immich: Immich, chromium_path: str) -> Iterator[Service]:  # noqa: F811
    running = Service(
        tmp_path_factory.mktemp("doors"), IMMICH_URL=immich.url, IMMICH_API_KEY=immich.key, SIDECAR_POLL_SECONDS="1"
    )
    running.start()
    running.until(lambda: running.ask("GET", "/api/status")["immich"]["state"] == "ok")
    yield running
    assert running.stop() == 0


def test_the_bookmark_opens_the_photo_that_is_being_viewed(
    connected: Service,
    immich: Immich,  # noqa: F811
    window: BrowserContext,  # noqa: F811
    tmp_path: Path,
) -> None:
    asset_id = immich.upload(write_jpeg(tmp_path / "a.jpg", scene(480, 320, seed=91)), "from-immich.jpg")
    connected.until(connected.photos)
    problems: list[str] = []
    page = quiet(window.new_page(), problems)
    page.goto(f"{connected.url}/open")
    page.locator(".owners summary").click()
    expect(page.get_by_role("link", name="From Immich")).to_have_attribute("aria-current", "page")
    code = page.get_by_role("link", name="Open in Sidecar").get_attribute("href")
    assert code is not None
    assert code.startswith("javascript:")
    page.goto(f"{immich.url}/albums/{asset_id}/photos/{asset_id}")
    with window.expect_page() as opened:
        page.evaluate(code.removeprefix("javascript:"))
    expect(opened.value).to_have_url(f"{connected.url}/photos/{connected.photos()[0]['id']}")
    expect(opened.value.get_by_role("link", name="Show in Immich").first).to_have_attribute(
        "href", f"{immich.url}/photos/{asset_id}"
    )
    assert problems == []
    page.goto(f"{immich.url}/albums/{asset_id}")
    page.evaluate(code.removeprefix("javascript:"))
    assert problems == ["alert: Open a photo in Immich first, then use this bookmark."]


def test_an_address_is_enough(connected: Service, immich: Immich, window: BrowserContext, tmp_path: Path) -> None:  # noqa: F811
    number = len(connected.photos())
    asset_id = immich.upload(write_jpeg(tmp_path / "b.jpg", scene(480, 320, seed=92)), "another.jpg")
    connected.until(lambda: len(connected.photos()) > number)
    problems: list[str] = []
    page = quiet(window.new_page(), problems)
    page.goto(f"{connected.url}/open")
    page.get_by_label("Address of a photo in Immich, or its id").fill(f"{immich.url}/photos/{asset_id}")
    page.get_by_role("button", name="Open", exact=True).click()
    expect(page.get_by_role("heading", name="another.jpg")).to_be_visible()
    assert problems == []
