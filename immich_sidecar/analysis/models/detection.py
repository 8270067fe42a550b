"""Objects and their boxes: RT-DETR, RT-DETRv2 and D-FINE through the transformers library."""

from collections.abc import Sequence
from typing import Any, ClassVar

import numpy as np

from immich_sidecar.analysis.findings import Box, FoundObject, Job
from immich_sidecar.analysis.models import checkpoint
from immich_sidecar.analysis.models.loading import bytes_each, give_memory_back, on_device, reading_weights
from immich_sidecar.analysis.models.model import Device, Model, ModelFiles
from immich_sidecar.analysis.models.view import View
from immich_sidecar.errors import ModelAnswerError

#: Certainty from which on an object counts, where the model's entry says nothing else.
DEFAULT_THRESHOLD = 0.5
#: Numbers that a forward pass holds at once, for each pixel of the input; measured 122 on the default model.
NUMBERS_PER_PIXEL = 150
#: Width and height of the input, as long as the model's files have not told theirs.
USUAL_SIDE = (640, 640)


class Detector(Model[View, tuple[FoundObject, ...]]):
    """A detector of the DETR family that needs no suppression of double boxes.

    Options of its entry: `threshold`, the least certainty of an object, 0 to 1.
    """

    job: ClassVar[Job] = Job.DETECTION

    def __init__(self, files: ModelFiles) -> None:
        super().__init__(files)
        self.threshold = float(files.options.get("threshold", DEFAULT_THRESHOLD))
        self._model: Any = None
        self._processor: Any = None
        self._side = USUAL_SIDE

    def memory(self, batch: int, device: Device) -> int:
        """Weights and what a forward pass holds, in bytes."""
        width, height = self._side
        numbers = checkpoint.parameters(self.files) + batch * NUMBERS_PER_PIXEL * width * height
        return numbers * bytes_each(device)

    def _load(self, device: Device) -> None:
        processor = checkpoint.read_processor(self.files, "AutoImageProcessor")
        with reading_weights(self.files):
            self._side = (int(processor.size["width"]), int(processor.size["height"]))
            model = checkpoint.read(self.files, "AutoModelForObjectDetection", checkpoint.half(device))
            if not hasattr(processor, "post_process_object_detection"):
                raise checkpoint.damaged(self.files, "its image processor is none of a detector")
            self._model = model.to(device.torch_name)
        self._processor = processor

    def _unload(self) -> None:
        self._model = self._processor = None
        give_memory_back(self.device)

    def prepare(self, given: View) -> None:
        """Resize the picture to the side of the input."""
        self._input(given)

    def predict(self, batch: Sequence[View]) -> list[tuple[FoundObject, ...]]:
        """The objects in each picture, the most certain first.

        Raises
        ------
        ModelAnswerError
            If it answers with places that are no numbers.
        """
        import torch

        device = self.loaded_on
        with torch.inference_mode():
            pixels = torch.stack([self._input(view) for view in batch])
            pixels = self._normalised(on_device(pixels.numpy(), device))
            outputs = self._model(pixel_values=pixels.to(self._model.dtype))
            outputs.logits, outputs.pred_boxes = outputs.logits.float().cpu(), outputs.pred_boxes.float().cpu()
            # The library takes what is no number for a low score, and so for nothing found.
            if not (torch.isfinite(outputs.logits).all() and torch.isfinite(outputs.pred_boxes).all()):
                raise ModelAnswerError(no_numbers(self.name))
            answers = self._processor.post_process_object_detection(outputs, threshold=self.threshold)
        labels = self._model.config.id2label
        return [
            found_objects(
                answer["boxes"].numpy(),
                answer["scores"].numpy(),
                [labels[int(number)] for number in answer["labels"]],
                self.name,
            )
            for answer in answers
        ]

    def _input(self, view: View) -> Any:
        """The picture at the side of the input, (3, height, width) uint8, as the library's own processor makes it."""
        width, height = self._side
        return view.kept(f"antialiased {width}x{height}", lambda: antialiased(view, width, height))

    def _normalised(self, pixels: Any) -> Any:
        """Pixels in the range that the model was trained on."""
        import torch

        processor = self._processor
        pixels = pixels.float()
        if processor.do_rescale:
            pixels = pixels * processor.rescale_factor
        if processor.do_normalize:
            mean, deviation = (
                torch.tensor(values, device=pixels.device).view(1, 3, 1, 1)
                for values in (processor.image_mean, processor.image_std)
            )
            pixels = (pixels - mean) / deviation
        return pixels


def antialiased(view: View, width: int, height: int) -> Any:
    """The picture resized as torchvision does it, bilinear and free of aliasing; a (3, height, width) uint8 tensor."""
    import torch
    from torchvision.transforms.v2 import functional

    pixels = torch.from_numpy(view.display).permute(2, 0, 1)
    return functional.resize(
        pixels, [height, width], interpolation=functional.InterpolationMode.BILINEAR, antialias=True
    )


def no_numbers(model: str) -> str:
    """What to say of an answer that is no number."""
    return f"{model} answered with what is no number; its weights may not bear half precision (SIDECAR_DEVICE=cpu does)"


def found_objects(
    corners: np.typing.NDArray[np.floating[Any]],
    scores: np.typing.NDArray[np.floating[Any]],
    labels: Sequence[str],
    model: str,
) -> tuple[FoundObject, ...]:
    """Objects from corners in fractions (left, top, right, bottom), cut to the photo; empty ones are dropped.

    Raises
    ------
    ModelAnswerError
        If a corner or a score is no number.
    """
    if not (np.isfinite(corners).all() and np.isfinite(scores).all()):
        raise ModelAnswerError(no_numbers(model))
    objects = []
    for (left, top, right, bottom), score, label in zip(np.clip(corners, 0, 1).tolist(), scores, labels, strict=True):
        if right > left and bottom > top:
            box = Box(x=left, y=top, width=min(right - left, 1.0), height=min(bottom - top, 1.0))
            objects.append(FoundObject(label=label, score=min(1.0, float(score)), box=box))
    return tuple(objects)
