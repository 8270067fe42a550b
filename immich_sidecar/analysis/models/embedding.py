"""Vectors of photos and words that can be compared with each other, by models of open_clip."""

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.analysis.findings import Job
from immich_sidecar.analysis.models.loading import (
    bytes_each,
    give_memory_back,
    on_device,
    parameters_in,
    reading_weights,
    weights_file,
)
from immich_sidecar.analysis.models.model import CPU, Device, Model, ModelFiles
from immich_sidecar.analysis.models.view import View
from immich_sidecar.analysis.vocabulary import Calibration
from immich_sidecar.errors import ModelAnswerError, WeightsDamagedError

#: (dimensions,) or (count, dimensions) float32 of length 1.
Vector = NDArray[np.float32]

_WEIGHTS = "open_clip_model.safetensors"
#: Texts that go through the model at once.
_TEXTS_AT_ONCE = 64
#: Bytes of intermediate results for each value of the input; of a ViT-B, rounded up.
_BYTES_PER_VALUE = 160
#: What CLIP's authors normalise by (Radford et al. 2021, as open_clip does where a configuration says nothing).
_USUAL_MEAN = (0.48145466, 0.4578275, 0.40821073)
_USUAL_STD = (0.26862954, 0.26130258, 0.27577711)
_SIDE = 224


class OpenClip(Model[View, Vector]):
    """A model in open_clip's layout: `open_clip_config.json`, `open_clip_model.safetensors`, its tokenizer's files.

    Nothing is asked of a hub: a configuration that names text models or tokenizers elsewhere finds them in its own
    folder or is refused.
    """

    job = Job.EMBEDDING

    def __init__(self, files: ModelFiles) -> None:
        super().__init__(files)
        self._network: Any = None
        self._tokenizer: Any = None
        self._preparation = _Preparation()

    @property
    def dimensions(self) -> int:
        """Numbers of a vector.

        Raises
        ------
        WeightsMissingError
            If its configuration is not there.
        WeightsDamagedError
            If that cannot be read.
        """
        return int(self._configuration()["embed_dim"])

    @property
    def calibration(self) -> Calibration:
        """How likeness becomes probability: the scale (and bias) that the model was trained with; it must be loaded."""
        scale = float(self._network.logit_scale.detach().float().exp())
        bias = getattr(self._network, "logit_bias", None)
        return Calibration(scale=scale, bias=None if bias is None else float(bias.detach().float()))

    def memory(self, batch: int, device: Device) -> int:
        """About how many bytes it needs: its weights, and what lies between its layers."""
        weights = parameters_in(self.files.folder / _WEIGHTS) * bytes_each(device)
        return weights + batch * 3 * _SIDE * _SIDE * _BYTES_PER_VALUE * bytes_each(device) // 4

    def prepare(self, given: View) -> None:
        """Make the square that the model sees."""
        self._prepared(given)

    def predict(self, batch: Sequence[View]) -> list[Vector]:
        """A vector for each photo."""
        import torch

        prepared = np.stack([self._prepared(view) for view in batch])
        with torch.inference_mode():
            pixels = on_device(prepared, self._on).permute(0, 3, 1, 2)
            mean, std = (torch.tensor(v, device=pixels.device).view(1, 3, 1, 1) for v in self._preparation.normal)
            images = (pixels.float() / 255 - mean) / std
            vectors = self._network.encode_image(images.to(self._dtype), normalize=False)
        return list(self._unit(vectors))

    def encode_text(self, texts: Sequence[str]) -> Vector:
        """Vectors of some texts, (count, dimensions)."""
        import torch

        found = []
        for first in range(0, len(texts), _TEXTS_AT_ONCE):
            tokens = self._tokenizer(list(texts[first : first + _TEXTS_AT_ONCE]))
            with torch.inference_mode():
                vectors = self._network.encode_text(tokens.to(self._on.torch_name), normalize=False)
            found.append(self._unit(vectors))
        return np.concatenate(found) if found else np.empty((0, self.dimensions), np.float32)

    def _prepared(self, view: View) -> NDArray[np.uint8]:
        return view.kept(f"{self.name} {self.revision}", lambda: self._preparation.of(view))

    @property
    def _on(self) -> Device:
        return self.device or CPU

    @property
    def _dtype(self) -> Any:
        import torch

        return torch.float32 if self._on.is_cpu else torch.float16

    def _load(self, device: Device) -> None:
        folder = self.files.folder
        configuration = self._configuration()
        # Of several files open_clip takes this one; it is no pickle.
        weights_file(self.files, "weights", _WEIGHTS)
        with reading_weights(self.files):
            import open_clip
            import torch

            network = open_clip.create_model(f"local-dir:{folder}", pretrained_text=False, require_pretrained=True)
            # Tokenizers of other kinds than CLIP's own are read from the folder and must not be asked for elsewhere.
            elsewhere = {"local_files_only": True} if configuration["text_cfg"].get("hf_tokenizer_name") else {}
            tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}", **elsewhere)
            preparation = _Preparation.of_configuration(network.visual.preprocess_cfg)
            dtype = torch.float32 if device.is_cpu else torch.float16
            network = network.eval().requires_grad_(requires_grad=False).to(device.torch_name, dtype)
        self._network, self._tokenizer, self._preparation = network, tokenizer, preparation

    def _unload(self) -> None:
        device, self._network, self._tokenizer = self.device, None, None
        give_memory_back(device)

    def _configuration(self) -> dict[str, Any]:
        """The part of its configuration that describes the network."""
        path = weights_file(self.files, "config", "open_clip_config.json")
        with reading_weights(self.files):
            described: dict[str, Any] = json.loads(path.read_text("utf-8"))["model_cfg"]
            if described["text_cfg"].get("hf_model_name"):
                raise WeightsDamagedError(
                    f"{self.name}: its words are read by {described['text_cfg']['hf_model_name']}, which is not among "
                    "its files; choose an open_clip model that has its own text tower"
                )
            int(described["embed_dim"])
        return described

    def _unit(self, vectors: Any) -> Vector:
        """Vectors as the processor's single precision numbers of length 1."""
        found: NDArray[np.float32] = vectors.float().cpu().numpy()
        lengths = np.linalg.norm(found, axis=-1, keepdims=True)
        if not (np.isfinite(lengths) & (lengths > 0)).all():
            raise ModelAnswerError(
                f"{self.name} answered with numbers that are none on {self._on}; try it with SIDECAR_DEVICE=cpu"
            )
        return np.ascontiguousarray(found / lengths, np.float32)


class _Preparation:
    """How a photo becomes the square that a model sees, as its configuration says."""

    def __init__(
        self,
        side: tuple[int, int] = (_SIDE, _SIDE),
        *,
        squashes: bool = False,
        is_bilinear: bool = False,
        mean: Sequence[float] = _USUAL_MEAN,
        std: Sequence[float] = _USUAL_STD,
    ) -> None:
        #: Height and width.
        self.side = side
        #: Whether the whole photo is pressed into the square; else its middle is taken.
        self.squashes = squashes
        self.is_bilinear = is_bilinear
        self.normal = (tuple(mean), tuple(std))

    @classmethod
    def of_configuration(cls, said: dict[str, Any]) -> "_Preparation":
        """From `preprocess_cfg`; raises `ValueError` for what is not known."""
        mode, interpolation = said["resize_mode"], said["interpolation"]
        if mode not in {"squash", "shortest"} or interpolation not in {"bicubic", "bilinear"}:
            raise ValueError(f"photos prepared by {mode} and {interpolation} are not supported")
        size = said["size"]
        height, width = (size, size) if isinstance(size, int) else size
        if mode == "shortest" and height != width:
            raise ValueError("an input that is no square is not supported")
        return cls(
            (height, width),
            squashes=mode == "squash",
            is_bilinear=interpolation == "bilinear",
            mean=said["mean"],
            std=said["std"],
        )

    def of(self, view: View) -> NDArray[np.uint8]:
        """(height, width, 3), with Pillow's filters: training used those, and they shrink without aliasing."""
        from PIL import Image

        height, width = self.side
        image: Image.Image = Image.fromarray(view.display)
        method = Image.Resampling.BILINEAR if self.is_bilinear else Image.Resampling.BICUBIC
        if self.squashes:
            return np.asarray(image.resize((width, height), method))
        longest = max(view.size)
        shortest = min(view.size)
        other = int(width * longest / shortest)
        size = (other, width) if view.size[0] >= view.size[1] else (width, other)
        left, top = round((size[0] - width) / 2), round((size[1] - height) / 2)
        return np.asarray(image.resize(size, method).crop((left, top, left + width, top + height)))
