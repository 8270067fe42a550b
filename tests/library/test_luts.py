"""Colour tables that belong to one photo: recipes may name them, and no list shows them."""

import hashlib

import numpy as np

from immich_sidecar.develop.cube import cube_of
from immich_sidecar.library import luts
from immich_sidecar.library.tables import LutRow
from tests.library.parts import Library

CUBE = cube_of(np.random.default_rng(1).uniform(0, 1, (5, 5, 5, 3)).astype(np.float32))
MADE = {"name": "Made for this photo", "normal_form": CUBE.normal_form, "points": CUBE.size}


async def test_a_table_of_a_photo_is_kept_off_the_list(library: Library) -> None:
    for _ in range(2):
        async with library.database.transaction() as session:
            assert await luts.keep_unlisted(session, library.layout, "local", **MADE) == CUBE.sha256

    async with library.database.reading() as session:
        assert await luts.has(session, "local", CUBE.sha256)
        assert not await luts.has(session, "anna", CUBE.sha256)
        assert await luts.all_of(session, "local") == []
        row = await session.get(LutRow, ("local", CUBE.sha256))
    assert row is not None
    assert hashlib.sha256(library.layout.absolute(row.path).read_bytes()).hexdigest() == CUBE.sha256


async def test_they_do_not_count_against_the_owners_own(library: Library) -> None:
    async with library.database.transaction() as session:
        for seed in range(luts.MOST_LUTS + 1):
            table = np.random.default_rng(seed).uniform(0, 1, (2, 2, 2, 3)).astype(np.float32)
            made = {**MADE, "normal_form": cube_of(table).normal_form, "points": 2}
            await luts.keep_unlisted(session, library.layout, "local", **made)
        _, is_new = await luts.keep(session, library.layout, "local", **MADE)

    assert is_new


async def test_one_that_is_on_the_list_stays_there_and_a_lost_file_comes_back(library: Library) -> None:
    async with library.database.transaction() as session:
        row, _ = await luts.keep(session, library.layout, "local", **{**MADE, "name": "Mine"})
    library.layout.absolute(row.path).unlink()

    async with library.database.transaction() as session:
        await luts.keep_unlisted(session, library.layout, "local", **MADE)

    async with library.database.reading() as session:
        assert [row.name for row in await luts.all_of(session, "local")] == ["Mine"]
    assert library.layout.absolute(row.path).read_bytes() == CUBE.normal_form


async def test_one_that_is_imported_again_takes_the_place_of_a_damaged_file(library: Library) -> None:
    async with library.database.transaction() as session:
        row, _ = await luts.keep(session, library.layout, "local", **MADE)
    file = library.layout.absolute(row.path)
    file.write_bytes(b"x" + CUBE.normal_form[1:])

    async with library.database.transaction() as session:
        await luts.keep(session, library.layout, "local", **MADE)

    assert file.read_bytes() == CUBE.normal_form
