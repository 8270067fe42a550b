"""A clock that ran ahead for a while: what was to be done later by it is done all the same."""

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from immich_sidecar.library.tables import AssetRow, FileRow, IntakeState, PhotoRow, Publish, VersionRow, WorkState, now
from immich_sidecar.pipeline import decisions, publish_steps
from tests.pipeline.house import House, developed
from tests.pipeline.replaced import settled
from tests.pipeline.world import World, open_world

YEAR = timedelta(days=365)


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[World]:
    monkeypatch.setattr(publish_steps, "EXTRACTION_WAIT", 0.02)
    async with open_world(tmp_path) as opened:
        yield opened


async def test_an_approval_of_next_year_comes_to_immich_now(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    house = world.house
    sha = await house.drop(developed())
    await world.done()
    await world.immich.settled()
    await settled(world)
    with monkeypatch.context() as wrong:
        wrong.setattr(decisions, "now", lambda: now() + YEAR)
        await house.commands.approve("local", sha, 1)
    await world.done()
    original, version = await world.ids(sha)
    assert (await world.stack(sha))[0] == original
    assert await house.commands.retry_blocked() == 0, "nothing was blocked"
    await world.done()
    await settled(world)
    assert (await world.stack(sha))[0] == version


async def test_work_of_next_year_is_done_now(house: House) -> None:
    await house.commands.pause(None)
    sha = await house.drop(developed())
    await house.change(sha, due_at=now() + YEAR)
    await house.commands.resume(None)

    async def is_kept() -> bool:
        return (await house.photo(sha)).state is WorkState.KEPT

    await house.until(is_kept)


async def test_only_what_waits_longer_than_anything_does_is_brought_forward(world: World) -> None:
    house = world.house
    shas = [await house.drop(developed(seed)) for seed in (1, 2)]
    await world.done()
    await world.immich.settled()
    await settled(world)
    house.targets.clear()
    for number, (sha, due) in enumerate(zip(shas, (now() + YEAR, now() + timedelta(hours=23)), strict=True), 1):
        await house.change(sha, original_publish_due_at=due)
        async with house.database.transaction() as session:
            version = await session.get_one(VersionRow, (await house.versions(sha))[0].id)
            version.publish, version.blocked_from, version.due_at = Publish.BLOCKED, Publish.STACKED, due
            session.add(version)
            given = {"owner_id": "local", "state": IntakeState.SEEN}
            session.add(AssetRow(connection_id=world.connection.row_id, asset_id=sha, due_at=due, **given))
            session.add(FileRow(path=sha, size=1, mtime_ns=number, after_due_at=due, **given))
    assert await house.commands.retry_blocked() == 1
    assert [(await house.versions(sha))[0].publish for sha in shas] == [Publish.STACKED, Publish.BLOCKED]
    for table, name in ((PhotoRow, "original_publish_due_at"), (AssetRow, "due_at"), (FileRow, "after_due_at")):
        dues = [getattr(row, name) for row in await house.rows(table)]
        assert sum(due <= now() for due in dues if due is not None) == 1, name
