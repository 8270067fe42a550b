"""Tasks that workers run in tests: well-behaved ones, and such that take their worker along."""

import ctypes
import os
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path

from immich_sidecar.errors import InvalidParameterError, UndecodableError


def double(number: int) -> int:
    return 2 * number


def pause(seconds: float) -> int:
    time.sleep(seconds)
    return os.getpid()


def wait_for(path: str) -> int:
    while not Path(path).exists():
        time.sleep(0.02)
    return os.getpid()


def killed() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def segfault() -> None:
    ctypes.string_at(0)


def hang(note: str | None = None) -> None:
    if note is not None:
        Path(note).touch()
    # A C call that never lets go, as a decoder in an endless loop; signals handled in Python do not reach it.
    ctypes.PyDLL(None).sleep(1000)


def undecodable() -> None:
    raise UndecodableError("rubbish under a photo's name")


def out_of_range() -> None:
    raise InvalidParameterError("too bright", field="exposure.ev")


def surprise() -> None:
    raise ZeroDivisionError("a defect")


class UnpicklableError(OSError):
    def __init__(self, first: str, second: str) -> None:
        super().__init__(first)
        self.second = second


def unpicklable_error() -> None:
    raise UnpicklableError("one", "two")


def unpicklable_value() -> object:
    return threading.Lock()


def surroundings() -> dict[str, object]:
    return {"nice": os.nice(0), "threads": os.environ.get("OMP_NUM_THREADS"), "extra": os.environ.get("EXTRA")}


def count_up(steps: int, on_progress: Callable[[float], None]) -> int:
    for step in range(steps):
        on_progress((step + 1) / steps)
        time.sleep(0.06)
    return steps


def leave_note(path: str) -> None:
    """Used as warm-up: shows that it ran in the worker, and how often."""
    with Path(path).open("a") as file:
        file.write(f"{os.getpid()}\n")


def write_slowly(path: str, seconds: float) -> None:
    end = time.monotonic() + seconds
    with Path(path).open("a") as file:
        while time.monotonic() < end:
            file.write("x")
            file.flush()
            time.sleep(0.02)
