"""Vectors of photos: kept as they are, replaced, and never another owner's."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlmodel import select

from immich_sidecar.errors import ModelAnswerError
from immich_sidecar.library import embeddings
from immich_sidecar.library.tables import EmbeddingRow
from tests.library.parts import Library, photo_row


def vector(seed: int, dim: int = 8) -> NDArray[np.float32]:
    made = np.random.default_rng(seed).normal(size=dim).astype(np.float32)
    return np.asarray(made / np.linalg.norm(made), np.float32)


async def with_photos(library: Library) -> list[str]:
    async with library.database.transaction() as session:
        for owner in ("local", "anna"):
            session.add_all([photo_row(n, owner=owner) for n in (1, 2, 3)])
    return [f"{n:064x}" for n in (1, 2, 3)]


async def test_a_vector_comes_back_as_it_was(library: Library) -> None:
    photos = await with_photos(library)
    async with library.database.transaction() as session:
        await embeddings.store(session, "local", photos[0], "clip", "1", 5 * vector(1))
        await embeddings.store(session, "local", photos[0], "other", "1", vector(2, 16))
    async with library.database.reading() as session:
        found = await embeddings.find(session, "local", photos[0], "clip")
        assert found is not None
        assert (found.model, found.revision, found.vector.dtype) == ("clip", "1", np.float32)
        np.testing.assert_allclose(found.vector, vector(1), atol=1e-6)
        row = (await session.exec(select(EmbeddingRow).where(EmbeddingRow.model == "other"))).one()
        assert (row.dim, np.frombuffer(row.vector, "<f4").tolist()) == (16, vector(2, 16).tolist())
        assert await embeddings.find(session, "local", photos[1], "clip") is None
        assert sorted(await embeddings.revisions(session, "local")) == [("clip", "1", 1), ("other", "1", 1)]


async def test_another_vector_takes_the_place_under_a_new_number(library: Library) -> None:
    photos = await with_photos(library)
    numbers = []
    for revision, seed in (("1", 1), ("1", 1), ("2", 1), ("2", 4)):
        async with library.database.transaction() as session:
            await embeddings.store(session, "local", photos[0], "clip", revision, vector(seed))
        async with library.database.reading() as session:
            found = await embeddings.find(session, "local", photos[0], "clip")
            assert found is not None
            np.testing.assert_allclose(found.vector, vector(seed), atol=1e-6)
            numbers.append(found.id)
            assert await embeddings.count(session, "local", "clip", revision) == 1
    assert numbers[0] == numbers[1] < numbers[2] < numbers[3]
    async with library.database.transaction() as session:
        await embeddings.remove(session, "local", photos[0])
        await embeddings.store(session, "local", photos[0], "clip", "2", vector(4))
    async with library.database.reading() as session:
        assert (await embeddings.ids_of(session, "local", "clip", "2")).tolist() > [numbers[3]]


async def test_each_owner_has_their_own(library: Library) -> None:
    photos = await with_photos(library)
    async with library.database.transaction() as session:
        for owner, seed in (("local", 1), ("anna", 100)):
            for n, photo in enumerate(photos):
                await embeddings.store(session, owner, photo, "clip", "1", vector(seed + n))
    async with library.database.reading() as session:
        hers = await embeddings.of_model(session, "anna", "clip", "1")
        assert [one.photo for one in hers] == photos
        np.testing.assert_allclose(hers[0].vector, vector(100), atol=1e-6)
        assert [one.photo for one in await embeddings.of_model(session, "anna", "clip", "1", after=hers[0].id)] == (
            photos[1:]
        )
        assert await embeddings.numbered(session, "local", "clip", "1", [one.id for one in hers]) == []
        assert len(await embeddings.numbered(session, "anna", "clip", "1", [one.id for one in hers])) == 3
        assert await embeddings.numbered(session, "anna", "clip", "2", [one.id for one in hers]) == []
    async with library.database.transaction() as session:
        await embeddings.remove(session, "anna", photos[0], "other")
        await embeddings.remove(session, "anna", photos[1])
    async with library.database.reading() as session:
        assert await embeddings.count(session, "anna", "clip", "1") == 2
        assert await embeddings.count(session, "local", "clip", "1") == 3


@pytest.mark.parametrize(
    "bad", [np.zeros(8), np.full(8, np.nan), np.array([1, np.inf]), np.ones((2, 4)), np.ones(0), np.ones(5000)]
)
async def test_what_cannot_be_compared_is_refused(library: Library, bad: NDArray[np.float64]) -> None:
    photos = await with_photos(library)
    async with library.database.transaction() as session:
        with pytest.raises(ModelAnswerError, match="cannot be compared"):
            await embeddings.store(session, "local", photos[0], "clip", "1", bad.astype(np.float32))
        assert await embeddings.count(session, "local", "clip", "1") == 0
