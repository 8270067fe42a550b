"""What is done with a version once it is stacked: each step finds what is there already and does the rest.

A further step is a function like those below and a line in `publish_order.AFTER_STACKED`. One that cannot be made yet
raises `NotYetError`; publishing comes back to it, and not to those before it.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from sqlmodel import col, select

from immich_sidecar.events import EventType
from immich_sidecar.immich import marks
from immich_sidecar.immich.carrying import Carried
from immich_sidecar.immich.retire import FOUND_THERE, KEPT_BECAUSE, RETIRED_BY, Fate
from immich_sidecar.library import photos, processed
from immich_sidecar.library.database import Database
from immich_sidecar.library.events import EventLog
from immich_sidecar.library.tables import AlbumEntryRow, PhotoRow, Publish, Review, VersionRow, now
from immich_sidecar.pipeline.notices import notice
from immich_sidecar.pipeline.publish_scene import CARRIED, Scene, carried, may_be_retired, same_as

#: Seconds until an asset is looked at again that Immich has not read yet.
EXTRACTION_WAIT = 1.0


class NotYetError(Exception):
    """A step has to wait for Immich; nothing is wrong."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"looked at again in {seconds:.1f} s")
        self.seconds = seconds


@dataclass(frozen=True)
class Bench:
    """What the steps work with."""

    database: Database
    events: EventLog
    #: This installation, as our marks name it.
    installation: str

    async def remember(self, version: VersionRow, change: Callable[[VersionRow], None]) -> VersionRow:
        """Record a fact about a version, whatever was decided meanwhile; gives the row as it is then."""
        async with self.database.transaction() as session:
            row = await processed.get(session, version.owner_id, version.photo, version.n)
            change(row)
            session.add(row)
        return row


Step = Callable[[Bench, Scene], Awaitable[None]]


async def carry_over(bench: Bench, scene: Scene) -> None:
    """Give an approved version what its owner gave those whose place it takes."""
    for earlier in scene.to_carry:
        result = await scene.target.publisher.carry_over(
            earlier.immich_asset_id or "", scene.version.immich_asset_id or "", written=earlier.written
        )
        if result is Carried.LATER:
            raise NotYetError(EXTRACTION_WAIT)
        await _record_carried(bench, scene, earlier, result)


async def _record_carried(bench: Bench, scene: Scene, earlier: VersionRow, result: Carried) -> None:
    async with bench.database.transaction() as session:
        row = await processed.get(session, earlier.owner_id, earlier.photo, scene.version.n)
        row.written = {**row.written, CARRIED: {**carried(row), str(earlier.n): result.value}}
        session.add(row)
        query = select(AlbumEntryRow).where(
            col(AlbumEntryRow.owner_id) == row.owner_id, col(AlbumEntryRow.photo) == row.photo
        )
        entries = (await session.exec(query)).all()
        # What we put into an album stays ours: it goes out again with the original.
        there = {entry.album_id for entry in entries if entry.n == row.n}
        for entry in entries:
            if entry.n == earlier.n and entry.album_id not in there:
                session.add(AlbumEntryRow(owner_id=row.owner_id, photo=row.photo, n=row.n, album_id=entry.album_id))


async def mark(bench: Bench, scene: Scene) -> None:
    """Write our marks for the present review."""
    photo, version, publisher = scene.photo, scene.version, scene.target.publisher
    if not version.written.get(FOUND_THERE):
        same = [row.n for row in same_as(version, scene.others)]
        await publisher.mark_version(version.immich_asset_id or "", mark_of(scene, bench.installation), same)
    if scene.wanted.mark_original:
        fields = marks.mark_of_original(
            recipe_id=version.recipe_id,
            version=version.n,
            review=scene.review,
            sha256=photo.sha256,
            installation=bench.installation,
        )
        await publisher.mark(photo.immich_asset_id or "", fields)


async def albums(bench: Bench, scene: Scene) -> None:
    """Put original and current version into the albums `Originals` and `Processed`."""
    if scene.target.albums and scene.current:
        await scene.target.publisher.add_to_albums(scene.photo.immich_asset_id or "", scene.version.immich_asset_id)


async def retire(bench: Bench, scene: Scene) -> None:
    """Take a version out of the way that another one replaced, or that its owner rejected."""
    photo, version = scene.photo, scene.version
    if not scene.wanted.retire or not may_be_retired(version, taken_back=scene.taken_back):
        return
    rejected = photo.review is Review.REJECTED
    replacement = scene.replacement
    instead = photo.immich_asset_id
    if not rejected and replacement is not None and replacement.immich_asset_id is not None:
        instead = replacement.immich_asset_id
    taken_over = not rejected and replacement is not None and carried(replacement).get(str(version.n)) == Carried.ALL
    trash = scene.taken_back or (scene.target.choices.retire and (rejected or taken_over))
    if trash and version.retired != Fate.TRASHING:
        # Written first: found in the trash after a crash, it is known to be our doing.
        await bench.remember(version, _retired(Fate.TRASHING, photo))
    result = await scene.target.publisher.retire(
        photo,
        version,
        instead_id=instead or "",
        installation=bench.installation,
        taken_over=taken_over,
        trash=trash,
        hide=scene.taken_back,
        own_albums=await _own_albums(bench, version),
    )
    row = await bench.remember(version, _retired(result.fate, photo, result.reason))
    async with bench.database.transaction() as session:
        current = await photos.get(session, photo.owner_id, photo.sha256)
        bench.events.record(
            session,
            notice(EventType.PUBLISHED, current, n=row.n, publish=row.publish.value, retired=row.retired),
        )


async def bring_back(bench: Bench, scene: Scene) -> None:
    """Undo `retire`: a version that was trashed is restored, and then stacked again."""

    def begin(row: VersionRow) -> None:
        if row.retired == Fate.TRASHED:
            row.retired = Fate.TRASHING.value

    # Written first: where nobody hears that it was restored, and it is to go again by then, it is looked for.
    await bench.remember(scene.version, begin)
    await scene.target.publisher.bring_back(scene.version, original_id=scene.photo.immich_asset_id)

    def change(row: VersionRow) -> None:
        # While it was in the trash it may have lost its stack; where it was gone, the stack says so.
        if row.retired in (Fate.TRASHING, Fate.TRASHED, Fate.GONE):
            row.publish = Publish.UPLOADED
        elif row.publish is Publish.MARKED:
            row.publish = Publish.STACKED
        row.retired = row.retired_at = None
        row.written = {name: value for name, value in row.written.items() if name not in (RETIRED_BY, KEPT_BECAUSE)}

    await bench.remember(scene.version, change)


def mark_of(scene: Scene, installation: str) -> dict[str, Any]:
    """The mark of the scene's version."""
    recipe = scene.recipe
    return marks.mark_of_version(
        original_asset_id=scene.photo.immich_asset_id or "",
        recipe_id=scene.version.recipe_id,
        recipe={"operations": [] if recipe is None else recipe.operations},
        ai_analysis={} if recipe is None else recipe.ai_metadata,
        version=scene.version.n,
        review=scene.review,
        sha256=scene.photo.sha256,
        installation=installation,
    )


def _retired(fate: Fate, photo: PhotoRow, reason: str | None = None) -> Callable[[VersionRow], None]:
    def change(row: VersionRow) -> None:
        row.retired, row.retired_at = fate.value, now()
        written = {name: value for name, value in row.written.items() if name != KEPT_BECAUSE}
        row.written = {**written, RETIRED_BY: photo.version, **({KEPT_BECAUSE: reason} if reason else {})}

    return change


async def _own_albums(bench: Bench, version: VersionRow) -> frozenset[str]:
    async with bench.database.reading() as session:
        found = await session.exec(
            select(AlbumEntryRow.album_id).where(
                col(AlbumEntryRow.owner_id) == version.owner_id,
                col(AlbumEntryRow.photo) == version.photo,
                col(AlbumEntryRow.n) == version.n,
            )
        )
        return frozenset(found.all())
