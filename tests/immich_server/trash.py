"""The trash, and deletion for ever."""

from __future__ import annotations

from aiohttp import web

from .keys import Login
from .problems import ids_issues, invalid
from .records import Asset, Store
from .stacks import leave_for_ever
from .wire import body_of


class Trash:
    def __init__(self, store: Store) -> None:
        self._store = store
        self.deletion_delay = 0.05
        self.routes = [
            ("DELETE", "/assets", "asset.delete", self.delete),
            ("POST", "/trash/restore/assets", "asset.delete", self.restore),
            ("POST", "/trash/restore", "asset.delete", self.restore_all),
            ("POST", "/trash/empty", "asset.delete", self.empty),
        ]

    async def delete(self, request: web.Request, login: Login) -> web.Response:
        body = await body_of(request)
        if issues := ids_issues(body, "ids"):
            raise invalid(issues)
        assets = self._store.require(login.user, body["ids"], "asset.delete")
        for asset in assets:
            asset.deleted_at = asset.updated_at = self._store.now()
            if body.get("force"):
                self._delete_later(asset)
        if not body.get("force"):
            self._store.tell(login.user, "on_asset_trash", [asset.id for asset in assets])
        return web.Response(status=204)

    def trash(self, asset: Asset) -> None:
        asset.deleted_at = asset.updated_at = self._store.now()
        self._store.tell(asset.owner, "on_asset_trash", [asset.id])

    def _delete_later(self, asset: Asset) -> None:
        """A permanent deletion is a job: for a moment the asset is still there."""

        async def delete() -> None:
            self.forget(asset)

        self._store.later(self.deletion_delay, delete)

    def forget(self, asset: Asset) -> None:
        """Remove an asset for ever, out of its stack and albums too, with a motion part that nobody else uses."""
        if self._store.assets.pop(asset.id, None) is None:
            return
        leave_for_ever(self._store, asset)
        for album in self._store.albums.values():
            album.asset_ids = [asset_id for asset_id in album.asset_ids if asset_id != asset.id]
        for face in [face for face in self._store.faces.values() if face.asset_id == asset.id]:
            del self._store.faces[face.id]
        if asset.library_id is None and asset.content is None:
            asset.owner.used_bytes -= asset.size
            asset.file.unlink()
        self._store.tell(asset.owner, "on_asset_delete", asset.id)
        motion = self._store.assets.get(asset.live_photo_video_id or "")
        if motion and all(other.live_photo_video_id != motion.id for other in self._store.assets.values()):
            self._delete_later(motion)

    async def restore(self, request: web.Request, login: Login) -> web.Response:
        body = await body_of(request)
        if issues := ids_issues(body, "ids"):
            raise invalid(issues)
        response = self._restore(self._store.require(login.user, body["ids"], "asset.delete"))
        self._store.tell(login.user, "on_asset_restore", body["ids"])
        return response

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
