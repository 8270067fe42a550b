"""Another kind of file, chosen on the photo page in a browser."""

from playwright.sync_api import expect

from tests.e2e.conftest import COLD, Open, Service
from tests.e2e.test_photo import brought, told


def test_a_version_of_another_format_and_size(service: Service, open_page: Open) -> None:
    page, identity = brought(service, open_page, "another-file.jpg", 79)
    before = told(service, identity)["version"]
    page.get_by_text("File", exact=True).first.click()
    page.get_by_label("Format", exact=True).select_option("heic")
    page.get_by_label("Size", exact=True).select_option("1080")
    expect(page.locator("#keep")).to_be_enabled()
    page.locator("#keep").click()
    expect(page.locator("#photo")).to_have_attribute("data-shown", str(before + 1), timeout=COLD * 1000)
    output = told(service, identity)["recipe"]["user_overrides"]["output"]
    assert output == {"format": "heic", "quality": 60, "longest_edge": 1080, "profile": "keep"}
    # Its preview is shown.
    page.wait_for_function("() => document.getElementById('after').naturalWidth > 0")
    with page.expect_download() as download:
        page.get_by_label(f"Download version {before + 1}").click()
    assert download.value.suggested_filename.endswith(f"_v{before + 1}.heic")
    page.get_by_role("button", name="Back to the suggestion").click()
    expect(page.locator("#photo")).to_have_attribute("data-shown", str(before + 2))
