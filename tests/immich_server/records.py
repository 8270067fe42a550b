"""What the stand-in remembers: users, keys, assets, stacks and albums in memory, files in a folder."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import tempfile
import uuid
from collections.abc import Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .crowd import AssetTable
from .problems import RefusedError
from .tables import (
    Album,
    Asset,
    Face,
    Key,
    Library,
    Notification,
    Partner,
    Person,
    Session,
    Stack,
    Tag,
    Told,
    User,
    Workflow,
)

if TYPE_CHECKING:
    from .dialect import Dialect


__all__ = [
    "Album",
    "Asset",
    "Face",
    "Key",
    "Library",
    "Notification",
    "Partner",
    "Person",
    "Session",
    "Stack",
    "Store",
    "Tag",
    "Told",
    "User",
    "Workflow",
    "parse_checksum",
]


#: What is granted for assets of partners and in shared albums too.
READING = ("asset.read", "asset.view", "asset.download")


def parse_checksum(text: str) -> bytes:
    """SHA-1 given as base64 (28 characters) or hex; nonsense gives bytes that match nothing."""
    try:
        return base64.b64decode(text, validate=True) if len(text) == 28 else bytes.fromhex(text)
    except ValueError:
        return b""


class Store:
    """The state of one server and the background work that changes it (extraction, thumbnails, deletion)."""

    def __init__(self, dialect: Dialect) -> None:
        self.dialect = dialect
        self._temporary = tempfile.TemporaryDirectory(prefix="immich-stand-in-")
        self.folder = Path(self._temporary.name)
        self.users: dict[str, User] = {}
        self.keys: dict[str, Key] = {}
        #: By token.
        self.sessions: dict[str, Session] = {}
        self.assets = AssetTable()
        self.stacks: dict[str, Stack] = {}
        self.albums: dict[str, Album] = {}
        self.tags: dict[str, Tag] = {}
        self.workflows: dict[str, Workflow] = {}
        self.people: dict[str, Person] = {}
        self.faces: dict[str, Face] = {}
        self.libraries: dict[str, Library] = {}
        self.partners: list[Partner] = []
        self.notifications: dict[str, Notification] = {}
        #: Every event that was sent to sockets, whether anybody listened or not.
        self.told: list[Told] = []
        #: Who passes events on to sockets.
        self.hearers: list[Callable[[Told], None]] = []
        #: Who acts on the triggers of workflows (`AssetCreate`, `AssetMetadataExtraction`).
        self.triggers: list[Callable[[str, Asset], None]] = []
        #: How far the server's clock is ahead of ours.
        self.clock_skew = timedelta(0)
        self.new_id: Callable[[], str] = lambda: str(uuid.uuid4())
        #: The id of a new tag with this value.
        self.new_tag_id: Callable[[str], str] = lambda _: self.new_id()
        self._last = datetime.min.replace(tzinfo=UTC)
        self._work: set[asyncio.Task[None]] = set()
        self.may_process = asyncio.Event()
        self.may_process.set()

    def now(self) -> datetime:
        """The server's time, never the same twice (as Postgres' microseconds practically are)."""
        self._last = max(datetime.now(UTC) + self.clock_skew, self._last + timedelta(microseconds=1))
        return self._last

    def tell(self, user: User, event: str, *args: Any) -> None:
        """Send an event to the sockets of a user; nobody gets it later."""
        said = self.dialect.told(self, event, args)
        if said is None:
            return
        told = Told(user, *said, self.now())
        self.told.append(told)
        for hear in self.hearers:
            hear(told)

    def triggered(self, trigger: str, asset: Asset) -> None:
        for act in self.triggers:
            act(trigger, asset)

    def later(self, seconds: float, work: Callable[[], Awaitable[None]], *, held: bool = True) -> None:
        """Do `work` in the background after so many seconds; if `held`, not while processing is held back."""

        async def run() -> None:
            await asyncio.sleep(seconds)
            if held:
                await self.may_process.wait()
            await work()

        task = asyncio.get_running_loop().create_task(run())
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def settled(self) -> None:
        """Wait until no background work is left; an error in it is raised here."""
        while self._work:
            await asyncio.gather(*self._work)

    async def close(self) -> None:
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)
        self._temporary.cleanup()

    def keep_file(self, content: bytes | Path, suffix: str) -> tuple[Path, int, bytes]:
        """Copy the content into the folder; gives the path, the size and the SHA-1."""
        path = self.folder / f"{uuid.uuid4()}{suffix}"
        digest = hashlib.sha1(usedforsecurity=False)
        size = 0
        with path.open("wb") as target:
            for chunk in _chunks(content):
                target.write(chunk)
                digest.update(chunk)
                size += len(chunk)
        return path, size, digest.digest()

    def duplicate_of(self, owner: User, checksum: bytes) -> Asset | None:
        """The owner's uploaded asset with these bytes, trashed ones included, library ones not."""
        for asset in self.assets.values():
            if asset.owner is owner and asset.library_id is None and asset.checksum == checksum:
                return asset
        for crowd in self.assets.crowds:
            if crowd.owner is owner and (index := crowd.with_checksum(checksum)) is not None:
                return self.assets[crowd.id_of(index)]
        return None

    def may_see(self, user: User, asset_id: str) -> Asset | None:
        """The asset if it is the user's and not locked (neither keys nor plain sessions see the locked folder)."""
        asset = self.assets.get(asset_id)
        return asset if asset and asset.owner is user and asset.visibility != "locked" else None

    def may_share(self, user: User, asset_id: str) -> Asset | None:
        """The asset if it is the user's own, or shown by a partner: what one may put into albums."""
        if (own := self.may_see(user, asset_id)) is not None:
            return own
        asset = self.assets.get(asset_id)
        if asset is None or asset.deleted_at or asset.visibility not in ("timeline", "hidden"):
            return None
        shown = any(partner.to is user and partner.by is asset.owner for partner in self.partners)
        return asset if shown else None

    def may_read(self, user: User, asset_id: str) -> Asset | None:
        """The asset if the user may look at it: own, a partner's, or in an album that the user is in."""
        if (asset := self.may_share(user, asset_id)) is not None:
            return asset
        asset = self.assets.get(asset_id)
        if asset is None or asset.deleted_at:
            return None
        shared = {shown for album in self.albums.values() if album.role_of(user) for shown in album.asset_ids}
        if asset_id in shared:
            return asset
        # The motion part of a photo in an album counts as being in it.
        photos = [self.assets[shown] for shown in shared if shown in self.assets]
        return asset if any(photo.live_photo_video_id == asset_id for photo in photos) else None

    def all_of(self, user: User) -> list[Asset]:
        return [asset for asset in self.assets.values() if asset.owner is user]

    def require(self, user: User, asset_ids: Iterable[str], permission: str) -> list[Asset]:
        """The assets, where the user has access of this kind to all. Raises RefusedError."""
        look = self.may_read if permission in READING else self.may_see
        found = [look(user, asset_id) for asset_id in asset_ids]
        seen = [asset for asset in found if asset is not None]
        if len(seen) != len(found):
            raise RefusedError(400, f"Not found or no {permission} access")
        return seen

    def members(self, stack_id: str, *, hidden: bool = False) -> list[Asset]:
        """The assets of a stack; those in the trash or not in timeline or archive only if `hidden`."""
        return [
            asset
            for asset in self.assets.values()
            if asset.stack_id == stack_id
            and (hidden or (asset.deleted_at is None and asset.visibility in ("timeline", "archive")))
        ]


def _chunks(content: bytes | Path) -> Iterable[bytes]:
    if isinstance(content, bytes):
        yield content
        return
    with content.open("rb") as source:
        while chunk := source.read(1 << 20):
            yield chunk
