"""What differs between the versions of Immich: which are supported, and what their refusals mean.

Immich 2 answers an error with `{"message": text or list, "error", "statusCode", "correlationId"}`, Immich 3 with
`{"message": text}` and, where a request is invalid, a list `errors`. What stands between us and it (a proxy, a
tunnel) answers with pages of its own.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

import httpx
from immich_py_client.models import Album

from immich_sidecar.errors import (
    ImmichAwayError,
    ImmichCredentialsError,
    ImmichError,
    ImmichGoneError,
    ImmichPermissionError,
    ImmichQuotaError,
    ImmichRefusedError,
    ImmichServerError,
    ImmichTransferError,
    ImmichVersionError,
)


class Credential(StrEnum):
    """What calls to Immich are made with."""

    #: An API key, limited by its permissions.
    KEY = "key"
    #: The session of a user who is signed in to Immich; not limited by permissions.
    SESSION = "session"
    #: Nothing.
    NONE = "none"


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

#: What a key is asked for at set-up besides, if nothing else is chosen: it makes the pages better and harms nothing.
#: `asset.delete` is never among it.
DEFAULT_FEATURES = ("thumbnails", "review_tags", "albums", "faces", "statistics", "unstack", "about")

Version = tuple[int, int, int]


@dataclass(frozen=True)
class Feature:
    """Something optional that needs permissions of its own."""

    #: All of them are needed.
    permissions: tuple[str, ...]
    #: What a user gets for them, as a sentence of a page.
    words: str
    #: The first version that can do it.
    since: Version = (2, 5, 0)


#: Every optional feature by its name.
FEATURES: Mapping[str, Feature] = MappingProxyType(
    {
        "thumbnails": Feature(("asset.view",), "Show Immich's own small pictures before a photo was fetched."),
        "review_tags": Feature(
            ("tag.create", "tag.read", "tag.asset"), "Tag photos, so that Immich can list what waits for you."
        ),
        "albums": Feature(
            (*ALBUM_PERMISSIONS, "albumAsset.delete"), "Put a version into the albums that its original is in."
        ),
        "faces": Feature(("face.read", "person.read"), "Know where the faces are, and keep them inside of a crop."),
        "native_edits": Feature(
            ("asset.edit.get", "asset.edit.create", "asset.edit.delete"),
            "Let Immich itself do a plain crop or a rotation, without a new file.",
        ),
        # What lies in an album stays, so that has to be looked up.
        "retire": Feature(
            ("asset.delete", "album.read"), "Move versions of ours that were replaced or rejected to the trash."
        ),
        "webhook": Feature(
            ("workflow.create", "workflow.read", "workflow.update", "workflow.delete"),
            "Be told of a new photo at once.",
            since=(3, 0, 0),
        ),
        "statistics": Feature(("asset.statistics",), "Count photos before a whole library is processed."),
        "unstack": Feature(("stack.delete",), "Dissolve stacks that were made for a version when it is taken back."),
        "about": Feature(("server.about",), "Show which Immich this is."),
        "refresh": Feature(("job.create",), "Ask Immich to read a photo again after its metadata was written."),
        "disconnect": Feature(("apiKey.delete",), "Delete this key in Immich when you disconnect."),
        "socket": Feature(("all",), "Hear of new photos and changes as they happen; the key may then do everything."),
    }
)

#: Statuses that say "not now": a proxy without its server behind it, a restart, too many requests.
_AWAY = {408, 425, 429, 502, 503, 504, 521, 522, 523, 530}
#: Those that what stands between also gives for one file that is too slow or too much for it.
_NOT_THROUGH = {408, 502, 503, 504}
_NOT_THERE = re.compile(r"Not found or no \S+ access|(API Key|Album|Asset|Stack|Tag|Workflow) not found")
_NOT_ACCEPTED = {
    Credential.KEY: "Immich does not accept the API key ({said}); connect again, or set a new IMMICH_API_KEY",
    Credential.SESSION: "Immich does not know the session any more ({said}); sign in again",
    Credential.NONE: "Immich does not accept it ({said}); check the e-mail address and the password",
}
_NOT_ALLOWED = {
    Credential.KEY: "the API key may not ({said}); add the permission to the key in Immich",
    Credential.SESSION: "this user may not ({said}); sign in as one who may",
    Credential.NONE: "it is not open to all ({said}); sign in first",
}
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
        raise ImmichVersionError(f"Immich {text} is too old: update it to 2.5 or newer; until then nothing is written")
    if (major, minor) >= FIRST_UNSUPPORTED_VERSION:
        raise ImmichVersionError(f"Immich {text} is not known yet: update the sidecar; until then nothing is written")
    return text


def missing_permissions(granted: Iterable[str], *, albums: bool = False) -> tuple[str, ...]:
    """The permissions that a key with these granted ones lacks; `all` grants everything."""
    have = set(granted)
    if "all" in have:
        return ()
    needed = NEEDED_PERMISSIONS + (ALBUM_PERMISSIONS if albums else ())
    return tuple(permission for permission in needed if permission not in have)


def permissions_for(features: Iterable[str] = DEFAULT_FEATURES, *, version: Version | None = None) -> tuple[str, ...]:
    """What a key that is to serve these features is asked for; features that the version lacks are left out.

    Raises
    ------
    KeyError
        If there is no such feature.
    """
    chosen = [FEATURES[name] for name in features]
    wanted = [
        permission
        for feature in chosen
        if version is None or feature.since <= version
        for permission in feature.permissions
    ]
    if "all" in wanted:
        return ("all",)
    return tuple(dict.fromkeys((*NEEDED_PERMISSIONS, *wanted)))


def features_of(granted: Iterable[str]) -> frozenset[str]:
    """The features that these permissions allow; `all` allows each."""
    have = set(granted)
    return frozenset(
        name for name, feature in FEATURES.items() if "all" in have or have.issuperset(feature.permissions)
    )


def knows_workflows(version: Version) -> bool:
    """Whether Immich has workflows that can call a webhook; those of 2.x are of another kind, and hidden."""
    return version >= (3, 0, 0)


def lists_all_albums(version: Version) -> bool:
    """Whether one list holds all albums that a user sees; before 3.0 those that others share are asked for apart."""
    return version >= (3, 0, 0)


def can_clear_ratings(version: Version) -> bool:
    """Whether Immich takes `null` for a rating; before 2.6 a rating can be changed and not be taken away."""
    return version >= (2, 6, 0)


def role_in(album: Album, user_id: str | None) -> str | None:
    """What a user is to an album: `owner`, `editor`, `viewer` or None.

    Immich 2 names the owner apart from the others, Immich 3 lists it among the users.
    """
    if user_id and album.owner_id == user_id:
        return "owner"
    roles = [member.role for member in album.album_users or () if member.user and member.user.id == user_id]
    return (roles[0] or None) if roles else None


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


def error_of(
    response: httpx.Response, tried: str, credential: Credential = Credential.KEY, *, transferring: bool = False
) -> ImmichError | None:
    """The error that a response (its body read) means, or None where it is no error.

    `tried` completes the sentence "Could not ...", e.g. `upload IMG_1.jpg`; `credential` is what was shown. A file
    that is answered so while it is `transferring` may be answered so each time, although Immich is there.
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
    if transferring and status in _NOT_THROUGH:
        return ImmichTransferError(f"{could_not}: the file did not get through to Immich ({said}); it is tried again")
    if status in _AWAY:
        return ImmichAwayError(f"{could_not}: Immich does not answer now ({said}); it is tried again")
    if status == 401:
        return ImmichCredentialsError(f"{could_not}: {_NOT_ACCEPTED[credential].format(said=said)}")
    if status == 403:
        return ImmichPermissionError(f"{could_not}: {_NOT_ALLOWED[credential].format(said=said)}")
    if status == 413:
        return ImmichQuotaError(
            f"{could_not}: it is too large for a proxy before Immich (413); raise its limit on uploads"
        )
    if status == 400 and "quota" in message.lower():
        return ImmichQuotaError(f"{could_not}: the user's quota in Immich is used up ({said})")
    if status == 400 and _NOT_THERE.search(message):
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
        return ImmichTransferError(f"Could not {tried}: the connection was cut ({reason}); it is tried again")
    if isinstance(error, httpx.UnsupportedProtocol | httpx.InvalidURL):
        return ImmichRefusedError(f"Could not {tried}: IMMICH_URL is no address of a server ({reason})")
    return ImmichAwayError(f"Could not {tried}: Immich cannot be reached ({reason}); it is tried again")
