"""The stand-in Immich answers as a real 3.1.0 did."""

from __future__ import annotations

from pathlib import Path

import pytest
from aiohttp import web

from tests.immich_server import ImmichServer, stacks
from tests.immich_server import records as records_module
from tests.immich_server.keys import ANY, PUBLIC
from tests.immich_server.recorded import load, names_in
from tests.immich_server.replay import Replay
from tests.immich_server.specs import official, operations

# What is left out, by name and with the reason.
from tests.immich_server.unreplayed import NOT_REPLAYED


async def replay() -> dict[str, list[str]]:
    """The differences of every replayed recording."""
    async with ImmichServer(extraction_delay=0, thumbnail_delay=0) as server:
        return await Replay(server, load()).run()


async def test_every_recorded_request_is_answered_alike(record_property: pytest.RecordProperty) -> None:
    found = await replay()
    record_property("replayed", len(found))
    print(f"{len(found)} recordings replayed, {len(NOT_REPLAYED)} not")
    wrong = {name: lines for name, lines in found.items() if lines}
    report = "\n".join(f"{name}: {line}" for name, lines in wrong.items() for line in lines)
    assert not wrong, f"{len(wrong)} of {len(found)} answers differ:\n{report}"


def test_every_recording_is_replayed_or_left_out_with_a_reason(test_data: Path) -> None:
    replayed = {recording["name"] for recording in load()}
    assert not replayed & NOT_REPLAYED.keys()
    assert replayed | NOT_REPLAYED.keys() == set(names_in(test_data / "immich" / "recordings"))


def test_each_route_asks_for_the_permission_that_immich_asks_for() -> None:
    server = ImmichServer()
    asked = {(method, path): permission for method, path, permission in server.routes}
    expected = {
        (method.upper(), path): operation["x-immich-permission"]
        for method, path, operation in operations(official("3.1.0")).values()
    }
    assert {route: asked[route] if asked[route] not in (ANY, PUBLIC) else None for route in expected} == expected


async def test_another_message_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        records_module.RefusedError, "__init__", _with_other_message(records_module.RefusedError.__init__)
    )
    found = await replay()
    assert "213-stack-create-unknown-asset" in {name for name, lines in found.items() if lines}


def _with_other_message(init: object) -> object:
    def other(self: object, status: int, message: str, errors: object = None) -> None:
        init(self, status, message.replace("Not found or no", "No"), errors)  # type: ignore[operator]

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
