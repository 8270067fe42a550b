"""How well a frame is composed: a few principles that photographers share, as numbers.

Each principle gives 0 (badly) to 1 (well), and what a frame is worth is their weighted mean. Only differences to the
whole picture mean anything: a crop has to be better than what the photographer framed.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from immich_sidecar.advise.subjects import EDGE, Kind, Rect, Subject
from immich_sidecar.advise.suggestion import ramp
from immich_sidecar.analysis.measure.glance import Glance
from immich_sidecar.recipe.plan import GeometryPlan

#: What the principles weigh.
WEIGHTS = {
    "place": 1.0,
    "prominence": 1.0,
    "headroom": 0.8,
    "look_room": 0.6,
    "balance": 0.4,
    "edges": 1.0,
    "area": 0.7,
    "resolution": 0.6,
    "attention": 0.8,
}
_THIRDS = (1 / 3, 2 / 3)
#: How far from its line a subject may lie and still be on it, as a deviation in parts of the frame.
_ON_LINE = 0.07
#: What the middle is worth beside the thirds; for who fills the frame the middle is as good.
_MIDDLE, _WIDE = 0.88, 0.5
#: Height at which eyes are at ease.
_EYES = 0.36
#: Megapixels below which detail is missing, and from which more of them are not seen.
_FEW, _ENOUGH = 1.0, 6.0


@dataclass(frozen=True)
class Scene:
    """What there is to compose."""

    subjects: tuple[Subject, ...]
    #: Width and height of the frame in pixels.
    width: float
    height: float
    #: None where it was not measured, or where the frame is not the picture as it was taken.
    glance: Glance | None = None

    @cached_property
    def group(self) -> Rect | None:
        """What holds everybody whom the photo is about; where there is nobody, the largest thing."""
        alive = [one for one in self.subjects if one.kind is Kind.ALIVE]
        of = alive or list(self.subjects[:1])
        if not of:
            return None
        whole = of[0].box
        for one in of[1:]:
            whole = whole.joined(one.box)
        return Rect(max(0.0, whole.left), max(0.0, whole.top), min(1.0, whole.right), min(1.0, whole.bottom))

    @cached_property
    def heads(self) -> tuple[Rect, ...]:
        """Heads of those whom the photo is about."""
        return tuple(one.head for one in self.subjects if one.head is not None and one.kind is Kind.ALIVE)

    @cached_property
    def anchor(self) -> tuple[float, float] | None:
        """The spot that is looked at first: heads, else the upper part of the living, else the middle of a thing."""
        group = self.group
        if group is None:
            return None
        if self.heads:
            weights = [head.area for head in self.heads]
            x = sum(head.centre[0] * weight for head, weight in zip(self.heads, weights, strict=True))
            y = sum(head.centre[1] * weight for head, weight in zip(self.heads, weights, strict=True))
            return x / sum(weights), y / sum(weights)
        x, y = group.centre
        if self.subjects[0].kind is Kind.ALIVE and self.subjects[0].label == "person":
            y = group.top + 0.3 * group.height
        return x, y

    @cached_property
    def sums(self) -> tuple[tuple[float, ...], ...]:
        """Sums of salience above and left of each corner of the cells."""
        if self.glance is None:
            return ()
        width, weights = self.glance.width, self.glance.weights
        rows = [(0.0,) * (width + 1)]
        for row in range(self.glance.height):
            line, found = 0.0, [0.0]
            for column in range(width):
                line += weights[row * width + column]
                found.append(line + rows[-1][column + 1])
            rows.append(tuple(found))
        return tuple(rows)

    def salience(self, rect: Rect) -> float:
        """The part of all salience that lies within; 1 where none was measured."""
        if not self.sums or not self.sums[-1][-1]:
            return 1.0
        rows, columns = len(self.sums) - 1, len(self.sums[0]) - 1

        def at(x: float, y: float) -> float:
            return self.sums[min(rows, max(0, round(y * rows)))][min(columns, max(0, round(x * columns)))]

        inside = at(rect.right, rect.bottom) - at(rect.left, rect.bottom) - at(rect.right, rect.top)
        return (inside + at(rect.left, rect.top)) / self.sums[-1][-1]

    def cut(self, rect: Rect) -> float:
        """How much of what stands out new edges go through: salience along the worst of them, against the mean."""
        if not self.sums or not self.sums[-1][-1]:
            return 0.0
        across, down = 1 / (len(self.sums[0]) - 1), 1 / (len(self.sums) - 1)
        lines = [
            line
            for is_new, line in (
                (rect.left > EDGE, Rect(rect.left - across, rect.top, rect.left + across, rect.bottom)),
                (rect.right < 1 - EDGE, Rect(rect.right - across, rect.top, rect.right + across, rect.bottom)),
                (rect.top > EDGE, Rect(rect.left, rect.top - down, rect.right, rect.top + down)),
                (rect.bottom < 1 - EDGE, Rect(rect.left, rect.bottom - down, rect.right, rect.bottom + down)),
            )
            if is_new
        ]
        return max((self.salience(line) / max(line.area, 1e-9) for line in lines), default=0.0)


def scene(
    found: tuple[Subject, ...], glance: Glance | None, frame: tuple[float, float], geometry: GeometryPlan
) -> Scene:
    """What there is to compose in a frame of so many pixels.

    Salience is counted where the frame is nearly the picture as it was taken: a small turn moves no cell.
    """
    is_as_taken = not geometry.quarter_turns and not geometry.mirror and geometry.upright is None
    return Scene(found, *frame, glance if is_as_taken and abs(geometry.degrees) <= 5 else None)


def principles(rect: Rect, of: Scene) -> dict[str, float]:
    """What each principle says of a frame, 0..1; what does not apply is left out."""
    found = {
        "area": math.sqrt(max(rect.area, 0.0)),
        "resolution": _resolution(rect, of),
        "attention": ramp(of.salience(rect), 0.5, 0.95),
        "edges": _edges(rect, of),
    }
    group, anchor = of.group, of.anchor
    if group is None or anchor is None:
        return found
    x, y = (anchor[0] - rect.left) / rect.width, (anchor[1] - rect.top) / rect.height
    within = Rect(
        (group.left - rect.left) / rect.width,
        (group.top - rect.top) / rect.height,
        (group.right - rect.left) / rect.width,
        (group.bottom - rect.top) / rect.height,
    )
    found["place"] = (_across(x, within.width) + _down(y, bool(of.heads))) / 2
    found["prominence"] = ramp(math.sqrt(max(within.area, 0.0)), 0.08, 0.5)
    found["balance"] = 1 - ramp(math.dist(within.centre, (0.5, 0.5)), 0.2, 0.4)
    heads = [head for head in of.heads if head.top > EDGE]
    if heads:
        room = (min(head.top for head in heads) - rect.top) / rect.height
        found["headroom"] = min(ramp(room, 0.0, 0.06), 1 - 0.8 * ramp(room, 0.2, 0.5))
    looks = [one.looks for one in of.subjects if one.looks and one.head in of.heads]
    if looks and len(looks) == len(of.heads):
        # As much room before a face as behind it, or more.
        before = (1 - x) if sum(looks) > 0 else x
        found["look_room"] = ramp(before, 0.25, 0.5)
    return found


def worth(rect: Rect, of: Scene) -> float:
    """What a frame is worth, 0..1."""
    found = principles(rect, of)
    return sum(WEIGHTS[name] * value for name, value in found.items()) / sum(WEIGHTS[name] for name in found)


def _across(x: float, width: float) -> float:
    middle = _MIDDLE + (1 - _MIDDLE) * ramp(width, _WIDE - 0.2, _WIDE)
    return max(middle * _near(x, 0.5), *(_near(x, third) for third in _THIRDS))


def _down(y: float, are_heads: bool) -> float:
    if are_heads:
        return max(_near(y, _EYES, 1.5), _MIDDLE * _near(y, 0.5))
    return max(_MIDDLE * _near(y, 0.5), *(_near(y, third) for third in _THIRDS))


def _near(value: float, line: float, width: float = 1.0) -> float:
    return math.exp(-(((value - line) / (width * _ON_LINE)) ** 2) / 2)


def _resolution(rect: Rect, of: Scene) -> float:
    whole = of.width * of.height / 1e6
    enough = min(_ENOUGH, whole)
    return ramp(rect.area * whole, min(_FEW, 0.25 * enough), enough)


def _edges(rect: Rect, of: Scene) -> float:
    """What the frame cuts that was whole, and how near to its edges subjects come; 1 for nothing of both."""
    lost = 0.0
    for one in of.subjects:
        box = Rect(max(0.0, one.box.left), max(0.0, one.box.top), min(1.0, one.box.right), min(1.0, one.box.bottom))
        inside = rect.overlap(box) / max(box.area, 1e-9)
        weight = min(1.0, 4 * math.sqrt(max(box.area, 0.0)))
        if 0.02 < inside < 0.98:
            lost += weight * (0.4 + 0.6 * (1 - inside))
        elif inside >= 0.98:
            lost += 0.4 * weight * _tightness(rect, box)
        elif one.kind is Kind.THING:
            # Left out whole: a little is lost, unless it was clutter that the picture's own edge had cut.
            is_cut = min(box.left, box.top, 1 - box.right, 1 - box.bottom) < EDGE
            lost += 0.0 if is_cut else 0.3 * weight
    for one in of.subjects:
        if one.kind is Kind.PASSER_BY and rect.overlap(one.box) > 0:
            is_cut = min(one.box.left, 1 - one.box.right) < EDGE
            lost += 0.25 if is_cut else 0.0
    # An edge may go through what is as plain as the picture's mean, not through what stands out.
    return max(0.0, 1 - lost - 0.5 * ramp(of.cut(rect), 0.8, 2.0))


def _tightness(rect: Rect, box: Rect) -> float:
    """How much a subject is pressed against an edge that did not cut it before."""
    rooms: Sequence[tuple[float, float, float]] = (
        (box.left, box.left - rect.left, rect.width),
        (box.top, box.top - rect.top, rect.height),
        (1 - box.right, rect.right - box.right, rect.width),
        (1 - box.bottom, rect.bottom - box.bottom, rect.height),
    )
    return max((1 - ramp(room / side, 0.0, 0.05) for before, room, side in rooms if before >= EDGE), default=0.0)
