"""The status: Immich, disk, folders, and what was not taken and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from sqlmodel import select

from immich_sidecar import __version__
from immich_sidecar.library import photos as photo_rows
from immich_sidecar.library.tables import ConnectionRow, IntakeState
from immich_sidecar.pipeline.models_state import ModelsState
from immich_sidecar.web import not_taken
from immich_sidecar.web.access import Kind, visitor_of
from immich_sidecar.web.context import context_of, is_htmx, owner_of
from immich_sidecar.web.not_taken import NotTaken
from immich_sidecar.web.pages import render
from immich_sidecar.web.words import iso

#: States of what did not become a photo.
_NOT_TAKEN = (IntakeState.SKIPPED, IntakeState.FAILED)


@dataclass(frozen=True)
class Status:
    """What an owner wants to know about the service."""

    connection: ConnectionRow | None
    counts: Mapping[str, int]
    files: Sequence[NotTaken]
    assets: Sequence[NotTaken]
    #: How many assets were left where they are, by reason.
    reasons: Sequence[tuple[str, int]]
    hot_folders: Sequence[Mapping[str, str]]
    free: int
    min_free: int
    short: bool
    mode: str
    data_dir: str
    #: None where there are no models at all.
    models: ModelsState | None = None
    version: str = __version__

    def to_json(self) -> dict[str, Any]:
        """The status as the API tells it."""
        row = self.connection
        return {
            "version": self.version,
            "mode": self.mode,
            "photos": dict(self.counts),
            "disk": {"free": self.free, "min_free": self.min_free, "short": self.short},
            "hot_folders": [dict(folder) for folder in self.hot_folders],
            "immich": row
            and {
                "url": row.url,
                "state": row.state,
                "version": row.version,
                "user": row.immich_user_name,
                "watched_since": iso(row.watch_from),
                "last_seen_at": iso(row.last_seen_at),
                "last_error": row.last_error,
            },
            "models": self.models and self.models.to_json(),
            "left_alone_in_immich": dict(self.reasons),
            "not_taken": [{**item.to_json(), "failed": item.failed} for item in (*self.files, *self.assets)],
        }


async def read_status(request: web.Request) -> Status:
    """The status for the request's owner."""
    context, owner = context_of(request), (await owner_of(request)).id
    async with context.database.reading() as session:
        connection = (await session.exec(select(ConnectionRow).where(ConnectionRow.owner_id == owner))).first()
        counts = await photo_rows.counts(session, owner)
        files = await not_taken.files(session, owner, _NOT_TAKEN, context.lookout)
        assets = await not_taken.assets(session, owner, _NOT_TAKEN)
        reasons = await not_taken.reasons(session, owner)
    folders: Sequence[Mapping[str, str]]
    if context.hot_folders is not None:
        folders = [folder for folder in context.hot_folders() if folder["owner"] == owner]
    else:
        folders = [
            {"path": str(folder.path), "owner": folder.owner, "state": "watched"}
            for folder in context.settings.folders()
            if folder.owner == owner
        ]
    return Status(
        connection=connection,
        counts=counts,
        files=files,
        assets=assets,
        reasons=reasons,
        hot_folders=folders,
        free=context.space.free(),
        min_free=context.settings.min_free,
        short=context.space.short(),
        mode=context.settings.mode.value,
        models=await context.models_state() if context.models_state is not None else None,
        # Where it lies is the operator's business alone.
        data_dir=str(context.settings.data_dir) if visitor_of(request).kind is Kind.OPERATOR else "",
    )


async def status_json(request: web.Request) -> web.Response:
    """The status as JSON."""
    return web.json_response((await read_status(request)).to_json())


async def page(request: web.Request) -> web.StreamResponse:
    """The status as a page; htmx gets its content alone."""
    template = "partials/status.html" if is_htmx(request) else "status.html"
    return await render(request, template, status=await read_status(request), page="status")
