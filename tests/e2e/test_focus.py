"""What has the focus and goes away hands it on, so that a keyboard goes on where it was, in a browser."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.e2e.at_home import AtHome, at_home
from tests.e2e.test_finding import page  # noqa: F401 - a fixture
from tests.e2e.test_inbox_at_home import card, listening, put, told


@pytest.fixture
def here(tmp_path: Path) -> Iterator[AtHome]:
    with at_home(tmp_path / "data") as opened:
        yield opened


def press(page: Page, name: str) -> None:  # noqa: F811
    """Press a button with the keyboard."""
    page.get_by_role("button", name=name, exact=True).focus()
    page.keyboard.press("Enter")


# ---- the inbox


def test_the_last_photo_leaves_the_focus_to_the_page(here: AtHome, page: Page) -> None:  # noqa: F811
    (identity,) = put(here, 1)
    page.goto(here.url)
    card(page, identity).locator(".picture").focus()
    page.keyboard.press("a")
    expect(card(page, identity)).to_have_count(0)
    expect(page.locator("#main")).to_be_focused()
    # What is said in between takes the focus nowhere.
    press(page, "Undo")
    expect(page.locator(".toast", has_text="Undone")).to_be_visible()
    expect(page.locator("#main")).to_be_focused()


def test_the_bar_of_a_selection_gives_the_focus_back(here: AtHome, page: Page) -> None:  # noqa: F811
    first, second, third = put(here, 3)
    page.goto(here.url)
    for identity in (first, second):
        card(page, identity).locator(".picture").focus()
        page.keyboard.press("x")
    press(page, "Clear the selection")
    expect(card(page, second).locator(".picture")).to_be_focused()
    for identity in (first, second):
        card(page, identity).locator(".picture").focus()
        page.keyboard.press("x")
    bar = page.locator("#selection")
    bar.get_by_role("button", name="Approve").focus()
    page.keyboard.press("Enter")
    expect(card(page, second)).to_have_count(0)
    expect(card(page, third).locator(".picture")).to_be_focused()
    assert told(page, here, first) == ("approved", 1)


def test_a_card_that_goes_by_itself_leaves_the_focus_to_the_next(here: AtHome, page: Page) -> None:  # noqa: F811
    first, second, _ = put(here, 3)
    page.goto(here.url)
    listening(page)
    card(page, first).locator(".picture").focus()
    answer = page.request.post(f"{here.url}/api/photos/{first}/reject", data={"version": 1})
    assert answer.ok
    expect(card(page, first)).to_have_count(0)
    expect(card(page, second).locator(".picture")).to_be_focused()


def test_a_message_stays_while_its_button_has_the_focus(here: AtHome, page: Page) -> None:  # noqa: F811
    first, second = put(here, 2)
    page.clock.install()
    page.goto(here.url)
    card(page, first).locator(".picture").focus()
    page.keyboard.press("a")
    undo = page.get_by_role("button", name="Undo")
    undo.focus()
    page.clock.run_for(200_000)
    expect(undo).to_be_focused()
    page.keyboard.press("Enter")
    expect(card(page, second).locator(".picture")).to_be_focused()


def test_what_is_said_does_not_cover_the_strength_of_a_look(here: AtHome, page: Page) -> None:  # noqa: F811
    first, second = put(here, 2)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(here.url)
    card(page, first).locator(".picture").focus()
    page.keyboard.press("a")
    expect(page.locator(".toast")).to_be_visible()
    card(page, second).locator(".tick input").check(force=True)
    page.locator("#look-menu summary").click()
    page.locator("#bulk-preset").select_option("vivid")
    strength = page.locator("#bulk-strength")
    expect(strength).to_be_visible()
    on_top = """strength => {
        const box = strength.getBoundingClientRect();
        return document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2) === strength;
    }"""
    page.wait_for_function(on_top, arg=strength.element_handle())
    toast, menu = page.locator(".toast").bounding_box(), page.locator(".look-options").bounding_box()
    assert toast is not None
    assert menu is not None
    assert toast["y"] + toast["height"] <= menu["y"]


def test_a_look_is_given_with_keys_alone(here: AtHome, page: Page) -> None:  # noqa: F811
    first, second = put(here, 2)
    page.goto(here.url)
    card(page, first).locator(".picture").focus()
    page.keyboard.press("x")
    page.keyboard.press("l")
    expect(page.locator("#bulk-preset")).to_be_focused()
    page.keyboard.press("Escape")
    expect(page.locator("#look-menu summary")).to_be_focused()
    expect(page.locator("#bulk-preset")).to_be_hidden()
    expect(page.locator("#count")).to_have_text("1")
    page.keyboard.press("l")
    page.locator("#bulk-preset").select_option("vivid")
    page.get_by_role("button", name="Apply").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".toast", has_text="given the look")).to_be_visible()
    expect(card(page, second).locator(".picture")).to_be_focused()
    page.locator(".owners summary").click()
    expect(page.get_by_role("link", name="Account")).to_be_visible()
    page.mouse.click(640, 700)
    expect(page.get_by_role("link", name="Account")).to_be_hidden()


# ---- other pages


def test_pausing_and_resuming_keep_the_focus(here: AtHome, page: Page) -> None:  # noqa: F811
    page.goto(f"{here.url}/queue")
    press(page, "Pause")
    expect(page.get_by_role("button", name="Resume")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Pause")).to_be_focused()


def test_a_row_that_moves_takes_the_focus_along(here: AtHome, page: Page) -> None:  # noqa: F811
    first, _ = put(here, 2, "failed")
    page.goto(f"{here.url}/queue")
    listening(page)
    row = page.locator(f"#queue li[data-id='{first}']")
    row.get_by_role("button", name=re.compile("^Retry")).focus()
    page.keyboard.press("Enter")
    expect(page.locator("section", has_text="Failed").locator("li[data-id]")).to_have_count(1)
    expect(row.get_by_role("link")).to_be_focused()
