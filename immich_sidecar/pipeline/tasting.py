"""What is known of an owner's taste: learned anew from the rows whenever something was decided, kept beside them."""

import asyncio
from collections import Counter
from typing import Any

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.advise.taste import MOST, Decision, Taste, decision_of, learn
from immich_sidecar.library import switches
from immich_sidecar.library.database import Database
from immich_sidecar.library.tables import DecisionRow, EmbeddingRow, PhotoRow, RecipeRow, Review

#: What an owner has of it: the switch that turns it off, and what was learned through which decision.
_OFF, _LEARNED = "taste_off", "taste"
#: What is learned otherwise needs another number here, so that it is learned anew.
_VERSION = 1


async def taste_of(database: Database, owner_id: str) -> Taste:
    """What is known of an owner's taste as things stand, whether or not it is used."""
    async with database.reading() as session:
        newest = await _newest(session, owner_id)
        kept = await switches.get(session, owner_id, _LEARNED) or {}
        if (kept.get("version"), kept.get("through")) == (_VERSION, newest):
            return Taste.model_validate(kept["taste"])
        decided = await _decided(session, owner_id)
    taste = await asyncio.to_thread(learn, decided)
    async with database.transaction() as session:
        learned = {"version": _VERSION, "through": newest, "taste": taste.model_dump(mode="json")}
        await switches.put(session, owner_id, _LEARNED, learned)
    return taste


async def is_off(session: AsyncSession, owner_id: str) -> bool:
    """Whether an owner wants proposals as they are."""
    return bool(await switches.get(session, owner_id, _OFF, default=False))


async def switch(database: Database, owner_id: str, *, off: bool) -> None:
    """Use what is known of the taste for new photos, or do not."""
    async with database.transaction() as session:
        await switches.put(session, owner_id, _OFF, off)


async def for_photo(database: Database, photo: PhotoRow) -> tuple[dict[str, Any] | None, list[float] | None]:
    """The taste that counts for a photo, as JSON types (None: none does), and what the photo shows."""
    async with database.reading() as session:
        off = await is_off(session, photo.owner_id)
    taste = None if off else await taste_of(database, photo.owner_id)
    if taste is None or taste.is_neutral:
        return None, None
    lengths = {len(step.by_embedding) for step in taste.steps.values()} - {0}
    vector = None
    if lengths:
        async with database.reading() as session:
            vectors = await _vectors(session, photo.owner_id, [photo.sha256])
        vector = next((list(map(float, one)) for one in vectors.values() if len(one) in lengths), None)
    return taste.model_dump(mode="json"), vector


async def _newest(session: AsyncSession, owner_id: str) -> int:
    found = await session.exec(select(func.max(DecisionRow.id)).where(col(DecisionRow.owner_id) == owner_id))
    return int(found.one() or 0)


async def _decided(session: AsyncSession, owner_id: str) -> list[Decision]:
    """The newest photos that a person approved or rejected and that still stand so, the latest last."""
    latest = func.max(DecisionRow.id)
    rows = await session.exec(
        select(DecisionRow.photo)
        .where(
            col(DecisionRow.owner_id) == owner_id,
            col(DecisionRow.kind).in_(("approve", "reject")),
            col(DecisionRow.undone).is_(False),
        )
        .group_by(col(DecisionRow.photo))
        .order_by(latest.desc())
        .limit(MOST)
    )
    hashes = list(rows)[::-1]
    pairs = await session.exec(
        select(PhotoRow, RecipeRow)
        .join(RecipeRow, col(RecipeRow.id) == col(PhotoRow.recipe_id))
        .where(
            col(PhotoRow.owner_id) == owner_id,
            col(RecipeRow.owner_id) == owner_id,
            col(PhotoRow.sha256).in_(hashes),
            col(PhotoRow.review).in_((Review.APPROVED, Review.REJECTED)),
        )
    )
    found = {photo.sha256: (photo, recipe) for photo, recipe in pairs}
    vectors = await _vectors(session, owner_id, hashes)
    decided = []
    for photo, recipe in (found[sha256] for sha256 in hashes if sha256 in found):
        as_json = {"ai_metadata": recipe.ai_metadata, "user_overrides": recipe.user_overrides}
        decided.append(
            decision_of(
                as_json,
                photo.analysis or {},
                approved=photo.review is Review.APPROVED,
                embedding=vectors.get(photo.sha256),
            )
        )
    return decided


async def _vectors(session: AsyncSession, owner_id: str, hashes: list[str]) -> dict[str, Any]:
    """Embeddings of photos, all of the model that has seen the most of them."""
    import numpy as np

    rows = list(
        await session.exec(
            select(EmbeddingRow).where(col(EmbeddingRow.owner_id) == owner_id, col(EmbeddingRow.photo).in_(hashes))
        )
    )
    models = Counter((row.model, row.revision) for row in rows)
    if not models:
        return {}
    most = max(models, key=lambda model: (models[model], model))
    return {row.photo: np.frombuffer(row.vector, "<f4") for row in rows if (row.model, row.revision) == most}
