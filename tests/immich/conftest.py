"""Fixtures of this room; `stage` has the parts."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from immich_sidecar.immich.connections import Connection
from immich_sidecar.immich.intake import ImmichIntake
from immich_sidecar.immich.publish import Publisher
from tests.immich.desk import Desk, open_desk
from tests.immich.stage import Library, connect, open_library
from tests.immich_server import ImmichServer, User
from tests.immich_server.dialect import tested_versions
from tests.immich_server.recorded_calls import undeclared


@pytest.fixture(params=tested_versions())
def immich_version(request: pytest.FixtureRequest) -> str:
    """Each version that is supported; every test that meets an Immich meets all of them."""
    return str(request.param)


@pytest.fixture
async def immich(immich_version: str) -> AsyncIterator[ImmichServer]:
    async with ImmichServer(version=immich_version, extraction_delay=0.01, thumbnail_delay=0.01) as running:
        yield running
        assert not undeclared(running), "asked for what openapi/immich.yaml does not declare"


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


@pytest.fixture
async def desk(library: Library, immich: ImmichServer) -> AsyncIterator[Desk]:
    """Connections at work, so far nobody's."""
    async with open_desk(library, immich) as opened:
        yield opened
