"""Pictures and files: thumbnails, previews, originals and versions."""

import base64
import hashlib
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import quote

from aiohttp import hdrs, web

from immich_sidecar.advise.looks import with_preset
from immich_sidecar.errors import ConflictError, NotFoundError
from immich_sidecar.library import presets
from immich_sidecar.library.recipes import load
from immich_sidecar.library.tables import PhotoRow, VersionRow
from immich_sidecar.recipe.plan import OUTPUT_FORMATS
from immich_sidecar.recipe.recipe import Recipe, change
from immich_sidecar.web.acting import patch_in, strength_in
from immich_sidecar.web.api_photos import shown_photo
from immich_sidecar.web.context import context_of
from immich_sidecar.web.photo_json import Shown, short_digest

#: Kinds of versions that every browser shows; of others it gets the preview.
_SHOWN_BY_BROWSERS = {"image/jpeg", "image/avif"}
_FOREVER = "private, max-age=31536000, immutable"
_ASK = "private, no-cache"
#: Operations that decide what is in the frame; "before" is shown in the frame of "after". A lens alone keeps the frame.
GEOMETRY = ("orientation", "upright", "straighten", "crop")

#: What goes with them: how a RAW file becomes a picture at all, and of the lens what has to do with places.
_FRAMED: dict[str, dict[str, Any]] = {"decode": {}, "lens": {"chromatic_aberration": 0.0, "vignetting": 0.0}}


async def thumbnail(request: web.Request) -> web.StreamResponse:
    """A small picture of a version (0: of the original)."""
    shown = await shown_photo(request)
    version, cache = _wanted_version(request, shown)
    return await _picture(request, shown.photo, version, "thumbnail", cache)


async def preview(request: web.Request) -> web.StreamResponse:
    """A picture that fills a screen: of a version (0: the original), or of the recipe with changes."""
    shown = await shown_photo(request)
    if "recipe" in request.query or "preset" in request.query:
        return await _adjusted(request, shown, _patch_of(request))
    version, cache = _wanted_version(request, shown)
    if request.query.get("framed") == "1" and version is not None:
        return await _framed(request, shown.photo, version, cache)
    return await _picture(request, shown.photo, version, "preview", cache)


async def original(request: web.Request) -> web.StreamResponse:
    """The original, byte for byte."""
    photo = (await shown_photo(request)).photo
    path = await context_of(request).previews.original(photo)
    return _download(path, photo.file_name, photo.media_type, photo.sha256)


async def version_file(request: web.Request) -> web.StreamResponse:
    """A version's file."""
    shown = await shown_photo(request)
    row = _version(shown, request.match_info["n"])
    path = context_of(request).layout.absolute(row.path)
    if not path.is_file():
        raise NotFoundError(f"The file of version {row.n} is missing; `immich-sidecar verify` tells more.")
    stem = shown.photo.file_name.rpartition(".")[0] or shown.photo.file_name
    media_type = next((kind for ending, kind in OUTPUT_FORMATS.values() if path.suffix == f".{ending}"), "image/jpeg")
    show = request.query.get("show") == "1"
    if show and media_type not in _SHOWN_BY_BROWSERS:
        return await _picture(request, shown.photo, row, "preview", _kept(request, row))
    return _download(path, f"{stem}_v{row.n}{path.suffix}", media_type, row.sha256, show)


def _version(shown: Shown, text: str) -> VersionRow:
    for row in shown.versions:
        if str(row.n) == text:
            return row
    raise NotFoundError(f"The photo has no version {text[:20]!r}.")


def _wanted_version(request: web.Request, shown: Shown) -> tuple[VersionRow | None, str]:
    """The version asked for (None: the original) and how long a browser may keep the answer."""
    text = request.query.get("version")
    if text is None:
        return shown.current, _ASK
    if text == "0":
        return None, _FOREVER
    row = _version(shown, text)
    return row, _kept(request, row)


def _kept(request: web.Request, row: VersionRow) -> str:
    """How long a browser may keep a picture of a version: for ever where the address names its digest.

    A number alone is not enough: of the same photo there are others, of somebody who signs in with the same browser,
    or after a new beginning with an empty data directory.
    """
    return _FOREVER if request.query.get("digest") == short_digest(row) else _ASK


def _patch_of(request: web.Request) -> dict[str, Any]:
    try:
        value = json.loads(request.query.get("recipe", "{}"))
    except (ValueError, RecursionError) as error:
        raise web.HTTPBadRequest(text=f"recipe: not JSON ({error})") from error
    return patch_in(value) if value else {}


async def _picture(
    request: web.Request, photo: PhotoRow, version: VersionRow | None, kind: str, cache: str
) -> web.StreamResponse:
    previews = context_of(request).previews
    path = await (previews.thumbnail(photo, version) if kind == "thumbnail" else previews.preview(photo, version))
    headers = {hdrs.CACHE_CONTROL: cache, hdrs.CONTENT_TYPE: "image/jpeg"}
    return web.FileResponse(path, headers=headers)


async def _framed(request: web.Request, photo: PhotoRow, version: VersionRow, cache: str) -> web.Response:
    """The original, only placed like the version (and developed, where it is a RAW file): what a comparison needs."""
    context = context_of(request)
    async with context.database.reading() as session:
        recipe = await load(session, photo.owner_id, version.recipe_id)
    operations = [
        {"type": item.type, "parameters": {**item.parameters, **_FRAMED.get(item.type, {})}}
        for item in recipe.operations
        if item.type in (*GEOMETRY, *_FRAMED)
    ]
    return _bytes(request, await context.previews.rendered(photo, operations), cache)


async def _adjusted(request: web.Request, shown: Shown, patch: dict[str, Any]) -> web.Response:
    data = await adjusted_preview(request, shown, patch)
    return web.Response(status=204) if data is None else _bytes(request, data, _ASK)


async def adjusted_preview(request: web.Request, shown: Shown, patch: dict[str, Any]) -> bytes | None:
    """The photo with changes to its recipe that are not kept; None where the same page has asked for newer ones.

    Raises
    ------
    ConflictError
        If the photo has no recipe yet.
    RecipeError
        If the changes cannot be applied.
    """
    operations = await changed_operations(request, shown, patch)
    return await context_of(request).previews.rendered_newest(
        shown.photo, operations, client=request.query.get("client", "")[:64]
    )


async def changed_operations(request: web.Request, shown: Shown, patch: dict[str, Any]) -> list[dict[str, Any]]:
    """The operations of the newest recipe with a patch of overrides, and with `?preset=` where the request tries one.

    Raises
    ------
    ConflictError
        If the photo has no recipe yet.
    NotFoundError
        If there is no such preset.
    RecipeError
        If the patch cannot be applied.
    """
    recipe = await _recipe(request, shown)
    if name := request.query.get("preset"):
        recipe = await _with_preset(request, shown, recipe, name, strength_in(request.query.get("strength")))
    changed = change(recipe, patch, at=recipe.created_at) if patch else recipe
    return [{"type": item.type, "parameters": item.parameters} for item in changed.operations]


async def operations_with(
    request: web.Request, shown: Shown, preset: str, strength: float | None
) -> list[dict[str, Any]]:
    """The operations of the newest recipe with another preset; raises what `changed_operations` raises."""
    recipe = await _with_preset(request, shown, await _recipe(request, shown), preset, strength)
    return [{"type": item.type, "parameters": item.parameters} for item in recipe.operations]


async def _recipe(request: web.Request, shown: Shown) -> Recipe:
    if shown.recipe is None:
        raise ConflictError("There is no recipe yet: the photo is still being looked at.")
    async with context_of(request).database.reading() as session:
        return await load(session, shown.photo.owner_id, shown.recipe.id)


async def _with_preset(request: web.Request, shown: Shown, recipe: Recipe, name: str, strength: float | None) -> Recipe:
    async with context_of(request).database.reading() as session:
        wanted = await presets.find(session, shown.photo.owner_id, name, strength)
    return with_preset(recipe, wanted, is_raw=shown.photo.is_raw, at=recipe.created_at)


def _bytes(request: web.Request, data: bytes, cache: str) -> web.Response:
    etag = hashlib.sha256(data).hexdigest()[:20]
    if any(item.value == etag for item in request.if_none_match or ()):
        response = web.Response(status=304)
    else:
        response = web.Response(body=data, content_type="image/jpeg")
    response.etag = etag
    response.headers[hdrs.CACHE_CONTROL] = cache
    return response


def _download(path: Path, name: str, media_type: str, digest: str, inline: bool = False) -> web.FileResponse:
    disposition = "inline" if inline else "attachment"
    return web.FileResponse(
        path,
        headers={
            hdrs.CONTENT_TYPE: media_type or "application/octet-stream",
            hdrs.CACHE_CONTROL: _ASK,
            hdrs.CONTENT_DISPOSITION: content_disposition(disposition, name),
            "Repr-Digest": f"sha-256=:{base64.b64encode(bytes.fromhex(digest)).decode()}:",
        },
    )


def content_disposition(kind: str, name: str) -> str:
    """The header for a file name of any kind (RFC 6266): plain ASCII, and the real one percent-encoded."""
    plain = re.sub(r"[^A-Za-z0-9._ ()+-]", "_", name)[:150] or "photo"
    encoded = quote(name.encode("utf-8", "replace")[:600], safe="")
    return f"{kind}; filename=\"{plain}\"; filename*=UTF-8''{encoded}"
