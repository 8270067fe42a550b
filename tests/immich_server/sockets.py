"""The gateway at `/api/socket.io`: WebSocket only, one room per user, nothing is repeated to who was away."""

from __future__ import annotations

import asyncio
from typing import Any

import socketio
from aiohttp import web

from .keys import WHOLE, Login, check_permission, who
from .problems import RefusedError
from .records import Store, Told

PATH = "/api/socket.io/"


class Sockets:
    """The sockets of one server between a start and a stop.

    A client without a session or a key that has `all` is connected first, then told `error` and disconnected, as in
    Immich: being connected is no success, the first `on_server_version` is.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._server = socketio.AsyncServer(
            async_mode="aiohttp",
            transports=["websocket"],
            cors_allowed_origins="*",
            always_connect=True,
            monitor_clients=False,
        )
        self._server.on("connect", self._connect)
        self._server.on("disconnect", self._disconnect)
        self._queue: asyncio.Queue[Told] = asyncio.Queue()
        self._pump: asyncio.Task[None] | None = None
        #: By socket.
        self._logins: dict[str, Login] = {}

    def open(self, app: web.Application) -> None:
        app.router.add_route("*", PATH, self._handle)
        app.router.add_route("*", PATH.rstrip("/"), self._handle)
        self._pump = asyncio.get_running_loop().create_task(self._send())
        self._store.hearers.append(self._hear)

    async def close(self) -> None:
        self._store.hearers.remove(self._hear)
        if self._pump is not None:
            self._pump.cancel()
            await asyncio.gather(self._pump, return_exceptions=True)
        self._logins.clear()

    async def settled(self) -> None:
        """Wait until every event is on its way."""
        await self._queue.join()

    def listeners(self, user_id: str) -> int:
        """How many sockets of a user hear events."""
        return sum(login.user.id == user_id for login in self._logins.values())

    async def _handle(self, request: web.Request) -> Any:
        if request.query.get("transport") != "websocket":
            return web.json_response({"code": 0, "message": "Transport unknown"}, status=400)
        return await self._server.handle_request(request)

    async def _connect(self, sid: str, environ: dict[str, Any], auth: Any = None) -> None:
        try:
            login = who(environ["aiohttp.request"], self._store, query=False)
            check_permission(login, WHOLE)
        except RefusedError:
            await self._server.emit("error", "unauthorized", to=sid)
            await self._server.disconnect(sid)
            return
        self._logins[sid] = login
        await self._server.enter_room(sid, login.user.id)
        # To all sockets of the user, not only to the new one.
        self._store.tell(login.user, "on_server_version", _version(self._store))

    async def _disconnect(self, sid: str, *_: object) -> None:
        self._logins.pop(sid, None)

    def _hear(self, told: Told) -> None:
        if self._logins:
            self._queue.put_nowait(told)

    async def _send(self) -> None:
        while True:
            told = await self._queue.get()
            try:
                await self._server.emit(told.event, told.args or None, room=told.user.id)
            finally:
                self._queue.task_done()


def _version(store: Store) -> dict[str, Any]:
    major, minor, patch = store.dialect.version
    return {"major": major, "minor": minor, "patch": patch, "prerelease": None}
