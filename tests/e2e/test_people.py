"""A user of Immich in a real browser: signing in, agreeing, photos of their own, and words that would like to run."""

import json
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.e2e.conftest import WAIT, Open, Service, patient
from tests.immich_server.given import PASSWORD
from tests.photos.make import scene, write_jpeg

EMAIL = "admin@example.test"
#: A file name that is a script in every place where it is not kept as text.
EVIL = "\"><img src=x onerror=alert(1)><script>alert(2)<'`{{7*7}}.jpg"


@dataclass
class Immich:
    """The stand-in, in a process of its own."""

    url: str
    key: str

    def upload(self, path: Path, name: str) -> str:
        """Another client uploads a photo; gives the asset's id."""
        limit = uuid4().hex
        parts = {"deviceAssetId": limit, "deviceId": "phone", "fileCreatedAt": "2026-01-01T00:00:00Z"}
        parts |= {"fileModifiedAt": "2026-01-01T00:00:00Z"}
        body = b"".join(
            f'--{limit}\r\nContent-Disposition: form-data; name="{part}"\r\n\r\n{value}\r\n'.encode()
            for part, value in parts.items()
        )
        head = f'--{limit}\r\nContent-Disposition: form-data; name="assetData"; filename="{name}"\r\n\r\n'
        body += head.encode() + path.read_bytes() + f"\r\n--{limit}--\r\n".encode()
        headers = {"x-api-key": self.key, "Content-Type": f"multipart/form-data; boundary={limit}"}
        request = urllib.request.Request(f"{self.url}/api/assets", data=body, headers=headers, method="POST")
        with urllib.request.urlopen(request, timeout=120) as answer:
            return str(json.load(answer)["id"])


@contextmanager
def running_immich() -> Iterator[Immich]:
    """The stand-in with one user, its administrator."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "tests.immich_server", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=Path(__file__).parents[2])
    assert process.stdout is not None
    said = dict(process.stdout.readline().strip().split("=", 1) for _ in range(2))
    yield Immich(said["IMMICH_URL"], said["IMMICH_API_KEY"])
    process.terminate()
    process.wait(60)


@pytest.fixture(scope="module")
def immich() -> Iterator[Immich]:
    with running_immich() as running:
        yield running


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory, immich: Immich, chromium_path: str) -> Iterator[Service]:
    """A service beside it, in a sub-path, that polls often."""
    running = Service(
        tmp_path_factory.mktemp("beside"),
        IMMICH_URL=immich.url,
        SIDECAR_PASSWORD="the operator's",
        SIDECAR_BASE_PATH="/develop",
        SIDECAR_POLL_SECONDS="1",
    )
    running.start()
    yield running
    assert running.stop() == 0


@pytest.fixture
def window(browser: Browser) -> Iterator[BrowserContext]:
    """A browser of somebody who never was here."""
    context = browser.new_context(viewport={"width": 1280, "height": 850})
    patient(context)
    yield context
    context.close()


def quiet(page: Page, problems: list[str]) -> Page:
    """Collect what a page must not do: run foreign words, break its own policy, fail."""
    page.on("dialog", lambda dialog: (problems.append(f"alert: {dialog.message}"), dialog.dismiss()))
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on(
        "console",
        lambda line: problems.append(line.text) if line.type == "error" and "401" not in line.text else None,
    )
    return page


def test_from_the_first_sign_in_to_a_developed_photo(
    beside: Service, immich: Immich, window: BrowserContext, tmp_path: Path
) -> None:
    problems: list[str] = []
    page = quiet(window.new_page(), problems)
    page.goto(f"{beside.url}/develop/queue")
    page.get_by_label("E-mail").fill(EMAIL)
    page.get_by_label("Password", exact=True).first.fill("wrong")
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("alert")).to_contain_text("does not know this e-mail address")
    page.get_by_label("Password", exact=True).first.fill(PASSWORD)
    page.get_by_role("button", name="Sign in", exact=True).click()
    expect(page.get_by_role("heading", name="Welcome, Admin")).to_be_visible()
    assert page.get_by_role("link", name="Inbox").count() == 0, "nothing else is there yet"
    page.get_by_label("Ask first").check()
    page.get_by_role("button", name="Agree and connect").click()
    expect(page.get_by_text("You are connected.")).to_be_visible()
    expect(page.get_by_text("Connected", exact=True)).to_be_visible()
    page.get_by_role("link", name="To the inbox").click()
    expect(page.get_by_role("heading", name="Inbox")).to_be_visible()
    page.get_by_role("link", name="Left alone").click()
    photo = write_jpeg(tmp_path / "phone.jpg", scene(480, 320, seed=41))
    immich.upload(photo, "from-a-phone.jpg")
    card = page.get_by_role("link", name="from-a-phone.jpg")
    expect(card).to_be_visible(timeout=WAIT * 1000)
    card.click()
    page.get_by_role("button", name="Develop anyway").click()
    # The first photo that a service renders takes longest.
    page.get_by_role("button", name="Approve").click(timeout=WAIT * 1000)
    expect(page.locator(".toast").last).to_contain_text("Approved")
    page.locator(".owners summary").click()
    page.get_by_role("link", name="Account").click()
    expect(page.get_by_text("this one")).to_be_visible()
    page.locator(".owners summary").click()
    page.get_by_role("button", name="Log out").click()
    expect(page.get_by_role("heading", name="Sign in with Immich")).to_be_visible()
    page.goto(f"{beside.url}/develop/")
    expect(page.get_by_role("heading", name="Sign in with Immich")).to_be_visible()
    assert problems == []
    assert all(cookie["name"] != "immich_sidecar_session" for cookie in window.cookies())


def test_a_session_of_immich_on_the_same_host_is_enough(
    beside: Service, immich: Immich, window: BrowserContext
) -> None:
    answer = window.request.post(f"{immich.url}/api/auth/login", data={"email": EMAIL, "password": PASSWORD})
    assert answer.status == 201
    problems: list[str] = []
    page = quiet(window.new_page(), problems)
    page.goto(f"{beside.url}/develop/account")
    expect(page.get_by_text("through your session in Immich")).to_be_visible()
    assert [cookie["name"] for cookie in window.cookies() if "sidecar" in cookie["name"]] == []
    assert problems == []


def test_hostile_words_do_not_run(service: Service, open_page: Open) -> None:
    service.drop(EVIL, seed=4242)
    (service.inbox / f"broken {EVIL}").write_bytes(b"\xff\xd8\xff no picture")
    service.until(lambda: [photo for photo in service.photos() if photo["file_name"].startswith('"')] or None)
    service.settle()
    [photo] = [photo for photo in service.photos() if "onerror" in photo["file_name"] and photo["failed_at"] is None]
    alerts: list[str] = []

    def listen(page: Page) -> None:
        page.on("dialog", lambda dialog: (alerts.append(dialog.message), dialog.dismiss()))

    page = open_page("/", before=listen)
    for path in ("/", "/?show=failed", "/?show=left_alone", "/queue", "/status", f"/photos/{photo['id']}", "/account"):
        page.goto(service.url + path)
        page.wait_for_timeout(150)
        assert page.locator("img[src='x'], img[onerror]").count() == 0, path
    page.goto(f"{service.url}/photos/{photo['id']}")
    expect(page.locator("h1.name")).to_have_text(photo["file_name"])
    assert "{{7*7}}" in photo["file_name"]
    # An upload that is refused is told by the script of the page, by its name.
    page.goto(service.url)
    page.set_input_files(
        "#upload-files", [{"name": EVIL.replace(".jpg", ".txt"), "mimeType": "text/plain", "buffer": b"no photo"}]
    )
    expect(page.locator("#uploads-problems")).to_contain_text("onerror=alert(1)")
    assert page.locator("img[src='x'], img[onerror]").count() == 0
    page.wait_for_timeout(200)
    assert alerts == []
