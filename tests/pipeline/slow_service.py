"""The real service, made to stop at one step for as long as a test needs: `python -m tests.pipeline.slow_service`.

`SIDECAR_TEST_HOLD` names the task before which it waits for ever; `half_render` is a rendering of which only half is
written.
"""

import asyncio
import dataclasses
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from immich_sidecar import app
from immich_sidecar.pipeline import tasks
from immich_sidecar.pipeline.executor import PoolExecutor
from immich_sidecar.settings import Settings, load_settings
from tests.pipeline import jobs


def half_render(original: str, recipe: str, output: str, quality: int, *more: Any, **_: Any) -> tasks.Rendered:
    """Render, and stand still in the middle of writing."""
    done = tasks.render_file(original, recipe, output, quality, *more)
    os.truncate(output, done.size // 2)
    Path(output).with_suffix(".half").touch()
    jobs.hang()
    return done


class HoldingExecutor:
    """The pool of workers, with one task that is never begun."""

    def __init__(self, pool: PoolExecutor, hold: str) -> None:
        self._pool = pool
        self._hold = hold

    async def run(self, function: Callable[..., Any], /, *args: Any, **more: Any) -> Any:
        if function.__name__ == self._hold:
            await asyncio.sleep(3600)
        if function.__name__ == "render_file" and self._hold == "half_render":
            function = half_render
        return await self._pool.run(function, *args, **more)


class HeldService(app.Service):
    """The service whose steps go through `HoldingExecutor`."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(settings)
        held = HoldingExecutor(self.executor, os.environ.get("SIDECAR_TEST_HOLD", ""))
        self.tools = dataclasses.replace(self.tools, executor=held)


def main() -> None:
    """Run until SIGTERM, as the command does."""
    app.Service = HeldService  # type: ignore[misc]  # the same run loop, another class
    app.run_service(load_settings())


if __name__ == "__main__":
    main()
