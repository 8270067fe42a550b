"""Versions follow their originals into albums, and out again, wherever their owner may write."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from immich_sidecar.immich import followed_albums
from immich_sidecar.library.tables import AlbumEntryRow, Publish
from immich_sidecar.pipeline import publish_queue
from tests.immich_server import Asset
from tests.immich_server.records import Album
from tests.pipeline.house import developed
from tests.pipeline.test_annotating import decide, done, ours, seen
from tests.pipeline.world import World, open_world

pytestmark = pytest.mark.usefixtures("soon")


@pytest.fixture(params=["2.5.6", "2.7.5", "3.1.0"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, version=request.param) as opened:
        yield opened


@pytest.fixture
async def recent(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


async def approved(world: World, name: str = "beach.jpg", seed: int = 1, *albums: Album) -> tuple[str, Asset, Asset]:
    """A photo in these albums whose version is approved: SHA-256, original and version."""
    content = developed(seed)
    original = world.immich.add_asset(world.user, content, name)
    for album in albums:
        album.asset_ids.append(original.id)
    sha = await seen(world, original, content)
    await decide(world, sha, "approve")
    return sha, original, await ours(world, sha)


async def look(world: World) -> int:
    world.target.publisher.followed.look_soon()
    return await world.target.publisher.followed.look()


def put(world: World, album: Album, asset: Asset) -> None:
    """Its owner puts an asset into an album."""
    album.asset_ids.append(asset.id)
    album.updated_at = world.immich.store.now()


def take(album: Album, asset: Asset) -> None:
    """Its owner takes an asset out; what the album says of its last change stays as it is in Immich."""
    album.asset_ids.remove(asset.id)


async def entries(world: World) -> set[tuple[int, str]]:
    return {(row.n, row.album_id) for row in await world.house.rows(AlbumEntryRow)}


# ---- one photo, while it is published


async def test_an_approved_version_is_in_every_album_that_is_open_to_it(world: World) -> None:
    other = world.immich.add_user("Bob")
    mine, second = world.immich.add_album(world.user, "Mine"), world.immich.add_album(world.user, "Second")
    shared = world.immich.add_album(other, "Ours", roles={world.user: "editor"})
    looking = world.immich.add_album(other, "Theirs", roles={world.user: "viewer"})
    elsewhere = world.immich.add_album(world.user, "Elsewhere")
    content = developed()
    original = world.immich.add_asset(world.user, content, "beach.jpg")
    for album in (mine, second, shared, looking):
        album.asset_ids.append(original.id)
    sha = await seen(world, original, content)
    version = await ours(world, sha)
    # Others look at albums: what nobody approved is not shown to them.
    assert [album for album in world.immich.albums.values() if version.id in album.asset_ids] == []
    await decide(world, sha, "approve")
    holding = {album.name for album in world.immich.albums.values() if version.id in album.asset_ids}
    assert holding == {"Mine", "Second", "Ours"}
    assert await entries(world) == {(1, mine.id), (1, second.id), (1, shared.id)}
    assert (await world.house.versions(sha))[0].publish is Publish.MARKED
    assert elsewhere.asset_ids == []

    await decide(world, sha, "reject")
    assert not [album for album in world.immich.albums.values() if version.id in album.asset_ids]
    assert all(original.id in album.asset_ids for album in (mine, second, shared, looking))
    assert await entries(world) == set()


async def test_a_newer_version_takes_the_place_in_the_albums(recent: World) -> None:
    world = recent
    album = world.immich.add_album(recent.user, "Mine")
    sha, original, first = await approved(world, "beach.jpg", 1, album)
    await world.house.commands.change("local", sha, 1, {"exposure": {"ev": 1.0}})
    await done(world)
    assert set(album.asset_ids) == {original.id, first.id}
    await decide(world, sha, "approve")
    second = await ours(world, sha, 2)
    assert set(album.asset_ids) == {original.id, second.id}
    assert await entries(world) == {(2, album.id)}


async def test_where_its_owner_put_a_version_it_stays(recent: World) -> None:
    world = recent
    album = world.immich.add_album(world.user, "Mine")
    content = developed()
    original = world.immich.add_asset(world.user, content, "beach.jpg")
    sha = await seen(world, original, content)
    version = await ours(world, sha)
    album.asset_ids += [original.id, version.id]
    await decide(world, sha, "approve")
    assert await entries(world) == set()
    await decide(world, sha, "reject")
    take(album, original)
    await look(world)
    assert album.asset_ids == [version.id]


async def test_what_was_begun_before_a_crash_is_known_to_be_ours(recent: World) -> None:
    world = recent
    album = world.immich.add_album(world.user, "Mine")
    content = developed()
    original = world.immich.add_asset(world.user, content, "beach.jpg")
    album.asset_ids.append(original.id)
    sha = await seen(world, original, content)
    version = await ours(world, sha)
    # The service ended between adding it and writing that down.
    async with world.house.database.transaction() as session:
        session.add(AlbumEntryRow(owner_id="local", photo=sha, n=1, album_id=album.id, added_at=None))
    put(world, album, version)
    await decide(world, sha, "approve")
    (row,) = await world.house.rows(AlbumEntryRow)
    assert row.added_at is not None
    await decide(world, sha, "reject")
    assert album.asset_ids == [original.id]


async def test_a_version_whose_approval_was_undone_leaves_the_albums_though_a_change_waits(recent: World) -> None:
    """Both come while Immich is away; the approval that others saw the version by is none any more."""
    world = recent
    album = world.immich.add_album(world.user, "Mine")
    content = developed()
    original = world.immich.add_asset(world.user, content, "beach.jpg", is_favorite=True)
    album.asset_ids.append(original.id)
    sha = await seen(world, original, content)
    await decide(world, sha, "approve")
    version = await ours(world, sha)
    assert version.is_favorite
    await world.house.commands.pause(None)
    await world.house.commands.undo("local", sha, 1)
    await world.house.commands.change("local", sha, 1, {"exposure": {"ev": 0.5}})
    await world.house.commands.resume(None)
    await done(world)
    assert album.asset_ids == [original.id]
    assert not version.is_favorite
    assert await entries(world) == set()

    # Approved before a change, it stays until that is decided.
    await decide(world, sha, "approve")
    newer = await ours(world, sha, 2)
    await world.house.commands.change("local", sha, 2, {"exposure": {"ev": 0.7}})
    await done(world)
    assert newer.id in album.asset_ids
    assert newer.is_favorite


async def test_what_was_added_although_nobody_heard_of_it_is_ours_to_take_out(
    recent: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(publish_queue, "FIRST_PING", 0.02)
    album = recent.immich.add_album(recent.user, "Mine")
    recent.immich.lose_answer_next(f"/albums/{album.id}/assets", method="PUT")
    sha, original, version = await approved(recent, "beach.jpg", 1, album)
    assert album.asset_ids == [original.id, version.id]
    assert await entries(recent) == {(1, album.id)}
    await decide(recent, sha, "reject")
    assert album.asset_ids == [original.id]


async def test_our_own_albums_are_not_followed_into(tmp_path: Path) -> None:
    async with open_world(tmp_path, albums=True) as world:
        sha = await world.house.drop(developed(), "beach.jpg")
        await done(world)
        await decide(world, sha, "approve")
        await look(world)
        original, version = await world.ids(sha)
        holding = {album.name: set(album.asset_ids) for album in world.immich.albums.values()}
        assert holding == {"Originals": {original}, "Processed": {version}}


async def test_who_does_not_want_it_keeps_albums_as_they_are(recent: World) -> None:
    world = recent
    world.choose(follow_albums=False)
    album = world.immich.add_album(world.user, "Mine")
    _, original, _ = await approved(world, "beach.jpg", 1, album)
    assert album.asset_ids == [original.id]


async def test_an_album_that_is_gone_by_then_stops_nothing(recent: World) -> None:
    world = recent
    album = world.immich.add_album(world.user, "Mine")
    sha, _, _ = await approved(world, "beach.jpg", 1, album)
    del world.immich.albums[album.id]
    await decide(world, sha, "reject")
    assert (await world.house.versions(sha))[0].publish is Publish.MARKED
    assert await entries(world) == set()


# ---- later


async def test_an_original_that_joins_an_album_later_takes_its_version_along(world: World) -> None:
    other = world.immich.add_user("Bob")
    sha, original, version = await approved(world)
    mine = world.immich.add_album(world.user, "Mine")
    shared = world.immich.add_album(other, "Ours", roles={world.user: "editor"})
    looking = world.immich.add_album(other, "Theirs", roles={world.user: "viewer"})
    for album in (mine, shared, looking):
        put(world, album, original)
    await look(world)
    assert version.id in mine.asset_ids
    assert version.id in shared.asset_ids
    assert version.id not in looking.asset_ids

    # Its owner may write there from now on.
    looking.roles[world.user.id] = "editor"
    await look(world)
    assert version.id in looking.asset_ids

    for album in (mine, shared):
        take(album, original)
    await look(world)
    assert (mine.asset_ids, shared.asset_ids) == ([], [])
    assert await entries(world) == {(1, looking.id)}
    assert (await world.house.versions(sha))[0].publish is Publish.MARKED


async def test_a_version_that_its_owner_took_out_does_not_come_back(recent: World) -> None:
    world = recent
    album = world.immich.add_album(world.user, "Mine")
    sha, original, version = await approved(world, "beach.jpg", 1, album)
    await look(world)
    take(album, version)
    await look(world)
    await decide(world, sha, "approve")
    assert album.asset_ids == [original.id]
    # The original goes and comes again: that is a new beginning.
    take(album, original)
    await look(world)
    put(world, album, original)
    await look(world)
    assert album.asset_ids == [original.id, version.id]


async def test_an_original_in_the_trash_has_not_left(recent: World) -> None:
    world = recent
    album = world.immich.add_album(world.user, "Mine")
    _, original, version = await approved(world, "beach.jpg", 1, album)
    await look(world)
    world.immich.trash(original)
    await look(world)
    assert version.id in album.asset_ids
    original.deleted_at = None
    original.visibility = "hidden"
    await look(world)
    assert version.id in album.asset_ids
    world.immich.delete(original)
    await look(world)
    assert version.id in album.asset_ids


async def test_a_deleted_album_is_forgotten(recent: World) -> None:
    world = recent
    album = world.immich.add_album(world.user, "Mine")
    await approved(world, "beach.jpg", 1, album)
    del world.immich.albums[album.id]
    await look(world)
    assert await entries(world) == set()


async def test_albums_that_did_not_change_cost_one_request(recent: World) -> None:
    world = recent
    albums = [world.immich.add_album(world.user, f"Album {number}") for number in range(30)]
    await approved(world, "beach.jpg", 1, *albums[:10])
    # One that changed by our own doing is looked through once more.
    while await look(world) > 1:
        pass
    world.immich.requests.clear()
    assert await look(world) == 1
    assert [seen.path for seen in world.immich.requests] == ["/api/albums"]
    # Nothing at all is asked before the time has come.
    world.immich.requests.clear()
    assert await world.target.publisher.followed.look() == 0
    assert not world.immich.requests
    put(world, albums[20], world.immich.add_asset(world.user, developed(9), "other.jpg"))
    assert await look(world) == 3


async def test_without_an_approved_version_nothing_is_asked(recent: World) -> None:
    world = recent
    content = developed()
    original = world.immich.add_asset(world.user, content, "beach.jpg")
    world.immich.add_album(world.user, "Mine", original)
    await seen(world, original, content)
    world.immich.requests.clear()
    assert await look(world) == 0
    assert not world.immich.requests


async def test_much_at_once_is_done_in_parts(recent: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world = recent
    monkeypatch.setattr(followed_albums, "MOST_REQUESTS", 12)
    monkeypatch.setattr(followed_albums, "LARGEST_PAGE", 3)
    _, original, version = await approved(world)
    others = [world.immich.add_asset(world.user, developed(number), f"{number}.jpg") for number in range(10, 17)]
    albums = [world.immich.add_album(world.user, f"Album {number}", *others, original) for number in range(8)]
    asked = []
    for _ in range(20):
        asked.append(await look(world))
        if asked[-1] == 1:
            break
    assert all(version.id in album.asset_ids for album in albums)
    assert asked[-1] == 1
    # An album that was begun is read to its end: 3 pages of the timeline, one of the archive, one call to add.
    assert max(asked) <= 12 + 5


async def test_a_key_that_may_not_take_out_is_no_endless_trouble(recent: World) -> None:
    world = recent
    album = world.immich.add_album(world.user, "Mine")
    sha, original, version = await approved(world, "beach.jpg", 1, album)
    everything = [*world.immich.key(world.key).permissions]
    assert everything == ["all"]
    from immich_sidecar.immich.compatibility import permissions_for

    allowed = [item for item in permissions_for() if item != "albumAsset.delete"]
    world.immich.set_permissions(world.key, allowed)
    take(album, original)
    await look(world)
    assert album.asset_ids == [version.id]
    assert await entries(world) == set()
    assert (await world.house.versions(sha))[0].publish is Publish.MARKED
