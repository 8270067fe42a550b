"""What is done by the clock, whatever becomes of the clock."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from immich_sidecar.library.tables import now
from immich_sidecar.pipeline import schedule
from immich_sidecar.pipeline.schedule import Job, Schedule


class Nothing:
    """Stands for whatever else is done by the clock."""

    def __getattr__(self, _: str) -> Any:
        return self._do

    async def _do(self) -> None:
        pass


async def test_a_clock_that_is_set_back_puts_nothing_off(monkeypatch: pytest.MonkeyPatch) -> None:
    nothing: Any = Nothing()
    monkeypatch.setattr(schedule, "CLOCK_SECONDS", 0.05)
    done = {name: asyncio.Event() for name in ("asking Immich", "another")}

    async def poll() -> None:
        done["asking Immich"].set()

    async def more() -> None:
        done["another"].set()

    jobs = Schedule(
        events=nothing, cache=nothing, commands=nothing, poll=poll, more=(Job("another", 0.5, more, first_after=0.2),)
    )
    with monkeypatch.context() as ahead:
        ahead.setattr(schedule, "now", lambda: now() + timedelta(hours=2))
        await jobs.start()
    async with asyncio.timeout(90):
        for event in done.values():
            await event.wait()
    await jobs.stop()
