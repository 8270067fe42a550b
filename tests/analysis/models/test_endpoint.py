"""Words from a server that speaks OpenAI's protocol, asked over HTTP; a real server answers as the real ones do."""

import asyncio
import base64
import json
import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest
import simplejpeg
from aiohttp import web

from immich_sidecar.analysis.models import wording
from immich_sidecar.analysis.models.endpoint import Endpoint
from immich_sidecar.analysis.models.model import CPU, ModelFiles
from immich_sidecar.analysis.models.view import Asked, View
from immich_sidecar.errors import ModelAnswerError, ModelAwayError, ModelError, ModelTimeoutError
from tests.analysis.models.test_wording import GOOD

KEY = "sk-secret-0123456789"


def completion(content: Any) -> web.Response:
    message = {"role": "assistant", "content": content}
    return web.json_response({"object": "chat.completion", "choices": [{"index": 0, "message": message}]})


class Server:
    """A server with one model; what it answers is set by each test, what it was asked is remembered."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.answer: Callable[[dict[str, Any]], web.StreamResponse] = lambda body: completion(json.dumps(GOOD))
        self.url = ""
        self.request: web.Request | None = None

    async def __call__(self, request: web.Request) -> web.StreamResponse:
        self.request = request
        self.headers.append(dict(request.headers))
        self.asked.append(await request.json())
        answer = self.answer(self.asked[-1])
        return await answer if asyncio.iscoroutine(answer) else answer


@pytest.fixture
def server() -> Iterator[Server]:
    """Runs in a thread, as the model asks it without asyncio."""
    served, started, loop = Server(), threading.Event(), asyncio.new_event_loop()

    async def start() -> web.AppRunner:
        app = web.Application(client_max_size=20_000_000)
        app.router.add_post("/v1/chat/completions", served.__call__)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        served.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        return runner

    def run() -> None:
        asyncio.set_event_loop(loop)
        runner = loop.run_until_complete(start())
        started.set()
        loop.run_forever()
        loop.run_until_complete(runner.cleanup())
        loop.close()

    thread = threading.Thread(target=run)
    thread.start()
    assert started.wait(90)
    yield served
    loop.call_soon_threadsafe(loop.stop)
    thread.join(30)
    assert not thread.is_alive()


def endpoint(url: str | None, **options: Any) -> Endpoint:
    given = {"url": url, "model": "qwen2.5vl:7b", "key": KEY, "timeout": 20, **options}
    return Endpoint(ModelFiles(name="endpoint", folder=Path(), revision="", licence="", options=given))


@pytest.fixture
def model(server: Server) -> Iterator[Endpoint]:
    made = endpoint(server.url)
    made.load(CPU)
    yield made
    made.unload()


@pytest.fixture
def asked() -> Asked:
    rows, columns = np.mgrid[0:900, 0:1350]
    picture = np.stack([rows % 256, columns % 256, (rows + columns) % 256], axis=2).astype(np.uint8)
    return Asked(View(picture), "Underexposed by 1 EV.")


def test_the_picture_and_the_question_arrive_and_the_answers_come_back(
    server: Server, model: Endpoint, asked: Asked
) -> None:
    model.prepare(asked)
    (words,) = model.predict([asked])
    assert words.description == GOOD["description"]
    assert len(words.crops) == 1
    (body,) = server.asked
    assert body["model"] == "qwen2.5vl:7b"
    assert body["max_tokens"] == wording.MOST_TOKENS
    picture, text = body["messages"][0]["content"]
    assert "Underexposed by 1 EV." in text["text"]
    head, _, data = picture["image_url"]["url"].partition(",")
    assert head == "data:image/jpeg;base64"
    pixels = simplejpeg.decode_jpeg(base64.b64decode(data))
    assert max(pixels.shape) == wording.PICTURE_EDGE
    assert pixels.shape[1] / pixels.shape[0] == pytest.approx(1.5, abs=0.01)
    assert body["response_format"]["type"] == "json_schema"
    jsonschema.validate(GOOD, body["response_format"]["json_schema"]["schema"])
    assert server.headers[0]["Authorization"] == f"Bearer {KEY}"
    assert model.revision == f"qwen2.5vl:7b@{server.url}"


def test_without_a_key_none_is_sent(server: Server, asked: Asked) -> None:
    model = endpoint(server.url, key=None)
    model.load(CPU)
    model.predict([asked, asked])
    model.unload()
    assert all("Authorization" not in headers for headers in server.headers)
    assert len(server.asked) == 2


@pytest.mark.parametrize("understands", ["json_object", "bounds", "nothing"])
@pytest.mark.parametrize("status", [400, 422])
def test_a_server_that_refuses_the_form_is_asked_more_simply(
    understands: str, status: int, server: Server, model: Endpoint, asked: Asked
) -> None:
    def answer(body: dict[str, Any]) -> web.Response:
        kind = body.get("response_format", {}).get("type")
        if (
            kind == "json_schema"
            or (kind == "json_object" and understands != "json_object")
            or (understands == "nothing" and "max_tokens" in body)
        ):
            return web.json_response({"error": {"message": "unknown parameter"}}, status=status)
        return completion(json.dumps(GOOD))

    server.answer = answer
    assert model.predict([asked])[0].description == GOOD["description"]
    tries = {"json_object": 2, "bounds": 3, "nothing": 4}[understands]
    assert len(server.asked) == tries
    # What was learned holds for the next photo.
    model.predict([asked])
    assert len(server.asked) == tries + 1


def test_a_malformed_answer_is_asked_for_once_more_in_the_same_talk(
    server: Server, model: Endpoint, asked: Asked
) -> None:
    server.answer = lambda body: completion("A dog." if len(body["messages"]) == 1 else json.dumps(GOOD))
    assert model.predict([asked])[0].description == GOOD["description"]
    question, answer, complaint = server.asked[1]["messages"]
    assert question == server.asked[0]["messages"][0]
    assert answer == {"role": "assistant", "content": "A dog."}
    assert complaint["role"] == "user"
    server.answer = lambda body: completion([{"type": "text", "text": "Still a dog."}])
    assert model.predict([asked])[0].malformed == "Still a dog."
    assert len(server.asked) == 4


REFUSALS: list[tuple[int, Any, type[ModelError], str]] = [
    (401, {"error": {"message": f"Incorrect API key provided: {KEY}"}}, ModelAnswerError, "SIDECAR_WORDS_KEY"),
    (403, {"error": "forbidden"}, ModelAnswerError, "SIDECAR_WORDS_KEY"),
    (404, {"error": {"message": "model not found"}}, ModelAnswerError, "SIDECAR_WORDS_MODEL"),
    (429, {"error": {"message": "rate limit"}}, ModelAwayError, "again later"),
    (500, "x" * 190 + KEY, ModelAnswerError, "500"),
    (503, {"detail": "loading model"}, ModelAwayError, "loading model"),
    (400, {"error": {"message": "no images, please"}}, ModelAnswerError, "no images, please"),
    (301, "moved", ModelAnswerError, "301"),
]


@pytest.mark.parametrize("refusal", REFUSALS, ids=lambda refusal: str(refusal[0]))
def test_errors_say_what_to_do_and_never_the_key(
    refusal: tuple[int, Any, type[ModelError], str],
    server: Server,
    model: Endpoint,
    asked: Asked,
    caplog: pytest.LogCaptureFixture,
) -> None:
    status, body, kind, words = refusal
    caplog.set_level(logging.DEBUG)
    server.answer = lambda _: (
        web.Response(text=body, status=status) if isinstance(body, str) else web.json_response(body, status=status)
    )
    with pytest.raises(kind, match=words) as error:
        model.predict([asked])
    assert KEY[:8] not in str(error.value)
    assert KEY not in caplog.text
    assert KEY not in repr(model.files)
    # Only where the form of the question may be to blame it is asked in others.
    assert len(server.asked) == (4 if status == 400 else 1)
    # The next photo is asked about as exactly as the first.
    server.answer = lambda _: completion(json.dumps(GOOD))
    model.predict([asked])
    assert server.asked[-1]["response_format"]["type"] == "json_schema"


@pytest.mark.parametrize(
    "body", ["<html>a router's page</html>", "{}", '{"choices": []}', '{"choices": [{"message": "x"}]}', "[1]", ""]
)
def test_what_is_no_completion_is_told(body: str, server: Server, model: Endpoint, asked: Asked) -> None:
    server.answer = lambda _: web.Response(text=body)
    with pytest.raises(ModelAnswerError, match="OpenAI's protocol"):
        model.predict([asked])


def test_an_answer_without_words_is_none(server: Server, model: Endpoint, asked: Asked) -> None:
    server.answer = lambda _: completion(None)
    with pytest.raises(ModelAnswerError, match="nothing"):
        model.predict([asked])


def test_a_slow_server_is_given_up(server: Server, asked: Asked) -> None:
    released = asyncio.Event()

    async def never(_: dict[str, Any]) -> web.StreamResponse:
        await released.wait()
        return completion("late")

    model = endpoint(server.url, timeout=0.3)
    model.load(CPU)
    server.answer = never  # type: ignore[assignment]
    with pytest.raises(ModelTimeoutError, match="within 0 s"):
        model.predict([asked])
    model.unload()


def test_a_server_that_drips_is_given_up_and_a_flood_is_cut(server: Server, asked: Asked) -> None:
    async def pour(piece: bytes, pause: float) -> web.StreamResponse:
        response = web.StreamResponse()
        assert server.request is not None
        await response.prepare(server.request)
        try:
            while True:
                await response.write(piece)
                await asyncio.sleep(pause)
        except (ConnectionError, asyncio.CancelledError):
            return response

    for piece, pause, timeout, kind in (
        (b" ", 0.05, 0.6, ModelTimeoutError),
        (b" " * 100_000, 0, 60, ModelAnswerError),
    ):
        model = endpoint(server.url, timeout=timeout)
        model.load(CPU)
        server.answer = lambda _, piece=piece, pause=pause: pour(piece, pause)  # type: ignore[misc]
        with pytest.raises(kind):
            model.predict([asked])
        model.unload()


def test_a_server_that_is_not_there_is_told(asked: Asked) -> None:
    model = endpoint("http://user:word@127.0.0.1:9/v1")
    model.load(CPU)
    with pytest.raises(ModelAwayError, match=r"http://127\.0\.0\.1:9/v1") as error:
        model.predict([asked])
    assert "word" not in str(error.value).replace("SIDECAR_WORDS_URL", "")
    model.unload()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"url": None}, "SIDECAR_WORDS_URL"),
        ({"url": "ollama:11434"}, "SIDECAR_WORDS_URL"),
        ({"model": None}, "SIDECAR_WORDS_MODEL"),
        ({"key": "schlüssel"}, "SIDECAR_WORDS_KEY"),
    ],
)
def test_what_is_not_set_is_told(options: dict[str, Any], words: str) -> None:
    model = endpoint(**{"url": "http://127.0.0.1:9/v1", **options})
    with pytest.raises(ModelError, match=words) as error:
        model.load(CPU)
    assert "schlüssel" not in str(error.value)
    assert not model.is_loaded


def test_it_needs_to_be_loaded_and_takes_little(asked: Asked) -> None:
    model = endpoint("http://127.0.0.1:9/v1")
    with pytest.raises(RuntimeError, match="before it is loaded"):
        model.predict([asked])
    assert 0 < model.memory(1, CPU) < 50_000_000
    assert model.is_elsewhere
