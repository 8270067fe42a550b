"""What belongs to a photo on its way into Immich: the JPEG of a RAW file is put there and stacked with it.

    none -> uploaded -> stacked

Each arrow asks Immich for one thing and writes what came of it; each can be repeated. What Immich refuses waits for a
person and keeps nothing else of the photo back.
"""

import asyncio

from immich_sidecar.errors import (
    ImmichAwayError,
    ImmichCredentialsError,
    ImmichError,
    ImmichServerError,
    ImmichVersionError,
)
from immich_sidecar.library import companions, processed
from immich_sidecar.library.companions import LARGEST_SENT_XMP
from immich_sidecar.library.database import Database
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.tables import CompanionRow, PhotoRow, Publish
from immich_sidecar.pipeline.targets import Target

#: What is tried again by itself.
_PASSING = (ImmichAwayError, ImmichCredentialsError, ImmichServerError, ImmichVersionError)
_TRASHED = "Immich has it in its trash; restore it there and retry, or leave it"
_ELSEWHERE = "its owner has put it into another stack in Immich"


class CompanionUploads:
    """Sees to the companions of one photo after another.

    Parameters
    ----------
    keep
        Whether our copy of a JPEG stays once Immich has confirmed its checksum.
    """

    def __init__(self, database: Database, layout: Layout, *, keep: bool = True) -> None:
        self._database, self._layout, self._keep = database, layout, keep

    async def xmp_of(self, photo: PhotoRow) -> tuple[CompanionRow, bytes] | None:
        """The XMP file that goes to Immich with a photo; None where there is none that can be sent."""
        async with self._database.reading() as session:
            row = await companions.xmp_to_send(session, photo)
        if row is None or row.path is None:
            return None
        file = self._layout.absolute(row.path)
        if not await asyncio.to_thread(file.is_file):
            return None
        content = await asyncio.to_thread(file.read_bytes)
        return (row, content) if len(content) <= LARGEST_SENT_XMP else None

    async def see_to(self, target: Target, photo: PhotoRow) -> bool:
        """Upload and stack what is not there yet; whether to come back later.

        Raises
        ------
        ImmichError, StorageError
            Where something is to be tried again.
        """
        async with self._database.reading() as session:
            rows = await companions.to_publish(session, photo.owner_id, photo.sha256)
        for row in rows:
            try:
                await self._publish(target, photo, row)
            except _PASSING:
                raise
            except ImmichError as error:
                await self._write(row, publish=Publish.BLOCKED, last_error=str(error))
        return not self._keep and await self._drop_copies(target, photo)

    async def _publish(self, target: Target, photo: PhotoRow, row: CompanionRow) -> None:
        if row.publish is Publish.NONE:
            asset_id = row.immich_asset_id or await self._upload(target, photo, row)
            if asset_id is None:
                return
            await self._write(row, publish=Publish.UPLOADED, immich_asset_id=asset_id, last_error=None)
            row.immich_asset_id = asset_id
            if target.albums:
                await target.publisher.add_to_albums(asset_id)
        async with self._database.reading() as session:
            versions = await processed.all_of(session, photo.owner_id, photo.sha256)
        result = await target.publisher.stack(
            photo.immich_asset_id or "",
            row.immich_asset_id or "",
            want_primary="keep",
            primary_before=photo.immich_primary_before,
            our_ids=frozenset(version.immich_asset_id for version in versions if version.immich_asset_id),
        )
        await self._write(row, publish=Publish.STACKED, last_error=None if result.stack_id else _ELSEWHERE)

    async def _upload(self, target: Target, photo: PhotoRow, row: CompanionRow) -> str | None:
        """Send a companion; gives its asset, or None where it has to wait for a person."""
        if row.path is None or row.sha1 is None:
            await self._write(row, publish=Publish.BLOCKED, last_error="our copy of it is gone")
            return None
        result = await target.publisher.upload_original(
            self._layout.absolute(row.path),
            file_name=row.file_name,
            sha1=row.sha1,
            captured_at=photo.captured_at,
            modified_at=photo.captured_at or row.created_at,
        )
        if result.is_trashed:
            await self._write(row, publish=Publish.BLOCKED, last_error=f"{row.file_name}: {_TRASHED}")
            return None
        return result.asset_id

    async def _drop_copies(self, target: Target, photo: PhotoRow) -> bool:
        """Remove our copies of pictures that Immich holds for certain; whether to come back later."""
        async with self._database.reading() as session:
            rows = await companions.of_photos(session, photo.owner_id, [photo.sha256])
        later = False
        for row in rows:
            if row.kind != companions.Kind.JPEG or row.path is None or row.publish is not Publish.STACKED:
                continue
            if await target.publisher.confirm(row.immich_asset_id or "", row.sha1 or ""):
                async with self._database.transaction() as session:
                    current = await session.get_one(CompanionRow, row.id)
                    await companions.remove_copy(session, self._layout, current)
            else:
                later = True
        return later

    async def _write(self, row: CompanionRow, **values: object) -> None:
        async with self._database.transaction() as session:
            current = await session.get_one(CompanionRow, row.id)
            for name, value in values.items():
                setattr(current, name, value)
            session.add(current)
