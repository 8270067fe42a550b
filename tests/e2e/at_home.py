"""Pages on a real library, in a thread of this process: a test puts there what it needs, and nobody works on it."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.e2e.conftest import PATIENCE
from tests.web.house import House, house


@dataclass
class AtHome:
    """A library whose pages a browser can open."""

    url: str
    house: House
    #: Runs something where the library lives.
    run: Callable[[Coroutine[Any, Any, Any]], Any]


@contextmanager
def at_home(data_dir: Path, **settings: Any) -> Iterator[AtHome]:
    """Serve the pages of a house, built with these settings."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    def run(work: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(PATIENCE / 1000)

    opened = house(data_dir, **settings)
    built: House = run(opened.__aenter__())
    runner = web.AppRunner(built.app)
    try:
        run(runner.setup())
        run(web.TCPSite(runner, "127.0.0.1", 0).start())
        yield AtHome(f"http://127.0.0.1:{runner.addresses[0][1]}", built, run)
    finally:
        run(runner.cleanup())
        run(opened.__aexit__(None, None, None))
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()
