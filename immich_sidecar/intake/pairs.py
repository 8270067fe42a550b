"""What lies beside a file of a hot folder and belongs to it, by the names alone; everything here blocks.

`IMG_1.CR2`, `IMG_1.JPG` and `img_1.heic` in one folder are one shot; `IMG_1.CR2.xmp` belongs to the file of that name,
`IMG_1.xmp` to all that are called `IMG_1`.
"""

import os
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePath

from immich_sidecar.develop.formats import RAW_NAMES, has_raw_name, looks_like_photo_name
from immich_sidecar.intake.names import is_ignored_file

#: A picture that a camera writes beside a RAW file.
_PICTURES = (".jpg", ".jpeg", ".jpe", ".heic", ".heif", ".hif")
#: Seconds that a look at a folder serves, and folders that are remembered.
FRESH = 0.5
REMEMBERED = 200
#: Seconds without a change after which a temporary file is no longer taken for one that arrives.
ABANDONED = 60.0


class Role(StrEnum):
    """What a file may be to its neighbours, by its name."""

    RAW = "raw"
    #: May be the camera's own picture of a RAW file.
    PICTURE = "picture"
    XMP = "xmp"
    OTHER = "other"


def role_of(name: str) -> Role:
    """The role of a file."""
    small = name.lower()
    if small.endswith(".xmp"):
        return Role.XMP
    if has_raw_name(name):
        return Role.RAW
    return Role.PICTURE if small.endswith(_PICTURES) else Role.OTHER


def stem_of(name: str) -> str:
    """The name without its ending, in small letters: what files of one shot share."""
    return PurePath(name).stem.lower()


@dataclass
class _Listing:
    read_at: float
    #: Names by their stem. An XMP file is listed under what stands before `.xmp`.
    by_stem: dict[str, list[str]] = field(default_factory=dict)
    #: Names with which something is still being written.
    temporary: list[str] = field(default_factory=list)
    has_raw: bool = False


class Neighbours:
    """Looks at the folder around a file; a look serves for a moment, since thousands of files arrive together.

    Parameters
    ----------
    clock
        Seconds that only grow.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._listings: OrderedDict[Path, _Listing] = OrderedDict()

    def raws_of(self, picture: Path) -> list[Path]:
        """RAW files of the picture's name; what was converted to DNG comes last."""
        names = [name for name in self._namesakes(picture) if role_of(name) is Role.RAW]
        return [
            picture.with_name(name) for name in sorted(names, key=lambda name: (name.lower().endswith(".dng"), name))
        ]

    def pictures_of(self, raw: Path) -> list[Path]:
        """Pictures of the RAW file's name."""
        return [raw.with_name(name) for name in self._namesakes(raw) if role_of(name) is Role.PICTURE]

    def xmps_of(self, photo: Path) -> list[Path]:
        """XMP files of the photo: of its whole name, and of its stem."""
        listing = self._listing(photo.parent)
        names = [*listing.by_stem.get(photo.name.lower(), ()), *listing.by_stem.get(stem_of(photo.name), ())]
        return [photo.with_name(name) for name in dict.fromkeys(names) if role_of(name) is Role.XMP]

    def photos_of(self, xmp: Path) -> list[Path]:
        """The photos an XMP file may belong to, the likeliest first: that of its whole name, RAW files, pictures."""
        rest = stem_of(xmp.name)
        listing = self._listing(xmp.parent)
        exact = [name for name in listing.by_stem.get(stem_of(rest), ()) if name.lower() == rest]
        others = [name for name in listing.by_stem.get(rest, ()) if role_of(name) is not Role.XMP]
        order = {Role.RAW: 0, Role.PICTURE: 1}
        others.sort(key=lambda name: (order.get(role_of(name), 2), name))
        found = dict.fromkeys([*(name for name in exact if role_of(name) is not Role.XMP), *others])
        return [xmp.with_name(name) for name in found if looks_like_photo_name(name)]

    def is_raw_arriving(self, picture: Path) -> bool:
        """Whether a RAW file of the picture's name is being written under another one, `IMG_1.CR2.part`."""
        stem = stem_of(picture.name)
        beginnings = tuple(f"{stem}.{ending}" for ending in RAW_NAMES)
        for name in self._listing(picture.parent).temporary:
            if name.lower().lstrip(".~").startswith(beginnings):
                with suppress(OSError):
                    if time.time() - picture.with_name(name).stat().st_mtime < ABANDONED:
                        return True
        return False

    def has_raws(self, folder: Path) -> bool:
        """Whether any RAW file lies in the folder: then one may follow its picture."""
        return self._listing(folder).has_raw

    def _namesakes(self, path: Path) -> Iterable[str]:
        return self._listing(path.parent).by_stem.get(stem_of(path.name), ())

    def _listing(self, folder: Path) -> _Listing:
        now = self._clock()
        known = self._listings.get(folder)
        if known is not None and now - known.read_at < FRESH:
            return known
        listing = _Listing(now)
        with suppress(OSError), os.scandir(folder) as entries:
            for entry in entries:
                name = entry.name
                if is_ignored_file(name):
                    listing.temporary.append(name)
                    continue
                listing.by_stem.setdefault(stem_of(name), []).append(name)
                listing.has_raw = listing.has_raw or has_raw_name(name)
        for names in listing.by_stem.values():
            names.sort()
        self._listings[folder] = listing
        self._listings.move_to_end(folder)
        while len(self._listings) > REMEMBERED:
            self._listings.popitem(last=False)
        return listing
