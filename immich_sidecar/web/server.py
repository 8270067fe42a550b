"""The web application, put together."""

import secrets
from urllib.parse import urlsplit

from aiohttp import web

from immich_sidecar.library import switches
from immich_sidecar.library.tables import LOCAL_OWNER
from immich_sidecar.web import api_queue, inbox, login, media, photo, socket, status, uploading
from immich_sidecar.web.api import ROUTES
from immich_sidecar.web.context import BASE, CONTEXT, TEMPLATES, WebContext, context_of
from immich_sidecar.web.failures import failures
from immich_sidecar.web.pages import environment
from immich_sidecar.web.security import (
    ATTEMPTS,
    SESSIONS,
    Attempts,
    Sessions,
    headers,
    host_check,
    origin_check,
    password_check,
)
from immich_sidecar.web.socket import SOCKETS, close_all

#: Largest body of a form or a JSON request, in bytes; uploads are streamed and have their own limit.
MAX_BODY = 1 << 20
_SECRET_SWITCH = "session_secret"  # noqa: S105  the name under which it is kept


def base_path(public_url: str | None) -> str:
    """The path under which browsers see us: that of `SIDECAR_PUBLIC_URL`, without a slash at its end."""
    return urlsplit(public_url or "").path.rstrip("/")


def build_web(context: WebContext) -> web.Application:
    """The application with all routes; the caller runs it.

    With a path in `SIDECAR_PUBLIC_URL` every route answers with and without that path, so a reverse proxy may
    strip it or not; links always carry it.
    """
    app = web.Application(
        middlewares=[headers, failures, host_check, origin_check, password_check], client_max_size=MAX_BODY
    )
    app[CONTEXT] = context
    app[TEMPLATES] = environment(context.assets)
    app[BASE] = base_path(context.settings.public_url)
    app[SOCKETS] = set()
    app[ATTEMPTS] = Attempts()
    app[SESSIONS] = []
    for prefix in dict.fromkeys(("", app[BASE])):
        _add_routes(app, prefix)
    app.on_startup.append(_prepare_sessions)
    app.on_shutdown.append(close_all)
    return app


def _add_routes(app: web.Application, prefix: str) -> None:
    router = app.router
    for route in ROUTES:
        router.add_route(route.method, prefix + route.path, route.handler)
    for path, handler in (
        ("/", inbox.page),
        ("/filters", inbox.filters),
        ("/failed-files", inbox.failed_files),
        ("/upload", uploading.show),
        ("/photos/{id}", photo.page),
        ("/photos/{id}/card", inbox.card),
        ("/photos/{id}/panel", photo.panel),
        ("/photos/{id}/adjusted", photo.adjusted),
        ("/photos/{id}/made-ready", photo.made_ready),
        ("/photos/{id}/preview", media.preview),
        ("/photos/{id}/thumbnail", media.thumbnail),
        ("/queue", api_queue.page),
        ("/status", status.page),
        ("/login", login.show),
        ("/static/{name:.+}", static_file),
        ("/ws", socket.connect),
    ):
        router.add_get(prefix + path, handler)
    for path, handler in (
        ("/photos", inbox.bulk),
        ("/upload", uploading.upload),
        ("/photos/{id}/change", photo.change),
        ("/photos/{id}/switch", photo.switch),
        ("/photos/{id}/{action}", photo.action),
        ("/queue/{action}", api_queue.page_action),
        ("/login", login.log_in),
        ("/logout", login.log_out),
    ):
        router.add_post(prefix + path, handler)
    if prefix:
        router.add_get(prefix, inbox.page)


async def static_file(request: web.Request) -> web.StreamResponse:
    """A static file; kept for ever by browsers where the address names its digest."""
    assets, name = context_of(request).assets, request.match_info["name"]
    path = assets.path(name)
    if path is None:
        raise web.HTTPNotFound(text="There is no such file.")
    exact = request.query.get("v") == assets.digest(name)
    cache = "public, max-age=31536000, immutable" if exact else "no-cache"
    return web.FileResponse(path, headers={"Cache-Control": cache})


async def _prepare_sessions(app: web.Application) -> None:
    context = app[CONTEXT]
    if context.password is None:
        return
    async with context.database.transaction() as session:
        secret = await switches.get(session, LOCAL_OWNER, _SECRET_SWITCH)
        if not isinstance(secret, str):
            secret = secrets.token_hex(32)
            await switches.put(session, LOCAL_OWNER, _SECRET_SWITCH, secret)
    app[SESSIONS].append(Sessions(bytes.fromhex(secret), context.password))
