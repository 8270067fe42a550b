"""The pool of workers: what one task does to its worker is no other task's business."""

import asyncio
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import psutil
import pytest

from immich_sidecar.errors import InvalidParameterError, UndecodableError
from immich_sidecar.pipeline import executor as executor_module
from immich_sidecar.pipeline.executor import (
    ExecutorUnavailableError,
    PoolExecutor,
    TaskFailed,
    WorkerDied,
    WorkerTimeout,
)
from tests.pipeline import jobs


@pytest.fixture
async def pool() -> AsyncIterator[PoolExecutor]:
    executor = PoolExecutor(2, niceness=3, environment={"EXTRA": "given"})
    await executor.start()
    yield executor
    await executor.stop()


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(90):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.02)


def has_ended(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


async def test_values_come_back_and_workers_are_as_they_should_be(pool: PoolExecutor) -> None:
    assert await asyncio.gather(*(pool.run(jobs.double, n, timeout=90) for n in range(5))) == [0, 2, 4, 6, 8]
    found = await pool.run(jobs.surroundings, timeout=90)
    assert found == {"nice": os.nice(0) + 3, "threads": "1", "extra": "given"}


async def test_errors_of_ours_cross_as_they_are(pool: PoolExecutor) -> None:
    with pytest.raises(UndecodableError, match="rubbish"):
        await pool.run(jobs.undecodable, timeout=90)
    with pytest.raises(InvalidParameterError) as caught:
        await pool.run(jobs.out_of_range, timeout=90)
    assert caught.value.field == "exposure.ev"


@pytest.mark.parametrize("function", [jobs.surprise, jobs.unpicklable_error, jobs.unpicklable_value])
async def test_surprises_fail_their_task_alone(pool: PoolExecutor, function: functools.partial[object]) -> None:
    with pytest.raises(TaskFailed) as caught:
        await pool.run(function, timeout=90)
    assert "Traceback" in caught.value.trace
    assert await pool.run(jobs.double, 21, timeout=90) == 42


async def test_a_killed_a_crashed_and_a_hanging_worker_among_healthy_ones(pool: PoolExecutor) -> None:
    bad = [
        pool.run(jobs.killed, timeout=90),
        pool.run(jobs.segfault, timeout=90),
        pool.run(jobs.hang, timeout=1.5),
    ]
    good = [pool.run(jobs.double, n, timeout=90) for n in range(9)]
    mixed = [*good[:3], bad[0], *good[3:5], bad[1], bad[2], *good[5:]]
    results = await asyncio.gather(*mixed, return_exceptions=True)
    healthy = [result for result in results if isinstance(result, int)]
    assert healthy == [2 * n for n in range(9)]
    assert [type(result) for result in results if not isinstance(result, int)] == [
        WorkerDied,
        WorkerDied,
        WorkerTimeout,
    ]


async def test_a_task_that_waits_for_others_is_not_late(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(executor_module, "GRACE", 0.0)
    gate = tmp_path / "gate"
    pool = PoolExecutor(1)
    await pool.start()
    before = await pool.run(jobs.pause, 0, timeout=90)
    first = asyncio.create_task(pool.run(jobs.wait_for, str(gate), timeout=90))
    second = asyncio.create_task(pool.run(jobs.double, 4, timeout=3.0))
    await asyncio.wait([second], timeout=6.5)
    gate.touch()
    assert await second == 8
    assert await first == before, "the worker was not ended"
    await pool.stop()


async def test_a_worker_that_dies_idle_harms_nobody(pool: PoolExecutor) -> None:
    await pool.run(jobs.double, 1, timeout=90)
    killed = pool.pids()
    for pid in killed:
        os.kill(pid, signal.SIGKILL)
    await until(lambda: not set(killed) & set(pool.pids()))
    assert await pool.run(jobs.double, 2, timeout=90) == 4


async def test_progress_arrives_in_order_and_only_at_its_listener(pool: PoolExecutor) -> None:
    first: list[float] = []
    second: list[float] = []
    await asyncio.gather(
        pool.run(jobs.count_up, 5, timeout=90, on_progress=first.append),
        pool.run(jobs.count_up, 3, timeout=90, on_progress=second.append),
    )
    await until(lambda: [told[-1:] for told in (first, second)] == [[1.0], [1.0]])
    assert first == sorted(first)
    assert len(first) >= 3
    assert set(second) <= {1 / 3, 2 / 3, 1.0}


async def test_cancelling_ends_the_worker(pool: PoolExecutor, tmp_path: Path) -> None:
    note = tmp_path / "hangs"
    task = asyncio.create_task(pool.run(jobs.hang, str(note), timeout=200))
    await until(note.exists)
    before = set(pool.pids())
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(lambda: before - set(pool.pids()))
    assert len(before - set(pool.pids())) == 1
    assert await pool.run(jobs.double, 3, timeout=90) == 6


async def test_stopping_is_quick_and_final() -> None:
    pool = PoolExecutor(2)
    await pool.start()
    await pool.run(jobs.double, 1, timeout=90)
    workers = pool.pids()
    running = [asyncio.create_task(pool.run(jobs.hang, timeout=200)) for _ in range(3)]
    await asyncio.sleep(0.3)
    began = time.monotonic()
    await pool.stop()
    # None of them would come back by itself for very long.
    assert time.monotonic() - began < 60
    results = await asyncio.gather(*running, return_exceptions=True)
    assert {type(result) for result in results} == {ExecutorUnavailableError}
    await until(lambda: all(has_ended(pid) for pid in workers))
    with pytest.raises(ExecutorUnavailableError):
        await pool.run(jobs.double, 1, timeout=5)


async def test_each_worker_warms_up_once_and_start_does_not_wait(tmp_path: Path) -> None:
    note = tmp_path / "warm"
    pool = PoolExecutor(1, warm_up=functools.partial(jobs.leave_note, str(note)))
    await pool.start()
    assert await pool.run(jobs.double, 1, timeout=90) == 2
    assert await pool.run(jobs.double, 2, timeout=90) == 4
    assert len(note.read_text().split()) == 1
    with pytest.raises(WorkerDied):
        await pool.run(jobs.killed, timeout=90)
    assert await pool.run(jobs.double, 3, timeout=90) == 6
    assert len(note.read_text().split()) == 2
    await pool.stop()


async def test_a_warm_up_that_fails_is_no_reason_not_to_work() -> None:
    pool = PoolExecutor(1, warm_up=jobs.surprise)
    await pool.start()
    assert await pool.run(jobs.double, 4, timeout=90) == 8
    await pool.stop()


_SERVICE = """
import asyncio, sys
from immich_sidecar.pipeline.executor import PoolExecutor
from tests.pipeline import jobs

async def main():
    pool = PoolExecutor(1)
    await pool.start()
    await pool.run(jobs.write_slowly, sys.argv[1], 60.0, timeout=90)

asyncio.run(main())
"""


def test_workers_end_when_the_service_is_killed(tmp_path: Path) -> None:
    written = tmp_path / "written"
    root = Path(__file__).parents[2]
    service = subprocess.Popen([sys.executable, "-c", _SERVICE, str(written)], cwd=root)
    try:
        deadline = time.monotonic() + 90
        while not written.exists() or not written.stat().st_size:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        family = psutil.Process(service.pid).children(recursive=True)
        assert family
    finally:
        service.kill()
        service.wait()
    _, alive = psutil.wait_procs(family, timeout=90)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]
    size = written.stat().st_size
    time.sleep(0.3)
    assert written.stat().st_size == size
