"""Leans that a picture may have, each with the evidence for it.

A candidate is a peak of any estimator. Its evidence is told in a few dozen figures, from what each estimator says
about this lean, compared with what it says about the others.
"""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from immich_sidecar.analysis.measure.tilt.balance import balance, parts
from immich_sidecar.analysis.measure.tilt.grid import GRID, MAX_DEGREES, STEP, peaks
from immich_sidecar.analysis.measure.tilt.lines import CONVERGENCE, Family, best_over_convergence, segments
from immich_sidecar.analysis.measure.tilt.texture import gradient_profiles, path_profiles, shrunk, spectrum_profiles
from immich_sidecar.analysis.measure.tilt.vanishing import FOCAL, vanishing

Floats = NDArray[np.float64]

#: Longer edge, in pixels, of the picture in which lines are sought.
_EDGE = 800
#: Lines are sought in a picture half as large, too; the shortest there, as a share of its longer edge.
_SHORTEST_COARSE = 0.03
#: Segments nearer than this many degrees agree with a lean.
_AGREE = 0.8
#: How many candidates are looked at.
_MOST = 8

#: Figures of which the lead on the best of the other candidates is told, too.
LEADS = (
    "level_weight",
    "upright_weight",
    "support",
    "level_longest",
    "upright_longest",
    "level_gradient",
    "upright_gradient",
    "level_path",
    "upright_path",
    "horizon_two",
    "horizon_length",
    "horizon_tied",
    "horizon_square",
    "horizon_here",
    "horizon_cover",
    "level_halves",
    "upright_halves",
    "coarse_level",
    "coarse_upright",
    "coarse_level_weight",
    "coarse_upright_weight",
)


@dataclass(frozen=True)
class Agreement:
    """The segments of one family that agree with a lean."""

    #: The lean that they say together, in degrees.
    degrees: float
    #: Inverse distance of their vanishing point in longer edges of the picture; 0 for parallels.
    convergence: float
    #: Sum of squared lengths, in squared longer edges.
    weight: float
    #: Share of that in all segments of the family.
    purity: float
    #: Sum of lengths, in longer edges.
    length: float
    #: Longest straight line that they form, as a share of the picture's extent along it.
    longest: float
    #: How many segments of equal weight would say the same.
    segments: float
    #: How far apart they lie, as a share of the picture's extent across them.
    spread: float
    #: Weighted deviation of the agreeing directions, in degrees.
    scatter: float


_NOTHING = Agreement(0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 1.0)


@dataclass(frozen=True)
class Candidate:
    """A lean and the evidence for it."""

    #: Degrees, positive where the left end of the horizon is lower.
    degrees: float
    level: Agreement
    upright: Agreement
    #: The figures that `judge` weighs.
    evidence: dict[str, float]
    #: How surely the level edges of the picture run together at its side, 0..1: stairs, roads, fronts of houses.
    running_together: float = 0.0


def candidates(display: NDArray[np.uint8]) -> list[Candidate]:
    """All leans worth considering, the one with most support first."""
    picture = shrunk(np.asarray(cv2.cvtColor(display, cv2.COLOR_RGB2GRAY), np.uint8), _EDGE)
    lines = segments(picture)
    level, upright = lines.family(upright=False), lines.family(upright=True)
    upright_votes, level_votes = upright.votes(), level.votes()
    straight_up, which = best_over_convergence(upright_votes)
    # The horizon lies off the middle where the camera looked up or down, as converging uprights tell.
    strongest = CONVERGENCE[which[int(straight_up.argmax())]] if straight_up.max() > 0 else 0.0
    horizon_y = float(np.clip(FOCAL**2 * strongest, -0.5, 0.5))
    fan_votes = level.votes(horizon_y)
    middle = CONVERGENCE.size // 2
    aside = np.abs(CONVERGENCE) > 0.05
    fan = fan_votes[aside & (CONVERGENCE < 0)].max(axis=0) + fan_votes[aside & (CONVERGENCE > 0)].max(axis=0)
    profiles = {
        "uprights": straight_up,
        "parallel_uprights": upright_votes[middle],
        "level": level_votes[middle],
        "fan": fan,
    }
    for name, pair in (
        ("gradient", gradient_profiles(picture)),
        ("spectrum", spectrum_profiles(picture)),
        ("path", path_profiles(picture)),
    ):
        profiles[f"level_{name}"], profiles[f"upright_{name}"] = pair
    shares = {name: _share(profile) for name, profile in profiles.items()}
    together = np.sum(list(shares.values()), axis=0)
    places: list[int] = []
    for profile, most in (
        (together, 3),
        (straight_up, 2),
        (profiles["level"], 2),
        (profiles["level_path"], 1),
        (fan, 1),
        (profiles["level_gradient"], 1),
        (profiles["upright_gradient"], 1),
    ):
        for place in peaks(profile, most):
            if all(abs(place - other) * STEP > 0.45 for other in places):
                places.append(place)
    found = []
    together_aside = _running_together(level)
    for place in places[:_MOST]:
        start = float(GRID[place])
        near = _near(upright_votes, place)
        convergence = float(CONVERGENCE[int(near.argmax())])
        uprights = _agreement(upright, start, convergence)
        levels = _agreement(level, start, 0.0, fixed=True)
        found.append(_candidate(start, uprights, levels, profiles, shares, running_together=together_aside))
    context, coarse = _context(level, upright, shares), _coarse(picture)
    meetings, halves = vanishing(lines), (parts(level), parts(upright))
    for candidate in found:
        degrees, place, uprights = candidate.degrees, _place(candidate.degrees), candidate.upright
        trust = min(1.0, uprights.length / 2) * min(1.0, uprights.spread / 0.5)
        candidate.evidence.update(meetings.evidence(degrees, uprights.convergence, trust))
        candidate.evidence.update(balance(place, degrees, *halves))
        candidate.evidence.update({name: float(_near(profile, place)) for name, profile in coarse.items()})
        candidate.evidence.update(context)
        candidate.evidence["rival"] = max(
            (c.evidence["support"] for c in found if abs(c.degrees - candidate.degrees) > 1.0), default=0.0
        )
    compare([candidate.evidence for candidate in found])
    return sorted(found, key=lambda c: -c.evidence["support"])


def _candidate(
    start: float,
    uprights: Agreement,
    levels: Agreement,
    profiles: dict[str, Floats],
    shares: dict[str, Floats],
    *,
    running_together: float,
) -> Candidate:
    heavy, light = uprights.weight * (0.5 + uprights.spread), levels.weight * (0.5 + levels.spread)
    degrees = start
    if heavy + light > 0:
        degrees = (heavy * uprights.degrees + light * levels.degrees) / (heavy + light)
    if abs(degrees - start) > 1.0:
        degrees = start
    place = _place(degrees)
    evidence: dict[str, float] = {}
    for name, share in shares.items():
        evidence[name] = float(_near(share, place))
    for name in ("level_path", "upright_path"):
        evidence[f"{name}_length"] = float(_near(profiles[name], place))
    for name, agreement in (("upright", uprights), ("level", levels)):
        evidence[f"{name}_weight"] = float(np.log10(agreement.weight + 1e-4))
        evidence[f"{name}_purity"] = agreement.purity
        evidence[f"{name}_lengths"] = min(agreement.length, 8.0)
        evidence[f"{name}_longest"] = agreement.longest
        evidence[f"{name}_segments"] = min(agreement.segments, 20.0)
        evidence[f"{name}_spread"] = agreement.spread
        evidence[f"{name}_scatter"] = agreement.scatter
    both = min(uprights.weight, levels.weight) > 0
    evidence["gap"] = min(abs(uprights.degrees - levels.degrees), 2.0) if both else 2.0
    evidence["convergence"] = abs(uprights.convergence)
    evidence["size"] = abs(degrees)
    evidence["support"] = float(sum(evidence[name] for name in shares))
    return Candidate(degrees, levels, uprights, evidence, running_together)


def compare(found: list[dict[str, float]]) -> None:
    """Add to the evidence for each lean how uprights and level edges share in it, and its lead on the other leans."""
    leads = [
        {
            f"lead_{name}": one[name] - max((other[name] for other in found if other is not one), default=0.0)
            for name in LEADS
        }
        for one in found
    ]
    for one, lead in zip(found, leads, strict=True):
        weights = [10 ** one[f"{family}_weight"] for family in ("upright", "level")]
        one["share_weight"] = weights[0] / sum(weights)
        one["weight"] = float(np.log10(sum(weights)))
        for name in ("lengths", "gradient", "spectrum"):
            one[f"share_{name}"] = one[f"upright_{name}"] / (one[f"upright_{name}"] + one[f"level_{name}"] + 1e-6)
        for family in ("upright", "level"):
            one[f"{family}_whole"] = one[f"{family}_longest"] / (one[f"{family}_lengths"] + 1e-6)
        one.update(lead)


def _running_together(level: Family) -> float:
    """Whether the direction of level edges changes with their height, as it does where they meet at the side."""
    near = np.abs(level.lean) <= MAX_DEGREES + 3
    if near.sum() < 3:
        return 0.0
    weight, lean, height = level.weight[near], level.lean[near], level.y[near] / (2 * level.across)
    lean, height = lean - np.average(lean, weights=weight), height - np.average(height, weights=weight)
    spread, scatter = np.average(height**2, weights=weight), np.average(lean**2, weights=weight)
    if spread < 1e-6 or scatter < 1e-6:
        return 0.0
    common = float(np.average(lean * height, weights=weight))
    change, share = abs(common / spread), common**2 / spread / scatter
    return float(np.clip((share - 0.3) / 0.3, 0, 1) * np.clip((change - 3.0) / 3.0, 0, 1))


def _context(level: Family, upright: Family, shares: dict[str, Floats]) -> dict[str, float]:
    """What the picture is like, whatever the lean."""
    weights = float(level.weight.sum()), float(upright.weight.sum())
    narrow = {
        f"{name}_peak": float(np.mean(share > 0.5)) for name, share in shares.items() if name.endswith(("t", "m"))
    }
    return {
        "level_total": float(np.log10(weights[0] + 1e-4)),
        "upright_total": float(np.log10(weights[1] + 1e-4)),
        "count": float(np.log10(level.length.size + upright.length.size + 1)),
        **narrow,
    }


def _share(profile: Floats) -> Floats:
    """A profile between its ordinary value (0) and its highest (1)."""
    low, high = float(np.median(profile)), float(profile.max())
    if high - low <= 1e-9:
        return np.zeros_like(profile)
    return np.clip((profile - low) / (high - low), 0.0, 1.0)


def _coarse(picture: NDArray[np.uint8]) -> dict[str, Floats]:
    """What the lines of a smaller picture vote for: what is fine is gone there, and what is broken is whole."""
    small = np.asarray(cv2.resize(picture, None, fx=0.5, fy=0.5, interpolation=cv2.INTER_AREA), np.uint8)
    lines = segments(small, _SHORTEST_COARSE)
    votes = {
        "level": lines.family(upright=False).votes(tried=np.zeros(1))[0],
        "upright": best_over_convergence(lines.family(upright=True).votes())[0],
    }
    logarithms = {f"coarse_{name}_weight": np.log10(profile + 1e-4) for name, profile in votes.items()}
    return {**{f"coarse_{name}": _share(profile) for name, profile in votes.items()}, **logarithms}


def _place(degrees: float) -> int:
    """Index of a lean in `GRID`."""
    return int(np.clip(round((degrees + MAX_DEGREES) / STEP), 0, GRID.size - 1))


def _near(profile: Floats, place: int) -> NDArray[np.float64]:
    """The highest value within 0.3 degrees."""
    reach = round(0.3 / STEP)
    return np.asarray(profile[..., max(0, place - reach) : place + reach + 1].max(axis=-1))


def _agreement(family: Family, degrees: float, convergence: float, *, fixed: bool = False) -> Agreement:
    """Fit lean and convergence to the segments that agree with a first guess."""
    if family.lean.size == 0:
        return _NOTHING
    weight = family.weight
    inside = np.abs(family.implied(convergence) - degrees) < _AGREE
    for _ in range(3):
        if not inside.any():
            return _NOTHING
        implied, w = family.implied(convergence)[inside], weight[inside]
        slope = np.zeros_like(w) if fixed else np.degrees(1.0) * family.x[inside]
        # Weighted least squares with a little resistance against converging.
        normal = np.array([[w.sum(), (w * slope).sum()], [(w * slope).sum(), (w * slope**2).sum() + 3.0 * w.sum()]])
        off = implied - degrees
        step = np.linalg.solve(normal, np.array([(w * off).sum(), (w * off * slope).sum()]))
        degrees += float(step[0])
        if not fixed:
            convergence = float(np.clip(convergence + step[1], -0.7, 0.7))
        inside = np.abs(family.implied(convergence) - degrees) < _AGREE
    if not inside.any():
        return _NOTHING
    w, across = weight[inside], (family.x if family.upright else family.y)[inside]
    off = family.implied(convergence)[inside] - degrees
    return Agreement(
        degrees=degrees,
        convergence=convergence,
        weight=float(w.sum()),
        purity=float(w.sum() / weight.sum()),
        length=float(family.length[inside].sum()),
        longest=_longest(family, inside, degrees),
        segments=float(w.sum() ** 2 / (w**2).sum()),
        spread=float(np.sqrt(12 * np.average((across - np.average(across, weights=w)) ** 2, weights=w)))
        / (2 * family.across),
        scatter=float(np.sqrt(np.average(off**2, weights=w))),
    )


def _longest(family: Family, inside: NDArray[np.bool_], degrees: float) -> float:
    """Length of the longest line that agreeing segments form together, as a share of the extent along it."""
    x, y, half = family.x[inside], family.y[inside], family.length[inside] / 2
    angle = np.radians(degrees)
    # Along and across the direction of the lean.
    if family.upright:
        along, across = x * np.sin(angle) + y * np.cos(angle), x * np.cos(angle) - y * np.sin(angle)
    else:
        along, across = x * np.cos(angle) - y * np.sin(angle), x * np.sin(angle) + y * np.cos(angle)
    begin, end = along - half, along + half
    order = np.argsort(begin)
    begin, end, across, half = begin[order], end[order], across[order], half[order]
    longest = 0.0
    # Runs begin at long segments; short ones only continue them.
    for at in across[np.argsort(-half)[:12]]:
        same = np.abs(across - at) < 0.006
        reach = np.maximum.accumulate(end[same])
        before = np.concatenate([[-np.inf], reach[:-1]])
        longest = max(longest, float(np.maximum(0.0, reach - np.maximum(begin[same], before)).sum()))
    return min(1.0, longest / (2 * family.along))
