"""Words about photos: asked for when everything else is done, written beside it, and never a reason to render again."""

import asyncio
import logging
from collections import OrderedDict
from typing import Any

from sqlalchemy.exc import SQLAlchemyError
from sqlmodel import select

from immich_sidecar.analysis.analysis import Analysis
from immich_sidecar.analysis.findings import Findings, Job, ModelRun, Words
from immich_sidecar.errors import SidecarError
from immich_sidecar.events import EventType
from immich_sidecar.library import photo_words, photos
from immich_sidecar.library.database import Database
from immich_sidecar.library.events import EventLog
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.tables import OwnerRow, PhotoRow, WorkState
from immich_sidecar.pipeline.looking import Looking
from immich_sidecar.pipeline.notices import notice

_log = logging.getLogger(__name__)

#: The newest photos of each owner that are looked through at the start for such as were not described yet.
LOOKED_THROUGH = 500
#: Photos that may wait; beyond that the oldest are left to the next start, or to looking again.
MOST_WAITING = 10_000


class Describing:
    """Describes photos, one at a time.

    Parameters
    ----------
    looking
        The models; where none of them describes, nothing is done.
    """

    def __init__(self, database: Database, layout: Layout, events: EventLog, looking: Looking) -> None:
        self._database = database
        self._layout = layout
        self._events = events
        self._looking = looking
        # A queue without doubles; what it forgets in a crash is found again at the next start.
        self._waiting: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def is_on(self) -> bool:
        """Whether there is a model that describes."""
        return Job.WORDS in self._looking.jobs

    @property
    def waiting(self) -> int:
        """Photos that wait to be described."""
        return len(self._waiting)

    def add(self, owner_id: str, sha256: str) -> None:
        """Have a photo described in its time; one that was is left as it is."""
        if self.is_on:
            self._waiting[owner_id, sha256] = None
            while len(self._waiting) > MOST_WAITING:
                self._waiting.popitem(last=False)
            self._news.set()

    async def start(self) -> None:
        """Begin, with what was not described before the last end."""
        if self.is_on:
            self._task = asyncio.create_task(self._run(), name="describing")

    async def stop(self) -> None:
        """Begin nothing more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])
            self._task = None

    async def _run(self) -> None:
        try:
            await self._look_through()
        except (SQLAlchemyError, SidecarError):
            _log.exception("photos that are not described could not be looked for")
        while True:
            self._news.clear()
            while self._waiting:
                (owner, sha256), _ = self._waiting.popitem(last=False)
                try:
                    await self._describe(owner, sha256)
                except Exception:  # noqa: BLE001  the boundary: it costs the words of this photo
                    _log.exception("photo %s could not be described", sha256)
            await self._news.wait()

    async def _look_through(self) -> None:
        async with self._database.reading() as session:
            owners = (await session.exec(select(OwnerRow.id))).all()
            for owner in owners:
                page = await photos.page(
                    session, owner, state=(WorkState.KEPT, WorkState.LEFT_ALONE), limit=LOOKED_THROUGH
                )
                for row in reversed(page.items):
                    if _findings(row) is not None and _is_wordless(row):
                        self.add(owner, row.sha256)

    async def _describe(self, owner: str, sha256: str) -> None:
        async with self._database.reading() as session:
            row = await photos.find(session, owner, sha256)
        if row is None or row.analysis is None or not _is_wordless(row):
            return
        preview = self._layout.absolute(self._layout.preview(owner, sha256, 0))
        words, run = await self._looking.describe(owner, sha256, preview, facts_of(row))
        async with self._database.transaction() as session:
            row = await photos.find(session, owner, sha256)
            if row is None or row.analysis is None:
                return
            row.analysis = with_words(row.analysis, words, run)
            session.add(row)
            await photo_words.put(session, row)
            self._events.record(session, notice(EventType.ANALYSED, row, described=run.error is None))


def facts_of(photo: PhotoRow) -> str:
    """What is known of a photo, for a language model: no names of people, no places."""
    if photo.analysis is None:
        return ""
    measured = Analysis.model_validate(photo.analysis)
    found = measured.findings or Findings()
    facts = [
        f"It has {measured.facts.width} x {measured.facts.height} pixels.",
        f"The horizon leans {measured.tilt.degrees:.1f} degrees." if measured.tilt.degrees else "",
        f"Found in it: {', '.join(dict.fromkeys(item.label for item in found.objects))}." if found.objects else "",
        f"Faces: {len(found.faces)}." if found.faces else "",
        f"Tags: {', '.join(tag.word for tag in found.tags)}." if found.tags else "",
    ]
    return " ".join(fact for fact in facts if fact)


def with_words(analysis: dict[str, Any], words: Words | None, run: ModelRun) -> dict[str, Any]:
    """An analysis, as rows hold it, with words (or with why there are none) in place of those before."""
    findings = Findings.model_validate(analysis.get("findings") or {})
    runs = (*(one for one in findings.runs if one.job is not Job.WORDS), run)
    told = findings.model_copy(update={"words": words, "runs": runs})
    return analysis | {"findings": told.model_dump(mode="json")}


def carried_words(before: dict[str, Any] | None, after: dict[str, Any]) -> dict[str, Any]:
    """A new analysis with the words of the one before: a photo does not change what it shows."""
    findings = Findings.model_validate((before or {}).get("findings") or {})
    run = findings.run(Job.WORDS)
    if findings.words is None or run is None or after.get("findings") is None:
        return after
    return with_words(after, findings.words, run)


def _findings(photo: PhotoRow) -> dict[str, Any] | None:
    found: dict[str, Any] | None = (photo.analysis or {}).get("findings")
    return found


def _is_wordless(photo: PhotoRow) -> bool:
    return not any(run.get("job") == Job.WORDS.value for run in (_findings(photo) or {}).get("runs", ()))
