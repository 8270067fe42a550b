"""Having models look at photos: what is known is not computed again, what is late is not waited for."""

import asyncio
import logging
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from immich_sidecar.analysis.findings import Face, Job, Mask, ModelRun, Words
from immich_sidecar.analysis.runtime.choosing import setting_of
from immich_sidecar.analysis.runtime.look import Request
from immich_sidecar.errors import ModelError, ModelTimeoutError, StorageError
from immich_sidecar.library import ai_results
from immich_sidecar.library.ai_results import Kept
from immich_sidecar.library.layout import Layout
from immich_sidecar.pipeline.asking import TextVector
from immich_sidecar.pipeline.looked import Looked, put_together
from immich_sidecar.pipeline.model_host import Ready, Setup, Standing
from immich_sidecar.pipeline.model_queue import ModelQueue, Ticket

_log = logging.getLogger(__name__)

#: Seconds that a model may be busy with one batch before its process is taken for hung; loading included.
HUNG = 600.0
#: Seconds that a description may take; most of them are spent giving way to others.
WORDS_PATIENCE = 3600.0
#: Seconds that somebody waits who points at something or searches for words.
PERSON = 30.0


@dataclass(frozen=True)
class LookingState:
    """How the models stand, for people."""

    #: Jobs that are to be done here.
    jobs: frozenset[Job]
    #: What the process said of itself; None before the first photo.
    ready: Ready | None
    #: How its models stand; None where it does not run: it starts with the next photo.
    standing: Standing | None
    #: Photos that are looked at or wait for it.
    waiting: int
    #: Why nothing is asked at present.
    problem: str | None


class Looking:
    """The one door to the models.

    Parameters
    ----------
    setup
        What their process is told.
    jobs
        What models are asked for; none: there is never a process.
    timeout
        Seconds that a photo waits (`SIDECAR_MODEL_TIMEOUT`).
    hung
        Seconds after which a model that does not come back is taken for hung.
    """

    def __init__(
        self,
        setup: Setup,
        jobs: Collection[Job],
        layout: Layout,
        *,
        timeout: float = 60.0,
        hung: float = HUNG,
    ) -> None:
        self.jobs = frozenset(jobs)
        self.timeout = timeout
        self._layout = layout
        self._queue = ModelQueue(setup, hung=hung, on_answer=self._answered)
        self._keeping: dict[asyncio.Task[None], Ticket] = {}

    # ---- for the pipeline

    async def look(
        self, owner_id: str, sha256: str, preview: Path, *, faces: tuple[Face, ...] = (), facts: str = ""
    ) -> Looked:
        """Look at a photo with every model but that of words; never raises for what models do.

        Parameters
        ----------
        preview
            A JPEG of ours of the whole photo, oriented.
        faces
            Those that Immich has found; with them none are looked for here.
        """
        jobs = self.jobs - {Job.WORDS} - ({Job.FACES} if faces else set())
        if not jobs and not faces:
            return Looked()
        answers: dict[Job, Kept] = {}
        if jobs:
            answers = await self._answers(owner_id, sha256, Request("", preview, jobs, facts), self.timeout)
        return put_together(answers, faces)

    async def describe(
        self, owner_id: str, sha256: str, preview: Path, facts: str = ""
    ) -> tuple[Words | None, ModelRun]:
        """Ask for words; takes as long as it takes, behind everything else."""
        request = Request("", preview, frozenset({Job.WORDS}), facts)
        kept = (await self._answers(owner_id, sha256, request, WORDS_PATIENCE))[Job.WORDS]
        return kept.value, kept.run

    # ---- for people who wait (see `asking.ModelsAsked`)

    def why_not(self, job: Job) -> str | None:
        """Why no model does a job now; None where one does, as far as is known."""
        if job not in self.jobs:
            return f"no model is chosen for this (SIDECAR_PROFILE, {setting_of(job)})"
        missing = {} if self._queue.known is None else self._queue.known.missing
        return missing.get(job) or self._queue.problem

    async def encode_text(self, text: str) -> TextVector:
        """A vector of words that can be compared with those of photos.

        Raises
        ------
        ModelError
            If no model can make one; `ModelTimeoutError` if it takes too long.
        """
        if (reason := self.why_not(Job.EMBEDDING)) is not None:
            raise ModelError(reason)
        try:
            async with asyncio.timeout(PERSON):
                encoded = await self._queue.encode(text)
        except TimeoutError:
            raise ModelTimeoutError(f"the model did not understand the words within {PERSON:.0f} s") from None
        if encoded.vector is None:
            raise ModelError(encoded.error or "there is no answer")
        return TextVector(encoded.model, encoded.revision, encoded.vector)

    async def outline(self, preview: Path, x: float, y: float) -> Mask:
        """What lies around a place that a person points at, in fractions of the oriented photo.

        Raises
        ------
        ModelError
            If no model can tell.
        """
        if (reason := self.why_not(Job.SEGMENTATION)) is not None:
            raise ModelError(reason)
        request = Request("", preview, frozenset({Job.SEGMENTATION}), points=((x, y),))
        kept = (await self._answers("", preview.stem, request, PERSON))[Job.SEGMENTATION]
        if kept.run.error is not None:
            raise ModelError(kept.run.error)
        mask: Mask = kept.value[0]
        return mask

    # ---- for those who watch

    def renew(self) -> None:
        """Use the models that there are now: weights came or went. What is being looked at is finished first."""
        self._queue.renew()

    async def limit(self, batch: int | None) -> None:
        """Let batches be no larger than that; None: as large as memory allows."""
        await self._queue.limit(batch)

    async def state(self) -> LookingState:
        """How the models stand; starts nothing."""
        standing = await self._queue.report()
        return LookingState(self.jobs, self._queue.known, standing, self._queue.waiting, self._queue.problem)

    @property
    def pid(self) -> int | None:
        """Id of the process, while there is one."""
        return self._queue.pid

    async def stop(self) -> None:
        """End the process; whoever waits goes on without."""
        await self._queue.stop()

    # ---- a photo

    async def _answers(
        self,
        owner_id: str,
        sha256: str,
        request: Request,
        timeout: float,  # noqa: ASYNC109  late answers are kept
    ) -> dict[Job, Kept]:
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        prompted = bool(request.boxes or request.points)
        ticket = Ticket(owner_id, sha256, replace(request, tag=f"{owner_id}/{sha256}"), done, is_prompted=prompted)
        try:
            async with asyncio.timeout(timeout):
                ready = await self._queue.ready()
                await self._remember(ticket, ready)
                if ticket.left:
                    self._queue.submit(ticket)
                    await asyncio.shield(done)
            await asyncio.gather(*(task for task, whose in self._keeping.items() if whose is ticket))
        except TimeoutError:
            # Who is late speaks for itself: what has come by then is used.
            ticket.is_late = True
        except ModelError as error:
            for job in ticket.left:
                ticket.answers[job] = self._queue.unanswered(job, str(error))
        except asyncio.CancelledError:
            self._queue.withdraw(ticket)
            raise
        finally:
            self._queue.rest_when_idle()
        late = f"there was no answer within {timeout:.0f} s"
        return {**ticket.answers, **{job: self._queue.unanswered(job, late) for job in ticket.left}}

    async def _remember(self, ticket: Ticket, ready: Ready) -> None:
        """Take what is known without asking: who cannot answer, and what was found in this photo before."""
        for job in ticket.left & ready.missing.keys():
            ticket.answers[job] = Kept(ModelRun(job=job, model="", error=ready.missing[job]), None)
        for job in ticket.left - ready.models.keys():
            ticket.answers[job] = Kept(ModelRun(job=job, model="", error="no model is chosen for this"), None)
        if not ticket.is_prompted:
            for job in sorted(ticket.left, key=lambda job: job is Job.SEGMENTATION):
                # Outlines of other boxes are other outlines.
                if job is Job.SEGMENTATION and Job.DETECTION in ticket.left:
                    continue
                where = (self._layout, ticket.owner_id, ticket.sha256, job, *_key(job, ready))
                kept = await asyncio.to_thread(ai_results.load, *where)
                if kept is not None:
                    ticket.answers[job] = kept
        ticket.take_boxes()

    def _answered(self, ticket: Ticket, kept: Kept) -> None:
        """Keep an answer, also one that comes too late for its photo."""
        ready = self._queue.known
        if kept.run.error is not None or not kept.run.model or ready is None or ticket.is_prompted:
            return
        task = asyncio.create_task(self._keep(ticket, kept, *_key(kept.run.job, ready)))
        self._keeping[task] = ticket
        task.add_done_callback(self._keeping.pop)

    async def _keep(self, ticket: Ticket, kept: Kept, model: str, revision: str) -> None:
        where = (self._layout, ticket.owner_id, ticket.sha256, model, revision, kept)
        try:
            await asyncio.to_thread(ai_results.store, *where)
        except StorageError as error:
            _log.info("photo %s: an answer was not kept: %s", ticket.sha256, error)


def _key(job: Job, ready: Ready) -> tuple[str, str]:
    """What tells an answer from that of other weights; outlines depend on the boxes as well."""
    model, revision = ready.models[job]
    if job is Job.SEGMENTATION:
        revision = "+".join((revision, *ready.models.get(Job.DETECTION, ())))
    return model, revision
