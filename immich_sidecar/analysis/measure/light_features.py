"""What the estimator of light looks at: some hundred numbers about brightness and colour of a small linear picture.

Most are classical estimators of the light's colour (grey world and its norms, Finlayson and Trezzi 2004; grey edge, van
de Weijer et al. 2007; grey pixels by equal local contrast, Yang et al. 2015; the brightest pixels), each of which errs
in its own way, and percentiles. "Stops" are log2 of linear light; a chromaticity is (log2 red/green, log2 blue/green).
"""

from collections.abc import Iterable

import cv2
import numpy as np
from numpy.typing import NDArray

from immich_sidecar.analysis.measure.columns import channel_means, edge_powers, fifth_powers
from immich_sidecar.analysis.measure.exposure import LUMINANCE, extremes, share_of
from immich_sidecar.analysis.measure.percentiles import by_column, percentiles
from immich_sidecar.develop.averaging import averaged

Linear = NDArray[np.float32]
Colour = NDArray[np.float64]

#: Longer edge, in pixels, of the picture that is looked at.
EDGE = 256
#: Added to light before its logarithm is taken, so that black stays finite.
FLOOR = 2e-3
#: From here on a channel counts as clipped.
_CLIPPED = 0.95
#: Width of a bin, in stops, and the lowest one of the histogram in which burnt-out parts show as a peak.
_BIN, _LOWEST = 0.05, -6.0
#: Distances from a neutral (or supposed) colour within which pixels are counted.
_NEAR = (0.08, 0.16, 0.32, 0.64)
#: Percents of a channel's pixels, the last being its top; and those from which on pixels may be as bright as the top.
_PERCENTS = (1, 5, 25, 50, 75, 95, 99, 99.7, 99.95)
_BELOW_TOP = (90, 95, 98, 99.5, 99.9)
#: Stops below the top of a channel within which a pixel counts as level with it.
_LEVEL = 0.08

#: Where in all features one after another the tops of the three channels lie, in stops with `FLOOR` added to the light.
TOPS = slice(-25, -22)

#: Groups of features that describe brightness; the others describe places and spreads of colours.
BRIGHTNESS = (
    *("channels", "brightest", "darkest", "clipped", "plateau", "plateau_colour", "burnt", "deep", "thirds_light"),
    *("grey_world", "shades", "white_patch", "edges", "typical", "centre", "spread", "deviation", "near"),
    *("grey_contrast", "saturation", "ceilings"),
)


def small_linear(linear: Linear) -> Linear:
    """The picture as it is looked at."""
    scale = EDGE / max(linear.shape[:2])
    if scale >= 1:
        return linear
    size = (max(1, round(linear.shape[1] * scale)), max(1, round(linear.shape[0] * scale)))
    return averaged(np.asarray(linear, np.float32), size)


def light_features(linear: Linear) -> dict[str, Colour]:
    """Features by group, always the same groups of the same sizes in the same order.

    Parameters
    ----------
    linear
        HxWx3 linear sRGB, 0..1, of any size.
    """
    picture = small_linear(linear)
    height, width = picture.shape[:2]
    pixels = picture.reshape(-1, 3)
    smallest, largest = extremes(pixels)
    luminance = pixels @ LUMINANCE
    levels = by_column(pixels, (*_PERCENTS, *_BELOW_TOP))
    channels, below_top = levels[: len(_PERCENTS)], levels[len(_PERCENTS) :]
    brightest = percentiles(largest, (50, 95, 99, 99.7, 99.95))
    usable = (largest < max(0.97 * brightest[3], 0.02)) & (largest > 0.006) & (smallest > 8e-4)
    if usable.sum() < 200:
        usable = largest >= 0
    colours = _colours(pixels[usable])
    zones = _zones(luminance[usable])
    grey, grey_contrast = _grey_pixels(picture, usable.reshape(height, width))
    plateau, plateau_colour = _plateau(pixels, largest, _stops(brightest))
    # Sorted as they are, in single precision.
    single = colours.astype(np.float32)
    middle, reach = np.split(by_column(single, (50, 2, 10, 25, 75, 90, 98)), [1])
    middle = middle[0]
    estimates: dict[str, Colour] = {
        "grey_world": _colour(channel_means(pixels)),
        "shades": _colour(fifth_powers(pixels) ** 0.2),
        "white_patch": np.concatenate([_colour(channels[7]), _colour(channels[6])]),
        "edges": _edges(picture),
        "typical": middle,
        "zones": np.concatenate([by_column(single[z], (50,))[0] if z.sum() > 20 else middle for z in zones]),
        "grey_pixels": grey,
        "plateau_colour": plateau_colour,
    }
    estimates = {name: np.clip(values, -2.5, 2.5) for name, values in estimates.items()}
    pairs = np.concatenate(list(estimates.values())).reshape(-1, 2)
    centre = np.median(pairs, axis=0)
    neutral, central = np.linalg.norm(colours, axis=1), np.linalg.norm(colours - centre, axis=1)
    saturation = 1 - smallest[usable] / np.maximum(largest[usable], 1e-4)
    thirds = [pixels[i * height // 3 * width : max(1, (i + 1) * height // 3) * width] for i in range(3)]
    thirds = [third if len(third) else pixels for third in thirds]
    burnt = largest > _CLIPPED
    skin = (colours[:, 0] > 0.35) & (colours[:, 0] < 1.5) & (colours[:, 1] < -0.1) & (colours[:, 1] > -1.2)
    skin &= colours[:, 0] + 0.6 * colours[:, 1] > 0
    return {
        "channels": _stops(channels).ravel(),
        "brightest": _stops(brightest),
        "darkest": _stops(percentiles(smallest, (1, 5, 25))),
        "clipped": _shares([*(pixels[:, c] > _CLIPPED for c in range(3)), smallest > _CLIPPED]),
        **estimates,
        "grey_contrast": grey_contrast,
        "plateau": plateau,
        "centre": centre,
        "spread": np.log2([np.median(np.linalg.norm(pairs - centre, axis=1)) + 0.02]),
        "deviation": colours.std(axis=0),
        "alignment": np.array([_alignment(colours)]),
        "reach": reach.ravel(),
        "near": _shares([distance < radius for radius in _NEAR for distance in (neutral, central)]),
        "near_zones": _shares([distance[z] < 0.12 for z in zones[:3] for distance in (neutral, central)]),
        "saturation": percentiles(saturation, (5, 25, 50, 75, 95)),
        "thirds": np.concatenate([np.clip(_colour(channel_means(third)), -2.5, 2.5) for third in thirds]),
        "thirds_light": np.log2([float((third @ LUMINANCE).mean()) + 1e-3 for third in thirds]),
        "burnt": _burnt(pixels, burnt),
        "skin": _shares([skin]),
        "deep": np.array([share_of(luminance < brightest[3] * part) for part in (0.01, 0.05)]),
        "ceilings": _ceilings(pixels, _stops(channels[-1]), _stops(below_top)),
    }


def vector(features: dict[str, Colour], groups: Iterable[str] | None = None) -> NDArray[np.float32]:
    """The features of some groups (of all of them) one after another."""
    return np.concatenate([features[name] for name in features if groups is None or name in groups]).astype(np.float32)


def _stops(light: NDArray[np.floating]) -> Colour:
    return np.log2(np.asarray(light, np.float64) + FLOOR)


def _shares(masks: Iterable[NDArray[np.bool_]]) -> Colour:
    return np.log2([share_of(mask) + 2e-3 if mask.size else 2e-3 for mask in masks])


def _colour(light: NDArray[np.floating]) -> Colour:
    red, green, blue = np.log2(np.maximum(np.asarray(light, np.float64), 1e-5))
    return np.array([red - green, blue - green])


def _colours(pixels: Linear) -> Colour:
    logs = np.log2(np.maximum(pixels, np.float32(3e-4)))
    return np.asarray(np.clip(logs[:, [0, 2]] - logs[:, 1:2], -4, 4), np.float64)


def _zones(luminance: Linear) -> list[NDArray[np.bool_]]:
    """Shadows, middle tones, lights, and the brightest tenth and thirtieth."""
    low, high, lights, peaks = percentiles(luminance, (33, 67, 90, 97))
    middle = (luminance > low) & (luminance <= high)
    return [luminance <= low, middle, luminance > high, luminance > lights, luminance > peaks]


def _alignment(colours: Colour) -> float:
    """Correlation of both chromaticities: -1 for colours along the line of daylights."""
    around = colours - colours.mean(axis=0)
    return float((around[:, 0] * around[:, 1]).mean() / (around.std(axis=0).prod() + 1e-3))


def _edges(picture: Linear) -> Colour:
    """Grey edge of first order, with norms 1 and 4, and of second order with norm 3."""
    smooth = cv2.GaussianBlur(picture, (0, 0), 1.0)
    derived = (
        cv2.Sobel(smooth, cv2.CV_32F, 1, 0),
        cv2.Sobel(smooth, cv2.CV_32F, 0, 1),
        cv2.Laplacian(smooth, cv2.CV_32F),
    )
    across, down, second = (np.asarray(values, np.float32).reshape(-1, 3) for values in derived)
    whole = extremes(picture.reshape(-1, 3))[1] < _CLIPPED
    if whole.sum() <= 500:
        whole = np.ones_like(whole)
    first, fourth, third = edge_powers(across, down, second, whole)
    return np.concatenate([_colour(first), _colour(fourth**0.25), _colour(third ** (1 / 3))])


def _grey_pixels(picture: Linear, usable: NDArray[np.bool_]) -> tuple[Colour, Colour]:
    """Colour of the 1 and 5 % of the pixels whose channels have the most equal local contrast, and how equal it is.

    Contrast of logarithms does not depend on the light's colour, so grey things are found under any light.
    """
    logs = np.log(np.maximum(picture, np.float32(1e-3)))
    contrast = logs - cv2.GaussianBlur(logs, (0, 0), 2.0)
    squares = contrast * contrast
    strength = np.sqrt(squares[..., 0] + squares[..., 1] + squares[..., 2])
    red, blue = contrast[..., 0] - contrast[..., 1], contrast[..., 2] - contrast[..., 1]
    unequal = np.sqrt(red * red + blue * blue) / (strength + np.float32(1e-3))
    unequal = np.where(usable & (strength > 0.04), unequal, np.float32(2.0))
    unequal = np.asarray(cv2.blur(unequal, (5, 5)), np.float32).ravel()
    pixels = picture.reshape(-1, 3)
    colours, levels = [], []
    for share, least in ((0.01, 60), (0.05, 100)):
        count = min(max(least, int(share * len(unequal))), len(unequal) - 1)
        chosen = np.argpartition(unequal, count)
        colours.append(_colour(pixels[chosen[: max(1, count)]].mean(axis=0)))
        levels.append(float(unequal[chosen[count]]))
    return np.concatenate(colours), np.log2(np.array(levels) + 1e-2)


def _plateau(pixels: Linear, largest: Linear, brightest: Colour) -> tuple[Colour, Colour]:
    """What is burnt out keeps one level and one colour, whatever was done to the picture later.

    How many pixels lie in the highest bins, how that compares with the bins below, and their level; and their colour.
    """
    stops = np.log2(largest + np.float32(1e-4))
    counts, ends = np.histogram(stops, bins=np.arange(_LOWEST, 0.1001, _BIN))
    counts = counts / len(stops)
    at = int(np.clip(np.floor((brightest[3] - _LOWEST) / _BIN), 2, len(counts) - 2))
    peak, below = counts[at - 2 : at + 2].sum() + 1e-3, counts[max(0, at - 10) : at - 2].sum() / 2 + 1e-3
    top = pixels[stops >= min(ends[at] - 0.08, float(stops.max()))]
    return np.array([np.log2(peak), np.log2(peak / below), ends[at]]), _colour(np.median(top, axis=0))


def _ceilings(pixels: Linear, top: Colour, below: Colour) -> Colour:
    """The level that each channel does not pass, and how many pixels lie level with it.

    What was cut off in a channel keeps one level when light is changed later, and so tells by how much it was, for each
    channel apart; a picture in which nothing was cut off has no such level.
    """
    least = (np.exp2(top - _LEVEL) - FLOOR).astype(np.float32)
    red, green, blue = (pixels[:, channel] > least[channel] for channel in range(3))
    masks = (red & green & blue, red & green, green & blue, red & blue, red, green, blue)
    level = np.log2(np.array([share_of(mask) for mask in masks]) + 2e-4)
    # The last of all features: see `TOPS`.
    return np.concatenate([[top[0] - top[1], top[2] - top[1]], top, np.log2(top - below + 0.01).ravel(), level])


def _burnt(pixels: Linear, burnt: NDArray[np.bool_]) -> Colour:
    """How much is burnt out in any channel, and what the three channels hold there."""
    light = pixels[burnt].mean(axis=0) if burnt.sum() > 5 else np.ones(3)
    return np.asarray(np.log2(np.concatenate([[burnt.mean() + 1e-3], light + 1e-3])), np.float64)
