"""The pages on a real library, without the work that goes on in a whole service."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from immich_sidecar.immich.connected import Connections
from immich_sidecar.immich.secrets import Secrets
from immich_sidecar.immich.sign_in import SignIn
from immich_sidecar.library.cache import Cache
from immich_sidecar.library.database import Database
from immich_sidecar.library.events import EventLog
from immich_sidecar.library.intake import Intake
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.owners import ensure_owner
from immich_sidecar.library.space import Space
from immich_sidecar.library.vectors import Vectors
from immich_sidecar.pipeline.asking import ModelsAsked, NoModels
from immich_sidecar.pipeline.backfill_bench import Bench
from immich_sidecar.pipeline.backfills import Backfills
from immich_sidecar.pipeline.commands import Commands
from immich_sidecar.pipeline.dispatcher import Dispatcher
from immich_sidecar.pipeline.downloads import Downloads
from immich_sidecar.pipeline.models_state import ModelsState
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
    immich: bool = False,
    models: ModelsAsked | None = None,
    models_state: Callable[[], Awaitable[ModelsState]] | None = None,
    **settings: Any,
) -> AsyncIterator[House]:
    """Build everything that the pages need; the dispatcher is there but does not run.

    With `immich` people can sign in to the Immich that the settings name, and be connected to it.
    """
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
    intake = Intake(database, layout, events, space, wake=dispatcher.wake)
    sign_in = connections = backfills = None
    if immich:
        assert chosen.immich_url
        sign_in = SignIn(chosen.immich_url)
        connections = Connections(chosen, database, layout, events, intake=intake, space=space)
        await connections.start(Secrets.load(chosen))
        bench = Bench(
            database=database,
            events=events,
            layout=layout,
            executor=executor,
            grounds=connections,
            workers=1,
            cache_max=chosen.cache_max,
            wake=dispatcher.wake,
        )
        backfills = Backfills(bench)
    vectors = Vectors(database, layout)
    downloads = Downloads(chosen, events)
    context = WebContext(
        settings=chosen,
        database=database,
        layout=layout,
        events=events,
        commands=Commands(database, layout, events, wake=dispatcher.wake),
        dispatcher=dispatcher,
        intake=intake,
        space=space,
        previews=Previews(layout, Cache(layout, database, chosen.cache_max), executor, refetch=refetch),
        vectors=vectors,
        models=models or NoModels(),
        models_state=models_state,
        password=password,
        retry_intake=retry_intake,
        connections=connections,
        sign_in=sign_in,
        backfills=backfills,
        downloads=downloads,
    )
    try:
        yield House(build_web(context), context, database, layout, events, Shelf(database, layout))
    finally:
        await downloads.stop()
        if backfills is not None:
            await backfills.stop()
        if connections is not None and sign_in is not None:
            await connections.stop()
            await sign_in.close()
        vectors.close()
        events.close()
        await database.close()
