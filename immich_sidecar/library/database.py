"""The SQLite database: opened, brought up to date, and used through sessions.

One connection writes, a few read beside it (write-ahead log). Writers queue in the order in which they came and
hold the database's write lock from their first statement, so what a transaction has read is still true when it
writes. `synchronous=FULL`: what was committed survives a loss of power.
"""

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.util.exc import CommandError as AlembicError
from sqlalchemy import URL, Connection, Engine, create_engine, event, text
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import NullPool
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.errors import DiskFullError, StorageError

#: Connections that read at the same time.
READERS = 4
#: Milliseconds to wait for another process (`verify`, a backup) to let go of the database.
BUSY_TIMEOUT_MS = 30_000
#: Bytes that the write-ahead log may keep on disk after a checkpoint.
LOG_BYTES = 64 << 20

_AFTER_COMMIT = "immich_sidecar.after_commit"
_AFTER_ROLLBACK = "immich_sidecar.after_rollback"
_MIGRATIONS = Path(__file__).with_name("migrations")


class Database:
    """Owns the connections to one SQLite file.

    Parameters
    ----------
    path : Path
        The file; it and its folder are made when missing.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer: AsyncEngine | None = None
        self._readers: AsyncEngine | None = None
        self._turn = asyncio.Lock()

    async def open(self) -> None:
        """Make the file where it is missing and bring its tables up to date.

        Raises
        ------
        StorageError
            If the file cannot be opened, is no database, or was written by a later release.
        """
        await asyncio.to_thread(_migrate, self.path)
        self._writer = _engine(self.path, size=1, writes=True)
        self._readers = _engine(self.path, size=READERS, writes=False)

    async def close(self) -> None:
        """Close all connections; the write-ahead log is folded into the file."""
        if self._readers is not None:
            await self._readers.dispose()
            self._readers = None
        if self._writer is not None:
            async with self._turn:
                await self._writer.dispose()
            self._writer = None

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session that may write; committed at the end of the block, rolled back if it raises.

        Keep the block short and wait for nothing else in it: everybody who writes waits for its end. It must not
        be nested. A cancellation never leaves it open whether the commit happened: the commit is finished first.

        Raises
        ------
        DiskFullError, StorageError
            If SQLite cannot write.
        """
        if self._writer is None:
            raise StorageError(f"{self.path} is not open")
        async with self._turn, AsyncSession(self._writer, expire_on_commit=False) as session:
            with _explained(self.path):
                await session.begin()
                try:
                    yield session
                except BaseException:
                    await _to_the_end(_roll_back(session))
                    raise
                await _to_the_end(_commit(session))

    @asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncSession]:
        """A session that sees one unchanging state of the database and cannot write."""
        if self._readers is None:
            raise StorageError(f"{self.path} is not open")
        async with AsyncSession(self._readers, expire_on_commit=False, autoflush=False) as session:
            with _explained(self.path):
                yield session


def after_commit(session: AsyncSession, call: Callable[[], object]) -> None:
    """Have something done as soon as this transaction is committed, before the next one begins.

    `call` must be quick and must not raise; it is not called if the transaction is rolled back.
    """
    session.info.setdefault(_AFTER_COMMIT, []).append(call)


def after_rollback(session: AsyncSession, call: Callable[[], object]) -> None:
    """Have something done if this transaction is rolled back; like `after_commit`."""
    session.info.setdefault(_AFTER_ROLLBACK, []).append(call)


async def _commit(session: AsyncSession) -> None:
    try:
        await session.commit()
    except BaseException:
        await _roll_back(session)
        raise
    for call in session.info.get(_AFTER_COMMIT, ()):
        call()


async def _roll_back(session: AsyncSession) -> None:
    await session.rollback()
    for call in session.info.get(_AFTER_ROLLBACK, ()):
        call()


async def _to_the_end(work: Coroutine[Any, Any, None]) -> None:
    """Wait for something that a cancellation must not cut in two; the cancellation takes effect after it."""
    task = asyncio.ensure_future(work)
    cancelled = False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            cancelled = True
    task.result()
    if cancelled:
        raise asyncio.CancelledError


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except OperationalError as error:
        code = getattr(error.orig, "sqlite_errorname", "") or ""
        if code.startswith("SQLITE_FULL"):
            raise DiskFullError(f"{path}: no space is left; free some, work goes on by itself") from error
        if code.startswith(("SQLITE_IOERR", "SQLITE_BUSY", "SQLITE_LOCKED", "SQLITE_CANTOPEN", "SQLITE_READONLY")):
            raise StorageError(f"{path}: cannot be read or written ({error.orig})") from error
        raise


class _Connection(sqlite3.Connection):
    """A connection that ends its transaction when it is closed.

    One that is cancelled in a statement is closed while somebody may still hold that statement. Until it is let go
    of, SQLite keeps the connection, and with a transaction that nobody can end any more the lock of all writers.
    """

    def close(self) -> None:
        with suppress(sqlite3.Error):
            self.rollback()
        super().close()


def _engine(path: Path, *, size: int, writes: bool) -> AsyncEngine:
    engine = create_async_engine(
        URL.create("sqlite+aiosqlite", database=str(path)),
        pool_size=size,
        max_overflow=0,
        pool_timeout=BUSY_TIMEOUT_MS / 1000,
        connect_args={"timeout": BUSY_TIMEOUT_MS / 1000, "factory": _Connection},
    )
    _configure(engine.sync_engine, writes=writes, foreign_keys=True)
    return engine


def _configure(engine: Engine, *, writes: bool, foreign_keys: bool) -> None:
    """Set up each new connection, and begin transactions ourselves: the driver would begin them too late."""

    @event.listens_for(engine, "connect")
    def _connected(connection: Any, _record: Any) -> None:
        connection.isolation_level = None
        cursor = connection.cursor()
        try:
            for pragma in (
                f"busy_timeout = {BUSY_TIMEOUT_MS}",
                "journal_mode = WAL",
                "synchronous = FULL",
                f"foreign_keys = {'ON' if foreign_keys else 'OFF'}",
                f"journal_size_limit = {LOG_BYTES}",
                f"query_only = {'OFF' if writes else 'ON'}",
            ):
                cursor.execute(f"PRAGMA {pragma}")
        finally:
            cursor.close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def broken_references(connection: Connection) -> list[str]:
    """The tables of rows that name a row which is missing, one for each such reference."""
    return [row[0] for row in connection.execute(text("PRAGMA foreign_key_check"))]


def _heads(connection: Connection) -> tuple[str, ...]:
    return MigrationContext.configure(connection).get_current_heads()


def _migrate(path: Path) -> None:
    """Bring the tables up to date: all migrations in one transaction, or none."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise StorageError(f"{path.parent}: cannot be made ({error.strerror}); set SIDECAR_DATA_DIR") from error
    # Foreign keys are off while tables are rebuilt, and checked as a whole before the commit.
    engine = create_engine(URL.create("sqlite", database=str(path)), poolclass=NullPool)
    _configure(engine, writes=True, foreign_keys=False)
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            before = _heads(connection)
            command.upgrade(config, "head")
            # That reads everything, so that a start without migrations leaves it to `verify`.
            broken = [] if _heads(connection) == before else broken_references(connection)
            if broken:
                raise StorageError(f"{path}: a row of {broken[0]} names one that is missing; restore a backup")
    except AlembicError as error:
        raise StorageError(
            f"{path}: cannot be brought up to date ({error}); was it written by a later release?"
        ) from error
    except DatabaseError as error:
        raise StorageError(f"{path}: cannot be opened as a database ({error.orig})") from error
    finally:
        engine.dispose()
