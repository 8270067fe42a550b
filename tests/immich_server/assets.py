"""Assets after their upload: reading, changing, copying properties, trash and deletion."""

from __future__ import annotations

from datetime import UTC
from typing import Any

from aiohttp import web

from .keys import Login
from .problems import (
    Issue,
    RefusedError,
    check_id,
    date_issues,
    ids_issues,
    invalid,
    option_issues,
    parse_date,
)
from .records import Asset, Store
from .stacks import dissolve, leave_for_ever
from .upload import VISIBILITIES, set_taken
from .wire import asset_json, body_of, postgres_date, whole_asset_json

RATING = "Rating must be -1 (rejected), 1–5 (starred), or null (unrated); 0 is not valid"


CHANGEABLE = {"isFavorite", "visibility", "description", "rating", "latitude", "longitude", "dateTimeOriginal"}


class Assets:
    def __init__(self, store: Store) -> None:
        self._store = store
        self.sidecar_delay = 0.05
        self.deletion_delay = 0.05
        self.routes = [
            ("PUT", "/assets/copy", "asset.copy", self.copy),
            ("GET", "/assets/{id}", "asset.read", self.get),
            ("PUT", "/assets/{id}", "asset.update", self.update),
            ("PUT", "/assets", "asset.update", self.update_many),
            ("DELETE", "/assets", "asset.delete", self.delete),
            ("POST", "/trash/restore/assets", "asset.delete", self.restore),
            ("POST", "/trash/restore", "asset.delete", self.restore_all),
            ("POST", "/trash/empty", "asset.delete", self.empty),
        ]

    async def get(self, request: web.Request, login: Login) -> web.Response:
        asset_id = check_id(request.match_info["id"])
        asset = self._store.require(login.user, [asset_id], "asset.read")[0]
        return web.json_response(whole_asset_json(self._store, asset))

    async def update(self, request: web.Request, login: Login) -> web.Response:
        asset_id = check_id(request.match_info["id"])
        changes = await body_of(request)
        if issues := _change_issues(changes):
            raise invalid(issues)
        asset = self._store.require(login.user, [asset_id], "asset.update")[0]
        self._change(asset, changes)
        return web.json_response(asset_json(asset))

    async def update_many(self, request: web.Request, login: Login) -> web.Response:
        changes = await body_of(request)
        if issues := ids_issues(changes, "ids") + _change_issues(changes):
            raise invalid(issues)
        for asset in self._store.require(login.user, changes["ids"], "asset.update"):
            self._change(asset, changes)
        return web.Response(status=204)

    def _change(self, asset: Asset, changes: dict[str, Any]) -> None:
        asset.is_favorite = changes.get("isFavorite", asset.is_favorite)
        asset.visibility = changes.get("visibility", asset.visibility)
        for name in ("description", "rating", "latitude", "longitude"):
            if name in changes:
                asset.exif[name] = changes[name]
        if "dateTimeOriginal" in changes:
            moment = parse_date(changes["dateTimeOriginal"])
            offset = moment.utcoffset()
            assert offset is not None
            hours = round(offset.total_seconds() / 3600)
            asset.exif["timeZone"] = f"UTC{hours:+d}" if hours else "UTC"
            asset.exif["dateTimeOriginal"] = postgres_date(moment)

            async def read_sidecar() -> None:
                set_taken(asset, moment.astimezone(UTC), moment.replace(tzinfo=UTC))
                asset.updated_at = self._store.now()

            self._store.later(self.sidecar_delay, read_sidecar)
        if CHANGEABLE & changes.keys():
            asset.updated_at = self._store.now()

    async def copy(self, request: web.Request, login: Login) -> web.Response:
        body = await body_of(request)
        ids = [body.get("sourceId"), body.get("targetId")]
        for name, value in zip(("sourceId", "targetId"), ids, strict=True):
            check_id(str(value), name)
        source, target = self._store.require(login.user, [str(value) for value in ids], "asset.copy")
        if source is target:
            raise RefusedError(400, "Source and target id must be distinct")
        if body.get("albums", True):
            for album in self._store.albums.values():
                if source.id in album.asset_ids and target.id not in album.asset_ids:
                    album.asset_ids.append(target.id)
        if body.get("stack", True) and source.stack_id:
            if target.stack_id:
                # So two members of one stack lose it, and a stacked target swallows the source's stack.
                old = self._store.stacks[source.stack_id]
                for member in self._store.members(old.id, hidden=True):
                    member.stack_id = target.stack_id
                dissolve(self._store, old)
            else:
                target.stack_id = source.stack_id
            target.updated_at = self._store.now()
        if body.get("favorite", True):
            target.is_favorite = source.is_favorite
            target.updated_at = self._store.now()
        return web.Response(status=204)

    async def delete(self, request: web.Request, login: Login) -> web.Response:
        body = await body_of(request)
        if issues := ids_issues(body, "ids"):
            raise invalid(issues)
        for asset in self._store.require(login.user, body["ids"], "asset.delete"):
            self.trash(asset)
            if body.get("force"):
                self._delete_later(asset)
        return web.Response(status=204)

    def trash(self, asset: Asset) -> None:
        asset.deleted_at = asset.updated_at = self._store.now()

    def _delete_later(self, asset: Asset) -> None:
        """A permanent deletion is a job: for a moment the asset is still there."""

        async def delete() -> None:
            self.forget(asset)

        self._store.later(self.deletion_delay, delete)

    def forget(self, asset: Asset) -> None:
        """Remove an asset for ever, out of its stack and albums too."""
        if self._store.assets.pop(asset.id, None) is None:
            return
        leave_for_ever(self._store, asset)
        for album in self._store.albums.values():
            album.asset_ids = [asset_id for asset_id in album.asset_ids if asset_id != asset.id]
        if asset.library_id is None:
            asset.owner.used_bytes -= asset.size
            asset.file.unlink()

    async def restore(self, request: web.Request, login: Login) -> web.Response:
        body = await body_of(request)
        if issues := ids_issues(body, "ids"):
            raise invalid(issues)
        return self._restore(self._store.require(login.user, body["ids"], "asset.delete"))

    async def restore_all(self, request: web.Request, login: Login) -> web.Response:
        return self._restore(self._trashed(login))

    async def empty(self, request: web.Request, login: Login) -> web.Response:
        trashed = self._trashed(login)
        for asset in trashed:
            self._delete_later(asset)
        return web.json_response({"count": len(trashed)})

    def _trashed(self, login: Login) -> list[Asset]:
        return [asset for asset in self._store.assets.values() if asset.owner is login.user and asset.deleted_at]

    def _restore(self, assets: list[Asset]) -> web.Response:
        trashed = [asset for asset in assets if asset.deleted_at]
        for asset in trashed:
            asset.deleted_at = None
            asset.updated_at = self._store.now()
        return web.json_response({"count": len(trashed)})


def _change_issues(changes: dict[str, Any]) -> list[Issue]:
    issues: list[Issue] = []
    if "visibility" in changes:
        issues += option_issues(changes["visibility"], VISIBILITIES, ["visibility"])
    if "dateTimeOriginal" in changes:
        issues += date_issues(changes["dateTimeOriginal"], ["dateTimeOriginal"])
    if "rating" in changes and changes["rating"] not in (None, -1, 1, 2, 3, 4, 5):
        issues.append({"code": "custom", "path": ["rating"], "message": RATING})
    return issues
