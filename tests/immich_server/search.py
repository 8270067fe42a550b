"""`POST /search/metadata` and `/search/statistics`."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from aiohttp import web

from .keys import Login
from .problems import (
    Issue,
    RefusedError,
    date_issues,
    expected,
    invalid,
    option_issues,
    parse_date,
    uuid_issues,
)
from .records import Asset, Store, User, parse_checksum
from .upload import VISIBILITIES
from .wire import Json, asset_json, body_of

DATES: dict[str, Callable[[Asset], datetime | None]] = {
    "created": lambda asset: asset.created_at,
    "updated": lambda asset: asset.updated_at,
    "taken": lambda asset: asset.file_created_at,
    "trashed": lambda asset: asset.deleted_at,
}
EQUAL: dict[str, Callable[[Asset], Any]] = {
    "id": lambda asset: asset.id,
    "type": lambda asset: asset.type,
    "libraryId": lambda asset: asset.library_id,
    "isFavorite": lambda asset: asset.is_favorite,
    "isOffline": lambda asset: asset.is_offline,
    "isMotion": lambda asset: asset.live_photo_video_id is not None,
    "make": lambda asset: asset.exif.get("make"),
    "model": lambda asset: asset.exif.get("model"),
    "lensModel": lambda asset: asset.exif.get("lensModel"),
    "rating": lambda asset: asset.exif.get("rating"),
}


class Search:
    def __init__(self, store: Store) -> None:
        self._store = store
        self.routes = [
            ("POST", "/search/metadata", "asset.read", self.assets),
            ("POST", "/search/statistics", "asset.statistics", self.statistics),
        ]

    async def assets(self, request: web.Request, login: Login) -> web.Response:
        query = await body_of(request)
        found = self._found(login.user, query)
        page, size = query.get("page", 1), query.get("size", 250)
        part = found[(page - 1) * size : page * size]
        more = len(found) > page * size
        items = [asset_json(asset, exif=bool(query.get("withExif"))) for asset in part]
        empty: Json = {"total": 0, "count": 0, "items": [], "facets": []}
        # `total` is that of the page.
        pages = {"total": len(items), "count": len(items), "items": items, "facets": []}
        return web.json_response({"albums": empty, "assets": {**pages, "nextPage": str(page + 1) if more else None}})

    async def statistics(self, request: web.Request, login: Login) -> web.Response:
        return web.json_response({"total": len(self._found(login.user, await body_of(request)))})

    def _found(self, user: User, query: Json) -> list[Asset]:
        if issues := _issues(query):
            raise invalid(issues)
        if query.get("visibility") == "locked":
            raise RefusedError(401, "Elevated permission is required")
        found = [asset for asset in self._store.assets.values() if self._matches(asset, user, query)]
        found.sort(key=lambda asset: (asset.file_created_at, asset.id), reverse=query.get("order") != "asc")
        return found

    def _matches(self, asset: Asset, user: User, query: Json) -> bool:
        if asset.owner is not user or asset.visibility == "locked":
            return False
        if asset.deleted_at and not query.get("withDeleted"):
            return False
        if query.get("visibility", asset.visibility) != asset.visibility:
            return False
        if query.get("withStacked") is False and asset.stack_id is not None:
            return False
        for name, value in EQUAL.items():
            if name in query and query[name] != value(asset):
                return False
        for name, moment in DATES.items():
            at = moment(asset)
            # Both ends belong to the range.
            if f"{name}After" in query and (at is None or at < parse_date(query[f"{name}After"])):
                return False
            if f"{name}Before" in query and (at is None or at > parse_date(query[f"{name}Before"])):
                return False
        if "checksum" in query and parse_checksum(query["checksum"]) != asset.checksum:
            return False
        if str(query.get("originalFileName", "")).lower() not in asset.name.lower():
            return False
        albums = [album for album in self._store.albums.values() if asset.id in album.asset_ids]
        wanted = query.get("albumIds") or []
        if query.get("isNotInAlbum") and albums:
            return False
        return set(wanted) <= {album.id for album in albums} and not query.get("tagIds")


def _issues(query: Json) -> list[Issue]:
    issues: list[Issue] = []
    if "id" in query:
        issues += uuid_issues(query["id"], ["id"])
    for name in DATES:
        for end in (f"{name}Before", f"{name}After"):
            if end in query:
                issues += date_issues(query[end], [end])
    if "visibility" in query:
        issues += option_issues(query["visibility"], VISIBILITIES, ["visibility"])
    if "order" in query:
        issues += option_issues(query["order"], ["asc", "desc"], ["order"])
    for name in ("withDeleted", "withExif", "withStacked", "isFavorite"):
        if name in query and not isinstance(query[name], bool):
            issues.append(expected("boolean", [name], query[name]))
    for name, maximum in (("page", None), ("size", 1000)):
        if name in query:
            issues += _number_issues(query[name], name, maximum)
    return issues


def _number_issues(value: Any, name: str, maximum: int | None) -> list[Issue]:
    if not isinstance(value, int) or isinstance(value, bool):
        return [expected("number", [name], value)]
    issue: Issue = {"origin": "number", "inclusive": True, "path": [name]}
    if maximum is not None and value > maximum:
        message = f"Too big: expected number to be <={maximum}"
        return [{**issue, "code": "too_big", "maximum": maximum, "message": message}]
    if value < 1:
        message = "Too small: expected number to be >=1"
        return [{**issue, "code": "too_small", "minimum": 1, "message": message}]
    return []
