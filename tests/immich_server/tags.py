"""Tags: `/tags`. A tag belongs to one user; its value is its whole path."""

from __future__ import annotations

from aiohttp import web

from .keys import Login
from .problems import RefusedError, check_id, expected, ids_issues, invalid
from .processing import Processing, upsert_tags
from .records import Asset, Store, Tag
from .wire import Json, body_of, tag_json


class Tags:
    def __init__(self, store: Store, processing: Processing) -> None:
        self._store = store
        self._processing = processing
        self.routes = [
            ("GET", "/tags", "tag.read", self.every),
            ("POST", "/tags", "tag.create", self.create),
            ("PUT", "/tags", "tag.create", self.upsert),
            ("PUT", "/tags/assets", "tag.asset", self.tag_many),
            ("GET", "/tags/{id}", "tag.read", self.get),
            ("PUT", "/tags/{id}", "tag.update", self.update),
            ("DELETE", "/tags/{id}", "tag.delete", self.delete),
            ("PUT", "/tags/{id}/assets", "tag.asset", self.tag),
            ("DELETE", "/tags/{id}/assets", "tag.asset", self.untag),
        ]

    async def every(self, request: web.Request, login: Login) -> web.Response:
        tags = sorted(self._own(login), key=lambda tag: tag.value)
        return web.json_response([tag_json(tag) for tag in tags])

    async def create(self, request: web.Request, login: Login) -> web.Response:
        body = await body_of(request)
        name = body.get("name")
        if not isinstance(name, str):
            raise invalid([expected("string", ["name"], name, missing="name" not in body)])
        parent_id = body.get("parentId")
        if parent_id is not None:
            name = f"{self._require(str(parent_id), login, 'tag.read').value}/{name}"
        if any(tag.value == name for tag in self._own(login)):
            raise RefusedError(400, "A tag with that name already exists")
        now = self._store.now()
        tag = Tag(self._store.new_id(), login.user, name, parent_id, now, now, body.get("color"))
        self._store.tags[tag.id] = tag
        return web.json_response(tag_json(tag), status=201)

    async def upsert(self, request: web.Request, login: Login) -> web.Response:
        body = await body_of(request)
        values = body.get("tags")
        if not isinstance(values, list):
            raise invalid([expected("array", ["tags"], values, missing="tags" not in body)])
        return web.json_response([tag_json(tag) for tag in upsert_tags(self._store, login.user, values)])

    async def get(self, request: web.Request, login: Login) -> web.Response:
        return web.json_response(tag_json(self._require(request.match_info["id"], login, "tag.read")))

    async def update(self, request: web.Request, login: Login) -> web.Response:
        body = await body_of(request)
        tag = self._require(request.match_info["id"], login, "tag.update")
        tag.color = body.get("color", tag.color)
        tag.updated_at = self._store.now()
        return web.json_response(tag_json(tag))

    async def delete(self, request: web.Request, login: Login) -> web.Response:
        """Its children go too. Sidecars keep the tag, so that it may come back when one is read again."""
        tag = self._require(request.match_info["id"], login, "tag.delete")
        gone = {other.id for other in self._own(login) if f"{other.value}/".startswith(f"{tag.value}/")}
        for tag_id in gone:
            del self._store.tags[tag_id]
        for asset in self._store.assets.values():
            asset.tag_ids = [tag_id for tag_id in asset.tag_ids if tag_id not in gone]
        return web.Response(status=204)

    async def tag_many(self, request: web.Request, login: Login) -> web.Response:
        """What cannot be tagged or is tagged already is not counted and not complained about."""
        body = await body_of(request)
        if issues := ids_issues(body, "tagIds") + ids_issues(body, "assetIds"):
            raise invalid(issues)
        tags = [tag for tag in map(self._store.tags.get, body["tagIds"]) if tag and tag.owner is login.user]
        seen = [self._store.may_see(login.user, asset_id) for asset_id in body["assetIds"]]
        count = 0
        for asset in [asset for asset in seen if asset]:
            new = [tag.id for tag in tags if tag.id not in asset.tag_ids]
            if new:
                count += len(new)
                self._set(asset, [*asset.tag_ids, *new])
        return web.json_response({"count": count})

    async def tag(self, request: web.Request, login: Login) -> web.Response:
        check_id(request.match_info["id"])
        ids = await self._ids(request)
        tag = self._require(request.match_info["id"], login, "tag.asset")
        results: list[Json] = []
        for asset_id in ids:
            asset = self._store.may_share(login.user, asset_id)
            if asset_id in self._store.assets and tag.id in self._store.assets[asset_id].tag_ids:
                results.append({"id": asset_id, "success": False, "error": "duplicate"})
            elif asset is None:
                results.append({"id": asset_id, "success": False, "error": "no_permission"})
            else:
                self._set(asset, [*asset.tag_ids, tag.id])
                results.append({"id": asset_id, "success": True})
        return web.json_response(results)

    async def untag(self, request: web.Request, login: Login) -> web.Response:
        check_id(request.match_info["id"])
        ids = await self._ids(request)
        tag = self._require(request.match_info["id"], login, "tag.asset")
        results: list[Json] = []
        for asset_id in ids:
            asset = self._store.assets.get(asset_id)
            if asset is None or tag.id not in asset.tag_ids:
                results.append({"id": asset_id, "success": False, "error": "not_found"})
            else:
                self._set(asset, [known for known in asset.tag_ids if known != tag.id])
                results.append({"id": asset_id, "success": True})
        return web.json_response(results)

    def _set(self, asset: Asset, tag_ids: list[str]) -> None:
        asset.tag_ids = tag_ids
        asset.updated_at = self._store.now()
        self._processing.set_properties(asset, tags=[self._store.tags[tag_id].value for tag_id in tag_ids])

    def _own(self, login: Login) -> list[Tag]:
        return [tag for tag in self._store.tags.values() if tag.owner is login.user]

    async def _ids(self, request: web.Request) -> list[str]:
        body = await body_of(request)
        if issues := ids_issues(body, "ids"):
            raise invalid(issues)
        ids: list[str] = body["ids"]
        return ids

    def _require(self, tag_id: str, login: Login, permission: str) -> Tag:
        tag = self._store.tags.get(check_id(tag_id))
        if tag is None or tag.owner is not login.user:
            raise RefusedError(400, f"Not found or no {permission} access")
        return tag
