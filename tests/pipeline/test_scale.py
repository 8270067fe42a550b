"""A library has a million photos: looking for work reads an index, however many wait, failed or are paused."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert

from immich_sidecar.library import switches
from immich_sidecar.library.database import Database
from immich_sidecar.library.events import EventLog
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.owners import ensure_owner
from immich_sidecar.library.tables import OwnerRow, PhotoRow, Publish, Review, Source, WorkState, now
from immich_sidecar.pipeline.publish_queue import PublishQueue
from immich_sidecar.pipeline.publishing import Publishing
from immich_sidecar.pipeline.work_queue import WorkQueue
from immich_sidecar.settings import Mode


class Nowhere:
    """A target that is never reached."""

    mode = Mode.STACK
    albums = False
    publisher: Any = None

    async def ping(self) -> None:
        raise AssertionError


def _photo(number: int, owner: str = "local", **more: Any) -> dict[str, Any]:
    moment = now() - timedelta(days=1) + timedelta(milliseconds=number)
    values = PhotoRow(
        owner_id=owner,
        sha256=f"{number:064x}",
        sha1=f"{number:040x}",
        size=1,
        file_name="x.jpg",
        source=Source.HOT_FOLDER,
        path="x",
        created_at=moment,
        updated_at=moment,
        state=WorkState.STORED,
        review=Review.NONE,
        original_publish=Publish.NONE,
    ).model_dump()
    return values | more


@pytest.fixture
async def many(tmp_path: Path) -> Any:
    database = Database(tmp_path / "sidecar.db")
    await database.open()
    async with database.transaction() as session:
        for owner in ("local", "ada"):
            await ensure_owner(session, owner)
        connection = await session.connection()
        rows = [_photo(number) for number in range(4000)]
        rows += [_photo(number, failed_at="analyse") for number in range(4000, 6000)]
        rows += [_photo(number, state=WorkState.KEPT) for number in range(6000, 8000)]
        rows.append(_photo(1, "ada"))
        rows.append(_photo(9000, priority=5, created_at=now()))
        await connection.execute(insert(PhotoRow), rows)
    yield database
    await database.close()


async def _plans(database: Database, ask: Any, *, writes: bool = False) -> tuple[Any, list[str]]:
    """What `ask` gives, and how SQLite carries out each of its questions about photos and versions."""
    asked: list[tuple[str, Any]] = []

    def note(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        if "photos" in statement or "versions" in statement:
            asked.append((statement, parameters))

    engine = (database._writer if writes else database._readers).sync_engine  # type: ignore[union-attr]
    event.listen(engine, "before_cursor_execute", note)
    result = await ask()
    event.remove(engine, "before_cursor_execute", note)
    plans = []
    async with database.reading() as session:
        connection = await session.connection()
        for statement, parameters in asked:
            rows = await connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
            plans += [row[3] for row in rows]
    assert plans
    return result, plans


def _reads_indexes(plans: list[str]) -> None:
    for plan in plans:
        assert not plan.startswith(("SCAN photos", "SCAN versions")), plan
        assert "TEMP B-TREE" not in plan, plans


async def test_looking_for_work(many: Database) -> None:
    queue = WorkQueue(many, EventLog(many))
    due, plans = await _plans(many, lambda: queue.due(3))
    _reads_indexes(plans)
    assert [(one.owner_id, int(one.sha256, 16)) for one in due] == [("local", 9000), ("local", 0), ("local", 1)]


async def test_a_paused_owner_hides_nobody(many: Database) -> None:
    async with many.transaction() as session:
        await switches.put(session, "local", "paused", True)
    queue = WorkQueue(many, EventLog(many))
    due, plans = await _plans(many, lambda: queue.due(3))
    _reads_indexes(plans)
    assert [one.owner_id for one in due] == ["ada"]


async def test_a_house_full_of_owners(tmp_path: Path) -> None:
    database = Database(tmp_path / "sidecar.db")
    await database.open()
    owners = [f"owner{number}" for number in range(150)]
    async with database.transaction() as session:
        connection = await session.connection()
        await connection.execute(insert(OwnerRow), [OwnerRow(id=owner, name=owner).model_dump() for owner in owners])
        rows = [_photo(number, owner, priority=number) for number, owner in enumerate(owners)]
        await connection.execute(insert(PhotoRow), rows)
    due = await WorkQueue(database, EventLog(database)).due(2)
    assert [one.owner_id for one in due] == ["owner149", "owner148"]
    await database.close()


async def test_looking_for_something_to_publish(many: Database, tmp_path: Path) -> None:
    events = EventLog(many)
    queue = PublishQueue(many, Publishing(many, Layout(tmp_path), events), lambda: {1: Nowhere()})
    for newest in (False, True):
        due, plans = await _plans(many, lambda newest=newest: queue._due(1, "local", now(), 3, newest=newest))
        _reads_indexes(plans)
        assert due == []
    _, plans = await _plans(many, lambda: queue._next_due(now()))
    _reads_indexes(plans)


async def test_what_was_interrupted_is_found_at_a_start(many: Database) -> None:
    async with many.transaction() as session:
        for number in (0, 6000):
            photo = await session.get_one(PhotoRow, ("local", f"{number:064x}"))
            photo.running = True
            session.add(photo)
    queue = WorkQueue(many, EventLog(many))
    count, plans = await _plans(many, queue.recover, writes=True)
    _reads_indexes(plans)
    assert count == 2
    assert await queue.recover() == 0
