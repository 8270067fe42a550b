"""Qwen-VL with random weights and a tokenizer trained here: says what the library says with the same weights."""

import functools
import json
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from immich_sidecar.analysis.models import checkpoint, wording
from immich_sidecar.analysis.models.model import CPU, Device, ModelFiles
from immich_sidecar.analysis.models.view import Asked, View
from immich_sidecar.analysis.models.words import QwenVl
from immich_sidecar.errors import (
    ModelAnswerError,
    ModelsNotInstalledError,
    ModelTimeoutError,
    WeightsDamagedError,
    WeightsMissingError,
)
from tests.analysis.models.test_wording import GOOD
from tests.analysis.models.tiny import lively

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

KINDS = ("qwen2.5", "qwen3")
SPECIAL = [
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|image_pad|>",
    "<|video_pad|>",
]
#: How a talk is written down; in the way of the models, without what is only theirs.
TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n"
    "{% for part in message.content %}{% if part.type == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ part.text }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def tokenizer() -> Any:
    """Learned from the question and an answer."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    learned = Tokenizer(models.BPE())
    learned.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    learned.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    learned.train_from_iterator([wording.question(), json.dumps(GOOD)], trainer)
    held = json.loads(learned.to_str())["model"]
    made = transformers.Qwen2Tokenizer(
        vocab=held["vocab"], merges=[tuple(pair) for pair in held["merges"]], eos_token="<|im_end|>"
    )
    made.add_special_tokens({"additional_special_tokens": SPECIAL})
    return made


def config(kind: str, words: Any) -> Any:
    number = words.convert_tokens_to_ids
    text = {
        "vocab_size": len(words),
        "hidden_size": 32,
        "intermediate_size": 48,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 1,
        "head_dim": 16,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [4, 2, 2]},
        "eos_token_id": number("<|im_end|>"),
        "bos_token_id": number("<|endoftext|>"),
        "pad_token_id": number("<|endoftext|>"),
    }
    vision = {"depth": 2, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "out_hidden_size": 32}
    tokens = {
        "image_token_id": number("<|image_pad|>"),
        "video_token_id": number("<|video_pad|>"),
        "vision_start_token_id": number("<|vision_start|>"),
        "vision_end_token_id": number("<|vision_end|>"),
    }
    if kind == "qwen2.5":
        vision |= {"window_size": 56, "fullatt_block_indexes": [1]}
        return transformers.Qwen2_5_VLConfig(text_config=text, vision_config=vision, **tokens)
    vision |= {"num_position_embeddings": 64, "deepstack_visual_indexes": [0]}
    return transformers.Qwen3VLConfig(text_config=text, vision_config=vision, **tokens)


@pytest.fixture(scope="session")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Tiny checkpoints, as the library writes them."""
    torch.set_num_threads(1)
    words = tokenizer()
    found = {}
    for kind in KINDS:
        folder = tmp_path_factory.mktemp(kind)
        if kind == "qwen2.5":
            build = transformers.Qwen2_5_VLForConditionalGeneration
            processor, film, patch = transformers.Qwen2_5_VLProcessor, transformers.Qwen2VLVideoProcessor, 14
        else:
            build = transformers.Qwen3VLForConditionalGeneration
            processor, film, patch = transformers.Qwen3VLProcessor, transformers.Qwen3VLVideoProcessor, 16
        lively(functools.partial(build, config(kind, words))).save_pretrained(folder)
        pictures = transformers.Qwen2VLImageProcessor(
            patch_size=patch, size={"shortest_edge": 4 * patch**2, "longest_edge": 100 * patch**2}
        )
        processor(pictures, words, film(patch_size=patch), chat_template=TEMPLATE).save_pretrained(folder)
        found[kind] = folder
    return found


def files(folder: Path, **options: Any) -> ModelFiles:
    return ModelFiles(
        name="tiny", folder=folder, revision="1", licence="Apache-2.0", options={"tokens": 12, "edge": 240, **options}
    )


def loaded(folder: Path, **options: Any) -> QwenVl:
    model = QwenVl(files(folder, **options))
    model.load(CPU)
    return model


FACTS = ("", "Underexposed by 1 EV, the horizon leans 2 degrees to the left.", "Sharp.")


@pytest.mark.parametrize("kind", KINDS)
def test_it_says_what_the_library_says(kind: str, folders: dict[str, Path], views: list[View]) -> None:
    model = loaded(folders[kind])
    ours = [
        model._said([wording.first(facts)], [view], time.monotonic() + 600)[0]
        for view, facts in zip(views, FACTS, strict=True)
    ]
    processor = transformers.AutoProcessor.from_pretrained(folders[kind])
    theirs = transformers.AutoModelForImageTextToText.from_pretrained(folders[kind]).eval()
    for view, facts, said in zip(views, FACTS, ours, strict=True):
        content = [{"type": "image", "image": view.fitted(240)}, {"type": "text", "text": wording.question(facts)}]
        inputs = processor.apply_chat_template(
            [{"role": "user", "content": content}],
            tokenize=True,
            add_generation_prompt=True,
            return_dict=True,
            return_tensors="pt",
        )
        with torch.no_grad():
            tokens = theirs.generate(**inputs, do_sample=False, max_new_tokens=12)
        expected = processor.batch_decode(tokens[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        assert said == expected[0]
    # Random words, but other ones for another photo: the picture arrives.
    assert len(set(ours)) == len(views)


@pytest.mark.parametrize("kind", KINDS)
def test_a_photo_alone_is_answered_as_one_of_many(kind: str, folders: dict[str, Path], views: list[View]) -> None:
    model = loaded(folders[kind])
    asked = [Asked(view, facts) for view, facts in zip(views, FACTS, strict=True)]
    model.prepare(asked[0])
    together = model.predict(asked)
    # What random weights say is none of the answers asked for, and is kept as it came.
    assert all(words.malformed for words in together)
    assert [model.predict([one])[0] for one in asked] == together


def test_answers_are_understood_and_malformed_ones_asked_for_again(
    folders: dict[str, Path], views: list[View], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = loaded(folders["qwen3"])
    read = model._processor.tokenizer
    heard: list[list[str]] = []
    rounds = [["A dog.", json.dumps(GOOD)], [f"```json\n{json.dumps({**GOOD, 'description': 'Now.'})}\n```"]]

    def say(**inputs: Any) -> Any:
        assert inputs["do_sample"] is False
        heard.append(read.batch_decode(inputs["input_ids"]))
        said = read(rounds.pop(0), padding=True, padding_side="right", return_tensors="pt").input_ids
        return torch.cat([inputs["input_ids"], said], dim=1)

    monkeypatch.setattr(model._model, "generate", say)
    words = model.predict([Asked(view, facts) for view, facts in zip(views[:2], FACTS, strict=False)])
    assert [w.description for w in words] == ["Now.", GOOD["description"]]
    assert len(words[0].crops) == 1
    assert [len(talks) for talks in heard] == [2, 1]
    assert FACTS[1] in heard[0][1]
    (talk,) = heard[1]
    assert talk.count("<|im_start|>") == 4
    assert "A dog.<|im_end|>" in talk
    assert talk.count("<|vision_start|>") == 1
    assert talk.endswith("<|im_start|>assistant\n")


def test_it_lets_others_go_first_and_stops_in_time(
    folders: dict[str, Path], views: list[View], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = loaded(folders["qwen2.5"], tokens=2000)
    pauses = []
    clock = [0.0]

    def give_way() -> None:
        pauses.append(1)
        clock[0] += 100

    model.give_way = give_way
    monkeypatch.setattr("immich_sidecar.analysis.models.words.time.monotonic", lambda: clock[0])
    with pytest.raises(ModelTimeoutError, match="SIDECAR_WORDS=endpoint"):
        model.predict([Asked(views[0])])
    # 240 seconds of 100 each.
    assert len(pauses) == 3


def test_an_answer_of_nothing_is_none(
    folders: dict[str, Path], views: list[View], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = loaded(folders["qwen3"])
    monkeypatch.setattr(model._model, "generate", lambda **inputs: inputs["input_ids"])
    with pytest.raises(ModelAnswerError, match="nothing"):
        model.predict([Asked(views[0])])


def test_question_and_answer_are_bounded(
    folders: dict[str, Path], views: list[View], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = loaded(folders["qwen3"], tokens=5)
    generate, lengths = model._model.generate, []

    def measured(**inputs: Any) -> Any:
        tokens = generate(**inputs)
        lengths.append(tokens.shape[1] - inputs["input_ids"].shape[1])
        return tokens

    monkeypatch.setattr(model._model, "generate", measured)
    model.predict([Asked(views[0])])
    # Asked twice, as the answer is none.
    assert lengths == [5, 5]
    # Patches of 16 pixels of a picture whose longest edge is 240, and at most the hundred that the checkpoint allows.
    assert model._inputs([wording.first("")], views[:1])["pixel_values"].shape[0] <= 100
    smaller = loaded(folders["qwen3"], edge=120)
    assert smaller._inputs([wording.first("")], views[:1])["pixel_values"].shape[0] <= 48


def test_weights_are_read_piece_by_piece_onto_a_device(
    folders: dict[str, Path], views: list[View], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU, in the precision that it has there."""

    class Halved(Device):
        is_cpu = False

    seen = []
    read = checkpoint.read
    monkeypatch.setattr(
        "immich_sidecar.analysis.models.words.checkpoint.read",
        lambda *arguments, onto: seen.append(onto) or read(*arguments, onto="cpu:0"),
    )
    model = QwenVl(files(folders["qwen3"]))
    model.load(Halved())
    assert seen == ["cpu"]
    assert model._model.dtype == torch.bfloat16
    assert model.predict([Asked(views[0])])[0].malformed


def test_memory_is_that_of_the_weights_and_grows_with_the_batch(folders: dict[str, Path]) -> None:
    model = QwenVl(files(folders["qwen3"]))
    weights = (folders["qwen3"] / "model.safetensors").stat().st_size
    assert 0.7 * weights < model.memory(0, CPU) <= weights
    assert model.memory(0, Device("cuda")) == model.memory(0, CPU) // 2
    assert model.memory(2, CPU) > model.memory(1, CPU)


@pytest.mark.parametrize("name", ["config.json", "model.safetensors"])
def test_a_missing_file_is_named(name: str, folders: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(folders["qwen3"], tmp_path / "copied")
    (tmp_path / "copied" / name).unlink()
    with pytest.raises(WeightsMissingError, match=name.replace(".", r"\.")):
        loaded(tmp_path / "copied")


def _cut(folder: Path) -> None:
    whole = (folder / "model.safetensors").read_bytes()
    (folder / "model.safetensors").write_bytes(whole[:-5000])


def _no_tokenizer(folder: Path) -> None:
    (folder / "tokenizer.json").write_text("{")


def _no_template(folder: Path) -> None:
    for path in [*folder.glob("chat_template*"), folder / "processor_config.json"]:
        if path.name.startswith("chat_template"):
            path.unlink()
    config = json.loads((folder / "processor_config.json").read_text())
    config.pop("chat_template", None)
    (folder / "processor_config.json").write_text(json.dumps(config))


def _lacks_weights(folder: Path) -> None:
    from safetensors.torch import load_file, save_file

    weights = load_file(folder / "model.safetensors")
    del weights[next(name for name in sorted(weights) if "language_model.layers.1" in name)]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})


def test_a_chat_template_may_lie_with_the_tokenizer(folders: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(folders["qwen3"], tmp_path / "copied")
    _no_template(tmp_path / "copied")
    config = json.loads((tmp_path / "copied" / "tokenizer_config.json").read_text())
    (tmp_path / "copied" / "tokenizer_config.json").write_text(json.dumps({**config, "chat_template": TEMPLATE}))
    assert loaded(tmp_path / "copied")._processor.chat_template == TEMPLATE


@pytest.mark.parametrize("damage", [_cut, _no_tokenizer, _no_template, _lacks_weights])
def test_damaged_files_are_told(damage: Callable[[Path], None], folders: dict[str, Path], tmp_path: Path) -> None:
    shutil.copytree(folders["qwen3"], tmp_path / "copied")
    damage(tmp_path / "copied")
    with pytest.raises(WeightsDamagedError, match="tiny"):
        loaded(tmp_path / "copied")


def test_a_missing_library_is_told(folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "transformers", None)
    with pytest.raises(ModelsNotInstalledError, match=r"immich-sidecar\[ai\]"):
        loaded(folders["qwen3"])


def test_lack_of_memory_passes_through(
    folders: dict[str, Path], views: list[View], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = loaded(folders["qwen3"])

    def full(*_: object, **__: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(model._model.model, "forward", full)
    with pytest.raises(torch.OutOfMemoryError):
        model.predict([Asked(views[0])])
