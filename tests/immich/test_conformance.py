"""The stand-in Immich answers as real ones did, and as their documents say."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from tests.immich_server import ImmichServer, second, stacks
from tests.immich_server import records as records_module
from tests.immich_server.dialect import VERSIONS
from tests.immich_server.keys import ANY, PUBLIC, WHOLE
from tests.immich_server.recorded import COMPLETE, load, names_in
from tests.immich_server.replay import Replay
from tests.immich_server.specs import Held, official, operations

# What is left out, by name and with the reason.
from tests.immich_server.unreplayed import not_replayed

RECORDED = tuple(COMPLETE)


async def replay(version: str = "3.1.0") -> dict[str, list[str]]:
    """The differences of every replayed recording."""
    async with ImmichServer(version=version, extraction_delay=0, thumbnail_delay=0) as server:
        return await Replay(server, load(version)).run()


@pytest.mark.parametrize("version", RECORDED)
async def test_every_recorded_request_is_answered_alike(version: str, record_property: pytest.RecordProperty) -> None:
    found = await replay(version)
    record_property("replayed", len(found))
    print(f"{len(found)} recordings of {version} replayed, {len(not_replayed(version))} not")
    wrong = {name: lines for name, lines in found.items() if lines}
    report = "\n".join(f"{name}: {line}" for name, lines in wrong.items() for line in lines)
    assert not wrong, f"{len(wrong)} of {len(found)} answers differ:\n{report}"


@pytest.mark.parametrize("version", RECORDED)
def test_every_recording_is_replayed_or_left_out_with_a_reason(version: str, test_data: Path) -> None:
    replayed = {recording["name"] for recording in load(version)}
    left_out = not_replayed(version).keys()
    assert not replayed & left_out
    names = set(names_in(test_data / "immich" / COMPLETE[version]))
    assert replayed <= names
    assert names <= replayed | left_out


@pytest.mark.parametrize("version", VERSIONS)
def test_each_route_asks_for_the_permission_that_immich_asks_for(version: str) -> None:
    server = ImmichServer(version=version)
    asked = {(method, path): permission for method, path, permission in server.routes}
    expected = {
        (method.upper(), path): operation["x-immich-permission"]
        for method, path, operation in operations(official(version)).values()
    }
    general = (ANY, PUBLIC, WHOLE)
    found = {
        route: None if asked.get(route, "") in general else asked.get(route, "no such route") for route in expected
    }
    assert found == expected


@pytest.mark.parametrize("version", VERSIONS)
async def test_every_answer_is_one_that_the_document_of_the_version_allows(version: str) -> None:
    """2.5.6 was never recorded: it is sent what 2.7.5 was sent, and held to its document."""
    held = Held(version)
    async with ImmichServer(version=version, extraction_delay=0, thumbnail_delay=0) as server:
        sent = Replay(server, load(version if version in RECORDED else "2.7.5"), held)
        await sent.run()
    assert not sent.problems, "\n".join(sent.problems[:40])
    assert {
        "getAssetInfo",
        "searchAssets",
        "createStack",
        "getAllAlbums",
        "uploadAsset",
        "getServerConfig",
    } <= held.seen


async def test_2_5_6_differs_from_2_7_5_only_where_it_is_known_to() -> None:
    recordings = load("2.7.5")
    async with ImmichServer(version="2.5.6", extraction_delay=0, thumbnail_delay=0) as server:
        found = await Replay(server, recordings).run()
    differing = {name for name, lines in found.items() if lines}
    assert differing == {
        # The version itself.
        *("002-server-version", "028-server-about"),
        # `withStacked` is ignored.
        "233-search-stack-withstacked-false",
        # There is no null rating.
        *("729-asset-update-rating-none", "732-search-rating-none"),
        # Edits have no ids.
        *(name for name in differing if "-edit" in name),
    }


@pytest.mark.parametrize("version", VERSIONS)
async def test_what_the_document_requires_of_a_body_is_required(version: str) -> None:
    """An empty body is refused by every operation that wants something in it."""
    async with ImmichServer(version=version) as server:
        user = server.add_user("Ada", is_admin=True)
        asset = server.add_asset(user, b"something")
        stack = server.add_stack(asset, server.add_asset(user, b"something else"))
        routes = {(method, path) for method, path, _ in server.routes}
        taken = []
        async with aiohttp.ClientSession(server.url, headers={"x-api-key": server.add_key(user)}) as session:
            for method, path, operation in operations(official(version)).values():
                wanted = _required(official(version), operation)
                if not wanted or (method.upper(), path) not in routes:
                    continue
                place = path.replace("{id}", stack.id if path.startswith("/stacks") else asset.id)
                async with session.request(method, f"/api{place}", json={}) as answer:
                    if answer.status not in (400, 401):
                        taken.append(f"{method} {path} answers {answer.status} without {wanted}")
    assert not taken


def _required(document: dict[str, Any], operation: dict[str, Any]) -> list[str]:
    content = operation.get("requestBody", {}).get("content", {})
    for media in ("application/json", "multipart/form-data"):
        if media in content:
            name = content[media]["schema"].get("$ref", "").rpartition("/")[2]
            return list(document["components"]["schemas"].get(name, {}).get("required", []))
    return []


async def test_another_message_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        records_module.RefusedError, "__init__", _with_other_message(records_module.RefusedError.__init__)
    )
    found = await replay()
    assert "213-stack-create-unknown-asset" in {name for name, lines in found.items() if lines}


def _with_other_message(init: object) -> object:
    def other(self: object, status: int, message: str, errors: object = None, **more: object) -> None:
        init(self, status, message.replace("Not found or no", "No"), errors, **more)  # type: ignore[operator]

    return other


async def test_another_rule_for_stacks_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without the merging of the primary's stack the old stack's children stay behind."""
    make_stack = stacks.make_stack

    def keep_others(store: records_module.Store, assets: list[records_module.Asset]) -> records_module.Stack:
        kept = {asset.id: asset.stack_id for asset in store.assets.values() if asset not in assets}
        stack = make_stack(store, assets)
        for asset_id, stack_id in kept.items():
            store.assets[asset_id].stack_id = stack_id if stack_id in store.stacks else None
        return stack

    monkeypatch.setattr(stacks, "make_stack", keep_others)
    found = await replay()
    assert found["209-stack-create-merge-by-primary"]


async def test_another_shape_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An asset that carries its stack in a search is not what Immich sends."""
    response = web.json_response

    def with_stack(data: object, **options: object) -> web.Response:
        if isinstance(data, dict) and "assets" in data and isinstance(data["assets"], dict):
            for item in data["assets"]["items"]:
                item["stack"] = None
        return response(data, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(web, "json_response", with_stack)
    found = await replay()
    assert any("stack: not in Immich" in line for line in found["231-search-stack-default"])


async def test_another_word_for_a_duration_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(second, "_duration", lambda milliseconds: milliseconds)
    found = await replay("2.7.5")
    assert found["104-asset-get-later"]
    assert found["153-search-all"]


def test_an_answer_that_no_document_allows_is_noticed() -> None:
    held = Held("2.5.6")
    version = {"major": 2, "minor": 5, "patch": 6}
    assert not list(held.problems("GET", "/api/server/version", 200, version))
    (extra,) = held.problems("GET", "/api/server/version", 200, {**version, "prerelease": None})
    assert "prerelease" in extra
    (missing,) = held.problems("GET", "/api/server/version", 200, {"major": 2, "minor": 5})
    assert "patch" in missing
    (status,) = held.problems("GET", "/api/server/version", 201, version)
    assert "201" in status
