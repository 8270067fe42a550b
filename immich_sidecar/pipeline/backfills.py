"""Backfills: older photos that their owner wants processed, asked for as a whole.

    counting -> ready -> running <-> paused -> done
    cancelled, undoing -> undone, failed

A dry run counts what would happen; then the owner starts it. Rows say how far each has come, so an end of the service
at any moment loses nothing. What is new goes first: a backfill fetches only while no new photo waits to be fetched, its
photos have a low priority, and only so many of them are fetched and not finished at any time.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.errors import ConflictError
from immich_sidecar.immich.backfill import Scope
from immich_sidecar.immich.pairs import without_raw
from immich_sidecar.immich.rules import BACKFILL_CANCELLED, Rules
from immich_sidecar.library import backfills
from immich_sidecar.library.backfills import Progress
from immich_sidecar.library.tables import AssetRow, BackfillRow, BackfillState, IntakeState, now
from immich_sidecar.pipeline.backfill_bench import Bench, Live, backfill_event
from immich_sidecar.pipeline.backfill_run import BackfillRun

_log = logging.getLogger(__name__)

#: Commands, the states in which each is possible, and the state that it leads to.
COMMANDS: Mapping[str, tuple[tuple[BackfillState, ...], BackfillState]] = {
    "start": ((BackfillState.READY,), BackfillState.RUNNING),
    "pause": ((BackfillState.RUNNING,), BackfillState.PAUSED),
    "resume": ((BackfillState.PAUSED,), BackfillState.RUNNING),
    "cancel": (
        (BackfillState.COUNTING, BackfillState.READY, BackfillState.RUNNING, BackfillState.PAUSED),
        BackfillState.CANCELLED,
    ),
    "retry": ((BackfillState.FAILED,), BackfillState.COUNTING),
    "undo": (
        (
            BackfillState.RUNNING,
            BackfillState.PAUSED,
            BackfillState.DONE,
            BackfillState.CANCELLED,
            BackfillState.FAILED,
        ),
        BackfillState.UNDOING,
    ),
}


class Backfills:
    """Makes, runs and ends backfills; start it once, and stop it."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._database = bench.database
        self._live: dict[int, Live] = {}
        self._stopping = False

    async def start(self) -> None:
        """Go on with whatever was under way."""
        self._stopping = False
        async with self._database.reading() as session:
            rows = await backfills.active(session)
        for row in rows:
            self._begin(row)

    async def stop(self) -> None:
        """End; everything goes on at the next start."""
        self._stopping = True
        tasks = [live.task for live in self._live.values() if live.task is not None]
        for task in tasks:
            task.cancel()
        for task in tasks:
            with suppress(asyncio.CancelledError):
                await task
        self._live.clear()

    async def create(self, owner: str, scope: Scope, rules: Rules) -> BackfillRow:
        """Begin the dry run of a new backfill.

        Raises
        ------
        ConflictError
            If the owner is not connected to Immich.
        """
        one = self._bench.grounds.of_owner(owner)
        if one is None:
            raise ConflictError("Connect Immich first: a backfill is about the photos that are there.")
        async with self._database.transaction() as session:
            row = BackfillRow(
                owner_id=owner,
                connection_id=one.id,
                scope=scope.model_dump(mode="json", exclude_defaults=True),
                rules=rules.to_json(),
            )
            session.add(row)
            await session.flush()
            self._tell(session, row)
        self._begin(row)
        return row

    async def command(self, owner: str, backfill_id: int, name: str) -> BackfillRow:
        """Run one of `COMMANDS`.

        Raises
        ------
        NotFoundError
            If the owner has no such backfill.
        ConflictError
            If its state does not allow that.
        """
        async with self._database.transaction() as session:
            row = await backfills.get(session, owner, backfill_id)
            if name not in COMMANDS:
                raise ConflictError(f"There is no command {name!r}; there are {', '.join(COMMANDS)}.")
            states, leads_to = COMMANDS[name]
            if row.state not in states:
                raise ConflictError(f"It cannot be done now: the backfill is {row.state.value}.")
            if name == "start":
                row.started_at = now()
                row.cursor = dict((row.estimate or {}).get("way") or {})
            if name == "retry" and row.started_at is not None:
                leads_to = BackfillState.RUNNING
            self._live.setdefault(backfill_id, Live()).interrupted = name != "start"
            row.state, row.error = leads_to, None
            row.finished_at = now() if leads_to is BackfillState.CANCELLED else None
            session.add(row)
            if name in ("cancel", "undo"):
                await _let_go(session, row)
            self._tell(session, row)
        self._begin(row)
        return row

    async def progress(self, row: BackfillRow) -> Progress:
        """What came of its photos so far."""
        async with self._database.reading() as session:
            return await backfills.progress(session, row)

    def live(self, row: BackfillRow) -> Live:
        """What it is doing at this moment."""
        return self._live.get(row.id or 0) or Live()

    def _begin(self, row: BackfillRow) -> None:
        """Have somebody at it where it is in a state in which something is to be done."""
        identity = row.id or 0
        live = self._live.setdefault(identity, Live())
        if row.state not in backfills.ACTIVE or self._stopping:
            return
        live.again = True
        if live.task is None or live.task.done():
            live.task = asyncio.create_task(self._work(identity), name=f"backfill {identity}")

    async def _work(self, identity: int) -> None:
        # Imported where it is used: what it counts with is not needed before.
        live = self._live[identity]
        while live.again:
            live.again = False
            await BackfillRun(self._bench, identity, live).work()

    def _tell(self, session: Any, row: BackfillRow) -> None:
        self._bench.events.record(session, backfill_event(row))


async def _let_go(session: AsyncSession, backfill: BackfillRow) -> None:
    """Leave alone what a backfill that is called off had noticed and not fetched."""
    waiting = await session.exec(
        select(AssetRow).where(AssetRow.backfill_id == backfill.id, AssetRow.state == IntakeState.SEEN)
    )
    for asset in waiting.all():
        asset.state, asset.reason, asset.due_at = IntakeState.SKIPPED, BACKFILL_CANCELLED, None
        session.add(asset)
        await without_raw(session, asset)
