"""Who and what a photo is about, where it lies in the frame, and what of it a crop has to keep whole."""

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from immich_sidecar.analysis.findings import Box, Face, Findings, FoundObject, Mask
from immich_sidecar.analysis.measure.glance import Glance
from immich_sidecar.recipe.frame import frame_of, laid, levelled, moved
from immich_sidecar.recipe.plan import GeometryPlan

#: Objects of less certainty are not believed, and animals that have a head to keep as people have.
_LEAST_SCORE = 0.4
ANIMALS = frozenset(
    {"bird", "cat", "dog", "horse", "sheep", "cow", "elephant", "bear", "zebra", "giraffe", "fish", "rabbit"}
)
#: A face shows no hair, ears and chin: what a head has beyond it, in parts of its height and width.
_HAIR, _EARS, _CHIN = 0.45, 0.2, 0.15
#: A place this near to the edge of the frame, in parts of it, is cut by it.
EDGE = 0.012
#: Somebody is a passer-by below these parts of the frame's height and of the height of the largest person.
_SMALL, _SMALLER = 0.12, 0.3
#: The same for somebody whom the edge of the frame cuts: part of the area of the largest subject.
_CUT_PART = 0.5
#: Cells that draw less than this part of the strongest are no part of what stands out, and the part of the rest
#: that may lie outside of its box at each side.
_LEAST_SALIENCE, _TAIL = 0.3, 0.03
#: A larger box than this says nothing of where the subject is.
_EVERYWHERE = 0.85


class Rect(NamedTuple):
    """A rectangle in fractions of the frame."""

    left: float
    top: float
    right: float
    bottom: float

    @property
    def width(self) -> float:
        """From left to right."""
        return self.right - self.left

    @property
    def height(self) -> float:
        """From top to bottom."""
        return self.bottom - self.top

    @property
    def area(self) -> float:
        """0..1 within the frame."""
        return self.width * self.height

    @property
    def centre(self) -> tuple[float, float]:
        """x, y."""
        return (self.left + self.right) / 2, (self.top + self.bottom) / 2

    def holds(self, other: "Rect") -> bool:
        """Whether the other lies within."""
        return (
            self.left <= other.left
            and self.top <= other.top
            and self.right >= other.right
            and self.bottom >= other.bottom
        )

    def overlap(self, other: "Rect") -> float:
        """The area of what both share."""
        width = min(self.right, other.right) - max(self.left, other.left)
        height = min(self.bottom, other.bottom) - max(self.top, other.top)
        return max(0.0, width) * max(0.0, height)

    def joined(self, other: "Rect") -> "Rect":
        """The smallest that holds both."""
        return Rect(
            min(self.left, other.left),
            min(self.top, other.top),
            max(self.right, other.right),
            max(self.bottom, other.bottom),
        )


class Kind(StrEnum):
    """What a subject is, by how much it may be cut."""

    #: A person or an animal, wholly kept.
    ALIVE = "alive"
    #: A person in passing: kept whole, or left out whole.
    PASSER_BY = "passer-by"
    #: Kept whole where that can be.
    THING = "thing"
    #: No model found anything: what stands out.
    SALIENT = "salient"


@dataclass(frozen=True)
class Subject:
    """Somebody or something."""

    kind: Kind
    #: In words, as `dog`; a person's name where it is known.
    label: str
    #: In fractions of the frame; may reach beyond it where straightening cut it.
    box: Rect
    #: The head of a person whose face was found.
    head: Rect | None = None
    #: Whether `label` is a name.
    is_named: bool = False
    #: Where the face looks: -1 to the left, 1 to the right, 0 to the camera or unknown.
    looks: float = 0.0


def subjects(
    findings: Findings, glance: Glance | None, size: tuple[int, int], geometry: GeometryPlan
) -> tuple[Subject, ...]:
    """The subjects of a photo, the largest first.

    Parameters
    ----------
    size
        Width and height of the oriented photo in pixels.
    geometry
        What is done before the crop; its own crop does not count.
    """
    place = Place(size, geometry)
    faces = [(face, place.rect(face.box)) for face in findings.faces if face.score >= _LEAST_SCORE]
    found: list[Subject] = []
    for one in findings.objects:
        if one.score >= _LEAST_SCORE and one.box.width > 0 and one.box.height > 0:
            found.append(_of_object(one, place, faces, geometry))
    # Faces without a body that was found.
    found += [_of_face(face, rect, geometry) for face, rect in faces]
    if not found and glance is not None:
        box = _standing_out(glance)
        return () if box is None else (Subject(Kind.SALIENT, "what stands out", place.rect(box)),)
    found = _with_passers_by(found)
    return tuple(sorted(found, key=lambda one: -one.box.area))


class Place:
    """Where a place of the oriented photo comes to lie in the frame that orientation, perspective and turn leave."""

    def __init__(self, size: tuple[int, int], geometry: GeometryPlan) -> None:
        self._size, self._geometry = size, geometry
        self._laid = laid(size, geometry)
        self._frame = frame_of(size, geometry)
        self._way = levelled(self._laid, geometry)

    def point(self, x: float, y: float) -> tuple[float, float]:
        """Fractions of the photo to fractions of the frame."""
        if self._geometry.mirror:
            x = 1.0 - x
        for _ in range(self._geometry.quarter_turns):
            x, y = 1.0 - y, x
        width, height = self._laid
        x, y = moved(self._way, ((x - 0.5) * width, (y - 0.5) * height))
        frame = self._frame
        return 0.5 + (x - frame.x) / frame.width, 0.5 + (y - frame.y) / frame.height

    def rect(self, box: Box) -> Rect:
        """The smallest rectangle of the frame that holds a box of the photo."""
        right, bottom = box.x + box.width, box.y + box.height
        corners = [self.point(x, y) for x in (box.x, right) for y in (box.y, bottom)]
        return Rect(
            min(x for x, _ in corners),
            min(y for _, y in corners),
            max(x for x, _ in corners),
            max(y for _, y in corners),
        )


def _of_object(one: FoundObject, place: Place, faces: list[tuple[Face, Rect]], geometry: GeometryPlan) -> Subject:
    box = place.rect(one.box)
    if one.mask is not None:
        box = box.joined(place.rect(_bounds(one.mask) or one.box))
    if one.label != "person":
        return Subject(Kind.ALIVE if one.label in ANIMALS else Kind.THING, one.label, box)
    own = max(
        (pair for pair in faces if box.overlap(pair[1]) > 0.6 * pair[1].area),
        # The highest of those within: others stand behind or are held.
        key=lambda pair: pair[1].area - abs(pair[1].top - box.top),
        default=None,
    )
    if own is None:
        return Subject(Kind.ALIVE, one.label, box)
    faces.remove(own)
    face = _of_face(*own, geometry)
    return Subject(Kind.ALIVE, face.label, box.joined(face.box), face.head, face.is_named, face.looks)


def _of_face(face: Face, rect: Rect, geometry: GeometryPlan) -> Subject:
    head = Rect(
        rect.left - _EARS * rect.width,
        rect.top - _HAIR * rect.height,
        rect.right + _EARS * rect.width,
        rect.bottom + _CHIN * rect.height,
    )
    # What would lie outside of the frame is no hair that a crop could keep.
    head = Rect(max(0.0, head.left), max(0.0, head.top), min(1.0, head.right), min(1.0, head.bottom))
    return Subject(Kind.ALIVE, face.name or "person", head, head, face.name is not None, _looks(face, geometry))


def _looks(face: Face, geometry: GeometryPlan) -> float:
    """From where the nose lies between the eyes; only of faces that stand upright in the frame."""
    if len(face.landmarks) < 3 or geometry.quarter_turns:
        return 0.0
    (first, _), (second, _), (nose, _) = face.landmarks[:3]
    if abs(second - first) < 0.15 * face.box.width:
        # Seen from the side: the nose lies beyond the eyes.
        turned = (nose - (face.box.x + face.box.width / 2)) / max(face.box.width / 2, 1e-6)
    else:
        turned = (nose - (first + second) / 2) / max(abs(second - first) / 2, 1e-6)
    turned = -turned if geometry.mirror else turned
    return 0.0 if abs(turned) < 0.35 else max(-1.0, min(1.0, turned))


def _bounds(mask: Mask) -> Box | None:
    """The rectangle that a mask fills; None where there is nothing in it, or it is damaged."""
    from immich_sidecar.analysis.masks import bounding_box

    try:
        return bounding_box(mask)
    except ValueError:
        return None


def _with_passers_by(found: Iterable[Subject]) -> list[Subject]:
    """Tell those in passing from those whom the photo is about."""
    everybody = list(found)
    tallest = max((one.box.height for one in everybody if one.kind is Kind.ALIVE), default=0.0)
    largest = max((one.box.area for one in everybody), default=0.0)

    def passes(one: Subject) -> bool:
        if one.kind is not Kind.ALIVE or one.is_named:
            return False
        if one.box.height < min(_SMALL, _SMALLER * tallest):
            return True
        is_cut = one.box.left < EDGE or one.box.right > 1 - EDGE
        return is_cut and one.head is None and one.box.area < _CUT_PART * largest

    return [
        Subject(Kind.PASSER_BY, one.label, one.box, one.head, looks=one.looks) if passes(one) else one
        for one in everybody
    ]


def _standing_out(glance: Glance) -> Box | None:
    """The box of what draws the eye; None where that is everywhere, or nothing does."""
    across, down = [0.0] * glance.width, [0.0] * glance.height
    strongest = max(glance.weights, default=0.0)
    if strongest <= 0:
        return None
    for place, weight in enumerate(glance.weights):
        if weight >= _LEAST_SALIENCE * strongest:
            across[place % glance.width] += weight
            down[place // glance.width] += weight
    left, right = _ends(across)
    top, bottom = _ends(down)
    box = Box(x=left, y=top, width=right - left, height=bottom - top)
    return None if math.sqrt(box.width * box.height) > _EVERYWHERE else box


def _ends(sums: list[float]) -> tuple[float, float]:
    """Where the middle part of sums along an axis begins and ends, in fractions of it."""
    whole, gone, left = sum(sums), 0.0, 0
    while gone + sums[left] < _TAIL * whole:
        gone += sums[left]
        left += 1
    gone, right = 0.0, len(sums)
    while gone + sums[right - 1] < _TAIL * whole:
        gone += sums[right - 1]
        right -= 1
    return left / len(sums), right / len(sums)
