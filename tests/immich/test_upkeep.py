"""What follows by itself: the tag of what waits, the tags of what was left alone, and who is told of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from immich_sidecar.immich import status_tags
from immich_sidecar.immich.choices import Choices
from immich_sidecar.immich.compatibility import NEEDED_PERMISSIONS
from immich_sidecar.immich.connections import Connection
from immich_sidecar.immich.notify import Notifier
from immich_sidecar.immich.publish import Publisher
from immich_sidecar.immich.status_tags import LEFT_ALONE, REVIEW, StatusTags
from immich_sidecar.immich.upkeep import Upkeep
from immich_sidecar.library.tables import PhotoRow, Review, Source, WorkState
from tests.immich.desk import Desk
from tests.immich.stage import NOBODY, Library, picture
from tests.immich_server import ImmichServer, User

NOW = datetime.now(UTC)
LONG_AGO = NOW - timedelta(days=3)


@pytest.fixture
def tags(library: Library, connection: Connection, publisher: Publisher) -> StatusTags:
    return StatusTags(
        connection.api,
        publisher.tagging,
        library.database,
        owner_id="local",
        connection_id=connection.row_id,
    )


async def add(library: Library, connection_id: int, asset_id: str | None, owner: str = "local", **values: Any) -> str:
    """A photo as it would stand; gives its SHA-256."""
    async with library.database.transaction() as session:
        number = len(await library.photos())
        row = PhotoRow(
            owner_id=owner,
            sha256=f"{number:064x}",
            sha1=f"{number:040x}",
            size=1,
            file_name=f"{number}.jpg",
            source=Source.IMMICH,
            path=None,
            connection_id=connection_id,
            immich_asset_id=asset_id,
            **{"state": WorkState.KEPT, "review": Review.PENDING, "created_at": LONG_AGO, **values},
        )
        session.add(row)
    return row.sha256


def tagged(immich: ImmichServer, tag: str) -> set[str]:
    return {asset.name for asset in immich.assets.values() if tag in immich.tags_of(asset)}


async def decide(library: Library, sha: str, review: Review, **values: Any) -> None:
    (row,) = await library.photos(sha256=sha)
    await library.change(row, review=review, **values)


async def test_what_waits_is_tagged_until_it_is_decided(
    immich: ImmichServer, ada: User, library: Library, connection: Connection, tags: StatusTags
) -> None:
    chosen = Choices(review_tag=True)
    shas = []
    for number, review in enumerate((Review.PENDING, Review.PENDING, Review.APPROVED, Review.NONE)):
        asset = immich.add_asset(ada, picture(number), f"{number}.jpg")
        shas.append(await add(library, connection.row_id, asset.id, review=review))
    # Those that waited already when it was switched on, with one call.
    assert await tags.bring_up_to_date(chosen) == 2
    assert tagged(immich, REVIEW) == {"0.jpg", "1.jpg"}
    assert immich.requests[-1].path.endswith("/assets")

    await decide(library, shas[0], Review.APPROVED)
    await decide(library, shas[2], Review.PENDING)
    await tags.bring_up_to_date(chosen)
    assert tagged(immich, REVIEW) == {"1.jpg", "2.jpg"}
    await decide(library, shas[1], Review.REJECTED)
    await tags.bring_up_to_date(chosen)
    assert tagged(immich, REVIEW) == {"2.jpg"}

    # Switched off, nothing of it stays.
    assert await tags.bring_up_to_date(Choices()) == 1
    assert tagged(immich, REVIEW) == set()
    assert {row.tagged for row in await library.photos()} == {None}


async def test_where_nothing_changed_nothing_is_asked(
    immich: ImmichServer, ada: User, library: Library, connection: Connection, tags: StatusTags
) -> None:
    for number in range(5):
        asset = immich.add_asset(ada, picture(number), f"{number}.jpg")
        await add(library, connection.row_id, asset.id)
    await tags.bring_up_to_date(Choices(review_tag=True))
    immich.requests.clear()
    assert await tags.bring_up_to_date(Choices(review_tag=True)) == 0
    assert not immich.requests


@pytest.fixture
def few_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status_tags, "AT_ONCE", 10)
    monkeypatch.setattr(status_tags, "MOST_CALLS", 2)


@pytest.mark.usefixtures("few_at_once")
async def test_many_are_tagged_with_few_calls(
    immich: ImmichServer, ada: User, library: Library, connection: Connection, tags: StatusTags
) -> None:
    for number in range(35):
        asset = immich.add_asset(ada, b"not read", f"{number}.jpg")
        await add(library, connection.row_id, asset.id)
    immich.requests.clear()
    chosen = Choices(review_tag=True)
    assert [await tags.bring_up_to_date(chosen) for _ in range(4)] == [20, 15, 0, 0]
    assert len(tagged(immich, REVIEW)) == 35
    # One to make the tag, one for every ten photos.
    assert len(immich.requests) == 5


async def test_a_tag_that_its_owner_took_off_comes_back_with_the_next_version_only(
    immich: ImmichServer, ada: User, library: Library, connection: Connection, tags: StatusTags
) -> None:
    publisher = library.publisher(connection)
    chosen = Choices(review_tag=True)
    asset = immich.add_asset(ada, picture(1), "1.jpg")
    sha = await add(library, connection.row_id, asset.id)
    await tags.bring_up_to_date(chosen)
    await publisher.tagging.remove(REVIEW, [asset.id])
    await tags.bring_up_to_date(chosen)
    assert tagged(immich, REVIEW) == set()
    for review in (Review.APPROVED, Review.PENDING):
        await decide(library, sha, review)
        await tags.bring_up_to_date(chosen)
    assert tagged(immich, REVIEW) == {"1.jpg"}


async def test_a_tag_that_was_deleted_is_made_anew(
    immich: ImmichServer, ada: User, library: Library, connection: Connection, tags: StatusTags
) -> None:
    chosen = Choices(review_tag=True)
    for number in range(2):
        asset = immich.add_asset(ada, picture(number), f"{number}.jpg")
        await add(library, connection.row_id, asset.id)
        await tags.bring_up_to_date(chosen)
        assert f"{number}.jpg" in tagged(immich, REVIEW)
        tag = immich.tag_named(ada, REVIEW)
        del immich.store.tags[tag.id]
        for one in immich.assets.values():
            one.tag_ids = []


async def test_left_alone_is_said_where_tags_were_chosen(
    immich: ImmichServer, ada: User, library: Library, connection: Connection, tags: StatusTags
) -> None:
    asset = immich.add_asset(ada, picture(1), "1.jpg")
    sha = await add(library, connection.row_id, asset.id, review=Review.NONE, state=WorkState.LEFT_ALONE)
    await tags.bring_up_to_date(Choices(review_tag=True))
    assert immich.tags_of(asset) == set()
    await tags.bring_up_to_date(Choices(review_tag=True, tags=True))
    assert immich.tags_of(asset) == {LEFT_ALONE}
    # Developed all the same.
    await decide(library, sha, Review.PENDING, state=WorkState.KEPT)
    await tags.bring_up_to_date(Choices(review_tag=True, tags=True))
    assert immich.tags_of(asset) == {REVIEW}


async def test_a_young_photo_is_tagged_only_once_immich_has_read_it(
    immich: ImmichServer, ada: User, library: Library, connection: Connection, tags: StatusTags
) -> None:
    immich.hold_processing()
    asset = immich.add_asset(ada, picture(1), "1.jpg", ready=False)
    await add(library, connection.row_id, asset.id, created_at=NOW)
    assert await tags.bring_up_to_date(Choices(review_tag=True)) == 0
    immich.go_on_processing()
    await immich.settled()
    assert await tags.bring_up_to_date(Choices(review_tag=True)) == 1
    assert immich.tags_of(asset) == {REVIEW}


async def test_what_cannot_be_tagged_is_not_asked_about_again(
    immich: ImmichServer, ada: User, library: Library, connection: Connection, tags: StatusTags
) -> None:
    other = immich.add_asset(immich.add_user("Bob"), picture(5), "bob.jpg")
    outside = immich.add_external(immich.add_library(ada, "/photos"), picture(6), "outside.jpg")
    await add(library, connection.row_id, other.id)
    await add(library, connection.row_id, NOBODY, created_at=NOW)
    await add(library, connection.row_id, outside.id, read_only=True)
    # Its row does not say so yet.
    await add(library, connection.row_id, outside.id, created_at=NOW)
    await add(library, connection.row_id, None)
    mine = immich.add_asset(ada, picture(1), "mine.jpg")
    sha = await add(library, connection.row_id, mine.id)
    chosen = Choices(review_tag=True)
    assert await tags.bring_up_to_date(chosen) == 1
    assert tagged(immich, REVIEW) == {"mine.jpg"}
    immich.requests.clear()
    await tags.bring_up_to_date(chosen)
    assert not immich.requests
    # Decided about, they are thought about anew.
    for row in await library.photos():
        await library.change(row, review=Review.APPROVED)
    await tags.bring_up_to_date(chosen)
    assert {row.tagged for row in await library.photos()} == {None}
    assert (await library.photos(sha256=sha))[0].tagged is None


async def test_photos_of_others_are_theirs(
    immich: ImmichServer, ada: User, library: Library, connection: Connection, tags: StatusTags
) -> None:
    asset = immich.add_asset(ada, picture(1), "1.jpg")
    await add(library, connection.row_id, asset.id)
    (row,) = await library.photos()
    await library.change(row, connection_id=None)
    await tags.bring_up_to_date(Choices(review_tag=True))
    assert immich.tags_of(asset) == set()


async def test_a_key_that_may_not_is_told_of_and_asks_nothing(
    immich: ImmichServer, ada: User, library: Library, connection: Connection, publisher: Publisher
) -> None:
    for key in immich.keys_of(ada):
        key.permissions = list(NEEDED_PERMISSIONS)
    await connection.refresh(library.database)
    await add(library, connection.row_id, immich.add_asset(ada, picture(1), "1.jpg").id)
    upkeep = Upkeep(connection, publisher, library.database)
    immich.requests.clear()
    await upkeep.see_to(Choices(review_tag=True))
    assert len(upkeep.problems) == 1
    assert not immich.requests
    await upkeep.see_to(Choices())
    assert upkeep.problems == ()


async def test_trouble_with_immich_is_no_trouble_for_upkeep(
    immich: ImmichServer, ada: User, library: Library, connection: Connection, publisher: Publisher
) -> None:
    asset = immich.add_asset(ada, picture(1), "1.jpg")
    await add(library, connection.row_id, asset.id)
    upkeep = Upkeep(connection, publisher, library.database)
    immich.answer_next("/api/tags", 500, times=9)
    await upkeep.see_to(Choices(review_tag=True))
    assert immich.tags_of(asset) == set()
    immich.no_faults()
    await upkeep.see_to(Choices(review_tag=True))
    assert immich.tags_of(asset) == {REVIEW}


# ---- notifications


def told(immich: ImmichServer, user: User) -> list[tuple[str, str | None]]:
    return [(item.title, item.description) for item in immich.store.notifications.values() if item.user is user]


async def test_users_are_told_at_most_once_a_day_of_what_waits(desk: Desk, immich: ImmichServer) -> None:
    admin, bob = immich.add_user("Root", is_admin=True), immich.add_user("Bob")
    messenger = await desk.connect(admin, features=("socket",), watch=False)
    one = await desk.connect(bob, notify=True, watch=False)
    await desk.round()
    notifier = Notifier(desk.library.database, desk.connections.all, lambda: "http://sidecar.test:2380/develop")
    at = datetime.now(UTC)
    assert await notifier.tell(at) == 0, "nothing waits"
    for _ in range(3):
        await add(desk.library, one.id, None, one.owner_id, created_at=at)
    await add(desk.library, messenger.id, None, messenger.owner_id, created_at=at - timedelta(days=1))
    assert await notifier.tell(at) == 0, "who is at it needs no telling"
    later = at + timedelta(hours=2)
    assert await notifier.tell(later) == 1
    assert told(immich, bob) == [("3 photos wait for you", "Look at them at http://sidecar.test:2380/develop")]
    assert told(immich, admin) == [], "did not choose it"
    for hours in (0, 1, 12, 23.9):
        assert await notifier.tell(later + timedelta(hours=hours)) == 0
    for row in (await desk.library.photos(owner_id=one.owner_id))[1:]:
        await desk.library.change(row, review=Review.APPROVED)
    assert await notifier.tell(later + timedelta(hours=24)) == 1
    assert told(immich, bob)[-1][0] == "1 photo waits for you"
    (row,) = await desk.library.photos(owner_id=one.owner_id, review=Review.PENDING)
    await desk.library.change(row, review=Review.REJECTED)
    assert await notifier.tell(later + timedelta(days=3)) == 0, "never of nothing"
    # What was told is remembered over a restart.
    await desk.library.change(row, review=Review.PENDING)
    await desk.restart()
    await desk.round()
    again = Notifier(desk.library.database, desk.connections.all, lambda: "http://x")
    assert await again.tell(later + timedelta(hours=30)) == 0
    assert await again.tell(later + timedelta(days=3)) == 1


@pytest.mark.parametrize("features", [("webhook", "disconnect"), ("socket",)])
async def test_only_an_administrators_whole_key_tells(desk: Desk, immich: ImmichServer, features: tuple[str]) -> None:
    """A key that may do everything but is no administrator's; and an administrator's that may not."""
    is_admin = features != ("socket",)
    user = immich.add_user("Ada", is_admin=is_admin)
    one = await desk.connect(user, features=features, notify=True, watch=False)
    await desk.round()
    await add(desk.library, one.id, None, one.owner_id)
    immich.requests.clear()
    assert await Notifier(desk.library.database, desk.connections.all, lambda: "http://x").tell() == 0
    assert told(immich, user) == []
    assert not [seen for seen in immich.requests if "notifications" in seen.path]


async def test_what_immich_does_not_take_is_tried_again(desk: Desk, immich: ImmichServer) -> None:
    user = immich.add_user("Root", is_admin=True)
    one = await desk.connect(user, features=("socket",), notify=True, watch=False)
    await desk.round()
    await add(desk.library, one.id, None, one.owner_id)
    immich.answer_next("/api/admin/notifications", 500)
    notifier = Notifier(desk.library.database, desk.connections.all, lambda: "http://x")
    assert await notifier.tell() == 0
    assert await notifier.tell() == 1
