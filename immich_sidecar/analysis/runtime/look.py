"""One photo and all models: decoded once, asked side by side, outlines after the boxes they are drawn in."""

import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from immich_sidecar.analysis.findings import Box, FoundObject, Job, ModelRun
from immich_sidecar.analysis.models.view import Asked, Prompted, View
from immich_sidecar.analysis.runtime.lane import Answer
from immich_sidecar.analysis.runtime.runner import Runner
from immich_sidecar.errors import SidecarError

#: Objects of a photo that are outlined, the surest and largest first; a crowd is not outlined head by head.
MOST_OUTLINED = 6
#: Threads that read and resize pictures ahead of the models.
READERS = 2


@dataclass(frozen=True)
class Request:
    """What is asked about one photo."""

    #: Whose photo, and which; for messages and for counting what ends the process.
    tag: str
    #: A JPEG of ours, oriented.
    preview: Path
    jobs: frozenset[Job]
    #: What is known of the photo, in words for a language model.
    facts: str = ""
    #: Where outlines are wanted, instead of the boxes that the detector finds.
    boxes: tuple[Box, ...] = ()
    points: tuple[tuple[float, float], ...] = ()


#: Told each answer as it comes: the job, the run, and the value (None where there is none).
OnAnswer = Callable[[Job, ModelRun, Any], None]


class Looks:
    """Takes photos to the models of a runner. Thread-safe."""

    def __init__(self, runner: Runner) -> None:
        self._runner = runner
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="reading")

    def begin(self, request: Request, on_answer: OnAnswer) -> "Look":
        """Look at a photo; `on_answer` is called exactly once for each job, from any thread, unless it is cancelled."""
        look = Look(self._runner, request, on_answer)
        self._readers.submit(look.read)
        return look

    def close(self) -> None:
        """Read no further photos."""
        self._readers.shutdown(wait=False, cancel_futures=True)


class Look:
    """A photo that is looked at."""

    def __init__(self, runner: Runner, request: Request, on_answer: OnAnswer) -> None:
        self._runner = runner
        self._request = request
        self._on_answer = on_answer
        self._asked: list[Future[Answer]] = []
        self._is_cancelled = False

    def cancel(self) -> None:
        """Nobody wants the answers any more; what a model has begun is finished and dropped."""
        self._is_cancelled = True
        for future in list(self._asked):
            future.cancel()

    def read(self) -> None:
        """Decode the picture and ask the models; in a thread that may wait for a disk."""
        if self._is_cancelled:
            return
        request = self._request
        try:
            view = View.read(request.preview)
        except (OSError, SidecarError) as error:
            for job in sorted(request.jobs):
                self._tell(job, ModelRun(job=job, model="", error=f"the preview cannot be read: {error}"), None)
            return
        jobs = request.jobs - {Job.SEGMENTATION, Job.WORDS}
        for job in sorted(jobs):
            self._runner.prepare(job, view)
        for job, given in ((Job.SEGMENTATION, Prompted(view)), (Job.WORDS, Asked(view))):
            if job in request.jobs:
                self._runner.prepare(job, given)
        if Job.SEGMENTATION in request.jobs:
            if request.boxes or request.points or Job.DETECTION not in jobs:
                self._outline(view, request.boxes, request.points)
            else:
                jobs -= {Job.DETECTION}
                self._ask(Job.DETECTION, view, lambda answer: self._detected(view, answer))
        for job in sorted(jobs):
            self._ask(job, view)
        if Job.WORDS in request.jobs:
            self._ask(Job.WORDS, Asked(view, request.facts))

    def _ask(self, job: Job, given: Any, then: Callable[[Answer], None] | None = None) -> None:
        future = self._runner.ask(job, given, self._request.tag)
        self._asked.append(future)

        def answered(done: "Future[Answer]") -> None:
            if done.cancelled():
                return
            answer = done.result()
            self._tell(job, answer.run, answer.value)
            if then is not None:
                then(answer)

        future.add_done_callback(answered)
        if self._is_cancelled:
            future.cancel()

    def _detected(self, view: View, answer: Answer) -> None:
        if answer.run.error is not None:
            text = f"nothing was found that could be outlined: {answer.run.error}"
            self._tell(Job.SEGMENTATION, ModelRun(job=Job.SEGMENTATION, model="", error=text), None)
            return
        found: Sequence[FoundObject] = answer.value
        self._outline(view, tuple(found[index].box for index in outlined(found)), ())

    def _outline(self, view: View, boxes: tuple[Box, ...], points: tuple[tuple[float, float], ...]) -> None:
        if not boxes and not points:
            # An answer, and the right one.
            self._tell(Job.SEGMENTATION, ModelRun(job=Job.SEGMENTATION, model=""), ())
            return
        self._ask(Job.SEGMENTATION, Prompted(view, boxes, points))

    def _tell(self, job: Job, run: ModelRun, value: Any) -> None:
        if not self._is_cancelled:
            with contextlib.suppress(OSError):  # the service is gone: nobody listens
                self._on_answer(job, run, value)


def outlined(found: Sequence[FoundObject]) -> tuple[int, ...]:
    """Which of the found objects are outlined, as their places in the list; in its order."""

    def weight(index: int) -> float:
        box = found[index].box
        return found[index].score * float((box.width * box.height) ** 0.5)

    return tuple(sorted(sorted(range(len(found)), key=weight, reverse=True)[:MOST_OUTLINED]))
