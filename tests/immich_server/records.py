"""What the stand-in remembers: users, keys, assets, stacks and albums in memory, files in a folder."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import tempfile
import uuid
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from .problems import RefusedError

#: 3.1.0 is what the recordings were made from.
VERSION = (3, 1, 0)


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


@dataclass(eq=False)
class Key:
    id: str
    name: str
    secret: str
    permissions: list[str]
    user: User
    created_at: datetime


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


def parse_checksum(text: str) -> bytes:
    """SHA-1 given as base64 (28 characters) or hex; nonsense gives bytes that match nothing."""
    try:
        return base64.b64decode(text, validate=True) if len(text) == 28 else bytes.fromhex(text)
    except ValueError:
        return b""


class Store:
    """The state of one server and the background work that changes it (extraction, thumbnails, deletion)."""

    def __init__(self) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="immich-stand-in-")
        self.folder = Path(self._temporary.name)
        self.users: dict[str, User] = {}
        self.keys: dict[str, Key] = {}
        #: Session token to user; only what tests put there (there is no login).
        self.sessions: dict[str, User] = {}
        self.assets: dict[str, Asset] = {}
        self.stacks: dict[str, Stack] = {}
        self.albums: dict[str, Album] = {}
        #: How far the server's clock is ahead of ours.
        self.clock_skew = timedelta(0)
        self.new_id: Callable[[], str] = lambda: str(uuid.uuid4())
        self._last = datetime.min.replace(tzinfo=UTC)
        self._work: set[asyncio.Task[None]] = set()
        self.may_process = asyncio.Event()
        self.may_process.set()

    def now(self) -> datetime:
        """The server's time, never the same twice (as Postgres' microseconds practically are)."""
        self._last = max(datetime.now(UTC) + self.clock_skew, self._last + timedelta(microseconds=1))
        return self._last

    def later(self, seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        """Do `work` in the background after so many seconds, but not while processing is held back."""

        async def run() -> None:
            await asyncio.sleep(seconds)
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
        return None

    def may_see(self, user: User, asset_id: str) -> Asset | None:
        """The asset if it is the user's and not locked (keys never see the locked folder)."""
        asset = self.assets.get(asset_id)
        return asset if asset and asset.owner is user and asset.visibility != "locked" else None

    def require(self, user: User, asset_ids: Iterable[str], permission: str) -> list[Asset]:
        found = [self.may_see(user, asset_id) for asset_id in asset_ids]
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
