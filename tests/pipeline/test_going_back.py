"""Going back: to an earlier recipe, whose file Immich has already, and by several steps while Immich is away."""

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from immich_sidecar.errors import ImmichAwayError
from immich_sidecar.library.tables import AlbumEntryRow, Publish, Review, VersionRow, WorkState
from immich_sidecar.pipeline import publish_queue, retrying
from immich_sidecar.settings import Mode
from immich_sidecar.web.on_the_way import publish_words
from tests.pipeline.house import developed, left_alone
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


@pytest.fixture
async def tagging(tmp_path: Path) -> AsyncIterator[World]:
    """Where nothing is moved to the trash."""
    async with open_world(tmp_path) as opened:
        yield opened


async def reset(world: World, sha: str, *, approve: bool = True) -> None:
    """Drop all changes, and approve what comes of it."""
    await world.house.commands.reset("local", sha, (await world.house.photo(sha)).version)
    await world.done()
    if approve:
        await world.house.commands.approve("local", sha, (await world.house.photo(sha)).version)
        await world.done()
    await settled(world)


async def while_away(world: World, sha: str, *commands: Callable[[], Awaitable[object]]) -> None:
    """Give commands of which publishing sees the last state only."""
    targets = dict(world.house.targets)
    world.house.targets.clear()
    for command in commands:
        await command()
    await world.house.settled()
    world.house.targets.update(targets)
    world.house.dispatcher.wake()
    await world.done()
    await settled(world)


async def rejected_and_changed(world: World, sha: str) -> None:
    """Reject the first version and change it at once."""
    commands = world.house.commands
    await while_away(
        world,
        sha,
        lambda: commands.reject("local", sha, 1),
        lambda: commands.change("local", sha, 1, BRIGHTER),
    )


# ---- the same bytes once more


async def test_what_was_trashed_comes_back_when_its_recipe_does(world: World) -> None:
    sha = await approved(world)
    await replace(world, sha)
    original, first, second = await world.ids(sha)
    assert trashed(world) == {"1_processed_v1.jpg"}
    await reset(world, sha)
    assert [row.publish for row in await world.house.versions(sha)] == [Publish.NONE, Publish.MARKED, Publish.MARKED]
    assert await world.ids(sha) == [original, None, second, first]
    assert trashed(world) == {"1_processed_v2.jpg"}
    assert (await world.stack(sha))[0] == first
    mark = world.mark(first)
    assert (mark["version"], mark["review"]) == (3, "approved")
    assert mark["processing_recipe_id"] == (await version(world, sha, 3)).recipe_id
    assert world.mark(second)["review"] == "superseded"
    # The original and two versions: the same bytes are not sent twice.
    assert len(world.immich.uploads) == 3
    photo, row = await world.house.photo(sha), await version(world, sha, 1)
    assert "a later version is the same picture" in publish_words(photo, row, current=False, mode="stack")


async def test_without_the_trash_it_is_superseded_no_longer(tagging: World) -> None:
    world = tagging
    sha = await approved(world)
    await replace(world, sha)
    _, first, second = await world.ids(sha)
    assert world.immich.tags_of(world.asset(first)) == {"Sidecar/Superseded"}
    await reset(world, sha)
    assert world.immich.tags_of(world.asset(first)) == set()
    assert world.immich.tags_of(world.asset(second)) == {"Sidecar/Superseded"}
    assert (await world.stack(sha))[0] == first
    assert (world.mark(first)["version"], world.mark(first)["review"]) == (3, "approved")


async def test_undo_gives_the_asset_back_step_by_step(world: World) -> None:
    sha = await approved(world)
    await replace(world, sha)
    original, first, second = await world.ids(sha)
    await reset(world, sha)
    # The approval of the third is undone: the second is on top again.
    await undo(world, sha)
    assert (await world.stack(sha))[0] == second
    assert trashed(world) == set()
    await undo(world, sha)
    assert (await world.stack(sha))[0] == second
    assert world.mark(second)["review"] == "approved"
    assert trashed(world) == {"1_processed_v1.jpg"}
    await undo(world, sha, 2)
    assert await world.ids(sha) == [original, first, second, None]
    assert (await world.stack(sha))[0] == first
    assert (world.mark(first)["version"], world.mark(first)["review"]) == (1, "approved")
    assert trashed(world) == {"1_processed_v2.jpg"}
    assert len(world.immich.uploads) == 3
    assert "same picture" not in str((await version(world, sha, 1)).written)


async def test_it_can_be_retired_and_come_back_as_any_other(world: World) -> None:
    sha = await approved(world)
    await replace(world, sha)
    await reset(world, sha)
    await replace(world, sha, {"exposure": {"ev": 0.4}})
    assert trashed(world) == {"1_processed_v1.jpg", "1_processed_v2.jpg"}
    assert (await version(world, sha, 3)).retired == "trashed"
    await reset(world, sha)
    fifth = await asset(world, sha, 5)
    assert fifth.name == "1_processed_v1.jpg"
    assert fifth.deleted_at is None
    assert (await world.stack(sha))[0] == fifth.id
    assert len(world.immich.uploads) == 4


async def test_where_the_change_between_was_never_approved_the_first_stays_on_top(world: World) -> None:
    sha = await approved(world)
    await world.house.commands.change("local", sha, 1, BRIGHTER)
    await world.done()
    await reset(world, sha)
    original, first, second, third = await world.ids(sha)
    assert (first, second) == (None, None)
    assert await world.stack(sha) == (third, original)
    assert world.mark(third)["version"] == 3
    await undo(world, sha)
    # It waits for its owner again, and the approved picture is the same one.
    assert await world.stack(sha) == (third, original)
    await undo(world, sha, 2)
    assert await world.ids(sha) == [original, third, None, None]
    assert await world.stack(sha) == (third, original)
    assert (world.mark(third)["version"], world.mark(third)["review"]) == (1, "approved")
    assert trashed(world) == set()


async def test_a_rejection_of_it_that_is_undone_puts_it_on_top_again(world: World) -> None:
    sha = await approved(world)
    await world.house.commands.change("local", sha, 1, BRIGHTER)
    await world.done()
    await reset(world, sha)
    original, *_, third = await world.ids(sha)
    await world.house.commands.reject("local", sha, 3)
    await world.done()
    await settled(world)
    assert trashed(world) == {"1_processed_v1.jpg"}
    commands = world.house.commands
    await while_away(world, sha, *[lambda: commands.undo("local", sha, 3)] * 2)
    assert (await world.house.photo(sha)).review is Review.PENDING
    assert trashed(world) == set()
    assert await world.stack(sha) == (third, original)


async def test_what_its_owner_threw_away_is_not_taken_out_of_the_trash(world: World) -> None:
    sha = await approved(world)
    await replace(world, sha)
    first = await asset(world, sha, 1)
    first.deleted_at = None
    # Its owner took it out, was content, and later threw it away.
    await world.house.commands.reject("local", sha, 2)
    await world.done()
    await undo(world, sha)
    async with world.house.database.transaction() as session:
        row = await session.get(VersionRow, (await version(world, sha, 1)).id)
        assert row is not None
        row.retired = "gone"
        session.add(row)
    world.immich.trash(first)
    await reset(world, sha)
    row = await version(world, sha, 3)
    assert row.publish is Publish.BLOCKED
    assert "restore it there" in (row.blocked_reason or "")
    assert first.deleted_at is not None


async def test_undone_while_immich_is_asked_nothing_changes_hands(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    sha = await approved(world)
    await replace(world, sha)
    await reset(world, sha, approve=False)
    before, commands = await world.ids(sha), world.house.commands
    send = world.target.publisher.upload_version

    async def undone_meanwhile(*arguments: Any, **named: Any) -> Any:
        result = await send(*arguments, **named)
        for _ in range(2):
            await commands.undo("local", sha, 3)
        return result

    monkeypatch.setattr(world.target.publisher, "upload_version", undone_meanwhile)
    await commands.approve("local", sha, 3)
    await world.done()
    await settled(world)
    assert await world.ids(sha) == before
    assert [row.publish for row in await world.house.versions(sha)] == [
        Publish.MARKED,
        Publish.MARKED,
        Publish.ORIGINAL_UPLOADED,
    ]
    assert trashed(world) == {"1_processed_v1.jpg"}
    assert (await world.stack(sha))[0] == before[2]


async def test_what_its_owner_took_out_of_the_stack_stays_out(tagging: World) -> None:
    world = tagging
    sha = await approved(world)
    first, original = await asset(world, sha, 1), world.asset((await world.house.photo(sha)).immich_asset_id)
    del world.immich.stacks[first.stack_id or ""]
    first.stack_id = original.stack_id = None
    await world.house.commands.change("local", sha, 1, BRIGHTER)
    await world.done()
    await reset(world, sha)
    assert (first.stack_id, original.stack_id) == (None, None)
    assert world.mark(first.id)["version"] == 3


async def test_albums_that_we_put_it_into_are_known_of_the_version_that_owns_it(tagging: World) -> None:
    world = tagging
    sha = await approved(world)
    first, album = await asset(world, sha, 1), await world.connection.api.make_album("Shared")
    await world.connection.api.add_to_album(album, [first.id])
    async with world.house.database.transaction() as session:
        session.add(AlbumEntryRow(owner_id="local", photo=sha, n=1, album_id=album))
    await world.house.commands.change("local", sha, 1, BRIGHTER)
    await world.done()
    await reset(world, sha)
    entries = await world.house.rows(AlbumEntryRow, photo=sha)
    assert [(entry.n, entry.album_id) for entry in entries] == [(3, album)]
    await world.house.commands.reject("local", sha, 3)
    await world.done()
    await settled(world)
    assert world.immich.albums[album].asset_ids == []


# ---- what its owner threw away


@pytest.mark.parametrize("approve_first", [False, True])
async def test_approving_what_its_owner_threw_away_says_so(world: World, approve_first: bool) -> None:
    sha = await world.house.drop(developed(1), "1.jpg")
    await world.done()
    if approve_first:
        await world.house.commands.approve("local", sha, 1)
        await world.done()
        await undo(world, sha)
    original, first = await world.ids(sha)
    world.immich.trash(world.asset(first))
    await world.house.commands.approve("local", sha, 1)
    await world.done()
    row = await version(world, sha, 1)
    assert row.publish is Publish.BLOCKED
    assert "restore it there" in (row.blocked_reason or "")
    # A picture in the trash on top would hide the whole stack.
    stack_id = world.asset(original).stack_id
    assert stack_id is None or world.immich.stacks[stack_id].primary_asset_id == original
    world.asset(first).deleted_at = None
    await world.house.commands.retry("local", sha, 1)
    await world.done()
    await settled(world)
    assert await world.stack(sha) == (first, original)
    assert (await version(world, sha, 1)).publish is Publish.MARKED


# ---- several commands before Immich is seen to


async def test_a_photo_that_is_left_alone_again_has_its_original_on_top(tagging: World) -> None:
    world = tagging
    sha = await world.house.drop(left_alone(1), "1.jpg")
    await world.done()
    await world.house.commands.develop_anyway("local", sha, 0)
    await world.done()
    await world.house.commands.approve("local", sha, 1)
    await world.done()
    original, first = await world.ids(sha)
    assert await world.stack(sha) == (first, original)
    commands = world.house.commands
    await while_away(world, sha, *[lambda: commands.undo("local", sha, 1)] * 2)
    assert (await world.house.photo(sha)).state is WorkState.LEFT_ALONE
    assert await world.stack(sha) == (original, first)


async def test_a_rejected_version_leaves_the_top_although_the_photo_was_changed_at_once(tagging: World) -> None:
    world = tagging
    sha = await approved(world)
    original, first = await world.ids(sha)
    await rejected_and_changed(world, sha)
    assert (await world.house.photo(sha)).review is Review.PENDING
    assert await world.stack(sha) == (original, first)


async def test_a_change_that_was_undone_leaves_the_top_where_nothing_is_approved(tmp_path: Path) -> None:
    async with open_world(tmp_path, mode=Mode.REVIEW) as world:
        sha = await world.house.drop(developed(1), "1.jpg")
        await world.done()
        await world.house.commands.change("local", sha, 1, BRIGHTER)
        await world.done()
        await world.house.commands.approve("local", sha, 2)
        await world.done()
        original, _, second = await world.ids(sha)
        assert await world.stack(sha) == (second, original)
        commands = world.house.commands
        await while_away(world, sha, *[lambda: commands.undo("local", sha, 2)] * 2)
        assert (await world.house.photo(sha)).version == 1
        assert await world.stack(sha) == (original, second)


async def test_what_its_owner_put_on_top_stays_there(tagging: World) -> None:
    world = tagging
    content = developed(3)
    theirs = world.immich.add_asset(world.user, content=developed(7), name="7.jpg")
    mine = world.immich.add_asset(world.user, content=content, name="mine.jpg")
    stack = world.immich.add_stack(mine, theirs)
    sha = await world.house.drop(content, "mine.jpg")
    await world.house.settled()
    await world.house.commands.approve("local", sha, 1)
    await world.done()
    await settled(world)
    assert stack.primary_asset_id == (await asset(world, sha, 1)).id
    stack.primary_asset_id = theirs.id
    await rejected_and_changed(world, sha)
    assert stack.primary_asset_id == theirs.id


async def test_what_its_owner_had_approved_stays_on_top_of_three(tagging: World) -> None:
    """The second is approved, the third waits, and the first is one of those that are out of the way."""
    world = tagging
    sha = await approved(world)
    await replace(world, sha)
    _, _, second = await world.ids(sha)
    await world.house.commands.change("local", sha, 2, {"exposure": {"ev": 0.4}})
    await world.done()
    await settled(world)
    assert (await world.stack(sha))[0] == second


# ---- crashes


async def test_what_was_restored_unheard_goes_again_where_it_is_to_go_by_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish_queue, "FIRST_PING", 0.02)
    async with open_world(tmp_path, retire=True) as world:
        sha = await approved(world)
        await replace(world, sha)
        assert trashed(world) == {"1_processed_v1.jpg"}
        send, unheard = world.connection.api._send, []

        async def interrupted(request: dict[str, Any], *more: Any, **named: Any) -> Any:
            answer = await send(request, *more, **named)
            if "/trash/restore" in request["url"] and not unheard:
                unheard.append(request["url"])
                await world.house.commands.approve("local", sha, 2)
                raise ImmichAwayError("killed")
            return answer

        monkeypatch.setattr(world.connection.api, "_send", interrupted)
        await undo(world, sha)
        assert unheard
        assert (await version(world, sha, 1)).retired == "trashed"
        assert trashed(world) == {"1_processed_v1.jpg"}
        original, _, second = await world.ids(sha)
        assert [one for one in await world.stack(sha) if world.asset(one).deleted_at is None] == [second, original]


@pytest.mark.parametrize("what", ["approve", "undo"])
@pytest.mark.parametrize("every", EVERY)
async def test_going_back_interrupted_after_any_call_and_repeated(
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
            await replace(world, sha)
            await reset(world, sha, approve=what == "undo")
            uploads, commands = len(world.immich.uploads), world.house.commands
            with interruption.at(nth):
                if what == "approve":
                    await commands.approve("local", sha, 3)
                else:
                    # Back to the first version, whose asset the third one has.
                    for number in (3, 3, 2, 2):
                        await commands.undo("local", sha, number)
                await settled(world)
            original, *versions = await world.ids(sha)
            owner = 3 if what == "approve" else 1
            top = versions[owner - 1]
            assert [one for one in await world.stack(sha) if world.asset(one).deleted_at is None] == [top, original]
            assert (world.mark(top)["version"], world.mark(top)["review"]) == (owner, "approved")
            assert [number for number, one in enumerate(versions, 1) if one == top] == [owner]
            assert (await version(world, sha, 2)).retired == "trashed"
            assert len(world.immich.uploads) == uploads
            if interruption.never_came:
                break
            nth += every
        assert nth > 5
