"""Workers end with their service, however it ends and whatever they are doing."""

import asyncio
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from immich_sidecar.pipeline.executor import PoolExecutor
from tests.pipeline import jobs

ROOT = Path(__file__).parent.parent.parent


async def hang_in_every_worker() -> None:
    """A service whose two workers hang in C calls that never let go; says who they are and waits to be killed."""
    pool = PoolExecutor(2)
    await pool.start()
    tasks = [asyncio.create_task(pool.run(jobs.hang, timeout=500)) for _ in range(2)]
    async with asyncio.timeout(60):
        while len(pool.pids()) < 2:  # noqa: ASYNC110  the pool tells nobody when its workers are up
            await asyncio.sleep(0.1)
    await asyncio.sleep(1.5)
    print(json.dumps(pool.pids()), flush=True)
    await asyncio.gather(*tasks)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a hanging worker outlives its service")
def test_hanging_workers_end_when_the_service_is_killed():
    service = subprocess.Popen(
        [sys.executable, "-m", "tests.pipeline.test_orphans"],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert service.stdout is not None
    workers = json.loads(service.stdout.readline())
    assert len(workers) == 2
    service.kill()
    service.wait(90)
    until = time.monotonic() + 90
    while time.monotonic() < until and any(psutil.pid_exists(pid) for pid in workers):
        time.sleep(0.1)
    assert [pid for pid in workers if psutil.pid_exists(pid)] == []


if __name__ == "__main__":
    asyncio.run(hang_in_every_worker())
