"""How a camera turned its RAW data into the picture it shows: an exposure, one curve, one matrix of colours.

Every camera stores a small finished picture beside the RAW data. Pairs of (linear RAW value, displayed value) at the
same place tell the curve, drawn towards a neutral one where there are few of them, and the colours, drawn towards
those that LibRaw knows. Where the stored picture is missing, tiny, or shows something else, the neutral curve is used
alone.
"""

from enum import StrEnum
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from immich_sidecar.analysis.measure.exposure import LUMINANCE
from immich_sidecar.analysis.measure.look.fit import fitted, fitted_light
from immich_sidecar.analysis.measure.look.neutral import neutral_look
from immich_sidecar.analysis.measure.look.pairs import pairs_of
from immich_sidecar.analysis.measure.look.render import encoded, through_curve
from immich_sidecar.recipe.plan import Matrix

Linear = NDArray[np.float32]

#: Rank correlation from which the stored picture is taken for the same scene.
_SAME_SCENE = 0.8
#: Rank correlation from which at least its brightness is taken to be that of the scene.
_SAME_LIGHT = 0.4
#: Correlation of fine structure below which all agreement is chance.
_SAME_DETAIL = 0.2
#: Shorter side in pixels of a stored picture that is of use.
_LEAST_EDGE = 64


class LookSource(StrEnum):
    """Where a look comes from."""

    #: Pairs of pixels of the RAW data and the camera's own picture.
    PAIRS = "pairs"
    #: Distributions of both, where places do not match.
    DISTRIBUTION = "distribution"
    #: A neutral curve and a brightness found from the RAW data alone.
    NEUTRAL = "neutral"


class Look(BaseModel):
    """How scene-linear values become displayed ones."""

    model_config = ConfigDict(frozen=True)

    #: Exposure in EV before the curve.
    baseline_ev: float
    #: Points (scene-linear after `baseline_ev`, display-linear 0..1), both rising from (0, 0).
    tone_curve: tuple[tuple[float, float], ...]
    #: Colours before exposure and curve: a matrix of linear sRGB, rows first; None: as LibRaw knows them.
    correction: Matrix | None = None
    #: The same for white-balanced camera RGB; None where the camera's colours are not known.
    colour_matrix: Matrix | None = None
    #: Where it comes from.
    source: LookSource
    #: What it begins with: the camera's white balance (daylight where the file has none), or a grey world.
    white_balance: Literal["as_shot", "auto"] = "as_shot"
    #: Rank correlation -1..1 between RAW data and the camera's picture; None without one.
    similarity: float | None = None


def fit_look(linear: Linear, embedded: NDArray[np.uint8] | None, to_srgb: NDArray[np.float64] | None = None) -> Look:
    """Find the look of a RAW file.

    Parameters
    ----------
    linear
        HxWx3 scene-linear sRGB of the RAW data, 1.0 where the sensor saturates.
    embedded
        The camera's picture, HxWx3 sRGB display values, or None.
    to_srgb
        The matrix that made `linear` out of white-balanced camera RGB; None where it is not known.
    """
    look = _look(linear, embedded)
    if to_srgb is None:
        return look
    whole = to_srgb if look.correction is None else np.array(look.correction) @ to_srgb
    return look.model_copy(update={"colour_matrix": _rows(whole)})


def _look(linear: Linear, embedded: NDArray[np.uint8] | None) -> Look:
    if embedded is None or min(embedded.shape[:2]) < _LEAST_EDGE:
        return _neutral(linear, None)
    pairs = pairs_of(linear, embedded)
    similarity = round(pairs.similarity, 3)
    fit, source = None, LookSource.PAIRS
    if pairs.detail < _SAME_DETAIL:
        return _neutral(linear, similarity)
    if pairs.similarity >= _SAME_SCENE:
        fit = fitted(pairs)
    elif pairs.similarity >= _SAME_LIGHT and pairs.turns == 0:
        light = [np.sort(np.maximum(v, 0).astype(np.float64) @ LUMINANCE) for v in (pairs.scene, pairs.shown)]
        fit, source = fitted_light(light[0], light[1]), LookSource.DISTRIBUTION
    if fit is None:
        return _neutral(linear, similarity)
    correction = None if fit.correction is None else _rows(fit.correction)
    return Look(
        baseline_ev=fit.baseline_ev,
        tone_curve=fit.curve,
        correction=correction,
        source=source,
        similarity=similarity,
    )


def developed(linear: Linear, look: Look) -> tuple[NDArray[np.uint8], Linear]:
    """A RAW proxy with its look: display values (uint8) and the same picture in linear sRGB 0..1."""
    coloured = linear if look.correction is None else linear @ np.array(look.correction, np.float32).T
    shown = through_curve(coloured * np.float32(2**look.baseline_ev), look.tone_curve)
    return np.round(encoded(shown) * 255).astype(np.uint8), shown


def _neutral(linear: Linear, similarity: float | None) -> Look:
    baseline, curve = neutral_look(linear)
    return Look(baseline_ev=baseline, tone_curve=curve, source=LookSource.NEUTRAL, similarity=similarity)


def _rows(matrix: NDArray[np.float64]) -> Matrix:
    first, second, third = (tuple(round(float(v), 6) for v in row) for row in matrix)
    return first, second, third  # type: ignore[return-value] # three numbers each
