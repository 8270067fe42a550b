"""Bytes out: `GET /assets/{id}/original` and `/thumbnail`."""

from __future__ import annotations

import asyncio
import io
import re
import uuid
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import quote

from aiohttp import web

from .about import RAW, WEB
from .edits import edited_picture
from .faults import Faults
from .keys import Login
from .pictures import mime_of, thumbnail
from .problems import RefusedError, check_id, invalid, option_issues
from .records import Asset, Store

CACHE = "private, max-age=86400, no-transform, stale-while-revalidate=2592000, stale-if-error=2592000"
#: The longer side of edited pictures.
EDGES = {"thumbnail": 250, "preview": 1440, "fullsize": None}
SIZES = ["original", "fullsize", "preview", "thumbnail"]


class Media:
    def __init__(self, store: Store, faults: Faults) -> None:
        self._store = store
        self._faults = faults
        self._second = store.dialect.is_second
        self.routes = [
            ("GET", "/assets/{id}/original", "asset.download", self.original),
            ("GET", "/assets/{id}/thumbnail", "asset.view", self.thumbnail),
        ]

    async def original(self, request: web.Request, login: Login) -> web.StreamResponse:
        asset = self._store.may_read(login.user, check_id(request.match_info["id"]))
        if asset is None and self._second:
            raise RefusedError(400, "Not found or no asset.download access", headers={"Cache-Control": "none"})
        if asset is not None and self._second and not asset.file.exists():
            return _failed(asset, {})
        if asset is None or not asset.file.exists():
            raise RefusedError(404, "Not Found")
        if request.query.get("edited") == "true" and asset.edits:
            return await _edited(asset, f"{Path(asset.name).stem}.jpeg")
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
                if self._second:
                    return _failed(asset, headers)
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
        opened = io.BytesIO(asset.content) if asset.content is not None else asset.file.open("rb")
        with opened as source:
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
        if size == "original" and self._second:
            raise RefusedError(400, "May not request original file")
        asset = self._store.require(login.user, [asset_id], "asset.view")[0]
        if asset.thumbhash is None:
            raise RefusedError(404, "Asset media not found")
        if request.query.get("edited") == "true" and asset.edits and size in EDGES:
            suffix = "webp" if size == "thumbnail" else "jpeg"
            return await _edited(asset, f"{Path(asset.name).stem}_{size}.{suffix}", EDGES[size])
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


def _failed(asset: Asset, headers: dict[str, str]) -> web.Response:
    """What Immich 2 makes of an error while it sends a file: the error, called a picture."""
    body = f'{{"message":"Internal server error","statusCode":500,"correlationId":"{uuid.uuid4().hex[:8]}"}}'
    headers = {"Content-Disposition": f"inline; filename*=UTF-8''{quote(asset.name)}", **headers}
    headers |= {"Cache-Control": "none", "Content-Type": f"{asset.mime}; charset=utf-8"}
    return web.Response(status=500, headers=headers, body=body.encode())


async def _edited(asset: Asset, name: str, edge: int | None = None) -> web.Response:
    picture = await asyncio.to_thread(edited_picture, asset, edge, "WEBP" if name.endswith("webp") else "JPEG")
    made = int(asset.updated_at.timestamp() * 1000)
    headers = {**_headers(name, len(picture), made), "Content-Type": mime_of(name)}
    headers["Last-Modified"] = format_datetime(asset.updated_at, usegmt=True)
    return web.Response(body=picture, headers=headers)


def _headers(name: str, size: int, milliseconds: int) -> dict[str, str]:
    return {
        "Content-Disposition": f"inline; filename*=UTF-8''{quote(name)}",
        "Cache-Control": CACHE,
        "ETag": f'W/"{size:x}-{milliseconds:x}"',
        "Accept-Ranges": "bytes",
    }
