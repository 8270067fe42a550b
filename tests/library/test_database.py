"""The database: its tables, its promises about writing, its errors."""

import asyncio
import contextlib
import random
import sqlite3
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import IntegrityError as ConstraintError
from sqlmodel import SQLModel, select

from immich_sidecar.errors import StorageError
from immich_sidecar.library import owners, switches
from immich_sidecar.library.database import Database, after_commit, after_rollback
from immich_sidecar.library.tables import OwnerRow
from tests.library.parts import Library, photo_row


def _schema(path: Path) -> dict[str, object]:
    """Tables, columns, indexes, uniques and foreign keys, in a form that can be compared."""
    with sqlite3.connect(path) as connection:
        found: dict[str, object] = {}
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        for (name,) in names:
            if name.startswith(("sqlite_", "alembic_")):
                continue
            columns = connection.execute(f"PRAGMA table_info({name})").fetchall()
            found[name] = {row[1]: row[2:] for row in columns}
            keys = connection.execute(f"PRAGMA foreign_key_list({name})").fetchall()
            found[f"{name} foreign keys"] = sorted(row[2:] for row in keys)
            for index in connection.execute(f"PRAGMA index_list({name})").fetchall():
                parts = connection.execute(f"PRAGMA index_xinfo({index[1]})").fetchall()
                # Name, direction and collation of each column, in order; automatic names differ.
                label = "unique" if index[1].startswith("sqlite_autoindex") else index[1]
                key = f"{name} {label} {[row[2:5] for row in parts]}"
                found[key] = index[2:]
        found["autoincrement"] = {
            row[0]
            for row in connection.execute("SELECT name FROM sqlite_master WHERE sql LIKE '%AUTOINCREMENT%'").fetchall()
        }
        partial = connection.execute("SELECT name, sql FROM sqlite_master WHERE sql LIKE '% WHERE %'").fetchall()
        found["partial"] = {name: sql.split(" WHERE ")[1] for name, sql in partial}
    return found


async def test_migrations_lead_to_the_tables_of_the_code(tmp_path: Path) -> None:
    database = Database(tmp_path / "migrated.db")
    await database.open()
    await database.close()
    engine = create_engine(f"sqlite:///{tmp_path / 'made.db'}")
    SQLModel.metadata.create_all(engine)
    engine.dispose()
    migrated = _schema(tmp_path / "migrated.db")
    assert migrated == _schema(tmp_path / "made.db")
    assert {"photos", "versions", "recipes", "uploads", "processing_history", "events"} <= set(migrated)


async def test_every_table_has_an_owner() -> None:
    for table in SQLModel.metadata.sorted_tables:
        assert table.name == "owners" or not table.c.owner_id.nullable, table.name


async def test_opening_again_keeps_everything(tmp_path: Path) -> None:
    for name in ("a", "b"):
        database = Database(tmp_path / "new" / "x.db")
        await database.open()
        async with database.transaction() as session:
            await owners.ensure_owner(session, name)
        async with database.reading() as session:
            known = [row.id for row in await owners.owners(session)]
        await database.close()
    assert known == ["a", "b"]
    assert [entry.name for entry in (tmp_path / "new").iterdir()] == ["x.db"]  # no log left behind


async def test_a_folder_of_any_name_holds_its_own_database(tmp_path: Path) -> None:
    path = tmp_path / "photos? 100% #1" / "sidecar.db"
    database = Database(path)
    await database.open()
    await database.close()
    assert path.is_file()


async def test_settings_of_every_connection(library: Library) -> None:
    wanted = {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1, "busy_timeout": 30000}
    async with library.database.transaction() as session:
        for name, value in wanted.items():
            assert (await (await session.connection()).execute(text(f"PRAGMA {name}"))).scalar() == value, name
    async with library.database.reading() as session:
        for name, value in wanted.items():
            assert (await (await session.connection()).execute(text(f"PRAGMA {name}"))).scalar() == value, name


async def test_a_transaction_is_all_or_nothing(library: Library) -> None:
    async def fails() -> None:
        async with library.database.transaction() as session:
            session.add(photo_row(1))
            await session.flush()
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        await fails()
    assert await library.photo("local", photo_row(1).sha256) is None


async def test_readers_cannot_write_and_see_one_state(library: Library) -> None:
    async with library.database.reading() as before:
        assert len(await owners.owners(before)) == 2
        async with library.database.transaction() as session:
            await owners.ensure_owner(session, "third")
        assert len((await (await before.connection()).execute(text("SELECT id FROM owners"))).all()) == 2
    with pytest.raises(StorageError):
        async with library.database.reading() as session:
            await (await session.connection()).execute(text("DELETE FROM owners"))


async def test_what_a_writer_read_is_still_true_when_it_writes(library: Library) -> None:
    async with library.database.transaction() as session:
        await switches.put(session, "local", "count", 0)

    async def add_one() -> None:
        async with library.database.transaction() as session:
            count = await switches.get(session, "local", "count")
            await asyncio.sleep(0)
            await switches.put(session, "local", "count", count + 1)

    await asyncio.gather(*(add_one() for _ in range(40)))
    async with library.database.reading() as session:
        assert await switches.get(session, "local", "count") == 40


async def test_another_process_may_write_too(library: Library) -> None:
    """A writer of another process holds the lock for a moment: ours waits and succeeds."""
    other = sqlite3.connect(library.database.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    other.execute("INSERT INTO owners VALUES ('other', 'Other', '2024-01-01 00:00:00.000000')")

    async def ours() -> None:
        async with library.database.transaction() as session:
            await owners.ensure_owner(session, "ours")

    task = asyncio.create_task(ours())
    await asyncio.sleep(0.2)
    assert not task.done()
    other.execute("COMMIT")
    other.close()
    await task
    async with library.database.reading() as session:
        assert {"other", "ours"} <= {row.id for row in await owners.owners(session)}


async def test_rows_must_name_what_exists(library: Library) -> None:
    with pytest.raises(ConstraintError, match="FOREIGN KEY"):
        async with library.database.transaction() as session:
            session.add(photo_row(1, owner="nobody"))


async def test_the_same_photo_twice_is_refused_within_an_owner_only(library: Library) -> None:
    async with library.database.transaction() as session:
        session.add(photo_row(1))
        session.add(photo_row(1, owner="anna"))
    with pytest.raises(ConstraintError, match="UNIQUE"):
        async with library.database.transaction() as session:
            session.add(photo_row(1))


async def test_calls_after_the_end_of_a_transaction(library: Library) -> None:
    calls: list[str] = []
    async with library.database.transaction() as session:
        after_commit(session, lambda: calls.append("committed"))
        after_rollback(session, lambda: calls.append("wrong"))
        assert not calls
    assert calls == ["committed"]

    async def fails() -> None:
        async with library.database.transaction() as session:
            after_commit(session, lambda: calls.append("wrong"))
            after_rollback(session, lambda: calls.append("rolled back"))
            raise RuntimeError("half way")

    with pytest.raises(RuntimeError):
        await fails()
    assert calls == ["committed", "rolled back"]


async def test_a_cancelled_task_has_committed_or_not_but_never_half(library: Library) -> None:
    """Cancelled at many moments, the call after the commit ran exactly where the row is there."""
    told: set[str] = set()

    async def write(name: str) -> None:
        async with library.database.transaction() as session:
            session.add(OwnerRow(id=name, name=name))
            after_commit(session, lambda: told.add(name))

    for number in range(60):
        task = asyncio.create_task(write(f"o{number}"))
        for _ in range(number):
            await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    async with library.database.reading() as session:
        there = {row.id for row in await owners.owners(session)} - {"local", "anna"}
    assert there == told
    async with library.database.transaction() as session:
        await owners.ensure_owner(session, "still-works")


async def test_who_is_cancelled_in_a_statement_locks_nobody_out(library: Library) -> None:
    chance = random.Random(3)

    async def write(name: str) -> None:
        async with library.database.transaction() as session:
            await session.exec(select(OwnerRow))
            session.add(OwnerRow(id=name, name=name))
            await session.flush()

    for number in range(150):
        tasks = [asyncio.create_task(write(f"cancelled-{number}-{which}")) for which in range(2)]
        await asyncio.sleep(0.012 * chance.random())
        for task in tasks:
            task.cancel()
        # What is kept of a task, as here, keeps its last statement from being let go of.
        held = await asyncio.gather(*tasks, return_exceptions=True)
        with contextlib.closing(sqlite3.connect(library.database.path, timeout=10, isolation_level=None)) as another:
            another.execute("BEGIN IMMEDIATE")
            another.execute("ROLLBACK")
        del held


async def test_owner_ids(library: Library) -> None:
    async with library.database.transaction() as session:
        assert (await owners.ensure_owner(session, "anna", "Somebody else")).name == "Anna"
        for wrong in ("Anna", "a/b", "..", ""):
            with pytest.raises(Exception, match=r"capitals|cannot name"):
                await owners.ensure_owner(session, wrong)


async def test_switches_hold_json_per_owner(library: Library) -> None:
    async with library.database.transaction() as session:
        await switches.put(session, "local", "albums", {"a": [1, None]})
        await switches.put(session, "local", "albums", {"b": 2})
        await switches.put(session, "anna", "albums", None)
    async with library.database.reading() as session:
        assert await switches.get(session, "local", "albums") == {"b": 2}
        assert await switches.get(session, "anna", "albums", "default") is None
        assert await switches.get(session, "anna", "other", "default") == "default"


async def test_what_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "x.db").write_bytes(b"this is a text file and no database at all" * 10)
    with pytest.raises(StorageError, match=r"x\.db"):
        await Database(tmp_path / "x.db").open()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="SIDECAR_DATA_DIR"):
        await Database(tmp_path / "file" / "x.db").open()


async def test_a_database_of_a_later_release_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "x.db"
    database = Database(path)
    await database.open()
    await database.close()
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
    before = path.read_bytes()
    with pytest.raises(StorageError, match="later release"):
        await Database(path).open()
    assert path.read_bytes() == before
