"""What a file says of the lens it was taken with."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

from immich_sidecar.develop.foreign_names import exiv2_image

#: Where cameras write the lens's name; what is no name has no digit in it, or nothing else.
_NAMES = ("Exif.Photo.LensModel", "Exif.Canon.LensModel", "Exif.OlympusEq.LensModel", "Exif.Panasonic.LensType")
_NAME = re.compile(r"(?=.*\d)(?=.*[A-Za-z])")
_RANGES = ("Exif.Photo.LensSpecification", "Exif.Nikon3.Lens")


@dataclass(frozen=True)
class Optics:
    """The lens and how it stood."""

    #: Its name as the camera writes it.
    lens: str | None = None
    #: Shortest and longest focal length in mm, and the f-number of the open aperture at each; NaN: unknown.
    range: tuple[float, float, float, float] | None = None
    #: In mm, as it is and as on 36 x 24 mm.
    focal_length: float | None = None
    focal_length_35mm: float | None = None
    #: The f-number.
    aperture: float | None = None
    #: To what was focused on, in metres.
    distance: float | None = None


def read_optics(path: Path) -> Optics:
    """Read it out of EXIF and the maker's notes; what is missing or damaged is None."""
    try:
        with exiv2_image(path) as image:
            values: Mapping[str, str] = image.read_exif()
    except (RuntimeError, UnicodeDecodeError, OSError):
        return Optics()
    names = (str(values.get(tag, "")).strip() for tag in _NAMES)
    ranges = (_numbers(values.get(tag, "")) for tag in _RANGES)
    span = next((r for r in ranges if len(r) == 4 and 0.0 < r[0] <= r[1]), None)
    return Optics(
        lens=next((name for name in names if _NAME.match(name)), None),
        range=(span[0], span[1], span[2], span[3]) if span else None,
        focal_length=_positive(values, "FocalLength"),
        focal_length_35mm=_positive(values, "FocalLengthIn35mmFilm"),
        aperture=_positive(values, "FNumber"),
        distance=_positive(values, "SubjectDistance"),
    )


def _positive(values: Mapping[str, str], tag: str) -> float | None:
    for place in ("Photo", "Image"):
        found = _numbers(values.get(f"Exif.{place}.{tag}", ""))
        if found and math.isfinite(found[0]) and 0.0 < found[0] < 1e5:
            return found[0]
    return None


def _numbers(text: str) -> list[float]:
    """Numbers and fractions; 0/0 and 1/0 mean that something is not known."""
    found = []
    for part in str(text).split():
        try:
            found.append(float(Fraction(part)))
        except ZeroDivisionError:
            found.append(math.nan)
        except ValueError:
            return []
    return found
