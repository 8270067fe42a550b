"""How people would vote on a photo: NIMA on MobileNet, with the weights that idealo published.

Talebi and Milanfar, "NIMA: Neural Image Assessment" (2018): a network gives the distribution of votes from 1 to 10
rather than their mean. idealo's repository `image-quality-assessment` trained MobileNet so (Howard et al. 2017; width
1, mean over all places, one dense layer with softmax) on AVA for how pleasing photos are and on TID2013 for how well
they are made, with Keras; its files are HDF5 in the layout of Keras' `save_weights`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.analysis.findings import Job, Quality
from immich_sidecar.analysis.models.loading import (
    bytes_each,
    give_memory_back,
    on_device,
    reading_weights,
    weights_file,
)
from immich_sidecar.analysis.models.model import CPU, Device, Model, ModelFiles
from immich_sidecar.analysis.models.view import View
from immich_sidecar.errors import ModelAnswerError

if TYPE_CHECKING:
    from pathlib import Path

    import torch

#: Pixels along the edges of what the network sees.
SIDE = 224
#: Longest edge, in pixels, from which the network's input is taken. idealo's program takes the nearest pixels of the
#: file, and the files it was trained on are 512 (TID2013) to about 640 (AVA) pixels long: from a larger picture it
#: would see coarser grains than it ever learned about.
_LOADED_EDGE = 640
#: Channels of the depthwise blocks, and how far each steps (Howard et al. 2017, table 1).
_BLOCKS = (
    (64, 1),
    (128, 2),
    (128, 1),
    (256, 2),
    (256, 1),
    (512, 2),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (512, 1),
    (1024, 2),
    (1024, 1),
)
_FIRST_CHANNELS = 32
#: Keras' constant within the root of its batch normalisation.
_EPSILON = 1e-3
#: Bytes in single precision: 3.2 million weights; for each photo three of the widest results, 64 x 112 x 112.
_WEIGHTS_BYTES, _PHOTO_BYTES = 13_000_000, 10_000_000

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Layer:
    """A convolution with its batch normalisation multiplied in, followed by ReLU6."""

    weight: "torch.Tensor"
    bias: "torch.Tensor"
    stride: int
    #: Whether each channel is filtered for itself.
    is_depthwise: bool


class Nima(Model[View, Quality]):
    """Votes on photos; one of the two below."""

    #: What the file is called where the model's entry does not say.
    usual_file: ClassVar[str]

    def __init__(self, files: ModelFiles) -> None:
        super().__init__(files)
        self._layers: tuple[_Layer, ...] = ()
        self._dense: Any = None

    def memory(self, batch: int, device: Device) -> int:
        """About how many bytes it needs."""
        return (_WEIGHTS_BYTES + batch * _PHOTO_BYTES) * bytes_each(device) // 4

    def prepare(self, given: View) -> None:
        """Take the pixels that the network sees."""
        _seen(given)

    def predict(self, batch: Sequence[View]) -> list[Quality]:
        """The votes for each photo."""
        import torch
        import torch.nn.functional as nn

        device = self.device or CPU
        with torch.inference_mode():
            pixels = on_device(np.stack([_seen(view) for view in batch]), device).permute(0, 3, 1, 2)
            weight, bias = self._dense
            x = (pixels.float() / 127.5 - 1).to(weight.dtype)
            for layer in self._layers:
                size = layer.weight.shape[-1]
                if layer.stride > 1:
                    # TensorFlow fills up on the right and below alone where a filter steps over pixels.
                    x = nn.pad(x, (0, 1, 0, 1))
                x = nn.conv2d(
                    x,
                    layer.weight,
                    layer.bias,
                    stride=layer.stride,
                    padding=size // 2 if layer.stride == 1 else 0,
                    groups=x.shape[1] if layer.is_depthwise else 1,
                )
                x = nn.relu6(x)
            votes = nn.linear(x.mean(dim=(2, 3)), weight, bias).float().softmax(dim=1).cpu().numpy()
        return [self._quality(row) for row in votes.astype(np.float64)]

    def _load(self, device: Device) -> None:
        path = weights_file(self.files, "weights", self.usual_file)
        with reading_weights(self.files):
            import torch

            dtype = torch.float32 if device.is_cpu else torch.float16
            layers, (weight, bias) = _read(path)

            def put(array: Array) -> "torch.Tensor":
                return torch.from_numpy(np.ascontiguousarray(array)).to(device.torch_name, dtype)

            self._layers = tuple(_Layer(put(w), put(b), stride, depthwise) for w, b, stride, depthwise in layers)
            self._dense = (put(weight), put(bias))

    def _unload(self) -> None:
        self._layers, self._dense = (), None
        give_memory_back(self.device)

    def _quality(self, votes: NDArray[np.float64]) -> Quality:
        if not np.isfinite(votes).all():
            raise ModelAnswerError(
                f"{self.name} answered with numbers that are none on {self.device}; try it with SIDECAR_DEVICE=cpu"
            )
        return Quality(votes=tuple(float(share) for share in votes / votes.sum()))


class Aesthetic(Nima):
    """How pleasing a photo is."""

    job = Job.AESTHETIC
    usual_file = "weights_mobilenet_aesthetic_0.07.hdf5"


class Technical(Nima):
    """How well a photo is made."""

    job = Job.TECHNICAL
    usual_file = "weights_mobilenet_technical_0.11.hdf5"


def _seen(view: View) -> NDArray[np.uint8]:
    """(224, 224, 3): the nearest pixels, the whole photo pressed into the square, as Keras' `load_img` does."""
    from PIL import Image

    def make() -> NDArray[np.uint8]:
        image = Image.fromarray(view.fitted(_LOADED_EDGE))
        return np.asarray(image.resize((SIDE, SIDE), Image.Resampling.NEAREST))

    return view.kept("nima", make)


def _read(path: "Path") -> tuple[list[tuple[Array, Array, int, bool]], tuple[Array, Array]]:
    """Weight, bias, stride and kind of each convolution, and weight and bias of the dense layer.

    Raises
    ------
    ValueError
        If the file holds another network.
    """
    import h5py

    with h5py.File(path, "r") as file:
        layers = _by_layer(file.get("model_weights", file))
    dense = [name for name in layers if name.startswith("dense")]
    if len(dense) != 1:
        raise ValueError(f"it has {len(dense)} dense layers and should have one")
    found = [_folded(layers, "conv1", (_FIRST_CHANNELS, 3, 3, 3), 2, is_depthwise=False)]
    channels = _FIRST_CHANNELS
    for number, (wanted, stride) in enumerate(_BLOCKS, start=1):
        found.append(_folded(layers, f"conv_dw_{number}", (channels, 1, 3, 3), stride, is_depthwise=True))
        found.append(_folded(layers, f"conv_pw_{number}", (wanted, channels, 1, 1), 1, is_depthwise=False))
        channels = wanted
    kernel, bias = _part(layers, dense[0], "kernel"), _part(layers, dense[0], "bias")
    if kernel.shape != (channels, 10) or bias.shape != (10,):
        raise ValueError(f"its last layer has the shape {kernel.shape} and should have ({channels}, 10)")
    return found, (kernel.T, bias)


def _by_layer(root: Any) -> dict[str, dict[str, Array]]:
    """Arrays by layer and by the last part of their name, without the number that TensorFlow hangs on it."""
    import h5py

    layers: dict[str, dict[str, Array]] = {}
    for layer, group in root.items():
        if layer == "top_level_model_weights" or not isinstance(group, h5py.Group):
            continue
        names: list[str] = []
        group.visit(names.append)
        for name in names:
            if isinstance(group[name], h5py.Dataset):
                part = name.rsplit("/", maxsplit=1)[-1].partition(":")[0]
                layers.setdefault(layer, {})[part] = np.asarray(group[name], np.float32)
    return layers


def _folded(
    layers: dict[str, dict[str, Array]], name: str, shape: tuple[int, ...], stride: int, *, is_depthwise: bool
) -> tuple[Array, Array, int, bool]:
    """A convolution with the normalisation after it multiplied in."""
    arrays = layers.get(name, {})
    kernel = arrays.get("depthwise_kernel", arrays.get("kernel"))
    if kernel is None or kernel.ndim != 4:
        raise ValueError(f"it has no layer {name} of a MobileNet")
    # Keras: height, width, in, out; for depthwise ones height, width, channels, 1.
    weight = kernel.transpose(2, 3, 0, 1) if is_depthwise else kernel.transpose(3, 2, 0, 1)
    if weight.shape != shape:
        raise ValueError(f"its layer {name} has the shape {weight.shape} and should have {shape}")
    gamma, beta, mean, variance = (
        _part(layers, f"{name}_bn", part) for part in ("gamma", "beta", "moving_mean", "moving_variance")
    )
    scale = gamma / np.sqrt(variance + np.float32(_EPSILON))
    return weight * scale[:, None, None, None], beta - mean * scale, stride, is_depthwise


def _part(layers: dict[str, dict[str, Array]], layer: str, part: str) -> Array:
    array = layers.get(layer, {}).get(part)
    if array is None:
        raise ValueError(f"it has no {part} of the layer {layer}")
    return array
