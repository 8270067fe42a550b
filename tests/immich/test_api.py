"""Every call: what goes over the wire, what is made of the answer, and which error a refusal becomes."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import pytest
from aiohttp import web

from immich_sidecar.errors import (
    ImmichCredentialsError,
    ImmichGoneError,
    ImmichPermissionError,
    ImmichRefusedError,
    ImmichVersionError,
)
from immich_sidecar.immich.api import (
    Api,
    AssetChanges,
    AssetCounts,
    SearchFilter,
    WorkflowStep,
)
from tests.immich import calls_of_accounts, calls_of_assets
from tests.immich.calls import ASSET, THING, Call
from tests.immich.canned import CannedServer

BOX = {"boundingBoxX1": 1, "boundingBoxY1": 2, "boundingBoxX2": 3, "boundingBoxY2": 4, "imageWidth": 9}


@pytest.fixture
async def server() -> AsyncIterator[CannedServer]:
    async with CannedServer() as running:
        yield running


@pytest.fixture
async def api(server: CannedServer) -> AsyncIterator[Api]:
    made = Api(server.url, "key")
    made.server_version = (3, 1, 0)
    yield made
    await made.close()


CALLS = {**calls_of_accounts.CALLS, **calls_of_assets.CALLS}


@pytest.mark.parametrize("name", CALLS)
async def test_a_call(server: CannedServer, api: Api, name: str) -> None:
    call, (method, path, body), answer, of_result, expected = CALLS[name]
    server.answers.append(answer)
    result = await call(api)
    (asked,) = server.asked
    assert (asked.method, asked.path, asked.body) == (method, path, body)
    assert asked.headers["x-api-key"] == "key"
    assert of_result(result) == expected


@pytest.mark.parametrize(
    ("call", "query", "answer", "expected"),
    [
        (lambda api: api.albums(asset_id=ASSET), {"assetId": ASSET}, [], []),
        (lambda api: api.albums(), {}, [], []),
        (
            lambda api: api.people(page=2, size=3, with_hidden=True),
            {"page": "2", "size": "3", "withHidden": "true"},
            {"people": [], "total": 6, "hasNextPage": True},
            ([], True),
        ),
        (
            lambda api: api.asset_statistics(visibility="timeline", trashed=False),
            {"visibility": "timeline", "isTrashed": "false"},
            {"images": 3, "videos": 1, "total": 4},
            AssetCounts(3, 1, 4),
        ),
    ],
)
async def test_what_is_asked_for_in_the_address(call: Call, query: dict[str, str], answer: Any, expected: Any) -> None:
    async with CannedServer([(200, answer)]) as server:
        api = Api(server.url, "key")
        api.server_version = (3, 1, 0)
        assert await call(api) == expected
        await api.close()
    (asked,) = server.asked
    assert asked.query == query


@pytest.mark.parametrize("place", [None, 0, 4999])
async def test_one_of_very_many_stacks_is_found_without_all_of_them_in_memory(
    server: CannedServer, api: Api, place: int | None
) -> None:
    """A library of which everything is developed has as many stacks as photos."""
    stacks = [
        {"id": f"s{i}", "primaryAssetId": f"a{i}", "assets": [{"id": f"{name}{i}", "type": "IMAGE"} for name in "ab"]}
        for i in range(5000)
    ]
    if place is not None:
        stacks[place]["assets"][1]["id"] = ASSET  # type: ignore[index]  # it was made a line before
    body = json.dumps(stacks)
    server.answers.append(lambda: web.Response(text=body, content_type="application/json"))
    tracemalloc.start()
    try:
        found = await api.stack_with(ASSET)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (found and found.id) == (None if place is None else f"s{place}")
    assert peak < 4 * len(body)
    assert server.asked[0].query == {}


@pytest.mark.parametrize("text", ["<html>", "[{]", '[{"id": "s"}', '[{"assets": ["ID"]}]'])
async def test_what_is_no_list_of_stacks_holds_no_stack_and_says_so(server: CannedServer, api: Api, text: str) -> None:
    # What does not name the asset is not read.
    answer = text.replace("ID", ASSET) if "ID" in text else text.replace("{", f'{{"a": "{ASSET}", ', 1)
    server.answers.append(lambda: web.Response(text=answer, content_type="application/json"))
    with pytest.raises(ImmichRefusedError):
        await api.stack_with(ASSET)


async def test_immich_2_is_asked_apart_for_the_albums_of_others(server: CannedServer, api: Api) -> None:
    api.server_version = (2, 7, 5)
    server.answers += [(200, [{"id": THING}]), (200, [{"id": ASSET}, {"id": THING}])]
    assert [album.id for album in await api.albums()] == [THING, ASSET]
    assert [asked.query for asked in server.asked] == [{}, {"shared": "true"}]


async def test_faces_are_of_somebody_or_of_nobody(server: CannedServer, api: Api) -> None:
    server.answers.append((200, [{**BOX, "person": {"id": THING, "name": "Eve"}}, {**BOX, "person": None}]))
    known, unknown = await api.faces(ASSET)
    assert server.asked[0].query == {"id": ASSET}
    assert (known.bounding_box_x1, known.bounding_box_y2, known.image_width) == (1, 4, 9)
    assert known.person
    assert known.person.name == "Eve"
    assert not unknown.person


async def test_a_thumbnail_comes_with_its_type(server: CannedServer, api: Api) -> None:
    server.answers.append(lambda: web.Response(body=b"\x00picture", content_type="image/webp"))
    assert await api.thumbnail(ASSET, size="thumbnail") == (b"\x00picture", "image/webp")
    assert server.asked[0].path == f"/assets/{ASSET}/thumbnail"
    assert server.asked[0].query == {"size": "thumbnail"}
    server.answers.append((404, {"message": "Asset media not found"}))
    with pytest.raises(ImmichGoneError):
        await api.thumbnail(ASSET)


# ---- differences of versions


@pytest.mark.parametrize(
    ("version", "body"), [((2, 5, 6), {}), ((2, 6, 0), {"rating": None}), ((3, 1, 0), {"rating": None})]
)
async def test_a_rating_is_taken_away_where_immich_can(
    server: CannedServer, version: tuple[int, int, int], body: dict[str, Any]
) -> None:
    major, minor, patch = version
    server.answers += [(200, {"major": major, "minor": minor, "patch": patch}), (200, {"id": ASSET}), (204, None)]
    api = Api(server.url, "key")
    await api.update_asset(ASSET, AssetChanges(rating=None))
    await api.update_assets([ASSET], AssetChanges(rating=None))
    await api.close()
    # The version is asked for once.
    assert [asked.path for asked in server.asked] == ["/server/version", f"/assets/{ASSET}", "/assets"]
    assert server.asked[1].body == body
    assert server.asked[2].body == {"ids": [ASSET], **body}


@pytest.mark.parametrize("rating", [0, -1, 6, 2.5, True, "3"])
def test_no_other_rating_can_be_said(rating: Any) -> None:
    with pytest.raises(ValueError, match="rating"):
        AssetChanges(rating=rating)


def test_changes_that_make_no_sense() -> None:
    with pytest.raises(ValueError, match="time zone"):
        AssetChanges(taken_at=datetime(2026, 1, 2))
    with pytest.raises(ValueError, match="together"):
        AssetChanges(latitude=1.0)
    with pytest.raises(ValueError, match="taken_after"):
        SearchFilter(taken_after=datetime(2026, 1, 2))


async def test_what_a_search_cannot_be_asked_for(server: CannedServer, api: Api) -> None:
    for name, value in (("asset_id", ASSET), ("checksum", "a"), ("file_name", "a"), ("with_stacked", False)):
        wanted = SearchFilter(**{name: value})
        with pytest.raises(ValueError, match=name):
            await api.count(wanted)
        with pytest.raises(ValueError, match=name):
            await api.search_smart("words", wanted)
    assert not server.asked


async def test_workflows_of_2_x_are_not_touched(server: CannedServer) -> None:
    server.answers.append((200, {"major": 2, "minor": 7, "patch": 5}))
    api = Api(server.url, "key")
    calls: list[Call] = [
        lambda api: api.workflows(),
        lambda api: api.workflow(THING),
        lambda api: api.make_workflow(trigger="AssetCreate", name="n", description="d", steps=[]),
        lambda api: api.change_workflow(THING, enabled=True),
        lambda api: api.delete_workflow(THING),
        lambda api: api.workflow_triggers(),
    ]
    for call in calls:
        with pytest.raises(ImmichVersionError, match=r"2\.7\.5"):
            await call(api)
    await api.close()
    assert [asked.path for asked in server.asked] == ["/server/version"]


def test_a_steps_settings_are_not_shown() -> None:
    assert "hidden" not in repr(WorkflowStep("core#webhook", {"headerValue": "hidden"}))


# ---- refusals


@pytest.mark.parametrize(
    ("status", "message", "error"),
    [
        (400, "Not found or no asset.update access", ImmichGoneError),
        (400, "Validation failed", ImmichRefusedError),
        (403, "Missing required permission: asset.update", ImmichPermissionError),
        (401, "Invalid API key", ImmichCredentialsError),
    ],
)
async def test_a_refusal(server: CannedServer, api: Api, status: int, message: str, error: type[Exception]) -> None:
    server.answers.append((status, {"message": message}))
    with pytest.raises(error, match=message):
        await api.update_asset(ASSET, AssetChanges(favorite=True))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ({"action": "color", "parameters": {}}, "color"),
        ({"action": "rotate", "parameters": {"angle": 45}}, "45"),
        ({"action": "crop", "parameters": {"x": 1}}, "'y'"),
        ({"action": "crop"}, "'x'"),
    ],
)
async def test_edits_that_are_not_known_here(server: CannedServer, api: Api, edit: dict[str, Any], words: str) -> None:
    server.answers.append((200, {"assetId": ASSET, "edits": [edit]}))
    with pytest.raises(ImmichRefusedError, match=words):
        await api.edits(ASSET)


async def test_answers_that_lack_what_matters(server: CannedServer, api: Api) -> None:
    calls: list[tuple[Call, int]] = [
        (lambda api: api.me(), 200),
        (lambda api: api.make_key("k", ["asset.read"]), 201),
        (lambda api: api.login("a@example.test", "password"), 201),
        (lambda api: api.make_workflow(trigger="AssetCreate", name="n", description="d", steps=[]), 201),
        (lambda api: api.search_smart("words"), 200),
    ]
    for call, status in calls:
        server.answers.append((status, {}))
        with pytest.raises(ImmichRefusedError, match="Could not"):
            await call(api)
