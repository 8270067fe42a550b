"""Makes the pictures of `docs/immich.md`: `make screenshots`.

The real service runs against the stand-in Immich, and a real browser is in front of it. The photos are samples of
scikit-image that their photographers gave to everybody (CC0): Chelsea the cat and a cup of coffee, made too dark here.
"""

import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, expect, sync_playwright
from skimage import data

from tests.e2e.conftest import ARGUMENTS, PATIENCE, Service
from tests.e2e.test_people import EMAIL, Immich, running_immich
from tests.immich_server.given import PASSWORD
from tests.photos.make import degraded, write_jpeg

#: Where the pictures go.
FOLDER = Path(__file__).parents[2] / "docs" / "images"
WIDTH, HEIGHT = 1040, 720
#: No picture is larger, in bytes.
LARGEST = 160_000


def take_all(home: Path, chromium: str, folder: Path) -> list[Path]:
    """Take every picture; gives the files."""
    folder.mkdir(parents=True, exist_ok=True)
    with running_immich() as immich, sync_playwright() as playwright:
        service = Service(home, IMMICH_URL=immich.url, SIDECAR_PASSWORD="operator", SIDECAR_POLL_SECONDS="1")
        service.start()
        browser = playwright.chromium.launch(executable_path=chromium, args=ARGUMENTS)
        try:
            context = browser.new_context(viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light")
            context.set_default_timeout(PATIENCE)
            return _tour(context, service, immich, home, folder)
        finally:
            browser.close()
            service.stop()


def _tour(context: BrowserContext, service: Service, immich: Immich, home: Path, folder: Path) -> list[Path]:
    page, taken = context.new_page(), []

    def keep(name: str, *, before: Callable[[], None] | None = None) -> None:
        if before is not None:
            before()
        page.wait_for_load_state("networkidle")
        path = folder / f"{name}.jpg"
        page.screenshot(path=path, type="jpeg", quality=80)
        taken.append(path)

    page.goto(f"{service.url}/")
    keep("sign-in")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password", exact=True).first.fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Welcome, Admin")).to_be_visible()
    keep("set-up")
    page.get_by_role("button", name="Agree and connect").click()
    expect(page.get_by_text("You are connected.")).to_be_visible()
    for name, pixels in (("coffee.jpg", data.coffee()), ("chelsea.jpg", data.chelsea())):
        immich.upload(write_jpeg(home / name, degraded(pixels, ev=-2.0)), name)
        _wait_for_card(page, service, name)
    keep("inbox")
    page.get_by_role("link", name="chelsea.jpg").first.click()
    expect(page.get_by_role("button", name="Approve").first).to_be_visible()
    keep("photo")
    keep("photo-links", before=page.get_by_role("link", name="Show in Immich").last.scroll_into_view_if_needed)
    page.goto(f"{service.url}/open")
    keep("open")
    page.goto(f"{service.url}/account")
    keep("account")
    return taken


def _wait_for_card(page: Page, service: Service, name: str) -> None:
    page.goto(f"{service.url}/")
    expect(page.get_by_role("link", name=name).first).to_be_visible(timeout=PATIENCE)


def main() -> None:
    """Take the pictures anew."""
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if chromium is None:
        raise SystemExit("chromium is needed: install it, or name it with CHROMIUM=")
    with tempfile.TemporaryDirectory() as home:
        for path in take_all(Path(home), chromium, FOLDER):
            size = path.stat().st_size
            print(f"{path.name}: {size} bytes")
            assert size <= LARGEST, f"{path} is too large to be kept"


if __name__ == "__main__":
    main()
