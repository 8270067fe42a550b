"""Answers in words: Qwen2.5-VL and Qwen3-VL through the transformers library."""

import time
from collections.abc import Sequence
from typing import Any, ClassVar

from immich_sidecar.analysis.findings import Job, Words
from immich_sidecar.analysis.models import checkpoint, wording
from immich_sidecar.analysis.models.loading import give_memory_back, reading_weights
from immich_sidecar.analysis.models.model import Device, Model, ModelFiles
from immich_sidecar.analysis.models.view import Asked, View
from immich_sidecar.analysis.models.wording import Turn
from immich_sidecar.errors import ModelTimeoutError

#: Seconds for all answers of a batch, where the model's entry says nothing else.
USUAL_SECONDS = 240.0
#: Bytes that a photo takes beside the weights: its look at about a thousand patches, and the memory of what was said.
#: Reckoned, not measured: 36 layers of 8 heads of 128 numbers, twice, for 3,000 tokens of two bytes are 0.44 GB.
BYTES_PER_PHOTO = 1_200_000_000


class QwenVl(Model[Asked, Words]):
    """A language model that sees.

    Options of its entry: `seconds` for all answers of a batch; `tokens` of the longest answer; `edge`, that of the
    longest side of the picture in pixels.
    """

    job: ClassVar[Job] = Job.WORDS

    def __init__(self, files: ModelFiles) -> None:
        super().__init__(files)
        self._seconds = float(files.options.get("seconds", USUAL_SECONDS))
        self._tokens = int(files.options.get("tokens", wording.MOST_TOKENS))
        self._edge = int(files.options.get("edge", wording.PICTURE_EDGE))
        self._model: Any = None
        self._processor: Any = None

    def memory(self, batch: int, device: Device) -> int:
        """Weights and what photos take beside them, in bytes."""
        each = 4 if device.is_cpu else 2
        return checkpoint.parameters(self.files) * each + batch * BYTES_PER_PHOTO * each // 2

    def _load(self, device: Device) -> None:
        processor = checkpoint.read_processor(self.files, "AutoProcessor")
        with reading_weights(self.files):
            import torch

            # Some checkpoints keep it with the tokenizer.
            if not getattr(processor, "chat_template", None) and hasattr(processor, "tokenizer"):
                processor.chat_template = processor.tokenizer.chat_template
            if not getattr(processor, "chat_template", None) or not hasattr(processor, "image_processor"):
                raise checkpoint.damaged(self.files, "its processor takes no pictures, or its chat template is missing")
            # The range of half precision is too small for it; this one has that of single precision.
            precision = torch.float32 if device.is_cpu else torch.bfloat16
            self._model = checkpoint.read(self.files, "AutoModelForImageTextToText", precision, onto=device.torch_name)
        self._processor = processor

    def _unload(self) -> None:
        self._model = self._processor = None
        give_memory_back(self.device)

    def prepare(self, given: Asked) -> None:
        """Resize the picture."""
        given.view.fitted(self._edge)

    def predict(self, batch: Sequence[Asked]) -> list[Words]:
        """What it says of each photo.

        Raises
        ------
        ModelAnswerError
            If it says nothing at all.
        ModelTimeoutError
            If its time was over before one answer could be understood.
        """
        device = self.loaded_on
        until = time.monotonic() + self._seconds

        def ask(said: list[tuple[int, tuple[Turn, ...]]]) -> list[str]:
            left = until - time.monotonic()
            if left <= 0:
                return [""] * len(said)
            return self._said([turns for _, turns in said], [batch[place].view for place, _ in said], until)

        found = wording.answers(ask, [asked.facts for asked in batch])
        if time.monotonic() > until and all(words.malformed is not None for words in found):
            raise ModelTimeoutError(
                f"{self.name} gave no whole answer within {self._seconds:.0f} s on {device}; a smaller model, or one "
                "on a server with a GPU (SIDECAR_WORDS=endpoint), is quicker"
            )
        return found

    def _said(self, said: Sequence[Sequence[Turn]], views: Sequence[View], until: float) -> list[str]:
        """What it says next in each of several talks, at most until a time of the monotonic clock."""
        import torch
        from transformers import StoppingCriteria, StoppingCriteriaList

        give_way = self.give_way

        class Pause(StoppingCriteria):  # type: ignore[misc]  # the library is not known where types are checked
            """Lets faster models go first between two tokens, and stops when the time is over."""

            def __call__(self, input_ids: Any, scores: Any, **_: Any) -> Any:
                give_way()
                is_over = time.monotonic() > until
                return torch.full((input_ids.shape[0],), is_over, device=input_ids.device, dtype=torch.bool)

        inputs = self._inputs(said, views)
        with torch.inference_mode():
            tokens = self._model.generate(
                **inputs,
                do_sample=False,
                temperature=None,
                top_p=None,
                top_k=None,
                max_new_tokens=self._tokens,
                stopping_criteria=StoppingCriteriaList([Pause()]),
            )
        answers: list[str] = self._processor.batch_decode(
            tokens[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True, clean_up_tokenization_spaces=False
        )
        return answers

    def _inputs(self, said: Sequence[Sequence[Turn]], views: Sequence[View]) -> Any:
        """The talks as the model takes them; shorter ones are filled up from the left, so that all end together."""
        talks = [
            [
                {
                    "role": turn.role,
                    "content": [*([{"type": "image"}] if place == 0 else []), {"type": "text", "text": turn.text}],
                }
                for place, turn in enumerate(turns)
            ]
            for turns in said
        ]
        texts = [
            self._processor.apply_chat_template(talk, tokenize=False, add_generation_prompt=True) for talk in talks
        ]
        return self._processor(
            text=texts,
            images=[view.fitted(self._edge) for view in views],
            padding=True,
            padding_side="left",
            return_tensors="pt",
        ).to(self._model.device)
