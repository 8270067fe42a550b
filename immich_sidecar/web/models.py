"""The models: what there is, fetching, checking, agreeing, removing. For the operator alone."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

from aiohttp import web

from immich_sidecar.analysis.findings import Job
from immich_sidecar.analysis.models_catalogue import Entry, find
from immich_sidecar.analysis.runtime.choosing import setting_of
from immich_sidecar.analysis.runtime.offers import ELSEWHERE
from immich_sidecar.analysis.weights import Standing, State
from immich_sidecar.analysis.weights_words import decimal_size, size_words, state_words, to_json
from immich_sidecar.errors import ConflictError, ModelError, StorageError
from immich_sidecar.pipeline.downloads import Doing, Downloads
from immich_sidecar.pipeline.model_setup import jobs_of
from immich_sidecar.web.access import Kind, visitor_of
from immich_sidecar.web.context import context_of, is_htmx, link
from immich_sidecar.web.pages import render

#: What each job is for, in the order of the page.
JOBS: Mapping[Job, tuple[str, str]] = {
    Job.DETECTION: ("Objects", "Finds people, animals and things; crops and light follow them."),
    Job.SEGMENTATION: ("Outlines", "Outlines what was found, or what you point at."),
    Job.EMBEDDING: ("Search and likeness", "Finds photos by words and by each other, and tags them."),
    Job.AESTHETIC: ("How photos please", "Votes on how a photo looks."),
    Job.TECHNICAL: ("How well photos are made", "Votes on sharpness, noise and the like."),
    Job.FACES: ("Faces", "Finds faces where Immich has not."),
    Job.WORDS: ("Words", "Describes photos and says what could be better."),
    Job.TONE: ("Learned tone", "Makes a colour table for each photo; only where you choose it."),
}
ACTIONS = ("download", "cancel", "verify", "remove", "forget", "consent", "withdraw")


@dataclass(frozen=True)
class ShownModel:
    """One model as the page shows it."""

    entry: Entry
    standing: Standing
    doing: Doing | None
    size: str
    state: str
    memory: str
    #: How far what is being done has come, 0 to 1; None where that is not known.
    share: float | None
    #: The same, in bytes for people.
    progress: str
    is_ready: bool
    is_here: bool
    #: Whether the settings ask for it.
    is_used: bool
    #: The setting that would have it used.
    setting: str

    @property
    def is_near(self) -> bool:
        """Whether it is one that most people come for."""
        return (
            self.entry.default
            or self.is_used
            or self.is_here
            or self.doing is not None
            or self.standing.consented is not None
        )


@dataclass(frozen=True)
class ShownJob:
    """All models of one job."""

    job: Job
    title: str
    words: str
    #: The usual one, and those that somebody did something with.
    models: Sequence[ShownModel]
    #: The others, which are folded away.
    others: Sequence[ShownModel]
    #: Where else the settings have it done: `immich`, `endpoint`, or nothing.
    elsewhere: str


async def list_json(request: web.Request) -> web.Response:
    """All models, with what is under way."""
    downloads = _downloads(request)
    settings = context_of(request).settings
    used = jobs_of(settings)
    rows = [_row(standing, doing, used) for standing, doing in await downloads.overview()]
    return web.json_response({"folder": str(settings.weights_dir()), "models": rows})


def act_json(action: str) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A handler that does one thing to a model and answers how it stands then."""

    async def handler(request: web.Request) -> web.Response:
        downloads = _downloads(request)
        entry = find(request.match_info["model"])
        await _act(request, downloads, entry, action)
        status = 202 if action in ("download", "verify") else 200
        row = _row(*await downloads.one(entry), jobs_of(context_of(request).settings))
        return web.json_response(row, status=status)

    return handler


async def page(request: web.Request) -> web.StreamResponse:
    """The page, or with htmx its content."""
    return await _show(request)


async def act(request: web.Request) -> web.StreamResponse:
    """What a form of the page asks for."""
    downloads = _downloads(request)
    entry, action = find(request.match_info["model"]), request.match_info["action"]
    if action not in ACTIONS:
        raise web.HTTPNotFound(text="That cannot be done to a model.")
    try:
        done = await _act(request, downloads, entry, action)
    except (ConflictError, ModelError, StorageError) as error:
        return await _show(request, problem=str(error))
    if is_htmx(request):
        return await _show(request, done=done)
    raise web.HTTPSeeOther(link(request, "/models"))


async def _act(request: web.Request, downloads: Downloads, entry: Entry, action: str) -> str:
    """Do it; returns what to tell."""
    if action == "download":
        downloads.begin_download(entry)
    elif action == "verify":
        downloads.begin_verify(entry)
    elif action == "cancel":
        await downloads.cancel(entry)
        return f"{entry.title}: stopped; what has come stays."
    elif action in ("remove", "forget"):
        freed = await downloads.remove(entry, forget=action == "forget")
        return f"{entry.title}: removed, {decimal_size(freed)} are free again."
    else:
        await downloads.agree(entry, by=f"the pages ({visitor_of(request).by.value})", agrees=action == "consent")
        return f"{entry.title}: you agreed to it." if action == "consent" else f"{entry.title}: taken back."
    return ""


async def _show(request: web.Request, *, problem: str = "", done: str = "") -> web.Response:
    downloads = _downloads(request)
    settings = context_of(request).settings
    used = jobs_of(settings)
    shown = [_shown(standing, doing, used) for standing, doing in await downloads.overview()]
    jobs = [_job(job, [model for model in shown if model.entry.job is job], used.get(job, "")) for job in JOBS]
    response = await render(
        request,
        "partials/models.html" if is_htmx(request) else "models.html",
        jobs=jobs,
        folder=str(settings.weights_dir()),
        mirror=settings.models_mirror,
        installed=_are_libraries_there(),
        profile=settings.profile,
        any_used=bool(used),
        here=decimal_size(sum(model.standing.size for model in shown)),
        busy=any(model.doing and model.doing.running for model in shown),
        problem=problem,
        done=done,
        page="models",
    )
    if problem and not is_htmx(request):
        response.set_status(409)
    return response


def _job(job: Job, models: Sequence[ShownModel], used: str) -> ShownJob:
    title, words = JOBS[job]
    near = [model for model in models if model.is_near] or models
    elsewhere = used if used in ELSEWHERE else ""
    return ShownJob(job, title, words, near, [model for model in models if model not in near], elsewhere)


def _is_used(entry: Entry, used: Mapping[Job, str]) -> bool:
    return used.get(entry.job) in ({entry.name, "default"} if entry.default else {entry.name})


def _shown(standing: Standing, doing: Doing | None, used: Mapping[Job, str]) -> ShownModel:
    share = doing.done / doing.total if doing and doing.running and doing.total else None
    return ShownModel(
        entry=standing.entry,
        standing=standing,
        doing=doing,
        size=size_words(standing),
        state=state_words(standing),
        memory=decimal_size(standing.entry.memory_mb * 1_000_000),
        share=None if share is None else min(1.0, share),
        progress=_progress_words(doing) if doing and doing.running else "",
        is_ready=standing.state is State.READY,
        is_here=standing.size > 0,
        is_used=_is_used(standing.entry, used),
        setting=setting_of(standing.entry.job),
    )


def _progress_words(doing: Doing) -> str:
    total = f" of {decimal_size(doing.total)}" if doing.total else ""
    return f"{decimal_size(doing.done)}{total}"


def _row(standing: Standing, doing: Doing | None, used: Mapping[Job, str]) -> dict[str, Any]:
    return {
        **to_json(standing),
        "used": _is_used(standing.entry, used),
        "doing": None if doing is None else doing.to_json(),
    }


def _downloads(request: web.Request) -> Downloads:
    """The models, for who may see them.

    Raises
    ------
    web.HTTPNotFound
        If it is not the operator: what lies on the computer's disk is nobody else's business.
    """
    downloads = context_of(request).downloads
    if visitor_of(request).kind is not Kind.OPERATOR or downloads is None:
        raise web.HTTPNotFound(text="There is no such page.")
    return downloads


def _are_libraries_there() -> bool:
    return all(find_spec(name) is not None for name in ("torch", "transformers"))
