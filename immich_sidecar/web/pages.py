"""Rendering of templates, and what every page shows around its content."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web
from aiohttp.typedefs import Handler
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from immich_sidecar import __version__
from immich_sidecar.library.owners import owners as all_owners
from immich_sidecar.web import words
from immich_sidecar.web.access import By, known_visitor
from immich_sidecar.web.assets import HTMX, Assets
from immich_sidecar.web.context import BASE, TEMPLATES, context_of, is_htmx, link
from immich_sidecar.web.finding_words import FINDING_FILTERS
from immich_sidecar.web.immich_links import photo_in_immich, search_in_immich
from immich_sidecar.web.security import form_token

#: Of a request: id of the newest event at its beginning.
LAST_EVENT = web.RequestKey("last_event", int)


def environment(assets: Assets) -> Environment:
    """The templates, with autoescape for everything and our words as filters."""
    made = Environment(
        loader=FileSystemLoader(assets.templates),
        autoescape=select_autoescape(default=True, default_for_string=True),
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(words.FILTERS)
    made.filters.update(FINDING_FILTERS)
    made.globals.update(photo_in_immich=photo_in_immich, search_in_immich=search_in_immich)
    return made


@web.middleware
async def note_last_event(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Note where the events stand before anything is read that a page shows, so that none falls between the two."""
    if request.method == "GET" and "text/html" in request.headers.get("Accept", "") and not is_htmx(request):
        request[LAST_EVENT] = await context_of(request).events.last_id()
    return await handler(request)


async def render(request: web.Request, template: str, **values: Any) -> web.Response:
    """A page or partial as response; never kept by browsers, since photos move on."""
    text = await render_text(request, template, **values)
    return web.Response(
        text=text, content_type="text/html", headers={"Cache-Control": "no-store", "Vary": "HX-Request"}
    )


async def render_text(request: web.Request, template: str, **values: Any) -> str:
    """A page or partial as text."""
    context = context_of(request)
    visitor = known_visitor(request)
    owner_id = visitor.owner_id if visitor else ""
    if visitor and request.query.get("owner") in visitor.owner_ids:
        owner_id = request.query["owner"]
    owners: list[Mapping[str, str]] = []
    last_event = 0
    if visitor and not is_htmx(request) and not template.startswith(("partials/", "login", "error")):
        last_event = request.get(LAST_EVENT, 0)
        async with context.database.reading() as session:
            owners = [
                {"id": row.id, "name": row.name} for row in await all_owners(session) if row.id in visitor.owner_ids
            ]

    def url(path: str, owner: str | None = None, **query: object) -> str:
        return link(request, path, owner, **query)

    def asset(name: str) -> str:
        return link(request, f"/static/{name}").partition("?")[0] + f"?v={context.assets.digest(name) or 0}"

    def module(name: str) -> str:
        # Scripts import each other by their plain names; an address with a digest would be a second copy.
        return f"{request.config_dict[BASE]}/static/{name}"

    return (
        request.config_dict[TEMPLATES]
        .get_template(template)
        .render(
            url=url,
            asset=asset,
            module=module,
            htmx=HTMX,
            htmx_integrity=context.assets.htmx_integrity,
            owner_id=owner_id,
            owners=owners,
            base=request.config_dict[BASE],
            last_event=last_event,
            visitor=visitor,
            form_token=form_token(request),
            can_sign_in=context.sign_in is not None,
            can_log_out=visitor is not None and visitor.by is By.SESSION,
            software_version=__version__,
            immich_link=context.settings.immich_link(),
            page=values.pop("page", ""),
            **values,
        )
    )
