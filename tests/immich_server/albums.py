"""Albums, and whom they are shared with: editors add assets and remove their own, viewers look."""

from __future__ import annotations

from collections import Counter
from typing import Any

from aiohttp import web

from .keys import Login
from .problems import Issue, RefusedError, check_id, expected, ids_issues, invalid, option_issues, uuid_issues
from .records import Album, Store
from .wire import Json, body_of, js_date, postgres_date, small_user_json

ROLES = ["editor", "owner", "viewer"]
OWNING = ("owner",)
EDITING = ("owner", "editor")
LOOKING = ("owner", "editor", "viewer")


class Albums:
    def __init__(self, store: Store) -> None:
        self._store = store
        self.routes = [
            ("GET", "/albums", "album.read", self.every),
            ("POST", "/albums", "album.create", self.create),
            ("GET", "/albums/{id}", "album.read", self.get),
            ("PUT", "/albums/assets", "albumAsset.create", self.add_to_many),
            ("PATCH", "/albums/{id}", "album.update", self.update),
            ("DELETE", "/albums/{id}", "album.delete", self.delete),
            ("PUT", "/albums/{id}/users", "album.share", self.share),
            ("PUT", "/albums/{id}/user/{userId}", "albumUser.update", self.change_user),
            ("DELETE", "/albums/{id}/user/{userId}", "albumUser.delete", self.remove_user),
            ("PUT", "/albums/{id}/assets", "albumAsset.create", self.add),
            ("DELETE", "/albums/{id}/assets", "albumAsset.delete", self.remove),
        ]

    async def every(self, request: web.Request, login: Login) -> web.Response:
        query = request.query
        if "assetId" in query:
            check_id(query["assetId"], "assetId")
        found = [album for album in self._store.albums.values() if album.role_of(login.user)]
        if "assetId" in query:
            found = [album for album in found if query["assetId"] in album.asset_ids]
        elif self._store.dialect.lists_own_albums:
            found = [album for album in found if _is_listed(album, login, query.get("shared"))]
        else:
            for name, holds in (
                ("isOwned", lambda album: album.owner is login.user),
                ("isShared", lambda album: bool(album.roles)),
            ):
                if name in query:
                    found = [album for album in found if holds(album) == (query[name] == "true")]
        found.sort(key=lambda album: album.created_at, reverse=True)
        return web.json_response([self._json(album) for album in found])

    async def create(self, request: web.Request, login: Login) -> web.Response:
        body = await body_of(request)
        name = body.get("albumName")
        if not isinstance(name, str):
            raise invalid([expected("string", ["albumName"], name, missing="albumName" not in body)])
        if "assetIds" in body and (issues := ids_issues(body, "assetIds")):
            raise invalid(issues)
        roles = _roles(body.get("albumUsers", []))
        if any(user_id not in self._store.users for user_id in roles):
            raise RefusedError(400, "Invalid user")
        now = self._store.now()
        seen = [self._store.may_share(login.user, asset_id) for asset_id in body.get("assetIds", [])]
        album = Album(self._store.new_id(), login.user, name, str(body.get("description") or ""), now, now)
        album.asset_ids = [asset.id for asset in seen if asset]
        album.roles = {user_id: role for user_id, role in roles.items() if user_id != login.user.id}
        self._store.albums[album.id] = album
        return web.json_response(self._json(album, created=True), status=201)

    async def get(self, request: web.Request, login: Login) -> web.Response:
        album = self._require(request, login, "album.read")
        body = self._json(album)
        if album.roles:
            counts = Counter(self._store.assets[asset_id].owner.id for asset_id in album.asset_ids)
            body["contributorCounts"] = [
                {"userId": user_id, "assetCount": count} for user_id, count in counts.most_common()
            ]
        return web.json_response(body)

    async def update(self, request: web.Request, login: Login) -> web.Response:
        body = await body_of(request)
        album = self._require(request, login, "album.update", EDITING)
        album.name, album.description = body.get("albumName", album.name), body.get("description", album.description)
        album.updated_at = self._store.now()
        self._tell(album)
        return web.json_response(self._json(album))

    async def delete(self, request: web.Request, login: Login) -> web.Response:
        del self._store.albums[self._require(request, login, "album.delete", OWNING).id]
        return web.Response(status=204)

    # ---- users

    async def share(self, request: web.Request, login: Login) -> web.Response:
        roles = _roles((await body_of(request)).get("albumUsers"))
        album = self._require(request, login, "album.share", EDITING)
        for user_id, role in roles.items():
            if role == "owner":
                raise RefusedError(400, "Cannot add another owner")
            if user_id not in self._store.users:
                raise RefusedError(400, "Invalid user")
            if user_id != album.owner.id:
                album.roles.setdefault(user_id, role)
        return web.json_response(self._json(album))

    async def change_user(self, request: web.Request, login: Login) -> web.Response:
        user_id = check_id(request.match_info["userId"], "userId")
        role = (await body_of(request)).get("role")
        if issues := option_issues(role, ROLES, ["role"]):
            raise invalid(issues)
        album = self._require(request, login, "album.share", EDITING)
        if user_id in album.roles:
            album.roles[user_id] = str(role)
        return web.Response(status=204)

    async def remove_user(self, request: web.Request, login: Login) -> web.Response:
        """Users may leave by themselves; others are removed by those who may share the album."""
        user_id = request.match_info["userId"]
        user_id = login.user.id if user_id == "me" else check_id(user_id, "userId")
        album = self._store.albums.get(check_id(request.match_info["id"]))
        if album is None:
            raise RefusedError(400, "Album not found")
        if user_id == album.owner.id:
            raise RefusedError(400, "Cannot remove the last album owner")
        if user_id not in album.roles:
            raise RefusedError(400, "Album not shared with user")
        if user_id != login.user.id:
            self._require(request, login, "album.share", EDITING)
        del album.roles[user_id]
        return web.Response(status=204)

    # ---- assets

    async def add(self, request: web.Request, login: Login) -> web.Response:
        check_id(request.match_info["id"])
        ids = await self._ids(request)
        if request.match_info["id"] not in self._store.albums:
            raise RefusedError(400, "Album not found")
        album = self._require(request, login, "albumAsset.create", EDITING)
        results: list[Json] = []
        for asset_id in ids:
            if asset_id in album.asset_ids:
                results.append({"id": asset_id, "success": False, "error": "duplicate"})
            elif self._store.may_share(login.user, asset_id) is None:
                results.append({"id": asset_id, "success": False, "error": "no_permission"})
            else:
                album.asset_ids.append(asset_id)
                results.append({"id": asset_id, "success": True})
        self._changed(album, results)
        return web.json_response(results)

    async def add_to_many(self, request: web.Request, login: Login) -> web.Response:
        body = await body_of(request)
        if issues := ids_issues(body, "albumIds") + ids_issues(body, "assetIds"):
            raise invalid(issues)
        albums = [album for album in map(self._store.albums.get, body["albumIds"]) if album]
        albums = [album for album in albums if album.role_of(login.user) in EDITING]
        seen = [self._store.may_share(login.user, asset_id) for asset_id in body["assetIds"]]
        assets = [asset.id for asset in seen if asset]
        if not albums or not assets:
            return web.json_response({"success": False, "error": "no_permission"})
        added = False
        for album in albums:
            new = [asset_id for asset_id in assets if asset_id not in album.asset_ids]
            album.asset_ids += new
            self._changed(album, [{"success": bool(new)}])
            added = added or bool(new)
        return web.json_response({"success": True} if added else {"success": False, "error": "duplicate"})

    async def remove(self, request: web.Request, login: Login) -> web.Response:
        """An owner removes anything; an editor what is the editor's own or a partner's."""
        check_id(request.match_info["id"])
        ids = await self._ids(request)
        album = self._require(request, login, "albumAsset.delete", EDITING)
        results: list[Json] = []
        for asset_id in ids:
            if asset_id not in album.asset_ids:
                results.append({"id": asset_id, "success": False, "error": "not_found"})
            elif album.owner is not login.user and self._store.may_share(login.user, asset_id) is None:
                results.append({"id": asset_id, "success": False, "error": "no_permission"})
            else:
                album.asset_ids.remove(asset_id)
                results.append({"id": asset_id, "success": True})
        self._changed(album, results)
        return web.json_response(results)

    def _changed(self, album: Album, results: list[Json]) -> None:
        if any(result["success"] for result in results):
            album.updated_at = self._store.now()
            self._tell(album)

    def _tell(self, album: Album) -> None:
        for user in (album.owner, *(self._store.users[user_id] for user_id in album.roles)):
            self._store.tell(user, "on_album_update", album.id)

    async def _ids(self, request: web.Request) -> list[str]:
        body = await body_of(request)
        if issues := ids_issues(body, "ids"):
            raise invalid(issues)
        ids: list[str] = body["ids"]
        return ids

    def _require(self, request: web.Request, login: Login, permission: str, roles: tuple[str, ...] = LOOKING) -> Album:
        album = self._store.albums.get(check_id(request.match_info["id"]))
        if album is None or album.role_of(login.user) not in roles:
            raise RefusedError(400, f"Not found or no {permission} access")
        return album

    def _json(self, album: Album, *, created: bool = False) -> Json:
        assets = [self._store.assets[asset_id] for asset_id in album.asset_ids]
        assets = [asset for asset in assets if not asset.deleted_at and asset.visibility in ("timeline", "archive")]
        others = [
            {"user": small_user_json(self._store.users[user_id]), "role": role} for user_id, role in album.roles.items()
        ]
        result: Json = {
            "albumName": album.name,
            "description": album.description,
            "albumThumbnailAssetId": album.asset_ids[0] if album.asset_ids else None,
            "createdAt": js_date(album.created_at),
            "updatedAt": js_date(album.updated_at),
            "id": album.id,
            "albumUsers": [{"user": small_user_json(album.owner), "role": "owner"}, *others],
            "shared": bool(others),
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


def _roles(users: Any) -> dict[str, str]:
    """User id to role of a list of `{userId, role}`; without a role an editor."""
    if not isinstance(users, list):
        raise invalid([expected("array", ["albumUsers"], users)])
    issues: list[Issue] = []
    for index, entry in enumerate(users):
        issues += uuid_issues(entry.get("userId"), ["albumUsers", index, "userId"])
        issues += option_issues(entry.get("role", "editor"), ROLES, ["albumUsers", index, "role"])
    if issues:
        raise invalid(issues)
    return {entry["userId"]: entry.get("role", "editor") for entry in users}


def _is_listed(album: Album, login: Login, shared: str | None) -> bool:
    """Whether Immich 2 lists an album: all own ones, or those that are shared, or own ones that are not."""
    if shared == "true":
        return bool(album.roles)
    return album.owner is login.user and not (shared == "false" and album.roles)
