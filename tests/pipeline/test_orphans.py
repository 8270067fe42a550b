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


async def hang_in_every_worker(folder: str) -> None:
    """A service whose two workers hang in C calls that never let go; says who they are and waits to be killed."""
    notes = [Path(folder) / f"{number}" for number in range(2)]
    pool = PoolExecutor(2)
    await pool.start()
    tasks = [asyncio.create_task(pool.run(jobs.hang, str(note), timeout=500)) for note in notes]
    async with asyncio.timeout(120):
        while not all(note.exists() for note in notes):  # noqa: ASYNC110  they tell nobody else
            await asyncio.sleep(0.05)
    print(json.dumps(pool.pids()), flush=True)
    await asyncio.gather(*tasks)


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a hanging worker outlives its service")
def test_hanging_workers_end_when_the_service_is_killed(tmp_path: Path):
    service = subprocess.Popen(
        [sys.executable, "-m", "tests.pipeline.test_orphans", str(tmp_path)],
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
    asyncio.run(hang_in_every_worker(sys.argv[1]))
