"""Connections at work beside the stand-in, with a door for its webhooks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any, cast

from aiohttp import web

from immich_sidecar.immich.api import Api
from immich_sidecar.immich.choices import Choices
from immich_sidecar.immich.connected import Connected, Connections
from immich_sidecar.immich.secrets import Secrets
from immich_sidecar.library.tables import AssetRow, PhotoRow
from immich_sidecar.settings import Settings, load_settings
from immich_sidecar.web import hooks
from immich_sidecar.web.context import CONTEXT
from tests.immich.stage import Library
from tests.immich_server import Asset, ImmichServer, User

PATIENCE = 90.0


class Desk:
    """The connections of one service, which can be started again on the same data directory."""

    def __init__(self, library: Library, immich: ImmichServer, webhook_url: str | None) -> None:
        self.library = library
        self.immich = immich
        self.webhook_url = webhook_url
        #: What was told of changes in Immich.
        self.changes: list[tuple[str, str, list[str]]] = []
        self._running: Connections | None = None
        self.settings: Settings | None = None

    @property
    def connections(self) -> Connections:
        assert self._running is not None
        return self._running

    async def start(self, **variables: Any) -> None:
        library = self.library
        self.settings = load_settings(
            **(
                {"data_dir": library.layout.data_dir, "immich_url": self.immich.url, "webhook_url": self.webhook_url}
                | variables
            )
        )

        async def told(owner: str, change: str, ids: Any) -> None:
            self.changes.append((owner, str(change), list(ids)))

        self._running = Connections(
            self.settings,
            library.database,
            library.layout,
            library.events,
            intake=library.intake,
            space=library.space,
            on_change=told,
        )
        await self._running.start(Secrets.load(self.settings))

    async def stop(self) -> None:
        if self._running is not None:
            running, self._running = self._running, None
            await running.stop()

    async def restart(self, **variables: Any) -> None:
        await self.stop()
        await self.start(**variables)

    async def round(self) -> None:
        """Every connection asks once, and what was found is fetched."""
        await self.connections.tick()
        await self.connections.rounds_over()

    async def connect(self, user: User, *, features: Any = ("webhook", "disconnect"), **choices: Any) -> Connected:
        """As if the user had signed in and consented."""
        token = self.immich.log_in(user)
        api = Api(self.immich.url, session_token=token)
        me = await api.me()
        await api.close()
        one = await self.connections.connect(
            me.id, me, token=token, features=features, choices=Choices(**({"follow_albums": False} | choices))
        )
        await self.connections.rounds_over()
        return one

    async def upload(self, user: User, content: bytes, name: str = "photo.jpg") -> Asset:
        """Another client uploads a photo."""
        path = self.library.layout.data_dir / f"upload-{time.monotonic_ns()}"
        path.write_bytes(content)
        api = Api(self.immich.url, self.immich.add_key(user, ["asset.upload"], "phone"))
        try:
            at = datetime.now(UTC)
            asset_id, _ = await api.upload(
                path, file_name=name, sha1=_sha1(content), created_at=at, modified_at=at, metadata={}
            )
        finally:
            await api.close()
            path.unlink()
        return self.immich.assets[asset_id]

    async def photos(self, user: User, count: int) -> list[PhotoRow]:
        """The photos of a user, as soon as there are so many."""

        async def enough() -> bool:
            return len(await self.library.photos(owner_id=user.id)) >= count

        await until(enough, f"there are {count} photos of {user.name}")
        return await self.library.photos(owner_id=user.id)

    async def rows(self, user: User) -> list[AssetRow]:
        return await self.library.assets(owner_id=user.id)

    def downloads(self) -> list[str]:
        return [seen.path for seen in self.immich.requests if seen.path.endswith("/original")]


@asynccontextmanager
async def open_desk(library: Library, immich: ImmichServer, **variables: Any) -> AsyncIterator[Desk]:
    app = web.Application(client_max_size=1 << 20)
    app.router.add_post("/hooks/immich/{connection}", hooks.receive)
    desk = Desk(library, immich, None)
    # The receiver looks for its connections there, and for nothing else.
    app[CONTEXT] = cast(Any, _Context(desk))
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    desk.webhook_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    await desk.start(**variables)
    try:
        yield desk
    finally:
        await desk.stop()
        await runner.cleanup()


class _Context(SimpleNamespace):
    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk

    @property
    def connections(self) -> Connections | None:
        return self._desk._running


async def until(condition: Callable[[], Any], what: str, patience: float = PATIENCE) -> Any:
    """Wait for something to become true, and give it."""
    end = time.monotonic() + patience
    while True:
        found = condition()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return found
        assert time.monotonic() < end, f"it is still not so that {what}"
        await asyncio.sleep(0.01)


def _sha1(content: bytes) -> str:
    import hashlib

    return hashlib.sha1(content).hexdigest()


__all__ = ["Desk", "open_desk", "until"]
