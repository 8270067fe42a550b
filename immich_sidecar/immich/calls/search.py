"""Calls that look for assets."""

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal

from immich_py_client.api.search import get_asset_statistics, search_asset_statistics, search_assets, search_smart
from immich_py_client.models import (
    Asset,
    AssetStatistics,
    MetadataSearch,
    SearchResult,
    SearchStatistics,
    SmartSearch,
    StatisticsSearch,
)
from immich_py_client.models.asset_kind import AssetKind
from immich_py_client.models.visibility import Visibility
from immich_py_client.types import UNSET

from immich_sidecar.errors import ImmichRefusedError
from immich_sidecar.immich.transport import Transport

#: How many assets a search page may hold at most.
LARGEST_PAGE = 1000
#: Passes over pages that go on shifting.
PASSES = 10


@dataclass(frozen=True)
class SearchFilter:
    """What assets must be to be found: everything that is not None. Ranges are closed.

    Assets of partners whom the user lets into their timeline are found too: compare `owner_id`.

    Raises
    ------
    ValueError
        If a moment has no time zone.
    """

    #: Always said, because versions differ in what they mean without it.
    visibility: Visibility = "timeline"
    #: When Immich got it.
    created_after: datetime | None = None
    created_before: datetime | None = None
    #: When anything of it changed last, our own changes included.
    updated_after: datetime | None = None
    updated_before: datetime | None = None
    taken_after: datetime | None = None
    taken_before: datetime | None = None
    type: AssetKind | None = None
    make: str | None = None
    model: str | None = None
    lens_model: str | None = None
    #: Exactly this rating, 1 to 5.
    rating: int | None = None
    favorite: bool | None = None
    #: The photo of a live photo.
    motion: bool | None = None
    offline: bool | None = None
    not_in_album: bool | None = None
    #: Of an external library.
    library_id: str | None = None
    #: In each of these albums, with each of these tags, showing each of these people.
    album_ids: tuple[str, ...] | None = None
    tag_ids: tuple[str, ...] | None = None
    person_ids: tuple[str, ...] | None = None
    #: A part of the description; not for `search_smart`.
    description: str | None = None
    # What only `search_assets` knows:
    asset_id: str | None = None
    #: SHA-1, hexadecimal or base64.
    checksum: str | None = None
    #: A part of the file's name, in any case of letters.
    file_name: str | None = None
    #: Also what is in the trash.
    with_deleted: bool | None = None
    #: Where False, leave out every asset of a stack; 2.5 takes no notice of it.
    with_stacked: bool | None = None

    def __post_init__(self) -> None:
        for item in fields(self):
            value = getattr(self, item.name)
            if isinstance(value, datetime) and value.tzinfo is None:
                raise ValueError(f"{item.name} needs a time zone")

    def into(self, body: Any) -> None:
        """Write what is asked for into the body of a search.

        Raises
        ------
        ValueError
            If the search cannot be asked for it.
        """
        for item in fields(self):
            value = getattr(self, item.name)
            if value is None:
                continue
            name = _BODY_NAMES.get(item.name, item.name)
            if not hasattr(body, name):
                raise ValueError(f"this search cannot be asked for {item.name}")
            if isinstance(value, datetime):
                value = _rounded(value)
            elif isinstance(value, tuple):
                value = list(value)
            setattr(body, name, value)


_BODY_NAMES = {
    "type": "type_",
    "favorite": "is_favorite",
    "motion": "is_motion",
    "offline": "is_offline",
    "not_in_album": "is_not_in_album",
    "asset_id": "id",
    "file_name": "original_file_name",
}


@dataclass(frozen=True)
class AssetCounts:
    """How many assets the user has."""

    images: int
    videos: int
    total: int


class SearchCalls(Transport):
    """Finding assets. Items of a page hold no tags and no stack."""

    async def search_assets(
        self,
        wanted: SearchFilter,
        *,
        page: int = 1,
        size: int = LARGEST_PAGE,
        order: Literal["asc", "desc"] = "asc",
        with_exif: bool = True,
        with_people: bool = False,
    ) -> tuple[list[Asset], bool]:
        """One page of the assets that are wanted, by the time they were taken, and whether there are more.

        A page is a slice of what is there at that moment: give an end to the range, or assets shift between pages.
        """
        tried = "search for photos"
        body = MetadataSearch(
            visibility=wanted.visibility,
            page=page,
            size=size,
            order=order,
            with_exif=with_exif,
            with_people=with_people or UNSET,
        )
        wanted.into(body)
        answer: SearchResult = await self.call(search_assets, tried=tried, repeatable=True, body=body)
        return _page(answer, tried)

    async def search_to_the_end(self, wanted: SearchFilter, *, size: int = LARGEST_PAGE) -> list[Asset]:
        """All assets that are wanted, in passes over the pages until one finds nothing new, but not for ever.

        For what cannot be asked for in smaller ranges: pages shift while assets change.
        """
        found: dict[str, Asset] = {}
        for _ in range(PASSES):
            known, page, more = len(found), 1, True
            while more:
                assets, more = await self.search_assets(wanted, page=page, size=size)
                found.update((asset.id or "", asset) for asset in assets)
                page += 1
            if len(found) == known:
                break
        return list(found.values())

    async def search_smart(
        self,
        query: str,
        wanted: SearchFilter | None = None,
        *,
        page: int = 1,
        size: int = 100,
        with_exif: bool = True,
    ) -> tuple[list[Asset], bool]:
        """One page of the assets that resemble the words, best first, and whether there are more.

        Raises
        ------
        ImmichRefusedError
            If smart search is switched off.
        ValueError
            If more is wanted than this search can be asked for.
        """
        tried = "search for photos by words"
        wanted = wanted or SearchFilter()
        body = SmartSearch(visibility=wanted.visibility, query=query, page=page, size=size, with_exif=with_exif)
        wanted.into(body)
        answer: SearchResult = await self.call(search_smart, tried=tried, repeatable=True, body=body)
        return _page(answer, tried)

    async def count(self, wanted: SearchFilter) -> int:
        """How many assets are wanted.

        Raises
        ------
        ValueError
            If more is wanted than can be counted: an id, a checksum, a file name, the trash, stacks.
        """
        body = StatisticsSearch(visibility=wanted.visibility)
        wanted.into(body)
        answer: SearchStatistics = await self.call(
            search_asset_statistics, tried="count photos", repeatable=True, body=body
        )
        return answer.total or 0

    async def asset_statistics(
        self, *, visibility: Visibility | None = None, favorite: bool | None = None, trashed: bool | None = None
    ) -> AssetCounts:
        """How many assets the user has, of some kind or of all."""
        answer: AssetStatistics = await self.call(
            get_asset_statistics,
            tried="count photos",
            visibility=UNSET if visibility is None else visibility,
            is_favorite=UNSET if favorite is None else favorite,
            is_trashed=UNSET if trashed is None else trashed,
        )
        return AssetCounts(answer.images or 0, answer.videos or 0, answer.total or 0)


def _page(answer: SearchResult, tried: str) -> tuple[list[Asset], bool]:
    if not answer.assets:
        raise ImmichRefusedError(f"Could not {tried}: the answer holds no assets")
    return list(answer.assets.items or ()), bool(answer.assets.next_page)


def _rounded(moment: datetime) -> datetime:
    """Immich's dates have milliseconds."""
    return moment.replace(microsecond=moment.microsecond // 1000 * 1000)
