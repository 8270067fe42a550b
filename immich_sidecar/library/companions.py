"""Files that belong to a photo and are none of their own: the JPEG of a RAW file, an XMP file.

They are kept as originals are, for ever: an XMP file that changes becomes one more companion, and the earlier one
stays.
"""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.library import photos
from immich_sidecar.library.database import Database, after_commit
from immich_sidecar.library.file_rows import FileKey, note_file
from immich_sidecar.library.files import Digests, adopt, copy_hashed, storage
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.space import Space
from immich_sidecar.library.tables import CompanionRow, IntakeState, PhotoRow, Publish, now

#: Largest XMP file that is kept, and that is sent to Immich; real ones have kilobytes.
LARGEST_XMP = 64 << 20
LARGEST_SENT_XMP = 10 << 20
#: Why an XMP file is not in Immich.
TOO_LATE = "Immich takes an XMP file only together with its photo, which was there already; it is kept here"
NOT_CHOSEN = "another XMP file went to Immich with the photo; this one is kept here"
TOO_LARGE = "it is too large for Immich; it is kept here"


class Kind(StrEnum):
    """What a companion is."""

    #: The camera's own picture of a RAW file: JPEG or HEIC.
    JPEG = "jpeg"
    #: An XMP file: what a program knows about the photo.
    XMP = "xmp"


@dataclass(frozen=True)
class Shot:
    """When and with what a picture was taken; None is not known."""

    taken_at: datetime | None
    camera: str | None


def is_same_shot(first: Shot, second: Shot, *, sure: bool) -> bool:
    """Whether two files of one name come from one press of the shutter: the same second, the same camera.

    Where one of them does not say, only `sure` makes that a no. A file that gives its time without an offset may be
    hours away from one that gives it with one: whole quarters of an hour, at most fourteen hours.
    """
    if first.taken_at is None or second.taken_at is None:
        if sure:
            return False
    else:
        apart = abs(int(first.taken_at.timestamp()) - int(second.taken_at.timestamp()))
        if apart and (sure or apart % 900 or apart > 14 * 3600):
            return False
    if not first.camera or not second.camera:
        return not sure
    return _plain(first.camera) == _plain(second.camera)


def words_of(kind: Kind, file_name: str) -> str:
    """Why a file did not become a photo of its own: `JPEG of IMG_1.CR2`."""
    return f"{'JPEG' if kind is Kind.JPEG else 'XMP file'} of {file_name}"


@dataclass(frozen=True)
class Arrived:
    """A companion that was copied to a temporary file of ours."""

    kind: Kind
    file_name: str
    digests: Digests
    temporary: Path
    #: The file of a hot folder that it is.
    key: FileKey | None = None


async def of_photos(session: AsyncSession, owner_id: str, hashes: Collection[str]) -> list[CompanionRow]:
    """The companions of an owner's photos, the oldest first."""
    query = (
        select(CompanionRow)
        .where(col(CompanionRow.owner_id) == owner_id, col(CompanionRow.photo).in_(hashes))
        .order_by(col(CompanionRow.id))
    )
    return list((await session.exec(query)).all())


async def find_by_sha1(session: AsyncSession, owner_id: str, sha1: str) -> tuple[CompanionRow, str] | None:
    """The companion whose file has that SHA-1 (hexadecimal), with the name of its photo."""
    query = select(CompanionRow).where(col(CompanionRow.owner_id) == owner_id, col(CompanionRow.sha1) == sha1).limit(1)
    row = (await session.exec(query)).first()
    if row is None:
        return None
    return row, (await photos.get(session, owner_id, row.photo)).file_name


async def to_publish(session: AsyncSession, owner_id: str, sha256: str) -> list[CompanionRow]:
    """Pictures that Immich should have beside a photo, and has not, or not in its stack."""
    rows = await of_photos(session, owner_id, [sha256])
    return [row for row in rows if row.kind == Kind.JPEG and row.publish in (Publish.NONE, Publish.UPLOADED)]


async def xmp_to_send(session: AsyncSession, photo: PhotoRow) -> CompanionRow | None:
    """The XMP file that goes to Immich with a photo: that of its full name, else of its stem; of those the newest."""
    rows = [row for row in await of_photos(session, photo.owner_id, [photo.sha256]) if row.kind == Kind.XMP]
    named = [row for row in rows if row.file_name.lower() == f"{photo.file_name}.xmp".lower()]
    return next((row for row in reversed(named or rows) if row.path and row.size <= LARGEST_SENT_XMP), None)


async def settle_xmps(session: AsyncSession, photo: PhotoRow, sent: CompanionRow | None) -> None:
    """Record that a photo went to Immich with this XMP file (None: with none)."""
    for row in await of_photos(session, photo.owner_id, [photo.sha256]):
        if row.kind != Kind.XMP or row.publish is not Publish.NONE:
            continue
        if sent is not None and row.id == sent.id:
            row.publish, row.last_error = Publish.UPLOADED, None
        else:
            late = TOO_LATE if sent is None else NOT_CHOSEN
            row.publish, row.last_error = Publish.BLOCKED, TOO_LARGE if row.size > LARGEST_SENT_XMP else late
        session.add(row)


class Companions:
    """Takes companions into the library; `library.intake.Intake` has one."""

    def __init__(self, database: Database, layout: Layout, space: Space) -> None:
        self._database = database
        self._layout = layout
        self._space = space

    async def receive(self, owner_id: str, path: Path, kind: Kind, *, key: FileKey | None = None) -> Arrived:
        """Copy a file to where photos arrive; `keep` or `discard` it afterwards.

        Raises
        ------
        FileChangedError
            If it changed since `key` was made, or while it was copied.
        StorageError
            If it cannot be read or stored; `DiskFullError` where there is no room.
        """
        temporary = self._layout.absolute(self._layout.temporary(owner_id, path.name))

        def copy() -> Digests:
            with storage(f"looking at {path}"):
                status = path.stat()
            self._space.check(status.st_size)
            return copy_hashed(path, temporary, expected=status)

        return Arrived(kind, path.name, await asyncio.to_thread(copy), temporary, key)

    async def keep(self, owner_id: str, sha256: str, arrived: Arrived) -> bool:
        """Make a file that arrived the companion of a photo; returns whether it is a new one.

        Raises
        ------
        NotFoundError
            If the owner has no such photo.
        """
        try:
            async with self._database.reading() as session:
                photo = await photos.get(session, owner_id, sha256)
            path = await self.place(photo, arrived)
            async with self._database.transaction() as session:
                return await self.enter(session, await photos.get(session, owner_id, sha256), arrived, path)
        finally:
            await self.discard(arrived)

    async def place(self, photo: PhotoRow, arrived: Arrived) -> str:
        """Move the bytes to where they are kept, beside the photo; the row comes after."""
        path = self._layout.original(
            photo.owner_id, arrived.digests.sha256, arrived.file_name, photo.captured_at or now()
        )
        await asyncio.to_thread(adopt, arrived.temporary, self._layout.absolute(path))
        return path

    async def enter(self, session: AsyncSession, photo: PhotoRow, arrived: Arrived, path: str) -> bool:
        """Write the rows of a file that was placed; returns whether it is a new companion."""
        owner_id, digests = photo.owner_id, arrived.digests
        query = select(CompanionRow).where(
            col(CompanionRow.owner_id) == owner_id,
            col(CompanionRow.photo) == photo.sha256,
            col(CompanionRow.sha256) == digests.sha256,
        )
        row = (await session.exec(query)).first()
        new = row is None
        if row is None:
            row = CompanionRow(
                owner_id=owner_id,
                photo=photo.sha256,
                kind=arrived.kind.value,
                file_name=arrived.file_name,
                sha256=digests.sha256,
                sha1=digests.sha1,
                size=digests.size,
            )
        if row.path is not None and row.path != path and self._layout.absolute(row.path).is_file():
            # The same bytes again: one copy is enough.
            if not await _is_named(session, owner_id, path):
                after_commit(session, lambda: _remove(self._layout.absolute(path)))
        else:
            row.path = path
        in_immich = photo.immich_asset_id is not None
        if new and arrived.kind is Kind.XMP and in_immich:
            row.publish, row.last_error = Publish.BLOCKED, TOO_LATE
        if arrived.kind is Kind.JPEG and row.publish is Publish.NONE:
            publish_soon(session, photo)
        session.add(row)
        if arrived.key is not None:
            await note_file(
                session,
                owner_id,
                arrived.key,
                IntakeState.FETCHED,
                reason=words_of(arrived.kind, photo.file_name),
                sha256=photo.sha256,
                companion_sha256=digests.sha256,
            )
        return new

    async def discard(self, *arrived: Arrived) -> None:
        """Remove temporary files that are still there."""
        for one in arrived:
            await asyncio.to_thread(_remove, one.temporary)


def publish_soon(session: AsyncSession, photo: PhotoRow) -> None:
    """Have publishing look at a photo's companions, where it is published at all and waits for nobody."""
    if photo.connection_id is not None and photo.original_publish is not Publish.BLOCKED:
        photo.original_publish_due_at = now()
        session.add(photo)


async def reopen(session: AsyncSession, owner_id: str | None = None, sha256: str | None = None) -> None:
    """Try again what waits for a person: of one photo, of an owner, or of everybody."""
    query = select(CompanionRow).where(
        col(CompanionRow.kind) == Kind.JPEG.value, col(CompanionRow.publish) == Publish.BLOCKED
    )
    if owner_id is not None:
        query = query.where(col(CompanionRow.owner_id) == owner_id)
    if sha256 is not None:
        query = query.where(col(CompanionRow.photo) == sha256)
    for row in (await session.exec(query)).all():
        row.publish = Publish.NONE if row.immich_asset_id is None else Publish.UPLOADED
        row.last_error = None
        session.add(row)
        publish_soon(session, await photos.get(session, row.owner_id, row.photo))


async def remove_copy(session: AsyncSession, layout: Layout, row: CompanionRow) -> None:
    """Give up our copy of a companion that Immich holds, in the caller's transaction; the file goes after it."""
    if row.path is None:
        return
    file, path = layout.absolute(row.path), row.path
    row.path = None
    session.add(row)
    await session.flush()
    if not await _is_named(session, row.owner_id, path):
        after_commit(session, lambda: _remove(file))


async def forget_path(session: AsyncSession, photo: PhotoRow) -> None:
    """The copy of a photo is about to be removed because Immich holds it: companions that name it name it no more."""
    query = select(CompanionRow).where(
        col(CompanionRow.owner_id) == photo.owner_id,
        col(CompanionRow.sha256) == photo.sha256,
        col(CompanionRow.path) == photo.path,
    )
    for row in (await session.exec(query)).all():
        row.path = None
        session.add(row)


def shown(rows: Sequence[CompanionRow]) -> list[CompanionRow]:
    """What a page lists: of several companions of one name the newest."""
    return list({(row.kind, row.file_name): row for row in rows}.values())


async def _is_named(session: AsyncSession, owner_id: str, path: str) -> bool:
    """Whether a companion, or a photo of the owner, lies there; files of the same name and bytes share a place."""
    # By what the name begins with, because that is what has an index.
    sha256 = path.rpartition("/")[2][:64]
    companions = select(CompanionRow.id).where(
        CompanionRow.owner_id == owner_id, CompanionRow.sha256 == sha256, CompanionRow.path == path
    )
    photo = await photos.find(session, owner_id, sha256)
    return (photo is not None and photo.path == path) or (await session.exec(companions.limit(1))).first() is not None


def _plain(camera: str) -> str:
    return " ".join(camera.casefold().split())


def _remove(file: Path) -> None:
    with suppress(OSError):
        file.unlink(missing_ok=True)
