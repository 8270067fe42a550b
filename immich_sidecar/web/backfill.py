"""Older photos: the pages on which they are chosen, counted, processed and taken back, and the same for programs."""

from collections.abc import Mapping
from typing import Any

from aiohttp import web
from multidict import MultiMapping
from pydantic import ValidationError

from immich_sidecar.advise.presets import Preset, is_preset_name
from immich_sidecar.errors import ConflictError, NotFoundError
from immich_sidecar.immich.backfill import Scope
from immich_sidecar.immich.rules import Rule, Rules
from immich_sidecar.immich.traits import Special
from immich_sidecar.library import backfills as rows
from immich_sidecar.library.tables import BackfillRow
from immich_sidecar.pipeline.backfills import COMMANDS, Backfills
from immich_sidecar.settings import Mode
from immich_sidecar.web.backfill_view import BackfillView
from immich_sidecar.web.context import connected_of, context_of, is_htmx, json_body, link, owner_of
from immich_sidecar.web.immich_names import CATALOGUE
from immich_sidecar.web.pages import render
from immich_sidecar.web.preset_choices import check_presets, preset_options, presets_of
from immich_sidecar.web.rules_form import MODES, SPECIALS
from immich_sidecar.web.rules_page import own_rules, rules_in
from immich_sidecar.web.samples import sample_picture

#: Backfills that a page lists.
SHOWN = 50
#: What the form for a new backfill holds at first.
_NOTHING_SENT = {
    "kind": "library",
    "whose": "mine",
    "by": "name",
    **dict.fromkeys(("album", "tag", "query", "taken_after", "taken_before", "preset", "preset_strength", "mode"), ""),
}


async def page(request: web.Request) -> web.StreamResponse:
    """The owner's backfills, and the form for a new one."""
    return await _show_all(request, {})


async def create(request: web.Request) -> web.StreamResponse:
    """Begin the dry run of what the form describes."""
    owner = (await owner_of(request)).id
    form = await request.post()
    names = await request.config_dict[CATALOGUE].of(owner, connected_of(request, owner))
    sent = {name: str(form.get(name, "")).strip() for name in form}
    try:
        scope = _scope_in_form(sent, names.albums)
        rules = await _rules_in_form(request, owner, form)
        row = await _backfills(request).create(owner, scope, rules)
    except ValidationError as error:
        problem = error.errors()[0]["msg"].removeprefix("Value error, ")
        return await _show_all(request, sent, problem=f"It cannot be counted yet: {problem}.")
    except ConflictError as error:
        return await _show_all(request, sent, problem=str(error))
    raise web.HTTPSeeOther(link(request, f"/backfill/{row.id}"))


async def one(request: web.Request) -> web.StreamResponse:
    """One backfill; htmx gets its content alone."""
    return await _show_one(request, await _view(request))


async def act(request: web.Request) -> web.StreamResponse:
    """Start, pause, resume, cancel, retry or take back."""
    owner = (await owner_of(request)).id
    identity, action = _identity(request), request.match_info["action"]
    if action not in COMMANDS:
        raise web.HTTPNotFound(text=f"A backfill knows {', '.join(COMMANDS)}.")
    await _backfills(request).command(owner, identity, action)
    if is_htmx(request):
        return await _show_one(request, await _view(request))
    raise web.HTTPSeeOther(link(request, f"/backfill/{identity}"))


async def sample(request: web.Request) -> web.StreamResponse:
    """A small picture of one of the examples of a backfill."""
    view, asset_id = await _view(request), request.match_info["asset"]
    if not view.shows(asset_id):
        raise NotFoundError("There is no such example.")
    return await sample_picture(request, connected_of(request, view.row.owner_id), asset_id)


# ---- for programs


async def list_all(request: web.Request) -> web.Response:
    """The owner's backfills."""
    return web.json_response({"backfills": [view.to_json() for view in await _views(request)]})


async def create_json(request: web.Request) -> web.Response:
    """Begin a dry run."""
    owner = (await owner_of(request)).id
    body = await json_body(request)
    if not isinstance(body, dict) or body.keys() - {"scope", "rules", "preset", "preset_strength", "mode"}:
        words = 'A backfill is {"scope": {...}}, with "rules", "preset", "preset_strength" and "mode" if wanted.'
        raise web.HTTPBadRequest(text=words)
    try:
        scope = Scope.model_validate(body.get("scope"))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(("scope", *(str(part) for part in first["loc"])))
        raise web.HTTPBadRequest(text=f"{place}: {first['msg'].removeprefix('Value error, ')}") from None
    rules = rules_in(body["rules"]) if body.get("rules") is not None else await own_rules(request, owner)
    rules = _chosen(rules, body.get("preset"), body.get("mode"), body.get("preset_strength"))
    async with context_of(request).database.reading() as session:
        await check_presets(session, owner, presets_of(rules))
    row = await _backfills(request).create(owner, scope, rules)
    return web.json_response((await _view_of(request, row)).to_json(), status=201)


async def get_one(request: web.Request) -> web.Response:
    """One backfill."""
    return web.json_response((await _view(request)).to_json())


def command(name: str) -> Any:
    """The handler of a command."""

    async def handle(request: web.Request) -> web.Response:
        owner = (await owner_of(request)).id
        row = await _backfills(request).command(owner, _identity(request), name)
        return web.json_response((await _view_of(request, row)).to_json())

    return handle


# ---- parts


def _backfills(request: web.Request) -> Backfills:
    found = context_of(request).backfills
    if found is None:
        raise ConflictError("A backfill is about photos in Immich, and no Immich is connected.")
    return found


def _identity(request: web.Request) -> int:
    text = request.match_info["backfill"]
    if not text.isascii() or not text.isdigit() or len(text) > 12:
        raise NotFoundError("A backfill has a number.")
    return int(text)


async def _view(request: web.Request) -> BackfillView:
    owner = (await owner_of(request)).id
    async with context_of(request).database.reading() as session:
        row = await rows.get(session, owner, _identity(request))
    return await _view_of(request, row)


async def _view_of(request: web.Request, row: BackfillRow) -> BackfillView:
    backfills = _backfills(request)
    return BackfillView(row, await backfills.progress(row), backfills.live(row))


async def _views(request: web.Request) -> list[BackfillView]:
    owner = (await owner_of(request)).id
    if context_of(request).backfills is None:
        return []
    async with context_of(request).database.reading() as session:
        found = await rows.all_of(session, owner)
    return [await _view_of(request, row) for row in found[:SHOWN]]


async def _rules_in_form(request: web.Request, owner: str, form: MultiMapping[Any]) -> Rules:
    if form.get("whose") == "all":
        known = {special.value for special in Special}
        also = frozenset(Special(str(name)) for name in form.getall("also", []) if name in known)
        rules = Rules(otherwise=Rule(also=also))
    else:
        rules = await own_rules(request, owner)
    strength = _strength_in(form.get("preset_strength"))
    rules = _chosen(rules, form.get("preset") or None, form.get("mode") or None, strength)
    async with context_of(request).database.reading() as session:
        await check_presets(session, owner, presets_of(rules))
    return rules


def _strength_in(value: Any) -> float | None:
    """The strength in a form; empty: none was given."""
    if not value:
        return None
    try:
        return float(str(value).replace(",", "."))
    except ValueError:
        raise web.HTTPBadRequest(text="preset_strength: a number of percent from 0 to 200") from None


def _chosen(rules: Rules, preset: Any, mode: Any, strength: Any = None) -> Rules:
    """The rules with another preset or mode for everything that they take."""
    changed: dict[str, Any] = {}
    if preset is not None:
        if not isinstance(preset, str) or not is_preset_name(preset):
            raise web.HTTPBadRequest(text=f"preset: one of {', '.join(Preset)}, or one of your own")
        changed |= {"preset": preset, "preset_strength": None}
    if strength is not None:
        if isinstance(strength, bool) or not isinstance(strength, int | float) or not 0 <= strength <= 200:
            raise web.HTTPBadRequest(text="preset_strength: a number of percent from 0 to 200")
        changed["preset_strength"] = float(strength)
    if mode is not None:
        if mode not in tuple(Mode):
            raise web.HTTPBadRequest(text=f"mode: one of {', '.join(Mode)}")
        changed["mode"] = Mode(mode)
    if not changed:
        return rules
    return Rules(
        rules=tuple(rule.model_copy(update=changed) for rule in rules.rules),
        otherwise=rules.otherwise.model_copy(update=changed),
    )


def _scope_in_form(sent: Mapping[str, str], albums: Mapping[str, str]) -> Scope:
    kind = sent.get("kind") or "library"
    values: dict[str, Any] = {"kind": kind}
    if kind == "album" and sent.get("album"):
        values["album"] = {"id": sent["album"], "name": albums.get(sent["album"], "")}
    elif kind == "tag":
        values["tag"] = sent.get("tag") or None
    elif kind == "dates":
        values |= {name: sent[name] for name in ("taken_after", "taken_before") if sent.get(name)}
    elif kind == "search":
        values["query"] = sent.get("query") or None
        values |= {name: sent[name] for name in ("by", "best") if sent.get(name)}
    return Scope.model_validate(values)


async def _show_all(request: web.Request, sent: Mapping[str, str], *, problem: str | None = None) -> web.Response:
    owner = (await owner_of(request)).id
    connected = connected_of(request, owner)
    async with context_of(request).database.reading() as session:
        presets = await preset_options(session, owner)
    response = await render(
        request,
        "backfills.html",
        views=await _views(request),
        connected=connected,
        names=await request.config_dict[CATALOGUE].of(owner, connected),
        has_rules=await own_rules(request, owner) != Rules(),
        sent={**_NOTHING_SENT, **{name: value for name, value in sent.items() if value}},
        specials=[(special.value, label, words) for special, (label, words) in SPECIALS.items()],
        presets=presets,
        modes=MODES,
        problem=problem,
        page="library",
    )
    if problem is not None:
        response.set_status(422)
    return response


async def _show_one(request: web.Request, view: BackfillView) -> web.Response:
    owner = view.row.owner_id
    connected = connected_of(request, owner)
    check = connected.connection.last_check if connected is not None else None
    granted = check.permissions if check is not None else ()
    return await render(
        request,
        "partials/backfill.html" if is_htmx(request) else "backfill.html",
        view=view,
        may_trash="all" in granted or "asset.delete" in granted,
        may_look="all" in granted or "asset.view" in granted,
        mode=(connected.mode.value if connected is not None else context_of(request).settings.mode.value),
        page="library",
    )
