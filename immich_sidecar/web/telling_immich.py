"""The owner's click that writes what models say of a photo into Immich."""

from collections.abc import Mapping

from aiohttp import web

from immich_sidecar.errors import ConflictError
from immich_sidecar.pipeline.telling import PERMISSIONS, tell
from immich_sidecar.web.api_photos import shown_photo
from immich_sidecar.web.context import connected_of, context_of, is_htmx, json_body, link
from immich_sidecar.web.findings_shown import findings_of
from immich_sidecar.web.photo_json import Shown


async def write(request: web.Request) -> web.StreamResponse:
    """Write what is ticked."""
    form = await request.post()
    picked = [str(name) for name in form.getall("what", [])]
    told = await _told(request, await shown_photo(request), picked)
    kept = [name for name in picked if name not in told]
    words = f"In Immich now: {', '.join(told)}." if told else "Nothing was written."
    if kept:
        words += f" What you have there stays: {', '.join(kept)}."
    if is_htmx(request):
        return web.Response(text="", content_type="text/html", headers={"X-Done": words})
    raise web.HTTPSeeOther(link(request, f"/photos/{request.match_info['id']}"))


async def write_json(request: web.Request) -> web.Response:
    """The same for programs."""
    # Whether it is there at all comes before what is wrong with the question.
    shown, body = await shown_photo(request), await json_body(request)
    picked = body.get("what") if isinstance(body, Mapping) else None
    if (
        not isinstance(picked, list)
        or not picked
        or not all(isinstance(name, str) and name in PERMISSIONS for name in picked)
    ):
        raise web.HTTPBadRequest(text=f'what: a list of {", ".join(PERMISSIONS)}, as {{"what": ["tags"]}}')
    return web.json_response({"written": list(await _told(request, shown, picked))})


async def _told(request: web.Request, shown: Shown, picked: list[str]) -> tuple[str, ...]:
    connected = connected_of(request, shown.photo.owner_id)
    if connected is None:
        raise ConflictError("There is no connection to Immich; see the account page.")
    database = context_of(request).database
    return await tell(database, connected.publisher, shown.photo, findings_of(shown.photo), picked)
