"""The self-test: it passes models that see, and says of those that do not what they said instead."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from immich_sidecar.analysis import masks, selftest, weights
from immich_sidecar.analysis.findings import Box, Face, FoundObject, Job, Quality, Words
from immich_sidecar.analysis.known_photos import KNOWN_PHOTOS, KnownPhoto, read_known_photos
from immich_sidecar.analysis.models.model import Device, Model, ModelFiles
from immich_sidecar.analysis.models.view import Asked, Prompted, View
from immich_sidecar.errors import NotFoundError, UndecodableError, WeightsDamagedError


@pytest.fixture(scope="module")
def views() -> Mapping[KnownPhoto, View]:
    return read_known_photos()


def photo_of(view: View, views: Mapping[KnownPhoto, View]) -> KnownPhoto:
    return next(photo for photo, known in views.items() if known is view)


def votes(mean: float, spread: float) -> Quality:
    shares = np.exp(-0.5 * ((np.arange(1, 11) - mean) / spread) ** 2)
    return Quality(votes=tuple(float(share) for share in shares / shares.sum()))


def outline(box: Box) -> Any:
    inside = np.zeros((100, 100), np.bool_)
    x, y = round(box.x * 100), round(box.y * 100)
    inside[y : y + round(box.height * 100), x : x + round(box.width * 100)] = True
    return masks.encode(inside)


FULL = Box(x=0, y=0, width=1, height=1)


class Answering(Model[Any, Any]):
    """Answers by a function of the test; what is tested here is the judge."""

    job = Job.DETECTION
    answer: Callable[[Any], Any]

    def memory(self, batch: int, device: Device) -> int:
        return 0

    def _load(self, device: Device) -> None:
        pass

    def _unload(self) -> None:
        pass

    def predict(self, batch: Sequence[Any]) -> list[Any]:
        return [self.answer(given) for given in batch]

    def encode_text(self, texts: Sequence[str]) -> Any:
        return np.stack([sentence_vector(text) for text in texts])


def sentence_vector(text: str) -> Any:
    vector = np.random.default_rng(abs(hash(text)) % 2**32).normal(size=64)
    return (vector / np.linalg.norm(vector)).astype(np.float32)


def judged(
    job: Job, answer: Callable[[Any], Any], views: Mapping[KnownPhoto, View], monkeypatch: pytest.MonkeyPatch
) -> selftest.Result:
    entry = next(entry for entry in weights.catalogue() if entry.job is job)

    def build(*_: Any) -> Model[Any, Any]:
        model = Answering(ModelFiles(entry.name, Path(), "r1", "MIT"))
        model.answer = answer
        return model

    monkeypatch.setattr(weights, "build", build)
    return selftest.run(entry, Path(), views)


def right_answer(job: Job, views: Mapping[KnownPhoto, View]) -> Callable[[Any], Any]:
    def answer(given: Any) -> Any:
        if job is Job.SEGMENTATION:
            assert isinstance(given, Prompted)
            return [outline(box) for box in given.boxes]
        if job is Job.TONE:
            grid = np.linspace(0, 1, 33) ** 0.5
            return np.stack(np.meshgrid(grid, grid, grid, indexing="ij"), axis=-1).astype(np.float32)
        if job is Job.WORDS:
            assert isinstance(given, Asked)
            return Words(description=f"It shows: {photo_of(given.view, views).words[-1].upper()}.")
        if job in (Job.AESTHETIC, Job.TECHNICAL):
            return votes(5.0 if any(given is view for view in views.values()) else 3.5, 1.5)
        photo = photo_of(given, views)
        return {
            Job.DETECTION: lambda: tuple(FoundObject(label=label, score=0.9, box=FULL) for label in photo.labels),
            Job.EMBEDDING: lambda: sentence_vector(photo.sentence),
            Job.FACES: lambda: (Face(box=photo.face, score=0.9, source="x"),) if photo.face else (),
        }[job]()

    return answer


def wrong_answer(job: Job) -> Callable[[Any], Any]:
    wrong: dict[Job, Callable[[Any], Any]] = {
        Job.DETECTION: lambda _: (FoundObject(label="person", score=0.2, box=FULL),),
        Job.SEGMENTATION: lambda given: [outline(Box(x=0, y=0, width=0.05, height=0.05)) for _ in given.boxes],
        Job.EMBEDDING: lambda _: sentence_vector("another"),
        Job.AESTHETIC: lambda _: votes(5.5, 99),
        Job.TECHNICAL: lambda _: votes(5.0, 1.5),
        Job.FACES: lambda _: (Face(box=Box(x=0.9, y=0.9, width=0.05, height=0.05), score=0.9, source="x"),),
        Job.WORDS: lambda _: Words(malformed="a cat, a bus, a man, coffee, an astronaut"),
        Job.TONE: lambda _: np.zeros((33, 33, 33, 3), np.float32),
    }
    return wrong[job]


@pytest.mark.parametrize("job", list(Job))
def test_right_answers_pass(job: Job, views: Mapping[KnownPhoto, View], monkeypatch: pytest.MonkeyPatch) -> None:
    result = judged(job, right_answer(job, views), views, monkeypatch)
    assert result.problem == ""
    assert [check for check in result.checks if not check.ok] == []
    assert result.ok
    assert result.device == "cpu"


@pytest.mark.parametrize("job", list(Job))
def test_wrong_answers_do_not(job: Job, views: Mapping[KnownPhoto, View], monkeypatch: pytest.MonkeyPatch) -> None:
    result = judged(job, wrong_answer(job), views, monkeypatch)
    assert result.problem == ""
    assert not result.ok
    assert any(not check.ok for check in result.checks)
    assert all(check.expected and check.found for check in result.checks)


def test_a_model_that_fails_is_told_with_its_reason(
    views: Mapping[KnownPhoto, View], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: Any) -> Any:
        raise WeightsDamagedError("rtdetr: the file ends too early")

    result = judged(Job.DETECTION, fail, views, monkeypatch)
    assert not result.ok
    assert "ends too early" in result.problem


def test_weights_that_are_not_here_are_told(tmp_path: Path, views: Mapping[KnownPhoto, View]) -> None:
    result = selftest.run(weights.find("rtdetr-v2-r50"), tmp_path, views)
    assert not result.ok
    assert "not here" in result.problem


def test_real_weights_of_the_learned_tone_pass(photos: Path, tmp_path: Path, views: Mapping[KnownPhoto, View]) -> None:
    pytest.importorskip("torch")
    entry = weights.find("adaptive-3dlut")
    home = weights.folder_of(entry, tmp_path)
    home.mkdir()
    for file in entry.files:
        (home / file.path).write_bytes((photos / "weights" / f"adaptive-3dlut-srgb-{file.path}").read_bytes())
    assert weights.verify(entry, tmp_path).is_right
    result = selftest.run(entry, tmp_path, views)
    assert result.problem == ""
    assert result.ok, result.checks


def test_the_known_photos_are_found_where_they_ship_or_where_they_are_said_to_be(tmp_path: Path) -> None:
    assert {photo.name for photo in read_known_photos()} >= {"astronaut", "chelsea", "coffee"}
    with pytest.raises(NotFoundError, match=r"astronaut\.png.*--photos"):
        read_known_photos(tmp_path)
    from PIL import Image

    Image.new("RGB", (40, 30)).save(tmp_path / "chelsea.png")
    assert [photo.name for photo in read_known_photos(tmp_path)] == ["chelsea"]
    (tmp_path / "bus.jpg").write_bytes(b"no picture")
    with pytest.raises(UndecodableError, match=r"bus\.jpg"):
        read_known_photos(tmp_path)


def test_known_places_lie_in_their_photos() -> None:
    for photo in KNOWN_PHOTOS:
        for box in (photo.thing, photo.face):
            assert box is None or (box.x + box.width <= 1.001 and box.y + box.height <= 1.001)
        assert photo.face is None or "person" in photo.labels
