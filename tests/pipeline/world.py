"""A house and its Immich: from decisions to what Immich holds, against the stand-in."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from immich_sidecar.errors import ImmichAwayError
from immich_sidecar.immich.choices import Choices
from immich_sidecar.immich.connections import Connection
from immich_sidecar.immich.intake import ImmichIntake
from immich_sidecar.immich.publish import Publisher
from immich_sidecar.library.tables import PhotoRow, Source
from immich_sidecar.settings import Mode
from tests.immich_server import Asset, ImmichServer
from tests.pipeline.house import House, open_house

KEY = "immich-sidecar"


@dataclass
class Target:
    mode: Mode
    albums: bool
    publisher: Publisher
    connection: Connection
    intake: ImmichIntake
    choices: Choices = field(default_factory=Choices)

    async def look_again(self, photo: PhotoRow) -> str | None:
        return await self.intake.look_again(photo)

    async def ping(self) -> None:
        check = await self.connection.check()
        if not check.ok:
            raise ImmichAwayError(check.message or "still away")


@dataclass
class World:
    """A house and its Immich."""

    house: House
    immich: ImmichServer
    user: Any
    key: str
    connection: Connection
    target: Target

    def choose(self, **choices: Any) -> None:
        """Let the user choose otherwise."""
        self.target.choices = self.target.choices.model_copy(update=choices)

    async def done(self) -> None:
        await self.house.settled()
        await self.house.published()

    def asset(self, asset_id: str | None) -> Asset:
        assert asset_id is not None
        return self.immich.assets[asset_id]

    def mark(self, asset_id: str | None) -> dict[str, Any]:
        found = self.immich.metadata_of(self.asset(asset_id), KEY)
        assert found is not None
        return found

    async def stack(self, sha: str) -> tuple[str, ...]:
        """Ids of the stack's members, the primary first."""
        photo = await self.house.photo(sha)
        return tuple(asset.id for asset in self.immich.stack_of(self.asset(photo.immich_asset_id)))

    async def phone(self, content: bytes, name: str = "phone.jpg", **attributes: Any) -> str:
        """A photo that another client uploaded, as the intake takes it; gives its SHA-256."""
        asset = self.immich.add_asset(self.user, content=content, name=name, **attributes)
        path = self.house.inbox / f"download-{name}"
        path.write_bytes(content)
        taken = await self.house.intake.take(
            "local",
            path,
            file_name=name,
            source=Source.IMMICH,
            connection_id=self.connection.row_id,
            immich_asset_id=asset.id,
        )
        return taken.sha256

    async def ids(self, sha: str) -> list[str | None]:
        """Asset ids of the original and of versions 1, 2, ..."""
        versions = await self.house.versions(sha)
        return [(await self.house.photo(sha)).immich_asset_id, *(version.immich_asset_id for version in versions)]


@asynccontextmanager
async def open_world(
    folder: Path,
    mode: Mode = Mode.STACK,
    *,
    albums: bool = False,
    keep_originals: bool = True,
    version: str = "3.1.0",
    uploads: int = 3,
    **choices: Any,
) -> AsyncIterator[World]:
    async with (
        ImmichServer(extraction_delay=0.01, thumbnail_delay=0.01, version=version) as immich,
        open_house(folder, mode=mode, keep_originals=keep_originals, uploads=uploads) as house,
    ):
        user = immich.add_user("Ada")
        key = immich.add_key(user)
        connection = Connection(owner_id="local", url=immich.url, key=key, albums=albums)
        await connection.refresh(house.database, house.events)
        intake = ImmichIntake(connection, house.database, house.intake, house.layout, space=house.space)
        publisher = Publisher(connection, house.database)
        target = Target(mode, albums, publisher, connection, intake, Choices(**choices))
        house.targets[connection.row_id] = target
        yield World(house, immich, user, key, connection, target)
        await connection.close()
