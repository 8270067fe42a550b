"""The photo page: before and after, why, changes, versions, and the decision."""

import json
from typing import Any

from aiohttp import web

from immich_sidecar.library import photos as photo_rows
from immich_sidecar.library.tables import PhotoRow, RecipeRow, WorkState
from immich_sidecar.web import words
from immich_sidecar.web.acting import ACTIONS, act, version_in
from immich_sidecar.web.adjusting import crop_of, patch_of_form, sliders
from immich_sidecar.web.api_photos import shown_photo
from immich_sidecar.web.context import context_of, is_htmx, link, owner_of, photo_id_of
from immich_sidecar.web.media import GEOMETRY, adjusted_preview, changed_operations
from immich_sidecar.web.pages import render
from immich_sidecar.web.photo_json import Shown, gather

#: What a person is told after a command.
_DONE = {
    "approve": "Approved",
    "reject": "Rejected",
    "undo": "Undone",
    "retry": "Trying again",
    "cancel": "Cancelled",
    "reset": "Back to the suggestion",
    "develop": "Developing",
    "first": "This one is next",
    "change": "Changed; a new version is being made",
}

_UNDOABLE = ("approve", "reject", "reset", "develop", "change")


async def page(request: web.Request) -> web.StreamResponse:
    """One photo."""
    return await _render(request, "photo.html", await shown_photo(request))


async def panel(request: web.Request) -> web.StreamResponse:
    """What stands beside and below the picture, as a partial, after something changed."""
    return await _render(request, "partials/photo.html", await shown_photo(request))


async def action(request: web.Request) -> web.StreamResponse:
    """One command from a form; htmx gets the changed page content, a browser without scripts is led back."""
    context, owner, identity = context_of(request), (await owner_of(request)).id, photo_id_of(request)
    wanted = request.match_info["action"]
    if wanted not in ACTIONS:
        raise web.HTTPNotFound(text=f"There is no command {wanted[:40]!r}.")
    form = await request.post()
    row = await act(context, owner, identity, wanted, version_in(form))
    return await _after(request, row, wanted, str(form.get("then", "")))


async def switch(request: web.Request) -> web.StreamResponse:
    """Switch one suggestion on or off."""
    owner, identity = (await owner_of(request)).id, photo_id_of(request)
    form = await request.post()
    operation, to = str(form.get("operation", "")), form.get("to")
    if to not in ("on", "off"):
        raise web.HTTPBadRequest(text="to: on or off")
    patch: dict[str, Any] = {operation: None}
    if to == "on":
        shown = await shown_photo(request)
        proposed = next((item for item in shown.suggestions if item["operation"] == operation), None)
        switched_off = shown.recipe is not None and operation in shown.recipe.user_overrides
        was_applied = shown.recipe is not None and any(
            item["operation"] == operation and item["applied"]
            for item in shown.recipe.ai_metadata.get("suggestions", ())
        )
        # A proposal that the adviser did not dare to apply is taken over as the person's own.
        patch = {operation: "suggested" if switched_off and was_applied else (proposed or {}).get("parameters", {})}
    row = await act(context_of(request), owner, identity, "change", version_in(form), patch=patch)
    return await _after(request, row, "change")


async def change(request: web.Request) -> web.StreamResponse:
    """Keep what the sliders and the crop show."""
    owner = (await owner_of(request)).id
    shown, form = await shown_photo(request), await request.post()
    version = version_in(form)
    operations = shown.recipe.operations if shown.recipe else []
    patch = patch_of_form(form, operations)
    if not patch:
        raise web.HTTPBadRequest(text="Nothing was changed.")
    row = await act(context_of(request), owner, shown.photo.sha256, "change", version, patch=patch)
    return await _after(request, row, "change")


async def adjusted(request: web.Request) -> web.StreamResponse:
    """A preview of what the form shows, without keeping it."""
    shown = await shown_photo(request)
    patch = patch_of_form(request.query, shown.recipe.operations if shown.recipe else [])
    data = await adjusted_preview(request, shown, patch)
    if data is None:
        return web.Response(status=204)
    return web.Response(body=data, content_type="image/jpeg", headers={"Cache-Control": "no-store"})


async def made_ready(request: web.Request) -> web.StreamResponse:
    """Prepare what the sliders work on, for a page that was just opened."""
    shown = await shown_photo(request)
    if shown.recipe is not None:
        operations = await changed_operations(request, shown, {})
        client = request.query.get("client", "")[:64]
        await context_of(request).previews.make_ready(shown.photo, operations, client=client)
    return web.Response(status=204)


async def _after(request: web.Request, row: PhotoRow, done: str, then: str = "") -> web.StreamResponse:
    following = await _following(request, row)
    if is_htmx(request):
        if then == "next" and following:
            there = {"path": link(request, f"/photos/{following}"), "target": "#main", "select": "#main"}
            location = json.dumps({**there, "swap": "outerHTML"})
            return web.Response(headers={"HX-Location": location, **_told(row, done)})
        async with context_of(request).database.reading() as session:
            shown = (await gather(session, row.owner_id, [row]))[0]
        response = await _render(request, "partials/photo.html", shown)
        response.headers.update(_told(row, done))
        return response
    target = following if then == "next" and following else row.sha256
    raise web.HTTPSeeOther(link(request, f"/photos/{target}"))


def _told(row: PhotoRow, done: str) -> dict[str, str]:
    """What the page says, and which photo, at which version, could be taken back."""
    told = {"X-Done": _DONE[done]}
    if done in _UNDOABLE:
        told["X-Undo"] = f"{row.sha256}:{row.version}:undo"
    return told


async def _following(request: web.Request, row: PhotoRow) -> str | None:
    async with context_of(request).database.reading() as session:
        after = await photo_rows.next_pending(session, row.owner_id, row.sha256)
    return after.sha256 if after and after.sha256 != row.sha256 else None


async def _render(request: web.Request, template: str, shown: Shown) -> web.Response:
    photo, context = shown.photo, context_of(request)
    async with context.database.reading() as session:
        after = await photo_rows.next_pending(session, photo.owner_id, photo.sha256)
        before = await photo_rows.previous_pending(session, photo.owner_id, photo.sha256)
        shown_recipe = shown.recipe
        if shown.current is not None and shown.current.recipe_id != photo.recipe_id:
            shown_recipe = await session.get(RecipeRow, shown.current.recipe_id)
    operations = shown.recipe.operations if shown.recipe else []
    proposed = {item["operation"] for item in shown.suggestions}
    return await render(
        request,
        template,
        item=shown,
        photo=photo,
        sliders=sliders(operations),
        crop=crop_of(operations),
        own=[item for item in operations if item["type"] not in proposed],
        overridden=dict(shown.recipe.user_overrides) if shown.recipe else {},
        turned=shown_recipe is not None and any(item["type"] in GEOMETRY for item in shown_recipe.operations),
        publish={row.n: _publish_words(request, shown, row) for row in shown.versions},
        after=after.sha256 if after and after.sha256 != photo.sha256 else None,
        before=before.sha256 if before and before.sha256 != photo.sha256 else None,
        can_undo=bool(shown.versions) or photo.state is WorkState.ADVISED,
        can_change=shown.recipe is not None and photo.failed_at is None and photo.state is not WorkState.CANCELLED,
        page="photo",
    )


def _publish_words(request: web.Request, shown: Shown, row: Any) -> str:
    current = shown.current
    return words.publish(
        row.publish,
        shown.photo.review,
        current=current is not None and current.n == row.n,
        connected=shown.photo.connection_id is not None,
        mode=context_of(request).settings.mode.value,
        reason=row.blocked_reason,
    )
