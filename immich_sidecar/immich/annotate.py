"""Writing tags, ratings and descriptions beside photos, never over what their owner made of them.

What we wrote at an asset is remembered (`VersionRow.written`): it may be changed by us for as long as it still stands
there, and what its owner took away does not come back. Nothing is written before Immich has read the file, or it
would never take the file's own keywords; and nothing in external libraries, where Immich cannot keep it.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from immich_py_client.models import Asset, Exif
from immich_py_client.types import UNSET

from immich_sidecar.errors import ImmichGoneError, ImmichPermissionError
from immich_sidecar.immich.api import Api, AssetChanges
from immich_sidecar.immich.carrying import carry_tags, changes_of
from immich_sidecar.immich.choices import Choices
from immich_sidecar.immich.moments import moment
from immich_sidecar.immich.rules import is_extracted
from immich_sidecar.immich.tagging import ROOT, Tagging
from immich_sidecar.immich.words import Words, sidecar, stars, words_of, words_of_analysis
from immich_sidecar.library.tables import Review

log = logging.getLogger(__name__)

#: On every version of ours.
PROCESSED = f"{ROOT}/Processed"
#: On a version that its owner does not want.
REJECTED = f"{ROOT}/Rejected"

#: In `VersionRow.written`: description and rating of the original that a version was uploaded with.
CAME_WITH = "came_with"
#: In `VersionRow.written`: we made it a favourite, because the original is one.
FAVORITE = "favorite"
#: In `VersionRow.written`: what we wrote at the original, by the same names.
AT_ORIGINAL = "at_original"

#: Age at which Immich has read a file or never will. Longer than for taking photos: after an import of thousands it is
#: long at it, and keywords that are lost do not come back.
LONGEST_READING = timedelta(days=1)
#: Dates that differ by less are one; `Date`s of Immich have milliseconds.
_SAME_MOMENT = timedelta(seconds=1)


@dataclass(frozen=True)
class Annotation:
    """What we have to say at an asset."""

    words: Words = field(default_factory=Words)
    #: Tags of ours that no longer hold.
    not_tags: tuple[str, ...] = ()


def of_version(choices: Choices, analysis: Mapping[str, Any] | None, review: Review | None) -> Annotation:
    """What is said at one of our versions; `review` is None for one that is not the photo's current version."""
    words = of_photo(choices, analysis)
    if not choices.tags:
        return Annotation(words)
    rejected = review is Review.REJECTED
    tags = (*words.tags, PROCESSED, *((REJECTED,) if rejected else ()))
    return Annotation(Words(words.description, words.rating, tags), () if rejected else (REJECTED,))


def of_photo(choices: Choices, analysis: Mapping[str, Any] | None) -> Words:
    """What an analysis says of a photo, as far as its owner wants it written."""
    said = words_of_analysis(analysis)
    return Words(
        said.description if choices.description else None,
        said.rating if choices.rating else None,
        said.tags if choices.content_tags else (),
    )


def may_write(now: Any, ours: Any, wanted: Any) -> bool:
    """Whether `wanted` may take the place of what stands there `now`, where we wrote `ours` before (None: nothing).

    Only where nothing stands and nothing of ours was taken away, or where what we wrote still stands.
    """
    if not wanted or now == wanted:
        return False
    return ours is None if not now else now == ours


def has_been_read(asset: Asset, server_now: datetime) -> bool:
    """Whether Immich has read the file, so that writing does not keep it from taking the file's own keywords."""
    if asset.thumbhash or asset.width or (asset.exif_info and asset.exif_info.date_time_original):
        return True
    created = moment(asset.created_at)
    return created is None or server_now - created > LONGEST_READING


@dataclass(frozen=True)
class Enclosed:
    """What a version is uploaded with."""

    #: The XMP document beside the file; None: the file says it all.
    document: bytes | None = None
    #: What `VersionRow.written` remembers of it.
    written: Mapping[str, Any] = field(default_factory=dict)


def enclosed(original: Asset, annotation: Annotation, server_now: datetime) -> Enclosed:
    """What is said beside the file of a version: what the original says in Immich, and we where it says nothing.

    Nothing while Immich has not read the original: then nobody knows what that says.
    """
    if not has_been_read(original, server_now):
        return Enclosed()
    theirs, ours = words_of(original), annotation.words
    came_with = {name: value for name in ("description", "rating") if (value := getattr(theirs, name)) is not None}
    written: dict[str, Any] = {CAME_WITH: came_with} if came_with else {}
    for name in ("description", "rating"):
        if name not in came_with and (value := getattr(ours, name)) is not None:
            written[name] = value
    if ours.tags:
        written["tags"] = list(ours.tags)
    return Enclosed(sidecar(theirs.over(ours)), written)


class Annotator:
    """Writes beside assets of one user.

    Parameters
    ----------
    api, tagging
        Of the connection.
    """

    def __init__(self, api: Api, tagging: Tagging) -> None:
        self._api = api
        self._tagging = tagging

    async def write(self, asset_id: str, annotation: Annotation, written: Mapping[str, Any]) -> dict[str, Any] | None:
        """Say it at an asset; gives what we have written there by now, or None where Immich has not read it yet.

        Parameters
        ----------
        written
            What we had written there: `description`, `rating`, `tags`. Other keys stay as they are.
        """
        words = annotation.words
        ours: list[str] = list(written.get("tags") or ())
        new = [tag for tag in words.tags if tag not in ours]
        old = [tag for tag in annotation.not_tags if tag in ours]
        if not new and not old and _is_said(words, written):
            return dict(written)
        try:
            asset = await self._api.asset(asset_id)
        except ImmichGoneError:
            return dict(written)
        if asset.library_id or asset.is_trashed:
            return dict(written)
        if not has_been_read(asset, self._api.server_now()):
            return None
        result = {**written, **await self._write_words(asset, words, written)}
        try:
            for tag in new:
                await self._tagging.add(tag, [asset_id])
            for tag in old:
                await self._tagging.remove(tag, [asset_id])
        except ImmichPermissionError as error:
            log.info("asset %s is not tagged: %s", asset_id, error)
            return result
        tags = [tag for tag in (*ours, *new) if tag not in old]
        return {**result, "tags": tags} if tags or ours else result

    async def said_at(self, asset_id: str) -> Words:
        """What Immich says of an asset now, without the tags that are ours."""
        return words_of(await self._api.asset(asset_id))

    async def _write_words(self, asset: Asset, words: Words, written: Mapping[str, Any]) -> dict[str, Any]:
        exif = asset.exif_info or Exif()
        wanted: dict[str, Any] = {}
        if may_write(exif.description or None, written.get("description"), words.description):
            wanted["description"] = words.description
        if may_write(stars(exif.rating), written.get("rating"), words.rating):
            wanted["rating"] = words.rating
        if wanted:
            await self._api.update_asset(asset.id or "", AssetChanges(**wanted))
        return wanted

    async def take_over(
        self, original_id: str, version_id: str, *, written: Mapping[str, Any], came_with: Mapping[str, Any]
    ) -> dict[str, Any] | None:
        """Let an approved version say all that its owner made of the original: words, tags, heart, place, date.

        Gives what is to be remembered of it (`favorite` where we made it one), or None where Immich has not read the
        version yet. Albums and shared links are not its business.

        Parameters
        ----------
        written
            What we wrote at the original ourselves, which is none of that.
        came_with
            What the version was uploaded with; where it says something else now, its owner changed it.
        """
        try:
            original, version = await self._api.asset(original_id), await self._api.asset(version_id)
        except ImmichGoneError:
            return {}
        if original.is_trashed or version.is_trashed:
            return {}
        if not is_extracted(version, self._api.server_now()):
            return None
        said, says = words_of(original), words_of(version)
        wanted: dict[str, Any] = {"description": UNSET, "rating": UNSET}
        for name in wanted:
            theirs = getattr(said, name)
            if theirs != written.get(name) and may_write(getattr(says, name), came_with.get(name), theirs):
                wanted[name] = theirs
        favorite = bool(original.is_favorite and not version.is_favorite)
        if favorite:
            wanted["favorite"] = True
        if (taken_at := _moved(original, version)) is not None:
            wanted["taken_at"] = taken_at
        changes = replace(changes_of(original, version, written) or AssetChanges(), **wanted)
        if changes != AssetChanges():
            await self._api.update_asset(version_id, changes)
        await carry_tags(self._api, original, version, written)
        return {FAVORITE: True} if favorite else {}

    async def no_favorite(self, version_id: str) -> None:
        """Take the heart off a version that is not wanted after all, where we gave it one."""
        try:
            await self._api.update_asset(version_id, AssetChanges(favorite=False))
        except ImmichGoneError:
            log.info("asset %s is not there any more", version_id)


def _is_said(words: Words, written: Mapping[str, Any]) -> bool:
    """Whether description and rating are none, or were written before."""
    return all(
        wanted is None or wanted == written.get(name)
        for name, wanted in (("description", words.description), ("rating", words.rating))
    )


def _moved(original: Asset, version: Asset) -> datetime | None:
    """When the original was taken by its owner's account, where the version says otherwise."""
    taken, local = moment(original.file_created_at), moment(original.local_date_time)
    at, its_local = moment(version.file_created_at), moment(version.local_date_time)
    if taken is None or local is None or at is None or its_local is None:
        return None
    if abs(taken - at) <= _SAME_MOMENT and abs(local - its_local) <= _SAME_MOMENT:
        return None
    # The wall clock is told as if it were UTC: what it is ahead is the offset.
    ahead = timedelta(minutes=round((local - taken).total_seconds() / 60))
    return taken.astimezone(timezone(ahead)) if abs(ahead) < timedelta(hours=24) else taken
