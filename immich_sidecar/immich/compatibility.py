"""What differs between the versions of Immich: which are supported, and what their refusals mean.

Immich 2 answers an error with `{"message": text or list, "error", "statusCode", "correlationId"}`, Immich 3 with
`{"message": text}` and, where a request is invalid, a list `errors`. What stands between us and it (a proxy, a
tunnel) answers with pages of its own.
"""

import json
import re
from collections.abc import Iterable

import httpx

from immich_sidecar.errors import (
    ImmichAwayError,
    ImmichCredentialsError,
    ImmichError,
    ImmichGoneError,
    ImmichPermissionError,
    ImmichQuotaError,
    ImmichRefusedError,
    ImmichServerError,
    ImmichVersionError,
)

#: Versions from the first on, up to but without the second.
OLDEST_VERSION = (2, 5)
FIRST_UNSUPPORTED_VERSION = (4, 0)

#: Permissions that finding, fetching, uploading, stacking and marking photos need.
NEEDED_PERMISSIONS = (
    "user.read",
    "asset.read",
    "asset.download",
    "asset.upload",
    "asset.update",
    "asset.copy",
    "stack.create",
    "stack.read",
    "stack.update",
)
#: What `SIDECAR_ALBUMS` needs besides.
ALBUM_PERMISSIONS = ("album.read", "album.create", "albumAsset.create")
#: What taking photos needs of these; without them a connection is of no use.
INTAKE_PERMISSIONS = ("user.read", "asset.read", "asset.download")

#: Statuses that say "not now": a proxy without its server behind it, a restart, too many requests.
_AWAY = {408, 425, 429, 502, 503, 504, 521, 522, 523, 530}
_NO_ACCESS = re.compile(r"Not found or no \S+ access")
_NO_ROUTE = re.compile(r"Cannot [A-Z]+ /")
_LONGEST_MESSAGE = 300


def check_version(major: int, minor: int, patch: int) -> str:
    """The version as text.

    Raises
    ------
    ImmichVersionError
        If it is not supported.
    """
    text = f"{major}.{minor}.{patch}"
    if (major, minor) < OLDEST_VERSION:
        raise ImmichVersionError(f"Immich {text} is too old: 2.5 or newer is needed; update Immich and connect again")
    if (major, minor) >= FIRST_UNSUPPORTED_VERSION:
        raise ImmichVersionError(f"Immich {text} is not known yet: update the sidecar; until then it stays away")
    return text


def missing_permissions(granted: Iterable[str], *, albums: bool = False) -> tuple[str, ...]:
    """The permissions that a key with these granted ones lacks; `all` grants everything."""
    have = set(granted)
    if "all" in have:
        return ()
    needed = NEEDED_PERMISSIONS + (ALBUM_PERMISSIONS if albums else ())
    return tuple(permission for permission in needed if permission not in have)


def message_of(response: httpx.Response) -> str:
    """What the body of a refusal says, in one short line; empty where the body is not Immich's."""
    try:
        body = json.loads(response.content)
    except (ValueError, httpx.ResponseNotRead):
        return ""
    if not isinstance(body, dict):
        return ""
    message = body.get("message")
    parts = [str(part) for part in message] if isinstance(message, list) else [str(message or "")]
    for issue in body.get("errors") or ():
        if isinstance(issue, dict):
            path = ".".join(str(step) for step in issue.get("path") or ())
            parts.append(f"{path}: {issue.get('message')}" if path else str(issue.get("message")))
    return "; ".join(part for part in parts if part)[:_LONGEST_MESSAGE]


def error_of(response: httpx.Response, tried: str) -> ImmichError | None:
    """The error that a response (its body read) means, or None where it is no error.

    `tried` completes the sentence "Could not ...", e.g. `upload IMG_1.jpg`.
    """
    status = response.status_code
    if 200 <= status < 300:
        return None
    message = message_of(response)
    could_not = f"Could not {tried}"
    said = f"{status} {message}".strip()
    if 300 <= status < 400:
        target = response.headers.get("location", "elsewhere")
        return ImmichRefusedError(
            f"{could_not}: the address redirects to {target}; set IMMICH_URL to where Immich itself answers"
        )
    if status in _AWAY:
        return ImmichAwayError(f"{could_not}: Immich does not answer now ({said}); it is tried again")
    if status == 401:
        return ImmichCredentialsError(
            f"{could_not}: Immich does not accept the API key ({said}); make a new one and set IMMICH_API_KEY"
        )
    if status == 403:
        return ImmichPermissionError(
            f"{could_not}: the API key may not ({said}); add the permission to the key in Immich"
        )
    if status == 413:
        return ImmichQuotaError(
            f"{could_not}: it is too large for a proxy before Immich (413); raise its limit on uploads"
        )
    if status == 400 and "quota" in message.lower():
        return ImmichQuotaError(f"{could_not}: the user's quota in Immich is used up ({said})")
    if status == 400 and _NO_ACCESS.search(message):
        return ImmichGoneError(f"{could_not}: Immich does not have it any more, or it is not this user's ({said})")
    if status == 404:
        return _not_found(response, could_not, message)
    if status >= 500:
        return ImmichServerError(f"{could_not}: Immich failed ({said}); its log knows more")
    return ImmichRefusedError(f"{could_not}: Immich refused ({said or status})")


def _not_found(response: httpx.Response, could_not: str, message: str) -> ImmichError:
    if _NO_ROUTE.search(message):
        # In maintenance mode Immich knows almost no route; in versions that are supported it has all of ours.
        return ImmichAwayError(
            f"{could_not}: Immich is in maintenance mode, or IMMICH_URL leads elsewhere (404 {message})"
        )
    if not message:
        # Immich says something in JSON; a proxy whose server is just starting shows a page of its own.
        return ImmichAwayError(f"{could_not}: something before Immich answers 404; is Immich running?")
    return ImmichGoneError(f"{could_not}: Immich does not have it (404 {message})")


def error_of_transport(error: httpx.HTTPError, tried: str, *, transferring: bool = False) -> ImmichError:
    """The error that a failed transport means.

    While a file is `transferring` only a connection that could not be made counts as Immich being away: a
    transfer that is cut in the middle each time must come to an end of its attempts.
    """
    reason = str(error) or type(error).__name__
    unreachable = isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ProxyError)
    if transferring and not unreachable:
        return ImmichServerError(f"Could not {tried}: the connection was cut ({reason}); it is tried again")
    if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL):
        return ImmichRefusedError(f"Could not {tried}: IMMICH_URL is no address of a server ({reason})")
    return ImmichAwayError(f"Could not {tried}: Immich cannot be reached ({reason}); it is tried again")
