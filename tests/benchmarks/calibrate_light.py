"""How sure the estimator of light may be: what its steps do to photos that it had not seen.

Part of ``python -m tests.benchmarks.train_light``. Each step is tried on its own, on small copies of the spoilt
pictures, and helps if the mean dE2000 to the truth falls. A logistic curve over the size of the step and the deviation
that the estimator tells, and for colour over all features, gives the probability of that. Pictures that need no such
step weigh as much as in a library where most are good: there every step harms.
"""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from rich.table import Table

from immich_sidecar.advise import tone, white_balance
from immich_sidecar.analysis.measure import light
from immich_sidecar.analysis.measure.exposure import LUMINANCE
from immich_sidecar.develop.curves import exposure_curve
from tests.benchmarks import train_light
from tests.photos.make import display_from_linear, linear_from_display

Array = NDArray[np.float32]

#: Share that pictures which need no step have in the calibration, for colour and for brightness; and how much the
#: coefficients are drawn towards 0.
CLEAN_SHARES, PENALTIES = (0.747, 0.6), (100.0, 3.0)
BINS = (0.0, 0.4, 0.6, 0.75, 0.9, 1.01)
#: Pictures that are compared at a time.
_BATCH = 256


def calibrate(
    samples: "train_light.Samples", predicted: Array, fold: NDArray[np.int64], weights: light.Weights
) -> tuple[light.Weights, Array]:
    """The weights with their confidence, and the confidence in each prediction (row; colour, brightness).

    Parameters
    ----------
    predicted
        What networks told of photos that they had not seen: row, target, mean and deviation.
    fold
        The fold of each sample. What is said of a sample rests on curves fitted on the other folds.
    """
    mean, deviation = predicted[..., 0], predicted[..., 1]
    x = light.standardised(samples.features, weights.mean, weights.deviation)
    terms = light.confidence_terms(x, mean, deviation)
    told, curves = np.zeros((len(mean), 2), np.float32), []
    damage = train_light.targets(samples.damage)
    nothing = (np.hypot(damage[:, 0], damage[:, 1]) < 0.02, np.abs(damage[:, 2]) < 0.05)
    for i, (wanted, gains) in enumerate(((is_cast(mean), colour_gain), (is_off(mean), ev_gain))):
        # Colours and dusk that are an artist's choice say nothing about what is a cast, or too dark.
        known = ~samples.unseen & ~samples.artful
        rows, share, penalty = wanted & known, CLEAN_SHARES[i], PENALTIES[i]
        helped = np.zeros(len(mean), bool)
        helped[rows] = gains(samples, mean, rows) > 0
        clean = nothing[i]
        weight = np.where(clean, share / (clean & known).sum(), (1 - share) / (~clean & known).sum())
        weight = weight * known.sum()
        for held in range(train_light.FOLDS):
            at = rows & (fold != held)
            curve = _logistic(terms[i][at], helped[at], weight[at], penalty)
            asked = (fold == held) & ~samples.unseen
            told[asked, i] = 1 / (1 + np.exp(-(terms[i][asked] @ curve)))
        curves.append(_logistic(terms[i][rows], helped[rows], weight[rows], penalty))
        told[samples.unseen, i] = 1 / (1 + np.exp(-(terms[i][samples.unseen] @ curves[i])))
    return weights._replace(colour_sure=curves[0], ev_sure=curves[1]), told


def is_cast(mean: Array) -> NDArray[np.bool_]:
    """Where a step for the colour is thought of."""
    found: NDArray[np.bool_] = np.hypot(mean[:, 0], mean[:, 1]) >= white_balance.LEAST
    return found


def is_off(mean: Array) -> NDArray[np.bool_]:
    """Where a step for the brightness is thought of."""
    found: NDArray[np.bool_] = np.abs(mean[:, 2]) >= tone.LEAST_EV
    return found


def colour_gain(samples: "train_light.Samples", mean: Array, rows: NDArray[np.bool_]) -> Array:
    """dE2000 that taking the told colour away takes away."""
    gains = np.exp2(-np.stack([mean[rows, 0], np.zeros(rows.sum()), mean[rows, 1]], axis=1))
    gains = gains / (gains @ LUMINANCE)[:, None]
    spoilt = linear_from_display(samples.spoilt[rows])
    changed = spoilt * gains[:, None, None, :]
    # As the engine does it: what is cut off is not drawn beneath the other channels, and white stays white.
    cut = np.clip(spoilt * 16 - 15, 0, 1)
    others = (changed.sum(axis=-1, keepdims=True) - changed) / 2
    changed = changed + cut * np.maximum(others - changed, 0)
    keep = np.clip((spoilt.min(axis=-1, keepdims=True) - 0.9) * 10, 0, 1)
    changed = changed + keep * (spoilt - changed)
    return _gain(samples, rows, display_from_linear(changed))


def ev_gain(samples: "train_light.Samples", mean: Array, rows: NDArray[np.bool_]) -> Array:
    """dE2000 that taking the told EV away takes away."""
    changed = np.empty_like(samples.spoilt[rows])
    for i, (at, ev) in enumerate(zip(np.flatnonzero(rows), mean[rows, 2], strict=True)):
        linear = linear_from_display(samples.spoilt[at]).astype(np.float64)
        top = float(min(1.0, linear.max() * 1.05)) if ev < 0 else 1.0
        changed[i] = display_from_linear(exposure_curve(linear, -float(ev), 1.0, max(0.01, top)))
    return _gain(samples, rows, changed)


def _gain(samples: "train_light.Samples", rows: NDArray[np.bool_], changed: NDArray[np.uint8]) -> Array:
    before = distances(samples.spoilt[rows], samples.truth[rows])
    return before - distances(changed, samples.truth[rows])


def distances(a: NDArray[np.uint8], b: NDArray[np.uint8]) -> Array:
    """Mean dE2000 of each pair of pictures."""
    from skimage.color import deltaE_ciede2000, rgb2lab

    found = [
        deltaE_ciede2000(rgb2lab(a[i : i + _BATCH]), rgb2lab(b[i : i + _BATCH])).mean(axis=(1, 2))
        for i in range(0, len(a), _BATCH)
    ]
    return np.concatenate(found).astype(np.float32) if found else np.zeros(0, np.float32)


def _is_clean(samples: "train_light.Samples") -> NDArray[np.bool_]:
    clean: NDArray[np.bool_] = np.abs(samples.damage).max(axis=1) < 1e-6
    return clean


def _logistic(x: Array, y: NDArray[np.bool_], weight: Array, penalty: float) -> Array:
    """Logistic regression by Newton's method, with all coefficients but the constant drawn towards 0."""
    coefficients = np.zeros(x.shape[1])
    wide, drawn = x.astype(np.float64), np.full(x.shape[1], penalty)
    drawn[0] = 1e-3
    for _ in range(30):
        p = 1 / (1 + np.exp(-np.clip(wide @ coefficients, -30, 30)))
        gradient = wide.T @ (weight * (p - y)) + drawn * coefficients
        curvature = (wide * (weight * p * (1 - p))[:, None]).T @ wide + np.diag(drawn)
        coefficients = coefficients - np.linalg.solve(curvature, gradient)
    return coefficients.astype(np.float32)


def figures(samples: "train_light.Samples", predicted: Array, told: Array) -> Table:
    """Errors by kind of damage, and what steps do by their confidence."""
    mean = predicted[..., 0]
    truth, clean = train_light.targets(samples.damage), _is_clean(samples)
    size = np.hypot(truth[:, 0], truth[:, 1])
    table = Table(title="Photos that the networks had not seen (five folds; unseen: never trained on)")
    for column in ("what", "photos", "samples", "cast before", "after", "EV before", "after"):
        table.add_column(column, justify="right")
    kinds = {"clean": clean, "cast": size > 0.2, "dark": truth[:, 2] < -0.5, "bright": truth[:, 2] > 0.4}
    for where, part in (("own", ~samples.unseen), ("unseen", samples.unseen)):
        for kind, rows in kinds.items():
            at = rows & part
            off = mean[at] - truth[at]
            table.add_row(
                *(f"{where}, {kind}", str(len(set(samples.photo[at].tolist()))), str(int(at.sum()))),
                *(f"{size[at].mean():.2f}", f"{np.hypot(off[:, 0], off[:, 1]).mean():.2f}"),
                *(f"{np.abs(truth[at, 2]).mean():.2f}", f"{np.abs(off[:, 2]).mean():.2f}"),
            )
    for i, (name, wanted, gains) in enumerate((("colour", is_cast(mean), colour_gain), ("EV", is_off(mean), ev_gain))):
        for where, part in (("own", ~samples.unseen), ("unseen", samples.unseen)):
            rows = wanted & part
            gained, sure, untouched = gains(samples, mean, rows), told[rows, i], clean[rows]
            table.add_section()
            for low, high in pairwise(BINS):
                at = (sure >= low) & (sure < high)
                if not at.any():
                    continue
                harmed = (untouched & at).sum() / max(1, (clean & part).sum())
                table.add_row(
                    *(f"{where}, {name} at {low:.2f}", "", str(int(at.sum()))),
                    *("helped", f"{(gained[at] > 0).mean():.0%}, dE {gained[at].mean():+.1f}"),
                    *("of all clean", f"{harmed:.1%}"),
                )
    return table
