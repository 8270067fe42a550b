"""The steps of publishing: what Immich holds of one photo is brought to what is wanted there.

    none -> original_uploaded -> uploaded -> stacked -> marked

Each arrow asks Immich for one thing and then writes what came of it in one transaction; what lies between `stacked`
and `marked` is the list `publish_order.AFTER_STACKED`. What Immich told is a fact and always recorded; the state
itself moves on only if the photo's revision is still the one that was read, because a command in between may want
something else. Every step can be repeated: a version that is there is found again by its checksum, and a row in
`uploads` forbids sending one twice.
"""

from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Literal

from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.errors import ImmichGoneError, ImmichPermissionError, ImmichRefusedError
from immich_sidecar.events import EventType
from immich_sidecar.immich.publish import UploadResult, version_file_name
from immich_sidecar.immich.retire import FOUND_THERE, Fate
from immich_sidecar.immich.rules import Skip
from immich_sidecar.library import photos, processed
from immich_sidecar.library.database import Database
from immich_sidecar.library.events import EventLog
from immich_sidecar.library.installation import installation_id
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.tables import (
    PhotoRow,
    Publish,
    Review,
    UploadRow,
    VersionRow,
    WorkState,
    now,
)
from immich_sidecar.pipeline import publish_same
from immich_sidecar.pipeline.notices import notice
from immich_sidecar.pipeline.publish_annotations import annotation_of
from immich_sidecar.pipeline.publish_natively import make_natively
from immich_sidecar.pipeline.publish_order import AFTER_STACKED
from immich_sidecar.pipeline.publish_originals import Originals, TrashedError
from immich_sidecar.pipeline.publish_scene import SENT, Scene, may_be_retired, read_scene, upload_row
from immich_sidecar.pipeline.publish_steps import Bench, NotYetError, Step, bring_back, mark_of
from immich_sidecar.pipeline.targets import Target
from immich_sidecar.pipeline.uploads import Uploads
from immich_sidecar.pipeline.wanted import Edits, Primary

#: Kinds of photos that are left as they are, and their badge; what else speaks against an upload may change.
_LEFT_ALONE: Mapping[str, tuple[str, str]] = {
    Skip.LIVE_PHOTO: ("live_photo", "a live photo, whose moving part a developed copy would lose"),
    Skip.VIDEO: ("live_photo", "a video, or part of a live photo"),
    Skip.PANORAMA: ("panorama", "a panorama, which has to stay as it was stitched"),
}


class Publishing:
    """Brings Immich to what is wanted there, one version at a time.

    Parameters
    ----------
    keep_originals
        Whether our copy of a hot folder's original stays once Immich has confirmed its checksum.
    steps
        What is done with a version once it is stacked.
    """

    def __init__(
        self,
        database: Database,
        layout: Layout,
        events: EventLog,
        *,
        keep_originals: bool = True,
        steps: tuple[Step, ...] = AFTER_STACKED,
    ) -> None:
        self._database = database
        self._layout = layout
        self._events = events
        self._steps = steps
        self._bench: Bench | None = None
        #: What is being sent now.
        self.uploads = Uploads(events)
        #: Sees to the originals themselves.
        self.originals = Originals(database, layout, events, self.uploads, keep=keep_originals)
        # Where the steps of a version go on that had to wait: at which revision, at which of them.
        self._waiting: dict[tuple[str, str, int], tuple[int, int]] = {}

    async def version(self, target: Target, owner: str, sha256: str, n: int) -> None:
        """Go through the steps that one version still needs; returns when nothing is left to do.

        Raises
        ------
        ImmichError, StorageError
            Where a step could not be made; what was made before is recorded.
        NotYetError
            Where a step has to wait for Immich.
        """
        # The revision for which the stack was seen to; a command in between may want another primary.
        stacked_at: int | None = None
        while True:
            async with self._database.reading() as session:
                scene = await read_scene(session, target, owner, sha256, n)
            if scene is None or scene.version.publish is Publish.BLOCKED:
                return
            if scene.wanted.nothing:
                if scene.version.written.get(SENT) and await self._arrived(target, scene):
                    continue
                await self._settle(scene)
                return
            if scene.version.retired is not None and scene.wanted.bring_back:
                await bring_back(await self._tools(), scene)
                continue
            if scene.version.publish is Publish.MARKED or scene.version.retired in (Fate.TRASHED, Fate.GONE):
                await self._settle(scene)
                return
            if scene.wanted.edits is not Edits.KEEP and scene.photo.immich_asset_id is not None:
                await self._edit_natively(target, scene)
                continue
            match scene.version.publish:
                case Publish.NONE:
                    if scene.photo.immich_asset_id is None:
                        await self.originals.upload(target, scene.photo)
                    else:
                        await self._write(scene, _to(Publish.ORIGINAL_UPLOADED))
                case Publish.ORIGINAL_UPLOADED:
                    await self._upload(target, scene)
                case Publish.UPLOADED:
                    await self._stack(target, scene, stacked_before=False)
                    stacked_at = scene.photo.revision
                case Publish.STACKED if stacked_at != scene.photo.revision and self._must_arrange(scene):
                    await self._stack(target, scene, stacked_before=True)
                    stacked_at = scene.photo.revision
                case _:
                    await self._after_stacked(scene)

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

    async def _tools(self) -> Bench:
        if self._bench is None:
            self._bench = Bench(self._database, self._events, await installation_id(self._database))
        return self._bench

    def _must_arrange(self, scene: Scene) -> bool:
        """Whether the stack is to be looked at, and was not before a later step had to wait."""
        return scene.arranges and self._waiting.get(_key(scene), (None, 0))[0] != scene.photo.revision

    async def _after_stacked(self, scene: Scene) -> None:
        """Make the steps that follow the stack, from the one that had to wait on."""
        bench, photo = await self._tools(), scene.photo
        key = _key(scene)
        revision, first = self._waiting.pop(key, (photo.revision, 0))
        for number, step in enumerate(self._steps):
            if number < first and revision == photo.revision:
                continue
            try:
                await step(bench, scene)
            except NotYetError:
                self._waiting[key] = (photo.revision, number)
                raise
        await self._write(scene, _to(Publish.MARKED), then=self._reopen_replaced)

    async def _reopen_replaced(self, session: AsyncSession, photo: PhotoRow, version: VersionRow) -> None:
        """The current version is in its place: those before it can go out of the way."""
        if version.n != photo.version or photo.review is not Review.APPROVED:
            return
        for row in await processed.all_of(session, photo.owner_id, photo.sha256):
            in_place = row.immich_asset_id is not None and row.publish in (Publish.STACKED, Publish.MARKED)
            if row.n != version.n and in_place and may_be_retired(row):
                row.publish, row.due_at = Publish.STACKED, now()
                session.add(row)

    async def _upload(self, target: Target, scene: Scene) -> None:
        photo, version = scene.photo, scene.version
        if scene.uploaded is not None:
            await self._write_sent_before(scene, version.immich_asset_id or scene.uploaded.immich_processed_id)
            return
        if not await self._may_upload(target, scene):
            return
        if not await self._is_about_to_be_sent(scene):
            return
        bench = await self._tools()
        with self.uploads.follow(photo, version.n) as on_bytes:
            result = await target.publisher.upload_version(
                self._layout.absolute(version.path),
                file_name=version_file_name(photo.file_name, version.n, Path(version.path).suffix.lstrip(".")),
                sha1=version.sha1,
                captured_at=photo.captured_at,
                modified_at=version.created_at,
                mark=mark_of(scene, bench.installation),
                annotation=annotation_of(scene),
                on_bytes=on_bytes,
            )

        row = await self._record_upload(scene, result)
        if result.is_trashed and row.immich_asset_id and row.retired not in (Fate.TRASHING, Fate.TRASHED):
            raise TrashedError(
                f"{photo.file_name}: Immich has version {version.n} in its trash; restore it there and retry"
            )

    async def _write_sent_before(self, scene: Scene, asset_id: str | None) -> None:
        """Record the asset of a version that was sent before, perhaps deleted there since: it is never sent again."""
        async with self._database.transaction() as session:
            photo = await photos.get(session, scene.photo.owner_id, scene.photo.sha256)
            row = await processed.get(session, photo.owner_id, photo.sha256, scene.version.n)
            other = await publish_same.owner_of(session, row, asset_id)
            if other is None:
                row.immich_asset_id, row.publish = asset_id, Publish.UPLOADED
            elif row.n == photo.version:
                await publish_same.take_over(session, row, other)
            row.attempts, row.last_error = 0, None
            session.add(row)
            await self._tell(session, photo, row)

    async def _is_about_to_be_sent(self, scene: Scene) -> bool:
        """Write down that a version may be in Immich from now on; False where a command came between."""
        async with self._database.transaction() as session:
            photo = await photos.get(session, scene.photo.owner_id, scene.photo.sha256)
            if photo.revision != scene.photo.revision:
                return False
            row = await processed.get(session, photo.owner_id, photo.sha256, scene.version.n)
            row.written = {**row.written, SENT: True}
            session.add(row)
        return True

    async def _arrived(self, target: Target, scene: Scene) -> bool:
        """Whether a version is in Immich although it is not wanted any more: its decision was undone on the way."""
        bench = await self._tools()
        result = await target.publisher.find_version(scene.version.sha1, mark_of(scene, bench.installation))
        if result is None:
            await bench.remember(scene.version, _not_sent)
            return False
        return (await self._record_upload(scene, result)).immich_asset_id is not None

    async def _record_upload(self, scene: Scene, result: UploadResult) -> VersionRow:
        """Whatever was decided meanwhile: Immich has it, and that must not be forgotten. Gives the version's row.

        An asset that an earlier version of the same bytes owns passes to the current version, and to no other.
        """
        photo, n = scene.photo, scene.version.n
        async with self._database.transaction() as session:
            row = await processed.get(session, photo.owner_id, photo.sha256, n)
            photo = await photos.get(session, photo.owner_id, photo.sha256)
            _not_sent(row)
            other = await publish_same.owner_of(session, row, result.asset_id)
            if other is not None and n != photo.version:
                session.add(row)
                return row
            if other is not None:
                await publish_same.take_over(session, row, other)
            else:
                row.immich_asset_id = result.asset_id
                row.publish = Publish.UPLOADED
                row.written = {**row.written, **result.written}
                if not result.is_ours:
                    row.written = {**row.written, FOUND_THERE: True}
            row.attempts, row.last_error = 0, None
            session.add(row)
            if await upload_row(session, photo, n) is None:
                session.add(
                    UploadRow(
                        owner_id=photo.owner_id,
                        original_hash=photo.sha256,
                        version=n,
                        immich_original_id=photo.immich_asset_id,
                        immich_processed_id=result.asset_id,
                    )
                )
            await self._tell(session, photo, row)
        return row

    async def _may_upload(self, target: Target, scene: Scene) -> bool:
        """Look at the original once more before a version of it is sent; False: the photo is left alone.

        Raises
        ------
        ImmichRefusedError
            If something speaks against it that its owner may change.
        """
        photo = scene.photo
        reason = await target.look_again(photo)
        if reason is None or (reason == Skip.EDITED and photo.native_edits):
            return True
        badge, words = _LEFT_ALONE.get(reason, (None, None))
        if badge is not None and badge == photo.badge:
            # Known for what it is, and developed all the same: its owner wants that.
            return True
        if badge is None:
            raise ImmichRefusedError(f"{photo.file_name}: nothing is uploaded, because its original is {reason}")
        async with self._database.transaction() as session:
            row = await photos.get(session, photo.owner_id, photo.sha256)
            if row.revision != photo.revision:
                return False
            row.badge, row.left_alone_reason = badge, words
            row.state, row.review = WorkState.LEFT_ALONE, Review.NONE
            row.revision += 1
            row.updated_at = now()
            session.add(row)
            self._events.record(session, notice(EventType.LEFT_ALONE, row, reason=words))
        return False

    async def _edit_natively(self, target: Target, scene: Scene) -> None:
        """Let Immich itself show the original as the version is, or as it was."""
        bench = await self._tools()
        if scene.wanted.edits is Edits.MAKE and not await self._may_upload(target, scene):
            return
        if await make_natively(bench, scene):
            await self._write(scene, _to(Publish.MARKED), then=self._reopen_replaced)

    async def _stack(self, target: Target, scene: Scene, *, stacked_before: bool) -> None:
        photo, version, standing = scene.photo, scene.version, scene.standing
        if standing is not None and standing.retired is not None:
            await self._bring_back_standing(target, scene, standing)
        result = await target.publisher.stack(
            photo.immich_asset_id or "",
            version.immich_asset_id or "",
            want_primary=_primary(scene.wanted.primary),
            primary_before=photo.immich_primary_before,
            our_ids=scene.our_ids,
            stacked_before=stacked_before,
            earlier_ids=scene.earlier_ids,
            standing_id=None if standing is None else standing.immich_asset_id,
        )
        async with self._database.transaction() as session:
            row = await photos.get(session, photo.owner_id, photo.sha256)
            row.immich_stack_id = result.stack_id
            if result.primary_before is not None:
                row.immich_primary_before = result.primary_before
            session.add(row)
        await self._write(scene, _to(Publish.STACKED))

    async def _bring_back_standing(self, target: Target, scene: Scene, standing: VersionRow) -> None:
        """Bring back the version that is to be on top again, before the present one leaves that place."""
        async with self._database.reading() as session:
            earlier = await read_scene(session, target, standing.owner_id, standing.photo, standing.n)
        if earlier is None or earlier.version.publish is Publish.BLOCKED or not earlier.wanted.bring_back:
            return
        # Where that cannot be, it is said at that version, which comes up by itself; the original is on top then.
        with suppress(ImmichGoneError, ImmichPermissionError, ImmichRefusedError):
            await bring_back(await self._tools(), earlier)

    async def _write(
        self,
        scene: Scene,
        change: Callable[[VersionRow], None],
        *,
        always: Callable[[VersionRow], None] | None = None,
        then: Callable[[AsyncSession, PhotoRow, VersionRow], Awaitable[None]] | None = None,
    ) -> None:
        """Record a step; where a command came between, only what is a fact (`always`). `then` belongs to the step."""
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
            if unchanged and then is not None:
                await then(session, photo, row)
            await self._tell(session, photo, row)

    async def _settle(self, scene: Scene) -> None:
        """Nothing is left to do for a version."""
        async with self._database.transaction() as session:
            photo = await photos.get(session, scene.photo.owner_id, scene.photo.sha256)
            row = await processed.get(session, photo.owner_id, photo.sha256, scene.version.n)
            # A command that came between has made it due again, and is seen to next.
            if photo.revision == scene.photo.revision and photo.state is scene.photo.state:
                row.due_at = None
                if row.retired in (Fate.TRASHED, Fate.GONE) and row.publish is Publish.STACKED:
                    row.publish = Publish.MARKED
                session.add(row)

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


def _key(scene: Scene) -> tuple[str, str, int]:
    return (scene.photo.owner_id, scene.photo.sha256, scene.version.n)


def _not_sent(version: VersionRow) -> None:
    version.written = {name: value for name, value in version.written.items() if name != SENT}


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
