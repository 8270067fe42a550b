"""The photo page in a browser."""

import json
import re
import sqlite3
import time

from playwright.sync_api import FloatRect, Locator, Page, Route, expect

from tests.e2e.conftest import Open, Service


def opened(service: Service, open_page: Open, **options: object) -> tuple[Page, str]:
    # What a test before this one has asked for last may still be in work.
    service.settle()
    identity = service.pending(2)[0]["id"]
    page = open_page(f"/photos/{identity}", **options)
    page.wait_for_load_state("networkidle")
    return page, identity


def brought(
    service: Service, open_page: Open, name: str, seed: int, size: tuple[int, int] = (480, 320), *, ev: float = 0.0
) -> tuple[Page, str]:
    """The page of a photo of its own, at its first version."""
    service.drop(name, seed, size, ev)
    service.until(lambda: any(photo["file_name"] == name for photo in service.photos()))
    service.settle()
    identity = next(photo["id"] for photo in service.photos() if photo["file_name"] == name)
    page = open_page(f"/photos/{identity}")
    page.wait_for_load_state("networkidle")
    return page, identity


def told(service: Service, identity: str) -> dict:  # type: ignore[type-arg]
    return service.ask("GET", f"/api/photos/{identity}")


def slide(page: Page, name: str, value: float) -> None:
    page.locator(f"#slider-{name}").wait_for()
    move(page, f"slider-{name}", value)


def move(page: Page, identity: str, value: float) -> None:
    """Move what can be moved, in one go: it may be replaced by its like at any time."""
    page.evaluate(
        """([id, value]) => {
            const input = document.getElementById(id);
            input.value = value;
            input.dispatchEvent(new Event('input', {bubbles: true}));
        }""",
        [identity, value],
    )


def box_of(locator: Locator) -> FloatRect:
    """Where something lies, once it lies still."""
    before, now = None, locator.bounding_box()
    while now is None or now != before:
        locator.page.wait_for_timeout(50)
        before, now = now, locator.bounding_box()
    return now


def let_go(page: Page, held: list[Route]) -> None:
    while not held:
        page.wait_for_timeout(20)
    while held:
        held.pop().continue_()


def test_before_and_after_by_pointer_and_keys(service: Service, open_page: Open) -> None:
    page, _ = opened(service, open_page)
    box = box_of(page.locator("#frame"))
    page.mouse.click(box["x"] + box["width"] * 0.25, box["y"] + box["height"] / 2)
    split = "parseFloat(document.getElementById('frame').style.getPropertyValue('--split'))"
    page.wait_for_function(f"() => Math.abs({split} - 25) < 2")
    share = page.evaluate(split)
    page.locator("#split").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function(f"share => {split} > share", arg=share)
    page.locator("#hold").dispatch_event("pointerdown")
    expect(page.locator("#whole")).to_be_visible()
    page.locator("#hold").dispatch_event("pointerup")
    expect(page.locator("#whole")).to_be_hidden()


def test_sliders_show_a_preview_and_make_a_version(service: Service, open_page: Open) -> None:
    page, identity = brought(service, open_page, "to-be-changed.jpg", 78)
    before = told(service, identity)["version"]
    expect(page.locator("#keep")).to_be_disabled()
    slide(page, "exposure", 1.5)
    slide(page, "shadows", 40)
    page.wait_for_function("() => document.getElementById('after').src.startsWith('blob:')")
    expect(page.locator("#keep")).to_be_enabled()
    page.locator("#discard").click()
    page.wait_for_function("() => !document.getElementById('after').src.startsWith('blob:')")
    expect(page.locator("#keep")).to_be_disabled()
    assert told(service, identity)["version"] == before
    slide(page, "exposure", 1.5)
    slide(page, "straighten", -3)
    page.locator("#keep").click()
    expect(page.get_by_text(f"Version {before + 1}", exact=False).first).to_be_visible()
    expect(page.locator("#photo")).to_have_attribute("data-shown", str(before + 1))
    overrides = told(service, identity)["recipe"]["user_overrides"]
    assert overrides["exposure"] == {"ev": 1.5}
    assert overrides["straighten"] == {"degrees": -3}
    page.get_by_role("button", name="Back to the suggestion").click()
    expect(page.locator("#photo")).to_have_attribute("data-shown", str(before + 2))
    assert told(service, identity)["recipe"]["user_overrides"] == {}
    page.get_by_role("button", name="Undo").first.click()
    expect(page.locator("#photo")).to_have_attribute("data-shown", str(before + 1))
    expect(page.locator(".versions li")).to_have_count(3)


def test_the_crop_frame_by_mouse_keys_and_shape(service: Service, open_page: Open) -> None:
    page, identity = opened(service, open_page)
    version = told(service, identity)["version"]
    page.keyboard.press("c")
    box = page.locator("#crop-box")
    expect(box).to_be_focused()
    whole = box_of(box)
    page.mouse.move(whole["x"] + whole["width"] - 2, whole["y"] + whole["height"] - 2)
    page.mouse.down()
    page.mouse.move(whole["x"] + whole["width"] * 0.6, whole["y"] + whole["height"] * 0.7, steps=5)
    page.mouse.up()
    now = box_of(box)
    assert abs(now["width"] / whole["width"] - 0.6) < 0.03
    assert abs(now["height"] / whole["height"] - 0.7) < 0.03
    page.get_by_role("button", name="1:1").click()
    square = box_of(box)
    assert abs(square["width"] - square["height"]) < 2
    box.focus()
    page.keyboard.press("ArrowRight")
    moved = box_of(box)
    assert moved["x"] > square["x"]
    page.get_by_role("button", name="Done").click()
    expect(box).to_be_hidden()
    page.wait_for_function("() => document.getElementById('after').src.startsWith('blob:')")
    page.locator("#keep").click()
    service.until(lambda: told(service, identity)["version"] > version)
    service.settle()
    made = told(service, identity)
    expect(page.locator("#photo")).to_have_attribute("data-shown", str(made["version"]))
    assert abs(made["versions"][0]["width"] - made["versions"][0]["height"]) <= 4
    assert made["recipe"]["user_overrides"]["crop"]["width"] < 0.9


def test_a_shape_is_kept_and_the_frame_left_before_the_picture_came(service: Service, open_page: Open) -> None:
    held: list[Route] = []
    page, _ = opened(service, open_page)

    def hold(route: Route) -> None:
        held.append(route)

    page.route(re.compile("/adjusted[?]"), hold)
    page.keyboard.press("c")
    page.get_by_role("button", name="1:1").click()
    box = page.locator("#crop-box")
    expect(box).to_be_hidden()
    let_go(page, held)
    expect(box).to_be_focused()
    square = box_of(box)
    assert square["width"] > 100
    assert abs(square["width"] - square["height"]) < 2
    page.get_by_role("button", name="Done").click()
    page.keyboard.press("c")
    page.get_by_role("button", name="Done").click()
    let_go(page, held)
    page.wait_for_load_state("networkidle")
    page.wait_for_timeout(200)
    expect(box).to_be_hidden()


def test_turning_and_mirroring_turn_what_the_sliders_hold(service: Service, open_page: Open) -> None:
    service.drop("to-be-turned.jpg", seed=77, size=(480, 320))
    service.until(lambda: any(photo["file_name"] == "to-be-turned.jpg" for photo in service.photos()))
    service.settle()
    identity = next(photo["id"] for photo in service.photos() if photo["file_name"] == "to-be-turned.jpg")
    page = open_page(f"/photos/{identity}")
    page.wait_for_load_state("networkidle")
    version, kept = told(service, identity)["version"], told(service, identity)["recipe"]["user_overrides"]
    before = told(service, identity)["versions"][0]
    slide(page, "upright_vertical", 5)
    page.get_by_role("button", name="Turn right").click()
    page.wait_for_function("() => document.getElementById('after').src.startsWith('blob:')")
    wide = before["width"] > before["height"]
    page.wait_for_function(
        "wide => { const i = document.getElementById('after'); return (i.naturalWidth > i.naturalHeight) !== wide }",
        arg=wide,
    )
    assert float(page.locator("#slider-upright_horizontal").input_value()) == 5
    assert float(page.locator("#slider-upright_vertical").input_value()) == 0
    page.keyboard.press("m")
    assert float(page.locator("#slider-upright_horizontal").input_value()) == -5
    # Mirrored, and turned back: the same as mirrored alone.
    page.keyboard.press("]")
    assert float(page.locator("#slider-upright_vertical").input_value()) == 5
    page.locator("#discard").click()
    expect(page.locator("#keep")).to_be_disabled()
    assert float(page.locator("#slider-upright_vertical").input_value()) == 0
    page.keyboard.press("[")
    expect(page.locator("#keep")).to_be_enabled()
    page.keyboard.press("]")
    expect(page.locator("#keep")).to_be_disabled()
    page.keyboard.press("[")
    page.locator("#keep").click()
    service.until(lambda: told(service, identity)["version"] > version)
    service.settle()
    made = told(service, identity)
    expect(page.locator("#photo")).to_have_attribute("data-shown", str(made["version"]))
    assert made["recipe"]["user_overrides"] == kept | {"orientation": {"quarter_turns": 3, "mirror": False}}
    found = made["versions"][0]
    assert (found["width"], found["height"]) == (before["height"], before["width"])


def test_decisions_lead_to_the_next_and_back(service: Service, open_page: Open) -> None:
    page, identity = opened(service, open_page)
    page.keyboard.press("a")
    page.wait_for_function("id => document.getElementById('photo').dataset.id !== id", arg=identity)
    expect(page).not_to_have_url(re.compile(identity))
    assert told(service, identity)["review"] == "approved"
    expect(page.locator(".bar")).to_be_visible()
    page.locator(".toast").get_by_role("button", name="Undo").click()
    page.wait_for_function("id => document.getElementById('photo').dataset.id === id", arg=identity)
    assert told(service, identity)["review"] == "pending"
    page.keyboard.press("ArrowRight")
    page.wait_for_function("id => document.getElementById('photo')?.dataset.id !== id", arg=identity)
    page.wait_for_load_state()
    page.keyboard.press("Escape")
    page.wait_for_selector("#inbox")


def test_a_change_elsewhere_shows_and_unsaved_sliders_survive(service: Service, open_page: Open) -> None:
    page, identity = opened(service, open_page)
    version = told(service, identity)["version"]
    service.ask("POST", f"/api/photos/{identity}/reject", {"version": version})
    expect(page.locator(".stage-bar .chip")).to_have_text("Rejected")
    service.ask("POST", f"/api/photos/{identity}/undo", {"version": version})
    expect(page.locator(".stage-bar .chip")).to_have_text("Pending")
    slide(page, "exposure", 2)
    body = {"version": version, "operations": {"exposure": {"ev": -1}}}
    service.ask("PUT", f"/api/photos/{identity}/recipe", body)
    expect(page.locator(".toast.bad").first).to_contain_text("has changed")
    assert page.locator("#slider-exposure").input_value() == "2"
    page.locator("#keep").click()
    expect(page.locator(".toast.bad", has_text="look at it again")).to_be_visible()
    assert page.locator("#slider-exposure").input_value() == "2"
    page.get_by_role("button", name="Show the change").first.click()
    expect(page.locator("#slider-exposure")).to_have_value("-1")


def test_what_happens_while_the_scripts_load_is_not_missed(service: Service, open_page: Open) -> None:
    _, identity = opened(service, open_page)
    version = told(service, identity)["version"]

    def late(route: Route) -> None:
        # The page was made; its scripts are on their way for longer than the socket would take.
        service.ask("POST", f"/api/photos/{identity}/reject", {"version": version})
        time.sleep(1)
        route.continue_()

    page = open_page("/status")
    page.route("**/static/looks.js", late)
    page.goto(f"{service.url}/photos/{identity}")
    expect(page.locator(".stage-bar .chip")).to_have_text("Rejected")
    service.ask("POST", f"/api/photos/{identity}/undo", {"version": version})
    expect(page.locator(".stage-bar .chip")).to_have_text("Pending")


def test_an_answer_that_is_late_does_not_bring_the_past_back(service: Service, open_page: Open) -> None:
    page, identity = opened(service, open_page)
    version = told(service, identity)["version"]

    def late(route: Route) -> None:
        answer = route.fetch()
        service.ask("POST", f"/api/photos/{identity}/undo", {"version": version})
        # Longer than the page takes to hear of it and to show it.
        time.sleep(1.5)
        route.fulfill(response=answer)

    page.route(f"**/photos/{identity}/reject", late)
    page.evaluate("document.querySelectorAll('form[action$=\"/reject\"] input[name=then]').forEach((i) => i.remove())")
    page.get_by_role("button", name="Reject").click()
    expect(page.locator(".toast").last).to_contain_text("Rejected")
    expect(page.locator(".stage-bar .chip")).to_have_text("Pending")
    assert told(service, identity)["review"] == "pending"


def test_left_alone_is_developed_anyway_and_failures_say_why(service: Service, open_page: Open) -> None:
    failed = service.photos("failed=true")[0]
    page = open_page(f"/photos/{failed['id']}")
    expect(page.get_by_role("heading", name="It failed")).to_be_visible()
    assert failed["id"] not in page.locator(".notice.bad").inner_text(), "no hashes before people"
    page.get_by_role("button", name="Try again").click()
    expect(page.locator(".toast")).to_contain_text("Trying again")
    service.until(lambda: service.photos("failed=true"))
    expect(page.get_by_role("heading", name="It failed")).to_be_visible()


def test_versions_and_original_are_downloaded(service: Service, open_page: Open) -> None:
    page, _ = opened(service, open_page)
    with page.expect_download() as download:
        page.get_by_role("link", name="Download version").first.click()
    assert download.value.suggested_filename.endswith(".jpg")
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the original").click()
    assert download.value.suggested_filename.endswith(".jpg")


def test_a_picture_that_is_not_there_says_why(service: Service, open_page: Open) -> None:
    identity = service.pending(1)[0]["id"]

    def lose(page: Page) -> None:
        gone = {"error": "The original is not kept here any more.", "status": 410}
        page.route(re.compile("/preview[?]"), lambda route: route.fulfill(status=410, json=gone))

    page = open_page(f"/photos/{identity}", before=lose)
    expect(page.locator("#no-picture")).to_have_text("The original is not kept here any more.")
    page.unroute_all()
    page.reload()
    expect(page.locator("#no-picture")).to_be_hidden()
    expect(page.locator("#frame")).to_be_visible()


def test_a_suggested_frame_is_set_with_one_click(service: Service, open_page: Open) -> None:
    page, identity = brought(service, open_page, "to-be-framed.jpg", 79, (1500, 1000))
    # No model runs here: what one would have found is written down.
    person = {"label": "person", "score": 0.9, "box": {"x": 0.15, "y": 0.55, "width": 0.1, "height": 0.35}}
    with sqlite3.connect(service.home / "data" / "sidecar.db", timeout=30) as rows:
        (text,) = rows.execute("SELECT analysis FROM photos WHERE sha256 = ?", (identity,)).fetchone()
        found = json.dumps({**json.loads(text), "findings": {"objects": [person]}})
        rows.execute("UPDATE photos SET analysis = ? WHERE sha256 = ?", (found, identity))
    version = told(service, identity)["version"]
    page.keyboard.press("c")
    square = page.locator("#frames [data-frame]", has_text="1:1")
    square.click()
    expect(page.locator("#crop-box")).to_be_visible()
    box, whole = box_of(page.locator("#crop-box")), box_of(page.locator("#cropper"))
    assert abs(box["width"] - box["height"]) < 3
    assert box["width"] < 0.9 * whole["width"]
    page.get_by_role("button", name="Done").click()
    page.locator("#keep").click()
    service.until(lambda: told(service, identity)["version"] > version)
    service.settle()
    made = told(service, identity)["versions"][0]
    assert abs(made["width"] - made["height"]) <= 3
