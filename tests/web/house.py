"""The pages on a real library, without the work that goes on in a whole service."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from immich_sidecar.library.cache import Cache
from immich_sidecar.library.database import Database
from immich_sidecar.library.events import EventLog
from immich_sidecar.library.intake import Intake
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.owners import ensure_owner
from immich_sidecar.library.space import Space
from immich_sidecar.pipeline.commands import Commands
from immich_sidecar.pipeline.dispatcher import Dispatcher
from immich_sidecar.pipeline.stages import Tools
from immich_sidecar.settings import Settings
from immich_sidecar.web.context import WebContext
from immich_sidecar.web.previews import Previews, Refetch
from immich_sidecar.web.server import build_web
from tests.web.shelf import HereExecutor, Shelf


@dataclass
class House:
    """A library with pages in front of it."""

    app: web.Application
    context: WebContext
    database: Database
    layout: Layout
    events: EventLog
    shelf: Shelf


@asynccontextmanager
async def house(
    data_dir: Path,
    *,
    password: str | None = None,
    refetch: Refetch | None = None,
    retry_intake: Callable[[str], Awaitable[int]] | None = None,
    **settings: Any,
) -> AsyncIterator[House]:
    """Build everything that the pages need; the dispatcher is there but does not run."""
    chosen = Settings(data_dir=data_dir, min_free=0, **settings)
    layout = Layout(data_dir)
    database = Database(layout.database)
    await database.open()
    async with database.transaction() as session:
        await ensure_owner(session, "local")
    events = EventLog(database)
    space = Space(data_dir, chosen.min_free)
    executor = HereExecutor()
    tools = Tools(
        database=database,
        layout=layout,
        events=events,
        executor=executor,
        space=space,
        quality=chosen.quality,
        task_timeout=60,
        mode=chosen.mode,
    )
    dispatcher = Dispatcher(tools)
    context = WebContext(
        settings=chosen,
        database=database,
        layout=layout,
        events=events,
        commands=Commands(database, layout, events, wake=dispatcher.wake),
        dispatcher=dispatcher,
        intake=Intake(database, layout, events, space, wake=dispatcher.wake),
        space=space,
        previews=Previews(layout, Cache(layout, database, chosen.cache_max), executor, refetch=refetch),
        password=password,
        retry_intake=retry_intake,
    )
    try:
        yield House(build_web(context), context, database, layout, events, Shelf(database, layout))
    finally:
        events.close()
        await database.close()
