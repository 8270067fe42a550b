"""Models that know what they are asked, for pages."""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.analysis.findings import Job, Mask
from immich_sidecar.analysis.masks import encode
from immich_sidecar.errors import ModelError, ModelTimeoutError
from immich_sidecar.library import embeddings
from immich_sidecar.pipeline.asking import TextVector
from tests.web.shelf import Shelf

DIM = 16
MODEL, REVISION = "open_clip:tiny", "r1"


def direction(word: str) -> NDArray[np.float32]:
    """A direction that is the word's own."""
    made = np.random.default_rng(list(word.encode())).normal(size=DIM).astype(np.float32)
    return np.asarray(made / np.linalg.norm(made), np.float32)


@dataclass
class KnowingModels:
    """Answers as if words and pictures had directions; the jobs that it does not do it refuses with `why`."""

    jobs: frozenset[Job] = frozenset({Job.EMBEDDING, Job.SEGMENTATION})
    why: str = "no model is chosen"
    #: Pictures and places that were pointed at.
    pointed: list[tuple[Path, float, float]] = field(default_factory=list)
    hangs: bool = False

    def why_not(self, job: Job) -> str | None:
        return None if job in self.jobs else self.why

    async def encode_text(self, text: str) -> TextVector:
        if Job.EMBEDDING not in self.jobs:
            raise ModelError(self.why)
        if self.hangs:
            raise ModelTimeoutError("The model did not understand the words within 30 s.")
        return TextVector(MODEL, REVISION, direction(text.casefold()))

    async def outline(self, preview: Path, x: float, y: float) -> Mask:
        if Job.SEGMENTATION not in self.jobs:
            raise ModelError(self.why)
        self.pointed.append((preview, x, y))
        return circle(x, y)


def circle(x: float, y: float, radius: float = 0.2) -> Mask:
    """A round mask on a grid of 64 columns and 48 rows."""
    across, down = np.meshgrid((np.arange(64) + 0.5) / 64, (np.arange(48) + 0.5) / 48)
    return encode(np.hypot(across - x, down - y) < radius)


async def seen(shelf: Shelf, sha256: str, vector: NDArray[np.float32], owner: str = "local") -> None:
    """Let the model have looked at a photo."""
    async with shelf.database.transaction() as session:
        await embeddings.store(session, owner, sha256, MODEL, REVISION, vector)
