"""Who may ask, and what browsers may do with our answers.

A request passes, in this order: the Host check (open service on loopback: DNS rebinding), the origin check (every
change, and the socket), the password (cookie of a login, or `Authorization: Bearer`).
"""

import hashlib
import hmac
import ipaddress
import secrets
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from immich_sidecar.settings import Settings
from immich_sidecar.web.context import BASE, context_of, link, wants_json

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: Name of the login cookie.
COOKIE = "immich_sidecar_session"
#: Seconds that a login lasts.
SESSION_SECONDS = 30 * 24 * 3600
#: Failed logins of one address that cost no waiting.
FREE_ATTEMPTS = 4
#: Longest waiting time after a failed login, in seconds.
MAX_WAIT = 60.0
#: Addresses whose failures are remembered.
MAX_ADDRESSES = 10_000

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_OPEN_PATHS = ("/healthz", "/readyz", "/login", "/static/")

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; frame-ancestors 'self'; base-uri 'none'; form-action 'self'"
    ),
    "Server": "immich-sidecar",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


class Sessions:
    """Login cookies: an expiry time and a nonce, signed with a secret of this installation and the password.

    Nothing is kept for a session, so logins survive a restart; a new password ends them all.
    """

    def __init__(self, secret: bytes, password: str) -> None:
        self._key = hmac.digest(secret, password.encode(), "sha256")

    def issue(self, now: float | None = None) -> str:
        """A new cookie value."""
        expires = int((time.time() if now is None else now) + SESSION_SECONDS)
        body = f"{expires}.{secrets.token_urlsafe(12)}"
        return f"{body}.{self._sign(body)}"

    def valid(self, cookie: str, now: float | None = None) -> bool:
        """Whether we issued the value and it has not expired."""
        body, _, signature = cookie.rpartition(".")
        if not hmac.compare_digest(signature.encode(), self._sign(body).encode()):
            return False
        expires = body.partition(".")[0]
        return expires.isdigit() and int(expires) > (time.time() if now is None else now)

    def _sign(self, body: str) -> str:
        return urlsafe_b64encode(hmac.digest(self._key, body.encode(), "sha256")).decode().rstrip("=")


class Attempts:
    """Slows guessing: after a few failures an address waits, twice as long each time."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._failures: OrderedDict[str, tuple[int, float]] = OrderedDict()

    def wait(self, address: str) -> float:
        """Seconds that the address has to wait before its next attempt; 0: go on."""
        return max(0.0, self._failures.get(address, (0, 0.0))[1] - self._clock())

    def failed(self, address: str) -> None:
        """Count a wrong password."""
        count = self._failures.pop(address, (0, 0.0))[0] + 1
        delay = 0.0 if count <= FREE_ATTEMPTS else min(MAX_WAIT, 2.0 ** (count - FREE_ATTEMPTS))
        self._failures[address] = (count, self._clock() + delay)
        while len(self._failures) > MAX_ADDRESSES:
            self._failures.popitem(last=False)

    def succeeded(self, address: str) -> None:
        """Forget the failures of an address."""
        self._failures.pop(address, None)


SESSIONS = web.AppKey("sessions", list[Sessions])
ATTEMPTS = web.AppKey("attempts", Attempts)


def sessions_of(request: web.Request) -> Sessions:
    """The issuer of login cookies; there is one once the service has started with a password."""
    return request.config_dict[SESSIONS][0]


def same_password(given: str, password: str) -> bool:
    """Compare in a time that does not depend on where the two differ, nor on their lengths."""
    return hmac.compare_digest(hashlib.sha256(given.encode()).digest(), hashlib.sha256(password.encode()).digest())


def is_https(request: web.Request) -> bool:
    """Whether the browser speaks https, to us or to a proxy before us. Decides only whether a cookie is Secure."""
    public = context_of(request).settings.public_url or ""
    forwarded = request.headers.get("X-Forwarded-Proto", "").split(",")[0].strip().lower()
    return request.secure or forwarded == "https" or public.startswith("https://")


def allowed_hosts(settings: Settings) -> frozenset[str]:
    """Host names, without port, under which an open service answers."""
    names = {"localhost", "127.0.0.1", "::1", settings.host.strip("[]").lower()}
    if settings.public_url:
        names.add(urlsplit(settings.public_url).hostname or "")
    return frozenset(names - {""})


def _host_name(host: str) -> str:
    return (urlsplit(f"//{host}").hostname or "").lower()


def _is_loopback(name: str) -> bool:
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _bearer(request: web.Request) -> str | None:
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else None


def _has_login(request: web.Request) -> bool:
    cookie = request.cookies.get(COOKIE)
    return bool(cookie) and sessions_of(request).valid(cookie or "")


@web.middleware
async def headers(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Put the security headers on every answer."""
    try:
        response = await handler(request)
    except web.HTTPException as redirect:
        redirect.headers.update(HEADERS)
        raise
    if not response.prepared:
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
    return response


@web.middleware
async def host_check(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse a foreign Host on an open service: a page elsewhere must not reach us by renaming itself."""
    context = context_of(request)
    if context.password is None:
        try:
            name = _host_name(request.headers.get(hdrs.HOST, ""))
        except ValueError:
            name = ""
        if name not in allowed_hosts(context.settings) and not _is_loopback(name):
            raise web.HTTPForbidden(
                text="This service is open and answers only under its own name. Open it as localhost, or set "
                "SIDECAR_PUBLIC_URL to the address you use and SIDECAR_PASSWORD to a password."
            )
    return await handler(request)


def origin_allowed(request: web.Request) -> bool:
    """Whether a changing request comes from our own pages, or from no browser at all."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        return site in ("same-origin", "none")
    origin = request.headers.get(hdrs.ORIGIN)
    if origin is None:
        # Browsers send one of the two headers with every change. Without both a script asks, and a script has
        # no business with a browser's cookie.
        return COOKIE not in request.cookies
    try:
        parts = urlsplit(origin)
    except ValueError:
        return False
    public = urlsplit(context_of(request).settings.public_url or "")
    if public.netloc and (parts.scheme, parts.netloc) == (public.scheme, public.netloc):
        return True
    return bool(parts.netloc) and parts.netloc.lower() == request.headers.get(hdrs.HOST, "").lower()


@web.middleware
async def origin_check(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse changes, and sockets, that another site's page asks for."""
    is_socket = request.headers.get(hdrs.UPGRADE, "").lower() == "websocket"
    if (request.method not in _SAFE_METHODS or is_socket) and not _bearer(request) and not origin_allowed(request):
        raise web.HTTPForbidden(
            text="The request comes from another site and was refused. Behind a reverse proxy, set "
            "SIDECAR_PUBLIC_URL to the address that the browser shows."
        )
    return await handler(request)


@web.middleware
async def password_check(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Let in who has logged in, or carries the password as bearer; show others the login form."""
    context = context_of(request)
    path = request.path.removeprefix(request.config_dict[BASE])
    if context.password is None or path.startswith(_OPEN_PATHS):
        return await handler(request)
    token = _bearer(request)
    if token is not None:
        attempts, address = request.config_dict[ATTEMPTS], request.remote or ""
        if wait := attempts.wait(address):
            raise too_many(wait)
        if same_password(token, context.password):
            attempts.succeeded(address)
            return await handler(request)
        attempts.failed(address)
        raise web.HTTPUnauthorized(text="The password is wrong.", headers={"WWW-Authenticate": "Bearer"})
    if _has_login(request):
        return await handler(request)
    if wants_json(request) or request.method not in _SAFE_METHODS:
        raise web.HTTPUnauthorized(
            text="Log in, or send the password as `Authorization: Bearer`.", headers={"WWW-Authenticate": "Bearer"}
        )
    wanted = urlsafe_b64encode(request.path_qs.encode()).decode()
    raise web.HTTPSeeOther(link(request, "/login", next=wanted if request.path_qs not in ("/", "") else None))


def too_many(wait: float) -> web.HTTPTooManyRequests:
    """The answer to who guesses too fast."""
    seconds = max(1, round(wait))
    return web.HTTPTooManyRequests(
        text=f"Too many wrong passwords. Try again in {seconds} seconds.", headers={"Retry-After": str(seconds)}
    )


def next_path(encoded: str, base: str) -> str:
    """Where a login leads: the page that was asked for, or the inbox where that is no path of ours."""
    try:
        path = urlsafe_b64decode(encoded.encode()).decode()
    except ValueError:
        path = ""
    if not path.startswith("/") or path.startswith(("//", "/\\")) or any(ord(sign) < 32 for sign in path):
        return f"{base}/"
    return path
