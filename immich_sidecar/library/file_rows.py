"""Rows about the files of hot folders: one for each file at one size and one modification time."""

from dataclasses import dataclass
from datetime import timedelta

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.library.tables import FileRow, IntakeState, now

#: In `FileRow.after`: the file is to leave its folder once it is safe.
LEAVES = "leaves"
#: It lies under a name of ours in its folder, while it is made sure of once more.
LEAVING = "leaving"
#: It left.
MOVED, DELETED = "moved", "deleted"
#: It stays after all; `FileRow.after_reason` says why.
STAYS = "stays"
#: How long a file stays at least after it was taken: what belongs to it may still be arriving.
FIRST_LOOK = timedelta(seconds=10)


@dataclass(frozen=True)
class FileKey:
    """A file of a hot folder at one moment: what it is known by without reading it."""

    #: Absolute path as text (see `intake.scanning.path_text`).
    path: str
    size: int
    mtime_ns: int
    #: Whether it is to leave its folder once it is safe (`SIDECAR_HOT_FOLDER_AFTER`).
    leaves: bool = False


async def find_file(session: AsyncSession, owner_id: str, key: FileKey) -> FileRow | None:
    """The row of a file as it is now, or None."""
    query = select(FileRow).where(
        col(FileRow.owner_id) == owner_id,
        col(FileRow.path) == key.path,
        col(FileRow.size) == key.size,
        col(FileRow.mtime_ns) == key.mtime_ns,
    )
    return (await session.exec(query)).first()


async def note_file(
    session: AsyncSession,
    owner_id: str,
    key: FileKey,
    state: IntakeState,
    *,
    reason: str | None = None,
    sha256: str | None = None,
    companion_sha256: str | None = None,
) -> None:
    """Remember what was decided about a file; only what was taken may leave its folder."""
    row = await find_file(session, owner_id, key)
    if row is None:
        row = FileRow(owner_id=owner_id, path=key.path, size=key.size, mtime_ns=key.mtime_ns)
    row.state, row.reason, row.sha256, row.seen_at = state, reason, sha256, now()
    row.companion_sha256 = companion_sha256
    leaves = key.leaves and state is IntakeState.FETCHED
    row.after, row.after_reason = LEAVES if leaves else None, None
    row.after_due_at = now() + FIRST_LOOK if leaves else None
    session.add(row)


async def newest_files(session: AsyncSession, owner_id: str, paths: list[str]) -> dict[str, FileRow]:
    """The newest row about each of these paths that has one."""
    query = (
        select(FileRow).where(col(FileRow.owner_id) == owner_id, col(FileRow.path).in_(paths)).order_by(col(FileRow.id))
    )
    return {row.path: row for row in (await session.exec(query)).all()}


async def files_named(session: AsyncSession, owner_id: str, stem: str) -> dict[str, FileRow]:
    """The newest row about each path that is `stem` with an ending, also of files that left; `stem` is a whole path."""
    query = (
        select(FileRow)
        # The full stop's successor is the slash: everything that begins with `stem.`, from the index.
        .where(col(FileRow.owner_id) == owner_id, col(FileRow.path) > f"{stem}.", col(FileRow.path) < f"{stem}/")
        .order_by(col(FileRow.id))
    )
    return {row.path: row for row in (await session.exec(query)).all()}
