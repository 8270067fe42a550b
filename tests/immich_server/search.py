"""`POST /search/metadata` and `/search/statistics`."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from .about import About
from .finding import DATES, Found, find
from .keys import Login
from .problems import (
    Issue,
    RefusedError,
    date_issues,
    expected,
    invalid,
    option_issues,
    uuid_issues,
)
from .records import Asset, Store, User
from .upload import VISIBILITIES
from .wire import Json, asset_json, body_of


class Search:
    def __init__(self, store: Store, about: About) -> None:
        self._store = store
        self._about = about
        self.routes = [
            ("POST", "/search/metadata", "asset.read", self.assets),
            ("POST", "/search/smart", "asset.read", self.smart),
            ("POST", "/search/statistics", "asset.statistics", self.statistics),
        ]

    async def assets(self, request: web.Request, login: Login) -> web.Response:
        query = await body_of(request)
        found = self._found(login.user, query)
        return self._page(found, query, 250)

    async def smart(self, request: web.Request, login: Login) -> web.Response:
        """Without machine learning: what has most words of the query in its name, description or tags comes first."""
        query = await body_of(request)
        if not self._about.smart_search:
            raise RefusedError(400, "Smart search is not enabled")
        words = str(query.get("query") or "").lower().split()
        if not words:
            raise RefusedError(400, "Either `query` or `queryAssetId` must be set")
        rated = [(sum(word in self._text(asset) for word in words), asset) for asset in self._found(login.user, query)]
        likely = [asset for hits, asset in sorted(rated, key=lambda row: -row[0]) if hits]
        return self._page(likely, query, 100)

    def _text(self, asset: Asset) -> str:
        tags = [self._store.tags[tag_id].value for tag_id in asset.tag_ids]
        return " ".join([asset.name, str(asset.exif.get("description") or ""), *tags]).lower()

    def _page(self, found: Found | list[Asset], query: Json, usual: int) -> web.Response:
        page, size = query.get("page", 1), query.get("size", usual)
        start, stop = (page - 1) * size, page * size
        part = found.part(start, stop) if isinstance(found, Found) else found[start:stop]
        shown = {"exif": bool(query.get("withExif")), "people": bool(query.get("withPeople"))}
        items = [asset_json(self._store, asset, **shown) for asset in part]
        empty: Json = {"total": 0, "count": 0, "items": [], "facets": []}
        # `total` is that of the page.
        pages = {"total": len(items), "count": len(items), "items": items, "facets": []}
        following = str(page + 1) if len(found) > stop else None
        return web.json_response({"albums": empty, "assets": {**pages, "nextPage": following}})

    async def statistics(self, request: web.Request, login: Login) -> web.Response:
        return web.json_response({"total": len(self._found(login.user, await body_of(request)))})

    def _found(self, user: User, query: Json) -> Found:
        if issues := _issues(query):
            raise invalid(issues)
        rating = query.get("rating")
        if rating is not None and not self._store.dialect.is_second and rating not in (1, 2, 3, 4, 5):
            raise invalid(_number_issues(rating, "rating", 5))
        if self._store.dialect.searches_timeline_only:
            query = {"visibility": "timeline", **query}
        if query.get("visibility") == "locked":
            raise RefusedError(401, "Elevated permission is required")
        return find(self._store, user, query)


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
    for name in (
        *("withDeleted", "withExif", "withStacked", "withPeople"),
        *("isFavorite", "isOffline", "isMotion", "isEncoded", "isNotInAlbum"),
    ):
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
