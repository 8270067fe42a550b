"""The login form, for browsers. Scripts send the password as bearer instead."""

from aiohttp import web

from immich_sidecar.web.context import BASE, context_of, link
from immich_sidecar.web.pages import render
from immich_sidecar.web.security import (
    ATTEMPTS,
    COOKIE,
    SESSION_SECONDS,
    is_https,
    next_path,
    same_password,
    sessions_of,
    too_many,
)

#: Longest body of the login form.
MAX_FORM = 8 << 10


async def show(request: web.Request) -> web.StreamResponse:
    """The form; an open service has none and shows the inbox."""
    if context_of(request).password is None:
        raise web.HTTPSeeOther(link(request, "/"))
    return await render(request, "login.html", next=request.query.get("next", ""), wrong=False)


async def log_in(request: web.Request) -> web.StreamResponse:
    """Check the password; right: set the cookie and go on to the page that was wanted."""
    context = context_of(request)
    if context.password is None:
        raise web.HTTPSeeOther(link(request, "/"))
    if (request.content_length or 0) > MAX_FORM:
        raise web.HTTPRequestEntityTooLarge(max_size=MAX_FORM, actual_size=request.content_length or 0)
    attempts, address = request.config_dict[ATTEMPTS], request.remote or ""
    if wait := attempts.wait(address):
        raise too_many(wait)
    form = await request.post()
    wanted = str(form.get("next", ""))
    if not same_password(str(form.get("password", "")), context.password):
        attempts.failed(address)
        response = await render(request, "login.html", next=wanted, wrong=True)
        response.set_status(401)
        return response
    attempts.succeeded(address)
    base = request.config_dict[BASE]
    answer = web.HTTPSeeOther(next_path(wanted, base))
    answer.set_cookie(
        COOKIE,
        sessions_of(request).issue(),
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="Lax",
        secure=is_https(request),
        path=f"{base}/" if base else "/",
    )
    raise answer


async def log_out(request: web.Request) -> web.StreamResponse:
    """Forget the login of this browser."""
    base = request.config_dict[BASE]
    answer = web.HTTPSeeOther(link(request, "/login"))
    answer.del_cookie(COOKIE, path=f"{base}/" if base else "/")
    raise answer
