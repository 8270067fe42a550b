"""The account: how the connection stands, what it is to do, where the visitor is signed in, and the way out."""

from collections.abc import Collection, Sequence

from aiohttp import web
from sqlmodel import select

from immich_sidecar.errors import ConflictError, ImmichError
from immich_sidecar.immich.choices import Choices
from immich_sidecar.immich.compatibility import missing_permissions
from immich_sidecar.immich.notify import may_notify
from immich_sidecar.library import sessions
from immich_sidecar.library.tables import ConnectionRow, SessionRow
from immich_sidecar.settings import Mode
from immich_sidecar.web import tasting
from immich_sidecar.web.access import Kind, Visitor, visitor_of
from immich_sidecar.web.consent import MODES, offered_choices
from immich_sidecar.web.context import BASE, context_of, link, owner_of
from immich_sidecar.web.failures import status_of_error
from immich_sidecar.web.identity import is_open_service
from immich_sidecar.web.login import end_session
from immich_sidecar.web.pages import render
from immich_sidecar.web.paths import encoded_path
from immich_sidecar.web.setup import credential_of


async def page(request: web.Request) -> web.StreamResponse:
    """The account of the visitor, or of the owner that the operator chose."""
    return await _show(request, just_connected="connected" in request.query)


async def choose(request: web.Request) -> web.StreamResponse:
    """Keep what was chosen for the connection."""
    context, owner = context_of(request), (await owner_of(request)).id
    form = await request.post()
    connected = context.connections.of_owner(owner) if context.connections is not None else None
    if context.connections is None or connected is None:
        raise ConflictError("There is no connection whose choices could be changed.")
    mode = str(form.get("mode", ""))
    if mode and mode not in tuple(Mode):
        raise web.HTTPBadRequest(text=f"mode: nothing, or one of {', '.join(Mode)}")
    # Only what the page showed, and let be changed, is changed: an empty box sends nothing.
    shown = {str(name) for name in form.getall("shown", [])} & (set(Choices.model_fields) - {"mode"})
    on = {str(name) for name in form.getall("on", [])}
    changed = {"mode": Mode(mode) if mode else None, **{name: name in on for name in shown}}
    await context.connections.update_choices(owner, connected.choices.model_copy(update=changed))
    raise web.HTTPSeeOther(link(request, "/account", saved=1))


async def end_sessions(request: web.Request) -> web.StreamResponse:
    """End one session of the visitor (`which` is its id), all `others`, or `all`."""
    visitor = visitor_of(request)
    which = str((await request.post()).get("which", ""))
    own = [row.id for row in await _sessions_of(request, visitor)]
    if which == "others":
        ended = [item for item in own if item != visitor.session_id]
    elif which == "all":
        ended = own
    else:
        ended = [item for item in own if item == which]
    for session_id in ended:
        await end_session(request, session_id)
    gone = visitor.session_id in ended
    raise web.HTTPSeeOther(link(request, "/login" if gone else "/account"))


async def disconnect(request: web.Request) -> web.StreamResponse:
    """End the connection; what is left in Immich is told."""
    visitor, context = visitor_of(request), context_of(request)
    if visitor.kind is not Kind.PERSON or visitor.immich_user_id is None or context.connections is None:
        raise web.HTTPForbidden(text="A connection is ended by the user of Immich whose it is.")
    if str((await request.post()).get("sure", "")) != "yes":
        raise web.HTTPBadRequest(text="sure: yes")
    credential = credential_of(request, visitor)
    try:
        left = await context.connections.disconnect(visitor.owner_id, token=credential.token if credential else None)
    except (ImmichError, ConflictError) as error:
        return await _show(request, problem=str(error), status=status_of_error(error))
    # There is no key any more to see by whether the user is still one: other browsers sign in again.
    for row in await _sessions_of(request, visitor):
        if row.id != visitor.session_id:
            await end_session(request, row.id)
    if visitor.session_id is not None:
        async with context.database.transaction() as session:
            await sessions.limit(session, visitor.session_id, sessions.LASTS_UNCONNECTED)
    return await _show(request, ended=True, left=left)


def _can_delete_key(request: web.Request, visitor: Visitor, granted: Collection[str]) -> bool:
    """Whether the key can be deleted in Immich: by itself, or with what the visitor signed in with."""
    credential = credential_of(request, visitor) if visitor.immich_user_id is not None else None
    return bool({"all", "apiKey.delete"} & set(granted)) or (credential is not None and credential.token is not None)


async def _sessions_of(request: web.Request, visitor: Visitor) -> Sequence[SessionRow]:
    async with context_of(request).database.reading() as session:
        if visitor.immich_user_id is not None:
            return await sessions.of_user(session, visitor.immich_user_id)
        return await sessions.of_password(session)


async def _show(
    request: web.Request,
    *,
    just_connected: bool = False,
    ended: bool = False,
    left: Sequence[str] = (),
    problem: str | None = None,
    status: int = 200,
) -> web.Response:
    visitor, context = visitor_of(request), context_of(request)
    owner = await owner_of(request)
    async with context.database.reading() as session:
        row = (await session.exec(select(ConnectionRow).where(ConnectionRow.owner_id == owner.id))).first()
    connected = context.connections.of_owner(owner.id) if context.connections is not None else None
    granted = tuple(row.permissions) if row is not None else ()
    groups = []
    if connected is not None:
        everybody = context.connections.all() if context.connections is not None else ()
        may_be_told = (row is not None and row.is_admin) or any(may_notify(one) for one in everybody)
        groups = list(offered_choices(connected.choices, granted, may_be_told=may_be_told))
    response = await render(
        request,
        "account.html",
        connection=row,
        connected=connected,
        lacks=missing_permissions(granted) if connected is not None and granted else (),
        groups=groups,
        modes=MODES,
        mode=connected.choices.mode if connected is not None else None,
        default_mode=context.settings.mode,
        sessions=await _sessions_of(request, visitor),
        taste=await tasting.shown(request),
        just_connected=just_connected,
        saved="saved" in request.query,
        ended=ended,
        left=left,
        problem=problem,
        is_open=is_open_service(request),
        can_delete_key=_can_delete_key(request, visitor, granted),
        fresh_sign_in=link(request, "/login", next=encoded_path(f"{request.config_dict[BASE]}/account")),
        page="account",
    )
    response.set_status(status)
    return response
