"""Workflows and plugins of Immich 3: the triggers of assets, and the webhooks that they post."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
from aiohttp import web

from .faults import Faults
from .keys import ANY, Login
from .problems import Issue, RefusedError, check_id, expected, invalid, option_issues
from .records import Asset, Store, User, Workflow
from .wire import Json, body_of, exif_json, js_date, postgres_date

TRIGGERS = ["AssetCreate", "AssetMetadataExtraction"]
PLUGIN = "immich-plugin-core"
WEBHOOK = f"{PLUGIN}#webhook"
#: Of the core plugin; only the webhook is acted upon here.
METHODS = (
    *("assetFileFilter", "assetMissingTimeZoneFilter", "assetLocationFilter", "assetDateFilter", "assetTypeFilter"),
    *("assetExifFilter", "assetArchive", "assetLock", "assetVisibility", "assetFavorite", "assetAddToAlbums"),
    "webhook",
)
#: How many webhooks wait for their answers at once, as Immich's workers do.
WORKERS = 5
PATIENCE = 30.0


@dataclass
class Delivery:
    """One webhook as it was sent; for tests to look at."""

    workflow: Workflow
    url: str
    trigger: str
    asset_id: str
    body: Json = field(repr=False)
    at: datetime
    #: The answer's status; None where none came.
    status: int | None = None
    error: str | None = None
    #: It was never sent, on purpose.
    lost: bool = False


def make_workflow(
    store: Store,
    owner: User,
    trigger: str,
    steps: list[dict[str, Any]],
    *,
    name: str | None = None,
    description: str | None = None,
    enabled: bool = True,
) -> Workflow:
    now = store.now()
    workflow = Workflow(store.new_id(), owner, trigger, name, description, enabled, steps, now, now)
    store.workflows[workflow.id] = workflow
    return workflow


class Workflows:
    def __init__(self, store: Store, faults: Faults) -> None:
        self._store = store
        self._faults = faults
        self.delay = 0.01
        #: Whether the core plugin was loaded yet.
        self.plugins_loaded = True
        self.deliveries: list[Delivery] = []
        self._workers = asyncio.Semaphore(WORKERS)
        store.triggers.append(self._triggered)
        self.routes = [
            ("GET", "/workflows/triggers", ANY, self.triggers),
            ("GET", "/workflows", "workflow.read", self.every),
            ("POST", "/workflows", "workflow.create", self.create),
            ("GET", "/workflows/{id}", "workflow.read", self.get),
            ("PUT", "/workflows/{id}", "workflow.update", self.update),
            ("DELETE", "/workflows/{id}", "workflow.delete", self.delete),
            ("GET", "/plugins", "plugin.read", self.plugins),
            ("GET", "/plugins/methods", "plugin.read", self.methods),
            ("GET", "/plugins/templates", "plugin.read", self.templates),
        ]

    async def triggers(self, request: web.Request, login: Login) -> web.Response:
        return web.json_response([{"trigger": trigger, "types": ["AssetV1"]} for trigger in TRIGGERS])

    async def every(self, request: web.Request, login: Login) -> web.Response:
        found = [workflow for workflow in self._store.workflows.values() if workflow.owner is login.user]
        if trigger := request.query.get("trigger"):
            found = [workflow for workflow in found if workflow.trigger == trigger]
        found.sort(key=lambda workflow: workflow.created_at, reverse=True)
        return web.json_response([_json(workflow) for workflow in found])

    async def create(self, request: web.Request, login: Login) -> web.Response:
        body = await body_of(request)
        issues = _issues(body)
        if "trigger" not in body:
            issues = option_issues(None, TRIGGERS, ["trigger"]) + issues
        if issues:
            raise invalid(issues)
        workflow = make_workflow(
            self._store,
            login.user,
            body["trigger"],
            _steps(body.get("steps", [])),
            name=body.get("name"),
            description=body.get("description"),
            enabled=body.get("enabled", True),
        )
        # The steps are saved and not shown.
        return web.json_response({**_json(workflow), "steps": []}, status=201)

    async def get(self, request: web.Request, login: Login) -> web.Response:
        return web.json_response(_json(self._require(request, login, "workflow.read")))

    async def update(self, request: web.Request, login: Login) -> web.Response:
        check_id(request.match_info["id"])
        body = await body_of(request)
        if issues := _issues(body):
            raise invalid(issues)
        workflow = self._require(request, login, "workflow.update")
        if "steps" in body:
            workflow.steps = _steps(body["steps"])
        for name in ("trigger", "name", "description", "enabled"):
            setattr(workflow, name, body.get(name, getattr(workflow, name)))
        workflow.updated_at = self._store.now()
        return web.json_response(_json(workflow))

    async def delete(self, request: web.Request, login: Login) -> web.Response:
        del self._store.workflows[self._require(request, login, "workflow.delete").id]
        return web.Response(status=204)

    async def plugins(self, request: web.Request, login: Login) -> web.Response:
        return web.json_response([_plugin(self._store)] if self.plugins_loaded else [])

    async def methods(self, request: web.Request, login: Login) -> web.Response:
        return web.json_response([_method(name) for name in METHODS] if self.plugins_loaded else [])

    async def templates(self, request: web.Request, login: Login) -> web.Response:
        return web.json_response([])

    def _require(self, request: web.Request, login: Login, permission: str) -> Workflow:
        workflow = self._store.workflows.get(check_id(request.match_info["id"]))
        if workflow is None or workflow.owner is not login.user:
            raise RefusedError(400, f"Not found or no {permission} access")
        return workflow

    # ---- webhooks

    def _triggered(self, trigger: str, asset: Asset) -> None:
        for workflow in list(self._store.workflows.values()):
            if workflow.owner is asset.owner and workflow.trigger == trigger and workflow.enabled:
                for step in workflow.steps:
                    if step.get("enabled") and step.get("method") == WEBHOOK:
                        self._post_later(workflow, step["config"] or {}, trigger, asset)

    def _post_later(self, workflow: Workflow, config: Json, trigger: str, asset: Asset) -> None:
        body = {"type": "AssetV1", "trigger": trigger, "data": {"asset": _webhook_asset(asset)}}
        delivery = Delivery(workflow, str(config.get("url")), trigger, asset.id, body, datetime.now(UTC))
        self.deliveries.append(delivery)
        if self._faults.webhook_is_lost():
            delivery.lost = True
            return

        async def post() -> None:
            async with self._workers:
                await self._post(delivery, config)

        # Uploads do not wait for it, nor does it wait for metadata.
        self._store.later(self.delay, post, held=False)

    async def _post(self, delivery: Delivery, config: Json) -> None:
        """Once, whatever the answer: nothing is repeated."""
        headers = {"User-Agent": f"immich-server/{self._store.dialect}", "Content-Type": "application/json"}
        if config.get("headerName"):
            headers[config["headerName"]] = str(config.get("headerValue", ""))
        method = config.get("method", "POST")
        try:
            async with (
                aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=PATIENCE)) as session,
                session.request(method, delivery.url, json=delivery.body, headers=headers) as response,
            ):
                delivery.status = response.status
                await response.read()
        except (aiohttp.ClientError, TimeoutError, ValueError) as error:
            delivery.error = f"{type(error).__name__}: {error}"


def _issues(body: Json) -> list[Issue]:
    issues: list[Issue] = []
    if "trigger" in body:
        issues += option_issues(body["trigger"], TRIGGERS, ["trigger"])
    if "enabled" in body and not isinstance(body["enabled"], bool):
        issues.append(expected("boolean", ["enabled"], body["enabled"]))
    for name in ("name", "description"):
        if not isinstance(body.get(name), str | None):
            issues.append(expected("string", [name], body[name]))
    if not isinstance(body.get("steps", []), list):
        issues.append(expected("array", ["steps"], body["steps"]))
    return issues


def _steps(steps: list[Json]) -> list[Json]:
    """Steps as they are kept; what is in `config` is not looked at."""
    for step in steps:
        if step.get("method") not in [f"{PLUGIN}#{name}" for name in METHODS]:
            raise RefusedError(400, f"Unknown method {step.get('method')}")
    return [
        {"method": step["method"], "config": step.get("config"), "enabled": step.get("enabled", True)} for step in steps
    ]


def _json(workflow: Workflow) -> Json:
    return {
        "id": workflow.id,
        "enabled": workflow.enabled,
        "trigger": workflow.trigger,
        "name": workflow.name,
        "description": workflow.description,
        "createdAt": js_date(workflow.created_at),
        "updatedAt": js_date(workflow.updated_at),
        "steps": workflow.steps,
    }


def _method(name: str) -> Json:
    return {
        "key": f"{PLUGIN}#{name}",
        "name": name,
        "title": name,
        "description": "",
        "types": ["AssetV1"],
        "hostFunctions": name in ("assetAddToAlbums", "webhook"),
        "uiHints": [],
    }


def _plugin(store: Store) -> Json:
    date = js_date(min((user.created_at for user in store.users.values()), default=store.now()))
    return {
        "id": "00000000-0000-4000-8000-00000000c02e",
        "name": PLUGIN,
        "title": "Immich",
        "description": "",
        "author": "Immich",
        "version": "2.0.1",
        "createdAt": date,
        "updatedAt": date,
        "methods": [_method(name) for name in METHODS],
    }


def _webhook_asset(asset: Asset) -> Json:
    """The asset as a plugin gets it: its row and its EXIF row, with the checksum as Node prints a buffer."""
    exif = exif_json(asset)
    absent = ("fps", "livePhotoCID", "profileDescription", "colorspace", "autoStackId")
    exif |= {**dict.fromkeys(absent), "bitsPerSample": 8 if asset.extracted else None}
    exif |= {"tags": asset.exif.get("tags"), "updatedAt": postgres_date(asset.updated_at)}
    return {
        "id": asset.id,
        "ownerId": asset.owner.id,
        "stackId": asset.stack_id,
        "livePhotoVideoId": asset.live_photo_video_id,
        "libraryId": asset.library_id,
        "duplicateId": None,
        "createdAt": js_date(asset.created_at),
        "updatedAt": js_date(asset.updated_at),
        "deletedAt": js_date(asset.deleted_at) if asset.deleted_at else None,
        "fileCreatedAt": js_date(asset.file_created_at),
        "fileModifiedAt": js_date(asset.file_modified_at),
        "localDateTime": js_date(asset.local_date_time),
        "type": asset.type,
        "status": "trashed" if asset.deleted_at else "active",
        "visibility": asset.visibility,
        "duration": asset.duration,
        "checksum": {"type": "Buffer", "data": list(asset.checksum)},
        "originalPath": asset.original_path,
        "originalFileName": asset.name,
        "isOffline": asset.is_offline,
        "isFavorite": asset.is_favorite,
        "isExternal": asset.library_id is not None,
        "isEdited": asset.is_edited,
        "exifInfo": exif,
    }
