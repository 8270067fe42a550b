"""The records of the stand-in: users, keys, assets, stacks, albums, tags and so on."""

from __future__ import annotations

import base64
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any


@dataclass(eq=False)
class User:
    id: str
    name: str
    email: str
    created_at: datetime
    is_admin: bool = False
    #: None: no limit.
    quota_bytes: int | None = None
    used_bytes: int = 0
    #: None: this user cannot log in with a password.
    password: str | None = None
    must_change_password: bool = True


@dataclass(eq=False)
class Session:
    """A login of a user; its token is the value of the cookie `immich_access_token`."""

    id: str
    token: str
    user: User
    created_at: datetime


@dataclass(eq=False)
class Key:
    id: str
    name: str
    secret: str
    permissions: list[str]
    user: User
    created_at: datetime
    updated_at: datetime


@dataclass(eq=False)
class Asset:
    id: str
    owner: User
    name: str
    file: Path
    size: int
    #: SHA-1 of the bytes, 20 bytes (of an external-library asset: of its path).
    checksum: bytes
    mime: str
    type: str
    created_at: datetime
    updated_at: datetime
    file_created_at: datetime
    file_modified_at: datetime
    #: Wall clock of the camera, written as if it were UTC.
    local_date_time: datetime
    visibility: str = "timeline"
    library_id: str | None = None
    is_favorite: bool = False
    is_offline: bool = False
    is_edited: bool = False
    live_photo_video_id: str | None = None
    duration: int | None = None
    deleted_at: datetime | None = None
    stack_id: str | None = None
    #: None until a thumbnail is there; for ever if the file cannot be decoded.
    thumbhash: str | None = None
    #: After orientation.
    width: int | None = None
    height: int | None = None
    exif: dict[str, Any] = field(default_factory=dict)
    metadata: dict[str, tuple[dict[str, Any], datetime]] = field(default_factory=dict)
    #: What Immich 2 wants with each upload.
    device_asset_id: str = ""
    device_id: str = ""
    #: Ids of tags in the order in which they were given.
    tag_ids: list[str] = field(default_factory=list)
    #: What the asset's XMP sidecar says, by the names of `xmp.Xmp`; None: there is no sidecar.
    sidecar: dict[str, Any] | None = None
    #: Names of properties that were written through the API and are not in the sidecar yet.
    locked: set[str] = field(default_factory=set)
    #: Whether the file was ever read.
    extracted: bool = False
    #: Native edits: id, action, parameters.
    edits: list[dict[str, Any]] = field(default_factory=list)
    #: Of an asset of an external library: where it lies; else made from the ids.
    path: str | None = None
    #: The bytes of one of a crowd, which has no file of its own.
    content: bytes | None = None

    @property
    def original_path(self) -> str:
        return self.path or f"/data/upload/{self.owner.id}/{self.id[:2]}/{self.id[2:4]}/{self.file.name}"

    @property
    def checksum_base64(self) -> str:
        return base64.b64encode(self.checksum).decode()


@dataclass(eq=False)
class Stack:
    id: str
    owner: User
    primary_asset_id: str


@dataclass(eq=False)
class Album:
    id: str
    owner: User
    name: str
    description: str
    created_at: datetime
    updated_at: datetime
    asset_ids: list[str] = field(default_factory=list)
    #: Whom the album is shared with beside its owner: user id to `editor` or `viewer`.
    roles: dict[str, str] = field(default_factory=dict)

    def role_of(self, user: User) -> str | None:
        return "owner" if user is self.owner else self.roles.get(user.id)


@dataclass(eq=False)
class Tag:
    id: str
    owner: User
    #: The whole path: `a/b/c`.
    value: str
    parent_id: str | None
    created_at: datetime
    updated_at: datetime
    color: str | None = None


@dataclass(eq=False)
class Workflow:
    id: str
    owner: User
    trigger: str
    name: str | None
    description: str | None
    enabled: bool
    #: Each `{method, config, enabled}`.
    steps: list[dict[str, Any]]
    created_at: datetime
    updated_at: datetime


@dataclass(eq=False)
class Person:
    id: str
    owner: User
    name: str
    updated_at: datetime
    is_hidden: bool = False
    is_favorite: bool = False
    birth_date: str | None = None


@dataclass(eq=False)
class Face:
    """A box in an asset, in pixels of a picture of `image_width` x `image_height`."""

    id: str
    asset_id: str
    person_id: str | None
    image_width: int
    image_height: int
    x1: int
    y1: int
    x2: int
    y2: int
    source: str = "machine-learning"


@dataclass(eq=False)
class Library:
    """An external library. A read-only one loses what is written to XMP sidecars."""

    id: str
    owner: User
    name: str
    path: str
    created_at: datetime
    read_only: bool = True


@dataclass(eq=False)
class Partner:
    """`by` shows the own library to `to`."""

    by: User
    to: User
    in_timeline: bool = True


@dataclass(eq=False)
class Notification:
    id: str
    user: User
    title: str
    description: str | None
    level: str
    type: str
    data: Any
    created_at: datetime
    read_at: datetime | None = None


@dataclass(frozen=True)
class Told:
    """An event as it was sent to the sockets of a user."""

    user: User
    event: str
    args: tuple[Any, ...]
    at: datetime
