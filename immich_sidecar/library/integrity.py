"""Whether files and rows agree: every row has its file, every file its row, every byte is as it was written."""

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

from sqlalchemy import tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.errors import RecipeError, StorageError
from immich_sidecar.library.database import Database, broken_references
from immich_sidecar.library.files import hash_file
from immich_sidecar.library.layout import KEPT_FOLDERS, Layout, readable_name
from immich_sidecar.library.leftovers import temporary_files
from immich_sidecar.library.originals import is_cached
from immich_sidecar.library.recipes import recipe_of
from immich_sidecar.library.tables import (
    AssetRow,
    CompanionRow,
    FileRow,
    IntakeState,
    LutRow,
    PhotoRow,
    RecipeRow,
    Review,
    VersionRow,
    WorkState,
)
from immich_sidecar.recipe.recipe import Recipe

#: Rows read at once.
BATCH = 500

_WITH_RECIPE = (WorkState.ADVISED, WorkState.RENDERED, WorkState.KEPT)
_WITH_VERSION = (WorkState.RENDERED, WorkState.KEPT)


class ProblemKind(StrEnum):
    """What is wrong."""

    #: A row names a file that is not there.
    MISSING = "missing"
    #: A file has another size or SHA-256 than its row says.
    DAMAGED = "damaged"
    #: A file cannot be read.
    UNREADABLE = "unreadable"
    #: A file in our folders that no row names.
    ORPHAN = "orphan"
    #: The JSON copy of a recipe is not what its row holds.
    COPY = "copy"
    #: Rows contradict each other.
    STATE = "state"


@dataclass(frozen=True)
class Problem:
    """One thing that is not as it should be."""

    kind: ProblemKind
    #: Relative to the data directory; empty where it is not about a file.
    path: str
    owner: str
    #: The photo it is about, or None.
    sha256: str | None
    #: What was expected and what was found.
    message: str


@dataclass
class Report:
    """What `verify` found."""

    #: Whether the bytes were read, and not only names and sizes.
    deep: bool
    #: Originals whose copy is here.
    originals: int = 0
    #: Originals whose copy was evicted or removed on purpose: as it should be.
    evicted: int = 0
    #: Files that belong to a photo (the JPEG of a RAW file, XMP files) whose copy is here.
    companions: int = 0
    versions: int = 0
    recipes: int = 0
    #: Colour tables that recipes may name.
    luts: int = 0
    #: Temporary files; a running service has some, a start clears them away.
    leftovers: int = 0
    #: Copies of originals that were given up and are still there; harmless.
    surplus: int = 0
    #: Bytes held against their rows.
    size: int = 0
    problems: list[Problem] = field(default_factory=list)

    @property
    def clean(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def add(self, kind: ProblemKind, message: str, owner: str, sha256: str | None, path: str = "") -> None:
        """Note something that is wrong."""
        self.problems.append(Problem(kind, path, owner, sha256, message))

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON can hold it."""
        return {**asdict(self), "clean": self.clean}

    def summary(self) -> str:
        """One line for a person."""
        how = "checksums" if self.deep else "sizes"
        counted = f"{self.originals} originals, {self.versions} versions and {self.recipes} recipes"
        more = [
            f"{number} {what}"
            for number, what in (
                (self.companions, "companions likewise"),
                (self.luts, "LUTs likewise"),
                (self.evicted, "originals without a copy here, as it should be"),
                (self.surplus, "copies more than needed"),
                (self.leftovers, "temporary files"),
            )
            if number
        ]
        found = f"{len(self.problems)} problems" if self.problems else "nothing is wrong"
        return "; ".join([f"{counted} compared by {how} ({self.size / (1 << 20):,.1f} MiB): {found}", *more])


async def verify(database: Database, layout: Layout, *, deep: bool = True) -> Report:
    """Compare all rows with all files.

    Beside a running service it may report as missing or orphan what is being written at that moment.

    Parameters
    ----------
    deep : bool
        Read every original and version and compare its SHA-256; otherwise only its size.
    """
    report = Report(deep)
    async for photos in _photos(database):
        for photo in photos:
            await asyncio.to_thread(_check_original, layout, photo, report)
        await _check_states(database, photos, report)
    async for rows in _companions(database):
        for companion in rows:
            await asyncio.to_thread(_check_companion, layout, companion, report)
    async for versions in _versions(database):
        waiting = await _waiting(database, versions)
        for version in versions:
            is_waiting = (version.owner_id, version.photo, version.n) in waiting
            await asyncio.to_thread(_check_version, layout, version, report, is_waiting)
    async for recipes in _recipes(database):
        for recipe in recipes:
            await asyncio.to_thread(_check_recipe, layout, recipe, report)
    await _check_luts(database, layout, report)
    await _check_intake(database, report)
    await _check_references(database, report)
    await _check_orphans(database, layout, report)
    report.leftovers = await asyncio.to_thread(lambda: sum(1 for _ in temporary_files(layout)))
    return report


async def _photos(database: Database) -> AsyncIterator[Sequence[PhotoRow]]:
    key = ("", "")
    while True:
        async with database.reading() as session:
            columns = (col(PhotoRow.owner_id), col(PhotoRow.sha256))
            query = select(PhotoRow).where(tuple_(*columns) > key).order_by(*columns).limit(BATCH)
            rows = (await session.exec(query)).all()
        if not rows:
            return
        key = (rows[-1].owner_id, rows[-1].sha256)
        yield rows


async def _companions(database: Database) -> AsyncIterator[Sequence[CompanionRow]]:
    last = 0
    while True:
        async with database.reading() as session:
            query = select(CompanionRow).where(col(CompanionRow.id) > last).order_by(col(CompanionRow.id)).limit(BATCH)
            rows = (await session.exec(query)).all()
        if not rows:
            return
        last = rows[-1].id or 0
        yield rows


async def _versions(database: Database) -> AsyncIterator[Sequence[VersionRow]]:
    last = 0
    while True:
        async with database.reading() as session:
            query = select(VersionRow).where(col(VersionRow.id) > last).order_by(col(VersionRow.id)).limit(BATCH)
            rows = (await session.exec(query)).all()
        if not rows:
            return
        last = rows[-1].id or 0
        yield rows


async def _recipes(database: Database) -> AsyncIterator[Sequence[RecipeRow]]:
    last = ""
    while True:
        async with database.reading() as session:
            query = select(RecipeRow).where(col(RecipeRow.id) > last).order_by(col(RecipeRow.id)).limit(BATCH)
            rows = (await session.exec(query)).all()
        if not rows:
            return
        last = rows[-1].id
        yield rows


def _check_original(layout: Layout, photo: PhotoRow, report: Report) -> None:
    if photo.path is None:
        report.evicted += 1
        return
    found = _compare(layout, photo.path, (photo.size, photo.sha256), report)
    if found is None:
        report.originals += 1
    elif found[0] is ProblemKind.MISSING and is_cached(photo.path):
        report.evicted += 1
    else:
        report.add(found[0], f"the original {photo.file_name}: {found[1]}", photo.owner_id, photo.sha256, photo.path)


def _check_companion(layout: Layout, row: CompanionRow, report: Report) -> None:
    if row.path is None:
        return
    found = _compare(layout, row.path, (row.size, row.sha256 or ""), report)
    report.companions += 1
    if found is not None:
        report.add(found[0], f"the companion {row.file_name}: {found[1]}", row.owner_id, row.photo, row.path)


def _check_version(layout: Layout, version: VersionRow, report: Report, waiting: bool) -> None:
    facts = (version.size, version.sha256)
    found = _compare(layout, version.path, facts, report)
    if found is not None and found[0] is ProblemKind.MISSING and waiting:
        # Rendered and not kept yet: the file still has the hidden name of `Layout.rendering`.
        found = _compare(layout, layout.rendering_of(version.path, version.photo, version.n), facts, report)
    report.versions += 1
    if found is not None:
        report.add(found[0], f"version {version.n}: {found[1]}", version.owner_id, version.photo, version.path)


def _check_recipe(layout: Layout, row: RecipeRow, report: Report) -> None:
    report.recipes += 1
    what = f"recipe {row.id}"
    try:
        recipe = recipe_of(row)
    except (RecipeError, ValueError) as error:
        report.add(ProblemKind.STATE, f"{what}: its row is no recipe ({error})", row.owner_id, row.original_hash)
        return
    try:
        copy = layout.absolute(row.path).read_bytes()
        report.size += len(copy)
        same = Recipe.from_json(copy) == recipe
    except (OSError, StorageError) as error:
        kind = ProblemKind.MISSING if isinstance(error, FileNotFoundError) else ProblemKind.UNREADABLE
        report.add(kind, f"{what}: its copy cannot be read ({error})", row.owner_id, row.original_hash, row.path)
    except (RecipeError, UnicodeDecodeError) as error:
        report.add(ProblemKind.COPY, f"{what}: its copy is damaged: {error}", row.owner_id, row.original_hash, row.path)
    else:
        if not same:
            message = f"{what}: its copy is not what the row holds"
            report.add(ProblemKind.COPY, message, row.owner_id, row.original_hash, row.path)


async def _check_luts(database: Database, layout: Layout, report: Report) -> None:
    async with database.reading() as session:
        rows = (await session.exec(select(LutRow))).all()
    for row in rows:
        found = await asyncio.to_thread(_compare, layout, row.path, (row.size, row.sha256), report)
        report.luts += 1
        if found is not None:
            report.add(found[0], f"the LUT {row.name}: {found[1]}; import it again", row.owner_id, None, row.path)


def _compare(layout: Layout, path: str, facts: tuple[int, str], report: Report) -> tuple[ProblemKind, str] | None:
    """Hold a file against the size and SHA-256 it should have."""
    size, sha256 = facts
    try:
        file = layout.absolute(path)
        if not file.is_file():
            return ProblemKind.MISSING, f"{path} is not there"
        found = file.stat().st_size
        if found != size:
            return ProblemKind.DAMAGED, f"{path} has {found} bytes and should have {size}"
        report.size += found
        if report.deep and (digest := hash_file(file).sha256) != sha256:
            return ProblemKind.DAMAGED, f"{path} has the SHA-256 {digest} and should have {sha256}"
    except (OSError, StorageError) as error:
        return ProblemKind.UNREADABLE, f"{path} cannot be read ({error})"
    return None


async def _check_states(database: Database, rows: Sequence[PhotoRow], report: Report) -> None:
    """Whether the rows of these photos agree with each other."""
    hashes, owners = [row.sha256 for row in rows], {row.owner_id for row in rows}
    async with database.reading() as session:
        versions = (
            await session.exec(
                select(VersionRow).where(col(VersionRow.owner_id).in_(owners), col(VersionRow.photo).in_(hashes))
            )
        ).all()
        recipes = (
            await session.exec(
                select(RecipeRow.owner_id, RecipeRow.original_hash, RecipeRow.id).where(
                    col(RecipeRow.owner_id).in_(owners), col(RecipeRow.original_hash).in_(hashes)
                )
            )
        ).all()
    has_version = {(row.owner_id, row.photo, row.n): row.recipe_id for row in versions}
    has_recipe = set(recipes)
    for photo in rows:
        who = (photo.owner_id, photo.sha256)
        current = has_version.get((*who, photo.version))
        for wrong, message in (
            (photo.recipe_id and (*who, photo.recipe_id) not in has_recipe, f"recipe {photo.recipe_id} does not exist"),
            (photo.state in _WITH_RECIPE and not photo.recipe_id, f"is {photo.state} and has no recipe"),
            (photo.state in _WITH_RECIPE and not photo.version, f"is {photo.state} and has no version number"),
            (
                photo.state in _WITH_VERSION and photo.version and current is None,
                f"is {photo.state} and version {photo.version} does not exist",
            ),
            (
                photo.state in _WITH_VERSION and current is not None and current != photo.recipe_id,
                f"version {photo.version} was made from recipe {current}, not {photo.recipe_id}",
            ),
            (photo.state is WorkState.KEPT and photo.review is Review.NONE, "is kept and awaits nobody's review"),
            (photo.state is WorkState.LEFT_ALONE and not photo.left_alone_reason, "is left alone without a reason"),
        ):
            if wrong:
                report.add(ProblemKind.STATE, f"{photo.file_name}: {message}", *who)


async def _waiting(database: Database, versions: Sequence[VersionRow]) -> set[tuple[str, str, int]]:
    """Which of the versions may still have their hidden name."""
    async with database.reading() as session:
        query = select(PhotoRow.owner_id, PhotoRow.sha256, PhotoRow.version).where(
            col(PhotoRow.owner_id).in_({row.owner_id for row in versions}),
            col(PhotoRow.sha256).in_([row.photo for row in versions]),
            col(PhotoRow.state) == WorkState.RENDERED,
        )
        return {(owner, sha256, n) for owner, sha256, n in (await session.exec(query)).all()}


async def _check_references(database: Database, report: Report) -> None:
    """Whether every row that a row names is there; beside a running service, which may go on writing."""
    async with database.reading() as session:
        tables = await (await session.connection()).run_sync(broken_references)
    for table, number in Counter(tables).items():
        report.add(ProblemKind.STATE, f"{number} rows of {table} name one that is missing; restore a backup", "", None)


async def _check_intake(database: Database, report: Report) -> None:
    """Whether everything that was fetched is a photo."""
    async with database.reading() as session:
        for table, name in ((FileRow, col(FileRow.path)), (AssetRow, col(AssetRow.asset_id))):
            photo = (col(PhotoRow.owner_id) == table.owner_id) & (col(PhotoRow.sha256) == table.sha256)
            query = (
                select(col(table.owner_id), col(table.sha256), name)
                .outerjoin(PhotoRow, photo)
                .where(col(table.state) == IntakeState.FETCHED, col(PhotoRow.sha256).is_(None))
                .limit(1000)
            )
            for owner, sha256, text in (await session.exec(query)).all():
                report.add(ProblemKind.STATE, f"{text} was fetched and is no photo", owner, sha256)


async def _check_orphans(database: Database, layout: Layout, report: Report) -> None:
    """Whether every file in our folders is one that a row names."""
    for owner, home in await asyncio.to_thread(layout.homes):
        for kind in KEPT_FOLDERS:
            files = await asyncio.to_thread(_files, home / kind)
            for start in range(0, len(files), BATCH):
                paths = [layout.relative(file) for file in files[start : start + BATCH]]
                async with database.reading() as session:
                    # No row can hold a name that is no UTF-8.
                    known = await _named(session, owner, kind, [readable_name(path) for path in paths])
                for path in paths:
                    if path not in known:
                        await _judge_orphan(database, owner, path, report)


async def _judge_orphan(database: Database, owner: str, path: str, report: Report) -> None:
    sha256 = readable_name(path.rpartition("/")[2])[:64]
    async with database.reading() as session:
        photo = await session.get(PhotoRow, (owner, sha256))
        given_up = select(CompanionRow.id).where(
            col(CompanionRow.owner_id) == owner, col(CompanionRow.sha256) == sha256, col(CompanionRow.path).is_(None)
        )
        was_companion = (await session.exec(given_up)).first() is not None
    if "originals/" in path and (was_companion or (photo is not None and photo.path is None)):
        report.surplus += 1
    else:
        report.add(ProblemKind.ORPHAN, f"{path}: no row names it", owner, photo.sha256 if photo else None, path)


async def _named(session: AsyncSession, owner: str, kind: str, paths: list[str]) -> set[str]:
    """Those of the paths that a row of that owner names."""
    # By what the names begin with, because that is what has an index.
    keys = [path.rpartition("/")[2].removesuffix(".json")[:64] for path in paths]
    found: Sequence[str | None]
    if kind == "originals":
        query = select(PhotoRow.path).where(col(PhotoRow.owner_id) == owner, col(PhotoRow.sha256).in_(keys))
        beside = select(CompanionRow.path).where(
            col(CompanionRow.owner_id) == owner, col(CompanionRow.sha256).in_(keys)
        )
        found = [*(await session.exec(query)).all(), *(await session.exec(beside)).all()]
    elif kind == "processed":
        rendered = select(VersionRow.path).where(col(VersionRow.owner_id) == owner, col(VersionRow.photo).in_(keys))
        found = (await session.exec(rendered)).all()
    elif kind == "luts":
        tables = select(LutRow.path).where(col(LutRow.owner_id) == owner, col(LutRow.sha256).in_(keys))
        found = (await session.exec(tables)).all()
    else:
        copies = select(RecipeRow.path).where(col(RecipeRow.owner_id) == owner, col(RecipeRow.id).in_(keys))
        found = (await session.exec(copies)).all()
    return {path for path in found if path is not None}


def _files(folder: Path) -> list[Path]:
    return [Path(parent, name) for parent, _, names in os.walk(folder) for name in names if not name.startswith(".")]
