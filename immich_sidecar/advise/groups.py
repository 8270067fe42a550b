"""Photos that belong together: bursts, exposure brackets, frames of panoramas, near duplicates. Proposed only."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from immich_sidecar.analysis.measure.shapes import bits_apart

#: Longest time between two photos of a burst or a bracket, and of a panorama.
BURST_GAP, PANORAMA_GAP = timedelta(seconds=2), timedelta(seconds=10)
#: Bits in which two photos of a burst may differ, and two near duplicates of any time.
BURST_BITS, DUPLICATE_BITS = 16, 3
#: Photos that make a burst, a bracket and a panorama, at least.
LEAST = 3
#: Stops between the photos of a bracket, and between its lightest and darkest, at least.
STEP_EV, RANGE_EV = 0.3, 1.3
#: Stops by which the photos of a panorama differ at most.
SAME_EV = 0.4
#: Cosine of the vectors of two photos from which on they show the same, and below which they do not.
ALIKE, UNLIKE = 0.9, 0.8
#: More photos than this with the same bits are nothing but dark or empty.
_CROWD = 60


class GroupKind(StrEnum):
    """Why photos belong together."""

    BRACKET = "bracket"
    PANORAMA = "panorama"
    BURST = "burst"
    DUPLICATES = "duplicates"


@dataclass(frozen=True)
class Like:
    """What is known of a photo that may belong to others."""

    photo: str
    #: `analysis.measure.shapes`.
    shapes: int
    captured_at: datetime | None = None
    camera: str = ""
    exposure_value: float | None = None
    bracketed: bool = False
    #: How good it is beside the others of a burst; higher is better.
    merit: float = 0.0


@dataclass(frozen=True)
class Group:
    """Photos that belong together."""

    kind: GroupKind
    #: The proposed best first, where there is one; else in the order in which they were taken.
    members: tuple[str, ...]
    has_best: bool
    reason: str


#: Compares two photos; None: cannot be told.
Cosine = Callable[[Like, Like], float | None]
#: Whether two photos whose bits are alike really look alike.
Same = Callable[[Like, Like], bool]
#: Which way the second photo goes on from the first; None: it does not.
MovedOn = Callable[[Like, Like], str | None]


def find_groups(photos: Iterable[Like], *, cosine: Cosine, same: Same, moved_on: MovedOn) -> list[Group]:
    """All groups among the photos of one owner; no photo is in two."""
    everything = list(photos)
    groups: list[Group] = []
    taken: set[str] = set()

    def add(group: Group) -> None:
        groups.append(group)
        taken.update(group.members)

    for run in _runs(everything, PANORAMA_GAP):
        for part in _brackets(run):
            add(_bracket(part))
        for part in _panoramas([one for one in run if one.photo not in taken], moved_on):
            add(_panorama(part))
    for run in _runs([one for one in everything if one.photo not in taken], BURST_GAP):
        for part in _split(run, lambda a, b: _near(a, b, cosine)):
            if len(part) >= LEAST:
                add(_burst(part))
    for part in _duplicates([one for one in everything if one.photo not in taken], cosine, same):
        add(Group(GroupKind.DUPLICATES, tuple(one.photo for one in part), False, "They show nearly the same."))
    return groups


def exposure_value(seconds: float | None, f_number: float | None, iso: float | None) -> float | None:
    """What the camera let in, in stops at ISO 100: log2(f-number squared / seconds) - log2(ISO / 100)."""
    from math import log2

    if not seconds or not iso or seconds <= 0 or iso <= 0:
        return None
    return log2((f_number or 1.0) ** 2 / seconds) - log2(iso / 100)


def _runs(photos: Sequence[Like], gap: timedelta) -> Iterator[list[Like]]:
    """Photos of one camera taken one soon after the other, at least two; in their order."""
    timed: dict[str, list[Like]] = defaultdict(list)
    for one in photos:
        if one.captured_at is not None:
            timed[one.camera].append(one)
    for of_camera in timed.values():
        of_camera.sort(key=lambda one: (one.captured_at, one.photo))
        for run in _split(of_camera, lambda a, b: _apart(a, b) <= gap):
            if len(run) >= 2:
                yield run


def _split(photos: Sequence[Like], belongs: Callable[[Like, Like], bool]) -> Iterator[list[Like]]:
    """The pieces of a sequence within which each belongs to the one before."""
    piece: list[Like] = []
    for one in photos:
        if piece and not belongs(piece[-1], one):
            yield piece
            piece = []
        piece.append(one)
    if piece:
        yield piece


def _apart(first: Like, second: Like) -> timedelta:
    if first.captured_at is None or second.captured_at is None:
        return timedelta.max
    return second.captured_at - first.captured_at


def _near(first: Like, second: Like, cosine: Cosine) -> bool:
    if bits_apart(first.shapes, second.shapes) <= BURST_BITS:
        return True
    likeness = cosine(first, second)
    return likeness is not None and likeness >= ALIKE


def _brackets(run: Sequence[Like]) -> Iterator[list[Like]]:
    """Pieces of a run whose exposure steps while the scene stays: each exposure once, until one comes again."""

    def belongs(first: Like, second: Like) -> bool:
        if first.exposure_value is None or second.exposure_value is None or _apart(first, second) > BURST_GAP:
            return False
        steps = abs(first.exposure_value - second.exposure_value) >= STEP_EV
        # Light changes what is seen in shadows and highlights, but not the large shapes.
        return steps and bits_apart(first.shapes, second.shapes) <= BURST_BITS

    for piece in _split(run, belongs):
        part: list[Like] = []
        for one in piece:
            if any(abs((one.exposure_value or 0) - (other.exposure_value or 0)) < STEP_EV for other in part):
                if _is_bracket(part):
                    yield part
                part = []
            part.append(one)
        if _is_bracket(part):
            yield part


def _is_bracket(part: Sequence[Like]) -> bool:
    values = [one.exposure_value for one in part if one.exposure_value is not None]
    said = len(part) >= 2 and all(one.bracketed for one in part)
    return said or (len(part) >= LEAST and max(values) - min(values) >= RANGE_EV)


def _panoramas(run: Sequence[Like], moved_on: MovedOn) -> Iterator[list[Like]]:
    """Pieces of a run each photo of which goes on where the one before ended, always the same way."""
    part: list[Like] = []
    way: str | None = None
    for one in run:
        before = part[-1] if part else None
        there = moved_on(before, one) if before is not None and _same_light(before, one) else None
        if there is None or (way is not None and there != way):
            if len(part) >= LEAST:
                yield part
            part = part[-1:] if there is not None else []
            way = None
        if part:
            way = there
        part.append(one)
    if len(part) >= LEAST:
        yield part


def _same_light(first: Like, second: Like) -> bool:
    if first.exposure_value is None or second.exposure_value is None:
        return True
    return abs(first.exposure_value - second.exposure_value) <= SAME_EV


def _duplicates(photos: Sequence[Like], cosine: Cosine, same: Same) -> Iterator[list[Like]]:
    """Photos of any time whose bits differ in at most `DUPLICATE_BITS`, and which look alike."""
    # Of four pieces of 16 bits at least one is the same where no more than three bits differ.
    shelves: dict[tuple[int, int], list[int]] = defaultdict(list)
    for n, one in enumerate(photos):
        for piece in range(4):
            shelves[piece, (one.shapes >> (16 * piece)) & 0xFFFF].append(n)
    leader = list(range(len(photos)))

    def find(n: int) -> int:
        while leader[n] != n:
            leader[n] = leader[leader[n]]
            n = leader[n]
        return n

    for shelf in shelves.values():
        if not 2 <= len(shelf) <= _CROWD:
            continue
        for place, a in enumerate(shelf):
            for b in shelf[place + 1 :]:
                if find(a) == find(b) or bits_apart(photos[a].shapes, photos[b].shapes) > DUPLICATE_BITS:
                    continue
                likeness = cosine(photos[a], photos[b])
                if (likeness is None or likeness >= UNLIKE) and same(photos[a], photos[b]):
                    leader[find(b)] = find(a)
    parts: dict[int, list[Like]] = defaultdict(list)
    for n, one in enumerate(photos):
        parts[find(n)].append(one)
    yield from (part for part in parts.values() if len(part) >= 2)


def _bracket(part: Sequence[Like]) -> Group:
    values = [one.exposure_value for one in part if one.exposure_value is not None]
    steps = f", {max(values) - min(values):.1f} stops from the lightest to the darkest" if values else ""
    reason = f"The same scene in {len(part)} exposures{steps}: kept whole, for merging."
    return Group(GroupKind.BRACKET, tuple(one.photo for one in part), False, reason)


def _panorama(part: Sequence[Like]) -> Group:
    reason = f"{len(part)} photos that go on one from the other: the frames of a panorama, kept whole."
    return Group(GroupKind.PANORAMA, tuple(one.photo for one in part), False, reason)


def _burst(part: Sequence[Like]) -> Group:
    ranked = sorted(part, key=lambda one: -one.merit)
    seconds = _apart(part[0], part[-1]).total_seconds()
    reason = f"{len(part)} photos within {seconds:.1f} s; the first is the best by sharpness, open eyes and quality."
    return Group(GroupKind.BURST, tuple(one.photo for one in ranked), True, reason)
