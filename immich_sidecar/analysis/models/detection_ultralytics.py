"""Objects and their boxes: RT-DETR through the ultralytics library, whose weights are pickled.

Whether a pickled file may be opened at all was decided before (`analysis/weights.py`). Where the library can, it is
opened so that nothing but the library's own and torch's layers is built from it.
"""

import inspect
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from immich_sidecar.analysis.findings import FoundObject, Job
from immich_sidecar.analysis.models import checkpoint
from immich_sidecar.analysis.models.detection import DEFAULT_THRESHOLD, NUMBERS_PER_PIXEL, found_objects, no_numbers
from immich_sidecar.analysis.models.loading import bytes_each, give_memory_back, on_device, reading_weights
from immich_sidecar.analysis.models.model import Device, Model, ModelFiles
from immich_sidecar.analysis.models.view import View
from immich_sidecar.errors import ModelAnswerError

#: Side of the input where neither the weights nor their entry name one, in pixels.
USUAL_SIDE = 640


class UltralyticsDetector(Model[View, tuple[FoundObject, ...]]):
    """RT-DETR as ultralytics trained it; its part `weights` is a `.pt` file.

    Options of its entry: `threshold`, the least certainty of an object, 0 to 1; `side`, that of the input in pixels;
    `restricted`, false to open a file that holds more than layers (it can then run code).
    """

    job: ClassVar[Job] = Job.DETECTION

    def __init__(self, files: ModelFiles) -> None:
        super().__init__(files)
        self.threshold = float(files.options.get("threshold", DEFAULT_THRESHOLD))
        self._side = int(files.options.get("side", USUAL_SIDE))
        self._model: Any = None

    def memory(self, batch: int, device: Device) -> int:
        """Weights and what a forward pass holds, in bytes; the weights are kept in half precision on disk."""
        weights = self._weights()
        checkpoint.require(self.files, weights)
        parameters = int(weights.stat().st_size) // 2
        numbers = parameters + batch * NUMBERS_PER_PIXEL * self._side**2
        return numbers * bytes_each(device)

    def _weights(self) -> Path:
        return self.files.files.get("weights", self.files.folder / "weights.pt")

    def _load(self, device: Device) -> None:
        weights = self._weights()
        checkpoint.require(self.files, weights)
        # Read by the library when it is first imported: no settings in the home of whoever runs the service, nothing
        # sent, nothing installed, nothing downloaded.
        os.environ.setdefault("YOLO_CONFIG_DIR", str(self.files.folder))
        os.environ.update(YOLO_OFFLINE="true", YOLO_AUTOINSTALL="false", YOLO_VERBOSE="false")
        with reading_weights(self.files):
            opens = Image.open
            from ultralytics.nn.tasks import torch_safe_load

            # The library puts a function of its own here, which wants a further package for what cannot be read.
            Image.open = opens

            can_restrict = "safe_only" in inspect.signature(torch_safe_load).parameters
            how = {"safe_only": bool(self.files.options.get("restricted", True))} if can_restrict else {}
            held, _ = torch_safe_load(str(weights), **how)
            model = held.get("ema") or held["model"]
            if type(model).__name__ != "RTDETRDetectionModel":
                raise checkpoint.damaged(self.files, f"it holds a {type(model).__name__}, no RT-DETR")
            if "side" not in self.files.options:
                self._side = int((held.get("train_args") or {}).get("imgsz", USUAL_SIDE))
            model = model.float().fuse(verbose=False).eval().to(device.torch_name)
            self._model = model if device.is_cpu else model.half()

    def _unload(self) -> None:
        self._model = None
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
            pixels = on_device(np.stack([self._input(view) for view in batch]), device)
            pixels = pixels.permute(0, 3, 1, 2).contiguous()
            pixels = (pixels.float() if device.is_cpu else pixels.half()) / 255
            answers = self._model(pixels)
            answers = answers[0] if isinstance(answers, (list, tuple)) else answers
            numbers = answers.float().cpu().numpy()
        if not np.isfinite(numbers).all():
            raise ModelAnswerError(no_numbers(self.name))
        return [self._found(answer) for answer in numbers]

    def _found(self, answer: NDArray[np.float32]) -> tuple[FoundObject, ...]:
        """Objects from (queries, 6) of centre, size, score and class."""
        if answer.shape[1] != 6:
            raise ModelAnswerError(
                f"{self.name} answered in another form than this version of ultralytics does; the `ai` extra names "
                "the versions that fit"
            )
        answer = answer[answer[:, 4] > self.threshold]
        answer = answer[np.argsort(-answer[:, 4], kind="stable")]
        centres, halves = answer[:, :2], answer[:, 2:4] / 2
        names = self._model.names
        return found_objects(
            np.concatenate([centres - halves, centres + halves], axis=1),
            answer[:, 4],
            [str(names[int(number)]) for number in answer[:, 5]],
            self.name,
        )

    def _input(self, view: View) -> NDArray[np.uint8]:
        """The picture stretched to a square, as the library's predictor does it."""
        side = self._side

        def stretched() -> NDArray[np.uint8]:
            return np.asarray(cv2.resize(view.display, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)

        return view.kept(f"linear {side}", stretched)
