"""The albums `Originals` and `Processed`, where `SIDECAR_ALBUMS` asks for them."""

import asyncio

from immich_sidecar.errors import ImmichGoneError
from immich_sidecar.immich.compatibility import role_in
from immich_sidecar.immich.connections import Connection
from immich_sidecar.library import switches
from immich_sidecar.library.database import Database

ORIGINALS = "Originals"
PROCESSED = "Processed"


class Albums:
    """Puts assets of one user into albums of that user, which are made where they are missing.

    The id of an album is remembered, so its owner may give it another name.
    """

    def __init__(self, connection: Connection, database: Database) -> None:
        self._connection = connection
        self._api = connection.api
        self._database = database
        # Names are not unique in Immich: two makers at the same time would make two albums.
        self._turn = asyncio.Lock()

    async def add(self, name: str, asset_id: str) -> None:
        """Put an asset into the album; one that is there already stays.

        Raises
        ------
        ImmichGoneError
            If the asset is not there any more.
        """
        async with self._turn:
            remembered = await self.remembered(name)
            if remembered is not None:
                try:
                    await self._add(remembered, name, asset_id)
                    return
                except _NoAlbumError:
                    pass
            album_id = await self._find(name) or await self._api.make_album(name)
            await self._remember(name, album_id)
            await self._add(album_id, name, asset_id)

    async def _add(self, album_id: str, name: str, asset_id: str) -> None:
        try:
            results = await self._api.add_to_album(album_id, [asset_id])
        except ImmichGoneError as error:
            raise _NoAlbumError(str(error)) from error
        for result in results:
            if not result.success and result.error != "duplicate":
                raise ImmichGoneError(f"Could not add asset {asset_id} to the album {name}: Immich says {result.error}")

    async def _find(self, name: str) -> str | None:
        """The user's own album of that name, the oldest where there are several."""
        user_id = self._connection.user_id
        named = [album for album in await self._api.albums() if album.album_name == name]
        own = [album for album in named if role_in(album, user_id) == "owner"]
        own.sort(key=lambda album: (str(album.additional_properties.get("createdAt")), album.id))
        return (own[0].id or None) if own else None

    def _switch(self, name: str) -> str:
        return f"album.{self._connection.row_id}.{name}"

    async def remembered(self, name: str) -> str | None:
        """The id of the album of that name that was used last; None where none was."""
        async with self._database.reading() as session:
            album_id = await switches.get(session, self._connection.owner_id, self._switch(name))
        return album_id if isinstance(album_id, str) else None

    async def _remember(self, name: str, album_id: str) -> None:
        async with self._database.transaction() as session:
            await switches.put(session, self._connection.owner_id, self._switch(name), album_id)


class _NoAlbumError(ImmichGoneError):
    """The album is not there (any more)."""
