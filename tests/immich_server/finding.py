"""Which assets a search finds, in the order of their moments."""

from __future__ import annotations

import heapq
from bisect import bisect_left
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from itertools import islice
from typing import Any

from .crowd import EPOCH, Crowd, Picked
from .problems import RefusedError, parse_date
from .records import Asset, Store, User, parse_checksum
from .wire import Json

Condition = Callable[[Asset], bool]

DATES: dict[str, Callable[[Asset], datetime | None]] = {
    "created": lambda asset: asset.created_at,
    "updated": lambda asset: asset.updated_at,
    "taken": lambda asset: asset.file_created_at,
    "trashed": lambda asset: asset.deleted_at,
}
EQUAL: dict[str, Callable[[Asset], Any]] = {
    "type": lambda asset: asset.type,
    "libraryId": lambda asset: asset.library_id,
    "isFavorite": lambda asset: asset.is_favorite,
    "isOffline": lambda asset: asset.is_offline,
    "isMotion": lambda asset: asset.live_photo_video_id is not None,
    "make": lambda asset: asset.exif.get("make"),
    "model": lambda asset: asset.exif.get("model"),
    "lensModel": lambda asset: asset.exif.get("lensModel"),
    "city": lambda asset: asset.exif.get("city"),
    "state": lambda asset: asset.exif.get("state"),
    "country": lambda asset: asset.exif.get("country"),
    "rating": lambda asset: asset.exif.get("rating"),
}
#: Of these null means that there is none; of the others that it is not asked for.
NULLABLE = ("make", "model", "lensModel", "city", "state", "country", "rating", "libraryId")
TICK = timedelta(microseconds=1)


class Found:
    """What a search found, by the moment at which the pictures were taken and then by id."""

    def __init__(self, assets: list[Asset], picked: list[Picked], *, rising: bool) -> None:
        self._assets = sorted(assets, key=_key)
        self._keys = [_key(asset) for asset in self._assets]
        self._picked = picked
        self._rising = rising

    def __len__(self) -> int:
        return len(self._assets) + sum(map(len, self._picked))

    def part(self, start: int, stop: int) -> list[Asset]:
        total = len(self)
        start, stop = min(start, total), min(stop, total)
        if self._rising:
            return self._slice(start, stop)
        return self._slice(total - stop, total - start)[::-1]

    def __iter__(self) -> Iterator[Asset]:
        return iter(self.part(0, len(self)))

    def _slice(self, start: int, stop: int) -> list[Asset]:
        if not self._picked:
            return self._assets[start:stop]
        moment = self._moment_before(start)
        parts: list[Iterator[tuple[datetime, str, Any]]] = [
            _since(picked, moment) for picked in self._picked if len(picked)
        ]
        at = bisect_left(self._keys, (moment, ""))
        parts.append((*_key(asset), asset) for asset in self._assets[at:])
        skip = start - self._before(moment)
        rows = islice(heapq.merge(*parts, key=lambda row: row[:2]), skip, skip + stop - start)
        # Those of a crowd are shown without being taken out of it.
        return [row[2] if isinstance(row[2], Asset) else row[2][0].make(row[2][1]) for row in rows]

    def _before(self, moment: datetime) -> int:
        return bisect_left(self._keys, (moment, "")) + sum(picked.before(moment) for picked in self._picked)

    def _moment_before(self, position: int) -> datetime:
        """A moment with at most `position` before it, as late as possible."""
        low, high = 0, (datetime.max.replace(tzinfo=EPOCH.tzinfo) - EPOCH) // TICK
        while low < high:
            middle = (low + high + 1) // 2
            if self._before(EPOCH + middle * TICK) <= position:
                low = middle
            else:
                high = middle - 1
        return EPOCH + low * TICK


def _key(asset: Asset) -> tuple[datetime, str]:
    return asset.file_created_at, asset.id


def _since(picked: Picked, moment: datetime) -> Iterator[tuple[datetime, str, Any]]:
    for at, asset_id, index in picked.since(moment):
        yield at, asset_id, (picked.crowd, index)


def find(store: Store, user: User, query: Json) -> Found:
    """Everything that matches and the user may find. Raises RefusedError for albums that the user is not in."""
    query = {name: value for name, value in query.items() if value is not None or name in (*NULLABLE, "tagIds")}
    if any(name in query for name in ("trashedAfter", "trashedBefore")) or query.get("isOffline"):
        query["withDeleted"] = True
    conditions = [*_general(store, user, query), *_own(query)]
    assets = [asset for asset in store.assets.values() if all(holds(asset) for holds in conditions)]
    general = _general(store, user, query)
    picked = [_pick(crowd, query) for crowd in store.assets.crowds if all(holds(crowd.make(0)) for holds in general)]
    return Found(assets, [some for some in picked if some is not None], rising=query.get("order") == "asc")


def _general(store: Store, user: User, query: Json) -> list[Condition]:
    """Conditions that all of a crowd meet or none."""
    conditions = [*_visible(store, user, query), *_related(store, query)]
    for name, value in EQUAL.items():
        if name in query:
            conditions.append(lambda asset, value=value, wanted=query[name]: value(asset) == wanted)
    if text := str(query.get("description", "")).lower():
        conditions.append(lambda asset: text in str(asset.exif.get("description") or "").lower())
    if store.dialect.is_second:
        for name, attribute in (("deviceId", "device_id"), ("deviceAssetId", "device_asset_id")):
            if name in query:
                conditions.append(
                    lambda asset, attribute=attribute, wanted=query[name]: getattr(asset, attribute) == wanted
                )
    return conditions


def _visible(store: Store, user: User, query: Json) -> list[Condition]:
    owners = {user, *(entry.by for entry in store.partners if entry.to is user and entry.in_timeline)}
    albums = query.get("albumIds") or []
    for album_id in albums:
        album = store.albums.get(album_id)
        if album is None or album.role_of(user) is None:
            raise RefusedError(400, "Not found or no album.read access")
    conditions: list[Condition] = [lambda asset: asset.visibility != "locked"]
    if not albums or store.dialect.searches_own_albums_only:
        conditions.append(lambda asset: asset.owner in owners)
    if not query.get("withDeleted"):
        conditions.append(lambda asset: asset.deleted_at is None)
    if "visibility" in query:
        conditions.append(lambda asset: asset.visibility == query["visibility"])
    if query.get("withStacked") is False and store.dialect.heeds_with_stacked:
        conditions.append(lambda asset: asset.stack_id is None)
    return conditions


def _related(store: Store, query: Json) -> list[Condition]:
    """Albums, tags and people: all that are named."""
    conditions: list[Condition] = []
    for album_id in query.get("albumIds") or []:
        members = set(store.albums[album_id].asset_ids)
        conditions.append(lambda asset, members=members: asset.id in members)
    if query.get("isNotInAlbum") and not query.get("albumIds"):
        anywhere = {asset_id for album in store.albums.values() for asset_id in album.asset_ids}
        conditions.append(lambda asset: asset.id not in anywhere)
    if "tagIds" in query and query["tagIds"] is None:
        conditions.append(lambda asset: not asset.tag_ids)
    for tag_id in query.get("tagIds") or []:
        family = _family(store, tag_id)
        conditions.append(lambda asset, family=family: not family.isdisjoint(asset.tag_ids))
    for person_id in query.get("personIds") or []:
        shown = {face.asset_id for face in store.faces.values() if face.person_id == person_id}
        conditions.append(lambda asset, shown=shown: asset.id in shown)
    return conditions


def _family(store: Store, tag_id: str) -> set[str]:
    """The tag and what is below it."""
    tag = store.tags.get(tag_id)
    if tag is None:
        return set()
    below = f"{tag.value}/"
    own = [other for other in store.tags.values() if other.owner is tag.owner]
    return {other.id for other in own if f"{other.value}/".startswith(below)}


def _own(query: Json) -> list[Condition]:
    """Conditions on what each asset has of its own."""
    conditions: list[Condition] = []
    for name, moment in DATES.items():
        for end in ("After", "Before"):
            if f"{name}{end}" in query:
                conditions.append(_bound(moment, parse_date(query[f"{name}{end}"]), first=end == "After"))
    if "id" in query:
        conditions.append(lambda asset: asset.id == query["id"])
    if "checksum" in query:
        checksum = parse_checksum(query["checksum"])
        conditions.append(lambda asset: asset.checksum == checksum)
    if name := str(query.get("originalFileName", "")).lower():
        conditions.append(lambda asset: name in asset.name.lower())
    if path := str(query.get("originalPath", "")).lower():
        conditions.append(lambda asset: path in asset.original_path.lower())
    return conditions


def _bound(moment: Callable[[Asset], datetime | None], bound: datetime, *, first: bool) -> Condition:
    """Both ends belong to the range."""

    def holds(asset: Asset) -> bool:
        at = moment(asset)
        return at is not None and (at >= bound if first else at <= bound)

    return holds


def _pick(crowd: Crowd, query: Json) -> Picked | None:
    """What of a crowd meets the conditions on what each asset has of its own."""
    if "trashedAfter" in query or "trashedBefore" in query:
        return None
    indices: range | list[int] = range(crowd.size)
    for name in ("created", "updated", "taken"):
        after, before = query.get(f"{name}After"), query.get(f"{name}Before")
        part = crowd.between(parse_date(after) if after else None, parse_date(before) if before else None)
        indices = range(max(indices.start, part.start), max(0, min(indices.stop, part.stop)))
    chosen: list[int | None] | None = None
    if "id" in query:
        chosen = [crowd.index_of(query["id"])]
    if "checksum" in query:
        chosen = [crowd.with_checksum(parse_checksum(query["checksum"]))]
    if chosen is not None:
        indices = [index for index in chosen if index is not None and index in indices]
    if name := str(query.get("originalFileName", "")).lower():
        indices = [index for index in indices if name in crowd.name_of(index).lower()]
    if isinstance(indices, list):
        indices = [index for index in indices if crowd.index_of(crowd.id_of(index)) is not None]
    return Picked(crowd, indices)
