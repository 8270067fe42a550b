"""What is taken back with its backfill, and what takes it up again."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from immich_sidecar.library.tables import BackfillRow, BackfillState, PhotoRow, Review, WorkState
from immich_sidecar.pipeline import analysing_again, decisions
from immich_sidecar.pipeline.take_back import TakingBack, decided_by_hand
from tests.pipeline.house import House, developed
from tests.pipeline.world import World, open_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


async def take_back(world: World, sha: str) -> None:
    """Undo a backfill that the photo came from."""
    house = world.house
    async with house.database.transaction() as session:
        row = BackfillRow(owner_id="local", connection_id=world.connection.row_id, state=BackfillState.UNDOING)
        session.add(row)
        await session.flush()
    await house.change(sha, backfill_id=row.id)
    await TakingBack(house.database, house.events).begin(row, "")
    house.dispatcher.wake()


async def test_a_version_that_another_look_made_is_taken_back_too(world: World) -> None:
    house = world.house
    sha = await house.drop(developed())
    await world.done()
    async with house.database.transaction() as session:
        photo = await session.get_one(PhotoRow, ("local", sha))
        decisions.record(session, photo, analysing_again.KIND, decisions.snapshot(photo))
        assert await decided_by_hand(session, photo) is None
    await take_back(world, sha)
    await world.done()
    assert (await house.photo(sha)).review is Review.REJECTED


async def test_what_was_taken_after_another_look_was_decided_by_hand(house: House) -> None:
    sha = await house.drop(developed())
    await house.settled()
    async with house.database.transaction() as session:
        photo = await session.get_one(PhotoRow, ("local", sha))
        decisions.record(session, photo, analysing_again.TAKEN, decisions.snapshot(photo))
        await session.flush()
        assert await decided_by_hand(session, photo) == analysing_again.TAKEN


@pytest.mark.parametrize("is_begun", [False, True])
async def test_undo_takes_up_a_photo_that_was_taken_back_in_work(world: World, is_begun: bool) -> None:
    house = world.house
    rendering = house.executor.hold("render_file")
    if not is_begun:
        rendering.set()
        await house.commands.pause(None)
    sha = await house.drop(developed())
    if is_begun:
        await house.until(lambda: house.executor.called("render_file"))
    await take_back(world, sha)
    photo = await house.photo(sha)
    assert photo.state is WorkState.CANCELLED
    rendering.set()
    await house.commands.resume(None)
    await house.settled()
    await house.commands.undo("local", sha, photo.version)
    await world.done()
    photo = await house.photo(sha)
    assert (photo.state, photo.review) == (WorkState.KEPT, Review.PENDING)
    assert await house.is_clean()


async def test_undoing_an_approval_does_not_take_up_what_was_cancelled(house: House) -> None:
    sha = await house.drop(developed())
    await house.settled()
    rendering = house.executor.hold("render_file")
    await house.commands.change("local", sha, 1, {"exposure": {"ev": 0.5}})
    await house.commands.approve("local", sha, 2)
    await house.until(lambda: house.executor.called("render_file") == 2)
    await house.commands.cancel("local", sha, 2)
    assert (await house.photo(sha)).state is WorkState.CANCELLED
    await house.commands.undo("local", sha, 2)
    rendering.set()
    assert (await house.photo(sha)).state is WorkState.CANCELLED
