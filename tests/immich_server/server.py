"""The server: routes, who may call them, the log of requests, starting, going away and coming back."""

from __future__ import annotations

import asyncio
import json
import re
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from typing import Any

from aiohttp import web

from .about import About
from .albums import Albums
from .assets import Assets
from .dialect import NEWEST, dialect_of
from .edits import Edits
from .faults import DroppedError, Faults, cut
from .given import Given
from .keys import PUBLIC, Keys, check_permission, who
from .media import Media
from .metadata import Metadata
from .notifications import Notifications
from .partners import Partners
from .people import People
from .problems import RefusedError
from .processing import Processing
from .recorded_calls import names_in
from .records import Store, User
from .search import Search
from .second_routes import Second
from .sessions import Sessions
from .sockets import Sockets
from .stacks import Stacks
from .tags import Tags
from .trash import Trash
from .upload import Uploads
from .wire import DIALECT
from .workflows import Workflows

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
    #: Names of the fields of a JSON body; those inside others as `outer.inner`.
    body_names: tuple[str, ...] = ()

    @property
    def route(self) -> str:
        """Method and path with `{id}` in place of ids."""
        return f"{self.method} {_UUID.sub('{id}', self.path)}"


_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class ImmichServer(Faults, Given):
    """An Immich that lives in this process; see the package's docstring for what it does not imitate.

    `version` is what it plays: `dialect.VERSIONS`, the made-up 3.2.0, or any other, which speaks as the one before.
    `async with ImmichServer() as server:` starts it on a free port of 127.0.0.1; `server.url` is the address
    without `/api`. Faults are ordered through the methods of `Faults`.
    """

    def __init__(self, *, version: str = NEWEST, extraction_delay: float = 0.05, thumbnail_delay: float = 0.05) -> None:
        super().__init__()
        self.dialect = dialect_of(version)
        self.store = Store(self.dialect)
        self.processing = Processing(self.store)
        self.processing.extraction_delay = extraction_delay
        self.processing.thumbnail_delay = thumbnail_delay
        self._uploads = Uploads(self.store, self, self.processing)
        self._about = About(self.store)
        self._workflows = Workflows(self.store, self)
        self._sockets: Sockets | None = None
        self._trash = Trash(self.store)
        self._stacks = Stacks(self.store)
        self._rooms: list[Any] = [
            self._about,
            Sessions(self.store, self._about),
            Keys(self.store),
            self._workflows,
            self._uploads,
            Metadata(self.store),
            Assets(self.store, self.processing),
            Media(self.store, self),
            self._stacks,
            Search(self.store, self._about),
            Tags(self.store, self.processing),
            self._trash,
            Edits(self.store, self.processing),
            People(self.store),
            Partners(self.store),
            Notifications(self.store),
            Albums(self.store),
        ]
        if self.dialect.is_second:
            # First, because their paths look like ids.
            self._rooms.insert(0, Second(self.store, self._uploads))
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
        app[DIALECT] = self.dialect
        for room in self._rooms:
            for method, path, permission, handler in room.routes:
                if not self.dialect.has(method, path) and not isinstance(room, Second):
                    continue
                app.router.add_route(method, f"/api{path}", self._guarded(permission, handler))
                if method == "GET" and path.endswith("/original"):
                    app.router.add_route("HEAD", f"/api{path}", self._guarded(permission, handler))
        self._sockets = Sockets(self.store)
        self._sockets.open(app)
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
        if self._sockets is not None:
            await self._sockets.close()
            self._sockets = None

    async def come_back(self) -> None:
        """Listen again on the same port."""
        if self._runner is None:
            await self.start(self.port)

    # ---- looking

    @property
    def routes(self) -> list[tuple[str, str, str]]:
        """Method, path below `/api` and permission of each route."""
        return [
            (method, path, needs)
            for room in self._rooms
            for method, path, needs, _ in room.routes
            if self.dialect.has(method, path) or isinstance(room, Second)
        ]

    def request_counts(self) -> Counter[str]:
        """How many requests came for each route (`GET /api/assets/{id}`) since the log was cleared."""
        return Counter(seen.route for seen in self.requests)

    async def settled(self) -> None:
        """Wait until all extraction, thumbnails, deletions and webhooks are done and events are on their way."""
        await self.store.settled()
        if self._sockets is not None:
            await self._sockets.settled()

    def listeners(self, user: User) -> int:
        """How many sockets hear the events of a user."""
        return self._sockets.listeners(user.id) if self._sockets else 0

    @property
    def oauth_only(self) -> bool:
        """Nobody can log in with a password."""
        return not self._about.password_login

    @oauth_only.setter
    def oauth_only(self, on: bool) -> None:
        self._about.password_login = not on

    @property
    def plugins_loaded(self) -> bool:
        """Whether the core plugin was loaded, which happens some seconds after the first start."""
        return self._workflows.plugins_loaded

    @plugins_loaded.setter
    def plugins_loaded(self, loaded: bool) -> None:
        self._workflows.plugins_loaded = loaded

    def race_stacks(self, seconds: float = 0.05) -> None:
        """Let parallel `POST /stacks` with one primary fail but for one, each taking so long; 0: no longer."""
        self._stacks.racing = seconds

    @property
    def about(self) -> About:
        """What the operator set: `third_party`, `external_domain`, `smart_search`."""
        return self._about

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
        names = await _names_of_body(request)
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
                    names,
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
            try:
                response = await route(request)
            except web.HTTPRequestEntityTooLarge as error:
                raise RefusedError(413, "request entity too large") from error
        except RefusedError as refusal:
            response = web.json_response(self.dialect.refused(refusal), status=refusal.status, headers=refusal.headers)
        else:
            response = self._translated(request, response)
        if self.answer_is_lost(request):
            cut(request)
        return response

    def _translated(self, request: web.Request, response: web.StreamResponse) -> web.StreamResponse:
        """The answer as the version gives it that is played."""
        if not self.dialect.translates or not isinstance(response, web.Response) or not response.body:
            return response
        if response.content_type == "application/json" and response.status < 300 and isinstance(response.body, bytes):
            data = self.dialect.answered(self.store, request, json.loads(response.body))
            response.body = json.dumps(data).encode()
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
        if not self.dialect.gives_back_correlation_ids:
            return
        correlation = request.headers.get("X-Correlation-ID")
        response.headers["X-Correlation-ID"] = correlation or uuid.uuid4().hex

    async def _well_known(self, request: web.Request) -> web.Response:
        return web.json_response({"api": {"endpoint": "/api"}})

    async def _unknown(self, request: web.Request) -> web.Response:
        if request.path.startswith("/api"):
            raise RefusedError(404, f"Cannot {request.method} {request.path}")
        # Outside the API every path is the page of the web application.
        return web.Response(text="", content_type="text/html", headers={"Cache-Control": "no-store"})


async def _names_of_body(request: web.Request) -> tuple[str, ...]:
    if request.content_type != "application/json" or not request.body_exists:
        return ()
    try:
        return tuple(names_in(await request.json()))
    except (ValueError, web.HTTPRequestEntityTooLarge):
        return ()
