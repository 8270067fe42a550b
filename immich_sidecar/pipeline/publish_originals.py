"""Originals on their way into Immich: those of hot folders and uploads are put there as soon as they are stored."""

import asyncio
from datetime import datetime

from immich_sidecar.errors import ImmichGoneError, ImmichRefusedError
from immich_sidecar.events import EventType
from immich_sidecar.library import companions, originals, photos
from immich_sidecar.library.database import Database
from immich_sidecar.library.events import EventLog
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.tables import PhotoRow, Publish, Source, UploadRow, WorkState, now
from immich_sidecar.pipeline.notices import notice
from immich_sidecar.pipeline.publish_companions import CompanionUploads
from immich_sidecar.pipeline.publish_scene import upload_row
from immich_sidecar.pipeline.targets import Target
from immich_sidecar.pipeline.uploads import Uploads
from immich_sidecar.pipeline.wanted import original_wanted

#: States in which the work on a photo is over, so that its original is not needed.
_DONE = (WorkState.KEPT, WorkState.LEFT_ALONE, WorkState.CANCELLED)


class TrashedError(ImmichRefusedError):
    """Immich has the same file in its trash; what its owner threw away is not brought back by us."""


class Originals:
    """Sees to originals: each is uploaded once, and our copy goes where that is wanted.

    Parameters
    ----------
    uploads
        Follows what is sent.
    keep
        Whether our copy of a hot folder's original stays once Immich has confirmed its checksum.
    """

    def __init__(
        self, database: Database, layout: Layout, events: EventLog, uploads: Uploads, *, keep: bool = True
    ) -> None:
        self._database = database
        self._layout = layout
        self._events = events
        self._uploads = uploads
        self._keep = keep
        self._companions = CompanionUploads(database, layout, keep=keep)

    async def see_to(self, target: Target, owner: str, sha256: str) -> bool:
        """See to the original itself: upload it, and drop our copy where that is wanted.

        Returns whether it has to be looked at again later.
        """
        async with self._database.reading() as session:
            photo = await photos.find(session, owner, sha256)
        if photo is None or photo.connection_id is None:
            return False
        if original_wanted(photo.source, connected=True):
            if photo.immich_asset_id is None:
                await self.upload(target, photo)
                async with self._database.reading() as session:
                    photo = await photos.get(session, owner, sha256)
            if target.albums and photo.immich_asset_id is not None:
                await target.publisher.add_to_albums(photo.immich_asset_id)
        later = photo.immich_asset_id is not None and await self._companions.see_to(target, photo)
        return await self._drop_copy(target, photo) or later

    async def block(self, owner: str, sha256: str, reason: str, *, due_at: datetime | None) -> None:
        """The original waits for a person."""
        async with self._database.transaction() as session:
            photo = await photos.find(session, owner, sha256)
            if photo is None:
                return
            photo.original_publish = Publish.BLOCKED
            photo.original_publish_error = reason
            photo.original_publish_due_at = due_at
            session.add(photo)
            self._events.record(session, notice(EventType.PUBLISH_BLOCKED, photo, error=reason, n=0))

    async def upload(self, target: Target, photo: PhotoRow) -> None:
        """Put the original into Immich, and record its asset."""
        if photo.source is Source.IMMICH:
            raise ImmichGoneError(f"{photo.file_name}: it came from Immich, but its asset is not known any more")
        path = await asyncio.to_thread(originals.locate, self._layout, photo)
        xmp = await self._companions.xmp_of(photo)
        with self._uploads.follow(photo, 0) as on_bytes:
            result = await target.publisher.upload_original(
                path,
                file_name=photo.file_name,
                sha1=photo.sha1,
                captured_at=photo.captured_at,
                modified_at=photo.captured_at or photo.created_at,
                sidecar=None if xmp is None else xmp[1],
                on_bytes=on_bytes,
            )
        if result.is_trashed:
            raise TrashedError(
                f"{photo.file_name}: Immich has it in its trash; restore it there and retry, or leave it"
            )
        async with self._database.transaction() as session:
            row = await photos.get(session, photo.owner_id, photo.sha256)
            row.immich_asset_id = result.asset_id
            row.original_publish = Publish.ORIGINAL_UPLOADED
            row.original_publish_error = None
            row.original_publish_attempts = 0
            await companions.settle_xmps(session, row, xmp[0] if xmp and result.status == "created" else None)
            more = not self._keep or await companions.to_publish(session, row.owner_id, row.sha256)
            row.original_publish_due_at = now() if more else None
            if await upload_row(session, row, 0) is None:
                session.add(
                    UploadRow(
                        owner_id=row.owner_id,
                        original_hash=row.sha256,
                        version=0,
                        immich_original_id=result.asset_id,
                    )
                )
            session.add(row)
            self._events.record(session, notice(EventType.PUBLISHED, row, n=0, publish=Publish.ORIGINAL_UPLOADED.value))
        if target.albums:
            await target.publisher.add_to_albums(result.asset_id)

    async def _drop_copy(self, target: Target, photo: PhotoRow) -> bool:
        """Remove our copy of an original that Immich holds for certain; returns whether to come back later."""
        if self._keep or photo.source is not Source.HOT_FOLDER or photo.path is None or originals.is_cached(photo.path):
            return False
        if photo.state not in _DONE or photo.immich_asset_id is None:
            return True
        if not await target.publisher.confirm(photo.immich_asset_id, photo.sha1):
            return True
        async with self._database.transaction() as session:
            row = await photos.get(session, photo.owner_id, photo.sha256)
            if row.state not in _DONE or row.revision != photo.revision:
                return True
            await originals.remove_copy(session, self._layout, photo.owner_id, photo.sha256)
        return False
