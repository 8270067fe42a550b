"""Set-up: what a connection does, in words, and the consent to it."""

from contextlib import suppress
from dataclasses import dataclass

from aiohttp import hdrs, web

from immich_sidecar.errors import ConflictError, ImmichCredentialsError, ImmichError, SidecarError
from immich_sidecar.immich.api import ImmichUser
from immich_sidecar.immich.choices import Choices
from immich_sidecar.immich.compatibility import NEEDED_PERMISSIONS, features_of, missing_permissions
from immich_sidecar.library import sessions
from immich_sidecar.library.tables import ConnectionRow
from immich_sidecar.settings import Mode
from immich_sidecar.web.access import By, Kind, Visitor, visitor_of
from immich_sidecar.web.consent import MODES, OfferedFeature, choices_for, offered_features
from immich_sidecar.web.context import context_of, link
from immich_sidecar.web.failures import status_of_error
from immich_sidecar.web.identity import IMMICH_COOKIE, connection_of, works
from immich_sidecar.web.pages import render
from immich_sidecar.web.pending import Credential, pending_of

_NO_WEBHOOK = "Immich does not know our address: the operator has not set SIDECAR_WEBHOOK_URL."


@dataclass(frozen=True)
class _Given:
    """What was ticked before, where the page is shown again."""

    mode: Mode | None
    features: frozenset[str]
    problem: str
    status: int


async def page(request: web.Request) -> web.StreamResponse:
    """What a connection does, and the form to agree to it."""
    visitor = visitor_of(request)
    if visitor.kind is not Kind.PERSON or context_of(request).connections is None:
        raise web.HTTPSeeOther(link(request, "/login"))
    return await _show(request, visitor)


async def agree(request: web.Request) -> web.StreamResponse:
    """Connect the visitor as they agreed to."""
    visitor, context = visitor_of(request), context_of(request)
    if visitor.kind is not Kind.PERSON or visitor.immich_user_id is None or context.connections is None:
        raise web.HTTPForbidden(text="Only a user of Immich can agree to a connection: sign in as one.")
    form = await request.post()
    features = frozenset(str(name) for name in form.getall("feature", []))
    try:
        mode = Mode(str(form.get("mode", "")))
    except ValueError:
        raise web.HTTPBadRequest(text=f"mode: one of {', '.join(Mode)}") from None
    credential = credential_of(request, visitor)
    if credential is None:
        return await _show(request, visitor)
    offered = {item.name for item in await _offered(request, credential) if item.problem is None}
    if not features <= offered:
        raise web.HTTPBadRequest(text="feature: only those that the page offers")
    async with context.database.reading() as session:
        row = await connection_of(session, visitor.immich_user_id)
    before = Choices.read(row.choices if row else {}, context.settings)
    user = ImmichUser(
        visitor.immich_user_id,
        visitor.name,
        visitor.immich_email or "",
        visitor.is_admin,
        quota_bytes=None,
        used_bytes=None,
    )
    try:
        await context.connections.connect(
            visitor.owner_id,
            user,
            token=credential.token,
            key=credential.key,
            user_agent=request.headers.get(hdrs.USER_AGENT),
            choices=choices_for(features, mode, before),
            features=features,
        )
    except (ImmichError, ConflictError) as error:
        return await _show(request, visitor, _Given(mode, features, _words(error), status_of_error(error)))
    if visitor.session_id is not None:
        pending_of(request).drop(visitor.session_id)
        async with context.database.transaction() as session:
            await sessions.limit(session, visitor.session_id, sessions.LASTS)
    raise web.HTTPSeeOther(link(request, "/account", connected=1))


def credential_of(request: web.Request, visitor: Visitor) -> Credential | None:
    """What the visitor can show Immich: the session that their browser brings, or what they signed in with just now."""
    if visitor.by is By.IMMICH:
        return Credential(token=request.cookies[IMMICH_COOKIE])
    return pending_of(request).of(visitor.session_id)


async def _offered(
    request: web.Request, credential: Credential | None, ticked: frozenset[str] | None = None
) -> list[OfferedFeature]:
    context = context_of(request)
    version = (0, 0, 0)
    if context.sign_in is not None:
        with suppress(ImmichError):
            version = (await context.sign_in.ways()).version
    possible = context.connections is not None and context.connections.webhook_address() is not None
    return offered_features(
        version=version,
        webhook_problem=None if possible else _NO_WEBHOOK,
        granted=credential.permissions if credential is not None and credential.key is not None else None,
        ticked=ticked,
    )


async def _show(request: web.Request, visitor: Visitor, given: _Given | None = None) -> web.Response:
    context, credential = context_of(request), credential_of(request, visitor)
    async with context.database.reading() as session:
        row = await connection_of(session, visitor.immich_user_id or "")
    before = Choices.read(row.choices if row else {}, context.settings)
    ticked = given.features if given else _had(row)
    features = await _offered(request, credential, ticked)
    key_lacks: tuple[str, ...] = ()
    if credential is not None and credential.key is not None:
        key_lacks = missing_permissions(credential.permissions)
    response = await render(
        request,
        "setup.html",
        can_connect=credential is not None,
        own_key=credential is not None and credential.key is not None,
        key_lacks=key_lacks,
        needed=NEEDED_PERMISSIONS,
        features=[item for item in features if not item.far_reaching],
        far_reaching=[item for item in features if item.far_reaching],
        modes=MODES,
        mode=given.mode if given else before.mode or context.settings.mode,
        problem=given.problem if given else None,
        again=row is not None,
        from_settings=_is_from_settings(request, visitor),
        connected=works(request, row),
        page="account",
    )
    if given is not None:
        response.set_status(given.status)
    return response


def _had(row: ConnectionRow | None) -> frozenset[str] | None:
    """The features that a connection's key has; None where there was none."""
    return features_of(row.permissions) if row is not None and row.permissions else None


def _is_from_settings(request: web.Request, visitor: Visitor) -> bool:
    connections = context_of(request).connections
    one = connections.of_owner(visitor.owner_id) if connections is not None else None
    return one is not None and one.from_settings


def _words(error: SidecarError) -> str:
    if isinstance(error, ImmichCredentialsError):
        return f"Immich does not accept your sign-in any more. Sign in again, then agree again. ({error})"
    return str(error)
