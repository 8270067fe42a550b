"""The whole state of a stand-in as plain data, and what differs between two of them.

A test takes one before and one after, and looks at what changed: what a user sees of assets, albums, stacks, tags,
workflows, keys and the rest. Of a crowd only what is no longer as it was made is in it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from .records import Asset, Store

#: Kind to id to field to value.
Snapshot = dict[str, dict[str, dict[str, Any]]]

#: EXIF values that come from the file or were set, by the name in answers.
EXIF = ("description", "rating", "dateTimeOriginal", "timeZone", "latitude", "longitude")


@dataclass(frozen=True)
class Difference:
    """One field that changed, or something that came or went (then `field` is empty)."""

    #: `asset`, `album`, `stack`, `tag`, `workflow`, `key`, ...
    kind: str
    id: str
    #: What a person would call it: a file name, an album's name, a tag's value.
    label: str
    field: str
    before: Any
    after: Any

    @property
    def came(self) -> bool:
        return not self.field and self.before is None

    @property
    def went(self) -> bool:
        return not self.field and self.after is None

    def __str__(self) -> str:
        what = f"{self.kind} {self.label} ({self.id[:8]})"
        if self.field:
            return f"{what}: {self.field} {self.before!r} -> {self.after!r}"
        return f"{what}: {'came' if self.came else 'went'}"


def snapshot(store: Store, *, contents: bool = False) -> Snapshot:
    """The state now. With `contents` each file is read too, to see that its bytes are those that were uploaded."""
    assets: dict[str, dict[str, Any]] = {}
    for asset in store.assets.values():
        entry = _asset(store, asset, contents=contents)
        if not _is_untouched(store, asset, entry, contents=contents):
            assets[asset.id] = entry
    for crowd in store.assets.crowds:
        for index in crowd.apart:
            if not dict.__contains__(store.assets, crowd.id_of(index)):
                assets[crowd.id_of(index)] = {"name": crowd.name_of(index), "gone": True}
    return {
        "asset": assets,
        "album": {
            album.id: {
                "name": album.name,
                "owner": album.owner.name,
                "description": album.description,
                "assets": sorted(album.asset_ids),
                "roles": {store.users[user_id].name: role for user_id, role in album.roles.items()},
                "updated_at": album.updated_at,
            }
            for album in store.albums.values()
        },
        "stack": {
            stack.id: {
                "name": _name(store, stack.primary_asset_id),
                "owner": stack.owner.name,
                "primary": stack.primary_asset_id,
                "assets": sorted(asset.id for asset in store.members(stack.id, hidden=True)),
            }
            for stack in store.stacks.values()
        },
        "tag": {
            tag.id: {"name": tag.value, "owner": tag.owner.name, "color": tag.color} for tag in store.tags.values()
        },
        "workflow": {
            workflow.id: {
                "name": workflow.name,
                "owner": workflow.owner.name,
                "trigger": workflow.trigger,
                "enabled": workflow.enabled,
                "steps": [dict(step) for step in workflow.steps],
            }
            for workflow in store.workflows.values()
        },
        "key": {
            key.id: {"name": key.name, "owner": key.user.name, "permissions": sorted(key.permissions)}
            for key in store.keys.values()
        },
        "user": {
            user.id: {"name": user.name, "email": user.email, "quota": user.quota_bytes, "used": user.used_bytes}
            for user in store.users.values()
        },
        "person": {
            person.id: {
                "name": person.name,
                "hidden": person.is_hidden,
                "favorite": person.is_favorite,
                "faces": sorted(face.id for face in store.faces.values() if face.person_id == person.id),
            }
            for person in store.people.values()
        },
        "face": {
            face.id: {"name": _name(store, face.asset_id), "box": (face.x1, face.y1, face.x2, face.y2)}
            for face in store.faces.values()
        },
        "partner": {
            f"{entry.by.id}/{entry.to.id}": {"name": f"{entry.by.name}>{entry.to.name}", "shown": entry.in_timeline}
            for entry in store.partners
        },
        "library": {library.id: {"name": library.name, "path": library.path} for library in store.libraries.values()},
        "notification": {
            item.id: {"name": item.title, "user": item.user.name, "level": item.level, "text": item.description}
            for item in store.notifications.values()
        },
    }


def differences(
    before: Snapshot, after: Snapshot, *, ignore: Collection[str] = ("updated_at", "used")
) -> list[Difference]:
    """What came, went or changed, without fields to ignore."""
    found: list[Difference] = []
    for kind in before:
        for key in sorted(before[kind].keys() | after[kind].keys()):
            old, new = before[kind].get(key), after[kind].get(key)
            label = str((new or old or {}).get("name"))
            if old is None or new is None:
                found.append(Difference(kind, key, label, "", old, new))
                continue
            for name in sorted((old.keys() | new.keys()) - set(ignore)):
                if old.get(name) != new.get(name):
                    found.append(Difference(kind, key, label, name, old.get(name), new.get(name)))
    return found


def _asset(store: Store, asset: Asset, *, contents: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": asset.name,
        "owner": asset.owner.name,
        "type": asset.type,
        "checksum": asset.checksum_base64,
        "size": asset.size,
        "path": asset.path,
        "visibility": asset.visibility,
        "favorite": asset.is_favorite,
        "offline": asset.is_offline,
        "trashed": asset.deleted_at is not None,
        "stack": asset.stack_id,
        "motion_part": asset.live_photo_video_id,
        "library": asset.library_id,
        "taken": _text(asset.file_created_at),
        "local_taken": _text(asset.local_date_time),
        "width": asset.width,
        "height": asset.height,
        "edits": [{"action": edit["action"], **edit["parameters"]} for edit in asset.edits],
        "is_edited": asset.is_edited,
        "tags": sorted(store.tags[tag_id].value for tag_id in asset.tag_ids),
        "metadata": {key: value for key, (value, _) in sorted(asset.metadata.items())},
        "created_at": _text(asset.created_at),
        "updated_at": _text(asset.updated_at),
        **{name: asset.exif.get(name) for name in EXIF},
    }
    if contents:
        content = asset.content if asset.content is not None else asset.file.read_bytes()
        entry["bytes"] = hashlib.sha1(content, usedforsecurity=False).hexdigest()
    return entry


def _is_untouched(store: Store, asset: Asset, entry: dict[str, Any], *, contents: bool) -> bool:
    """Whether the asset is one of a crowd and still as the crowd made it."""
    for crowd in store.assets.crowds:
        if asset.id.startswith(crowd.id_of(0)[:24]):
            fresh = _asset(store, crowd.make(int(asset.id[24:], 16)), contents=contents)
            return fresh == entry
    return False


def _name(store: Store, asset_id: str) -> str | None:
    asset = store.assets.get(asset_id)
    return asset.name if asset else None


def _text(moment: datetime) -> str:
    return moment.isoformat()
