"""The inbox in a browser, on photos that nobody works on: keys, what goes wrong, and what is told meanwhile."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import APIResponse, Locator, Page, Request, Route, expect

from immich_sidecar.events import EventType
from immich_sidecar.library.tables import PhotoRow
from immich_sidecar.pipeline.notices import notice
from immich_sidecar.web import api_photos
from immich_sidecar.web.socket import close_all
from tests.e2e.at_home import AtHome, at_home
from tests.e2e.test_finding import page  # noqa: F401 - a fixture
from tests.photos.make import scene, write_jpeg

BATCH = "**/api/photos/batch"


@pytest.fixture
def here(tmp_path: Path) -> Iterator[AtHome]:
    with at_home(tmp_path / "data") as opened:
        yield opened


def put(here: AtHome, count: int, status: str = "pending", first: int = 1) -> list[str]:
    """So many photos; gives their ids in the order in which the page has them."""

    async def work() -> list[str]:
        return [(await here.house.shelf.put(status, seed=first + n, size=(48, 32))).sha256 for n in range(count)]

    made: list[str] = here.run(work())
    return made[::-1]


def happen(here: AtHome, kind: EventType, *ids: str) -> None:
    """Let events of these photos be told, all at the same time."""

    async def work() -> None:
        async with here.house.database.transaction() as session:
            for identity in ids:
                row = await session.get_one(PhotoRow, ("local", identity))
                here.house.events.record(session, notice(kind, row))

    here.run(work())


def card(page: Page, identity: str) -> Locator:  # noqa: F811
    return page.locator(f"#card-{identity}")


def told(page: Page, here: AtHome, identity: str) -> tuple[str, int]:  # noqa: F811
    """How the service has a photo: its review and its version."""
    answer = page.request.get(f"{here.url}/api/photos/{identity}").json()
    return answer["review"], answer["version"]


def decide(page: Page, here: AtHome, identity: str, action: str) -> None:  # noqa: F811
    """Decide about a photo elsewhere."""
    version = told(page, here, identity)[1]
    assert page.request.post(f"{here.url}/api/photos/{identity}/{action}", data={"version": version}).ok


def listening(page: Page) -> None:  # noqa: F811
    """Wait until the page hears of what happens."""
    page.wait_for_load_state("networkidle")


class Held:
    """Answers to batches, held until the test lets them go."""

    def __init__(self, page: Page) -> None:  # noqa: F811
        self._page = page
        self.routes: list[tuple[Route, APIResponse]] = []
        self._is_over = False
        page.route(BATCH, self._hold)

    def _hold(self, route: Route) -> None:
        if self._is_over:
            route.continue_()
        else:
            self.routes.append((route, route.fetch()))

    def wait(self) -> None:
        """Wait until the service has answered one."""
        for _ in range(450):
            if self.routes:
                return
            self._page.wait_for_timeout(100)
        raise TimeoutError("no batch was asked for")

    def let_go(self) -> None:
        self._is_over = True
        for route, response in self.routes:
            route.fulfill(response=response)

    def lose(self) -> None:
        for route, _ in self.routes:
            route.abort("connectionreset")


def test_letters_in_the_search_box_are_no_commands(here: AtHome, page: Page) -> None:  # noqa: F811
    (identity,) = put(here, 1)
    page.goto(here.url)
    card(page, identity).locator(".tick input").check(force=True)
    page.get_by_role("searchbox").click()
    page.keyboard.type("bark")
    expect(page.get_by_role("searchbox")).to_have_value("bark")
    expect(card(page, identity).locator(".tick input")).to_be_checked()
    expect(page.locator(".is-leaving")).to_have_count(0)
    assert told(page, here, identity) == ("pending", 1)


def test_enter_in_a_box_to_tick_opens_the_photo(here: AtHome, page: Page) -> None:  # noqa: F811
    (identity, _) = put(here, 2)
    page.goto(here.url)
    box = card(page, identity).locator(".tick input")
    box.check(force=True)
    box.focus()
    page.keyboard.press("Enter")
    expect(page).to_have_url(f"{here.url}/photos/{identity}")
    assert told(page, here, identity) == ("pending", 1)


def test_a_key_that_is_held_decides_once(here: AtHome, page: Page) -> None:  # noqa: F811
    first, second, _ = put(here, 3)
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request) if request.url.endswith("/batch") else None)
    page.goto(here.url)
    card(page, first).locator(".picture").focus()
    page.keyboard.down("a")
    expect(card(page, second).locator(".picture")).to_be_focused()
    page.keyboard.down("a")
    page.wait_for_timeout(300)
    page.keyboard.up("a")
    assert len(asked) == 1
    expect(card(page, second)).to_be_visible()
    assert told(page, here, second) == ("pending", 1)


def test_a_card_that_leaves_is_not_decided_about_again(here: AtHome, page: Page) -> None:  # noqa: F811
    _, second, third, _ = put(here, 4)
    page.goto(here.url)
    card(page, second).locator(".picture").focus()
    held = Held(page)
    page.keyboard.press("a")
    page.keyboard.press("a")
    held.wait()
    held.let_go()
    expect(card(page, second)).to_have_count(0)
    expect(card(page, third).locator(".picture")).to_be_focused()
    page.wait_for_timeout(300)
    assert len(held.routes) == 1
    expect(page.locator(".toast")).to_have_count(1)


def test_keys_that_come_before_the_answer(here: AtHome, page: Page) -> None:  # noqa: F811
    first, second, third, fourth = put(here, 4)
    page.goto(here.url)
    card(page, first).locator(".picture").focus()
    page.keyboard.press("r")
    expect(card(page, second).locator(".picture")).to_be_focused()
    held = Held(page)
    page.keyboard.press("a")
    held.wait()
    # From a photo that leaves to the one after it; and nothing takes the focus back.
    page.keyboard.press("ArrowRight")
    expect(card(page, third).locator(".picture")).to_be_focused()
    page.keyboard.press("ArrowRight")
    # This takes back what was decided last, not what was before it.
    page.keyboard.press("u")
    held.let_go()
    expect(page.locator(".toast", has_text="Undone")).to_be_visible()
    expect(card(page, fourth).locator(".picture")).to_be_focused()
    expect(card(page, second)).to_be_visible()
    assert told(page, here, second) == ("pending", 1)
    assert told(page, here, first) == ("rejected", 1)


def test_what_the_service_did_not_answer_is_looked_at_again(here: AtHome, page: Page) -> None:  # noqa: F811
    """The service decided, and its answer was lost."""
    first, second = put(here, 2)
    page.goto(here.url)
    listening(page)
    card(page, first).locator(".picture").focus()
    held = Held(page)
    page.keyboard.press("a")
    held.wait()
    expect(page.locator("#filters a", has_text="Approved").locator(".number")).to_have_text("1")
    held.lose()
    expect(page.locator(".toast.bad")).to_have_text("The service does not answer.")
    expect(card(page, first)).to_have_count(0)
    expect(card(page, second)).to_be_visible()


def test_more_photos_than_the_service_takes_at_once(
    here: AtHome,
    page: Page,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(api_photos, "MAX_BATCH", 100)
    ids = put(here, 130)
    page.goto(here.url)
    for count in (120, 130):
        page.locator(".more").click()
        expect(page.locator(".card")).to_have_count(count)
    page.keyboard.press("Control+a")
    expect(page.locator("#count")).to_have_text("130")
    page.locator("#selection").get_by_role("button", name="Approve").click()
    toast = page.locator(".toast", has_text="130 photos approved")
    expect(toast).to_be_visible()
    expect(page.locator(".card")).to_have_count(0)
    toast.get_by_role("button", name="Undo").click()
    expect(page.locator(".toast", has_text="Undone")).to_be_visible()
    assert {told(page, here, identity) for identity in (ids[0], ids[-1])} == {("pending", 1)}

    # What was done before something goes wrong is done.
    page.goto(here.url)
    for count in (120, 130):
        page.locator(".more").click()
        expect(page.locator(".card")).to_have_count(count)
    page.keyboard.press("Control+a")
    asked: list[Route] = []

    def through(route: Route) -> None:
        asked.append(route)
        if len(asked) == 1:
            route.continue_()
        else:
            route.abort("connectionreset")

    page.route(BATCH, through)
    page.locator("#selection").get_by_role("button", name="Reject").click()
    expect(page.locator(".toast", has_text="100 photos rejected")).to_be_visible()
    expect(page.locator(".toast.bad")).to_have_text("The service does not answer.")
    expect(page.locator(".card:not(.is-leaving)")).to_have_count(30)
    assert told(page, here, ids[99]) == ("rejected", 1)
    assert told(page, here, ids[100]) == ("pending", 1)


def test_photos_further_below_are_not_new(here: AtHome, page: Page) -> None:  # noqa: F811
    ids = put(here, 63)
    lowest, lower, loaded = ids[-1], ids[-2], ids[0]
    page.goto(here.url)
    listening(page)
    expect(page.locator(".card")).to_have_count(60)
    with page.expect_response(f"**/photos/{loaded}/card*"):
        happen(here, EventType.PUBLISHED, lowest, loaded)
    page.wait_for_timeout(200)
    expect(card(page, lowest)).to_have_count(0)
    # One that comes back is on top, and not once more where it stands.
    happen(here, EventType.READY, lower)
    expect(card(page, lower)).to_be_visible()
    page.locator(".more").click()
    expect(card(page, lowest)).to_be_attached()
    expect(page.locator(".card")).to_have_count(63)
    expect(card(page, lower)).to_have_count(1)


def test_a_look_that_a_photo_has_already_is_no_decision(here: AtHome, page: Page) -> None:  # noqa: F811
    (identity,) = put(here, 1)
    decide(page, here, identity, "approve")
    page.goto(f"{here.url}/?show=approved")
    card(page, identity).locator(".tick input").check(force=True)
    page.locator("#look-menu summary").click()
    page.get_by_role("button", name="Apply").click()
    expect(page.locator(".toast")).to_have_text("The photo has that look already")
    page.keyboard.press("u")
    page.wait_for_timeout(300)
    assert told(page, here, identity) == ("approved", 1)


def test_a_decision_is_taken_back_once(here: AtHome, page: Page) -> None:  # noqa: F811
    (identity,) = put(here, 1)
    decide(page, here, identity, "reject")
    page.goto(f"{here.url}/?show=rejected")
    card(page, identity).locator(".picture").focus()
    page.keyboard.press("a")
    expect(page.locator(".toast", has_text="approved")).to_be_visible()
    page.keyboard.press("u")
    expect(page.locator(".toast", has_text="Undone")).to_be_visible()
    expect(page.get_by_role("button", name="Undo")).to_have_count(0)
    expect(card(page, identity)).to_be_visible()
    assert told(page, here, identity) == ("rejected", 1)


def test_many_arrivals_do_not_wipe_what_is_written(here: AtHome, page: Page) -> None:  # noqa: F811
    page.goto(here.url)
    listening(page)
    page.get_by_role("searchbox").fill("quince")
    happen(here, EventType.READY, *put(here, 9))
    expect(page.locator("#arrivals")).to_have_text("9 new photos")
    page.wait_for_timeout(300)
    expect(page.get_by_role("searchbox")).to_have_value("quince")
    page.locator("#arrivals").click()
    expect(page.locator(".card")).to_have_count(9)


def test_uploading_goes_on_after_going_back(here: AtHome, page: Page, tmp_path: Path) -> None:  # noqa: F811
    put(here, 1)
    page.goto(here.url)
    page.locator("#filters").get_by_role("link", name="Rejected").click()
    expect(page.locator("#inbox")).to_have_attribute("data-show", "rejected")
    page.go_back()
    expect(page.locator("#inbox")).to_have_attribute("data-show", "pending")
    page.set_input_files("#upload-files", write_jpeg(tmp_path / "later.jpg", scene(96, 64, seed=71)))
    expect(page.locator("#uploads-words")).to_have_text("1 photo uploaded")


def test_who_asks_again_and_again_does_not_complain_each_time(here: AtHome, page: Page) -> None:  # noqa: F811
    page.goto(here.url)
    asked: list[Route] = []

    def away(route: Route) -> None:
        asked.append(route)
        route.abort("connectionrefused")

    page.route("**/open/waiting", away)
    page.route("**/?show=approved", away)
    page.evaluate("""() => {
        const asks = document.createElement("p");
        asks.setAttribute("hx-get", "/open/waiting");
        asks.setAttribute("hx-trigger", "every 100ms");
        document.getElementById("main").append(asks);
        htmx.process(asks);
    }""")
    for _ in range(450):
        if len(asked) > 2:
            break
        page.wait_for_timeout(100)
    expect(page.locator(".toast")).to_have_count(0)
    page.locator("#filters").get_by_role("link", name="Approved").click()
    expect(page.locator(".toast")).to_have_text("The service does not answer.")


def test_a_card_that_comes_anew_while_it_leaves_leaves_as_well(here: AtHome, page: Page) -> None:  # noqa: F811
    first, second = put(here, 2)
    page.goto(here.url)
    listening(page)
    cards: list[tuple[Route, APIResponse]] = []
    page.route(f"**/photos/{first}/card*", lambda route: cards.append((route, route.fetch())))
    happen(here, EventType.PUBLISHED, first)
    for _ in range(450):
        if cards:
            break
        page.wait_for_timeout(100)
    card(page, first).locator(".picture").focus()
    held = Held(page)
    page.keyboard.press("a")
    held.wait()
    old = card(page, first).element_handle()
    route, answer = cards[0]
    route.fulfill(response=answer)
    page.wait_for_function("old => !old.isConnected", arg=old)
    expect(card(page, first)).to_have_class(re.compile("is-leaving"))
    held.let_go()
    expect(card(page, first)).to_have_count(0)
    expect(card(page, second).locator(".picture")).to_be_focused()


def test_the_models_come_anew_after_the_press(here: AtHome, page: Page) -> None:  # noqa: F811
    page.goto(f"{here.url}/models")
    listening(page)
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request) if request.url.endswith("/models") else None)
    news = """document.dispatchEvent(
        new CustomEvent("sidecar:event", {detail: {type: "models_changed", data: {models: {}}}}))"""
    page.get_by_role("button", name="Fetch").first.hover()
    page.mouse.down()
    page.evaluate(news)
    page.wait_for_timeout(1000)
    assert asked == []
    page.mouse.move(5, 5)
    with page.expect_response("**/models"):
        page.mouse.up()
    # Nor does an answer take the button away that was asked for before.
    held: list[Route] = []
    page.route("**/models", lambda route: held.append(route))  # noqa: PLW0108  no built-in is taken
    page.evaluate(news)
    for _ in range(450):
        if held:
            break
        page.wait_for_timeout(100)
    button = page.get_by_role("button", name="Fetch").first
    button.hover()
    page.mouse.down()
    pressed = button.element_handle()
    assert pressed is not None
    with page.expect_response("**/models"):
        held[0].continue_()
    page.wait_for_timeout(300)
    assert pressed.evaluate("button => button.isConnected")
    page.unroute_all()
    page.mouse.move(5, 5)
    page.mouse.up()
    page.wait_for_function("button => !button.isConnected", arg=pressed)


def test_the_queue_comes_anew_after_the_press(here: AtHome, page: Page) -> None:  # noqa: F811
    (identity,) = put(here, 1)
    page.goto(f"{here.url}/queue")
    listening(page)
    asked: list[Request] = []
    page.on("request", lambda request: asked.append(request) if request.url.endswith("/queue") else None)
    page.get_by_role("button", name="Pause").hover()
    page.mouse.down()
    happen(here, EventType.QUEUE_CHANGED, identity)
    page.wait_for_timeout(1500)
    assert asked == []
    page.mouse.move(5, 5)
    with page.expect_response("**/queue"):
        page.mouse.up()


@pytest.fixture
def closed(tmp_path: Path, page: Page) -> Iterator[AtHome]:  # noqa: F811
    """A service with a password, and a page that is signed in."""
    with at_home(tmp_path / "closed", password="the operator's") as opened:
        put(opened, 2)
        page.goto(opened.url)
        page.get_by_label("Password").fill("the operator's")
        page.get_by_role("button", name="Log in").click()
        expect(page.locator(".card")).to_have_count(2)
        listening(page)
        yield opened


def test_a_decision_without_a_session_leads_to_the_login(closed: AtHome, page: Page) -> None:  # noqa: F811
    page.context.clear_cookies()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("a")
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()


def test_a_session_that_ends_while_nobody_listens_leads_to_the_login(closed: AtHome, page: Page) -> None:  # noqa: F811
    page.context.clear_cookies()
    closed.run(close_all(closed.house.app))
    expect(page.get_by_role("heading", name="Log in")).to_be_visible()
    expect(page).to_have_url(re.compile("/login"))
