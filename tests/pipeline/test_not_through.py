"""Files that do not get through to Immich: each time, while it restarts, and while its owner connects anew."""

import asyncio
from pathlib import Path

import pytest

from immich_sidecar.immich.connections import Connection
from immich_sidecar.immich.publish import Publisher
from immich_sidecar.library.tables import PhotoRow, Publish, VersionRow
from immich_sidecar.pipeline import publish_queue, retrying
from tests.pipeline.house import developed
from tests.pipeline.world import World, open_world


async def with_original(world: World) -> str:
    """A photo that Immich has, so that the version is the first file that is sent."""
    return await world.phone(developed(1))


async def first(world: World, sha: str) -> VersionRow | None:
    rows = await world.house.versions(sha)
    return rows[0] if rows else None


@pytest.mark.parametrize("status", [408, 502, 503, 504])
async def test_a_file_that_never_gets_through_is_blocked_with_the_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setattr(retrying, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(publish_queue, "FIRST_PING", 0.01)
    async with open_world(tmp_path) as world:
        world.immich.answer_next("/api/assets$", status, "<html>no</html>", method="POST", times=None)
        sha = await with_original(world)

        async def blocked() -> bool:
            row = await first(world, sha)
            return row is not None and row.publish is Publish.BLOCKED

        await world.house.until(blocked)
        row = await first(world, sha)
        assert row is not None
        assert str(status) in (row.blocked_reason or "")
        sent = [seen for seen in world.immich.requests if (seen.method, seen.path) == ("POST", "/api/assets")]
        assert len(sent) == retrying.ATTEMPTS


async def test_while_immich_is_away_too_no_attempt_is_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(publish_queue, "FIRST_PING", 0.02)
    async with open_world(tmp_path) as world:
        sha = await with_original(world)
        # Before anything else is asked for, so that only the upload and the pings meet it.
        world.immich.answer_next("/api/assets$", 503, None, method="POST", times=None)
        world.immich.answer_next("/api/(server|users)/", 503, None, times=None)
        await world.house.until(lambda: bool(world.house.publish_queue.outages()))
        await asyncio.sleep(0.2)
        row = await first(world, sha)
        assert row is not None
        assert (row.attempts, row.publish) == (0, Publish.ORIGINAL_UPLOADED)
        sent = [seen for seen in world.immich.requests if (seen.method, seen.path) == ("POST", "/api/assets")]
        assert len(sent) == 1


async def test_connecting_anew_in_the_middle_blocks_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish_queue, "FIRST_PING", 0.05)
    async with open_world(tmp_path) as world:
        world.immich.slow_down("/api/assets/[^/]+$", 0.3, times=1)
        sha = await with_original(world)
        await world.house.until(world.house.publish_queue.active)
        old = world.target
        # As `Connections` does it: the old client is closed under what is on its way.
        await old.connection.close()
        await world.house.until(lambda: bool(world.house.publish_queue.outages()))
        row = await first(world, sha)
        assert row is not None
        assert (row.publish is not Publish.BLOCKED, row.attempts) == (True, 0)
        anew = Connection(owner_id="local", url=world.immich.url, key=world.key)
        anew.id = old.connection.id
        await anew.refresh(world.house.database)
        old.connection, old.publisher = anew, Publisher(anew, world.house.database)
        old.intake._connection, old.intake._api = anew, anew.api

        async def marked() -> bool:
            row = await first(world, sha)
            return row is not None and row.publish is Publish.MARKED

        await world.house.until(marked)
        assert not [photo for photo in await world.house.rows(PhotoRow) if photo.failed_at]
        await anew.close()
