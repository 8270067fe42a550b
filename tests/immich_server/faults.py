"""What can go wrong on purpose."""

from __future__ import annotations

import asyncio
import re
from dataclasses import dataclass
from typing import Any

from aiohttp import web


@dataclass
class _Answer:
    method: str | None
    pattern: re.Pattern[str]
    status: int
    body: Any
    headers: dict[str, str]
    #: None: for ever.
    left: int | None


@dataclass
class _Slowness:
    pattern: re.Pattern[str]
    wait: float | asyncio.Event
    left: int | None


class DroppedError(Exception):
    """The connection was cut on purpose; there is nobody to answer."""


def cut(request: web.Request) -> None:
    """Cut the connection of a request so that the client sees a reset. Raises DroppedError."""
    if request.transport is not None:
        request.transport.abort()
    raise DroppedError


class Faults:
    """Faults that tests order; paths are regular expressions searched in the path (`/api/...`)."""

    def __init__(self) -> None:
        self._answers: list[_Answer] = []
        self._lost: list[_Answer] = []
        self._slow: list[_Slowness] = []
        #: Paths of the requests that were made to wait, from the moment on that they began to.
        self.delayed: list[str] = []
        self._cut_upload: int | None = None
        self._cut_download: int | None = None
        self._spoil = 0
        self._lost_webhooks = 0

    def answer_next(
        self,
        path: str,
        status: int,
        body: Any = None,
        *,
        method: str | None = None,
        times: int | None = 1,
        headers: dict[str, str] | None = None,
    ) -> None:
        """Answer the next `times` requests to `path` (None: all) so, without doing anything.

        A body that is no text is sent as JSON; text as HTML, as proxies do.
        """
        self._answers.append(_Answer(method, re.compile(path), status, body, headers or {}, times))

    def lose_answer_next(self, path: str, *, method: str | None = None, times: int | None = 1) -> None:
        """Do what the next requests to `path` ask for, then cut the connection instead of answering."""
        self._lost.append(_Answer(method, re.compile(path), 0, None, {}, times))

    def slow_down(self, path: str, seconds: float, *, times: int | None = None) -> None:
        """Wait before handling requests to `path`."""
        self._slow.append(_Slowness(re.compile(path), seconds, times))

    def hold(self, path: str, *, times: int | None = None) -> asyncio.Event:
        """Handle requests to `path` only once the event that is given is set."""
        gate = asyncio.Event()
        self._slow.append(_Slowness(re.compile(path), gate, times))
        return gate

    def cut_upload_after(self, received: int) -> None:
        """Cut the next upload once so many bytes of its file have arrived."""
        self._cut_upload = received

    def cut_download_after(self, sent: int) -> None:
        """Cut the next download of an original once so many bytes have been sent."""
        self._cut_download = sent

    def spoil_next_download(self) -> None:
        """Send one wrong byte in the next download of an original."""
        self._spoil = 1

    def lose_webhooks(self, count: int) -> None:
        """Never send the next webhooks."""
        self._lost_webhooks = count

    def webhook_is_lost(self) -> bool:
        if not self._lost_webhooks:
            return False
        self._lost_webhooks -= 1
        return True

    def no_faults(self) -> None:
        """Behave again."""
        Faults.__init__(self)

    def ordered_answer(self, request: web.Request) -> web.Response | None:
        answer = _take(self._answers, request)
        if answer is None:
            return None
        if isinstance(answer.body, str):
            return web.Response(
                status=answer.status, text=answer.body, content_type="text/html", headers=answer.headers
            )
        if answer.body is None:
            return web.Response(status=answer.status, headers=answer.headers)
        return web.json_response(answer.body, status=answer.status, headers=answer.headers)

    def answer_is_lost(self, request: web.Request) -> bool:
        return _take(self._lost, request) is not None

    async def dawdle(self, request: web.Request) -> None:
        for slowness in self._slow:
            if slowness.left != 0 and slowness.pattern.search(request.path):
                if slowness.left is not None:
                    slowness.left -= 1
                self.delayed.append(request.path)
                if isinstance(slowness.wait, asyncio.Event):
                    await slowness.wait.wait()
                else:
                    await asyncio.sleep(slowness.wait)

    def maybe_cut_upload(self, request: web.Request, received: int) -> None:
        if self._cut_upload is not None and received >= self._cut_upload:
            self._cut_upload = None
            cut(request)

    def maybe_cut_download(self, request: web.Request, sent: int) -> None:
        if self._cut_download is not None and sent >= self._cut_download:
            self._cut_download = None
            cut(request)

    def spoil_download(self, chunk: bytes) -> bytes:
        if not self._spoil:
            return chunk
        self._spoil = 0
        return chunk[:-1] + bytes([chunk[-1] ^ 1])


def _take(answers: list[_Answer], request: web.Request) -> _Answer | None:
    for answer in answers:
        if answer.left == 0 or answer.method not in (None, request.method):
            continue
        if answer.pattern.search(request.path):
            if answer.left is not None:
                answer.left -= 1
            return answer
    return None
