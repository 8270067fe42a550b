"""What is done by the clock: asking Immich, pruning events, evicting caches, retrying what is blocked."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from immich_sidecar.library.cache import Cache
from immich_sidecar.library.events import EventLog
from immich_sidecar.library.tables import now
from immich_sidecar.pipeline.commands import Commands

if TYPE_CHECKING:
    from apscheduler.schedulers.asyncio import AsyncIOScheduler

_log = logging.getLogger(__name__)

#: Seconds between two looks whether the clock was set back.
CLOCK_SECONDS = 5.0


@dataclass(frozen=True)
class Job:
    """Something that is done again and again."""

    #: For the log.
    name: str
    #: Seconds from one beginning to the next; one that is not done yet is not begun again.
    seconds: float
    run: Callable[[], Awaitable[Any]]
    #: Seconds from the start of the service to the first time.
    first_after: float = 0.0


class Schedule:
    """Runs jobs by the clock, each at most once at a time; one that fails is run again at its next time.

    The scheduler goes by the time of day. Where that is set back, no job waits until it is as late again.

    Parameters
    ----------
    events, cache, commands
        Are pruned, held to their size, and asked to let go on what has been blocked for a day.
    poll
        Asks Immich for new photos, every `poll_seconds`; None without a connection.
    more
        Further jobs.
    """

    def __init__(
        self,
        *,
        events: EventLog,
        cache: Cache,
        commands: Commands,
        poll: Callable[[], Awaitable[Any]] | None = None,
        poll_seconds: float = 15.0,
        more: Sequence[Job] = (),
    ) -> None:
        self.jobs = (
            Job("pruning events", 3600, events.prune, first_after=60),
            Job("evicting caches", 600, cache.evict, first_after=120),
            Job("retrying what is blocked", 900, commands.retry_blocked, first_after=300),
            Job("retrying companions that are blocked", 86400, commands.retry_companions, first_after=600),
            *([] if poll is None else [Job("asking Immich", poll_seconds, poll)]),
            *more,
        )
        self._scheduler: AsyncIOScheduler | None = None
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin."""
        from apscheduler.schedulers.asyncio import AsyncIOScheduler

        self._scheduler = AsyncIOScheduler(timezone="UTC")
        for job in self.jobs:
            self._scheduler.add_job(
                _run,
                "interval",
                args=(job,),
                seconds=job.seconds,
                id=job.name,
                next_run_time=now() + timedelta(seconds=job.first_after),
                max_instances=1,
                coalesce=True,
                misfire_grace_time=None,
            )
        # A poll that takes longer than its interval is as it should be, not worth a warning each time.
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._scheduler.start()
        self._watching = asyncio.create_task(self._watch(self._scheduler), name="watching the clock")

    async def stop(self) -> None:
        """Begin nothing more; jobs that run are ended with the event loop."""
        if self._watching is not None:
            self._watching.cancel()
            self._watching = None
        if self._scheduler is not None:
            self._scheduler.shutdown(wait=False)
            self._scheduler = None

    async def _watch(self, scheduler: "AsyncIOScheduler") -> None:
        seconds = {job.name: max(job.seconds, job.first_after) for job in self.jobs}
        while True:
            await asyncio.sleep(CLOCK_SECONDS)
            moment = now()
            for job in scheduler.get_jobs():
                if job.next_run_time > moment + timedelta(seconds=seconds[job.id] + CLOCK_SECONDS):
                    _log.info("the clock was set back; %s is not put off until then", job.id)
                    scheduler.modify_job(job.id, next_run_time=moment)


async def _run(job: Job) -> None:
    try:
        await job.run()
    except asyncio.CancelledError:
        # At the end of the service; the scheduler would log it as an error.
        _log.debug("%s was ended with the service", job.name)
    except Exception:  # noqa: BLE001  the boundary: the clock goes on
        _log.exception("%s failed; it is done again in %.0f s", job.name, job.seconds)
