"""Outlines of what lies in a box or around a point: SAM 2.1 through the transformers library."""

from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

from immich_sidecar.analysis import masks
from immich_sidecar.analysis.findings import Job, Mask
from immich_sidecar.analysis.models import checkpoint
from immich_sidecar.analysis.models.detection import antialiased, no_numbers
from immich_sidecar.analysis.models.loading import bytes_each, give_memory_back, on_device, reading_weights
from immich_sidecar.analysis.models.model import Device, Model, ModelFiles
from immich_sidecar.analysis.models.view import Prompted, View
from immich_sidecar.errors import ModelAnswerError

#: Cells along the longer edge of a mask: SAM 2 answers on 256 by 256 cells, whatever the photo's shape, so that more
#: would only be interpolated; where a mask is developed by, its edge is drawn to the photo's own.
GRID_EDGE = 256
#: Side of the input, as long as the model's files have not told theirs.
USUAL_SIDE = 1024
#: Numbers that a forward pass holds at once, for each pixel of the input; measured 121 on the tiny model.
NUMBERS_PER_PIXEL = 150
#: Prompts that are answered at once.
PROMPTS_AT_ONCE = 8
#: Bytes that each of them holds, in single precision; measured 48 MB on the tiny model, whose decoder all sizes share.
BYTES_PER_PROMPT = 50_000_000


class Sam(Model[Prompted, list[Mask]]):
    """What the two ways to SAM 2 share: one look at each photo, then all of its prompts.

    A box is answered by the one mask that the network makes for clear prompts; a point, which may mean a button, a
    shirt or a person, by that of three which the network itself expects to fit best.
    """

    job: ClassVar[Job] = Job.SEGMENTATION

    def __init__(self, files: ModelFiles) -> None:
        super().__init__(files)
        self._side = USUAL_SIDE
        #: Mean and deviation of each channel that the network was trained with.
        self._mean: Sequence[float] = (0.0, 0.0, 0.0)
        self._deviation: Sequence[float] = (1.0, 1.0, 1.0)

    def memory(self, batch: int, device: Device) -> int:
        """Weights, what the look at each photo holds, and what the prompts of one hold, in bytes."""
        numbers = self._parameters() + batch * NUMBERS_PER_PIXEL * self._side**2
        return numbers * bytes_each(device) + PROMPTS_AT_ONCE * BYTES_PER_PROMPT

    @abstractmethod
    def _parameters(self) -> int:
        """How many numbers the weights hold."""

    @abstractmethod
    def _features(self, pixels: Any) -> list[list[Any]]:
        """What the network sees in each picture, in single precision: for each a list of tensors of one photo."""

    @abstractmethod
    def _answers(self, features: list[Any], boxes: Any, points: Any) -> tuple[Any, Any]:
        """Masks (prompts, candidates, rows, columns) as logits and their expected fit (prompts, candidates).

        Either boxes (prompts, 4) or points (prompts, 2) are given, in pixels of the input; the other is None.
        """

    def prepare(self, given: Prompted) -> None:
        """Resize the picture to the side of the input."""
        self._input(given.view)

    def predict(self, batch: Sequence[Prompted]) -> list[list[Mask]]:
        """For each photo the masks of its boxes, then those of its points; a mask may be empty.

        Raises
        ------
        ModelAnswerError
            If it answers with what is no number.
        """
        import torch

        device = self.loaded_on
        asked = [prompted for prompted in batch if prompted.boxes or prompted.points]
        if not asked:
            return [[] for _ in batch]
        with torch.inference_mode():
            pixels = on_device(torch.stack([self._input(prompted.view) for prompted in asked]).numpy(), device)
            mean, deviation = (
                torch.tensor(values, device=pixels.device).view(1, 3, 1, 1) for values in (self._mean, self._deviation)
            )
            features = self._features((pixels.float() / 255 - mean) / deviation)
            found = [self._masks(seen, prompted) for seen, prompted in zip(features, asked, strict=True)]
        answers = iter(found)
        return [next(answers) if prompted.boxes or prompted.points else [] for prompted in batch]

    def _masks(self, features: list[Any], prompted: Prompted) -> list[Mask]:
        """The masks of one photo."""
        import torch

        corners = [(box.x, box.y, box.x + box.width, box.y + box.height) for box in prompted.boxes]
        found: list[Mask] = []
        for prompts, are_boxes in ((corners, True), (list(prompted.points), False)):
            for start in range(0, len(prompts), PROMPTS_AT_ONCE):
                places = torch.tensor(prompts[start : start + PROMPTS_AT_ONCE], dtype=torch.float32)
                places = places.to(features[0].device) * self._side
                logits, fits = self._answers(features, places if are_boxes else None, None if are_boxes else places)
                best = fits.argmax(dim=1)
                logits = logits[torch.arange(len(best), device=best.device), best].float()
                if not torch.isfinite(logits).all():
                    raise ModelAnswerError(no_numbers(self.name))
                found += on_grid(logits, *grid(prompted.view))
        return found

    def _input(self, view: View) -> Any:
        """The picture stretched to the side of the input, (3, side, side) uint8."""
        return view.kept(f"antialiased {self._side}x{self._side}", lambda: antialiased(view, self._side, self._side))


def grid(view: View) -> tuple[int, int]:
    """Columns and rows of the masks of a picture."""
    width, height = view.size
    scale = GRID_EDGE / max(width, height)
    return max(1, round(width * scale)), max(1, round(height * scale))


def on_grid(logits: Any, width: int, height: int) -> list[Mask]:
    """Masks from logits (masks, rows, columns) over the whole photo, interpolated to its grid; inside where above 0."""
    import torch

    resized = torch.nn.functional.interpolate(logits[:, None], (height, width), mode="bilinear", align_corners=False)
    return [masks.encode(inside) for inside in (resized[:, 0] > 0).cpu().numpy()]


class Segmenter(Sam):
    """SAM 2.1 from a folder of the transformers library."""

    def __init__(self, files: ModelFiles) -> None:
        super().__init__(files)
        self._model: Any = None

    def _parameters(self) -> int:
        return checkpoint.parameters(self.files)

    def _load(self, device: Device) -> None:
        import torch

        processor = checkpoint.read_processor(self.files, "Sam2ImageProcessor")
        with reading_weights(self.files):
            if processor.size["width"] != processor.size["height"]:
                raise checkpoint.damaged(self.files, "its input is not square")
            self._side = int(processor.size["width"])
            self._mean, self._deviation = processor.image_mean, processor.image_std
            model = checkpoint.read(self.files, "Sam2Model", torch.float32)
            # What looks at the photo is nearly all of the work and bears half precision; prompts and masks are places,
            # and stay exact.
            model.vision_encoder.to(checkpoint.half(device))
            self._model = model.to(device.torch_name)

    def _unload(self) -> None:
        self._model = None
        give_memory_back(self.device)

    def _features(self, pixels: Any) -> list[list[Any]]:
        model = self._model
        levels = model.vision_encoder(pixels.to(next(model.vision_encoder.parameters()).dtype)).fpn_hidden_states
        levels = [level.float() for level in levels]
        levels[0] = model.mask_decoder.conv_s0(levels[0])
        levels[1] = model.mask_decoder.conv_s1(levels[1])
        levels[-1] = levels[-1] + model.no_memory_embedding.view(1, -1, 1, 1)
        return [[level[place : place + 1] for level in levels] for place in range(len(pixels))]

    def _answers(self, features: list[Any], boxes: Any, points: Any) -> tuple[Any, Any]:
        asked = {"input_boxes": boxes[None]} if points is None else {"input_points": points[None, :, None]}
        outputs = self._model(image_embeddings=features, multimask_output=points is not None, **asked)
        return outputs.pred_masks[0], outputs.iou_scores[0]
