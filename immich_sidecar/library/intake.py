"""From a file to a photo: judged, copied durably, entered into the rows; the one way in for every source.

The bytes are safe under their final name before the row is born. A file is never changed; what is handed over
with `move` is a temporary file of ours.
"""

import asyncio
import inspect
import os
import re
import threading
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.errors import (
    IntegrityError,
    NotAPhotoError,
    PhotoError,
    UnsupportedError,
)
from immich_sidecar.events import Event, EventType
from immich_sidecar.library import photo_words, photos, processed
from immich_sidecar.library.companions import Arrived, Companions
from immich_sidecar.library.database import Database
from immich_sidecar.library.events import EventLog
from immich_sidecar.library.file_rows import FileKey, note_file
from immich_sidecar.library.files import (
    Digests,
    adopt,
    copy_hashed,
    hash_file,
    holds,
    make_folder,
    open_regular,
    storage,
)
from immich_sidecar.library.files import move as move_file
from immich_sidecar.library.layout import Layout, readable_name
from immich_sidecar.library.originals import is_cached
from immich_sidecar.library.owners import ensure_owner
from immich_sidecar.library.space import Space
from immich_sidecar.library.tables import (
    AssetRow,
    ConnectionRow,
    IntakeState,
    PhotoRow,
    Publish,
    Source,
    now,
)

if TYPE_CHECKING:
    from immich_sidecar.develop.probe import FileFacts

#: Tells what a file is, by its content; may be awaitable, to look at it in another process.
Facts = Callable[[Path], "FileFacts | Awaitable[FileFacts]"]
#: Looks at what a file says of itself, and its size, before it becomes a photo with these columns.
Consider = Callable[["FileFacts", int], Mapping[str, Any]]

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Taken:
    """What became of a file that was handed in."""

    #: The photo it is.
    sha256: str
    #: Whether the owner did not have it yet.
    new: bool


class Intake:
    """Takes photos into the library.

    Parameters
    ----------
    database, layout, events, space
        Where rows and files go, who is told, and whether there is room.
    facts : callable, optional
        Tells what a file is; by default `develop.probe.probe` in a thread.
    wake : callable, optional
        Called after each new photo, so that work on it begins at once. May be set later.
    """

    def __init__(
        self,
        database: Database,
        layout: Layout,
        events: EventLog,
        space: Space,
        *,
        facts: Facts | None = None,
        wake: Callable[[], object] | None = None,
    ) -> None:
        self._database = database
        self._layout = layout
        self._events = events
        self._space = space
        self._facts = facts or _probe
        self.wake = wake
        #: Takes what belongs to a photo.
        self.companions = Companions(database, layout, space)
        # Two files with the same bytes must not both find that the photo is new.
        self._turn = asyncio.Lock()

    async def take(
        self,
        owner_id: str,
        source_path: Path,
        *,
        file_name: str,
        source: Source,
        captured_at: datetime | None = None,
        made_at: datetime | None = None,
        connection_id: int | None = None,
        immich_asset_id: str | None = None,
        move: bool = False,
        file_row: FileKey | tuple[str, int, int] | None = None,
        expected_sha1: str | None = None,
        consider: Consider | None = None,
        beside: Sequence[Arrived] = (),
    ) -> Taken:
        """Make a file the owner's photo, unless the owner has it: then only what names it is added.

        Parameters
        ----------
        owner_id : str
            Whose it becomes; an owner that is not known yet is made.
        source_path : Path
            The file. Copied, or, where `move` says that it is a temporary one of ours in the data directory, moved;
            then it is gone afterwards, whatever happens.
        file_name : str
            The name it came with.
        source : Source
            Decides where it is kept: what lives in Immich goes to the cache.
        captured_at : datetime, optional
            When it was taken; by default what the file says, else `made_at`.
        made_at : datetime, optional
            When the file was made, as whoever sent it says; by default the file's time.
        connection_id, immich_asset_id : optional
            The asset it is; that row becomes `fetched`. Photos from elsewhere get the owner's connection.
        file_row : FileKey, optional
            The file of a hot folder it is. The row becomes `fetched`, or says why it was not taken.
        expected_sha1 : str, optional
            Hexadecimal; other bytes are refused.
        consider : callable, optional
            Is shown what the file says of itself and its size in bytes, before it is kept; gives columns of the photo
            (where it is new), or raises a PhotoError where it is not wanted.
        beside : sequence of Arrived, optional
            Companions of the file; they are there from the moment on that the photo is, and gone if it is refused.

        Raises
        ------
        PhotoError
            If it is no photo, or none that is supported: nothing is stored.
        FileChangedError
            If it changed while it was looked at.
        IntegrityError
            If its SHA-1 is not the expected one.
        DiskFullError
            If there is no room for it.
        StorageError
            If it cannot be read or stored.
        """
        key = FileKey(*file_row) if isinstance(file_row, tuple) else file_row
        arriving = self._layout.absolute(self._layout.temporary(owner_id, file_name))
        try:
            status = await asyncio.to_thread(_status, source_path)
            try:
                if move:
                    await asyncio.to_thread(_rename, source_path, arriving)
                    digests = await asyncio.to_thread(hash_file, arriving)
                else:
                    if not await asyncio.to_thread(_may_be_a_photo, source_path):
                        await self._judge(source_path, file_name)  # refused before gigabytes are copied
                    await asyncio.to_thread(self._space.check, status.st_size)
                    digests = await _copy(source_path, arriving, status)
                if expected_sha1 is not None and digests.sha1 != expected_sha1.lower():
                    raise IntegrityError(
                        f"{file_name}: has the SHA-1 {digests.sha1}, not {expected_sha1}; it was damaged on its way"
                    )
                # The copy is judged, because nobody changes or cuts it meanwhile.
                facts = await self._judge(arriving, file_name)
                columns = consider(facts, digests.size) if consider is not None else {}
                if source is not Source.IMMICH:
                    await self._refuse_ours(owner_id, file_name, digests)
            except PhotoError as error:
                if key is not None:
                    await self.note(owner_id, key, _refusal(error), reason=str(error))
                raise
            photo = _new_row(
                owner_id,
                file_name=file_name,
                source=source,
                digests=digests,
                facts=facts,
                captured_at=captured_at or facts.captured_at or made_at or _file_time(status),
                immich_asset_id=immich_asset_id,
            )
            for column, value in columns.items():
                setattr(photo, column, value)
            async with self._turn:
                new = await self._enter(photo, arriving, connection_id, key, beside)
        finally:
            await self.companions.discard(*beside)
            for path in {arriving, source_path} if move else {arriving}:
                await asyncio.to_thread(_discard, path)
        if new and self.wake is not None:
            self.wake()
        return Taken(digests.sha256, new)

    def copy_of(self, photo: PhotoRow) -> Path | None:
        """Our copy of a photo's original, where there is one at this moment."""
        path = None if photo.path is None else self._layout.absolute(photo.path)
        return path if path is not None and path.is_file() else None

    async def note(
        self, owner_id: str, key: FileKey, state: IntakeState, *, reason: str | None = None, sha256: str | None = None
    ) -> None:
        """Remember what was decided about a file of a hot folder."""
        async with self._database.transaction() as session:
            await ensure_owner(session, owner_id)
            await note_file(session, owner_id, key, state, reason=reason, sha256=sha256)
            if state is IntakeState.FAILED:
                data = {"owner": owner_id, "failed_file": key.path, "error": reason}
                self._events.record(session, Event(EventType.QUEUE_CHANGED, owner_id, data=data))

    async def _judge(self, path: Path, name: str) -> "FileFacts":
        shown = _last_part(name)
        try:
            with storage(f"reading {shown}"):
                if inspect.iscoroutinefunction(self._facts):
                    found = await self._facts(path)
                else:
                    found = await asyncio.to_thread(self._facts, path)
                    if inspect.isawaitable(found):
                        found = await found
        except PhotoError as error:
            # In the words of whoever gave the file its name.
            raise type(error)(str(error).replace(path.name, shown)) from error
        facts: FileFacts = found
        if not facts.is_photo:
            raise NotAPhotoError(f"{shown} is no photo ({facts.format})")
        if not facts.supported:
            raise UnsupportedError(f"{shown}: the format {facts.format} is not supported")
        return facts

    async def _refuse_ours(self, owner_id: str, name: str, digests: Digests) -> None:
        """What was rendered here is not taken for a new original."""
        async with self._database.reading() as session:
            version = await processed.find_by_sha1(session, owner_id, digests.sha1)
        if version is not None:
            raise UnsupportedError(
                f"{_last_part(name)} is version {version.n} of a photo that is here; it is not developed again"
            )

    async def _enter(
        self,
        photo: PhotoRow,
        arriving: Path,
        connection_id: int | None,
        key: FileKey | None,
        beside: Sequence[Arrived],
    ) -> bool:
        """Move the bytes to their place and write the rows; returns whether the photo is new."""
        owner_id, sha256 = photo.owner_id, photo.sha256
        async with self._database.reading() as session:
            existing = await photos.find(session, owner_id, sha256)
        if existing is None:
            if photo.source is Source.IMMICH:
                photo.path = self._layout.cached_original(owner_id, sha256, photo.file_name)
            else:
                photo.path = self._layout.original(owner_id, sha256, photo.file_name, photo.captured_at or now())
            await asyncio.to_thread(adopt, arriving, self._layout.absolute(photo.path))
        elif existing.path is not None and not is_cached(existing.path):
            kept = self._layout.absolute(existing.path)
            if not await asyncio.to_thread(holds, kept, sha256):
                # Our copy was lost or damaged, and here are the same bytes again.
                await asyncio.to_thread(adopt, arriving, kept)
        placed = [(one, await self.companions.place(photo, one)) for one in beside]
        async with self._database.transaction() as session:
            await ensure_owner(session, owner_id)
            row = await photos.find(session, owner_id, sha256)
            new = row is None
            if row is None:
                row = photo
                self._events.record(session, _added(photo))
            if row.connection_id is None and (new or connection_id is not None):
                row.connection_id = connection_id or await _connection_of(session, owner_id)
            if row.immich_asset_id is None and photo.immich_asset_id is not None:
                row.immich_asset_id = photo.immich_asset_id
                row.original_publish = Publish.ORIGINAL_UPLOADED
            if new and row.connection_id is not None and row.source is not Source.IMMICH:
                # The owner's own upload, in every mode and also where the photo is left alone: due at once.
                row.original_publish_due_at = now()
            session.add(row)
            await session.flush()
            if new:
                await photo_words.put(session, row)
            if key is not None:
                await note_file(session, owner_id, key, IntakeState.FETCHED, sha256=sha256)
            for one, path in placed:
                await self.companions.enter(session, row, one, path)
            if connection_id is not None and photo.immich_asset_id is not None:
                await _fetched(session, owner_id, connection_id, photo)
        return new


def _new_row(
    owner_id: str,
    *,
    file_name: str,
    source: Source,
    digests: Digests,
    facts: "FileFacts",
    captured_at: datetime,
    immich_asset_id: str | None,
) -> PhotoRow:
    return PhotoRow(
        owner_id=owner_id,
        sha256=digests.sha256,
        sha1=digests.sha1,
        size=digests.size,
        file_name=_last_part(file_name),
        source=source,
        path=None,
        media_type=facts.media_type,
        is_raw=facts.is_raw,
        width=facts.width,
        height=facts.height,
        captured_at=captured_at.astimezone(UTC),
        immich_asset_id=immich_asset_id,
        original_publish=Publish.NONE if immich_asset_id is None else Publish.ORIGINAL_UPLOADED,
    )


def _added(photo: PhotoRow) -> Event:
    data = {
        "file_id": photo.sha256,
        "owner": photo.owner_id,
        "status": photos.status_of(photo),
        "progress": 0.0,
        "preview_url": None,
        "ai_suggestions": [],
        "version": photo.version,
        "review": photo.review.value,
        "error": None,
        "file_name": photo.file_name,
    }
    return Event(EventType.PHOTO_ADDED, photo.owner_id, photo.sha256, data)


async def _fetched(session: AsyncSession, owner_id: str, connection_id: int, photo: PhotoRow) -> None:
    query = select(AssetRow).where(
        col(AssetRow.owner_id) == owner_id,
        col(AssetRow.connection_id) == connection_id,
        col(AssetRow.asset_id) == photo.immich_asset_id,
    )
    row = (await session.exec(query)).first()
    if row is None:
        row = AssetRow(
            owner_id=owner_id,
            connection_id=connection_id,
            asset_id=photo.immich_asset_id or "",
            sha1=photo.sha1,
            file_name=photo.file_name,
        )
    row.state, row.reason, row.sha256, row.due_at = IntakeState.FETCHED, None, photo.sha256, None
    session.add(row)


async def _connection_of(session: AsyncSession, owner_id: str) -> int | None:
    query = select(ConnectionRow.id).where(
        col(ConnectionRow.owner_id) == owner_id, col(ConnectionRow.disconnected_at).is_(None)
    )
    return (await session.exec(query)).first()


def _refusal(error: PhotoError) -> IntakeState:
    """Rubbish under a photo's name is a failure worth telling; another kind of file is just not for us."""
    return IntakeState.SKIPPED if isinstance(error, (NotAPhotoError, UnsupportedError)) else IntakeState.FAILED


async def _copy(source: Path, target: Path, expected: os.stat_result) -> Digests:
    given_up = threading.Event()
    try:
        return await asyncio.to_thread(copy_hashed, source, target, expected=expected, given_up=given_up)
    except asyncio.CancelledError:
        given_up.set()  # the thread goes on by itself, and the end of the service waits for it
        raise


def _status(path: Path) -> os.stat_result:
    with storage(f"looking at {path}"):
        return path.stat()


def _rename(source: Path, target: Path) -> None:
    with storage(f"moving {source}"):
        make_folder(target.parent)
        move_file(source, target)


def _may_be_a_photo(path: Path) -> bool:
    """Whether the first bytes, or the name of a RAW file, promise a picture that could be developed."""
    from immich_sidecar.develop import formats

    with storage(f"reading {path}"), open_regular(path) as file:
        found = formats.sniff(file.read(4096) or b"")
    if found is formats.Format.OTHER:
        return formats.has_raw_name(path.name)
    return found is not formats.Format.VIDEO and found not in formats.UNSUPPORTED


def _discard(path: Path) -> None:
    with suppress(OSError):
        path.unlink(missing_ok=True)


def _file_time(status: os.stat_result) -> datetime:
    try:
        return datetime.fromtimestamp(status.st_mtime, UTC)
    except (OverflowError, ValueError, OSError):
        return now()


def _last_part(name: str) -> str:
    text = re.split(r"[/\\]", readable_name(name))[-1]
    return _CONTROL.sub("_", text)[:255] or "photo"


def _probe(path: Path) -> "FileFacts":
    from immich_sidecar.develop.probe import probe

    return probe(path)
