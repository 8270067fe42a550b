"""What Immich knows only later: a photo that turns out to be half of a live photo, edited, hidden or thrown away."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from immich_sidecar.events import EventType
from immich_sidecar.library.tables import ConnectionRow, Publish, Review, WorkState
from immich_sidecar.settings import Mode
from immich_sidecar.web.on_the_way import publish_words
from tests.immich.stage import NOBODY
from tests.pipeline.house import developed, left_alone
from tests.pipeline.world import World, open_world


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


async def taken(world: World, **attributes: Any) -> str:
    """A photo that was taken before Immich had told this of it."""
    world.house.targets.clear()
    sha = await world.phone(developed())
    await world.house.settled()
    original = world.asset((await world.house.photo(sha)).immich_asset_id)
    for name, value in attributes.items():
        setattr(original, name, value)
    world.house.targets[world.connection.row_id] = world.target
    world.house.publish_queue.wake()
    await world.house.published()
    return sha


@pytest.mark.parametrize(
    ("attributes", "badge"),
    [({"live_photo_video_id": NOBODY}, "live_photo"), ({"exif": {"projectionType": "EQUIRECTANGULAR"}}, "panorama")],
)
async def test_a_live_photo_is_left_alone_with_a_badge(world: World, attributes: dict[str, Any], badge: str) -> None:
    sha = await taken(world, **attributes)
    photo = await world.house.photo(sha)
    assert (photo.state, photo.review, photo.badge) == (WorkState.LEFT_ALONE, Review.NONE, badge)
    assert photo.left_alone_reason
    assert EventType.LEFT_ALONE in await world.house.event_types(sha)
    assert world.immich.uploads == []
    (version,) = await world.house.versions(sha)
    assert version.due_at is None
    words = publish_words(photo, version, current=True, mode="stack")
    assert words == "Not in Immich: the photo was left alone."
    assert await world.house.is_clean()
    # Its owner knows that, and wants a version all the same.
    await world.house.commands.develop_anyway("local", sha, photo.version)
    await world.done()
    photo = await world.house.photo(sha)
    assert (photo.state, photo.review, photo.badge) == (WorkState.KEPT, Review.PENDING, badge)
    await world.house.commands.approve("local", sha, photo.version)
    await world.done()
    assert len(world.immich.uploads) == 1


@pytest.mark.parametrize(
    ("attributes", "words"),
    [
        ({"is_edited": True}, "edited in Immich"),
        ({"visibility": "hidden"}, "hidden in Immich"),
        ({"visibility": "locked"}, "does not have it any more"),
        ({"is_offline": True}, "offline in Immich"),
    ],
)
async def test_what_its_owner_may_change_blocks_with_words(
    world: World, attributes: dict[str, Any], words: str
) -> None:
    sha = await taken(world, **attributes)
    photo = await world.house.photo(sha)
    (version,) = await world.house.versions(sha)
    assert (photo.state, photo.review) == (WorkState.KEPT, Review.PENDING)
    assert version.publish is Publish.BLOCKED
    assert words in (version.blocked_reason or "")
    assert "Waits for you" in publish_words(photo, version, current=True, mode="stack")
    assert world.immich.uploads == []
    original = world.asset(photo.immich_asset_id)
    original.is_edited = original.is_offline = False
    original.visibility = "timeline"
    await world.house.commands.retry("local", sha, 1)
    await world.done()
    assert await world.stack(sha) == tuple(await world.ids(sha))


@pytest.mark.parametrize("how", ["trash", "delete"])
async def test_thrown_away_or_deleted_meanwhile(world: World, how: str) -> None:
    world.house.targets.clear()
    sha = await world.phone(developed())
    await world.house.settled()
    original = world.asset((await world.house.photo(sha)).immich_asset_id)
    getattr(world.immich, how)(original)
    world.house.targets[world.connection.row_id] = world.target
    await world.done()
    (version,) = await world.house.versions(sha)
    assert version.publish is Publish.BLOCKED
    assert ("trash" if how == "trash" else "any more") in (version.blocked_reason or "")
    assert world.immich.uploads == []


async def test_edits_that_we_made_in_immich_ourselves_are_no_reason(world: World) -> None:
    world.house.targets.clear()
    sha = await world.phone(developed(), is_edited=True)
    await world.house.settled()
    await world.house.change(sha, native_edits=[{"action": "rotate", "parameters": {"angle": 90}}])
    world.house.targets[world.connection.row_id] = world.target
    await world.done()
    assert len(world.immich.uploads) == 1


async def test_what_the_file_itself_says_has_a_badge(world: World) -> None:
    sha = await world.house.drop(left_alone())
    await world.done()
    photo = await world.house.photo(sha)
    assert (photo.state, photo.badge) == (WorkState.LEFT_ALONE, "panorama")
    # It was told before: developing it anyway is its owner's wish, and no reason to leave it alone again.
    await world.house.commands.develop_anyway("local", sha, photo.version)
    await world.done()
    await world.house.commands.approve("local", sha, 1)
    await world.done()
    assert len(world.immich.uploads) == 2


@pytest.mark.parametrize(
    ("own", "chosen", "sent"),
    [("review", None, 0), ("stack", "review", 1), (None, "review", 0), (None, None, 1), ("nonsense", None, 1)],
)
async def test_the_mode_of_the_photo_comes_first_then_that_of_the_connection(
    world: World, own: str | None, chosen: str | None, sent: int
) -> None:
    world.target.mode = Mode(chosen or "stack")
    world.house.targets.clear()
    sha = await world.phone(developed())
    await world.house.settled()
    await world.house.change(sha, mode=own)
    world.house.targets[world.connection.row_id] = world.target
    await world.done()
    assert len(world.immich.uploads) == sent


@pytest.mark.parametrize(("own", "chosen", "review"), [("auto", "stack", "approved"), (None, "auto", "approved")])
async def test_auto_holds_for_the_photo_or_its_connection(
    world: World, own: str | None, chosen: str, review: str
) -> None:
    async with world.house.database.transaction() as session:
        row = await session.get(ConnectionRow, world.connection.row_id)
        assert row is not None
        row.choices = {"mode": chosen}
        session.add(row)
    gate = world.house.executor.hold("analyse_file")
    sha = await world.phone(developed())
    await world.house.change(sha, mode=own)
    gate.set()
    await world.done()
    assert (await world.house.photo(sha)).review == review
