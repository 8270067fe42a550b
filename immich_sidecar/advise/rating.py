"""Ratings to propose: what people would say of a photo, in stars; proposed only, never set by itself."""

from dataclasses import dataclass

from immich_sidecar.advise.suggestion import ramp
from immich_sidecar.analysis.findings import Findings, Quality

#: Mean votes (1 to 10) between which each star lies: close together, for means of many votes differ little (in AVA,
#: with which such models are trained, they crowd around 5.4; Murray et al. 2012).
_STARS = (4.2, 4.9, 5.5, 6.1)
#: What a technically bad photo costs: below this mean vote a star, and well below it another.
_SOFT, _BAD = 4.4, 3.6
#: Votes are spread by about so much where people agree, and by so much where they do not.
_AGREED, _DIVIDED = 1.2, 1.9


@dataclass(frozen=True)
class Rating:
    """A proposal."""

    #: 1 to 5.
    stars: int
    #: 0..1: how far votes agree, and how far the mean lies from the next star.
    confidence: float
    #: Why, in words.
    reason: str


def propose(findings: Findings | None) -> Rating | None:
    """Stars by the mean vote; None where no model has voted."""
    if findings is None or findings.aesthetic is None:
        return None
    pleasing, made = findings.aesthetic, findings.technical
    stars = 1 + sum(pleasing.mean >= limit for limit in _STARS)
    reason = f"people would give it about {pleasing.mean:.1f} of 10"
    lost = _lost(made)
    if lost:
        stars = max(1, stars - lost)
        reason = f"{reason}, and {made.mean if made else 0:.1f} for how it is made"
    near = min(abs(pleasing.mean - limit) for limit in _STARS)
    agreed = 1 - ramp(pleasing.spread, _AGREED, _DIVIDED)
    confidence = (0.3 + 0.5 * ramp(near, 0.0, 0.3)) * (0.5 + 0.5 * agreed)
    return Rating(stars, round(confidence, 3), reason)


def _lost(made: Quality | None) -> int:
    return 0 if made is None else (made.mean < _SOFT) + (made.mean < _BAD)
