"""Tags of photos from the vectors that an embedding model makes of them."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.analysis.findings import Tag
from immich_sidecar.analysis.models.model import Model
from immich_sidecar.analysis.vocabulary import WordVectors, read_vocabulary, word_vectors


@dataclass
class Tagger:
    """Finds the words of the vocabulary that fit; reads the vocabulary again when its file has changed.

    To be called with the loaded model, in its thread.
    """

    #: The vocabulary's file.
    vocabulary: Path
    #: Where the vectors of its words are kept.
    folder: Path
    _known: tuple[object, WordVectors] | None = None

    def __call__(self, model: Model[Any, Any], vector: NDArray[np.float32]) -> tuple[Tag, ...]:
        """The words that fit a photo of that vector; none with a model that does not understand words.

        Raises
        ------
        SettingsError, StorageError
            If the vocabulary cannot be read.
        """
        encode, calibration = getattr(model, "encode_text", None), getattr(model, "calibration", None)
        if encode is None or calibration is None:
            return ()
        state = (self._state(), model.name, model.revision)
        if self._known is None or self._known[0] != state:
            vocabulary = read_vocabulary(self.vocabulary)
            revision = f"{model.name} {model.revision}"
            self._known = (state, word_vectors(vocabulary, encode, revision=revision, folder=self.folder))
        return self._known[1].tags(vector, calibration)

    def _state(self) -> object:
        try:
            status = self.vocabulary.stat()
        except OSError:
            return None
        return (status.st_mtime_ns, status.st_size)
