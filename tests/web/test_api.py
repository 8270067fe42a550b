"""The JSON API: what it answers, what it refuses, and that its document is true."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jsonschema
import pytest

from immich_sidecar.library import photos as photo_rows
from immich_sidecar.library.tables import Review, WorkState
from immich_sidecar.web.api import ROUTES
from immich_sidecar.web.openapi_document import SCHEMAS
from tests.photos.make import scene, write_jpeg
from tests.web.conftest import Front

NOBODY = "0" * 64
COMMANDS = ("approve", "reject", "undo", "retry", "cancel", "reset", "develop", "first")


def check(name: str, value: Any) -> Any:
    """Hold a value to a schema of the OpenAPI document."""
    schema = {"$ref": f"#/components/schemas/{name}", "components": {"schemas": SCHEMAS}}
    jsonschema.Draft202012Validator(schema).validate(value)
    return value


async def test_a_photo_is_told_whole(front: Front) -> None:
    row = await front.shelf.put("pending")
    told = check("Photo", await front.json("GET", f"/api/photos/{row.sha256}"))
    assert told["status"] == "pending"
    assert told["confidence"] == 0.81, "the lowest of the applied suggestions, not of all"
    assert [item["applied"] for item in told["suggestions"]] == [True, True, False]
    assert told["versions"][0]["n"] == 1
    async with front.client.get(told["urls"]["thumbnail"]) as response:
        assert response.content_type == "image/jpeg"


async def test_lists_are_filtered_and_paged_to_the_end(front: Front) -> None:
    wanted = [(await front.shelf.put("pending", seed=seed)).sha256 for seed in range(5)]
    await front.shelf.put("failed", seed=10)
    await front.shelf.put("left_alone", seed=11)
    seen, after = [], ""
    while True:
        page = check("PhotoPage", await front.json("GET", f"/api/photos?review=pending&limit=2&after={after}"))
        seen += [item["id"] for item in page["items"]]
        after = page["next"]
        if after is None:
            break
    assert seen == wanted[::-1]
    assert len((await front.json("GET", "/api/photos?failed=true"))["items"]) == 1
    assert len((await front.json("GET", "/api/photos?status=left_alone"))["items"]) == 1
    assert len((await front.json("GET", "/api/photos?state=kept&failed=false"))["items"]) == 5


@pytest.mark.parametrize(
    "query", ["review=maybe", "state=x", "failed=perhaps", "limit=0", "limit=x", "after=%00", "status=odd"]
)
async def test_wrong_filters_are_refused(front: Front, query: str) -> None:
    check("Error", await front.json("GET", f"/api/photos?{query}", status=400))


async def test_approve_reject_and_undo(front: Front) -> None:
    row = await front.shelf.put("pending")
    base = f"/api/photos/{row.sha256}"
    assert (await front.json("POST", f"{base}/approve", {"version": 1}))["review"] == "approved"
    assert (await front.json("POST", f"{base}/reject", {"version": 1}))["review"] == "rejected"
    assert (await front.json("POST", f"{base}/undo", {"version": 1}))["review"] == "approved"
    assert check("Photo", await front.json("POST", f"{base}/undo", {"version": 1}))["review"] == "pending"


async def test_every_command_needs_a_version(front: Front) -> None:
    row = await front.shelf.put("pending")
    for command in COMMANDS:
        for body in ({}, {"version": None}, {"version": True}, {"version": -1}, {"version": 1.5}, [], 7):
            check("Error", await front.json("POST", f"/api/photos/{row.sha256}/{command}", body, status=400))


async def test_a_stale_version_is_refused_and_changes_nothing(front: Front) -> None:
    row = await front.shelf.put("pending")
    for command in COMMANDS:
        await front.json("POST", f"/api/photos/{row.sha256}/{command}", {"version": 7}, status=409)
    async with front.home.database.reading() as session:
        now = await photo_rows.get(session, "local", row.sha256)
    assert (now.review, now.version, now.revision) == (Review.PENDING, 1, 0)


async def test_commands_about_no_photo(front: Front) -> None:
    for command in COMMANDS:
        await front.json("POST", f"/api/photos/{NOBODY}/{command}", {"version": 1}, status=404)
        await front.json("POST", f"/api/photos/NOT-AN-ID/{command}", {"version": 1}, status=404)


async def test_a_change_makes_the_next_version(front: Front) -> None:
    row = await front.shelf.put("pending")
    path = f"/api/photos/{row.sha256}/recipe"
    patch = {"exposure": {"ev": 1.0}, "straighten": None}
    told = check("Photo", await front.json("PUT", path, {"version": 1, "operations": patch}))
    assert told["version"] == 2
    assert told["state"] == "advised"
    assert {item["type"] for item in told["recipe"]["operations"]} == {"exposure"}
    assert [item["applied"] for item in told["suggestions"]] == [False, True, False]
    told = await front.json("PUT", path, {"version": 2, "operations": {"straighten": "suggested"}})
    assert {item["type"] for item in told["recipe"]["operations"]} == {"straighten", "exposure"}


@pytest.mark.parametrize(
    ("operations", "status", "field"),
    [
        ({"exposure": {"ev": 99}}, 422, "exposure.ev"),
        ({"exposure": {"ev": 1, "brightness": 1}}, 422, "exposure.brightness"),
        ({"sharpness": {"amount": 1}}, 422, None),
        ({"crop": {"x": 0.5, "y": 0, "width": 0.9, "height": 1}}, 422, "crop"),
        ({"exposure": "off"}, 400, None),
        ({}, 400, None),
        (None, 400, None),
    ],
)
async def test_wrong_changes_name_the_field(front: Front, operations: Any, status: int, field: str | None) -> None:
    row = await front.shelf.put("pending")
    body = {"version": 1, "operations": operations}
    told = check("Error", await front.json("PUT", f"/api/photos/{row.sha256}/recipe", body, status=status))
    assert told.get("field") == field


@pytest.mark.parametrize("text", ["", "{", '{"version": NaN}', "[" * 100_000])
async def test_what_is_no_json_is_refused(front: Front, text: str) -> None:
    row = await front.shelf.put("pending")
    await front.json("POST", f"/api/photos/{row.sha256}/approve", data=text, status=400)


async def test_left_alone_can_be_developed_and_failed_retried(front: Front) -> None:
    alone = await front.shelf.put("left_alone", seed=1, analysis=None)
    told = await front.json("POST", f"/api/photos/{alone.sha256}/retry", {"version": 0}, status=409)
    assert told["status"] == 409
    failed = await front.shelf.put("failed", seed=2)
    told = await front.json("POST", f"/api/photos/{failed.sha256}/retry", {"version": 0})
    assert (told["failed_at"], told["status"]) == (None, "analysing")
    told = await front.json("POST", f"/api/photos/{failed.sha256}/cancel", {"version": 0})
    assert told["status"] == "cancelled"


async def test_a_batch_is_many_commands_of_their_own(front: Front) -> None:
    rows = [await front.shelf.put("pending", seed=seed) for seed in range(3)]
    items = [
        {"id": rows[0].sha256, "version": 1, "action": "approve"},
        {"id": rows[1].sha256, "version": 9, "action": "approve"},
        {"id": rows[2].sha256, "version": 1, "action": "explode"},
        {"id": NOBODY, "version": 1, "action": "reject"},
        {"version": 1, "action": "reject"},
        "nonsense",
    ]
    results = check("BatchResults", await front.json("POST", "/api/photos/batch", items))["results"]
    assert [item["ok"] for item in results] == [True, False, False, False, False, False]
    assert [item.get("status") for item in results] == [None, 409, 400, 404, 400, 400]
    for body in ([], {}, items * 100):
        await front.json("POST", "/api/photos/batch", body, status=400)


async def test_queue_pause_resume_retry(front: Front) -> None:
    await front.shelf.put("failed", seed=1)
    await front.shelf.put("analysing", seed=2)
    await front.shelf.put("rendering", seed=3, running=True)
    queue = check("Queue", await front.json("GET", "/api/queue"))
    assert (len(queue["running"]), queue["waiting_count"], queue["failed_count"]) == (1, 1, 1)
    assert check("Queue", await front.json("POST", "/api/queue/pause"))["paused"] is True
    assert check("Queue", await front.json("POST", "/api/queue/resume"))["paused"] is False
    assert check("Retried", await front.json("POST", "/api/queue/retry"))["retried"] == 1
    assert (await front.json("GET", "/api/queue"))["failed_count"] == 0


async def test_upload_as_form_and_as_body(front: Front, tmp_path: Path) -> None:
    import aiohttp

    file = write_jpeg(tmp_path / "new.jpg", scene(120, 80, seed=5))
    form = aiohttp.FormData()
    form.add_field("note", "x")
    form.add_field("file", file.read_bytes(), filename="../../etc/pass\u202ewd <b>.jpg")
    taken = check("Taken", await front.json("POST", "/api/photos", data=form, status=201))
    assert taken["new"] is True
    again = await front.json("POST", "/api/photos?name=other.jpg", data=file.read_bytes(), status=200)
    assert again == {"id": taken["id"], "new": False}
    async with front.client.get(f"/api/photos/{taken['id']}/original") as response:
        assert await response.read() == file.read_bytes()
    data_dir = front.home.layout.data_dir
    assert not list(data_dir.rglob("*.part")), "nothing half-made is left behind"
    assert not (data_dir.parent / "etc").exists()


@pytest.mark.parametrize(("data", "status"), [(b"", 400), (b"just text", 422), (b"%PDF-1.7 and more", 415)])
async def test_what_is_no_photo_is_not_taken(front: Front, data: bytes, status: int) -> None:
    name = {422: "photo.jpg"}.get(status, "paper.pdf")
    check("Error", await front.json("POST", f"/api/photos?name={name}", data=data, status=status))
    assert not list(front.home.layout.data_dir.rglob("*.part"))


async def test_a_form_without_a_file_is_refused(front: Front) -> None:
    import aiohttp

    form = aiohttp.FormData(default_to_multipart=True)
    form.add_field("note", "x")
    await front.json("POST", "/api/photos", data=form, status=400)


async def test_a_full_disk_refuses_uploads(build: Any) -> None:
    front = await build()
    object.__setattr__(front.home.context.space, "min_free", 1 << 60)
    await front.json("POST", "/api/photos?name=x.jpg", data=b"x", status=507)


async def test_status_owners_and_health(front: Front) -> None:
    status = await front.json("GET", "/api/status")
    assert status["immich"] is None
    assert status["disk"]["short"] is False
    assert check("Owners", await front.json("GET", "/api/owners"))["owners"][0]["id"] == "local"
    for path in ("/healthz", "/readyz"):
        assert check("Health", await front.json("GET", path)) == {"status": "ok"}
    await front.home.database.close()
    await front.json("GET", "/readyz", status=503)
    await front.json("GET", "/healthz")


async def test_the_document_lists_every_route_and_every_route_answers(front: Front) -> None:
    document = await front.json("GET", "/api/openapi.json")
    registered = {
        (route.method, route.resource.canonical)
        for route in front.home.app.router.routes()
        if route.resource and route.resource.canonical.startswith(("/api/", "/healthz", "/readyz"))
    }
    listed = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert listed == {pair for pair in registered if pair[0] != "HEAD"}
    names = [route.name for route in ROUTES]
    assert len(set(names)) == len(names)
    row = await front.shelf.put("pending")
    for route in ROUTES:
        path = route.path.replace("{id}", row.sha256).replace("{n}", "1")
        async with front.client.request(route.method, path, json={} if route.method != "GET" else None) as response:
            documented = document["paths"][route.path][route.method.lower()]["responses"]
            assert str(response.status) in documented, (route.path, response.status, await response.text())
    text = json.dumps(document)
    for reference in {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}:
        assert reference in document["components"]["schemas"]


async def test_unknown_addresses_and_methods(front: Front) -> None:
    check("Error", await front.json("GET", "/api/nothing", status=404))
    async with front.client.delete("/api/photos") as response:
        assert response.status == 405
        assert response.headers["Allow"]
        check("Error", await response.json())


async def test_what_nobody_foresaw_tells_no_secrets(front: Front, monkeypatch: pytest.MonkeyPatch) -> None:
    async def explode(*_args: object, **_more: object) -> None:
        raise RuntimeError("the secret is 42")

    monkeypatch.setattr(photo_rows, "page", explode)
    told = await front.json("GET", "/api/photos", status=500)
    assert "42" not in told["error"]
    assert "42" not in await front.page("/", status=500)


async def test_left_alone_state_is_told(front: Front) -> None:
    row = await front.shelf.put("left_alone", reason="Level and well exposed.")
    told = check("Photo", await front.json("GET", f"/api/photos/{row.sha256}"))
    assert (told["state"], told["left_alone_reason"]) == (WorkState.LEFT_ALONE.value, "Level and well exposed.")


#: A digit that is no decimal one, and more digits than Python reads.
@pytest.mark.parametrize("text", ["²", "9" * 5000], ids=["squared", "long"])
async def test_what_only_looks_like_a_number_is_refused(front: Front, text: str) -> None:
    row = await front.shelf.put("pending")
    await front.json("GET", f"/api/photos?limit={quote(text)}", status=400)
    await front.json("POST", f"/api/photos/{row.sha256}/approve", {"version": text}, status=400)
    await front.json("GET", f"/ws?after={quote(text)}", status=400)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/api/photos/{id}/preset", {"version": 1, "preset": "vivid", "strength": 10**400}, 400),
        ("/api/photos/{id}/outline", {"x": 10**400, "y": 0}, 400),
        ("/api/photos/{id}/tell-immich", {"what": [["tags"]]}, 400),
        ("/api/presets", {"name": "A", "photo": "\ud800"}, 404),
        ("/api/presets", {"name": "A", "operations": {"lut": {"sha256": "\ud800"}}}, 422),
    ],
)
async def test_values_of_no_use_are_refused(front: Front, path: str, body: Any, status: int) -> None:
    row = await front.shelf.put("pending")
    await front.json("POST", path.replace("{id}", row.sha256), body, status=status)


async def test_a_character_set_that_nobody_knows_is_refused(front: Front) -> None:
    row = await front.shelf.put("pending")
    headers = {"Content-Type": "application/json; charset=klingon"}
    await front.json("POST", f"/api/photos/{row.sha256}/approve", data=b'{"version": 1}', headers=headers, status=415)


async def test_one_id_that_is_no_text_spoils_no_batch(front: Front) -> None:
    row = await front.shelf.put("pending")
    items = [{"id": identity, "version": 1, "action": "approve"} for identity in ("\ud800", row.sha256)]
    results = (await front.json("POST", "/api/photos/batch", items))["results"]
    assert [(one["ok"], one.get("status")) for one in results] == [(False, 404), (True, None)]
