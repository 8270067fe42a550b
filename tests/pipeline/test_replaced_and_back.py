"""What was replaced or rejected goes to the trash and comes back, also where the service dies in the middle of it."""

from pathlib import Path

import pytest

from immich_sidecar.immich.api import AssetChanges
from immich_sidecar.immich.compatibility import NEEDED_PERMISSIONS
from immich_sidecar.immich.retire import Fate
from immich_sidecar.library.tables import Publish, UploadRow, VersionRow
from immich_sidecar.pipeline import publish_queue, retrying
from tests.pipeline.house import developed
from tests.pipeline.replaced import (
    BRIGHTER,
    EVERY,
    Interruption,
    approved,
    asset,
    replace,
    settled,
    trashed,
    undo,
    version,
)
from tests.pipeline.world import World, open_world

pytestmark = pytest.mark.usefixtures("soon")


# ---- undo


async def test_undo_brings_the_earlier_version_out_of_the_trash(world: World) -> None:
    sha = await approved(world)
    await replace(world, sha)
    await undo(world, sha)
    _, first, second = await world.ids(sha)
    # The approval of the second is undone; the first is there again, on top as it was.
    assert trashed(world) == set()
    assert (await world.stack(sha))[0] == first
    assert world.mark(second)["review"] == "pending"
    await undo(world, sha)
    assert (await world.house.photo(sha)).version == 1
    assert (await world.stack(sha))[0] == first
    assert trashed(world) == {"1_processed_v2.jpg"}
    assert (await version(world, sha, 1)).retired is None
    assert world.mark(first)["review"] == "approved"
    assert len(world.immich.uploads) == 3


async def test_what_was_deleted_for_good_meanwhile_is_said_and_not_sent_again(recent: World) -> None:
    world = recent
    sha = await approved(world)
    await replace(world, sha)
    world.immich.delete(await asset(world, sha, 1))
    await undo(world, sha, 2)
    row = await version(world, sha, 1)
    assert row.publish is Publish.BLOCKED
    assert "new version" in (row.blocked_reason or "")
    assert len(world.immich.uploads) == 3
    # The second one stays where it is: nothing has taken its place.
    assert trashed(world) == set()
    original, _, second = await world.ids(sha)
    assert set(await world.stack(sha)) == {original, second}


async def test_without_the_permission_to_restore_it_is_said(recent: World) -> None:
    world = recent
    sha = await approved(world)
    await replace(world, sha)
    world.immich.set_permissions(world.key, list(NEEDED_PERMISSIONS))
    await undo(world, sha, 2)
    row = await version(world, sha, 1)
    assert row.publish is Publish.BLOCKED
    assert "asset.delete" in (row.blocked_reason or "")
    world.immich.set_permissions(world.key, ["all"])
    await world.house.commands.retry("local", sha, 1)
    await world.done()
    await settled(world)
    assert (await world.stack(sha))[0] == (await asset(world, sha, 1)).id
    assert trashed(world) == {"1_processed_v2.jpg"}


async def test_what_its_owner_brought_back_stays(recent: World) -> None:
    world = recent
    sha = await approved(world)
    await replace(world, sha)
    first = await asset(world, sha, 1)
    first.deleted_at = None
    await world.house.commands.reject("local", sha, 2)
    await world.done()
    await settled(world)
    assert first.deleted_at is None


# ---- rejecting


async def test_a_rejected_version_goes_to_the_trash_once_the_original_is_on_top(world: World) -> None:
    sha = await approved(world)
    original, first = await world.ids(sha)
    await world.house.commands.reject("local", sha, 1)
    await world.done()
    await settled(world)
    assert trashed(world) == {"1_processed_v1.jpg"}
    calls = [(seen.method, seen.path) for seen in world.immich.requests]
    (trashing,) = [place for place, call in enumerate(calls) if call == ("DELETE", "/api/assets")]
    arranged = [place for place, (method, path) in enumerate(calls) if method == "PUT" and "/api/stacks/" in path]
    assert arranged[-1] < trashing
    stack_id = world.asset(original).stack_id
    assert world.immich.stacks[stack_id or ""].primary_asset_id == original
    await undo(world, sha)
    assert trashed(world) == set()
    assert (await world.stack(sha))[0] == first
    assert world.mark(first)["review"] == "approved"


async def test_a_rejected_version_that_is_a_favourite_stays(recent: World) -> None:
    world = recent
    sha = await approved(world)
    (await asset(world, sha, 1)).is_favorite = True
    await world.house.commands.reject("local", sha, 1)
    await world.done()
    await settled(world)
    assert trashed(world) == set()
    assert (await version(world, sha, 1)).written["kept_because"] == "it is a favourite"
    assert (await world.stack(sha))[0] == (await world.house.photo(sha)).immich_asset_id


async def test_rejecting_a_change_takes_the_earlier_version_along_and_undo_brings_it_back(recent: World) -> None:
    world = recent
    sha = await approved(world)
    await world.house.commands.change("local", sha, 1, BRIGHTER)
    await world.done()
    await world.house.commands.reject("local", sha, 2)
    await world.done()
    await settled(world)
    assert trashed(world) == {"1_processed_v1.jpg"}
    await undo(world, sha)
    assert trashed(world) == set()
    await undo(world, sha)
    assert (await world.stack(sha))[0] == (await asset(world, sha, 1)).id


async def test_a_version_that_was_rejected_stays_in_the_trash_when_the_photo_is_changed(recent: World) -> None:
    world = recent
    sha = await approved(world)
    await world.house.commands.reject("local", sha, 1)
    await world.done()
    await settled(world)
    await world.house.commands.change("local", sha, 1, BRIGHTER)
    await world.done()
    await settled(world)
    assert trashed(world) == {"1_processed_v1.jpg"}
    await world.house.commands.approve("local", sha, 2)
    await world.done()
    await settled(world)
    assert trashed(world) == {"1_processed_v1.jpg"}
    assert (await world.stack(sha))[0] == (await asset(world, sha, 2)).id


async def test_where_the_original_is_in_the_trash_ours_is_not_thrown_after_it(recent: World) -> None:
    world = recent
    sha = await approved(world)
    world.immich.trash(world.asset((await world.house.photo(sha)).immich_asset_id))
    await world.house.commands.reject("local", sha, 1)
    await world.done()
    await settled(world)
    assert trashed(world) == {"1.jpg"}
    assert (await version(world, sha, 1)).retired == "kept"


# ---- what was there before us


async def test_a_file_that_was_in_immich_before_is_never_retired(recent: World) -> None:
    """The user has a file of exactly these bytes: it counts as published, and stays the user's."""
    world = recent
    sha = await world.house.drop(developed(), "1.jpg")
    await world.house.settled()
    row = await version(world, sha, 1)
    await world.done()
    ours = await asset(world, sha, 1)
    content = ours.file.read_bytes()
    world.immich.delete(ours)
    theirs = world.immich.add_asset(world.user, content=content, name="exported.jpg")
    async with world.house.database.transaction() as session:
        current = await session.get(VersionRow, row.id)
        assert current is not None
        current.immich_asset_id, current.publish = None, Publish.NONE
        session.add(current)
        for upload in await world.house.rows(UploadRow, version=1):
            await session.delete(await session.merge(upload))
    await world.house.commands.approve("local", sha, 1)
    await world.done()
    assert (await asset(world, sha, 1)) is theirs
    assert world.immich.metadata_of(theirs, "immich-sidecar") is None
    await replace(world, sha)
    assert trashed(world) == set()
    assert (await version(world, sha, 1)).retired == "kept"


# ---- crashes


@pytest.mark.parametrize("what", ["approve", "undo", "reject"])
@pytest.mark.parametrize("every", EVERY)
async def test_interrupted_after_any_call_and_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, what: str, every: int
) -> None:
    """The answer to the nth call is lost; afterwards Immich holds what it holds without that."""
    monkeypatch.setattr(publish_queue, "FIRST_PING", 0.02)
    monkeypatch.setattr(retrying, "FIRST_WAIT", 0.02)
    async with open_world(tmp_path, retire=True) as world:
        interruption = Interruption(world)
        nth = 2 if every > 1 else 1
        while True:
            sha = await approved(world, seed=100 + nth)
            await world.connection.api.update_asset((await asset(world, sha, 1)).id, AssetChanges(favorite=True))
            await world.house.commands.change("local", sha, 1, BRIGHTER)
            await world.done()
            if what != "approve":
                await world.house.commands.approve("local", sha, 2)
                await settled(world)
            uploads = len(world.immich.uploads)
            with interruption.at(nth):
                await getattr(world.house.commands, what)("local", sha, 2)
                await settled(world)
            await _is_as_it_should_be(world, sha, what)
            assert len(world.immich.uploads) - uploads <= (2 if what == "approve" else 0)
            if interruption.never_came:
                break
            nth += every
        assert nth > (10 if what == "approve" else 5)


async def _is_as_it_should_be(world: World, sha: str, what: str) -> None:
    original, first, second = await world.ids(sha)
    live = [one for one in await world.stack(sha) if world.asset(one).deleted_at is None]
    if what == "approve":
        assert live == [second, original]
        assert world.asset(second).is_favorite
        assert world.mark(second)["review"] == "approved"
    elif what == "reject":
        # It was a favourite, and what is one is not thrown away.
        assert live[0] == original
        assert set(live) == {original, second}
    else:
        # The one that was approved before is on top again.
        assert live[0] == first
        assert set(live) == {original, first, second}
    expected = None if what == "undo" else Fate.TRASHED
    assert (await version(world, sha, 1)).retired == expected
    assert [one.name for one in world.immich.assets.values()].count(world.asset(second).name) == 1
