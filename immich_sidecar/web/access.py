"""Who asks, and whose photos they may see.

Two kinds of people come. The *operator* runs the service: whoever knows its password, or sits at the computer of an
open one. A *person* is a user of Immich. A person has exactly one owner, their own; the operator has the owners that
no user of Immich has claimed by signing in. `identity` finds out who it is; handlers ask `visitor_of`.
"""

from dataclasses import dataclass
from enum import StrEnum

from aiohttp import web

#: What answers to everybody. Everything else needs to know who asks; a test walks all routes and holds them to this.
OPEN_PATHS = ("/healthz", "/readyz", "/login")
#: The same, for everything below.
OPEN_FOLDERS = ("/static/", "/hooks/")
#: What a person sees who has not agreed to anything yet.
SET_UP_PATHS = ("/setup", "/account", "/logout")


class Kind(StrEnum):
    """What kind of visitor it is."""

    OPERATOR = "operator"
    PERSON = "person"


class By(StrEnum):
    """How we know who it is."""

    #: Nobody is asked: an open service.
    OPEN = "open"
    #: The password as `Authorization: Bearer`.
    BEARER = "bearer"
    #: A session of ours.
    SESSION = "session"
    #: The session cookie of Immich, which the browser sends to us too.
    IMMICH = "immich"


@dataclass(frozen=True)
class Visitor:
    """Who asks."""

    kind: Kind
    by: By
    #: The owners whose photos they may see and change.
    owner_ids: frozenset[str]
    #: The one that is meant where a request names none.
    owner_id: str
    name: str
    #: Whether a user of Immich administers it; then they may see how many photos others have, and no more.
    is_admin: bool = False
    immich_user_id: str | None = None
    immich_email: str | None = None
    #: The session of ours, where it is one.
    session_id: str | None = None
    #: Whether they have agreed to a connection; the operator need not.
    set_up: bool = True

    @property
    def may_count(self) -> bool:
        """Whether they may see how many photos each owner has."""
        return self.is_admin or self.kind is Kind.OPERATOR

    @property
    def who(self) -> str:
        """Something that tells visitors apart and stays the same for one."""
        return self.session_id or f"{self.kind}:{self.immich_user_id or ''}"


#: Under which a request carries its visitor.
_VISITOR = web.RequestKey("visitor", Visitor)


def visitor_of(request: web.Request) -> Visitor:
    """Who asks.

    Raises
    ------
    web.HTTPUnauthorized
        If nobody knows.
    """
    visitor = known_visitor(request)
    if visitor is None:
        raise web.HTTPUnauthorized(text="Sign in first.")
    return visitor


def known_visitor(request: web.Request) -> Visitor | None:
    """Who asks; None where nobody knows, or nobody has looked."""
    return request.get(_VISITOR)


def remember_visitor(request: web.Request, visitor: Visitor) -> None:
    """Let the request carry who it is."""
    request[_VISITOR] = visitor


def is_open_path(path: str) -> bool:
    """Whether a path, without the base path, answers to everybody."""
    return path in OPEN_PATHS or path.startswith(OPEN_FOLDERS)
