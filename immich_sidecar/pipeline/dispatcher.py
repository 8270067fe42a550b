"""Picks what is due, hands it out, and records what came of it. One per data directory."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TypeVar

from filelock import FileLock, Timeout
from sqlalchemy.exc import SQLAlchemyError

from immich_sidecar.errors import (
    DataDirectoryBusyError,
    DiskFullError,
    ImmichAwayError,
    ImmichCredentialsError,
    ImmichServerError,
    SidecarError,
    StorageError,
)
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.tables import LOCAL_OWNER, PhotoRow, WorkState
from immich_sidecar.pipeline.commands import WORKING
from immich_sidecar.pipeline.executor import ExecutorUnavailableError, TaskFailed, WorkerLost
from immich_sidecar.pipeline.notices import progress_notice, queue_notice
from immich_sidecar.pipeline.publish_queue import PublishQueue
from immich_sidecar.pipeline.stages import Stages, Tools
from immich_sidecar.pipeline.work_queue import Due, WorkQueue

_log = logging.getLogger(__name__)
_T = TypeVar("_T")

#: Seconds after which rows are looked at again although nothing was announced.
LOOK_AGAIN = 30.0
#: Seconds between two looks at the free space while it is short.
SPACE_INTERVAL = 5.0
#: Seconds to wait for an original that cannot be fetched because Immich is away.
AWAY_WAIT = 30.0
#: Seconds for which nothing is handed out after that: a hundred thousand may wait for the same Immich.
AWAY_PAUSE = 1.0
#: Seconds to wait while there are no workers to be had.
EXECUTOR_WAIT = 5.0
#: Seconds between attempts to write down what came of a step while the database refuses.
RECORD_WAIT = 2.0


@dataclass(frozen=True)
class RunningStep:
    """A photo that is being worked on."""

    owner_id: str
    sha256: str
    file_name: str
    #: `analyse`, `advise`, `render`, `keep`.
    step: str
    #: Fraction of the step that is done, 0..1.
    progress: float
    #: Seconds since the step began.
    seconds: float


@dataclass(frozen=True)
class QueueStatus:
    """The queue as a page shows it."""

    #: What runs now, of every owner or of the one that was asked about.
    running: tuple[RunningStep, ...]
    #: Photos with work to do that do not run.
    waiting: int
    #: Photos of which a step gave up.
    failed: int
    #: Photos that are being published now.
    publishing: int
    #: Whether the queue asked about is paused, by its owner or for everybody.
    paused: bool
    #: Whether everybody's queue is paused.
    paused_all: bool
    #: Whether rendering waits for free disk space.
    waits_for_space: bool
    #: Photos that can be in work at once.
    slots: int


@dataclass
class _InFlight:
    photo: PhotoRow
    task: asyncio.Task[None]
    alone: bool
    since: float
    progress: float = 0.0
    abandoned: bool = False


def hold_data_directory(layout: Layout) -> FileLock:
    """Take the lock of the data directory; it is let go of when the process ends, however it ends.

    Raises
    ------
    DataDirectoryBusyError
        If another process holds it.
    StorageError
        If the lock cannot be taken at all.
    """
    layout.lock.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(layout.lock)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise DataDirectoryBusyError(
            f"{layout.data_dir} is in use by another immich-sidecar; stop that one, or choose another SIDECAR_DATA_DIR"
        ) from None
    except OSError as error:
        raise StorageError(
            f"{layout.lock}: cannot be locked ({error.strerror}); this user has to be able to write to it, on a file "
            "system that knows locks"
        ) from error
    return lock


class Dispatcher:
    """Runs the work on photos, and publishing beside it.

    Parameters
    ----------
    tools
        What the steps work with.
    slots
        Photos in work at once; one more than there are workers keeps those busy while rows are written.
    publishing
        The queue towards Immich, or None where nothing is ever published.
    stages
        The steps; by default those of `Stages`.
    lock
        The lock of the data directory where the caller holds it already.
    """

    def __init__(
        self,
        tools: Tools,
        *,
        slots: int = 2,
        publishing: PublishQueue | None = None,
        stages: Stages | None = None,
        lock: FileLock | None = None,
    ) -> None:
        self._tools = tools
        self._queue = WorkQueue(tools.database, tools.events)
        self._steps = (stages or Stages(tools)).steps()
        self._slots = self._limit = max(1, slots)
        self._publishing = publishing
        self._lock = lock
        self._in_flight: dict[tuple[str, str], _InFlight] = {}
        self._wakeup = asyncio.Event()
        self._loop: asyncio.Task[None] | None = None
        self._timers: set[asyncio.TimerHandle] = set()
        self._stopping = False
        self._short_of_space = False
        self._not_before = 0.0
        # Raised by whoever may have paused, reordered or added something.
        self._news = 0

    async def start(self) -> None:
        """Take the data directory, note what was interrupted, and begin.

        Raises
        ------
        DataDirectoryBusyError
            If another process holds the data directory.
        """
        if self._lock is None:
            self._lock = hold_data_directory(self._tools.layout)
        interrupted = await self._queue.recover()
        if interrupted:
            _log.info("%d photos were in work when the service ended; they go on", interrupted)
        self._stopping = False
        self._loop = asyncio.create_task(self._run(), name="dispatcher")
        if self._publishing is not None:
            await self._publishing.start()

    async def stop(self, timeout: float = 6.0) -> None:  # noqa: ASYNC109  of all together
        """Begin nothing more, abandon what runs (it goes on at the next start), and let go of the directory."""
        self._stopping = True
        if self._loop is not None:
            self._loop.cancel()
            with suppress(asyncio.CancelledError):
                await self._loop
            self._loop = None
        for timer in self._timers:
            timer.cancel()
        self._timers.clear()
        in_flight = dict(self._in_flight)
        for flight in in_flight.values():
            flight.task.cancel()
        publishing = [] if self._publishing is None else [asyncio.create_task(self._publishing.stop(timeout / 2))]
        tasks = [flight.task for flight in in_flight.values()] + publishing
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=timeout)
            for task in late:
                _log.warning("%s did not stop in time", task.get_name())
        if in_flight:
            with suppress(SQLAlchemyError, SidecarError):
                await self._queue.release(in_flight)
        if self._lock is not None:
            self._lock.release()
            self._lock = None

    @property
    def publishing(self) -> PublishQueue | None:
        """The queue towards Immich; None where nothing is ever published."""
        return self._publishing

    @property
    def in_work(self) -> int:
        """Photos that are in work."""
        return len(self._in_flight)

    def limit(self, slots: int) -> None:
        """Have no more photos in work at once than that, at least one; those that are go on."""
        before, self._limit = self._limit, max(1, slots)
        if self._limit > before:
            self._ring()

    def wake(self) -> None:
        """Something may be due now."""
        self._news += 1
        self._ring()

    def _ring(self) -> None:
        self._wakeup.set()
        if self._publishing is not None:
            self._publishing.wake()

    def abandon(self, owner: str, sha256: str) -> None:
        """Stop the step that runs for a photo; its worker is ended."""
        flight = self._in_flight.get((owner, sha256))
        if flight is not None:
            flight.abandoned = True
            flight.task.cancel()

    async def status(self, owner: str | None = None) -> QueueStatus:
        """The queue of one owner, or of all."""
        waiting, failed = await self._queue.waiting(owner)
        pauses = await self._queue.pauses()
        moment = time.monotonic()
        running = tuple(
            RunningStep(
                flight.photo.owner_id,
                flight.photo.sha256,
                flight.photo.file_name,
                self._steps[flight.photo.state][0] if flight.photo.state in self._steps else "keep",
                flight.progress,
                moment - flight.since,
            )
            for flight in self._in_flight.values()
            if owner is None or flight.photo.owner_id == owner
        )
        return QueueStatus(
            running=running,
            waiting=max(0, waiting - len(running)),
            failed=failed,
            publishing=0 if self._publishing is None else self._publishing.active(owner),
            paused=pauses.everybody or owner in pauses.owners,
            paused_all=pauses.everybody,
            waits_for_space=self._short_of_space,
            slots=self._slots,
        )

    async def _run(self) -> None:
        while not self._stopping:
            self._wakeup.clear()
            try:
                await self._fill()
            except (SQLAlchemyError, SidecarError, OSError):
                _log.exception("looking for work failed; tried again in %.0f s", RECORD_WAIT)
                self._wake_in(RECORD_WAIT)
            with suppress(TimeoutError):
                async with asyncio.timeout(SPACE_INTERVAL if self._short_of_space else LOOK_AGAIN):
                    await self._wakeup.wait()

    async def _fill(self) -> None:
        """Hand out as many photos as there are free slots."""
        free = min(self._slots, self._limit) - len(self._in_flight)
        if free <= 0 or time.monotonic() < self._not_before or any(flight.alone for flight in self._in_flight.values()):
            return
        due = await self._queue.due(free, states=await self._allowed_states())
        chosen: list[Due] = []
        for one in due:
            if one.key in self._in_flight:
                continue
            if one.alone:
                if not chosen and not self._in_flight:
                    chosen.append(one)
                # Nothing overtakes it, or it would never find itself alone.
                break
            chosen.append(one)
        if not chosen:
            return
        alone = chosen[0].alone
        for photo in await self._queue.take(chosen):
            key = (photo.owner_id, photo.sha256)
            task = asyncio.create_task(self._carry(photo), name=f"photo {photo.sha256[:12]}")
            self._in_flight[key] = _InFlight(photo, task, alone, time.monotonic())
            task.add_done_callback(lambda _, key=key: self._landed(key))  # type: ignore[misc]  # bound as default

    async def _allowed_states(self) -> tuple[WorkState, ...]:
        short = await asyncio.to_thread(self._tools.space.short)
        await self._say_space(short=short)
        return tuple(state for state in WORKING if not short or state is not WorkState.ADVISED)

    async def _say_space(self, *, short: bool) -> None:
        if short == self._short_of_space:
            return
        self._short_of_space = short
        if short:
            _log.warning("less space than SIDECAR_MIN_FREE is free; rendering waits until there is more")
        else:
            _log.info("there is space again; rendering goes on")
        async with self._tools.database.transaction() as session:
            self._tools.events.record(session, queue_notice(LOCAL_OWNER, waits_for_space=short))

    def _landed(self, key: tuple[str, str]) -> None:
        # A version that was kept just now may be wanted in Immich.
        self._in_flight.pop(key, None)
        self._ring()

    async def _carry(self, photo: PhotoRow) -> None:
        """Take a photo through its steps, as far as it goes."""
        current: PhotoRow | None = photo
        known = self._news
        try:
            while current is not None and current.running:
                photo = current
                current = await self._step(photo)
                if current is None or not current.running:
                    continue
                if self._short_of_space or known != self._news:
                    known = self._news
                    if not await self._goes_on(current):
                        current = None
        except asyncio.CancelledError:
            # At the end of the service `stop` releases everything at once.
            flight = self._in_flight.get((photo.owner_id, photo.sha256))
            if flight is None or not flight.abandoned or self._stopping:
                raise
            current = None
        if current is None:
            await self._record(lambda: self._queue.release([(photo.owner_id, photo.sha256)]))

    async def _goes_on(self, photo: PhotoRow) -> bool:
        """Whether this photo keeps its slot for its next step."""
        if photo.state is WorkState.ADVISED and self._short_of_space:
            return False
        pauses = await self._queue.pauses()
        if pauses.everybody or photo.owner_id in pauses.owners:
            return False
        first = await self._queue.due(1)
        return not first or first[0].priority <= photo.priority

    async def _step(self, photo: PhotoRow) -> PhotoRow | None:
        """Run the photo's next step; what goes wrong is recorded here."""
        name, step = self._steps[photo.state]
        flight = self._in_flight.get((photo.owner_id, photo.sha256))
        if flight is not None:
            flight.photo, flight.since, flight.progress = photo, time.monotonic(), 0.0

        def on_progress(fraction: float) -> None:
            if flight is not None:
                flight.progress = fraction
            self._tools.events.publish_live(progress_notice(photo, fraction))

        on_progress(0.0)
        try:
            return await step(photo, on_progress)
        except WorkerLost as error:
            text = _in_words(error, photo)
            _log.warning("photo %s: %s: %s", photo.sha256, name, text)
            await self._record(lambda: self._queue.crashed(photo, text))
        except DiskFullError as error:
            await self._no_space(photo, str(error))
        except (ImmichAwayError, ImmichCredentialsError) as error:
            text = _in_words(error, photo)
            self._not_before = max(self._not_before, time.monotonic() + AWAY_PAUSE)
            await self._record(lambda: self._queue.later(photo, text, count=False, wait=AWAY_WAIT))
            self._wake_in(AWAY_PAUSE)
            self._wake_in(AWAY_WAIT)
        except ExecutorUnavailableError as error:
            # Nobody's fault: nothing more is handed out for a while.
            self._not_before = max(self._not_before, time.monotonic() + EXECUTOR_WAIT)
            _log.warning("photo %s: %s: %s", photo.sha256, name, error)
            self._wake_in(EXECUTOR_WAIT)
        except (StorageError, ImmichServerError, OSError, MemoryError) as error:
            await self._later(photo, name, error)
        except SQLAlchemyError as error:
            await self._later(photo, name, error)
        except Exception as error:  # noqa: BLE001  the boundary: whatever it is becomes this photo's failure
            text = _in_words(error, photo)
            self._log_failure(photo, name, error, text)
            await self._record(lambda: self._queue.give_up(photo, text))
        return None

    async def _later(self, photo: PhotoRow, name: str, error: Exception) -> None:
        text = _in_words(error, photo)
        _log.warning("photo %s: %s: %s; tried again later", photo.sha256, name, text)
        due = await self._record(lambda: self._queue.later(photo, text))
        if due is not None:
            self._wake_in(max(0.0, due.timestamp() - time.time()) + 0.05)

    async def _no_space(self, photo: PhotoRow, error: str) -> None:
        if await asyncio.to_thread(self._tools.space.short):
            await self._record(lambda: self._say_space(short=True))
            if photo.state is not WorkState.ADVISED:
                # Rendering is not handed out while space is short; every other step would be, again and again.
                await self._record(lambda: self._queue.later(photo, error, count=False, wait=SPACE_INTERVAL))
                self._wake_in(SPACE_INTERVAL)
            return
        # There is space by our count and yet none, as under a quota: that is not watched, only tried again.
        await self._later(photo, "space", DiskFullError(error))

    def _log_failure(self, photo: PhotoRow, name: str, error: Exception, text: str) -> None:
        if isinstance(error, TaskFailed):
            _log.error("photo %s: %s failed: %s\n%s", photo.sha256, name, text, error.trace)
        elif isinstance(error, SidecarError):
            _log.warning("photo %s: %s failed: %s", photo.sha256, name, text)
        else:
            _log.error("photo %s: %s failed", photo.sha256, name, exc_info=error)

    async def _record(self, write: Callable[[], Awaitable[_T]]) -> _T | None:
        """Write down what came of a step, however long the database refuses."""
        while not self._stopping:
            try:
                return await write()
            except (SQLAlchemyError, StorageError):
                _log.exception("the outcome of a step cannot be written; tried again in %.0f s", RECORD_WAIT)
                await asyncio.sleep(RECORD_WAIT)
        return None

    def _wake_in(self, seconds: float) -> None:
        def ring() -> None:
            self._timers.discard(timer)
            self._wakeup.set()

        timer = asyncio.get_running_loop().call_later(seconds, ring)
        self._timers.add(timer)


def _in_words(error: Exception, photo: PhotoRow) -> str:
    """What went wrong, with the name that the photo came with instead of the one it is stored under."""
    text = str(error) or type(error).__name__
    return text if photo.path is None else text.replace(PurePosixPath(photo.path).name, photo.file_name)
