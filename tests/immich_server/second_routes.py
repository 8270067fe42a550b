"""Routes that only Immich 2 has: what came of device ids, replacing a file, and the old workflows and plugins."""

from __future__ import annotations

import random
import uuid
from copy import copy
from typing import Any

from aiohttp import web

from .keys import ANY, Login
from .problems import RefusedError, check_id, expected, invalid
from .records import Asset, Store, Workflow
from .second import strict_date
from .upload import Upload, Uploads
from .wire import Json, asset_json, body_of, js_date

TRIGGERS = {"AssetCreate": "asset", "PersonRecognized": "person"}
#: What the core plugin can do; a URL is not among it.
FILTERS = {"filterFileName": "asset", "filterFileType": "asset", "filterPerson": "person"}
ACTIONS = {"actionArchive": "asset", "actionFavorite": "asset", "actionAddToAlbum": "asset"}


class Second:
    def __init__(self, store: Store, uploads: Uploads) -> None:
        self._store = store
        self._uploads = uploads
        self._plugin_id = str(uuid.uuid4())
        self._method_ids = {name: str(uuid.uuid4()) for name in (*FILTERS, *ACTIONS)}
        self.routes = [
            ("POST", "/assets/exist", "asset.upload", self.exist),
            ("GET", "/assets/device/{deviceId}", ANY, self.of_device),
            ("GET", "/assets/random", "asset.read", self.random),
            ("PUT", "/assets/{id}/original", "asset.replace", self.replace),
            ("GET", "/plugins", "plugin.read", self.plugins),
            ("GET", "/plugins/triggers", "plugin.read", self.triggers),
            ("GET", "/plugins/{id}", "plugin.read", self.plugin),
            ("GET", "/workflows", "workflow.read", self.workflows),
            ("POST", "/workflows", "workflow.create", self.create),
            ("GET", "/workflows/{id}", "workflow.read", self.workflow),
            ("PUT", "/workflows/{id}", "workflow.update", self.update),
            ("DELETE", "/workflows/{id}", "workflow.delete", self.delete),
        ]

    # ---- assets

    def _own(self, login: Login) -> list[Asset]:
        return [asset for asset in self._store.assets.values() if asset.owner is login.user]

    async def exist(self, request: web.Request, login: Login) -> web.Response:
        """Which device ids are known; one that two assets have is there twice."""
        body = await body_of(request)
        if not isinstance(body.get("deviceAssetIds"), list):
            raise invalid([expected("array", ["deviceAssetIds"], body.get("deviceAssetIds"))])
        found = [
            asset.device_asset_id
            for asset in self._own(login)
            if asset.device_id == body.get("deviceId") and asset.device_asset_id in body["deviceAssetIds"]
        ]
        return web.json_response({"existingIds": found})

    async def of_device(self, request: web.Request, login: Login) -> web.Response:
        device = request.match_info["deviceId"]
        return web.json_response([asset.device_asset_id for asset in self._own(login) if asset.device_id == device])

    async def random(self, request: web.Request, login: Login) -> web.Response:
        shown = [asset for asset in self._own(login) if asset.visibility == "timeline" and not asset.deleted_at]
        count = min(int(request.query.get("count", 1)), len(shown))
        return web.json_response([asset_json(self._store, asset) for asset in random.sample(shown, count)])

    async def replace(self, request: web.Request, login: Login) -> web.Response:
        """Give an asset another file. What it was goes into the trash under a new id, which is the answer's."""
        (asset,) = self._store.require(login.user, [check_id(request.match_info["id"])], "asset.update")
        record = Upload()
        file = await self._uploads.read_parts(request, record)
        if file is None:
            raise RefusedError(400, "File is required")
        fields = record.fields
        if known := self._store.duplicate_of(login.user, file.checksum):
            file.path.unlink()
            return web.json_response({"status": "duplicate", "id": known.id})
        before = copy(asset)
        before.id, before.stack_id, before.metadata = self._store.new_id(), None, {}
        before.deleted_at = before.updated_at = self._store.now()
        self._store.assets[before.id] = before
        asset.file, asset.size, asset.checksum = file.path, file.size, file.checksum
        asset.name = fields.get("filename") or record.file_name or asset.name
        asset.device_asset_id, asset.device_id = fields.get("deviceAssetId", ""), fields.get("deviceId", "")
        asset.exif, asset.thumbhash, asset.extracted = {}, None, False
        login.user.used_bytes += file.size
        self._store.tell(login.user, "on_asset_trash", [before.id])
        self._uploads.set_dates(asset, strict_date(fields["fileCreatedAt"]), strict_date(fields["fileModifiedAt"]))
        self._uploads.process_later(asset)
        return web.json_response({"status": "replaced", "id": before.id})

    # ---- plugins

    async def plugins(self, request: web.Request, login: Login) -> web.Response:
        return web.json_response([self._plugin()])

    async def triggers(self, request: web.Request, login: Login) -> web.Response:
        return web.json_response([{"type": name, "contextType": context} for name, context in TRIGGERS.items()])

    async def plugin(self, request: web.Request, login: Login) -> web.Response:
        if check_id(request.match_info["id"]) != self._plugin_id:
            raise RefusedError(400, "Plugin not found")
        return web.json_response(self._plugin())

    def _plugin(self) -> Json:
        def methods(kind: dict[str, str]) -> list[Json]:
            return [
                {
                    "id": self._method_ids[name],
                    "pluginId": self._plugin_id,
                    "methodName": name,
                    "title": name,
                    "description": name,
                    "supportedContexts": [context],
                    "schema": {},
                }
                for name, context in kind.items()
            ]

        made = js_date(self._store.now())
        return {
            "id": self._plugin_id,
            "name": "immich-core",
            "title": "Immich Core",
            "version": "2.0.1",
            "description": "Core workflow capabilities for Immich",
            "author": "Immich Team",
            "createdAt": made,
            "updatedAt": made,
            "filters": methods(FILTERS),
            "actions": methods(ACTIONS),
        }

    # ---- workflows

    async def workflows(self, request: web.Request, login: Login) -> web.Response:
        found = [_workflow_json(item) for item in self._store.workflows.values() if item.owner is login.user]
        return web.json_response(found)

    async def create(self, request: web.Request, login: Login) -> web.Response:
        body = await body_of(request)
        wrong = []
        if not body.get("triggerType"):
            wrong.append("triggerType should not be empty")
        if body.get("triggerType") not in TRIGGERS:
            wrong.append(f"triggerType must be one of the following values: {', '.join(TRIGGERS)}")
        if not body.get("name"):
            wrong.append("name should not be empty")
        if not isinstance(body.get("name"), str):
            wrong.append("name must be a string")
        if wrong:
            raise RefusedError(400, "", sentences=wrong)
        now = self._store.now()
        made = Workflow(
            id=self._store.new_id(),
            owner=login.user,
            trigger=body["triggerType"],
            name=body["name"],
            description=str(body.get("description") or ""),
            enabled=body.get("enabled", True),
            steps=[{"id": str(uuid.uuid4()), **action} for action in body.get("actions") or ()],
            created_at=now,
            updated_at=now,
        )
        self._store.workflows[made.id] = made
        return web.json_response(_workflow_json(made), status=201)

    async def workflow(self, request: web.Request, login: Login) -> web.Response:
        return web.json_response(_workflow_json(self._require(request, login, "workflow.read")))

    async def update(self, request: web.Request, login: Login) -> web.Response:
        workflow = self._require(request, login, "workflow.update")
        body = await body_of(request)
        workflow.enabled = body.get("enabled", workflow.enabled)
        workflow.name = body.get("name", workflow.name)
        return web.json_response(_workflow_json(workflow))

    async def delete(self, request: web.Request, login: Login) -> web.Response:
        del self._store.workflows[self._require(request, login, "workflow.delete").id]
        return web.Response(status=204)

    def _require(self, request: web.Request, login: Login, permission: str) -> Workflow:
        workflow = self._store.workflows.get(check_id(request.match_info["id"]))
        if workflow is None or workflow.owner is not login.user:
            raise RefusedError(400, f"Not found or no {permission} access")
        return workflow


def _workflow_json(workflow: Workflow) -> Json:
    actions: list[Any] = [
        {
            "id": step["id"],
            "workflowId": workflow.id,
            "pluginActionId": step["pluginActionId"],
            "actionConfig": step.get("actionConfig"),
            "order": order,
        }
        for order, step in enumerate(workflow.steps)
    ]
    return {
        "id": workflow.id,
        "ownerId": workflow.owner.id,
        "triggerType": workflow.trigger,
        "name": workflow.name,
        "description": workflow.description,
        "createdAt": js_date(workflow.created_at),
        "enabled": workflow.enabled,
        "filters": [],
        "actions": actions,
    }
