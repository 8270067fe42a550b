"""Recipes as rows, with a JSON copy beside them for people and for the day the database is gone."""

import asyncio
from contextlib import suppress
from pathlib import Path

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.errors import NotFoundError
from immich_sidecar.library import photos
from immich_sidecar.library.database import after_commit, after_rollback
from immich_sidecar.library.files import write_atomically
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.tables import RecipeRow
from immich_sidecar.recipe.recipe import Recipe


async def save(session: AsyncSession, layout: Layout, recipe: Recipe, owner_id: str) -> RecipeRow:
    """Store a recipe in the caller's transaction; one that is stored already is left as it is.

    The copy is written and synced first, under a name that says it waits, and gets its own name when the
    transaction is committed: no crash leaves a copy of a recipe that never came to be.

    Raises
    ------
    NotFoundError
        If the owner has no such photo.
    StorageError
        If the copy cannot be written.
    """
    existing = await session.get(RecipeRow, recipe.id)
    if existing is not None and existing.owner_id == owner_id:
        return existing
    photo = await photos.get(session, owner_id, recipe.original_hash)
    path = layout.recipe(owner_id, recipe.id, photo.captured_at or photo.created_at)
    copy = layout.absolute(path)
    waiting = waiting_copy(copy)
    after_rollback(session, lambda: waiting.unlink(missing_ok=True))
    await asyncio.to_thread(write_atomically, waiting, recipe.to_json().encode())
    after_commit(session, lambda: _settle(waiting, copy))
    data = recipe.model_dump(mode="json")
    row = RecipeRow(
        id=recipe.id,
        owner_id=owner_id,
        original_hash=recipe.original_hash,
        created_at=recipe.created_at,
        operations=data["operations"],
        ai_metadata=data["ai_metadata"],
        user_overrides=data["user_overrides"],
        path=path,
    )
    session.add(row)
    await session.flush()
    return row


async def load(session: AsyncSession, owner_id: str, recipe_id: str) -> Recipe:
    """The recipe.

    Raises
    ------
    NotFoundError
        If this owner has none of that id.
    """
    row = await session.get(RecipeRow, recipe_id)
    if row is None or row.owner_id != owner_id:
        raise NotFoundError(f"{owner_id} has no recipe {recipe_id[:64]}")
    return recipe_of(row)


async def for_photo(session: AsyncSession, owner_id: str, sha256: str) -> list[RecipeRow]:
    """All recipes of a photo, the oldest first."""
    query = (
        select(RecipeRow)
        .where(col(RecipeRow.owner_id) == owner_id, col(RecipeRow.original_hash) == sha256)
        .order_by(col(RecipeRow.created_at), col(RecipeRow.id))
    )
    return list((await session.exec(query)).all())


def recipe_of(row: RecipeRow) -> Recipe:
    """The recipe that a row holds."""
    return Recipe.model_validate(
        {
            "id": row.id,
            "original_hash": row.original_hash,
            "created_at": row.created_at,
            "operations": row.operations,
            "ai_metadata": row.ai_metadata,
            "user_overrides": row.user_overrides,
        }
    )


def waiting_copy(copy: Path) -> Path:
    """The hidden name under which a copy waits for its row."""
    return copy.with_name(f".{copy.name}.part")


def _settle(waiting: Path, copy: Path) -> None:
    # A failure here is made good at the next start (see `library.leftovers`), as a crash would be.
    with suppress(OSError):
        waiting.replace(copy)
