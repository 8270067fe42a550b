"""Vectors of photos and words from Immich's own machine-learning container: nothing to download, no torch.

The container's HTTP interface is not documented; as its source has it (`machine-learning/immich_ml/main.py`, Immich
2.5 to 3.1): `GET /ping` answers `pong`; `POST /predict` takes a form with `entries`, JSON that names task, kind and
model, and `image` (a file) or `text`, and answers JSON with the task's result; a vector comes as a JSON list within a
string. It asks for no key.
"""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.analysis.findings import Job
from immich_sidecar.analysis.models.model import Device, Model, ModelFiles
from immich_sidecar.analysis.models.view import View
from immich_sidecar.analysis.vocabulary import UNKNOWN, Calibration
from immich_sidecar.errors import ModelAnswerError, ModelAwayError, ModelError, ModelTimeoutError

if TYPE_CHECKING:
    import httpx

#: The model that Immich uses unless its administrator chose another.
USUAL_MODEL = "ViT-B-32__openai"
#: Seconds for a connection, and for an answer: the container may have to load its model first.
_CONNECT, _ANSWER = 5.0, 60.0
#: Longest edge in pixels of what is sent, and its JPEG quality; models look at 224 to 512 pixels.
_EDGE, _QUALITY = 768, 92
#: Bytes that a photo takes here while it is asked about.
_BYTES = 4_000_000

Vector = NDArray[np.float32]


class ImmichMl(Model[View, Vector]):
    """Embedding by Immich's container, whose address is the option `url` and whose model the option `model`.

    Vectors of different models cannot be compared, so the model's name is the revision.
    """

    job = Job.EMBEDDING
    is_elsewhere = True

    def __init__(self, files: ModelFiles) -> None:
        super().__init__(files)
        self._url = str(files.options.get("url") or "").rstrip("/")
        self._model = str(files.options.get("model") or USUAL_MODEL)
        self._timeout = float(files.options.get("timeout") or _ANSWER)
        self._client: httpx.Client | None = None
        self._dimensions: int | None = None

    @property
    def revision(self) -> str:
        """The name of the model in the container."""
        return self._model

    @property
    def calibration(self) -> Calibration:
        """How likeness becomes probability, as far as one can know from outside."""
        return UNKNOWN

    def memory(self, batch: int, device: Device) -> int:
        """About how many bytes it needs here; the weights lie elsewhere."""
        return batch * _BYTES

    def prepare(self, given: View) -> None:
        """Make the file that is sent."""
        _jpeg(given)

    def ping(self) -> None:
        """Ask whether it is there.

        Raises
        ------
        ModelAwayError, ModelTimeoutError
            If nothing answers.
        ModelAnswerError
            If something else answers.
        """
        answer = self._ask("GET", "/ping", "see whether it is there")
        if answer.text.strip().strip('"') != "pong":
            raise ModelAnswerError(
                f"What answers at {self._url} is not Immich's machine learning: “{answer.text[:40]}”. Set "
                "SIDECAR_IMMICH_ML_URL to its address, as http://immich-machine-learning:3003."
            )

    def predict(self, batch: Sequence[View]) -> list[Vector]:
        """A vector for each photo, one request each."""
        return [self._vector("visual", files={"image": ("photo.jpg", _jpeg(view), "image/jpeg")}) for view in batch]

    def encode_text(self, texts: Sequence[str]) -> Vector:
        """Vectors of some texts, (count, dimensions); one request each."""
        if not texts:
            return np.empty((0, self._dimensions or 0), np.float32)
        # The container takes an empty text for none.
        return np.stack([self._vector("textual", data={"text": text or " "}) for text in texts])

    def _load(self, device: Device) -> None:
        import httpx

        if not self._url:
            raise ModelError("Nobody said where Immich's machine learning is: set SIDECAR_IMMICH_ML_URL.")
        self._client = httpx.Client(timeout=httpx.Timeout(self._timeout, connect=_CONNECT))
        try:
            self.ping()
        except BaseException:
            self._unload()
            raise

    def _unload(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _vector(self, kind: str, *, data: dict[str, str] | None = None, files: dict[str, Any] | None = None) -> Vector:
        entries = json.dumps({"clip": {kind: {"modelName": self._model}}})
        # A form with a text alone goes out as a form of fields; the container wants parts, as for a file.
        parts = {"entries": (None, entries), **{name: (None, text) for name, text in (data or {}).items()}}
        answer = self._ask("POST", "/predict", f"compute a vector with {self._model}", files={**parts, **(files or {})})
        try:
            told = answer.json()["clip"]
            found = np.asarray(json.loads(told) if isinstance(told, str) else told, np.float32)
        except (ValueError, KeyError, TypeError) as error:
            raise ModelAnswerError(
                f"Immich's machine learning at {self._url} answered no vector of {self._model}: “{answer.text[:80]}”."
            ) from error
        length = float(np.linalg.norm(found)) if found.ndim == 1 and found.size else 0.0
        if not np.isfinite(length) or length == 0 or (self._dimensions or found.size) != found.size:
            raise ModelAnswerError(
                f"Immich's machine learning at {self._url} answered a vector of {self._model} that is none: shape "
                f"{found.shape}, length {length:.3g}, where {self._dimensions or 'some'} numbers were expected."
            )
        self._dimensions = found.size
        return found / np.float32(length)

    def _ask(self, method: str, path: str, what: str, **body: Any) -> "httpx.Response":
        import httpx

        if self._client is None:
            raise ModelError("Immich's machine learning was asked before it was made ready; this is a mistake of ours.")
        tried = f"Could not {what} at Immich's machine learning, {self._url}"
        try:
            answer = self._client.request(method, self._url + path, **body)
        except httpx.TimeoutException as error:
            if isinstance(error, httpx.ConnectTimeout):
                raise ModelAwayError(f"{tried}: no connection within {_CONNECT:.0f} s. Is it running?") from error
            raise ModelTimeoutError(
                f"{tried}: no answer within {self._timeout:.0f} s. It may still be loading or downloading the model; "
                "it is asked again later."
            ) from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ModelAwayError(
                f"{tried}: {error or type(error).__name__}. Is it running, and is SIDECAR_IMMICH_ML_URL right?"
            ) from error
        if answer.status_code in {502, 503, 504}:
            raise ModelAwayError(f"{tried}: it answered {answer.status_code}. It is asked again later.")
        if answer.is_error:
            raise ModelAnswerError(
                f"{tried}: it answered {answer.status_code} “{answer.text[:120]}”. Does it know the model "
                f"{self._model}? SIDECAR_IMMICH_ML_MODEL has to name the one that Immich's own search uses."
            )
        return answer


def _jpeg(view: View) -> bytes:
    import simplejpeg

    def make() -> bytes:
        picture = np.ascontiguousarray(view.fitted(_EDGE))
        return bytes(simplejpeg.encode_jpeg(picture, quality=_QUALITY, colorspace="RGB", colorsubsampling="444"))

    return view.kept("immich-ml", make)
