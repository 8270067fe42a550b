"""What models found in a photo, made ready for its page: places over the picture, words beside it."""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from pydantic import ValidationError

from immich_sidecar.advise.rating import Rating, propose
from immich_sidecar.analysis import masks
from immich_sidecar.analysis.findings import Box, Face, Findings, Focus, FoundObject, Job, Mask, ModelRun, Quality
from immich_sidecar.library.tables import PhotoRow

_log = logging.getLogger(__name__)

#: Colours that outlines take in turn; the stylesheet has them.
COLOURS = 6
#: Outlines of fewer cells than this are specks.
_SPECK_CELLS = 6
#: Mean votes from which on a photo is called so: words for the number beside them, no more.
_QUALITIES = ((6.2, "very good"), (5.5, "good"), (4.7, "ordinary"), (4.0, "weak"), (0.0, "poor"))
#: Probability that eyes are open below which they are called closed, and from which on open.
_EYES_CLOSED, _EYES_OPEN = 0.35, 0.65

#: Focus scores from which on a subject is called so. Nine sharp faces of real photos had 0.55 to 0.67 at the size that
#: is looked at; blurred by a Gaussian of one pixel 0.41 to 0.51, of two pixels 0.14 to 0.22.
_FOCUS = ((0.5, "sharp"), (0.3, "soft"), (0.0, "blurred"))

JOB_WORDS: Mapping[Job, str] = {
    Job.DETECTION: "Objects",
    Job.SEGMENTATION: "Outlines",
    Job.EMBEDDING: "Likeness and tags",
    Job.AESTHETIC: "How it looks",
    Job.TECHNICAL: "How it is made",
    Job.FACES: "Faces",
    Job.WORDS: "Words",
    Job.TONE: "Colour table",
}


@dataclass(frozen=True)
class Place:
    """Something that is drawn over the picture, in the units of `Seen.width` and `Seen.height`."""

    kind: str
    label: str
    score: float
    x: float
    y: float
    width: float
    height: float
    #: The outline as the `d` of an SVG path; empty where there is none.
    path: str = ""
    #: Number of its colour.
    colour: int = 0

    @property
    def words(self) -> str:
        """What stands beside it."""
        return f"{self.label} {round(100 * self.score)} %"


@dataclass(frozen=True)
class Score:
    """How good a photo is in the eyes of a model."""

    name: str
    words: str
    mean: float
    spread: float


@dataclass(frozen=True)
class Seen:
    """Everything that a photo's page shows of its findings."""

    findings: Findings
    #: Size of the oriented photo, in pixels.
    width: int
    height: int
    places: Sequence[Place]
    #: Names of things and how many of each, the surest first.
    objects: Sequence[tuple[str, int]]
    #: People in words, one entry each.
    faces: Sequence[str]
    #: How sharp the main subject is; empty where that is not known.
    focus: str
    scores: Sequence[Score]
    runs: Sequence[tuple[str, ModelRun]]
    #: Stars that would fit by the votes of models; offered, never set.
    rating: Rating | None


def findings_of(photo: PhotoRow) -> Findings | None:
    """What models found in a photo; None where none was asked, or what is stored cannot be read."""
    stored = (photo.analysis or {}).get("findings")
    if not stored:
        return None
    try:
        return Findings.model_validate(stored)
    except ValidationError as error:
        _log.warning("%s: the findings of photo %s cannot be read: %s", photo.owner_id, photo.sha256, error)
        return None


def seen_in(photo: PhotoRow) -> Seen | None:
    """The findings of a photo for its page; None where there are none to show."""
    findings = findings_of(photo)
    if findings is None:
        return None
    width, height = photo.width or 1000, photo.height or 1000
    counted = Counter(item.label for item in findings.objects)
    return Seen(
        findings,
        width,
        height,
        [
            *(_object(item, n, width, height) for n, item in enumerate(findings.objects)),
            *(_face(face, width, height) for face in findings.faces),
        ],
        list(dict.fromkeys((item.label, counted[item.label]) for item in _surest_first(findings.objects))),
        [_face_words(face) for face in findings.faces],
        _focus_words(findings.focus),
        [
            _score(name, quality)
            for name, quality in (("How it looks", findings.aesthetic), ("How it is made", findings.technical))
            if quality is not None
        ],
        [(JOB_WORDS[run.job], run) for run in findings.runs],
        propose(findings),
    )


def outline_path(mask: Mask, width: float, height: float) -> str:
    """The outline of a mask as the `d` of an SVG path over a picture of that size; even-odd, so holes stay open.

    Raises
    ------
    ValueError
        If the mask cannot be read.
    """
    import cv2

    inside = masks.decode(mask)
    # An edge of nothing around it: what touches the border of the picture is closed there.
    padded = np.pad(inside.astype(np.uint8), 1)
    contours, _ = cv2.findContours(padded, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    across, down = width / mask.width, height / mask.height
    pieces = []
    for contour in contours:
        if len(contour) < _SPECK_CELLS:
            continue
        points = cv2.approxPolyDP(contour, 0.7, True).reshape(-1, 2)
        if len(points) >= 3:
            pieces.append("M" + "L".join(f"{(x - 0.5) * across:.1f} {(y - 0.5) * down:.1f}" for x, y in points) + "Z")
    return "".join(pieces)


def _surest_first(objects: Sequence[FoundObject]) -> list[FoundObject]:
    return sorted(objects, key=lambda item: -item.score)


def _object(item: FoundObject, number: int, width: int, height: int) -> Place:
    path = ""
    if item.mask is not None:
        try:
            path = outline_path(item.mask, width, height)
        except ValueError:
            _log.warning("the outline of %r cannot be read", item.label)
    return _place("object", item.label, item.score, item.box, width, height, path=path, colour=number % COLOURS)


def _face(face: Face, width: int, height: int) -> Place:
    return _place("face", face.name or "face", face.score, face.box, width, height)


def _place(  # noqa: PLR0917 - what a place has, in its order
    kind: str, label: str, score: float, box: Box, width: int, height: int, *, path: str = "", colour: int = 0
) -> Place:
    x, y = box.x * width, box.y * height
    return Place(kind, label, score, x, y, box.width * width, box.height * height, path, colour)


def _face_words(face: Face) -> str:
    eyes = ""
    if face.eyes_open is not None:
        closed, is_open = face.eyes_open < _EYES_CLOSED, face.eyes_open >= _EYES_OPEN
        eyes = ", eyes closed" if closed else ", eyes open" if is_open else ", eyes half open"
    return f"{face.name or 'Somebody'}{eyes}"


def _focus_words(focus: Focus | None) -> str:
    if focus is None:
        return ""
    if focus.is_missed:
        return f"missed: what lies around the {focus.what} is sharper"
    return f"{next(word for least, word in _FOCUS if focus.score >= least)} on the {focus.what}"


def _score(name: str, quality: Quality) -> Score:
    words = next(word for least, word in _QUALITIES if quality.mean >= least)
    return Score(name, words, quality.mean, quality.spread)
