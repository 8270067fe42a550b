"""Bytes out: `GET /assets/{id}/original` and `/thumbnail`."""

from __future__ import annotations

import asyncio
import re
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from .about import RAW, WEB
from .faults import Faults
from .keys import Login
from .pictures import thumbnail
from .problems import RefusedError, check_id, invalid, option_issues
from .records import Asset, Store

CACHE = "private, max-age=86400, no-transform, stale-while-revalidate=2592000, stale-if-error=2592000"
SIZES = ["original", "fullsize", "preview", "thumbnail"]


class Media:
    def __init__(self, store: Store, faults: Faults) -> None:
        self._store = store
        self._faults = faults
        self.routes = [
            ("GET", "/assets/{id}/original", "asset.download", self.original),
            ("GET", "/assets/{id}/thumbnail", "asset.view", self.thumbnail),
        ]

    async def original(self, request: web.Request, login: Login) -> web.StreamResponse:
        asset = self._store.may_see(login.user, check_id(request.match_info["id"]))
        if asset is None or not asset.file.exists():
            raise RefusedError(404, "Not Found")
        modified = asset.file_modified_at
        headers = _headers(asset.name, asset.size, int(modified.timestamp() * 1000))
        headers["Last-Modified"] = format_datetime(modified, usegmt=True)
        if request.headers.get("If-None-Match") == headers["ETag"]:
            return web.Response(status=304, headers=headers)
        first, last, status = 0, asset.size - 1, 200
        if match := re.fullmatch(r"bytes=(\d+)-(\d*)", request.headers.get("Range", "")):
            first, last = int(match[1]), min(int(match[2] or last), last)
            status = 206
            if first > last:
                # Not 416, and with the headers of a success.
                headers["Content-Range"] = f"bytes */{asset.size}"
                headers |= {"Content-Type": f"{asset.mime}; charset=utf-8"}
                return web.Response(status=404, headers=headers, body=b'{"message":"Not Found"}')
            headers["Content-Range"] = f"bytes {first}-{last}/{asset.size}"
        headers |= {"Content-Type": asset.mime, "Content-Length": str(last - first + 1)}
        response = web.StreamResponse(status=status, headers=headers)
        await response.prepare(request)
        if request.method != "HEAD":
            await self._send(request, response, asset, first, last)
        await response.write_eof()
        return response

    async def _send(
        self, request: web.Request, response: web.StreamResponse, asset: Asset, first: int, last: int
    ) -> None:
        sent = 0
        with asset.file.open("rb") as source:
            source.seek(first)
            while chunk := source.read(min(1 << 16, last - first + 1 - sent)):
                chunk = self._faults.spoil_download(chunk)
                await response.write(chunk)
                sent += len(chunk)
                self._faults.maybe_cut_download(request, sent)

    async def thumbnail(self, request: web.Request, login: Login) -> web.Response:
        asset_id = check_id(request.match_info["id"])
        size = request.query.get("size", "thumbnail")
        if issues := option_issues(size, SIZES, ["size"]):
            raise invalid(issues)
        asset = self._store.require(login.user, [asset_id], "asset.view")[0]
        if asset.thumbhash is None:
            raise RefusedError(404, "Asset media not found")
        if size in ("original", "fullsize"):
            suffix = Path(asset.name).suffix.lower()
            here = suffix in WEB and suffix not in RAW
            target = "original?" if here else f"/api/assets/{asset.id}/thumbnail?size=preview"
            return web.Response(status=302, text=f"Found. Redirecting to {target}", headers={"Location": target})
        try:
            picture, mime = await asyncio.to_thread(thumbnail, asset.file, size)
        except OSError as error:
            raise RefusedError(404, "Asset media not found") from error
        name = f"{Path(asset.name).stem}_{size}.{mime.split('/')[1]}"
        made = int(asset.updated_at.timestamp() * 1000)
        headers = {**_headers(name, len(picture), made), "Content-Type": mime}
        headers["Last-Modified"] = format_datetime(asset.updated_at, usegmt=True)
        return web.Response(body=picture, headers=headers)


def _headers(name: str, size: int, milliseconds: int) -> dict[str, str]:
    return {
        "Content-Disposition": f"inline; filename*=UTF-8''{quote(name)}",
        "Cache-Control": CACHE,
        "ETag": f'W/"{size:x}-{milliseconds:x}"',
        "Accept-Ranges": "bytes",
    }
