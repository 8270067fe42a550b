"""Every call that the sidecar makes was made to a real Immich before, or is named with a reason."""

from __future__ import annotations

import json
from pathlib import Path

import httpx

from tests.immich_server import ImmichServer
from tests.immich_server.new_ground import NEW_GROUND, entries
from tests.immich_server.recorded import COMPLETE
from tests.immich_server.recorded_calls import kept, new_ground, recorded_calls, undeclared


def test_what_nobody_recorded_is_named_with_a_reason() -> None:
    found, named = new_ground(), entries()
    assert not found - named, "neither recorded nor named in new_ground.py"
    assert not named - found, "named in new_ground.py, but recorded or never asked"
    reasons = [
        reason for told in NEW_GROUND.values() for reason in ([told] if isinstance(told, str) else told.values())
    ]
    assert all(len(reason) > 15 for reason in reasons)


def test_the_calls_that_are_kept_are_those_of_the_recordings(test_data: Path) -> None:
    complete = [
        json.loads(path.read_bytes())
        for place in COMPLETE.values()
        for path in sorted((test_data / "immich" / place).glob("[0-9]*.json"))
    ]
    assert kept() == {call: set(names) for call, names in recorded_calls(complete).items()}


async def test_a_call_that_is_not_declared_is_noticed() -> None:
    """The stand-in looks at what comes from the sidecar only."""
    async with ImmichServer() as server:
        headers = {"User-Agent": "immich-sidecar/1", "x-api-key": server.add_key(server.add_user("Ada"))}
        async with httpx.AsyncClient(base_url=f"{server.url}/api", headers=headers, timeout=90) as client:
            await client.get("/server/ping")
            await client.post("/search/metadata", json={"page": 1})
            assert not undeclared(server)
            await client.post("/search/metadata", json={"page": 1, "madeUp": True})
            await client.get("/albums", params={"isShared": "true"})
            await client.get("/queues")
            await client.get("/jobs", headers={"User-Agent": "somebody"})
        assert undeclared(server) == {"POST /search/metadata: madeUp", "GET /albums: ?isShared", "GET /queues"}
