"""What every handler needs, and how a handler gets at it."""

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from aiohttp import web
from jinja2 import Environment

from immich_sidecar.errors import NotFoundError
from immich_sidecar.library.database import Database
from immich_sidecar.library.events import EventLog
from immich_sidecar.library.intake import Intake
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.space import Space
from immich_sidecar.library.tables import OwnerRow
from immich_sidecar.library.vectors import Vectors
from immich_sidecar.pipeline.asking import ModelsAsked, NoModels
from immich_sidecar.pipeline.commands import Commands
from immich_sidecar.pipeline.dispatcher import Dispatcher
from immich_sidecar.pipeline.models_state import ModelsState
from immich_sidecar.settings import Settings
from immich_sidecar.web.access import known_visitor, visitor_of
from immich_sidecar.web.assets import Assets
from immich_sidecar.web.not_taken import Lookout
from immich_sidecar.web.previews import Previews

if TYPE_CHECKING:
    from immich_sidecar.immich.at_work import Connected
    from immich_sidecar.immich.connected import Connections
    from immich_sidecar.immich.sign_in import SignIn
    from immich_sidecar.pipeline.backfills import Backfills
    from immich_sidecar.pipeline.downloads import Downloads
    from immich_sidecar.pipeline.trials import Trials

_SHA256 = re.compile(r"[0-9a-f]{64}\Z")


@dataclass(frozen=True)
class WebContext:
    """Everything that the pages are built on; `app` makes one and hands it to `build_web`."""

    settings: Settings
    database: Database
    layout: Layout
    events: EventLog
    commands: Commands
    dispatcher: Dispatcher
    intake: Intake
    space: Space
    previews: Previews
    vectors: Vectors
    #: Models as far as pages ask them.
    models: ModelsAsked = field(default_factory=NoModels)
    #: How they stand, for the status page; None: there are none.
    models_state: Callable[[], Awaitable[ModelsState]] | None = None
    #: Password of pages and API; None: everything is open (loopback only).
    password: str | None = None
    #: What each hot folder is doing, for the status page: `path`, `owner`, `state` (a word or a sentence).
    hot_folders: Callable[[], Sequence[Mapping[str, str]]] | None = None
    #: Tries what the intake from Immich gave up again, for one owner, and returns how many assets that is; None:
    #: there is no such intake.
    retry_intake: Callable[[str], Awaitable[int]] | None = None
    #: All connections to Immich; None: there is no Immich.
    connections: "Connections | None" = None
    #: Finds out who somebody is by asking Immich; None: there is no Immich to ask.
    sign_in: "SignIn | None" = None
    #: Processing of older photos, and trials of rules on them; None: there is no Immich.
    backfills: "Backfills | None" = None
    trials: "Trials | None" = None
    #: What the operator does to models; None: nothing can be done.
    downloads: "Downloads | None" = None
    assets: Assets = field(default_factory=Assets)
    lookout: Lookout = field(default_factory=Lookout)


CONTEXT = web.AppKey("context", WebContext)
TEMPLATES = web.AppKey("templates", Environment)
#: The path under which a reverse proxy shows us, such as `/develop`, or nothing.
BASE = web.AppKey("base", str)


def context_of(request: web.Request) -> WebContext:
    """The objects behind the pages."""
    return request.config_dict[CONTEXT]


def connected_of(request: web.Request, owner: str) -> "Connected | None":
    """The owner's connection at work; None where there is none."""
    connections = context_of(request).connections
    return connections.of_owner(owner) if connections is not None else None


async def owner_of(request: web.Request) -> OwnerRow:
    """The owner that the request is about: `?owner=`, by default the visitor's own.

    Raises
    ------
    NotFoundError
        If there is no such owner, or the visitor may not see their photos: nobody can tell the two apart.
    """
    visitor = visitor_of(request)
    wanted = request.query.get("owner") or visitor.owner_id
    if wanted in visitor.owner_ids:
        async with context_of(request).database.reading() as session:
            if (owner := await session.get(OwnerRow, wanted)) is not None:
                return owner
    raise NotFoundError(f"There is no owner {wanted[:64]!r}.")


def is_photo_id(text: str) -> bool:
    """Whether a photo could have this id: 64 hexadecimal digits in lower case."""
    return _SHA256.match(text) is not None


def whole_number(text: str) -> int | None:
    """A number of as many digits as a row can have; None where it is none."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None


def photo_id_of(request: web.Request) -> str:
    """The photo's SHA-256 from the path; raises what `photo_id` raises."""
    return photo_id(request.match_info["id"])


def photo_id(identity: str) -> str:
    """The id of a photo as it came from outside.

    Raises
    ------
    NotFoundError
        If no photo can have it.
    """
    if not is_photo_id(identity):
        raise NotFoundError("A photo's id is the SHA-256 of its original: 64 hexadecimal digits.")
    return identity


def link(request: web.Request, path: str, owner: str | None = None, **query: object) -> str:
    """An address of ours that keeps the base path and the owner; values of None are left out."""
    visitor = known_visitor(request)
    own = visitor.owner_id if visitor else None
    wanted = owner or request.query.get("owner") or own
    pairs = {name: str(value) for name, value in query.items() if value is not None}
    if wanted and visitor and wanted in visitor.owner_ids and (wanted != own or owner is not None):
        pairs["owner"] = wanted
    return f"{request.config_dict[BASE]}{path}" + (f"?{urlencode(pairs)}" if pairs else "")


def path_of(request: web.Request) -> str:
    """The path that was asked for, without the base path."""
    return without_base(request, request.path)


def route_of(request: web.Request) -> str:
    """The template of the path that the request matched, without the base path; empty where it matched none."""
    resource = request.match_info.route.resource
    return "" if resource is None else without_base(request, resource.canonical)


def without_base(request: web.Request, path: str) -> str:
    """A path without the base path, where it begins with that."""
    base = request.config_dict[BASE]
    if base and (path == base or path.startswith(f"{base}/")):
        return path[len(base) :] or "/"
    return path


def wants_json(request: web.Request) -> bool:
    """Whether a failure is told to a program (API, socket, htmx) rather than shown as a page."""
    path = path_of(request)
    return path.startswith(("/api/", "/hooks/")) or path in ("/ws", "/healthz", "/readyz") or is_htmx(request)


def is_htmx(request: web.Request) -> bool:
    """Whether htmx asks, and so wants a partial; going back in the history it wants the page."""
    headers = request.headers
    return headers.get("HX-Request") == "true" and headers.get("HX-History-Restore-Request") != "true"


async def json_body(request: web.Request) -> Any:
    """The JSON of the request's body.

    Raises
    ------
    web.HTTPBadRequest
        If the body is not JSON (NaN and infinities are not).
    web.HTTPUnsupportedMediaType
        If it is in a character set that nobody knows.
    """

    def refuse(constant: str) -> Any:
        raise ValueError(f"{constant} is not a JSON value")

    try:
        return json.loads(await request.text(), parse_constant=refuse)
    except LookupError:
        raise web.HTTPUnsupportedMediaType(text="The body's character set is not known; send UTF-8.") from None
    except (ValueError, RecursionError) as error:
        raise web.HTTPBadRequest(text=f"The body is not JSON: {error}") from error
