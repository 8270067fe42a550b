"""JPEGs that wait for a RAW file of Immich's which then cannot be taken: they are photos of their own."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from immich_sidecar.immich import fetching, pairs
from immich_sidecar.immich.backfill_intake import BackfillIntake
from immich_sidecar.immich.connections import Connection
from immich_sidecar.immich.intake import ImmichIntake
from immich_sidecar.immich.pairs import Found
from immich_sidecar.immich.rules import BACKFILL_CANCELLED, Rules
from immich_sidecar.library.tables import AssetRow, BackfillRow, IntakeState
from immich_sidecar.pipeline.backfill_bench import Bench
from immich_sidecar.pipeline.backfills import Backfills
from tests.immich.stage import Library
from tests.immich.test_backfill import begin, notice_all
from tests.immich_server import Asset, ImmichServer, User
from tests.photos import shots
from tests.web.shelf import HereExecutor


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave a JPEG alone without waiting for its RAW file to be fetched, and fetch one thing after the other."""
    monkeypatch.setattr(pairs, "PATIENCE", pairs.PATIENCE * 0)
    monkeypatch.setattr(fetching, "FIRST_WAIT_SECONDS", 0.01)
    monkeypatch.setattr("immich_sidecar.immich.intake.DOWNLOADS", 1)


def a_pair(immich: ImmichServer, user: User, raw: bytes) -> tuple[Asset, Asset]:
    """A JPEG and what should be its RAW file, read by Immich, in this order."""
    jpeg = immich.add_asset(user, shots.jpeg(7), "IMG_7.JPG")
    # Within a millisecond there would be no order.
    later = jpeg.created_at + timedelta(milliseconds=10)
    return jpeg, immich.add_asset(user, raw, "IMG_7.DNG", created_at=later, exif=dict(jpeg.exif))


async def states(library: Library) -> dict[str, str]:
    return {row.file_name: row.state.value for row in await library.assets()}


async def test_the_jpeg_of_a_raw_file_that_cannot_be_read_is_a_photo(
    immich: ImmichServer, ada: User, library: Library, taker: ImmichIntake, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_pair(immich, ada, b"rubbish" * 99)
    fetched: list[str] = []
    fetch = taker._fetching.fetch

    async def seen(row: Any, sight: Any = None) -> bool:
        result = await fetch(row, sight)
        fetched.append(f"{row.file_name}: {(await library.asset(row.file_name)).reason}")
        return result

    monkeypatch.setattr(taker._fetching, "fetch", seen)
    await taker.tick()
    # It was left alone at first.
    assert fetched[0] == "IMG_7.JPG: JPEG of IMG_7.DNG"
    assert (await library.asset("IMG_7.DNG")).state in (IntakeState.FAILED, IntakeState.SKIPPED)
    row = await library.asset("IMG_7.JPG")
    assert (row.state, row.reason) == (IntakeState.FETCHED, None)
    assert [photo.file_name for photo in await library.photos()] == ["IMG_7.JPG"]


async def test_the_jpeg_of_a_raw_file_that_never_arrives_is_a_photo(
    immich: ImmichServer, ada: User, library: Library, taker: ImmichIntake, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetching, "ATTEMPTS", 2)
    _, raw = a_pair(immich, ada, shots.raw(7))
    immich.answer_next(f"{raw.id}/original", 500, {"message": "broken"}, times=None)
    for _ in range(3):
        await taker.fetch_due(patience=0.5) if await library.assets() else await taker.tick()
    assert await states(library) == {"IMG_7.JPG": "fetched", "IMG_7.DNG": "failed"}


async def test_a_raw_file_that_fails_just_when_its_jpeg_is_left_alone(
    immich: ImmichServer, ada: User, library: Library, taker: ImmichIntake, monkeypatch: pytest.MonkeyPatch
) -> None:
    a_pair(immich, ada, shots.raw(7))
    raw_of = taker._pairs.raw_of

    async def fails_meanwhile(row: Any, asset: Any) -> Found | None:
        found = await raw_of(row, asset)
        if found is not None:
            await library.change(await library.asset("IMG_7.DNG"), state=IntakeState.FAILED)
        return found

    monkeypatch.setattr(taker._pairs, "raw_of", fails_meanwhile)
    await taker.tick()
    assert (await states(library))["IMG_7.JPG"] == "fetched"


async def test_the_jpeg_of_a_raw_file_that_is_taken_stays_as_it_is(
    immich: ImmichServer, ada: User, library: Library, taker: ImmichIntake
) -> None:
    a_pair(immich, ada, shots.raw(7))
    await taker.tick()
    assert await states(library) == {"IMG_7.JPG": "skipped", "IMG_7.DNG": "fetched"}
    assert [photo.file_name for photo in await library.photos()] == ["IMG_7.DNG"]


class Nowhere:
    """No connection works, so that no backfill goes on by itself."""

    def of_id(self, connection_id: int | None) -> None:
        return None

    def of_owner(self, owner_id: str) -> None:
        return None


async def cancel(library: Library, backfill: BackfillRow) -> None:
    bench = Bench(library.database, library.events, library.layout, HereExecutor(), Nowhere(), 1, 0)
    await Backfills(bench).command("local", backfill.id or 0, "cancel")


async def test_the_jpeg_of_a_raw_file_whose_backfill_is_cancelled_is_a_photo(
    immich: ImmichServer, ada: User, library: Library, connection: Connection, taker: ImmichIntake
) -> None:
    jpeg = immich.add_asset(ada, shots.jpeg(7), "IMG_7.JPG")
    long_ago = jpeg.created_at - timedelta(days=9)
    immich.add_asset(ada, shots.raw(7), "IMG_7.DNG", created_at=long_ago, exif=dict(jpeg.exif))
    await taker.poll()
    backfill = await begin(library, connection, Rules())
    await notice_all(library, BackfillIntake(connection, library.database), backfill)
    await taker.fetch_due()
    assert await states(library) == {"IMG_7.JPG": "skipped", "IMG_7.DNG": "seen"}
    await cancel(library, backfill)
    await taker.fetch_due()
    assert await states(library) == {"IMG_7.JPG": "fetched", "IMG_7.DNG": "skipped"}
    assert [photo.file_name for photo in await library.photos()] == ["IMG_7.JPG"]


async def test_a_pair_whose_backfill_is_cancelled_is_left_where_it_is(
    immich: ImmichServer, ada: User, library: Library, connection: Connection, taker: ImmichIntake
) -> None:
    long_ago = datetime.now(UTC) - timedelta(days=9)
    jpeg = immich.add_asset(ada, shots.jpeg(7), "IMG_7.JPG", created_at=long_ago)
    immich.add_asset(ada, shots.raw(7), "IMG_7.DNG", created_at=long_ago, exif=dict(jpeg.exif))
    backfill = await begin(library, connection, Rules())
    await notice_all(library, BackfillIntake(connection, library.database), backfill)
    await taker.fetch_rows([await library.asset("IMG_7.JPG")])
    assert (await library.asset("IMG_7.JPG")).reason == "JPEG of IMG_7.DNG"
    await cancel(library, backfill)
    await taker.fetch_due()
    assert await library.photos() == []
    # So another backfill may take the JPEG alone.
    assert {(row.state, row.reason) for row in await library.assets()} == {(IntakeState.SKIPPED, BACKFILL_CANCELLED)}


async def test_among_many_shots_of_one_name_the_raw_file_is_found(
    immich: ImmichServer, ada: User, library: Library, taker: ImmichIntake
) -> None:
    """Cameras begin again after 9999, and two of them count alike."""
    connection = await library.connection_row()
    async with library.database.transaction() as session:
        session.add_all(
            AssetRow(
                owner_id=connection.owner_id,
                connection_id=connection.id or 0,
                asset_id=str(uuid4()),
                file_name=f"IMG_7.{ending}",
                state=IntakeState.FETCHED,
                noticed_by="poll",
            )
            for ending in ("DNG", "JPG")
            for _ in range(pairs.MOST_OF_A_NAME + 5)
        )
    a_pair(immich, ada, shots.raw(7))
    await taker.tick()
    assert [photo.file_name for photo in await library.photos()] == ["IMG_7.DNG"]
