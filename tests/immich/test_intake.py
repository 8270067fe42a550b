"""Taking photos from Immich: every one once, none that should stay, none lost whatever happens in between."""

from __future__ import annotations

import asyncio
import hashlib
import io
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from PIL import ExifTags, Image

from immich_sidecar.errors import (
    ImmichAwayError,
    ImmichCredentialsError,
    ImmichGoneError,
    ImmichServerError,
    IntegrityError,
)
from immich_sidecar.immich import fetching, marks, noticing
from immich_sidecar.immich import intake as intake_module
from immich_sidecar.immich.connections import Connection
from immich_sidecar.immich.intake import ImmichIntake
from immich_sidecar.immich.noticing import Noticing
from immich_sidecar.immich.rules import Skip
from immich_sidecar.library.tables import IntakeState, Publish, RecipeRow, Source, VersionRow
from tests.immich.desk import until
from tests.immich.stage import TAKEN, Library, connect, picture, set_clock
from tests.immich_server import Asset, ImmichServer, User


def downloads(immich: ImmichServer) -> list[str]:
    return [seen.path for seen in immich.requests if seen.path.endswith("/original")]


async def test_a_new_photo_is_taken_once(
    immich: ImmichServer, ada: User, library: Library, connection: Connection, taker: ImmichIntake
) -> None:
    content = picture(1)
    asset = immich.add_asset(ada, content, "Ärger im Süden.jpg", file_created_at=TAKEN)
    for _ in range(3):
        await taker.tick()
    (photo,) = await library.photos()
    assert photo.sha256 == hashlib.sha256(content).hexdigest()
    assert (photo.immich_asset_id, photo.connection_id) == (asset.id, connection.id)
    assert (photo.source, photo.original_publish) == (Source.IMMICH, Publish.ORIGINAL_UPLOADED)
    assert (photo.file_name, photo.captured_at) == ("Ärger im Süden.jpg", TAKEN)
    assert photo.path is not None
    assert library.layout.absolute(photo.path).read_bytes() == content
    assert (await library.asset("Ärger im Süden.jpg")).state is IntakeState.FETCHED
    assert len(downloads(immich)) == 1
    assert not library.downloads_left()


async def test_photos_from_before_the_connection_stay(
    immich: ImmichServer, ada: User, key: str, library: Library
) -> None:
    immich.add_asset(ada, picture(1), "old.jpg", created_at=datetime.now(UTC) - timedelta(minutes=5))
    connection = connect(immich, key)
    taker = library.taker(connection)
    await taker.tick()
    immich.add_asset(ada, picture(2), "new.jpg")
    await taker.tick()
    await connection.close()
    assert [row.file_name for row in await library.assets()] == ["new.jpg"]


@pytest.mark.parametrize(
    ("name", "attributes", "reason"),
    [
        ("clip.mp4", {}, Skip.VIDEO),
        ("live.jpg", {"live_photo_video_id": "af9ba5d5-7c49-4ec5-8c2e-9b6c1e1c4b7a"}, Skip.LIVE_PHOTO),
        ("library.jpg", {"library_id": "af9ba5d5-7c49-4ec5-8c2e-9b6c1e1c4b7a"}, Skip.EXTERNAL_LIBRARY),
        ("offline.jpg", {"is_offline": True}, Skip.OFFLINE),
        ("edited.jpg", {"is_edited": True}, Skip.EDITED),
        ("round.jpg", {"exif": {"projectionType": "EQUIRECTANGULAR"}}, Skip.PANORAMA),
        ("round.insp", {}, Skip.PANORAMA),
        ("moving.gif", {}, "animated pictures are not developed (.gif)"),
        ("drawing.svg", {}, "drawings are not developed (.svg)"),
        ("layers.PSD", {}, "layered documents are not developed (.psd)"),
    ],
)
async def test_what_is_skipped_is_listed_and_not_downloaded(
    immich: ImmichServer,
    ada: User,
    library: Library,
    taker: ImmichIntake,
    *,
    name: str,
    attributes: dict[str, Any],
    reason: str,
) -> None:
    immich.add_asset(ada, picture(), name, **attributes)
    await taker.tick()
    row = await library.asset(name)
    assert (row.state, row.reason) == (IntakeState.SKIPPED, reason)
    assert not downloads(immich)
    assert not await library.photos()


@pytest.mark.parametrize(
    "attributes", [{"visibility": "hidden"}, {"visibility": "locked"}, {"deleted_at": datetime.now(UTC)}]
)
async def test_what_is_hidden_locked_or_in_the_trash_is_not_even_seen(
    immich: ImmichServer, ada: User, library: Library, taker: ImmichIntake, attributes: dict[str, Any]
) -> None:
    asset = immich.add_asset(ada, picture(), "shy.jpg", **attributes)
    await taker.tick()
    assert not await library.assets()
    # Shown or restored later it counts as new, though it was created long before.
    asset.visibility, asset.deleted_at = "timeline", None
    asset.updated_at = immich.store.now()
    await taker.poll_updated()
    assert [row.state for row in await library.assets()] == [IntakeState.SEEN]


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"visibility": "hidden"}, Skip.HIDDEN),
        ({"visibility": "locked"}, Skip.GONE),
        ({"deleted_at": datetime.now(UTC)}, Skip.TRASHED),
        ({"is_edited": True}, Skip.EDITED),
    ],
)
async def test_what_changes_between_seeing_and_fetching(
    immich: ImmichServer,
    ada: User,
    library: Library,
    taker: ImmichIntake,
    *,
    attributes: dict[str, Any],
    reason: str,
) -> None:
    asset = immich.add_asset(ada, picture(), "soon.jpg")
    await taker.poll()
    before = {name: getattr(asset, name) for name in attributes}
    for name, value in attributes.items():
        setattr(asset, name, value)
    await taker.fetch_due()
    row = await library.asset("soon.jpg")
    assert (row.state, row.reason) == (IntakeState.SKIPPED, reason)
    assert not downloads(immich)
    # Changed back, it is taken.
    for name, value in before.items():
        setattr(asset, name, value)
    asset.updated_at = immich.store.now()
    await taker.poll_updated()
    await taker.fetch_due()
    assert len(await library.photos()) == 1


async def test_archived_photos_are_taken(
    immich: ImmichServer, ada: User, library: Library, taker: ImmichIntake
) -> None:
    immich.add_asset(ada, picture(), "away.jpg", visibility="archive")
    await taker.tick()
    assert len(await library.photos()) == 1


async def test_assets_of_partners_leave_no_trace(
    immich: ImmichServer, ada: User, library: Library, taker: ImmichIntake
) -> None:
    partner = immich.add_user("Bob")
    shared = {"id": immich.store.new_id(), "ownerId": partner.id, "type": "IMAGE", "originalFileName": "his.jpg"}
    mine = {**shared, "id": immich.store.new_id(), "ownerId": ada.id, "originalFileName": "mine.jpg"}
    immich.answer_next("/search/metadata", 200, {"assets": {"items": [shared, mine], "nextPage": None}})
    assert await taker.poll() == 1
    assert [row.file_name for row in await library.assets()] == ["mine.jpg"]


async def test_our_own_version_is_recognised_by_its_bytes(
    immich: ImmichServer, ada: User, library: Library, connection: Connection, taker: ImmichIntake
) -> None:
    immich.add_asset(ada, picture(1), "original.jpg")
    await taker.tick()
    (photo,) = await library.photos()
    ours = picture(2)
    async with library.database.transaction() as session:
        session.add(RecipeRow(id="r1", owner_id="local", original_hash=photo.sha256))
        await session.flush()
        session.add(
            VersionRow(
                owner_id="local",
                photo=photo.sha256,
                n=1,
                recipe_id="r1",
                path="processed/x.jpg",
                size=len(ours),
                sha256=hashlib.sha256(ours).hexdigest(),
                sha1=hashlib.sha1(ours).hexdigest(),
                width=1,
                height=1,
            )
        )
    immich.add_asset(ada, ours, "original_processed_v1.jpg")
    before = len(immich.requests)
    await taker.tick()
    row = await library.asset("original_processed_v1.jpg")
    assert (row.state, row.reason) == (IntakeState.SKIPPED, Skip.OURS)
    # Without a question more than the two searches.
    assert [seen.path for seen in immich.requests[before:]] == ["/api/search/metadata"] * 2


@pytest.mark.parametrize(
    ("mark", "reason"),
    [
        ({"is_processed": True}, Skip.OURS),
        ({"is_original": True}, Skip.PROCESSED_EARLIER),
        ({}, Skip.PROCESSED_EARLIER),
    ],
)
async def test_what_a_lost_data_directory_left_is_recognised_by_its_mark(
    immich: ImmichServer, ada: User, library: Library, taker: ImmichIntake, *, mark: dict[str, Any], reason: str
) -> None:
    immich.add_asset(ada, picture(), "marked.jpg", metadata={marks.KEY: (mark, datetime.now(UTC))})
    for _ in range(2):
        await taker.tick()
    row = await library.asset("marked.jpg")
    assert (row.state, row.reason) == (IntakeState.SKIPPED, reason)
    assert not downloads(immich)


async def test_what_others_keep_at_an_asset_does_not_matter(
    immich: ImmichServer, ada: User, library: Library, taker: ImmichIntake
) -> None:
    immich.add_asset(ada, picture(), "phone.jpg", metadata={"mobile-app": ({"iCloudId": "x"}, datetime.now(UTC))})
    await taker.tick()
    assert len(await library.photos()) == 1


async def test_a_photo_of_the_hot_folder_is_linked_and_not_taken_twice(
    immich: ImmichServer, ada: User, library: Library, connection: Connection, taker: ImmichIntake
) -> None:
    content = picture(1)
    path = library.layout.data_dir / "dropped.jpg"
    path.write_bytes(content)
    await library.intake.take("local", path, file_name="dropped.jpg", source=Source.HOT_FOLDER)
    asset = immich.add_asset(ada, content, "dropped.jpg")
    await taker.tick()
    (photo,) = await library.photos()
    assert (photo.immich_asset_id, photo.connection_id) == (asset.id, connection.id)
    assert (photo.source, photo.original_publish) == (Source.HOT_FOLDER, Publish.ORIGINAL_UPLOADED)
    row = await library.asset("dropped.jpg")
    assert (row.state, row.sha256) == (IntakeState.FETCHED, photo.sha256)
    assert not downloads(immich)


async def test_a_photo_is_taken_before_immich_has_read_it_and_looked_at_again_later(
    immich: ImmichServer, ada: User, library: Library, taker: ImmichIntake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "READING_SECONDS", 0.05)
    immich.hold_processing()
    asset = immich.add_asset(ada, picture(), "fresh.jpg", ready=False, file_created_at=TAKEN)
    await taker.tick()
    (photo,) = await library.photos()
    # The file says nothing, so what the uploader said counts.
    assert photo.captured_at == TAKEN
    with pytest.raises(ImmichServerError, match="still reading"):
        await taker.look_again(photo)
    # Reading it, Immich finds the moving part.
    asset.live_photo_video_id = "af9ba5d5-7c49-4ec5-8c2e-9b6c1e1c4b7a"
    assert await taker.look_again(photo) == Skip.LIVE_PHOTO
    asset.live_photo_video_id = None
    immich.go_on_processing()
    await immich.settled()
    assert await taker.look_again(photo) is None
    immich.trash(asset)
    assert await taker.look_again(photo) == Skip.TRASHED
    immich.delete(asset)
    with pytest.raises(ImmichGoneError):
        await taker.look_again(photo)


async def test_the_date_in_the_file_wins_over_what_the_uploader_said(
    immich: ImmichServer, ada: User, library: Library, taker: ImmichIntake
) -> None:
    immich.hold_processing()
    exif = Image.Exif()
    exif.get_ifd(ExifTags.IFD.Exif).update(
        {ExifTags.Base.DateTimeOriginal: "2021:03:04 05:06:07", ExifTags.Base.OffsetTimeOriginal: "+00:00"}
    )
    buffer = io.BytesIO()
    Image.new("RGB", (40, 30), "red").save(buffer, "JPEG", exif=exif)
    immich.add_asset(ada, buffer.getvalue(), "dated.jpg", ready=False, file_created_at=TAKEN)
    await taker.tick()
    (photo,) = await library.photos()
    assert photo.captured_at == datetime(2021, 3, 4, 5, 6, 7, tzinfo=UTC)


async def test_what_immich_never_reads_is_published_after_a_while(
    immich: ImmichServer, ada: User, key: str, library: Library
) -> None:
    immich.hold_processing()
    # The connection was made three minutes ago, and the photo came right after.
    set_clock(immich, timedelta(minutes=-3))
    connection = connect(immich, key)
    await connection.refresh(library.database)
    immich.add_asset(ada, picture(), "stuck.jpg", ready=False)
    set_clock(immich, timedelta(0))
    taker = library.taker(connection)
    await taker.tick()
    (photo,) = await library.photos()
    assert await taker.look_again(photo) is None
    await connection.close()


async def test_rubbish_fails_with_its_reason_and_is_not_tried_again(
    immich: ImmichServer, ada: User, library: Library, taker: ImmichIntake
) -> None:
    immich.add_asset(ada, b"this is no picture at all", "rubbish.jpg", width=10)
    for _ in range(2):
        await taker.tick()
    row = await library.asset("rubbish.jpg")
    assert row.state is IntakeState.FAILED
    assert row.reason
    assert len(downloads(immich)) == 1
    assert not library.downloads_left()


async def due_at_once(library: Library, name: str) -> None:
    await library.change(await library.asset(name), due_at=None)


async def test_a_damaged_download_is_refused_and_repeated(
    immich: ImmichServer, ada: User, library: Library, taker: ImmichIntake
) -> None:
    content = picture(edge=400)
    immich.add_asset(ada, content, "photo.jpg")
    immich.spoil_next_download()
    before = datetime.now(UTC)
    await taker.tick(patience=0)
    after = datetime.now(UTC)
    row = await library.asset("photo.jpg")
    assert (row.state, row.attempts) == (IntakeState.SEEN, 1)
    assert "SHA-1" in (row.reason or "")
    assert row.due_at is not None
    assert before + timedelta(seconds=4) <= row.due_at <= after + timedelta(seconds=6)
    assert not await library.photos()
    assert not library.downloads_left()
    await due_at_once(library, "photo.jpg")
    await taker.tick(patience=0)
    (photo,) = await library.photos()
    assert photo.sha256 == hashlib.sha256(content).hexdigest()
    assert (await library.asset("photo.jpg")).reason is None


async def test_a_download_that_is_cut_is_repeated(
    immich: ImmichServer, ada: User, library: Library, taker: ImmichIntake
) -> None:
    immich.add_asset(ada, picture(edge=600), "photo.jpg")
    immich.cut_download_after(1000)
    await taker.tick(patience=0)
    assert (await library.asset("photo.jpg")).attempts == 1
    assert not library.downloads_left()
    await due_at_once(library, "photo.jpg")
    await taker.tick(patience=0)
    assert len(await library.photos()) == 1


async def test_after_eight_attempts_it_is_given_up_until_asked_for(
    immich: ImmichServer, ada: User, library: Library, taker: ImmichIntake
) -> None:
    immich.add_asset(ada, picture(), "photo.jpg")
    immich.answer_next("/original$", 500, {"message": "Internal server error"}, times=fetching.ATTEMPTS)
    for _ in range(fetching.ATTEMPTS + 1):
        await taker.tick(patience=0)
        await due_at_once(library, "photo.jpg")
    row = await library.asset("photo.jpg")
    assert (row.state, row.attempts) == (IntakeState.FAILED, fetching.ATTEMPTS)
    assert "500" in (row.reason or "")
    assert await taker.retry_failed() == 1
    await taker.tick(patience=0)
    assert len(await library.photos()) == 1


def test_waiting_doubles_up_to_an_hour() -> None:
    waits = [fetching._wait(n).total_seconds() for n in range(1, 14)]
    for wait, middle in zip(waits, [5, 10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600, 3600], strict=True):
        assert middle * 0.8 <= wait <= middle * 1.2


async def test_immich_away_counts_no_attempt(
    immich: ImmichServer, ada: User, library: Library, connection: Connection, taker: ImmichIntake
) -> None:
    immich.add_asset(ada, picture(1), "one.jpg")
    immich.add_asset(ada, picture(2), "two.jpg")
    await taker.poll()
    await immich.go_away()
    with pytest.raises(ImmichAwayError):
        await taker.fetch_due()
    await taker.tick(patience=0)
    assert (await library.connection_row()).state == "away"
    assert {(row.state, row.attempts) for row in await library.assets()} == {(IntakeState.SEEN, 0)}
    await immich.come_back()
    await taker.tick(patience=0)
    assert len(await library.photos()) == 2
    assert (await library.connection_row()).state == "ok"


async def test_photos_that_came_while_we_were_away(
    immich: ImmichServer, ada: User, library: Library, connection: Connection, taker: ImmichIntake
) -> None:
    """The cursor stays where the last whole answer ended."""
    await library.change(
        await library.connection_row(),
        watch_from=datetime.now(UTC) - timedelta(days=90),
        created_cursor=datetime.now(UTC) - timedelta(days=40),
    )
    immich.add_asset(ada, picture(1), "then.jpg", created_at=datetime.now(UTC) - timedelta(days=39))
    immich.answer_next("/search/metadata", 503, "<html>down</html>")
    await taker.tick(patience=0)
    cursor = (await library.connection_row()).created_cursor
    assert cursor is not None
    assert datetime.now(UTC) - cursor > timedelta(days=39)
    await taker.tick(patience=0)
    assert len(await library.photos()) == 1


async def test_a_revoked_key(immich: ImmichServer, ada: User, key: str, library: Library, taker: ImmichIntake) -> None:
    immich.add_asset(ada, picture(), "photo.jpg")
    await taker.poll()
    immich.revoke_key(key)
    with pytest.raises(ImmichCredentialsError):
        await taker.fetch_due()
    await taker.tick()
    row = await library.connection_row()
    assert row.state == "credentials"
    assert "IMMICH_API_KEY" in (row.last_error or "")
    assert (await library.asset("photo.jpg")).attempts == 0


async def test_maintenance_loses_nothing(
    immich: ImmichServer, ada: User, library: Library, taker: ImmichIntake
) -> None:
    immich.add_asset(ada, picture(), "photo.jpg")
    await taker.poll()
    immich.maintenance = True
    await taker.tick(patience=0)
    assert (await library.connection_row()).state == "away"
    assert (await library.asset("photo.jpg")).state is IntakeState.SEEN
    immich.maintenance = False
    await taker.tick(patience=0)
    assert len(await library.photos()) == 1


async def test_a_full_disk_pauses(
    immich: ImmichServer, ada: User, library: Library, connection: Connection, taker: ImmichIntake
) -> None:
    immich.add_asset(ada, picture(), "photo.jpg")
    library.space.min_free = 1 << 60
    await taker.tick(patience=0)
    assert "SIDECAR_MIN_FREE" in (taker.paused or "")
    assert (await library.asset("photo.jpg")).attempts == 0
    assert not downloads(immich)
    library.space.min_free = 0
    await taker.tick(patience=0)
    assert taker.paused is None
    assert len(await library.photos()) == 1


@pytest.mark.parametrize("skew", [timedelta(days=-700), timedelta(hours=-2), timedelta(hours=9)])
async def test_a_server_whose_clock_is_wrong(
    immich: ImmichServer, ada: User, key: str, library: Library, skew: timedelta
) -> None:
    set_clock(immich, skew)
    immich.add_asset(ada, picture(0), "before.jpg", created_at=datetime.now(UTC) + skew - timedelta(minutes=1))
    connection = connect(immich, key)
    taker = library.taker(connection)
    await taker.tick(patience=0)
    immich.add_asset(ada, picture(1), "first.jpg")
    await taker.tick(patience=0)
    # It is set right meanwhile.
    set_clock(immich, timedelta(0))
    immich.add_asset(ada, picture(2), "second.jpg")
    for _ in range(2):
        await taker.tick(patience=0)
    await connection.close()
    assert sorted(row.file_name for row in await library.assets(state=IntakeState.FETCHED)) == [
        "first.jpg",
        "second.jpg",
    ]


async def test_two_owners_with_the_same_photo(
    immich: ImmichServer, ada: User, library: Library, connection: Connection, taker: ImmichIntake
) -> None:
    bob = immich.add_user("Bob")
    other = connect(immich, immich.add_key(bob), "bob")
    await other.refresh(library.database)
    other_taker = library.taker(other)
    content = picture(1)
    mine, his = immich.add_asset(ada, content, "same.jpg"), immich.add_asset(bob, content, "same.jpg")
    immich.add_asset(bob, picture(2), "only-his.jpg")
    await asyncio.gather(taker.tick(patience=0), other_taker.tick(patience=0))
    await other.close()
    assert [photo.immich_asset_id for photo in await library.photos(owner_id="local")] == [mine.id]
    assert {photo.immich_asset_id for photo in await library.photos(owner_id="bob", file_name="same.jpg")} == {his.id}
    assert len(await library.photos(owner_id="bob")) == 2
    assert {row.connection_id for row in await library.assets(owner_id="bob")} == {other.id}


class Growing:
    """Assets that arrive, change their date and disappear while they are searched for."""

    def __init__(self, immich: ImmichServer, user: User, monkeypatch: pytest.MonkeyPatch) -> None:
        self.immich, self.user = immich, user
        self.random = random.Random(7)
        self.all: list[Asset] = []
        self.template = immich.add_asset(user, picture(), "template.jpg", visibility="hidden")
        original = immich._answer

        async def answer(request: Any) -> Any:
            response = await original(request)
            if request.path == "/api/search/metadata":
                self.stir()
            return response

        monkeypatch.setattr(immich, "_answer", answer)
        self.changes = 0

    def add(self, created_at: datetime | None = None) -> None:
        n = len(self.all)
        now = created_at or self.immich.store.now()
        template = self.template
        asset = Asset(
            id=self.immich.store.new_id(),
            owner=self.user,
            name=f"{n}.jpg",
            file=template.file,
            size=template.size,
            checksum=hashlib.sha1(str(n).encode()).digest(),
            mime="image/jpeg",
            type="IMAGE",
            created_at=now,
            updated_at=now,
            file_created_at=now - timedelta(days=self.random.randrange(1000)),
            file_modified_at=now,
            local_date_time=now,
            width=10,
        )
        self.immich.assets[asset.id] = asset
        self.all.append(asset)

    def stir(self) -> None:
        """What happens between two pages."""
        self.changes += 1
        if self.changes < 30:
            self.add()
        for asset in self.random.sample(self.all, 20):
            asset.file_created_at = datetime.now(UTC) - timedelta(days=self.random.randrange(1000))


async def test_nothing_is_missed_while_pages_shift(
    immich: ImmichServer,
    ada: User,
    library: Library,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    growing = Growing(immich, ada, monkeypatch)
    start = datetime.now(UTC) - timedelta(days=1)
    await library.change(await library.connection_row(), watch_from=start)
    for n in range(300):
        growing.add(start + timedelta(seconds=1 + 40 * n * (n % 7)))
    searcher = Noticing(connection, library.database, page=20)
    await searcher.poll()
    await searcher.poll()
    assert len(growing.all) > 310
    assert {row.asset_id for row in await library.assets()} == {asset.id for asset in growing.all}


async def test_a_crowd_created_in_one_instant(
    immich: ImmichServer, ada: User, library: Library, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    growing = Growing(immich, ada, monkeypatch)
    instant = immich.store.now()
    for _ in range(50):
        growing.add(instant)
    growing.changes = 1000
    searcher = Noticing(connection, library.database, page=10)
    await searcher.poll()
    assert len(await library.assets()) == 50


async def test_a_long_absence_is_caught_up_piece_by_piece(
    immich: ImmichServer, ada: User, library: Library, connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each piece is remembered: an interruption does not begin again from the start."""
    growing = Growing(immich, ada, monkeypatch)
    growing.changes = 1000
    start = datetime.now(UTC) - timedelta(days=100)
    await library.change(await library.connection_row(), watch_from=start)
    for n in range(100):
        growing.add(start + timedelta(hours=24 * n, minutes=1))
    searcher = Noticing(connection, library.database, page=20)
    real = connection.api.search_assets
    calls = 0

    async def fails_late(*arguments: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == 12:
            raise ImmichAwayError("gone")
        return await real(*arguments, **named)

    monkeypatch.setattr(connection.api, "search_assets", fails_late)
    with pytest.raises(ImmichAwayError):
        await searcher.poll()
    known = len(await library.assets())
    cursor = (await library.connection_row()).created_cursor
    assert 0 < known < 100
    assert cursor is not None
    assert cursor > start + timedelta(days=5)
    await searcher.poll()
    assert len(await library.assets()) == 100


async def test_the_question_for_changes_comes_once_an_hour(
    immich: ImmichServer, ada: User, library: Library, taker: ImmichIntake
) -> None:
    def asked() -> int:
        return len([seen for seen in immich.requests if seen.path == "/api/search/metadata"])

    await taker.tick()
    first = asked()
    await taker.tick()
    assert asked() - first == 2
    row = await library.connection_row()
    assert row.updated_cursor is not None
    await library.change(row, updated_cursor=row.updated_cursor - noticing.UPDATED_EVERY - timedelta(seconds=5))
    second = asked()
    await taker.tick()
    assert asked() - second == 4


async def test_an_idle_round_is_two_questions(immich: ImmichServer, taker: ImmichIntake) -> None:
    await taker.tick()
    before = len(immich.requests)
    await taker.tick()
    assert [seen.path for seen in immich.requests[before:]] == ["/api/search/metadata"] * 2


async def test_an_evicted_original_is_fetched_again(
    immich: ImmichServer, ada: User, library: Library, taker: ImmichIntake
) -> None:
    content = picture(1)
    asset = immich.add_asset(ada, content, "photo.jpg")
    await taker.tick()
    (photo,) = await library.photos()
    path = library.layout.absolute(photo.path or "")
    path.unlink()
    immich.spoil_next_download()
    with pytest.raises(IntegrityError):
        await taker.refetch(photo)
    assert not path.exists()
    assert await taker.refetch(photo) == path
    assert path.read_bytes() == content
    assert not library.downloads_left()
    immich.delete(asset)
    with pytest.raises(ImmichGoneError):
        await taker.refetch(photo)


async def test_what_a_killed_download_left_is_removed(
    immich: ImmichServer, ada: User, library: Library, taker: ImmichIntake
) -> None:
    left = library.layout.data_dir / "cache" / "incoming" / "aa" / "bb" / "photo.jpg"
    left.parent.mkdir(parents=True)
    left.write_bytes(b"half a pho")
    immich.add_asset(ada, picture(1), "photo.jpg")
    await taker.tick()
    assert len(await library.photos()) == 1
    assert not library.downloads_left()


async def test_cancelled_in_the_middle_of_a_download(
    immich: ImmichServer, ada: User, library: Library, taker: ImmichIntake
) -> None:
    immich.add_asset(ada, picture(1), "photo.jpg")
    immich.slow_down("/original$", 120, times=1)
    ticking = asyncio.create_task(taker.tick())
    await until(lambda: immich.delayed, "it is being fetched")
    ticking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await ticking
    assert not library.downloads_left()
    assert (await library.asset("photo.jpg")).state is IntakeState.SEEN
    await taker.tick()
    assert len(await library.photos()) == 1


@pytest.mark.parametrize("mark", [{"is_original": True}, {}])
async def test_what_was_processed_earlier_is_taken_where_its_owner_asks_for_it(
    immich: ImmichServer, ada: User, library: Library, taker: ImmichIntake, *, mark: dict[str, Any]
) -> None:
    asset = immich.add_asset(ada, picture(), "marked.jpg", metadata={marks.KEY: (mark, datetime.now(UTC))})
    await taker.tick()
    assert (await library.asset("marked.jpg")).reason == Skip.PROCESSED_EARLIER
    await taker.ask_for(asset.id)
    await taker.tick()
    row = await library.asset("marked.jpg")
    assert (row.state, row.reason) == (IntakeState.FETCHED, None)
    assert [photo.file_name for photo in await library.photos()] == ["marked.jpg"]


async def test_a_version_of_ours_is_not_taken_although_its_owner_asks_for_it(
    immich: ImmichServer, ada: User, library: Library, taker: ImmichIntake
) -> None:
    asset = immich.add_asset(
        ada, picture(), "marked.jpg", metadata={marks.KEY: ({"is_processed": True}, datetime.now(UTC))}
    )
    await taker.ask_for(asset.id)
    await taker.tick()
    assert (await library.asset("marked.jpg")).reason == Skip.OURS
    assert not downloads(immich)


@pytest.mark.parametrize("status", [408, 502, 503, 504])
async def test_a_file_that_never_gets_through_keeps_no_other_waiting(
    immich: ImmichServer, ada: User, library: Library, taker: ImmichIntake, status: int
) -> None:
    stuck = immich.add_asset(ada, picture(1), "stuck.jpg")
    immich.add_asset(ada, picture(2), "other.jpg")
    immich.answer_next(f"{stuck.id}/original$", status, "<html>too large</html>", times=fetching.ATTEMPTS)
    await taker.tick(patience=0)
    assert [photo.file_name for photo in await library.photos()] == ["other.jpg"]
    assert (await library.asset("stuck.jpg")).attempts == 1
    for _ in range(fetching.ATTEMPTS):
        await due_at_once(library, "stuck.jpg")
        await taker.tick(patience=0)
    row = await library.asset("stuck.jpg")
    assert row.state is IntakeState.FAILED
    assert str(status) in (row.reason or "")


async def test_where_immich_is_away_with_it_no_attempt_at_a_file_is_counted(
    immich: ImmichServer, ada: User, library: Library, taker: ImmichIntake
) -> None:
    immich.add_asset(ada, picture(1), "photo.jpg")
    immich.answer_next("/original$", 503, None, times=1)
    immich.answer_next("/api/server/ping$", 503, None, times=1)
    await taker.tick(patience=0)
    assert (await library.asset("photo.jpg")).attempts == 0
    await taker.tick(patience=0)
    assert len(await library.photos()) == 1
