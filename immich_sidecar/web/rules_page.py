"""Which photos are taken from Immich: the page where rules are made, tried and kept, and the same for programs."""

from typing import Any

from aiohttp import web
from pydantic import ValidationError
from sqlmodel import select

from immich_sidecar.errors import ConflictError, NotFoundError
from immich_sidecar.immich.rules import MOST_RULES, Rules
from immich_sidecar.library.tables import ConnectionRow
from immich_sidecar.pipeline.trials import Trial
from immich_sidecar.web.context import connected_of, context_of, is_htmx, json_body, link, owner_of
from immich_sidecar.web.immich_names import CATALOGUE, Names
from immich_sidecar.web.pages import render
from immich_sidecar.web.preset_choices import check_presets, preset_options, presets_of
from immich_sidecar.web.rules_form import FILES, MODES, SPECIALS, RulesFields, named
from immich_sidecar.web.samples import sample_picture


async def page(request: web.Request) -> web.StreamResponse:
    """The rules as they are kept."""
    owner = (await owner_of(request)).id
    rules = await own_rules(request, owner)
    return await _show(request, owner, RulesFields.of(rules), saved="saved" in request.query)


async def act(request: web.Request) -> web.StreamResponse:
    """What a button of the form asks for: add, move or remove a rule, try all, or keep them."""
    owner = (await owner_of(request)).id
    form = await request.post()
    action = str(form.get("do", "save"))
    sent = RulesFields.read(form)
    if action not in ("save", "try"):
        fields, place = sent.changed(action)
        return await _show(request, owner, fields, open_rule=place, touched=action.partition("-")[0])
    names = await _names(request, owner)
    known = named((await own_rules(request, owner)).rules) | dict(names.albums)
    fields, rules = sent.checked(known)
    if rules is None:
        place = next((n for n, one in enumerate(fields.rules) if one.errors), None)
        return await _show(request, owner, fields, open_rule=place, problem="Not everything can be understood.")
    if action == "try":
        trial = await _begin_trial(request, owner, rules)
        return await _show(request, owner, fields, trial=trial, touched="try")
    await _keep(request, owner, rules)
    if is_htmx(request):
        return await _show(request, owner, fields, saved=True)
    raise web.HTTPSeeOther(link(request, "/rules", saved=1))


async def trial_part(request: web.Request) -> web.StreamResponse:
    """The trial as far as it is; asked for again while it runs."""
    owner = (await owner_of(request)).id
    return await render(request, "partials/trial.html", trial=_trial(request, owner))


async def sample(request: web.Request) -> web.StreamResponse:
    """A small picture of one of the examples of the owner's trial."""
    owner = (await owner_of(request)).id
    trial, asset_id = _trial(request, owner), request.match_info["asset"]
    if trial is None or not trial.shows(asset_id):
        raise NotFoundError("There is no such example.")
    return await sample_picture(request, connected_of(request, owner), asset_id)


# ---- for programs


async def get_rules(request: web.Request) -> web.Response:
    """The rules that are kept."""
    return web.json_response(_as_json(await own_rules(request, (await owner_of(request)).id)))


async def put_rules(request: web.Request) -> web.Response:
    """Keep other rules."""
    owner = (await owner_of(request)).id
    rules = rules_in(await json_body(request))
    await _keep(request, owner, rules)
    return web.json_response(_as_json(rules))


async def begin_trial(request: web.Request) -> web.Response:
    """Try rules without keeping them."""
    owner = (await owner_of(request)).id
    trial = await _begin_trial(request, owner, rules_in(await json_body(request)))
    return web.json_response(trial.to_json(), status=202)


async def get_trial(request: web.Request) -> web.Response:
    """The latest trial."""
    trial = _trial(request, (await owner_of(request)).id)
    if trial is None:
        raise NotFoundError("No rules were tried since the service was started.")
    return web.json_response(trial.to_json())


def rules_in(body: Any) -> Rules:
    """Rules as a program sends them.

    Raises
    ------
    web.HTTPBadRequest
        If they are none: the message names the first field at fault.
    """
    if not isinstance(body, dict):
        raise web.HTTPBadRequest(text='Rules are an object: {"rules": [...], "otherwise": {...}}')
    unknown = body.keys() - Rules.model_fields.keys()
    if unknown:
        raise web.HTTPBadRequest(text=f"Rules have no field {min(unknown)!r}; there are rules and otherwise.")
    try:
        return Rules.model_validate(body)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"])
        raise web.HTTPBadRequest(text=f"{place}: {first['msg']}") from None


def _as_json(rules: Rules) -> dict[str, Any]:
    return rules.model_dump(mode="json")


async def _names(request: web.Request, owner: str) -> Names:
    return await request.config_dict[CATALOGUE].of(owner, connected_of(request, owner))


async def own_rules(request: web.Request, owner: str) -> Rules:
    """The rules of the owner's connection."""
    async with context_of(request).database.reading() as session:
        row = (await session.exec(select(ConnectionRow).where(ConnectionRow.owner_id == owner))).first()
    return Rules.read(row.rules if row is not None else None)


async def _keep(request: web.Request, owner: str, rules: Rules) -> None:
    connections = context_of(request).connections
    async with context_of(request).database.reading() as session:
        row = (await session.exec(select(ConnectionRow).where(ConnectionRow.owner_id == owner))).first()
        await check_presets(session, owner, presets_of(rules))
    if connections is None or row is None:
        raise ConflictError("Rules are about photos in Immich, and no Immich is connected.")
    await connections.update_rules(owner, rules)


async def _begin_trial(request: web.Request, owner: str, rules: Rules) -> Trial:
    trials = context_of(request).trials
    async with context_of(request).database.reading() as session:
        await check_presets(session, owner, presets_of(rules))
    if trials is None:
        raise ConflictError("Rules are tried on what is in Immich, and no Immich is connected.")
    return await trials.begin(owner, rules)


def _trial(request: web.Request, owner: str) -> Trial | None:
    trials = context_of(request).trials
    return trials.of(owner) if trials is not None else None


async def _show(
    request: web.Request,
    owner: str,
    fields: RulesFields,
    *,
    open_rule: int | None = None,
    touched: str = "",
    trial: Trial | None = None,
    problem: str | None = None,
    saved: bool = False,
) -> web.Response:
    names = await _names(request, owner)
    async with context_of(request).database.reading() as session:
        presets = await preset_options(session, owner)
    # An album that is gone, or that Immich does not tell of now, stays in its rule.
    albums = {**named((await own_rules(request, owner)).rules), **names.albums}
    for rule in fields.rules:
        albums |= {album: albums.get(album, album) for album in rule.albums}
    tags = tuple(dict.fromkeys((*names.tags, *(tag for rule in fields.rules for tag in rule.tags))))
    response = await render(
        request,
        "partials/rules.html" if is_htmx(request) else "rules.html",
        fields=fields,
        albums=albums,
        tags=[(tag, tag) for tag in tags],
        problems=names.problems,
        connected=connected_of(request, owner),
        specials=[(special.value, label, words) for special, (label, words) in SPECIALS.items()],
        presets=presets,
        modes=MODES,
        files=FILES,
        most=MOST_RULES,
        open_rule=open_rule,
        touched=touched,
        trial=trial or _trial(request, owner),
        problem=problem,
        saved=saved,
        page="library",
    )
    if problem is not None and not is_htmx(request):
        response.set_status(422)
    return response
