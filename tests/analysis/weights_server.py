"""A stand-in for where weights are published: repositories, large files elsewhere, and everything that can go wrong."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from aiohttp import web

from immich_sidecar.analysis.models_catalogue import Entry

#: Files of at least this size are led to elsewhere, as Hugging Face does with large ones.
LARGE = 1000


@dataclass
class Publisher:
    """What the server has, how it misbehaves, and what it was asked."""

    #: `owner/name/file` to content.
    files: dict[str, bytes] = field(default_factory=dict)
    commit: str = "c0ffee00" * 5
    #: Bytes after which the next answers end; one is taken by each answer with a body of a large file.
    cuts: list[int] = field(default_factory=list)
    #: Statuses that the next answers have instead.
    statuses: list[int] = field(default_factory=list)
    retry_after: str | None = None
    #: How it misbehaves: `whole` (ignores ranges), `wrong_part`, `other_total`, `no_length`, `chunked`, `weak`,
    #: `no_etag`, `no_link`, `gzip`, `loop`, `stall`.
    manner: str = ""
    #: Where the redirect leads instead.
    leads_to: str = ""
    asked: list[tuple[str, str]] = field(default_factory=list)
    address: str = ""
    #: Set whenever a large file's body has begun.
    began: asyncio.Event = field(default_factory=asyncio.Event)

    async def resolve(self, request: web.Request) -> web.StreamResponse:
        """The way of a repository."""
        key = f"{request.match_info['owner']}/{request.match_info['name']}/{request.match_info['path']}"
        self.asked.append((request.path, request.headers.get("Range", "")))
        if self.statuses and (status := self.statuses.pop(0)) != 200:
            return web.Response(status=status, headers={"Retry-After": self.retry_after} if self.retry_after else {})
        if key not in self.files:
            return web.Response(status=404)
        content = self.files[key]
        headers = {"X-Repo-Commit": self.commit}
        if len(content) < LARGE:
            return web.Response(body=content, headers={**headers, "ETag": f'"{hashlib.sha1(content).hexdigest()}"'})
        if self.manner != "no_link":
            headers |= {"X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"'}
        if self.manner == "loop":
            return web.Response(status=302, headers={**headers, "Location": request.path})
        return web.Response(status=302, headers={**headers, "Location": self.leads_to or f"/elsewhere/{key}"})

    async def elsewhere(self, request: web.Request) -> web.StreamResponse:
        """Where large files are."""
        content = self.files[request.match_info["key"]]
        given = request.headers.get("Range", "")
        self.asked.append((request.path, given))
        etag = f'"{hashlib.md5(content).hexdigest()}"'
        headers = {} if self.manner == "no_etag" else {"ETag": "W/" + etag if self.manner == "weak" else etag}
        start, status = 0, 200
        fits = request.headers.get("If-Range", etag) == etag
        if given and fits and self.manner != "whole":
            start, status = int(given.removeprefix("bytes=").removesuffix("-")), 206
            if start >= len(content):
                return web.Response(status=416, headers={"Content-Range": f"bytes */{len(content)}"})
            if self.manner == "wrong_part":
                start -= 1
            total = len(content) + (self.manner == "other_total")
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{total}"
        response = web.StreamResponse(status=status, headers=headers)
        if self.manner == "gzip":
            response.headers["Content-Encoding"] = "gzip"
            content, start = __import__("gzip").compress(content), 0
        if self.manner == "chunked":
            response.enable_chunked_encoding()
        elif self.manner == "no_length":
            response.force_close()
            response._length_check = False
        else:
            response.content_length = len(content) - start
        await response.prepare(request)
        body = content[start:]
        cut = self.cuts.pop(0) if self.cuts else None
        await response.write(body[:cut])
        self.began.set()
        if self.manner == "stall":
            await asyncio.sleep(600)
        if cut is not None:
            await asyncio.sleep(0)
            assert request.transport is not None
            request.transport.close()
            return response
        await response.write_eof()
        return response

    async def plain(self, request: web.Request) -> web.StreamResponse:
        """A folder that is no repository."""
        self.asked.append((request.path, request.headers.get("Range", "")))
        return web.Response(body=self.files[request.match_info["key"]])


@asynccontextmanager
async def publishing(publisher: Publisher) -> AsyncIterator[Publisher]:
    """Let it answer at `publisher.address`."""
    app = web.Application()
    app.router.add_get("/{owner}/{name}/resolve/{revision}/{path:.+}", publisher.resolve)
    app.router.add_get("/elsewhere/{key:.+}", publisher.elsewhere)
    app.router.add_get("/plain/{key:.+}", publisher.plain)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    publisher.address = f"http://127.0.0.1:{runner.addresses[0][1]}"
    try:
        yield publisher
    finally:
        await runner.cleanup()


def entry(**changes: object) -> Entry:
    """A model of two files, as the list would have it."""
    values: dict[str, object] = {
        "name": "little",
        "title": "Little",
        "job": "detection",
        "loader": "immich_sidecar.analysis.models.detection:Detector",
        "licence": "MIT",
        "commercial": True,
        "repository": "somebody/little",
        "format": "safetensors",
        "memory_mb": 1,
        "files": [{"path": "config.json"}, {"path": "model.safetensors", "part": "weights"}],
    }
    return Entry.model_validate(values | changes)
