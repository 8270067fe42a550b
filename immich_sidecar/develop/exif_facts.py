"""Time and place out of EXIF directories."""

import math
import re
from datetime import datetime, timedelta, timezone

from immich_sidecar.develop.tiff import Exif

_TIME = re.compile(r"(\d{4})[:.\-/](\d\d)[:.\-/](\d\d)[ T](\d\d):(\d\d):(\d\d)")
_OFFSET = re.compile(r"([+-])(\d\d):?(\d\d)\Z")
#: Time, offset and fraction of a second: taken, digitised, file changed.
_CLOCKS = ((0x9003, 0x9011, 0x9291), (0x9004, 0x9012, 0x9292), (306, 0x9010, 0x9290))
#: Later years cannot be told in every time zone.
_FIRST_YEAR, _LAST_YEAR = 1900, 9998


def captured_at(exif: Exif) -> datetime | None:
    """When the photo was taken: DateTimeOriginal, else DateTimeDigitized, else DateTime.

    An offset is honoured; without one the camera's clock is taken to show the time of the system's zone (`TZ`). None
    where no time makes sense (cameras without a set clock write blanks or zeros).
    """
    for time_tag, offset_tag, fraction_tag in _CLOCKS:
        text = exif.exif.text(time_tag) or exif.main.text(time_tag)
        match = _TIME.match(text or "")
        if not match:
            continue
        fraction = re.sub(r"\D", "", exif.exif.text(fraction_tag) or "")[:6].ljust(6, "0")
        try:
            year, month, day, hour, minute, second = (int(part) for part in match.groups())
            if not _FIRST_YEAR <= year <= _LAST_YEAR:
                continue
            zone = _offset(exif.exif.text(offset_tag))
            moment = datetime(year, month, day, hour, minute, second, int(fraction), zone)
            return moment if zone else moment.astimezone()
        except (ValueError, OverflowError, OSError):
            continue
    return None


def _offset(text: str | None) -> timezone | None:
    match = _OFFSET.match(text or "")
    if not match:
        return None
    minutes = int(match[2]) * 60 + int(match[3])
    if minutes >= 24 * 60:
        return None
    return timezone(timedelta(minutes=-minutes if match[1] == "-" else minutes))


def place(exif: Exif) -> tuple[float, float] | None:
    """Latitude and longitude in degrees, north and east positive; None where they are missing or senseless."""
    found = []
    for value_tag, side_tag, negative, most in ((2, 1, "S", 90.0), (4, 3, "W", 180.0)):
        parts = exif.gps.numbers(value_tag)
        if not parts or not all(math.isfinite(p) for p in parts):
            return None
        degrees = sum(part / 60**i for i, part in enumerate(parts[:3]))
        if degrees > most:
            return None
        found.append(-degrees if (exif.gps.text(side_tag) or "").upper() == negative else degrees)
    if found == [0.0, 0.0]:
        return None
    return found[0], found[1]
