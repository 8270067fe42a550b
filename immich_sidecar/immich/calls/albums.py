"""Calls about albums."""

from immich_py_client.api.albums import (
    add_assets_to_album,
    create_album,
    get_album_info,
    get_all_albums,
    remove_asset_from_album,
)
from immich_py_client.models import Album, AlbumCreate, BulkIdResult, BulkIds
from immich_py_client.types import UNSET

from immich_sidecar.errors import ImmichServerError
from immich_sidecar.immich.calls.server import ServerCalls
from immich_sidecar.immich.compatibility import lists_all_albums


class AlbumCalls(ServerCalls):
    """The user's albums, and those that others share with them."""

    async def albums(self, *, asset_id: str | None = None) -> list[Album]:
        """All albums, or those that an asset is in."""
        tried = "list the albums"
        answer: list[Album] = await self.call(
            get_all_albums, tried=tried, asset_id=UNSET if asset_id is None else asset_id
        )
        if asset_id is not None or lists_all_albums(await self.known_version()):
            return answer
        shared: list[Album] = await self.call(get_all_albums, tried=tried, shared=True)
        return list({album.id: album for album in (*answer, *shared)}.values())

    async def album(self, album_id: str) -> Album:
        """The album, without its assets: `search_assets` finds those."""
        answer: Album = await self.call(get_album_info, album_id, tried=f"read album {album_id}")
        return answer

    async def make_album(self, name: str) -> str:
        """Make an album and give its id; names are not unique."""
        answer: Album = await self.call(create_album, tried=f"make the album {name}", body=AlbumCreate(album_name=name))
        if not answer.id:
            raise ImmichServerError(f"Could not make the album {name}: the answer names none; it is tried again")
        return answer.id

    async def add_to_album(self, album_id: str, asset_ids: list[str]) -> list[BulkIdResult]:
        """Add assets to an album; one answer per asset, `error` being `duplicate` where it is there already.

        Not repeated by itself: to the second call Immich would say that of what the first one added.
        """
        answer: list[BulkIdResult] = await self.call(
            add_assets_to_album,
            album_id,
            tried="add photos to an album",
            repeatable=False,
            body=BulkIds(ids=asset_ids),
        )
        return answer

    async def remove_from_album(self, album_id: str, asset_ids: list[str]) -> list[BulkIdResult]:
        """Take assets out of an album; one answer per asset, `error` being `not_found` where it is not in it."""
        answer: list[BulkIdResult] = await self.call(
            remove_asset_from_album,
            album_id,
            tried="take photos out of an album",
            repeatable=True,
            body=BulkIds(ids=asset_ids),
        )
        return answer
