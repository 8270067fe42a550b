"""Uploading: `POST /assets` and the check before it."""

from __future__ import annotations

import asyncio
import hashlib
import json
import uuid
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import BodyPartReader, web

from .about import IMAGE, SIDECAR, VIDEO
from .faults import Faults
from .keys import Login
from .pictures import can_be_shown, mime_of, read_facts, thumbhash_of
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
from .records import Asset, Store, User, parse_checksum
from .wire import body_of, postgres_date

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
    status: int | None = None
    asset_id: str | None = None


@dataclass
class _File:
    path: Path
    size: int
    checksum: bytes


class Uploads:
    """Receives files and processes them: first the metadata, then the thumbnails."""

    def __init__(self, store: Store, faults: Faults) -> None:
        self._store = store
        self._faults = faults
        self.extraction_delay = 0.05
        self.thumbnail_delay = 0.05
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
        record = Upload(checksum_header=request.headers.get("x-immich-checksum"))
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
        if not request.can_read_body:
            issue = expected("object", [], None, missing=True)
            raise invalid([issue])
        file = None
        if request.content_type.startswith("multipart/"):
            file = await self._read_parts(request, record)
        else:
            record.fields = {name: str(value) for name, value in (await body_of(request)).items()}
        try:
            return self._accept(user, record, file)
        except RefusedError:
            if file:
                file.path.unlink()
            raise

    async def _read_parts(self, request: web.Request, record: Upload) -> _File | None:
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
            if Path(file_name).suffix.lower() not in allowed:
                raise RefusedError(400, f"Unsupported file type {file_name}")
            received = await self._read_file(request, part, record if name == "assetData" else Upload())
            if name == "assetData":
                file, record.file_name = received, part.filename
            else:
                received.path.unlink()
        return file

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
        fields = record.fields
        issues: list[Issue] = []
        for name in ("fileCreatedAt", "fileModifiedAt"):
            issues += date_issues(fields.get(name), [name], missing=name not in fields)
        if "visibility" in fields:
            issues += option_issues(fields["visibility"], VISIBILITIES, ["visibility"])
        metadata, metadata_problems = _metadata(fields.get("metadata"))
        if issues := issues + metadata_problems:
            raise invalid(issues)
        if file is None:
            raise RefusedError(400, "File is required")
        if file.size == 0:
            raise RefusedError(400, "File is empty")
        if user.quota_bytes is not None and user.used_bytes + file.size > user.quota_bytes:
            raise RefusedError(400, "Quota has been exceeded!")
        if known := self._store.duplicate_of(user, file.checksum):
            file.path.unlink()
            return _duplicate(known, record)
        name = fields.get("filename") or record.file_name or ""
        asset = self.new_asset(user, file.path, file.size, file.checksum, name)
        asset.file_created_at = asset.local_date_time = parse_date(fields["fileCreatedAt"]).astimezone(UTC)
        asset.file_modified_at = parse_date(fields["fileModifiedAt"]).astimezone(UTC)
        asset.visibility = fields.get("visibility", "timeline")
        asset.is_favorite = fields.get("isFavorite") == "true"
        asset.live_photo_video_id = fields.get("livePhotoVideoId")
        asset.metadata = {item["key"]: (item["value"], asset.created_at) for item in metadata}
        user.used_bytes += file.size
        self.process_later(asset)
        record.asset_id = asset.id
        return web.json_response({"id": asset.id, "status": "created"}, status=201)

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
        async def extract() -> None:
            await asyncio.to_thread(self.extract, asset)
            self._store.later(self.thumbnail_delay, show)

        async def show() -> None:
            await asyncio.to_thread(self.show, asset)

        self._store.later(self.extraction_delay, extract)

    def extract(self, asset: Asset) -> None:
        """Read the file's metadata into the asset: the dates of the form give way to those of the file."""
        facts = read_facts(asset.file)
        described = asset.exif.get("description")
        asset.exif = {**facts.exif, **({"description": described} if described else {})}
        asset.width, asset.height = facts.width, facts.height
        earliest = min(asset.file_created_at, asset.file_modified_at)
        taken = facts.taken_at or earliest
        set_taken(asset, taken, facts.taken_local or earliest)
        asset.exif["modifyDate"] = postgres_date(asset.file_modified_at)
        asset.updated_at = self._store.now()

    def show(self, asset: Asset) -> None:
        """Mark thumbnails as made, unless the file is no picture or the asset is hidden."""
        if asset.visibility != "hidden" and can_be_shown(asset.file):
            asset.thumbhash = thumbhash_of(asset.checksum)
            asset.updated_at = self._store.now()


def set_taken(asset: Asset, taken: datetime, local: datetime) -> None:
    asset.file_created_at, asset.local_date_time = taken, local
    asset.exif["dateTimeOriginal"] = postgres_date(taken)


def _duplicate(known: Asset, record: Upload) -> web.Response:
    record.asset_id = known.id
    return web.json_response({"status": "duplicate", "id": known.id})


def _metadata(text: str | None) -> tuple[list[dict[str, Any]], list[Issue]]:
    if text is None:
        return [], []
    try:
        items = json.loads(text)
    except ValueError:
        return [], [expected("array", ["metadata"], text)]
    issues = metadata_issues(items)
    for issue in issues:
        issue["path"] = ["metadata", *issue["path"][1:]]
    return items, issues
