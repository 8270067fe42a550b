"""Which lens a photo was taken with, and what is known of it.

The maker's own correction inside a DNG comes first. Else camera and lens are looked up in the database of lensfun,
which comes with its package; what it knows at the photo's focal length, aperture and distance is turned into a profile
that needs the database no more.
"""

import itertools
import math
import re
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from immich_sidecar.develop.lens import LensMap
from immich_sidecar.develop.opcodes import embedded_profile
from immich_sidecar.develop.optics import Optics, read_optics
from immich_sidecar.develop.probe import FileFacts
from immich_sidecar.recipe.operations.lens import Falloff, LensProfile, Warp
from immich_sidecar.recipe.plan import WarpPlan

#: How sure it is that this is the lens: the maker says so; the camera has only the one; its name fits in every number;
#: its numbers fit and all lenses with them bend alike, or do not.
_BY_MAKER, _BUILT_IN, _BY_NAME, _ALIKE, _SOME = 0.97, 0.95, 0.95, 0.8, 0.5
#: What a name that only partly fits takes away.
_LOOSELY = 0.75
#: Part of the half diagonal by which profiles may differ at the corner and count as alike.
_ALIKE_AT_CORNER = 0.002
#: Score of lensfun from which a name is meant, and parts by which numbers may differ.
_MEANT, _FOCAL_SLACK, _APERTURE_SLACK = 30, 0.02, 0.05
#: Aspect ratios of sensors that lenses were measured on; lensfun does not tell which, but its maps do.
_ASPECTS = (3 / 2, 4 / 3, 16 / 9, 1.0, 5 / 4, 65 / 24)
#: Pixels of a picture 6000 wide by which our map may differ from lensfun's.
_SAME_MAP = 0.75
#: Part of the half diagonal up to which a lens has to have been measured.
_SMALLEST_SENSOR = 0.95
#: Metres that stand for infinity where the file says nothing.
_FAR = 1000.0

_FOCALS = re.compile(r"(\d+(?:\.\d+)?)\s*(?:mm)?\s*(?:-\s*(\d+(?:\.\d+)?)\s*)?mm", re.IGNORECASE)
_OPEN = re.compile(r"(?:\bf\s*/?|1:)\s*(\d+(?:\.\d+)?)", re.IGNORECASE)


class Lens(BaseModel):
    """A lens that is known."""

    model_config = ConfigDict(frozen=True)

    profile: LensProfile
    #: How sure it is that the photo was taken with it, 0..1.
    certainty: float = Field(ge=0, le=1)
    #: Focal length in mm.
    focal_length: float | None = None
    #: Whether it cannot be taken off the camera.
    built_in: bool = False
    #: At the corner: by how much of its distance from the centre a place is moved beside the middle (positive:
    #: barrel), and by how many stops light is missing.
    bend: float = 0.0
    dark_corners: float = 0.0


def measure_lens(path: Path, facts: FileFacts, optics: Optics | None = None) -> Lens | None:
    """The lens of a photo; None where it is not known."""
    optics = optics or read_optics(path)
    if facts.is_raw:
        profile = embedded_profile(path, facts)
        if profile is not None:
            return _measured(profile, _BY_MAKER, optics, built_in=False, facts=facts)
    if not (facts.make and facts.model and optics.focal_length):
        return None
    size = (facts.height, facts.width) if facts.orientation >= 5 else (facts.width, facts.height)
    camera = _camera(facts.make, facts.model, size)
    if camera is None:
        return None
    built_in = bool(camera.mount) and camera.mount[0].islower()
    lenses, certainty = _built_in(camera) if built_in else _interchangeable(camera, optics)
    known = [p for p in (_profile(lens, camera, optics, size) for lens in lenses) if p is not None]
    if not known:
        return None
    if len(lenses) > 1:
        certainty = min(certainty, _ALIKE if _all_alike(known) else _SOME)
    return _measured(known[0], certainty, optics, built_in=built_in, facts=facts)


def focal_length_35mm(facts: FileFacts, optics: Optics) -> float | None:
    """The focal length as on 36 x 24 mm: as the file says, or by the camera's sensor where that is known."""
    if optics.focal_length_35mm or not (optics.focal_length and facts.make and facts.model):
        return optics.focal_length_35mm
    camera = _camera(facts.make, facts.model, (facts.width, facts.height))
    return round(optics.focal_length * camera.crop_factor, 1) if camera else None


def _measured(profile: LensProfile, certainty: float, optics: Optics, *, built_in: bool, facts: FileFacts) -> Lens:
    bend = dark = 0.0
    if profile.warp is not None:
        size = (facts.width, facts.height)
        lens = LensMap(WarpPlan(profile.warp.centre, profile.warp.radius, profile.warp.radial), size)
        radius = np.array([0.05, 0.95]) * math.hypot(*size) / 2.0
        middle, corner = lens.source_radius(radius) / radius
        bend = float(1.0 - corner / middle)
    if profile.falloff is not None:
        squared = (1.0 / profile.falloff.radius) ** 2
        share = 1.0 + sum(k * squared ** (i + 1) for i, k in enumerate(profile.falloff.terms))
        dark = abs(math.log2(max(share, 0.05)))
    return Lens(
        profile=profile,
        certainty=certainty,
        focal_length=optics.focal_length,
        built_in=built_in,
        bend=round(bend, 5),
        dark_corners=round(dark, 3),
    )


@lru_cache(maxsize=1)
def _database() -> Any:
    import lensfunpy

    return lensfunpy.Database()


def _camera(make: str, model: str, size: tuple[int, int]) -> Any:
    """The camera; of one that is known in several aspect ratios, the one nearest to the picture."""
    aspect = max(size) / min(size)

    def distance(camera: Any) -> float:
        parts = re.match(r"(\d+):(\d+)", camera.variant or "")
        return abs(math.log(float(parts[1]) / float(parts[2]) / aspect)) if parts else 0.5

    return min(_database().find_cameras(make, model), key=distance, default=None)


def _built_in(camera: Any) -> tuple[list[Any], float]:
    """The one lens of a camera, as it is without anything screwed on."""
    found = _database().find_lenses(camera)
    bare = [lens for lens in found if "with " not in lens.model]
    return (bare or found)[:1], _BUILT_IN


def _interchangeable(camera: Any, optics: Optics) -> tuple[list[Any], float]:
    """Lenses that may be the one, the likeliest first, and how sure its name makes that."""
    database = _database()
    if optics.lens:
        named = [
            lens
            for lens in database.find_lenses(camera, None, optics.lens)
            if lens.score >= _MEANT and _fits(lens, *_numbers_of(optics.lens), optics)
        ]
        if named:
            words = _words(optics.lens)
            best = [lens for lens in named if words <= _words(lens.model)]
            # "FE 24-70mm F2.8 GM" is no "FE 24-70mm F2.8 GM II": of those that hold all words, the shortest.
            best.sort(key=lambda lens: len(_words(lens.model)))
            fewest = [lens for lens in best if len(_words(lens.model)) == len(_words(best[0].model))]
            # Several entries of one name are measurements on other sensors; lensfun puts the nearest first.
            return (_of_each_name(fewest), _BY_NAME) if fewest else (_of_each_name(named)[:3], _LOOSELY)
    if optics.range is None or not all(map(math.isfinite, optics.range[:2])):
        return [], 0.0
    short, long, aperture, _ = optics.range
    own = [lens for lens in database.find_lenses(camera) if _fits(lens, short, long, aperture, optics, is_strict=True)]
    makers = [lens for lens in own if lens.maker and lens.maker.split()[0].lower() in camera.maker.lower()]
    return makers or own, _ALIKE


def _of_each_name(lenses: list[Any]) -> list[Any]:
    return list({lens.model: lens for lens in reversed(lenses)}.values())[::-1]


def _words(name: str) -> frozenset[str]:
    """What a name says beside its maker: numbers, and words that tell versions apart."""
    plain = re.sub(r"f\s*/\s*", "f", name.lower())
    plain = re.sub(r"(?<=\d)\.0(?!\d)", "", plain)
    found = re.findall(r"\d+(?:\.\d+)?|[a-z]+", plain)
    return frozenset(w for w in found if w not in {"mm", "f", "canon", "nikon", "nikkor", "sony", "lens"})


def _numbers_of(name: str) -> tuple[float, float, float]:
    """Shortest and longest focal length and open aperture in a name; NaN for what it does not say."""
    focals, aperture = _FOCALS.search(name), _OPEN.search(name)
    short = float(focals[1]) if focals else math.nan
    long = float(focals[2]) if focals and focals[2] else short
    return short, long, float(aperture[1]) if aperture else math.nan


def _fits(lens: Any, short: float, long: float, aperture: float, optics: Optics, *, is_strict: bool = False) -> bool:
    """Whether a lens of the database has these numbers and can have taken the photo."""

    def near(a: float, b: float | None, slack: float) -> bool:
        return not b or math.isnan(a) or abs(a / b - 1.0) <= slack

    if "RECTILINEAR" not in str(lens.type):
        return False
    known = not is_strict or bool(lens.min_focal and lens.max_focal and lens.min_aperture)
    focal = optics.focal_length or math.nan
    inside = not (lens.min_focal and lens.max_focal) or (
        lens.min_focal * (1.0 - _APERTURE_SLACK) <= focal <= lens.max_focal * (1.0 + _APERTURE_SLACK)
    )
    return (
        known
        and inside
        and near(short, lens.min_focal, _FOCAL_SLACK)
        and near(long, lens.max_focal, _FOCAL_SLACK)
        and near(aperture, lens.min_aperture, _APERTURE_SLACK)
    )


def _profile(lens: Any, camera: Any, optics: Optics, size: tuple[int, int]) -> LensProfile | None:
    """What the database knows of a lens as it stood; None where that is nothing, or not what lensfun makes of it."""
    if "RECTILINEAR" not in str(lens.type) or lens.center_x or lens.center_y:
        return None
    focal, aperture, distance = optics.focal_length, optics.aperture, optics.distance or _FAR
    ratio = camera.crop_factor / lens.crop_factor
    if ratio < _SMALLEST_SENSOR:
        return None
    bent, fringes = lens.interpolate_distortion(focal), lens.interpolate_tca(focal)
    dark = lens.interpolate_vignetting(focal, aperture, distance) if aperture else None
    falloff = Falloff(radius=_round(ratio), terms=_rounded(dark.terms[:3])) if dark and any(dark.terms) else None
    warp: Warp | None = None
    if (bent and any(bent.terms)) or fringes:
        radial = _radial(bent)
        red, blue = _red_and_blue(fringes)
        aspect = _aspect(lens, camera, focal, radial, size)
        if aspect is None:
            return None
        warp = Warp(radius=_round(ratio / math.hypot(aspect, 1.0)), radial=radial, red=red, blue=blue)
    if warp is None and falloff is None:
        return None
    maker = "" if not lens.maker or lens.maker.lower() in lens.model.lower() else f"{lens.maker} "
    return LensProfile(name=f"{maker}{lens.model}"[:200], source="lensfun", warp=warp, falloff=falloff)


def _radial(calibration: Any) -> tuple[float, ...]:
    """Coefficients of the factor by distance, out of lensfun's models (documented with its class Lens)."""
    if not calibration:
        return (1.0,)
    name, t = str(calibration.model), calibration.terms
    if "PTLENS" in name:
        return _rounded((1.0 - t[0] - t[1] - t[2], t[2], t[1], t[0]))
    if "POLY3" in name:
        return _rounded((1.0 - t[0], 0.0, t[0]))
    return _rounded((1.0, 0.0, t[0], 0.0, t[1])) if "POLY5" in name else (1.0,)


def _red_and_blue(calibration: Any) -> tuple[tuple[float, ...], tuple[float, ...]]:
    if not calibration:
        return (1.0,), (1.0,)
    name, t = str(calibration.model), calibration.terms
    if "LINEAR" in name:
        return _rounded((t[0],)), _rounded((t[1],))
    if "POLY3" in name:
        return _rounded((t[0], t[2], t[4])), _rounded((t[1], t[3], t[5]))
    return (1.0,), (1.0,)


def _aspect(
    lens: Any, camera: Any, focal: float | None, radial: Sequence[float], size: tuple[int, int]
) -> float | None:
    """The aspect ratio that a lens was measured on: the one with which our map is lensfun's."""
    if len(radial) == 1:
        return _ASPECTS[0]
    import lensfunpy

    modifier = lensfunpy.Modifier(lens, camera.crop_factor, *size)
    modifier.initialize(focal, 8.0, _FAR, scale=1.0, flags=lensfunpy.ModifyFlags.DISTORTION)
    places = [(0, 0), (size[0] // 2, 0), (0, size[1] // 2), (size[0] // 4, size[1] // 4)]
    theirs = np.array([modifier.apply_geometry_distortion(x, y, 1, 1)[0, 0] for x, y in places])
    middle = (np.array(size) - 1.0) / 2.0
    half = math.hypot(*size) / 2.0
    relative = np.array(places) - middle

    def difference(aspect: float) -> float:
        unit = half * camera.crop_factor / lens.crop_factor / math.hypot(aspect, 1.0)
        factor = np.polynomial.polynomial.polyval(np.hypot(*relative.T) / unit, np.array(radial))
        return float(np.abs(relative * factor[:, None] + middle - theirs).max())

    found = min(_ASPECTS, key=difference)
    return found if difference(found) <= _SAME_MAP * max(size) / 6000.0 else None


def _all_alike(profiles: Sequence[LensProfile]) -> bool:
    """Whether it does not matter much which of the lenses it was."""

    def corner(profile: LensProfile) -> float:
        if profile.warp is None:
            return 1.0
        radial = np.array(profile.warp.radial)
        inner, outer = np.polynomial.polynomial.polyval(np.array([0.05, 0.95]) / profile.warp.radius, radial)
        return float(outer / inner)

    corners = [corner(p) for p in profiles]
    return all(abs(a - b) <= _ALIKE_AT_CORNER for a, b in itertools.combinations(corners, 2))


def _round(value: float) -> float:
    return round(float(value), 9)


def _rounded(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(_round(value) for value in values)
