"""Rows of work: which photos are due, and what is written when one is taken, released or given up.

Order, pauses and retries are columns, so they survive a restart. All queries read an index and stop after as
many rows as there are free slots, however many photos wait.
"""

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import exists, func, or_, select, union_all, update
from sqlmodel import col
from sqlmodel import select as select_rows
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.events import EventType
from immich_sidecar.library import photos
from immich_sidecar.library.database import Database
from immich_sidecar.library.events import EventLog
from immich_sidecar.library.tables import LOCAL_OWNER, OwnerRow, PhotoRow, SwitchRow, WorkState, now
from immich_sidecar.pipeline import analysing_again, retrying
from immich_sidecar.pipeline.commands import PAUSED, PAUSED_ALL, WORKING
from immich_sidecar.pipeline.notices import notice
from immich_sidecar.pipeline.stages import history

#: From this many interruptions in one state a photo is worked on alone.
ALONE_FROM = 2
#: This many interruptions in one state are taken for the photo's fault.
MOST_INTERRUPTIONS = 5
#: Deaths and timeouts of workers in one state that give a photo up.
MOST_CRASHES = 2

#: Questions that are asked as one; SQLite takes 500 at most.
MOST_QUERIES = 200

STEP_NAMES = {
    WorkState.STORED: "analyse",
    WorkState.ANALYSED: "advise",
    WorkState.ADVISED: "render",
    WorkState.RENDERED: "keep",
}


@dataclass(frozen=True)
class Due:
    """A photo that can be worked on now."""

    owner_id: str
    sha256: str
    state: WorkState
    priority: int
    created_at: datetime
    interruptions: int

    @property
    def key(self) -> tuple[str, str]:
        """Owner and SHA-256."""
        return (self.owner_id, self.sha256)

    @property
    def alone(self) -> bool:
        """Whether nothing else may run beside it."""
        return self.interruptions >= ALONE_FROM


@dataclass(frozen=True)
class Pauses:
    """Who wants nothing new to begin."""

    everybody: bool
    owners: frozenset[str]


class WorkQueue:
    """The rows behind the dispatcher."""

    def __init__(self, database: Database, events: EventLog) -> None:
        self._database = database
        self._events = events

    async def pauses(self) -> Pauses:
        """Who has paused."""
        async with self._database.reading() as session:
            return await read_pauses(session)

    async def due(self, limit: int, *, states: Collection[WorkState] = WORKING) -> list[Due]:
        """The photos that can be worked on now, by priority and then by age; at most `limit`."""
        moment = now()
        async with self._database.reading() as session:
            pauses = await read_pauses(session)
            if pauses.everybody or limit <= 0 or not states:
                return []
            connection = await session.connection()
            # Of many owners few have work; those alone are asked about one by one.
            waits = exists().where(
                col(PhotoRow.owner_id) == col(OwnerRow.id),
                col(PhotoRow.state).in_(states),
                col(PhotoRow.failed_at).is_(None),
                col(PhotoRow.running).is_(False),
            )
            owners = await connection.execute(select(col(OwnerRow.id)).where(waits))
            queries = [
                _first_due(owner, state, moment, limit)
                for owner in owners.scalars()
                if owner not in pauses.owners
                for state in states
            ]
            found = []
            for start in range(0, len(queries), MOST_QUERIES):
                rows = await connection.execute(union_all(*queries[start : start + MOST_QUERIES]))
                found += [Due(*row) for row in rows]
        found.sort(key=lambda due: (-due.priority, due.created_at, due.sha256))
        return found[:limit]

    async def take(self, wanted: Iterable[Due]) -> list[PhotoRow]:
        """Mark photos as running; those that a command changed meanwhile are left out."""
        taken = []
        async with self._database.transaction() as session:
            for due in wanted:
                row = await photos.find(session, due.owner_id, due.sha256)
                if row is None or row.running or row.failed_at is not None or row.state is not due.state:
                    continue
                row.running = True
                session.add(row)
                taken.append(row)
        return taken

    async def release(self, keys: Iterable[tuple[str, str]]) -> None:
        """Nothing runs for these photos any more; that is no interruption."""
        async with self._database.transaction() as session:
            connection = await session.connection()
            for owner, sha256 in keys:
                await connection.execute(
                    update(PhotoRow)
                    .where(col(PhotoRow.owner_id) == owner, col(PhotoRow.sha256) == sha256)
                    .values(running=False)
                )

    async def give_up(self, read: PhotoRow, error: str) -> None:
        """The present step failed for good; what earlier steps produced is kept."""
        async with self._database.transaction() as session:
            row = await self._still(session, read)
            if row is not None:
                await self._fail(session, row, error)

    async def later(self, read: PhotoRow, error: str, *, count: bool = True, wait: float | None = None) -> datetime:
        """Try the present step again later, or give it up after too many attempts; returns when.

        Parameters
        ----------
        count
            Whether this counts as an attempt.
        wait
            Seconds to wait; by default longer after each attempt.
        """
        due = retrying.due_after(read.attempts + 1)
        if wait is not None:
            due = datetime.fromtimestamp(now().timestamp() + wait, tz=now().tzinfo)
        async with self._database.transaction() as session:
            row = await self._still(session, read)
            if row is not None:
                row.attempts += count
                row.last_error = error
                if row.attempts >= retrying.ATTEMPTS:
                    await self._fail(session, row, error)
                else:
                    row.due_at = due
        return due

    async def crashed(self, read: PhotoRow, error: str) -> None:
        """The worker died or hung; the second time in one state is the last."""
        async with self._database.transaction() as session:
            row = await self._still(session, read)
            if row is not None:
                row.crashes += 1
                row.last_error = error
                if row.crashes >= MOST_CRASHES:
                    await self._fail(session, row, f"It crashed the decoder {row.crashes} times; last: {error}")

    async def recover(self) -> int:
        """At start: what is marked as running was interrupted. Returns how many photos that were."""
        count = 0
        async with self._database.transaction() as session:
            # Owner and state are named for the index: nothing is read of photos that were not in work.
            rows = await session.exec(
                select_rows(PhotoRow).where(
                    col(PhotoRow.owner_id).in_(select(col(OwnerRow.id))),
                    col(PhotoRow.state).in_(tuple(WorkState)),
                    col(PhotoRow.failed_at).is_(None),
                    col(PhotoRow.running).is_(True),
                )
            )
            for row in rows:
                count += 1
                row.running = False
                row.interruptions += 1
                if row.interruptions >= MOST_INTERRUPTIONS and row.state in STEP_NAMES:
                    await self._fail(
                        session,
                        row,
                        f"The service ended {row.interruptions} times while it worked on this photo; "
                        "it is left out until it is retried.",
                    )
                session.add(row)
        return count

    async def waiting(self, owner: str | None = None) -> tuple[int, int]:
        """How many photos there is work for (running ones included), and how many failed."""
        async with self._database.reading() as session:
            connection = await session.connection()
            owners = (
                [owner] if owner is not None else list((await connection.execute(select(col(OwnerRow.id)))).scalars())
            )
            counts = [await photos.counts(session, one) for one in owners]
            waits = await connection.execute(
                select(func.count())
                .select_from(PhotoRow)
                .where(
                    col(PhotoRow.owner_id).in_(owners),
                    col(PhotoRow.state).in_(WORKING),
                    col(PhotoRow.failed_at).is_(None),
                )
            )
            return int(waits.scalar() or 0), sum(count["failed"] for count in counts)

    async def _still(self, session: AsyncSession, read: PhotoRow) -> PhotoRow | None:
        """The row, no longer running; None where a command came between, which then has the say."""
        row = await photos.find(session, read.owner_id, read.sha256)
        if row is None:
            return None
        row.running = False
        session.add(row)
        return row if row.revision == read.revision and row.state is read.state else None

    async def _fail(self, session: AsyncSession, row: PhotoRow, error: str) -> None:
        if analysing_again.is_again(row):
            # What it was before is no worse for it.
            step = STEP_NAMES[row.state]
            await analysing_again.give_up(session, row)
            row.updated_at = now()
            session.add(history(row, "failed", error))
            self._events.record(session, notice(EventType.FAILED, row, error=error, step=step))
            return
        row.failed_at = STEP_NAMES[row.state]
        row.last_error = error
        row.due_at = None
        row.priority = 0
        row.updated_at = now()
        session.add(history(row, "failed", error))
        self._events.record(session, notice(EventType.FAILED, row, error=error, step=row.failed_at))


async def read_pauses(session: AsyncSession) -> Pauses:
    """Who has paused, from the switches."""
    connection = await session.connection()
    rows = await connection.execute(
        select(col(SwitchRow.owner_id), col(SwitchRow.name), col(SwitchRow.value)).where(
            col(SwitchRow.name).in_((PAUSED, PAUSED_ALL))
        )
    )
    switched = {(owner, name) for owner, name, value in rows if value}
    return Pauses(
        everybody=(LOCAL_OWNER, PAUSED_ALL) in switched,
        owners=frozenset(owner for owner, name in switched if name == PAUSED),
    )


def _first_due(owner: str, state: WorkState, moment: datetime, limit: int):  # type: ignore[no-untyped-def]  # a Select of six columns has no writable type
    rows = (
        select(
            col(PhotoRow.owner_id),
            col(PhotoRow.sha256),
            col(PhotoRow.state),
            col(PhotoRow.priority),
            col(PhotoRow.created_at),
            col(PhotoRow.interruptions),
        )
        .where(
            col(PhotoRow.owner_id) == owner,
            col(PhotoRow.state) == state,
            col(PhotoRow.failed_at).is_(None),
            col(PhotoRow.running).is_(False),
            or_(
                col(PhotoRow.due_at).is_(None),
                col(PhotoRow.due_at) <= moment,
                col(PhotoRow.due_at) > moment + retrying.NEVER_AS_LONG,
            ),
        )
        .order_by(col(PhotoRow.priority).desc(), col(PhotoRow.created_at))
        .limit(limit)
        .subquery()
    )
    return select(rows)
