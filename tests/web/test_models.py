"""Models on their page and in the API: fetched with progress, resumed, stopped, verified, agreed to, removed."""

import asyncio
import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from immich_sidecar.analysis import weights
from immich_sidecar.web.api import ROUTES
from immich_sidecar.web.openapi_document import document
from tests.analysis.weights_server import Publisher, publishing
from tests.web.conftest import Build, Front

NAME = "rtdetr-v2-r18"
PICKLE = "sam2-package-tiny"
FILES = {"config.json": b"{}", "preprocessor_config.json": b"{}", "model.safetensors": b"w" * 3_000_000}
FROM_OUR_PAGE = {"Sec-Fetch-Site": "same-origin", "HX-Request": "true"}


@pytest.fixture
async def hub() -> AsyncIterator[Publisher]:
    files = {f"PekingU/rtdetr_v2_r18vd/{name}": content for name, content in FILES.items()}
    files["facebook/sam2.1-hiera-tiny/sam2.1_hiera_tiny.pt"] = b"p" * 3000
    async with publishing(Publisher(files)) as publisher:
        yield publisher


@pytest.fixture
async def front(build: Build, hub: Publisher) -> Front:
    return await build(models_mirror=hub.address)


async def model(front: Front, name: str = NAME) -> dict[str, Any]:
    rows = (await front.json("GET", "/api/models"))["models"]
    return next(row for row in rows if row["name"] == name)


async def settled(front: Front, name: str = NAME) -> dict[str, Any]:
    """How the model stands once nothing is done to it any more."""
    async with asyncio.timeout(90):
        while (row := await model(front, name))["doing"] is not None and row["doing"]["running"]:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    return row


async def do(front: Front, action: str, name: str = NAME, status: int = 200) -> Any:
    return await front.json("POST", f"/api/models/{name}/{action}", status=status)


async def test_the_list_is_as_its_document_says(front: Front) -> None:
    told = await front.json("GET", "/api/models")
    described = document(ROUTES)
    schema = {"$ref": "#/components/schemas/Models", "components": described["components"]}
    jsonschema.validate(told, schema)
    assert [row["name"] for row in told["models"]] == [entry.name for entry in weights.catalogue()]
    assert all(not row["usable"] and row["reason"] for row in told["models"])
    row = await do(front, "download", status=202)
    jsonschema.validate(row, {**schema, "$ref": "#/components/schemas/Model"})
    assert row["doing"]["running"]
    row = await settled(front)
    assert (row["usable"], row["digest"], row["doing"]) == (True, "recorded", None)


async def test_progress_is_told_live(front: Front) -> None:
    async with front.client.ws_connect("/ws") as socket:
        await do(front, "download", status=202)
        seen = []
        async with asyncio.timeout(90):
            while True:
                event = await socket.receive_json()
                if event["type"] == "models_changed":
                    seen.append(event["data"]["models"].get(NAME))
                    if seen[-1] is None:
                        break
    assert "id" not in event
    dones = [news["done"] for news in seen[:-1]]
    assert dones == sorted(dones)
    assert seen[0]["what"] == "download"


async def test_a_download_is_stopped_and_goes_on_where_it_was(front: Front, hub: Publisher) -> None:
    hub.manner, hub.cuts = "stall", [2_500_000]
    await do(front, "download", status=202)
    await asyncio.wait_for(hub.began.wait(), 90)
    async with asyncio.timeout(90):
        while (await model(front))["doing"]["done"] < 2_000_000:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    await do(front, "download", status=409)
    await do(front, "remove", status=409)
    page = await front.page("/models")
    assert re.search(r'<progress max="1" value="0\.\d+"', page)
    assert f'action="/models/{NAME}/cancel"' in page
    row = await do(front, "cancel")
    assert row["doing"] is None
    assert row["broken_off"]
    assert f'/models/{NAME}/download"' in (page := await front.page("/models"))
    assert ">Resume<" in page
    hub.manner = ""
    hub.asked.clear()
    await do(front, "download", status=202)
    row = await settled(front)
    assert row["usable"]
    assert next(given for path, given in hub.asked if "elsewhere" in path).startswith("bytes=2")


async def test_what_goes_wrong_is_told_and_can_be_tried_again(front: Front, hub: Publisher) -> None:
    hub.statuses = [401]
    await do(front, "download", status=202)
    row = await settled(front)
    assert "accepted its terms" in row["doing"]["error"]
    assert "accepted its terms" in await front.page("/models")
    await do(front, "download", status=202)
    row = await settled(front)
    assert row["doing"] is None
    assert row["usable"]


async def test_files_are_verified_and_damage_is_told(front: Front) -> None:
    folder = Path((await front.json("GET", "/api/models"))["folder"]) / NAME
    folder.mkdir(parents=True)
    for name, content in FILES.items():
        (folder / name).write_bytes(content)
    row = await model(front)
    assert row["state"] == "unverified"
    assert "not verified" in await front.page("/models")
    await do(front, "verify", status=202)
    assert (await settled(front))["usable"]
    (folder / "model.safetensors").write_bytes(b"x" * len(FILES["model.safetensors"]))
    await do(front, "verify", status=202)
    row = await settled(front)
    assert "first seen was" in row["doing"]["error"]
    assert "first seen was" in await front.page("/models")
    (folder / "model.safetensors").write_bytes(b"cut")
    assert "Damaged" in await front.page("/models")


async def test_consent_comes_before_anything_else(front: Front, hub: Publisher) -> None:
    told = await do(front, "download", PICKLE, status=409)
    assert "run code" in told["error"]
    assert hub.asked == []
    assert "I agree" in await front.page("/models")
    await do(front, "consent", NAME, status=409)
    row = await do(front, "consent", PICKLE)
    assert row["consented"]
    await do(front, "download", PICKLE, status=202)
    assert (await settled(front, PICKLE))["usable"]
    row = await do(front, "withdraw", PICKLE)
    assert not row["usable"]
    assert "run code" in row["reason"]


async def test_consent_by_setting_is_taken_back_by_the_setting(build: Build) -> None:
    front = await build(models_consent=(PICKLE,))
    assert (await model(front, PICKLE))["consented"]
    told = await do(front, "withdraw", PICKLE, status=409)
    assert "SIDECAR_MODELS_CONSENT" in told["error"]


async def test_removing_gives_the_space_back(front: Front, hub: Publisher) -> None:
    await do(front, "download", status=202)
    await settled(front)
    row = await do(front, "remove")
    assert (row["state"], row["here"]) == ("missing", 0)
    hub.files["PekingU/rtdetr_v2_r18vd/model.safetensors"] = b"other" * 1000
    await do(front, "download", status=202)
    assert "--forget" in (await settled(front))["doing"]["error"]
    await do(front, "forget")
    await do(front, "download", status=202)
    assert (await settled(front))["usable"]


async def test_the_page_does_the_same_with_and_without_scripts(front: Front) -> None:
    async with front.client.post(f"/models/{NAME}/download", headers=FROM_OUR_PAGE) as response:
        text = await response.text()
        assert response.status == 200
    assert "<html" not in text
    assert "every 5s" in text
    await settled(front)
    page = await front.page("/models")
    assert "every 5s" not in page
    assert "digest recorded at first download" in page
    token = re.search(r'name="token" value="(\w*)"', page)[1]
    form = {"data": {"token": token}, "headers": {"Sec-Fetch-Site": "same-origin"}, "allow_redirects": False}
    async with front.client.post(f"/models/{NAME}/remove", **form) as response:
        assert (response.status, response.headers["Location"]) == (303, "/models")
    assert (await model(front))["state"] == "missing"
    async with front.client.post(f"/models/{PICKLE}/download", **form) as response:
        assert response.status == 409
        assert "Agree to it first" in await response.text()
    for path in (f"/models/{NAME}/eat", "/models/nonesuch/download"):
        async with front.client.post(path, **form) as response:
            assert response.status == 404


async def test_the_page_says_which_are_used_and_what_would_have_them_used(build: Build, hub: Publisher) -> None:
    front = await build(models_mirror=hub.address, profile="basic")
    page = await front.page("/models")
    assert "<code>SIDECAR_PROFILE=basic</code> says that no model looks" in page
    assert not any(row["used"] for row in (await front.json("GET", "/api/models"))["models"])
    front = await build(models_mirror=hub.address, device="cpu", detection=NAME, embedding="immich", words="endpoint")
    used = [row["name"] for row in (await front.json("GET", "/api/models"))["models"] if row["used"]]
    assert used == [NAME]
    await do(front, "download", status=202)
    await settled(front)
    page = await front.page("/models")
    assert "No model looks at photos" not in page
    assert re.search(rf'data-model="{NAME}".*?<span class="chip state-ok">In use</span>', page, re.DOTALL)
    assert "Done by Immich's own model" in page
    assert "Done at <code>SIDECAR_WORDS_URL</code>" in page
    front = await build(models_mirror=hub.address, device="cpu")
    await do(front, "download", status=202)
    await settled(front)
    page = await front.page("/models")
    assert "the profile is <code>basic</code>, as there is no GPU" in page
    assert f"Not used: <code>SIDECAR_DETECTION={NAME}</code> has it look at photos.</p>" in page
    front = await build(device="cpu", profile="standard")
    used = {row["job"] for row in (await front.json("GET", "/api/models"))["models"] if row["used"]}
    assert used == {"detection", "segmentation", "embedding", "aesthetic", "technical", "faces"}


async def test_names_of_their_source_mean_the_model_too(front: Front) -> None:
    row = await front.json("POST", "/api/models/ultralytics:rtdetr-l.pt/consent")
    assert row["name"] == "ultralytics-rtdetr-l"
    await front.json("POST", "/api/models/nonesuch/download", status=404)


async def test_those_who_use_models_hear_of_changes(front: Front) -> None:
    heard = []
    front.home.context.downloads.changed = lambda: heard.append((front.home.context.downloads.is_busy, len(heard)))
    await do(front, "download", status=202)
    await settled(front)
    assert heard == [(False, 0)]
    await do(front, "remove")
    assert len(heard) == 2


async def test_the_end_of_the_service_stops_downloads_and_keeps_what_came(front: Front, hub: Publisher) -> None:
    hub.manner, hub.cuts = "stall", [2_500_000]
    await do(front, "download", status=202)
    await asyncio.wait_for(hub.began.wait(), 90)
    downloads = front.home.context.downloads
    await downloads.stop()
    assert not downloads.is_busy
    assert json.loads(json.dumps(downloads.snapshot())) == {}


async def test_only_the_operator_sees_models(build: Build) -> None:
    front = await build(password="p")
    async with front.client.get("/api/models") as response:
        assert response.status == 401
    async with front.client.get("/api/models", headers={"Authorization": "Bearer p"}) as response:
        assert response.status == 200
