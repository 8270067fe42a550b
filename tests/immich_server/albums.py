"""Albums of one user; nothing is shared."""

from __future__ import annotations

from aiohttp import web

from .keys import Login
from .problems import RefusedError, check_id, expected, ids_issues, invalid
from .records import Album, Store
from .wire import Json, body_of, js_date, postgres_date, small_user_json


class Albums:
    def __init__(self, store: Store) -> None:
        self._store = store
        self.routes = [
            ("GET", "/albums", "album.read", self.every),
            ("POST", "/albums", "album.create", self.create),
            ("GET", "/albums/{id}", "album.read", self.get),
            ("PUT", "/albums/{id}/assets", "albumAsset.create", self.add),
            ("DELETE", "/albums/{id}/assets", "albumAsset.delete", self.remove),
        ]

    async def every(self, request: web.Request, login: Login) -> web.Response:
        asset_id = request.query.get("assetId")
        albums = [
            self._json(album)
            for album in self._store.albums.values()
            if album.owner is login.user and (asset_id is None or asset_id in album.asset_ids)
        ]
        return web.json_response(albums)

    async def create(self, request: web.Request, login: Login) -> web.Response:
        body = await body_of(request)
        name = body.get("albumName")
        if not isinstance(name, str):
            raise invalid([expected("string", ["albumName"], name, missing="albumName" not in body)])
        if "assetIds" in body and (issues := ids_issues(body, "assetIds")):
            raise invalid(issues)
        now = self._store.now()
        seen = [self._store.may_see(login.user, asset_id) for asset_id in body.get("assetIds", [])]
        album = Album(self._store.new_id(), login.user, name, str(body.get("description") or ""), now, now)
        album.asset_ids = [asset.id for asset in seen if asset]
        self._store.albums[album.id] = album
        return web.json_response(self._json(album, created=True), status=201)

    async def get(self, request: web.Request, login: Login) -> web.Response:
        return web.json_response(self._json(self._require(request, login, "album.read")))

    async def add(self, request: web.Request, login: Login) -> web.Response:
        check_id(request.match_info["id"])
        ids = await self._ids(request)
        album = self._require(request, login, "albumAsset.create")
        results: list[Json] = []
        for asset_id in ids:
            if asset_id in album.asset_ids:
                results.append({"id": asset_id, "success": False, "error": "duplicate"})
            elif self._store.may_see(login.user, asset_id) is None:
                results.append({"id": asset_id, "success": False, "error": "no_permission"})
            else:
                album.asset_ids.append(asset_id)
                results.append({"id": asset_id, "success": True})
        album.updated_at = self._store.now()
        return web.json_response(results)

    async def remove(self, request: web.Request, login: Login) -> web.Response:
        check_id(request.match_info["id"])
        ids = await self._ids(request)
        album = self._require(request, login, "albumAsset.delete")
        results: list[Json] = []
        for asset_id in ids:
            if asset_id in album.asset_ids:
                album.asset_ids.remove(asset_id)
                results.append({"id": asset_id, "success": True})
            else:
                results.append({"id": asset_id, "success": False, "error": "not_found"})
        album.updated_at = self._store.now()
        return web.json_response(results)

    async def _ids(self, request: web.Request) -> list[str]:
        body = await body_of(request)
        if issues := ids_issues(body, "ids"):
            raise invalid(issues)
        ids: list[str] = body["ids"]
        return ids

    def _require(self, request: web.Request, login: Login, permission: str) -> Album:
        album = self._store.albums.get(check_id(request.match_info["id"]))
        if album is None or album.owner is not login.user:
            raise RefusedError(400, f"Not found or no {permission} access")
        return album

    def _json(self, album: Album, *, created: bool = False) -> Json:
        assets = [self._store.assets[asset_id] for asset_id in album.asset_ids]
        result: Json = {
            "albumName": album.name,
            "description": album.description,
            "albumThumbnailAssetId": album.asset_ids[0] if album.asset_ids else None,
            "createdAt": js_date(album.created_at),
            "updatedAt": js_date(album.updated_at),
            "id": album.id,
            "albumUsers": [{"user": small_user_json(album.owner), "role": "owner"}],
            "shared": False,
            "hasSharedLink": False,
            "assetCount": len(assets),
            "isActivityEnabled": True,
            "order": "desc",
        }
        if assets:
            days = sorted(asset.local_date_time for asset in assets)
            date = postgres_date if created else js_date
            result |= {"startDate": date(days[0]), "endDate": date(days[-1])}
            if not created:
                newest = max(asset.updated_at for asset in assets)
                result["lastModifiedAssetTimestamp"] = js_date(newest)
        return result
