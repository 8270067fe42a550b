"""What browsers may do with our answers, and from where changes may come.

Under one origin with Immich a hole in a page of ours opens the whole Immich account, so every change is proven twice:
the browser says that it comes from a page of ours (`Sec-Fetch-Site`, else `Origin`), and the request has something
that a form of another page cannot have (htmx's header, JSON, or the token that our own forms carry).
"""

import hmac
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from immich_sidecar.settings import Settings, origin_of
from immich_sidecar.web import proxies
from immich_sidecar.web.access import By, Visitor, is_open_path, known_visitor, visitor_of
from immich_sidecar.web.context import context_of, route_of
from immich_sidecar.web.identity import bearer_of, carries_cookie

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

#: Name of the field in which forms carry their token; a form with files carries it in its address.
TOKEN_FIELD = "token"  # noqa: S105  a field's name

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
#: What a form of any page may send without asking us first (the Fetch standard calls them safelisted).
_PLAIN_TYPES = frozenset({"", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain"})

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'self'; img-src 'self' blob: data:; object-src 'none'; frame-ancestors 'self'; base-uri 'none'; "
        "form-action 'self'"
    ),
    "Server": "immich-sidecar",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}

#: The secret of this installation; there is one once the service has started.
SECRET = web.AppKey("secret", list[bytes])


def allowed_hosts(settings: Settings) -> frozenset[str]:
    """Host names, without port, under which an open service answers."""
    names = {"localhost", "127.0.0.1", "::1", settings.host.strip("[]").lower()}
    if settings.public_url:
        names.add(urlsplit(settings.public_url).hostname or "")
    return frozenset(names - {""})


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
    if context.password is None and context.sign_in is None and not _is_hook(request):
        name = proxies.host_name(request)
        if name not in allowed_hosts(context.settings) and not proxies.is_loopback(name):
            raise web.HTTPForbidden(
                text="This service is open and answers only under its own name. Open it as localhost, or set "
                "SIDECAR_PUBLIC_URL to the address you use and SIDECAR_PASSWORD to a password."
            )
    return await handler(request)


def origin_allowed(request: web.Request) -> bool:
    """Whether a changing request comes from our own pages, or from no browser at all."""
    site = request.headers.get("Sec-Fetch-Site")
    if site is not None:
        # "none" is what the address bar sends: a person's own doing, and never a change with a cookie.
        return site == "same-origin" or (site == "none" and not carries_cookie(request))
    named = request.headers.get(hdrs.ORIGIN)
    if named is None:
        # Browsers send one of the two headers with every change. Without both a script asks, and a script has
        # no business with a browser's cookie.
        return not carries_cookie(request)
    theirs = origin_of(named)
    if theirs is None or named.lower() != theirs:
        return False
    if theirs == proxies.origin(request):
        return True
    # Without a proxy that we trust nobody can say whether the browser speaks https: host and port must do.
    told = proxies.scheme(request)
    return origin_of(f"{told or urlsplit(theirs).scheme}://{proxies.host(request)}") == theirs


@web.middleware
async def origin_check(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse changes, and sockets, that another site's page asks for."""
    is_socket = request.headers.get(hdrs.UPGRADE, "").lower() == "websocket"
    changes = request.method not in _SAFE_METHODS or is_socket
    if changes and not _is_hook(request) and not bearer_of(request) and not origin_allowed(request):
        raise web.HTTPForbidden(
            text="The request comes from another site and was refused. Behind a reverse proxy, set "
            "SIDECAR_PUBLIC_URL to the address that the browser shows."
        )
    return await handler(request)


@web.middleware
async def proof_check(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse changes that a plain form of another page could have sent, were it not for its origin.

    The sign-in form is the exception: who sends it is nobody yet, and its origin is checked.
    """
    if request.method not in _SAFE_METHODS and not is_open_path(route_of(request)) and not await _is_proven(request):
        raise web.HTTPForbidden(text="The form is not one that this service just showed you. Load the page again.")
    return await handler(request)


async def _is_proven(request: web.Request) -> bool:
    if visitor_of(request).by is By.BEARER or request.headers.get("HX-Request") == "true":
        return True
    if _content_type(request) not in _PLAIN_TYPES:
        return True
    if "Sec-Fetch-Site" not in request.headers and hdrs.ORIGIN not in request.headers and not carries_cookie(request):
        return True  # no browser, and nothing that a browser would have lent to it
    given = request.query.get(TOKEN_FIELD)
    if given is None and _content_type(request) == "application/x-www-form-urlencoded":
        given = str((await request.post()).get(TOKEN_FIELD, ""))
    return hmac.compare_digest((given or "").encode("utf-8", "surrogatepass"), form_token(request).encode())


def form_token(request: web.Request) -> str:
    """The token for forms of this request's visitor; empty where nobody knows who it is."""
    visitor = known_visitor(request)
    return "" if visitor is None else _token_of(request.config_dict[SECRET][0], visitor)


def _token_of(secret: bytes, visitor: Visitor) -> str:
    return hmac.new(secret, f"form {visitor.who}".encode(), "sha256").hexdigest()[:32]


def _content_type(request: web.Request) -> str:
    # Not `request.content_type`: that one makes up a type where none is sent.
    return request.headers.get(hdrs.CONTENT_TYPE, "").partition(";")[0].strip().lower()


def _is_hook(request: web.Request) -> bool:
    """Whether Immich itself calls: it has a secret of its own, and no browser."""
    return route_of(request).startswith("/hooks/")
