"""Crops: frames in a few shapes that suit what the photo is about, and never cut a head, a person or an animal.

A crop is a matter of taste, and the photographer has framed the picture already. So crops are offered; one is applied
unasked only where a language model, asked on its own, names nearly the same frame and it is clearly better.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from immich_sidecar.advise.composition import Scene, principles, scene, worth
from immich_sidecar.advise.subjects import EDGE, Kind, Place, Rect, Subject, subjects
from immich_sidecar.advise.suggestion import Suggestion, ramp
from immich_sidecar.analysis.findings import Findings
from immich_sidecar.analysis.measure.glance import Glance
from immich_sidecar.recipe.frame import frame_of
from immich_sidecar.recipe.plan import GeometryPlan

#: Shapes that are offered beside the free one, as width to height; turned upright for upright pictures, except those
#: for screens.
SHAPES = {"3:2": 3 / 2, "4:3": 4 / 3, "1:1": 1.0, "16:9": 16 / 9, "9:16": 9 / 16}
_SCREENS = frozenset({"16:9", "9:16"})
#: Room around what is kept, in parts of the frame: above heads, and elsewhere.
_ABOVE, _AROUND = 0.03, 0.012
#: No crop is smaller than these parts of the frame's area and of its sides.
_LEAST_AREA, _LEAST_SIDE = 0.2, 0.3
#: Sizes that are tried, as parts of the largest rectangle of a shape, or of each side where the shape is free.
_SIZES = (1.0, 0.94, 0.88, 0.82, 0.76, 0.7, 0.64, 0.58, 0.52, 0.46, 0.4)
_FREE_SIZES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5, 0.4)
#: Where the spot that is looked at first is tried, in parts of the crop: across, and down, for heads and for others.
_LINES, _HEAD_LINES = (1 / 3, 0.5, 2 / 3), (0.36, 0.5)
#: By how much a frame has to be better than the whole picture to be suggested, and to be clearly better.
_BETTER, _CLEARLY = 0.04, 0.1
#: By how much one may seem worse and still be offered, for those who want its shape.
_WORSE = 0.1
#: Confidence of a suggestion that is not applied, and of one that a second witness confirms.
_OFFERED, _CONFIRMED = 0.55, 0.75
#: Two frames are nearly the same where this part of their common area is shared.
_SAME = 0.75
#: Fewer pixels than these are no picture any more.
_LEAST_PIXELS = 0.12e6
#: What one knows of the reasons that a model writes.
_LONGEST_REASON = 160


@dataclass(frozen=True)
class Crop:
    """A frame that is offered."""

    #: `free`, one of `SHAPES` (upright ones as `2:3`), or `words`.
    shape: str
    #: In fractions of the frame that orientation, perspective and turn leave.
    rect: Rect
    #: By how much it is better (positive) or worse composed than the whole picture, -1..1.
    gain: float
    #: Why, in words.
    reason: str

    @property
    def parameters(self) -> dict[str, float]:
        """Those of the operation `crop`."""
        x, y = round(self.rect.left, 5), round(self.rect.top, 5)
        width, height = min(round(self.rect.width, 5), 1 - x), min(round(self.rect.height, 5), 1 - y)
        return {"x": x, "y": y, "width": round(width, 5), "height": round(height, 5)}


def crops(
    findings: Findings, glance: Glance | None, size: tuple[int, int], geometry: GeometryPlan | None = None
) -> tuple[Crop, ...]:
    """Frames to choose from, one for each shape in which there is one that keeps everybody whole; the free one first.

    Parameters
    ----------
    size
        Width and height of the oriented photo in pixels.
    geometry
        What is done to it before; its crop does not count.
    """
    way = replace(geometry or GeometryPlan(), crop=(0.0, 0.0, 1.0, 1.0))
    frame = frame_of(size, way)
    if frame.width * frame.height < _LEAST_PIXELS:
        return ()
    of = scene(subjects(findings, glance, size, way), glance, (frame.width, frame.height), way)
    if not of.subjects:
        return ()
    held = _Held.of(of.subjects)
    whole = worth(Rect(0, 0, 1, 1), of)
    found: list[Crop] = []
    ratio = frame.width / frame.height
    free = _best((rect for rect in _free(of, held)), of)
    if free is not None and worth(free, of) - whole >= _BETTER:
        found.append(_told("free", free, of, whole))
    for name, shape in SHAPES.items():
        is_turned = ratio < 1 and name not in _SCREENS and shape != 1.0
        label, wanted = (":".join(reversed(name.split(":"))), 1 / shape) if is_turned else (name, shape)
        if abs(wanted / ratio - 1) < 0.01:
            # The picture has that shape: only what is better than all of it is another frame.
            best = _best(_shaped(1.0, of, held), of)
            best = None if best is None or worth(best, of) - whole < _BETTER else best
        else:
            best = _best(_shaped(wanted / ratio, of, held), of)
        if best is not None and worth(best, of) - whole >= -_WORSE:
            found.append(_told(label, best, of, whole))
    return (*found, *_worded(findings, Place(size, way), of, held, whole))


def suggest(
    findings: Findings | None, glance: Glance | None, size: tuple[int, int], geometry: GeometryPlan
) -> Suggestion | None:
    """The best frame, where it is better than the whole picture; offered, and applied only by two witnesses."""
    if findings is None:
        return None
    offered = crops(findings, glance, size, geometry)
    own = [one for one in offered if one.shape in ("free", *_of_the_picture(size))]
    worded = [one for one in offered if one.shape == "words"]
    best = max((*own, *worded), key=lambda one: one.gain, default=None)
    least = _BETTER if findings.objects or findings.faces else 2 * _BETTER
    if best is None or best.gain < least:
        return None
    confidence = 0.25 + (_OFFERED - 0.25) * ramp(best.gain, _BETTER, 2 * _CLEARLY)
    others = own if best.shape == "words" else worded
    agreed = any(_alike(best.rect, other.rect) and other.gain >= _BETTER for other in others)
    if agreed and best.gain >= _CLEARLY:
        confidence = _CONFIRMED
    return Suggestion(operation="crop", parameters=best.parameters, confidence=round(confidence, 3), reason=best.reason)


def _of_the_picture(size: tuple[int, int]) -> tuple[str, ...]:
    """The name of the shape that the picture has already."""
    ratio = size[0] / size[1]
    names = (*SHAPES.items(), *((":".join(reversed(name.split(":"))), 1 / shape) for name, shape in SHAPES.items()))
    return tuple(name for name, shape in names if abs(shape / ratio - 1) < 0.01)


@dataclass(frozen=True)
class _Held:
    """What may not be cut."""

    #: What every frame has to hold.
    inner: Rect | None
    #: What it may leave out, but not cut.
    whole_or_not: tuple[Rect, ...]

    @classmethod
    def of(cls, found: Sequence[Subject]) -> "_Held":
        inner: Rect | None = None
        aside: list[Rect] = []
        if not any(one.kind is Kind.ALIVE for one in found) and found[0].kind is Kind.THING:
            # What the photo is about is kept whole as well.
            inner = _with_room(found[0].box, _AROUND, _AROUND)
        for one in found:
            if one.kind is Kind.PASSER_BY:
                aside.append(_with_room(one.box, _AROUND, _AROUND))
            if one.kind is not Kind.ALIVE:
                continue
            kept = _with_room(one.box, _AROUND, _AROUND)
            if one.head is not None:
                kept = kept.joined(_with_room(one.head, _ABOVE, _AROUND))
            inner = kept if inner is None else inner.joined(kept)
        return cls(inner, tuple(aside))

    def allows(self, rect: Rect) -> bool:
        """Whether a frame cuts nobody."""
        if self.inner is not None and not rect.holds(self.inner):
            return False
        return all(rect.overlap(one) <= 1e-9 or rect.holds(one) for one in self.whole_or_not)


def _with_room(box: Rect, above: float, around: float) -> Rect:
    """A box with room around it, within the frame: who is cut by the frame's edge is not cut any further."""
    return Rect(
        0.0 if box.left < EDGE else box.left - min(around, box.left),
        0.0 if box.top < EDGE else box.top - min(above, box.top),
        1.0 if box.right > 1 - EDGE else box.right + min(around, 1 - box.right),
        1.0 if box.bottom > 1 - EDGE else box.bottom + min(around, 1 - box.bottom),
    )


def _best(candidates: Iterable[Rect], of: Scene) -> Rect | None:
    return max(candidates, key=lambda rect: worth(rect, of), default=None)


def _shaped(ratio: float, of: Scene, held: _Held) -> Iterator[Rect]:
    """Frames of one shape (width to height, both in fractions of the frame)."""
    widest, highest = min(1.0, ratio), min(1.0, 1 / ratio)
    for part in _SIZES:
        yield from _placed(widest * part, highest * part, of, held)


def _free(of: Scene, held: _Held) -> Iterator[Rect]:
    ratio = of.width / of.height
    for width in _FREE_SIZES:
        for height in _FREE_SIZES:
            # No strips: shapes of films and screens.
            if 0.5 <= ratio * width / height <= 2.2 or width == height:
                yield from _placed(width, height, of, held)


def _placed(width: float, height: float, of: Scene, held: _Held) -> Iterator[Rect]:
    """Where a frame of that size may lie: its subject on the lines or in the middle, or at an edge of the picture."""
    small = min(width, height) < _LEAST_SIDE or width * height < _LEAST_AREA
    if small or width * height * of.width * of.height < _LEAST_PIXELS:
        return
    inner = held.inner
    anchor, group = of.anchor or (None, None), of.group.centre if of.group is not None else (None, None)
    lefts = _starts(width, anchor[0], _LINES, group[0], inner and (inner.left, inner.right))
    down = _HEAD_LINES if of.heads else _LINES
    tops = _starts(height, anchor[1], down, group[1], inner and (inner.top, inner.bottom))
    for left in lefts:
        for top in tops:
            rect = Rect(left, top, min(1.0, left + width), min(1.0, top + height))
            if held.allows(rect):
                yield rect


def _starts(
    side: float,
    anchor: float | None,
    lines: Sequence[float],
    middle: float | None,
    inner: tuple[float, float] | None,
) -> tuple[float, ...]:
    """Where a frame may begin along an axis."""
    low, high = 0.0, 1.0 - side
    if inner is not None:
        low, high = max(low, inner[1] - side), min(high, inner[0])
        if low > high + 1e-9:
            return ()
    wanted = [low, high]
    if anchor is not None:
        wanted += [anchor - line * side for line in lines]
    if middle is not None:
        wanted.append(middle - side / 2)
    return tuple(dict.fromkeys(round(min(max(start, low), max(low, high)), 6) for start in wanted))


def _worded(findings: Findings, place: Place, of: Scene, held: _Held, whole: float) -> Iterator[Crop]:
    """The frames that a language model names, held to the same rules."""
    for one in () if findings.words is None else findings.words.crops:
        rect = place.rect(one.box)
        rect = Rect(max(0.0, rect.left), max(0.0, rect.top), min(1.0, rect.right), min(1.0, rect.bottom))
        if min(rect.width, rect.height) < _LEAST_SIDE or rect.area < _LEAST_AREA or rect.area > 0.97:
            continue
        if rect.area * of.width * of.height < _LEAST_PIXELS or not held.allows(rect):
            continue
        reason = " ".join(one.reason.split())[:_LONGEST_REASON] or _why(rect, of)
        yield Crop("words", rect, round(worth(rect, of) - whole, 4), reason)


def _told(shape: str, rect: Rect, of: Scene, whole: float) -> Crop:
    return Crop(shape, rect, round(worth(rect, of) - whole, 4), _why(rect, of))


def _why(rect: Rect, of: Scene) -> str:
    """What a frame does for the picture, in words."""
    group, anchor = of.group, of.anchor
    kept = f"keeps {rect.area:.0%} of the picture"
    if group is None or anchor is None or rect.area > 0.985:
        return kept
    who = _who(of)
    x, y = (anchor[0] - rect.left) / rect.width, (anchor[1] - rect.top) / rect.height
    lines = {"left third": 1 / 3, "right third": 2 / 3}
    on = next((name for name, line in lines.items() if abs(x - line) < 0.03 and abs(anchor[0] - line) >= 0.03), None)
    if on is not None:
        return f"puts {who} on the {on}; {kept}"
    before, after = principles(Rect(0, 0, 1, 1), of), principles(rect, of)
    if after.get("headroom", 0) - before.get("headroom", 0) > 0.2 and of.heads:
        return f"less empty space above {who}; {kept}"
    if after.get("look_room", 0) - before.get("look_room", 0) > 0.2:
        return f"leaves {who} room to look into; {kept}"
    if after["edges"] - before["edges"] > 0.2:
        return f"leaves out what the edge of the picture cuts; {kept}"
    if abs(x - 0.5) < 0.03 and abs(anchor[0] - 0.5) >= 0.03:
        return f"puts {who} in the middle; {kept}"
    low = next((name for name, line in (("upper", 1 / 3), ("lower", 2 / 3)) if abs(y - line) < 0.03), None)
    if low is not None and abs(anchor[1] - y) > 0.03 and not of.heads:
        return f"puts {who} on the {low} third; {kept}"
    if after.get("prominence", 0) - before.get("prominence", 0) > 0.05:
        return f"brings {who} closer; {kept}"
    return kept


def _who(of: Scene) -> str:
    alive = [one for one in of.subjects if one.kind is Kind.ALIVE]
    if not alive:
        first = of.subjects[0]
        return first.label if first.kind is Kind.SALIENT else f"the {first.label}"
    names = [one.label for one in alive if one.is_named]
    if len(alive) == 1:
        return names[0] if names else f"the {alive[0].label}"
    labels = {one.label for one in alive if not one.is_named}
    if names and len(names) == len(alive) and len(names) <= 3:
        return f"{', '.join(names[:-1])} and {names[-1]}"
    if labels == {"person"} or names:
        return f"the {_COUNTED[len(alive)]} people" if len(alive) < len(_COUNTED) else "the group"
    return f"the {alive[0].label}" if len(labels) > 1 else f"the {alive[0].label}s"


_COUNTED = ("no", "one", "two", "three", "four", "five")


def _alike(one: Rect, other: Rect) -> bool:
    shared = one.overlap(other)
    return shared / (one.area + other.area - shared) >= _SAME
