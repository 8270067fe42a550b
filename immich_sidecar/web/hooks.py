"""What Immich tells us by itself: its workflow calls here when a photo has come in.

Nothing of what it says is believed but that there may be something to look at. The answer is given at once,
because Immich keeps a worker waiting for it.
"""

import json
import logging
from typing import Any

from aiohttp import web

from immich_sidecar.immich.set_up import HEADER
from immich_sidecar.web.context import context_of

_log = logging.getLogger(__name__)

#: Digits that a connection's number may have.
_MOST_DIGITS = 18


async def receive(request: web.Request) -> web.Response:
    """Take note of a new photo: 202 at once, the work comes after.

    Whoever does not know the secret learns nothing, also not whether there is such a connection: 404. Bodies are at
    most as large as any other of ours (413).
    """
    connections = context_of(request).connections
    number = request.match_info["connection"]
    connection_id = int(number) if number.isascii() and number.isdigit() and len(number) <= _MOST_DIGITS else 0
    if connections is None or not connections.believes(connection_id, request.headers.get(HEADER, "")):
        raise web.HTTPNotFound(text="There is nothing here.")
    asset_id = _asset_id(await request.read())
    if asset_id is None:
        raise web.HTTPBadRequest(text="The body names no asset.")
    if not connections.noticed(connection_id, asset_id, "webhook"):
        _log.info("a webhook told of asset %s, which is not looked at now; asking finds it", asset_id)
    return web.Response(status=202)


def _asset_id(body: bytes) -> str | None:
    """The id of the asset that Immich tells about, in small letters; None where there is none."""
    told: Any
    try:
        told = json.loads(body)
    except (ValueError, RecursionError):
        return None
    for name in ("data", "asset", "id"):
        told = told.get(name) if isinstance(told, dict) else None
    return told.lower() if isinstance(told, str) and len(told) <= 36 else None
