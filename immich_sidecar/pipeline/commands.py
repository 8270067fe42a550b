"""What a person can do to a photo and to the queue.

Deciding is a command, not a stage: it changes rows at once, whatever Immich does and whether or not a worker is
busy with the photo. Each command is one transaction that checks the version it was shown, raises the photo's
revision (so that a step that read the older one commits nothing), logs the decision, records its event and sends
publishing over the photo again.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import func, update
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.advise.looks import preset_in, with_preset
from immich_sidecar.advise.presets import NO_ADVICE
from immich_sidecar.analysis.findings import Job
from immich_sidecar.errors import ConflictError, InvalidParameterError, SidecarError, StaleVersionError
from immich_sidecar.events import EventType
from immich_sidecar.library import companions, luts, photos, presets, processed, recipes, switches
from immich_sidecar.library.database import Database
from immich_sidecar.library.events import EventLog
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.tables import (
    LOCAL_OWNER,
    AssetRow,
    FileRow,
    IntakeState,
    OwnerRow,
    PhotoRow,
    ProcessingHistoryRow,
    Publish,
    Review,
    VersionRow,
    WorkState,
    now,
)
from immich_sidecar.pipeline import analysing_again, decisions, retrying
from immich_sidecar.pipeline.filing import put_in_place
from immich_sidecar.pipeline.notices import notice, queue_notice
from immich_sidecar.recipe.recipe import Recipe, change

#: Switch of an owner whose queue is paused.
PAUSED = "paused"
#: Switch, kept with `local`, that pauses the queues of all owners.
PAUSED_ALL = "paused_all"

#: Photos that are looked through at a time.
PIECE = 500
#: States in which there is work to do.
WORKING = (WorkState.STORED, WorkState.ANALYSED, WorkState.ADVISED, WorkState.RENDERED)
_RECIPE_KINDS = ("change", "reset", "develop", "preset", analysing_again.KIND, analysing_again.TAKEN)


@dataclass(frozen=True)
class BatchResult:
    """What came of one command of a batch."""

    #: The photo it was about.
    id: str
    #: The photo as it stands now; None where the command was refused.
    photo: PhotoRow | None = None
    #: Why it was refused.
    error: SidecarError | None = None


@dataclass
class _Scene:
    session: AsyncSession
    photo: PhotoRow
    before: dict[str, Any]


def _size(photo: PhotoRow) -> tuple[int, int] | None:
    return (photo.width, photo.height) if photo.width > 0 and photo.height > 0 else None


def _steps(recipe: Recipe) -> list[tuple[str, dict[str, Any]]]:
    return [(operation.type, operation.parameters) for operation in recipe.operations]


async def _check_luts(session: AsyncSession, owner: str, recipe: Recipe) -> None:
    """Refuse a recipe that names a LUT which its owner does not have."""
    lut = recipe.operation("lut")
    if lut is not None and not await luts.has(session, owner, lut.parameters["sha256"]):
        raise InvalidParameterError(
            f"lut.sha256: there is no LUT {lut.parameters['sha256']} of yours; import it first.", field="lut.sha256"
        )


def _do_nothing(*_: object) -> None:
    pass


class Commands:
    """The commands.

    Parameters
    ----------
    wake
        Called after each command that may have made something due.
    abandon
        Called with owner and SHA-256 of a photo whose running step nobody wants any more.
    """

    def __init__(
        self,
        database: Database,
        layout: Layout,
        events: EventLog,
        *,
        wake: Callable[[], None] = _do_nothing,
        abandon: Callable[[str, str], None] = _do_nothing,
    ) -> None:
        self._database = database
        self._layout = layout
        self._events = events
        self._wake = wake
        self._abandon = abandon

    async def approve(self, owner: str, sha256: str, version: int, *, by: str = "user") -> PhotoRow:
        """The current version is the one the owner wants; also while it is still being rendered."""
        return await self._review(owner, sha256, version, Review.APPROVED, "approve" if by == "user" else by)

    async def reject(self, owner: str, sha256: str, version: int) -> PhotoRow:
        """The owner wants the original as it is."""
        return await self._review(owner, sha256, version, Review.REJECTED, "reject")

    async def change(self, owner: str, sha256: str, version: int, patch: Mapping[str, Any]) -> PhotoRow:
        """Change the recipe; a new version is rendered at once and awaits its owner.

        Parameters
        ----------
        patch
            Operation type to parameters, to None (switched off), or to ``"suggested"`` (as it was proposed).

        Raises
        ------
        RecipeError
            If an operation is unknown or a parameter out of range.
        """
        async with self._photo(owner, sha256, version) as scene:
            base = await self._recipe(scene)
            changed = change(base, patch, at=now(), size=_size(scene.photo))
            await _check_luts(scene.session, owner, changed)
            await self._new_version(scene, changed, "change")
        return scene.photo

    async def preset(self, owner: str, sha256: str, version: int, name: str, strength: float | None = None) -> PhotoRow:
        """Give a photo another preset; a new version is rendered at once and awaits its owner.

        What the owner changed by hand stays. Where the photo has that preset already, nothing happens.

        Parameters
        ----------
        name
            The word for one of everybody's presets, or for one of the owner's own.
        strength
            Of its look, in percent, 0 to 200; None: 100.

        Raises
        ------
        NotFoundError
            If there is no such preset.
        """
        async with self._photo(owner, sha256, version) as scene:
            photo = scene.photo
            wanted = await presets.find(scene.session, owner, name, strength)
            before = await self._newest_recipe(scene)
            recipe = with_preset(before, wanted, is_raw=photo.is_raw, at=now())
            earlier = preset_in(before)
            is_same = (earlier.name, earlier.strength) == (wanted.name, wanted.strength)
            is_same = is_same and _steps(recipe) == _steps(before)
            if photo.state is WorkState.LEFT_ALONE and all(o.type in NO_ADVICE for o in recipe.operations):
                raise ConflictError(f"Nothing that “{wanted.label}” does is needed; the photo stays as it is.")
            if photo.state is WorkState.LEFT_ALONE or not is_same:
                await self._new_version(scene, recipe, "preset")
        return scene.photo

    async def reset(self, owner: str, sha256: str, version: int) -> PhotoRow:
        """Back to what was proposed: every change of the owner is dropped."""
        async with self._photo(owner, sha256, version) as scene:
            base = await self._recipe(scene)
            if not base.user_overrides:
                raise ConflictError("The recipe is already as it was proposed.")
            patch: dict[str, Literal["suggested"]] = dict.fromkeys(base.user_overrides, "suggested")
            await self._new_version(scene, change(base, patch, at=now(), size=_size(scene.photo)), "reset")
        return scene.photo

    async def develop_anyway(self, owner: str, sha256: str, version: int) -> PhotoRow:
        """Render a photo that was left alone, with every suggestion switched off."""
        async with self._photo(owner, sha256, version) as scene:
            if scene.photo.state is not WorkState.LEFT_ALONE:
                raise ConflictError("Only a photo that was left alone can be developed anyway.")
            await self._new_version(scene, await self._recipe(scene), "develop")
        return scene.photo

    async def analyse(self, owner: str, sha256: str, version: int) -> PhotoRow:
        """Look at a photo again with the models that there are now; see `analysing_again`."""
        async with self._photo(owner, sha256, version) as scene:
            if scene.photo.state not in analysing_again.SETTLED:
                raise ConflictError("The photo is still being worked on; look at it again when that is done.")
            analysing_again.begin(scene.photo, decisions.INTERACTIVE)
            self._events.record(scene.session, notice(EventType.QUEUE_CHANGED, scene.photo))
        return scene.photo

    async def renew(self, owner: str, sha256: str, version: int) -> PhotoRow:
        """Take what was offered after another look: a new version is rendered at once and awaits its owner."""
        async with self._photo(owner, sha256, version) as scene:
            recipe = await analysing_again.offered(scene.session, scene.photo)
            if recipe is None or scene.photo.state is not WorkState.KEPT:
                raise ConflictError("Nothing else is offered for this photo.")
            await self._new_version(scene, recipe, analysing_again.TAKEN)
        return scene.photo

    async def analyse_lacking(self, owner: str, jobs: frozenset[Job]) -> int:
        """Look again at every photo that lacks an answer of one of these models, behind all new ones; gives how many.

        A piece at a time, so that nobody waits long for the rows.
        """
        count, after = 0, None
        while jobs:
            async with self._database.transaction() as session:
                page = await photos.page(session, owner, state=analysing_again.SETTLED, after=after, limit=PIECE)
                for photo in page.items:
                    if photo.failed_at is None and analysing_again.lacks(photo, jobs):
                        analysing_again.begin(photo, analysing_again.LOW)
                        photo.revision += 1
                        session.add(photo)
                        count += 1
                if page.next is None and count:
                    self._events.record(session, queue_notice(owner, analysed_again=count))
            after = page.next
            if after is None:
                break
        if count:
            self._wake()
        return count

    async def undo(self, owner: str, sha256: str, version: int) -> PhotoRow:
        """Take back the newest decision that is not undone; repeatedly, one further back each time.

        An earlier version comes back without being rendered again.
        """
        async with self._photo(owner, sha256, version) as scene:
            if not await self._undo(scene):
                raise ConflictError("There is nothing to undo.")
        return scene.photo

    async def retry(self, owner: str, sha256: str, version: int) -> PhotoRow:
        """Go on where the work failed or was cancelled, and where publishing is blocked."""
        async with self._photo(owner, sha256, version) as scene:
            photo = scene.photo
            blocked = await self._unblock(scene.session, owner, sha256)
            if photo.state is WorkState.CANCELLED:
                photo.state = await self._furthest(scene.session, photo)
            elif photo.failed_at is None and photo.due_at is None and not blocked:
                raise ConflictError("Nothing of this photo has failed, was cancelled or is blocked.")
            decisions.clear_failure(photo)
            self._events.record(scene.session, notice(EventType.QUEUE_CHANGED, photo))
        return scene.photo

    async def cancel(self, owner: str, sha256: str, version: int) -> PhotoRow:
        """Stop the work on a photo; where that work was for a change, the version before it comes back."""
        async with self._photo(owner, sha256, version) as scene:
            photo = scene.photo
            if photo.state not in WORKING:
                raise ConflictError("There is no work on this photo that could be cancelled.")
            if analysing_again.is_again(photo):
                await analysing_again.give_up(scene.session, photo)
                self._events.record(scene.session, notice(EventType.QUEUE_CHANGED, photo))
                self._abandon(owner, sha256)
                return photo
            newest = await decisions.newest(scene.session, photo)
            if newest is not None and newest.kind in _RECIPE_KINDS and newest.after.get("version") == photo.version:
                await self._undo(scene)
            else:
                await self._settle(scene.session, photo)
                photo.state = WorkState.CANCELLED
                decisions.clear_failure(photo)
            scene.session.add(
                ProcessingHistoryRow(
                    owner_id=owner,
                    original_file_hash=sha256,
                    original_path=photo.path or "",
                    recipe_id=photo.recipe_id,
                    status="cancelled",
                )
            )
            self._events.record(scene.session, notice(EventType.CANCELLED, photo))
        self._abandon(owner, sha256)
        return scene.photo

    async def first(self, owner: str, sha256: str, version: int) -> PhotoRow:
        """Put a photo before all others that wait."""
        async with self._photo(owner, sha256, version) as scene:
            if scene.photo.state not in WORKING or scene.photo.failed_at is not None:
                raise ConflictError("The photo does not wait for anything.")
            highest = await scene.session.exec(
                select(func.max(PhotoRow.priority)).where(col(PhotoRow.state).in_(WORKING))
            )
            scene.photo.priority = max(decisions.INTERACTIVE, highest.one() or 0) + 1
            scene.photo.due_at = None
            self._events.record(scene.session, notice(EventType.QUEUE_CHANGED, scene.photo))
        return scene.photo

    async def pause(self, owner: str | None) -> None:
        """Begin nothing new for an owner, or for anybody (None); what runs is finished."""
        await self._switch(owner, paused=True)

    async def resume(self, owner: str | None) -> None:
        """Go on after `pause` with the same argument."""
        await self._switch(owner, paused=False)

    async def retry_all(self, owner: str) -> int:
        """Retry everything of an owner that failed or is blocked; returns how many photos failed before."""
        async with self._database.transaction() as session:
            connection = await session.connection()
            result = await connection.execute(
                update(PhotoRow)
                .where(col(PhotoRow.owner_id) == owner, col(PhotoRow.failed_at).is_not(None))
                .values(
                    failed_at=None,
                    last_error=None,
                    attempts=0,
                    crashes=0,
                    interruptions=0,
                    due_at=None,
                    revision=col(PhotoRow.revision) + 1,
                    updated_at=now(),
                )
            )
            count = result.rowcount
            await self._unblock(session, owner, None)
            self._events.record(session, queue_notice(owner, retried=count))
        self._wake()
        return count

    async def retry_blocked(self) -> int:
        """Let publishing that has waited long enough for a person go on by itself; returns for how much.

        What became due under a clock that ran ahead, and that is right again, is due now.
        """
        async with self._database.transaction() as session:
            brought = await self._bring_forward(session)
            count = await self._unblock(session, None, None)
        if count or brought:
            self._wake()
        return count

    async def retry_companions(self) -> None:
        """Try again what Immich refused of the pictures that belong to photos; once a day."""
        async with self._database.transaction() as session:
            await companions.reopen(session)
        self._wake()

    async def go_on_with(self, owner: str, asset_ids: Collection[str]) -> int:
        """Let publishing go on that these assets of Immich had blocked; returns for how much."""
        count = 0
        async with self._database.transaction() as session:
            photos_of = select(PhotoRow.sha256).where(
                col(PhotoRow.owner_id) == owner, col(PhotoRow.immich_asset_id).in_(asset_ids)
            )
            versions_of = select(VersionRow.photo).where(
                col(VersionRow.owner_id) == owner, col(VersionRow.immich_asset_id).in_(asset_ids)
            )
            found = {*(await session.exec(photos_of)), *(await session.exec(versions_of))}
            for sha256 in found:
                count += await self._unblock(session, owner, sha256)
        if count:
            self._wake()
        return count

    async def batch(self, owner: str, items: Iterable[tuple[str, int, str]]) -> list[BatchResult]:
        """Run commands given as (id, version, action), each on its own: one that is refused stops no other."""
        actions: dict[str, Callable[[str, str, int], Any]] = {
            "approve": self.approve,
            "reject": self.reject,
            "undo": self.undo,
            "retry": self.retry,
            "cancel": self.cancel,
            "reset": self.reset,
            "develop": self.develop_anyway,
            "analyse": self.analyse,
            "renew": self.renew,
        }
        results = []
        for identity, version, action in items:
            try:
                if action not in actions:
                    raise ConflictError(f"There is no action {action!r}; there are {', '.join(actions)}.")
                photo = await actions[action](owner, identity, version)
                results.append(BatchResult(identity, photo=photo))
            except SidecarError as error:
                results.append(BatchResult(identity, error=error))
        return results

    @asynccontextmanager
    async def _photo(self, owner: str, sha256: str, version: int) -> AsyncIterator[_Scene]:
        async with self._database.transaction() as session:
            photo = await photos.get(session, owner, sha256)
            if version != photo.version:
                raise StaleVersionError(
                    f"The photo is at version {photo.version} now, the command was about version {version}; "
                    "look at it again."
                )
            yield _Scene(session, photo, decisions.snapshot(photo))
            photo.revision += 1
            photo.updated_at = now()
            session.add(photo)
        self._wake()

    async def _review(self, owner: str, sha256: str, version: int, review: Review, kind: str) -> PhotoRow:
        async with self._photo(owner, sha256, version) as scene:
            if scene.photo.review is Review.NONE:
                raise ConflictError("There is no version of this photo to decide about yet.")
            if scene.photo.review is not review:
                scene.photo.review = review
                decisions.record(scene.session, scene.photo, kind, scene.before)
                await decisions.reopen_publishing(scene.session, scene.photo)
                self._events.record(scene.session, notice(EventType.REVIEWED, scene.photo))
        return scene.photo

    async def _recipe(self, scene: _Scene) -> Recipe:
        """The recipe that a change starts from."""
        photo = scene.photo
        recipe = await self._newest_recipe(scene)
        if photo.state is not WorkState.LEFT_ALONE:
            return recipe
        switched_off = {str(item["operation"]): None for item in recipe.ai_metadata.get("suggestions", ())}
        return change(recipe, switched_off, at=now(), size=_size(photo))

    @staticmethod
    async def _newest_recipe(scene: _Scene) -> Recipe:
        photo = scene.photo
        if photo.recipe_id is None:
            raise ConflictError("Nothing is proposed for this photo yet; wait until it is analysed.")
        return await recipes.load(scene.session, photo.owner_id, photo.recipe_id)

    async def _new_version(self, scene: _Scene, recipe: Recipe, kind: str) -> None:
        photo, session = scene.photo, scene.session
        await self._settle(session, photo)
        photo.version = await decisions.next_version(session, photo)
        recipe = recipe.model_copy(update={"id": decisions.recipe_id(photo, photo.version)})
        await recipes.save(session, self._layout, recipe, photo.owner_id)
        photo.recipe_id = recipe.id
        photo.state = WorkState.ADVISED
        photo.left_alone_reason = None
        photo.priority = max(photo.priority, decisions.INTERACTIVE)
        if photo.review is not Review.NONE:
            photo.review = Review.PENDING
        decisions.clear_failure(photo)
        decisions.record(session, photo, kind, scene.before)
        await decisions.reopen_publishing(session, photo)
        self._events.record(
            session,
            notice(EventType.RECIPE_CHANGED, photo, suggestions=recipe.ai_metadata.get("suggestions", ()), change=kind),
        )

    async def _undo(self, scene: _Scene) -> bool:
        photo, session = scene.photo, scene.session
        decision = await decisions.newest(session, photo)
        if decision is None:
            return False
        decision.undone = True
        session.add(decision)
        earlier = decision.before
        photo.review = Review(earlier["review"])
        changed = (earlier["version"], earlier["recipe_id"]) != (photo.version, photo.recipe_id)
        if changed:
            await self._settle(session, photo)
            photo.version, photo.recipe_id = earlier["version"], earlier["recipe_id"]
            photo.left_alone_reason = earlier.get("left_alone_reason")
            photo.state = WorkState(earlier["state"])
            if photo.state not in (WorkState.LEFT_ALONE, WorkState.CANCELLED):
                photo.state = await self._furthest(session, photo)
            decisions.clear_failure(photo)
        elif decision.kind == decisions.TAKE_BACK and photo.state is WorkState.CANCELLED:
            # It was taken back before anything of it was shown: the work goes on where it stood.
            photo.state = await self._furthest(session, photo)
            decisions.clear_failure(photo)
        decisions.record(session, photo, "undo", scene.before, undone=True)
        await decisions.reopen_publishing(session, photo)
        event = EventType.RECIPE_CHANGED if changed else EventType.REVIEWED
        self._events.record(session, notice(event, photo, change="undo"))
        return True

    async def _furthest(self, session: AsyncSession, photo: PhotoRow) -> WorkState:
        """How far the work on the photo's present version got, from what is there."""
        version = await processed.find(session, photo.owner_id, photo.sha256, photo.version)
        if version is not None:
            # Without a review the version was never shown to anybody: its last step is still to be made.
            kept = photo.review is not Review.NONE and self._layout.absolute(version.path).is_file()
            return WorkState.KEPT if kept else WorkState.RENDERED
        if photo.version > 0 and photo.recipe_id is not None:
            return WorkState.ADVISED
        return WorkState.STORED if photo.analysis is None else WorkState.ANALYSED

    async def _settle(self, session: AsyncSession, photo: PhotoRow) -> None:
        """Let a version that is rendered and not yet kept have its file in place before the photo leaves it."""
        if photo.state is not WorkState.RENDERED:
            return
        version = await processed.find(session, photo.owner_id, photo.sha256, photo.version)
        if version is not None and not await asyncio.to_thread(put_in_place, self._layout, version):
            await session.delete(version)

    @staticmethod
    async def _bring_forward(session: AsyncSession) -> int:
        """Make due what waits longer than anything is made to wait; returns how much that was."""
        moment = now()
        late = moment + retrying.NEVER_AS_LONG
        owners = select(col(OwnerRow.id))
        statements = (
            update(VersionRow)
            .where(
                col(VersionRow.owner_id).in_(owners),
                col(VersionRow.publish).in_(tuple(Publish)),
                col(VersionRow.due_at) > late,
            )
            .values(due_at=moment),
            update(PhotoRow).where(col(PhotoRow.original_publish_due_at) > late).values(original_publish_due_at=moment),
            update(AssetRow)
            .where(
                col(AssetRow.owner_id).in_(owners),
                col(AssetRow.state) == IntakeState.SEEN,
                col(AssetRow.due_at) > late,
            )
            .values(due_at=moment),
            update(FileRow).where(col(FileRow.after_due_at) > late).values(after_due_at=moment),
        )
        connection = await session.connection()
        return sum([(await connection.execute(statement)).rowcount for statement in statements])

    async def _unblock(self, session: AsyncSession, owner: str | None, sha256: str | None) -> int:
        """Let blocked publishing go on where it stood; of one photo, of an owner, or of all whose time has come."""
        moment = now()
        versions = (
            update(VersionRow)
            .where(col(VersionRow.publish) == Publish.BLOCKED)
            .values(
                publish=func.coalesce(col(VersionRow.blocked_from), Publish.NONE.value),
                blocked_from=None,
                blocked_reason=None,
                attempts=0,
                due_at=moment,
            )
        )
        originals = (
            update(PhotoRow)
            .where(col(PhotoRow.original_publish) == Publish.BLOCKED)
            .values(
                original_publish=Publish.NONE,
                original_publish_error=None,
                original_publish_attempts=0,
                original_publish_due_at=moment,
            )
        )
        if owner is not None:
            versions = versions.where(col(VersionRow.owner_id) == owner)
            originals = originals.where(col(PhotoRow.owner_id) == owner)
        else:
            versions = versions.where(col(VersionRow.due_at) <= moment)
            originals = originals.where(col(PhotoRow.original_publish_due_at) <= moment)
        if sha256 is not None:
            versions = versions.where(col(VersionRow.photo) == sha256)
            originals = originals.where(col(PhotoRow.sha256) == sha256)
        connection = await session.connection()
        reopened = sum([(await connection.execute(statement)).rowcount for statement in (versions, originals)])
        if owner is not None:
            await companions.reopen(session, owner, sha256)
        return reopened

    async def _switch(self, owner: str | None, *, paused: bool) -> None:
        async with self._database.transaction() as session:
            name = PAUSED_ALL if owner is None else PAUSED
            await switches.put(session, owner or LOCAL_OWNER, name, paused)
            self._events.record(session, queue_notice(owner or LOCAL_OWNER, paused=paused, everybody=owner is None))
        self._wake()
