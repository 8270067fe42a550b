"""What the user gave an asset goes over to the one that takes its place."""

import math
from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum
from typing import Any

from immich_py_client.models import Asset, Exif
from immich_py_client.types import Unset

from immich_sidecar.errors import ImmichGoneError, ImmichPermissionError
from immich_sidecar.immich import tagging
from immich_sidecar.immich.api import Api, AssetChanges
from immich_sidecar.immich.rules import is_extracted

#: Degrees by which two places may differ and count as one; about ten metres.
_SAME_PLACE = 1e-4


class Carried(StrEnum):
    """What came of carrying over."""

    #: Immich has not read the new file yet, and writing now would keep it from reading the file's own keywords.
    LATER = "later"
    #: All there was.
    ALL = "all"
    #: All but some tags or albums, which we may not write to.
    PART = "part"


async def carry_over(api: Api, old_id: str, new_id: str, *, written: Mapping[str, Any]) -> Carried:
    """Give the new asset what the user gave the old one: albums, favourite, tags, words, rating, place, archive.

    Shared links do not go over: what is public is for its owner to say. Only what the user made of the old one is
    carried: where the two say the same, or where the old one says what we wrote there ourselves (`written`), the new
    one stays as it is; nothing is ever taken away from it. Repeating it changes nothing.

    Parameters
    ----------
    written
        What we wrote at the old asset: `description`, `rating`, `tags` (paths).

    Raises
    ------
    ImmichGoneError
        If the new asset is not there.
    """
    try:
        old = await api.asset(old_id)
    except ImmichGoneError:
        return Carried.ALL
    if old.is_trashed:
        return Carried.ALL
    new = await api.asset(new_id)
    if not is_extracted(new, api.server_now()):
        return Carried.LATER
    changes = changes_of(old, new, written)
    if old.is_favorite and not new.is_favorite:
        changes = replace(changes or AssetChanges(), favorite=True)
    if changes is not None:
        await api.update_asset(new_id, changes)
    albums, tags = await _carry_albums(api, old_id, new_id), await carry_tags(api, old, new, written)
    return Carried.ALL if albums and tags else Carried.PART


def changes_of(old: Asset, new: Asset, written: Mapping[str, Any]) -> AssetChanges | None:
    """What is to change at the new asset so that it says what the user made the old one say; None: nothing."""
    before, now = old.exif_info or Exif(), new.exif_info or Exif()
    wanted: dict[str, Any] = {}
    if before.description and before.description not in (now.description, written.get("description")):
        wanted["description"] = before.description
    rating = _stars(before.rating)
    if rating is not None and rating not in (_stars(now.rating), written.get("rating")):
        wanted["rating"] = rating
    place = _place(before)
    if place is not None and not _is_same(place, _place(now)):
        wanted["latitude"], wanted["longitude"] = place
    if {old.visibility, new.visibility} == {"timeline", "archive"}:
        wanted["visibility"] = old.visibility
    return AssetChanges(**wanted) if wanted else None


async def _carry_albums(api: Api, old_id: str, new_id: str) -> bool:
    """Put the new asset into the albums of the old one; whether it is in each of them now.

    One by one: Immich's own copying of albums also writes into those of others that the user only looks at, or has
    left. A key that may not look at albums leaves them as they are.
    """
    try:
        albums = await api.albums(asset_id=old_id)
        all_in = True
        for album in albums:
            try:
                results = await api.add_to_album(album.id or "", [new_id])
            except ImmichGoneError:
                # Somebody else's, and the user may only look at it; or it was deleted just now.
                all_in = False
                continue
            all_in &= all(result.success or result.error == "duplicate" for result in results)
    except ImmichPermissionError:
        return False
    return all_in


async def carry_tags(api: Api, old: Asset, new: Asset, written: Mapping[str, Any]) -> bool:
    """Give the new asset the tags of the old one that are its owner's; whether the key may do that."""
    have = {tag.id for tag in new.tags or ()}
    ours = set(written.get("tags") or ())
    missing = [
        tag.id
        for tag in old.tags or ()
        if tag.id and tag.id not in have and tag.value not in ours and not tagging.is_ours(tag.value or "")
    ]
    if not missing:
        return True
    try:
        await api.bulk_tag(missing, [new.id or ""])
    except ImmichPermissionError:
        return False
    return True


def _stars(rating: float | Unset | None) -> int | None:
    """A rating as it may be written: 1 to 5."""
    if isinstance(rating, Unset) or rating is None or not 1 <= rating <= 5:
        return None
    return round(rating)


def _place(exif: Exif) -> tuple[float, float] | None:
    latitude, longitude = exif.latitude, exif.longitude
    if isinstance(latitude, Unset) or isinstance(longitude, Unset) or latitude is None or longitude is None:
        return None
    return float(latitude), float(longitude)


def _is_same(one: tuple[float, float], other: tuple[float, float] | None) -> bool:
    return other is not None and all(math.isclose(a, b, abs_tol=_SAME_PLACE) for a, b in zip(one, other, strict=True))
