"""Whether models see what is there: each is run, the way the service runs it, on photos with known answers."""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from immich_sidecar.analysis import masks, weights
from immich_sidecar.analysis.findings import Box, Face, FoundObject, Job, Mask, Quality, Words
from immich_sidecar.analysis.known_photos import KnownPhoto
from immich_sidecar.analysis.models.model import CPU, Device, Model
from immich_sidecar.analysis.models.view import Asked, Prompted, View
from immich_sidecar.analysis.models_catalogue import Entry
from immich_sidecar.analysis.runtime.lane import Answer
from immich_sidecar.analysis.runtime.runner import Offer, Runner
from immich_sidecar.errors import ModelError

#: Seconds that one answer may take, the loading of the model included; words take minutes on a processor.
PATIENCE = 600.0
#: Certainty from which an object counts as found, of how much of an outline's box must be the given one.
CERTAIN, SAME_BOX = 0.5, 0.7
#: Where means of votes on ordinary photos lie, and how far votes spread at most: random answers spread more.
MEANS, SPREAD = (2.5, 8.5), 2.4
#: How much darker a photo is made for the learned tone, as a factor of its encoded values.
DARKER = 0.5

Views = Mapping[KnownPhoto, View]


class Check(NamedTuple):
    """One question with a known answer."""

    photo: str
    expected: str
    found: str
    ok: bool


@dataclass
class Result:
    """What a model said."""

    name: str
    job: Job
    checks: list[Check] = field(default_factory=list)
    #: Why it could not be asked; empty where it could.
    problem: str = ""
    revision: str = ""
    device: str = ""
    #: Seconds for all questions, loading included.
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every answer was as expected."""
        return bool(self.checks) and not self.problem and all(check.ok for check in self.checks)


def run(
    entry: Entry,
    folder: Path,
    views: Views,
    *,
    consents: Collection[str] = (),
    devices: Sequence[Device] = (CPU,),
) -> Result:
    """Ask one model about all known photos; never raises for what is wrong with the model."""
    try:
        offer: Offer = weights.build(entry, folder, consents)
    except ModelError as error:
        offer = error
    return run_offer(entry.name, entry.job, offer, views, devices=devices)


def run_offer(name: str, job: Job, offer: Offer, views: Views, *, devices: Sequence[Device] = (CPU,)) -> Result:
    """Ask a model that has been built, here or on another server, about all known photos; as `run`."""
    result = Result(name, job)
    if isinstance(offer, ModelError):
        result.problem = str(offer)
        return result
    model, result.revision = offer, offer.revision
    runner = Runner({job: model}, devices)
    try:
        result.checks.extend(_CHECKS[job](_Asking(runner, model, result), views))
    except ModelError as error:
        result.problem = str(error)
    except FutureTimeoutError:
        result.problem = f"{name} did not answer within {PATIENCE:.0f} seconds"
    finally:
        runner.close()
        model.unload()
    if not result.checks and not result.problem:
        result.problem = "none of the photos that are here has a known answer for it"
    return result


@dataclass
class _Asking:
    runner: Runner
    model: Model[Any, Any]
    result: Result

    def all(self, given: Sequence[Any]) -> list[Any]:
        """The answers to all questions, asked at once so that they are batched."""
        futures: list[Future[Answer]] = [self.runner.ask(self.result.job, one, str(n)) for n, one in enumerate(given)]
        answers = [future.result(PATIENCE) for future in futures]
        for answer in answers:
            if answer.run.error is not None:
                raise ModelError(answer.run.error)
            self.result.device = answer.run.device
            self.result.seconds += answer.run.seconds
        return [answer.value for answer in answers]


def _detection(asking: _Asking, views: Views) -> Iterator[Check]:
    answers: list[tuple[FoundObject, ...]] = asking.all(list(views.values()))
    for photo, found in zip(views, answers, strict=True):
        sure = sorted((one for one in found if one.score >= CERTAIN), key=lambda one: -one.score)
        labels = {one.label for one in sure}
        told = ", ".join(f"{one.label} {one.score:.2f}" for one in sure[:6]) or "nothing"
        yield Check(photo.name, ", ".join(sorted(photo.labels)), told, photo.labels <= labels)


def _segmentation(asking: _Asking, views: Views) -> Iterator[Check]:
    asked = [(photo, photo.thing, view) for photo, view in views.items() if photo.thing is not None]
    answers: list[list[Mask]] = asking.all([Prompted(view, boxes=(thing,)) for _, thing, view in asked])
    for (photo, thing, _), found in zip(asked, answers, strict=True):
        box = masks.bounding_box(found[0])
        same = _overlap(box, thing) if box is not None else 0.0
        yield Check(
            photo.name,
            f"an outline that fills its box (at least {SAME_BOX:.0%})",
            f"{same:.0%} in common, {masks.area(found[0]):.0%} of the photo",
            same >= SAME_BOX,
        )


def _embedding(asking: _Asking, views: Views) -> Iterator[Check]:
    vectors = np.stack(asking.all(list(views.values())))
    encode: Callable[[Sequence[str]], Any] = getattr(asking.model, "encode_text")  # noqa: B009  not every model has it
    sentences = [photo.sentence for photo in views]
    if len(sentences) == 1:
        sentences.append("a photo of nothing")
    likeness = vectors @ np.asarray(encode(sentences)).T
    for photo, row in zip(views, likeness, strict=True):
        best = int(row.argmax())
        told = f"{sentences[best]} ({row[best]:.3f})"
        yield Check(photo.name, photo.sentence, told, sentences[best] == photo.sentence)


def _aesthetic(asking: _Asking, views: Views) -> Iterator[Check]:
    answers: list[Quality] = asking.all(list(views.values()))
    for photo, found in zip(views, answers, strict=True):
        yield Check(
            photo.name,
            f"a mean of {MEANS[0]} to {MEANS[1]}, a spread below {SPREAD}",
            f"{found.mean:.2f}, {found.spread:.2f}",
            MEANS[0] <= found.mean <= MEANS[1] and found.spread < SPREAD,
        )


def _technical(asking: _Asking, views: Views) -> Iterator[Check]:
    yield from _aesthetic(asking, views)
    sharp: list[Quality] = asking.all(list(views.values()))
    blurred: list[Quality] = asking.all([_blurred(view) for view in views.values()])
    for photo, before, after in zip(views, sharp, blurred, strict=True):
        yield Check(
            f"{photo.name}, blurred",
            "a lower mean than the sharp one",
            f"{after.mean:.2f}, sharp {before.mean:.2f}",
            after.mean < before.mean,
        )


def _faces(asking: _Asking, views: Views) -> Iterator[Check]:
    answers: list[tuple[Face, ...]] = asking.all(list(views.values()))
    for photo, found in zip(views, answers, strict=True):
        if photo.face is not None:
            known = photo.face
            told = ", ".join(f"({face.box.x:.2f}, {face.box.y:.2f}) {face.score:.2f}" for face in found) or "none"
            yield Check(
                photo.name,
                f"a face around ({known.x + known.width / 2:.2f}, {known.y + known.height / 2:.2f})",
                told,
                any(_centre_in(face.box, known) for face in found),
            )
        elif "person" not in photo.labels:
            yield Check(photo.name, "no face", f"{len(found)} found" if found else "none", not found)


def _words(asking: _Asking, views: Views) -> Iterator[Check]:
    answers: list[Words] = asking.all([Asked(view) for view in views.values()])
    for photo, found in zip(views, answers, strict=True):
        text = found.malformed if found.malformed is not None else found.description
        told = text if len(text) <= 160 else f"{text[:157]}..."
        yield Check(
            photo.name,
            f"an answer in form, with one of: {', '.join(photo.words)}",
            f"(not in form) {told}" if found.malformed is not None else told,
            found.malformed is None and any(word in text.lower() for word in photo.words),
        )


def _tone(asking: _Asking, views: Views) -> Iterator[Check]:
    dark = [View((view.display * DARKER).astype(np.uint8)) for view in views.values()]
    answers = asking.all(dark)
    for photo, view, answer in zip(views, dark, answers, strict=True):
        table = np.asarray(answer)
        shape_ok = table.shape == (33, 33, 33, 3) and bool(np.isfinite(table).all())
        # Greys of the table: what becomes of a photo's mean is read from its diagonal.
        mean = float(view.display.mean()) / 255
        greys = table[np.arange(33), np.arange(33), np.arange(33)].mean(axis=1) if shape_ok else np.zeros(33)
        after = float(np.interp(mean, np.linspace(0, 1, 33), greys))
        yield Check(
            f"{photo.name}, too dark",
            f"a table that makes its mean of {mean:.2f} lighter",
            f"{after:.2f}" if shape_ok else f"a table of shape {table.shape}",
            shape_ok and after > mean,
        )


_CHECKS: Mapping[Job, Callable[[_Asking, Views], Iterator[Check]]] = {
    Job.DETECTION: _detection,
    Job.SEGMENTATION: _segmentation,
    Job.EMBEDDING: _embedding,
    Job.AESTHETIC: _aesthetic,
    Job.TECHNICAL: _technical,
    Job.FACES: _faces,
    Job.WORDS: _words,
    Job.TONE: _tone,
}


def _overlap(one: Box, other: Box) -> float:
    """Area in common by area of both together."""
    width = min(one.x + one.width, other.x + other.width) - max(one.x, other.x)
    height = min(one.y + one.height, other.y + other.height) - max(one.y, other.y)
    common = max(0.0, width) * max(0.0, height)
    return common / (one.width * one.height + other.width * other.height - common)


def _centre_in(box: Box, other: Box) -> bool:
    x, y = box.x + box.width / 2, box.y + box.height / 2
    return other.x <= x <= other.x + other.width and other.y <= y <= other.y + other.height


def _blurred(view: View) -> View:
    import cv2

    width, height = view.size
    return View(np.asarray(cv2.GaussianBlur(view.display, (0, 0), max(width, height) / 80), np.uint8))
