"""Small models with known answers, and such that misbehave; loaded as any other, by the name of their class.

What they answer depends on the mean brightness of the picture alone. Their options come from their catalogue entry:
`most` (photos at a time that memory allows), `bytes` (what they say a photo takes), `behaviour`: `crash`, `hang`,
`garbage`, `raise`, `unloadable`, `short`, each at photos whose mean brightness is at least `from` (0).
"""

import os
import signal
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from immich_sidecar.analysis.findings import Box, Face, FoundObject, Job, Mask, Quality, Words
from immich_sidecar.analysis.models.model import Device, Model, ModelFiles
from immich_sidecar.analysis.models.view import Asked, Prompted, View
from immich_sidecar.analysis.vocabulary import Calibration
from immich_sidecar.errors import WeightsDamagedError


def brightness(view: View) -> float:
    return float(view.fitted(64).mean()) / 255


class Fake(Model[Any, Any]):
    """The common part."""

    #: Sizes of the batches that it was given, and the devices it was loaded on.
    batches: list[int]
    loads: list[Device]

    def __init__(self, files: Any) -> None:
        super().__init__(files)
        self.batches = []
        self.loads = []

    def option(self, name: str, default: Any) -> Any:
        return self.files.options.get(name, default)

    def memory(self, batch: int, device: Device) -> int:
        return self.option("weights", 0) + batch * self.option("bytes", 1000)

    def _load(self, device: Device) -> None:
        self.loads.append(device)
        if self.option("behaviour", "") == "unloadable":
            raise WeightsDamagedError(f"{self.name}: its weights cannot be read; download them again")
        if device.kind in self.option("too_small", ()):
            raise RuntimeError("CUDA out of memory. Tried to allocate 20 bytes")

    def _unload(self) -> None:
        pass

    def predict(self, batch: Sequence[Any]) -> list[Any]:
        self.batches.append(len(batch))
        assert self.device is not None
        most = self.option("most", 10**6) if not self.device.is_cpu else self.option("most_on_cpu", 10**6)
        if len(batch) > most:
            raise RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB")
        time.sleep(self.option("seconds", 0.0))
        views = [given if isinstance(given, View) else given.view for given in batch]
        bad = [brightness(view) >= self.option("from", 0.0) for view in views]
        behaviour = self.option("behaviour", "")
        if any(bad):
            if behaviour == "crash":
                os.kill(os.getpid(), signal.SIGKILL)
            if behaviour == "hang":
                time.sleep(3600)
            if behaviour == "raise":
                raise ZeroDivisionError("a defect")
            if behaviour == "short":
                return []
        return [
            "garbage" if ill and behaviour == "garbage" else self.answer(given)
            for given, ill in zip(batch, bad, strict=True)
        ]

    def answer(self, given: Any) -> Any:
        raise NotImplementedError


class Detection(Fake):
    job: ClassVar[Job] = Job.DETECTION

    def answer(self, given: View) -> Any:
        box = Box(x=0.25, y=0.25, width=0.5, height=0.5)
        return (FoundObject(label="dog", score=round(brightness(given), 3), box=box),)


class Segmentation(Fake):
    job: ClassVar[Job] = Job.SEGMENTATION

    def answer(self, given: Prompted) -> Any:
        return [Mask(width=2, height=2, counts="22") for _ in (*given.boxes, *given.points)]


class Embedding(Fake):
    """Bright photos point up, dark ones to the right."""

    job: ClassVar[Job] = Job.EMBEDDING
    calibration = Calibration(scale=100.0)

    def answer(self, given: View) -> Any:
        angle = brightness(given)
        return np.array([np.cos(angle), np.sin(angle), 0, 0], np.float32)

    def encode_text(self, texts: Sequence[str]) -> Any:
        if texts[0] == "unknown":
            raise ValueError("no such word")
        return np.array([[0, 1, 0, 0] if "up" in text else [1, 0, 0, 0] for text in texts], np.float32)


class Aesthetic(Fake):
    job: ClassVar[Job] = Job.AESTHETIC

    def answer(self, given: View) -> Any:
        share = brightness(given)
        return Quality(votes=(1 - share, *(0.0,) * 8, share))


class Technical(Aesthetic):
    job: ClassVar[Job] = Job.TECHNICAL


class Faces(Fake):
    job: ClassVar[Job] = Job.FACES

    def answer(self, given: View) -> Any:
        return [Face(box=Box(x=0.4, y=0.3, width=0.1, height=0.1), score=0.9, source=self.name)]


class Tone(Fake):
    """A table that makes everything brighter."""

    job: ClassVar[Job] = Job.TONE

    def answer(self, given: View) -> Any:
        even = np.linspace(0, 1, 33, dtype=np.float32) ** np.float32(0.6)
        blue, green, red = np.meshgrid(even, even, even, indexing="ij")
        return np.stack([red, green, blue], axis=-1)


class Describing(Fake):
    """Takes a while for each of its words, and gives way between them."""

    job: ClassVar[Job] = Job.WORDS

    def answer(self, given: Asked) -> Any:
        for _ in range(self.option("words", 3)):
            self.give_way()
            time.sleep(0.01)
        return Words(description=f"A photo of brightness {brightness(given.view):.2f}.")


KINDS: dict[Job, type[Fake]] = {
    kind.job: kind for kind in (Detection, Segmentation, Embedding, Aesthetic, Technical, Faces, Tone, Describing)
}


def offered(options: dict[str, dict[str, Any]], revision: str = "1") -> dict[Job, Fake]:
    """Models of these jobs with these options, as the process that they run in builds them."""
    return {
        Job(job): KINDS[Job(job)](
            ModelFiles(name=f"fake-{job}", folder=Path(), revision=revision, licence="MIT", options=given)
        )
        for job, given in options.items()
    }
