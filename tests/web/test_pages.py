"""The pages as a browser without scripts sees them, pictures, and the partials that htmx swaps."""

import io
import json
import re
from pathlib import Path
from urllib.parse import quote

import pytest
from aiohttp import web
from PIL import Image
from sqlmodel import select

from immich_sidecar.develop.white import balance
from immich_sidecar.library.tables import (
    AssetRow,
    ConnectionRow,
    FileRow,
    IntakeState,
    PhotoRow,
    Publish,
    RecipeRow,
    VersionRow,
    now,
)
from immich_sidecar.recipe.plan import ColourPlan
from immich_sidecar.web import previews, words
from immich_sidecar.web.adjusting import choices, groups, patch_of_form, sliders
from immich_sidecar.web.assets import HTMX, HTMX_SHA512, Assets
from immich_sidecar.web.photo_json import Shown
from immich_sidecar.web.warmth import kelvin_to_warmth, warmth_to_kelvin
from tests.web.conftest import Build, Front

HTMX_HEADERS = {"HX-Request": "true", "Sec-Fetch-Site": "same-origin"}


async def picture(front: Front, path: str, **headers: str) -> Image.Image:
    async with front.client.get(path, headers=headers) as response:
        assert response.status == 200, await response.text()
        assert response.content_type == "image/jpeg"
        return Image.open(io.BytesIO(await response.read()))


async def test_the_inbox_lists_by_status_and_pages_without_scripts(front: Front) -> None:
    for seed in range(3):
        await front.shelf.put("pending", seed=seed, size=(48, 32))
    for seed, status in enumerate(("approved", "rejected", "left_alone", "failed", "rendering"), start=100):
        await front.shelf.put(status, seed=seed, size=(48, 32))
    assert (await front.page("/")).count('class="card ') == 3
    for show in ("approved", "rejected", "left_alone", "failed", "in_progress"):
        assert (await front.page(f"/?show={show}")).count('class="card ') == 1, show
    assert "Nothing to gain." in await front.page("/?show=left_alone")
    assert "The file ends in the middle" in await front.page("/?show=failed")
    await front.page("/?show=nonsense", status=404)


async def test_the_grid_goes_on_by_a_plain_link(front: Front) -> None:
    for seed in range(65):
        await front.shelf.put("pending", seed=seed, size=(24, 16))
    seen: set[str] = set()
    path: str | None = "/"
    while path:
        text = await front.page(path)
        seen |= set(re.findall(r'id="card-([0-9a-f]{64})"', text))
        more = re.search(r'class="more"[^>]*href="([^"]+)"', text)
        path = more[1].replace("&amp;", "&") if more else None
    assert len(seen) == 65


async def test_empty_states_say_what_to_do(front: Front) -> None:
    assert "Put photos into the hot folder" in await front.page("/")
    await front.shelf.put("approved")
    text = await front.page("/")
    assert "Nothing waits for you" in text
    assert "All done" in text
    await front.shelf.put("rendering", seed=2)
    text = await front.page("/")
    assert "1 photo is being developed" in text
    assert "All done" not in text


async def test_photos_are_approved_by_plain_forms(front: Front) -> None:
    first, second, third = [await front.shelf.put("pending", seed=seed) for seed in range(3)]
    form = {"action": "approve", "photo": [f"{first.sha256}:1", f"{second.sha256}:1"]}
    async with front.client.post("/photos", data=form, allow_redirects=False) as response:
        assert response.status == 303
        assert response.headers["Location"] == "/?show=pending"
    form["photo"] = [f"{first.sha256}:7", f"{second.sha256}:1", f"{third.sha256}:7"]
    async with front.client.post("/photos", data=form) as response:
        assert response.url.query["refused"] == "2"
        assert "2 photos were refused and are as they were." in await response.text()
    assert "1 photo was refused and is as it was." in await front.page("/?refused=1")
    for refused in ("0", "x", "-1", "9" * 5000):
        assert "refused" not in (await front.page(f"/?refused={refused}")).partition("</header>")[2]
    assert (await front.json("GET", "/api/photos?review=approved"))["items"][1]["id"] == first.sha256
    data = {"version": "1", "then": "next"}
    async with front.client.post(f"/photos/{third.sha256}/reject", data=data, allow_redirects=False) as response:
        assert response.headers["Location"] == f"/photos/{third.sha256}", "no other one is pending"
    assert (await front.json("GET", f"/api/photos/{third.sha256}"))["review"] == "rejected"
    async with front.client.post(f"/photos/{third.sha256}/reject", data={"version": "5"}) as response:
        assert response.status == 409
        assert "look at it again" in await response.text()


async def test_a_decision_by_htmx_leads_to_the_next_photo(front: Front) -> None:
    older, newer = [await front.shelf.put("pending", seed=seed) for seed in range(2)]
    data = {"version": "1", "then": "next"}
    path = f"/photos/{newer.sha256}/approve"
    async with front.client.post(path, data=data, headers=HTMX_HEADERS) as response:
        assert json.loads(response.headers["HX-Location"])["path"] == f"/photos/{older.sha256}"
        assert response.headers["X-Done"] == "Approved"
        assert response.headers["X-Undo"] == f"{newer.sha256}:1:undo"
    async with front.client.post(path, data={"version": "3"}, headers=HTMX_HEADERS) as response:
        assert response.status == 409
        assert (await response.json())["error"]


async def test_a_suggestion_is_switched_off_and_on(front: Front) -> None:
    row = await front.shelf.put("pending")
    path = f"/photos/{row.sha256}/switch"
    steps = [("off", 1, {"exposure"}), ("on", 2, {"straighten", "exposure"})]
    for to, version, left in steps:
        data = {"version": str(version), "operation": "straighten", "to": to}
        async with front.client.post(path, data=data, headers=HTMX_HEADERS) as response:
            assert response.status == 200, await response.text()
        told = await front.json("GET", f"/api/photos/{row.sha256}")
        assert {item["type"] for item in told["recipe"]["operations"]} == left
    assert told["recipe"]["user_overrides"] == {}, "back to the proposal, not a copy of it"
    data = {"version": "3", "operation": "white_balance", "to": "on"}
    async with front.client.post(path, data=data, headers=HTMX_HEADERS) as response:
        assert response.status == 200
    told = await front.json("GET", f"/api/photos/{row.sha256}")
    assert told["recipe"]["user_overrides"]["white_balance"]["temperature"] == 7100.0


async def test_sliders_and_crop_are_kept(front: Front) -> None:
    row = await front.shelf.put("pending")
    form = {"version": "1", "exposure": "1.2", "straighten": "2.1", "shadows": "30", "temperature": "0"}
    form |= {"crop_x": "0.1", "crop_y": "0.2", "crop_width": "0.5", "crop_height": "0.5"}
    async with front.client.post(f"/photos/{row.sha256}/change", data=form, headers=HTMX_HEADERS) as response:
        assert response.status == 200, await response.text()
        assert 'data-version="2"' in await response.text()
    overrides = (await front.json("GET", f"/api/photos/{row.sha256}"))["recipe"]["user_overrides"]
    assert overrides["exposure"] == {"ev": 1.2}
    assert overrides["crop"] == {"x": 0.1, "y": 0.2, "width": 0.5, "height": 0.5}
    assert overrides["tone"]["shadows"] == 30
    assert "straighten" not in overrides
    assert "white_balance" not in overrides
    for wrong in ({}, {"exposure": "nan"}, {"exposure": "x"}):
        async with front.client.post(f"/photos/{row.sha256}/change", data={"version": "2", **wrong}) as response:
            assert response.status == 400, wrong


OPERATIONS = [
    {"type": "straighten", "parameters": {"degrees": 2.1}},
    {"type": "exposure", "parameters": {"ev": 0.5}},
    {"type": "tone", "parameters": {"black": 5.0, "white": 0.0, "shadows": 0.0, "highlights": -20.0, "contrast": 0.0}},
]


def test_the_form_as_it_came_changes_nothing() -> None:
    form = {slider.name: str(slider.value) for slider in sliders(OPERATIONS)}
    assert patch_of_form(form, OPERATIONS) == {}


def test_what_belongs_to_raw_files_is_shown_for_them_and_never_switched_off() -> None:
    decode = {"baseline_ev": 0.5, "tone_curve": [[0, 0], [1, 1]], "demosaic": "best"}
    raw = [*OPERATIONS, {"type": "decode", "parameters": decode}]
    assert {one.name for one in choices(raw)} - {one.name for one in choices(OPERATIONS)} == {"demosaic", "highlight"}
    form = {one.name: one.value for one in choices(raw)}
    assert patch_of_form(form, raw) == {}
    fast = {"decode": decode | {"demosaic": "fast"}}
    assert patch_of_form(form | {"demosaic": "fast"}, raw) == fast
    back = [{"type": "decode", "parameters": fast["decode"]}]
    assert patch_of_form({"demosaic": "best"}, back) == {"decode": decode}
    assert patch_of_form(form | {"demosaic": "fast"}, OPERATIONS) == {}


def test_a_slider_in_its_middle_switches_off() -> None:
    form = {slider.name: str(slider.value) for slider in sliders(OPERATIONS)}
    assert patch_of_form(form | {"exposure": "0"}, OPERATIONS) == {"exposure": None}
    assert patch_of_form(form | {"highlights": "0"}, OPERATIONS)["tone"]["black"] == 5.0
    assert patch_of_form(form | {"frame": "whole"}, OPERATIONS) == {"crop": None}
    whole = {"crop_x": "0", "crop_y": "0", "crop_width": "1", "crop_height": "1"}
    assert patch_of_form(form | whole, OPERATIONS) == {}


def test_a_lens_can_be_undone_only_where_it_is_known() -> None:
    assert "Lens" not in [group.name for group in groups([])]
    profile = {"source": "lensfun", "falloff": {"radius": 1.0, "terms": [-0.5]}}
    offered = {"lens": {"profile": profile}}
    shown = {slider.name: slider.value for slider in sliders([], (), offered)}
    assert shown["lens_vignetting"] == 0
    assert "lens_distortion" not in shown, "nothing is known of how it bends"
    assert words.parameters({"profile": profile}, "lens") == "dark corners 100 %"
    form = {"lens_vignetting": "60", "lens_distortion": "0", "lens_fringes": "0"}
    strengths = {"distortion": 0.0, "chromatic_aberration": 0.0, "vignetting": 60.0}
    assert patch_of_form(form, [], (), offered) == {"lens": {"profile": profile, **strengths}}
    assert patch_of_form(form, []) == {}
    applied = [{"type": "lens", "parameters": {"profile": profile, **strengths}}]
    assert patch_of_form(form | {"lens_vignetting": "0"}, applied) == {"lens": None}


def test_a_turned_form_speaks_of_the_picture_as_it_lies() -> None:
    operations = [
        {"type": "straighten", "parameters": {"degrees": 2.0}},
        {"type": "crop", "parameters": {"x": 0.1, "y": 0.2, "width": 0.5, "height": 0.5}},
    ]
    form = {"quarter_turns": "0", "mirror": "1", "straighten": "-2"}
    mirrored = {"orientation": {"quarter_turns": 0, "mirror": True}}
    assert patch_of_form(form, operations) == mirrored
    assert patch_of_form(form | {"straighten": "3"}, operations) == mirrored | {"straighten": {"degrees": 3.0}}
    there = {"crop_x": "0.4", "crop_y": "0.2", "crop_width": "0.5", "crop_height": "0.5"}
    assert patch_of_form(form | there, operations) == mirrored
    laid = [*operations, {"type": "orientation", "parameters": {"quarter_turns": 1, "mirror": False}}]
    assert patch_of_form({"quarter_turns": "1", "mirror": "0"}, laid) == {}
    assert patch_of_form({"quarter_turns": "0", "mirror": "0"}, laid) == {"orientation": None}


@pytest.mark.parametrize("warmth", [-100, -37, 0, 12, 100])
def test_warmth_and_kelvin_agree(warmth: float) -> None:
    assert kelvin_to_warmth(warmth_to_kelvin(warmth)) == pytest.approx(warmth, abs=0.6)
    assert 2000 <= warmth_to_kelvin(warmth) <= 15000
    assert warmth_to_kelvin(0) == 6500


@pytest.mark.parametrize("warmth", [-50, -20, 20, 50])
def test_the_slider_stands_where_gains_do_the_same(warmth: float) -> None:
    plan = ColourPlan(temperature=float(warmth_to_kelvin(warmth)), tint=0.0)
    matrix = balance(plan)
    assert matrix is not None
    gains = [float(gain) for gain in matrix.sum(axis=1)]
    operations = [{"type": "white_balance", "parameters": {"gains": gains}}]
    slider = next(item for item in sliders(operations) if item.name == "temperature")
    assert slider.value == pytest.approx(warmth, abs=3)
    patch = patch_of_form({"temperature": str(slider.value + 10)}, operations)["white_balance"]
    assert patch["gains"][1] == pytest.approx(gains[1], abs=1e-4), "green is left as it was"
    assert patch["gains"][0] > gains[0]
    assert patch["gains"][2] < gains[2]


@pytest.mark.parametrize("tint", [-50, -10, 10, 50])
def test_the_tint_stands_where_gains_do_the_same(tint: float) -> None:
    matrix = balance(ColourPlan(temperature=6500.0, tint=float(tint)))
    assert matrix is not None
    gains = [float(gain) for gain in matrix.sum(axis=1)]
    operations = [{"type": "white_balance", "parameters": {"gains": gains}}]
    slider = next(item for item in sliders(operations) if item.name == "tint")
    assert slider.value == pytest.approx(tint, abs=4)
    patch = patch_of_form({"tint": "0"}, operations)["white_balance"]
    assert patch["gains"] == pytest.approx([1.0, 1.0, 1.0], abs=0.06), "the cast is gone"
    more = patch_of_form({"tint": str(slider.value + 20)}, operations)["white_balance"]["gains"]
    assert more[1] < gains[1]
    assert more[0] / more[2] == pytest.approx(gains[0] / gains[2], rel=1e-3), "no warmer, no cooler"
    light = [0.2126 * red + 0.7152 * green + 0.0722 * blue for red, green, blue in (gains, more)]
    assert light[1] == pytest.approx(light[0], rel=0.01), "grey stays as bright"


def test_temperature_and_tint_move_apart() -> None:
    assert patch_of_form({"temperature": "0", "tint": "0"}, []) == {}
    assert patch_of_form({"tint": "25"}, []) == {"white_balance": {"temperature": 6500.0, "tint": 25.0}}
    warm = [{"type": "white_balance", "parameters": {"temperature": 7100.0, "tint": 4.2}}]
    assert patch_of_form({"temperature": "15", "tint": "4"}, warm) == {}, "what was not moved is not rounded"
    assert patch_of_form({"tint": "-30"}, warm) == {"white_balance": {"temperature": 7100.0, "tint": -30.0}}
    assert patch_of_form({"temperature": "0"}, warm) == {"white_balance": {"temperature": 6500, "tint": 4.2}}
    assert patch_of_form({"temperature": "0", "tint": "0"}, warm) == {"white_balance": None}


def test_a_slider_leads_where_it_stands_from_beyond_its_ends() -> None:
    operations = [{"type": "white_balance", "parameters": {"gains": [2.2, 0.4, 1.0]}}]
    assert {one.name: one.value for one in sliders(operations)}["tint"] == 100
    gains = patch_of_form({"tint": "0", "temperature": "0"}, operations)["white_balance"]["gains"]
    assert max(gains) - min(gains) < 0.001, "grey again"


@pytest.mark.parametrize("name", ["temperature", "tint"])
@pytest.mark.parametrize("value", ["100.5", "-999999", "1e5"])
def test_a_slider_has_ends(name: str, value: str) -> None:
    """Also where gains are moved, which have no ends of their own."""
    operations = [{"type": "white_balance", "parameters": {"gains": [1.2, 0.9, 1.1]}}]
    with pytest.raises(web.HTTPBadRequest) as refused:
        patch_of_form({name: value}, operations)
    assert refused.value.text == f"{name}: from -100 to 100"


async def test_previews_show_changes_without_keeping_them(front: Front) -> None:
    row = await front.shelf.put("pending", size=(240, 160))
    plain = await picture(front, f"/photos/{row.sha256}/preview?version=0")
    assert plain.size == (240, 160)
    recipe = quote(json.dumps({"straighten": None, "exposure": {"ev": 2.0}}))
    bright = await picture(front, f"/api/photos/{row.sha256}/preview?recipe={recipe}")
    brightness = [sum(image.convert("L").histogram()[128:]) for image in (plain, bright)]
    assert brightness[1] > brightness[0] * 1.2
    half = quote(json.dumps({"straighten": None, "crop": {"x": 0, "y": 0, "width": 0.5, "height": 1}}))
    assert (await picture(front, f"/api/photos/{row.sha256}/preview?recipe={half}")).size == (120, 160)
    assert (await picture(front, f"/photos/{row.sha256}/adjusted?straighten=0&exposure=2&client=a")).size == (240, 160)
    framed = await picture(front, f"/photos/{row.sha256}/preview?version=1&framed=1")
    assert framed.size[0] < 240, "turned by 2.1 degrees, so cut"
    assert (await front.json("GET", f"/api/photos/{row.sha256}"))["version"] == 1
    for wrong, status in (("{", 400), ("7", 400), ("[" * 2000, 400), ('{"exposure":{"ev":77}}', 422)):
        await front.json("GET", f"/api/photos/{row.sha256}/preview?recipe={quote(wrong)}", status=status)


async def test_evicted_pictures_are_made_again(front: Front) -> None:
    row = await front.shelf.put("pending")
    for n in (0, 1):
        for kind in ("thumbnail", "preview"):
            path = front.home.layout.absolute(getattr(front.home.layout, kind)("local", row.sha256, n))
            path.unlink()
            assert (await picture(front, f"/api/photos/{row.sha256}/{kind}?version={n}")).size == (360, 240)
            assert path.is_file()
    front.home.layout.absolute(row.path or "").unlink()
    front.home.layout.absolute(front.home.layout.preview("local", row.sha256, 0)).unlink()
    await front.json("GET", f"/api/photos/{row.sha256}/preview?version=0", status=410)
    await front.json("GET", f"/api/photos/{row.sha256}/original", status=410)
    await front.json("GET", f"/api/photos/{row.sha256}/preview?version=9", status=404)


async def version_digest(front: Front) -> str:
    async with front.home.database.reading() as session:
        return (await session.exec(select(VersionRow))).one().sha256[:12]


@pytest.mark.parametrize("path", ["/", "/photos/{id}", "/photos/{id}/card", "/api/photos/{id}"])
async def test_another_picture_of_the_same_number_has_another_address(front: Front, path: str) -> None:
    """Two people of one browser may have the same photo; so may who begins anew with an empty data directory."""
    row = await front.shelf.put("pending")
    path = path.replace("{id}", row.sha256)
    found = []
    for _ in range(2):
        text = (await front.page(path)).replace("&amp;", "&")
        addresses = set(re.findall(r'"(/[^" ]*/(?:thumbnail|preview)\?version=1[^" ]*)"', text))
        assert addresses, text
        for address in addresses:
            async with front.client.get(address) as response:
                assert "immutable" in response.headers["Cache-Control"], address
        found.append(addresses)
        async with front.home.database.transaction() as session:
            version = (await session.exec(select(VersionRow))).one()
            version.sha256 = "ab" * 32
            session.add(version)
    assert not found[0] & found[1]
    for address in found[0]:
        async with front.client.get(address) as response:
            assert "no-cache" in response.headers["Cache-Control"], address


async def test_pictures_are_cached_and_files_come_in_ranges(front: Front) -> None:
    row = await front.shelf.put("pending")
    base = f"/api/photos/{row.sha256}"
    for query in ("version=0", "version=1&digest=" + await version_digest(front)):
        async with front.client.get(f"{base}/thumbnail?{query}") as response:
            assert "immutable" in response.headers["Cache-Control"]
            assert "private" in response.headers["Cache-Control"]
            tag = response.headers["ETag"]
    async with front.client.get(f"{base}/thumbnail?version=1", headers={"If-None-Match": tag}) as response:
        assert response.status == 304
        assert "no-cache" in response.headers["Cache-Control"], "another photo's version 1 may follow at this address"
    async with front.client.get(f"{base}/thumbnail") as response:
        assert "no-cache" in response.headers["Cache-Control"], "without a version it changes"
    async with front.client.get(f"{base}/original") as response:
        whole = await response.read()
    async with front.client.get(f"{base}/original", headers={"Range": "bytes=10-19"}) as response:
        assert response.status == 206
        assert await response.read() == whole[10:20]
    async with front.client.get(f"{base}/versions/1") as response:
        assert response.headers["Content-Disposition"].startswith('attachment; filename="scene-1_v1.jpg"')
        assert (await response.read())[:2] == b"\xff\xd8"
    async with front.client.get(f"{base}/versions/1?show=1") as response:
        assert response.headers["Content-Disposition"].startswith("inline")
    await front.json("GET", f"{base}/versions/2", status=404)
    await front.json("GET", f"{base}/versions/x", status=404)


async def test_the_photo_page_in_every_state(front: Front) -> None:
    said = {
        "pending": "Approve",
        "approved": "Reject",
        "rejected": "Approve",
        "left_alone": "Develop anyway",
        "failed": "It failed while it was analysed",
        "cancelled": "Go on",
        "analysing": "Analysing",
        "rendering": "Rendering",
    }
    for seed, (status, words_on_it) in enumerate(said.items()):
        row = await front.shelf.put(status, seed=seed)
        text = await front.page(f"/photos/{row.sha256}")
        assert words_on_it in text, status
        assert " style=" not in text, "the policy forbids it"


async def test_the_page_says_where_versions_are_in_immich(build: Build) -> None:
    front = await build(immich_url="http://immich:2283", immich_public_url="https://photos.example")
    async with front.home.database.transaction() as session:
        session.add(ConnectionRow(owner_id="local", url="http://immich:2283"))
    row = await front.shelf.put("rejected", connection_id=1, immich_asset_id="abc-1")
    async with front.home.database.transaction() as session:
        version = await session.get(VersionRow, 1)
        assert version is not None
        version.publish, version.immich_asset_id = Publish.MARKED, "abc-2"
        session.add(version)
    text = await front.page(f"/photos/{row.sha256}")
    assert "it stays in the stack in Immich" in text
    assert 'href="https://photos.example/photos/abc-2"' in text
    assert 'href="https://photos.example/photos/abc-1"' in text


def test_publish_words_for_every_state() -> None:
    for state in Publish:
        for review in ("pending", "approved", "rejected"):
            for current in (True, False):
                for mode in ("review", "stack", "auto"):
                    text = words.publish(state, review, current=current, connected=True, mode=mode, reason="The quota.")
                    assert text.endswith((".", "quota."))
    superseded = words.publish("marked", "approved", current=False, connected=True, mode="stack")
    assert superseded.startswith("Superseded: it stays in the stack")


async def test_the_queue_page_and_its_forms(front: Front) -> None:
    failed = await front.shelf.put("failed", seed=1)
    await front.shelf.put("analysing", seed=2)
    await front.shelf.put("rendering", seed=3, running=True)
    blocked = await front.shelf.put("pending", seed=4)
    async with front.home.database.transaction() as session:
        version = await session.get(VersionRow, 1)
        assert version is not None
        version.publish, version.blocked_reason = Publish.BLOCKED, "The quota in Immich is exhausted."
        session.add(version)
    text = await front.page("/queue")
    for words_on_it in ("The file ends in the middle", "The quota in Immich is exhausted", "Retry all", "Pause"):
        assert words_on_it in text
    assert f"/photos/{blocked.sha256}" in text
    async with front.client.post("/queue/pause", headers=HTMX_HEADERS) as response:
        assert "Paused." in await response.text()
    async with front.client.post("/queue/resume", allow_redirects=False) as response:
        assert response.headers["Location"] == "/queue"
    async with front.client.post("/queue/retry", headers=HTMX_HEADERS) as response:
        assert "Nothing failed" in await response.text()
    async with front.client.post(
        f"/photos/{failed.sha256}/first", data={"version": "0"}, headers=HTMX_HEADERS
    ) as response:
        assert response.headers["X-Done"] == "This one is next"
    async with front.client.post("/queue/explode", headers=HTMX_HEADERS) as response:
        assert response.status == 404


async def test_the_status_page_says_what_is_wrong(front: Front, tmp_path: Path) -> None:
    rubbish = tmp_path / "x.jpg"
    rubbish.write_text("x")
    async with front.home.database.transaction() as session:
        session.add(
            ConnectionRow(
                owner_id="local",
                url="http://immich:2283",
                state="permission",
                last_error="The API key lacks stack.update",
                watch_from=now(),
            )
        )
        await session.flush()
        session.add(
            AssetRow(
                owner_id="local",
                connection_id=1,
                asset_id="a",
                file_name="clip.mov",
                state=IntakeState.SKIPPED,
                reason="A video",
            )
        )
        session.add(
            FileRow(
                owner_id="local",
                path=str(rubbish),
                size=1,
                mtime_ns=rubbish.stat().st_mtime_ns,
                state=IntakeState.FAILED,
                reason="Text, no picture",
            )
        )
    text = await front.page("/status")
    for said in (
        "Permission missing",
        "lacks stack.update",
        "since 2",
        "clip.mov",
        "A video",
        "Text, no picture",
        "inbox",
    ):
        assert said in text, said
    status = await front.json("GET", "/api/status")
    assert {item["name"] for item in status["not_taken"]} == {"clip.mov", "x.jpg"}


async def test_partials_and_whole_pages(front: Front) -> None:
    row = await front.shelf.put("pending")
    for path in ("/", "/queue", "/status"):
        assert "<html" in await front.page(path)
        assert "<html" not in await front.page(path, headers={"HX-Request": "true"})
        back = {"HX-Request": "true", "HX-History-Restore-Request": "true"}
        assert "<html" in await front.page(path, headers=back)
    assert "<html" not in await front.page(f"/photos/{row.sha256}/panel")
    assert "card" in await front.page(f"/photos/{row.sha256}/card?show=pending")
    assert await front.page(f"/photos/{row.sha256}/card?show=approved") == ""


async def test_the_owner_switch_is_remembered(front: Front) -> None:
    await front.shelf.put("pending", owner="anna")
    assert "Owner: local" in await front.page("/")
    await front.page("/?owner=anna")
    async with front.client.get("/") as response:
        assert response.url.query["owner"] == "anna"
    assert "Owner: local" in await front.page("/?owner=local")
    assert (await front.json("GET", "/api/photos"))["items"] == [], "the API knows no memory"


async def test_below_a_path_of_a_proxy(build: Build) -> None:
    front = await build(public_url="https://photos.example/develop")
    row = await front.shelf.put("pending")
    for path in ("/develop/", "/"):
        text = await front.page(path)
        assert f'href="/develop/photos/{row.sha256}"' in text
        assert not re.findall(r'(?:href|src|action|hx-get|hx-post)="/(?!develop/)', text)
    assert (await front.json("GET", "/develop/api/openapi.json"))["servers"] == [{"url": "/develop"}]


def test_edges_are_those_of_the_engine() -> None:
    from immich_sidecar.develop import preview

    assert (previews.PREVIEW_EDGE, previews.THUMBNAIL_EDGE) == (preview.PREVIEW_EDGE, preview.THUMBNAIL_EDGE)


def test_htmx_is_the_pinned_one() -> None:
    import hashlib

    path = Assets().path(HTMX)
    if path is None:
        pytest.skip("set-up has not fetched htmx")
    assert hashlib.sha512(path.read_bytes()).hexdigest() == HTMX_SHA512


def test_every_shape_has_its_class() -> None:
    style = (Assets().static / "style.css").read_text()
    for known in words.RATIOS:
        assert f".ratio-{known} {{" in style
    assert words.ratio(3000, 2000) == "ratio-150"
    assert words.ratio(2000, 3000) == "ratio-65"
    assert words.ratio(0, 0) == "ratio-150"
    assert words.ratio(10_000, 1000) == "ratio-300"


def test_static_files_name_no_other_host() -> None:
    assets = Assets()
    for name in assets.names():
        if not name.startswith("vendor/"):
            text = (assets.static / name).read_text()
            assert not re.findall(r"https?://(?!www\.w3\.org/2000/svg)", text), name


def test_confidence_is_that_of_what_is_applied() -> None:
    suggestions = [
        {"operation": "a", "confidence": 0.8, "applied": True},
        {"operation": "b", "confidence": 0.1, "applied": False},
    ]
    recipe = RecipeRow(
        id="x",
        owner_id="local",
        original_hash="0" * 64,
        operations=[{"type": "a"}],
        ai_metadata={"suggestions": suggestions},
    )
    photo = PhotoRow.model_construct()
    assert Shown(photo, recipe, ()).confidence == 0.8
    assert Shown(photo, None, ()).confidence is None
