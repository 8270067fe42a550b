"""A whole library with its pipeline, as the app composes it, for tests of this room."""

import asyncio
import io
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from PIL import Image
from sqlmodel import select

from immich_sidecar.library import integrity
from immich_sidecar.library.database import Database
from immich_sidecar.library.events import EventLog
from immich_sidecar.library.intake import Intake
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.owners import ensure_owner
from immich_sidecar.library.space import Space
from immich_sidecar.library.tables import (
    DecisionRow,
    EventRow,
    PhotoRow,
    ProcessingHistoryRow,
    RecipeRow,
    Source,
    VersionRow,
)
from immich_sidecar.pipeline.commands import WORKING, Commands
from immich_sidecar.pipeline.describing import Describing
from immich_sidecar.pipeline.dispatcher import Dispatcher
from immich_sidecar.pipeline.looking import Looking
from immich_sidecar.pipeline.publish_queue import PublishQueue
from immich_sidecar.pipeline.publishing import Publishing
from immich_sidecar.pipeline.stages import Tools
from immich_sidecar.pipeline.targets import Target
from immich_sidecar.settings import Mode
from tests.photos.make import degraded, scene

TAKEN = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
_PANORAMA = (
    b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    b'<rdf:Description xmlns:GPano="http://ns.google.com/photos/1.0/panorama/"'
    b' GPano:ProjectionType="equirectangular"/></rdf:RDF></x:xmpmeta>'
)


def developed(seed: int = 1) -> bytes:
    """A small JPEG that is so dark that something is done about it; another seed gives another photo."""
    return _jpeg(degraded(scene(240, 160, seed=seed), ev=-3.0))


def left_alone(seed: int = 1) -> bytes:
    """A small JPEG that says it is a panorama, and is therefore left alone."""
    return _jpeg(scene(240, 120, seed=seed), xmp=_PANORAMA)


def truncated(seed: int = 1) -> bytes:
    """Half of a JPEG: its head is fine, its pixels are not."""
    whole = developed(seed)
    return whole[: len(whole) // 2]


def _jpeg(pixels: Any, **more: Any) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=92, **more)
    return buffer.getvalue()


class ThreadExecutor:
    """Runs tasks in threads of this process; can be told to fail or to wait.

    `plan` maps the name of a task to what happens to its next calls: an exception is raised, an event is waited for.
    """

    def __init__(self) -> None:
        self.plan: dict[str, list[Exception | asyncio.Event]] = {}
        self.calls: list[tuple[str, tuple[Any, ...]]] = []

    def hold(self, name: str, times: int = 1) -> asyncio.Event:
        """Keep the next calls of a task waiting until the event that is given is set."""
        gate = asyncio.Event()
        self.plan[name] = [gate] * times
        return gate

    def called(self, name: str) -> int:
        return sum(called == name for called, _ in self.calls)

    async def run(
        self,
        function: Callable[..., Any],
        /,
        *args: Any,
        timeout: float,  # noqa: ASYNC109
        on_progress: Callable[[float], None] | None = None,
    ) -> Any:
        self.calls.append((function.__name__, args))
        planned = self.plan.get(function.__name__, [])
        if planned:
            what = planned.pop(0)
            if isinstance(what, Exception):
                raise what
            await what.wait()
        keywords = {}
        if on_progress is not None:
            loop = asyncio.get_running_loop()
            keywords["on_progress"] = lambda fraction, *_: loop.call_soon_threadsafe(on_progress, fraction)
        return await asyncio.to_thread(function, *args, **keywords)


class Room(Space):
    """Free space that tests decide about."""

    is_short = False

    def short(self, needed: int = 0) -> bool:
        return self.is_short

    def check(self, needed: int = 0) -> None:
        if self.is_short:
            self.min_free = 1 << 60
            super().check(needed)


@dataclass
class House:
    """What was built."""

    database: Database
    layout: Layout
    events: EventLog
    space: Room
    intake: Intake
    executor: Any
    dispatcher: Dispatcher
    commands: Commands
    publish_queue: PublishQueue
    targets: dict[int, Target]
    inbox: Path
    models: Looking | None = None
    names: list[str] = field(default_factory=list)

    async def drop(self, content: bytes, name: str = "photo.jpg", owner: str = "local", **more: Any) -> str:
        """Take a photo as a hot folder would; returns its SHA-256."""
        path = self.inbox / f"{len(self.names)}-{name}"
        self.names.append(name)
        path.write_bytes(content)
        taken = await self.intake.take(owner, path, file_name=name, source=Source.HOT_FOLDER, captured_at=TAKEN, **more)
        return taken.sha256

    async def photo(self, sha256: str, owner: str = "local") -> PhotoRow:
        async with self.database.reading() as session:
            row = await session.get(PhotoRow, (owner, sha256))
            assert row is not None
            return row

    async def change(self, sha256: str, owner: str = "local", **values: Any) -> None:
        """Make a row as a test needs it."""
        async with self.database.transaction() as session:
            row = await session.get(PhotoRow, (owner, sha256))
            for name, value in values.items():
                setattr(row, name, value)
            session.add(row)

    async def rows(self, table: Any, **equal: Any) -> Sequence[Any]:
        async with self.database.reading() as session:
            query = select(table)
            for name, value in equal.items():
                query = query.where(getattr(table, name) == value)
            return (await session.exec(query)).all()

    async def versions(self, sha256: str, owner: str = "local") -> Sequence[VersionRow]:
        return sorted(await self.rows(VersionRow, photo=sha256, owner_id=owner), key=lambda version: version.n)

    async def recipes(self, sha256: str) -> Sequence[RecipeRow]:
        return await self.rows(RecipeRow, original_hash=sha256)

    async def decisions(self, sha256: str) -> Sequence[DecisionRow]:
        return await self.rows(DecisionRow, photo=sha256)

    async def history(self, sha256: str) -> list[str]:
        return [row.status for row in await self.rows(ProcessingHistoryRow, original_file_hash=sha256)]

    async def event_types(self, sha256: str | None) -> list[str]:
        return [row.type for row in await self.rows(EventRow, sha256=sha256)]

    async def until(self, condition: Callable[[], Any], seconds: float = 90.0) -> None:
        """Wait for something to become true."""
        deadline = time.monotonic() + seconds
        while True:
            result = condition()
            if asyncio.iscoroutine(result):
                result = await result
            if result:
                return
            assert time.monotonic() < deadline, "it never came true"
            await asyncio.sleep(0.02)

    async def settled(self, seconds: float = 90.0) -> None:
        """Wait until no work is left that could be done now."""

        async def nothing_to_do() -> bool:
            working = [
                row
                for row in await self.rows(PhotoRow)
                if row.state in WORKING and row.failed_at is None and row.due_at is None
            ]
            return not working and not (await self.dispatcher.status()).running

        self.dispatcher.wake()
        await self.until(nothing_to_do, seconds)

    async def published(self, seconds: float = 90.0) -> None:
        """Wait until nothing is due for Immich that could be done now."""

        async def nothing_due() -> bool:
            if self.publish_queue.active():
                return False
            moment = datetime.now(UTC)
            versions = [row for row in await self.rows(VersionRow) if row.due_at and row.due_at <= moment]
            originals = [
                row
                for row in await self.rows(PhotoRow)
                if row.original_publish_due_at and row.original_publish_due_at <= moment
            ]
            return not versions and not originals

        await self.until(nothing_due, seconds)

    async def is_clean(self) -> bool:
        """Whether files and rows agree."""
        report = await integrity.verify(self.database, self.layout)
        assert report.clean, report.problems
        return True


@asynccontextmanager
async def open_house(
    folder: Path,
    *,
    mode: Mode = Mode.STACK,
    executor: Any = None,
    targets: Mapping[int, Target] | None = None,
    keep_originals: bool = True,
    slots: int = 2,
    uploads: int = 3,
    start: bool = True,
    looking: Callable[[Layout], Looking] | None = None,
    faces: Any = None,
) -> AsyncIterator[House]:
    """Build everything on a data directory, and take it down again."""
    data = folder / "data"
    inbox = folder / "inbox"
    inbox.mkdir(parents=True, exist_ok=True)
    layout = Layout(data)
    database = Database(layout.database)
    await database.open()
    events = EventLog(database)
    space = Room(data, 0)
    executor = executor or ThreadExecutor()
    present: dict[int, Target] = dict(targets or {})
    publishing = Publishing(database, layout, events, keep_originals=keep_originals)
    queue = PublishQueue(database, publishing, lambda: present, uploads=uploads)
    models = None if looking is None else looking(layout)
    describing = None if models is None else Describing(database, layout, events, models)
    tools = Tools(
        database,
        layout,
        events,
        executor,
        space,
        mode=mode,
        task_timeout=120,
        looking=models,
        faces=faces,
        describe=None if describing is None else describing.add,
    )
    dispatcher = Dispatcher(tools, slots=slots, publishing=queue)
    commands = Commands(database, layout, events, wake=dispatcher.wake, abandon=dispatcher.abandon)
    intake = Intake(database, layout, events, space, wake=dispatcher.wake)
    async with database.transaction() as session:
        await ensure_owner(session, "local")
    if start:
        await dispatcher.start()
        if describing is not None:
            await describing.start()
    try:
        yield House(
            database,
            layout,
            events,
            space,
            intake,
            executor,
            dispatcher,
            commands,
            queue,
            present,
            inbox,
            models,
        )
    finally:
        if describing is not None:
            await describing.stop()
        await dispatcher.stop()
        if models is not None:
            await models.stop()
        await database.close()
