"""Assets after their upload: reading, changing, copying properties."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from aiohttp import web

from .keys import Login
from .problems import (
    Issue,
    RefusedError,
    check_id,
    date_issues,
    expected,
    ids_issues,
    invalid,
    option_issues,
    parse_date,
    uuid_issues,
)
from .processing import Processing, zone_name
from .records import Asset, Store
from .stacks import dissolve
from .upload import VISIBILITIES, hide_motion_part
from .wire import asset_json, body_of, postgres_date, whole_asset_json

RATING = "Rating must be -1 (rejected), 1–5 (starred), or null (unrated); 0 is not valid"


JOBS = ["refresh-faces", "refresh-metadata", "regenerate-thumbnail", "transcode-video"]
CHANGEABLE = {"isFavorite", "visibility", "description", "rating", "latitude", "longitude", "dateTimeOriginal"}


class Assets:
    def __init__(self, store: Store, processing: Processing) -> None:
        self._store = store
        self._processing = processing
        self.routes = [
            ("PUT", "/assets/copy", "asset.copy", self.copy),
            ("GET", "/assets/statistics", "asset.statistics", self.statistics),
            ("POST", "/assets/jobs", "job.create", self.run_jobs),
            ("GET", "/assets/{id}", "asset.read", self.get),
            ("PUT", "/assets/{id}", "asset.update", self.update),
            ("PUT", "/assets", "asset.update", self.update_many),
        ]

    async def get(self, request: web.Request, login: Login) -> web.Response:
        asset_id = check_id(request.match_info["id"])
        asset = self._store.require(login.user, [asset_id], "asset.read")[0]
        return web.json_response(whole_asset_json(self._store, asset))

    async def statistics(self, request: web.Request, login: Login) -> web.Response:
        query = request.query
        if "visibility" in query and (issues := option_issues(query["visibility"], VISIBILITIES, ["visibility"])):
            raise invalid(issues)
        visible = [query["visibility"]] if "visibility" in query else ["timeline", "archive"]
        trashed = query.get("isTrashed") == "true"
        counts = {"IMAGE": 0, "VIDEO": 0}
        for asset in self._store.all_of(login.user):
            favorite = query.get("isFavorite", str(asset.is_favorite).lower()) == str(asset.is_favorite).lower()
            if favorite and asset.visibility in visible and bool(asset.deleted_at) == trashed:
                counts[asset.type] += 1
        for crowd in self._store.assets.crowds:
            one = crowd.make(0)
            if crowd.owner is login.user and one.visibility in visible and not trashed:
                counts[one.type] += crowd.left if query.get("isFavorite") != "true" else 0
        total = sum(counts.values())
        return web.json_response({"images": counts["IMAGE"], "videos": counts["VIDEO"], "total": total})

    async def run_jobs(self, request: web.Request, login: Login) -> web.Response:
        body = await body_of(request)
        if issues := ids_issues(body, "assetIds") + option_issues(body.get("name"), JOBS, ["name"]):
            raise invalid(issues)
        for asset in self._store.require(login.user, body["assetIds"], "asset.update"):
            if body["name"] == "refresh-metadata":
                self._processing.read_again(asset)
            elif body["name"] == "regenerate-thumbnail":
                self._processing.show_again(asset)
        return web.Response(status=204)

    async def update(self, request: web.Request, login: Login) -> web.Response:
        asset_id = check_id(request.match_info["id"])
        changes = await body_of(request)
        if issues := _change_issues(changes):
            raise invalid(issues)
        asset = self._store.require(login.user, [asset_id], "asset.update")[0]
        if "livePhotoVideoId" in changes:
            self._link(asset, changes["livePhotoVideoId"])
        self._change(asset, changes)
        return web.json_response(asset_json(self._store, asset, people=True))

    async def update_many(self, request: web.Request, login: Login) -> web.Response:
        """Writes every sidecar and reads every asset again, whatever was changed."""
        changes = await body_of(request)
        if issues := ids_issues(changes, "ids") + _change_issues(changes):
            raise invalid(issues)
        assets = self._store.require(login.user, changes["ids"], "asset.update")
        minutes = changes.get("dateTimeRelative")
        for asset in assets:
            if not self._change(asset, changes):
                self._processing.write_sidecar(asset)
            if minutes and asset.exif.get("dateTimeOriginal"):
                moved = parse_date(asset.exif["dateTimeOriginal"]) + timedelta(minutes=minutes)
                self._processing.set_properties(asset, dateTimeOriginal=postgres_date(moved))
            if changes.get("visibility") == "locked":
                for album in self._store.albums.values():
                    album.asset_ids = [known for known in album.asset_ids if known != asset.id]
        return web.Response(status=204)

    def _change(self, asset: Asset, changes: dict[str, Any]) -> bool:
        """Whether anything was set that belongs into the sidecar."""
        asset.is_favorite = changes.get("isFavorite", asset.is_favorite)
        asset.visibility = changes.get("visibility", asset.visibility)
        names = ("description", "rating", "latitude", "longitude")
        written = {name: changes[name] for name in names if name in changes}
        if "dateTimeOriginal" in changes:
            moment = parse_date(changes["dateTimeOriginal"])
            written |= {"dateTimeOriginal": postgres_date(moment), "timeZone": zone_name(moment)}
        if CHANGEABLE & changes.keys():
            asset.updated_at = self._store.now()
        if written:
            self._processing.set_properties(asset, **written)
        return bool(written)

    def _link(self, asset: Asset, video_id: str | None) -> None:
        if video_id is not None:
            hide_motion_part(self._store, asset.owner, video_id)
        elif asset.live_photo_video_id in self._store.assets:
            video = self._store.assets[asset.live_photo_video_id or ""]
            video.visibility = asset.visibility
            video.updated_at = self._store.now()
            self._processing.show_again(video, tell=True)
        asset.live_photo_video_id = video_id
        asset.updated_at = self._store.now()

    async def copy(self, request: web.Request, login: Login) -> web.Response:
        body = await body_of(request)
        ids = [body.get("sourceId"), body.get("targetId")]
        issues = [
            issue
            for name in ("sourceId", "targetId")
            for issue in (
                uuid_issues(body[name], [name]) if name in body else [expected("string", [name], None, missing=True)]
            )
        ]
        if issues:
            raise invalid(issues)
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
        if body.get("sidecar", True) and source.sidecar is not None:
            # Tells no socket, but starts the workflows.
            target.sidecar = dict(source.sidecar)
            self._processing.read_again(target)
        return web.Response(status=204)


def _change_issues(changes: dict[str, Any]) -> list[Issue]:
    issues: list[Issue] = []
    if "visibility" in changes:
        issues += option_issues(changes["visibility"], VISIBILITIES, ["visibility"])
    if "dateTimeOriginal" in changes:
        issues += date_issues(changes["dateTimeOriginal"], ["dateTimeOriginal"])
    if ("latitude" in changes) != ("longitude" in changes):
        message = "Latitude and longitude must be provided together"
        issues.append({"code": "custom", "path": [], "message": message})
    video_id = changes.get("livePhotoVideoId")
    if video_id is not None:
        issues += uuid_issues(video_id, ["livePhotoVideoId"])
    return issues + _rating_issues(changes.get("rating"))


def _rating_issues(rating: Any) -> list[Issue]:
    if rating in (None, -1, 1, 2, 3, 4, 5) and not isinstance(rating, bool):
        return []
    if not isinstance(rating, int) or isinstance(rating, bool):
        if isinstance(rating, float):
            message = "Invalid input: expected int, received number"
            return [
                {"expected": "int", "format": "safeint", "code": "invalid_type", "path": ["rating"], "message": message}
            ]
        return [expected("number", ["rating"], rating)]
    issue: Issue = {"origin": "number", "inclusive": True, "path": ["rating"]}
    if rating > 5:
        return [{**issue, "code": "too_big", "maximum": 5, "message": "Too big: expected number to be <=5"}]
    if rating < -1:
        return [{**issue, "code": "too_small", "minimum": -1, "message": "Too small: expected number to be >=-1"}]
    return [{"code": "custom", "path": ["rating"], "message": RATING}]
