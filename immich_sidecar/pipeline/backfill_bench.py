"""What the runs of backfills work with, what is known of one beside its rows, and who is told."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol

from immich_sidecar.events import Event, EventType
from immich_sidecar.immich.at_work import Connected
from immich_sidecar.library.database import Database
from immich_sidecar.library.events import EventLog
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.tables import BackfillRow
from immich_sidecar.pipeline.executor import Executor


class Grounds(Protocol):
    """Where the connections are; `immich.connected.Connections` is one."""

    def of_id(self, connection_id: int | None) -> Connected | None:
        """The connection with this id; None where it does not work."""
        ...

    def of_owner(self, owner_id: str) -> Connected | None:
        """The owner's connection; None where there is none that works."""
        ...


@dataclass(frozen=True)
class Bench:
    """What the runs of backfills work with."""

    database: Database
    events: EventLog
    layout: Layout
    #: Judges the previews of samples.
    executor: Executor
    grounds: Grounds
    #: Worker processes, for what time is assumed before anything was measured.
    workers: int
    #: Most bytes that fetched originals may take.
    cache_max: int
    #: Called where something may be due for work or publishing.
    wake: Callable[[], None] = lambda: None


@dataclass
class Live:
    """What is known of a run beside its rows."""

    #: Why nothing happens at the moment; None: something does.
    waits_for: str | None = None
    #: The count so far, while it is counted.
    tally: dict[str, Any] | None = None
    #: Whether it was paused, or the service ended, since it was started: its clock went on meanwhile.
    interrupted: bool = True
    #: Whether a state was changed since the rows were read last.
    again: bool = False
    task: asyncio.Task[None] | None = field(default=None, repr=False)


def backfill_event(row: BackfillRow, **more: Any) -> Event:
    """An event about a backfill as its row stands."""
    data = {"owner": row.owner_id, "backfill": row.id, "state": row.state.value, "error": row.error, **more}
    return Event(EventType.BACKFILL_CHANGED, row.owner_id, data=data)
