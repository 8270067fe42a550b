"""The way through everything that is in Immich: nothing is lost, nothing comes twice, wherever it is interrupted."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from immich_sidecar.errors import ImmichRefusedError, IntegrityError, NotFoundError
from immich_sidecar.immich.api import Api
from immich_sidecar.immich.backfill import Scope, ScopeKind, Walk
from immich_sidecar.immich.backfill_intake import BackfillIntake
from immich_sidecar.immich.connections import Connection
from immich_sidecar.immich.rules import BACKFILL_CANCELLED, Named, Rule, Rules, Skip
from immich_sidecar.library.tables import BackfillRow, BackfillState, IntakeState
from tests.immich.stage import Library, picture
from tests.immich_server import ImmichServer, User

EVERYTHING = Scope(kind=ScopeKind.LIBRARY)


async def names(walk: Walk, cursor: Any = None) -> list[str]:
    """Names of everything on the way, in its order."""
    found: list[str] = []
    while True:
        step = await walk.step(cursor)
        found += [asset.original_file_name or "" for asset in step.assets]
        cursor = step.cursor
        if cursor is None:
            return found


def now() -> datetime:
    return datetime.now(UTC)


def way(connection: Connection, scope: Scope = EVERYTHING, *, page: int = 1000) -> Walk:
    return Walk(connection.api, connection.user_id or "", scope, until=now() + timedelta(minutes=1), page=page)


async def test_a_large_library_is_gone_through_once(immich: ImmichServer, ada: User, connection: Connection) -> None:
    """Many that came in within hours, and a few that came years before; a page is small for each of them."""
    immich.add_crowd(ada, 10_000, step=timedelta(seconds=3), name="IMG_{}.jpg")
    old = [
        immich.add_asset(
            ada, picture(n), f"old-{n}.jpg", created_at=datetime(2022, 1, 1, tzinfo=UTC) + timedelta(days=n)
        )
        for n in range(5)
    ]
    before = len(immich.requests)
    found = Counter(await names(way(connection, page=100)))
    assert len(found) == 10_000 + len(old)
    assert set(found.values()) == {1}
    asked = len(immich.requests) - before
    assert asked < 4 * 100, f"{asked} requests for 100 full pages"


@pytest.mark.parametrize("seed", range(3))
async def test_nothing_is_lost_while_the_library_changes(
    immich: ImmichServer, ada: User, connection: Connection, seed: int
) -> None:
    """Others delete, add and restack meanwhile; everything that is there from the beginning to the end is met."""
    chance = random.Random(seed)
    base = now() - timedelta(days=400)
    stays, goes = [], []
    for n in range(120):
        # Bursts of one instant are larger than a page.
        moment = base + timedelta(days=chance.choice([0, 0, 0, 1, 100, 300]), seconds=chance.randrange(5))
        made = immich.add_asset(ada, picture(n, edge=8), f"{n}.jpg", created_at=moment)
        (goes if n % 4 == 0 else stays).append(made)
    walk, cursor, found = way(connection, page=7), None, []
    while True:
        step = await walk.step(cursor)
        found += [asset.original_file_name for asset in step.assets]
        cursor = step.cursor
        if cursor is None:
            break
        if goes:
            immich.delete(goes.pop())
        immich.add_asset(
            ada, picture(chance.randrange(10**9), edge=8), "new.jpg", created_at=base + timedelta(days=200)
        )
    assert {asset.name for asset in stays} <= set(found)


async def test_what_came_later_is_none_of_its_business(immich: ImmichServer, ada: User, connection: Connection) -> None:
    immich.add_asset(ada, picture(1), "before.jpg", created_at=now() - timedelta(days=1))
    immich.add_asset(ada, picture(2), "after.jpg", created_at=now() + timedelta(hours=1))
    assert await names(way(connection)) == ["before.jpg"]


async def test_assets_of_partners_are_left_out(immich: ImmichServer, ada: User, connection: Connection) -> None:
    eve = immich.add_user("Eve")
    immich.add_asset(eve, picture(1), "theirs.jpg")
    immich.add_asset(ada, picture(2), "mine.jpg")
    immich.add_partner(eve, ada)
    assert await names(way(connection)) == ["mine.jpg"]


async def test_each_scope(immich: ImmichServer, ada: User, connection: Connection) -> None:
    eve = immich.add_user("Eve")
    made = {
        name: immich.add_asset(
            ada, picture(n), f"{name}.jpg", file_created_at=datetime(2000 + n, 6, 15, 12, tzinfo=UTC)
        )
        for n, name in enumerate(("beach", "beach-2", "forest", "tower"))
    }
    made["archived"] = immich.add_asset(ada, picture(9), "archived.jpg", visibility="archive")
    theirs = immich.add_asset(eve, picture(10), "theirs.jpg")
    album = immich.add_album(ada, "Sea", made["beach"], made["archived"], theirs, roles={eve: "editor"})
    (tag,) = await connection.api.upsert_tags(["sea/best"])
    await connection.api.tag_assets(tag.id or "", [made["forest"].id])

    async def found(**scope: Any) -> set[str]:
        return {name.removesuffix(".jpg") for name in await names(way(connection, Scope(**scope)))}

    assert await found(kind="library") == set(made)
    assert await found(kind="album", album={"id": album.id, "name": "Sea"}) == {"beach", "archived"}
    assert await found(kind="tag", tag="sea") == {"forest"}, "tags below count"
    assert await found(kind="search", query="BEACH") == {"beach", "beach-2"}
    assert await found(kind="dates", taken_after=date(2001, 6, 15), taken_before=date(2002, 6, 15)) == {
        "beach-2",
        "forest",
    }
    assert await found(kind="dates", taken_before=date(2000, 12, 31)) == {"beach"}


async def test_a_search_by_likeness_is_settled_once(immich: ImmichServer, ada: User, connection: Connection) -> None:
    immich.about.smart_search = True
    first = [immich.add_asset(ada, picture(n), f"beach {n}.jpg") for n in range(30)]
    immich.add_asset(ada, picture(99), "forest.jpg")
    walk = way(connection, Scope(kind="search", query="beach", by="likeness", best=28))
    ids = await walk.ids_alike()
    assert len(ids) == 28
    assert set(ids) <= {asset.id for asset in first}
    immich.delete(immich.assets[ids[3]])
    immich.add_asset(ada, picture(100), "beach later.jpg")
    met = await names(walk, {"ids": ids})
    assert len(met) == 27
    immich.about.smart_search = False
    with pytest.raises(ImmichRefusedError):
        await walk.ids_alike()


async def test_what_is_gone_is_said(connection: Connection) -> None:
    nobody = "af9ba5d5-7c49-4ec5-8c2e-9b6c1e1c4b7a"
    for scope in (Scope(kind="tag", tag="none"), Scope(kind="album", album=Named(id=nobody, name="Gone"))):
        with pytest.raises(NotFoundError, match=r"none|Gone"):
            await way(connection, scope).step(None)


@pytest.mark.parametrize(
    "scope",
    [
        {"kind": "album"},
        {"kind": "tag"},
        {"kind": "search"},
        {"kind": "dates"},
        {"kind": "dates", "taken_after": "2024-02-01", "taken_before": "2024-01-01"},
        {"kind": "search", "query": "x", "best": 5000},
        {"kind": "everything"},
    ],
)
def test_a_scope_says_what_it_is_about(scope: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Scope.model_validate(scope)


# ---- noticing


async def begin(library: Library, connection: Connection, rules: Rules, scope: Scope = EVERYTHING) -> BackfillRow:
    async with library.database.transaction() as session:
        row = BackfillRow(
            owner_id="local",
            connection_id=connection.row_id,
            scope=scope.model_dump(mode="json"),
            rules=rules.to_json(),
            state=BackfillState.RUNNING,
            cursor={"until": (now() + timedelta(minutes=1)).isoformat()},
        )
        session.add(row)
    return row


async def again(library: Library, row: BackfillRow) -> BackfillRow:
    async with library.database.reading() as session:
        return await session.get_one(BackfillRow, row.id)


async def notice_all(library: Library, intake: BackfillIntake, row: BackfillRow) -> None:
    while not (await intake.notice(await again(library, row))).done:
        pass


async def test_each_asset_becomes_one_row_wherever_it_is_interrupted(
    immich: ImmichServer, ada: User, library: Library, connection: Connection
) -> None:
    for n in range(40):
        immich.add_asset(ada, picture(n, edge=8), f"{n}.jpg", created_at=now() - timedelta(days=3 * n))
    film = immich.add_asset(ada, b"film", "film.mp4", created_at=now() - timedelta(days=9))
    intake = BackfillIntake(connection, library.database, page=6)
    row = await begin(library, connection, Rules())
    # A step that ran and was not written (the service ended) is repeated; one that runs twice at once writes once.
    stale = await again(library, row)
    await intake.notice(stale)
    count = len(await library.assets())
    assert (await intake.notice(stale)).done is False
    assert len(await library.assets()) == count
    await notice_all(library, intake, row)
    rows = await library.assets()
    assert len(rows) == 41
    assert {one.backfill_id for one in rows} == {row.id}
    assert {one.noticed_by for one in rows} == {"backfill"}
    (skipped,) = [one for one in rows if one.state is IntakeState.SKIPPED]
    assert (skipped.asset_id, skipped.reason) == (film.id, Skip.VIDEO)
    assert (await intake.notice(await again(library, row))).done


async def test_two_backfills_and_a_poll_want_the_same_photo(
    immich: ImmichServer, ada: User, library: Library, connection: Connection
) -> None:
    taker = library.taker(connection)
    immich.add_asset(ada, picture(1), "new.jpg")
    immich.add_asset(ada, picture(2), "old.jpg", created_at=now() - timedelta(days=9))
    await taker.poll()
    intake = BackfillIntake(connection, library.database)
    first, second = await begin(library, connection, Rules()), await begin(library, connection, Rules())
    await notice_all(library, intake, first)
    await notice_all(library, intake, second)
    assert {row.file_name: row.backfill_id for row in await library.assets()} == {"new.jpg": None, "old.jpg": first.id}
    await taker.fetch_due()
    assert [photo.file_name for photo in await library.photos()] == ["new.jpg"], (
        "a backfill's photos are not fetched here"
    )
    await taker.fetch_rows(await library.assets(file_name="old.jpg"))
    old, new = sorted(await library.photos(), key=lambda photo: photo.file_name, reverse=True)
    assert (old.priority, old.backfill_id, new.priority, new.backfill_id) == (-10, first.id, 0, None)


async def test_other_rules_take_what_was_left_alone(
    immich: ImmichServer, ada: User, library: Library, connection: Connection
) -> None:
    taker = library.taker(connection)
    await library.change(await library.connection_row(), rules=Rules(otherwise=Rule(takes=False)).to_json())
    immich.add_asset(ada, picture(1), "a.jpg")
    immich.add_asset(ada, b"film", "film.mp4")
    await taker.tick()
    assert {row.reason for row in await library.assets()} == {Skip.NOT_WANTED, Skip.VIDEO}
    row = await begin(library, connection, Rules(otherwise=Rule(preset="light")))
    await notice_all(library, BackfillIntake(connection, library.database), row)
    (waiting,) = await library.assets(state=IntakeState.SEEN)
    assert (waiting.file_name, waiting.preset, waiting.backfill_id) == ("a.jpg", "light", row.id)
    await taker.fetch_rows([waiting])
    (photo,) = await library.photos()
    assert photo.preset == "light", "the rules of the backfill hold, not those of the connection"


async def test_our_own_versions_are_left_out(
    immich: ImmichServer, ada: User, library: Library, connection: Connection
) -> None:
    from immich_sidecar.immich import marks

    asset = immich.add_asset(ada, picture(1), "ours.jpg")
    asset.metadata[marks.KEY] = ({"is_processed": True}, now())
    row = await begin(library, connection, Rules())
    await notice_all(library, BackfillIntake(connection, library.database), row)
    await library.taker(connection).fetch_rows(await library.assets())
    assert [(one.state, one.reason) for one in await library.assets()] == [(IntakeState.SKIPPED, Skip.OURS)]


async def test_a_pause_between_asking_and_writing_writes_nothing(
    immich: ImmichServer, ada: User, library: Library, connection: Connection
) -> None:
    immich.add_asset(ada, picture(1), "a.jpg")
    row = await begin(library, connection, Rules())
    await library.change(row, state=BackfillState.PAUSED)
    found = await BackfillIntake(connection, library.database).notice(row)
    assert not found.done
    assert not await library.assets()


async def test_what_failed_is_tried_again_after_the_backfill_has_ended(
    immich: ImmichServer, ada: User, library: Library, connection: Connection
) -> None:
    immich.add_asset(ada, picture(1), "a.jpg", created_at=now() - timedelta(days=9))
    taker = library.taker(connection)
    row = await begin(library, connection, Rules())
    await notice_all(library, BackfillIntake(connection, library.database), row)
    await library.change(await library.asset("a.jpg"), state=IntakeState.FAILED, reason="the disk was full")
    assert await taker.retry_failed() == 1
    assert await taker.fetch_due() == 0, "its backfill still runs, and fetches it"
    await library.change(await again(library, row), state=BackfillState.DONE)
    assert await taker.fetch_due() == 1


@pytest.mark.parametrize("arrives", [False, True])
async def test_what_is_on_its_way_when_its_backfill_is_cancelled_is_not_tried_again(
    immich: ImmichServer,
    ada: User,
    library: Library,
    connection: Connection,
    monkeypatch: pytest.MonkeyPatch,
    *,
    arrives: bool,
) -> None:
    immich.add_asset(ada, picture(1), "a.jpg", created_at=now() - timedelta(days=9))
    taker = library.taker(connection)
    row = await begin(library, connection, Rules())
    await notice_all(library, BackfillIntake(connection, library.database), row)
    asset = await library.asset("a.jpg")
    download = Api.download

    async def cancelled_meanwhile(api: Api, *args: Any, **more: Any) -> str:
        await library.change(asset, state=IntakeState.SKIPPED, reason=BACKFILL_CANCELLED)
        await library.change(await again(library, row), state=BackfillState.CANCELLED)
        if not arrives:
            raise IntegrityError("it was cut")
        return await download(api, *args, **more)

    monkeypatch.setattr(Api, "download", cancelled_meanwhile)
    assert await taker.fetch_rows([asset]) == arrives
    kept = await library.asset("a.jpg")
    expected = (IntakeState.FETCHED, None) if arrives else (IntakeState.SKIPPED, BACKFILL_CANCELLED)
    assert (kept.state, kept.reason, kept.due_at) == (*expected, None)
    assert await taker.fetch_due() == 0
    assert len(await library.photos()) == arrives
