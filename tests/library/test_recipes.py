"""Recipes: the row is the truth, the file its copy."""

from datetime import UTC, datetime
from pathlib import Path

import pytest

from immich_sidecar.errors import NotFoundError
from immich_sidecar.library import photos, processed, recipes
from immich_sidecar.library.leftovers import remove_leftovers
from immich_sidecar.library.tables import RecipeRow, VersionRow
from immich_sidecar.recipe.recipe import Recipe, new_recipe
from tests.library.parts import Library, write_photo

AT = datetime(2026, 1, 2, tzinfo=UTC)
TAKEN = datetime(2019, 8, 1, tzinfo=UTC)


def a_recipe(sha256: str, ev: float = 0.5) -> Recipe:
    suggestion = {
        "operation": "exposure",
        "parameters": {"ev": ev},
        "confidence": 0.8,
        "reason": "dark",
        "applied": True,
    }
    return new_recipe(sha256, [suggestion], {}, at=AT)


async def _photo(library: Library, tmp_path: Path, owner: str = "local") -> str:
    return (await library.take(owner, write_photo(tmp_path / "a.jpg", taken=TAKEN))).sha256


async def test_a_recipe_comes_back_as_it_was(library: Library, tmp_path: Path) -> None:
    recipe = a_recipe(await _photo(library, tmp_path))
    async with library.database.transaction() as session:
        row = await recipes.save(session, library.layout, recipe, "local")
    assert row.path == f"recipes/2019/08/{recipe.id}.json"
    async with library.database.reading() as session:
        assert await recipes.load(session, "local", recipe.id) == recipe
        assert [one.id for one in await recipes.for_photo(session, "local", recipe.original_hash)] == [recipe.id]
        with pytest.raises(NotFoundError):
            await recipes.load(session, "anna", recipe.id)
        assert await recipes.for_photo(session, "anna", recipe.original_hash) == []
    assert Recipe.from_json(library.layout.absolute(row.path).read_bytes()) == recipe


async def test_saving_twice_is_saving_once(library: Library, tmp_path: Path) -> None:
    recipe = a_recipe(await _photo(library, tmp_path))
    for _ in range(2):
        async with library.database.transaction() as session:
            await recipes.save(session, library.layout, recipe, "local")
    assert sum(name.startswith("recipes/") for name in library.files()) == 1


async def test_a_recipe_needs_its_photo(library: Library, tmp_path: Path) -> None:
    recipe = a_recipe(await _photo(library, tmp_path))

    async def save() -> None:
        async with library.database.transaction() as session:
            await recipes.save(session, library.layout, recipe, "anna")

    with pytest.raises(NotFoundError):
        await save()
    assert not any(name.startswith("owners/") for name in library.files())


async def test_a_transaction_that_fails_leaves_no_copy(library: Library, tmp_path: Path) -> None:
    recipe = a_recipe(await _photo(library, tmp_path))

    async def save() -> None:
        async with library.database.transaction() as session:
            await recipes.save(session, library.layout, recipe, "local")
            raise RuntimeError("before the commit")

    with pytest.raises(RuntimeError):
        await save()
    assert len(library.files()) == 1  # the original


@pytest.mark.parametrize("committed", [True, False])
async def test_a_crash_around_the_commit(library: Library, tmp_path: Path, committed: bool) -> None:
    """Killed before or after the commit, before the copy got its name: the next start puts it in order."""
    recipe = a_recipe(await _photo(library, tmp_path))
    async with library.database.transaction() as session:
        row = await recipes.save(session, library.layout, recipe, "local")
    copy = library.layout.absolute(row.path)
    copy.replace(recipes.waiting_copy(copy))
    if not committed:
        async with library.database.transaction() as session:
            await session.delete(await session.get(RecipeRow, recipe.id))
    done = await remove_leftovers(library.database, library.layout)
    assert copy.exists() == committed
    assert not recipes.waiting_copy(copy).exists()
    assert (done.finished, done.removed) == ((1, 0) if committed else (0, 1))


async def test_version_numbers_are_never_given_twice(library: Library, tmp_path: Path) -> None:
    recipe = a_recipe(await _photo(library, tmp_path))
    sha256 = recipe.original_hash
    async with library.database.transaction() as session:
        await recipes.save(session, library.layout, recipe, "local")
        assert await processed.next_number(session, "local", sha256) == 1
        (await photos.get(session, "local", sha256)).version = 1  # begun, not rendered yet
        assert await processed.next_number(session, "local", sha256) == 2
        for n in (1, 2, 3):
            session.add(
                VersionRow(
                    owner_id="local",
                    photo=sha256,
                    n=n,
                    recipe_id=recipe.id,
                    path=f"{n}",
                    size=1,
                    sha256=f"{n:064x}",
                    sha1=f"{n:040x}",
                    width=1,
                    height=1,
                )
            )
        await session.flush()
        assert await processed.next_number(session, "local", sha256) == 4  # also after an undo to 1
        assert [row.n for row in await processed.all_of(session, "local", sha256)] == [1, 2, 3]
        assert (await processed.get(session, "local", sha256, 2)).path == "2"
        found = await processed.find_by_sha1(session, "local", f"{3:040x}")
        assert found is not None
        assert found.n == 3
        assert await processed.find_by_sha1(session, "anna", f"{3:040x}") is None
        assert await processed.all_of(session, "anna", sha256) == []
        for call in (processed.next_number(session, "anna", sha256), processed.get(session, "local", sha256, 9)):
            with pytest.raises(NotFoundError):
                await call
