"""Uploading in a browser: chosen, dropped, and without scripts; and what cannot be taken."""

import base64
from pathlib import Path

from playwright.sync_api import expect

from tests.e2e.conftest import Open, Service
from tests.photos.make import scene, write_jpeg


def names(service: Service) -> set[str]:
    return {photo["file_name"] for photo in service.photos()}


def test_files_are_chosen_and_each_says_what_became_of_it(service: Service, open_page: Open, tmp_path: Path) -> None:
    chosen = [write_jpeg(tmp_path / f"chosen-{seed}.jpg", scene(480, 320, seed=800 + seed)) for seed in (1, 2)]
    rubbish = tmp_path / "rubbish.jpg"
    rubbish.write_text("this is no picture")
    page = open_page("/?show=in_progress")
    with page.expect_file_chooser() as chooser:
        page.get_by_role("link", name="Upload").click()
    chooser.value.set_files([chosen[0], rubbish, chosen[1]])
    expect(page.locator("#uploads-words")).to_have_text("2 photos uploaded, 1 refused")
    expect(page.locator("#uploads-problems li")).to_contain_text("rubbish.jpg")
    expect(page.locator("#uploads-problems li span")).not_to_be_empty()
    page.get_by_role("button", name="Close").click()
    expect(page.locator("#uploads")).to_be_hidden()
    assert {"chosen-1.jpg", "chosen-2.jpg"} <= names(service)
    page.set_input_files("#upload-files", chosen[:1])
    expect(page.locator("#uploads-words")).to_have_text("1 was here already")
    service.settle()


def test_photos_are_dropped_on_the_page(service: Service, open_page: Open, tmp_path: Path) -> None:
    data = write_jpeg(tmp_path / "x.jpg", scene(480, 320, seed=811)).read_bytes()
    page = open_page()
    brought = page.evaluate_handle(
        """data => {
            const bytes = Uint8Array.from(atob(data), sign => sign.charCodeAt(0));
            const transfer = new DataTransfer();
            transfer.items.add(new File([bytes], "dropped.jpg", {type: "image/jpeg"}));
            return transfer;
        }""",
        base64.b64encode(data).decode(),
    )
    page.dispatch_event("#grid", "dragenter", {"dataTransfer": brought})
    expect(page.locator("#drop")).to_be_visible()
    page.dispatch_event("#grid", "drop", {"dataTransfer": brought})
    expect(page.locator("#drop")).to_be_hidden()
    expect(page.locator("#uploads-words")).to_have_text("1 photo uploaded")
    assert "dropped.jpg" in names(service)
    service.settle()


def test_a_plain_form_does_it_too(service: Service, open_page: Open, tmp_path: Path) -> None:
    photo = write_jpeg(tmp_path / "plain.jpg", scene(480, 320, seed=821))
    page = open_page(java_script_enabled=False)
    page.get_by_role("link", name="Upload").click()
    page.locator("input[type=file]").set_input_files(photo)
    page.get_by_role("button", name="Upload").click()
    expect(page.get_by_role("link", name="Taken")).to_be_visible()
    assert "plain.jpg" in names(service)
    service.settle()


def test_files_that_could_not_be_taken_are_listed_and_leave(service: Service, open_page: Open) -> None:
    rubbish = service.inbox / "text-named.jpg"
    rubbish.write_text("this is no picture either")

    def failed() -> bool:
        return any(item["name"] == rubbish.name for item in service.ask("GET", "/api/queue")["failed_files"])

    service.until(failed)
    page = open_page("/?show=failed")
    line = page.locator("#failed-files li", has_text=rubbish.name)
    expect(line).to_contain_text("tried again when the file changes")
    badge = page.locator("#filters [aria-current] .number")
    listed = page.locator("#failed-files li")
    service.until(lambda: int(badge.inner_text()) == len(service.photos("failed=true")) + listed.count())
    count = int(badge.inner_text())
    queue = open_page("/queue")
    expect(queue.locator(".lines li", has_text=rubbish.name)).to_be_visible()
    rubbish.unlink()
    # Files tell of nothing: the page looks now and then, and whenever something happens to the queue.
    service.ask("POST", "/api/queue/resume")
    expect(line).to_have_count(0)
    expect(badge).to_have_text(str(count - 1))
    expect(queue.locator(".lines li", has_text=rubbish.name)).to_have_count(0)
