"""From decisions to what Immich holds, against the stand-in Immich."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from immich_sidecar.events import EventType
from immich_sidecar.library.tables import ConnectionRow, PhotoRow, Publish, UploadRow, WorkState
from immich_sidecar.pipeline import publish_queue, retrying
from immich_sidecar.settings import Mode
from tests.pipeline.house import House, developed, left_alone
from tests.pipeline.world import World, open_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


async def test_stack_mode_puts_ours_beneath_until_it_is_approved(world: World) -> None:
    sha = await world.house.drop(developed(), "beach.jpg")
    await world.done()
    original, ours = await world.ids(sha)
    assert world.asset(original).name == "beach.jpg"
    assert world.asset(ours).name == "beach_processed_v1.jpg"
    assert await world.stack(sha) == (original, ours)
    assert (world.mark(ours)["review"], world.mark(ours)["version"]) == ("pending", 1)
    assert world.mark(ours)["original_asset_id"] == original
    assert world.mark(original)["is_original"] is True
    (version,) = await world.house.versions(sha)
    assert (version.publish, version.due_at) == (Publish.MARKED, None)

    await world.house.commands.approve("local", sha, 1)
    await world.done()
    assert await world.stack(sha) == (ours, original)
    assert world.mark(ours)["review"] == world.mark(original)["review"] == "approved"

    await world.house.commands.reject("local", sha, 1)
    await world.done()
    assert await world.stack(sha) == (original, ours)
    assert world.mark(ours)["review"] == "rejected"

    await world.house.commands.undo("local", sha, 1)
    await world.done()
    assert await world.stack(sha) == (ours, original)
    assert len(world.immich.uploads) == 2
    assert EventType.PUBLISHED in await world.house.event_types(sha)


async def test_review_mode_writes_no_version_before_approval(tmp_path: Path) -> None:
    async with open_world(tmp_path, Mode.REVIEW) as world:
        sha = await world.house.drop(developed())
        await world.done()
        original, ours = await world.ids(sha)
        assert original is not None, "the original is the owner's own upload, in every mode"
        assert ours is None
        await world.house.commands.approve("local", sha, 1)
        await world.done()
        original, ours = await world.ids(sha)
        assert await world.stack(sha) == (ours, original)
        await world.house.commands.undo("local", sha, 1)
        await world.done()
        assert await world.stack(sha) == (original, ours)
        assert world.mark(ours)["review"] == "pending"


async def test_auto_mode_puts_what_is_certain_on_top(tmp_path: Path) -> None:
    async with open_world(tmp_path, Mode.AUTO) as world:
        sha = await world.house.drop(developed())
        await world.done()
        original, ours = await world.ids(sha)
        assert await world.stack(sha) == (ours, original)
        await world.house.commands.undo("local", sha, 1)
        await world.done()
        assert await world.stack(sha) == (original, ours)


async def test_a_photo_that_is_left_alone_still_goes_into_immich(world: World) -> None:
    sha = await world.house.drop(left_alone())
    await world.done()
    assert world.asset((await world.house.photo(sha)).immich_asset_id)
    assert len(world.immich.uploads) == 1
    (row,) = await world.house.rows(UploadRow)
    assert row.version == 0


async def test_a_change_supersedes_and_its_undo_brings_back(world: World) -> None:
    commands = world.house.commands
    sha = await world.house.drop(developed())
    await world.house.settled()
    await commands.approve("local", sha, 1)
    await world.done()
    await commands.change("local", sha, 1, {"exposure": {"ev": 1.0}})
    await world.done()
    original, first, second = await world.ids(sha)
    assert second is None, "a later version waits for its approval"
    assert await world.stack(sha) == (first, original), "what was approved stays on top meanwhile"
    assert world.mark(first)["review"] == "superseded"
    await commands.approve("local", sha, 2)
    await world.done()
    original, first, second = await world.ids(sha)
    assert (await world.stack(sha))[0] == second
    assert set(await world.stack(sha)) == {original, first, second}
    assert world.mark(second)["review"] == "approved"
    await commands.undo("local", sha, 2)
    await commands.undo("local", sha, 2)
    await world.done()
    assert (await world.house.photo(sha)).version == 1
    assert (await world.stack(sha))[0] == first
    assert world.mark(first)["review"] == "approved"
    assert world.mark(second)["review"] == "superseded"
    assert len(world.immich.uploads) == 3


async def test_a_photo_that_came_from_immich_is_not_uploaded_again(world: World) -> None:
    sha = await world.phone(developed())
    await world.done()
    original, ours = await world.ids(sha)
    assert world.asset(original).name == "phone.jpg"
    assert await world.stack(sha) == (original, ours)
    assert len(world.immich.uploads) == 1


async def test_in_a_users_burst_another_primary_stays(world: World) -> None:
    content = developed()
    burst = [world.immich.add_asset(world.user, content=developed(seed), name=f"{seed}.jpg") for seed in (7, 8)]
    asset = world.immich.add_asset(world.user, content=content, name="mine.jpg")
    world.immich.add_stack(burst[0], burst[1], asset)
    sha = await world.house.drop(content, "mine.jpg")
    await world.house.settled()
    await world.house.commands.approve("local", sha, 1)
    await world.done()
    original, ours = await world.ids(sha)
    assert original == asset.id, "the same bytes are the same asset"
    assert (await world.stack(sha))[0] == burst[0].id
    assert ours in await world.stack(sha)
    await world.house.commands.reject("local", sha, 1)
    await world.done()
    assert (await world.stack(sha))[0] == burst[0].id


async def test_a_duplicate_in_the_trash_is_told_and_not_revived(world: World) -> None:
    content = developed()
    asset = world.immich.add_asset(world.user, content=content, name="old.jpg")
    world.immich.trash(asset)
    sha = await world.house.drop(content)
    await world.done()
    photo = await world.house.photo(sha)
    assert photo.original_publish is Publish.BLOCKED
    assert "trash" in (photo.original_publish_error or "")
    assert asset.deleted_at is not None
    assert photo.state is WorkState.KEPT
    assert EventType.PUBLISH_BLOCKED in await world.house.event_types(sha)
    (version,) = await world.house.versions(sha)
    assert version.publish is Publish.BLOCKED
    asset.deleted_at = None
    await world.house.commands.retry("local", sha, 1)
    await world.done()
    assert await world.stack(sha) == tuple(await world.ids(sha))


async def test_immich_away_in_the_middle_and_back(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish_queue, "FIRST_PING", 0.1)
    world.immich.cut_upload_after(2000)
    sha = await world.house.drop(developed())
    await world.house.until(lambda: bool(world.house.publish_queue.outages()) or bool(world.immich.uploads))
    await world.immich.go_away()
    await world.house.settled()
    assert (await world.house.photo(sha)).state is WorkState.KEPT, "work goes on without Immich"
    await world.house.commands.approve("local", sha, 1)
    await world.house.until(lambda: bool(world.house.publish_queue.outages()))
    await world.immich.come_back()

    async def on_top() -> bool:
        (version,) = await world.house.versions(sha)
        return version.publish is Publish.MARKED

    await world.house.until(on_top)
    original, ours = await world.ids(sha)
    assert await world.stack(sha) == (ours, original)
    assert len(world.immich.assets) == 2
    (version,) = await world.house.versions(sha)
    assert version.attempts == 0


async def test_an_answer_that_is_lost_uploads_nothing_twice(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish_queue, "FIRST_PING", 0.05)
    monkeypatch.setattr(retrying, "FIRST_WAIT", 0.05)
    for _ in range(2):
        world.immich.lose_answer_next("/api/assets$", method="POST")
    sha = await world.house.drop(developed())

    async def marked() -> bool:
        versions = await world.house.versions(sha)
        return bool(versions) and versions[0].publish is Publish.MARKED

    await world.house.until(marked)
    assert len(world.immich.assets) == 2
    assert await world.stack(sha) == tuple(await world.ids(sha))


async def test_a_revoked_key_waits_for_a_new_one(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publish_queue, "FIRST_PING", 0.1)
    world.immich.revoke_key(world.key)
    sha = await world.house.drop(developed())
    await world.house.settled()
    await world.house.until(lambda: bool(world.house.publish_queue.outages()))
    photo = await world.house.photo(sha)
    assert (photo.original_publish, photo.original_publish_attempts) == (Publish.NONE, 0)
    assert photo.state is WorkState.KEPT


async def test_a_missing_permission_blocks_until_it_is_retried(world: World) -> None:
    world.immich.set_permissions(world.key, ["asset.read", "asset.upload", "asset.update", "user.read"])
    sha = await world.house.drop(developed())
    await world.done()
    (version,) = await world.house.versions(sha)
    assert (version.publish, version.blocked_from) == (Publish.BLOCKED, Publish.UPLOADED)
    assert "stack" in (version.blocked_reason or "")
    assert (await world.house.photo(sha)).failed_at is None
    world.immich.set_permissions(world.key, ["all"])
    await world.house.commands.retry("local", sha, 1)
    await world.done()
    assert await world.stack(sha) == tuple(await world.ids(sha))


async def test_what_is_blocked_comes_back_once_a_day(world: World) -> None:
    world.immich.quota(world.user, 1)
    sha = await world.house.drop(developed())
    await world.done()
    photo = await world.house.photo(sha)
    assert photo.original_publish is Publish.BLOCKED
    assert await world.house.commands.retry_blocked() == 0
    world.immich.quota(world.user, None)
    await world.house.change(sha, original_publish_due_at=photo.created_at)
    assert await world.house.commands.retry_blocked() == 1
    await world.house.published()
    assert (await world.house.photo(sha)).original_publish is Publish.ORIGINAL_UPLOADED


async def test_a_version_its_owner_deleted_is_never_sent_again(world: World) -> None:
    sha = await world.house.drop(developed())
    await world.done()
    _, ours = await world.ids(sha)
    world.immich.delete(world.asset(ours))
    await world.house.commands.approve("local", sha, 1)
    await world.done()
    assert len(world.immich.uploads) == 2
    (version,) = await world.house.versions(sha)
    assert version.publish is Publish.BLOCKED
    assert len(await world.house.rows(UploadRow, version=1)) == 1


async def test_a_decision_during_an_upload_wins_and_the_asset_is_not_forgotten(world: World) -> None:
    gate = world.immich.hold("/api/assets$", times=4)
    sha = await world.house.drop(developed())
    await world.house.settled()
    await world.house.commands.reject("local", sha, 1)
    await world.house.commands.approve("local", sha, 1)
    gate.set()
    await world.done()
    original, ours = await world.ids(sha)
    assert await world.stack(sha) == (ours, original)
    assert world.mark(ours)["review"] == "approved"
    assert len(world.immich.assets) == 2


async def test_albums(tmp_path: Path) -> None:
    async with open_world(tmp_path, albums=True) as world:
        sha = await world.house.drop(developed())
        await world.done()
        original, ours = await world.ids(sha)
        albums = {album.name: set(album.asset_ids) for album in world.immich.store.albums.values()}
        assert albums == {"Originals": {original}, "Processed": {ours}}


async def test_our_copy_goes_once_immich_has_confirmed_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from datetime import timedelta

    monkeypatch.setattr(publish_queue, "COME_BACK", timedelta(seconds=0.1))
    async with open_world(tmp_path, keep_originals=False) as world:
        sha = await world.house.drop(developed())
        path = (await world.house.photo(sha)).path
        assert path is not None

        async def dropped() -> bool:
            photo = await world.house.photo(sha)
            return photo.path is None and photo.original_publish_due_at is None

        await world.house.until(dropped)
        assert not world.house.layout.absolute(path).exists()
        assert (await world.house.photo(sha)).state is WorkState.KEPT
        await world.house.published()
        assert await world.house.is_clean()


async def test_without_a_connection_nothing_is_ever_due(house: House) -> None:
    sha = await house.drop(developed())
    await house.settled()
    await house.commands.approve("local", sha, 1)
    (version,) = await house.versions(sha)
    assert (version.publish, version.due_at) == (Publish.NONE, None)
    assert (await house.photo(sha)).original_publish_due_at is None


async def test_photos_from_before_the_connection_are_not_published(world: World) -> None:
    async with world.house.database.transaction() as session:
        row = await session.get(ConnectionRow, world.connection.row_id)
        row.owner_id = "local"
    sha = await world.house.drop(developed())
    await world.done()
    await world.house.change(sha, connection_id=None)
    uploads = len(world.immich.uploads)
    await world.house.commands.approve("local", sha, 1)
    await world.done()
    assert len(world.immich.uploads) == uploads
    assert (await world.house.rows(PhotoRow))[0].connection_id is None
