"""Parts of the picture: masks that steps can use, and what they would be good for."""

import math
from typing import Any

from immich_sidecar.advise.faces import against_light, luminance
from immich_sidecar.advise.subjects import ANIMALS
from immich_sidecar.advise.suggestion import Suggestion, ramp
from immich_sidecar.analysis.analysis import Analysis
from immich_sidecar.analysis.findings import Findings, FoundObject, Mask

#: Cells of the longer side of a mask in a recipe: edges are drawn by the picture itself.
_GRID = 160
_LEAST_SCORE = 0.5
#: Parts of the picture that a subject fills at least and at most, for there to be a rest to tell it from.
_LEAST_AREA, _MOST_AREA = 0.01, 0.75
#: Confidence of what is only ever offered.
_OFFERED = 0.5
#: Luminance from which a sky is nearly white.
_PALE = (0.45, 0.75)


def masks(findings: Findings | None, measured_sky: Mask | None = None) -> dict[str, dict[str, Any]]:
    """Masks by the type of the step that can use one, as its parameter; none where no model has looked."""
    if findings is None:
        return {}
    outlined = [one for one in findings.objects if one.mask is not None and one.score >= _LEAST_SCORE]
    found: dict[str, dict[str, Any]] = {}
    subject = _joined([one.mask for one in _subjects(outlined) if one.mask is not None])
    if subject is not None:
        found |= {"subject": subject, "background": subject}
    skies = [one.mask for one in outlined if one.label == "sky" and one.mask is not None]
    sky = _joined(skies or ([measured_sky] if measured_sky is not None else []))
    if sky is not None:
        found["sky"] = sky
    return found


def suggest(analysis: Analysis, known: dict[str, dict[str, Any]]) -> list[Suggestion]:
    """What is worth doing to parts of the picture, by the masks that `masks` made of its findings."""
    if analysis.findings is None or analysis.glance is None:
        return []
    found = [_calm(analysis, known), _protect(analysis, known), _lift(analysis, known)]
    return [step for step in found if step is not None]


def _lift(analysis: Analysis, known: dict[str, dict[str, Any]]) -> Suggestion | None:
    """More light for a subject that lies against the light."""
    if "subject" not in known:
        return None
    inside, rest = _light(analysis, known["subject"])
    sure, ev = against_light(inside, rest)
    # Night and silhouettes were meant: only a face says that somebody was to be seen.
    has_face = bool(analysis.findings and analysis.findings.faces)
    sure = sure if has_face else min(_OFFERED, sure) * ramp(analysis.exposure.warmth, 0.8, 0.5)
    sure *= ramp(analysis.exposure.darkness, 0.7, 0.5)
    if sure < 0.25 or ev < 0.2:
        return None
    return Suggestion(
        operation="subject",
        parameters={"mask": known["subject"], "ev": round(ev, 2)},
        confidence=round(sure, 3),
        reason=f"the subject lies in the shade, {math.log2(rest / inside):.1f} stops darker than the rest",
    )


def _calm(analysis: Analysis, known: dict[str, dict[str, Any]]) -> Suggestion | None:
    """Less light and colour around a subject that its surroundings outshine; a matter of taste."""
    glance = analysis.glance
    if "background" not in known or glance is None:
        return None
    cells = _cells(known["background"], glance.width, glance.height)
    whole = sum(glance.weights)
    if not whole:
        return None
    outside = sum(weight * (1 - part) for weight, part in zip(glance.weights, cells, strict=True)) / whole
    area = sum(cells) / len(cells)
    # By chance a subject draws as much of the eye as its part of the picture.
    sure = 0.4 * ramp(outside / max(1e-6, 1 - area), 0.85, 1.05) * ramp(outside, 0.5, 0.8)
    if sure < 0.25:
        return None
    return Suggestion(
        operation="background",
        parameters={"mask": known["background"], "ev": -0.3, "saturation": -20.0, "feather": 30.0},
        confidence=round(sure, 3),
        reason="what is around the subject draws more of the eye than it does",
    )


def _protect(analysis: Analysis, known: dict[str, dict[str, Any]]) -> Suggestion | None:
    """Less light for a sky that is nearly white."""
    if "sky" not in known:
        return None
    inside, rest = _light(analysis, known["sky"])
    sure = _OFFERED * ramp(inside, *_PALE) * ramp(math.log2(inside / rest), 0.5, 1.5)
    if sure < 0.25:
        return None
    return Suggestion(
        operation="sky",
        parameters={"mask": known["sky"], "ev": -0.6, "feather": 30.0},
        confidence=round(sure, 3),
        reason="the sky is nearly white",
    )


def _subjects(outlined: list[FoundObject]) -> list[FoundObject]:
    """People and animals that are not in passing; else the largest thing."""
    alive = [one for one in outlined if one.label == "person" or one.label in ANIMALS]
    things = [one for one in outlined if one.label != "sky"]
    largest = max((one.box.width * one.box.height for one in alive or things), default=0.0)
    if alive:
        return [one for one in alive if one.box.width * one.box.height >= 0.15 * largest]
    return [one for one in things if one.box.width * one.box.height == largest]


def _joined(parts: list[Mask]) -> dict[str, Any] | None:
    """One mask of several, on a grid that is small enough for a recipe; None where it is nowhere or everywhere."""
    import numpy as np

    from immich_sidecar.analysis.masks import coverage, encode

    if not parts:
        return None
    scale = min(1.0, _GRID / max(parts[0].width, parts[0].height))
    width, height = max(1, round(parts[0].width * scale)), max(1, round(parts[0].height * scale))
    try:
        inside = np.max([coverage(part, width, height) for part in parts], axis=0) >= 0.5
    except ValueError:
        # A damaged answer outlines nothing.
        return None
    if not _LEAST_AREA <= inside.mean() <= _MOST_AREA:
        return None
    return encode(inside).model_dump()


def _light(analysis: Analysis, mask: dict[str, Any]) -> tuple[float, float]:
    """Geometric means of luminance inside and outside of a mask."""
    glance = analysis.glance
    if glance is None:
        return 0.18, 0.18
    cells = _cells(mask, glance.width, glance.height)
    logs = [math.log(max(luminance(light), 1e-4)) for light in glance.light]
    inside, outside = sum(cells), len(cells) - sum(cells)
    within = sum(part * log for part, log in zip(cells, logs, strict=True))
    return math.exp(within / max(inside, 1e-6)), math.exp((sum(logs) - within) / max(outside, 1e-6))


def _cells(mask: dict[str, Any], width: int, height: int) -> list[float]:
    """How much of each cell lies inside."""
    from immich_sidecar.analysis.masks import coverage

    return [float(part) for part in coverage(Mask(**mask), width, height).ravel()]
