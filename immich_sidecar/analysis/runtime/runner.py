"""All models of a process, behind one door: ask, and get a future."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

from immich_sidecar.analysis.findings import Job, ModelRun
from immich_sidecar.analysis.models.model import CPU, Device, Model
from immich_sidecar.analysis.runtime.lane import Answer, Line, Question, Use, Worker
from immich_sidecar.analysis.runtime.memory import Memory, measure
from immich_sidecar.analysis.runtime.placement import spread
from immich_sidecar.errors import ModelError

_log = logging.getLogger(__name__)

#: Seconds that a model waits for idle ones to make room.
ROOM = 5.0

#: A model for a job, or why there is none.
Offer = Model[Any, Any] | ModelError


@dataclass(frozen=True)
class Loaded:
    """One model as a status page shows it."""

    job: Job
    #: Empty where there is none.
    model: str
    revision: str
    #: Where it computes, or would.
    devices: tuple[str, ...]
    is_loaded: bool
    #: Photos that wait for it.
    waiting: int
    #: Why it does not answer at present; None: it does.
    off: str | None


def _hear_nothing(*_: object) -> None:
    pass


class Runner:
    """Loads models when they are first asked, batches across photos, and holds all of them to their memory.

    Thread-safe. Nothing is loaded, and no thread started, before the first question.

    Parameters
    ----------
    offers
        The model for each job, or the reason that there is none.
    devices
        Where to compute, at least one.
    ttl
        Seconds without work after which a model is unloaded; 0: never.
    measure_memory
        Tells the memory of a device.
    on_batch
        Called in the threads of models with a worker's name, its job and the tags of the photos before a batch goes
        to its model, and with no tags when the model has come back: what ends the process then is known by name.
    """

    def __init__(
        self,
        offers: Mapping[Job, Offer],
        devices: Sequence[Device] = (CPU,),
        *,
        ttl: float = 300.0,
        measure_memory: Callable[[Device], Memory] = measure,
        on_batch: Callable[[str, Job, Sequence[str]], None] = _hear_nothing,
    ) -> None:
        self.ttl = ttl
        self.batch_limit: int | None = None
        self.measure = measure_memory
        self._offers = dict(offers)
        self._devices = tuple(devices)
        self._on_batch = on_batch
        self._lines: dict[Job, Line] = {}
        self._workers: dict[Job, tuple[Worker, ...]] = {}
        self._places: dict[Job, tuple[Device, ...]] | None = None
        self._starting = threading.Lock()
        # One batch at a time on the processor: it is one thread, and its memory is everybody's.
        self._processor = threading.RLock()
        self._quiet = threading.Condition()
        self._unanswered = 0
        self._busy: dict[int, tuple[str, Job, float]] = {}
        self._is_closed = False

    # ---- for those who ask

    def ask(self, job: Job, given: Any, tag: str = "") -> "Future[Answer]":
        """Ask a model about one photo; the future never raises, what went wrong is in the answer's run.

        Cancelling the future takes the question back as long as no model has begun with it.
        """
        question = Question(given, tag, time.monotonic())
        line = self._line(job)
        if line is None:
            offer = self._offers.get(job)
            text = str(offer) if isinstance(offer, ModelError) else "no model is chosen for this"
            question.answer.set_result(Answer(None, ModelRun(job=job, model="", error=text)))
            return question.answer
        if job is not Job.WORDS:
            self._count(1)
            question.answer.add_done_callback(lambda _: self._count(-1))
        line.put(question)
        if line.is_closed:
            question.answer.cancel()
        return question.answer

    def use(self, job: Job, function: Callable[[Model[Any, Any]], Any]) -> "Future[Any]":
        """Do something else with the loaded model of a job, in its own thread; the future raises what goes wrong."""
        use = Use(function)

        def answered(done: "Future[Answer]") -> None:
            if done.cancelled():
                use.result.cancel()
            elif not use.result.done():
                use.result.set_exception(ModelError(done.result().run.error or "there is no answer"))

        self.ask(job, use).add_done_callback(answered)
        return use.result

    def prepare(self, job: Job, given: Any) -> None:
        """Let the model of a job, once it is loaded, do ahead what needs no device; in the caller's thread."""
        for worker in self._workers.get(job, ()):
            if worker.model.is_loaded:
                # Whatever goes wrong here goes wrong again where it is recorded.
                with contextlib.suppress(Exception):
                    worker.model.prepare(given)
                return

    def states(self) -> tuple[Loaded, ...]:
        """How each job stands."""
        found = []
        for job, offer in self._offers.items():
            if isinstance(offer, ModelError):
                found.append(Loaded(job, "", "", (), False, 0, str(offer)))
                continue
            workers = self._workers.get(job, ())
            line = self._lines.get(job)
            off = [worker.off for worker in workers]
            found.append(
                Loaded(
                    job,
                    offer.name,
                    offer.revision,
                    tuple(str(worker.device) for worker in workers)
                    or tuple(map(str, (self._places or {}).get(job, ()))),
                    any(worker.model.is_loaded for worker in workers),
                    0 if line is None else len(line),
                    off[0] if off and all(off) else None,
                )
            )
        return tuple(found)

    def longest(self) -> tuple[Job, float] | None:
        """The batch, of any job but words, that is under way for the longest, and its seconds."""
        running = [(since, job) for _, job, since in list(self._busy.values()) if job is not Job.WORDS]
        if not running:
            return None
        since, job = min(running)
        return job, time.monotonic() - since

    def close(self, timeout: float = 5.0) -> None:
        """Take no more questions, cancel those that wait, unload what is idle."""
        with self._starting:
            self._is_closed = True
        left = [question for line in self._lines.values() for question in line.close()]
        for question in left:
            question.answer.cancel()
        with self._quiet:
            self._quiet.notify_all()
        deadline = time.monotonic() + timeout
        for worker in self._all():
            worker.join(max(0.0, deadline - time.monotonic()))

    # ---- for workers

    def turn(self, worker: Worker) -> contextlib.AbstractContextManager[object]:
        """One batch at a time on the processor; beside them words, which give way, and who computes elsewhere."""
        is_beside = worker.job is Job.WORDS or worker.model.is_elsewhere or not worker.device.is_cpu
        return contextlib.nullcontext() if is_beside else self._processor

    def give_way(self, worker: Worker) -> None:
        """Have words wait until nobody waits for another model."""
        if worker.job is not Job.WORDS:
            return
        with self._quiet:
            self._quiet.wait_for(lambda: self._unanswered == 0 or self._is_closed)

    def began(self, worker: Worker, job: Job, tags: Sequence[str]) -> None:
        """See `Surroundings.began`."""
        self._busy[id(worker)] = (f"{job.value} {id(worker):x}", job, time.monotonic())
        self._on_batch(f"{job.value} {id(worker):x}", job, tags)

    def ended(self, worker: Worker) -> None:
        """See `Surroundings.ended`."""
        name, job, _ = self._busy.pop(id(worker))
        self._on_batch(name, job, ())

    def make_room(self, device: Device, needed: int, wanting: Worker) -> None:
        """Have models unloaded that lie on a device and do nothing, the one unused for the longest first."""
        deadline = time.monotonic() + ROOM
        idle = sorted(
            (one for one in self._all() if one is not wanting and one.device == device and one.model.is_loaded),
            key=lambda one: one.used_at,
        )
        for worker in idle:
            if self.measure(device).free >= needed:
                return
            if worker.is_busy:
                continue
            worker.is_wanted_gone = True
            self._lines[worker.job].wake()
            while worker.model.is_loaded and not worker.is_busy and time.monotonic() < deadline:
                time.sleep(0.01)

    # ---- inside

    def _all(self) -> list[Worker]:
        return [worker for workers in self._workers.values() for worker in workers]

    def _count(self, change: int) -> None:
        with self._quiet:
            self._unanswered += change
            if self._unanswered == 0:
                self._quiet.notify_all()

    def _line(self, job: Job) -> Line | None:
        offer = self._offers.get(job)
        if offer is None or isinstance(offer, ModelError):
            return None
        with self._starting:
            if job not in self._lines:
                self._lines[job] = line = Line()
                line.is_closed = self._is_closed
                devices = self._placed()[job]
                # A copy of the model for each further device: one is used by one thread at a time.
                models = [offer, *(type(offer)(offer.files) for _ in devices[1:])]
                self._workers[job] = tuple(
                    Worker(job, model, device, line, self) for model, device in zip(models, devices, strict=True)
                )
                for worker in self._workers[job]:
                    worker.start()
            return self._lines[job]

    def _placed(self) -> dict[Job, tuple[Device, ...]]:
        if self._places is None:
            models = {job: offer for job, offer in self._offers.items() if not isinstance(offer, ModelError)}
            needs = {job: partial(model.memory, 1) for job, model in models.items()}
            memory = {device: self.measure(device) for device in self._devices}
            away = [job for job, model in models.items() if model.is_elsewhere]
            self._places = spread(needs, self._devices, memory, anywhere=away)
            for job, devices in self._places.items():
                _log.info("%s: %s on %s", job.value, models[job].name, ", ".join(map(str, devices)))
        return self._places
