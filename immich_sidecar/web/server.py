"""The web application, put together."""

import hashlib
import hmac
import secrets
from collections.abc import Awaitable, Callable

from aiohttp import web

from immich_sidecar.library import sessions, switches
from immich_sidecar.library.tables import LOCAL_OWNER
from immich_sidecar.web import (
    account,
    api_queue,
    backfill,
    doors,
    frames,
    groups_page,
    hooks,
    inbox,
    login,
    media,
    models,
    outlining,
    own_luts,
    own_presets,
    people,
    photo,
    rules_page,
    search,
    setup,
    socket,
    status,
    tasting,
    telling_immich,
    uploading,
)
from immich_sidecar.web.api import ROUTES
from immich_sidecar.web.attempts import ATTEMPTS, Attempts
from immich_sidecar.web.context import BASE, CONTEXT, TEMPLATES, WebContext, context_of
from immich_sidecar.web.failures import failures
from immich_sidecar.web.identity import identity
from immich_sidecar.web.immich_names import CATALOGUE, Catalogue
from immich_sidecar.web.pages import environment, note_last_event
from immich_sidecar.web.pending import PENDING, Pending
from immich_sidecar.web.security import SECRET, headers, host_check, origin_check, proof_check
from immich_sidecar.web.socket import SOCKETS, close_all

#: Largest body of a form or a JSON request, in bytes; uploads are streamed and have their own limit.
MAX_BODY = 1 << 20
#: Switches of the operator: the secret of this installation, and what tells a new password from the one before.
_SECRET_SWITCH, _PASSWORD_SWITCH = "session_secret", "password_mark"


def build_web(context: WebContext) -> web.Application:
    """The application with all routes; the caller runs it.

    With a base path every route answers with and without that path, so a reverse proxy may
    strip it or not; links always carry it.
    """
    app = web.Application(
        middlewares=[headers, failures, host_check, origin_check, note_last_event, identity, proof_check],
        client_max_size=MAX_BODY,
    )
    app[CONTEXT] = context
    app[TEMPLATES] = environment(context.assets)
    app[BASE] = context.settings.pages_path()
    app[SOCKETS] = {}
    app[ATTEMPTS] = Attempts()
    app[SECRET] = []
    app[CATALOGUE] = Catalogue()
    app[PENDING] = Pending(_log_out_of(context))
    for prefix in dict.fromkeys(("", app[BASE])):
        _add_routes(app, prefix)
    app.on_startup.append(_prepare_sessions)
    app.on_shutdown.append(close_all)
    app.on_shutdown.append(_forget_pending)
    app.on_cleanup.append(_look_no_more)
    return app


def _add_routes(app: web.Application, prefix: str) -> None:
    router = app.router
    for route in ROUTES:
        router.add_route(route.method, prefix + route.path, route.handler)
    for path, handler in (
        ("/", inbox.page),
        ("/filters", inbox.filters),
        ("/failed-files", inbox.failed_files),
        ("/search", search.page),
        ("/groups", groups_page.page),
        ("/upload", uploading.show),
        ("/photos/{id}", photo.page),
        ("/photos/{id}/card", inbox.card),
        ("/photos/{id}/panel", photo.panel),
        ("/photos/{id}/adjusted", photo.adjusted),
        ("/photos/{id}/made-ready", photo.made_ready),
        ("/photos/{id}/frames", frames.choices),
        ("/photos/{id}/looks/{preset}", photo.look),
        ("/photos/{id}/preview", media.preview),
        ("/photos/{id}/thumbnail", media.thumbnail),
        ("/queue", api_queue.page),
        ("/status", status.page),
        ("/login", login.show),
        ("/setup", setup.page),
        ("/account", account.page),
        ("/people", people.page),
        ("/rules", rules_page.page),
        ("/rules/trial", rules_page.trial_part),
        ("/rules/samples/{asset}", rules_page.sample),
        ("/backfill", backfill.page),
        ("/backfill/{backfill}", backfill.one),
        ("/backfill/{backfill}/samples/{asset}", backfill.sample),
        ("/presets", own_presets.page),
        ("/models", models.page),
        ("/open", doors.show),
        ("/open/waiting", doors.waiting),
        ("/review", doors.review),
        ("/static/{name:.+}", static_file),
        ("/ws", socket.connect),
    ):
        router.add_get(prefix + path, handler)
    for path, handler in (
        ("/photos", inbox.bulk),
        ("/upload", uploading.upload),
        ("/photos/{id}/change", photo.change),
        ("/photos/{id}/switch", photo.switch),
        ("/photos/{id}/preset", photo.choose_preset),
        ("/photos/{id}/outline", outlining.outline),
        ("/photos/{id}/tell-immich", telling_immich.write),
        ("/photos/{id}/keep-preset", photo.keep_preset),
        ("/photos/{id}/{action}", photo.action),
        ("/queue/{action}", api_queue.page_action),
        ("/login", login.log_in),
        ("/hooks/immich/{connection}", hooks.receive),
        ("/logout", login.log_out),
        ("/setup", setup.agree),
        ("/account/choices", account.choose),
        ("/account/sessions", account.end_sessions),
        ("/account/taste", tasting.choose),
        ("/account/disconnect", account.disconnect),
        ("/open", doors.take),
        ("/rules", rules_page.act),
        ("/groups/{group}/dismiss", groups_page.dismiss),
        ("/presets/{preset}/{action}", own_presets.act),
        ("/models/{model}/{action}", models.act),
        ("/luts", own_luts.upload),
        ("/luts/{lut}/{action}", own_luts.act),
        ("/backfill", backfill.create),
        ("/backfill/{backfill}/{action}", backfill.act),
    ):
        router.add_post(prefix + path, handler)
    if prefix:
        router.add_get(prefix, _to_inbox)


async def static_file(request: web.Request) -> web.StreamResponse:
    """A static file; kept for ever by browsers where the address names its digest."""
    assets, name = context_of(request).assets, request.match_info["name"]
    path = assets.path(name)
    if path is None:
        raise web.HTTPNotFound(text="There is no such file.")
    exact = request.query.get("v") == assets.digest(name)
    cache = "public, max-age=31536000, immutable" if exact else "no-cache"
    return web.FileResponse(path, headers={"Cache-Control": cache})


async def _to_inbox(request: web.Request) -> web.StreamResponse:
    """The base path without its slash: the page has relatives only below it."""
    raise web.HTTPSeeOther(f"{request.config_dict[BASE]}/")


def _log_out_of(context: WebContext) -> Callable[[str], Awaitable[None]]:
    async def log_out(token: str) -> None:
        if context.sign_in is not None:
            await context.sign_in.log_out(token)

    return log_out


async def _prepare_sessions(app: web.Application) -> None:
    """Bring out the secret of this installation; end what a password of before had opened."""
    context = app[CONTEXT]
    async with context.database.transaction() as session:
        secret = await switches.get(session, LOCAL_OWNER, _SECRET_SWITCH)
        if not isinstance(secret, str):
            secret = secrets.token_hex(32)
            await switches.put(session, LOCAL_OWNER, _SECRET_SWITCH, secret)
        mark = _mark_of(context.password, secret)
        before = await switches.get(session, LOCAL_OWNER, _PASSWORD_SWITCH)
        if not isinstance(before, str) or not hmac.compare_digest(before, mark):
            await sessions.revoke_all(session, kind=sessions.PASSWORD)
            await switches.put(session, LOCAL_OWNER, _PASSWORD_SWITCH, mark)
        await sessions.prune(session)
    app[SECRET].append(bytes.fromhex(secret))


def _mark_of(password: str | None, secret: str) -> str:
    """What a password is recognised by; slow to make, so that nobody finds the password from it."""
    if password is None:
        return "none"
    return hashlib.scrypt(password.encode(), salt=bytes.fromhex(secret), n=2**14, r=8, p=1).hex()


async def _look_no_more(app: web.Application) -> None:
    app[CONTEXT].lookout.close()


async def _forget_pending(app: web.Application) -> None:
    await app[PENDING].close()
