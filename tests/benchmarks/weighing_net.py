"""The network of `analysis/measure/tilt/weighing.py` in torch, for training, and its weights for NumPy."""

from typing import Any

import numpy as np

from immich_sidecar.analysis.measure.tilt.maps import LEVELS, REST, UPRIGHTS
from immich_sidecar.analysis.measure.tilt.weighing import LEANS, MEETINGS, Weights, level_shares, upright_shares

#: Channels of the squares, and of the filters along the leans.
CHANNELS, FILTERS = 32, 24


def net() -> Any:
    """A network with random weights."""
    import torch
    from torch import nn
    from torch.nn import functional

    class Net(nn.Module):
        """Batches of maps in, one value for each lean out."""

        def __init__(self) -> None:
            super().__init__()

            def convolution() -> nn.Module:
                return nn.Sequential(nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1), nn.BatchNorm2d(CHANNELS))

            count = LEVELS + UPRIGHTS + REST
            self.first = nn.Sequential(nn.BatchNorm2d(count), nn.Conv2d(count, CHANNELS, 1), nn.BatchNorm2d(CHANNELS))
            self.near, self.far, self.last = convolution(), convolution(), convolution()
            self.drop = nn.Dropout2d(0.1)
            self.whole = nn.Linear(2 * CHANNELS, CHANNELS)
            self.matters = nn.Conv2d(CHANNELS, 2, 1)
            self.context = nn.Linear(2 * CHANNELS, FILTERS)
            self.filter_1 = nn.Conv1d(MEETINGS.size + 4, FILTERS, 7, padding=3)
            self.filter_2 = nn.Conv1d(FILTERS, FILTERS, 5, padding=2)
            self.filter_3 = nn.Conv1d(FILTERS, FILTERS, 5, padding=2)
            self.filter_4 = nn.Conv1d(FILTERS, 1, 5, padding=2)

        def forward(self, maps: Any) -> Any:
            def summary(x: Any) -> Any:
                return torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)

            x = functional.relu(self.first(maps))
            x = x + functional.relu(self.near(self.drop(x)))
            x = x + functional.relu(self.far(self.drop(x)))
            x = functional.relu(x + self.whole(summary(x))[:, :, None, None])
            x = x + functional.relu(self.last(x))
            matters = functional.softplus(self.matters(x) - 2)
            level = (maps[:, :LEVELS] ** 2 * matters[:, :1]).sum((2, 3))
            upright = (maps[:, LEVELS : LEVELS + UPRIGHTS] ** 2 * matters[:, 1:]).sum(2)
            total = (level.sum(1) + upright.sum((1, 2)) + 1e-3)[:, None, None]
            levels = (level @ torch.from_numpy(level_shares()).T)[:, None] / total
            table = torch.from_numpy(upright_shares(*maps.shape[2:]))
            uprights = (upright.transpose(1, 2).flatten(1) @ table.T).unflatten(1, (MEETINGS.size, LEANS.size)) / total
            lines = torch.cat([levels, uprights, levels + uprights.amax(1, keepdim=True)], 1)
            rest = [(0.3 * total.log()).expand(-1, 1, LEANS.size), (uprights.mean(1, keepdim=True) + 1e-4).sqrt()]
            y = self.filter_1(torch.cat([(lines + 1e-4).sqrt(), *rest], 1))
            y = functional.relu(y + self.context(summary(x))[:, :, None])
            y = y + functional.relu(self.filter_2(y))
            y = y + functional.relu(self.filter_3(y))
            return self.filter_4(y)[:, 0]

    return Net()


def plain_weights(network: Any) -> Weights:
    """The weights as NumPy wants them: every normalisation is part of the convolution beside it."""

    def plain(value: Any) -> Any:
        return value.detach().numpy().astype(np.float64)

    def normalisation(layer: Any) -> tuple[Any, Any]:
        scale = plain(layer.weight) / np.sqrt(plain(layer.running_var) + layer.eps)
        return scale, plain(layer.bias) - plain(layer.running_mean) * scale

    weights = {}
    before, first, after = network.first
    scale, shift = normalisation(before)
    matrix = plain(first.weight)[:, :, 0, 0]
    bias = plain(first.bias) + matrix @ shift
    out_scale, out_shift = normalisation(after)
    weights["first"] = matrix * scale * out_scale[:, None]
    weights["first_bias"] = bias * out_scale + out_shift
    for name in ("near", "far", "last"):
        convolution, after = getattr(network, name)
        scale, shift = normalisation(after)
        weights[name] = plain(convolution.weight) * scale[:, None, None, None]
        weights[f"{name}_bias"] = plain(convolution.bias) * scale + shift
    for name in ("whole", "matters", "context", "filter_1", "filter_2", "filter_3", "filter_4"):
        layer = getattr(network, name)
        weights[name] = plain(layer.weight)
        weights[f"{name}_bias"] = plain(layer.bias)
    weights["matters"] = weights["matters"][:, :, 0, 0]
    return {name: value.astype(np.float32) for name, value in weights.items()}
