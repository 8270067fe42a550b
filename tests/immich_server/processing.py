"""What the server does with an asset in the background: read its file, make thumbnails, write its XMP sidecar.

A description, rating, date, place or tag that is set through the API is written to the asset's sidecar a moment
later, never to its file; then the file and the sidecar are read again, the sidecar winning. Until it is written the
property is locked, so that reading the file does not undo it. A property that was set before the file was first
read therefore stays as it was set: keywords in the file are then never taken. In a read-only external library the
sidecar cannot be written: what was set is lost when the file is read again.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

from .events import asset_updated, upload_ready
from .pictures import Facts, can_be_shown, read_facts, thumbhash_of
from .records import Asset, Store, Tag, User
from .wire import postgres_date
from .xmp import tag_list

#: Properties that are written to sidecars.
WRITTEN = ("description", "rating", "dateTimeOriginal", "timeZone", "latitude", "longitude", "tags")


class Processing:
    def __init__(self, store: Store) -> None:
        self._store = store
        self.extraction_delay = 0.05
        self.thumbnail_delay = 0.05
        self.sidecar_delay = 0.05

    def begin(self, asset: Asset) -> None:
        """Process a new asset: first its metadata, then its thumbnails.

        The owner's sockets are told of it then, unless a scan of a library found it.
        """

        async def extract() -> None:
            await self._extract(asset)
            self._store.later(self.thumbnail_delay, show)

        async def show() -> None:
            await asyncio.to_thread(self.show, asset)
            if asset.thumbhash is not None and asset.id in self._store.assets and asset.library_id is None:
                upload_ready(self._store, asset)

        self._store.later(self.extraction_delay, extract)

    def read_again(self, asset: Asset) -> None:
        async def extract() -> None:
            await self._extract(asset)

        self._store.later(self.extraction_delay, extract)

    def show_again(self, asset: Asset, *, tell: bool = False) -> None:
        async def show() -> None:
            await asyncio.to_thread(self.show, asset)
            if tell and asset.thumbhash is not None:
                upload_ready(self._store, asset)

        self._store.later(self.thumbnail_delay, show)

    def set_properties(self, asset: Asset, **values: Any) -> None:
        """Set what belongs into the sidecar, lock it, and write the sidecar soon."""
        asset.exif.update(values)
        asset.locked |= values.keys()
        self.write_sidecar(asset)

    def write_sidecar(self, asset: Asset) -> None:
        """Write what is locked, soon, and read the asset again; its owner's sockets are told."""

        async def write() -> None:
            if asset.id not in self._store.assets:
                return
            values = _sidecar_values(asset)
            library = self._store.libraries.get(asset.library_id or "")
            if values and not (library and library.read_only):
                asset.sidecar = {**(asset.sidecar or {}), **values}
            asset.locked.clear()
            await self._extract(asset, after_write=True)

        self._store.later(self.sidecar_delay, write)

    async def _extract(self, asset: Asset, *, after_write: bool = False) -> None:
        facts = await asyncio.to_thread(read_facts, asset.file)
        if asset.id not in self._store.assets:
            return
        self.apply(asset, facts)
        if after_write:
            asset_updated(self._store, asset)
        else:
            self._store.triggered("AssetMetadataExtraction", asset)

    def extract(self, asset: Asset) -> None:
        """Read the file and the sidecar into the asset at once, telling nobody."""
        self.apply(asset, read_facts(asset.file))

    def apply(self, asset: Asset, facts: Facts) -> None:
        """Take over what the file and the sidecar say, but for what is locked; dates of the form give way."""
        said = {**facts.xmp, **(asset.sidecar or {})}
        exif = dict(facts.exif)
        exif["description"] = str(said.get("ImageDescription") or said.get("Description") or "").strip() or None
        exif["rating"] = self._rating(said.get("Rating"))
        tags = tag_list(said)
        exif["tags"] = tags or None
        if "GPSLatitude" in said and "GPSLongitude" in said:
            exif |= {"latitude": said["GPSLatitude"], "longitude": said["GPSLongitude"]}
        earliest = min(asset.file_created_at, asset.file_modified_at)
        taken, local = facts.taken_at or earliest, facts.taken_local or earliest
        if asset.sidecar and (dated := _sidecar_date(asset.sidecar)):
            taken, local, exif["timeZone"] = dated
        exif["dateTimeOriginal"] = postgres_date(taken)
        exif["modifyDate"] = postgres_date(asset.file_modified_at)
        kept = {name: asset.exif.get(name) for name in asset.locked}
        asset.exif = {**exif, **kept}
        asset.file_created_at, asset.local_date_time = taken, local
        if facts.video_at is not None and asset.live_photo_video_id is None:
            self._take_video_out(asset, facts.video_at)
        if not asset.is_edited:
            asset.width, asset.height = facts.width, facts.height
        tags = asset.exif.get("tags") or []
        asset.tag_ids = [tag.id for tag in upsert_tags(self._store, asset.owner, tags)]
        asset.extracted = True
        asset.updated_at = self._store.now()

    def _take_video_out(self, asset: Asset, begin: int) -> None:
        """The video of a motion photo becomes a hidden asset of its own."""
        path, size, checksum = self._store.keep_file(asset.file.read_bytes()[begin:], ".mp4")
        video = self._store.duplicate_of(asset.owner, checksum)
        if video is None:
            now = self._store.now()
            video = Asset(
                id=self._store.new_id(),
                owner=asset.owner,
                name=f"{Path(asset.name).stem}.mp4",
                file=path,
                size=size,
                checksum=checksum,
                mime="video/mp4",
                type="VIDEO",
                created_at=now,
                updated_at=now,
                file_created_at=asset.file_created_at,
                file_modified_at=asset.file_modified_at,
                local_date_time=asset.local_date_time,
                visibility="hidden",
                library_id=asset.library_id,
            )
            self._store.assets[video.id] = video
            asset.owner.used_bytes += size
        asset.live_photo_video_id = video.id

    def _rating(self, rating: Any) -> int | None:
        lowest = -1 if self._store.dialect.is_second else 1
        return rating if isinstance(rating, int) and lowest <= rating <= 5 and rating != 0 else None

    def show(self, asset: Asset) -> None:
        """Mark thumbnails as made, unless the file is no picture or the asset is hidden."""
        if asset.visibility != "hidden" and can_be_shown(asset.file):
            asset.thumbhash = thumbhash_of(asset.checksum)
            asset.updated_at = self._store.now()


def upsert_tags(store: Store, owner: User, values: Iterable[str]) -> list[Tag]:
    """The tags of these paths, made with all their parents where they are missing; empty names are dropped."""
    leaves: list[Tag] = []
    known = {tag.value: tag for tag in store.tags.values() if tag.owner is owner}
    for value in dict.fromkeys(values):
        parent: Tag | None = None
        for part in filter(None, value.split("/")):
            path = f"{parent.value}/{part}" if parent else part
            now = store.now()
            if path in known:
                known[path].updated_at = now
            else:
                known[path] = Tag(store.new_tag_id(path), owner, path, parent.id if parent else None, now, now)
                store.tags[known[path].id] = known[path]
            parent = known[path]
        if parent is not None:
            leaves.append(parent)
    return leaves


def _sidecar_values(asset: Asset) -> dict[str, Any]:
    """What is locked, under the names it has in XMP."""
    exif = asset.exif
    values: dict[str, Any] = {}
    if "description" in asset.locked:
        values |= dict.fromkeys(("Description", "ImageDescription"), exif.get("description") or "")
    if "rating" in asset.locked:
        values["Rating"] = exif.get("rating") or 0
    if "tags" in asset.locked:
        values["TagsList"] = list(exif.get("tags") or [])
    if "dateTimeOriginal" in asset.locked:
        moment = datetime.fromisoformat(exif["dateTimeOriginal"])
        values["DateTimeOriginal"] = moment.astimezone(_zone(exif.get("timeZone"))).isoformat()
    for name, told in (("latitude", "GPSLatitude"), ("longitude", "GPSLongitude")):
        if name in asset.locked:
            values[told] = exif.get(name)
    return values


def _sidecar_date(sidecar: dict[str, Any]) -> tuple[datetime, datetime, str | None] | None:
    """Moment, wall clock and zone that a sidecar tells."""
    try:
        moment = datetime.fromisoformat(sidecar["DateTimeOriginal"])
    except (KeyError, ValueError):
        return None
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC), moment.replace(tzinfo=UTC), None
    return moment.astimezone(UTC), moment.replace(tzinfo=UTC), zone_name(moment)


def zone_name(moment: datetime) -> str:
    """The name that Immich gives to an offset: `UTC`, `UTC+2`, `UTC-3:30`."""
    minutes = round((moment.utcoffset() or timedelta(0)).total_seconds() / 60)
    hours, rest = divmod(abs(minutes), 60)
    if not minutes:
        return "UTC"
    return f"UTC{'-' if minutes < 0 else '+'}{hours}" + (f":{rest:02d}" if rest else "")


def _zone(name: str | None) -> timezone:
    if not name or not (match := re.fullmatch(r"UTC([+-])(\d+)(?::(\d\d))?", name)):
        return UTC
    minutes = int(match[2]) * 60 + int(match[3] or 0)
    return timezone(timedelta(minutes=-minutes if match[1] == "-" else minutes))
