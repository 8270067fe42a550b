"""Time as hot folders see it, in the hands of a test."""

from __future__ import annotations

import time
from types import SimpleNamespace

import pytest

from immich_sidecar.intake import hot_folder


class Clock:
    """Stands still until it is told to pass, or to go on like any other.

    What follows folders still looks at them as often as it does; only how long a file has stood still is told here,
    so that no stall of the machine makes a file settle that is still being written.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self._shown = 1000.0
        self._since: float | None = None
        monkeypatch.setattr(hot_folder, "time", SimpleNamespace(monotonic=self, time=time.time))

    def __call__(self) -> float:
        return self._shown + (0.0 if self._since is None else time.monotonic() - self._since)

    def pass_by(self, seconds: float) -> None:
        self._shown += seconds

    def go_on(self) -> None:
        self._since = time.monotonic()
