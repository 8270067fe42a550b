"""The socket: events out, with replay, and commands in."""

import asyncio
import json
import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from aiohttp import WSCloseCode, WSMsgType, web

from immich_sidecar.errors import SidecarError
from immich_sidecar.events import Event
from immich_sidecar.library.photos import status_of
from immich_sidecar.web.access import By, Visitor, visitor_of
from immich_sidecar.web.acting import MESSAGES, act, preset_in, version_in
from immich_sidecar.web.context import BASE, WebContext, context_of, owner_of, whole_number
from immich_sidecar.web.failures import error_json
from immich_sidecar.web.identity import find_visitor

_log = logging.getLogger(__name__)

#: Seconds between two heartbeats; a peer that answers none is dropped.
HEARTBEAT = 25.0
#: Longest message taken, in bytes.
MAX_MESSAGE = 64 << 10
#: Seconds between two looks at whether a socket's visitor may still listen.
LOOK_AGAIN = 30.0
#: Close code for a visitor who must sign in again (codes from 4000 on are free for applications).
SIGN_IN_AGAIN = 4401

#: The open sockets, and who listens there.
SOCKETS = web.AppKey("sockets", dict[web.WebSocketResponse, Visitor])


def event_json(event: Event, base: str = "") -> dict[str, Any]:
    """An event in the shape that users know; addresses in it begin with the base path."""
    data = dict(event.data)
    if base and isinstance(data.get("preview_url"), str):
        data["preview_url"] = base + data["preview_url"]
    if event.sha256 is not None:
        data.setdefault("file_id", event.sha256)
    data.setdefault("owner", event.owner_id)
    shaped: dict[str, Any] = {"type": event.type.value, "data": data}
    if event.id is not None:
        shaped["id"] = event.id
    return shaped


async def connect(request: web.Request) -> web.StreamResponse:
    """Follow an owner's events: those after `?after=ID` first, then what happens; take commands meanwhile."""
    context, visitor = context_of(request), visitor_of(request)
    owner = (await owner_of(request)).id
    after = request.query.get("after")
    since = None if after is None else whole_number(after)
    if after is not None and since is None:
        raise web.HTTPBadRequest(text="after: the id of the last event seen, a whole number")
    socket = web.WebSocketResponse(heartbeat=HEARTBEAT, max_msg_size=MAX_MESSAGE)
    if not socket.can_prepare(request).ok:
        raise web.HTTPUpgradeRequired(text="This address speaks WebSocket.")
    await socket.prepare(request)
    request.config_dict[SOCKETS][socket] = visitor
    base = request.config_dict[BASE]
    sending = asyncio.create_task(_send_events(context, socket, owner, since, base))
    watching = asyncio.create_task(_watch(request, socket, visitor, owner))
    try:
        async for message in socket:
            if message.type is WSMsgType.TEXT:
                await socket.send_json(await _answer(context, owner, message.data))
            elif message.type is WSMsgType.BINARY:
                await socket.send_json(_refusal(None, None, 400, "Messages are JSON text."))
    except ConnectionError:
        pass  # the peer went away while we answered
    finally:
        for task in (sending, watching):
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        request.config_dict[SOCKETS].pop(socket, None)
    return socket


async def _watch(request: web.Request, socket: web.WebSocketResponse, visitor: Visitor, owner: str) -> None:
    """End a socket whose visitor is nobody any more, or no more one who may listen to this owner."""
    if visitor.by in (By.OPEN, By.BEARER):
        return
    while True:
        await asyncio.sleep(LOOK_AGAIN)
        try:
            found = await find_visitor(request)
        except SidecarError:
            continue  # Immich is away, or the database busy: who was known stays known until one says otherwise
        if found is None or owner not in found.owner_ids:
            await socket.close(code=SIGN_IN_AGAIN, message=b"sign in again")
            return


async def close_of_session(request: web.Request, session_id: str) -> None:
    """End the sockets of a session that has ended."""
    for socket, visitor in list(request.config_dict[SOCKETS].items()):
        if visitor.session_id == session_id:
            await socket.close(code=SIGN_IN_AGAIN, message=b"sign in again")


async def _send_events(
    context: WebContext, socket: web.WebSocketResponse, owner: str, after: int | None, base: str
) -> None:
    subscription = context.events.subscribe(owner, after=after)
    try:
        if after is not None and not await context.events.holds_all_after(after):
            await socket.send_json({"type": "events_lost", "data": {}})
        async for event in subscription:
            await socket.send_json(event_json(event, base))
    except ConnectionError:
        pass  # the reading side notices and ends
    except Exception:  # noqa: BLE001  the boundary of a connection: a page that hears nothing must reconnect
        _log.exception("sending events to a page failed")
        await socket.close(code=WSCloseCode.INTERNAL_ERROR)
    finally:
        subscription.close()


async def _answer(context: WebContext, owner: str, text: str) -> dict[str, Any]:
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return _refusal(None, None, 400, "Messages are JSON text.")
    if not isinstance(message, Mapping):
        return _refusal(None, None, 400, "A message is an object.")
    request_id, file_id, kind = message.get("request_id"), message.get("file_id"), message.get("type")
    if kind == "ping":
        return {"type": "pong", "request_id": request_id, "data": {}}
    action = MESSAGES.get(kind) if isinstance(kind, str) else None
    if action is None:
        return _refusal(request_id, file_id, 400, f"Unknown type; there are {', '.join(MESSAGES)}.")
    if not isinstance(file_id, str):
        return _refusal(request_id, None, 400, "file_id: the SHA-256 of the photo's original")
    patch = {"crop": message.get("crop")} if kind == "modify_crop" else message.get("operations")
    try:
        preset = preset_in(message) if action == "preset" else None
        photo = await act(context, owner, file_id, action, version_in(message), patch=patch, preset=preset)
    except (SidecarError, web.HTTPException) as error:
        told = error_json(error)
        return {"type": "error", "request_id": request_id, "data": {"file_id": file_id, "ok": False, **told}}
    data = {
        "file_id": file_id,
        "ok": True,
        "status": status_of(photo),
        "version": photo.version,
        "review": photo.review.value,
    }
    return {"type": "result", "request_id": request_id, "data": data}


def _refusal(request_id: Any, file_id: Any, status: int, error: str) -> dict[str, Any]:
    data = {"file_id": file_id, "ok": False, "status": status, "error": error}
    return {"type": "error", "request_id": request_id, "data": data}


async def close_all(app: web.Application) -> None:
    """End all sockets; pages connect again by themselves once the service is back."""
    sockets = app[SOCKETS]
    for socket in tuple(sockets):
        await socket.close(code=WSCloseCode.GOING_AWAY, message=b"the service stops")
