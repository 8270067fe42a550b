"""What the photo page offers for RAW files, in a browser."""

import shutil

from playwright.sync_api import expect

from tests.e2e.conftest import COLD, Open, Service
from tests.e2e.test_photo import opened, told
from tests.photos.make import scene, write_dng


def test_how_a_raw_file_is_developed_can_be_chosen(service: Service, open_page: Open) -> None:
    page, _ = opened(service, open_page)
    expect(page.locator("#choice-demosaic")).to_have_count(0)
    known = {photo["id"] for photo in service.photos()}
    write_dng(service.home / "raw.dng", scene(480, 320, seed=31), ev=0.4)
    shutil.move(service.home / "raw.dng", service.inbox / "raw.dng")
    new = service.until(lambda: {photo["id"] for photo in service.photos()} - known)
    service.settle(COLD)
    identity = new.pop()
    before = told(service, identity)
    page = open_page(f"/photos/{identity}")
    page.wait_for_load_state("networkidle")
    page.get_by_text("Detail", exact=True).first.click()
    page.get_by_label("RAW detail").select_option("fast")
    page.get_by_label("Blown highlights").select_option("reconstruct")
    page.wait_for_function("() => document.getElementById('after').src.startsWith('blob:')", timeout=COLD * 1000)
    page.locator("#keep").click()
    expect(page.locator("#photo")).to_have_attribute("data-shown", str(before["version"] + 1), timeout=COLD * 1000)
    decode = told(service, identity)["recipe"]["user_overrides"]["decode"]
    assert (decode["demosaic"], decode["highlight"]) == ("fast", "reconstruct")
    suggested = next(o for o in before["recipe"]["operations"] if o["type"] == "decode")["parameters"]
    assert suggested["demosaic"] == "best"
    assert decode["tone_curve"] == suggested["tone_curve"]
