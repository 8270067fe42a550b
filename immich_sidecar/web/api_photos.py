"""The API about photos: lists, one photo, commands, changes and the batch."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiohttp import web

from immich_sidecar.errors import SidecarError
from immich_sidecar.library import photos as photo_rows
from immich_sidecar.library.tables import PhotoRow, Review, WorkState
from immich_sidecar.web.acting import ACTIONS, act, patch_in, preset_in, version_in
from immich_sidecar.web.context import BASE, context_of, json_body, owner_of, photo_id_of, whole_number
from immich_sidecar.web.failures import error_json
from immich_sidecar.web.photo_json import Shown, gather, photo_json

#: Photos of one page, at most.
MAX_PAGE = 200
#: Photos of one batch, at most.
MAX_BATCH = 500


async def shown_photo(request: web.Request) -> Shown:
    """The photo that the path names, of the request's owner.

    Raises
    ------
    NotFoundError
        If this owner has no such photo.
    """
    owner, identity = (await owner_of(request)).id, photo_id_of(request)
    async with context_of(request).database.reading() as session:
        row = await photo_rows.get(session, owner, identity)
        return (await gather(session, owner, [row]))[0]


def told(request: web.Request, shown: Shown, *, with_masks: bool = True) -> dict[str, Any]:
    """A photo as JSON, with addresses that fit the request."""
    link = context_of(request).settings.immich_link()
    return photo_json(shown, base=request.config_dict[BASE], immich_link=link, with_masks=with_masks)


async def _told_row(request: web.Request, row: PhotoRow) -> dict[str, Any]:
    async with context_of(request).database.reading() as session:
        return told(request, (await gather(session, row.owner_id, [row]))[0])


def _choice(request: web.Request, name: str, kind: type[Any]) -> Any:
    value = request.query.get(name)
    if value is None or value == "":
        return None
    try:
        return kind(value)
    except ValueError:
        raise web.HTTPBadRequest(text=f"{name}: one of {', '.join(item.value for item in kind)}") from None


def limit_of(request: web.Request, default: int = 60) -> int:
    """How many rows of a list are wanted: 1 to `MAX_PAGE`."""
    limit = whole_number(request.query.get("limit", str(default)))
    if limit is None or not 1 <= limit <= MAX_PAGE:
        raise web.HTTPBadRequest(text=f"limit: a whole number from 1 to {MAX_PAGE}")
    return limit


async def list_photos(request: web.Request) -> web.Response:
    """One page of an owner's photos, newest first."""
    owner = (await owner_of(request)).id
    failed = {"": None, "true": True, "false": False}.get(request.query.get("failed", ""), ...)
    if failed is ...:
        raise web.HTTPBadRequest(text="failed: true or false")
    async with context_of(request).database.reading() as session:
        page = await photo_rows.page(
            session,
            owner,
            status=request.query.get("status") or None,
            review=_choice(request, "review", Review),
            state=_choice(request, "state", WorkState),
            failed=failed,
            after=request.query.get("after") or None,
            limit=limit_of(request),
        )
        shown = await gather(session, owner, page.items)
    return web.json_response({"items": [told(request, item, with_masks=False) for item in shown], "next": page.next})


async def one_photo(request: web.Request) -> web.Response:
    """One photo with its recipe and versions."""
    return web.json_response(told(request, await shown_photo(request)))


def command(action: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """The handler of one command."""

    async def handle(request: web.Request) -> web.Response:
        owner, identity = (await owner_of(request)).id, photo_id_of(request)
        row = await act(context_of(request), owner, identity, action, version_in(await json_body(request)))
        return web.json_response(await _told_row(request, row))

    return handle


async def change_recipe(request: web.Request) -> web.Response:
    """Change overrides of the newest recipe; a new version is rendered at once."""
    owner, identity = (await owner_of(request)).id, photo_id_of(request)
    body = await json_body(request)
    version = version_in(body)
    row = await act(context_of(request), owner, identity, "change", version, patch=patch_in(body.get("operations")))
    return web.json_response(await _told_row(request, row))


async def apply_preset(request: web.Request) -> web.Response:
    """Give the photo another preset; a new version is rendered at once."""
    owner, identity = (await owner_of(request)).id, photo_id_of(request)
    body = await json_body(request)
    version = version_in(body)
    row = await act(context_of(request), owner, identity, "preset", version, preset=preset_in(body))
    return web.json_response(await _told_row(request, row))


async def batch(request: web.Request) -> web.Response:
    """Run one command on each of many photos; each succeeds or fails by itself."""
    context, owner = context_of(request), (await owner_of(request)).id
    items = await json_body(request)
    if not isinstance(items, list) or not 1 <= len(items) <= MAX_BATCH:
        raise web.HTTPBadRequest(text=f"A list of 1 to {MAX_BATCH} objects with id, version and action.")
    return web.json_response({"results": [await _one_of_batch(context, owner, item) for item in items]})


async def _one_of_batch(context: Any, owner: str, item: Any) -> dict[str, Any]:
    identity = item.get("id") if isinstance(item, Mapping) else None
    try:
        if not isinstance(item, Mapping) or not isinstance(identity, str):
            raise web.HTTPBadRequest(text="Each item is an object with id, version and action.")
        action = item.get("action")
        if action not in (*ACTIONS, "preset"):
            raise web.HTTPBadRequest(text=f"action: one of {', '.join(ACTIONS)}, preset")
        preset = preset_in(item) if action == "preset" else None
        row = await act(context, owner, identity, str(action), version_in(item), preset=preset)
    except (SidecarError, web.HTTPException) as error:
        return {"id": identity, "ok": False, **error_json(error)}
    return {
        "id": identity,
        "ok": True,
        "version": row.version,
        "review": row.review.value,
        "state": photo_rows.status_of(row),
    }
