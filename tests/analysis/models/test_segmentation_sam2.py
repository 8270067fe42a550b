"""SAM 2.1 of the `sam2` package with random weights: same masks as the package's own predictor."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from immich_sidecar.analysis import masks
from immich_sidecar.analysis.findings import Box
from immich_sidecar.analysis.models import checkpoint, segmentation, segmentation_sam2
from immich_sidecar.analysis.models.model import CPU, Device, ModelFiles
from immich_sidecar.analysis.models.segmentation_sam2 import Sam2Segmenter
from immich_sidecar.analysis.models.view import Prompted, View
from immich_sidecar.errors import ModelsNotInstalledError, WeightsDamagedError, WeightsMissingError
from tests.analysis.models.tiny import lively

torch = pytest.importorskip("torch")
pytest.importorskip("sam2")

SIDE = 128
BOXES = (Box(x=0.1, y=0.2, width=0.5, height=0.6), Box(x=0.4, y=0.05, width=0.55, height=0.4))
POINTS = ((0.3, 0.4), (0.75, 0.6), (0.5, 0.1))


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    """The package's smallest network made smaller, and weights for it."""
    from omegaconf import OmegaConf

    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("sam2")
    whole = OmegaConf.load(Path(sys.modules["sam2"].__path__[0]) / segmentation_sam2.USUAL_CONFIG)
    model = whole.model
    model.image_size = SIDE
    trunk = {
        "embed_dim": 8,
        "stages": [1, 2, 2, 1],
        "global_att_blocks": [4],
        "window_spec": [4, 4, 4, 2],
        "window_pos_embed_bkg_spatial_size": [4, 4],
    }
    model.image_encoder.trunk.update(trunk)
    model.image_encoder.neck.backbone_channel_list = [64, 32, 16, 8]
    OmegaConf.save(whole, folder / "tiny.yaml")
    made = lively(lambda: segmentation_sam2._built(str(folder / "tiny.yaml")), gain=1.0)
    torch.save({"model": made.state_dict()}, folder / "tiny.pt")
    return ModelFiles(
        name="sam2-tiny",
        folder=folder,
        revision="1",
        licence="Apache-2.0",
        files={"weights": folder / "tiny.pt"},
        options={"config": str(folder / "tiny.yaml")},
    )


def with_weights(files: ModelFiles, weights: Path) -> ModelFiles:
    return ModelFiles(
        files.name, files.folder, files.revision, files.licence, {"weights": weights}, options=files.options
    )


@pytest.fixture
def segmenter(files: ModelFiles) -> Sam2Segmenter:
    made = Sam2Segmenter(files)
    made.load(CPU)
    return made


def different(one: Any, other: Any) -> float:
    return float((one != other).mean())


def test_masks_are_those_of_the_package(segmenter: Sam2Segmenter, views: list[View]) -> None:
    from sam2.sam2_image_predictor import SAM2ImagePredictor

    predictor = SAM2ImagePredictor(segmenter._model)
    # The package has the sizes of its features for an input of 1024 pixels written down.
    predictor._bb_feat_sizes = [(SIDE // 4,) * 2, (SIDE // 8,) * 2, (SIDE // 16,) * 2]
    counts = set()
    # The package's transforms do not round a resized picture to whole numbers, and random weights make much of that
    # little; where nothing is resized there is no difference.
    ready = [View(view.resized(SIDE, SIDE)) for view in views]
    parts: dict[bool, list[float]] = {True: [], False: []}
    for view in [*ready, *views]:
        (found,) = segmenter.predict([Prompted(view, BOXES, POINTS)])
        width, height = view.size
        predictor.set_image(view.display)
        theirs = []
        for box in BOXES:
            corners = np.array([box.x, box.y, box.x + box.width, box.y + box.height]) * (width, height, width, height)
            theirs.append(predictor.predict(box=corners, multimask_output=False)[2][0])
        for x, y in POINTS:
            place = np.array([[x * width, y * height]])
            _, fits, candidates = predictor.predict(place, np.array([1]), multimask_output=True)
            theirs.append(candidates[fits.argmax()])
        expected = segmentation.on_grid(torch.tensor(np.array(theirs)), *segmentation.grid(view))
        for mask, other in zip(found, expected, strict=True):
            parts[view in ready].append(different(masks.decode(mask), masks.decode(other)))
            counts.add(mask.counts)
    assert len(counts) > 8
    assert max(parts[True]) < 1e-4
    assert np.median(parts[False]) < 0.005


def test_a_photo_alone_is_answered_as_one_of_many(segmenter: Sam2Segmenter, views: list[View]) -> None:
    asked = [Prompted(views[0], BOXES, POINTS), Prompted(views[1]), Prompted(views[2], BOXES[:1])]
    together = segmenter.predict(asked)
    assert [len(found) for found in together] == [5, 0, 1]
    for prompted, found in zip(asked, together, strict=True):
        for mask, other in zip(segmenter.predict([prompted])[0], found, strict=True):
            assert different(masks.decode(mask), masks.decode(other)) < 1e-3


def test_half_precision_changes_little(
    files: ModelFiles, segmenter: Sam2Segmenter, views: list[View], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [Prompted(view, BOXES, POINTS) for view in views]
    whole = segmenter.predict(asked)
    monkeypatch.setattr(checkpoint, "half", lambda device: torch.float16)
    halved = Sam2Segmenter(files)
    halved.load(CPU)
    parts = [
        different(masks.decode(mask), masks.decode(other))
        for one, two in zip(whole, halved.predict(asked), strict=True)
        for mask, other in zip(one, two, strict=True)
    ]
    assert np.median(parts) < 0.01


def test_the_package_shapes_are_those_of_its_published_weights() -> None:
    """The largest part of the network is built as the package builds it from the same name."""
    from sam2.build_sam import build_sam2

    ours = segmentation_sam2._built(segmentation_sam2.USUAL_CONFIG)
    theirs = build_sam2(segmentation_sam2.USUAL_CONFIG, device="cpu")
    assert [(name, value.shape) for name, value in ours.state_dict().items()] == [
        (name, value.shape) for name, value in theirs.state_dict().items()
    ]
    for name in segmentation_sam2.STABILITY:
        assert getattr(ours.sam_mask_decoder, name) == getattr(theirs.sam_mask_decoder, name)


def test_memory_is_that_of_the_weights(files: ModelFiles) -> None:
    segmenter = Sam2Segmenter(files)
    prompts = segmentation.PROMPTS_AT_ONCE * segmentation.BYTES_PER_PROMPT
    weights = files.files["weights"].stat().st_size
    assert segmenter.memory(0, CPU) - prompts == pytest.approx(weights, rel=0.01)
    assert segmenter.memory(1, Device("cuda")) < segmenter.memory(1, CPU) < segmenter.memory(2, CPU)


def test_a_missing_file_is_named(files: ModelFiles, tmp_path: Path) -> None:
    segmenter = Sam2Segmenter(with_weights(files, tmp_path / "sam2.1_hiera_tiny.pt"))
    for ask in (lambda: segmenter.load(CPU), lambda: segmenter.memory(1, CPU)):
        with pytest.raises(WeightsMissingError, match=r"sam2\.1_hiera_tiny\.pt"):
            ask()


class Runs:
    """Pickled, it writes a file when it is opened."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return (exec, (f"open({str(self.path)!r}, 'w').close()",))


@pytest.mark.parametrize("damage", ["cut", "rubbish", "no weights", "fewer weights", "code"])
def test_damaged_files_are_told(damage: str, files: ModelFiles, tmp_path: Path) -> None:
    path = tmp_path / "damaged.pt"
    held = torch.load(files.files["weights"], weights_only=True)
    if damage == "cut":
        path.write_bytes(files.files["weights"].read_bytes()[:-10000])
    elif damage == "rubbish":
        path.write_bytes(b"<html>")
    elif damage == "no weights":
        torch.save([1, 2], path)
    elif damage == "fewer weights":
        held["model"].pop("sam_mask_decoder.iou_token.weight")
        torch.save(held, path)
    else:
        torch.save({**held, "more": Runs(tmp_path / "ran")}, path)
    segmenter = Sam2Segmenter(with_weights(files, path))
    with pytest.raises(WeightsDamagedError, match="sam2-tiny"):
        segmenter.load(CPU)
    assert not segmenter.is_loaded
    assert not (tmp_path / "ran").exists()


def test_a_missing_library_is_told(files: ModelFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sam2", None)
    with pytest.raises(ModelsNotInstalledError, match="sam2"):
        Sam2Segmenter(files).load(CPU)


def test_lack_of_memory_passes_through(
    segmenter: Sam2Segmenter, views: list[View], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(segmenter._model.image_encoder, "forward", full)
    with pytest.raises(torch.OutOfMemoryError):
        segmenter.predict([Prompted(views[0], BOXES)])
