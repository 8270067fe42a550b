"""A colour table made for each photo, by image-adaptive 3D LUTs.

Zeng et al., "Learning Image-adaptive 3D Lookup Tables for High Performance Photo Enhancement in Real-time" (2020): a
small network looks at the photo and says how much of each of three learned tables to take. The sRGB weights that its
authors published learned one retoucher's hand (expert C of MIT-Adobe FiveK) on developed, unretouched photos.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.analysis.findings import Job
from immich_sidecar.analysis.models.loading import give_memory_back, on_device, reading_weights, weights_file
from immich_sidecar.analysis.models.model import CPU, Device, Model, ModelFiles
from immich_sidecar.analysis.models.view import View
from immich_sidecar.errors import ModelAnswerError

if TYPE_CHECKING:
    import torch

#: Points along the edges of the table.
POINTS = 33
#: Pixels along the edges of what the network sees.
_SIDE = 256
#: Shorter edge, in pixels, of the photos that it was trained on; its own interpolation shrinks those further.
_TRAINED_EDGE = 480
#: Layers of the published network that have weights, with the channels in and out; the last one fills 8 x 8 pixels.
_CONVOLUTIONS = ((1, 3, 16), (4, 16, 32), (7, 32, 64), (10, 64, 128), (13, 128, 128))
_NORMALISATIONS = (3, 6, 9, 12)
_LAST = 16
#: Steepness of the leaky rectifier below zero, and the constant within the root of the normalisation.
_LEAK, _EPSILON = 0.2, 1e-5
#: Bytes of weights and tables, and of what lies between the layers for one photo, in single precision.
_WEIGHTS_BYTES, _PHOTO_BYTES = 3_000_000, 6_000_000

#: (33, 33, 33, 3) float32 by blue, green, red, as in a `.cube` file: display red, green, blue; may leave 0..1.
Table = NDArray[np.float32]


class AdaptiveTable(Model[View, Table]):
    """The published network and its three tables; in single precision everywhere, for it is small."""

    job = Job.TONE

    def __init__(self, files: ModelFiles) -> None:
        super().__init__(files)
        self._weights: dict[str, torch.Tensor] = {}
        self._tables: torch.Tensor | None = None

    def memory(self, batch: int, device: Device) -> int:
        """About how many bytes it needs."""
        return _WEIGHTS_BYTES + batch * _PHOTO_BYTES

    def prepare(self, given: View) -> None:
        """Shrink the photo to what the network was trained on."""
        _seen(given)

    def predict(self, batch: Sequence[View]) -> list[Table]:
        """The table for each photo."""
        import torch

        found: list[Table] = []
        with torch.inference_mode():
            # Photos differ in shape until they are pressed into the network's square.
            seen = torch.cat([self._square(view) for view in batch])
            shares = self._shares(seen)
            tables = torch.einsum("bn,ncijk->bijkc", shares, self._tables).cpu().numpy()
        for table in tables:
            if not np.isfinite(table).all():
                raise ModelAnswerError(f"{self.name} answered with numbers that are none on {self.device}")
            found.append(np.ascontiguousarray(table, np.float32))
        return found

    def _load(self, device: Device) -> None:
        classifier = weights_file(self.files, "classifier", "classifier.pth")
        tables = weights_file(self.files, "tables", "LUTs.pth")
        with reading_weights(self.files):
            import torch

            def read(path: Any) -> Mapping[str, Any]:
                # Numbers only: whatever else a pickle holds is refused.
                found: Mapping[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
                return found

            weights = {name: tensor.float().to(device.torch_name) for name, tensor in read(classifier).items()}
            _check_shapes({name: tuple(tensor.shape) for name, tensor in weights.items()})
            stored = read(tables)
            basis = torch.stack([stored[str(n)]["LUT"].float() for n in range(3)]).to(device.torch_name)
            if tuple(basis.shape) != (3, 3, POINTS, POINTS, POINTS):
                raise ValueError(f"its tables have the shape {tuple(basis.shape)}")
        self._weights, self._tables = weights, basis

    def _unload(self) -> None:
        self._weights, self._tables = {}, None
        give_memory_back(self.device)

    def _square(self, view: View) -> "torch.Tensor":
        import torch.nn.functional as nn

        pixels = on_device(_seen(view), self.device or CPU).permute(2, 0, 1)[None].float() / 255
        return nn.interpolate(pixels, size=(_SIDE, _SIDE), mode="bilinear", align_corners=False)

    def _shares(self, x: "torch.Tensor") -> "torch.Tensor":
        """How much of each table, (photos, 3)."""
        import torch.nn.functional as nn

        weights = self._weights
        for (layer, _, _), norm in itertools.zip_longest(_CONVOLUTIONS, _NORMALISATIONS):
            kernel, bias = weights[f"model.{layer}.weight"], weights[f"model.{layer}.bias"]
            x = nn.leaky_relu(nn.conv2d(x, kernel, bias, stride=2, padding=1), _LEAK)
            if norm is not None:
                gain, shift = weights[f"model.{norm}.weight"], weights[f"model.{norm}.bias"]
                x = nn.instance_norm(x, weight=gain, bias=shift, eps=_EPSILON)
        return nn.conv2d(x, weights[f"model.{_LAST}.weight"], weights[f"model.{_LAST}.bias"]).flatten(1)


def _seen(view: View) -> NDArray[np.uint8]:
    """The photo with a shorter edge of at most 480 pixels."""
    width, height = view.size
    return view.fitted(max(1, round(_TRAINED_EDGE * max(width, height) / min(width, height))))


def _check_shapes(shapes: Mapping[str, tuple[int, ...]]) -> None:
    """Raise `ValueError` where weights are not those of the published network."""
    wanted: dict[str, tuple[int, ...]] = {}
    for layer, before, after in _CONVOLUTIONS:
        wanted |= {f"model.{layer}.weight": (after, before, 3, 3), f"model.{layer}.bias": (after,)}
    for norm, (_, _, channels) in zip(_NORMALISATIONS, _CONVOLUTIONS, strict=False):
        wanted |= {f"model.{norm}.weight": (channels,), f"model.{norm}.bias": (channels,)}
    wanted |= {f"model.{_LAST}.weight": (3, _CONVOLUTIONS[-1][2], 8, 8), f"model.{_LAST}.bias": (3,)}
    for name, shape in wanted.items():
        if shapes.get(name) != shape:
            raise ValueError(f"its {name} has the shape {shapes.get(name)} and should have {shape}")
