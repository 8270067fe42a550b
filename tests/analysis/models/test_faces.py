"""Faces by YuNet: a network of the same outputs that the test writes, which finds what is bright."""

from pathlib import Path

import numpy as np
import pytest

from immich_sidecar.analysis.models.faces import YuNet
from immich_sidecar.analysis.models.model import CPU, Device, ModelFiles
from immich_sidecar.analysis.models.view import View
from immich_sidecar.errors import ModelAnswerError, WeightsDamagedError, WeightsMissingError
from tests.analysis.models.views import views

onnx = pytest.importorskip("onnx")

FILE = "face_detection_yunet_2023mar.onnx"
STRIDES = (8, 16, 32)
#: Where the network puts eyes, nose and mouth, in steps from the upper left corner of its cell.
PLACES = ((0.2, 0.2), (0.8, 0.2), (0.5, 0.5), (0.3, 0.8), (0.7, 0.8))


def write_network(
    path: Path, *, bright: float = 200.0, outputs: tuple[str, ...] = ("cls", "obj", "bbox", "kps")
) -> None:
    """A network with the inputs and outputs of YuNet.

    A cell of 32 pixels is a face of twice its size where its mean is over `bright`; the finer cells see nothing.
    """
    from onnx import TensorProto, helper, numpy_helper

    nodes, weights, results = [], [], []

    def constant(name: str, values: np.ndarray) -> str:
        weights.append(numpy_helper.from_array(values, name))
        return name

    for stride in STRIDES:
        cells = (640 // stride) ** 2
        nodes.append(
            helper.make_node(
                "AveragePool", ["input"], [f"mean_{stride}"], kernel_shape=[stride] * 2, strides=[stride] * 2
            )
        )
        biases = {
            "cls": np.array([-bright if stride == 32 else -1e4]),
            "obj": np.array([60.0]),
            "bbox": np.array([0.5, 0.5, np.log(2), np.log(2)]),
            "kps": np.array(PLACES).reshape(-1),
        }
        for name in outputs:
            bias = biases[name].astype(np.float32)
            weight = np.full((len(bias), 3, 1, 1), 1 / 3 if name == "cls" else 0.0, np.float32)
            label = f"{name}_{stride}"
            inputs = [f"mean_{stride}", constant(f"w_{label}", weight), constant(f"b_{label}", bias)]
            nodes.append(helper.make_node("Conv", inputs, [f"conv_{label}"], kernel_shape=[1, 1]))
            last = f"conv_{label}"
            if name in {"cls", "obj"}:
                nodes.append(helper.make_node("Sigmoid", [last], [f"sigmoid_{label}"]))
                last = f"sigmoid_{label}"
            nodes.append(helper.make_node("Transpose", [last], [f"turned_{label}"], perm=[0, 2, 3, 1]))
            shape = constant(f"shape_{label}", np.array([1, cells, len(bias)], np.int64))
            nodes.append(helper.make_node("Reshape", [f"turned_{label}", shape], [label]))
            results.append(helper.make_tensor_value_info(label, TensorProto.FLOAT, [1, cells, len(bias)]))
    results.sort(key=lambda info: [*outputs].index(info.name.split("_")[0]))
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, [1, 3, 640, 640])],
        results,
        initializer=weights,
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)])
    model.ir_version = 6
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    folder = tmp_path_factory.mktemp("yunet")
    write_network(folder / FILE)
    return ModelFiles("yunet", folder, "r1", "MIT", options={"score": 0.7})


@pytest.fixture(scope="module")
def model(files: ModelFiles) -> YuNet:
    model = YuNet(files)
    model.load(CPU)
    return model


def _with_bright_square(width: int, height: int, column: int, row: int, cell: int) -> View:
    display = np.full((height, width, 3), 20, np.uint8)
    display[row * cell : (row + 1) * cell, column * cell : (column + 1) * cell] = 250
    return View(display)


@pytest.mark.parametrize(("width", "height"), [(640, 480), (480, 640), (1280, 960), (320, 240)])
def test_a_face_is_told_where_it_is(model: YuNet, width: int, height: int) -> None:
    # A photo is fitted into 640 pixels and never enlarged.
    scale = min(1.0, 640 / max(width, height))
    cell = round(32 / scale)
    column, row = 4, 3

    (faces,) = model.predict([_with_bright_square(width, height, column, row, cell)])

    (face,) = faces
    assert face.source == "yunet"
    assert face.score == pytest.approx(1.0, abs=1e-3)
    assert face.box.x == pytest.approx((column - 0.5) * cell / width, abs=1e-3)
    assert face.box.y == pytest.approx((row - 0.5) * cell / height, abs=1e-3)
    assert face.box.width == pytest.approx(2 * cell / width, abs=1e-3)
    assert face.box.height == pytest.approx(2 * cell / height, abs=1e-3)
    expected = [((column + x) * cell / width, (row + y) * cell / height) for x, y in PLACES]
    np.testing.assert_allclose(face.landmarks, expected, atol=1e-3)


def test_a_face_at_the_edge_stays_within_the_photo(model: YuNet) -> None:
    (faces,) = model.predict([_with_bright_square(640, 480, 19, 0, 32)])

    (face,) = faces
    assert (face.box.y, face.box.x + face.box.width) == (0.0, pytest.approx(1.0))
    assert face.box.x + face.box.width <= 1
    assert face.box.height == pytest.approx(1.5 * 32 / 480, abs=1e-3)


def test_faces_are_those_that_opencv_finds(model: YuNet, files: ModelFiles) -> None:
    import cv2

    detector = cv2.FaceDetectorYN.create(str(files.folder / FILE), "", (640, 640), 0.7, 0.3, 5000)
    total = 0
    for photo, faces in zip(views(), model.predict(views()), strict=True):
        fitted = photo.fitted(640)
        square = cv2.copyMakeBorder(
            cv2.cvtColor(fitted, cv2.COLOR_RGB2BGR),
            0,
            640 - fitted.shape[0],
            0,
            640 - fitted.shape[1],
            cv2.BORDER_CONSTANT,
        )
        _, rows = detector.detect(square)
        rows = np.empty((0, 15)) if rows is None else rows
        expected = sorted(float(row[14]) for row in rows)
        assert sorted(face.score for face in faces) == pytest.approx(expected, abs=1e-6)
        widths = sorted(min(row[0] + row[2], fitted.shape[1]) - max(row[0], 0) for row in rows)
        assert sorted(face.box.width * fitted.shape[1] for face in faces) == pytest.approx(widths, abs=0.01)
        total += len(faces)
    assert total > 5, "the photos have bright places"


def test_a_photo_in_a_batch_gets_what_it_gets_alone(model: YuNet) -> None:
    together = model.predict(views())

    assert [model.predict([photo])[0] for photo in views()] == together


def test_a_dark_photo_has_no_face(model: YuNet) -> None:
    assert model.predict([View(np.zeros((300, 400, 3), np.uint8))]) == [()]


def test_it_is_unloaded_and_runs_on_the_processor_whatever_the_device(files: ModelFiles) -> None:
    model = YuNet(files)
    model.load(Device("cuda"))
    before = model.predict(views())

    model.unload()
    assert not model.is_loaded
    model.load(CPU)

    assert model.predict(views()) == before


def test_missing_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(WeightsMissingError, match=rf"yunet: {FILE} .*models download yunet"):
        YuNet(ModelFiles("yunet", tmp_path, "r1", "MIT")).load(CPU)


@pytest.mark.parametrize("damage", ["cut", "text", "empty", "other network"])
def test_damaged_weights_are_refused(files: ModelFiles, tmp_path: Path, damage: str) -> None:
    whole = (files.folder / FILE).read_bytes()
    if damage == "other network":
        write_network(tmp_path / FILE, outputs=("cls", "obj"))
    else:
        (tmp_path / FILE).write_bytes({"cut": whole[: len(whole) // 2], "text": b"<html>", "empty": b""}[damage])
    model = YuNet(ModelFiles("yunet", tmp_path, "r1", "MIT"))

    with pytest.raises(WeightsDamagedError, match=r"cannot be read .*models verify yunet"):
        model.load(CPU)

    assert not model.is_loaded


def test_numbers_that_are_none_are_no_faces(files: ModelFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    model = YuNet(files)
    model.load(CPU)

    class Broken:
        def detect(self, _: object) -> tuple[int, np.ndarray]:
            return 1, np.full((1, 15), np.nan, np.float32)

    monkeypatch.setattr(model, "_detector", Broken())

    with pytest.raises(ModelAnswerError, match="numbers that are none"):
        model.predict(views()[:1])


def test_want_of_memory_passes_unchanged(files: ModelFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    import cv2

    def exhausted(*_: object) -> None:
        raise cv2.error("OpenCV: (-4:Insufficient memory) Failed to allocate 4096000 bytes")

    monkeypatch.setattr(cv2.FaceDetectorYN, "create", exhausted)

    with pytest.raises(cv2.error, match="Insufficient memory"):
        YuNet(files).load(CPU)
