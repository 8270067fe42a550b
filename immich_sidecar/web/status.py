"""The status: Immich, disk, folders, and what was not taken and why."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from sqlmodel import select

from immich_sidecar import __version__
from immich_sidecar.library import photos as photo_rows
from immich_sidecar.library.tables import ConnectionRow, IntakeState
from immich_sidecar.web import not_taken
from immich_sidecar.web.context import context_of, is_htmx, owner_of
from immich_sidecar.web.not_taken import NotTaken
from immich_sidecar.web.pages import render

#: States of what did not become a photo.
_NOT_TAKEN = (IntakeState.SKIPPED, IntakeState.FAILED)


@dataclass(frozen=True)
class Status:
    """What an owner wants to know about the service."""

    connection: ConnectionRow | None
    counts: Mapping[str, int]
    files: Sequence[NotTaken]
    assets: Sequence[NotTaken]
    hot_folders: Sequence[Mapping[str, str]]
    free: int
    min_free: int
    short: bool
    mode: str
    data_dir: str
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
                "watched_since": _iso(row.watch_from),
                "last_seen_at": _iso(row.last_seen_at),
                "last_error": row.last_error,
            },
            "not_taken": [{**item.to_json(), "failed": item.failed} for item in (*self.files, *self.assets)],
        }


def _iso(at: Any) -> str | None:
    return at.isoformat().replace("+00:00", "Z") if at else None


async def read_status(request: web.Request) -> Status:
    """The status for the request's owner."""
    context, owner = context_of(request), (await owner_of(request)).id
    async with context.database.reading() as session:
        connection = (await session.exec(select(ConnectionRow).where(ConnectionRow.owner_id == owner))).first()
        counts = await photo_rows.counts(session, owner)
        files = await not_taken.files(session, owner, _NOT_TAKEN)
        assets = await not_taken.assets(session, owner, _NOT_TAKEN)
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
        hot_folders=folders,
        free=context.space.free(),
        min_free=context.settings.min_free,
        short=context.space.short(),
        mode=context.settings.mode.value,
        data_dir=str(context.settings.data_dir),
    )


async def status_json(request: web.Request) -> web.Response:
    """The status as JSON."""
    return web.json_response((await read_status(request)).to_json())


async def page(request: web.Request) -> web.StreamResponse:
    """The status as a page; htmx gets its content alone."""
    template = "partials/status.html" if is_htmx(request) else "status.html"
    return await render(request, template, status=await read_status(request), page="status")
