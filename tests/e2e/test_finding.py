"""Finding photos, what was found in them, and what belongs together, in a browser."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect

from immich_sidecar.advise.groups import Group, GroupKind
from immich_sidecar.analysis.findings import Box, Findings, FoundObject, Job, ModelRun, Tag
from immich_sidecar.library import groups, photo_words
from immich_sidecar.library.tables import PhotoRow
from tests.e2e.at_home import at_home
from tests.e2e.conftest import patient
from tests.web.finding import MODEL, KnowingModels, circle, direction, seen
from tests.web.house import House

FINDINGS = Findings(
    objects=(
        FoundObject(
            label="<b>dog</b>", score=0.9, box=Box(x=0.25, y=0.25, width=0.5, height=0.5), mask=circle(0.5, 0.5)
        ),
    ),
    tags=(Tag(word="meadow", score=0.8),),
    runs=(ModelRun(job=Job.WORDS, model="", error="no model is chosen"),),
)


@dataclass
class Pages:
    """Real pages with photos that models have looked at."""

    url: str
    models: KnowingModels
    #: Ids by file name.
    ids: dict[str, str]


@pytest.fixture
def pages(tmp_path: Path) -> Iterator[Pages]:
    models = KnowingModels()
    with at_home(tmp_path / "data", models=models) as here:
        yield Pages(here.url, models, here.run(_filled(here.house)))


async def _filled(home: House) -> dict[str, str]:
    ids = {}
    for n, (name, sees) in enumerate((("quince tree.jpg", "tree"), ("dog.jpg", "dog"), ("sea.jpg", "water"))):
        analysis = {"findings": FINDINGS.model_dump(mode="json")} if sees == "dog" else None
        photo = await home.shelf.put(seed=n + 1, size=(720, 480), file_name=name, analysis=analysis)
        ids[name] = photo.sha256
        await seen(home.shelf, photo.sha256, direction(sees))
        async with home.database.transaction() as session:
            await photo_words.put(session, await session.get_one(PhotoRow, ("local", photo.sha256)))
    async with home.database.transaction() as session:
        members = tuple(ids.values())
        await groups.replace(session, "local", [Group(GroupKind.BURST, members, True, "3 photos within 1.0 s.")])
    return ids


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 850})
    patient(context)
    made = context.new_page()
    problems: list[str] = []
    made.on("pageerror", lambda error: problems.append(str(error)))
    yield made
    context.close()
    assert not problems


def test_photos_are_found_by_words_and_by_likeness(pages: Pages, page: Page) -> None:
    page.goto(pages.url)
    field = page.get_by_role("searchbox")
    field.fill("QUINCE")
    field.press("Enter")
    found = page.get_by_role("list", name="Photos that were found").get_by_role("listitem")
    # What says so comes first, then what looks like it.
    expect(found).to_have_count(3)
    expect(found.first).to_contain_text("by its words")
    # What is typed before the scripts of the page are there waits for Enter.
    page.wait_for_load_state("load")
    page.get_by_role("searchbox").fill("water")
    expect(found.first).to_contain_text("1.00")
    expect(found.first.get_by_role("link")).to_have_attribute("href", f"/photos/{pages.ids['sea.jpg']}")
    pages.models.why = "its weights are not here"
    pages.models.jobs = frozenset()
    page.get_by_role("searchbox").fill("nothing like it")
    expect(page.get_by_role("heading", name="Nothing found")).to_be_visible()
    expect(page.get_by_text("No model for search: its weights are not here.")).to_be_visible()
    page.goto(f"{pages.url}/photos/{pages.ids['dog.jpg']}")
    page.get_by_role("link", name="More like this").click()
    expect(page.get_by_text(f"as {MODEL} sees it")).to_be_visible()
    expect(found).to_have_count(2)


def test_what_was_found_lies_over_the_picture(pages: Pages, page: Page) -> None:
    page.goto(f"{pages.url}/photos/{pages.ids['dog.jpg']}")
    over = page.locator("#finds")
    expect(over).to_be_hidden()
    page.locator("#show-finds").click()
    expect(over).to_be_visible()
    expect(page.locator("#places text")).to_have_text("<b>dog</b> 90 %")
    expect(page.locator("#finds-picture")).to_have_js_property("complete", value=True)
    picture, box = page.locator("#finds-picture").bounding_box(), page.locator("#places rect").bounding_box()
    assert picture is not None
    assert box is not None
    assert abs(box["x"] + box["width"] / 2 - picture["x"] - picture["width"] / 2) < 3
    assert abs(box["width"] - picture["width"] / 2) < 4
    # Pointing at something outlines it, where it is.
    page.mouse.click(picture["x"] + 0.75 * picture["width"], picture["y"] + 0.25 * picture["height"])
    expect(page.locator("#places .pointed path")).to_have_count(1)
    expect(page.locator("#finds-words")).to_contain_text("% of the picture")
    ((_, x, y),) = pages.models.pointed
    assert abs(x - 0.75) < 0.01
    assert abs(y - 0.25) < 0.01
    page.keyboard.press("Escape")
    expect(over).to_be_hidden()
    page.keyboard.press("f")
    expect(over).to_be_visible()
    page.keyboard.press("f")
    expect(over).to_be_hidden()
    page.get_by_text("1 model, 1 without an answer").click()
    expect(page.get_by_text("no model is chosen", exact=True)).to_be_visible()
    expect(page.get_by_role("link", name="meadow")).to_have_attribute("href", "/search?text=meadow")


def test_groups_are_looked_at_and_put_aside(pages: Pages, page: Page) -> None:
    page.goto(pages.url)
    page.get_by_role("link", name="Photos that belong together").click()
    group = page.locator(".group")
    expect(group).to_contain_text("3 photos within 1.0 s.")
    expect(group.get_by_role("listitem")).to_have_count(3)
    expect(group.locator(".is-best")).to_contain_text("quince tree.jpg")
    group.get_by_role("button", name="Put aside").click()
    expect(page.locator(".group")).to_have_count(0)
    expect(page.locator(".toast")).to_have_text("Put aside")
    page.reload()
    expect(page.get_by_role("heading", name="No groups")).to_be_visible()
