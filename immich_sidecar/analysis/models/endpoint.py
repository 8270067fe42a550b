"""Answers in words from a server that speaks OpenAI's protocol: Ollama, vLLM, llama.cpp, or a service on the internet.

`POST {url}/chat/completions` with the picture as a data URI (OpenAI's API reference, "Create chat completion").
"""

import base64
import json
import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from immich_sidecar.analysis.findings import Job, Words
from immich_sidecar.analysis.models import wording
from immich_sidecar.analysis.models.model import Device, Model, ModelFiles
from immich_sidecar.analysis.models.view import Asked, View
from immich_sidecar.analysis.models.wording import Turn
from immich_sidecar.errors import ModelAnswerError, ModelAwayError, ModelError, ModelTimeoutError

if TYPE_CHECKING:
    import httpx

#: Seconds for a connection, and for a whole answer: the server may have to load its model first.
CONNECT, ANSWER = 5.0, 300.0
#: JPEG quality of the picture that is sent.
QUALITY = 88
#: Bytes of the longest answer that is read.
MOST_BYTES = 1_000_000
#: Bytes that a photo takes here while it is asked about.
BYTES = 4_000_000
#: What servers answer to a request that they understand only in part.
NOT_UNDERSTOOD = {400, 404, 422, 501}


def _forms() -> list[dict[str, Any]]:
    """How to ask, from the most exact to what every server understands."""
    named = {"name": "answers", "strict": True, "schema": wording.schema()}
    bounds = {"temperature": 0, "max_tokens": wording.MOST_TOKENS}
    return [
        {"response_format": {"type": "json_schema", "json_schema": named}, **bounds},
        {"response_format": {"type": "json_object"}, **bounds},
        bounds,
        {},
    ]


class Endpoint(Model[Asked, Words]):
    """A language model on another server.

    Options: `url`, its address up to `/v1`; `model`, its name there; `key`, where it wants one; `timeout`, seconds for
    one answer. The key goes into no message and no log.
    """

    job: ClassVar[Job] = Job.WORDS
    is_elsewhere: ClassVar[bool] = True

    def __init__(self, files: ModelFiles) -> None:
        super().__init__(files)
        self._url = str(files.options.get("url") or "").rstrip("/")
        self._model = str(files.options.get("model") or "")
        self._key = str(files.options.get("key") or "")
        self._timeout = float(files.options.get("timeout") or ANSWER)
        self._client: httpx.Client | None = None
        self._forms: list[dict[str, Any]] = []

    @property
    def revision(self) -> str:
        """The name of the model on the server, and the server."""
        return f"{self._model}@{self._place}"

    @property
    def _place(self) -> str:
        """The server's address without what may be secret in it."""
        import httpx

        try:
            url = httpx.URL(self._url)
        except (httpx.InvalidURL, TypeError):
            return "an address that is none"
        return f"{url.scheme}://{url.host}{f':{url.port}' if url.port else ''}{url.path}"

    def memory(self, batch: int, device: Device) -> int:
        """About how many bytes it needs here; the model is elsewhere."""
        return batch * BYTES

    def prepare(self, given: Asked) -> None:
        """Make the picture that is sent."""
        _picture(given.view)

    def _load(self, device: Device) -> None:
        import httpx

        if not self._url.startswith(("http://", "https://")):
            raise ModelError(
                "Nobody said where the language model is: set SIDECAR_WORDS_URL, e.g. to http://ollama:11434/v1."
            )
        if not self._model:
            raise ModelError(
                f"Nobody said which language model to use at {self._place}: set SIDECAR_WORDS_MODEL to its name there."
            )
        headers = {"Authorization": f"Bearer {self._key}"} if self._key else {}
        try:
            self._client = httpx.Client(headers=headers, timeout=httpx.Timeout(self._timeout, connect=CONNECT))
        except UnicodeEncodeError as error:
            # The message of the error would hold the key.
            del error
            raise ModelError("SIDECAR_WORDS_KEY holds a character that no key can have.") from None
        self._forms = _forms()

    def _unload(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def predict(self, batch: Sequence[Asked]) -> list[Words]:
        """What the model says of each photo.

        Raises
        ------
        ModelAwayError
            If the server does not answer, or says "later" (429, 502 to 504).
        ModelTimeoutError
            If it does not answer in its time.
        ModelAnswerError
            If it refuses the key or does not know the model, or its answer is none.
        """
        return [self._words(asked) for asked in batch]

    def _words(self, asked: Asked) -> Words:
        (words,) = wording.answers(lambda said: [self._said(turns, asked.view) for _, turns in said], [asked.facts])
        return words

    def _said(self, turns: Sequence[Turn], view: View) -> str:
        """What the model says next; forms of asking that the server refuses are not tried again."""
        first, *later = turns
        picture = {"type": "image_url", "image_url": {"url": _picture(view)}}
        messages = [
            {"role": first.role, "content": [picture, {"type": "text", "text": first.text}]},
            *({"role": turn.role, "content": turn.text} for turn in later),
        ]
        refused: ModelError | None = None
        for place, form in enumerate(self._forms):
            status, answer = self._post({"model": self._model, "messages": messages, **form})
            if status == 200:
                self._forms = self._forms[place:]
                return self._text(answer)
            # What the server says to the most exact form is what it is about; the others were only tried.
            refused = refused or self._refused(status, answer)
            if status not in NOT_UNDERSTOOD or _is_about_the_model(status, answer):
                break
        raise refused or RuntimeError(f"{self.name} is asked before it is loaded")

    def _post(self, body: dict[str, Any]) -> tuple[int, bytes]:
        """Status and body of the answer, read within the time and the length that an answer may take."""
        import httpx

        if self._client is None:
            raise RuntimeError(f"{self.name} is asked before it is loaded")
        until = time.monotonic() + self._timeout
        tried = f"Could not ask {self._model} at {self._place}"
        try:
            with self._client.stream("POST", f"{self._url}/chat/completions", json=body) as response:
                return response.status_code, b"".join(self._pieces(response, until))
        except httpx.ConnectTimeout as error:
            raise ModelAwayError(f"{tried}: no connection within {CONNECT:.0f} s. Is it running?") from error
        except httpx.TimeoutException as error:
            raise self._late() from error
        except (httpx.HTTPError, httpx.InvalidURL, httpx.DecodingError) as error:
            raise ModelAwayError(
                f"{tried}: {self._without_key(str(error)) or type(error).__name__}. Is it running, and is "
                "SIDECAR_WORDS_URL right?"
            ) from error

    def _pieces(self, response: "httpx.Response", until: float) -> Iterator[bytes]:
        length = 0
        for piece in response.iter_bytes():
            length += len(piece)
            if length > MOST_BYTES:
                raise ModelAnswerError(f"{self._model} at {self._place} answered more than {MOST_BYTES // 1000} kB.")
            if time.monotonic() > until:
                raise self._late()
            yield piece

    def _late(self) -> ModelTimeoutError:
        return ModelTimeoutError(
            f"{self._model} at {self._place} gave no answer within {self._timeout:.0f} s; it is asked again later. A "
            "smaller model may be quick enough."
        )

    def _refused(self, status: int, answer: bytes) -> ModelError:
        """The error for a status that is none of success, with what the server says about it."""
        said = f"{self._place} answered {status} “{self._reason(answer)}”"
        if status in {401, 403}:
            return ModelAnswerError(f"{said}: it refuses the key. Set SIDECAR_WORDS_KEY to one that it knows.")
        if status == 404:
            return ModelAnswerError(
                f"{said}: it knows no model {self._model}, or its address is another. Check SIDECAR_WORDS_MODEL, and "
                "that SIDECAR_WORDS_URL ends where `/chat/completions` begins (as in http://ollama:11434/v1)."
            )
        if status == 429:
            return ModelAwayError(f"{said}: it is asked too often, or its quota is used up. It is asked again later.")
        if status in {502, 503, 504}:
            return ModelAwayError(f"{said}. It is asked again later.")
        if status >= 500:
            return ModelAnswerError(f"{said}; its own log may say why.")
        return ModelAnswerError(f"{said}: {self._model} may not take pictures, or the address is none of a model.")

    def _text(self, answer: bytes) -> str:
        """The words of the answer; empty where there are none."""
        try:
            content = json.loads(answer)["choices"][0]["message"].get("content")
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, RecursionError) as error:
            raise ModelAnswerError(
                f"{self._place} answered what is no completion: “{self._reason(answer)}”. Does "
                "SIDECAR_WORDS_URL lead to a server that speaks OpenAI's protocol?"
            ) from error
        if isinstance(content, list):
            # Some servers answer in parts, of which texts are one kind.
            content = "".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
        return content if isinstance(content, str) else ""

    def _reason(self, answer: bytes) -> str:
        """What a server says about an error, in short: OpenAI's form, FastAPI's, or the text as it is."""
        text = answer.decode("utf-8", "replace")
        try:
            held = json.loads(text)
            told = held.get("error", held.get("detail", held.get("message", text)))
            text = str(told.get("message", told) if isinstance(told, dict) else told)
        except (ValueError, AttributeError, RecursionError):
            pass
        # The key goes before the text is cut, lest a part of it remain.
        return " ".join(self._without_key(text).split())[:200]

    def _without_key(self, text: str) -> str:
        """Text in which the key, should the server repeat it, is not to be read."""
        return text.replace(self._key, "***") if self._key else text


def _is_about_the_model(status: int, answer: bytes) -> bool:
    """Whether a 404 is about the model or the address, which no other way of asking would change."""
    return status == 404 and b"response_format" not in answer


def _picture(view: View) -> str:
    """The picture as a data URI."""
    import simplejpeg

    def make() -> str:
        picture = np.ascontiguousarray(view.fitted(wording.PICTURE_EDGE))
        data = simplejpeg.encode_jpeg(picture, quality=QUALITY, colorspace="RGB", colorsubsampling="420")
        return f"data:image/jpeg;base64,{base64.b64encode(data).decode()}"

    return view.kept("data-uri", make)
