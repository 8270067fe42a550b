"""Uploading: `POST /assets` and the check before it."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from dataclasses import dataclass, field
from datetime import UTC
from pathlib import Path
from typing import Any

from aiohttp import BodyPartReader, web

from .about import IMAGE, SIDECAR, VIDEO
from .faults import Faults
from .keys import Login
from .pictures import mime_of
from .problems import (
    Issue,
    RefusedError,
    date_issues,
    expected,
    invalid,
    metadata_issues,
    option_issues,
    parse_date,
)
from .processing import Processing
from .records import Asset, Store, User, parse_checksum
from .second import strict_date
from .wire import body_of
from .xmp import read_xmp

VISIBILITIES = ["archive", "timeline", "hidden", "locked"]


@dataclass
class Upload:
    """One upload as it came in, finished or not; for tests to look at."""

    #: Names of the multipart parts in the order of arrival.
    parts: list[str] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)
    file_name: str | None = None
    #: Bytes of `assetData` received.
    received: int = 0
    #: The header `x-immich-checksum`.
    checksum_header: str | None = None
    #: What came as `sidecarData`.
    sidecar: bytes | None = None
    #: The header `User-Agent`.
    agent: str = ""
    status: int | None = None
    asset_id: str | None = None


@dataclass
class _File:
    path: Path
    size: int
    checksum: bytes


class Uploads:
    """Receives files and processes them: first the metadata, then the thumbnails."""

    def __init__(self, store: Store, faults: Faults, processing: Processing) -> None:
        self._store = store
        self._faults = faults
        self.processing = processing
        self.received: list[Upload] = []
        self.routes = [
            ("POST", "/assets", "asset.upload", self.upload),
            ("POST", "/assets/bulk-upload-check", "asset.upload", self.check),
        ]

    async def check(self, request: web.Request, login: Login) -> web.Response:
        body = await body_of(request)
        items = body.get("assets")
        if not isinstance(items, list):
            raise invalid([expected("array", ["assets"], items, missing="assets" not in body)])
        results = []
        for item in items:
            known = self._store.duplicate_of(login.user, parse_checksum(str(item.get("checksum"))))
            result: dict[str, Any] = {"id": item.get("id"), "action": "reject" if known else "accept"}
            if known:
                trashed = known.deleted_at is not None
                result |= {"reason": "duplicate", "assetId": known.id, "isTrashed": trashed}
            results.append(result)
        return web.json_response({"results": results})

    async def upload(self, request: web.Request, login: Login) -> web.Response:
        record = Upload(
            checksum_header=request.headers.get("x-immich-checksum"), agent=request.headers.get("User-Agent", "")
        )
        self.received.append(record)
        try:
            response = await self._receive(request, login.user, record)
        except RefusedError as refusal:
            record.status = refusal.status
            raise
        record.status = response.status
        return response

    async def _receive(self, request: web.Request, user: User, record: Upload) -> web.Response:
        if record.checksum_header:
            known = self._store.duplicate_of(user, parse_checksum(record.checksum_header))
            if known:
                return _duplicate(known, record)
        if not request.body_exists and not self._store.dialect.is_second:
            issue = expected("object", [], None, missing=True)
            raise invalid([issue])
        file = None
        if request.content_type.startswith("multipart/"):
            file = await self.read_parts(request, record)
        else:
            record.fields = {name: str(value) for name, value in (await body_of(request)).items()}
        try:
            return self._accept(user, record, file)
        except RefusedError:
            if file:
                file.path.unlink()
            raise

    async def read_parts(self, request: web.Request, record: Upload) -> _File | None:
        """Take a form: its fields go into the record, its file into the folder."""
        file = None
        async for part in await request.multipart():
            assert isinstance(part, BodyPartReader)
            name = part.name or ""
            record.parts.append(name)
            if part.filename is None:
                record.fields[name] = (await part.read(decode=True)).decode()
                continue
            if name not in ("assetData", "sidecarData"):
                raise RefusedError(400, f"Unexpected field - {name}")
            # Only the fields that came before the file can name it.
            file_name = record.fields.get("filename") or part.filename
            allowed = SIDECAR if name == "sidecarData" else [*IMAGE, *VIDEO]
            if self._suffix(file_name) not in allowed:
                raise RefusedError(400, f"Unsupported file type {file_name}")
            received = await self._read_file(request, part, record if name == "assetData" else Upload())
            if name == "assetData":
                file, record.file_name = received, part.filename
            else:
                record.sidecar = received.path.read_bytes()
                received.path.unlink()
        return file

    def _suffix(self, file_name: str) -> str:
        suffix = Path(file_name).suffix.lower()
        if not suffix and file_name.startswith(".") and self._store.dialect.names_without_stem_are_files:
            return file_name.lower()
        return suffix

    async def _read_file(self, request: web.Request, part: BodyPartReader, record: Upload) -> _File:
        suffix = Path(record.fields.get("filename") or part.filename or "").suffix.lower()
        path = self._store.folder / f"{uuid.uuid4()}{suffix}"
        digest = hashlib.sha1(usedforsecurity=False)
        complete = False
        try:
            with path.open("wb") as target:
                while chunk := await part.read_chunk(1 << 16):
                    target.write(chunk)
                    digest.update(chunk)
                    record.received += len(chunk)
                    self._faults.maybe_cut_upload(request, record.received)
            complete = True
        finally:
            if not complete:
                path.unlink()
        return _File(path, record.received, digest.digest())

    def _accept(self, user: User, record: Upload, file: _File | None) -> web.Response:
        fields, dialect = record.fields, self._store.dialect
        issues: list[Issue] = []
        for name in ("deviceAssetId", "deviceId") if dialect.wants_device_fields else ():
            if name not in fields:
                issues.append(expected("string", [name], None, missing=True))
            elif not fields[name]:
                issues.append({"code": "custom", "path": [name], "message": f"{name} should not be empty"})
        for name in ("fileCreatedAt", "fileModifiedAt"):
            if name in fields and dialect.is_second:
                fields[name] = strict_date(fields[name])
            issues += date_issues(fields.get(name), [name], missing=name not in fields)
        if dialect.is_second and fields.get("isFavorite", "true") not in ("true", "false"):
            issues.append(expected("boolean", ["isFavorite"], fields["isFavorite"]))
        if "visibility" in fields:
            issues += option_issues(fields["visibility"], VISIBILITIES, ["visibility"])
        metadata, metadata_problems = _metadata(fields.get("metadata"))
        if issues := issues + metadata_problems:
            raise invalid(issues)
        if file is None:
            raise RefusedError(400, "File is required")
        if file.size == 0 and not dialect.takes_empty_files:
            raise RefusedError(400, "File is empty")
        if user.quota_bytes is not None and user.used_bytes + file.size > user.quota_bytes:
            raise RefusedError(400, "Quota has been exceeded!")
        if known := self._store.duplicate_of(user, file.checksum):
            file.path.unlink()
            return _duplicate(known, record)
        if "livePhotoVideoId" in fields:
            hide_motion_part(self._store, user, fields["livePhotoVideoId"])
        # Only what comes after the last slash of either kind.
        name = re.split(r"[/\\]", fields.get("filename") or record.file_name or "")[-1]
        asset = self.new_asset(user, file.path, file.size, file.checksum, name)
        self.set_dates(asset, fields["fileCreatedAt"], fields["fileModifiedAt"])
        asset.visibility = fields.get("visibility", "timeline")
        asset.is_favorite = fields.get("isFavorite") == "true"
        asset.device_asset_id, asset.device_id = fields.get("deviceAssetId", ""), fields.get("deviceId", "")
        if record.sidecar is not None:
            asset.sidecar = read_xmp(record.sidecar)
        asset.live_photo_video_id = fields.get("livePhotoVideoId")
        asset.metadata = {item["key"]: (item["value"], asset.created_at) for item in metadata}
        user.used_bytes += file.size
        self._store.triggered("AssetCreate", asset)
        self.process_later(asset)
        record.asset_id = asset.id
        return web.json_response({"id": asset.id, "status": "created"}, status=201)

    def set_dates(self, asset: Asset, created: str, modified: str) -> None:
        """What the form says, until the file was read."""
        asset.file_created_at = asset.local_date_time = parse_date(created).astimezone(UTC)
        asset.file_modified_at = parse_date(modified).astimezone(UTC)

    def new_asset(self, user: User, file: Path, size: int, checksum: bytes, name: str) -> Asset:
        """Enter a stored file as an asset that is not processed yet."""
        now = self._store.now()
        mime = mime_of(name)
        asset = Asset(
            id=self._store.new_id(),
            owner=user,
            name=name,
            file=file,
            size=size,
            checksum=checksum,
            mime=mime,
            type="VIDEO" if mime.startswith("video/") else "IMAGE",
            created_at=now,
            updated_at=now,
            file_created_at=now,
            file_modified_at=now,
            local_date_time=now,
        )
        self._store.assets[asset.id] = asset
        return asset

    def process_later(self, asset: Asset) -> None:
        self.processing.begin(asset)


def hide_motion_part(store: Store, user: User, video_id: str) -> None:
    """What comes before a photo is linked with its motion part. Raises RefusedError where that cannot be."""
    video = store.assets.get(video_id)
    if video is None:
        raise RefusedError(400, "Live photo video not found")
    if video.type != "VIDEO":
        raise RefusedError(400, "Live photo video must be a video")
    if video.owner is not user:
        raise RefusedError(400, "Live photo video does not belong to the user")
    if video.visibility == "timeline":
        video.visibility = "hidden"
        video.updated_at = store.now()
        store.tell(user, "on_asset_hidden", video.id)


def _duplicate(known: Asset, record: Upload) -> web.Response:
    record.asset_id = known.id
    return web.json_response({"status": "duplicate", "id": known.id})


def _metadata(text: str | None) -> tuple[list[dict[str, Any]], list[Issue]]:
    if text is None:
        return [], []
    try:
        items = json.loads(text)
    except ValueError:
        message = "Invalid input: expected JSON string, received string"
        return [], [{"code": "custom", "path": ["metadata"], "message": message}]
    issues = metadata_issues(items)
    for issue in issues:
        issue["path"] = ["metadata", *issue["path"][1:]]
    return items, issues
