"""What tests put into the stand-in and read out of it without a request."""

from __future__ import annotations

import hashlib
import uuid
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from .assets import Assets
from .crowd import Crowd, tiny_jpeg
from .edits import full_size
from .keys import make_key
from .people import make_face
from .pictures import mime_of
from .records import Album, Asset, Face, Key, Library, Partner, Person, Stack, Store, Tag, Told, User, Workflow
from .sessions import make_session
from .snapshot import Snapshot, snapshot
from .stacks import make_stack
from .trash import Trash
from .upload import Upload, Uploads
from .workflows import Delivery, Workflows, make_workflow

#: What every user of a test logs in with unless told otherwise.
PASSWORD = "correct horse"


class Given:
    """Users, keys, assets, albums and so on, made and looked at directly."""

    store: Store
    _assets: Assets
    _uploads: Uploads
    _workflows: Workflows
    _trash: Trash

    # ---- users and how they get in

    def add_user(
        self, name: str, *, is_admin: bool = False, password: str | None = PASSWORD, email: str | None = None
    ) -> User:
        """A user who logs in with an e-mail address made of the name; without `password` only OAuth could."""
        email = email or f"{name.lower().replace(' ', '.')}@example.test"
        user = User(str(uuid.uuid4()), name, email, self.store.now(), is_admin, password=password)
        self.store.users[user.id] = user
        return user

    def log_in(self, user: User) -> str:
        """The token of a new session: the cookie `immich_access_token`, or the header `x-immich-user-token`."""
        return make_session(self.store, user).token

    def log_out(self, token: str) -> None:
        """End a session as if it had been revoked elsewhere."""
        del self.store.sessions[token]

    def add_key(self, user: User, permissions: list[str] | None = None, name: str = "key") -> str:
        """A new API key's secret; without `permissions` it may do everything."""
        return make_key(self.store, user, permissions or ["all"], name).secret

    def revoke_key(self, secret: str) -> None:
        del self.store.keys[secret]

    def set_permissions(self, secret: str, permissions: list[str]) -> None:
        self.key(secret).permissions = list(permissions)

    def key(self, secret: str) -> Key:
        return self.store.keys[secret]

    def keys_of(self, user: User) -> list[Key]:
        return [key for key in self.store.keys.values() if key.user is user]

    def quota(self, user: User, size: int | None) -> None:
        """Limit what the user may store, in bytes."""
        user.quota_bytes = size

    def add_partner(self, by: User, to: User, *, in_timeline: bool = True) -> Partner:
        """`by` shows all photos to `to`, in their timeline and search or only apart."""
        partner = Partner(by, to, in_timeline)
        self.store.partners.append(partner)
        return partner

    # ---- assets

    def add_asset(
        self,
        user: User,
        content: Path | bytes,
        name: str | None = None,
        *,
        ready: bool = True,
        **attributes: Any,
    ) -> Asset:
        """Put an asset there, as if it had been uploaded long ago: no event, no workflow.

        `attributes` are fields of Asset and win over what the file says (`visibility`, `library_id`,
        `is_edited`, `type`, `live_photo_video_id`, `created_at`, ...). Not `ready`: it is processed later, as
        after an upload.
        """
        if isinstance(content, Path):
            name = name or content.name
        name = name or "photo.jpg"
        path, size, checksum = self.store.keep_file(content, Path(name).suffix.lower())
        asset = self._uploads.new_asset(user, path, size, checksum, name)
        user.used_bytes += size
        if ready:
            self._uploads.processing.extract(asset)
            self._uploads.processing.show(asset)
        given_id = asset.id
        for attribute, value in attributes.items():
            if not hasattr(asset, attribute):
                raise TypeError(f"an asset has no {attribute}")
            setattr(asset, attribute, value)
        if asset.id != given_id:
            self.store.assets[asset.id] = self.store.assets.pop(given_id)
        if not ready:
            self._uploads.process_later(asset)
        return asset

    def add_library(self, user: User, path: str, *, name: str = "Library", read_only: bool = True) -> Library:
        """An external library: folders beside Immich that it shows without owning them."""
        library = Library(str(uuid.uuid4()), user, name, path, self.store.now(), read_only)
        self.store.libraries[library.id] = library
        return library

    def add_external(
        self, library: Library, content: Path | bytes, name: str, *, scan: bool = False, **attributes: Any
    ) -> Asset:
        """An asset of an external library: its checksum is that of its path, not of its bytes.

        `scan`: as if a scan had just found it, so that the trigger AssetCreate fires and it is processed later;
        else it has been there for long.
        """
        path = f"{library.path.rstrip('/')}/{name}"
        checksum = hashlib.sha1(f"path:{path}".encode(), usedforsecurity=False).digest()
        fields: dict[str, Any] = {"library_id": library.id, "path": path, "checksum": checksum, **attributes}
        asset = self.add_asset(library.owner, content, name, ready=not scan, **fields)
        library.owner.used_bytes -= asset.size
        if scan:
            self.store.triggered("AssetCreate", asset)
        return asset

    def add_live_photo(self, user: User, picture: Path | bytes, video: Path | bytes, name: str) -> tuple[Asset, Asset]:
        """A picture and its motion part, which is hidden."""
        motion = self.add_asset(user, video, f"{Path(name).stem}.mov", visibility="hidden")
        return self.add_asset(user, picture, name, live_photo_video_id=motion.id), motion

    def add_stack(self, *assets: Asset) -> Stack:
        """Stack assets; the first is the primary."""
        return make_stack(self.store, list(assets))

    def add_album(self, user: User, name: str, *assets: Asset, roles: dict[User, str] | None = None) -> Album:
        """An album, shared where `roles` name other users as `editor` or `viewer`."""
        now = self.store.now()
        album = Album(self.store.new_id(), user, name, "", now, now, [asset.id for asset in assets])
        album.roles = {other.id: role for other, role in (roles or {}).items()}
        self.store.albums[album.id] = album
        return album

    def add_webhook(
        self,
        user: User,
        url: str,
        *,
        trigger: str = "AssetCreate",
        header: tuple[str, str] | None = None,
        enabled: bool = True,
    ) -> Workflow:
        """A workflow that posts each new asset of a user to `url`."""
        config: dict[str, Any] = {"url": url, "method": "POST"}
        if header is not None:
            config |= {"headerName": header[0], "headerValue": header[1]}
        step = {"method": "immich-plugin-core#webhook", "config": config, "enabled": True}
        return make_workflow(self.store, user, trigger, [step], name="webhook", enabled=enabled)

    def trash(self, asset: Asset) -> None:
        self._trash.trash(asset)

    def delete(self, asset: Asset) -> None:
        """Delete an asset for ever, at once."""
        self._trash.forget(asset)

    def add_person(self, user: User, name: str = "", **attributes: Any) -> Person:
        person = Person(str(uuid.uuid4()), user, name, self.store.now(), **attributes)
        self.store.people[person.id] = person
        return person

    def add_face(self, asset: Asset, box: tuple[int, int, int, int], person: Person | None = None) -> Face:
        """A face found in an asset: left, top, right, bottom in pixels of the whole picture."""
        size = full_size(asset)
        face = Face(str(uuid.uuid4()), asset.id, person.id if person else None, *size, *box)
        return make_face(self.store, face)

    def add_crowd(
        self,
        user: User,
        size: int,
        *,
        first: datetime | None = None,
        step: timedelta = timedelta(seconds=10),
        name: str = "IMG_{}.jpg",
        **attributes: Any,
    ) -> Crowd:
        """Millions of small assets, cheaply; `crowd.id_of(i)`, `crowd.checksum(i)` and `crowd.content(i)` tell of one.

        They were made one after the other, `step` apart, from `first` on (default: so that the last is a day old).
        `attributes` are fields of Asset that all have.
        """
        first = first or self.store.now() - timedelta(days=1) - size * step
        path, _, _ = self.store.keep_file(picture := tiny_jpeg(), ".jpg")
        number = len(self.store.assets.crowds)
        crowd = Crowd(number, user, size, first, step, name, mime_of(name), picture, path, attributes)
        self.store.assets.crowds.append(crowd)
        return crowd

    # ---- looking

    @property
    def assets(self) -> dict[str, Asset]:
        return self.store.assets

    @property
    def stacks(self) -> dict[str, Stack]:
        return self.store.stacks

    @property
    def albums(self) -> dict[str, Album]:
        return self.store.albums

    @property
    def uploads(self) -> list[Upload]:
        """Every upload that was begun, in order."""
        return self._uploads.received

    @property
    def deliveries(self) -> list[Delivery]:
        """Every webhook that a workflow sent or lost, in order."""
        return self._workflows.deliveries

    @property
    def told(self) -> list[Told]:
        """Every event for sockets, in order, whether anybody listened or not."""
        return self.store.told

    def workflows_of(self, user: User) -> list[Workflow]:
        return [workflow for workflow in self.store.workflows.values() if workflow.owner is user]

    def asset_named(self, name: str) -> Asset:
        """The one asset with this file name."""
        (asset,) = [asset for asset in self.assets.values() if asset.name == name]
        return asset

    def stack_of(self, asset: Asset) -> list[Asset]:
        """The assets stacked with this one and itself, the primary first; empty where there is no stack."""
        if asset.stack_id is None:
            return []
        primary = self.stacks[asset.stack_id].primary_asset_id
        members = self.store.members(asset.stack_id, hidden=True)
        return sorted(members, key=lambda member: member.id != primary)

    def metadata_of(self, asset: Asset, key: str) -> dict[str, Any] | None:
        value = asset.metadata.get(key)
        return value[0] if value else None

    def tags_of(self, asset: Asset) -> set[str]:
        """The whole paths of an asset's tags."""
        return {self.store.tags[tag_id].value for tag_id in asset.tag_ids}

    def tag_named(self, user: User, value: str) -> Tag:
        (tag,) = [tag for tag in self.store.tags.values() if tag.owner is user and tag.value == value]
        return tag

    def snapshot(self, *, contents: bool = False) -> Snapshot:
        """The whole state as plain data, to compare with `differences`; see `snapshot`."""
        return snapshot(self.store, contents=contents)

    def hold_processing(self) -> None:
        """Let uploads wait for their metadata and thumbnails until `go_on_processing`."""
        self.store.may_process.clear()

    def go_on_processing(self) -> None:
        self.store.may_process.set()
