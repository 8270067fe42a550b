"""What a reverse proxy says about a request, believed only of proxies that `SIDECAR_TRUSTED_PROXIES` names."""

import ipaddress
from urllib.parse import urlsplit

from aiohttp import hdrs, web

from immich_sidecar.settings import Settings, origin_of
from immich_sidecar.web.context import context_of

#: Headers that tell of a proxy, whether it is trusted or not.
_SIGNS = ("X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Real-IP", "Forwarded", "Via")


def client_address(request: web.Request) -> str:
    """Address of whoever asks: that of the connection, or what trusted proxies say before it."""
    settings = context_of(request).settings
    address = request.remote or ""
    if not _is_trusted(settings, address):
        return address
    # Each proxy adds the address that it saw at the end; the first that is no proxy of ours is the client, and what
    # stands before it anybody may have written.
    told = [part.strip() for line in request.headers.getall("X-Forwarded-For", ()) for part in line.split(",")]
    for part in reversed([part for part in told if part]):
        address = _plain(part)
        if not _is_trusted(settings, address):
            break
    return address


def host(request: web.Request) -> str:
    """Host and port that the browser asked for, in lower case."""
    return (_told(request, "X-Forwarded-Host") or request.headers.get(hdrs.HOST) or "").lower()


def host_name(request: web.Request) -> str:
    """Host without port that the browser asked for; empty where that is no host."""
    try:
        return (urlsplit(f"//{host(request)}").hostname or "").lower()
    except ValueError:
        return ""


def scheme(request: web.Request) -> str | None:
    """`https` or `http` as the browser speaks it; None where nobody trustworthy says."""
    if request.secure:
        return "https"
    told = (_told(request, "X-Forwarded-Proto") or "").lower()
    return told if told in ("http", "https") else None


def origin(request: web.Request) -> str | None:
    """Our origin in the browser's eyes: that of `SIDECAR_PUBLIC_URL`, else what the request says."""
    public = context_of(request).settings.public_url
    return origin_of(public) if public else origin_of(f"{scheme(request) or 'http'}://{host(request)}")


def is_https(request: web.Request) -> bool:
    """Whether the browser speaks https, to us or to a proxy before us. Decides only whether a cookie is Secure.

    The origin that a browser itself names with a form counts too: nobody else can have written it there.
    """
    public = context_of(request).settings.public_url or ""
    named = request.headers.get(hdrs.ORIGIN, "")
    return scheme(request) == "https" or public.startswith("https://") or named.startswith("https://")


def came_through_proxy(request: web.Request) -> bool:
    """Whether anything says that a proxy passed the request on."""
    return any(name in request.headers for name in _SIGNS)


def is_loopback(name: str) -> bool:
    """Whether a host name or address is this computer itself."""
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def _told(request: web.Request, name: str) -> str | None:
    if not _is_trusted(context_of(request).settings, request.remote or ""):
        return None
    # The nearest proxy writes last; what comes before it may be the client's own words.
    value = ",".join(request.headers.getall(name, ())).rpartition(",")[2].strip()
    return value or None


def _is_trusted(settings: Settings, address: str) -> bool:
    if not settings.trusted_proxies:
        return False
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return any(found in network for network in settings.trusted_proxies)


def _plain(text: str) -> str:
    """An address without a port, as some proxies add one."""
    if text.startswith("["):
        return text[1:].partition("]")[0]
    return text.partition(":")[0] if text.count(":") == 1 else text
