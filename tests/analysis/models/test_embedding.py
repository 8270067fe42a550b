"""Embeddings: the same vectors as open_clip's own way to them, from random weights that the test writes."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from immich_sidecar.analysis.models.embedding import OpenClip
from immich_sidecar.analysis.models.model import CPU, Device, ModelFiles
from immich_sidecar.analysis.vocabulary import parse_vocabulary, word_vectors
from immich_sidecar.errors import ModelsNotInstalledError, WeightsDamagedError, WeightsMissingError
from tests.analysis.models.views import view, views

pytest.importorskip("open_clip")

TEXTS = ["a photo of a cat", "Café on the harbour, at NIGHT", "", "x " * 200]

#: As the configurations of the models that people use, but for their sizes.
CLIP: dict[str, Any] = {
    "model_cfg": {
        "embed_dim": 24,
        "vision_cfg": {"image_size": 32, "layers": 2, "width": 32, "head_width": 16, "patch_size": 8},
        "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 16, "heads": 2, "layers": 1},
    },
    "preprocess_cfg": {
        "mean": [0.48145466, 0.4578275, 0.40821073],
        "std": [0.26862954, 0.26130258, 0.27577711],
    },
}
SIGLIP: dict[str, Any] = {
    "model_cfg": {
        "embed_dim": 96,
        "init_logit_bias": -10,
        "custom_text": True,
        "vision_cfg": {
            "image_size": 160,
            "timm_model_name": "test_vit3",
            "timm_model_pretrained": False,
            "timm_pool": "map",
            "timm_proj": "none",
        },
        "text_cfg": {
            "context_length": 64,
            "vocab_size": 64,
            "hf_tokenizer_name": "nobody/has-this",
            "tokenizer_kwargs": {"clean": "canonicalize"},
            "width": 32,
            "heads": 2,
            "layers": 1,
            "no_causal_mask": True,
            "proj_bias": True,
            "pool_type": "last",
            "norm_kwargs": {"eps": 1e-6},
            "act_kwargs": {"approximate": "tanh"},
        },
    },
    "preprocess_cfg": {
        "mean": [0.5, 0.5, 0.5],
        "std": [0.5, 0.5, 0.5],
        "interpolation": "bicubic",
        "resize_mode": "squash",
    },
}


def _write(folder: Path, configuration: dict[str, Any]) -> ModelFiles:
    import open_clip
    import torch
    from safetensors.torch import save_file

    (folder / "open_clip_config.json").write_text(json.dumps(configuration))
    torch.manual_seed(7)
    network = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
    # Layers start out with zeros where a network should not do anything yet; then nothing depends on what goes in.
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim:
                parameter.add_(torch.randn_like(parameter) * 0.05)
    weights = {name: value.clone().contiguous() for name, value in network.state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")
    if configuration["model_cfg"]["text_cfg"].get("hf_tokenizer_name"):
        _tokenizer(folder)
    return ModelFiles("tiny", folder, "r1", "MIT")


def _tokenizer(folder: Path) -> None:
    """A tokenizer trained on a few words, in the files that a model's repository has."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    trainer = trainers.WordLevelTrainer(vocab_size=64, special_tokens=["<pad>", "<eos>", "<unk>"])
    tokenizer.train_from_iterator([*TEXTS, "dog beach a photo of snapshot"], trainer)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token="<pad>", eos_token="<eos>", unk_token="<unk>"
    ).save_pretrained(folder)


@pytest.fixture(scope="module", params=["clip", "siglip"])
def files(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> ModelFiles:
    return _write(tmp_path_factory.mktemp(request.param), CLIP if request.param == "clip" else SIGLIP)


@pytest.fixture(scope="module")
def model(files: ModelFiles) -> OpenClip:
    model = OpenClip(files)
    model.load(CPU)
    return model


def test_photos_get_the_vectors_that_open_clip_gives_them(model: OpenClip) -> None:
    import open_clip
    import torch
    from PIL import Image

    network, _, prepare = open_clip.create_model_and_transforms(f"local-dir:{model.files.folder}")
    network.eval()
    photos = views()
    with torch.inference_mode():
        expected = [
            network.encode_image(prepare(Image.fromarray(photo.display))[None], normalize=True)[0].numpy()
            for photo in photos
        ]

    found = model.predict(photos)

    assert all(vector.dtype == np.float32 and vector.shape == (model.dimensions,) for vector in found)
    np.testing.assert_allclose(found, expected, atol=2e-6)
    assert np.ptp(np.stack(found) @ found[0]) > 1e-3, "photos have vectors of their own"


def test_texts_get_the_vectors_that_open_clip_gives_them(model: OpenClip) -> None:
    import open_clip
    import torch

    network = open_clip.create_model(f"local-dir:{model.files.folder}").eval()
    tokenize = open_clip.get_tokenizer(f"local-dir:{model.files.folder}")
    with torch.inference_mode():
        expected = network.encode_text(tokenize(TEXTS), normalize=True).numpy()

    found = model.encode_text(TEXTS)

    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, atol=2e-6)
    assert model.encode_text([]).shape == (0, model.dimensions)


def test_a_photo_in_a_batch_gets_what_it_gets_alone(model: OpenClip) -> None:
    photos = views()

    together = model.predict(photos)

    alone = [model.predict([photo])[0] for photo in photos]
    np.testing.assert_allclose(together, alone, atol=2e-6)


def test_what_is_prepared_ahead_changes_nothing(model: OpenClip) -> None:
    photo, ahead = view("coffee"), view("coffee")

    model.prepare(ahead)

    np.testing.assert_array_equal(model.predict([ahead]), model.predict([photo]))


def test_many_texts_get_what_they_get_alone(model: OpenClip) -> None:
    many = [TEXTS[n % 3] for n in range(130)]

    found = model.encode_text(many)

    np.testing.assert_allclose(found, model.encode_text(TEXTS[:3])[np.arange(130) % 3], atol=2e-6)


def test_the_calibration_is_the_one_it_was_trained_with(model: OpenClip) -> None:
    calibration = model.calibration

    assert calibration.scale == pytest.approx(1 / 0.07, rel=0.2)
    is_siglip = "init_logit_bias" in json.loads((model.files.folder / "open_clip_config.json").read_text())["model_cfg"]
    assert (calibration.bias is not None) == is_siglip


def test_words_of_a_vocabulary_become_tags(model: OpenClip, tmp_path: Path) -> None:
    vocabulary = parse_vocabulary("dog\ncat\n\nbeach\nnight")
    vectors = word_vectors(vocabulary, model.encode_text, revision=model.revision, folder=tmp_path)

    tags = vectors.tags(model.predict([view()])[0], model.calibration, floor=0)

    assert {tag.word for tag in tags} == {"dog", "cat", "beach", "night"}


def test_half_precision_gives_nearly_the_same_vectors(
    model: OpenClip, files: ModelFiles, monkeypatch: pytest.MonkeyPatch
) -> None:
    # To us a device on which halves are used, to torch the processor, for want of another.
    monkeypatch.setattr(Device, "torch_name", "cpu")
    half = OpenClip(files)
    half.load(Device("xpu"))

    photos, texts = half.predict(views()), half.encode_text(TEXTS)

    assert half.calibration.scale == pytest.approx(model.calibration.scale, rel=1e-3)
    np.testing.assert_allclose(photos, model.predict(views()), atol=5e-3)
    np.testing.assert_allclose(texts, model.encode_text(TEXTS), atol=5e-3)
    assert photos[0].dtype == texts.dtype == np.float32
    half.unload()


def test_memory_counts_weights_and_photos(model: OpenClip) -> None:
    stored = (model.files.folder / "open_clip_model.safetensors").stat().st_size

    one, many = model.memory(1, CPU), model.memory(9, CPU)

    assert one > stored * 0.9
    assert many > one


def test_it_is_unloaded_and_loaded_again(files: ModelFiles) -> None:
    model = OpenClip(files)
    model.load(CPU)
    before = model.predict([view()])[0]

    model.unload()
    assert not model.is_loaded
    model.load(CPU)

    np.testing.assert_array_equal(model.predict([view()])[0], before)


@pytest.mark.parametrize("lacking", ["open_clip_config.json", "open_clip_model.safetensors"])
def test_missing_files_are_named(files: ModelFiles, tmp_path: Path, lacking: str) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(files.folder, folder)
    (folder / lacking).unlink()
    model = OpenClip(ModelFiles("tiny", folder, "r1", "MIT"))

    with pytest.raises(WeightsMissingError, match=rf"tiny: {lacking}.*models download tiny"):
        model.load(CPU)

    assert not model.is_loaded


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("open_clip_model.safetensors", lambda data: data[: len(data) // 2]),
        ("open_clip_model.safetensors", lambda _: b"\x80\x05 no weights"),
        ("open_clip_config.json", lambda data: data[:40]),
        ("open_clip_config.json", lambda _: b"{}"),
        ("open_clip_config.json", lambda data: data.replace(b'"embed_dim": ', b'"embed_dim": 1')),
    ],
)
def test_damaged_files_are_refused(files: ModelFiles, tmp_path: Path, name: str, damage: Any) -> None:
    folder = tmp_path / "copy"
    shutil.copytree(files.folder, folder)
    (folder / name).write_bytes(damage((folder / name).read_bytes()))
    model = OpenClip(ModelFiles("tiny", folder, "r1", "MIT"))

    with pytest.raises(WeightsDamagedError, match=r"tiny: its weights .* cannot be read .*models verify tiny"):
        model.load(CPU)

    assert not model.is_loaded


def test_text_towers_from_elsewhere_are_refused(tmp_path: Path) -> None:
    described = json.loads(json.dumps(CLIP))
    described["model_cfg"]["text_cfg"]["hf_model_name"] = "somebody/roberta"
    (tmp_path / "open_clip_config.json").write_text(json.dumps(described))
    (tmp_path / "open_clip_model.safetensors").write_bytes(b"")

    with pytest.raises(WeightsDamagedError, match="somebody/roberta, which is not among its files"):
        OpenClip(ModelFiles("tiny", tmp_path, "r1", "MIT")).load(CPU)


def test_a_missing_library_is_named(files: ModelFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    monkeypatch.setitem(sys.modules, "open_clip", None)

    with pytest.raises(ModelsNotInstalledError, match=r"tiny needs open_clip.*immich-sidecar\[ai\]"):
        OpenClip(files).load(CPU)


def test_want_of_memory_passes_unchanged(files: ModelFiles, monkeypatch: pytest.MonkeyPatch) -> None:
    import open_clip
    import torch

    def exhausted(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(open_clip.factory, "load_checkpoint", exhausted)

    with pytest.raises(torch.OutOfMemoryError):
        OpenClip(files).load(CPU)
