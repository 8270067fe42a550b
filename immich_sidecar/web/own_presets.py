"""Presets: the page that lists them, and what programs ask about them."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.advise.looks import look_of
from immich_sidecar.advise.presets import MEANINGS, Chosen, chosen
from immich_sidecar.errors import ConflictError, InvalidParameterError
from immich_sidecar.immich.rules import Rules
from immich_sidecar.library import backfills, luts, presets
from immich_sidecar.library import photos as photo_rows
from immich_sidecar.library.recipes import load
from immich_sidecar.library.tables import BackfillRow, ConnectionRow, PresetRow
from immich_sidecar.recipe.look import Look
from immich_sidecar.web.context import context_of, is_htmx, json_body, link, owner_of, photo_id
from immich_sidecar.web.pages import render
from immich_sidecar.web.preset_choices import presets_of
from immich_sidecar.web.words import own_preset_words

#: Steps that make up a look; others that a photo has are offered for a preset too, but not ticked at first.
LOOK_STEPS = ("tone", "white_balance", "saturation", "monochrome", "lut", "sharpen")


async def page(request: web.Request) -> web.StreamResponse:
    """The presets and LUTs of an owner."""
    return await show(request)


async def show(request: web.Request, *, problem: str | None = None, done: str | None = None) -> web.Response:
    """The page, or with htmx its content, with what was done or why it was not."""
    owner = (await owner_of(request)).id
    async with context_of(request).database.reading() as session:
        own = await presets.all_of(session, owner)
        tables = await luts.all_of(session, owner)
    response = await render(
        request,
        "partials/presets.html" if is_htmx(request) else "presets.html",
        everybodys=[meaning for meaning in MEANINGS.values() if meaning.look],
        own=[(presets.name_of(row), row) for row in own],
        luts=tables,
        problem=problem,
        done=done,
        page="library",
    )
    if problem is not None and not is_htmx(request):
        response.set_status(422)
    return response


async def act(request: web.Request) -> web.StreamResponse:
    """Rename or delete one of the owner's presets."""
    owner, name = (await owner_of(request)).id, request.match_info["preset"]
    form = await request.post()
    action = request.match_info["action"]
    if action not in ("rename", "delete"):
        raise web.HTTPNotFound(text="A preset can be renamed and deleted.")
    try:
        if action == "rename":
            await _rename(request, owner, name, str(form.get("name", "")))
        else:
            await _delete(request, owner, name)
    except (ConflictError, InvalidParameterError) as error:
        return await show(request, problem=str(error))
    if is_htmx(request):
        return await show(request, done="Renamed." if action == "rename" else "Deleted.")
    raise web.HTTPSeeOther(link(request, "/presets"))


# ---- for programs


async def list_all(request: web.Request) -> web.Response:
    """Everybody's presets and the owner's own."""
    owner = (await owner_of(request)).id
    async with context_of(request).database.reading() as session:
        own = [own_json(row) for row in await presets.all_of(session, owner)]
    everybodys = [
        {"name": preset.value, "label": meaning.label, "words": meaning.words, "own": False, "operations": meaning.look}
        for preset, meaning in MEANINGS.items()
    ]
    return web.json_response({"presets": [*everybodys, *own]})


async def create_json(request: web.Request) -> web.Response:
    """Keep a preset: of operations that are given, or of what was done to a photo."""
    owner = (await owner_of(request)).id
    body = await json_body(request)
    if not isinstance(body, Mapping) or not isinstance(body.get("name"), str):
        raise web.HTTPBadRequest(
            text='A preset is {"name": "...", "operations": {...}}, or with "photo" a list of steps.'
        )
    photo, wanted = body.get("photo"), body.get("operations")
    async with context_of(request).database.transaction() as session:
        if photo is None:
            if not isinstance(wanted, Mapping):
                raise web.HTTPBadRequest(text="operations: an object from operation to parameters")
            operations: Look = wanted
            await _check_lut(session, owner, operations)
        else:
            if not isinstance(photo, str) or not (wanted is None or _are_words(wanted)):
                raise web.HTTPBadRequest(text="With a photo, operations is a list of the steps to take from it.")
            operations = await taken_from(session, owner, photo, LOOK_STEPS if wanted is None else wanted)
        row = await presets.create(session, owner, body["name"], operations)
    return web.json_response(own_json(row), status=201)


async def rename_json(request: web.Request) -> web.Response:
    """Give one of the owner's presets another name."""
    owner = (await owner_of(request)).id
    body = await json_body(request)
    if not isinstance(body, Mapping) or not isinstance(body.get("name"), str):
        raise web.HTTPBadRequest(text='name: text, as {"name": "Evening"}')
    return web.json_response(own_json(await _rename(request, owner, request.match_info["preset"], body["name"])))


async def delete_json(request: web.Request) -> web.Response:
    """Delete one of the owner's presets."""
    await _delete(request, (await owner_of(request)).id, request.match_info["preset"])
    return web.Response(status=204)


def own_json(row: PresetRow) -> dict[str, Any]:
    """A preset of an owner as the API tells it."""
    return {
        "name": presets.name_of(row),
        "label": row.name,
        "words": own_preset_words(row.operations),
        "own": True,
        "operations": row.operations,
    }


# ---- parts


async def choices_of(session: AsyncSession, owner: str) -> list[Chosen]:
    """The looks that a photo's page shows: everybody's, and then the owner's own."""
    everybodys = [chosen(preset) for preset, meaning in MEANINGS.items() if meaning.on_photos]
    own = await presets.all_of(session, owner)
    return [*everybodys, *(Chosen(presets.name_of(row), row.name, look=row.operations) for row in own)]


async def taken_from(session: AsyncSession, owner: str, sha256: str, steps: Any) -> Look:
    """What was done to a photo beyond what was proposed, of some steps.

    Raises
    ------
    NotFoundError
        If the owner has no such photo.
    InvalidParameterError
        If nothing of that was done to it.
    """
    photo = await photo_rows.get(session, owner, photo_id(sha256))
    if photo.recipe_id is None:
        raise ConflictError("Nothing is proposed for this photo yet; wait until it is analysed.")
    look = look_of(await load(session, owner, photo.recipe_id))
    found = {name: parameters for name, parameters in look.items() if name in steps}
    if not found:
        raise InvalidParameterError(
            "operations: nothing of that was done to the photo beyond what was suggested.", field="operations"
        )
    return found


async def _rename(request: web.Request, owner: str, name: str, new_name: str) -> PresetRow:
    async with context_of(request).database.transaction() as session:
        return await presets.rename(session, owner, name, new_name)


async def _delete(request: web.Request, owner: str, name: str) -> None:
    async with context_of(request).database.transaction() as session:
        row = await presets.get(session, owner, name)
        place = await _used_by(session, owner, name)
        if place is not None:
            raise ConflictError(f"“{row.name}” is chosen in {place}; choose another preset there first.")
        await presets.delete(session, owner, name)


async def _used_by(session: AsyncSession, owner: str, name: str) -> str | None:
    """Where rules choose a preset for photos that are still to come."""
    kept = await session.exec(select(ConnectionRow.rules).where(col(ConnectionRow.owner_id) == owner))
    if any(name in presets_of(Rules.read(rules)) for rules in kept):
        return "your rules"
    query = select(BackfillRow.rules).where(
        col(BackfillRow.owner_id) == owner, col(BackfillRow.state).in_(backfills.OPEN)
    )
    open_ones = await session.exec(query)
    return "a backfill" if any(name in presets_of(Rules.read(rules)) for rules in open_ones) else None


async def _check_lut(session: AsyncSession, owner: str, operations: Look) -> None:
    lut = operations.get("lut")
    if not isinstance(lut, Mapping):
        return
    sha256 = str(lut.get("sha256", ""))
    if not sha256.isascii() or not await luts.has(session, owner, sha256):
        raise InvalidParameterError("lut.sha256: there is no such LUT of yours; import it first.", field="lut.sha256")


def _are_words(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(word, str) for word in value)
