"""Trying rules on what is in Immich already, before they are kept: nothing is written, in Immich or here."""

import asyncio
import logging
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy.exc import SQLAlchemyError

from immich_sidecar.errors import ConflictError, SidecarError
from immich_sidecar.events import Event, EventType
from immich_sidecar.immich.at_work import Connected
from immich_sidecar.immich.backfill import Scope, ScopeKind
from immich_sidecar.immich.backfill_intake import BackfillIntake
from immich_sidecar.immich.rules import Rules
from immich_sidecar.immich.survey import Tally
from immich_sidecar.library.database import Database
from immich_sidecar.library.events import EventLog
from immich_sidecar.library.tables import now

_log = logging.getLogger(__name__)

#: Trials of different owners that are remembered; a trial is gone after a restart.
MOST = 200


@dataclass
class Trial:
    """One trial, under way or over."""

    rules: Rules
    began_at: datetime
    tally: Tally = field(default_factory=Tally)
    done: bool = False
    error: str | None = None
    task: asyncio.Task[None] | None = field(default=None, repr=False)

    def to_json(self) -> dict[str, Any]:
        """The trial as the API tells it."""
        return {"done": self.done, "error": self.error, **self.tally.to_json()}

    def shows(self, asset_id: str) -> bool:
        """Whether an asset is one of its examples."""
        return any(sample.asset_id == asset_id for sample in (*self.tally.taken_samples, *self.tally.left_samples))


class Trials:
    """The latest trial of each owner.

    Parameters
    ----------
    database, events
        Where rows are, and who is told how far it is.
    of_owner
        The owner's connection.
    """

    def __init__(self, database: Database, events: EventLog, of_owner: Callable[[str], Connected | None]) -> None:
        self._database = database
        self._events = events
        self._of_owner = of_owner
        self._trials: dict[str, Trial] = {}

    def of(self, owner: str) -> Trial | None:
        """The owner's latest trial."""
        return self._trials.get(owner)

    async def begin(self, owner: str, rules: Rules) -> Trial:
        """Try rules; an earlier trial of the owner ends.

        Raises
        ------
        ConflictError
            If the owner is not connected, or Immich is away.
        """
        one = self._of_owner(owner)
        if one is None or not one.connection.may_take:
            raise ConflictError("Rules are tried on what is in Immich; that does not answer now, or is not connected.")
        await self.end(owner)
        while len(self._trials) >= MOST:
            await self.end(next(iter(self._trials)))
        trial = self._trials[owner] = Trial(rules, now())
        trial.task = asyncio.create_task(self._try(owner, trial, one), name=f"trial of {owner}")
        return trial

    async def end(self, owner: str) -> None:
        """Stop the owner's trial and forget it."""
        trial = self._trials.pop(owner, None)
        if trial is None or trial.task is None:
            return
        trial.task.cancel()
        with suppress(asyncio.CancelledError):
            await trial.task

    async def stop(self) -> None:
        """End all."""
        for owner in list(self._trials):
            await self.end(owner)

    async def _try(self, owner: str, trial: Trial, one: Connected) -> None:
        intake = BackfillIntake(one.connection, self._database)
        until = one.connection.api.server_now() + timedelta(seconds=5)
        try:
            async for tally in intake.survey(Scope(kind=ScopeKind.LIBRARY), trial.rules, until):
                trial.tally = tally
            trial.done = True
        except (SidecarError, SQLAlchemyError) as error:
            _log.info("trial of %s: %s", owner, error)
            trial.error = str(error)
        self._events.publish_live(Event(EventType.BACKFILL_CHANGED, owner, data={"owner": owner, "trial": True}))
