"""Embedding by Immich's machine-learning container: a real server that answers as its source does."""

import asyncio
import io
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from aiohttp import web
from PIL import Image

from immich_sidecar.analysis.models.immich_ml import ImmichMl
from immich_sidecar.analysis.models.model import CPU, ModelFiles
from immich_sidecar.analysis.models.view import View
from immich_sidecar.analysis.vocabulary import parse_vocabulary, word_vectors
from immich_sidecar.errors import ModelAnswerError, ModelAwayError, ModelError, ModelTimeoutError
from tests.analysis.models.views import view, views

MODEL = "ViT-B-32__openai"


class Container:
    """Answers `/ping` and `/predict` as Immich's container does; vectors tell the mean colours, texts their letters."""

    def __init__(self) -> None:
        self.pong = "pong"
        self.asked: list[dict[str, Any]] = []
        self.sizes: list[tuple[int, int]] = []
        #: What it answers instead, where it is set.
        self.instead: web.Response | None = None
        self.hangs = False
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._released = asyncio.Event()
        self._runner: web.AppRunner | None = None
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def start(self) -> None:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(30)

    def stop(self) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(30)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(30)
        self._loop.close()

    async def _start(self) -> None:
        app = web.Application(client_max_size=1 << 26)
        app.router.add_get("/ping", self._ping)
        app.router.add_post("/predict", self._predict)
        self._runner = web.AppRunner(app, shutdown_timeout=1)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"http://{host}:{port}"

    async def _stop(self) -> None:
        self._released.set()
        assert self._runner is not None
        await self._runner.cleanup()

    async def _ping(self, _: web.Request) -> web.Response:
        return web.Response(text=self.pong)

    async def _predict(self, request: web.Request) -> web.Response:
        form = await request.post()
        if self.hangs:
            await self._released.wait()
        if self.instead is not None:
            return self.instead
        try:
            (task, kinds) = next(iter(json.loads(str(form["entries"])).items()))
            (kind, entry) = next(iter(kinds.items()))
            name = entry["modelName"]
        except (KeyError, ValueError):
            return web.json_response({"detail": "Invalid request format."}, status=422)
        self.asked.append({"task": task, "kind": kind, "model": name, "text": form.get("text")})
        if name != MODEL:
            return web.Response(text="Internal Server Error", status=500)
        image, text = form.get("image"), form.get("text")
        more: dict[str, Any] = {}
        if isinstance(image, web.FileField):
            picture = Image.open(io.BytesIO(image.file.read())).convert("RGB")
            self.sizes.append(picture.size)
            more = {"imageHeight": picture.height, "imageWidth": picture.width}
            found = [*np.asarray(picture, np.float64).mean(axis=(0, 1)), 1.0]
        elif text:
            found = [float(len(str(text))), 1.0, 2.0, float(ord(str(text)[0]))]
        else:
            return web.json_response({"detail": "Either image or text must be provided"}, status=400)
        return web.json_response({"clip": json.dumps(found), **more})


@pytest.fixture
def container() -> Iterator[Container]:
    container = Container()
    container.start()
    yield container
    container.stop()


def _model(url: str | None, **options: Any) -> ImmichMl:
    return ImmichMl(ModelFiles("immich", Path(), "", "", options={"url": url, "model": MODEL, **options}))


@pytest.fixture
def model(container: Container) -> Iterator[ImmichMl]:
    model = _model(container.url)
    model.load(CPU)
    yield model
    model.unload()


def test_photos_get_the_vector_of_the_container(model: ImmichMl, container: Container) -> None:
    found = model.predict(views())

    for photo, vector in zip(views(), found, strict=True):
        expected = np.array([*photo.display.mean(axis=(0, 1)), 1.0])
        assert vector.dtype == np.float32
        np.testing.assert_allclose(vector, expected / np.linalg.norm(expected), atol=5e-3)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-6)
    assert container.asked[0] == {"task": "clip", "kind": "visual", "model": MODEL, "text": None}


def test_what_is_sent_is_no_larger_than_needed(model: ImmichMl, container: Container) -> None:
    model.predict([View(np.zeros((960, 1440, 3), np.uint8)), View(np.zeros((50, 40, 3), np.uint8))])

    assert container.sizes == [(768, 512), (40, 50)]


def test_a_photo_in_a_batch_gets_what_it_gets_alone(model: ImmichMl) -> None:
    together = model.predict(views())

    np.testing.assert_array_equal(together, [model.predict([photo])[0] for photo in views()])


def test_texts_get_vectors_of_the_same_space(model: ImmichMl, container: Container) -> None:
    found = model.encode_text(["dog", "Schöne Aussicht", ""])

    assert found.shape == (3, 4)
    assert found.dtype == np.float32
    assert [asked["text"] for asked in container.asked] == ["dog", "Schöne Aussicht", " "]
    assert {asked["kind"] for asked in container.asked} == {"textual"}
    assert model.encode_text([]).shape == (0, 4)


def test_it_gives_tags(model: ImmichMl, tmp_path: Path) -> None:
    vectors = word_vectors(parse_vocabulary("dog\ncat"), model.encode_text, revision=model.revision, folder=tmp_path)

    assert len(vectors.tags(model.predict([view()])[0], model.calibration, floor=0)) == 2


def test_another_model_is_another_revision() -> None:
    assert _model("http://x", model="nllb-clip-base-siglip__v1").revision != _model("http://x").revision == MODEL
    assert _model("http://x", model=None).revision == MODEL


def test_lists_are_vectors_as_well(model: ImmichMl, container: Container) -> None:
    container.instead = web.json_response({"clip": [3.0, 4.0]})

    np.testing.assert_allclose(model.predict([view()])[0], [0.6, 0.8], atol=1e-6)


def test_without_an_address_it_says_so() -> None:
    with pytest.raises(ModelError, match="set SIDECAR_IMMICH_ML_URL"):
        _model(None).load(CPU)


def test_a_container_that_is_not_there_is_told(container: Container) -> None:
    gone = Container()
    gone.start()
    url = gone.url
    gone.stop()
    model = _model(url)

    with pytest.raises(ModelAwayError, match=rf"see whether it is there at .*{url}.*SIDECAR_IMMICH_ML_URL"):
        model.load(CPU)

    assert not model.is_loaded


def test_another_server_is_told(container: Container) -> None:
    container.pong = "<html>hello"

    with pytest.raises(ModelAnswerError, match="is not Immich's machine learning: “<html>hello”"):
        _model(container.url).load(CPU)


def test_a_container_that_hangs_is_given_up(container: Container) -> None:
    # Long enough for the container to be found.
    model = _model(container.url, timeout=20)
    model.load(CPU)
    model._client.timeout = httpx.Timeout(0.3)
    container.hangs = True

    with pytest.raises(ModelTimeoutError, match="no answer within"):
        model.predict([view()])


@pytest.mark.parametrize(
    ("status", "error"),
    [(503, ModelAwayError), (502, ModelAwayError), (500, ModelAnswerError), (422, ModelAnswerError)],
)
def test_refusals_are_told(model: ImmichMl, container: Container, status: int, error: type[ModelError]) -> None:
    container.instead = web.Response(status=status, text="busy")

    with pytest.raises(error, match=rf"answered {status}"):
        model.predict([view()])


def test_a_model_that_it_does_not_have_is_told(container: Container) -> None:
    model = _model(container.url, model="ViT-X__nobody")
    model.load(CPU)

    with pytest.raises(ModelAnswerError, match=r"ViT-X__nobody.*SIDECAR_IMMICH_ML_MODEL"):
        model.predict([view()])


@pytest.mark.parametrize(
    "body",
    ["no json", "[]", "{}", '{"clip": "no list"}', '{"clip": "[]"}', '{"clip": "[0.0, 0.0]"}', '{"clip": "[[1.0]]"}',
     '{"clip": "[NaN, 1.0]"}', '{"clip": null}', '{"clip": "[\\"a\\"]"}'],
)  # fmt: skip
def test_answers_that_are_no_vector_are_told(model: ImmichMl, container: Container, body: str) -> None:
    container.instead = web.Response(text=body, content_type="application/json")

    with pytest.raises(ModelAnswerError, match=MODEL):
        model.predict([view()])


def test_vectors_of_another_length_are_refused(model: ImmichMl, container: Container) -> None:
    model.predict([view()])
    container.instead = web.json_response({"clip": "[1.0, 0.0]"})

    with pytest.raises(ModelAnswerError, match="4 numbers were expected"):
        model.predict([view()])


def test_asking_before_loading_is_told(container: Container) -> None:
    with pytest.raises(ModelError, match="before it was made ready"):
        _model(container.url).predict([view()])
