"""A server that answers what it is told to and remembers what it was asked: for calls seen on their own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web


@dataclass
class Asked:
    """One request as it came in."""

    method: str
    #: Without `/api`.
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    #: The parsed JSON; None where there was no body.
    body: Any


@dataclass
class CannedServer:
    """Gives the next of `answers` (status and JSON, or a response) to each request; use it as a context."""

    answers: list[tuple[int, Any] | Callable[[], web.StreamResponse]] = field(default_factory=list)
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    async def __aenter__(self) -> CannedServer:
        app = web.Application()
        app.router.add_route("*", "/api/{tail:.*}", self._serve)
        self._runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        body = await request.json() if request.can_read_body else None
        self.asked.append(
            Asked(request.method, request.path.removeprefix("/api"), dict(request.query), dict(request.headers), body)
        )
        answer = self.answers.pop(0)
        if callable(answer):
            return answer()
        status, content = answer
        if content is None:
            return web.Response(status=status)
        return web.json_response(content, status=status)
