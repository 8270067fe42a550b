"""The photo page: before and after, why, changes, versions, and the decision."""

import json
from typing import Any

from aiohttp import web

from immich_sidecar.advise.looks import look_of
from immich_sidecar.analysis.findings import Job
from immich_sidecar.library import groups as group_rows
from immich_sidecar.library import luts, presets
from immich_sidecar.library import photos as photo_rows
from immich_sidecar.library.recipes import recipe_of
from immich_sidecar.library.tables import PhotoRow, RecipeRow, WorkState
from immich_sidecar.pipeline import telling
from immich_sidecar.pipeline.modes import mode_of
from immich_sidecar.web.acting import ACTIONS, act, preset_in, strength_in, version_in
from immich_sidecar.web.adjusting import crop_of, groups, orientation_of, patch_of_form
from immich_sidecar.web.api_photos import shown_photo
from immich_sidecar.web.context import connected_of, context_of, is_htmx, link, owner_of, photo_id_of
from immich_sidecar.web.findings_shown import findings_of, seen_in
from immich_sidecar.web.frames import proposed_crop
from immich_sidecar.web.groups_page import KIND_NAMES
from immich_sidecar.web.media import GEOMETRY, adjusted_preview, changed_operations, operations_with
from immich_sidecar.web.on_the_way import publish_words, read_on_the_way
from immich_sidecar.web.own_presets import LOOK_STEPS, choices_of, taken_from
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
    "analyse": "Looking at it again",
    "renew": "A new version is being made",
    "change": "Changed; a new version is being made",
    "preset": "The look is chosen; a new version is being made",
    "same": "It has that look already",
    "keep": "The preset is kept",
}

_UNDOABLE = ("approve", "reject", "reset", "develop", "change", "preset")


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
        parameters = (proposed or {}).get("parameters", {})
        if operation == "crop" and parameters and shown.recipe is not None and not was_applied:
            parameters = proposed_crop(shown.photo, shown.recipe, parameters)
        patch = {operation: "suggested" if switched_off and was_applied else parameters}
    row = await act(context_of(request), owner, identity, "change", version_in(form), patch=patch)
    return await _after(request, row, "change")


async def change(request: web.Request) -> web.StreamResponse:
    """Keep what the sliders and the crop show."""
    owner = (await owner_of(request)).id
    shown, form = await shown_photo(request), await request.post()
    version = version_in(form)
    operations = shown.recipe.operations if shown.recipe else []
    patch = patch_of_form(form, operations, await _own_luts(request, owner), _proposed(shown))
    if not patch:
        raise web.HTTPBadRequest(text="Nothing was changed.")
    row = await act(context_of(request), owner, shown.photo.sha256, "change", version, patch=patch)
    return await _after(request, row, "change")


async def choose_preset(request: web.Request) -> web.StreamResponse:
    """Give the photo another preset, with the strength that the form has."""
    owner, identity = (await owner_of(request)).id, photo_id_of(request)
    form = await request.post()
    version = version_in(form)
    row = await act(context_of(request), owner, identity, "preset", version, preset=preset_in(form))
    # Nothing was done to a photo that has it already: to undo would take back what was decided before.
    return await _after(request, row, "preset" if row.version != version else "same")


async def keep_preset(request: web.Request) -> web.StreamResponse:
    """Make a preset of what was done to the photo, of the steps that are ticked."""
    owner, identity = (await owner_of(request)).id, photo_id_of(request)
    form = await request.post()
    async with context_of(request).database.transaction() as session:
        look = await taken_from(session, owner, identity, [str(name) for name in form.getall("step", [])])
        await presets.create(session, owner, str(form.get("name", "")), look)
        row = await photo_rows.get(session, owner, identity)
    return await _after(request, row, "keep")


async def look(request: web.Request) -> web.StreamResponse:
    """A very small picture of the photo with a preset, and with what its owner changed."""
    shown = await shown_photo(request)
    name, strength = request.match_info["preset"], strength_in(request.query.get("strength"))
    data = await context_of(request).previews.look(shown.photo, await operations_with(request, shown, name, strength))
    # The address names the recipe that it is about, and a preset never changes.
    cache = "private, max-age=86400" if request.query.get("recipe") else "private, no-cache"
    return web.Response(body=data, content_type="image/jpeg", headers={"Cache-Control": cache})


async def adjusted(request: web.Request) -> web.StreamResponse:
    """A preview of what the form shows, without keeping it."""
    shown = await shown_photo(request)
    tables = await _own_luts(request, shown.photo.owner_id)
    patch = patch_of_form(request.query, shown.recipe.operations if shown.recipe else [], tables, _proposed(shown))
    data = await adjusted_preview(request, shown, patch)
    if data is None:
        return web.Response(status=204)
    return web.Response(body=data, content_type="image/jpeg", headers={"Cache-Control": "no-store"})


def _proposed(shown: Shown) -> dict[str, Any]:
    """Parameters of what was proposed, and of steps for which a mask is known."""
    known = (shown.recipe.ai_metadata.get("masks") or {}) if shown.recipe is not None else {}
    masked = {name: {"mask": mask} for name, mask in known.items()}
    return masked | {item["operation"]: item["parameters"] for item in shown.suggestions}


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


async def _own_luts(request: web.Request, owner: str) -> list[tuple[str, str]]:
    """Digests and names of the owner's LUTs, to choose from."""
    async with context_of(request).database.reading() as session:
        return [(row.sha256, row.name) for row in await luts.all_of(session, owner)]


async def _render(request: web.Request, template: str, shown: Shown) -> web.Response:
    photo, context = shown.photo, context_of(request)
    async with context.database.reading() as session:
        after = await photo_rows.next_pending(session, photo.owner_id, photo.sha256)
        before = await photo_rows.previous_pending(session, photo.owner_id, photo.sha256)
        mode = await mode_of(session, photo, context.settings.mode)
        looks = await choices_of(session, photo.owner_id)
        tables = [(row.sha256, row.name) for row in await luts.all_of(session, photo.owner_id)]
        mine = look_of(recipe_of(shown.recipe)) if shown.recipe is not None else {}
        belongs = await group_rows.shown(session, photo.owner_id, photo=photo.sha256, limit=4)
        way = await read_on_the_way(session, context.dispatcher.publishing, photo.owner_id)
        shown_recipe = shown.recipe
        if shown.current is not None and shown.current.recipe_id != photo.recipe_id:
            shown_recipe = await session.get(RecipeRow, shown.current.recipe_id)
    sending = {upload.n: upload for upload in way.uploads if upload.sha256 == photo.sha256}
    operations = shown.recipe.operations if shown.recipe else []
    proposed = {item["operation"] for item in shown.suggestions}
    return await render(
        request,
        template,
        item=shown,
        photo=photo,
        groups=groups(operations, tables, _proposed(shown)),
        looks=looks if any(one.name == shown.preset.name for one in looks) else [shown.preset, *looks],
        reframing={one.name for one in looks if set(one.look) & set(GEOMETRY)},
        mine=mine,
        looked={item["type"]: item["parameters"] for item in operations if item["source"] == "preset"},
        look_steps=LOOK_STEPS,
        crop=crop_of(operations),
        lies=orientation_of(operations),
        own=[item for item in operations if item["type"] not in proposed],
        overridden=dict(shown.recipe.user_overrides) if shown.recipe else {},
        turned=shown_recipe is not None and any(item["type"] in GEOMETRY for item in shown_recipe.operations),
        publish={
            row.n: publish_words(
                photo,
                row,
                current=shown.current is not None and shown.current.n == row.n,
                mode=mode.value,
                outage=way.waits_for,
                upload=sending.get(row.n),
            )
            for row in shown.versions
        },
        sending=sending,
        after=after.sha256 if after and after.sha256 != photo.sha256 else None,
        before=before.sha256 if before and before.sha256 != photo.sha256 else None,
        can_undo=bool(shown.versions) or photo.state is WorkState.ADVISED,
        can_change=shown.recipe is not None and photo.failed_at is None and photo.state is not WorkState.CANCELLED,
        seen=seen_in(photo),
        belongs=belongs,
        group_names=KIND_NAMES,
        tellable=telling.proposed(findings_of(photo)) if connected_of(request, photo.owner_id) is not None else None,
        can_outline=context.models.why_not(Job.SEGMENTATION) is None,
        page="photo",
    )
