"""Which albums and tags an asset has, as far as rules ask: search results name neither."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from immich_py_client.models import Asset

from immich_sidecar.errors import ImmichError, ImmichGoneError, ImmichPermissionError, ImmichRefusedError
from immich_sidecar.immich.api import Api
from immich_sidecar.immich.calls.search import LARGEST_PAGE, SearchFilter
from immich_sidecar.immich.rules import CANNOT_LOOK, Rules
from immich_sidecar.immich.traits import Traits, traits_of

_NOTHING: frozenset[str] = frozenset()


class Memberships:
    """Looks up what rules ask, once for all assets of a window of time.

    Parameters
    ----------
    api
        Where they are.
    rules
        What is asked.
    page
        Assets per page of an answer.
    """

    def __init__(self, api: Api, rules: Rules, *, page: int = LARGEST_PAGE) -> None:
        self._api = api
        self._rules = rules
        self._page = page
        self._tag_ids: dict[str, str | None] | None = None
        self._problem: str | None = None

    async def of_window(self, assets: Sequence[Asset], wanted: Iterable[SearchFilter]) -> dict[str, Traits]:
        """The traits of these assets, which are what the filters found, by asset id.

        Each album and tag costs a request (or a few) for the whole window, and none where rules name none.
        """
        filters = list(wanted) if assets and (self._rules.albums or self._rules.tags) else []
        albums: dict[str, set[str]] = {}
        tags: dict[str, set[str]] = {}
        for one in filters:
            for album in self._rules.albums:
                for asset_id in await self._found(replace(one, album_ids=(*(one.album_ids or ()), album))):
                    albums.setdefault(asset_id, set()).add(album)
            for tag in self._rules.tags:
                tag_id = await self._tag_id(tag)
                if tag_id is None:
                    continue
                for asset_id in await self._found(replace(one, tag_ids=(*(one.tag_ids or ()), tag_id))):
                    tags.setdefault(asset_id, set()).add(tag)
        return {
            asset.id: self._traits(asset, frozenset(albums.get(asset.id, ())), frozenset(tags.get(asset.id, ())))
            for asset in assets
            if asset.id
        }

    async def of_asset(self, asset: Asset) -> Traits:
        """The traits of one asset, read with its tags."""
        albums, tags = _NOTHING, _NOTHING
        if self._rules.albums:
            try:
                mine = {album.id for album in await self._api.albums(asset_id=asset.id or "")}
            except ImmichPermissionError as error:
                self._note(error)
            else:
                albums = frozenset(album for album in self._rules.albums if album in mine)
        if self._rules.tags:
            values = [tag.value for tag in asset.tags or () if tag.value]
            tags = frozenset(wanted for wanted in self._rules.tags if any(_is_below(value, wanted) for value in values))
        return self._traits(asset, albums, tags)

    def _traits(self, asset: Asset, albums: frozenset[str], tags: frozenset[str]) -> Traits:
        if self._problem is not None:
            return traits_of(asset, problem=self._problem)
        return traits_of(asset, albums=albums, tags=tags)

    async def _tag_id(self, value: str) -> str | None:
        """The id of a tag; None where there is no such tag, which then no asset has."""
        if self._tag_ids is None:
            self._tag_ids = {}
            try:
                self._tag_ids = {tag.value: tag.id or None for tag in await self._api.tags() if tag.value}
            except ImmichPermissionError as error:
                self._note(error)
        return self._tag_ids.get(value)

    async def _found(self, wanted: SearchFilter) -> set[str]:
        """Ids of all assets that are wanted. Pages may shift under it; what shifts is asked about again later."""
        found: set[str] = set()
        page, more = 1, True
        while more:
            try:
                assets, more = await self._api.search_assets(wanted, page=page, size=self._page, with_exif=False)
            except (ImmichGoneError, ImmichRefusedError):
                # The album or tag is gone: nothing is in it.
                return set()
            except ImmichPermissionError as error:
                self._note(error)
                return set()
            found.update(asset.id for asset in assets if asset.id)
            page += 1
        return found

    def _note(self, error: ImmichError) -> None:
        self._problem = f"{CANNOT_LOOK}albums and tags it has: {error}"


def _is_below(value: str, wanted: str) -> bool:
    return value == wanted or value.startswith(f"{wanted}/")
