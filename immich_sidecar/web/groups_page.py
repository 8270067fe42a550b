"""Photos that belong together, shown to their owner: looked at, or put aside. Nothing else is done with them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.advise.groups import GroupKind
from immich_sidecar.errors import NotFoundError
from immich_sidecar.library import groups
from immich_sidecar.library.tables import PhotoGroupRow, PhotoRow
from immich_sidecar.web.api_photos import limit_of
from immich_sidecar.web.context import context_of, is_htmx, is_photo_id, link, owner_of
from immich_sidecar.web.pages import render
from immich_sidecar.web.photo_json import Shown, gather
from immich_sidecar.web.words import iso

#: Groups of one page, and photos that are shown of each.
PIECE, SHOWN = 20, 12
KIND_WORDS: Mapping[str, str] = {
    GroupKind.BURST.value: "Bursts",
    GroupKind.BRACKET.value: "Exposure brackets",
    GroupKind.PANORAMA.value: "Panoramas",
    GroupKind.DUPLICATES.value: "Near duplicates",
}
KIND_NAMES: Mapping[str, str] = {
    GroupKind.BURST.value: "Burst",
    GroupKind.BRACKET.value: "Exposure bracket",
    GroupKind.PANORAMA.value: "Panorama",
    GroupKind.DUPLICATES.value: "Near duplicates",
}


@dataclass(frozen=True)
class ShownGroup:
    """A group and its photos, as far as they are still there."""

    row: PhotoGroupRow
    photos: Sequence[Shown]

    @property
    def more(self) -> int:
        """How many photos are not shown."""
        return max(0, len(self.row.members) - SHOWN)


async def page(request: web.Request) -> web.StreamResponse:
    """The groups of one kind, of one photo, or all."""
    owner = (await owner_of(request)).id
    kind, photo = _kind(request), _photo(request)
    async with context_of(request).database.reading() as session:
        counts = await groups.counts(session, owner)
        rows = await groups.shown(session, owner, kind=kind, photo=photo, after=_after(request), limit=PIECE + 1)
        shown = await _gathered(session, owner, rows[:PIECE])
    return await render(
        request,
        "groups.html",
        groups=shown,
        counts=counts,
        kind=kind,
        photo=photo,
        kinds=KIND_WORDS,
        names=KIND_NAMES,
        next=rows[PIECE - 1].id if len(rows) > PIECE else None,
        page="inbox",
    )


async def dismiss(request: web.Request) -> web.StreamResponse:
    """Put a group aside; htmx takes it off the page."""
    owner = (await owner_of(request)).id
    async with context_of(request).database.transaction() as session:
        row = await groups.dismiss(session, owner, _number(request))
    if is_htmx(request):
        return web.Response(text="", content_type="text/html", headers={"X-Done": "Put aside"})
    raise web.HTTPSeeOther(link(request, "/groups", kind=row.kind))


async def list_json(request: web.Request) -> web.Response:
    """The same for programs."""
    owner = (await owner_of(request)).id
    limit = limit_of(request)
    async with context_of(request).database.reading() as session:
        rows = await groups.shown(session, owner, kind=_kind(request), after=_after(request), limit=limit + 1)
    after = str(rows[limit - 1].id) if len(rows) > limit else None
    return web.json_response({"items": [group_json(row) for row in rows[:limit]], "next": after})


async def dismiss_json(request: web.Request) -> web.Response:
    """Put a group aside, for programs."""
    owner = (await owner_of(request)).id
    async with context_of(request).database.transaction() as session:
        row = await groups.dismiss(session, owner, _number(request))
    return web.json_response(group_json(row))


def group_json(row: PhotoGroupRow) -> dict[str, Any]:
    """A group as the API tells it."""
    return {
        "id": row.id,
        "kind": row.kind,
        "photos": row.members,
        "best": row.members[0] if row.has_best and row.members else None,
        "reason": row.reason,
        "found_at": iso(row.found_at),
        "dismissed_at": iso(row.dismissed_at),
    }


async def _gathered(session: AsyncSession, owner: str, rows: Sequence[PhotoGroupRow]) -> list[ShownGroup]:
    wanted = [photo for row in rows for photo in row.members[:SHOWN]]
    found = await session.exec(select(PhotoRow).where(PhotoRow.owner_id == owner, col(PhotoRow.sha256).in_(wanted)))
    shown = {one.photo.sha256: one for one in await gather(session, owner, list(found.all()))}
    return [ShownGroup(row, [shown[photo] for photo in row.members[:SHOWN] if photo in shown]) for row in rows]


def _kind(request: web.Request) -> str | None:
    kind = request.query.get("kind") or None
    if kind is not None and kind not in KIND_WORDS:
        raise web.HTTPBadRequest(text=f"kind: one of {', '.join(KIND_WORDS)}")
    return kind


def _photo(request: web.Request) -> str | None:
    text = request.query.get("photo") or None
    if text is not None and not is_photo_id(text):
        raise web.HTTPBadRequest(text="photo: the id of a photo")
    return text


def _after(request: web.Request) -> int | None:
    text = request.query.get("after") or None
    if text is not None and not (text.isdecimal() and len(text) < 18):
        raise web.HTTPBadRequest(text="after: `next` of the page before")
    return None if text is None else int(text)


def _number(request: web.Request) -> int:
    text = request.match_info["group"]
    if not (text.isdecimal() and len(text) < 18):
        raise NotFoundError("There is no such group of yours.")
    return int(text)
