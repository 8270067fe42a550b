"""A new version takes the place of an earlier one in Immich, with all that its owner had given that."""

from pathlib import Path

import pytest

from immich_sidecar.immich.api import AssetChanges
from immich_sidecar.immich.compatibility import NEEDED_PERMISSIONS
from immich_sidecar.immich.retire import RETIRED_BY
from immich_sidecar.library.tables import AlbumEntryRow, Publish, VersionRow
from tests.pipeline.house import developed
from tests.pipeline.replaced import BRIGHTER, approved, asset, replace, settled, trashed, undo, version
from tests.pipeline.world import World, open_world

pytestmark = pytest.mark.usefixtures("soon")


# ---- replacing


async def test_a_new_version_takes_the_place_and_the_old_one_goes_to_the_trash(world: World) -> None:
    sha = await approved(world)
    await replace(world, sha)
    original, first, second = await world.ids(sha)
    assert (await world.stack(sha))[0] == second
    assert trashed(world) == {"1_processed_v1.jpg"}
    row = await version(world, sha, 1)
    assert (row.retired, row.publish, row.written[RETIRED_BY]) == ("trashed", Publish.MARKED, 2)
    assert row.retired_at is not None
    assert world.mark(first)["review"] == "superseded"
    assert world.mark(second)["review"] == world.mark(original)["review"] == "approved"
    # Two originals would be one too many: the same upload never comes twice.
    assert len(world.immich.uploads) == 3
    assert world.asset(original).deleted_at is None


async def test_what_its_owner_gave_the_old_version_goes_over(world: World) -> None:
    sha = await approved(world)
    first = await asset(world, sha, 1)
    api = world.connection.api
    album = await api.make_album("Best of")
    await api.add_to_album(album, [first.id])
    (tag,) = await api.upsert_tags(["Holidays/Beach"])
    await api.tag_assets(tag.id or "", [first.id])
    changes = {"description": "Our best day", "rating": 4, "favorite": True, "latitude": 48.1, "longitude": 11.5}
    await api.update_asset(first.id, AssetChanges(**changes))
    await world.immich.settled()
    await replace(world, sha)
    second = await api.asset((await asset(world, sha, 2)).id)
    assert second.exif_info
    said = second.exif_info
    assert (said.description, said.rating, said.latitude, said.longitude) == ("Our best day", 4, 48.1, 11.5)
    assert second.is_favorite
    assert [tag.value for tag in second.tags or ()] == ["Holidays/Beach"]
    assert [found.album_name for found in await api.albums(asset_id=second.id)] == ["Best of"]
    # All of it is kept by the new one, so the old one could go.
    assert trashed(world) == {"1_processed_v1.jpg"}


async def test_what_its_owner_gave_the_new_version_stays(recent: World) -> None:
    world = recent
    sha = await approved(world)
    api = world.connection.api
    await api.update_asset((await asset(world, sha, 1)).id, AssetChanges(description="old words"))
    await replace(world, sha)
    second = await asset(world, sha, 2)
    assert second.exif["description"] == "old words"
    await api.update_asset(second.id, AssetChanges(description="new words", favorite=True))
    # Whatever is published again later does not write over it.
    await world.house.commands.reject("local", sha, 2)
    await world.done()
    await undo(world, sha)
    assert second.exif["description"] == "new words"
    assert second.is_favorite


async def test_our_own_words_do_not_go_over_as_if_they_were_the_users(recent: World) -> None:
    world = recent
    sha = await approved(world)
    row, first = await version(world, sha, 1), await asset(world, sha, 1)
    changes = AssetChanges(description="Brighter, level", rating=3)
    await world.connection.api.update_asset(first.id, changes)
    async with world.house.database.transaction() as session:
        current = await session.get(VersionRow, row.id)
        assert current is not None
        current.written = {"description": "Brighter, level", "rating": 3}
        session.add(current)
    await replace(world, sha)
    second = await asset(world, sha, 2)
    assert not second.exif.get("description")
    assert not second.exif.get("rating")


async def test_album_entries_of_ours_stay_ours(recent: World) -> None:
    world = recent
    sha = await approved(world)
    first, album = await asset(world, sha, 1), await world.connection.api.make_album("Shared")
    await world.connection.api.add_to_album(album, [first.id])
    async with world.house.database.transaction() as session:
        session.add(AlbumEntryRow(owner_id="local", photo=sha, n=1, album_id=album))
    await replace(world, sha)
    entries = await world.house.rows(AlbumEntryRow, photo=sha)
    # The one that was replaced is not shown there beside the new one.
    assert {(entry.n, entry.album_id) for entry in entries} == {(2, album)}
    second = await asset(world, sha, 2)
    assert world.immich.albums[album].asset_ids == [second.id]


async def test_an_archived_version_is_replaced_in_the_archive(recent: World) -> None:
    world = recent
    sha = await approved(world)
    (await asset(world, sha, 1)).visibility = "archive"
    await replace(world, sha)
    assert (await asset(world, sha, 2)).visibility == "archive"


async def test_nothing_is_written_before_immich_has_read_the_new_file(recent: World) -> None:
    world = recent
    sha = await approved(world)
    await world.connection.api.update_asset((await asset(world, sha, 1)).id, AssetChanges(description="words"))
    world.immich.hold_processing()
    photo = await world.house.photo(sha)
    await world.house.commands.change("local", sha, photo.version, BRIGHTER)
    await world.house.settled()
    await world.house.commands.approve("local", sha, 2)

    async def stacked() -> bool:
        return (await version(world, sha, 2)).publish is Publish.STACKED

    await world.house.until(stacked)
    second = await asset(world, sha, 2)
    updates = [seen for seen in world.immich.requests if seen.method == "PUT" and seen.path.endswith(second.id)]
    assert updates == []
    assert trashed(world) == set()
    assert (await version(world, sha, 2)).attempts == 0
    world.immich.go_on_processing()
    await settled(world)
    assert second.exif["description"] == "words"
    assert trashed(world) == {"1_processed_v1.jpg"}


@pytest.mark.parametrize(
    ("lacking", "fate", "tags"),
    [(["asset.delete"], "tagged", {"Sidecar/Superseded"}), (["asset.delete", "tag.asset"], "marked", set())],
)
async def test_without_the_trash_it_stays_in_the_stack_and_says_so(
    recent: World, lacking: list[str], fate: str, tags: set[str]
) -> None:
    world = recent
    granted = [*NEEDED_PERMISSIONS, "tag.create", "tag.asset", "tag.read", "asset.delete"]
    world.immich.set_permissions(world.key, [one for one in granted if one not in lacking])
    await world.connection.refresh(world.house.database)
    sha = await approved(world)
    await replace(world, sha)
    original, first, second = await world.ids(sha)
    assert (await version(world, sha, 1)).retired == fate
    assert set(await world.stack(sha)) == {original, first, second}
    assert trashed(world) == set()
    assert world.immich.tags_of(world.asset(first)) == tags
    assert world.mark(first)["review"] == "superseded"
    # Back: it is no longer superseded.
    await undo(world, sha, 2)
    assert (await world.stack(sha))[0] == first
    assert world.immich.tags_of(world.asset(first)) == set()
    assert world.immich.tags_of(world.asset(second)) == tags
    assert (await version(world, sha, 1)).retired is None


async def test_unless_it_was_chosen_nothing_is_trashed_even_where_the_key_may(tmp_path: Path) -> None:
    async with open_world(tmp_path) as world:
        sha = await approved(world)
        await replace(world, sha)
        assert (await version(world, sha, 1)).retired == "tagged"
        assert trashed(world) == set()
        await world.house.commands.reject("local", sha, 2)
        await world.done()
        assert trashed(world) == set()
        assert not [seen for seen in world.immich.requests if seen.method == "DELETE" and seen.path == "/api/assets"]


async def test_albums_of_others_that_one_may_only_look_at_are_not_written_to(recent: World) -> None:
    world = recent
    sha = await approved(world)
    first, bob = await asset(world, sha, 1), world.immich.add_user("Bob")
    theirs = world.immich.add_album(bob, "Bob's", first, roles={world.user: "viewer"})
    ours = world.immich.add_album(bob, "Together", first, roles={world.user: "editor"})
    await replace(world, sha)
    second = await asset(world, sha, 2)
    assert second.id in ours.asset_ids
    assert second.id not in theirs.asset_ids
    # It would be lost there if the old one went.
    assert (await version(world, sha, 1)).retired == "tagged"
    assert trashed(world) == set()


async def test_a_key_that_may_not_look_at_albums_leaves_them_as_they_are(recent: World) -> None:
    world = recent
    sha = await approved(world)
    first = await asset(world, sha, 1)
    album = world.immich.add_album(world.user, "Best of", first)
    world.immich.set_permissions(world.key, [*NEEDED_PERMISSIONS, "asset.delete"])
    await world.connection.refresh(world.house.database)
    await replace(world, sha)
    assert album.asset_ids == [first.id]
    assert trashed(world) == set(), "nor does anything vanish from them"


async def test_where_tags_cannot_go_over_the_old_version_stays(recent: World) -> None:
    world = recent
    sha = await approved(world)
    first = await asset(world, sha, 1)
    (tag,) = await world.connection.api.upsert_tags(["Holidays"])
    await world.connection.api.tag_assets(tag.id or "", [first.id])
    world.immich.set_permissions(world.key, [*NEEDED_PERMISSIONS, "asset.delete"])
    await world.connection.refresh(world.house.database)
    await replace(world, sha)
    assert (await version(world, sha, 1)).retired == "marked"
    assert trashed(world) == set()
    assert (await world.stack(sha))[0] == (await asset(world, sha, 2)).id


async def test_a_version_edited_in_immich_is_kept_and_said_why(recent: World) -> None:
    world = recent
    sha = await approved(world)
    (await asset(world, sha, 1)).is_edited = True
    await replace(world, sha)
    row = await version(world, sha, 1)
    assert (row.retired, row.written["kept_because"]) == ("kept", "it was edited in Immich")
    assert trashed(world) == set()
    # Once that is undone there, the next version makes it go.
    (await asset(world, sha, 1)).is_edited = False
    assert (await world.stack(sha))[0] == (await asset(world, sha, 2)).id


async def test_the_first_of_three_is_gone_when_the_third_comes(recent: World) -> None:
    world = recent
    sha = await approved(world)
    await replace(world, sha)
    await replace(world, sha, {"exposure": {"ev": 0.4}})
    assert trashed(world) == {"1_processed_v1.jpg", "1_processed_v2.jpg"}
    original, _, _, third = await world.ids(sha)
    assert [one for one in await world.stack(sha) if world.asset(one).deleted_at is None] == [third, original]
    assert await world.house.is_clean()


async def test_in_a_users_burst_only_our_old_version_goes(recent: World) -> None:
    world = recent
    content = developed(3)
    burst = [world.immich.add_asset(world.user, content=developed(seed), name=f"{seed}.jpg") for seed in (7, 8)]
    mine = world.immich.add_asset(world.user, content=content, name="mine.jpg")
    stack = world.immich.add_stack(burst[0], burst[1], mine)
    sha = await world.house.drop(content, "mine.jpg")
    await world.house.settled()
    await world.house.commands.approve("local", sha, 1)
    await world.done()
    await replace(world, sha)
    assert stack.primary_asset_id == burst[0].id
    live = {one.name for one in world.immich.stack_of(mine) if one.deleted_at is None}
    assert live == {"7.jpg", "8.jpg", "mine.jpg", "mine_processed_v2.jpg"}
    assert trashed(world) == {"mine_processed_v1.jpg"}


async def test_versions_that_their_owner_took_out_of_the_stack_stay_out(recent: World) -> None:
    world = recent
    sha = await approved(world)
    first, original = await asset(world, sha, 1), world.asset((await world.house.photo(sha)).immich_asset_id)
    del world.immich.stacks[first.stack_id or ""]
    first.stack_id = original.stack_id = None
    await replace(world, sha)
    second = await asset(world, sha, 2)
    assert (original.stack_id, second.stack_id) == (None, None)
    assert trashed(world) == {"1_processed_v1.jpg"}
