"""The steps of publishing: what Immich holds of one photo is brought to what is wanted there.

    none -> original_uploaded -> uploaded -> stacked -> marked

Each arrow asks Immich for one thing and then writes what came of it in one transaction. What Immich told is a
fact and always recorded; the state itself moves on only if the photo's revision is still the one that was read,
because a command in between may want something else. Every step can be repeated: a version that is there is
found again by its checksum, and a row in `uploads` forbids sending one twice.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.errors import ImmichGoneError, ImmichRefusedError
from immich_sidecar.events import EventType
from immich_sidecar.immich import marks
from immich_sidecar.immich.publish import version_file_name
from immich_sidecar.library import originals, photos, processed
from immich_sidecar.library.database import Database
from immich_sidecar.library.events import EventLog
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.tables import (
    PhotoRow,
    Publish,
    RecipeRow,
    Source,
    UploadRow,
    VersionRow,
    WorkState,
    now,
)
from immich_sidecar.pipeline.notices import notice
from immich_sidecar.pipeline.targets import Target
from immich_sidecar.pipeline.wanted import Primary, Wanted, original_wanted, wanted

#: States in which the work on a photo is over, so that its original is not needed.
_DONE = (WorkState.KEPT, WorkState.LEFT_ALONE, WorkState.CANCELLED)


class TrashedError(ImmichRefusedError):
    """Immich has the same file in its trash; what its owner threw away is not brought back by us."""


@dataclass
class _Scene:
    """What was read of a photo and one of its versions."""

    photo: PhotoRow
    version: VersionRow
    recipe: RecipeRow | None
    wanted: Wanted
    our_ids: frozenset[str]
    uploaded: UploadRow | None

    @property
    def current(self) -> bool:
        return self.version.n == self.photo.version

    @property
    def arranges(self) -> bool:
        """Whether what is on top of the stack is this version's to say."""
        return self.current or self.wanted.primary is Primary.RESTORE

    @property
    def review(self) -> str:
        return self.photo.review.value if self.current else "superseded"


class Publishing:
    """Brings Immich to what is wanted there, one version or one original at a time.

    Parameters
    ----------
    keep_originals
        Whether our copy of a hot folder's original stays once Immich has confirmed its checksum.
    """

    def __init__(self, database: Database, layout: Layout, events: EventLog, *, keep_originals: bool = True) -> None:
        self._database = database
        self._layout = layout
        self._events = events
        self._keep_originals = keep_originals

    async def version(self, target: Target, owner: str, sha256: str, n: int) -> None:
        """Go through the steps that one version still needs; returns when nothing is left to do.

        Raises
        ------
        ImmichError, StorageError
            Where a step could not be made; what was made before is recorded.
        """
        # The revision for which the stack was seen to; a command in between may want another primary.
        stacked_at: int | None = None
        while True:
            scene = await self._read(target, owner, sha256, n)
            if scene is None:
                return
            if scene.version.publish is Publish.BLOCKED:
                return
            if scene.wanted.nothing or scene.version.publish is Publish.MARKED:
                await self._settle(scene)
                return
            match scene.version.publish:
                case Publish.NONE:
                    if scene.photo.immich_asset_id is None:
                        await self._upload_original(target, scene.photo)
                    else:
                        await self._write(scene, _to(Publish.ORIGINAL_UPLOADED))
                case Publish.ORIGINAL_UPLOADED:
                    await self._upload(target, scene)
                case Publish.UPLOADED:
                    await self._stack(target, scene, stacked_before=False)
                    stacked_at = scene.photo.revision
                case Publish.STACKED if scene.arranges and stacked_at != scene.photo.revision:
                    await self._stack(target, scene, stacked_before=True)
                    stacked_at = scene.photo.revision
                case _:
                    await self._mark(target, scene)

    async def original(self, target: Target, owner: str, sha256: str) -> bool:
        """See to the original itself: upload it, and drop our copy where that is wanted.

        Returns whether it has to be looked at again later.
        """
        async with self._database.reading() as session:
            photo = await photos.find(session, owner, sha256)
        if photo is None or not original_wanted(photo.source, connected=photo.connection_id is not None):
            return False
        if photo.immich_asset_id is None:
            await self._upload_original(target, photo)
            async with self._database.reading() as session:
                photo = await photos.get(session, owner, sha256)
        if target.albums and photo.immich_asset_id is not None:
            await target.publisher.add_to_albums(photo.immich_asset_id)
        return await self._drop_copy(target, photo)

    async def block_original(self, owner: str, sha256: str, reason: str, *, due_at: datetime | None) -> None:
        """The original waits for a person."""
        async with self._database.transaction() as session:
            photo = await photos.find(session, owner, sha256)
            if photo is None:
                return
            photo.original_publish = Publish.BLOCKED
            photo.original_publish_error = reason
            photo.original_publish_due_at = due_at
            session.add(photo)
            self._events.record(session, notice(EventType.PUBLISH_BLOCKED, photo, error=reason, n=0))

    async def block(self, owner: str, sha256: str, n: int, reason: str, *, due_at: datetime | None) -> None:
        """A version waits for a person."""
        async with self._database.transaction() as session:
            photo = await photos.find(session, owner, sha256)
            version = await processed.find(session, owner, sha256, n)
            if photo is None or version is None:
                return
            if version.publish is not Publish.BLOCKED:
                version.blocked_from = version.publish
            version.publish = Publish.BLOCKED
            version.blocked_reason = version.last_error = reason
            version.due_at = due_at
            session.add(version)
            self._events.record(session, notice(EventType.PUBLISH_BLOCKED, photo, error=reason, n=n))

    async def _read(self, target: Target, owner: str, sha256: str, n: int) -> _Scene | None:
        async with self._database.reading() as session:
            photo = await photos.find(session, owner, sha256)
            version = await processed.find(session, owner, sha256, n)
            if photo is None or version is None:
                return None
            uploaded = await _upload_row(session, photo, n)
            others = await processed.all_of(session, owner, sha256)
            want = wanted(
                target.mode if photo.connection_id is not None else None,
                photo.review,
                current=n == photo.version,
                first=n == 1,
                kept=n != photo.version or photo.state is WorkState.KEPT,
                uploaded=uploaded is not None or version.immich_asset_id is not None,
            )
            recipe = await session.get(RecipeRow, version.recipe_id)
            ids = frozenset(row.immich_asset_id for row in others if row.immich_asset_id is not None)
            return _Scene(photo, version, recipe, want, ids, uploaded)

    async def _upload_original(self, target: Target, photo: PhotoRow) -> None:
        if photo.source is Source.IMMICH:
            raise ImmichGoneError(f"{photo.file_name}: it came from Immich, but its asset is not known any more")
        path = await asyncio.to_thread(originals.locate, self._layout, photo)
        result = await target.publisher.upload_original(
            path,
            file_name=photo.file_name,
            sha1=photo.sha1,
            captured_at=photo.captured_at,
            modified_at=photo.captured_at or photo.created_at,
        )
        if result.is_trashed:
            raise TrashedError(
                f"{photo.file_name}: Immich has it in its trash; restore it there and retry, or leave it"
            )
        async with self._database.transaction() as session:
            row = await photos.get(session, photo.owner_id, photo.sha256)
            row.immich_asset_id = result.asset_id
            row.original_publish = Publish.ORIGINAL_UPLOADED
            row.original_publish_error = None
            row.original_publish_attempts = 0
            row.original_publish_due_at = None if self._keep_originals else now()
            if await _upload_row(session, row, 0) is None:
                session.add(
                    UploadRow(
                        owner_id=row.owner_id,
                        original_hash=row.sha256,
                        version=0,
                        immich_original_id=result.asset_id,
                    )
                )
            session.add(row)
            self._events.record(session, notice(EventType.PUBLISHED, row, n=0, publish=Publish.ORIGINAL_UPLOADED.value))
        if target.albums:
            await target.publisher.add_to_albums(result.asset_id)

    async def _upload(self, target: Target, scene: _Scene) -> None:
        photo, version = scene.photo, scene.version
        if scene.uploaded is not None:
            # Sent before, perhaps deleted there since: never again.
            known = version.immich_asset_id or scene.uploaded.immich_processed_id

            def again(row: VersionRow) -> None:
                row.immich_asset_id = known
                row.publish = Publish.UPLOADED

            await self._write(scene, again, always=again)
            return
        result = await target.publisher.upload_version(
            self._layout.absolute(version.path),
            file_name=version_file_name(photo.file_name, version.n, Path(version.path).suffix.lstrip(".")),
            sha1=version.sha1,
            captured_at=photo.captured_at,
            modified_at=version.created_at,
            mark=self._version_mark(scene),
        )

        def record(row: VersionRow) -> None:
            row.immich_asset_id = result.asset_id
            row.publish = Publish.UPLOADED

        async with self._database.transaction() as session:
            row = await processed.get(session, photo.owner_id, photo.sha256, version.n)
            # Whatever was decided meanwhile: Immich has it, and that must not be forgotten.
            record(row)
            row.attempts, row.last_error = 0, None
            session.add(row)
            if await _upload_row(session, photo, version.n) is None:
                session.add(
                    UploadRow(
                        owner_id=photo.owner_id,
                        original_hash=photo.sha256,
                        version=version.n,
                        immich_original_id=photo.immich_asset_id,
                        immich_processed_id=result.asset_id,
                    )
                )
            await self._tell(session, photo, row)
        if result.is_trashed:
            raise TrashedError(
                f"{photo.file_name}: Immich has version {version.n} in its trash; restore it there and retry"
            )

    async def _stack(self, target: Target, scene: _Scene, *, stacked_before: bool) -> None:
        photo, version = scene.photo, scene.version
        result = await target.publisher.stack(
            photo.immich_asset_id or "",
            version.immich_asset_id or "",
            want_primary=_primary(scene.wanted.primary),
            primary_before=photo.immich_primary_before,
            our_ids=scene.our_ids,
            stacked_before=stacked_before,
        )
        async with self._database.transaction() as session:
            row = await photos.get(session, photo.owner_id, photo.sha256)
            row.immich_stack_id = result.stack_id
            if result.primary_before is not None:
                row.immich_primary_before = result.primary_before
            session.add(row)
        await self._write(scene, _to(Publish.STACKED))

    async def _mark(self, target: Target, scene: _Scene) -> None:
        photo, version = scene.photo, scene.version
        await target.publisher.mark(version.immich_asset_id or "", self._version_mark(scene))
        if scene.wanted.mark_original:
            fields = marks.mark_of_original(
                recipe_id=version.recipe_id, version=version.n, review=scene.review, sha256=photo.sha256
            )
            await target.publisher.mark(photo.immich_asset_id or "", fields)
        if target.albums and scene.current:
            await target.publisher.add_to_albums(photo.immich_asset_id or "", version.immich_asset_id)
        await self._write(scene, _to(Publish.MARKED))

    def _version_mark(self, scene: _Scene) -> dict[str, Any]:
        recipe = scene.recipe
        return marks.mark_of_version(
            original_asset_id=scene.photo.immich_asset_id or "",
            recipe_id=scene.version.recipe_id,
            recipe={"operations": [] if recipe is None else recipe.operations},
            ai_analysis={} if recipe is None else recipe.ai_metadata,
            version=scene.version.n,
            review=scene.review,
            sha256=scene.photo.sha256,
        )

    async def _write(
        self,
        scene: _Scene,
        change: Callable[[VersionRow], None],
        *,
        always: Callable[[VersionRow], None] | None = None,
    ) -> None:
        """Record a step; where a command came between, only what is a fact (`always`)."""
        async with self._database.transaction() as session:
            photo = await photos.get(session, scene.photo.owner_id, scene.photo.sha256)
            row = await processed.get(session, photo.owner_id, photo.sha256, scene.version.n)
            unchanged = photo.revision == scene.photo.revision and row.publish is scene.version.publish
            chosen = change if unchanged else always
            if chosen is None:
                return
            chosen(row)
            row.attempts, row.last_error = 0, None
            session.add(row)
            await self._tell(session, photo, row)

    async def _settle(self, scene: _Scene) -> None:
        """Nothing is left to do for a version."""
        async with self._database.transaction() as session:
            photo = await photos.get(session, scene.photo.owner_id, scene.photo.sha256)
            row = await processed.get(session, photo.owner_id, photo.sha256, scene.version.n)
            # A command that came between has made it due again, and is seen to next.
            if photo.revision == scene.photo.revision and photo.state is scene.photo.state:
                row.due_at = None
                session.add(row)

    async def _drop_copy(self, target: Target, photo: PhotoRow) -> bool:
        """Remove our copy of an original that Immich holds for certain; returns whether to come back later."""
        if (
            self._keep_originals
            or photo.source is not Source.HOT_FOLDER
            or photo.path is None
            or originals.is_cached(photo.path)
        ):
            return False
        if photo.state not in _DONE or photo.immich_asset_id is None:
            return True
        if not await target.publisher.confirm(photo.immich_asset_id, photo.sha1):
            return True
        async with self._database.transaction() as session:
            row = await photos.get(session, photo.owner_id, photo.sha256)
            if row.state not in _DONE or row.revision != photo.revision:
                return True
            await originals.remove_copy(session, self._layout, photo.owner_id, photo.sha256)
        return False

    async def _tell(self, session: AsyncSession, photo: PhotoRow, version: VersionRow) -> None:
        self._events.record(
            session,
            notice(
                EventType.PUBLISHED,
                photo,
                n=version.n,
                publish=version.publish.value,
                immich_asset_id=version.immich_asset_id,
            ),
        )


def _to(state: Publish) -> Callable[[VersionRow], None]:
    def change(version: VersionRow) -> None:
        version.publish = state

    return change


def _primary(primary: Primary) -> Literal["ours", "keep", "restore"]:
    choices: dict[Primary, Literal["ours", "keep", "restore"]] = {
        Primary.OURS: "ours",
        Primary.KEEP: "keep",
        Primary.RESTORE: "restore",
    }
    return choices[primary]


async def _upload_row(session: AsyncSession, photo: PhotoRow, n: int) -> UploadRow | None:
    rows = await session.exec(
        select(UploadRow).where(
            col(UploadRow.owner_id) == photo.owner_id,
            col(UploadRow.original_hash) == photo.sha256,
            col(UploadRow.version) == n,
        )
    )
    return rows.first()
