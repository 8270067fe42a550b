"""Search of an owner's photos by what is in them: exact, over all vectors, for up to a million photos.

All vectors of one owner and one set of weights are looked at as bytes (`vector_matrix`), and the best few hundred again
as the floats that the database has. The answer is made of rows of the database alone, asked for by owner: the matrix
decides only which of them are looked at, so that nothing in it can show a photo of somebody else, or one that is gone.
"""

import asyncio
import hashlib
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select
from sqlmodel import col

from immich_sidecar.library import embeddings
from immich_sidecar.library.cache import Cache
from immich_sidecar.library.database import Database
from immich_sidecar.library.embeddings import Embedding
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.tables import EmbeddingRow
from immich_sidecar.library.vector_matrix import VectorMatrix, check_of

#: Rows that are looked at again as floats, at least.
LOOKED_AT_AGAIN = 400
#: Threads that a search takes.
THREADS = 2
#: Vectors that are read from the database at a time.
PIECE = 4000
#: Seconds between two looks at which vectors are gone; what is gone is never shown in between either.
_GONE_SECONDS = 60.0


@dataclass(frozen=True)
class Hit:
    """A photo that was found."""

    #: SHA-256 of the photo, hexadecimal.
    photo: str
    #: Cosine of the angle between both vectors, -1 to 1.
    score: float


@dataclass
class _Shelf:
    """The matrix of one owner and one set of weights, and its turn."""

    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    matrix: VectorMatrix | None = None
    looked_for_gone: float = -_GONE_SECONDS


class Vectors:
    """Searches vectors; close it at the end.

    Parameters
    ----------
    cache
        Is told which files are used, so that those stay longest.
    """

    def __init__(self, database: Database, layout: Layout, cache: Cache | None = None) -> None:
        self._database = database
        self._layout = layout
        self._cache = cache
        self._shelves: dict[tuple[str, str, str, int], _Shelf] = {}
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="vectors")

    def close(self) -> None:
        """Let go of the threads and files."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._shelves.clear()

    async def search(
        self, owner_id: str, model: str, revision: str, vector: NDArray[np.float32], *, limit: int = 60
    ) -> list[Hit]:
        """The owner's photos most like a vector, the most like first.

        Parameters
        ----------
        vector
            (dim,), made by the same model and set of weights; of any length but zero.

        Raises
        ------
        ModelAnswerError
            If the vector cannot be compared with anything.
        StorageError
            If the matrix cannot be read or written.
        """
        query = embeddings.unpacked(embeddings.packed(vector))
        for _ in range(2):
            matrix = await self._up_to_date(owner_id, model, revision, len(query))
            most = max(LOOKED_AT_AGAIN, 4 * limit)
            near = await asyncio.to_thread(matrix.nearest, query, most, self._threads, THREADS)
            async with self._database.reading() as session:
                found = await embeddings.numbered(session, owner_id, model, revision, near["id"].tolist())
            if _is_copy(near, found):
                break
            # The database was put back to an earlier state: numbers were given again.
            await self._begin_anew(owner_id, model, revision, len(query))
        fitting = [one for one in found if len(one.vector) == len(query)]
        if not fitting:
            return []
        scores = np.stack([one.vector for one in fitting]) @ query
        order = np.argsort(-scores, kind="stable")[:limit]
        return [Hit(fitting[i].photo, float(np.clip(scores[i], -1, 1))) for i in order]

    async def bring_up_to_date(self) -> None:
        """Add what is new to the matrices that were searched since the start, so that nobody waits for it."""
        for owner_id, model, revision, dim in list(self._shelves):
            await self._up_to_date(owner_id, model, revision, dim)

    async def _up_to_date(self, owner_id: str, model: str, revision: str, dim: int) -> VectorMatrix:
        shelf = self._shelves.setdefault((owner_id, model, revision, dim), _Shelf())
        async with shelf.turn:
            if shelf.matrix is None or not await asyncio.to_thread(shelf.matrix.is_in_place):
                shelf.matrix = await asyncio.to_thread(self._opened, owner_id, model, revision, dim)
                shelf.looked_for_gone = -_GONE_SECONDS
            matrix = shelf.matrix
            await self._add_new(matrix, owner_id, model, revision)
            if time.monotonic() - shelf.looked_for_gone > _GONE_SECONDS:
                await self._mask_gone(matrix, owner_id, model, revision)
                shelf.looked_for_gone = time.monotonic()
            if self._cache is not None:
                for path in matrix.paths:
                    self._cache.touch(path)
            return matrix

    async def _add_new(self, matrix: VectorMatrix, owner_id: str, model: str, revision: str) -> None:
        while True:
            # A session for each piece: a long one would keep the database's log from being folded in.
            query = (
                select(col(EmbeddingRow.id), col(EmbeddingRow.vector))
                .where(
                    col(EmbeddingRow.owner_id) == owner_id,
                    col(EmbeddingRow.model) == model,
                    col(EmbeddingRow.revision) == revision,
                    col(EmbeddingRow.dim) == matrix.dim,
                    col(EmbeddingRow.id) > matrix.last_id,
                )
                .order_by(col(EmbeddingRow.id))
                .limit(PIECE)
            )
            async with self._database.reading() as session:
                rows = (await (await session.connection()).execute(query)).all()
            if not rows:
                return
            numbers = np.frombuffer(b"".join(data for _, data in rows), "<f4").reshape(-1, matrix.dim)
            await asyncio.to_thread(matrix.add, [number or 0 for number, _ in rows], numbers)

    async def _mask_gone(self, matrix: VectorMatrix, owner_id: str, model: str, revision: str) -> None:
        async with self._database.reading() as session:
            there = await embeddings.count(session, owner_id, model, revision, up_to=matrix.last_id)
            if there == matrix.count:
                return
            ids = await embeddings.ids_of(session, owner_id, model, revision)
        await asyncio.to_thread(matrix.keep_only, ids)

    async def _begin_anew(self, owner_id: str, model: str, revision: str, dim: int) -> None:
        shelf = self._shelves[owner_id, model, revision, dim]
        async with shelf.turn:
            if shelf.matrix is not None:
                await asyncio.to_thread(shelf.matrix.throw_away)
                shelf.looked_for_gone = -_GONE_SECONDS

    def _opened(self, owner_id: str, model: str, revision: str, dim: int) -> VectorMatrix:
        name = hashlib.sha256(f"{model}\0{revision}\0{dim}".encode()).hexdigest()[:32]
        path = self._layout.absolute(self._layout.vectors(owner_id, name))
        return VectorMatrix.opened(path, (owner_id, model, revision), dim)


def _is_copy(near: NDArray[np.void], found: list[Embedding]) -> bool:
    """Whether the rows of the matrix are made of the vectors that the database has under their numbers."""
    checks = dict(zip(near["id"].tolist(), near["check"].tolist(), strict=True))
    return all(checks[one.id] == check_of(one.vector.astype("<f4").tobytes()) for one in found)
