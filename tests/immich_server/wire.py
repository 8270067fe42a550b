"""How records look as JSON: the two spellings of dates, users, assets."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from aiohttp import web

from .problems import RefusedError, invalid
from .records import Asset, Stack, Store, User

Json = dict[str, Any]

EXIF_FIELDS = [
    *("make", "model", "lensModel", "fNumber", "focalLength", "iso", "exposureTime", "orientation"),
    *("exifImageWidth", "exifImageHeight", "fileSizeInByte", "projectionType"),
    *("dateTimeOriginal", "modifyDate", "timeZone"),
    *("latitude", "longitude", "city", "state", "country"),
    *("description", "rating"),
]


async def body_of(request: web.Request) -> Json:
    """The JSON object of the request; none at all counts as an empty one."""
    if not request.can_read_body:
        return {}
    try:
        body = await request.json()
    except ValueError as error:
        raise RefusedError(400, str(error)) from error
    if not isinstance(body, dict):
        raise invalid([{"expected": "object", "code": "invalid_type", "path": [], "message": "Invalid input"}])
    return body


def js_date(moment: datetime) -> str:
    """A date as JavaScript prints it: milliseconds (cut, not rounded) and `Z`."""
    utc = moment.astimezone(UTC)
    return f"{utc:%Y-%m-%dT%H:%M:%S}.{utc.microsecond // 1000:03d}Z"


def postgres_date(moment: datetime) -> str:
    """A date as Postgres prints it inside JSON: up to microseconds without trailing zeros, and `+00:00`."""
    utc = moment.astimezone(UTC)
    fraction = f".{utc.microsecond:06d}".rstrip("0").rstrip(".")
    return f"{utc:%Y-%m-%dT%H:%M:%S}{fraction}+00:00"


def small_user_json(user: User) -> Json:
    return {
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "profileImagePath": "",
        "avatarColor": "orange",
        "profileChangedAt": postgres_date(user.created_at),
    }


def user_json(user: User) -> Json:
    return {
        "id": user.id,
        "email": user.email,
        "name": user.name,
        "profileImagePath": "",
        "avatarColor": "orange",
        "profileChangedAt": js_date(user.created_at),
        "storageLabel": "admin" if user.is_admin else None,
        "shouldChangePassword": True,
        "isAdmin": user.is_admin,
        "createdAt": js_date(user.created_at),
        "deletedAt": None,
        "updatedAt": js_date(user.created_at),
        "oauthId": "",
        "quotaSizeInBytes": user.quota_bytes,
        "quotaUsageInBytes": user.used_bytes,
        "status": "active",
        "license": None,
    }


def exif_json(asset: Asset) -> Json:
    exif: Json = {name: asset.exif.get(name) for name in EXIF_FIELDS}
    exif["fileSizeInByte"] = asset.size
    exif["description"] = asset.exif.get("description") or ""
    return exif


def asset_json(asset: Asset, *, nested: bool = False, exif: bool = True, tags: bool = False) -> Json:
    """An asset without owner and stack. `nested`: inside a stack, where Postgres itself prints the dates."""
    date = postgres_date if nested else js_date
    result: Json = {
        "id": asset.id,
        "createdAt": date(asset.created_at),
        "ownerId": asset.owner.id,
        "libraryId": asset.library_id,
        "type": asset.type,
        "originalPath": f"/data/upload/{asset.owner.id}/{asset.id[:2]}/{asset.id[2:4]}/{asset.file.name}",
        "originalFileName": asset.name,
        "originalMimeType": asset.mime,
        "thumbhash": asset.thumbhash,
        "fileCreatedAt": date(asset.file_created_at),
        "fileModifiedAt": date(asset.file_modified_at),
        "localDateTime": date(asset.local_date_time),
        "updatedAt": date(asset.updated_at),
        "isFavorite": asset.is_favorite,
        "isArchived": asset.visibility == "archive",
        "isTrashed": asset.deleted_at is not None,
        "visibility": asset.visibility,
        "duration": asset.duration,
        "livePhotoVideoId": asset.live_photo_video_id,
        "people": [],
        "checksum": asset.checksum_base64,
        "isOffline": asset.is_offline,
        # Both are always true, so they say nothing about readiness.
        "hasMetadata": True,
        "duplicateId": None,
        "resized": True,
        "width": asset.width,
        "height": asset.height,
        "isEdited": asset.is_edited,
    }
    if exif:
        result["exifInfo"] = exif_json(asset)
    if tags:
        result["tags"] = []
    return result


def whole_asset_json(store: Store, asset: Asset) -> Json:
    """The asset as `GET /assets/{id}` gives it, the only place where `owner` and `stack` appear."""
    return {
        **asset_json(asset, tags=True),
        "owner": small_user_json(asset.owner),
        "stack": _stack_of(store, asset),
    }


def _stack_of(store: Store, asset: Asset) -> Json | None:
    """Children that are live and in the timeline plus the primary; null when there is no such child."""
    if asset.stack_id is None:
        return None
    stack = store.stacks[asset.stack_id]
    children = [
        member
        for member in store.members(stack.id)
        if member.visibility == "timeline" and member.id != stack.primary_asset_id
    ]
    if not children:
        return None
    return {"id": stack.id, "primaryAssetId": stack.primary_asset_id, "assetCount": len(children) + 1}


def stack_json(store: Store, stack: Stack, *, tags: bool = False) -> Json:
    members = store.members(stack.id)
    members.sort(key=lambda asset: asset.id != stack.primary_asset_id)
    return {
        "id": stack.id,
        "primaryAssetId": stack.primary_asset_id,
        "assets": [asset_json(asset, nested=True, tags=tags) for asset in members],
    }
