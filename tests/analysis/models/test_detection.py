"""The detectors of the transformers library, read from disk with random weights: same answers as the library's own.

Random weights see nothing; what is compared is the way from the picture to the boxes.
"""

import itertools
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from immich_sidecar.analysis.findings import FoundObject
from immich_sidecar.analysis.models import checkpoint, detection
from immich_sidecar.analysis.models.detection import Detector
from immich_sidecar.analysis.models.model import CPU, Device, ModelFiles
from immich_sidecar.analysis.models.view import View
from immich_sidecar.errors import ModelAnswerError, ModelsNotInstalledError, WeightsDamagedError, WeightsMissingError
from tests.analysis.models.tiny import lively

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

LABELS = {0: "person", 1: "dog", 2: "boat"}
SIDE = {"height": 96, "width": 128}


def _shared() -> dict[str, Any]:
    return {
        "encoder_in_channels": [16, 24, 32],
        "encoder_hidden_dim": 16,
        "d_model": 16,
        "decoder_in_channels": [16, 16, 16],
        "encoder_ffn_dim": 24,
        "decoder_ffn_dim": 24,
        "encoder_attention_heads": 2,
        "decoder_attention_heads": 2,
        "decoder_layers": 2,
        # As many as there are places to look at, so that rounding does not choose among them.
        "num_queries": 252,
        "id2label": LABELS,
        "label2id": {label: number for number, label in LABELS.items()},
    }


def _resnet() -> Any:
    return transformers.RTDetrResNetConfig(
        embedding_size=8, hidden_sizes=[8, 16, 24, 32], depths=[1, 1, 1, 1], layer_type="basic", out_indices=[2, 3, 4]
    )


def rt_detr() -> Any:
    return transformers.RTDetrForObjectDetection(transformers.RTDetrConfig(backbone_config=_resnet(), **_shared()))


def rt_detr_v2() -> Any:
    return transformers.RTDetrV2ForObjectDetection(transformers.RTDetrV2Config(backbone_config=_resnet(), **_shared()))


def d_fine() -> Any:
    backbone = transformers.HGNetV2Config(
        stem_channels=[3, 4, 8],
        stage_in_channels=[8, 12, 16, 24],
        stage_mid_channels=[4, 4, 8, 8],
        stage_out_channels=[12, 16, 24, 32],
        stage_num_blocks=[1, 1, 1, 1],
        stage_numb_of_layers=[1, 1, 1, 1],
        hidden_sizes=[12, 16, 24, 32],
        embedding_size=8,
        depths=[1, 1, 1, 1],
        out_indices=[2, 3, 4],
    )
    return transformers.DFineForObjectDetection(transformers.DFineConfig(backbone_config=backbone, **_shared()))


KINDS: dict[str, Callable[[], Any]] = {"rt_detr": rt_detr, "rt_detr_v2": rt_detr_v2, "d_fine": d_fine}


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Folders of tiny checkpoints, as the library writes them."""
    torch.set_num_threads(1)
    folders = {}
    for kind, make in KINDS.items():
        folder = tmp_path_factory.mktemp(kind)
        lively(make).save_pretrained(folder)
        transformers.RTDetrImageProcessor(size=SIDE).save_pretrained(folder)
        folders[kind] = folder
    return folders


def files(folder: Path, **options: Any) -> ModelFiles:
    return ModelFiles(name="tiny", folder=folder, revision="1", licence="Apache-2.0", options=options)


def corners(objects: tuple[FoundObject, ...]) -> np.ndarray:
    return np.array([[o.box.x, o.box.y, o.box.x + o.box.width, o.box.y + o.box.height] for o in objects])


def are_same(some: tuple[FoundObject, ...], others: tuple[FoundObject, ...], tolerance: float) -> bool:
    """Whether the same objects were found; those of equal score may have changed places."""
    if len(some) != len(others) or sorted(o.label for o in some) != sorted(o.label for o in others):
        return False
    numbers = [np.column_stack([corners(found), [o.score for o in found]]) for found in (some, others)]
    distances = np.abs(numbers[0][:, None] - numbers[1][None]).max(axis=2)
    return bool(distances.min(axis=0).max() < tolerance and distances.min(axis=1).max() < tolerance)


@pytest.mark.parametrize("kind", list(KINDS))
def test_answers_are_those_of_the_library(kind: str, checkpoints: dict[str, Path], views: list[View]) -> None:
    detector = Detector(files(checkpoints[kind], threshold=0.3))
    detector.load(CPU)
    answers = detector.predict(views)

    processor = transformers.AutoImageProcessor.from_pretrained(checkpoints[kind])
    model = transformers.AutoModelForObjectDetection.from_pretrained(checkpoints[kind]).eval()
    with torch.no_grad():
        outputs = model(**processor(images=[view.display for view in views], return_tensors="pt"))
    sizes = [view.size[::-1] for view in views]
    expected = processor.post_process_object_detection(outputs, threshold=0.3, target_sizes=sizes)

    seen = 0
    for view, objects, theirs in zip(views, answers, expected, strict=True):
        boxes = np.clip(theirs["boxes"].numpy() / np.tile(view.size, 2), 0, 1)
        there = (boxes[:, 2] > boxes[:, 0]) & (boxes[:, 3] > boxes[:, 1])
        assert np.abs(corners(objects) - boxes[there]).max() < 1e-5
        assert [o.score for o in objects] == pytest.approx(theirs["scores"].numpy()[there], abs=1e-5)
        assert [o.label for o in objects] == [LABELS[int(number)] for number in theirs["labels"][there]]
        seen += len(objects)
    # Otherwise nothing was compared, or an answer that is the same for all.
    assert seen > 5
    assert not any(are_same(one, other, 1e-3) for one, other in itertools.combinations(answers, 2))


@pytest.mark.parametrize("kind", list(KINDS))
def test_a_photo_alone_is_answered_as_one_of_many(kind: str, checkpoints: dict[str, Path], views: list[View]) -> None:
    detector = Detector(files(checkpoints[kind], threshold=0.3))
    detector.load(CPU)
    together = detector.predict(views)
    detector.prepare(views[0])
    for view, objects in zip(views, together, strict=True):
        (alone,) = detector.predict([view])
        assert are_same(alone, objects, 1e-4)


@pytest.mark.parametrize("kind", list(KINDS))
def test_half_precision_changes_little(
    kind: str, checkpoints: dict[str, Path], views: list[View], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU, of which only the speed is missing here."""
    detector = Detector(files(checkpoints[kind], threshold=0.3))
    detector.load(CPU)
    whole = detector.predict(views)
    detector.unload()
    monkeypatch.setattr(checkpoint, "half", lambda device: torch.float16)
    detector.load(CPU)
    for objects, halved in zip(whole, detector.predict(views), strict=True):
        common = min(len(objects), len(halved))
        assert common > 0.9 * max(len(objects), len(halved))
        for one, other in zip(objects[:common], halved[:common], strict=True):
            assert one.score == pytest.approx(other.score, abs=0.02)


def test_numbers_that_half_precision_cannot_hold_are_no_answer(
    checkpoints: dict[str, Path], views: list[View], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The library would take them for "nothing found"."""
    monkeypatch.setattr(checkpoint, "half", lambda device: torch.float16)
    detector = Detector(files(checkpoints["rt_detr_v2"]))
    detector.load(CPU)
    with torch.no_grad():
        detector._model.get_parameter("model.decoder.class_embed.1.weight").mul_(1e5)
    with pytest.raises(ModelAnswerError, match="half precision"):
        detector.predict(views)


def test_the_threshold_is_an_option(checkpoints: dict[str, Path], views: list[View]) -> None:
    counts = []
    for threshold in (0.1, 0.6, 1.0):
        detector = Detector(files(checkpoints["rt_detr_v2"], threshold=threshold))
        detector.load(CPU)
        (objects,) = detector.predict(views[:1])
        assert all(o.score > threshold for o in objects)
        counts.append(len(objects))
    assert counts[0] > counts[1] > counts[2] == 0
    assert Detector(files(checkpoints["rt_detr_v2"])).threshold == detection.DEFAULT_THRESHOLD


def test_unloading_frees_it(checkpoints: dict[str, Path], views: list[View]) -> None:
    detector = Detector(files(checkpoints["rt_detr_v2"]))
    with pytest.raises(RuntimeError, match="before it is loaded"):
        detector.predict(views)
    detector.load(CPU)
    assert detector.is_loaded
    detector.unload()
    assert not detector.is_loaded
    with pytest.raises(RuntimeError, match="before it is loaded"):
        detector.predict(views)


def test_memory_is_that_of_the_weights_and_grows_with_the_batch(checkpoints: dict[str, Path]) -> None:
    detector = Detector(files(checkpoints["rt_detr_v2"]))
    weights = (checkpoints["rt_detr_v2"] / "model.safetensors").stat().st_size
    nothing = detector.memory(0, CPU)
    assert 0.8 * weights < nothing <= weights
    assert detector.memory(0, Device("cuda")) == nothing // 2
    assert detector.memory(4, CPU) - nothing == pytest.approx(4 * (detector.memory(1, CPU) - nothing))
    before = detector.memory(1, CPU)
    detector.load(CPU)
    # Its input is smaller than the usual one, which is known only now.
    assert detector.memory(1, CPU) < before


@pytest.fixture
def copied(checkpoints: dict[str, Path], tmp_path: Path) -> Path:
    folder = tmp_path / "copied"
    shutil.copytree(checkpoints["rt_detr_v2"], folder)
    return folder


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(name: str, copied: Path) -> None:
    (copied / name).unlink()
    detector = Detector(files(copied))
    with pytest.raises(WeightsMissingError, match=name.replace(".", r"\.")):
        detector.load(CPU)
    assert not detector.is_loaded


def test_a_pickle_is_never_read_instead(copied: Path) -> None:
    (copied / "model.safetensors").rename(copied / "pytorch_model.bin")
    with pytest.raises(WeightsMissingError, match="safetensors"):
        Detector(files(copied)).load(CPU)


def _cut(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[: len(whole) // 2])


def _rubbish(folder: Path) -> None:
    (folder / "model.safetensors").write_bytes(b"<html>not found</html>")


def _no_json(folder: Path) -> None:
    (folder / "config.json").write_text("{")


def _another_kind(folder: Path) -> None:
    (folder / "config.json").write_text('{"model_type": "bert"}')


def _no_processor(folder: Path) -> None:
    (folder / "preprocessor_config.json").unlink()


def _lacks_weights(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    name = next(name for name in sorted(weights) if "decoder" in name)
    del weights[name]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def _other_shape(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["decoder_ffn_dim"] = 40
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    "damage", [_cut, _rubbish, _no_json, _another_kind, _no_processor, _lacks_weights, _other_shape]
)
def test_damaged_files_are_told(damage: Callable[[Path], None], copied: Path) -> None:
    damage(copied)
    detector = Detector(files(copied))
    with pytest.raises(WeightsDamagedError, match="immich-sidecar models"):
        detector.load(CPU)
    assert not detector.is_loaded


def test_code_in_a_folder_is_not_run(copied: Path) -> None:
    config = json.loads((copied / "config.json").read_text())
    config["model_type"] = "mine"
    config["auto_map"] = {"AutoConfig": "mine.Mine", "AutoModelForObjectDetection": "mine.Mine"}
    (copied / "config.json").write_text(json.dumps(config))
    (copied / "mine.py").write_text(f"open({str(copied / 'ran')!r}, 'w').close()\n")
    with pytest.raises(WeightsDamagedError):
        Detector(files(copied)).load(CPU)
    assert not (copied / "ran").exists()


def test_a_missing_library_is_told(checkpoints: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(ModelsNotInstalledError, match=r"immich-sidecar\[ai\]"):
        Detector(files(checkpoints["rt_detr_v2"])).load(CPU)


def test_lack_of_memory_passes_through(
    checkpoints: dict[str, Path], views: list[View], monkeypatch: pytest.MonkeyPatch
) -> None:
    detector = Detector(files(checkpoints["rt_detr_v2"]))

    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(transformers.RTDetrV2ForObjectDetection, "to", full)
        with pytest.raises(torch.OutOfMemoryError):
            detector.load(CPU)
    assert not detector.is_loaded
    detector.load(CPU)
    with monkeypatch.context() as patch:
        patch.setattr(transformers.RTDetrV2ForObjectDetection, "forward", full)
        with pytest.raises(torch.OutOfMemoryError):
            detector.predict(views)
    # It goes on as soon as there is memory.
    assert len(detector.predict(views)) == 3


def test_boxes_that_are_no_numbers_are_no_answer() -> None:
    boxes = np.array([[0.1, 0.1, np.nan, 0.5]])
    with pytest.raises(ModelAnswerError, match="no number"):
        detection.found_objects(boxes, np.array([0.9]), ["dog"], "tiny")


def test_boxes_end_where_the_photo_ends() -> None:
    boxes = np.array([[-0.2, 0.5, 0.4, 1.3], [1.1, 0.1, 1.4, 0.3], [0, 0, 1, 1]], np.float32)
    objects = detection.found_objects(boxes, np.array([0.9, 0.8, 1.0001]), ["dog", "boat", "person"], "tiny")
    assert [o.label for o in objects] == ["dog", "person"]
    assert np.allclose(corners(objects), [[0, 0.5, 0.4, 1], [0, 0, 1, 1]])
    assert objects[1].score == 1


def test_weights_in_several_files_are_counted_and_required(checkpoints: dict[str, Path], tmp_path: Path) -> None:
    model = transformers.AutoModelForObjectDetection.from_pretrained(checkpoints["rt_detr_v2"])
    model.save_pretrained(tmp_path, max_shard_size="60KB")
    transformers.RTDetrImageProcessor(size=SIDE).save_pretrained(tmp_path)
    shards = sorted(tmp_path.glob("model-*.safetensors"))
    assert len(shards) > 1
    assert checkpoint.parameters(files(tmp_path)) == checkpoint.parameters(files(checkpoints["rt_detr_v2"]))
    Detector(files(tmp_path)).load(CPU)
    shards[-1].unlink()
    with pytest.raises(WeightsMissingError, match=shards[-1].name):
        Detector(files(tmp_path)).load(CPU)
    index = tmp_path / "model.safetensors.index.json"
    index.write_text('{"weight_map": {"a": "../../other.safetensors"}}')
    with pytest.raises(WeightsDamagedError, match="outside"):
        Detector(files(tmp_path)).load(CPU)
