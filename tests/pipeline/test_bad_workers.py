"""A photo that kills its worker and one that hangs it, among nine healthy ones, cost only themselves."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from immich_sidecar.library.tables import WorkState
from immich_sidecar.pipeline import tasks
from immich_sidecar.pipeline.executor import PoolExecutor
from tests.pipeline import jobs
from tests.pipeline.house import developed, open_house


class Poisoned:
    """Real workers; for the photos named here they run what a broken decoder would do."""

    def __init__(self, pool: PoolExecutor) -> None:
        self._pool = pool
        self.poison: dict[str, Callable[[], None]] = {}

    async def run(self, function: Callable[..., Any], /, *args: Any, **more: Any) -> Any:
        if function is tasks.analyse_file:
            for sha, poison in self.poison.items():
                if sha in args[0]:
                    return await self._pool.run(poison, timeout=2.0)
        return await self._pool.run(function, *args, **more)


@pytest.mark.timeout(900)
async def test_only_the_two_fail(tmp_path: Path) -> None:
    pool = PoolExecutor(2, warm_up=tasks.warm_up)
    await pool.start()
    executor = Poisoned(pool)
    async with open_house(tmp_path, executor=executor, slots=3, start=False) as house:
        photos = [await house.drop(developed(seed)) for seed in range(11)]
        killer, hanger = photos[3], photos[6]
        executor.poison = {killer: jobs.killed, hanger: jobs.hang}
        await house.dispatcher.start()
        await house.settled(240)
        for sha in photos:
            photo = await house.photo(sha)
            if sha in (killer, hanger):
                assert (photo.failed_at, photo.crashes) == ("analyse", 2)
                assert "crashed the decoder" in (photo.last_error or "")
            else:
                assert (photo.state, photo.failed_at) == (WorkState.KEPT, None)
                assert await house.history(sha) == ["kept"]
        assert await house.is_clean()
    await pool.stop()
