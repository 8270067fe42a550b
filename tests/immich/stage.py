"""What the tests of this room work with: a library, a connection to the stand-in, and pictures."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image
from sqlmodel import select

from immich_sidecar.immich.connections import Connection
from immich_sidecar.immich.intake import ImmichIntake
from immich_sidecar.immich.publish import Publisher
from immich_sidecar.library.database import Database
from immich_sidecar.library.events import EventLog
from immich_sidecar.library.intake import Intake
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.space import Space
from immich_sidecar.library.tables import AssetRow, ConnectionRow, PhotoRow
from tests.immich_server import ImmichServer

TAKEN = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
NOBODY = "00000000-0000-4000-8000-000000000000"


def picture(seed: int = 0, *, edge: int = 48) -> bytes:
    """A small JPEG; another seed gives other bytes."""
    noise = np.random.default_rng(seed).integers(0, 255, (edge, edge, 3), np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


@dataclass
class Library:
    """A data directory that is open."""

    database: Database
    layout: Layout
    events: EventLog
    space: Space
    intake: Intake

    def taker(self, connection: Connection) -> ImmichIntake:
        return ImmichIntake(connection, self.database, self.intake, self.layout, space=self.space, events=self.events)

    def publisher(self, connection: Connection) -> Publisher:
        return Publisher(connection, self.database)

    async def assets(self, **equal: Any) -> list[AssetRow]:
        return await self._rows(AssetRow, equal)

    async def asset(self, name: str) -> AssetRow:
        (row,) = await self.assets(file_name=name)
        return row

    async def photos(self, **equal: Any) -> list[PhotoRow]:
        return await self._rows(PhotoRow, equal)

    async def connection_row(self, owner: str = "local") -> ConnectionRow:
        (row,) = await self._rows(ConnectionRow, {"owner_id": owner})
        return row

    async def change(self, row: Any, **values: Any) -> None:
        async with self.database.transaction() as session:
            current = await session.merge(row)
            for name, value in values.items():
                setattr(current, name, value)
            session.add(current)

    async def _rows(self, table: Any, equal: dict[str, Any]) -> list[Any]:
        async with self.database.reading() as session:
            query = select(table)
            for name, value in equal.items():
                query = query.where(getattr(table, name) == value)
            return list((await session.exec(query)).all())

    def downloads_left(self) -> list[Path]:
        """What nobody removed of downloads."""
        return [path for path in (self.layout.data_dir / "cache" / "incoming").rglob("*") if path.is_file()]


#: A database without rows, so that not every test makes all tables anew.
_EMPTY: dict[str, bytes] = {}


async def _empty_database() -> bytes:
    if "made" not in _EMPTY:
        with TemporaryDirectory() as folder:
            database = Database(Path(folder) / "empty.db")
            await database.open()
            await database.close()
            _EMPTY["made"] = (Path(folder) / "empty.db").read_bytes()
    return _EMPTY["made"]


@asynccontextmanager
async def open_library(folder: Path) -> AsyncIterator[Library]:
    layout = Layout(folder)
    database = Database(layout.database)
    layout.database.parent.mkdir(parents=True, exist_ok=True)
    if not layout.database.exists():
        layout.database.write_bytes(await _empty_database())
    await database.open()
    events = EventLog(database)
    space = Space(folder, 0)
    try:
        yield Library(database, layout, events, space, Intake(database, layout, events, space))
    finally:
        await database.close()


def connect(server: ImmichServer, key: str, owner: str = "local", *, albums: bool = False) -> Connection:
    return Connection(owner_id=owner, url=server.url, key=key, albums=albums)


def set_clock(server: ImmichServer, skew: timedelta) -> None:
    """Let the server's clock be wrong by so much, also backwards."""
    server.store.clock_skew = skew
    server.store._last = datetime.now(UTC) + skew
