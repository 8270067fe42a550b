"""What is being done on the photo page is neither lost unasked nor shown wrongly, in a browser."""

import re
from collections.abc import Callable
from urllib.parse import parse_qs, urlsplit

from playwright.sync_api import Page, Route, WebSocketRoute, expect

from tests.e2e.conftest import Open, Service
from tests.e2e.test_photo import box_of, brought, let_go, move, opened, slide, told

BLOB = "() => document.getElementById('after').src.startsWith('blob:')"
SAVED = "() => !document.getElementById('after').src.startsWith('blob:')"
LEAVES = "() => !window.dispatchEvent(new Event('beforeunload', {cancelable: true}))"
NEWS = """id => document.dispatchEvent(
    new CustomEvent("sidecar:event", {detail: {type: "render_done", data: {file_id: id}}}))"""
ADJUSTED = re.compile("/adjusted[?]")


def narrow(page: Page) -> None:
    """Open the crop tool and make its frame narrower by a fifth."""
    page.keyboard.press("c")
    expect(page.locator("#crop-box")).to_be_focused()
    for _ in range(20):
        page.keyboard.press("Shift+ArrowLeft")


def refuse(page: Page) -> list[str]:
    """What the page asks from now on; each time the answer is no."""
    asked: list[str] = []

    def answer(dialog: object) -> None:
        asked.append(dialog.message)  # type: ignore[attr-defined]
        dialog.dismiss()  # type: ignore[attr-defined]

    page.on("dialog", answer)
    return asked


def until(page: Page, happens: Callable[[], object]) -> None:
    """Wait for something that the page tells this process."""
    for _ in range(900):
        if happens():
            return
        page.wait_for_timeout(50)
    raise TimeoutError


def test_a_frame_that_is_open_goes_into_the_new_version(service: Service, open_page: Open) -> None:
    page, identity = brought(service, open_page, "cropped-in-passing.jpg", 90)
    version = told(service, identity)["version"]
    slide(page, "exposure", 0.5)
    narrow(page)
    page.locator("#keep").click()
    service.until(lambda: told(service, identity)["version"] > version)
    overrides = told(service, identity)["recipe"]["user_overrides"]
    assert abs(overrides["crop"]["width"] - 0.8) < 0.03
    assert overrides["exposure"] == {"ev": 0.5}
    expect(page.locator("#cropper")).to_be_hidden()


def test_nothing_is_lost_unasked(service: Service, open_page: Open) -> None:
    page, identity = opened(service, open_page)
    asked = refuse(page)
    approve = page.get_by_role("button", name="Approve")
    assert not page.evaluate(LEAVES)
    narrow(page)
    assert page.evaluate(LEAVES)
    approve.click()
    until(page, lambda: len(asked) == 1)
    expect(page.locator("#cropper")).to_be_hidden()
    expect(page.locator("#keep")).to_be_enabled()
    page.locator("#discard").click()
    expect(page.locator("#keep")).to_be_disabled()
    assert not page.evaluate(LEAVES)
    page.locator(".look", has_text="Vivid").click()
    expect(page.locator("#look-apply")).to_be_visible()
    assert page.evaluate(LEAVES)
    approve.click()
    until(page, lambda: len(asked) == 2)
    page.locator("#look-discard").click()
    expect(page.locator("#look-apply")).to_be_hidden()
    slide(page, "exposure", 1)
    page.locator(".decide").get_by_role("button", name="Undo").click()
    until(page, lambda: len(asked) == 3)
    assert told(service, identity)["review"] == "pending"


def test_the_way_back_to_another_photo_asks_about_this_one(service: Service, open_page: Open) -> None:
    page, identity = opened(service, open_page)
    page.keyboard.press("a")
    page.wait_for_function("id => document.getElementById('photo').dataset.id !== id", arg=identity)
    following = page.locator("#photo").get_attribute("data-id")
    slide(page, "exposure", 1)
    asked = refuse(page)
    page.locator(".toast").get_by_role("button", name="Undo").click()
    until(page, lambda: len(asked) == 1)
    assert told(service, identity)["review"] == "approved"
    expect(page.locator("#photo")).to_have_attribute("data-id", str(following))
    service.ask("POST", f"/api/photos/{identity}/undo", {"version": told(service, identity)["version"]})


def test_back_and_forward_after_undo_show_what_the_address_says(service: Service, open_page: Open) -> None:
    page, identity = opened(service, open_page)
    shown = page.locator("#photo")
    page.keyboard.press("a")
    expect(page).not_to_have_url(re.compile(identity))
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(page).to_have_url(re.compile(identity))
    expect(shown).to_have_attribute("data-id", identity)
    page.go_back()
    expect(shown).not_to_have_attribute("data-id", identity)
    page.go_forward()
    expect(page).to_have_url(re.compile(identity))
    expect(shown).to_have_attribute("data-id", identity)


def test_the_frame_outlives_a_render_that_finishes(service: Service, open_page: Open) -> None:
    page, identity = brought(service, open_page, "cropped-meanwhile.jpg", 91)
    narrow(page)
    frame = box_of(page.locator("#crop-box"))
    body = {"version": told(service, identity)["version"], "operations": {"exposure": {"ev": -1}}}
    service.ask("PUT", f"/api/photos/{identity}/recipe", body)
    service.settle()
    news = page.locator(".toast", has_text="has changed")
    expect(news).to_be_visible()
    page.wait_for_timeout(700)
    expect(news).to_have_count(1)
    assert box_of(page.locator("#crop-box")) == frame
    news.get_by_role("button", name="Show the change").click()
    expect(page.locator("#slider-exposure")).to_have_value("-1")
    expect(page.locator("#cropper")).to_be_hidden()
    expect(page.locator("#crop")).to_be_visible()


def test_turning_and_cropping_leave_a_look_and_a_look_leaves_the_crop(service: Service, open_page: Open) -> None:
    page, _ = opened(service, open_page)
    asked: list[str] = []
    page.on("request", lambda sent: asked.append(sent.url) if ADJUSTED.search(sent.url) else None)
    apply = page.locator("#look-apply")
    page.locator(".look", has_text="Vivid").click()
    page.wait_for_function(BLOB)
    page.keyboard.press("]")
    expect(apply).to_be_hidden()
    until(page, lambda: "quarter_turns" in parse_qs(urlsplit(asked[-1]).query))
    page.locator("#discard").click()
    page.locator(".look", has_text="Vivid").click()
    expect(apply).to_be_visible()
    narrow(page)
    expect(apply).to_be_hidden()
    assert "preset" not in parse_qs(urlsplit(asked[-1]).query)
    assert parse_qs(urlsplit(asked[-1]).query)["frame"] == ["whole"]
    page.locator(".look", has_text="Vivid").click()
    expect(page.locator("#cropper")).to_be_hidden()
    expect(apply).to_be_visible()
    expect(page.locator("#keep")).to_be_enabled()


def test_the_crop_tool_goes_away_where_the_whole_picture_does_not_come(service: Service, open_page: Open) -> None:
    page, _ = opened(service, open_page)
    refusal = {"error": "There is no picture now.", "status": 409}
    page.route(ADJUSTED, lambda route: route.fulfill(status=409, json=refusal))
    page.keyboard.press("c")
    expect(page.locator(".toast.bad")).to_have_text("There is no picture now.")
    for name, is_there in (("cropper", False), ("aspects", False), ("crop", True), ("turns", True)):
        expect(page.locator(f"#{name}")).to_be_visible(visible=is_there)
    page.unroute_all()
    page.route(ADJUSTED, lambda route: route.abort("connectionrefused"))
    page.keyboard.press("c")
    expect(page.locator(".toast.bad").last).to_have_text("The service does not answer.")
    page.unroute_all()
    # An answer without a picture is asked for once more.
    answers = [204]

    def first(route: Route) -> None:
        if answers:
            route.fulfill(status=answers.pop())
        else:
            route.continue_()

    page.route(ADJUSTED, first)
    page.keyboard.press("c")
    page.wait_for_function(BLOB)
    expect(page.locator("#crop-box")).to_be_focused()


def test_enter_ends_the_crop(service: Service, open_page: Open) -> None:
    page, _ = opened(service, open_page)
    narrow(page)
    page.keyboard.press("Enter")
    expect(page.locator("#cropper")).to_be_hidden()
    expect(page.locator("#crop")).to_be_focused()
    expect(page.locator("#keep")).to_be_enabled()
    page.wait_for_timeout(500)
    expect(page.locator("#cropper")).to_be_hidden()


def test_discarding_takes_the_frame_with_it(service: Service, open_page: Open) -> None:
    page, _ = opened(service, open_page)
    slide(page, "exposure", 1)
    narrow(page)
    page.locator("#discard").click()
    expect(page.locator("#cropper")).to_be_hidden()
    expect(page.locator("#keep")).to_be_disabled()
    page.wait_for_function(SAVED)
    page.keyboard.press("c")
    expect(page.locator("#crop-box")).to_be_focused()
    page.get_by_role("button", name="Done").click()
    expect(page.locator("#cropper")).to_be_hidden()
    expect(page.locator("#keep")).to_be_disabled()


def test_the_focus_stays_where_it_was(service: Service, open_page: Open) -> None:
    page, identity = brought(service, open_page, "switched.jpg", 94, (1500, 1000), ev=-2.0)
    switch = page.locator(".switch").first
    was = switch.get_attribute("aria-checked")
    name = switch.get_attribute("aria-label")
    switch.focus()
    page.keyboard.press("Enter")
    again = page.get_by_role("switch", name=str(name), exact=True)
    expect(again).not_to_have_attribute("aria-checked", str(was))
    expect(again).to_be_focused()
    service.settle()
    expect(page.locator("#photo")).to_have_attribute("data-shown", str(told(service, identity)["version"]))
    for place in (again, page.locator("#controls-preset summary"), page.get_by_label("Download version").first):
        place.focus()
        page.evaluate("() => { document.getElementById('side').isOld = true }")
        page.evaluate(NEWS, identity)
        page.wait_for_function("() => !document.getElementById('side').isOld")
        expect(place).to_be_focused()


def test_what_is_discarded_or_kept_gives_the_focus_back(service: Service, open_page: Open) -> None:
    page, _ = brought(service, open_page, "focused.jpg", 120)
    slider = page.locator("#slider-exposure")
    for button in ("Discard", "Make a new version"):
        slider.focus()
        page.keyboard.press("ArrowRight")
        expect(page.locator("#keep")).to_be_enabled()
        page.locator("#adjust").get_by_role("button", name=button).focus()
        page.keyboard.press("Enter")
        expect(page.locator("#keep")).to_be_disabled()
        expect(slider).to_be_focused()
    service.settle()
    page.reload()
    # A step from its middle a slider comes back as well.
    slide(page, "exposure", 1)
    page.locator("label[for=slider-exposure]").dblclick()
    expect(page.locator("#keep")).to_be_disabled()
    for button in ("Discard", "Apply the look"):
        look = page.get_by_role("radio", name="Vivid")
        look.focus()
        page.keyboard.press("Space")
        page.locator("#looks").get_by_role("button", name=button).focus()
        page.keyboard.press("Enter")
        expect(page.locator("#look-apply")).to_be_hidden()
        expect(page.locator("#looks input:checked")).to_be_focused()


def test_sliders_go_step_by_step_with_keys(service: Service, open_page: Open) -> None:
    page, _ = opened(service, open_page)
    slider = page.locator("#slider-exposure")
    step = float(str(slider.get_attribute("data-step")))
    start = float(slider.input_value())
    slider.focus()
    for key, moved in (("ArrowRight", 1), ("ArrowUp", 2), ("PageUp", 12), ("ArrowLeft", 11), ("PageDown", 1)):
        page.keyboard.press(key)
        assert abs(float(slider.input_value()) - start - moved * step) < step / 100
    page.locator("#discard").click()
    page.get_by_role("radio", name="Vivid").check(force=True)
    page.locator("#look-strength").focus()
    page.keyboard.press("ArrowLeft")
    expect(page.locator("#look-percent")).to_have_text("95 %")


def test_the_next_photo_begins_at_its_top(service: Service, open_page: Open) -> None:
    page, identity = opened(service, open_page, width=390, height=844, touch=True)
    page.evaluate("window.scrollTo(0, 900)")
    page.wait_for_function("scrollY > 500")
    page.get_by_role("button", name="Approve").focus()
    page.keyboard.press("Enter")
    page.wait_for_function("id => document.getElementById('photo').dataset.id !== id", arg=identity)
    page.wait_for_function("scrollY === 0")
    expect(page.get_by_role("heading", level=1)).to_be_focused()
    # What is said covers neither sliders nor buttons.
    toast, picture = page.locator(".toast").bounding_box(), page.locator("#canvas").bounding_box()
    assert toast is not None
    assert picture is not None
    assert picture["y"] <= toast["y"]
    assert toast["y"] + toast["height"] <= picture["y"] + picture["height"]
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(page.locator("#photo")).to_have_attribute("data-id", identity)


def test_what_would_be_written_into_immich_outlives_news(service: Service, open_page: Open) -> None:
    page, identity = opened(service, open_page)
    # No model runs and no Immich is here: the form is put where it would be.
    fold = (
        '<details class="runs" id="tell-fold"><summary>Write</summary><form>'
        '<input type="checkbox" id="tell-tags" checked><input type="checkbox" id="tell-rating"></form></details>'
    )

    def with_form(route: Route) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=answer.text().replace('<section class="facts">', fold + "<section>"))

    page.route("**/panel", with_form)
    page.evaluate("fold => document.querySelector('.facts').insertAdjacentHTML('beforebegin', fold)", fold)
    page.locator("#tell-fold summary").click()
    page.locator("#tell-tags").uncheck()
    page.locator("#tell-rating").check()
    page.evaluate("() => { document.getElementById('side').isOld = true }")
    page.evaluate(NEWS, identity)
    page.wait_for_function("() => !document.getElementById('side').isOld")
    expect(page.locator("#tell-tags")).to_be_visible()
    expect(page.locator("#tell-tags")).not_to_be_checked()
    expect(page.locator("#tell-rating")).to_be_checked()


def test_a_double_click_brings_a_slider_back(service: Service, open_page: Open) -> None:
    page, _ = opened(service, open_page)
    percent = page.locator("#look-percent")
    page.locator(".look", has_text="Film").click()
    move(page, "look-strength", 40)
    expect(percent).to_have_text("40 %")
    page.get_by_text("Strength of the look").dblclick()
    expect(percent).to_have_text("100 %")
    slide(page, "exposure", 1)
    page.locator("label[for=slider-exposure]").dblclick()
    expect(page.locator("#keep")).to_be_disabled()


def test_a_key_pressed_twice_decides_once(service: Service, open_page: Open) -> None:
    page, identity = opened(service, open_page)
    sent: list[str] = []
    page.on("request", lambda one: sent.append(one.url) if one.method == "POST" else None)
    held: list[Route] = []

    def hold(route: Route) -> None:
        held.append(route)

    page.route("**/approve", hold)
    page.route(re.compile("/photos/[0-9a-f]{64}([?]|$)"), hold)
    page.keyboard.press("a")
    page.keyboard.press("a")
    let_go(page, held)
    # The decision is made, and the next photo on its way.
    until(page, lambda: held)
    page.keyboard.press("a")
    page.wait_for_timeout(200)
    let_go(page, held)
    expect(page.locator("#photo")).not_to_have_attribute("data-id", identity)
    page.wait_for_timeout(200)
    assert len([url for url in sent if "/approve" in url]) == 1
    expect(page.locator(".toast.bad")).to_have_count(0)
    page.unroute_all()
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(page.locator("#photo")).to_have_attribute("data-id", identity)


def test_news_that_are_older_than_an_answer_are_left(service: Service, open_page: Open) -> None:
    held: list[tuple[Route, object]] = []

    def unheard(socket: WebSocketRoute) -> None:
        # Nothing else brings the page up to date.
        del socket

    def hold(route: Route) -> None:
        held.append((route, route.fetch()))

    identity = opened(service, open_page)[1]
    page = open_page(f"/photos/{identity}", before=lambda page: page.route_web_socket(re.compile("/ws"), unheard))
    page.wait_for_load_state("networkidle")
    page.route("**/panel", hold)
    page.evaluate(NEWS, identity)
    until(page, lambda: held)
    page.evaluate("document.querySelectorAll('form[action$=\"/reject\"] input[name=then]').forEach((i) => i.remove())")
    page.get_by_role("button", name="Reject").click()
    chip = page.locator(".stage-bar .chip")
    expect(chip).to_have_text("Rejected")
    route, answer = held.pop()
    route.fulfill(response=answer)  # type: ignore[arg-type]
    page.wait_for_timeout(500)
    expect(chip).to_have_text("Rejected")
    page.locator(".decide").get_by_role("button", name="Undo").click()
    expect(chip).to_have_text("Pending")


def test_escape_leaves_one_thing_at_a_time(service: Service, open_page: Open) -> None:
    page, identity = opened(service, open_page)
    # A field to write into, as the form of a preset has one.
    page.evaluate("document.getElementById('side').insertAdjacentHTML('beforeend', '<input type=text id=written>')")
    page.locator("#written").focus()
    page.keyboard.press("Escape")
    expect(page.locator("#written")).not_to_be_focused()
    page.keyboard.press("c")
    expect(page.locator("#crop-box")).to_be_focused()
    page.keyboard.down("Escape")
    page.keyboard.down("Escape")
    page.keyboard.up("Escape")
    expect(page.locator("#cropper")).to_be_hidden()
    page.wait_for_timeout(500)
    expect(page).to_have_url(re.compile(identity))
    page.keyboard.press("Escape")
    page.wait_for_selector("#inbox")
