"""One job's queue, and the threads that empty it in batches: one for each device that its model computes on."""

import contextlib
import logging
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Protocol

from immich_sidecar.analysis.findings import Job, ModelRun
from immich_sidecar.analysis.models.model import CPU, Device, Model
from immich_sidecar.analysis.runtime.answers import checked
from immich_sidecar.analysis.runtime.memory import (
    LARGEST_ON_CPU,
    LARGEST_ON_GPU,
    Memory,
    batch_size,
    is_out_of_memory,
    release,
)
from immich_sidecar.errors import ModelError, ModelMemoryError

_log = logging.getLogger(__name__)

#: Seconds that a photo waits for others to share its batch.
COMPANY = 0.004
#: Seconds for which a model that could not be loaded, or had no memory at all, is left alone.
REST = 60.0
#: Seconds between two looks of an idle model at the clock and at the memory.
LOOK = 1.0


@dataclass(frozen=True)
class Answer:
    """What came of a question."""

    #: None where there is no answer; `run.error` says why.
    value: Any
    run: ModelRun


@dataclass(eq=False)
class Question:
    """One photo for one model."""

    given: Any
    #: Whose it is, for those who count what ends a process.
    tag: str
    since: float
    answer: Future[Answer] = field(default_factory=Future)


@dataclass(frozen=True, eq=False)
class Use:
    """Something else to do with a loaded model, in the thread that is its own."""

    function: Callable[[Model[Any, Any]], Any]
    result: Future[Any] = field(default_factory=Future)


class Surroundings(Protocol):
    """What lanes share; see `runner.Runner`."""

    #: Seconds without work after which a model is unloaded; 0: never.
    ttl: float
    #: The largest batch that is wanted at present; None: as large as memory allows.
    batch_limit: int | None

    def measure(self, device: Device) -> Memory:
        """The memory of a device now."""

    def make_room(self, device: Device, needed: int, wanting: "Worker") -> None:
        """Have idle models on a device unloaded until that many bytes are free, or all are gone."""

    def turn(self, worker: "Worker") -> contextlib.AbstractContextManager[object]:
        """The right to compute where the worker does now."""

    def give_way(self, worker: "Worker") -> None:
        """Wait, in the lane of words, until nobody else waits for a model."""

    def began(self, worker: "Worker", job: Job, tags: Sequence[str]) -> None:
        """A batch goes to its model now."""

    def ended(self, worker: "Worker") -> None:
        """Its model came back."""


class Line:
    """The questions of a job that wait; any number of workers take from it."""

    def __init__(self) -> None:
        self._questions: deque[Question] = deque()
        self.changed = threading.Condition()
        self.is_closed = False

    def __len__(self) -> int:
        return len(self._questions)

    def put(self, question: Question) -> None:
        with self.changed:
            self._questions.append(question)
            self.changed.notify_all()

    def wake(self) -> None:
        """Have idle workers look at what they were told."""
        with self.changed:
            self.changed.notify_all()

    def close(self) -> list[Question]:
        """End; returns what nobody will answer."""
        with self.changed:
            self.is_closed = True
            left = list(self._questions)
            self._questions.clear()
            self.changed.notify_all()
        return left

    def take(self, size: Callable[[], int], timeout: float | None) -> list[Question]:
        """The next batch; empty after `timeout` seconds without any, after `wake`, and at the end."""
        with self.changed:
            if not self._questions and not self.is_closed:
                self.changed.wait(timeout)
            if not self._questions:
                return []
            most = max(1, size())
            deadline = time.monotonic() + COMPANY
            while len(self._questions) < most and not self.is_closed:
                left = deadline - time.monotonic()
                if left <= 0:
                    break
                self.changed.wait(left)
            count = min(most, len(self._questions))
            return [self._questions.popleft() for _ in range(count)]


class Worker:
    """A model on a device, and the thread that uses it."""

    def __init__(self, job: Job, model: Model[Any, Any], device: Device, line: Line, shared: Surroundings) -> None:
        self.job = job
        self.model = model
        #: Where it is meant to compute, and where it does: memory may have driven it away.
        self.home = device
        self.device = device
        self.used_at = time.monotonic()
        self.is_busy = False
        #: Told to unload at the next opportunity, because another needs the memory.
        self.is_wanted_gone = False
        self._line = line
        self._shared = shared
        self._most: int | None = None
        self._rest: tuple[float, ModelError] | None = None
        self._stream: Any = None
        self._thread = threading.Thread(target=self._run, name=f"{job.value} on {device}", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def join(self, timeout: float) -> None:
        self._thread.join(timeout)

    @property
    def off(self) -> str | None:
        """Why it does not even try at present."""
        rest = self._rest
        return str(rest[1]) if rest is not None and time.monotonic() < rest[0] else None

    def _run(self) -> None:
        if self.job is Job.WORDS:
            self.model.give_way = lambda: self._shared.give_way(self)
        while not self._line.is_closed:
            questions = self._line.take(self._batch_size, LOOK if self.model.is_loaded else None)
            questions = [one for one in questions if one.answer.set_running_or_notify_cancel()]
            questions = self._used(questions)
            if questions:
                self.is_busy = True
                try:
                    self._shared.give_way(self)
                    with self._shared.turn(self):
                        self._answer(questions)
                except Exception as error:  # noqa: BLE001  a defect of ours costs these answers and not the thread
                    _log.exception("%s: %s", self.job.value, self.model.name)
                    left = [one for one in questions if not one.answer.done()]
                    self._refuse(left, ModelError(f"{self.model.name} failed: {type(error).__name__}: {error}"))
                finally:
                    self.is_busy = False
                    self.used_at = time.monotonic()
            else:
                self._unload_if_idle()
        self.model.unload()

    def _used(self, questions: list[Question]) -> list[Question]:
        """Do what is to be done otherwise than by predicting; returns the rest."""
        for question in questions:
            if not isinstance(question.given, Use):
                continue
            use = question.given
            try:
                with self._shared.turn(self):
                    self._load()
                    with self._computing():
                        use.result.set_result(use.function(self.model))
            except Exception as error:  # noqa: BLE001  the boundary: told to whoever wanted it
                use.result.set_exception(error)
            self.used_at = time.monotonic()
            question.answer.set_result(Answer(None, self._record(question, None)))
        return [question for question in questions if not isinstance(question.given, Use)]

    # ---- memory

    def _largest(self) -> int:
        most = LARGEST_ON_CPU if self.device.is_cpu else LARGEST_ON_GPU
        limits = [limit for limit in (most, self._most, self._shared.batch_limit) if limit is not None]
        return max(1, min(limits))

    def _batch_size(self) -> int:
        free = self._shared.measure(self.device).free
        size = batch_size(self._needed, free, self._largest(), is_loaded=self.model.is_loaded)
        return max(1, size)

    def _needed(self, size: int) -> int:
        return self.model.memory(size, self.device)

    def _unload_if_idle(self) -> None:
        if not self.model.is_loaded:
            return
        idle = time.monotonic() - self.used_at
        is_old = self._shared.ttl > 0 and idle >= self._shared.ttl
        # Not at once: memory that is short for a moment would have models come and go with every photo.
        is_in_the_way = self.is_wanted_gone or (idle >= LOOK and self._shared.measure(self.device).is_short)
        if is_old or is_in_the_way:
            self._unload()

    def _unload(self) -> None:
        device = self.device
        self.model.unload()
        release(device)
        self.device, self._most, self.is_wanted_gone = self.home, None, False

    def _load(self) -> None:
        if self.model.device == self.device:
            return
        needed = self._needed(1)
        if self._shared.measure(self.device).free < needed:
            self._shared.make_room(self.device, needed, self)
            if self._shared.measure(self.device).free < needed:
                raise MemoryError(f"{needed / 1e9:.1f} GB are needed on {self.device}")
        self.model.load(self.device)

    # ---- answers

    @contextlib.contextmanager
    def _computing(self) -> Iterator[None]:
        """Without gradients; on CUDA in a stream of this worker's, that of words behind all others."""
        torch = sys.modules.get("torch")
        with contextlib.ExitStack() as stack:
            if torch is not None:
                stack.enter_context(torch.inference_mode())
                if self.device.kind in {"cuda", "rocm"} and torch.cuda.is_available():
                    name = self.device.torch_name
                    if self._stream is None:
                        self._stream = torch.cuda.Stream(name, priority=0 if self.job is Job.WORDS else -1)
                    stack.enter_context(torch.cuda.device(name))
                    stack.enter_context(torch.cuda.stream(self._stream))
            yield

    def _answer(self, questions: list[Question]) -> None:
        if self._rest is not None:
            until, reason = self._rest
            if time.monotonic() < until:
                return self._refuse(questions, reason)
            self._rest = None
        self._shared.began(self, self.job, [one.tag for one in questions])
        try:
            self._load()
        except Exception as error:  # noqa: BLE001  the boundary: whatever a library raises turns a model off
            self._shared.ended(self)
            return self._could_not_load(questions, error)
        try:
            with self._computing():
                values = self.model.predict([one.given for one in questions])
            if len(values) != len(questions):
                raise ValueError(f"{len(values)} answers to {len(questions)} photos")
        except Exception as error:  # noqa: BLE001  the boundary: whatever a library raises is this batch's failure
            self._shared.ended(self)
            return self._could_not_predict(questions, error)
        self._shared.ended(self)
        for question, value in zip(questions, values, strict=True):
            self._tell(question, value)
        return None

    def _could_not_load(self, questions: list[Question], error: Exception) -> None:
        self.model.unload()
        if is_out_of_memory(error):
            return self._with_less(questions, error)
        if not isinstance(error, ModelError):
            error = ModelError(f"{self.model.name} could not be loaded: {type(error).__name__}: {error}")
        self._rest = (time.monotonic() + REST, error)
        return self._refuse(questions, error)

    def _could_not_predict(self, questions: list[Question], error: Exception) -> None:
        if is_out_of_memory(error):
            return self._with_less(questions, error)
        if len(questions) > 1:
            # Whichever of them it was: it costs itself and no other.
            for question in questions:
                self._answer([question])
            return None
        if not isinstance(error, ModelError):
            error = ModelError(f"{self.model.name} failed: {type(error).__name__}: {error}")
        return self._refuse(questions, error)

    def _with_less(self, questions: list[Question], error: Exception) -> None:
        """Out of memory: a smaller batch, then the processor, then without."""
        release(self.device)
        if len(questions) > 1:
            self._most = max(1, len(questions) // 2)
            while questions:
                # Made smaller again meanwhile, perhaps.
                size = self._most or 1
                self._answer(questions[:size])
                questions = questions[size:]
        elif not self.device.is_cpu:
            self.model.unload()
            release(self.device)
            self.device, self._most = CPU, None
            with self._shared.turn(self):
                self._answer(questions)
        else:
            self._unload()
            reason = ModelMemoryError(
                f"{self.model.name}: there is not enough memory, not even for one photo at a time ({error})"
            )
            self._rest = (time.monotonic() + REST, reason)
            self._refuse(questions, reason)

    def _tell(self, question: Question, value: Any) -> None:
        try:
            value = checked(self.job, self.model.name, value)
        except ModelError as error:
            return self._refuse([question], error)
        question.answer.set_result(Answer(value, self._record(question, None)))
        return None

    def _refuse(self, questions: Sequence[Question], error: ModelError) -> None:
        for question in questions:
            question.answer.set_result(Answer(None, self._record(question, str(error))))

    def _record(self, question: Question, error: str | None) -> ModelRun:
        return ModelRun(
            job=self.job,
            model=self.model.name,
            revision=self.model.revision,
            device="" if error is not None else str(self.device),
            seconds=round(time.monotonic() - question.since, 4),
            error=error,
        )
