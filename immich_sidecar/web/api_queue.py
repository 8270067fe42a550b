"""The queue: what runs, what waits, what failed and why; and the page that shows it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.analysis.findings import Job
from immich_sidecar.library import photos as photo_rows
from immich_sidecar.library.photos import AT_WORK, status_of
from immich_sidecar.library.tables import PhotoRow, Publish, Source, VersionRow
from immich_sidecar.web import not_taken
from immich_sidecar.web.context import context_of, is_htmx, link, owner_of
from immich_sidecar.web.not_taken import NotTaken
from immich_sidecar.web.on_the_way import OnTheWay, read_on_the_way
from immich_sidecar.web.pages import render

#: Rows of each part of the queue that are shown.
SHOWN = 100
_NO_SPACE = "Rendering waits for free disk space and goes on by itself; the status page says how much is needed."


@dataclass(frozen=True)
class Blocked:
    """A version that waits for a person before it can go on to Immich."""

    photo: PhotoRow
    #: Number of the version; 0 is the original itself.
    n: int
    reason: str


@dataclass(frozen=True)
class Queue:
    """An owner's queue, the first rows of each part."""

    paused: bool
    waits_for: str | None
    running: Sequence[PhotoRow]
    waiting: Sequence[PhotoRow]
    waiting_count: int
    failed: Sequence[PhotoRow]
    failed_count: int
    #: What could not be taken, and so is no photo; counted in `failed_count`.
    failed_files: Sequence[NotTaken]
    blocked: Sequence[Blocked]
    #: What is on its way to Immich.
    way: OnTheWay
    #: How much of its present step is done, 0..1, of each photo that runs.
    progress: Mapping[str, float]

    @property
    def can_retry_files(self) -> bool:
        """Whether any of the failed files is tried again by "retry all": an asset; others when they change."""
        return any(item.source is Source.IMMICH for item in self.failed_files)

    def to_json(self) -> dict[str, Any]:
        """The queue as the API tells it."""
        return {
            "paused": self.paused,
            "waits_for": self.waits_for,
            "running": [_work(row) for row in self.running],
            "waiting": [_work(row) for row in self.waiting],
            "waiting_count": self.waiting_count,
            "failed": [_work(row) for row in self.failed],
            "failed_count": self.failed_count,
            "failed_files": [item.to_json() for item in self.failed_files],
            "blocked": [
                {
                    "id": wait.photo.sha256,
                    "file_name": wait.photo.file_name,
                    "version": wait.n,
                    "reason": wait.reason,
                }
                for wait in self.blocked
            ],
            "publishing": self.way.to_json(),
        }


def _work(row: PhotoRow) -> dict[str, Any]:
    return {
        "id": row.sha256,
        "file_name": row.file_name,
        "status": status_of(row),
        "version": row.version,
        "failed_at": row.failed_at,
        "error": row.last_error,
        "due_at": row.due_at.isoformat().replace("+00:00", "Z") if row.due_at else None,
        "attempts": row.attempts,
    }


async def read_queue(request: web.Request, owner: str) -> Queue:
    """The owner's queue as it stands."""
    context = context_of(request)
    due = (
        col(PhotoRow.owner_id) == owner,
        col(PhotoRow.state).in_(AT_WORK),
        col(PhotoRow.failed_at).is_(None),
    )
    async with context.database.reading() as session:
        running = await _rows(session, *due, col(PhotoRow.running).is_(True))
        waiting = await _rows(session, *due, col(PhotoRow.running).is_(False))
        count = (
            await session.exec(select(func.count()).select_from(PhotoRow).where(*due, col(PhotoRow.running).is_(False)))
        ).one()
        failed = await photo_rows.page(session, owner, failed=True, limit=SHOWN)
        counts = await photo_rows.counts(session, owner)
        failed_files = await not_taken.failed(session, owner, context.lookout)
        blocked = await _blocked(session, owner)
        way = await read_on_the_way(session, context.dispatcher.publishing, owner)
    state = await context.dispatcher.status(owner)
    at_work = {step.sha256 for step in state.running}
    waiting = [row for row in waiting if row.sha256 not in at_work]
    return Queue(
        paused=state.paused,
        waits_for=_NO_SPACE if state.waits_for_space else None,
        running=running,
        waiting=waiting,
        waiting_count=count,
        failed=failed.items,
        failed_count=counts["failed"] + len(failed_files),
        failed_files=failed_files,
        blocked=blocked,
        way=way,
        progress={step.sha256: round(step.progress, 3) for step in state.running},
    )


async def _rows(session: AsyncSession, *conditions: Any) -> Sequence[PhotoRow]:
    query = (
        select(PhotoRow)
        .where(*conditions)
        .order_by(col(PhotoRow.priority).desc(), col(PhotoRow.created_at))
        .limit(SHOWN)
    )
    return (await session.exec(query)).all()


async def _blocked(session: AsyncSession, owner: str) -> list[Blocked]:
    versions = (
        await session.exec(
            select(VersionRow)
            .where(VersionRow.owner_id == owner, VersionRow.publish == Publish.BLOCKED)
            .order_by(col(VersionRow.created_at).desc())
            .limit(SHOWN)
        )
    ).all()
    found = []
    for version in versions:
        photo = await photo_rows.find(session, owner, version.photo)
        if photo is not None:
            found.append(Blocked(photo, version.n, version.blocked_reason or version.last_error or ""))
    originals = (
        await session.exec(
            select(PhotoRow)
            .where(PhotoRow.owner_id == owner, PhotoRow.original_publish == Publish.BLOCKED)
            .order_by(col(PhotoRow.created_at).desc())
            .limit(SHOWN)
        )
    ).all()
    return found + [Blocked(photo, 0, photo.original_publish_error or "") for photo in originals]


async def queue(request: web.Request) -> web.Response:
    """The queue as JSON."""
    return web.json_response((await read_queue(request, (await owner_of(request)).id)).to_json())


async def pause(request: web.Request) -> web.Response:
    """Pause the owner's work; what runs is finished."""
    owner = (await owner_of(request)).id
    await context_of(request).commands.pause(owner)
    return web.json_response((await read_queue(request, owner)).to_json())


async def resume(request: web.Request) -> web.Response:
    """Go on with the owner's work."""
    owner = (await owner_of(request)).id
    await context_of(request).commands.resume(owner)
    return web.json_response((await read_queue(request, owner)).to_json())


async def retry(request: web.Request) -> web.Response:
    """Try all again that failed: photos, publishing, and assets that could not be taken."""
    return web.json_response({"retried": await _retry_all(request, (await owner_of(request)).id)})


async def analyse(request: web.Request) -> web.Response:
    """Look again at all photos that lack an answer of a model that there is now."""
    return web.json_response({"queued": await _analyse_lacking(request, (await owner_of(request)).id)})


async def _analyse_lacking(request: web.Request, owner: str) -> int:
    context = context_of(request)
    jobs = frozenset(job for job in Job if context.models.why_not(job) is None)
    return await context.commands.analyse_lacking(owner, jobs)


async def _retry_all(request: web.Request, owner: str) -> int:
    context = context_of(request)
    retried = await context.commands.retry_all(owner)
    return retried + (await context.retry_intake(owner) if context.retry_intake else 0)


async def page(request: web.Request) -> web.StreamResponse:
    """The queue as a page; htmx gets its content alone."""
    owner = (await owner_of(request)).id
    template = "partials/queue.html" if is_htmx(request) else "queue.html"
    return await render(request, template, queue=await read_queue(request, owner), page="queue")


async def page_action(request: web.Request) -> web.StreamResponse:
    """Pause, resume, retry all or look again at what lacked a model, from a form."""
    owner = (await owner_of(request)).id
    commands = context_of(request).commands
    match request.match_info["action"]:
        case "pause":
            await commands.pause(owner)
        case "resume":
            await commands.resume(owner)
        case "retry":
            await _retry_all(request, owner)
        case "analyse":
            await _analyse_lacking(request, owner)
        case _:
            raise web.HTTPNotFound(text="The queue knows pause, resume, retry and analyse.")
    if is_htmx(request):
        return await render(request, "partials/queue.html", queue=await read_queue(request, owner), page="queue")
    raise web.HTTPSeeOther(link(request, "/queue"))
