"""`verify` finds each kind of disagreement, and nothing where all is well."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from immich_sidecar.errors import StorageError
from immich_sidecar.library import files, integrity, photos, recipes
from immich_sidecar.library.database import Database
from immich_sidecar.library.integrity import ProblemKind, verify
from immich_sidecar.library.tables import FileRow, IntakeState, PhotoRow, Review, Source, VersionRow, WorkState
from tests.library.parts import Library, write_photo
from tests.library.test_recipes import TAKEN, a_recipe

NAMES = ("kept", "rendered", "left alone", "stored")


@pytest.fixture
async def kept(library: Library, tmp_path: Path) -> dict[str, PhotoRow]:
    """Photos in several states, of two owners, everything as it should be."""
    rows: dict[str, PhotoRow] = {}
    for seed, name in enumerate(NAMES):
        owner = "anna" if name == "rendered" else "local"
        taken = await library.take(owner, write_photo(tmp_path / f"{name}.jpg", seed, taken=TAKEN))
        async with library.database.transaction() as session:
            rows[name] = photo = await photos.get(session, owner, taken.sha256)
            if name in ("kept", "rendered"):
                recipe = a_recipe(photo.sha256)
                await recipes.save(session, library.layout, recipe, owner)
                path = library.layout.processed(owner, photo.sha256, 1, "jpg", TAKEN)
                hidden = library.layout.rendering(owner, photo.sha256, 1, TAKEN)
                file = library.layout.absolute(path if name == "kept" else hidden)
                digests = files.hash_file(write_photo(file, 100 + seed))
                session.add(
                    VersionRow(
                        owner_id=owner,
                        photo=photo.sha256,
                        n=1,
                        recipe_id=recipe.id,
                        path=path,
                        size=digests.size,
                        sha256=digests.sha256,
                        sha1=digests.sha1,
                        width=48,
                        height=32,
                    )
                )
                photo.recipe_id, photo.version, photo.state = recipe.id, 1, WorkState(name)
                photo.review = Review.PENDING if name == "kept" else Review.NONE
            elif name == "left alone":
                photo.state, photo.left_alone_reason = WorkState.LEFT_ALONE, "it is fine"
            session.add(photo)
    return rows


async def _problems(library: Library, **options: bool) -> list[tuple[ProblemKind, str | None]]:
    report = await verify(library.database, library.layout, **options)
    assert report.clean == (not report.problems)
    return [(problem.kind, problem.sha256) for problem in report.problems]


async def test_where_all_is_well(library: Library, kept: dict[str, PhotoRow]) -> None:
    report = await verify(library.database, library.layout)
    assert report.problems == []
    assert (report.originals, report.versions, report.recipes, report.evicted) == (4, 2, 2, 0)
    assert report.leftovers == 1  # the version that is only to be kept
    assert "nothing is wrong" in report.summary()
    assert report.as_dict()["clean"] is True


async def test_missing_and_damaged_originals(library: Library, kept: dict[str, PhotoRow]) -> None:
    library.layout.absolute(kept["kept"].path or "").unlink()
    damaged = library.layout.absolute(kept["stored"].path or "")
    content = bytearray(damaged.read_bytes())
    content[100] ^= 1
    damaged.write_bytes(content)
    found = await _problems(library)
    assert sorted(found) == sorted(
        [(ProblemKind.MISSING, kept["kept"].sha256), (ProblemKind.DAMAGED, kept["stored"].sha256)]
    )
    assert await _problems(library, deep=False) == [(ProblemKind.MISSING, kept["kept"].sha256)]
    damaged.write_bytes(b"short")
    assert (ProblemKind.DAMAGED, kept["stored"].sha256) in await _problems(library, deep=False)


async def test_missing_and_damaged_versions(library: Library, kept: dict[str, PhotoRow]) -> None:
    library.layout.absolute(library.layout.rendering("anna", kept["rendered"].sha256, 1, TAKEN)).unlink()
    path = library.layout.absolute(library.layout.processed("local", kept["kept"].sha256, 1, "jpg", TAKEN))
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    assert sorted(await _problems(library)) == sorted(
        [(ProblemKind.MISSING, kept["rendered"].sha256), (ProblemKind.DAMAGED, kept["kept"].sha256)]
    )


async def test_a_hidden_version_counts_only_while_it_waits(library: Library, kept: dict[str, PhotoRow]) -> None:
    async with library.database.transaction() as session:
        photo = await photos.get(session, "anna", kept["rendered"].sha256)
        photo.state, photo.review = WorkState.KEPT, Review.PENDING
    assert await _problems(library) == [(ProblemKind.MISSING, kept["rendered"].sha256)]


async def test_copies_of_recipes(library: Library, kept: dict[str, PhotoRow]) -> None:
    copies = sorted(library.layout.data_dir.rglob("recipes/**/*.json"))
    copies[0].write_text("{}")
    copies[1].unlink()
    assert sorted(kind for kind, _ in await _problems(library)) == [ProblemKind.COPY, ProblemKind.MISSING]


async def test_a_copy_that_says_something_else(library: Library, kept: dict[str, PhotoRow]) -> None:
    copy = next(library.layout.data_dir.rglob("recipes/**/*.json"))
    copy.write_text(copy.read_text().replace("0.5", "0.6"))
    assert [kind for kind, _ in await _problems(library)] == [ProblemKind.COPY]


async def test_files_that_no_row_names(library: Library, kept: dict[str, PhotoRow]) -> None:
    write_photo(library.layout.absolute(f"originals/2024/05/{'ab' * 32}_x.jpg"))
    write_photo(library.layout.absolute(f"processed/2024/05/{kept['kept'].sha256}_processed_v9.jpg"))
    # Another owner's photo of the same bytes does not excuse a file.
    write_photo(library.layout.absolute(f"owners/anna/originals/2019/08/{kept['kept'].sha256}_kept.jpg"))
    assert {kind for kind, _ in await _problems(library)} == {ProblemKind.ORPHAN}
    assert len(await _problems(library)) == 3


async def test_a_file_whose_name_is_no_utf8(library: Library, kept: dict[str, PhotoRow]) -> None:
    folder = library.layout.absolute("originals/2024/05")
    folder.mkdir(parents=True, exist_ok=True)
    try:
        (folder / os.fsdecode(b"caf\xe9.jpg")).touch()
    except OSError:
        pytest.skip("this file system wants names in UTF-8")
    assert await _problems(library) == [(ProblemKind.ORPHAN, None)]


async def test_evicted_and_given_up_originals_are_fine(library: Library, kept: dict[str, PhotoRow]) -> None:
    async with library.database.transaction() as session:
        given_up = await photos.get(session, "local", kept["kept"].sha256)
        given_up.path = None  # the file is still there: a crash came first
        cached = await photos.get(session, "local", kept["stored"].sha256)
        library.layout.absolute(cached.path or "").unlink()
        cached.path = library.layout.cached_original("local", cached.sha256, "x.jpg")
        cached.source = Source.IMMICH
    report = await verify(library.database, library.layout)
    assert report.problems == []
    assert (report.evicted, report.surplus, report.originals) == (2, 1, 2)


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("kept", {"version": 7}),
        ("kept", {"recipe_id": None}),
        ("kept", {"review": Review.NONE}),
        ("stored", {"state": WorkState.ADVISED}),
        ("stored", {"recipe_id": "nonsense"}),
        ("left alone", {"left_alone_reason": None}),
    ],
    ids=str,
)
async def test_rows_that_contradict_each_other(
    library: Library, kept: dict[str, PhotoRow], name: str, change: dict[str, object]
) -> None:
    async with library.database.transaction() as session:
        photo = await photos.get(session, "local", kept[name].sha256)
        for column, value in change.items():
            setattr(photo, column, value)
    found = await _problems(library)
    assert found
    assert set(found) == {(ProblemKind.STATE, kept[name].sha256)}


async def test_a_fetched_file_must_be_a_photo(library: Library, kept: dict[str, PhotoRow]) -> None:
    async with library.database.transaction() as session:
        for state, sha256 in ((IntakeState.FETCHED, "ab" * 32), (IntakeState.SKIPPED, None)):
            session.add(FileRow(owner_id="local", path=f"/{state}", size=1, mtime_ns=1, state=state, sha256=sha256))
    assert await _problems(library) == [(ProblemKind.STATE, "ab" * 32)]


async def test_a_row_that_leads_elsewhere(library: Library, kept: dict[str, PhotoRow]) -> None:
    async with library.database.transaction() as session:
        (await photos.get(session, "local", kept["stored"].sha256)).path = "../../etc/passwd"
    assert (ProblemKind.UNREADABLE, kept["stored"].sha256) in await _problems(library)


async def test_a_file_that_cannot_be_read(
    library: Library, kept: dict[str, PhotoRow], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(path: Path) -> None:
        raise StorageError(f"reading {path}: input/output error")

    monkeypatch.setattr(integrity, "hash_file", broken)
    assert {kind for kind, _ in await _problems(library)} == {ProblemKind.UNREADABLE}


async def test_a_row_that_names_a_missing_one_is_found_here_and_not_at_every_start(
    library: Library, kept: dict[str, PhotoRow]
) -> None:
    with closing(sqlite3.connect(library.database.path)) as opened, opened:
        opened.execute("PRAGMA foreign_keys = OFF")
        opened.execute("UPDATE photos SET backfill_id = 99")
    again = Database(library.database.path)
    await again.open()
    await again.close()
    report = await verify(library.database, library.layout)
    assert [problem.kind for problem in report.problems] == [ProblemKind.STATE]
    assert report.problems[0].message == "4 rows of photos name one that is missing; restore a backup"
