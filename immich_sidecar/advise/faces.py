"""What faces say about light: how bright they are, what must not become of them, and which colours skin has."""

import math
from dataclasses import dataclass

from immich_sidecar.advise.suggestion import Suggestion, ramp
from immich_sidecar.analysis.analysis import Analysis
from immich_sidecar.analysis.findings import Box, Findings
from immich_sidecar.analysis.measure.exposure import LUMINANCE
from immich_sidecar.analysis.measure.glance import Glance, Triple

#: Faces of less certainty say nothing, nor do those that fill fewer cells of the glance in either direction.
_LEAST_SCORE, _LEAST_CELLS = 0.5, 1.3
#: The middle of a face, without hair and background, in parts of its box.
_MIDDLE = 0.7
#: Linear luminance that the brightest skin may have (218 of 255 in sRGB), and of faces that are dark and too dark.
_BRIGHTEST, _DARK, _TOO_DARK = 0.7, 0.09, 0.03
#: A face in the shade is lifted as far as this luminance at most.
_LIFTED = 0.16
#: Stops by which the rest is brighter where a face lies against the light.
_AGAINST_LIGHT = (1.3, 3.0)
#: Middle of the colours of skin as log2 of red/green and of blue/green in linear sRGB, and how far they spread: between
#: the dark and the light skin of the ColorChecker (1.02, -0.54; 0.82, -0.45), widened by make-up, sun and shade.
_SKIN, _SPREAD = (0.85, -0.55), (0.45, 0.5)


@dataclass(frozen=True)
class FaceLight:
    """The light of all faces together, by their size."""

    #: Linear luminance 0..1: mean, and that of the brightest cell.
    luminance: float
    brightest: float
    #: Linear red, green and blue.
    colour: Triple
    #: Geometric mean of the luminance of the brighter half of everything else: bodies are dark with their faces.
    rest: float


def face_light(analysis: Analysis) -> FaceLight | None:
    """The light of the faces; None where none was found that is large enough."""
    findings, glance = analysis.findings, analysis.glance
    if findings is None or glance is None:
        return None
    weights = _faces(findings, glance)
    whole = sum(weights)
    if whole < 1.0:
        return None
    cells = list(zip(weights, glance.light, strict=True))
    red, green, blue = (sum(weight * light[i] for weight, light in cells) / whole for i in range(3))
    brightest = max(luminance(light) for weight, light in cells if weight > 0.6 or weight == max(weights))
    outside = sorted(max(luminance(light), 1e-4) for weight, light in cells if weight == 0)
    outside = outside[len(outside) // 2 :]
    rest = math.exp(sum(map(math.log, outside)) / len(outside)) if outside else 0.18
    return FaceLight(luminance((red, green, blue)), brightest, (red, green, blue), rest)


def luminance(light: Triple) -> float:
    """Of linear sRGB."""
    return sum(float(weight) * channel for weight, channel in zip(LUMINANCE, light, strict=True))


def weighed(step: Suggestion, faces: FaceLight | None) -> Suggestion | None:
    """An exposure step as faces allow it: none is brightened until it is cut, and a dark one is not darkened."""
    if faces is None or step.operation != "exposure":
        return step
    ev, sure, reason = float(step.parameters["ev"]), step.confidence, step.reason
    if ev > 0:
        room = math.log2(_BRIGHTEST / max(faces.brightest, 1e-4))
        if room < ev:
            # What is left of the step was not what the estimator asked for.
            sure *= max(0.0, room / ev)
            ev = max(0.0, room)
            reason = f"{reason}; as far as faces allow"
        elif faces.luminance < _DARK:
            sure += 0.3 * (1 - sure) * ramp(faces.luminance, _DARK, _TOO_DARK)
    elif faces.brightest > _BRIGHTEST:
        sure += 0.3 * (1 - sure) * ramp(faces.brightest, _BRIGHTEST, 0.95)
    else:
        sure *= ramp(faces.luminance * 2**ev, 0.04, 0.12)
    if abs(ev) < 0.25 or sure < 0.25:
        return None
    parameters = {**step.parameters, "ev": round(ev, 2)}
    return step.model_copy(update={"parameters": parameters, "confidence": round(min(0.97, sure), 3), "reason": reason})


def in_the_shade(faces: FaceLight | None) -> Suggestion | None:
    """Open shadows for a face that lies against the light."""
    if faces is None:
        return None
    sure, ev = against_light(faces.luminance, faces.rest)
    if sure < 0.25:
        return None
    # Shadows of 100 lift the darkest surroundings by 2 EV.
    return Suggestion(
        operation="tone",
        parameters={"shadows": round(min(70.0, 50.0 * ev), 0)},
        confidence=round(sure, 3),
        reason=f"a face against the light, {math.log2(faces.rest / max(faces.luminance, 1e-4)):.1f} stops darker",
    )


def against_light(inside: float, rest: float) -> tuple[float, float]:
    """How sure it is that somebody of that luminance is too dark against the rest (0..0.75), and by how many EV."""
    dark = ramp(inside, _DARK, _TOO_DARK)
    stops = math.log2(max(rest, 1e-4) / max(inside, 1e-4))
    ev = min(1.4, math.log2(_LIFTED / max(inside, 1e-4)), stops)
    return 0.75 * dark * ramp(stops, *_AGAINST_LIGHT), max(0.0, ev)


def guarded(step: Suggestion | None, faces: FaceLight | None) -> Suggestion | None:
    """A white balance that is less sure where it takes skin away from the colours that skin has."""
    if step is None or faces is None or not step.parameters.get("gains") or step.parameters.get("space"):
        return step
    red, green, blue = (math.log2(gain) for gain in step.parameters["gains"])
    before = _of_skin(faces.colour)
    after = _distance(before[0] + red - green, before[1] + blue - green)
    worse = after - max(1.0, _distance(*before))
    if worse <= 0:
        return step
    sure = round(step.confidence * ramp(worse, 1.0, 0.0), 3)
    if sure < 0.25:
        return None
    return step.model_copy(update={"confidence": sure, "reason": f"{step.reason}, but skin would not look like skin"})


def _of_skin(colour: Triple) -> tuple[float, float]:
    red, green, blue = (max(channel, 1e-4) for channel in colour)
    return math.log2(red / green), math.log2(blue / green)


def _distance(red: float, blue: float) -> float:
    """How far a colour lies from those of skin, in their spread: up to 1 is plausible."""
    return math.hypot((red - _SKIN[0]) / _SPREAD[0], (blue - _SKIN[1]) / _SPREAD[1])


def _faces(findings: Findings, glance: Glance) -> list[float]:
    """How much of each cell lies within the middle of a face."""
    weights = [0.0] * (glance.width * glance.height)
    for face in findings.faces:
        box = _middle(face.box)
        wide, high = box.width * glance.width, box.height * glance.height
        if face.score < _LEAST_SCORE or min(wide, high) < _LEAST_CELLS * _MIDDLE:
            continue
        for row in range(
            int(box.y * glance.height), min(glance.height, math.ceil((box.y + box.height) * glance.height))
        ):
            down = _shared(row, box.y * glance.height, (box.y + box.height) * glance.height)
            for column in range(
                int(box.x * glance.width), min(glance.width, math.ceil((box.x + box.width) * glance.width))
            ):
                across = _shared(column, box.x * glance.width, (box.x + box.width) * glance.width)
                place = row * glance.width + column
                weights[place] = min(1.0, weights[place] + across * down)
    return weights


def _shared(cell: int, start: float, end: float) -> float:
    return max(0.0, min(cell + 1.0, end) - max(float(cell), start))


def _middle(box: Box) -> Box:
    edge = (1 - _MIDDLE) / 2
    return Box(
        x=min(1.0, box.x + edge * box.width),
        y=min(1.0, box.y + edge * box.height),
        width=_MIDDLE * box.width,
        height=_MIDDLE * box.height,
    )
