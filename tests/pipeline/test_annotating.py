"""What stands beside a version in Immich: its owner's words, and ours only where there are none."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from immich_sidecar.immich.annotate import AT_ORIGINAL, PROCESSED, REJECTED
from immich_sidecar.immich.api import AssetChanges
from immich_sidecar.immich.compatibility import NEEDED_PERMISSIONS
from immich_sidecar.library.tables import PhotoRow, Publish, Source, VersionRow
from immich_sidecar.settings import Mode
from tests.immich_server import Asset
from tests.pipeline.house import developed
from tests.pipeline.world import World, open_world

pytestmark = pytest.mark.usefixtures("soon")

SEEN = {"words": {"rating": 4, "description": "A lighthouse", "tags": ["lighthouse"]}}


@pytest.fixture(params=["2.5.6", "2.7.5", "3.1.0"])
async def world(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path, version=request.param) as opened:
        yield opened


@pytest.fixture
async def recent(tmp_path: Path) -> AsyncIterator[World]:
    async with open_world(tmp_path) as opened:
        yield opened


async def done(world: World) -> None:
    """Wait for all that is to be done, also for what comes back to itself."""

    async def nothing_left() -> bool:
        return not [row for row in await world.house.rows(VersionRow) if row.due_at and row.publish != "blocked"]

    await world.done()
    await world.house.until(nothing_left)
    await world.immich.settled()


async def seen(world: World, asset: Asset, sha_of: bytes, analysis: dict[str, Any] | None = None) -> str:
    """A photo in Immich is taken, found to show something, and published as far as it goes by itself."""
    path = world.house.inbox / f"{asset.id}.jpg"
    path.write_bytes(sha_of)
    taken = await world.house.intake.take(
        "local",
        path,
        file_name=asset.name,
        source=Source.IMMICH,
        connection_id=world.connection.row_id,
        immich_asset_id=asset.id,
    )
    if analysis is not None:
        # What a later analysis finds stands beside what is measured.
        await world.house.settled()
        photo = await world.house.photo(taken.sha256)
        await world.house.change(taken.sha256, analysis={**(photo.analysis or {}), **analysis})
    await done(world)
    return taken.sha256


async def decide(world: World, sha: str, what: str) -> None:
    photo = await world.house.photo(sha)
    await getattr(world.house.commands, what)("local", sha, photo.version)
    await done(world)


async def ours(world: World, sha: str, n: int = 1) -> Asset:
    (row,) = [row for row in await world.house.versions(sha) if row.n == n]
    return world.asset(row.immich_asset_id)


async def say(world: World, asset: Asset, **changes: Any) -> None:
    """The owner says something of an asset in Immich."""
    tags = changes.pop("tags", ())
    for path in tags:
        await world.target.publisher.tagging.add(path, [asset.id])
    if changes:
        await world.connection.api.update_asset(asset.id, AssetChanges(**changes))
    await world.immich.settled()


def changes_asked_for(world: World) -> list[str]:
    """Requests that changed what stands beside assets."""
    return [
        f"{seen.method} {seen.path}"
        for seen in world.immich.requests
        if seen.method in ("PUT", "DELETE")
        and ("/tags" in seen.path or (seen.path.startswith("/api/assets/") and seen.path.count("/") == 3))
    ]


# ---- what its owner says


async def test_a_version_says_from_its_first_moment_what_the_original_says(world: World) -> None:
    content = developed()
    original = world.immich.add_asset(world.user, content, "beach.jpg")
    words = 'A <day> at the sea & "more"\nof it'
    await say(world, original, description=words, rating=3, tags=["Sea", "Places/Brittany", "Sidecar/Review"])
    asked = len(changes_asked_for(world))
    sha = await seen(world, original, content)
    version = await ours(world, sha)
    assert (version.exif["description"], version.exif["rating"]) == (words, 3)
    assert world.immich.tags_of(version) == {"Sea", "Places/Brittany"}
    # It came with the upload: nothing was written over what Immich reads from the file.
    assert changes_asked_for(world)[asked:] == []
    assert world.immich.uploads[-1].sidecar is not None
    assert (
        version.file.read_bytes() == world.house.layout.absolute((await world.house.versions(sha))[0].path).read_bytes()
    )


async def test_what_its_owner_says_later_goes_over_when_the_version_is_approved(world: World) -> None:
    content = developed()
    original = world.immich.add_asset(world.user, content, "beach.jpg")
    await say(world, original, description="First")
    sha = await seen(world, original, content)
    moved = datetime(2020, 2, 3, 4, 5, 6, tzinfo=UTC)
    await say(
        world, original, description="Second", rating=5, latitude=48.1, longitude=-4.2, taken_at=moved, tags=["New"]
    )
    await say(world, original, favorite=True)
    version = await ours(world, sha)
    assert version.exif["description"] == "First"
    assert not version.is_favorite
    await decide(world, sha, "approve")
    assert (version.exif["description"], version.exif["rating"]) == ("Second", 5)
    assert (version.exif["latitude"], version.exif["longitude"]) == (48.1, -4.2)
    assert version.is_favorite
    assert world.immich.tags_of(version) == {"New"}
    assert version.file_created_at == original.file_created_at == moved
    assert version.local_date_time == original.local_date_time


async def test_what_its_owner_says_at_the_version_stays(recent: World) -> None:
    world, content = recent, developed()
    original = world.immich.add_asset(world.user, content, "beach.jpg")
    await say(world, original, description="First", rating=2)
    sha = await seen(world, original, content)
    version = await ours(world, sha)
    await say(world, version, description="At the version", rating=5)
    await say(world, original, description="Second", rating=1)
    await decide(world, sha, "approve")
    assert (version.exif["description"], version.exif["rating"]) == ("At the version", 5)
    assert (original.exif["description"], original.exif["rating"]) == ("Second", 1)


async def test_a_version_is_a_favourite_while_it_is_wanted(recent: World) -> None:
    world, content = recent, developed()
    original = world.immich.add_asset(world.user, content, "beach.jpg", is_favorite=True)
    sha = await seen(world, original, content)
    version = await ours(world, sha)
    assert not version.is_favorite
    for what, heart in (("approve", True), ("reject", False), ("approve", True), ("undo", False)):
        await decide(world, sha, what)
        assert version.is_favorite is heart, what
        assert original.is_favorite
    # One that its owner gave stays.
    await decide(world, sha, "reject")
    await say(world, version, favorite=True)
    await decide(world, sha, "approve")
    await decide(world, sha, "reject")
    assert version.is_favorite


async def test_a_rejected_favourite_can_go_to_the_trash(tmp_path: Path) -> None:
    async with open_world(tmp_path, retire=True) as world:
        content = developed()
        original = world.immich.add_asset(world.user, content, "beach.jpg", is_favorite=True)
        sha = await seen(world, original, content)
        await decide(world, sha, "approve")
        await decide(world, sha, "reject")
        assert (await ours(world, sha)).deleted_at is not None
        assert original.is_favorite


async def test_keywords_of_a_file_are_not_lost(recent: World) -> None:
    """Nothing is known of a hot folder's original in Immich, and nothing is tagged before Immich has read it."""
    world = recent
    world.choose(tags=True)
    world.immich.hold_processing()
    sha = await world.house.drop(with_keywords(developed()), "tower.jpg")
    await world.done()
    original, version = (world.asset(asset_id) for asset_id in await world.ids(sha))
    assert world.immich.uploads[-1].sidecar is None
    assert world.immich.tags_of(version) == set()
    assert (await world.house.versions(sha))[0].publish is Publish.STACKED
    # What needs no waiting is done.
    assert world.mark(version.id)["review"] == "pending"
    world.immich.go_on_processing()
    await done(world)
    assert world.immich.tags_of(original) == {"Tower", "Places/Pisa"}
    assert world.immich.tags_of(version) == {"Tower", "Places/Pisa", PROCESSED}


def with_keywords(jpeg: bytes) -> bytes:
    """The same picture with keywords of its own in XMP."""
    import struct

    from immich_sidecar.immich.words import Words, sidecar

    packet = b"http://ns.adobe.com/xap/1.0/\0" + (sidecar(Words(tags=("Tower", "Places/Pisa"))) or b"")
    return jpeg[:2] + b"\xff\xe1" + struct.pack(">H", len(packet) + 2) + packet + jpeg[2:]


# ---- what we say


async def test_tags_say_what_became_of_a_version(world: World) -> None:
    world.choose(tags=True)
    content = developed()
    original = world.immich.add_asset(world.user, content, "beach.jpg")
    sha = await seen(world, original, content)
    version = await ours(world, sha)
    assert world.immich.tags_of(version) == {PROCESSED}
    await decide(world, sha, "reject")
    assert world.immich.tags_of(version) == {PROCESSED, REJECTED}
    await decide(world, sha, "undo")
    assert world.immich.tags_of(version) == {PROCESSED}
    assert world.immich.tags_of(original) == set()


async def test_a_tag_of_ours_that_its_owner_took_off_stays_off(recent: World) -> None:
    world, content = recent, developed()
    world.choose(tags=True)
    original = world.immich.add_asset(world.user, content, "beach.jpg")
    sha = await seen(world, original, content)
    version = await ours(world, sha)
    await world.target.publisher.tagging.remove(PROCESSED, [version.id])
    await world.immich.settled()
    await decide(world, sha, "approve")
    assert world.immich.tags_of(version) == set()


async def test_without_permission_for_tags_nothing_is_blocked(recent: World) -> None:
    world = recent
    world.choose(tags=True)
    world.immich.set_permissions(world.key, [*NEEDED_PERMISSIONS])
    world.immich.hold_processing()
    sha = await world.house.drop(developed(), "beach.jpg")
    await world.done()
    world.immich.go_on_processing()
    await done(world)
    await decide(world, sha, "approve")
    assert (await world.house.versions(sha))[0].publish is Publish.MARKED
    assert world.immich.tags_of(await ours(world, sha)) == set()


async def test_what_an_analysis_says_is_written_where_there_is_nothing(world: World) -> None:
    world.choose(rating=True, description=True, content_tags=True)
    content = developed()
    original = world.immich.add_asset(world.user, content, "tower.jpg")
    await say(world, original, description="Mine", tags=["Coast"])
    sha = await seen(world, original, content, SEEN)
    await decide(world, sha, "approve")
    version = await ours(world, sha)
    for asset in (original, version):
        assert (asset.exif["description"], asset.exif["rating"]) == ("Mine", 4), asset.name
        assert world.immich.tags_of(asset) == {"Coast", "lighthouse"}, asset.name
    (row,) = await world.house.versions(sha)
    assert row.written[AT_ORIGINAL] == {"rating": 4, "tags": ["lighthouse"]}


async def test_what_its_owner_changed_of_ours_is_theirs(recent: World) -> None:
    world, content = recent, developed()
    world.choose(rating=True, description=True)
    original = world.immich.add_asset(world.user, content, "tower.jpg")
    sha = await seen(world, original, content, SEEN)
    await decide(world, sha, "approve")
    assert (original.exif["description"], original.exif["rating"]) == ("A lighthouse", 4)
    await say(world, original, description="The tower of Eckmuhl")
    await say(world, original, rating=None)
    photo = await world.house.photo(sha)
    words = {"words": {"rating": 2, "description": "A tower"}}
    await world.house.change(sha, analysis={**(photo.analysis or {}), **words})
    for what in ("reject", "approve"):
        await decide(world, sha, what)
    assert (original.exif["description"], original.exif["rating"]) == ("The tower of Eckmuhl", None)


async def test_what_still_is_ours_follows_a_better_analysis(recent: World) -> None:
    world, content = recent, developed()
    world.choose(description=True)
    original = world.immich.add_asset(world.user, content, "tower.jpg")
    sha = await seen(world, original, content, SEEN)
    await decide(world, sha, "approve")
    photo = await world.house.photo(sha)
    words = {"words": {"description": "The lighthouse of Eckmuhl"}}
    await world.house.change(sha, analysis={**(photo.analysis or {}), **words})
    await decide(world, sha, "reject")
    assert original.exif["description"] == "The lighthouse of Eckmuhl"


async def test_nothing_is_written_beside_files_that_immich_only_reads(recent: World) -> None:
    world, content = recent, developed()
    world.choose(rating=True, description=True, content_tags=True, tags=True)
    library = world.immich.add_library(world.user, "/photos")
    original = world.immich.add_external(library, content, "tower.jpg")
    path = world.house.inbox / "tower.jpg"
    path.write_bytes(content)
    # As a rule that takes external libraries lets it in.
    await world.house.intake.take(
        "local",
        path,
        file_name="tower.jpg",
        source=Source.IMMICH,
        connection_id=world.connection.row_id,
        immich_asset_id=original.id,
        consider=lambda *_: {"read_only": True, "allowed": ["external"]},
    )
    await world.house.settled()
    (photo,) = await world.house.rows(PhotoRow)
    await world.house.change(photo.sha256, analysis={**(photo.analysis or {}), **SEEN})
    await done(world)
    await decide(world, photo.sha256, "approve")
    assert (original.exif.get("description"), original.exif.get("rating")) == (None, None)
    assert world.immich.tags_of(original) == set()
    assert world.mark(original.id)["review"] == "approved"
    version = await ours(world, photo.sha256)
    assert version.exif["description"] == "A lighthouse"
    assert not [line for line in changes_asked_for(world) if original.id in line]


async def test_review_mode_writes_nothing_before_approval(tmp_path: Path) -> None:
    async with open_world(tmp_path, Mode.REVIEW, rating=True, description=True, content_tags=True, tags=True) as world:
        content = developed()
        original = world.immich.add_asset(world.user, content, "tower.jpg")
        before = original.updated_at
        sha = await seen(world, original, content, SEEN)
        assert original.updated_at == before
        await decide(world, sha, "approve")
        assert original.exif["description"] == "A lighthouse"
