"""Finding out who asks: the password as bearer, a session of ours, an open service, or the session of Immich."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from urllib.parse import quote, urlsplit

from aiohttp import hdrs, web
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.errors import ImmichError, NotFoundError
from immich_sidecar.immich.api import ImmichUser
from immich_sidecar.library import sessions, switches
from immich_sidecar.library.owners import ensure_owner
from immich_sidecar.library.owners import owners as all_owners
from immich_sidecar.library.tables import LOCAL_OWNER, ConnectionRow, OwnerRow, SessionRow, SwitchRow, now
from immich_sidecar.settings import origin_of
from immich_sidecar.web import proxies
from immich_sidecar.web.access import SET_UP_PATHS, By, Kind, Visitor, is_open_path, remember_visitor
from immich_sidecar.web.attempts import attempts_of, same_password
from immich_sidecar.web.context import BASE, context_of, link, route_of, wants_json, without_base
from immich_sidecar.web.paths import encoded_path

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: Name of our own session cookie.
COOKIE = "immich_sidecar_session"
#: Name of the cookie in which Immich keeps the token of a session. It is read, shown to Immich, and nothing else.
IMMICH_COOKIE = "immich_access_token"
#: Switch of an owner whom a user of Immich claimed by signing in: the user's id.
CLAIMED = "immich_user"
#: Switch of an owner whose key Immich refuses: since when we know.
REFUSED_SINCE = "key_refused_since"

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
#: States of a connection that say that Immich refuses the key, and that it accepts it.
_REFUSED, _ACCEPTED = ("credentials",), ("ok", "permission", "version")


def bearer_of(request: web.Request) -> str | None:
    """What stands behind `Authorization: Bearer`; None where there is no such header."""
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def carries_cookie(request: web.Request) -> bool:
    """Whether the request carries a cookie that says who it is."""
    return COOKIE in request.cookies or IMMICH_COOKIE in request.cookies


def is_open_service(request: web.Request) -> bool:
    """Whether whoever asks is taken for the operator: there is no password, and they sit at this computer.

    Where users of Immich can sign in, a request that a reverse proxy passed on (or may have) is none of this kind.
    """
    context = context_of(request)
    if context.password is not None:
        return False
    if context.sign_in is None:
        return True
    settings = context.settings
    public = urlsplit(settings.public_url or "").hostname
    if (public and not proxies.is_loopback(public)) or settings.trusted_proxies or settings.base_path:
        return False
    return not proxies.came_through_proxy(request) and proxies.is_loopback(proxies.host_name(request))


async def find_visitor(request: web.Request) -> Visitor | None:
    """Who asks; None where nobody knows.

    Raises
    ------
    web.HTTPException
        If a password was sent and it is wrong, or sent too often.
    ImmichError
        If only Immich could say, and it does not answer.
    """
    context = context_of(request)
    token = bearer_of(request)
    if token is not None and context.password is not None:
        _check_bearer(request, token, context.password)
        return await _operator(request, By.BEARER)
    if cookie := request.cookies.get(COOKIE):
        visitor = await _by_session(request, cookie)
        if visitor is not None:
            return visitor
    if is_open_service(request):
        return await _operator(request, By.OPEN)
    cookie = request.cookies.get(IMMICH_COOKIE)
    if cookie and context.sign_in is not None:
        user = await context.sign_in.by_session(cookie, request.headers.get(hdrs.USER_AGENT, ""))
        if user is not None:
            return await person(request, user)
    return None


@web.middleware
async def identity(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Find out who asks; lead others to the sign-in, and those who have not agreed to anything yet to the set-up."""
    route = route_of(request)
    if is_open_path(route):
        return await handler(request)
    visitor = await find_visitor(request)
    if visitor is None:
        raise await _sign_in_first(request)
    remember_visitor(request, visitor)
    for owner in request.query.getall("owner", []):
        # Handlers ask `owner_of`; one that forgets must not show a page about somebody else either.
        if owner and owner not in visitor.owner_ids:
            raise NotFoundError(f"There is no owner {owner[:64]!r}.")
    if not visitor.set_up and not route.startswith(SET_UP_PATHS):
        if wants_json(request) or request.method not in _SAFE_METHODS:
            raise web.HTTPForbidden(
                text="Nothing is set up for you yet: open the page and agree to a connection first."
            )
        raise web.HTTPSeeOther(link(request, "/setup"))
    return await handler(request)


# ---- the operator


def _check_bearer(request: web.Request, token: str, password: str) -> None:
    attempts, address = attempts_of(request), proxies.client_address(request)
    attempts.check(address)
    if not same_password(token, password):
        attempts.failed(address)
        raise web.HTTPUnauthorized(text="The password is wrong.", headers={"WWW-Authenticate": "Bearer"})
    attempts.succeeded(address)


async def _operator(request: web.Request, by: By, session_id: str | None = None) -> Visitor:
    async with context_of(request).database.reading() as session:
        owner_ids = await unclaimed_owners(session)
    owner_id = LOCAL_OWNER if LOCAL_OWNER in owner_ids or not owner_ids else min(owner_ids)
    return Visitor(Kind.OPERATOR, by, owner_ids, owner_id, "Operator", session_id=session_id)


async def unclaimed_owners(session: AsyncSession) -> frozenset[str]:
    """The owners that no user of Immich has: what the operator may see."""
    claimed = set((await session.exec(select(SwitchRow.owner_id).where(SwitchRow.name == CLAIMED))).all())
    claimed |= set(
        (await session.exec(select(ConnectionRow.owner_id).where(col(ConnectionRow.key).is_not(None)))).all()
    )
    return frozenset(owner.id for owner in await all_owners(session) if owner.id not in claimed)


# ---- users of Immich


@dataclass(frozen=True)
class _Place:
    """The owner of an Immich user, as the rows stand."""

    owner_id: str
    connection: ConnectionRow | None
    #: Whether all rows that a person needs are there.
    complete: bool


async def person(request: web.Request, user: ImmichUser, by: By = By.IMMICH, session_id: str | None = None) -> Visitor:
    """A user of Immich as our visitor; their owner is made where there is none yet."""
    context = context_of(request)
    async with context.database.reading() as session:
        place = await _place(session, user.id)
    if not place.complete:
        async with context.database.transaction() as session:
            await _claim(session, user, place)
            place = await _place(session, user.id)
    return Visitor(
        Kind.PERSON,
        by,
        frozenset({place.owner_id}),
        place.owner_id,
        user.name or user.email,
        is_admin=user.is_admin,
        immich_user_id=user.id,
        immich_email=user.email or None,
        session_id=session_id,
        set_up=place.connection is not None,
    )


async def connection_of(session: AsyncSession, immich_user_id: str) -> ConnectionRow | None:
    """The connection of an Immich user, working or not."""
    query = select(ConnectionRow).where(ConnectionRow.immich_user_id == immich_user_id)
    return (await session.exec(query)).first()


def works(request: web.Request, connection: ConnectionRow | None) -> bool:
    """Whether there is a key for a connection that Immich is not known to refuse."""
    if connection is None or connection.disconnected_at is not None or connection.state in _REFUSED:
        return False
    connections = context_of(request).connections
    return connections is None or connections.of_owner(connection.owner_id) is not None


async def _place(session: AsyncSession, immich_user_id: str) -> _Place:
    connection = await connection_of(session, immich_user_id)
    owner_id = connection.owner_id if connection is not None else immich_user_id
    owner = await session.get(OwnerRow, owner_id)
    # The operator keeps `local` while its key comes from the settings: whoever set it has that user's photos anyway.
    shared = connection is not None and owner_id == LOCAL_OWNER and connection.key is None
    claimed = shared or await switches.get(session, owner_id, CLAIMED) == immich_user_id
    return _Place(owner_id, connection, owner is not None and claimed)


async def _claim(session: AsyncSession, user: ImmichUser, place: _Place) -> None:
    owner = await ensure_owner(session, place.owner_id, user.name or user.email)
    if owner.name == owner.id and user.name and owner.id == user.id:
        owner.name = user.name
        session.add(owner)
    await switches.put(session, place.owner_id, CLAIMED, user.id)


# ---- sessions of ours


async def _by_session(request: web.Request, token: str) -> Visitor | None:
    context = context_of(request)
    async with context.database.reading() as session:
        row = await sessions.find(session, token)
    if row is None:
        return None
    return await by_row(request, row)


async def by_row(request: web.Request, row: SessionRow) -> Visitor | None:
    """Whose session it is; None where it does not hold any more."""
    context = context_of(request)
    visitor: Visitor | None
    if row.kind == sessions.PASSWORD:
        visitor = await _operator(request, By.SESSION, row.id) if context.password is not None else None
    else:
        visitor = await _by_immich_session(request, row)
    if visitor is not None and now() - row.seen_at > sessions.NOTED_EVERY:
        async with context.database.transaction() as session:
            await sessions.used(session, row.id)
    return visitor


async def _by_immich_session(request: web.Request, row: SessionRow) -> Visitor | None:
    """Whose session it is, unless Immich refuses the user's key since: then they must sign in again.

    There is no token to ask Immich about them with, but there is their key: it ends with the user.
    """
    context = context_of(request)
    if row.immich_user_id is None or context.sign_in is None:
        return None
    async with context.database.reading() as session:
        connection = await connection_of(session, row.immich_user_id)
        since = await switches.get(session, connection.owner_id, REFUSED_SINCE) if connection else None
    if connection is not None and connection.state in (_REFUSED if since is None else _ACCEPTED):
        since = now().isoformat() if since is None else None
        async with context.database.transaction() as session:
            await switches.put(session, connection.owner_id, REFUSED_SINCE, since)
    if since is not None and row.created_at <= datetime.fromisoformat(since):
        async with context.database.transaction() as session:
            await sessions.revoke(session, row.id)
        return None
    is_admin = row.is_admin and (connection is None or connection.key is None or connection.is_admin)
    email = (connection.immich_user_email if connection else None) or ""
    user = ImmichUser(row.immich_user_id, row.user_name or "", email, is_admin, quota_bytes=None, used_bytes=None)
    return await person(request, user, By.SESSION, row.id)


async def note_refusal(session: AsyncSession, immich_user_id: str) -> None:
    """Before a session begins: note that the user's key is refused, so that only older sessions end by it."""
    connection = await connection_of(session, immich_user_id)
    if connection is None or connection.state not in _REFUSED:
        return
    if await switches.get(session, connection.owner_id, REFUSED_SINCE) is None:
        await switches.put(session, connection.owner_id, REFUSED_SINCE, (now() - timedelta(seconds=1)).isoformat())


# ---- those whom nobody knows


def beside_immich(request: web.Request) -> bool:
    """Whether a reverse proxy shows us and Immich under one origin: then Immich's own login leads back to us."""
    settings = context_of(request).settings
    theirs = origin_of(settings.immich_link())
    return bool(settings.pages_path()) and theirs is not None and theirs == proxies.origin(request)


def asked_for(request: web.Request) -> str:
    """Path and query as the browser sees them, whether a proxy strips the base path or not; empty for the inbox."""
    path, query = without_base(request, request.rel_url.raw_path), request.rel_url.raw_query_string
    if path == "/" and not query:
        return ""
    return f"{request.config_dict[BASE]}{path}" + (f"?{query}" if query else "")


def immichs_login(request: web.Request, wanted: str) -> str:
    """Address of Immich's own login page, from which it goes on to us; the mark in it keeps us from asking twice."""
    back = link(request, "/login", back=1, next=encoded_path(wanted) or None)
    return f"/auth/login?continue={quote(back, safe='')}"


async def _sign_in_first(request: web.Request) -> web.HTTPException:
    if wants_json(request) or request.method not in _SAFE_METHODS:
        return web.HTTPUnauthorized(
            text="Sign in first, or send the password as `Authorization: Bearer`.",
            headers={"WWW-Authenticate": "Bearer"},
        )
    wanted = asked_for(request)
    sign_in = context_of(request).sign_in
    if sign_in is not None and beside_immich(request):
        try:
            await sign_in.ways()
        except ImmichError:
            pass  # Immich's login page would not show either; ours says so
        else:
            return web.HTTPSeeOther(immichs_login(request, wanted))
    return web.HTTPSeeOther(link(request, "/login", next=encoded_path(wanted) or None))
