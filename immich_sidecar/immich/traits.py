"""What rules look at in a photo: what Immich says of it, and what its file says once that is here.

Immich knows camera, size and date only after it has read a file, and never which program the file came out of. What
is not known is None; the file itself knows all of it.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum
from pathlib import PurePath
from typing import TYPE_CHECKING

from immich_py_client.models import Asset

from immich_sidecar.analysis.screens import has_screenshot_name, is_screen
from immich_sidecar.develop.formats import has_raw_name
from immich_sidecar.immich.moments import moment

if TYPE_CHECKING:
    from immich_sidecar.develop.probe import FileFacts

#: Formats that keep drawn areas exactly, as screenshots are kept.
_LOSSLESS = (".png", ".webp", ".bmp", ".tif", ".tiff")


class Special(StrEnum):
    """Kinds of photos that are left alone unless a rule says otherwise; the value is what a rule calls them."""

    SCREENSHOT = "screenshots"
    #: Changed in Immich, or written by a program for editing photos.
    EDITED = "edited"
    EXTERNAL = "external"
    LIVE_PHOTO = "live_photos"
    PANORAMA = "panoramas"
    ARCHIVED = "archived"
    HIDDEN = "hidden"


@dataclass(frozen=True)
class Traits:
    """What is known of one photo; None is not known (yet)."""

    file_name: str
    is_raw: bool
    #: Maker and model, `Canon Canon EOS R5`; empty where the file names none.
    camera: str | None = None
    #: Width and height in pixels, in any orientation.
    size: tuple[int, int] | None = None
    bytes: int | None = None
    taken_at: datetime | None = None
    #: What it is that is left alone unless a rule says so, with the words for it.
    specials: tuple[tuple[Special, str], ...] = ()
    #: Ids of the albums that it is in, among those that rules name.
    albums: frozenset[str] | None = None
    #: Tags that rules name and that it has, itself or through a tag below.
    tags: frozenset[str] | None = None
    #: Whether the file itself was looked at: nothing more will be known.
    complete: bool = False
    #: Why albums or tags are not known although rules ask for them.
    problem: str | None = None

    @property
    def pixels(self) -> int | None:
        """Number of pixels."""
        return None if self.size is None else self.size[0] * self.size[1]


def traits_of(
    asset: Asset,
    *,
    albums: frozenset[str] | None = None,
    tags: frozenset[str] | None = None,
    problem: str | None = None,
) -> Traits:
    """What Immich says of a photo."""
    exif, name = asset.exif_info or None, asset.original_file_name or ""
    read = bool(asset.thumbhash or asset.width or (exif and exif.date_time_original))
    camera = " ".join(part for part in (exif.make, exif.model) if part) if exif else ""
    size = (int(asset.width), int(asset.height)) if asset.width and asset.height else None
    if size is None and exif and exif.exif_image_width and exif.exif_image_height:
        size = (int(exif.exif_image_width), int(exif.exif_image_height))
    traits = Traits(
        file_name=name,
        is_raw=has_raw_name(name),
        camera=camera if camera or read else None,
        size=size,
        bytes=(exif.file_size_in_byte or None) if exif else None,
        taken_at=(moment(exif.date_time_original) if exif else None)
        or (moment(asset.file_created_at) if read else None),
        albums=albums,
        tags=tags,
        problem=problem,
    )
    found: list[tuple[Special, str]] = []
    if asset.library_id:
        found.append((Special.EXTERNAL, "in an external library"))
    if asset.visibility == "hidden":
        found.append((Special.HIDDEN, "hidden in Immich"))
    if asset.visibility == "archive":
        found.append((Special.ARCHIVED, "in Immich's archive"))
    if asset.live_photo_video_id:
        found.append((Special.LIVE_PHOTO, "a live or motion photo"))
    if asset.is_edited:
        found.append((Special.EDITED, "edited in Immich"))
    if PurePath(name).suffix.lower() == ".insp" or (exif and exif.projection_type):
        found.append((Special.PANORAMA, "a panorama"))
    return replace(traits, specials=(*found, *_as_screenshot(traits)))


def with_facts(traits: Traits, facts: "FileFacts", size: int) -> Traits:
    """The same photo, its file of `size` bytes in hand. What Immich said stays, so that a trial of rules holds."""
    known = replace(
        traits,
        is_raw=facts.is_raw,
        camera=traits.camera or " ".join(part for part in (facts.make, facts.model) if part),
        size=traits.size or (facts.width, facts.height),
        bytes=traits.bytes or size,
        taken_at=traits.taken_at or facts.captured_at,
        complete=True,
    )
    # A moving part or a panorama that only the file tells of is no reason here: such a photo is taken, left alone by
    # the adviser, and shown with a badge.
    found = [item for item in traits.specials if item[0] is not Special.SCREENSHOT]
    if facts.editor and Special.EDITED not in {special for special, _ in found}:
        found.append((Special.EDITED, f"edited already, with {facts.editor}"))
    return replace(known, specials=(*found, *_as_screenshot(known, facts.software)))


def _as_screenshot(traits: Traits, software: str | None = None) -> tuple[tuple[Special, str], ...]:
    """Whether its name says so; or it is an exact picture, of no camera, in the size of a screen."""
    named = has_screenshot_name(traits.file_name) or "screenshot" in (software or "").lower()
    lossless = PurePath(traits.file_name).suffix.lower() in _LOSSLESS
    shaped = lossless and traits.camera == "" and traits.size is not None and is_screen(*traits.size)
    return ((Special.SCREENSHOT, "a screenshot"),) if named or shaped else ()
