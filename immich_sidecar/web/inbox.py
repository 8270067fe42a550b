"""The inbox: a grid of photos, filtered by where they stand."""

from aiohttp import web
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.errors import NotFoundError, SidecarError
from immich_sidecar.library import photos as photo_rows
from immich_sidecar.web import not_taken, proxies
from immich_sidecar.web.access import visitor_of
from immich_sidecar.web.acting import act, preset_in, version_in
from immich_sidecar.web.api_photos import shown_photo
from immich_sidecar.web.context import BASE, context_of, is_htmx, link, owner_of
from immich_sidecar.web.not_taken import Lookout, NotTaken
from immich_sidecar.web.pages import render
from immich_sidecar.web.photo_json import gather
from immich_sidecar.web.preset_choices import has_look, preset_options

#: Photos of one piece of the grid.
PIECE = 60
#: Filters in the order in which they are shown.
FILTERS = ("pending", "approved", "rejected", "left_alone", "failed", "in_progress")
#: Remembers which owner a browser looked at last.
OWNER_COOKIE = "immich_sidecar_owner"


async def page(request: web.Request) -> web.StreamResponse:
    """The inbox, or with htmx its grid, or with a cursor the next piece of the grid."""
    if redirect := _remembered_owner(request):
        raise redirect
    owner = (await owner_of(request)).id
    chosen = request.query.get("show", "pending")
    if chosen not in FILTERS:
        raise NotFoundError(f"There is no filter {chosen!r}; there are {', '.join(FILTERS)}.")
    after = request.query.get("after") or None
    async with context_of(request).database.reading() as session:
        found = await photo_rows.page(session, owner, status=chosen, after=after, limit=PIECE)
        shown = await gather(session, owner, found.items)
        counts, files = await _counted(session, owner, context_of(request).lookout)
        presets = await preset_options(session, owner)
    refused = request.query.get("refused", "")
    template = "inbox.html"
    if is_htmx(request):
        template = "partials/grid_piece.html" if after else "partials/inbox.html"
    response = await render(
        request,
        template,
        photos=shown,
        next=found.next,
        show=chosen,
        filters=FILTERS,
        presets=presets,
        strong=[name for name, _, _ in presets if has_look(name)],
        counts=counts,
        files=files if chosen == "failed" and not after else (),
        refused=int(refused) if refused.isdecimal() and len(refused) < 6 else 0,
        page="inbox",
    )
    if "owner" in request.query and not is_htmx(request):
        response.set_cookie(
            OWNER_COOKIE,
            owner,
            max_age=31536000,
            httponly=True,
            samesite="Lax",
            secure=proxies.is_https(request),
            path=request.config_dict[BASE] or "/",
        )
    return response


def _remembered_owner(request: web.Request) -> web.HTTPSeeOther | None:
    """Lead a browser that last looked at another owner back there, where the address names none."""
    visitor = visitor_of(request)
    remembered = request.cookies.get(OWNER_COOKIE, visitor.owner_id)
    if "owner" in request.query or is_htmx(request) or remembered == visitor.owner_id:
        return None
    if remembered not in visitor.owner_ids:
        return None
    show, after = request.query.get("show"), request.query.get("after")
    return web.HTTPSeeOther(link(request, "/", remembered, show=show, after=after))


async def _counted(session: AsyncSession, owner: str, lookout: Lookout) -> tuple[dict[str, int], list[NotTaken]]:
    """How many there are of each status, and the files that could not be taken, which count as failed."""
    counts, files = await photo_rows.counts(session, owner), await not_taken.failed(session, owner, lookout)
    counts["failed"] += len(files)
    return counts, files


async def filters(request: web.Request) -> web.StreamResponse:
    """The filters with their numbers, as a partial."""
    owner = (await owner_of(request)).id
    async with context_of(request).database.reading() as session:
        counts, _ = await _counted(session, owner, context_of(request).lookout)
    return await render(
        request, "partials/filters.html", filters=FILTERS, counts=counts, show=request.query.get("show", "pending")
    )


async def failed_files(request: web.Request) -> web.StreamResponse:
    """The files that could not be taken, as a partial; they have no picture, so they stand beneath the grid."""
    owner = (await owner_of(request)).id
    async with context_of(request).database.reading() as session:
        files = await not_taken.failed(session, owner, context_of(request).lookout)
    return await render(request, "partials/failed_files.html", files=files)


async def card(request: web.Request) -> web.StreamResponse:
    """One photo of the grid, as a partial; nothing where it does not belong under the filter any more."""
    shown, chosen = await shown_photo(request), request.query.get("show")
    working = ("analysing", "advising", "rendering", "keeping")
    if chosen and shown.status != chosen and not (chosen == "in_progress" and shown.status in working):
        return web.Response(status=200, text="", content_type="text/html", headers={"Cache-Control": "no-store"})
    return await render(request, "partials/card.html", item=shown, show=chosen or shown.status)


async def bulk(request: web.Request) -> web.StreamResponse:
    """Decide about all ticked photos, for browsers without scripts; each ticked value is `id:version`."""
    context, owner = context_of(request), (await owner_of(request)).id
    form = await request.post()
    action = str(form.get("action", ""))
    if action not in ("approve", "reject", "undo", "retry", "preset"):
        raise web.HTTPBadRequest(text="action: approve, reject, undo, retry or preset")
    preset = preset_in(form) if action == "preset" else None
    refused = 0
    for value in form.getall("photo", []):
        identity, _, version = str(value).partition(":")
        try:
            await act(context, owner, identity, action, version_in({"version": version}), preset=preset)
        except (SidecarError, web.HTTPBadRequest):
            refused += 1
    show = str(form.get("show", "pending"))
    raise web.HTTPSeeOther(link(request, "/", show=show if show in FILTERS else None, refused=refused or None))
