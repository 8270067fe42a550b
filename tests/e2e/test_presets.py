"""Looks, presets and LUTs in a browser, wide and narrow."""

from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect

from tests.develop.test_cube import text
from tests.e2e.conftest import Open, Service
from tests.e2e.test_photo import opened, slide, told

TRIED = "() => document.getElementById('after').src.startsWith('blob:')"


def greyness(page: Page) -> float:
    """By how much red, green and blue of what is shown differ, on average."""
    values = page.evaluate(
        """async () => {
            const image = document.getElementById('after');
            await image.decode();
            const canvas = document.createElement('canvas');
            [canvas.width, canvas.height] = [60, 40];
            const context = canvas.getContext('2d');
            context.drawImage(image, 0, 0, 60, 40);
            return [...context.getImageData(0, 0, 60, 40).data];
        }"""
    )
    return float(np.ptp(np.array(values).reshape(-1, 4)[:, :3], axis=1).mean())


@pytest.mark.parametrize(("width", "height", "touch"), [(1280, 850, False), (390, 844, True)])
def test_a_look_is_tried_made_stronger_and_applied(
    service: Service, open_page: Open, width: int, height: int, touch: bool
) -> None:
    page, identity = opened(service, open_page, width=width, height=height, touch=touch)
    before = told(service, identity)["version"]
    looks = page.locator(".look")
    expect(looks.first).to_be_visible()
    assert looks.count() >= 6
    expect(page.locator("#look-apply")).to_be_hidden()
    colour = greyness(page)
    page.locator(".look", has_text="Black and white").click()
    page.wait_for_function(TRIED)
    assert greyness(page) < 0.3 * colour
    strength = page.locator("#look-strength")
    strength.evaluate("input => { input.value = 41; input.dispatchEvent(new Event('input', {bubbles: true})) }")
    expect(page.locator("#look-percent")).to_have_text("40 %")
    page.locator("#look-discard").click()
    page.wait_for_function("() => !document.getElementById('after').src.startsWith('blob:')")
    expect(page.locator("#look-apply")).to_be_hidden()
    assert told(service, identity)["version"] == before, "trying changes nothing"
    page.locator(".look", has_text="Film").click()
    strength.evaluate("input => { input.value = 150; input.dispatchEvent(new Event('input', {bubbles: true})) }")
    page.locator("#look-apply").click()
    service.until(lambda: told(service, identity)["version"] > before)
    made = told(service, identity)["version"]
    expect(page.locator("#photo")).to_have_attribute("data-shown", str(made))
    assert told(service, identity)["preset"] == {"name": "film", "label": "Film", "strength": 150}
    expect(page.locator(".look input:checked ~ span")).to_have_text("Film")
    expect(page.locator("#look-percent")).to_have_text("150 %")
    assert page.evaluate("document.documentElement.scrollWidth") <= width, "nothing sticks out"
    page.locator(".decide").get_by_role("button", name="Undo").click()
    expect(page.locator("#photo")).to_have_attribute("data-shown", str(before))


def test_a_slider_takes_over_from_a_look_that_is_tried(service: Service, open_page: Open) -> None:
    page, identity = opened(service, open_page)
    page.locator(".look", has_text="Vivid").click()
    page.wait_for_function(TRIED)
    slide(page, "exposure", 1)
    expect(page.locator("#look-apply")).to_be_hidden()
    expect(page.locator("#keep")).to_be_enabled()
    page.locator("#discard").click()
    assert told(service, identity)["preset"]["name"] != "vivid"


def test_a_preset_of_ones_own_from_a_photo_to_many(service: Service, open_page: Open, tmp_path: Path) -> None:
    page, identity = opened(service, open_page)
    version = told(service, identity)["version"]
    slide(page, "vibrance", 55)
    page.locator("#keep").click()
    service.until(lambda: told(service, identity)["version"] > version)
    expect(page.locator("#photo")).to_have_attribute("data-shown", str(told(service, identity)["version"]))
    page.locator("#controls-preset summary").click()
    expect(page.locator("#step-saturation")).to_be_checked()
    page.locator("#controls-preset input[name=name]").fill("Summer <i>evening</i>")
    page.get_by_role("button", name="Keep the preset").click()
    expect(page.locator(".look", has_text="Summer <i>evening</i>")).to_be_visible()

    page = open_page("/presets")
    (tmp_path / "Negative.cube").write_bytes(text(3, lambda red, green, blue: (1 - red, 1 - green, 1 - blue)))
    page.set_input_files("input[type=file]", str(tmp_path / "Negative.cube"))
    page.get_by_role("button", name="Import").click()
    expect(page.get_by_text("“Negative” is here.")).to_be_visible()
    page.locator(".own summary", has_text="Summer").click()
    page.locator(".own", has_text="Summer").locator("input[name=name]").fill("Summer")
    page.locator(".own", has_text="Summer").get_by_role("button", name="Rename").click()
    expect(page.get_by_text("Renamed.")).to_be_visible()

    service.pending(3)
    page = open_page("/")
    ticks = page.locator(".card .tick input")
    chosen = []
    for number in (0, 1):
        ticks.nth(number).check(force=True)
        chosen.append(page.locator(".card").nth(number).get_attribute("data-id"))
    page.locator("#look-menu summary").click()
    page.locator("#bulk-preset").select_option(label="Summer")
    expect(page.locator("#bulk-strength-row")).to_be_visible()
    page.locator("#bulk-strength").fill("150")
    page.locator("#look-menu").get_by_role("button", name="Apply").click()
    expect(page.locator(".toast")).to_contain_text("given the look")
    for sha256 in chosen:
        preset = told(service, str(sha256))["preset"]
        assert (preset["label"], preset["strength"]) == ("Summer", 150)
    page.locator(".toast").get_by_role("button", name="Undo").click()
    expect(page.get_by_text("Undone")).to_be_visible()
    assert all(told(service, str(sha256))["preset"]["label"] != "Summer" for sha256 in chosen)
    service.settle()


def test_what_is_being_written_outlives_news_of_the_photo(service: Service, open_page: Open) -> None:
    page, identity = opened(service, open_page)
    slide(page, "vibrance", 35)
    version = told(service, identity)["version"]
    page.locator("#keep").click()
    service.until(lambda: told(service, identity)["version"] > version)
    expect(page.locator("#photo")).to_have_attribute("data-shown", str(told(service, identity)["version"]))
    service.settle()
    page.locator("#controls-preset summary").click()
    step, name = page.locator("#step-saturation"), page.locator("#controls-preset input[name=name]")
    step.uncheck()
    name.fill("Half wri")
    for swapped in ("#side", "#photo"):
        if swapped == "#photo":
            page.evaluate("document.querySelector('#photo').dataset.shown = '0'")
        page.evaluate("which => { document.querySelector(which).isOld = true }", swapped)
        page.evaluate(
            """id => document.dispatchEvent(
                new CustomEvent("sidecar:event", {detail: {type: "render_done", data: {file_id: id}}}))""",
            identity,
        )
        page.wait_for_function("which => !document.querySelector(which).isOld", arg=swapped)
        expect(name).to_have_value("Half wri")
        expect(name).to_be_focused()
        expect(step).not_to_be_checked()
    page.keyboard.type("tten")
    expect(name).to_have_value("Half written")


def test_presets_on_a_narrow_screen(open_page: Open) -> None:
    page = open_page("/presets", width=390, height=844, touch=True)
    expect(page.get_by_role("heading", name="LUTs")).to_be_visible()
    assert page.evaluate("document.documentElement.scrollWidth") <= 390


def test_a_preset_that_is_deleted_leaves_the_focus_to_the_next(service: Service, open_page: Open) -> None:
    identity = service.pending(2)[0]["id"]
    page = open_page(f"/photos/{identity}")
    page.on("dialog", lambda dialog: dialog.accept())
    for name in ("mine, the first", "mine, the second"):
        service.ask("POST", "/api/presets", {"name": name, "operations": {"exposure": {"ev": 0.5}}})
    page.goto(f"{service.url}/presets")
    own = page.locator(".own", has_text="mine, the first")
    own.locator("summary").click()
    own.get_by_role("button", name="Delete").focus()
    page.keyboard.press("Enter")
    expect(own).to_have_count(0)
    expect(page.locator(".own summary", has_text="mine, the second")).to_be_focused()
