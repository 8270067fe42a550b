"""What happened, told to everybody who listens.

A stored event is a row, written in the transaction that made it true; listeners hear of it after the commit. A
listener reads rows by their rising id, first what it missed and then what comes, so one that comes back with the
last id it saw loses nothing, and a slow one costs no memory: it only holds its place. Live events (progress) are
kept for a listener only until a newer one of the same photo replaces them.
"""

import asyncio
import weakref
from collections import OrderedDict, deque
from collections.abc import AsyncIterator
from datetime import timedelta
from functools import partial

from sqlalchemy import delete, func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.events import Event, EventType
from immich_sidecar.library.database import Database, after_commit
from immich_sidecar.library.tables import EventRow, now

#: How long stored events are kept for listeners that come back.
KEPT_FOR = timedelta(days=1)
#: Stored events kept in memory, so that listeners who follow need not ask the database.
RECENT = 1000
#: Stored events read from the database at once.
BATCH = 200
#: Live events that may wait for one listener; the oldest go first.
MAX_LIVE = 256

_WAITING = "immich_sidecar.events"


class EventLog:
    """Writes events and hands them to listeners.

    Parameters
    ----------
    database : Database
        Where the rows are; every event of this data directory is recorded through one log.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._listeners: weakref.WeakSet[Subscription] = weakref.WeakSet()
        # The newest events, without a gap: all with an id above `_floor`. Unknown until the first is recorded.
        self._recent: deque[Event] = deque()
        self._floor: int | None = None
        self._closed = False

    def record(self, session: AsyncSession, event: Event) -> None:
        """Store an event in the caller's transaction; listeners hear of it once that is committed."""
        row = EventRow(owner_id=event.owner_id, sha256=event.sha256, type=event.type.value, data=event.data)
        session.add(row)
        waiting: list[EventRow] | None = session.info.get(_WAITING)
        if waiting is None:
            waiting = session.info[_WAITING] = []
            after_commit(session, partial(self._committed, waiting))
        waiting.append(row)

    def publish_live(self, event: Event) -> None:
        """Tell those who listen now; nothing is stored."""
        for listener in list(self._listeners):
            if listener.owner_id == event.owner_id:
                listener._offer_live(event)

    def subscribe(self, owner_id: str, after: int | None = None) -> "Subscription":
        """Listen to an owner's events from this call on, or from the stored one after id `after`.

        An `after` that was never given (the data directory is a new one) is answered with all there is.
        """
        listener = Subscription(self, owner_id, after)
        if self._closed:
            listener.close()
        else:
            self._listeners.add(listener)
        return listener

    async def last_id(self) -> int:
        """Id of the newest stored event; what a page remembers when it is made. 0: there was none yet."""
        if self._recent:
            return self._recent[-1].id or 0
        async with self._database.reading() as session:
            return await _last_id(session)

    async def holds_all_after(self, after: int) -> bool:
        """Whether nothing newer than `after` was pruned; if not, a page should be loaded anew."""
        async with self._database.reading() as session:
            oldest = (await session.exec(select(func.min(EventRow.id)))).one()
            return after >= (await _last_id(session) if oldest is None else oldest - 1)

    async def prune(self) -> int:
        """Remove stored events older than `KEPT_FOR`; returns how many."""
        async with self._database.transaction() as session:
            # The newest one stays: its id is where the numbering goes on for listeners.
            newest = select(func.max(EventRow.id)).scalar_subquery()
            result = await session.exec(
                delete(EventRow).where(col(EventRow.at) < now() - KEPT_FOR, col(EventRow.id) < newest)
            )
            return result.rowcount

    def close(self) -> None:
        """End all subscriptions: their loops finish after what they already have."""
        self._closed = True
        for listener in list(self._listeners):
            listener.close()

    def _committed(self, rows: list[EventRow]) -> None:
        events = sorted((_event_of(row) for row in rows), key=lambda event: event.id or 0)
        if self._floor is None:
            self._floor = (events[0].id or 1) - 1
        for event in events:
            self._recent.append(event)
            if len(self._recent) > RECENT:
                self._floor = self._recent.popleft().id
        for listener in list(self._listeners):
            listener._offer_stored(events)

    def _since(self, owner_id: str, cursor: int) -> list[Event] | None:
        """What memory holds for a listener at `cursor`, or None where it does not reach back that far."""
        if self._floor is None or cursor < self._floor:
            return None
        found: list[Event] = []
        for event in reversed(self._recent):
            if (event.id or 0) <= cursor:
                break
            if event.owner_id == owner_id:
                found.append(event)
        return found[::-1]


class Subscription(AsyncIterator[Event]):
    """The events of one owner, for one listener; for use with `async for`. Ends when it or the log is closed."""

    def __init__(self, log: EventLog, owner_id: str, after: int | None) -> None:
        self.owner_id = owner_id
        self._log = log
        #: Everything up to this id was handed over, or is in `_ready`. None: from the first event that comes.
        self._cursor = after
        self._checked = after is None
        self._ready: deque[Event] = deque()
        self._live: OrderedDict[tuple[EventType, str | None], Event] = OrderedDict()
        self._behind = True
        self._closed = False
        self._wake = asyncio.Event()

    def close(self) -> None:
        """Stop listening."""
        self._closed = True
        self._log._listeners.discard(self)
        self._wake.set()

    async def __anext__(self) -> Event:
        while True:
            if self._ready:
                return self._ready.popleft()
            if self._closed:
                raise StopAsyncIteration
            if self._behind:
                await self._catch_up()
            elif self._live:
                return self._live.popitem(last=False)[1]
            else:
                self._wake.clear()
                await self._wake.wait()

    def _offer_stored(self, events: list[Event]) -> None:
        mine = [event for event in events if event.owner_id == self.owner_id]
        if self._cursor is None:
            self._cursor = (events[0].id or 1) - 1
        for event in mine:
            # Progress that was reported before this is history now.
            for key in [key for key in self._live if key[1] == event.sha256]:
                del self._live[key]
        if mine:
            self._behind = True
            self._wake.set()

    def _offer_live(self, event: Event) -> None:
        key = (event.type, event.sha256)
        self._live.pop(key, None)
        self._live[key] = event
        if len(self._live) > MAX_LIVE:
            self._live.popitem(last=False)
        self._wake.set()

    async def _catch_up(self) -> None:
        """Fetch the next stored events; `_behind` stays set while there may be more."""
        self._behind = False
        if self._cursor is None:
            return
        events = self._log._since(self.owner_id, self._cursor) if self._checked else None
        if events is None:
            async with self._log._database.reading() as session:
                if not self._checked and self._cursor > await _last_id(session):
                    self._cursor = 0
                self._checked = True
                query = (
                    select(EventRow)
                    .where(col(EventRow.owner_id) == self.owner_id, col(EventRow.id) > self._cursor)
                    .order_by(col(EventRow.id))
                    .limit(BATCH)
                )
                events = [_event_of(row) for row in (await session.exec(query)).all()]
            # A short batch was the last one: what is committed meanwhile sets the flag again.
            self._behind = self._behind or len(events) == BATCH
        if events:
            self._cursor = events[-1].id
            self._ready.extend(events)


async def _last_id(session: AsyncSession) -> int:
    return (await session.exec(select(func.max(EventRow.id)))).one() or 0


def _event_of(row: EventRow) -> Event:
    return Event(EventType(row.type), row.owner_id, row.sha256, row.data, row.id)
