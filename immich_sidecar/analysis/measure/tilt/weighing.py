"""Which directions of a picture tell how it leans, by a small network.

Lines vote alike, whatever they belong to; that houses, water and people stand upright, and that a road, a roof and a
leaf may slant, has to be learnt. The network looks at the squares of `maps` and gives each a weight for what is level
and one for what is upright in it. The weighted votes, for several distances of the point where uprights meet, then
pass a few filters along the leans. So a picture that is turned gets the same answer, as far on.

`tests/benchmarks/train_weighing.py` makes the weights; `docs/judgement.md` names the photos.
"""

from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from immich_sidecar.analysis.measure.tilt.maps import LEVEL_REACH, LEVELS, UPRIGHT_REACH, UPRIGHTS, Maps

Array = NDArray[np.float32]
Floats = NDArray[np.float64]
Weights = dict[str, Array]

#: The weights, beside this file.
WEIGHTS = Path(__file__).with_name("weighing.npz")
#: Leans that are told of, in degrees.
LEANS = np.arange(-12.5, 12.51, 0.5)
#: Inverse distances of the point where uprights meet, in longer edges of the picture, that are tried.
MEETINGS = np.array([-0.42, -0.28, -0.18, -0.08, 0.0, 0.08, 0.18, 0.28, 0.42])
#: No other lean counts as less likely than this (natural logarithm), nor none as another.
_UNLIKELY = -8.0
#: Likelihood so near to a lean, in degrees, counts as its own.
_NEAR = 1.3


def log_likelihood(maps: Maps, weights: Weights | None = None) -> Floats:
    """Natural logarithm of how likely each of `LEANS` is; they sum to 1."""
    told = forward(maps, _weights() if weights is None else weights).astype(np.float64)
    told -= told.max()
    return np.asarray(told - np.log(np.exp(told).sum()))


def seen(degrees: list[float], told: Floats) -> list[dict[str, float]]:
    """What the network's answer says about each of some leans, as evidence."""
    likely = np.exp(told)
    mean = float(likely @ LEANS)
    common = {
        "seen_doubt": float(-(likely * told).sum()),
        "seen_spread": float(np.sqrt(likely @ (LEANS - mean) ** 2)),
    }
    here = np.interp(degrees, LEANS, told)
    return [
        {
            "seen": float(here[i]),
            "lead_seen": float(here[i] - np.delete(here, i).max(initial=_UNLIKELY)),
            "seen_peak": float(here[i] - told.max()),
            "seen_near": float(likely[np.abs(LEANS - lean) <= _NEAR].sum()),
            "seen_off": abs(lean - float(LEANS[told.argmax()])),
            "seen_off_mean": abs(lean - mean),
            **common,
        }
        for i, lean in enumerate(degrees)
    ]


def forward(maps: Maps, weights: Weights) -> Array:
    """The network: one value for each of `LEANS`, the larger the likelier."""
    channels, rows, columns = maps.shape
    x = _rectified(weights["first"] @ maps.reshape(channels, -1) + weights["first_bias"][:, None])
    x = x.reshape(-1, rows, columns)
    x = x + _rectified(_convolved(x, weights["near"], weights["near_bias"]))
    x = x + _rectified(_convolved(x, weights["far"], weights["far_bias"]))
    whole = weights["whole"] @ _summary(x) + weights["whole_bias"]
    x = _rectified(x + whole[:, None, None])
    x = x + _rectified(_convolved(x, weights["last"], weights["last_bias"]))
    matters = np.einsum("oc,cyx->oyx", weights["matters"], x) + weights["matters_bias"][:, None, None]
    matters = np.logaddexp(0, matters - 2).astype(np.float32)
    level = np.einsum("byx,yx->b", maps[:LEVELS] ** 2, matters[0])
    upright = np.einsum("byx,yx->bx", maps[LEVELS : LEVELS + UPRIGHTS] ** 2, matters[1])
    total = level.sum() + upright.sum() + np.float32(1e-3)
    levels = level_shares() @ level / total
    uprights = (upright_shares(rows, columns) @ upright.T.ravel() / total).reshape(MEETINGS.size, LEANS.size)
    lines = np.concatenate([levels[None], uprights, (levels + uprights.max(axis=0))[None]])
    rest = (np.full((1, LEANS.size), 0.3 * np.log(total)), np.sqrt(uprights.mean(axis=0) + 1e-4)[None])
    lines = np.concatenate([np.sqrt(lines + 1e-4), *rest]).astype(np.float32)
    context = weights["context"] @ _summary(x) + weights["context_bias"]
    y = _rectified(_filtered(lines, weights["filter_1"], weights["filter_1_bias"]) + context[:, None])
    y = y + _rectified(_filtered(y, weights["filter_2"], weights["filter_2_bias"]))
    y = y + _rectified(_filtered(y, weights["filter_3"], weights["filter_3_bias"]))
    return np.asarray(_filtered(y, weights["filter_4"], weights["filter_4_bias"])[0])


def save(weights: Weights, path: Path) -> None:
    """Write weights."""
    halved: dict[str, Any] = {name: value.astype(np.float16) for name, value in weights.items()}
    np.savez_compressed(path, **halved)


@lru_cache(maxsize=1)
def _weights() -> Weights:
    with np.load(WEIGHTS) as stored:
        return {name: stored[name].astype(np.float32) for name in stored.files}


@lru_cache(maxsize=1)
def level_shares() -> Array:
    """What each lean gets from each direction of level edges; shape (LEANS, LEVELS)."""
    return _between(LEANS, LEVEL_REACH)


@lru_cache(maxsize=4)
def upright_shares(rows: int, columns: int) -> Array:
    """What each lean gets from uprights, by their column and direction.

    Shape (MEETINGS x LEANS, columns x UPRIGHTS).
    """
    aside = (np.arange(columns) + 0.5 - columns / 2) / max(rows, columns)
    # What an upright in a column leans by, in a picture that leans by so much and whose uprights meet so near.
    lean = LEANS[:, None] + np.degrees(MEETINGS[:, None, None] * aside)
    return _between(lean, UPRIGHT_REACH).reshape(MEETINGS.size * LEANS.size, -1)


def _between(lean: Floats, reach: int) -> Array:
    """Shares of the two whole degrees beside each lean; nothing beyond the reach."""
    place = np.clip(lean + reach, 0, 2 * reach - 0.001)
    low = np.floor(place).astype(np.int64)
    out = np.zeros((*lean.shape, 2 * reach + 1), np.float32)
    inside = np.abs(lean) <= reach
    np.put_along_axis(out, low[..., None], ((1 - place + low) * inside)[..., None], axis=-1)
    np.put_along_axis(out, low[..., None] + 1, ((place - low) * inside)[..., None], axis=-1)
    return out


def _rectified(x: Array) -> Array:
    return np.maximum(x, np.float32(0))


def _summary(x: Array) -> Array:
    """Mean and maximum of each channel."""
    return np.concatenate([x.mean(axis=(1, 2)), x.max(axis=(1, 2))])


def _convolved(x: Array, kernel: Array, bias: Array) -> Array:
    """Convolution of 3 x 3; nothing beyond the border. The kernel's shape is (out, in, 3, 3)."""
    _, rows, columns = x.shape
    windows = sliding_window_view(np.pad(x, ((0, 0), (1, 1), (1, 1))), (3, 3), axis=(1, 2))
    flat = windows.transpose(0, 3, 4, 1, 2).reshape(-1, rows * columns)
    out = kernel.reshape(len(kernel), -1) @ flat + bias[:, None]
    return np.asarray(out.reshape(-1, rows, columns), np.float32)


def _filtered(x: Array, kernel: Array, bias: Array) -> Array:
    """Convolution along the leans; nothing beyond their ends. The kernel's shape is (out, in, width)."""
    half = kernel.shape[2] // 2
    windows = sliding_window_view(np.pad(x, ((0, 0), (half, half))), kernel.shape[2], axis=1)
    flat = windows.transpose(0, 2, 1).reshape(-1, x.shape[1])
    return np.asarray(kernel.reshape(len(kernel), -1) @ flat + bias[:, None], np.float32)
