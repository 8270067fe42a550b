"""Rendering of templates, and what every page shows around its content."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web
from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from immich_sidecar import __version__
from immich_sidecar.library.owners import owners as all_owners
from immich_sidecar.library.tables import LOCAL_OWNER
from immich_sidecar.web import words
from immich_sidecar.web.assets import HTMX, Assets
from immich_sidecar.web.context import BASE, TEMPLATES, context_of, is_htmx, link


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
    return made


async def render(request: web.Request, template: str, **values: Any) -> web.Response:
    """A page or partial as response; never kept by browsers, since photos move on."""
    text = await render_text(request, template, **values)
    return web.Response(
        text=text, content_type="text/html", headers={"Cache-Control": "no-store", "Vary": "HX-Request"}
    )


async def render_text(request: web.Request, template: str, **values: Any) -> str:
    """A page or partial as text."""
    context = context_of(request)
    owner_id = request.query.get("owner") or LOCAL_OWNER
    owners: list[Mapping[str, str]] = []
    last_event = 0
    if not is_htmx(request) and not template.startswith(("partials/", "login", "error")):
        # Read before anything the page shows, so that nothing falls between page and socket.
        last_event = await context.events.last_id()
        async with context.database.reading() as session:
            owners = [{"id": row.id, "name": row.name} for row in await all_owners(session)]

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
            has_password=context.password is not None,
            software_version=__version__,
            immich_link=context.settings.immich_link(),
            page=values.pop("page", ""),
            **values,
        )
    )
