"""How records look as JSON: the two spellings of dates, users, assets."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from aiohttp import web

from .dates import js_date, postgres_date
from .problems import RefusedError, invalid
from .records import Asset, Person, Stack, Store, Tag, User

if TYPE_CHECKING:
    from .dialect import Dialect

Json = dict[str, Any]

#: Who translates the bodies of requests.
DIALECT: web.AppKey[Any] = web.AppKey("dialect")

EXIF_FIELDS = [
    *("make", "model", "lensModel", "fNumber", "focalLength", "iso", "exposureTime", "orientation"),
    *("exifImageWidth", "exifImageHeight", "fileSizeInByte", "projectionType"),
    *("dateTimeOriginal", "modifyDate", "timeZone"),
    *("latitude", "longitude", "city", "state", "country"),
    *("description", "rating"),
]


async def body_of(request: web.Request) -> Json:
    """The JSON object of the request; none at all counts as an empty one."""
    if not request.body_exists:
        return {}
    try:
        body = await request.json()
    except ValueError as error:
        raise RefusedError(400, str(error)) from error
    if not isinstance(body, dict):
        raise invalid([{"expected": "object", "code": "invalid_type", "path": [], "message": "Invalid input"}])
    dialect: Dialect = request.app[DIALECT]
    return dialect.requested(request.method, request.path, body)


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


def tag_json(tag: Tag, *, nested: bool = False) -> Json:
    """A tag. `nested`: inside an asset, where Postgres itself prints the dates."""
    date = postgres_date if nested else js_date
    result: Json = {"id": tag.id}
    if tag.parent_id is not None:
        result["parentId"] = tag.parent_id
    result |= {"name": tag.value.rpartition("/")[2], "value": tag.value}
    result |= {"createdAt": date(tag.created_at), "updatedAt": date(tag.updated_at)}
    if tag.color is not None:
        result["color"] = tag.color
    return result


def person_json(person: Person) -> Json:
    return {
        "id": person.id,
        "name": person.name,
        "birthDate": person.birth_date,
        "thumbnailPath": "",
        "isHidden": person.is_hidden,
        "isFavorite": person.is_favorite,
        "updatedAt": js_date(person.updated_at),
    }


def asset_json(
    store: Store, asset: Asset, *, nested: bool = False, exif: bool = True, tags: bool = False, people: bool = False
) -> Json:
    """An asset without owner and stack. `nested`: inside a stack, where Postgres itself prints the dates."""
    date = postgres_date if nested else js_date
    result: Json = {
        "id": asset.id,
        "createdAt": date(asset.created_at),
        "ownerId": asset.owner.id,
        "libraryId": asset.library_id,
        "type": asset.type,
        "originalPath": asset.original_path,
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
        "people": [person_json(person) for person in _people(store, asset)] if people else [],
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
        result["tags"] = [tag_json(store.tags[tag_id], nested=True) for tag_id in asset.tag_ids]
    return result


def _people(store: Store, asset: Asset) -> list[Person]:
    """Those whose faces were found in the asset, each once."""
    ids = [face.person_id for face in store.faces.values() if face.asset_id == asset.id and face.person_id]
    return [store.people[person_id] for person_id in dict.fromkeys(ids)]


def whole_asset_json(store: Store, asset: Asset) -> Json:
    """The asset as `GET /assets/{id}` gives it, the only place where `owner` and `stack` appear."""
    return {
        **asset_json(store, asset, tags=True, people=True),
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
        "assets": [asset_json(store, asset, nested=True, tags=tags) for asset in members],
    }
