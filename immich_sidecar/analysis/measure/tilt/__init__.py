"""How far a photo leans, and how much its uprights converge.

Several estimators that fail in different ways (straight lines with the vanishing point of the uprights, lines that
are level, local gradients, the spectrum, long straight paths) each propose leans. Whether one of them is right is
judged from how far they agree about it and how much of the picture takes part: leaves, faces, stairs and streets that
run into the distance produce votes too, but seldom the same vote several times.

Sign: a tilt is positive where the LEFT end of the horizon is lower, which a clockwise turn of as many degrees
corrects.
"""

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from immich_sidecar.analysis.measure.tilt import segment_detector
from immich_sidecar.analysis.measure.tilt.candidates import Agreement, Candidate, candidates
from immich_sidecar.analysis.measure.tilt.grid import MAX_DEGREES
from immich_sidecar.analysis.measure.tilt.histograms import (
    clear_directions,
    meetings_at_points,
    meetings_on_horizon,
    votes_for_leans,
)
from immich_sidecar.analysis.measure.tilt.judge import judge
from immich_sidecar.analysis.measure.tilt.paths import sums_along
from immich_sidecar.analysis.measure.tilt.vanishing import FOCAL

__all__ = ["MAX_DEGREES", "Tilt", "measure_tilt", "warm"]

#: Shorter edge, in pixels, below which a picture shows no direction.
_SMALLEST = 96
#: What is taken from the confidence where level edges run together and no upright agrees, or one upright stands alone.
_DOUBT = 0.75
#: Uprights that spread over less of the picture than the first are one thing, over more than the second, several.
_ONE, _SEVERAL = 0.1, 0.2


class Tilt(BaseModel):
    """How far the photo leans."""

    model_config = ConfigDict(frozen=True)

    #: Lean in degrees, positive where the left end of the horizon is lower; None where nothing has a direction.
    degrees: float | None = None
    #: How likely `degrees` is right to half a degree, 0..1.
    confidence: float = 0.0
    #: Share of the evidence that uprights of the scene give, 0..1; the rest is level edges.
    by_uprights: float = 0.0
    #: Inverse distance, in longer edges of the picture, of the point where the uprights meet; positive where it
    #: lies above, negative where it lies below the picture, 0 where they are parallel.
    convergence: float = 0.0
    #: How far to believe `convergence`, 0..1.
    convergence_confidence: float = 0.0


def measure_tilt(display: NDArray[np.uint8]) -> Tilt:
    """Measure the lean of a photo.

    Parameters
    ----------
    display
        HxWx3, sRGB, oriented; any size, about 1000 px are enough.
    """
    if min(display.shape[:2]) < _SMALLEST:
        return Tilt()
    found = candidates(display)
    if not found:
        return Tilt()
    evidence, degrees = [candidate.evidence for candidate in found], [candidate.degrees for candidate in found]
    best, confidence = judge().choose(evidence, degrees)
    chosen = found[best]
    by_uprights = _by_uprights(chosen)
    # Without an upright that says the same, one of many edges that meet at the side is no horizon.
    confidence *= 1 - _DOUBT * chosen.running_together * (1 - min(1.0, by_uprights / 0.3))
    # One pole may lean by itself.
    alone = np.clip((_SEVERAL - chosen.upright.spread) / (_SEVERAL - _ONE), 0.0, 1.0)
    confidence *= 1 - _DOUBT * float(alone * np.clip((by_uprights - 0.8) / 0.15, 0.0, 1.0))
    return Tilt(
        degrees=round(chosen.degrees, 3),
        confidence=round(confidence, 3),
        by_uprights=round(by_uprights, 3),
        convergence=round(chosen.upright.convergence, 4),
        convergence_confidence=round(_many(chosen.upright) * confidence, 3),
    )


def warm() -> None:
    """Compile (or load) the inner loops, so that no photo waits for them."""
    segment_detector.warm()
    lines = np.ones((5, 1))
    meetings_on_horizon(lines, 0.0, np.zeros(1), focal=FOCAL, deviation=0.1)
    meetings_at_points(lines, np.zeros(1), np.zeros(1), deviation=0.1)
    votes_for_leans(*np.zeros((4, 1)))
    plane = np.zeros((8, 8), np.float32)
    # Gradients are parts of larger planes.
    part = plane[1:-1, 1:-1]
    clear_directions((part, part, plane), (plane, plane, plane), 1.0)
    sums_along(np.zeros((8, 8), np.float32), np.zeros(1))


def _by_uprights(candidate: Candidate) -> float:
    upright, level = candidate.upright, candidate.level
    weights = upright.weight * upright.purity, level.weight * level.purity
    return weights[0] / sum(weights) if sum(weights) > 0 else 0.0


def _many(uprights: Agreement) -> float:
    """Whether enough uprights stand apart for saying where they meet, 0..1."""
    ramps = ((uprights.segments, 4.0, 12.0), (uprights.spread, 0.25, 0.7), (uprights.length, 1.0, 3.0))
    return float(np.prod([np.clip((value - low) / (high - low), 0.0, 1.0) for value, low, high in ramps]))
