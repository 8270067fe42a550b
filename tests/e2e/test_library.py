"""Rules and backfills in a browser, with an Immich that has been in use for years."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

import pytest
from playwright.sync_api import APIResponse, Browser, Page, Route, expect

from tests.e2e.conftest import WAIT, Service, patient
from tests.immich_server import ImmichServer, User
from tests.service import pictures

_T = TypeVar("_T")


class Aside:
    """The stand-in in a thread of this process, so that a test can put there what is years old."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self.server = self.do(self._start())

    async def _start(self) -> ImmichServer:
        server = ImmichServer(extraction_delay=0.02, thumbnail_delay=0.02)
        await server.start()
        return server

    def do(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(60)

    def call(self, act: Callable[[ImmichServer], _T]) -> _T:
        """Do something to the server where it lives."""

        async def run() -> _T:
            return act(self.server)

        return self.do(run())

    def stop(self) -> None:
        self.do(self.server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)


def fill(server: ImmichServer) -> User:
    """A library as people have it."""
    ada = server.add_user("Ada")
    began = datetime.now(UTC) - timedelta(days=300)

    def add(name: str, content: bytes, **attributes: Any) -> Any:
        return server.add_asset(ada, content, name, created_at=began + timedelta(days=len(server.assets)), **attributes)

    makers = [pictures.dark, pictures.leaning, pictures.good]
    photos = [
        add(f"IMG_{2000 + n}.jpg", makers[n % 3](300 + n), exif={"make": "Canon", "model": "EOS R5"}) for n in range(9)
    ]
    photos += [
        add(f"PXL_{n}.jpg", makers[n % 3](330 + n), exif={"make": "Google", "model": "Pixel 8"}) for n in range(5)
    ]
    for n in range(3):
        add(f"Screenshot {n}.png", pictures.good(350 + n))
    add("edited.jpg", pictures.dark(360), is_edited=True)
    add("film.mp4", b"film")
    server.add_album(ada, "Sommer <b>1999</b>", *photos[:6])
    server.add_album(ada, "Work", *photos[9:12])
    return ada


@pytest.fixture(scope="module")
def aside() -> Iterator[Aside]:
    running = Aside()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def beside(tmp_path_factory: pytest.TempPathFactory, aside: Aside, chromium_path: str) -> Iterator[Service]:
    """A service that was connected just now."""
    ada = aside.call(fill)
    key = aside.call(lambda server: server.add_key(ada))
    running = Service(
        tmp_path_factory.mktemp("beside"), IMMICH_URL=aside.server.url, IMMICH_API_KEY=key, SIDECAR_POLL_SECONDS="1"
    )
    running.start()
    running.until(lambda: (running.ask("GET", "/api/status")["immich"] or {}).get("state") == "ok")
    yield running
    assert running.stop() == 0


@pytest.fixture
def open_here(browser: Browser, beside: Service) -> Iterator[Callable[..., Page]]:
    """Opens a page of that service; nothing may go wrong in it."""
    contexts, problems = [], []

    def make(path: str, *, width: int = 1280, height: int = 900, touch: bool = False, **options: Any) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height}, has_touch=touch, is_mobile=touch, **options
        )
        patient(context)
        contexts.append(context)
        page = context.new_page()
        page.on("pageerror", lambda error: problems.append(f"{path}: {error}"))
        page.on("console", lambda line: problems.append(f"{path}: {line.text}") if _is_problem(line) else None)
        page.on("dialog", lambda dialog: problems.append(f"{path}: {dialog.message}"))
        page.goto(beside.url + path)
        return page

    yield make
    for context in contexts:
        context.close()
    assert not problems


def _is_problem(line: Any) -> bool:
    # A form that cannot be understood is answered with 422.
    return line.type == "error" and "422" not in line.text


def test_rules_are_made_tried_and_kept(beside: Service, open_here: Callable[..., Page]) -> None:
    page = open_here("/rules")
    page.get_by_role("button", name="Add a rule").click()
    first = page.locator(".rules > li").nth(0)
    expect(first.locator("details.rule")).to_have_attribute("open", "")
    first.get_by_label("Name", exact=False).first.fill("No phones")
    first.get_by_label("Camera has", exact=False).first.fill("Pixel, iPhone")
    first.get_by_label("Leave them alone").check()
    expect(first.get_by_label("What is done")).to_be_hidden()
    page.get_by_role("button", name="Add a rule").click()
    second = page.locator(".rules > li").nth(1)
    second.get_by_label("Name", exact=False).first.fill("Summer")
    second.locator("summary", has_text="In one of these albums").click()
    second.get_by_label("Sommer <b>1999</b>").check()
    second.get_by_label("What is done").select_option("straighten")
    # What was filled in before survives adding a rule.
    expect(page.locator("#r0-cameras")).to_have_value("Pixel, iPhone")
    page.get_by_role("button", name="Try it on my library").click()
    trial = page.locator("#trial")
    expect(trial.get_by_role("status")).to_contain_text("9 would be taken, 10 left alone", timeout=WAIT * 1000)
    expect(trial.locator("h2 .chip")).to_have_text("tried")
    expect(trial).to_contain_text("left alone by the rule “No phones”")
    expect(trial.locator(".reasons > div", has_text="a screenshot")).to_contain_text("3")
    expect(trial.locator(".sample img").first).to_be_visible()
    picture = trial.locator(".sample img").first
    picture.scroll_into_view_if_needed()
    expect(picture).to_have_js_property("complete", value=True)
    assert picture.evaluate("image => image.naturalWidth") > 0
    assert beside.ask("GET", "/api/rules")["rules"] == [], "nothing was kept"
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Saved.")).to_be_visible()
    kept = beside.ask("GET", "/api/rules")["rules"]
    assert [(rule["name"], rule["takes"], rule["preset"]) for rule in kept] == [
        ("No phones", False, None),
        ("Summer", True, "straighten"),
    ]
    assert kept[1]["albums"][0]["name"] == "Sommer <b>1999</b>"


def test_rules_are_moved_and_removed_by_keyboard(beside: Service, open_here: Callable[..., Page]) -> None:
    beside.ask("PUT", "/api/rules", {"rules": [{"name": "one"}, {"name": "two"}, {"name": "three"}]})
    page = open_here("/rules")
    names = page.locator(".rule-words b")
    expect(names).to_have_text(["one", "two", "three"])
    page.get_by_role("button", name="Move rule 3 up").focus()
    page.keyboard.press("Enter")
    expect(names).to_have_text(["one", "three", "two"])
    expect(page.get_by_role("button", name="Move rule 2 up")).to_be_focused()
    page.keyboard.press("Enter")
    expect(names).to_have_text(["three", "one", "two"])
    page.get_by_role("button", name="Remove rule 2").click()
    expect(names).to_have_text(["three", "two"])
    assert len(beside.ask("GET", "/api/rules")["rules"]) == 3, "until it is saved"
    page.locator(".rules > li").nth(0).locator("summary").first.click()
    page.locator("#r0-taken_after").fill("2024-05-06")
    page.locator("#r0-taken_before").fill("2024-05-01")
    page.locator("#r0-minimum_megapixels").fill("a lot")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("alert")).to_contain_text("Not everything can be understood")
    expect(page.locator("#r0-minimum_megapixels-wrong")).to_have_text("This is no number.")
    expect(page.locator("#r0-minimum_megapixels")).to_have_value("a lot")
    expect(page.locator("#r0-taken_before-wrong")).to_have_text("This is before the first day.")
    beside.ask("PUT", "/api/rules", {})


def test_an_album_is_counted_processed_and_taken_back(beside: Service, open_here: Callable[..., Page]) -> None:
    beside.ask("PUT", "/api/rules", {})
    page = open_here("/backfill")
    page.get_by_label("An album").check()
    page.get_by_label("Album", exact=True).select_option("Work")
    page.get_by_role("button", name="Count them").click()
    expect(page.locator(".chip.backfill-ready")).to_be_visible(timeout=WAIT * 1000)
    expect(page.locator("#backfill")).to_contain_text("3 of 3 would be processed")
    expect(page.locator(".sample")).to_have_count(3)
    expect(page.locator(".sample-steps", has_text="underexposed")).to_be_visible()
    page.get_by_role("button", name="Start").click()
    expect(page.locator(".chip.backfill-done")).to_be_visible(timeout=WAIT * 1000)
    expect(page.locator("#backfill")).to_contain_text("3 of 3 done")
    page.wait_for_load_state("networkidle")
    # What was opened while an answer was on its way is not closed by it, and the page is asked for again afterwards.
    late: list[tuple[Route, APIResponse]] = []

    def hold(route: Route) -> None:
        if late:
            route.continue_()
        else:
            late.append((route, route.fetch()))

    page.route(page.url, hold)
    page.evaluate("htmx.trigger('#backfill', 'refresh')")
    beside.until(lambda: page.wait_for_timeout(100) or late)
    page.get_by_text("Take all of it back").click()
    route, response = late[0]
    with page.expect_response(page.url):
        route.fulfill(response=response)
    page.wait_for_timeout(200)
    expect(page.get_by_role("button", name="Take it all back")).to_be_visible()
    with page.expect_response(page.url):
        page.get_by_text("Take all of it back").click()
    page.get_by_text("Take all of it back").click()
    page.get_by_role("button", name="Take it all back").click()
    expect(page.locator(".chip.backfill-undone")).to_be_visible(timeout=WAIT * 1000)
    expect(page.get_by_role("status").first).to_contain_text("2 taken back, 1 had nothing in Immich")
    page.get_by_role("link", name="Older photos").click()
    expect(page.locator(".backfills li")).to_contain_text(["Album Work"])


def test_it_works_without_scripts_and_with_a_thumb(beside: Service, open_here: Callable[..., Page]) -> None:
    page = open_here("/rules", width=390, height=844, touch=True, java_script_enabled=False)
    page.get_by_role("button", name="Add a rule").tap()
    page.locator("#r0-name").fill("by thumb")
    page.get_by_role("button", name="Save").tap()
    expect(page.get_by_text("Saved.")).to_be_visible()
    assert [rule["name"] for rule in beside.ask("GET", "/api/rules")["rules"]] == ["by thumb"]
    beside.ask("PUT", "/api/rules", {})
    page.goto(f"{beside.url}/backfill")
    page.get_by_label("What a search finds").check()
    page.get_by_role("button", name="Count them").tap()
    expect(page.get_by_role("alert")).to_contain_text("say which search it is about")
    page.get_by_label("Search for").fill("PXL_4")
    page.get_by_role("button", name="Count them").tap()
    expect(page.get_by_role("heading", name="File names with “PXL_4”")).to_be_visible()
