"""Which assets are taken from Immich, and in what words the others are left where they are."""

import base64
import binascii
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import PurePath

from immich_py_client.models import Asset

#: File name extensions that Immich takes as pictures and that are not developed, with what they are.
NOT_DEVELOPED = {
    ".gif": "animated pictures",
    ".svg": "drawings",
    ".psd": "layered documents",
    ".psb": "layered documents",
    ".jxl": "JPEG XL files",
    ".jp2": "JPEG 2000 files",
    ".mpo": "stereo pictures",
}
#: How long an asset may be without metadata before it is taken as it is: damaged files never get any.
LONGEST_EXTRACTION = timedelta(minutes=2)


class Skip(StrEnum):
    """Why an asset is not taken; the value is what the status page shows."""

    VIDEO = "a video"
    LIVE_PHOTO = "a live or motion photo"
    TRASHED = "in Immich's trash"
    OFFLINE = "offline in Immich"
    EXTERNAL_LIBRARY = "in an external library"
    HIDDEN = "hidden in Immich"
    LOCKED = "in Immich's locked folder"
    EDITED = "edited in Immich"
    PANORAMA = "a panorama"
    OURS = "made by the sidecar"
    PROCESSED_EARLIER = "processed earlier"
    GONE = "no longer in Immich"


#: Reasons that a change in Immich can take away. What is locked looks as if it were gone.
CHANGEABLE = frozenset({Skip.TRASHED, Skip.OFFLINE, Skip.HIDDEN, Skip.LOCKED, Skip.EDITED, Skip.GONE})


def reason_to_skip(asset: Asset) -> str | None:
    """Why this asset is not taken, by what Immich says about it alone; None where nothing speaks against it."""
    suffix = PurePath(asset.original_file_name or "").suffix.lower()
    exif = asset.exif_info
    if asset.is_trashed:
        return Skip.TRASHED
    if asset.type_ and asset.type_ != "IMAGE":
        return Skip.VIDEO if asset.type_ == "VIDEO" else f"not a photo ({asset.type_.lower()})"
    if asset.live_photo_video_id:
        return Skip.LIVE_PHOTO
    if asset.library_id:
        return Skip.EXTERNAL_LIBRARY
    if asset.is_offline:
        return Skip.OFFLINE
    if asset.visibility == "hidden":
        return Skip.HIDDEN
    if asset.visibility == "locked":
        return Skip.LOCKED
    if asset.is_edited:
        return Skip.EDITED
    if suffix == ".insp" or (exif and exif.projection_type):
        return Skip.PANORAMA
    if suffix in NOT_DEVELOPED:
        return f"{NOT_DEVELOPED[suffix]} are not developed ({suffix})"
    return None


def is_extracted(asset: Asset, server_now: datetime) -> bool:
    """Whether Immich has read the file's metadata, or will not do so any more.

    Before that a live photo is not yet known as one. `hasMetadata` and `resized` are always true and say nothing.
    """
    exif = asset.exif_info
    if asset.thumbhash or asset.width or (exif and exif.date_time_original):
        return True
    created = moment(asset.created_at)
    return created is None or server_now - created > LONGEST_EXTRACTION


def sha1_of(asset: Asset) -> str | None:
    """The SHA-1 that Immich keeps, hexadecimal; None for external libraries, whose checksum is one of the path."""
    if not asset.checksum or asset.library_id:
        return None
    try:
        digest = base64.b64decode(asset.checksum, validate=True)
    except (binascii.Error, ValueError):
        return None
    return digest.hex() if len(digest) == 20 else None


def moment(text: object) -> datetime | None:
    """A date of Immich's, aware; None where it is missing or no date."""
    if not isinstance(text, str):
        return None
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
