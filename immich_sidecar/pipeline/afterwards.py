"""What becomes of files in hot folders once they are safe (`SIDECAR_HOT_FOLDER_AFTER`).

A file is safe where our copy of it was read again from its first byte to its last, and, where its photo goes to
Immich, Immich says at this moment that it holds these bytes, outside its trash. What belongs together (a RAW file, its
JPEG, its XMP files) leaves together, and a folder that is taken for several owners keeps a file until it is safe for
each of them. Before a file leaves, its row says so; ended at any point, the next start puts back or finishes.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col, select

from immich_sidecar.errors import ImmichError, SidecarError
from immich_sidecar.intake import leaving
from immich_sidecar.intake.leaving import ChangedError, Leaver, StuckError
from immich_sidecar.library import companions, photos
from immich_sidecar.library.companions import Kind
from immich_sidecar.library.database import Database
from immich_sidecar.library.file_rows import DELETED, LEAVES, LEAVING, MOVED, STAYS
from immich_sidecar.library.files import holds
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.originals import is_cached
from immich_sidecar.library.tables import (
    CompanionRow,
    ConnectionRow,
    FileRow,
    IntakeState,
    PhotoRow,
    Publish,
    UploadRow,
    now,
)
from immich_sidecar.pipeline.targets import Targets
from immich_sidecar.settings import After

_log = logging.getLogger(__name__)

#: Where a file is: its hot folder, and the owners that take what lies there; None: in none.
FolderOf = Callable[[Path], tuple[Path, Sequence[str]] | None]

#: Seconds between two looks at what is due, and until a file is looked at again that is not safe yet or cannot leave.
LOOK_AGAIN = 2.0
NOT_YET = timedelta(seconds=15)
STUCK = timedelta(minutes=10)
#: Immich may call an upload a duplicate of what it is about to delete for good: confirmed only after this long.
TRUSTED_AFTER = timedelta(seconds=10)
BATCH = 100
#: Begins the reason of a file that is being moved; where to follows.
_MOVED_TO = "moved to "


class _NotSafeError(Exception):
    """A file may not leave; the text says why."""


@dataclass(frozen=True)
class _Group:
    """Files of one photo in one hot folder, as one owner has taken them."""

    root: Path
    owners: Sequence[str]
    rows: tuple[FileRow, ...]


class Afterwards:
    """Sees to files that are to leave their hot folder.

    Parameters
    ----------
    targets
        The connections at work, by their row's id.
    after
        What becomes of the files; with `keep` those that were to leave stay.
    folder_of
        Tells where a file is.
    tell
        Shows with a folder why files stay in it; None: nothing is wrong any more.
    look_again
        Seconds between two looks.
    trusted_after, not_yet
        See `TRUSTED_AFTER` and `NOT_YET`.
    """

    def __init__(
        self,
        database: Database,
        layout: Layout,
        targets: Targets,
        *,
        after: After,
        folder_of: FolderOf,
        tell: Callable[[Path, str | None], None],
        look_again: float = LOOK_AGAIN,
        trusted_after: timedelta = TRUSTED_AFTER,
        not_yet: timedelta = NOT_YET,
    ) -> None:
        self._database, self._layout, self._targets = database, layout, targets
        self._after, self._folder_of, self._tell = after, folder_of, tell
        self._look_again, self._trusted_after, self._not_yet = look_again, trusted_after, not_yet
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Put back what an interrupted attempt left under a hidden name; then begin."""
        await self._recover()
        if self._after is not After.KEEP:
            self._loop = asyncio.create_task(self._run(), name="hot folders: leaving")

    async def stop(self) -> None:
        """End; a file that is just leaving is seen through."""
        if self._loop is not None:
            self._loop.cancel()
            with suppress(asyncio.CancelledError):
                await self._loop
            self._loop = None

    async def see_to_due(self) -> int:
        """See to everything that is due now; gives the number of files that left."""
        left, done = 0, set()
        async with self._database.reading() as session:
            query = (
                select(FileRow)
                .where(col(FileRow.after_due_at) <= now(), FileRow.after == LEAVES)
                .order_by(col(FileRow.after_due_at))
                .limit(BATCH)
            )
            rows = (await session.exec(query)).all()
        for row in rows:
            if row.id not in done:
                group = await self._group(row)
                done |= {one.id for one in group.rows} if group else {row.id}
                left += await self._see_to(row, group)
        return left

    async def _run(self) -> None:
        while True:
            try:
                while await self.see_to_due():
                    pass
            except (SQLAlchemyError, SidecarError, OSError):
                _log.exception("looking for files that are to leave failed")
            await asyncio.sleep(self._look_again)

    async def _recover(self) -> None:
        """What lies under a hidden name gets its own again; what is gone has left."""
        async with self._database.reading() as session:
            rows = (await session.exec(select(FileRow).where(FileRow.after == LEAVING))).all()
        stuck = set()
        for row in rows:
            # All of them first: the rows of several owners are about one file, which has one hidden name.
            try:
                await asyncio.to_thread(leaving.bring_back, _leaver(row))
            except StuckError as error:
                _log.warning("%s: %s", row.path, error)
                stuck.add(row.path)
        for row in rows:
            path = Path(row.path)
            if row.path in stuck:
                continue
            if await asyncio.to_thread(path.exists) or not await asyncio.to_thread(path.parent.is_dir):
                await self._write([row], LEAVES, None, now())
            elif await asyncio.to_thread(_has_left, row):
                await self._write([row], DELETED if row.after_reason is None else MOVED, row.after_reason, None)

    async def _group(self, row: FileRow) -> _Group | None:
        """The file and all others of its photo in the hot folder; None where it is in no hot folder."""
        found = self._folder_of(Path(row.path))
        if found is None or row.path.startswith("bytes:"):
            return None
        root, owners = found
        async with self._database.reading() as session:
            query = select(FileRow).where(
                FileRow.owner_id == row.owner_id, FileRow.sha256 == row.sha256, FileRow.after == LEAVES
            )
            rows = (await session.exec(query)).all()
        folder = Path(row.path).parent
        return _Group(root, owners, tuple(one for one in rows if Path(one.path).parent == folder))

    async def _see_to(self, row: FileRow, group: _Group | None) -> int:
        if group is None:
            is_named = not row.path.startswith("bytes:")
            reason = "it lies in no hot folder that is followed" if is_named else "its name is no UTF-8"
            await self._write([row], STAYS, reason, None)
            return 0
        try:
            rows = await self._make_sure(group)
        except _NotSafeError as error:
            await self._write(group.rows, LEAVES, str(error), now() + self._not_yet)
            return 0
        except ImmichError as error:
            await self._write(group.rows, LEAVES, f"Immich cannot be asked: {error}", now() + self._not_yet)
            return 0
        # Once begun, a file is seen through, also where the service ends.
        return await asyncio.shield(asyncio.ensure_future(self._let_go(group, rows)))

    async def _make_sure(self, group: _Group) -> Mapping[int, list[FileRow]]:
        """All rows about each file of the group, by the id of the group's own; raises where one of them is not safe."""
        found: dict[int, list[FileRow]] = {}
        for row in group.rows:
            rows = [row]
            for owner in group.owners:
                if owner == row.owner_id:
                    continue
                async with self._database.reading() as session:
                    query = select(FileRow).where(
                        FileRow.owner_id == owner,
                        FileRow.path == row.path,
                        FileRow.size == row.size,
                        FileRow.mtime_ns == row.mtime_ns,
                    )
                    other = (await session.exec(query)).first()
                if other is None or other.state is not IntakeState.FETCHED:
                    raise _NotSafeError(f"it was not taken for {owner}")
                rows.append(other)
            found[row.id or 0] = rows
        for rows in found.values():
            for row in rows:
                await self._make_sure_of(row)
        return found

    async def _make_sure_of(self, row: FileRow) -> None:
        """Make sure that the file of a row is stored, and in Immich where it is to be.

        Raises
        ------
        _NotSafeError
            If it is not, or not yet.
        ImmichError
            If Immich does not answer.
        """
        async with self._database.reading() as session:
            photo = await photos.find(session, row.owner_id, row.sha256 or "")
            if photo is None:
                raise _NotSafeError("its photo is not there")
            companion = None
            if row.companion_sha256 is not None:
                rows = await companions.of_photos(session, row.owner_id, [photo.sha256])
                companion = next((one for one in rows if one.sha256 == row.companion_sha256), None)
                if companion is None:
                    raise _NotSafeError("what was kept of it is not there")
        connected = await self._is_connected(photo)
        kept = photo.path if companion is None else companion.path
        content = photo.sha256 if companion is None else companion.sha256
        here = kept is not None and not is_cached(kept)
        if here and not await asyncio.to_thread(holds, self._layout.absolute(kept or ""), content or ""):
            raise _NotSafeError("our copy of it is missing or damaged; `immich-sidecar verify` tells more")
        # Immich holds no XMP file that could be asked for: our copy alone counts.
        if connected and (companion is None or companion.kind == Kind.JPEG):
            await self._confirm(photo, companion)
        elif not here:
            raise _NotSafeError("there is no copy of it here")

    async def _is_connected(self, photo: PhotoRow) -> bool:
        if photo.connection_id is None:
            return False
        async with self._database.reading() as session:
            connection = await session.get(ConnectionRow, photo.connection_id)
        return connection is not None and connection.disconnected_at is None

    async def _confirm(self, photo: PhotoRow, companion: CompanionRow | None) -> None:
        target = self._targets().get(photo.connection_id or 0)
        if target is None:
            raise _NotSafeError("Immich does not answer")
        asset_id = photo.immich_asset_id if companion is None else companion.immich_asset_id
        sha1 = photo.sha1 if companion is None else companion.sha1
        if asset_id is None:
            raise _NotSafeError("it is not in Immich yet")
        if companion is None:
            async with self._database.reading() as session:
                query = select(UploadRow.uploaded_at).where(
                    UploadRow.owner_id == photo.owner_id,
                    UploadRow.original_hash == photo.sha256,
                    UploadRow.version == 0,
                )
                uploaded_at = (await session.exec(query)).first()
            if uploaded_at is not None and now() - uploaded_at < self._trusted_after:
                raise _NotSafeError("it came into Immich a moment ago")
        elif companion.publish not in (Publish.STACKED, Publish.MARKED):
            raise _NotSafeError(companion.last_error or "its JPEG is not in its place in Immich yet")
        if not await target.publisher.confirm(asset_id, sha1 or ""):
            raise _NotSafeError("Immich does not hold it, or has it in its trash")

    async def _let_go(self, group: _Group, rows: Mapping[int, list[FileRow]]) -> int:
        files = [_leaver(row) for row in group.rows]
        places: Sequence[Path | None] = [None] * len(files)
        if self._after is After.MOVE:
            try:
                places = await asyncio.to_thread(leaving.places, group.root, files)
            except StuckError as error:
                await self._stuck(group, list(group.rows), error)
                return 0
        left = 0
        for file, place in zip(files, places, strict=True):
            about = rows[file.number]
            where = None if place is None else f"{_MOVED_TO}{place}"
            await self._write(about, LEAVING, where, None)
            try:
                if place is None:
                    await asyncio.to_thread(leaving.delete, file)
                else:
                    await asyncio.to_thread(leaving.move, file, place)
            except ChangedError as error:
                _log.warning("%s stays in its hot folder: %s", file.path, error)
                await self._write(about, STAYS, str(error), None)
            except StuckError as error:
                await self._stuck(group, about, error)
            else:
                left += 1
                await self._write(about, DELETED if place is None else MOVED, where, None)
                self._tell(group.root, None)
                _log.info("%s: %s", file.path, where or "deleted, as it is stored")
        return left

    async def _stuck(self, group: _Group, rows: Sequence[FileRow], error: StuckError) -> None:
        _log.warning("hot folder %s: %s", group.root, error)
        self._tell(group.root, f"files stay in it: {error}")
        await self._write(rows, LEAVES, str(error), now() + STUCK)

    async def _write(self, rows: Sequence[FileRow], after: str, reason: str | None, due_at: datetime | None) -> None:
        async with self._database.transaction() as session:
            for row in rows:
                current = await session.get(FileRow, row.id)
                if current is not None:
                    current.after, current.after_reason, current.after_due_at = after, reason, due_at
                    session.add(current)


def _has_left(row: FileRow) -> bool:
    """Whether a file that is there under neither of its names has left; its share may be away, whose place is empty."""
    if row.after_reason is not None:
        return Path(row.after_reason.removeprefix(_MOVED_TO)).exists()
    return any(Path(row.path).parent.iterdir())


def _leaver(row: FileRow) -> Leaver:
    return Leaver(Path(row.path), row.size, row.mtime_ns, row.companion_sha256 or row.sha256 or "", row.id or 0)
