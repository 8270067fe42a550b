"""The inbox in a browser."""

import json

from playwright.sync_api import APIResponse, Page, Route, WebSocketRoute, expect

from tests.e2e.conftest import Open, Service


def cards(page: Page) -> list[str]:
    return page.locator(".card").evaluate_all("found => found.map(card => card.dataset.id)")


def card(page: Page, identity: str):
    return page.locator(f"#card-{identity}")


def test_rows_are_justified_and_pictures_are_there(service: Service, open_page: Open) -> None:
    service.pending(5)
    page = open_page()
    # Pictures further below are loaded when somebody comes there.
    page.wait_for_function(
        "() => { const shown = [...document.querySelectorAll('.card')].filter(card =>"
        " card.getBoundingClientRect().top < window.innerHeight);"
        " return shown.length && shown.every(card => card.querySelector('img.after').naturalWidth > 0) }"
    )
    boxes = page.locator(".card").evaluate_all(
        "found => found.map(card => { const box = card.getBoundingClientRect();"
        " return [box.top, box.height, box.right] })"
    )
    rows: dict[int, list[list[float]]] = {}
    for box in boxes:
        rows.setdefault(round(box[0]), []).append(box)
    for row in rows.values():
        assert max(box[1] for box in row) - min(box[1] for box in row) < 1.5
    for row in list(rows.values())[:-1]:
        assert abs(row[-1][2] - page.evaluate("document.body.clientWidth")) < 12


def test_the_original_shows_under_the_pointer(service: Service, open_page: Open) -> None:
    service.pending(1)
    page = open_page()
    first = page.locator(".card").first
    expect(first.locator(".before")).to_be_hidden()
    first.locator(".picture").hover()
    expect(first.locator(".before")).to_be_visible()
    page.mouse.move(5, 5)
    expect(first.locator(".before")).to_be_hidden()


def test_keys_move_approve_reject_and_undo(service: Service, open_page: Open) -> None:
    service.pending(4)
    page = open_page()
    first, second, third, *_ = cards(page)
    page.keyboard.press("ArrowRight")
    expect(card(page, first).locator(".picture")).to_be_focused()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("a")
    expect(card(page, second)).to_have_count(0)
    expect(card(page, third).locator(".picture")).to_be_focused()
    assert service.ask("GET", f"/api/photos/{second}")["review"] == "approved"
    page.keyboard.press("r")
    expect(card(page, third)).to_have_count(0)
    assert service.ask("GET", f"/api/photos/{third}")["review"] == "rejected"
    page.keyboard.press("u")
    expect(card(page, third)).to_have_count(1)
    page.locator(".toast", has_text="approved").get_by_role("button", name="Undo").click()
    expect(card(page, second)).to_have_count(1)
    assert service.ask("GET", f"/api/photos/{second}")["review"] == "pending"
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    page.keyboard.press("Escape")


def test_many_are_selected_and_decided(service: Service, open_page: Open) -> None:
    service.pending(4)
    page = open_page()
    chosen = cards(page)[:3]
    expect(page.locator("#selection")).to_be_hidden()
    card(page, chosen[0]).locator(".tick input").check(force=True)
    card(page, chosen[2]).locator(".tick input").click(modifiers=["Shift"], force=True)
    expect(page.locator("#count")).to_have_text("3")
    page.get_by_role("button", name="All").click()
    expect(page.locator("#count")).to_have_text(str(len(cards(page))))
    page.keyboard.press("Escape")
    expect(page.locator("#selection")).to_be_hidden()
    for identity in chosen:
        card(page, identity).locator(".tick input").check(force=True)
    page.locator("#selection").get_by_role("button", name="Reject").click()
    for identity in chosen:
        expect(card(page, identity)).to_have_count(0)
    assert {service.ask("GET", f"/api/photos/{identity}")["review"] for identity in chosen} == {"rejected"}
    page.locator("#filters").get_by_role("link", name="Rejected").click()
    expect(card(page, chosen[0])).to_be_visible()
    expect(page).to_have_url(f"{service.url}/?show=rejected")
    for identity in chosen:
        card(page, identity).locator(".tick input").check(force=True)
    page.locator("#selection").get_by_role("button", name="Approve").click()
    expect(card(page, chosen[0])).to_have_count(0)
    page.locator(".toast", has_text="approved").get_by_role("button", name="Undo").click()
    expect(card(page, chosen[0])).to_be_visible()
    page.go_back()
    expect(page.locator("#inbox")).to_have_attribute("data-show", "pending")
    for identity in chosen:
        version = service.ask("GET", f"/api/photos/{identity}")["version"]
        service.ask("POST", f"/api/photos/{identity}/undo", {"version": version})
        expect(card(page, identity)).to_be_visible()


def test_what_was_decided_elsewhere_is_said_and_nothing_is_lost(service: Service, open_page: Open) -> None:
    service.pending(1)
    page = open_page()
    identity = cards(page)[0]
    version = service.ask("GET", f"/api/photos/{identity}")["version"]
    page.evaluate("id => document.getElementById(`card-${id}`).dataset.version = 999", identity)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("a")
    expect(page.locator(".toast.bad")).to_contain_text("look at it again")
    expect(card(page, identity)).to_have_attribute("data-version", str(version))
    assert service.ask("GET", f"/api/photos/{identity}")["review"] == "pending"


def test_photos_arrive_by_themselves(service: Service, open_page: Open) -> None:
    page = open_page("/?show=in_progress")
    watching = open_page()
    service.drop("arrives-1.jpg", 501)
    service.until(lambda: any(photo["file_name"] == "arrives-1.jpg" for photo in service.photos()))
    service.settle()
    expect(watching.get_by_label("arrives-1.jpg", exact=False).first).to_be_attached()
    expect(page.locator(".card")).to_have_count(0)


def test_a_card_that_was_on_its_way_does_not_outlive_what_it_shows(service: Service, open_page: Open) -> None:
    """The answer to the question for a card comes only when its photo is no longer in progress."""
    page = open_page("/?show=in_progress")
    late: list[tuple[Route, APIResponse]] = []

    def hold(route: Route) -> None:
        response = route.fetch()
        if late or "late-1.jpg" not in response.text():
            route.fulfill(response=response)
        else:
            late.append((route, response))

    page.route("**/photos/*/card?*", hold)
    service.ask("POST", "/api/queue/pause")
    try:
        service.drop("late-1.jpg", 502)
        service.until(lambda: page.wait_for_timeout(100) or late)
        (photo,) = [photo for photo in service.photos() if photo["file_name"] == "late-1.jpg"]
        service.ask("POST", f"/api/photos/{photo['id']}/cancel", {"version": photo["version"]})
        # That was told, as the number on the page says.
        expect(page.locator("#filters [aria-current]")).to_contain_text("0")
        route, response = late[0]
        route.fulfill(response=response)
        page.wait_for_timeout(2000)
        expect(page.locator(".card")).to_have_count(0)
    finally:
        service.ask("POST", "/api/queue/resume")


def test_what_happened_while_the_socket_was_away_is_told_once(service: Service, open_page: Open) -> None:
    """The service restarts, and everything happens before the page is connected again."""
    decided = service.pending(1)[0]
    away = False
    open_sockets: list[WebSocketRoute] = []
    told: list[int] = []

    def through(route: WebSocketRoute) -> None:
        if away:
            route.close()
            return
        server = route.connect_to_server()

        def hear(message: str | bytes) -> None:
            told.extend(found for found in [json.loads(message).get("id")] if found)
            route.send(message)

        server.on_message(hear)
        open_sockets.append(route)

    other = open_page("/queue")
    page = open_page(before=lambda fresh: fresh.route_web_socket("**/ws*", through))
    expect(card(page, decided["id"])).to_be_visible()
    page.wait_for_function("() => document.getElementById('offline').hidden")
    service.until(lambda: page.evaluate("1") and open_sockets)
    away = True
    assert service.stop() == 0
    for route in open_sockets:
        route.close()
    expect(page.locator("#offline")).to_be_visible()
    service.start()
    service.drop("arrives-3.jpg", 503)
    service.until(lambda: any(photo["file_name"] == "arrives-3.jpg" for photo in service.photos()))
    service.settle()
    service.ask("POST", f"/api/photos/{decided['id']}/approve", {"version": decided["version"]})
    before = len(told)
    away = False
    expect(page.get_by_label("arrives-3.jpg", exact=False).first).to_be_attached()
    expect(card(page, decided["id"])).to_have_count(0)
    expect(page.locator("#offline")).to_be_hidden()
    expect(other.locator("#offline")).to_be_hidden()
    assert len(told) > before, "the replay brought them"
    assert told == sorted(set(told)), "in order, and each once"
    service.ask("POST", f"/api/photos/{decided['id']}/undo", {"version": decided["version"]})
    expect(card(page, decided["id"])).to_be_visible()


def test_without_scripts(service: Service, open_page: Open) -> None:
    service.pending(2)
    page = open_page(java_script_enabled=False)
    first = page.locator(".card").first
    href = first.locator(".picture").get_attribute("href") or ""
    identity = href.rpartition("/")[2]
    first.locator(".tick input").check(force=True)
    page.locator("#selection").get_by_role("button", name="Approve").click()
    service.until(lambda: service.ask("GET", f"/api/photos/{identity}")["review"] == "approved")
    page.goto(service.url + href)
    page.get_by_role("button", name="Undo").click()
    service.until(lambda: service.ask("GET", f"/api/photos/{identity}")["review"] == "pending")
