"""SAM 2.1 of the transformers library, read from disk with random weights: same masks as the library's own."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from immich_sidecar.analysis import masks
from immich_sidecar.analysis.findings import Box
from immich_sidecar.analysis.models import checkpoint, segmentation
from immich_sidecar.analysis.models.model import CPU, Device, ModelFiles
from immich_sidecar.analysis.models.segmentation import Segmenter
from immich_sidecar.analysis.models.view import Prompted, View
from immich_sidecar.errors import ModelAnswerError, ModelsNotInstalledError, WeightsDamagedError, WeightsMissingError
from tests.analysis.models.tiny import lively

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

SIDE = 128
BOXES = (
    Box(x=0.1, y=0.2, width=0.5, height=0.6),
    Box(x=0.4, y=0.05, width=0.55, height=0.4),
    Box(x=0.0, y=0.5, width=0.3, height=0.5),
)
POINTS = ((0.3, 0.4), (0.75, 0.6))


def config(kind: str = "Sam2") -> Any:
    """SAM 2 in small: four stages of one or two blocks, an input of 128 pixels, masks of 32 cells."""
    from transformers import Sam2HieraDetConfig, Sam2VisionConfig

    backbone = Sam2HieraDetConfig(
        hidden_size=8,
        num_attention_heads=1,
        image_size=[SIDE, SIDE],
        blocks_per_stage=[1, 2, 2, 1],
        embed_dim_per_stage=[8, 16, 32, 64],
        num_attention_heads_per_stage=[1, 1, 2, 2],
        window_size_per_stage=[4, 4, 4, 2],
        window_positional_embedding_background_size=[4, 4],
        global_attention_blocks=[4],
    )
    vision = Sam2VisionConfig(
        backbone_config=backbone,
        backbone_channel_list=[64, 32, 16, 8],
        backbone_feature_sizes=[[32, 32], [16, 16], [8, 8]],
        fpn_hidden_size=32,
    )
    prompt = {"hidden_size": 32, "image_size": SIDE, "patch_size": 16, "mask_input_channels": 4}
    decoder = {"hidden_size": 32, "mlp_dim": 32, "num_attention_heads": 2, "iou_head_hidden_dim": 32}
    more = {} if kind == "Sam2" else {"image_size": SIDE, "memory_attention_hidden_size": 32}
    return getattr(transformers, f"{kind}Config")(
        vision_config=vision, prompt_encoder_config=prompt, mask_decoder_config=decoder, **more
    )


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny checkpoint, as the library writes it."""
    torch.set_num_threads(1)
    path = tmp_path_factory.mktemp("sam2")
    lively(lambda: transformers.Sam2Model(config())).save_pretrained(path)
    processor(path)
    return path


def processor(path: Path) -> None:
    size = {"height": SIDE, "width": SIDE}
    cells = {"height": SIDE // 4, "width": SIDE // 4}
    transformers.Sam2Processor(transformers.Sam2ImageProcessor(size=size, mask_size=cells)).save_pretrained(path)


def files(folder: Path) -> ModelFiles:
    return ModelFiles(name="tiny", folder=folder, revision="1", licence="Apache-2.0")


@pytest.fixture
def segmenter(folder: Path) -> Segmenter:
    made = Segmenter(files(folder))
    made.load(CPU)
    return made


def expected(folder: Path, view: View, size: tuple[int, int]) -> list[np.ndarray]:
    """What the library answers for `BOXES` and `POINTS`, as logits of a size (rows, columns)."""
    ready = transformers.AutoProcessor.from_pretrained(folder)
    model = transformers.Sam2Model.from_pretrained(folder).eval()
    width, height = view.size
    corners = [
        [box.x * width, box.y * height, (box.x + box.width) * width, (box.y + box.height) * height] for box in BOXES
    ]
    found = []
    with torch.no_grad():
        inputs = ready(images=view.display, input_boxes=[corners], return_tensors="pt")
        outputs = model(**inputs, multimask_output=False)
        found += list(ready.post_process_masks(outputs.pred_masks, [size], binarize=False)[0][:, 0].numpy())
        clicks = [[[x * width, y * height]] for x, y in POINTS]
        inputs = ready(
            images=view.display, input_points=[clicks], input_labels=[[[1]] * len(clicks)], return_tensors="pt"
        )
        outputs = model(**inputs, multimask_output=True)
        candidates = ready.post_process_masks(outputs.pred_masks, [size], binarize=False)[0]
        best = outputs.iou_scores[0].argmax(dim=1)
        found += [candidates[place, which].numpy() for place, which in enumerate(best)]
    return found


def agree(mask: np.ndarray, logits: np.ndarray) -> bool:
    """Whether a mask is where the logits are above 0, but for cells whose sign their rounding decides."""
    assert mask.shape == logits.shape
    assert np.abs(logits).mean() > 0.1
    return not bool((np.abs(logits[mask != (logits > 0)]) > 1e-3).any())


def test_masks_are_those_of_the_library(folder: Path, segmenter: Segmenter, views: list[View]) -> None:
    shapes = set()
    for view in views:
        (found,) = segmenter.predict([Prompted(view, BOXES, POINTS)])
        assert len(found) == len(BOXES) + len(POINTS)
        columns, rows = segmentation.grid(view)
        assert max(columns, rows) == segmentation.GRID_EDGE
        assert columns / rows == pytest.approx(view.size[0] / view.size[1], rel=0.01)
        inside = [masks.decode(mask) for mask in found]
        theirs = expected(folder, view, (rows, columns))
        assert all(agree(mask, logits) for mask, logits in zip(inside, theirs, strict=True))
        shapes |= {mask.counts for mask in found}
        # At the size of the photo they are the same but for the cells that the edge runs through.
        large = expected(folder, view, view.size[::-1])
        for mask, logits in zip(found, large, strict=True):
            ours, whole = masks.coverage(mask, *view.size) >= 0.5, logits > 0
            assert (ours & whole).sum() / max(1, (ours | whole).sum()) > 0.9
        assert any(0.01 < mask.mean() < 0.99 for mask in inside)
    assert len(shapes) > 10


def test_a_photo_alone_is_answered_as_one_of_many(segmenter: Segmenter, views: list[View]) -> None:
    asked = [
        Prompted(views[0], BOXES, POINTS),
        Prompted(views[1]),
        Prompted(views[1], BOXES[:1]),
        Prompted(views[2], (), POINTS),
    ]
    segmenter.prepare(asked[0])
    together = segmenter.predict(asked)
    assert [len(found) for found in together] == [5, 0, 1, 2]
    for prompted, found in zip(asked, together, strict=True):
        (alone,) = segmenter.predict([prompted])
        for mask, other in zip(alone, found, strict=True):
            assert float((masks.decode(mask) != masks.decode(other)).mean()) < 1e-3
    assert segmenter.predict([Prompted(views[0])]) == [[]]


def test_many_boxes_take_one_look_at_the_photo(
    segmenter: Segmenter, views: list[View], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []
    look = segmenter._features
    monkeypatch.setattr(segmenter, "_features", lambda pixels: looks.append(len(pixels)) or look(pixels))
    many = tuple(Box(x=place / 50, y=0.1, width=0.2, height=0.5) for place in range(40))
    (found,) = segmenter.predict([Prompted(views[0], many, POINTS)])
    assert len(found) == 42
    assert looks == [1]
    # More than are asked at once, and each is answered as alone.
    (last,) = segmenter.predict([Prompted(views[0], many[-1:])])
    assert float((masks.decode(last[0]) != masks.decode(found[39])).mean()) < 1e-3


def test_half_precision_changes_little(
    folder: Path, segmenter: Segmenter, views: list[View], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = [Prompted(view, BOXES, POINTS) for view in views]
    whole = segmenter.predict(asked)
    monkeypatch.setattr(checkpoint, "half", lambda device: torch.float16)
    halved = Segmenter(files(folder))
    halved.load(CPU)
    different = [
        float((masks.decode(mask) != masks.decode(other)).mean())
        for one, two in zip(whole, halved.predict(asked), strict=True)
        for mask, other in zip(one, two, strict=True)
    ]
    assert np.median(different) < 0.01


def test_a_checkpoint_made_for_films_is_read(tmp_path: Path, views: list[View]) -> None:
    """Those that Meta publishes hold what follows things through a film as well."""
    film = lively(lambda: transformers.Sam2VideoModel(config("Sam2Video")))
    film.save_pretrained(tmp_path)
    processor(tmp_path)
    segmenter = Segmenter(files(tmp_path))
    segmenter.load(CPU)
    (found,) = segmenter.predict([Prompted(views[0], BOXES, POINTS)])
    columns, rows = segmentation.grid(views[0])
    theirs = expected(tmp_path, views[0], (rows, columns))
    assert all(agree(masks.decode(mask), logits) for mask, logits in zip(found, theirs, strict=True))


def test_unloading_frees_it(segmenter: Segmenter, views: list[View]) -> None:
    segmenter.unload()
    assert segmenter._model is None
    with pytest.raises(RuntimeError, match="before it is loaded"):
        segmenter.predict([Prompted(views[0], BOXES)])


def test_memory_is_that_of_the_weights_and_grows_with_the_batch(folder: Path) -> None:
    segmenter = Segmenter(files(folder))
    weights = (folder / "model.safetensors").stat().st_size
    prompts = segmentation.PROMPTS_AT_ONCE * segmentation.BYTES_PER_PROMPT
    assert 0.7 * weights < segmenter.memory(0, CPU) - prompts <= weights
    assert segmenter.memory(1, Device("cuda")) < segmenter.memory(1, CPU) < segmenter.memory(2, CPU)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(name: str, folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copied")
    (tmp_path / "copied" / name).unlink()
    with pytest.raises(WeightsMissingError, match=name.replace(".", r"\.")):
        Segmenter(files(tmp_path / "copied")).load(CPU)


def _cut(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-5000])


def _lacks_weights(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights["mask_decoder.iou_token.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def _no_json(folder: Path) -> None:
    (folder / "config.json").write_text("<html>")


@pytest.mark.parametrize("damage", [_cut, _lacks_weights, _no_json])
def test_damaged_files_are_told(damage: Callable[[Path], None], folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "copied")
    damage(tmp_path / "copied")
    with pytest.raises(WeightsDamagedError, match="immich-sidecar models"):
        Segmenter(files(tmp_path / "copied")).load(CPU)


def test_a_missing_library_is_told(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(ModelsNotInstalledError, match=r"immich-sidecar\[ai\]"):
        Segmenter(files(folder)).load(CPU)


def test_lack_of_memory_passes_through_and_rubbish_does_not(
    segmenter: Segmenter, views: list[View], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(transformers.Sam2Model, "forward", full)
        with pytest.raises(torch.OutOfMemoryError):
            segmenter.predict([Prompted(views[0], BOXES)])
    with torch.no_grad():
        segmenter._model.get_parameter("no_memory_embedding").fill_(torch.nan)
    with pytest.raises(ModelAnswerError, match="no number"):
        segmenter.predict([Prompted(views[0], BOXES)])
