"""Photos on their way through the models' process, whatever becomes of that process.

A photo that was with a model when the process ended is sent alone the next time, that model last; one that ended it
twice goes on without. The others lose nothing but time.
"""

import asyncio
import itertools
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from immich_sidecar.analysis.findings import Job, ModelRun
from immich_sidecar.analysis.runtime.look import Request, outlined
from immich_sidecar.errors import ModelError
from immich_sidecar.library.ai_results import Kept
from immich_sidecar.pipeline.model_host import (
    Answered,
    Begin,
    Cancel,
    Encode,
    Encoded,
    Limit,
    Ready,
    Report,
    Setup,
    Standing,
)
from immich_sidecar.pipeline.model_process import ModelProcess

_log = logging.getLogger(__name__)

#: How often a photo may end the process.
MOST_ENDS = 2
#: Seconds before the process is started again, doubled each time that it ends without having answered anything.
FIRST_WAIT, LONGEST_WAIT = 0.5, 600.0
#: Seconds of waiting for a new process that a photo puts up with.
PATIENCE = 5.0


@dataclass(eq=False)
class Ticket:
    """A photo that is looked at."""

    owner_id: str
    sha256: str
    request: Request
    done: asyncio.Future[None]
    answers: dict[Job, Kept] = field(default_factory=dict)
    #: What is asked of the present process.
    sent: frozenset[Job] = frozenset()
    #: Nobody waits for it any more; what comes is kept all the same.
    is_late: bool = False
    #: How often it was with a model when the process ended, and with which.
    ends: int = 0
    doubted: frozenset[Job] = frozenset()
    number: int = 0
    #: Whether a person said where to look.
    is_prompted: bool = False

    @property
    def left(self) -> frozenset[Job]:
        """Jobs without an answer."""
        return self.request.jobs - self.answers.keys()

    @property
    def is_under_way(self) -> bool:
        """Whether the process has been asked something that it has not answered."""
        return bool(self.sent & self.left)

    def next_jobs(self) -> frozenset[Job]:
        """What to ask next: those that may end the process last, so that nothing else is lost with them."""
        doubted = self.doubted
        if Job.DETECTION in doubted and not self.request.boxes:
            doubted |= {Job.SEGMENTATION}
        return self.left - doubted or self.left

    def take_boxes(self) -> None:
        """Where objects are known already, they are what is outlined."""
        found = self.answers.get(Job.DETECTION)
        if found is None or Job.SEGMENTATION not in self.left or self.request.boxes or self.request.points:
            return
        if found.run.error is not None:
            text = f"nothing was found that could be outlined: {found.run.error}"
            self.answers[Job.SEGMENTATION] = Kept(ModelRun(job=Job.SEGMENTATION, model="", error=text), None)
            return
        boxes = tuple(found.value[index].box for index in outlined(found.value))
        if boxes:
            self.request = replace(self.request, boxes=boxes)
        else:
            self.answers[Job.SEGMENTATION] = Kept(ModelRun(job=Job.SEGMENTATION, model=""), ())


class ModelQueue:
    """The photos that models look at, and the process that they are in.

    Parameters
    ----------
    setup
        What the process is told.
    hung
        Seconds after which a model that does not come back is taken for hung, and its process ended.
    on_answer
        Called with each answer that comes, also for photos that nobody waits for any more.
    """

    def __init__(self, setup: Setup, *, hung: float, on_answer: Callable[[Ticket, Kept], None]) -> None:
        #: What the process said of itself; the last one's where there is none now.
        self.known: Ready | None = None
        self._ttl = setup.ttl
        self._hung = hung
        self._on_answer = on_answer
        self._process = ModelProcess(setup, on_message=self._hear, on_end=self._ended)
        self._numbers = itertools.count(1)
        self._tickets: dict[int, Ticket] = {}
        self._encoding: dict[int, asyncio.Future[Encoded]] = {}
        self._reports: list[asyncio.Future[Standing]] = []
        self._ready: asyncio.Future[Ready] | None = None
        self._ends = 0
        self._not_before = 0.0
        self._limit: int | None = None
        self._background: set[asyncio.Task[None]] = set()
        self._idle: asyncio.TimerHandle | None = None
        self._is_stopped = False
        self._is_outdated = False

    # ---- for those who ask

    async def ready(self) -> Ready:
        """Have a process, and wait until it says that it is there.

        Raises
        ------
        ModelError
            If it ended so often that the next one is too far off, or the service is stopping.
        """
        loop = asyncio.get_running_loop()
        while True:
            if self._is_stopped:
                raise ModelError("the service was stopped")
            wait = self._not_before - loop.time()
            if wait > PATIENCE:
                raise ModelError(_away(self._ends, wait))
            if wait > 0:
                await asyncio.sleep(wait)
                continue
            if self._ready is None:
                self._ready = loop.create_future()
                self._soon(self._watch_over())
            ready = self._ready
            await self._process.start()
            await asyncio.wait([ready])
            if not ready.cancelled():
                return ready.result()

    def submit(self, ticket: Ticket) -> None:
        """Have a photo looked at; `done` says when it was."""
        ticket.number = next(self._numbers)
        self._tickets[ticket.number] = ticket
        if self._ready is None:
            self._soon(self._revive())
        self._pump()

    def withdraw(self, ticket: Ticket) -> None:
        """Nobody wants what is asked about a photo any more."""
        if self._tickets.pop(ticket.number, None) is not None and ticket.is_under_way:
            self._soon(self._process.send(Cancel(ticket.number)))
        self._pump()
        self.rest_when_idle()

    def unanswered(self, job: Job, text: str) -> Kept:
        """That there is no answer, and why."""
        model, revision = ("", "") if self.known is None else self.known.models.get(job, ("", ""))
        error = f"{model}: {text}" if model else text
        return Kept(ModelRun(job=job, model=model, revision=revision, error=error), None)

    async def encode(self, text: str) -> Encoded:
        """Have the embedding model understand words; raises what `ready` does."""
        number = next(self._numbers)
        self._encoding[number] = waiting = asyncio.get_running_loop().create_future()
        try:
            await self.ready()
            await self._process.send(Encode(number, text))
            encoded: Encoded = await waiting
            return encoded
        finally:
            self._encoding.pop(number, None)
            self.rest_when_idle()

    # ---- for those who watch

    @property
    def pid(self) -> int | None:
        """Id of the process, while there is one."""
        return self._process.pid

    @property
    def waiting(self) -> int:
        """Photos that somebody waits for."""
        return sum(1 for ticket in self._tickets.values() if not ticket.is_late)

    @property
    def problem(self) -> str | None:
        """Why nothing is asked at present."""
        left = self._not_before - asyncio.get_running_loop().time()
        return _away(self._ends, left) if left > 0 else None

    async def report(self) -> Standing | None:
        """What the process says of its models; None where there is none, or it does not say."""
        if self._ready is None or not self._ready.done() or not self._process.is_running:
            return None
        waiting: asyncio.Future[Standing] = asyncio.get_running_loop().create_future()
        self._reports.append(waiting)
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._process.send(Report())
                return await waiting
        return None

    async def limit(self, batch: int | None) -> None:
        """Let batches be no larger than that; None: as large as memory allows."""
        if batch != self._limit:
            self._limit = batch
            await self._process.send(Limit(batch))

    def renew(self) -> None:
        """Have another process, with the models that there are by then, once this one is done with what it looks at."""
        self._is_outdated = self._ready is not None
        self.known = None
        self._pump()

    async def stop(self) -> None:
        """End the process; whoever waits goes on without."""
        self._is_stopped = True
        for task in self._background:
            task.cancel()
        if self._idle is not None:
            self._idle.cancel()
        self._not_ready()
        for ticket in list(self._tickets.values()):
            self._finish(ticket, "the service was stopped")
        await self._process.stop()

    def rest_when_idle(self) -> None:
        """Without photos for as long as models may stay, the process goes too, and takes its libraries along."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None
        if self._is_outdated:
            self._pump()
        if self._ttl > 0 and not self._tickets and not self._is_stopped:
            self._idle = asyncio.get_running_loop().call_later(self._ttl, self._rest)

    def _rest(self) -> None:
        if not self._tickets and not self._encoding and self._process.is_running:
            self._not_ready()
            self._soon(_wait_for(self._process.let_go()))

    # ---- the process

    def _hear(self, message: Any) -> None:
        match message:
            case Ready():
                self.known = message
                if self._ready is not None and not self._ready.done():
                    self._ready.set_result(message)
                if self._limit is not None:
                    self._soon(self._process.send(Limit(self._limit)))
                self._pump()
            case Answered():
                self._take(message)
            case Encoded(ticket):
                if (waiting := self._encoding.get(ticket)) is not None and not waiting.done():
                    waiting.set_result(message)
            case Standing():
                for report in self._reports:
                    if not report.done():
                        report.set_result(message)
                self._reports.clear()

    def _take(self, answer: Answered) -> None:
        ticket = self._tickets.get(answer.ticket)
        if ticket is None:
            return
        self._ends = 0
        kept = Kept(answer.run, answer.value, answer.tags)
        ticket.answers[answer.run.job] = kept
        self._on_answer(ticket, kept)
        if not ticket.left:
            self._finish(ticket)
        elif not ticket.is_under_way:
            self._pump()

    def _finish(self, ticket: Ticket, error: str | None = None) -> None:
        """No more answers are waited for; `error` stands for those that did not come."""
        for job in ticket.left:
            ticket.answers[job] = self.unanswered(job, error or "there is no answer")
        self._tickets.pop(ticket.number, None)
        if not ticket.done.done():
            ticket.done.set_result(None)
        self._pump()
        self.rest_when_idle()

    def _pump(self) -> None:
        """Send what may be sent: everything, or one photo alone where one may end the process."""
        if self._ready is None or not self._ready.done() or self._ready.cancelled():
            return
        if self._is_outdated:
            if not self._encoding and not any(ticket.is_under_way for ticket in self._tickets.values()):
                self._is_outdated = False
                self._not_ready()
                # Let go of at once, so that whoever asks next does not find it still there.
                self._soon(self._replace(self._process.let_go()))
            return
        waiting = [ticket for ticket in self._tickets.values() if not ticket.is_under_way]
        suspects = [ticket for ticket in self._tickets.values() if ticket.ends]
        if suspects:
            if len(waiting) < len(self._tickets):
                return
            waiting = suspects[:1]
        for ticket in waiting:
            ticket.take_boxes()
            if not ticket.left:
                self._finish(ticket)
                return
            ticket.sent = ticket.next_jobs()
            self._soon(self._process.send(Begin(ticket.number, replace(ticket.request, jobs=ticket.sent))))

    def _ended(self, suspects: frozenset[tuple[str, Job]]) -> None:
        """The process is gone: count it to whom it may concern, and go on with the others."""
        self._ends += 1
        wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** (self._ends - 1))
        self._not_before = asyncio.get_running_loop().time() + wait
        self._not_ready()
        for encoding in self._encoding.values():
            if not encoding.done():
                encoding.set_result(Encoded(0, "", "", None, "the models' process ended"))
        for ticket in list(self._tickets.values()):
            doubted = frozenset(job for tag, job in suspects if tag == ticket.request.tag) & ticket.sent
            ticket.sent = frozenset()
            if doubted:
                ticket.ends += 1
                ticket.doubted |= doubted
            if ticket.ends >= MOST_ENDS:
                self._finish(ticket, f"looking at this photo crashed the models {MOST_ENDS} times")
            elif ticket.is_late:
                self._finish(ticket)
            elif wait > PATIENCE:
                self._finish(ticket, _away(self._ends, wait))
        if self._tickets:
            self._soon(self._revive())

    def _not_ready(self) -> None:
        ready, self._ready = self._ready, None
        if ready is not None:
            ready.cancel()

    async def _revive(self) -> None:
        try:
            await self.ready()
        except ModelError as error:
            for ticket in list(self._tickets.values()):
                self._finish(ticket, str(error))
        self._pump()

    async def _replace(self, end: "asyncio.Future[None]") -> None:
        await _wait_for(end)
        if self._tickets and self._ready is None:
            await self._revive()

    async def _watch_over(self) -> None:
        """End a process whose model does not come back, however long its photo has gone on."""
        ready = self._ready
        while self._ready is ready:
            await asyncio.sleep(min(1.0, self._hung / 4))
            if self._process.longest() > self._hung:
                _log.warning("a model has not come back for %.0f s; its process is ended", self._hung)
                self._process.kill()

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.ensure_future(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)


async def _wait_for(end: "asyncio.Future[None]") -> None:
    await end


def _away(ends: int, seconds: float) -> str:
    return f"the models' process ended {ends} times in a row; it is tried again in {max(1, round(seconds))} s"
