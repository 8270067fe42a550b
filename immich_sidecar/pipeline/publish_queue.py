"""Picks what is due for Immich and sees it through, beside the work and never in its way.

A photo is in one pair of hands at a time, so its stack is too. A connection whose Immich is away, or that
refuses the key, is left alone until a ping gets an answer; that counts as nobody's attempt.
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
    ImmichVersionError,
    SidecarError,
    StorageError,
)
from immich_sidecar.library import photos, processed
from immich_sidecar.library.database import Database
from immich_sidecar.library.tables import PhotoRow, Publish, VersionRow, now
from immich_sidecar.pipeline import retrying
from immich_sidecar.pipeline.publishing import Publishing
from immich_sidecar.pipeline.targets import Target, Targets
from immich_sidecar.pipeline.work_queue import read_pauses

_log = logging.getLogger(__name__)

#: Photos that are published at once, over all connections.
SLOTS = 3
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


@dataclass
class _Outage:
    reason: str
    wait: float
    next_ping: float


class PublishQueue:
    """The part of the dispatcher that faces Immich."""

    def __init__(self, database: Database, publishing: Publishing, targets: Targets, *, slots: int = SLOTS) -> None:
        self._database = database
        self._publishing = publishing
        self._targets = targets
        self._slots = slots
        self._in_flight: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._outages: dict[int, _Outage] = {}
        self._wakeup = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin."""
        self._loop = asyncio.create_task(self._run(), name="publishing")

    async def stop(self, timeout: float = 3.0) -> None:  # noqa: ASYNC109
        """Abandon what runs: every step can be repeated."""
        tasks = [*self._in_flight.values()]
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
        free = self._slots - len(self._in_flight)
        if free <= 0:
            return
        targets = self._targets()
        for item in await self._due(free, moment):
            target = targets.get(item.connection_id)
            if target is None or item.connection_id in self._outages or len(self._in_flight) >= self._slots:
                continue
            key = (item.owner_id, item.sha256)
            if key in self._in_flight:
                continue
            task = asyncio.create_task(self._publish(target, item), name=f"publish {item.sha256[:12]}")
            self._in_flight[key] = task
            task.add_done_callback(lambda _, key=key: self._landed(key))  # type: ignore[misc]  # bound as default

    def _landed(self, key: tuple[str, str]) -> None:
        self._in_flight.pop(key, None)
        self._wakeup.set()

    async def _due(self, free: int, moment: datetime) -> list[_Item]:
        # Those in work now are still due, and must not hide the others.
        limit = free + len(self._in_flight)
        async with self._database.reading() as session:
            pauses = await read_pauses(session)
            if pauses.everybody:
                return []
            targets = self._targets()
            usable = [connection for connection in targets if connection not in self._outages]
            if not usable:
                return []
            photo_of = (col(PhotoRow.owner_id) == col(VersionRow.owner_id)) & (
                col(PhotoRow.sha256) == col(VersionRow.photo)
            )
            queries = []
            for state in _ACTIVE:
                rows = (
                    select(
                        col(VersionRow.owner_id),
                        col(VersionRow.photo),
                        col(VersionRow.n),
                        col(PhotoRow.connection_id),
                        col(VersionRow.due_at).label("due"),
                    )
                    .join(PhotoRow, photo_of)
                    .where(
                        col(VersionRow.publish) == state,
                        col(VersionRow.due_at) <= moment,
                        col(PhotoRow.connection_id).in_(usable),
                        col(VersionRow.owner_id).not_in(pauses.owners),
                    )
                    .order_by(col(VersionRow.due_at))
                    .limit(limit)
                    .subquery()
                )
                queries.append(select(rows))
            originals = (
                select(
                    col(PhotoRow.owner_id),
                    col(PhotoRow.sha256),
                    literal(0).label("n"),
                    col(PhotoRow.connection_id),
                    col(PhotoRow.original_publish_due_at).label("due"),
                )
                .where(
                    col(PhotoRow.original_publish_due_at) <= moment,
                    col(PhotoRow.original_publish) != Publish.BLOCKED,
                    col(PhotoRow.connection_id).in_(usable),
                    col(PhotoRow.owner_id).not_in(pauses.owners),
                )
                .order_by(col(PhotoRow.original_publish_due_at))
                .limit(limit)
                .subquery()
            )
            connection = await session.connection()
            found = (await connection.execute(union_all(*queries, select(originals)))).all()
        found = sorted(found, key=lambda row: row[4])
        return [_Item(owner, sha256, n, connection) for owner, sha256, n, connection, _ in found]

    async def _publish(self, target: Target, item: _Item) -> None:
        try:
            if item.n == 0:
                again = await self._publishing.original(target, item.owner_id, item.sha256)
                await self._original_done(item, again=again)
            else:
                await self._publishing.version(target, item.owner_id, item.sha256, item.n)
        except (ImmichAwayError, ImmichCredentialsError, ImmichVersionError) as error:
            self._away(item.connection_id, error)
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

    async def _original_done(self, item: _Item, *, again: bool) -> None:
        async with self._database.transaction() as session:
            photo = await photos.get(session, item.owner_id, item.sha256)
            photo.original_publish_due_at = now() + COME_BACK if again else None
            if photo.immich_asset_id is not None:
                photo.original_publish, photo.original_publish_error = Publish.ORIGINAL_UPLOADED, None
            session.add(photo)

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
            await self._publishing.block_original(item.owner_id, item.sha256, reason, due_at=due)
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
        if len(self._in_flight) < self._slots:
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
