"""Is it alive, and can it work: for container platforms, open to everyone and saying no more than that."""

from aiohttp import web
from sqlmodel import select

from immich_sidecar.web.context import context_of


async def healthz(_request: web.Request) -> web.Response:
    """The process answers."""
    return web.json_response({"status": "ok"})


async def readyz(request: web.Request) -> web.Response:
    """The database answers. Little disk space or an absent Immich pause work but keep the pages ready."""
    try:
        async with context_of(request).database.reading() as session:
            await session.exec(select(1))
    except Exception:  # noqa: BLE001 - whatever it is, the answer is "not ready"
        return web.json_response({"status": "the database does not answer"}, status=503)
    return web.json_response({"status": "ok"})
