"""The steps of the work on a photo: each takes a row in one state to the next.

Every step reads a row, does what costs time outside of any transaction, and then writes what it produced
together with the next state in one transaction. That transaction finds out whether the photo is still what the
step had read (same state, same revision); if not, a command came between, and nothing is written. A step that
is repeated after a crash therefore changes nothing that was already there:

    stored --analyse--> analysed --advise--> advised | left_alone
    advised --render--> rendered --keep--> kept
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.advise.looks import preset_in
from immich_sidecar.analysis.findings import TABLE_NAME, Face, Job
from immich_sidecar.errors import IntegrityError
from immich_sidecar.events import EventType
from immich_sidecar.library import embeddings, files, luts, originals, photo_words, photos, presets, processed, recipes
from immich_sidecar.library.database import Database
from immich_sidecar.library.events import EventLog
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.originals import EvictedError
from immich_sidecar.library.space import Space
from immich_sidecar.library.tables import (
    PhotoRow,
    ProcessingHistoryRow,
    Review,
    VersionRow,
    WorkState,
    now,
)
from immich_sidecar.pipeline import analysing_again, decisions, tasks, tasting
from immich_sidecar.pipeline.describing import carried_words
from immich_sidecar.pipeline.executor import Executor
from immich_sidecar.pipeline.filing import put_in_place, rendering_path
from immich_sidecar.pipeline.looked import Looked
from immich_sidecar.pipeline.looking import Looking
from immich_sidecar.pipeline.modes import mode_of
from immich_sidecar.pipeline.notices import notice
from immich_sidecar.recipe.operations import plan
from immich_sidecar.recipe.recipe import Recipe
from immich_sidecar.settings import Mode

#: Fetches an original that lives in Immich again and returns where it lies then.
Refetch = Callable[[PhotoRow], Awaitable[Path]]
#: Faces that Immich knows in a photo, given the size of its oriented picture.
FacesOf = Callable[[PhotoRow, int, int], Awaitable[tuple[Face, ...]]]
#: Called with the fraction of the present step that is done.
OnProgress = Callable[[float], None]
Step = Callable[[PhotoRow, OnProgress], Awaitable[PhotoRow | None]]


@dataclass(frozen=True)
class Tools:
    """What the steps work with."""

    database: Database
    layout: Layout
    events: EventLog
    executor: Executor
    space: Space
    #: JPEG quality of versions.
    quality: int = 92
    #: What kind of file versions are, by the name of a format; None: JPEG.
    output: str | None = None
    #: Seconds that a worker may be busy with one photo.
    task_timeout: float = 300.0
    #: Of photos for which neither a rule nor their connection has another; in `auto`, versions of high confidence are
    #: approved by themselves.
    mode: Mode = Mode.STACK
    #: None where no original lives in Immich.
    refetch: Refetch | None = None
    #: The models; None: there are none.
    looking: Looking | None = None
    #: Faces that Immich has found in a photo, where it may be asked; it never fails.
    faces: FacesOf | None = None
    #: Asks for words about a photo (owner, SHA-256) when all else is done.
    describe: Callable[[str, str], None] | None = None


class Stages:
    """The steps, by the state they start from.

    Each returns the photo's row after its transaction, still marked as running where more work follows, or None
    where a command came between.
    """

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def steps(self) -> Mapping[WorkState, tuple[str, Step]]:
        """Name (as in `PhotoRow.failed_at`) and function of the step that starts from each state."""
        return {
            WorkState.STORED: ("analyse", self.analyse),
            WorkState.ANALYSED: ("advise", self.advise),
            WorkState.ADVISED: ("render", self.render),
            WorkState.RENDERED: ("keep", self.keep),
        }

    async def analyse(self, photo: PhotoRow, on_progress: OnProgress) -> PhotoRow | None:
        """Measure the photo and make the previews of its original."""
        layout = self._tools.layout
        original = await self._original(photo)
        thumbnail = layout.absolute(layout.thumbnail(photo.owner_id, photo.sha256, 0))
        preview = layout.absolute(layout.preview(photo.owner_id, photo.sha256, 0))
        # Models need no more than the preview, and look at it while the photo is measured.
        is_visible = asyncio.Event()

        def tell(fraction: float) -> None:
            on_progress(fraction)
            if fraction >= tasks.PREVIEWS_DONE:
                is_visible.set()

        looking = asyncio.create_task(self._look(photo, preview, is_visible))
        try:
            found: tasks.Analysed = await self._run(
                tasks.analyse_file, str(original), str(thumbnail), str(preview), on_progress=tell
            )
            is_visible.set()
            looked = await looking
            closer = await self._closer(looked, preview)
        finally:
            looking.cancel()
        async with self._commit(photo, WorkState.ANALYSED) as (session, row):
            if row is None:
                return None
            analysis = found.analysis
            if closer is not None:
                analysis = analysis | {"findings": closer.findings}
                if closer.table is not None:
                    await luts.keep_unlisted(
                        session, layout, row.owner_id, name=TABLE_NAME, normal_form=closer.table, points=closer.points
                    )
            row.analysis = carried_words(row.analysis, analysis)
            if (vector := looked.embedding) is not None:
                await embeddings.store(session, row.owner_id, row.sha256, vector.model, vector.revision, vector.values)
            row.width, row.height = found.width, found.height
            row.is_raw = found.is_raw
            row.badge = row.badge or _badge(found)
            row.media_type = found.media_type or row.media_type
            await photo_words.put(session, row)
            self._tools.events.record(session, notice(EventType.ANALYSED, row))
        return row

    async def _look(self, photo: PhotoRow, preview: Path, is_visible: asyncio.Event) -> Looked:
        looking, faces = self._tools.looking, self._tools.faces
        if looking is None or not looking.jobs:
            return Looked()
        await is_visible.wait()
        known: tuple[Face, ...] = ()
        if faces is not None and Job.FACES in looking.jobs and photo.immich_asset_id is not None:
            known = await faces(photo, *await asyncio.to_thread(_size_of, preview))
        return await looking.look(photo.owner_id, photo.sha256, preview, faces=known)

    async def _closer(self, looked: Looked, preview: Path) -> "tasks.Closer | None":
        """What models found, with what is measured of it."""
        found = looked.findings
        if found is None:
            return None
        plain = found.model_dump(mode="json")
        if not found.faces and not found.objects and looked.table is None:
            return tasks.Closer(plain)
        closer: tasks.Closer = await self._run(tasks.look_closer, str(preview), plain, looked.table)
        return closer

    async def advise(self, photo: PhotoRow, on_progress: OnProgress) -> PhotoRow | None:
        """Turn the measurements into a recipe with a version number, or leave the photo alone."""
        overrides: dict[str, Any] = {}
        before: Recipe | None = None
        async with self._tools.database.reading() as session:
            if photo.recipe_id is not None:
                # Proposals may be made anew; what the person changed and chose stays.
                before = await recipes.load(session, photo.owner_id, photo.recipe_id)
                overrides, preset = before.user_overrides, preset_in(before)
            else:
                preset = await presets.find_or_usual(session, photo.owner_id, photo.preset, photo.preset_strength)
            version = await decisions.next_version(session, photo)
        proposed = decisions.recipe_id(photo, version)
        taste, shows = await tasting.for_photo(self._tools.database, photo)
        advised: tasks.Advised = await self._run(
            tasks.advise_photo,
            photo.sha256,
            photo.analysis or {},
            overrides,
            proposed,
            now(),
            preset,
            tuple(photo.allowed),
            self._tools.output,
            taste,
            shows,
        )
        recipe = Recipe.from_json(advised.recipe)
        reason = advised.left_alone
        if analysing_again.is_left_by_others(photo, before):
            reason = photo.left_alone_reason
        is_again = before is not None and analysing_again.is_again(photo)
        if before is not None and is_again and analysing_again.origin(photo) is WorkState.KEPT:
            same = reason is not None or analysing_again.is_same(before, recipe)
            if same or analysing_again.is_decided(photo):
                return await self._as_before(photo, None if same else recipe)
        if reason is not None:
            recipe = recipe.model_copy(update={"id": decisions.proposal_id(photo, recipe)})
        state = WorkState.ADVISED if reason is None else WorkState.LEFT_ALONE
        async with self._commit(photo, state) as (session, row):
            if row is None:
                return None
            earlier = decisions.snapshot(row) | {"state": analysing_again.origin(photo).value}
            await recipes.save(session, self._tools.layout, recipe, row.owner_id)
            row.recipe_id = recipe.id
            suggestions = recipe.ai_metadata.get("suggestions", ())
            if reason is None:
                row.version = version
                row.left_alone_reason = None
                if is_again:
                    # What is on its way to Immich was read before.
                    row.revision += 1
                    decisions.record(session, row, analysing_again.KIND, earlier)
                    await decisions.reopen_publishing(session, row)
                self._tools.events.record(session, notice(EventType.SUGGESTED, row, suggestions=suggestions))
            else:
                row.left_alone_reason = reason
                session.add(history(row, "left_alone"))
                self._tools.events.record(
                    session, notice(EventType.LEFT_ALONE, row, suggestions=suggestions, reason=reason)
                )
        if reason is not None:
            self._describe(photo)
        return row

    async def _as_before(self, photo: PhotoRow, other: Recipe | None) -> PhotoRow | None:
        """End another look at a photo that stays as it is; `other` is what is offered instead, if anything."""
        async with self._commit(photo, WorkState.KEPT) as (session, row):
            if row is None:
                return None
            row.priority = 0
            if other is None:
                await analysing_again.forget_offer(session, row)
            else:
                await analysing_again.offer(session, self._tools.layout, row, other)
            await analysing_again.go_on_publishing(session, row)
            self._tools.events.record(session, notice(EventType.ANALYSED, row, offers=other is not None))
        self._describe(photo)
        return row

    async def render(self, photo: PhotoRow, on_progress: OnProgress) -> PhotoRow | None:
        """Develop the original by the newest recipe into a hidden file beside its final place."""
        layout, space = self._tools.layout, self._tools.space
        await asyncio.to_thread(space.check)
        original = await self._original(photo)
        async with self._tools.database.reading() as session:
            recipe = await recipes.load(session, photo.owner_id, photo.recipe_id or "")
            earlier = await processed.find(session, photo.owner_id, photo.sha256, photo.version)
        taken = photo.captured_at or photo.created_at
        path = (
            layout.processed(
                photo.owner_id, photo.sha256, photo.version, plan(recipe.operations).output.extension, taken
            )
            if earlier is None
            else earlier.path
        )
        temporary = layout.absolute(layout.temporary(path))
        await asyncio.to_thread(files.make_folder, temporary.parent)
        try:
            done: tasks.Rendered = await self._run(
                tasks.render_file,
                str(original),
                recipe.to_json(),
                str(temporary),
                self._tools.quality,
                str(layout.absolute(layout.luts(photo.owner_id))),
                on_progress=on_progress,
            )
            version = VersionRow(
                owner_id=photo.owner_id,
                photo=photo.sha256,
                n=photo.version,
                recipe_id=recipe.id,
                path=path,
                size=done.size,
                sha256=done.sha256,
                sha1=done.sha1,
                width=done.width,
                height=done.height,
                engine=done.engine,
            )
            rendering = rendering_path(layout, version)
            await asyncio.to_thread(files.adopt, temporary, rendering)
        finally:
            temporary.unlink(missing_ok=True)
        async with self._commit(photo, WorkState.RENDERED) as (session, row):
            if row is not None:
                await _store(session, version)
        if row is None:
            rendering.unlink(missing_ok=True)
        return row

    async def keep(self, photo: PhotoRow, on_progress: OnProgress) -> PhotoRow | None:
        """Give the rendered file its name, make its previews, and ask the owner."""
        tools, layout = self._tools, self._tools.layout
        async with tools.database.reading() as session:
            version = await processed.find(session, photo.owner_id, photo.sha256, photo.version)
            recipe = await recipes.load(session, photo.owner_id, photo.recipe_id or "")
            mode = await mode_of(session, photo, tools.mode)
        if version is None or not await asyncio.to_thread(put_in_place, layout, version):
            # The file was lost: the same recipe makes the same bytes again.
            async with self._commit(photo, WorkState.ADVISED) as (_, row):
                pass
            return row
        await self._run(
            tasks.preview_file,
            str(layout.absolute(version.path)),
            str(layout.absolute(layout.thumbnail(photo.owner_id, photo.sha256, photo.version))),
            str(layout.absolute(layout.preview(photo.owner_id, photo.sha256, photo.version))),
        )
        approve = mode is Mode.AUTO and photo.review is Review.NONE and await _is_certain(recipe)
        async with self._commit(photo, WorkState.KEPT) as (session, row):
            if row is None:
                return None
            row.priority = 0
            if row.review is Review.NONE:
                row.review = Review.PENDING
            if approve:
                before = decisions.snapshot(row)
                row.review = Review.APPROVED
                decisions.record(session, row, "auto", before)
            session.add(history(row, "kept"))
            await decisions.reopen_publishing(session, row)
            tools.events.record(
                session,
                notice(EventType.READY, row, suggestions=recipe.ai_metadata.get("suggestions", ())),
            )
        self._describe(photo)
        return row

    def _describe(self, photo: PhotoRow) -> None:
        if self._tools.describe is not None:
            self._tools.describe(photo.owner_id, photo.sha256)

    async def _run(self, function: Callable[..., Any], *args: Any, on_progress: OnProgress | None = None) -> Any:
        return await self._tools.executor.run(
            function, *args, timeout=self._tools.task_timeout, on_progress=on_progress
        )

    async def _original(self, photo: PhotoRow) -> Path:
        try:
            return await asyncio.to_thread(originals.locate, self._tools.layout, photo)
        except EvictedError:
            if self._tools.refetch is None or photo.immich_asset_id is None:
                raise IntegrityError(
                    f"{photo.file_name} ({photo.sha256}): our copy is gone and Immich cannot be asked for it; "
                    "connect Immich, or drop the photo into a hot folder again"
                ) from None
        return await self._tools.refetch(photo)

    @asynccontextmanager
    async def _commit(self, read: PhotoRow, state: WorkState) -> AsyncIterator[tuple[AsyncSession, PhotoRow | None]]:
        """A transaction that moves the photo on; it gives None for the row where a command came between."""
        async with self._tools.database.transaction() as session:
            row = await photos.find(session, read.owner_id, read.sha256)
            if row is None or row.revision != read.revision or row.state is not read.state:
                yield session, None
                return
            row.state = state
            row.attempts = row.crashes = row.interruptions = 0
            row.due_at = None
            row.failed_at = row.last_error = None
            row.updated_at = now()
            row.running = state in self.steps()
            yield session, row
            session.add(row)


def history(photo: PhotoRow, status: str, error: str | None = None) -> ProcessingHistoryRow:
    """One line of the processing history about a photo as it stands."""
    return ProcessingHistoryRow(
        owner_id=photo.owner_id,
        original_file_hash=photo.sha256,
        original_path=photo.path or "",
        recipe_id=photo.recipe_id,
        status=status,
        error_message=error,
    )


def _badge(found: tasks.Analysed) -> str | None:
    """What a file carries beside its picture, for `PhotoRow.badge`; a RAW file is developed whatever it carries."""
    facts = found.analysis.get("facts", {})
    names = {"has_gain_map": "gain_map", "is_motion_photo": "motion_photo", "is_panorama": "panorama"}
    return None if found.is_raw else next((badge for name, badge in names.items() if facts.get(name)), None)


def _size_of(preview: Path) -> tuple[int, int]:
    """Width and height of a preview of ours, in pixels."""
    import simplejpeg

    height, width, _, _ = simplejpeg.decode_jpeg_header(preview.read_bytes())
    return int(width), int(height)


async def _store(session: AsyncSession, version: VersionRow) -> None:
    existing = await processed.find(session, version.owner_id, version.photo, version.n)
    if existing is None:
        session.add(version)
        return
    # Rendered again, after its file was lost or by a newer engine: what Immich knows of it stays.
    for name in ("recipe_id", "path", "size", "sha256", "sha1", "width", "height", "engine"):
        setattr(existing, name, getattr(version, name))
    session.add(existing)


async def _is_certain(recipe: Recipe) -> bool:
    from immich_sidecar.advise.adviser import auto_approvable

    return await asyncio.to_thread(auto_approvable, recipe)
