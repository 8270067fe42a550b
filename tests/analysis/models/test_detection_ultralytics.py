"""RT-DETR of ultralytics, read from a pickled file with random weights: same answers as the library's predictor."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from immich_sidecar.analysis.findings import FoundObject
from immich_sidecar.analysis.models.detection_ultralytics import UltralyticsDetector
from immich_sidecar.analysis.models.model import CPU, Device, ModelFiles
from immich_sidecar.analysis.models.view import View
from immich_sidecar.errors import ModelAnswerError, ModelsNotInstalledError, WeightsDamagedError, WeightsMissingError
from tests.analysis.models.test_detection import are_same
from tests.analysis.models.tiny import lively

torch = pytest.importorskip("torch")
# Looked for, not imported: tests are collected for every worker, and importing it changes Pillow.
if find_spec("ultralytics") is None:
    pytest.skip("ultralytics is not installed", allow_module_level=True)

NAMES = {0: "person", 1: "dog", 2: "boat"}
SIDE = 128

#: The shape of RT-DETR in small: a stem, three levels, one attention over the smallest, a decoder.
SHAPE: dict[str, Any] = {
    "nc": len(NAMES),
    "scales": {"l": [1.0, 1.0, 1024]},
    "backbone": [
        [-1, 1, "HGStem", [4, 8]],
        [-1, 1, "DWConv", [16, 3, 2, 1, False]],
        [-1, 1, "DWConv", [16, 3, 2, 1, False]],
        [-1, 1, "DWConv", [32, 3, 2, 1, False]],
    ],
    "head": [
        [-1, 1, "Conv", [16, 1, 1, None, 1, 1, False]],
        [-1, 1, "AIFI", [32, 2]],
        [-1, 1, "nn.Upsample", [None, 2, "nearest"]],
        [[-1, 2], 1, "Concat", [1]],
        [-1, 1, "RepC3", [16]],
        # Queries for all of the 336 places, so that rounding does not choose among them.
        [[1, 8, 5], 1, "RTDETRDecoder", ["nc", 16, 336, 2, 2, 2, 24]],
    ],
}


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint, as the library writes it."""
    from ultralytics.nn.tasks import RTDETRDetectionModel

    torch.set_num_threads(1)
    model = lively(lambda: RTDETRDetectionModel(SHAPE, nc=len(NAMES), verbose=False))
    model.names = NAMES
    path = tmp_path_factory.mktemp("ultralytics") / "rtdetr-tiny.pt"
    torch.save({"model": model.half(), "train_args": {"imgsz": SIDE, "task": "detect"}}, path)
    return path


def files(weights: Path, **options: Any) -> ModelFiles:
    return ModelFiles(
        name="ultralytics:tiny",
        folder=weights.parent,
        revision="1",
        licence="AGPL-3.0",
        files={"weights": weights},
        options=options,
    )


def loaded(weights: Path, **options: Any) -> UltralyticsDetector:
    detector = UltralyticsDetector(files(weights, **options))
    detector.load(CPU)
    return detector


def test_answers_are_those_of_the_library(weights: Path, views: list[View]) -> None:
    import ultralytics

    answers = loaded(weights, threshold=0.3).predict(views)
    pictures = [np.ascontiguousarray(view.display[..., ::-1]) for view in views]
    theirs = ultralytics.RTDETR(str(weights)).predict(
        pictures, imgsz=SIDE, conf=0.3, max_det=1000, device="cpu", verbose=False, save=False
    )
    for objects, result in zip(answers, theirs, strict=True):
        corners = np.clip(result.boxes.xyxyn.numpy(), 0, 1)
        expected = []
        for (left, top, right, bottom), score, number in zip(
            corners.tolist(), result.boxes.conf.tolist(), result.boxes.cls.tolist(), strict=True
        ):
            if right > left and bottom > top:
                box = {"x": left, "y": top, "width": right - left, "height": bottom - top}
                expected.append(FoundObject.model_validate({"label": NAMES[int(number)], "score": score, "box": box}))
        assert len(expected) > 5
        assert are_same(objects, tuple(expected), 1e-4)
        assert [o.score for o in objects] == sorted((o.score for o in objects), reverse=True)
    assert not are_same(answers[0], answers[1], 1e-3)


def test_a_photo_alone_is_answered_as_one_of_many(weights: Path, views: list[View]) -> None:
    detector = loaded(weights, threshold=0.3)
    detector.prepare(views[1])
    for view, objects in zip(views, detector.predict(views), strict=True):
        assert are_same(detector.predict([view])[0], objects, 1e-4)


def test_half_precision_changes_little(weights: Path, views: list[View]) -> None:
    detector = loaded(weights, threshold=0.3)
    whole = detector.predict(views)
    detector.unload()
    with pytest.raises(RuntimeError, match="before it is loaded"):
        detector.predict(views)

    class Halved(Device):
        """The processor, taken for a device that computes in half precision."""

        is_cpu = False

    detector.load(Halved())
    for objects, halved in zip(whole, detector.predict(views), strict=True):
        common = min(len(objects), len(halved))
        assert common > 0.9 * max(len(objects), len(halved))
        for one, other in zip(objects[:common], halved[:common], strict=True):
            assert one.score == pytest.approx(other.score, abs=0.02)


def test_memory_is_that_of_the_weights_and_grows_with_the_batch(weights: Path) -> None:
    detector = loaded(weights)
    parameters = sum(parameter.numel() for parameter in detector._model.parameters())
    # The file holds names and layers beside its numbers, which counts in a model as small as this.
    assert 4 * parameters < detector.memory(0, CPU) < 8 * parameters + 500_000
    assert detector.memory(2, Device("cuda")) * 2 == detector.memory(2, CPU) > detector.memory(1, CPU)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    for ask in (lambda d: d.load(CPU), lambda d: d.memory(1, CPU)):
        with pytest.raises(WeightsMissingError, match=r"rtdetr-l\.pt"):
            ask(UltralyticsDetector(files(tmp_path / "rtdetr-l.pt")))


@pytest.mark.parametrize("damage", ["cut", "rubbish", "empty", "another"])
def test_damaged_files_are_told(damage: str, weights: Path, tmp_path: Path) -> None:
    damaged = tmp_path / "rtdetr-tiny.pt"
    whole = weights.read_bytes()
    if damage == "another":
        torch.save({"model": torch.nn.Linear(2, 2)}, damaged)
    else:
        damaged.write_bytes({"cut": whole[: len(whole) // 2], "rubbish": b"<html>", "empty": b""}[damage])
    with pytest.raises(WeightsDamagedError, match="immich-sidecar models"):
        loaded(damaged)


class Runs:
    """Pickled, it writes a file when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, (f"open({str(self.path)!r}, 'w').close()",))


def test_code_in_the_weights_is_not_run(weights: Path, tmp_path: Path) -> None:
    held = torch.load(weights, weights_only=False)
    torch.save({**held, "more": Runs(tmp_path / "ran")}, tmp_path / "rtdetr-tiny.pt")
    with pytest.raises(WeightsDamagedError):
        loaded(tmp_path / "rtdetr-tiny.pt")
    assert not (tmp_path / "ran").exists()
    # The file would have: otherwise nothing was tried.
    loaded(tmp_path / "rtdetr-tiny.pt", restricted=False)
    assert (tmp_path / "ran").exists()


def test_the_library_stays_at_home(weights: Path, tmp_path: Path) -> None:
    """In a fresh process: no settings in the home, no network, nothing installed."""
    program = f"""
import socket, sys
def refuse(*_, **__): print("NETWORK", _); raise OSError("refused")
socket.getaddrinfo = socket.create_connection = refuse
from pathlib import Path
from immich_sidecar.analysis.models.detection_ultralytics import UltralyticsDetector
from immich_sidecar.analysis.models.model import CPU, ModelFiles
assert "ultralytics" not in sys.modules
path = Path({str(weights)!r})
files = ModelFiles("tiny", Path({str(tmp_path / "models")!r}), "1", "AGPL-3.0", {{"weights": path}})
UltralyticsDetector(files).load(CPU)
from ultralytics.utils import AUTOINSTALL, ONLINE
print("ONLINE", ONLINE, "AUTOINSTALL", AUTOINSTALL)
"""
    environment = {name: value for name, value in os.environ.items() if not name.startswith("YOLO_")}
    environment["HOME"] = str(tmp_path / "home")
    (tmp_path / "home").mkdir()
    (tmp_path / "models").mkdir()
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "NETWORK" not in done.stdout
    assert "ONLINE False AUTOINSTALL False" in done.stdout
    assert not [path for path in (tmp_path / "home").rglob("*") if "ltralytics" in path.name]


def test_a_missing_library_is_told(weights: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ultralytics.nn.tasks", None)
    with pytest.raises(ModelsNotInstalledError, match=r"immich-sidecar\[ai\]"):
        loaded(weights)


def test_lack_of_memory_passes_through_and_rubbish_does_not(
    weights: Path, views: list[View], monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = loaded(weights)

    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(type(detector._model), "predict", full)
        with pytest.raises(torch.OutOfMemoryError):
            detector.predict(views)
        patch.setattr(type(detector._model), "predict", lambda *_, **__: torch.full((1, 5, 6), torch.nan))
        with pytest.raises(ModelAnswerError, match="no number"):
            detector.predict(views[:1])
        patch.setattr(type(detector._model), "predict", lambda *_, **__: torch.zeros(1, 5, 84))
        with pytest.raises(ModelAnswerError, match="another form"):
            detector.predict(views[:1])
