"""The inside of a worker process: how it begins, runs one task after another, and ends with its service."""

import contextlib
import fcntl
import os
import pickle
import signal
import struct
import threading
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

from immich_sidecar.errors import SidecarError

#: Number of the task and the fraction done; far below PIPE_BUF, so that one write is never torn.
PROGRESS = struct.Struct("<qd")
#: Least time between two reports of one task, in seconds.
PROGRESS_INTERVAL = 0.05
#: One thread per worker: photos are worked on side by side, not each by many threads.
SINGLE_THREADED = dict.fromkeys(
    (
        "OMP_NUM_THREADS",
        "OPENBLAS_NUM_THREADS",
        "MKL_NUM_THREADS",
        "NUMEXPR_NUM_THREADS",
        "NUMBA_NUM_THREADS",
        "VECLIB_MAXIMUM_THREADS",
    ),
    "1",
)


class TaskFailed(SidecarError):  # noqa: N818  named like what happened
    """A task raised something that is no error of ours: a defect, or a library's surprise."""

    def __init__(self, message: str, trace: str = "") -> None:
        super().__init__(message)
        self.trace = trace

    def __reduce__(self) -> tuple[object, ...]:
        return (TaskFailed, (str(self), self.trace))


@dataclass
class _Channel:
    """Where this process reports progress; the only state a worker keeps between tasks."""

    progress: Connection | None = None


_channel = _Channel()


def initialise(
    life: Connection,
    progress: Connection,
    niceness: int,
    environment: Mapping[str, str],
    warm_up: Callable[[], None] | None,
) -> None:
    """Prepare a fresh worker process; runs before its first task and counts against no task's time.

    `life` is the reading end of a pipe whose other end only the service holds: when the service dies, however it
    dies, the worker ends instead of writing on beside the service's successor.
    """
    live_with_service(life, niceness, environment)
    _channel.progress = progress
    if warm_up is not None:
        # Whatever goes wrong here goes wrong again in a task, which records it.
        with contextlib.suppress(Exception):
            warm_up()


def live_with_service(life: Connection, niceness: int, environment: Mapping[str, str]) -> None:
    """Make the present process one that stands back behind others and ends with its service; see `initialise`."""
    # The pool's own handler would wait for the end of a C call; the default one does not.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    os.environ.update(environment)
    with contextlib.suppress(OSError):
        os.nice(niceness)
    _be_ended_with_service(life)
    threading.Thread(target=_end_with_service, args=(life,), name="life", daemon=True).start()


def _be_ended_with_service(life: Connection) -> None:
    """Have the system end this process when the service dies, also while a library never lets the thread below run.

    An end of the pipe of our own (the one that was handed down is shared with the other workers) signals its owner
    when the last writer is gone; the signal's default action ends the process. Linux only; elsewhere the thread is
    what there is.
    """
    with contextlib.suppress(OSError, AttributeError):
        own = os.open(f"/proc/self/fd/{life.fileno()}", os.O_RDONLY | os.O_CLOEXEC)
        signal.signal(signal.SIGIO, signal.SIG_DFL)
        fcntl.fcntl(own, fcntl.F_SETOWN, os.getpid())
        fcntl.fcntl(own, fcntl.F_SETFL, fcntl.fcntl(own, fcntl.F_GETFL) | os.O_ASYNC)


def _end_with_service(life: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        life.recv_bytes()
    os._exit(0)


def call(number: int, function: Callable[..., Any], args: tuple[Any, ...], reports: bool) -> bytes:
    """Run one task; the answer is a pickled pair of "went well" and the value or the exception.

    The answer is pickled here, where a value that cannot be is this task's failure and not the whole pool's.
    """
    keywords = {"on_progress": _Reporter(number)} if reports else {}
    try:
        return pickle.dumps((True, function(*args, **keywords)))
    except (SidecarError, OSError, MemoryError) as error:
        return _pickle_error(error)
    except Exception as error:  # noqa: BLE001  the boundary that turns any surprise into a recorded failure
        return _pickle_error(TaskFailed(f"{type(error).__name__}: {error}", traceback.format_exc()))


def _pickle_error(error: Exception) -> bytes:
    try:
        answer = pickle.dumps((False, error))
        pickle.loads(answer)  # noqa: S301  our own bytes; an exception may pickle and yet not come back
    except Exception:  # noqa: BLE001  the same boundary
        return pickle.dumps((False, TaskFailed(f"{type(error).__name__}: {error}", traceback.format_exc())))
    return answer


class _Reporter:
    """Sends a task's progress to the service, not more often than a person can see."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._last = 0.0

    def __call__(self, fraction: float, *_: object) -> None:
        now = time.monotonic()
        if _channel.progress is None or (now - self._last < PROGRESS_INTERVAL and fraction < 1):
            return
        self._last = now
        with contextlib.suppress(OSError):
            _channel.progress.send_bytes(PROGRESS.pack(self._number, fraction))
