"""The vectors that models make of photos; each owner's are that owner's alone."""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlmodel import col, delete, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.errors import ModelAnswerError
from immich_sidecar.library.tables import EmbeddingRow, now

#: Numbers that a vector may have at most.
MOST_NUMBERS = 4096
#: Rows that are read at a time.
_PIECE = 500


@dataclass(frozen=True)
class Embedding:
    """One vector."""

    #: Number of its row: rises, and is another one for another vector.
    id: int
    #: SHA-256 of the photo, hexadecimal.
    photo: str
    model: str
    revision: str
    #: (dim,) float32, of length 1.
    vector: NDArray[np.float32]


async def store(  # noqa: PLR0917 - what a row has, in its order
    session: AsyncSession, owner_id: str, sha256: str, model: str, revision: str, vector: NDArray[np.float32]
) -> None:
    """Keep what a model made of a photo, in place of what it made before; the same again changes nothing.

    Parameters
    ----------
    vector
        (dim,), any length but zero: it is brought to length 1.

    Raises
    ------
    ModelAnswerError
        If the vector has no direction, or holds something that is no number.
    """
    data = packed(vector)
    row = await _row(session, owner_id, sha256, model)
    if row is not None:
        if row.revision == revision and row.vector == data:
            return
        # Another number for another vector: what was made of the old one must not pass for it.
        await session.delete(row)
        await session.flush()
    session.add(
        EmbeddingRow(
            owner_id=owner_id,
            photo=sha256,
            model=model,
            revision=revision,
            dim=len(data) // 4,
            vector=data,
            created_at=now(),
        )
    )
    await session.flush()


async def find(session: AsyncSession, owner_id: str, sha256: str, model: str) -> Embedding | None:
    """What a model made of one photo; None where it has not."""
    row = await _row(session, owner_id, sha256, model)
    return None if row is None else _embedding(row)


async def of_photo(session: AsyncSession, owner_id: str, sha256: str) -> list[Embedding]:
    """What all models made of one photo, the newest first."""
    query = (
        select(EmbeddingRow)
        .where(col(EmbeddingRow.owner_id) == owner_id, col(EmbeddingRow.photo) == sha256)
        .order_by(col(EmbeddingRow.id).desc())
    )
    return [_embedding(row) for row in await session.exec(query)]


async def of_model(
    session: AsyncSession, owner_id: str, model: str, revision: str, *, after: int = 0, limit: int = 10_000
) -> list[Embedding]:
    """Vectors of one owner and one set of weights in the order of their numbers, those after `after`."""
    query = (
        select(EmbeddingRow)
        .where(
            col(EmbeddingRow.owner_id) == owner_id,
            col(EmbeddingRow.model) == model,
            col(EmbeddingRow.revision) == revision,
            col(EmbeddingRow.id) > after,
        )
        .order_by(col(EmbeddingRow.id))
        .limit(limit)
    )
    return [_embedding(row) for row in await session.exec(query)]


async def numbered(
    session: AsyncSession, owner_id: str, model: str, revision: str, ids: Collection[int]
) -> list[Embedding]:
    """Those of the given numbers that are there, are this owner's, and come from this set of weights."""
    found: list[Embedding] = []
    wanted = list(ids)
    for start in range(0, len(wanted), _PIECE):
        query = select(EmbeddingRow).where(
            col(EmbeddingRow.id).in_(wanted[start : start + _PIECE]),
            col(EmbeddingRow.owner_id) == owner_id,
            col(EmbeddingRow.model) == model,
            col(EmbeddingRow.revision) == revision,
        )
        found += [_embedding(row) for row in await session.exec(query)]
    return found


async def ids_of(session: AsyncSession, owner_id: str, model: str, revision: str) -> NDArray[np.int64]:
    """The numbers of all vectors of one owner and one set of weights, rising."""
    query = select(col(EmbeddingRow.id)).where(*_of(owner_id, model, revision)).order_by(col(EmbeddingRow.id))
    return np.asarray((await session.exec(query)).all(), np.int64)


async def count(session: AsyncSession, owner_id: str, model: str, revision: str, *, up_to: int | None = None) -> int:
    """How many vectors there are of one owner and one set of weights, up to a number."""
    query = select(func.count()).select_from(EmbeddingRow).where(*_of(owner_id, model, revision))
    if up_to is not None:
        query = query.where(col(EmbeddingRow.id) <= up_to)
    return int((await session.exec(query)).one())


async def revisions(session: AsyncSession, owner_id: str) -> list[tuple[str, str, int]]:
    """Model, revision and number of vectors of all that the owner has, the most first."""
    number = func.count()
    query = (
        select(EmbeddingRow.model, EmbeddingRow.revision, number)
        .where(col(EmbeddingRow.owner_id) == owner_id)
        .group_by(col(EmbeddingRow.model), col(EmbeddingRow.revision))
        .order_by(number.desc())
    )
    return [(model, revision, int(n)) for model, revision, n in (await session.exec(query)).all()]


async def remove(session: AsyncSession, owner_id: str, sha256: str, model: str | None = None) -> None:
    """Remove what models made of a photo; of one model, where that is said."""
    query = delete(EmbeddingRow).where(col(EmbeddingRow.owner_id) == owner_id, col(EmbeddingRow.photo) == sha256)
    if model is not None:
        query = query.where(col(EmbeddingRow.model) == model)
    await session.exec(query)


def packed(vector: NDArray[np.float32]) -> bytes:
    """A vector of length 1 as rows keep it: float32, little-endian; raises what `store` raises."""
    numbers = np.asarray(vector, np.float64)
    length = float(np.linalg.norm(numbers)) if numbers.ndim == 1 and 0 < numbers.size <= MOST_NUMBERS else 0.0
    if not np.isfinite(length) or length < 1e-12:
        raise ModelAnswerError(f"a vector of shape {numbers.shape} that cannot be compared (length {length:g})")
    return (numbers / length).astype("<f4").tobytes()


def unpacked(data: bytes) -> NDArray[np.float32]:
    """What `packed` wrote, read-only."""
    return np.frombuffer(data, "<f4").astype(np.float32, copy=False)


def _of(owner_id: str, model: str, revision: str) -> tuple[Any, ...]:
    return (
        col(EmbeddingRow.owner_id) == owner_id,
        col(EmbeddingRow.model) == model,
        col(EmbeddingRow.revision) == revision,
    )


async def _row(session: AsyncSession, owner_id: str, sha256: str, model: str) -> EmbeddingRow | None:
    query = select(EmbeddingRow).where(
        col(EmbeddingRow.owner_id) == owner_id, col(EmbeddingRow.photo) == sha256, col(EmbeddingRow.model) == model
    )
    return (await session.exec(query)).first()


def _embedding(row: EmbeddingRow) -> Embedding:
    return Embedding(row.id or 0, row.photo, row.model, row.revision, unpacked(row.vector))
