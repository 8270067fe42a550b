"""Looks on the pages and in the API: chosen, tried, made, renamed, deleted; and LUTs that are brought."""

import io
import re
from pathlib import Path

import aiohttp
import numpy as np
import pytest
from PIL import Image
from sqlmodel import select

from immich_sidecar.advise.presets import MEANINGS, Preset
from immich_sidecar.develop.cube import MOST_BYTES, read_cube
from immich_sidecar.library.tables import ConnectionRow, DecisionRow, PhotoRow, RecipeRow
from immich_sidecar.web.own_luts import MAX_LUT
from tests.develop.test_cube import swapped, text
from tests.web.conftest import Build, Front
from tests.web.test_hostile_strings import HOSTILE, MARK, what_could_run
from tests.web.test_socket import ask

FROM_OUR_PAGE = {"Sec-Fetch-Site": "same-origin"}


async def recipe_of(front: Front, photo: PhotoRow) -> RecipeRow:
    async with front.home.database.reading() as session:
        row = await session.get_one(PhotoRow, (photo.owner_id, photo.sha256))
        return await session.get_one(RecipeRow, row.recipe_id)


async def image(front: Front, path: str, status: int = 200) -> np.ndarray:
    async with front.client.get(path) as response:
        assert response.status == status, await response.text()
        return np.asarray(Image.open(io.BytesIO(await response.read())).convert("RGB")).astype(int)


async def test_a_photo_gets_a_preset_by_page_api_batch_and_socket(front: Front) -> None:
    one, two, three, four = [await front.shelf.put("pending", seed=seed) for seed in (1, 2, 3, 4)]
    told = await front.json(
        "POST", f"/api/photos/{one.sha256}/preset", {"version": 1, "preset": "vivid", "strength": 120}
    )
    assert (told["version"], told["preset"]) == (2, {"name": "vivid", "label": "Vivid", "strength": 120})
    tone = next(step for step in told["recipe"]["operations"] if step["type"] == "tone")
    assert tone["source"] == "preset"
    assert tone["parameters"]["contrast"] == pytest.approx(1.2 * 18)

    form = {"version": "1", "preset": "film", "strength": "50"}
    headers = {"HX-Request": "true", **FROM_OUR_PAGE}
    async with front.client.post(f"/photos/{two.sha256}/preset", data=form, headers=headers) as response:
        assert response.status == 200
        assert "look is chosen" in response.headers["X-Done"]
        assert response.headers["X-Undo"] == f"{two.sha256}:2:undo"
    assert (await recipe_of(front, two)).ai_metadata["look"]["strength"] == 50
    # Once more nothing is done, so there is nothing to take back: an undo would be of the decision before.
    form["version"] = "2"
    async with front.client.post(f"/photos/{two.sha256}/preset", data=form, headers=headers) as response:
        assert response.status == 200
        assert response.headers["X-Done"] == "It has that look already"
        assert "X-Undo" not in response.headers

    batch = [
        {"id": three.sha256, "version": 1, "action": "preset", "preset": "film"},
        {"id": one.sha256, "version": 1, "action": "preset", "preset": "film"},
        {"id": four.sha256, "version": 1, "action": "preset", "preset": "sepia"},
        {"id": four.sha256, "version": 1, "action": "preset"},
        {"id": four.sha256, "version": 1, "action": "preset", "preset": "film", "strength": "lots"},
        {"id": four.sha256, "version": 1, "action": "preset", "preset": "film", "strength": 201},
    ]
    results = (await front.json("POST", "/api/photos/batch", batch))["results"]
    assert [item.get("status", 200) for item in results] == [200, 409, 404, 400, 400, 422]
    assert results[0]["version"] == 2
    undone = await front.json("POST", "/api/photos/batch", [{"id": three.sha256, "version": 2, "action": "undo"}])
    assert undone["results"][0] == {"id": three.sha256, "ok": True, "version": 1, "review": "pending"} | {
        "state": "pending"
    }

    async with front.client.ws_connect("/ws") as socket:
        answer = await ask(socket, type="apply_preset", file_id=four.sha256, version=1, preset="portrait", strength=80)
        assert (answer["type"], answer["data"]["version"]) == ("result", 2)
        answer = await ask(socket, type="apply_preset", file_id=four.sha256, version=2)
        assert (answer["type"], answer["data"]["status"]) == ("error", 400)
    async with front.home.database.reading() as session:
        kinds = [row.kind for row in await session.exec(select(DecisionRow))]
    assert kinds.count("preset") == 4


async def test_selected_photos_get_a_look_without_scripts(front: Front) -> None:
    photos = [await front.shelf.put("pending", seed=seed) for seed in (1, 2)]
    page = await front.page("/")
    for label in ("Vivid", "Soft portrait", "Black and white", "Film"):
        assert f">{label}</option>" in page
    token = re.search(r'name="token" value="(\w+)"', page)
    assert token is not None
    form = [("token", token[1]), ("action", "preset"), ("preset", "black_and_white"), ("strength", "70")]
    form += [("photo", f"{photo.sha256}:1") for photo in photos]
    async with front.client.post("/photos", data=form, headers=FROM_OUR_PAGE, allow_redirects=False) as response:
        assert response.status == 303
    for photo in photos:
        assert (await recipe_of(front, photo)).ai_metadata["look"]["strength"] == 70


async def test_looks_are_shown_on_the_very_photo(front: Front) -> None:
    photo = await front.shelf.put("pending", seed=1, suggestions=())
    page = await front.page(f"/photos/{photo.sha256}")
    shown = re.findall(r"/looks/([a-z_0-9-]+)\?recipe=", page)
    assert shown == [preset.value for preset, meaning in MEANINGS.items() if meaning.operations is None]
    plain = await image(front, f"/photos/{photo.sha256}/looks/natural")
    assert max(plain.shape) == 240
    pictures = {name: await image(front, f"/photos/{photo.sha256}/looks/{name}") for name in shown[2:]}
    moved = {name: np.abs(picture - plain).mean() for name, picture in pictures.items()}
    assert min(moved.values()) > 1, moved
    assert np.ptp(pictures["black_and_white"], axis=2).max() <= 3
    for name in shown[2:]:
        grown = [
            np.abs(await image(front, f"/photos/{photo.sha256}/looks/{name}?strength={strength}") - plain).mean()
            for strength in (0, 50, 100, 200)
        ]
        assert grown[0] == 0, "no strength is no look"
        assert grown[0] < grown[1] < grown[2] <= grown[3] + 0.3, (name, grown)
    tried = await image(front, f"/photos/{photo.sha256}/adjusted?preset=black_and_white&strength=100")
    assert np.ptp(tried, axis=2).max() <= 3
    assert (await image(front, f"/api/photos/{photo.sha256}/preview?preset=film")).shape == tried.shape
    for path, status in (("looks/sepia", 404), ("looks/own-1", 404), ("looks/vivid?strength=x", 400)):
        await front.page(f"/photos/{photo.sha256}/{path}", status=status)
    await front.page(f"/photos/{photo.sha256}/looks/vivid?strength=999", status=422)


async def test_a_preset_is_made_from_a_photo_renamed_used_and_deleted(front: Front) -> None:
    photo, other = [await front.shelf.put("pending", seed=seed) for seed in (1, 2)]
    nothing = await front.json("POST", "/api/presets", {"name": "Nothing", "photo": photo.sha256}, status=422)
    assert nothing["field"] == "operations"
    assert "Choose a look or move the sliders" in await front.page(f"/photos/{photo.sha256}")
    change = {
        "exposure": {"ev": 0.75},
        "saturation": {"vibrance": 30},
        "crop": {"x": 0, "y": 0, "width": 0.5, "height": 1},
    }
    await front.json("PUT", f"/api/photos/{photo.sha256}/recipe", {"version": 1, "operations": change})
    page = await front.page(f"/photos/{photo.sha256}")
    ticked = {name: "checked" in rest for name, rest in re.findall(r'name="step" value="(\w+)"([^>]*)>', page)}
    assert ticked == {"crop": False, "exposure": False, "saturation": True}
    form = {"name": "  My \t evening  ", "step": ["saturation", "exposure"]}
    async with front.client.post(
        f"/photos/{photo.sha256}/keep-preset", data=form, headers={"HX-Request": "true", **FROM_OUR_PAGE}
    ) as response:
        assert response.status == 200, await response.text()
    mine = [item for item in (await front.json("GET", "/api/presets"))["presets"] if item["own"]]
    assert [(item["name"], item["label"]) for item in mine] == [("own-1", "My evening")]
    assert mine[0]["operations"]["exposure"]["ev"] == pytest.approx(0.2), "beyond the 0.55 that were suggested"
    taken = await front.json("POST", "/api/presets", {"name": "my EVENING", "photo": photo.sha256}, status=409)
    assert "already" in taken["error"]
    assert (await front.json("POST", "/api/presets", {"name": "Colour", "photo": photo.sha256}, status=201))[
        "operations"
    ].keys() == {"saturation"}
    told = await front.json(
        "POST", f"/api/photos/{other.sha256}/preset", {"version": 1, "preset": "own-1", "strength": 200}
    )
    steps = {step["type"]: step["parameters"] for step in told["recipe"]["operations"]}
    assert steps["exposure"]["ev"] == pytest.approx(0.95)
    assert "crop" not in steps
    await front.json("PUT", "/api/presets/own-1", {"name": "Dusk"})
    assert "Dusk" in await front.page("/presets")
    async with front.client.delete("/api/presets/own-1") as response:
        assert response.status == 204
    await front.json("PUT", "/api/presets/own-1", {"name": "Dusk"}, status=404)
    assert "Dusk" not in await front.page("/presets")
    again = await front.json("GET", f"/api/photos/{other.sha256}")
    assert again["preset"] == {"name": "own-1", "label": "My evening", "strength": 200}
    assert "My evening, 200 %" in await front.page(f"/photos/{other.sha256}")


async def test_presets_given_as_they_are(front: Front) -> None:
    good = {"name": "Soft", "operations": {"tone": {"contrast": -10}}}
    assert (await front.json("POST", "/api/presets", good, status=201))["operations"]["tone"]["contrast"] == -10
    for body, status in (
        ([], 400),
        ({"name": "x"}, 400),
        ({"name": 3, "operations": {}}, 400),
        ({"name": "x", "operations": ["tone"]}, 400),
        ({"name": "x", "photo": 1, "operations": ["tone"]}, 400),
        ({"name": "x", "photo": "0" * 64, "operations": [1]}, 400),
        ({"name": "x", "operations": {}}, 422),
        ({"name": "x", "operations": {"sepia": {}}}, 422),
        ({"name": "x", "operations": {"decode": {}}}, 422),
        ({"name": "x", "operations": {"tone": {"contrast": 300}}}, 422),
        ({"name": "x", "operations": {"lut": {"sha256": "0" * 64}}}, 422),
        ({"name": " \u200b\t ", "operations": {"exposure": {"ev": 1}}}, 422),
        ({"name": "x" * 81, "operations": {"exposure": {"ev": 1}}}, 422),
        ({"name": "Vivid", "operations": {"exposure": {"ev": 1}}}, 409),
        ({"name": "x", "photo": "0" * 64}, 404),
    ):
        await front.json("POST", "/api/presets", body, status=status)
    assert len([item for item in (await front.json("GET", "/api/presets"))["presets"] if item["own"]]) == 1


async def test_a_preset_that_rules_choose_stays(front: Front) -> None:
    await front.json("POST", "/api/presets", {"name": "Soft", "operations": {"tone": {"contrast": -10}}}, status=201)
    async with front.home.database.transaction() as session:
        session.add(ConnectionRow(owner_id="local", url="http://x", rules={"rules": [{"preset": "own-1"}]}))
    refused = await front.client.delete("/api/presets/own-1")
    assert refused.status == 409
    assert "your rules" in (await refused.json())["error"]
    async with front.client.post("/presets/own-1/delete", headers=FROM_OUR_PAGE) as response:
        assert response.status == 422
        assert "your rules" in await response.text()
    assert "Soft" in await front.page("/rules"), "and can be chosen there"


async def test_luts_are_brought_used_renamed_and_removed(front: Front) -> None:
    digest = read_cube(text(5, swapped)).sha256
    form = aiohttp.FormData(quote_fields=False)
    form.add_field("file", text(5, swapped, 'TITLE "Other"'), filename="Odd <b>name.cube")
    headers = {"HX-Request": "true", **FROM_OUR_PAGE}
    async with front.client.post("/luts", data=form, headers=headers) as response:
        page = await response.text()
        assert response.status == 200, page
        assert "Odd &lt;b&gt;name" in page
    assert (front.home.layout.data_dir / "luts" / f"{digest}.cube").is_file()
    again = await front.json("POST", "/api/luts?name=Again.cube", data=text(5, swapped), status=200)
    assert again["sha256"] == digest
    renamed = await front.json("PUT", f"/api/luts/{digest}", {"name": "Swap"})
    assert (renamed["name"], renamed["points"]) == ("Swap", 5)
    photo = await front.shelf.put("pending", suggestions=())
    page = await front.page(f"/photos/{photo.sha256}")
    assert f'<option value="{digest}">Swap</option>' in page
    plain = await image(front, f"/photos/{photo.sha256}/adjusted?lut=")
    tried = await image(front, f"/photos/{photo.sha256}/adjusted?lut={digest}")
    assert np.abs(tried - plain[..., [2, 0, 1]]).mean() < 6
    form = {"version": "1", "lut": digest, "lut_strength": "60"}
    async with front.client.post(
        f"/photos/{photo.sha256}/change", data=form, headers=headers, allow_redirects=False
    ) as response:
        assert response.status == 200
    recipe = await recipe_of(front, photo)
    assert recipe.user_overrides == {"lut": {"sha256": digest, "name": "Swap", "strength": 60}}
    mine = await front.json("POST", "/api/presets", {"name": "Swapped", "photo": photo.sha256}, status=201)
    assert mine["operations"] == recipe.user_overrides
    async with front.client.post(f"/luts/{digest}/remove", headers=headers) as response:
        assert response.status == 200
    assert (await front.json("GET", "/api/luts"))["luts"] == []
    assert f'<option value="{digest}" selected>Swap</option>' in await front.page(f"/photos/{photo.sha256}")
    await front.json("PUT", f"/api/luts/{digest}", {"name": "x"}, status=404)
    back = await front.json("POST", "/api/luts", data=text(5, swapped), status=201)
    assert back["name"] == "LUT", "brought again, it is on the list again"


async def test_luts_that_cannot_be_used(front: Front) -> None:
    assert MAX_LUT == MOST_BYTES
    for data, status in ((b"", 400), (b"no lut", 422), (b"LUT_3D_SIZE 70\n", 422), (b"#" * (MAX_LUT + 70_000), 413)):
        async with front.client.post("/api/luts?name=x.cube", data=data) as response:
            assert response.status == status, await response.text()
    form = aiohttp.FormData()
    form.add_field("file", b"LUT_3D_SIZE 2\n0 0 0\n", filename="x.cube")
    async with front.client.post("/luts", data=form, headers={**FROM_OUR_PAGE, "HX-Request": "true"}) as response:
        assert "promises 2 × 2 × 2 = 8 rows" in await response.text()
    missing = {"version": 1, "operations": {"lut": {"sha256": "0" * 64}}}
    photo = await front.shelf.put("pending")
    told = await front.json("PUT", f"/api/photos/{photo.sha256}/recipe", missing, status=422)
    assert told["field"] == "lut.sha256"
    async with front.client.get(
        f"/api/photos/{photo.sha256}/preview", params={"recipe": '{"lut": {"sha256": "%s"}}' % ("0" * 64)}
    ) as response:
        assert response.status == 422
        assert "0" * 64 in (await response.json())["error"]


async def test_owners_have_their_own_luts_and_presets(build: Build) -> None:
    front = await build()
    await front.shelf.put("pending", owner="ada")
    photo = await front.shelf.put("pending", seed=2)
    there = await front.json("POST", "/api/luts?owner=ada&name=Hers", data=text(5, swapped), status=201)
    hers = {"name": "Hers", "operations": {"tone": {"contrast": 5}}}
    assert (await front.json("POST", "/api/presets?owner=ada", hers, status=201))["name"] == "own-1"
    assert (await front.json("GET", "/api/luts"))["luts"] == []
    assert all(not item["own"] for item in (await front.json("GET", "/api/presets"))["presets"])
    await front.json("POST", f"/api/photos/{photo.sha256}/preset", {"version": 1, "preset": "own-1"}, status=404)
    stolen = {"version": 1, "operations": {"lut": {"sha256": there["sha256"]}}}
    await front.json("PUT", f"/api/photos/{photo.sha256}/recipe", stolen, status=422)
    plain = await image(front, f"/photos/{photo.sha256}/adjusted")
    assert np.array_equal(await image(front, f"/photos/{photo.sha256}/adjusted?lut={there['sha256']}"), plain)
    await front.json("POST", "/api/luts?name=Mine", data=text(3, swapped), status=201)
    async with front.client.get(f"/photos/{photo.sha256}/adjusted?lut={there['sha256']}") as response:
        assert response.status == 400
    assert (Path(front.home.layout.data_dir) / "owners" / "ada" / "luts" / f"{there['sha256']}.cube").is_file()


async def test_hostile_names_are_text(front: Front) -> None:
    photo = await front.shelf.put("pending")
    for number, evil in enumerate(HOSTILE):
        name = f"{number} {evil}"[:70]
        await front.json("POST", "/api/presets", {"name": name, "operations": {"tone": {"contrast": 5}}}, status=201)
        data = text(
            2,
            lambda r, g, b, number=number: (r, g, number / 100),
            f'TITLE "{name}"'.replace("\n", " ").replace("\r", " ").replace("\0", ""),
        )
        async with front.client.post("/api/luts", params={"name": name.replace("\x00", "")}, data=data) as response:
            assert response.status == 201, await response.text()
    for path in ("/presets", "/", f"/photos/{photo.sha256}", "/rules", "/backfill"):
        page = await front.page(path)
        assert MARK in page
        assert not list(what_could_run(page)), path


def test_every_look_has_a_word_and_a_sentence() -> None:
    for preset in Preset:
        meaning = MEANINGS[preset]
        assert meaning.label
        assert meaning.words.endswith(".")
