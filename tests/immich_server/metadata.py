"""The key-value store of an asset: `/assets/{id}/metadata`. Writing it does not touch `updatedAt`."""

from __future__ import annotations

from typing import Any

from aiohttp import web

from .keys import Login
from .problems import RefusedError, check_id, expected, invalid, metadata_issues, uuid_issues
from .records import Asset, Store
from .wire import Json, body_of, js_date


class Metadata:
    def __init__(self, store: Store) -> None:
        self._store = store
        self.routes = [
            ("PUT", "/assets/metadata", "asset.update", self.put_many),
            ("DELETE", "/assets/metadata", "asset.update", self.delete_many),
            ("GET", "/assets/{id}/metadata", "asset.read", self.get),
            ("PUT", "/assets/{id}/metadata", "asset.update", self.put),
            ("GET", "/assets/{id}/metadata/{key}", "asset.read", self.get_key),
            ("DELETE", "/assets/{id}/metadata/{key}", "asset.update", self.delete_key),
        ]

    async def get(self, request: web.Request, login: Login) -> web.Response:
        asset = self._asset(request, login, "asset.read")
        return web.json_response([_item(asset, key) for key in asset.metadata])

    async def put(self, request: web.Request, login: Login) -> web.Response:
        check_id(request.match_info["id"])
        items: Any = (await body_of(request)).get("items")
        if issues := metadata_issues(items):
            raise invalid(issues)
        asset = self._asset(request, login, "asset.update")
        keys = [item["key"] for item in items]
        for key in keys:
            if keys.count(key) > 1:
                raise RefusedError(400, f'Duplicate items are not allowed: "{key}"')
        return web.json_response([self._write(asset, item) for item in items])

    async def put_many(self, request: web.Request, login: Login) -> web.Response:
        items: Any = (await body_of(request)).get("items")
        if issues := metadata_issues(items):
            raise invalid(issues)
        for index, item in enumerate(items):
            issues += uuid_issues(item.get("assetId"), ["items", index, "assetId"])
        if issues:
            raise invalid(issues)
        assets = self._store.require(login.user, [item["assetId"] for item in items], "asset.update")
        if not items:
            raise RefusedError(500, "Failed to update bulk asset metadata")
        written = [{"assetId": asset.id, **self._write(asset, item)} for asset, item in zip(assets, items, strict=True)]
        return web.json_response(written)

    async def delete_many(self, request: web.Request, login: Login) -> web.Response:
        items: Any = (await body_of(request)).get("items")
        if not isinstance(items, list):
            raise invalid([expected("array", ["items"], items, missing=items is None)])
        ids = [item.get("assetId") for item in items]
        if issues := [issue for index, value in enumerate(ids) for issue in uuid_issues(value, ["items", index])]:
            raise invalid(issues)
        assets = self._store.require(login.user, ids, "asset.update")
        for asset, item in zip(assets, items, strict=True):
            asset.metadata.pop(item.get("key"), None)
        return web.Response(status=204)

    async def get_key(self, request: web.Request, login: Login) -> web.Response:
        asset = self._asset(request, login, "asset.read")
        key = request.match_info["key"]
        if key not in asset.metadata:
            raise RefusedError(400, f'Metadata with key "{key}" not found for asset with id "{asset.id}"')
        return web.json_response(_item(asset, key))

    async def delete_key(self, request: web.Request, login: Login) -> web.Response:
        self._asset(request, login, "asset.update").metadata.pop(request.match_info["key"], None)
        return web.Response(status=204)

    def _asset(self, request: web.Request, login: Login, permission: str) -> Asset:
        return self._store.require(login.user, [check_id(request.match_info["id"])], permission)[0]

    def _write(self, asset: Asset, item: dict[str, Any]) -> Json:
        asset.metadata[item["key"]] = (item["value"], self._store.now())
        return _item(asset, item["key"])


def _item(asset: Asset, key: str) -> Json:
    value, updated_at = asset.metadata[key]
    return {"key": key, "value": value, "updatedAt": js_date(updated_at)}
