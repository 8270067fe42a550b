"""What pages ask of models, whoever answers: `looking.Looking`, or nobody."""

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.analysis.findings import Job, Mask
from immich_sidecar.errors import ModelError


@dataclass(frozen=True)
class TextVector:
    """What an embedding model made of words; to be compared with vectors of the same model and revision only."""

    model: str
    revision: str
    #: (dim,) float32 of length 1.
    vector: NDArray[np.float32]


class ModelsAsked(Protocol):
    """Models as far as a person who waits asks them."""

    def why_not(self, job: Job) -> str | None:
        """Why no model does a job now, in words for a person; None where one does."""
        ...

    async def encode_text(self, text: str) -> TextVector:
        """The vector of some words.

        Raises
        ------
        ModelError
            If no model can make one now.
        """
        ...

    async def outline(self, preview: Path, x: float, y: float) -> Mask:
        """What lies around a place of a photo, in fractions of its oriented picture.

        Parameters
        ----------
        preview
            A JPEG of ours of the original, oriented.

        Raises
        ------
        ModelError
            If no model can outline it now.
        """
        ...


class NoModels:
    """Answers where there are no models at all."""

    def __init__(self, reason: str = "this service runs without models (SIDECAR_PROFILE)") -> None:
        self._reason = reason

    def why_not(self, job: Job) -> str | None:
        """The same reason for every job."""
        return self._reason

    async def encode_text(self, text: str) -> TextVector:
        """Never answers."""
        raise ModelError(self._reason)

    async def outline(self, preview: Path, x: float, y: float) -> Mask:
        """Never answers."""
        raise ModelError(self._reason)
