"""Older photos that are to be processed: which they are, and a way through all of them that loses none.

Search results have no stable pages: what is added, deleted or changed meanwhile shifts them. So the way goes back in
time by windows over the moment at which Immich got an asset, which never changes. A window is closed, and small enough
for one page; it grows where little is found. Where the way has got to is one moment, which a row can hold.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from enum import StrEnum
from typing import Any, Literal, Self

from immich_py_client.models import Asset
from immich_py_client.models.visibility import Visibility
from pydantic import BaseModel, ConfigDict, Field, model_validator

from immich_sidecar.errors import ImmichGoneError, NotFoundError
from immich_sidecar.immich.api import Api
from immich_sidecar.immich.calls.search import LARGEST_PAGE, SearchFilter
from immich_sidecar.immich.rules import Named

#: Nothing came into Immich before it existed.
BEGINNING = datetime(1990, 1, 1, tzinfo=UTC)
#: The first window, and the smallest: below it, pages are read one after the other until a pass finds nothing new.
FIRST_WINDOW = timedelta(days=2)
SMALLEST_WINDOW = timedelta(milliseconds=2)
#: How full a page should be: what does not fit is asked for again in halves.
_FILL = 0.7
#: How many assets of a search by likeness are asked for with one request, and read with one step.
_ALIKE_PAGE = 250
_IDS_PER_STEP = 25


class ScopeKind(StrEnum):
    """What a backfill is about."""

    LIBRARY = "library"
    ALBUM = "album"
    DATES = "dates"
    SEARCH = "search"
    TAG = "tag"


class Scope(BaseModel):
    """Which photos a backfill looks at; rules then say which of them it takes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ScopeKind
    #: Of `album`.
    album: Named | None = None
    #: Of `tag`: its path; tags below count.
    tag: str | None = Field(default=None, min_length=1, max_length=200)
    #: Of `dates`: taken on this day or later, on this day or earlier.
    taken_after: date | None = None
    taken_before: date | None = None
    #: Of `search`: a part of the file name, or words that describe what is in the photo.
    query: str | None = Field(default=None, min_length=1, max_length=200)
    by: Literal["name", "likeness"] = "name"
    #: Of a search by likeness: so many of the best.
    best: int = Field(default=200, ge=1, le=1000)

    @model_validator(mode="after")
    def _complete(self) -> Self:
        given = {
            ScopeKind.LIBRARY: True,
            ScopeKind.ALBUM: self.album is not None,
            ScopeKind.TAG: self.tag is not None,
            ScopeKind.DATES: self.taken_after is not None or self.taken_before is not None,
            ScopeKind.SEARCH: self.query is not None,
        }
        if not given[self.kind]:
            raise ValueError(f"say which {'dates' if self.kind is ScopeKind.DATES else self.kind.value} it is about")
        if self.taken_after and self.taken_before and self.taken_after > self.taken_before:
            raise ValueError("the first day is after the last one")
        return self

    @property
    def is_by_likeness(self) -> bool:
        """Whether Immich is asked what resembles words: what it finds is kept, since it finds other things later."""
        return self.kind is ScopeKind.SEARCH and self.by == "likeness"

    @property
    def words(self) -> str:
        """What it is about, for a heading."""
        match self.kind:
            case ScopeKind.ALBUM:
                return f"Album {(self.album and (self.album.name or self.album.id)) or ''}"
            case ScopeKind.TAG:
                return f"Tag {self.tag}"
            case ScopeKind.SEARCH if self.is_by_likeness:
                return f"Search for “{self.query}”, the best {self.best}"
            case ScopeKind.SEARCH:
                return f"File names with “{self.query}”"
            case ScopeKind.DATES:
                first, last = self.taken_after, self.taken_before
                if first and last:
                    return f"Taken {first}" if first == last else f"Taken {first} to {last}"
                return f"Taken since {first}" if first else f"Taken until {last}"
        return "The whole library"


@dataclass(frozen=True)
class Step:
    """What one step of the way found."""

    #: The user's own assets, whatever they are.
    assets: Sequence[Asset]
    #: What found them; for other questions about the same assets.
    filters: Sequence[SearchFilter]
    #: Where to go on; None: this was the last step.
    cursor: Mapping[str, Any] | None


class Walk:
    """The way through everything that a scope is about, newest in Immich first.

    Parameters
    ----------
    api, user_id
        Whose assets; those of partners and of others in shared albums are left out.
    until
        What came into Immich later is none of its business.
    hidden
        Whether hidden assets are asked for as well.
    page
        Assets per answer, at most 1000.
    """

    def __init__(
        self,
        api: Api,
        user_id: str,
        scope: Scope,
        *,
        until: datetime,
        hidden: bool = False,
        page: int = LARGEST_PAGE,
    ) -> None:
        self._api = api
        self._user_id = user_id
        self._scope = scope
        self._until = until
        self._visibilities: tuple[Visibility, ...] = ("timeline", "archive", *(("hidden",) if hidden else ()))
        self._page = page
        self._base: SearchFilter | None = None

    async def step(self, cursor: Mapping[str, Any] | None) -> Step:
        """One step on from where a cursor points; None: the first.

        Raises
        ------
        NotFoundError
            If the tag or album does not exist.
        ImmichError
            If Immich cannot be asked.
        """
        if self._scope.is_by_likeness:
            return await self._alike(cursor or {})
        cursor = cursor or {}
        before = datetime.fromisoformat(cursor["before"]) if "before" in cursor else self._until
        width = timedelta(seconds=cursor["width"]) if "width" in cursor else FIRST_WINDOW
        base = await self._filter()
        while True:
            after = max(BEGINNING, before - width)
            window = replace(base, created_after=after, created_before=before)
            found, filters = await self._window(window)
            if found is not None:
                break
            width = max(SMALLEST_WINDOW, (before - after) / 2)
        mine = [asset for asset in found if asset.id and asset.owner_id == self._user_id]
        if after <= BEGINNING:
            return Step(mine, filters, None)
        width *= min(8, max(0.5, _FILL * self._page / max(1, len(found))))
        width = max(SMALLEST_WINDOW, min(width, before - BEGINNING))
        return Step(mine, filters, {"before": after.isoformat(), "width": width.total_seconds()})

    async def ids_alike(self) -> list[str]:
        """The assets of a search by likeness, best first: to be kept, because the answer changes with the library."""
        return [asset.id or "" for asset in await self._search_alike()]

    async def _window(self, window: SearchFilter) -> tuple[list[Asset] | None, list[SearchFilter]]:
        """All assets of a window, or None where they do not fit into one page each; and what found them."""
        found: list[Asset] = []
        filters = [replace(window, visibility=visibility) for visibility in self._visibilities]
        smallest = (window.created_before or BEGINNING) - (window.created_after or BEGINNING) <= SMALLEST_WINDOW
        for wanted in filters:
            assets, more = await self._api.search_assets(wanted, size=self._page)
            if more and not smallest:
                return None, filters
            found += await self._api.search_to_the_end(wanted, size=self._page) if more else assets
        return found, filters

    async def _filter(self) -> SearchFilter:
        """What the scope asks for, without a window."""
        if self._base is not None:
            return self._base
        scope = self._scope
        base = SearchFilter(
            taken_after=None if scope.taken_after is None else _start_of(scope.taken_after),
            taken_before=None if scope.taken_before is None else _start_of(scope.taken_before + timedelta(days=1)),
            file_name=scope.query if scope.kind is ScopeKind.SEARCH else None,
            album_ids=(scope.album.id,) if scope.kind is ScopeKind.ALBUM and scope.album else None,
        )
        if scope.kind is ScopeKind.TAG:
            ids = [tag.id for tag in await self._api.tags() if tag.value == scope.tag and tag.id]
            if not ids:
                raise NotFoundError(f"there is no tag {scope.tag!r} in Immich any more")
            base = replace(base, tag_ids=(ids[0],))
        if scope.kind is ScopeKind.ALBUM and scope.album is not None:
            try:
                await self._api.album(scope.album.id)
            except ImmichGoneError:
                raise NotFoundError(f"the album {scope.album.name!r} is not in Immich any more") from None
        self._base = base
        return base

    async def _alike(self, cursor: Mapping[str, Any]) -> Step:
        """The next of the assets that `ids_alike` gave."""
        ids, at = cursor.get("ids", ()), cursor.get("at", 0)
        assets = []
        for asset_id in ids[at : at + _IDS_PER_STEP]:
            try:
                asset = await self._api.asset(asset_id)
            except ImmichGoneError:
                continue
            if asset.owner_id == self._user_id:
                assets.append(asset)
        at += _IDS_PER_STEP
        return Step(assets, (), {**cursor, "at": at} if at < len(ids) else None)

    async def _search_alike(self) -> list[Asset]:
        found: dict[str, Asset] = {}
        page, more = 1, True
        wanted = SearchFilter(type="IMAGE", created_before=self._until)
        while more and len(found) < self._scope.best:
            assets, more = await self._api.search_smart(
                self._scope.query or "", wanted, page=page, size=min(_ALIKE_PAGE, self._scope.best)
            )
            found.update((asset.id, asset) for asset in assets if asset.id and asset.owner_id == self._user_id)
            page += 1
        return list(found.values())[: self._scope.best]


def _start_of(day: date) -> datetime:
    """When a day begins here."""
    return datetime.combine(day, time.min).astimezone()
