"""What the server sends to the sockets of a user: the names and payloads of events, in one place."""

from __future__ import annotations

from typing import Any

from .problems import parse_date
from .records import Asset, Store
from .wire import Json, asset_json, exif_json, js_date


def upload_ready(store: Store, asset: Asset) -> None:
    """The thumbnails of a new upload are there. Nothing is sent for what is hidden or locked."""
    if asset.visibility not in ("timeline", "archive"):
        return
    # Made without knowing who is asking, so that nothing is a favourite.
    store.tell(asset.owner, "on_upload_success", {**asset_json(store, asset, tags=True), "isFavorite": False})
    store.tell(asset.owner, "AssetUploadReadyV2", {"asset": _synced(asset), "exif": _synced_exif(asset)})


def asset_updated(store: Store, asset: Asset) -> None:
    """The sidecar was written and read again."""
    store.tell(asset.owner, "on_asset_update", asset_json(store, asset, tags=True))


def edits_ready(store: Store, asset: Asset) -> None:
    edits: list[Json] = [
        {"id": edit["id"], "assetId": asset.id, "sequence": index, **_action(edit)}
        for index, edit in enumerate(asset.edits)
    ]
    store.tell(asset.owner, "AssetEditReadyV2", {"asset": _synced(asset), "edit": edits})


def _action(edit: dict[str, Any]) -> Json:
    return {"action": edit["action"], "parameters": edit["parameters"]}


def _synced(asset: Asset) -> Json:
    return {
        "id": asset.id,
        "ownerId": asset.owner.id,
        "originalFileName": asset.name,
        "thumbhash": asset.thumbhash,
        "checksum": asset.checksum_base64,
        "fileCreatedAt": js_date(asset.file_created_at),
        "fileModifiedAt": js_date(asset.file_modified_at),
        "createdAt": js_date(asset.created_at),
        "localDateTime": js_date(asset.local_date_time),
        "duration": asset.duration,
        "type": asset.type,
        "deletedAt": js_date(asset.deleted_at) if asset.deleted_at else None,
        "isFavorite": asset.is_favorite,
        "visibility": asset.visibility,
        "livePhotoVideoId": asset.live_photo_video_id,
        "stackId": asset.stack_id,
        "libraryId": asset.library_id,
        "width": asset.width,
        "height": asset.height,
        "isEdited": asset.is_edited,
    }


def _synced_exif(asset: Asset) -> Json:
    exif = {**exif_json(asset), "profileDescription": None, "fps": None}
    for name in ("dateTimeOriginal", "modifyDate"):
        if exif[name]:
            exif[name] = js_date(parse_date(exif[name]))
    return {"assetId": asset.id, **exif}
