"""How much may be worked on at once, by the memory and the load of the machine."""

import asyncio
import logging
import os
from collections.abc import Callable
from dataclasses import dataclass

import psutil

from immich_sidecar.analysis.runtime.memory import Memory, measure
from immich_sidecar.pipeline.looking import Looking
from immich_sidecar.settings import WORKER_MEMORY_BYTES

_log = logging.getLogger(__name__)

#: Seconds between two looks at the machine.
LOOK = 5.0
#: Part of the memory that is left to others.
RESERVE = 0.1
#: Processes of others that want to compute, per core, from which on we do with half.
CROWDED = 2.0
#: Batch of models while memory is tight.
SMALL_BATCH = 1


@dataclass(frozen=True)
class Load:
    """What the machine has to bear."""

    memory: Memory
    #: Processes of others that want to compute.
    others: float
    cores: int


@dataclass(frozen=True)
class Allowance:
    """What is allowed."""

    #: Photos that may be in work at once, at least one.
    workers: int
    #: The largest batch of models; None: what they find room for themselves.
    batch: int | None = None
    #: Why it is less than there could be; None: it is not.
    reason: str | None = None


def allow(load: Load, *, workers: int, busy: int) -> Allowance:
    """Decide what is allowed.

    Parameters
    ----------
    load
        How it is now.
    workers
        Worker processes that there are.
    busy
        Photos in work now; the memory that they need is taken already.
    """
    spare = load.memory.free - int(RESERVE * load.memory.total)
    is_tight = spare < WORKER_MEMORY_BYTES
    # What runs goes on; another begins only where its memory is there.
    by_memory = busy + spare // WORKER_MEMORY_BYTES if spare > 0 else min(busy, workers) - 1
    by_load = workers // 2 if load.others > CROWDED * load.cores else workers
    allowed = max(1, min(workers, by_memory, by_load))
    reason = None
    if allowed < workers:
        reason = "there is little memory left" if by_memory <= by_load else "others need the processor"
    return Allowance(allowed, SMALL_BATCH if is_tight else None, reason)


def load_now(busy: int) -> Load:
    """How it is now; `busy` processes of ours do not count as others."""
    try:
        waiting = psutil.getloadavg()[0]
    except (OSError, AttributeError):
        waiting = 0.0
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return Load(measure(), max(0.0, waiting - busy), cores)


class Resources:
    """Watches the machine and passes on what is allowed.

    Parameters
    ----------
    workers
        Worker processes that there are.
    busy
        Tells how many photos are in work.
    apply
        Told how many photos may be in work at once.
    looking
        The models, told how large batches may be.
    """

    def __init__(
        self, workers: int, *, busy: Callable[[], int], apply: Callable[[int], None], looking: Looking
    ) -> None:
        #: What is allowed at present.
        self.allowance = Allowance(workers)
        self._workers = workers
        self._busy = busy
        self._apply = apply
        self._looking = looking
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to watch."""
        self._task = asyncio.create_task(self._run(), name="watching the machine")

    async def stop(self) -> None:
        """Watch no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def _run(self) -> None:
        while True:
            busy = self._busy()
            allowance = allow(await asyncio.to_thread(load_now, busy), workers=self._workers, busy=busy)
            if allowance.workers != self.allowance.workers:
                _log.info("%d of %d workers: %s", allowance.workers, self._workers, allowance.reason or "there is room")
            self.allowance = allowance
            self._apply(allowance.workers)
            await self._looking.limit(allowance.batch)
            await asyncio.sleep(LOOK)
