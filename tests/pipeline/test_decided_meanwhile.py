"""What is decided while a photo is looked at again comes to Immich, and what was left alone stays so."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlmodel import select

from immich_sidecar.analysis.findings import Job
from immich_sidecar.errors import UndecodableError
from immich_sidecar.library.tables import PhotoRow, Publish, Review, VersionRow, WorkState
from immich_sidecar.pipeline.pairing import Pairing
from tests.immich.stage import NOBODY
from tests.pipeline.house import House, developed, left_alone
from tests.pipeline.replaced import settled
from tests.pipeline.world import World, open_world

pytestmark = pytest.mark.usefixtures("soon")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


async def waiting(world: World) -> str:
    """A photo in Immich that nobody has decided about, and of which nothing is due."""
    sha = await world.house.drop(developed())
    await world.done()
    await world.immich.settled()
    await settled(world)
    return sha


async def on_top(world: World, sha: str) -> str | None:
    return (await world.stack(sha))[0]


# ---- decided while it was looked at


async def test_an_approval_does_not_wait_for_another_look(world: World) -> None:
    house = world.house
    sha = await waiting(world)
    # As long as many others are looked at before it.
    looking = house.executor.hold("analyse_file")
    await house.commands.analyse("local", sha, 1)
    await house.commands.approve("local", sha, 1)
    await house.until(lambda: house.executor.called("analyse_file") >= 2)
    original, version = await world.ids(sha)

    async def is_on_top() -> bool:
        return await on_top(world, sha) == version and world.mark(original)["review"] == "approved"

    await house.until(is_on_top)
    assert (await house.photo(sha)).state is WorkState.STORED
    looking.set()


@pytest.mark.parametrize("end", ["as before", "failed", "cancelled"])
async def test_what_became_due_during_another_look_is_seen_to_afterwards(world: World, end: str) -> None:
    house = world.house
    sha = await waiting(world)
    looking = house.executor.hold("analyse_file")
    if end == "failed":
        house.executor.plan["analyse_file"] = [UndecodableError("damaged since")]
    await house.commands.analyse("local", sha, 1)
    async with house.database.transaction() as session:
        (version,) = await session.exec(select(VersionRow))
        version.publish, version.due_at = Publish.STACKED, None
        session.add(version)
    if end == "cancelled":
        await house.until(lambda: house.executor.called("analyse_file") == 2)
        await house.commands.cancel("local", sha, 1)
    looking.set()
    await world.done()
    await settled(world)
    assert (await house.photo(sha)).state is WorkState.KEPT
    assert [row.publish for row in await house.versions(sha)] == [Publish.MARKED]


async def test_what_is_in_its_place_is_not_asked_for_again(world: World) -> None:
    sha = await waiting(world)
    before = len(world.immich.requests)
    await world.house.commands.analyse("local", sha, 1)
    await world.done()
    assert len(world.immich.requests) == before


# ---- left alone


async def look_at_all(world: World) -> int:
    count = await world.house.commands.analyse_lacking("local", frozenset({Job.FACES}))
    await world.done()
    await world.immich.settled()
    await settled(world)
    return count


@pytest.mark.parametrize("analysed", [True, False])
async def test_the_jpeg_of_a_raw_file_stays_left_alone(world: World, analysed: bool) -> None:
    house = world.house
    targets = dict(house.targets)
    house.targets.clear()
    raw = await house.drop(developed(1), "IMG_1.CR2")
    await house.settled()
    if not analysed:
        await house.commands.pause(None)
    jpeg = await house.drop(developed(2), "IMG_1.JPG")
    if analysed:
        await house.settled()
    assert await Pairing(house.database, house.events).absorb("local", raw, jpeg)
    await house.commands.resume(None)
    before = await house.photo(jpeg)
    house.targets.update(targets)
    house.dispatcher.wake()
    await world.done()
    await settled(world)
    uploads = len(world.immich.uploads)
    assert await look_at_all(world) == 2
    photo = await house.photo(jpeg)
    assert (photo.state, photo.review, photo.version) == (WorkState.LEFT_ALONE, Review.NONE, before.version)
    assert photo.left_alone_reason == "JPEG of IMG_1.CR2"
    assert len(world.immich.uploads) == uploads
    assert await house.is_clean()
    # By name it is developed all the same.
    await house.commands.develop_anyway("local", jpeg, photo.version)
    await world.done()
    assert (await house.photo(jpeg)).state is WorkState.KEPT


async def test_what_was_taken_back_for_its_raw_file_is_looked_at_and_goes_out_of_the_way(world: World) -> None:
    house = world.house
    raw, jpeg = await house.drop(developed(1), "IMG_1.CR2"), await house.drop(developed(2), "IMG_1.JPG")
    await world.done()
    await world.immich.settled()
    await settled(world)
    looking = house.executor.hold("analyse_file")
    await house.commands.analyse("local", jpeg, 1)
    assert await Pairing(house.database, house.events).absorb("local", raw, jpeg)
    looking.set()
    await world.done()
    await settled(world)
    photo = await house.photo(jpeg)
    assert (photo.state, photo.review) == (WorkState.KEPT, Review.REJECTED)
    (version,) = await house.versions(jpeg)
    assert version.retired is not None
    assert await house.is_clean()


async def test_a_photo_that_immich_told_to_be_a_live_photo_stays_left_alone(world: World) -> None:
    house = world.house
    house.targets.clear()
    sha = await world.phone(developed())
    await house.settled()
    world.asset((await house.photo(sha)).immich_asset_id).live_photo_video_id = NOBODY
    house.targets[world.connection.row_id] = world.target
    house.publish_queue.wake()
    await house.published()
    before = await house.photo(sha)
    assert before.state is WorkState.LEFT_ALONE
    assert await look_at_all(world) == 1
    photo = await house.photo(sha)
    assert (photo.state, photo.review, photo.badge) == (WorkState.LEFT_ALONE, Review.NONE, "live_photo")
    assert photo.left_alone_reason == before.left_alone_reason
    assert not world.immich.uploads
    assert await house.is_clean()


async def test_a_look_that_fails_leaves_a_photo_alone_that_was_never_advised(house: House) -> None:
    await house.commands.pause(None)
    sha = await house.drop(developed())
    await house.change(sha, state=WorkState.LEFT_ALONE, left_alone_reason="JPEG of a.CR2")
    house.executor.plan["analyse_file"] = [UndecodableError("damaged since")]
    await house.commands.analyse("local", sha, 0)
    await house.commands.resume(None)
    await house.settled()
    photo = await house.photo(sha)
    assert (photo.state, photo.failed_at, photo.left_alone_reason) == (WorkState.LEFT_ALONE, None, "JPEG of a.CR2")


async def test_another_look_at_what_is_left_alone_stores_what_is_proposed_now(house: House) -> None:
    sha = await house.drop(left_alone())
    await house.settled()
    before = await house.photo(sha)
    await house.commands.analyse("local", sha, 0)
    await house.settled()
    assert (await house.photo(sha)).recipe_id == before.recipe_id, "nothing else is proposed"
    analysed = house.executor.called("analyse_file")
    # As if it was another adviser who had proposed the present recipe.
    async with house.database.transaction() as session:
        photo = await session.get_one(PhotoRow, ("local", sha))
        photo.state, photo.analysis = WorkState.ANALYSED, {**photo.analysis, "facts": {**photo.analysis["facts"]}}
        photo.analysis["facts"] |= {"is_panorama": False, "is_motion_photo": True}
        photo.revision += 1
        session.add(photo)
    await house.settled()
    photo = await house.photo(sha)
    assert house.executor.called("analyse_file") == analysed
    assert (photo.state, photo.version) == (WorkState.LEFT_ALONE, 0)
    assert photo.left_alone_reason is not None
    assert "motion photo" in photo.left_alone_reason
    (recipe,) = [row for row in await house.recipes(sha) if row.id == photo.recipe_id]
    assert recipe.ai_metadata["left_alone"] == photo.left_alone_reason
    assert len(await house.recipes(sha)) == 2
    assert await house.is_clean()
