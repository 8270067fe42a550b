"""Every page, wide and narrow, light and dark; the queue and the status."""

import re

import pytest
from playwright.sync_api import expect

from tests.e2e.conftest import Open, Service


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_page_fits(service: Service, open_page: Open, width: int, scheme: str) -> None:
    identity = service.pending(1)[0]["id"]
    failed = service.photos("failed=true")[0]["id"]
    options = {"width": width, "touch": width < 600, "color_scheme": scheme}
    page = open_page("/", **options)
    for path in (
        "/",
        "/?show=failed",
        "/?show=left_alone",
        f"/photos/{identity}",
        f"/photos/{failed}",
        "/queue",
        "/status",
        "/account",
        "/people",
        "/models",
    ):
        page.goto(service.url + path)
        wide = page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert wide[0] <= wide[1], f"{path} is wider than the screen"
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(int(number) for number in re.findall(r"\d+", ground)[:3]) < 200) == (scheme == "dark")
        unnamed = page.locator("button:not([hidden]), a").evaluate_all(
            "found => found.filter(item => !(item.textContent.trim() || item.getAttribute('aria-label')"
            " || item.title)).map(item => item.outerHTML)"
        )
        assert unnamed == []


def test_a_thumb_holds_selects_and_approves(service: Service, open_page: Open) -> None:
    service.pending(2)
    page = open_page("/", width=390, height=844, touch=True)
    first = page.locator(".card").first
    identity = first.get_attribute("data-id")
    first.locator(".picture").dispatch_event("pointerdown", {"pointerType": "touch", "bubbles": True})
    expect(first.locator(".before")).to_be_visible()
    page.dispatch_event("body", "pointerup")
    expect(first.locator(".before")).to_be_hidden()
    first.locator(".tick").tap()
    bar = page.locator("#selection")
    expect(bar).to_be_visible()
    box = bar.bounding_box()
    assert box is not None
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390
    bar.get_by_role("button", name="Approve").tap()
    expect(page.locator(f"#card-{identity}")).to_have_count(0)
    page.locator(".toast").get_by_role("button", name="Undo").tap()
    expect(page.locator(f"#card-{identity}")).to_have_count(1)
    page.locator(f"#card-{identity} .picture").tap()
    expect(page.locator("#photo")).to_be_visible()
    approve = page.get_by_role("button", name="Approve")
    expect(approve).to_be_in_viewport()
    page.locator("#slider-straighten").scroll_into_view_if_needed()
    expect(page.locator("#frame")).to_be_in_viewport(ratio=0.9)
    approve.tap()
    page.wait_for_function("id => document.getElementById('photo').dataset.id !== id", arg=identity)
    assert service.ask("GET", f"/api/photos/{identity}")["review"] == "approved"


def test_the_queue_pauses_retries_and_goes_on(service: Service, open_page: Open) -> None:
    page = open_page("/queue")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused.")).to_be_visible()
    service.drop("waits.jpg", 700)
    row = page.locator(".lines li", has_text="waits.jpg")
    expect(row).to_be_visible()
    # The service tells of it, and then the page asks for its content anew.
    with page.expect_response(lambda answer: answer.request.method == "GET" and answer.url.endswith("/queue")):
        row.get_by_role("button", name="First").click()
    row.get_by_role("button", name="Cancel").click()
    expect(row).to_have_count(0)
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    failed = page.locator(".lines li", has_text="cut-in-half.jpg")
    expect(failed).to_contain_text("damaged")
    page.get_by_role("button", name="Retry all").click()
    expect(failed).to_contain_text("damaged")
    identity = next(photo["id"] for photo in service.photos() if photo["file_name"] == "waits.jpg")
    page.goto(f"{service.url}/photos/{identity}")
    page.get_by_role("button", name="Go on").click()
    expect(page.get_by_role("button", name="Go on")).to_have_count(0)
    service.settle()
    expect(page.get_by_role("button", name="Approve")).to_be_visible()


def test_the_status_page(service: Service, open_page: Open) -> None:
    (service.inbox / "notes.jpg").write_text("this is no picture")
    page = open_page("/status")
    expect(page.get_by_text("No Immich is connected")).to_be_visible()
    expect(page.get_by_text(str(service.inbox))).to_be_visible()
    service.until(lambda: any(item["name"] == "notes.jpg" for item in service.ask("GET", "/api/status")["not_taken"]))
    page.reload()
    expect(page.locator(".lines li", has_text="notes.jpg")).to_be_visible()
