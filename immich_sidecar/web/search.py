"""Finding photos: by words, by what is in them, and by another photo that is like them."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from aiohttp import web
from sqlmodel import col, select

from immich_sidecar.analysis.findings import Job
from immich_sidecar.errors import ModelError
from immich_sidecar.library import embeddings, photo_words
from immich_sidecar.library import photos as photo_rows
from immich_sidecar.library.embeddings import Embedding
from immich_sidecar.library.tables import PhotoRow
from immich_sidecar.web.api_photos import limit_of, told
from immich_sidecar.web.context import context_of, is_htmx, owner_of, photo_id
from immich_sidecar.web.pages import render
from immich_sidecar.web.photo_json import Shown, gather

#: Longest text that is searched for, in letters.
LONGEST = 200
#: Photos of one answer.
USUAL = 60


@dataclass(frozen=True)
class Found:
    """One photo of an answer."""

    shown: Shown
    #: `words`: by its name, tags or description; `likeness`: by what is in it.
    by: str
    #: Cosine between both vectors, for those found by likeness.
    score: float | None = None


@dataclass(frozen=True)
class Results:
    """An answer, and what it rests on."""

    items: Sequence[Found] = ()
    #: The model that judged likeness; None where none did.
    model: str | None = None
    #: Why none did, in words for a person.
    why_no_model: str | None = None


async def page(request: web.Request) -> web.StreamResponse:
    """The search page; with htmx its results alone."""
    text, like = _asked(request)
    results, example = Results(), None
    if like:
        example, results = await _like(request, like, USUAL)
    elif text:
        results = await _for_text(request, text, USUAL)
    return await render(
        request,
        "partials/found.html" if is_htmx(request) else "search.html",
        text=text,
        example=example,
        results=results,
        page="inbox",
    )


async def search_json(request: web.Request) -> web.Response:
    """The same for programs."""
    text, like = _asked(request)
    if bool(text) == bool(like):
        raise web.HTTPBadRequest(text="Give one of text, the words to look for, and like, the id of a photo.")
    limit = limit_of(request)
    results = (await _like(request, like, limit))[1] if like else await _for_text(request, text, limit)
    return web.json_response(
        {
            "items": [
                {"photo": told(request, found.shown), "found_by": found.by, "score": found.score}
                for found in results.items
            ],
            "model": results.model,
            "why_no_model": results.why_no_model,
        }
    )


def _asked(request: web.Request) -> tuple[str, str]:
    text = " ".join(request.query.get("text", "").replace("\0", " ").split())
    if len(text) > LONGEST:
        raise web.HTTPBadRequest(text=f"text: at most {LONGEST} letters")
    return text, request.query.get("like", "")


async def _for_text(request: web.Request, text: str, limit: int) -> Results:
    context, owner = context_of(request), (await owner_of(request)).id
    async with context.database.reading() as session:
        named = await photo_words.search(session, owner, text, limit=limit)
    scores: dict[str, float] = {}
    model = why = None
    try:
        asked = await context.models.encode_text(text)
    except ModelError as error:
        why = _plain(error)
    else:
        hits = await context.vectors.search(owner, asked.model, asked.revision, asked.vector, limit=limit)
        scores = {hit.photo: hit.score for hit in hits}
        model, why = (asked.model, None) if hits else (None, f"{asked.model} has looked at none of your photos yet")
    order = list(dict.fromkeys([*named, *scores]))[:limit]
    rows = await _shown(request, owner, order)
    found = [
        Found(row, "words" if row.photo.sha256 in named else "likeness", scores.get(row.photo.sha256)) for row in rows
    ]
    return Results(found, model, why)


async def _like(request: web.Request, like: str, limit: int) -> tuple[Shown, Results]:
    context, owner = context_of(request), (await owner_of(request)).id
    async with context.database.reading() as session:
        example = (await gather(session, owner, [await photo_rows.get(session, owner, photo_id(like))]))[0]
        vectors = await embeddings.of_photo(session, owner, like)
        known = {(model, revision): count for model, revision, count in await embeddings.revisions(session, owner)}
    if not vectors:
        why = context.models.why_not(Job.EMBEDDING) or "this photo was not looked at yet"
        return example, Results(why_no_model=why)

    def looked_at(one: Embedding) -> int:
        return known.get((one.model, one.revision), 0)

    best = max(vectors, key=looked_at)
    hits = await context.vectors.search(owner, best.model, best.revision, best.vector, limit=limit + 1)
    scores = {hit.photo: hit.score for hit in hits if hit.photo != like}
    rows = await _shown(request, owner, list(scores)[:limit])
    return example, Results([Found(row, "likeness", scores[row.photo.sha256]) for row in rows], best.model)


def _plain(error: ModelError) -> str:
    """What an error says, for the middle of a sentence."""
    text = str(error).removesuffix(".")
    return text[:1].lower() + text[1:] if text[1:2].islower() else text


async def _shown(request: web.Request, owner: str, order: Sequence[str]) -> list[Shown]:
    """The owner's photos of these ids, in this order; what is no photo any more is left out."""
    async with context_of(request).database.reading() as session:
        query = select(PhotoRow).where(PhotoRow.owner_id == owner, col(PhotoRow.sha256).in_(order))
        rows: dict[str, Any] = {row.sha256: row for row in await session.exec(query)}
        return await gather(session, owner, [rows[sha256] for sha256 in order if sha256 in rows])
