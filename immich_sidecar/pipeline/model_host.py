"""The inside of the process that models run in, and what it and the service tell each other."""

import contextlib
import logging
import os
import signal
import tempfile
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from immich_sidecar.analysis.findings import Job, ModelRun, Tag
from immich_sidecar.analysis.models.model import CPU, Device, Model
from immich_sidecar.analysis.runtime.look import Look, Looks, Request
from immich_sidecar.analysis.runtime.memory import Memory, measure
from immich_sidecar.analysis.runtime.placement import find_devices
from immich_sidecar.analysis.runtime.runner import Loaded, Offer, Runner
from immich_sidecar.errors import ModelError
from immich_sidecar.pipeline import worker

_log = logging.getLogger(__name__)

#: Libraries of models ask no hub, write no settings into a home, and take one thread.
ENVIRONMENT = worker.SINGLE_THREADED | {
    "HF_HUB_OFFLINE": "1",
    "TRANSFORMERS_OFFLINE": "1",
    "TOKENIZERS_PARALLELISM": "false",
    "YOLO_CONFIG_DIR": str(Path(tempfile.gettempdir()) / "immich-sidecar-ultralytics"),
    "PYTORCH_CUDA_ALLOC_CONF": "expandable_segments:True",
}


@dataclass(frozen=True)
class Setup:
    """Everything that the process is told at its start; must pickle."""

    #: Builds the models, without loading any, or says why there is none; called in the process.
    offers: Callable[[], Mapping[Job, Offer]]
    #: `SIDECAR_DEVICE` and `SIDECAR_DEVICE_IDS`.
    device: str = "auto"
    device_ids: tuple[int, ...] = ()
    #: `SIDECAR_MODEL_TTL`.
    ttl: float = 300.0
    niceness: int = 10
    environment: Mapping[str, str] = field(default_factory=lambda: ENVIRONMENT)
    #: Words that fit a vector of the embedding model; None: photos get no tags.
    tags: Callable[[Model[Any, Any], Any], tuple[Tag, ...]] | None = None
    log_level: int = logging.INFO


# ---- what the service says


@dataclass(frozen=True)
class Begin:
    """Look at a photo."""

    ticket: int
    request: Request


@dataclass(frozen=True)
class Cancel:
    """Nobody wants the answers of that ticket any more."""

    ticket: int


@dataclass(frozen=True)
class Encode:
    """Make a vector of words, comparable with those of photos."""

    ticket: int
    text: str


@dataclass(frozen=True)
class Limit:
    """Make batches no larger than that; None: as large as memory allows."""

    batch: int | None


@dataclass(frozen=True)
class Report:
    """Say how the models stand."""


# ---- what the process answers


@dataclass(frozen=True)
class Ready:
    """The process is there: the first thing it says."""

    devices: tuple[str, ...]
    #: What is wrong with the choice of devices.
    problem: str | None
    #: Name and revision of the model of each job, and why there is none for the others.
    models: Mapping[Job, tuple[str, str]]
    missing: Mapping[Job, str]


@dataclass(frozen=True)
class Answered:
    """A model's answer about a photo."""

    ticket: int
    run: ModelRun
    value: Any
    tags: tuple[Tag, ...] = ()


@dataclass(frozen=True)
class Encoded:
    """The vector of words; None where there is none, and why."""

    ticket: int
    model: str
    revision: str
    vector: Any
    error: str | None = None


@dataclass(frozen=True)
class Batch:
    """Photos went to a model, or (without tags) it came back."""

    worker: str
    job: Job
    tags: tuple[str, ...]


@dataclass(frozen=True)
class Standing:
    """How the models stand."""

    models: tuple[Loaded, ...]
    #: Memory of each device by its name; of the processor's as well.
    memory: Mapping[str, Memory]


def serve(pipe: Connection, life: Connection, setup: Setup) -> None:
    """Be the process: answer what comes through the pipe until it is closed."""
    worker.live_with_service(life, setup.niceness, setup.environment)
    # Ctrl-C reaches the whole group; the service ends us in its own time.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    logging.basicConfig(level=setup.log_level, format="%(levelname)s %(name)s: %(message)s")
    _Host(pipe, setup).run()
    # Threads of libraries, and models in the middle of a batch, are not waited for.
    os._exit(0)


class _Host:
    def __init__(self, pipe: Connection, setup: Setup) -> None:
        self._pipe = pipe
        self._setup = setup
        self._saying = threading.Lock()
        self._looks: dict[int, Look] = {}
        self._offers = dict(setup.offers())
        needs_torch = any(isinstance(offer, Model) and not offer.is_elsewhere for offer in self._offers.values())
        self._devices: tuple[Device, ...] = (CPU,)
        problem = None
        if needs_torch:
            self._devices, problem = find_devices(setup.device, setup.device_ids)
        self._runner = Runner(self._offers, self._devices, ttl=setup.ttl, on_batch=self._on_batch)
        self._photos = Looks(self._runner)
        models = {job: offer for job, offer in self._offers.items() if isinstance(offer, Model)}
        self._say(
            Ready(
                devices=tuple(map(str, self._devices)),
                problem=problem,
                models={job: (model.name, model.revision) for job, model in models.items()},
                missing={job: str(offer) for job, offer in self._offers.items() if isinstance(offer, ModelError)},
            )
        )

    def run(self) -> None:
        with contextlib.suppress(EOFError, OSError):
            while True:
                self._hear(self._pipe.recv())
        self._photos.close()

    def _hear(self, message: Any) -> None:
        match message:
            case Begin(ticket, request):
                left = set(request.jobs)

                def answered(job: Job, run: ModelRun, value: Any) -> None:
                    left.discard(job)
                    if not left:
                        self._looks.pop(ticket, None)
                    self._answer(ticket, job, run, value)

                self._looks[ticket] = self._photos.begin(request, answered)
            case Cancel(ticket):
                look = self._looks.pop(ticket, None)
                if look is not None:
                    look.cancel()
            case Encode(ticket, text):
                self._encode(ticket, text)
            case Limit(batch):
                self._runner.batch_limit = batch
            case Report():
                devices = dict.fromkeys([*self._devices, CPU])
                self._say(Standing(self._runner.states(), {str(device): measure(device) for device in devices}))

    def _answer(self, ticket: int, job: Job, run: ModelRun, value: Any) -> None:
        tags = self._setup.tags
        if job is not Job.EMBEDDING or value is None or tags is None:
            self._say(Answered(ticket, run, value))
            return
        # With the model, and so in its thread: a vocabulary has to be understood once.
        found = self._runner.use(job, lambda model: tags(model, value))

        def done(_: object) -> None:
            words: tuple[Tag, ...] = ()
            if not found.cancelled():
                error = found.exception()
                if error is None:
                    words = found.result()
                else:
                    _log.warning("no tags: %s", error)
            with contextlib.suppress(OSError):
                self._say(Answered(ticket, run, value, words))

        found.add_done_callback(done)

    def _encode(self, ticket: int, text: str) -> None:
        offer = self._offers.get(Job.EMBEDDING)
        if not isinstance(offer, Model) or not hasattr(offer, "encode_text"):
            reason = str(offer) if isinstance(offer, ModelError) else "no model is chosen that understands words"
            self._say(Encoded(ticket, "", "", None, reason))
            return
        found = self._runner.use(Job.EMBEDDING, lambda model: model.encode_text([text])[0])  # type: ignore[attr-defined]  # looked for above

        def done(_: object) -> None:
            error = found.exception() if not found.cancelled() else "the models are ended"
            vector = None if error is not None else found.result()
            with contextlib.suppress(OSError):
                self._say(Encoded(ticket, offer.name, offer.revision, vector, None if error is None else str(error)))

        found.add_done_callback(done)

    def _on_batch(self, name: str, job: Job, tags: Sequence[str]) -> None:
        with contextlib.suppress(OSError):
            self._say(Batch(name, job, tuple(tags)))

    def _say(self, message: Any) -> None:
        with self._saying:
            self._pipe.send(message)
