"""Search over vectors: exact, up to date, whole after a crash, and blind to everybody else's photos."""

import shutil
import threading
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from sqlmodel import select

from immich_sidecar.library import embeddings, vector_matrix, vectors
from immich_sidecar.library.cache import Cache
from immich_sidecar.library.tables import PhotoRow
from immich_sidecar.library.vector_matrix import RECORD, VectorMatrix
from immich_sidecar.library.vectors import Vectors
from tests.library.parts import Library, photo_row

DIM = 32


def some(count: int, seed: int = 1, dim: int = DIM) -> NDArray[np.float32]:
    made = np.random.default_rng(seed).normal(size=(count, dim)).astype(np.float32)
    return np.asarray(made / np.linalg.norm(made, axis=1, keepdims=True), np.float32)


async def put(library: Library, owner: str, numbers: NDArray[np.float32], *, first: int = 0, model: str = "m") -> None:
    """Photos `first`... of an owner, with these vectors."""
    async with library.database.transaction() as session:
        known = set((await session.exec(select(PhotoRow.sha256).where(PhotoRow.owner_id == owner))).all())
        new = [n for n in range(first, first + len(numbers)) if f"{n:064x}" not in known]
        session.add_all([photo_row(n, owner=owner) for n in new])
        await session.flush()
        for n, vector in enumerate(numbers, start=first):
            await embeddings.store(session, owner, f"{n:064x}", model, "1", vector)


def number(photo: str) -> int:
    return int(photo, 16)


@pytest.fixture
async def search(library: Library) -> AsyncIterator[Vectors]:
    made = Vectors(library.database, library.layout, Cache(library.layout, library.database, 1 << 30))
    yield made
    made.close()


async def test_the_answer_is_that_of_exact_search(library: Library, search: Vectors) -> None:
    numbers = some(600)
    await put(library, "local", numbers)
    for query in some(5, seed=9):
        hits = await search.search("local", "m", "1", 7 * query, limit=20)
        exact = numbers @ query
        best = np.argsort(-exact)[:20]
        assert [number(hit.photo) for hit in hits] == best.tolist()
        np.testing.assert_allclose([hit.score for hit in hits], exact[best], atol=1e-5)
    assert await search.search("local", "m", "2", numbers[0]) == []
    assert await search.search("local", "other", "1", numbers[0]) == []
    assert await search.search("local", "m", "1", some(1, dim=8)[0]) == []


async def test_new_replaced_and_removed_vectors_are_seen_at_once(
    library: Library, search: Vectors, monkeypatch: pytest.MonkeyPatch
) -> None:
    numbers = some(30)
    await put(library, "local", numbers[:10])
    assert len(await search.search("local", "m", "1", numbers[0])) == 10
    await put(library, "local", numbers[10:20], first=10)
    hits = await search.search("local", "m", "1", numbers[15])
    assert (number(hits[0].photo), len(hits)) == (15, 20)
    await put(library, "local", numbers[25:26], first=15)
    hits = await search.search("local", "m", "1", numbers[25])
    assert (number(hits[0].photo), round(hits[0].score, 4), len(hits)) == (15, 1.0, 20)
    async with library.database.transaction() as session:
        for n in range(10):
            await embeddings.remove(session, "local", f"{n:064x}")
    hits = await search.search("local", "m", "1", numbers[3])
    assert sorted(number(hit.photo) for hit in hits) == list(range(10, 20))
    # What is gone takes no place among the few that are looked at again, either.
    monkeypatch.setattr(vectors, "_GONE_SECONDS", -1.0)
    monkeypatch.setattr(vectors, "LOOKED_AT_AGAIN", 1)
    hits = await search.search("local", "m", "1", numbers[3], limit=1)
    best = int(np.argmax([float(numbers[n] @ numbers[3]) for n in (*range(10, 15), 25, *range(16, 20))]))
    assert number(hits[0].photo) == 10 + best


async def test_nobody_finds_the_photos_of_others(library: Library, search: Vectors) -> None:
    numbers = some(40)
    await put(library, "local", numbers[:20])
    await put(library, "anna", numbers[20:])
    for owner, other in (("local", "anna"), ("anna", "local")):
        for query in numbers[::7]:
            async with library.database.reading() as session:
                own = {one.photo: one for one in await embeddings.of_model(session, owner, "m", "1")}
            for hit in await search.search(owner, "m", "1", query, limit=100):
                assert hit.score == pytest.approx(float(own[hit.photo].vector @ query), abs=1e-5), (owner, other)
    # Even with her matrix in the place of the other: files of somebody else are thrown away,
    places = [library.layout.absolute(f"{home}cache/vectors") for home in ("", "owners/anna/")]
    again = Vectors(library.database, library.layout)
    for path in places[1].iterdir():
        shutil.copy(path, places[0] / path.name)
    hits = await again.search("local", "m", "1", numbers[25], limit=100)
    exact = numbers[:20] @ numbers[25]
    assert [number(hit.photo) for hit in hits] == np.argsort(-exact).tolist()
    # and with the head forged, rows of the database are asked for by owner.
    (ids,) = places[0].glob("*.ids")
    (hers,) = places[1].glob("*.ids")
    ids.write_bytes(ids.read_bytes()[:32] + hers.read_bytes()[32:])
    forged = Vectors(library.database, library.layout)
    assert {number(hit.photo) for hit in await forged.search("local", "m", "1", numbers[25], limit=100)} <= set(
        range(20)
    )
    again.close()
    forged.close()


async def test_a_matrix_that_was_cut_off_is_made_whole(library: Library) -> None:
    numbers = some(50)
    await put(library, "local", numbers)

    async def ask() -> list[int]:
        fresh = Vectors(library.database, library.layout)
        hits = await fresh.search("local", "m", "1", numbers[7], limit=50)
        fresh.close()
        return [number(hit.photo) for hit in hits]

    wanted = np.argsort(-(numbers @ numbers[7])).tolist()
    assert await ask() == wanted
    folder = library.layout.absolute("cache/vectors")
    (ids,), (rows,) = folder.glob("*.ids"), folder.glob("*.i8")
    whole_ids, whole_rows = ids.read_bytes(), rows.read_bytes()
    assert (len(whole_ids), len(whole_rows)) == (32 + 50 * RECORD.itemsize, 50 * DIM)
    zeros = whole_ids[: 32 + 30 * RECORD.itemsize] + bytes(20 * RECORD.itemsize)
    for broken_ids, broken_rows in (
        (whole_ids[:-5], whole_rows),  # in the middle of a record
        (whole_ids[: 32 + 10 * RECORD.itemsize], whole_rows),  # rows were written, and not told of
        (whole_ids, whole_rows[: 20 * DIM + 3]),  # a file system that lost the order
        (zeros, whole_rows),
        (whole_ids[:9], whole_rows),
        (b"", b""),
        (b"x" * len(whole_ids), whole_rows),
    ):
        ids.write_bytes(broken_ids)
        rows.write_bytes(broken_rows)
        assert await ask() == wanted
        assert (ids.read_bytes(), rows.read_bytes()) == (whole_ids, whole_rows)


async def test_an_emptied_cache_is_filled_again(library: Library, search: Vectors) -> None:
    numbers = some(12)
    await put(library, "local", numbers)
    before = await search.search("local", "m", "1", numbers[0])
    state = await Cache(library.layout, library.database, 1).evict()
    assert state.evicted >= 2
    assert not any(library.layout.absolute("cache/vectors").iterdir())
    assert await search.search("local", "m", "1", numbers[0]) == before
    assert len(list(library.layout.absolute("cache/vectors").iterdir())) == 2


async def test_a_database_of_before_is_noticed(library: Library, search: Vectors) -> None:
    numbers = some(20)
    await put(library, "local", numbers)
    await search.search("local", "m", "1", numbers[0])
    # As after a backup was put back: the same numbers, other vectors.
    async with library.database.transaction() as session:
        for row in await embeddings.of_model(session, "local", "m", "1"):
            kept = await session.get_one(vectors.EmbeddingRow, row.id)
            kept.vector = embeddings.packed(numbers[19 - number(row.photo)])
            session.add(kept)
    hits = await search.search("local", "m", "1", numbers[4], limit=20)
    exact = numbers[::-1] @ numbers[4]
    assert [number(hit.photo) for hit in hits] == np.argsort(-exact).tolist()


async def test_searches_go_on_while_rows_are_added(tmp_path: Path) -> None:
    numbers = some(3000)
    matrix = VectorMatrix.opened(tmp_path / "m", ("local",), DIM)
    matrix.add(range(1, 1001), numbers[:1000])
    wrong: list[int] = []

    def ask() -> None:
        with ThreadPoolExecutor(2) as threads:
            for query in range(0, 1000, 50):
                near = matrix.nearest(numbers[query], 5, threads)
                if int(near["id"][0]) != query + 1:
                    wrong.append(query)

    asking = threading.Thread(target=ask)
    asking.start()
    for start in range(1000, 3000, 100):
        matrix.add(range(start + 1, start + 101), numbers[start : start + 100])
    asking.join()
    assert not wrong
    assert (matrix.count, matrix.last_id) == (3000, 3000)
    again = VectorMatrix.opened(tmp_path / "m", ("local",), DIM)
    assert np.array_equal(again.rows, matrix.rows)
    assert np.array_equal(again.records, matrix.records)
    assert vector_matrix.RECORD.itemsize == 16
