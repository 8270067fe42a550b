"""Signing in: with Immich (its session, e-mail and password, an API key) or with the service's own password."""

from dataclasses import dataclass
from http import HTTPStatus

from aiohttp import hdrs, web

from immich_sidecar.errors import ImmichCredentialsError, ImmichError, ImmichPermissionError, ImmichRefusedError
from immich_sidecar.immich.api import ImmichUser
from immich_sidecar.immich.sign_in import SignIn, Ways
from immich_sidecar.library import sessions
from immich_sidecar.library.tables import LOCAL_OWNER
from immich_sidecar.web import proxies
from immich_sidecar.web.access import By, known_visitor
from immich_sidecar.web.attempts import FREE_ATTEMPTS_OF_ACCOUNT, account, attempts_of, same_password
from immich_sidecar.web.browsers import browser_name
from immich_sidecar.web.context import BASE, context_of, link
from immich_sidecar.web.failures import status_of_error
from immich_sidecar.web.identity import (
    COOKIE,
    IMMICH_COOKIE,
    beside_immich,
    connection_of,
    find_visitor,
    immichs_login,
    is_open_service,
    note_refusal,
    person,
    works,
)
from immich_sidecar.web.pages import render
from immich_sidecar.web.paths import next_path
from immich_sidecar.web.pending import Credential, pending_of
from immich_sidecar.web.socket import close_of_session

#: Longest body of the sign-in form.
MAX_FORM = 8 << 10
#: Longest e-mail address, password and API key that are shown to Immich.
LONGEST_FIELD = 1000


@dataclass(frozen=True)
class _Refused:
    """Why somebody was not signed in."""

    way: str
    words: str
    status: int = HTTPStatus.UNAUTHORIZED


@dataclass(frozen=True)
class _SignedIn:
    """Who signed in, and with what."""

    user: ImmichUser
    credential: Credential


async def show(request: web.Request) -> web.StreamResponse:
    """The form; who comes back from Immich's login page and is known by now is led on."""
    context = context_of(request)
    if "back" in request.query or (context.sign_in is None and is_open_service(request)):
        visitor = None
        try:
            visitor = await find_visitor(request)
        except ImmichError as error:
            return await _form(request, _Refused("immich", _away(error), status_of_error(error)))
        if visitor is not None:
            raise web.HTTPSeeOther(next_path(request.query.get("next", ""), request.config_dict[BASE]))
        # Back without a session that Immich knows: our own form, lest the two pages send the browser to and fro.
    return await _form(request)


async def log_in(request: web.Request) -> web.StreamResponse:
    """Check what was given; right: begin a session and go on to the page that was wanted."""
    context = context_of(request)
    if (request.content_length or 0) > MAX_FORM:
        raise web.HTTPRequestEntityTooLarge(max_size=MAX_FORM, actual_size=request.content_length or 0)
    form = {name: str(value) for name, value in (await request.post()).items()}
    way = form.get("way", "password")
    if any(len(form.get(name, "")) > LONGEST_FIELD for name in ("email", "password", "key")):
        raise web.HTTPBadRequest(text="That is too long.")
    if way == "password":
        if context.password is None:
            raise web.HTTPSeeOther(link(request, "/"))
        return await _by_own_password(request, form, context.password)
    if context.sign_in is None or way not in ("immich", "key"):
        raise web.HTTPBadRequest(text="way: immich, key or password, as the form offers them")
    return await _by_immich(request, form, way, context.sign_in)


async def log_out(request: web.Request) -> web.StreamResponse:
    """End the session of this browser."""
    visitor = known_visitor(request)
    if visitor is not None and visitor.session_id is not None:
        await end_session(request, visitor.session_id)
    answer = web.HTTPSeeOther(link(request, "/login"))
    answer.del_cookie(COOKIE, path=cookie_path(request))
    raise answer


async def end_session(request: web.Request, session_id: str) -> None:
    """End a session of ours, with all that hangs on it."""
    async with context_of(request).database.transaction() as session:
        await sessions.revoke(session, session_id)
    pending_of(request).drop(session_id)
    await close_of_session(request, session_id)


def cookie_path(request: web.Request) -> str:
    """The path that our cookies are for."""
    return request.config_dict[BASE] or "/"


# ---- the ways


async def _by_own_password(request: web.Request, form: dict[str, str], password: str) -> web.StreamResponse:
    attempts, address = attempts_of(request), proxies.client_address(request)
    attempts.check(address)
    if not same_password(form.get("password", ""), password):
        attempts.failed(address)
        return await _form(request, _Refused("password", "The password is wrong."), form.get("next", ""))
    attempts.succeeded(address)
    await _end_former(request)
    async with context_of(request).database.transaction() as session:
        await sessions.prune(session)
        token = await sessions.issue(session, LOCAL_OWNER, sessions.PASSWORD, browser=_browser(request))
    raise _with_session(request, token, next_path(form.get("next", ""), request.config_dict[BASE]))


async def _by_immich(request: web.Request, form: dict[str, str], way: str, sign_in: SignIn) -> web.StreamResponse:
    attempts, address = attempts_of(request), proxies.client_address(request)
    accused = [address] + ([account(form.get("email", ""))] if way == "immich" else [])
    attempts.check(*accused)
    wanted = form.get("next", "")
    try:
        signed_in = await _ask_immich(form, way, sign_in)
    except (ImmichCredentialsError, ImmichRefusedError, ImmichPermissionError) as error:
        attempts.failed(address)
        if way == "immich":
            attempts.failed(accused[1], FREE_ATTEMPTS_OF_ACCOUNT)
        return await _form(request, _Refused(way, _wrong(way, error)), wanted, form.get("email", ""))
    except ImmichError as error:
        # Nobody's fault here: it counts against nobody.
        return await _form(request, _Refused(way, _away(error), status_of_error(error)), wanted, form.get("email", ""))
    attempts.succeeded(*accused)
    raise await _begin(request, signed_in, wanted)


async def _ask_immich(form: dict[str, str], way: str, sign_in: SignIn) -> _SignedIn:
    if way == "key":
        key = form.get("key", "").strip()
        user, permissions = await sign_in.by_key(key)
        return _SignedIn(user, Credential(key=key, permissions=permissions))
    user, token = await sign_in.by_password(form.get("email", "").strip(), form.get("password", ""))
    return _SignedIn(user, Credential(token=token))


async def _begin(request: web.Request, signed_in: _SignedIn, wanted: str) -> web.HTTPException:
    """Begin a session of ours; what they signed in with is kept for a while, to connect or disconnect them."""
    context, user = context_of(request), signed_in.user
    await _end_former(request)
    visitor = await person(request, user, By.SESSION)
    async with context.database.transaction() as session:
        await sessions.prune(session)
        await note_refusal(session, user.id)
        working = works(request, await connection_of(session, user.id))
        token = await sessions.issue(
            session,
            visitor.owner_id,
            sessions.IMMICH,
            immich_user_id=user.id,
            user_name=user.name or user.email,
            is_admin=user.is_admin,
            browser=_browser(request),
            lasts=sessions.LASTS if working else sessions.LASTS_UNCONNECTED,
        )
    # Also where they are connected: a key can only be exchanged, or deleted at the end, by who just signed in.
    pending_of(request).keep(sessions.id_of(token), signed_in.credential)
    base = request.config_dict[BASE]
    return _with_session(request, token, next_path(wanted, base) if visitor.set_up else f"{base}/setup")


async def _end_former(request: web.Request) -> None:
    """End the session that the browser has so far: it gets another one."""
    if former := request.cookies.get(COOKIE):
        await end_session(request, sessions.id_of(former))


def _with_session(request: web.Request, token: str, target: str) -> web.HTTPSeeOther:
    answer = web.HTTPSeeOther(target)
    answer.set_cookie(
        COOKIE,
        token,
        max_age=int(sessions.LASTS.total_seconds()),
        httponly=True,
        samesite="Lax",
        secure=proxies.is_https(request),
        path=cookie_path(request),
    )
    return answer


def _browser(request: web.Request) -> str:
    return browser_name(request.headers.get(hdrs.USER_AGENT, ""))


# ---- the form


async def _form(
    request: web.Request, refused: _Refused | None = None, wanted: str | None = None, email: str = ""
) -> web.Response:
    context = context_of(request)
    ways: Ways | None = None
    if context.sign_in is not None:
        try:
            ways = await context.sign_in.ways()
        except ImmichError as error:
            ways = Ways(oauth=False)
            refused = refused or _Refused("immich", _away(error), HTTPStatus.OK)
    wanted = request.query.get("next", "") if wanted is None else wanted
    there = immichs_login(request, next_path(wanted, request.config_dict[BASE])) if beside_immich(request) else None
    response = await render(
        request,
        "login.html",
        next=wanted,
        refused=refused,
        email=email[:LONGEST_FIELD],
        ways=ways,
        has_own_password=context.password is not None,
        immichs_login=there if ways is not None else None,
        came_back="back" in request.query,
        immich_forgotten=IMMICH_COOKIE in request.cookies and refused is None,
    )
    if refused is not None:
        response.set_status(refused.status)
    return response


def _wrong(way: str, error: ImmichError) -> str:
    if isinstance(error, ImmichPermissionError):
        return str(error)
    if way == "key":
        return "Immich does not know this API key."
    return "Immich does not know this e-mail address with this password."


def _away(error: ImmichError) -> str:
    return f"Immich does not answer, so nobody can be signed in with it now. Nothing was counted against you. ({error})"
