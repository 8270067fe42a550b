"""Files and assets that did not become photos, and why."""

import asyncio
import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import PurePath
from typing import Any

from sqlalchemy import ColumnElement, case, func, or_
from sqlalchemy.orm import aliased
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.immich.rules import Skip
from immich_sidecar.library.companions import Kind, words_of
from immich_sidecar.library.tables import AssetRow, FileRow, IntakeState, Source

#: Rows of each kind that are looked at, newest first.
SHOWN = 100
#: Seconds that looking at the files themselves may take; a network mount that hangs must not hold up a page.
PATIENCE = 1.0
#: How a path begins whose bytes are no UTF-8 (see `intake.scanning.path_text`): it cannot be looked at by its text.
_BYTES = "bytes:"


@dataclass(frozen=True)
class NotTaken:
    """A file of a hot folder, or an asset of Immich, that did not become a photo."""

    name: str
    #: Where it lies; None for an asset.
    path: str | None
    reason: str
    #: Whether it could not be taken; else it was skipped on purpose.
    failed: bool
    seen_at: datetime
    source: Source

    def to_json(self) -> dict[str, Any]:
        """It as the API tells it."""
        return {
            "name": self.name,
            "path": self.path,
            "reason": self.reason,
            "seen_at": self.seen_at.isoformat().replace("+00:00", "Z"),
            "source": self.source.value,
        }


class Lookout:
    """Looks whether files still lie where they were seen, with one thread of its own.

    A look at a network mount that hangs never ends and keeps its thread: the threads that all others read files with
    must not go that way, one with each page.
    """

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="lookout")

    async def present(self, rows: Sequence[FileRow]) -> list[bool]:
        """Which of the files are as they were judged; all, where that cannot be told in time."""
        looking = asyncio.get_running_loop().run_in_executor(self._thread, lambda: [_lies_there(row) for row in rows])
        try:
            return await asyncio.wait_for(looking, PATIENCE)
        except TimeoutError:
            return [True] * len(rows)

    def close(self) -> None:
        """Wait for no look any more."""
        self._thread.shutdown(wait=False, cancel_futures=True)


async def failed(session: AsyncSession, owner: str, lookout: Lookout) -> list[NotTaken]:
    """What could not be taken, newest first; nothing that has changed, vanished or been taken since."""
    found = [
        *await files(session, owner, (IntakeState.FAILED,), lookout),
        *await assets(session, owner, (IntakeState.FAILED,)),
    ]
    return sorted(found, key=lambda item: item.seen_at, reverse=True)


async def files(session: AsyncSession, owner: str, states: Sequence[IntakeState], lookout: Lookout) -> list[NotTaken]:
    """Files of hot folders in these states, newest first; each as it lies there now."""
    newer = aliased(FileRow)
    replaced = (
        select(newer.id)
        .where(
            col(newer.owner_id) == FileRow.owner_id,
            col(newer.path) == FileRow.path,
            col(newer.id) > FileRow.id,
        )
        .exists()
    )
    rows = await _rows(session, FileRow, owner, states, ~replaced)
    if not rows:
        return []
    present = await lookout.present(rows)
    return [
        NotTaken(
            PurePath(row.path).name,
            row.path,
            row.reason or "",
            row.state is IntakeState.FAILED,
            row.seen_at,
            Source.HOT_FOLDER,
        )
        for row, here in zip(rows, present, strict=True)
        if here
    ]


async def assets(session: AsyncSession, owner: str, states: Sequence[IntakeState]) -> list[NotTaken]:
    """Assets of Immich in these states, newest first. Versions of ours are no news: they are left out."""
    others = or_(col(AssetRow.reason).is_(None), col(AssetRow.reason) != Skip.OURS.value)
    return [
        NotTaken(
            row.file_name or row.asset_id,
            None,
            row.reason or "",
            row.state is IntakeState.FAILED,
            row.seen_at,
            Source.IMMICH,
        )
        for row in await _rows(session, AssetRow, owner, states, others)
    ]


async def reasons(session: AsyncSession, owner: str) -> list[tuple[str, int]]:
    """How many assets of Immich were left where they are, by reason, most first; reads one index."""
    # Each JPEG of a RAW file names its own.
    of_raw = words_of(Kind.JPEG, "")
    reason = case((col(AssetRow.reason).startswith(of_raw), f"{of_raw}a RAW file"), else_=col(AssetRow.reason))
    query = (
        select(reason, func.count())
        .where(
            AssetRow.owner_id == owner,
            AssetRow.state == IntakeState.SKIPPED,
            or_(col(AssetRow.reason).is_(None), col(AssetRow.reason) != Skip.OURS.value),
        )
        .group_by(reason)
        .order_by(func.count().desc(), reason)
    )
    return [(text or "no reason is known", count) for text, count in await session.exec(query)]


async def _rows(
    session: AsyncSession, table: Any, owner: str, states: Sequence[IntakeState], *more: ColumnElement[bool]
) -> Sequence[Any]:
    query = (
        select(table)
        .where(table.owner_id == owner, col(table.state).in_(states), *more)
        .order_by(col(table.id).desc())
        .limit(SHOWN)
    )
    return (await session.exec(query)).all()


def _lies_there(row: FileRow) -> bool:
    """Whether the file is there, with the size and time it was judged with."""
    if row.path.startswith(_BYTES):
        return True
    try:
        status = os.stat(row.path)  # noqa: PTH116  one call for each of many files
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return (status.st_size, status.st_mtime_ns) == (row.size, row.mtime_ns)
