"""Where heavy work runs: a small interface, and a pool of processes on this machine behind it."""

import asyncio
import contextlib
import itertools
import logging
import multiprocessing
import pickle
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from typing import Any, Protocol

from pebble import ProcessExpired, ProcessPool

from immich_sidecar.errors import SidecarError
from immich_sidecar.pipeline import worker
from immich_sidecar.pipeline.worker import TaskFailed

__all__ = [
    "Executor",
    "ExecutorUnavailableError",
    "PoolExecutor",
    "TaskFailed",
    "WorkerDied",
    "WorkerLost",
    "WorkerTimeout",
]

_log = logging.getLogger(__name__)

#: Seconds beyond a task's time limit after which the pool itself is taken for broken.
GRACE = 30.0
#: How often a task that ran nowhere, because the pool broke, is handed to a new pool.
POOL_ATTEMPTS = 3
#: Tasks after which a worker is replaced, so that what libraries leak stays bounded.
TASKS_PER_WORKER = 500


class WorkerLost(SidecarError):  # noqa: N818  named like what happened, as the two below
    """The worker that ran the task is gone; nothing is known about what it had done."""


class WorkerDied(WorkerLost):
    """The worker ended while it ran the task: killed, crashed, out of memory."""


class WorkerTimeout(WorkerLost):
    """The task was not done in its time; its worker was ended."""


class ExecutorUnavailableError(SidecarError):
    """The task could not be run at all; that is not the task's fault."""


class Executor(Protocol):
    """Runs plain functions elsewhere."""

    async def run(
        self,
        function: Callable[..., Any],
        /,
        *args: Any,
        timeout: float,  # noqa: ASYNC109  it is enforced by ending a process, which a caller cannot
        on_progress: Callable[[float], None] | None = None,
    ) -> Any:
        """Run ``function(*args)`` in a worker and return its value.

        Parameters
        ----------
        function
            A function of a module; it, its arguments and its value must pickle.
        timeout
            Seconds of running (not of waiting for a worker) after which the worker is ended.
        on_progress
            Called in the event loop with fractions 0..1; the function then gets an ``on_progress`` keyword.

        Raises
        ------
        WorkerDied, WorkerTimeout
            If this task took its worker along.
        ExecutorUnavailableError
            If there is no worker to be had, or the executor is stopping.
        TaskFailed
            If the function raised something that is neither a `SidecarError` nor an `OSError` nor a
            `MemoryError`; those are raised as they are.
        """
        ...


class PoolExecutor:
    """Worker processes on this machine: niced, single-threaded, replaced when they die.

    A worker that dies or hangs costs the task that it ran and no other. Cancelling a call of `run` ends the
    worker that runs it.
    """

    def __init__(
        self,
        workers: int,
        *,
        niceness: int = 10,
        warm_up: Callable[[], None] | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Prepare, and start nothing yet.

        Parameters
        ----------
        workers
            Number of processes.
        niceness
            Added to the nice value of each; 0 for work that a person waits for.
        warm_up
            Called once in each fresh worker, before its first task; must pickle.
        environment
            Environment variables of the workers beside those that keep libraries to one thread.
        """
        self.workers = workers
        self._niceness = niceness
        self._warm_up = warm_up
        self._environment = worker.SINGLE_THREADED | dict(environment or {})
        self._context = multiprocessing.get_context("forkserver")
        self._pool: ProcessPool | None = None
        self._pipes: list[Connection] = []
        self._numbers = itertools.count(1)
        self._listeners: dict[int, Callable[[float], None]] = {}
        self._waiters: dict[asyncio.Future[bytes], Future[bytes]] = {}
        self._building = asyncio.Lock()
        self._stopping = False

    async def start(self) -> None:
        """Start the processes; returns before they have warmed up."""
        async with self._building:
            if self._pool is None:
                await self._build()

    async def stop(self, timeout: float = 5.0) -> None:  # noqa: ASYNC109
        """End all processes, working or not; calls of `run` end with `ExecutorUnavailableError`."""
        self._stopping = True
        async with self._building:
            pool, self._pool = self._pool, None
            pipes, self._pipes = self._pipes, []
            if pool is not None:
                await self._discard(pool, pipes, timeout)

    async def run(
        self,
        function: Callable[..., Any],
        /,
        *args: Any,
        timeout: float,  # noqa: ASYNC109
        on_progress: Callable[[float], None] | None = None,
    ) -> Any:
        """See `Executor.run`."""
        for _ in range(POOL_ATTEMPTS):
            pool = await self._live_pool()
            number = next(self._numbers)
            if on_progress is not None:
                self._listeners[number] = on_progress
            try:
                future = pool.schedule(
                    worker.call, args=(number, function, args, on_progress is not None), timeout=timeout
                )
                answer = await self._answer(future, timeout + GRACE)
            except ProcessExpired as error:
                raise WorkerDied(f"{_name(function)}: the worker process ended (exit code {error.exitcode})") from None
            except TimeoutError as error:
                # The pool's own message has arguments; ours, of `_answer`, has none.
                if not error.args:
                    await self._replace(pool)
                raise WorkerTimeout(f"{_name(function)}: not done after {timeout:.0f} s") from None
            except (BrokenProcessPool, RuntimeError) as error:
                _log.warning("the worker pool broke and is built anew: %s", error)
                await self._replace(pool)
                continue
            except asyncio.CancelledError:
                task = asyncio.current_task()
                if task is not None and task.cancelling():
                    raise
                # Not this call was cancelled, its pool was ended.
                continue
            finally:
                self._listeners.pop(number, None)
            went_well, value = pickle.loads(answer)  # noqa: S301  written by our own worker
            if went_well:
                return value
            raise value
        raise ExecutorUnavailableError(f"{_name(function)}: no worker process could be started")

    def pids(self) -> list[int]:
        """Process ids of the present workers."""
        if self._pool is None:
            return []
        return sorted(self._pool._pool_manager.worker_manager.workers)

    async def _answer(self, future: "Future[bytes]", patience: float) -> bytes:
        """What came of a task; `TimeoutError` where it runs for longer than `patience` seconds, or nothing runs at all.

        A task that waits for others to be done is not late.
        """
        waiter = asyncio.wrap_future(future)
        self._waiters[waiter] = future
        waiter.add_done_callback(self._waiters.pop)
        try:
            while True:
                has_begun = future.running()
                if (await asyncio.wait([waiter], timeout=patience))[0]:
                    return waiter.result()
                if has_begun or not any(other.running() for other in self._waiters.values()):
                    raise TimeoutError
        finally:
            waiter.cancel()

    async def _live_pool(self) -> ProcessPool:
        async with self._building:
            if self._stopping:
                raise ExecutorUnavailableError("the workers were stopped")
            if self._pool is None:
                await self._build()
            assert self._pool is not None  # noqa: S101  for the type checker
            return self._pool

    async def _build(self) -> None:
        # Both pipes belong to this pool alone: a worker of a discarded one must not keep them open.
        life_read, life_write = self._context.Pipe(duplex=False)
        progress_read, progress_write = self._context.Pipe(duplex=False)
        pool = ProcessPool(
            max_workers=self.workers,
            max_tasks=TASKS_PER_WORKER,
            initializer=worker.initialise,
            initargs=(life_read, progress_write, self._niceness, self._environment, self._warm_up),
            context=self._context,
        )
        # Starting the first process also starts the fork server, which takes its time.
        await asyncio.to_thread(lambda: pool.active)
        asyncio.get_running_loop().add_reader(progress_read.fileno(), self._hear, progress_read)
        self._pool, self._pipes = pool, [life_read, life_write, progress_read, progress_write]

    async def _replace(self, broken: ProcessPool) -> None:
        async with self._building:
            if self._pool is not broken:
                return
            pipes, self._pool, self._pipes = self._pipes, None, []
            await self._discard(broken, pipes, 5.0)

    async def _discard(self, pool: ProcessPool, pipes: list[Connection], timeout: float) -> None:  # noqa: ASYNC109
        # The pool ends its processes and leaves those who wait for them waiting.
        for waiter in list(self._waiters):
            waiter.cancel()

        def end() -> None:
            pool.stop()  # type: ignore[no-untyped-call]  # pebble declares no types here
            with contextlib.suppress(RuntimeError):
                pool.join()

        try:
            await asyncio.wait_for(asyncio.to_thread(end), timeout)
        except TimeoutError:
            _log.warning("workers did not end within %.0f s", timeout)
        for pipe in pipes:
            if pipe.readable:
                asyncio.get_running_loop().remove_reader(pipe.fileno())
            pipe.close()

    def _hear(self, progress: Connection) -> None:
        try:
            number, fraction = worker.PROGRESS.unpack(progress.recv_bytes())
        except (EOFError, OSError):
            with contextlib.suppress(OSError, ValueError):
                asyncio.get_running_loop().remove_reader(progress.fileno())
            return
        listener = self._listeners.get(number)
        if listener is not None:
            listener(min(max(fraction, 0.0), 1.0))


def _name(function: Callable[..., Any]) -> str:
    return getattr(function, "__name__", str(function))
