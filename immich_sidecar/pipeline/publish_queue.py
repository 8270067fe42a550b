"""Picks what is due for Immich and sees it through, beside the work and never in its way.

A photo is in one pair of hands at a time. Every connection has a few of its photos on their way at once, so that one
that is slow or has a hundred thousand waiting holds up no other; one of them is what became due last, so that a new
photo does not wait behind those. A connection whose Immich is away, or that refuses the key, is left alone until a
ping gets an answer; that counts as nobody's attempt.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import literal, select, union_all
from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import col

from immich_sidecar.errors import (
    ImmichAwayError,
    ImmichCredentialsError,
    ImmichError,
    ImmichServerError,
    ImmichTransferError,
    ImmichVersionError,
    SidecarError,
    StorageError,
)
from immich_sidecar.library import companions, photos, processed
from immich_sidecar.library.database import Database
from immich_sidecar.library.tables import ConnectionRow, PhotoRow, Publish, VersionRow, now
from immich_sidecar.pipeline import retrying
from immich_sidecar.pipeline.publish_steps import NotYetError
from immich_sidecar.pipeline.publishing import Publishing
from immich_sidecar.pipeline.targets import Target, Targets
from immich_sidecar.pipeline.uploads import Uploads
from immich_sidecar.pipeline.work_queue import read_pauses

_log = logging.getLogger(__name__)

#: Photos of one connection that are published at once (`SIDECAR_UPLOADS`), and of all connections together.
UPLOADS = 3
MOST_AT_ONCE = 32
#: Seconds after which rows are looked at again although nothing was announced.
LOOK_AGAIN = 30.0
#: Seconds between two pings of an Immich that is away: first, and at most.
FIRST_PING, LONGEST_PING = 5.0, 60.0
#: Before our copy of an original can be dropped, work has to be done; looked at again after this long.
COME_BACK = timedelta(minutes=10)

#: What is blocked comes back by a command or by the schedule.
_ACTIVE = tuple(state for state in Publish if state is not Publish.BLOCKED)


@dataclass(frozen=True)
class _Item:
    owner_id: str
    sha256: str
    #: Number of the version; 0 for the original itself.
    n: int
    connection_id: int


@dataclass(frozen=True)
class _InFlight:
    task: asyncio.Task[None]
    connection_id: int
    #: Chosen because it became due last.
    newest: bool


@dataclass
class _Outage:
    reason: str
    wait: float
    next_ping: float


class PublishQueue:
    """The part of the dispatcher that faces Immich."""

    def __init__(self, database: Database, publishing: Publishing, targets: Targets, *, uploads: int = UPLOADS) -> None:
        self._database = database
        self._publishing = publishing
        self._targets = targets
        self._ceiling = max(1, uploads)
        self._in_flight: dict[tuple[str, str], _InFlight] = {}
        self._outages: dict[int, _Outage] = {}
        self._wakeup = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin."""
        self._loop = asyncio.create_task(self._run(), name="publishing")

    async def stop(self, timeout: float = 3.0) -> None:  # noqa: ASYNC109
        """Abandon what runs: every step can be repeated."""
        tasks = [flight.task for flight in self._in_flight.values()]
        if self._loop is not None:
            tasks.append(self._loop)
            self._loop = None
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=timeout)

    def wake(self) -> None:
        """Something may be due now."""
        self._wakeup.set()

    def active(self, owner: str | None = None) -> int:
        """How many photos (of one owner) are being published now."""
        return sum(owner is None or key[0] == owner for key in self._in_flight)

    @property
    def uploads(self) -> Uploads:
        """What is being sent now, by bytes."""
        return self._publishing.uploads

    def outages(self) -> dict[int, str]:
        """Connections that wait for an answer, with the reason."""
        return {connection: outage.reason for connection, outage in self._outages.items()}

    async def _run(self) -> None:
        while True:
            self._wakeup.clear()
            wait = LOOK_AGAIN
            try:
                await self._ping()
                moment = now()
                await self._fill(moment)
                wait = min(wait, await self._until_next(moment))
            except (SQLAlchemyError, SidecarError, OSError):
                _log.exception("looking for something to publish failed")
            with suppress(TimeoutError):
                async with asyncio.timeout(max(0.05, wait)):
                    await self._wakeup.wait()

    async def _fill(self, moment: datetime) -> None:
        async with self._database.reading() as session:
            pauses = await read_pauses(session)
            if pauses.everybody:
                return
            usable = [connection for connection in self._targets() if connection not in self._outages]
            execution = await session.connection()
            rows = await execution.execute(select(col(ConnectionRow.id), col(ConnectionRow.owner_id)))
            owners = {row[0]: row[1] for row in rows}
        for connection in usable:
            owner = owners.get(connection)
            if owner is not None and owner not in pauses.owners:
                await self._fill_connection(connection, owner, moment)

    async def _fill_connection(self, connection: int, owner: str, moment: datetime) -> None:
        """Begin as much of a connection as it may have on its way."""
        begun = [flight for flight in self._in_flight.values() if flight.connection_id == connection]
        free = min(self._ceiling - len(begun), MOST_AT_ONCE - len(self._in_flight))
        if free <= 0:
            return
        # Those in work now are still due, some of them with several versions, and must not hide the others.
        limit = 4 * (self._ceiling + len(begun))
        items = await self._due(connection, owner, moment, limit)
        if len(items) == limit and self._ceiling > 1 and not any(flight.newest for flight in begun):
            for item in await self._due(connection, owner, moment, limit, newest=True):
                if self._begin(item, newest=True):
                    free -= 1
                    break
        for item in items:
            if free > 0 and self._begin(item):
                free -= 1

    def _begin(self, item: _Item, *, newest: bool = False) -> bool:
        """Begin publishing, unless the photo is on its way already."""
        target, key = self._targets().get(item.connection_id), (item.owner_id, item.sha256)
        if target is None or key in self._in_flight:
            return False
        task = asyncio.create_task(self._publish(target, item), name=f"publish {item.sha256[:12]}")
        self._in_flight[key] = _InFlight(task, item.connection_id, newest)
        task.add_done_callback(lambda _: self._landed(key))
        return True

    def _landed(self, key: tuple[str, str]) -> None:
        self._in_flight.pop(key, None)
        self._wakeup.set()

    async def _due(
        self, connection: int, owner: str, moment: datetime, limit: int, *, newest: bool = False
    ) -> list[_Item]:
        """What is due of a connection, the longest due first, or the shortest."""
        in_order = col(VersionRow.due_at).desc() if newest else col(VersionRow.due_at)
        photo_of = (col(PhotoRow.owner_id) == col(VersionRow.owner_id)) & (
            col(PhotoRow.sha256) == col(VersionRow.photo)
        )
        queries = [
            select(
                select(col(VersionRow.photo), col(VersionRow.n), col(VersionRow.due_at).label("due"))
                .join(PhotoRow, photo_of)
                .where(
                    col(VersionRow.owner_id) == owner,
                    col(VersionRow.publish) == state,
                    col(VersionRow.due_at) <= moment,
                    col(PhotoRow.connection_id) == connection,
                )
                .order_by(in_order)
                .limit(limit)
                .subquery()
            )
            for state in _ACTIVE
        ]
        originals = (
            select(col(PhotoRow.sha256), literal(0).label("n"), col(PhotoRow.original_publish_due_at).label("due"))
            .where(
                col(PhotoRow.original_publish_due_at) <= moment,
                col(PhotoRow.original_publish) != Publish.BLOCKED,
                col(PhotoRow.connection_id) == connection,
                col(PhotoRow.owner_id) == owner,
            )
            .order_by(col(PhotoRow.original_publish_due_at).desc() if newest else col(PhotoRow.original_publish_due_at))
            .limit(limit)
            .subquery()
        )
        async with self._database.reading() as session:
            execution = await session.connection()
            found = (await execution.execute(union_all(*queries, select(originals)))).all()
        found = sorted(found, key=lambda row: row[2], reverse=newest)
        return [_Item(owner, sha256, n, connection) for sha256, n, _ in found]

    async def _publish(self, target: Target, item: _Item) -> None:
        try:
            if item.n == 0:
                again = await self._publishing.originals.see_to(target, item.owner_id, item.sha256)
                await self._original_done(item, again=again)
            else:
                await self._publishing.version(target, item.owner_id, item.sha256, item.n)
        except NotYetError as error:
            seconds = error.seconds
            await self._record(lambda: self._later(item, seconds))
        except (ImmichAwayError, ImmichCredentialsError, ImmichVersionError) as error:
            self._away(item.connection_id, error)
        except ImmichTransferError as error:
            await self._not_through(target, item, error)
        except (ImmichServerError, StorageError, OSError) as error:
            _log.warning("photo %s: publishing: %s; tried again later", item.sha256, error)
            text = str(error) or type(error).__name__
            await self._record(lambda: self._attempted(item, text))
        except SQLAlchemyError:
            _log.exception("photo %s: what came of publishing cannot be written", item.sha256)
            await asyncio.sleep(2)
        except ImmichError as error:
            _log.warning("photo %s: publishing is blocked: %s", item.sha256, error)
            text = str(error)
            await self._record(lambda: self._block(item, text))
        except Exception as error:  # noqa: BLE001  the boundary: a defect blocks this photo and no other
            _log.exception("photo %s: publishing failed", item.sha256)
            text = f"{type(error).__name__}: {error}"
            await self._record(lambda: self._block(item, text))

    async def _not_through(self, target: Target, item: _Item, error: ImmichTransferError) -> None:
        """Count an attempt at a file that did not get through, unless Immich is away altogether."""
        try:
            await target.ping()
        except ImmichError as away:
            self._away(item.connection_id, away)
            return
        _log.warning("photo %s: publishing: %s; tried again later", item.sha256, error)
        text = str(error)
        await self._record(lambda: self._attempted(item, text))

    async def _original_done(self, item: _Item, *, again: bool) -> None:
        async with self._database.transaction() as session:
            photo = await photos.get(session, item.owner_id, item.sha256)
            photo.original_publish_due_at = now() + COME_BACK if again else None
            arrived = await companions.to_publish(session, item.owner_id, item.sha256)
            if arrived and photo.immich_asset_id is not None:
                # One came while the others were seen to.
                photo.original_publish_due_at = now()
            if photo.immich_asset_id is not None:
                photo.original_publish, photo.original_publish_error = Publish.ORIGINAL_UPLOADED, None
            session.add(photo)

    async def _later(self, item: _Item, seconds: float) -> None:
        """Come back to a version; nothing went wrong."""
        async with self._database.transaction() as session:
            version = await processed.get(session, item.owner_id, item.sha256, item.n)
            version.due_at = now() + timedelta(seconds=seconds)
            session.add(version)

    async def _attempted(self, item: _Item, error: str) -> None:
        """Count a failed attempt, and block after too many."""
        async with self._database.transaction() as session:
            if item.n == 0:
                photo = await photos.get(session, item.owner_id, item.sha256)
                photo.original_publish_attempts += 1
                photo.original_publish_error = error
                photo.original_publish_due_at = retrying.due_after(photo.original_publish_attempts)
                attempts = photo.original_publish_attempts
                session.add(photo)
            else:
                version = await processed.get(session, item.owner_id, item.sha256, item.n)
                version.attempts += 1
                version.last_error = error
                version.due_at = retrying.due_after(version.attempts)
                attempts = version.attempts
                session.add(version)
        if attempts >= retrying.ATTEMPTS:
            await self._block(item, error)

    async def _block(self, item: _Item, reason: str) -> None:
        due = now() + retrying.BLOCKED_FOR
        if item.n == 0:
            await self._publishing.originals.block(item.owner_id, item.sha256, reason, due_at=due)
        else:
            await self._publishing.block(item.owner_id, item.sha256, item.n, reason, due_at=due)

    async def _record(self, write: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await write()
        except (SQLAlchemyError, SidecarError):
            # The row is still due: the step comes round again.
            _log.exception("what came of publishing cannot be written")
            await asyncio.sleep(2)

    def _away(self, connection: int, error: ImmichError) -> None:
        if connection not in self._outages:
            _log.warning("publishing waits for Immich: %s", error)
            self._outages[connection] = _Outage(str(error), FIRST_PING, time.monotonic() + FIRST_PING)

    async def _ping(self) -> None:
        """Ask those that were away whether they are back."""
        targets = self._targets()
        for connection, outage in list(self._outages.items()):
            target = targets.get(connection)
            if target is None:
                del self._outages[connection]
            elif time.monotonic() >= outage.next_ping:
                try:
                    await target.ping()
                except ImmichError as error:
                    outage.reason = str(error)
                    outage.wait = min(outage.wait * 2, LONGEST_PING)
                    outage.next_ping = time.monotonic() + outage.wait
                else:
                    _log.info("Immich is back; publishing goes on")
                    del self._outages[connection]

    async def _until_next(self, moment: datetime) -> float:
        """Seconds until something becomes due that was not at `moment`."""
        waits = [outage.next_ping - time.monotonic() for outage in self._outages.values()]
        if len(self._in_flight) < MOST_AT_ONCE:
            waits.append(await self._next_due(moment))
        return max(0.0, min(waits, default=LOOK_AGAIN))

    async def _next_due(self, moment: datetime) -> float:
        async with self._database.reading() as session:
            queries = [
                select(
                    select(col(VersionRow.due_at))
                    .where(col(VersionRow.publish) == state, col(VersionRow.due_at) > moment)
                    .order_by(col(VersionRow.due_at))
                    .limit(1)
                    .subquery()
                )
                for state in _ACTIVE
            ]
            originals = (
                select(col(PhotoRow.original_publish_due_at))
                .where(
                    col(PhotoRow.original_publish_due_at) > moment,
                    col(PhotoRow.original_publish) != Publish.BLOCKED,
                )
                .order_by(col(PhotoRow.original_publish_due_at))
                .limit(1)
                .subquery()
            )
            connection = await session.connection()
            due = [row[0] for row in await connection.execute(union_all(*queries, select(originals)))]
        moment = now()
        return min(((one - moment).total_seconds() for one in due), default=LOOK_AGAIN)
