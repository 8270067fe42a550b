"""Fixtures of this room; `stage` has the parts."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from immich_sidecar.immich.connections import Connection
from immich_sidecar.immich.intake import ImmichIntake
from immich_sidecar.immich.publish import Publisher
from tests.immich.stage import Library, connect, open_library
from tests.immich_server import ImmichServer, User


@pytest.fixture
async def immich() -> AsyncIterator[ImmichServer]:
    async with ImmichServer(extraction_delay=0.01, thumbnail_delay=0.01) as running:
        yield running


@pytest.fixture
def ada(immich: ImmichServer) -> User:
    return immich.add_user("Ada")


@pytest.fixture
def key(immich: ImmichServer, ada: User) -> str:
    return immich.add_key(ada)


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[Library]:
    async with open_library(tmp_path / "data") as opened:
        yield opened


@pytest.fixture
async def connection(immich: ImmichServer, key: str, library: Library) -> AsyncIterator[Connection]:
    """Checked, and so watching from now on."""
    made = connect(immich, key)
    await made.refresh(library.database, library.events)
    yield made
    await made.close()


@pytest.fixture
def taker(library: Library, connection: Connection) -> ImmichIntake:
    return library.taker(connection)


@pytest.fixture
def publisher(library: Library, connection: Connection) -> Publisher:
    return library.publisher(connection)
