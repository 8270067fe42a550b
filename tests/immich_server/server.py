"""The server: routes, who may call them, the log of requests, starting, going away and coming back."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path
from typing import Any

from aiohttp import web

from . import keys as keys_module
from .about import About
from .albums import Albums
from .assets import Assets
from .faults import DroppedError, Faults, cut
from .keys import PUBLIC, Keys, check_permission, who
from .media import Media
from .metadata import Metadata
from .problems import RefusedError
from .records import Asset, Key, Stack, Store, User
from .search import Search
from .stacks import Stacks, make_stack
from .upload import Upload, Uploads

Handler = Callable[..., Awaitable[web.StreamResponse]]

#: What still answers while the database is being restored.
MAINTENANCE_PATHS = ("/api/server/ping", "/api/server/version", "/api/server/config")


@dataclass(frozen=True)
class Seen:
    """One request, for tests to look at."""

    method: str
    path: str
    query: dict[str, str]
    #: Names in lower case.
    headers: dict[str, str]
    status: int
    at: datetime


class ImmichServer(Faults):
    """An Immich 3.1.0 that lives in this process; see the package's docstring for what it does not imitate.

    `async with ImmichServer() as server:` starts it on a free port of 127.0.0.1; `server.url` is the address
    without `/api`. Faults are ordered through the methods of `Faults`.
    """

    def __init__(self, *, extraction_delay: float = 0.05, thumbnail_delay: float = 0.05) -> None:
        super().__init__()
        self.store = Store()
        self._uploads = Uploads(self.store, self)
        self._uploads.extraction_delay = extraction_delay
        self._uploads.thumbnail_delay = thumbnail_delay
        self._about = About(self.store)
        self._assets = Assets(self.store)
        self._rooms: list[Any] = [
            self._about,
            Keys(self.store),
            self._uploads,
            Metadata(self.store),
            self._assets,
            Media(self.store, self),
            Stacks(self.store),
            Search(self.store),
            Albums(self.store),
        ]
        self.requests: list[Seen] = []
        self.port = 0
        self._runner: web.AppRunner | None = None
        self._connections: set[asyncio.BaseTransport] = set()

    # ---- starting and stopping

    async def __aenter__(self) -> ImmichServer:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def start(self, port: int = 0, host: str = "127.0.0.1") -> None:
        app = web.Application(middlewares=[self._serve], client_max_size=10 * 1024 * 1024)
        for room in self._rooms:
            for method, path, permission, handler in room.routes:
                app.router.add_route(method, f"/api{path}", self._guarded(permission, handler))
                if method == "GET" and path.endswith("/original"):
                    app.router.add_route("HEAD", f"/api{path}", self._guarded(permission, handler))
        app.router.add_get("/.well-known/immich", self._well_known)
        app.router.add_route("*", "/{tail:.*}", self._unknown)
        app.on_response_prepare.append(self._add_headers)
        # Immich closes an idle connection after 5 seconds.
        self._runner = web.AppRunner(app, keepalive_timeout=5, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, host, port, reuse_address=True)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def stop(self) -> None:
        await self.go_away()
        await self.store.close()

    async def go_away(self) -> None:
        """Cut every connection and stop listening; what was stored stays."""
        for transport in list(self._connections):
            if isinstance(transport, asyncio.Transport):
                transport.abort()
        self._connections.clear()
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def come_back(self) -> None:
        """Listen again on the same port."""
        if self._runner is None:
            await self.start(self.port)

    # ---- users, keys, assets

    def add_user(self, name: str, *, is_admin: bool = False) -> User:
        now = self.store.now()
        user = User(str(uuid.uuid4()), name, f"{name.lower()}@example.test", now, is_admin)
        self.store.users[user.id] = user
        return user

    def add_key(self, user: User, permissions: list[str] | None = None, name: str = "key") -> str:
        """A new API key's secret; without `permissions` it may do everything."""
        return keys_module.make_key(self.store, user, permissions or ["all"], name).secret

    def revoke_key(self, secret: str) -> None:
        del self.store.keys[secret]

    def set_permissions(self, secret: str, permissions: list[str]) -> None:
        self.key(secret).permissions = list(permissions)

    def key(self, secret: str) -> Key:
        return self.store.keys[secret]

    def quota(self, user: User, size: int | None) -> None:
        """Limit what the user may store, in bytes."""
        user.quota_bytes = size

    def add_asset(
        self,
        user: User,
        content: Path | bytes,
        name: str | None = None,
        *,
        ready: bool = True,
        **attributes: Any,
    ) -> Asset:
        """Put an asset there, as if it had been uploaded.

        `attributes` are fields of Asset and win over what the file says (`visibility`, `library_id`,
        `is_edited`, `type`, `live_photo_video_id`, `created_at`, ...). Not `ready`: it is processed later, as
        after an upload.
        """
        if isinstance(content, Path):
            name = name or content.name
        name = name or "photo.jpg"
        path, size, checksum = self.store.keep_file(content, Path(name).suffix.lower())
        asset = self._uploads.new_asset(user, path, size, checksum, name)
        user.used_bytes += size
        if ready:
            self._uploads.extract(asset)
            self._uploads.show(asset)
        for attribute, value in attributes.items():
            if not hasattr(asset, attribute):
                raise TypeError(f"an asset has no {attribute}")
            setattr(asset, attribute, value)
        if asset.id not in self.store.assets:
            self.store.assets = {known.id: known for known in self.store.assets.values()}
        if not ready:
            self._uploads.process_later(asset)
        return asset

    def add_stack(self, *assets: Asset) -> Stack:
        """Stack assets; the first is the primary."""
        return make_stack(self.store, list(assets))

    def trash(self, asset: Asset) -> None:
        self._assets.trash(asset)

    def delete(self, asset: Asset) -> None:
        """Delete an asset for ever, at once."""
        self._assets.forget(asset)

    # ---- looking

    @property
    def routes(self) -> list[tuple[str, str, str]]:
        """Method, path below `/api` and permission of each route."""
        return [(method, path, needs) for room in self._rooms for method, path, needs, _ in room.routes]

    @property
    def assets(self) -> dict[str, Asset]:
        return self.store.assets

    @property
    def stacks(self) -> dict[str, Stack]:
        return self.store.stacks

    @property
    def uploads(self) -> list[Upload]:
        """Every upload that was begun, in order."""
        return self._uploads.received

    def asset_named(self, name: str) -> Asset:
        """The one asset with this file name."""
        (asset,) = [asset for asset in self.assets.values() if asset.name == name]
        return asset

    def stack_of(self, asset: Asset) -> list[Asset]:
        """The assets stacked with this one and itself, the primary first; empty where there is no stack."""
        if asset.stack_id is None:
            return []
        primary = self.stacks[asset.stack_id].primary_asset_id
        members = self.store.members(asset.stack_id, hidden=True)
        return sorted(members, key=lambda member: member.id != primary)

    def metadata_of(self, asset: Asset, key: str) -> dict[str, Any] | None:
        value = asset.metadata.get(key)
        return value[0] if value else None

    async def settled(self) -> None:
        """Wait until all extraction, thumbnails and deletions are done."""
        await self.store.settled()

    def hold_processing(self) -> None:
        """Let uploads wait for their metadata and thumbnails until `go_on_processing`."""
        self.store.may_process.clear()

    def go_on_processing(self) -> None:
        self.store.may_process.set()

    @property
    def maintenance(self) -> bool:
        """Maintenance mode: almost every call is answered 404 `Cannot GET ...`."""
        return self._about.maintenance

    @maintenance.setter
    def maintenance(self, on: bool) -> None:
        self._about.maintenance = on

    # ---- serving

    @web.middleware
    async def _serve(self, request: web.Request, handler: Any) -> web.StreamResponse:
        if request.transport is not None:
            self._connections = {known for known in self._connections if not known.is_closing()}
            self._connections.add(request.transport)
        status = 0
        try:
            response = await self._answer(request)
            status = response.status
            return response
        except DroppedError:
            return web.Response(status=500)
        finally:
            headers = {name.lower(): value for name, value in request.headers.items()}
            self.requests.append(
                Seen(
                    request.method,
                    request.path,
                    dict(request.query),
                    headers,
                    status,
                    datetime.now(UTC),
                )
            )

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        await self.dawdle(request)
        ordered = self.ordered_answer(request)
        if ordered is not None:
            return ordered
        route = request.match_info.handler
        if self.maintenance and request.path.startswith("/api") and request.path not in MAINTENANCE_PATHS:
            route = self._unknown
        try:
            response = await route(request)
        except RefusedError as refusal:
            response = web.json_response(refusal.body, status=refusal.status)
        except web.HTTPRequestEntityTooLarge:
            response = web.json_response({"message": "request entity too large"}, status=413)
        if self.answer_is_lost(request):
            cut(request)
        return response

    def _guarded(self, permission: str, handler: Handler) -> Handler:
        """The handler behind its permission; it gets the request and who sent it."""

        async def serve(request: web.Request) -> web.StreamResponse:
            if permission == PUBLIC:
                return await handler(request, None)
            login = who(request, self.store)
            check_permission(login, permission)
            return await handler(request, login)

        return serve

    async def _add_headers(self, request: web.Request, response: web.StreamResponse) -> None:
        response.headers["Date"] = format_datetime(datetime.now(UTC) + self.store.clock_skew, usegmt=True)
        correlation = request.headers.get("X-Correlation-ID")
        response.headers["X-Correlation-ID"] = correlation or uuid.uuid4().hex

    async def _well_known(self, request: web.Request) -> web.Response:
        return web.json_response({"api": {"endpoint": "/api"}})

    async def _unknown(self, request: web.Request) -> web.Response:
        if request.path.startswith("/api"):
            raise RefusedError(404, f"Cannot {request.method} {request.path}")
        # Outside the API every path is the page of the web application.
        return web.Response(text="", content_type="text/html", headers={"Cache-Control": "no-store"})
