"""Colour tables (LUTs): bringing them, renaming them, taking them off the list."""

from collections.abc import Mapping
from pathlib import PurePath
from typing import Any

from aiohttp import BodyPartReader, web

from immich_sidecar.errors import ConflictError, InvalidParameterError, UnsupportedError
from immich_sidecar.library import luts
from immich_sidecar.library.presets import LONGEST_NAME
from immich_sidecar.library.tables import LutRow
from immich_sidecar.web import own_presets
from immich_sidecar.web.context import context_of, is_htmx, json_body, link, owner_of
from immich_sidecar.web.words import iso

#: Bytes of a file: as many as `develop.cube` reads, which is too heavy to be imported here (a test compares).
MAX_LUT = 16 << 20
#: Bytes read at once.
_CHUNK = 1 << 18


async def upload(request: web.Request) -> web.StreamResponse:
    """Bring a LUT, from the page."""
    owner = (await owner_of(request)).id
    try:
        data, name = await _sent(request)
        row, is_new = await _keep(request, owner, data, name)
    except (ConflictError, InvalidParameterError, UnsupportedError) as error:
        return await own_presets.show(request, problem=str(error))
    if is_htmx(request):
        return await own_presets.show(request, done=f"“{row.name}” " + ("is here." if is_new else "was here already."))
    raise web.HTTPSeeOther(link(request, "/presets"))


async def act(request: web.Request) -> web.StreamResponse:
    """Rename a LUT of the owner's, or take it off the list."""
    owner, sha256 = (await owner_of(request)).id, request.match_info["lut"]
    form = await request.post()
    action = request.match_info["action"]
    if action not in ("rename", "remove"):
        raise web.HTTPNotFound(text="A LUT can be renamed and removed.")
    try:
        async with context_of(request).database.transaction() as session:
            if action == "rename":
                await luts.rename(session, owner, sha256, str(form.get("name", "")))
            else:
                await luts.remove(session, owner, sha256)
    except InvalidParameterError as error:
        return await own_presets.show(request, problem=str(error))
    if is_htmx(request):
        return await own_presets.show(request, done="Renamed." if action == "rename" else "Removed.")
    raise web.HTTPSeeOther(link(request, "/presets"))


# ---- for programs


async def list_all(request: web.Request) -> web.Response:
    """The owner's LUTs."""
    owner = (await owner_of(request)).id
    async with context_of(request).database.reading() as session:
        rows = await luts.all_of(session, owner)
    return web.json_response({"luts": [lut_json(row) for row in rows]})


async def upload_json(request: web.Request) -> web.Response:
    """Bring a LUT: the first file of a multipart form, or the raw body named by `?name=`."""
    owner = (await owner_of(request)).id
    data, name = await _sent(request)
    row, is_new = await _keep(request, owner, data, name)
    return web.json_response(lut_json(row), status=201 if is_new else 200)


async def rename_json(request: web.Request) -> web.Response:
    """Give a LUT of the owner's another name."""
    owner = (await owner_of(request)).id
    body = await json_body(request)
    if not isinstance(body, Mapping) or not isinstance(body.get("name"), str):
        raise web.HTTPBadRequest(text='name: text, as {"name": "Evening"}')
    async with context_of(request).database.transaction() as session:
        row = await luts.rename(session, owner, request.match_info["lut"], body["name"])
    return web.json_response(lut_json(row))


async def remove_json(request: web.Request) -> web.Response:
    """Take a LUT of the owner's off the list."""
    owner = (await owner_of(request)).id
    async with context_of(request).database.transaction() as session:
        await luts.remove(session, owner, request.match_info["lut"])
    return web.Response(status=204)


def lut_json(row: LutRow) -> dict[str, Any]:
    """A LUT as the API tells it."""
    return {"sha256": row.sha256, "name": row.name, "points": row.points, "created_at": iso(row.created_at)}


# ---- parts


async def _keep(request: web.Request, owner: str, data: bytes, name: str) -> tuple[LutRow, bool]:
    context = context_of(request)
    context.space.check()
    read = await context.previews.normalised(data)
    called = _shortened(name) or _shortened(read.title) or "LUT"
    async with context.database.transaction() as session:
        return await luts.keep(
            session, context.layout, owner, name=called, normal_form=read.normal_form, points=read.points
        )


def _shortened(name: str) -> str:
    """A file's name, or a title, as a name that can be shown."""
    return "".join(c if c.isprintable() else " " for c in name)[:LONGEST_NAME].strip()


async def _sent(request: web.Request) -> tuple[bytes, str]:
    """What a request carries, and the name of it without its ending."""
    _check_size(request.content_length or 0)
    if request.content_type == "multipart/form-data":
        parts = await request.multipart()
        while (part := await parts.next()) is not None:
            if isinstance(part, BodyPartReader):
                if part.filename:
                    return await _read(part.read_chunk), _without_ending(part.filename)
                await part.release()
        raise web.HTTPBadRequest(text="The form has no file.")
    return await _read(request.content.read), _without_ending(request.query.get("name", ""))


def _without_ending(name: str) -> str:
    return PurePath(name).name.removesuffix(".cube").removesuffix(".CUBE")


async def _read(piece: Any) -> bytes:
    data = bytearray()
    while chunk := await piece(_CHUNK):
        data += chunk
        _check_size(len(data))
    if not data:
        raise web.HTTPBadRequest(text="The file is empty.")
    return bytes(data)


def _check_size(size: int) -> None:
    if size > MAX_LUT + (1 << 16):  # a form has more than the file
        raise web.HTTPRequestEntityTooLarge(
            max_size=MAX_LUT, actual_size=size, text=f"A LUT may have {MAX_LUT >> 20} MiB at most."
        )
