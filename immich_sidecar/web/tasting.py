"""On the account page: what was learned of an owner's taste, what it is worth, and a switch."""

from dataclasses import dataclass

from aiohttp import web

from immich_sidecar.advise.taste import FEWEST, StepTaste, Taste
from immich_sidecar.errors import InvalidParameterError
from immich_sidecar.pipeline import tasting
from immich_sidecar.web.context import context_of, json_body, link, owner_of
from immich_sidecar.web.words import operation


@dataclass(frozen=True)
class TasteShown:
    """What the page says."""

    is_on: bool
    #: Photos that were decided about, and how many it takes.
    decisions: int
    fewest: int
    #: Of each step of which something is known: its name in words, the part that is kept on average, and how much less
    #: wrong that is than the proposal, of photos that were not shown to the model; all in percent.
    steps: tuple[tuple[str, int, int], ...]
    #: The same gain for telling by strength what is rejected; 0 where that tells nothing.
    approval: int


async def shown(request: web.Request) -> TasteShown:
    """What is known of the taste of the request's owner."""
    taste, is_on = await _known(request)
    steps = tuple((operation(name), round(100 * step.mean), round(100 * step.gain)) for name, step in _learned(taste))
    return TasteShown(is_on, taste.decisions, FEWEST, steps, round(100 * taste.approval_gain))


async def taste_json(request: web.Request) -> web.Response:
    """The same for programs."""
    taste, is_on = await _known(request)
    steps = [
        {"operation": name, "kept": round(step.mean, 3), "gain": round(step.gain, 3)} for name, step in _learned(taste)
    ]
    gain = round(taste.approval_gain, 3)
    told = {"on": is_on, "decisions": taste.decisions, "fewest": FEWEST, "steps": steps, "approval_gain": gain}
    return web.json_response(told)


async def switch_json(request: web.Request) -> web.Response:
    """What `choose` does, for programs."""
    wanted = await json_body(request)
    is_on = wanted.get("on") if isinstance(wanted, dict) and set(wanted) == {"on"} else None
    if not isinstance(is_on, bool):
        raise InvalidParameterError('Send {"on": true} or {"on": false}.', field="on")
    await tasting.switch(context_of(request).database, (await owner_of(request)).id, off=not is_on)
    return await taste_json(request)


async def _known(request: web.Request) -> tuple[Taste, bool]:
    """What was learned of the taste of the request's owner, and whether it is used."""
    database, owner = context_of(request).database, (await owner_of(request)).id
    taste = await tasting.taste_of(database, owner)
    async with database.reading() as session:
        return taste, not await tasting.is_off(session, owner)


def _learned(taste: Taste) -> list[tuple[str, StepTaste]]:
    """The steps of which something is known, by operation type."""
    return [(name, step) for name, step in taste.steps.items() if step.gain > 0]


async def choose(request: web.Request) -> web.StreamResponse:
    """Use what was learned for new photos, or do not."""
    to = (await request.post()).get("to")
    if to not in ("on", "off"):
        raise web.HTTPBadRequest(text="to: on or off")
    await tasting.switch(context_of(request).database, (await owner_of(request)).id, off=to == "off")
    raise web.HTTPSeeOther(link(request, "/account", saved=1))
