"""Making a photo the companion of another one: a JPEG that was taken before the RAW file of its shot came.

As long as nobody has decided about it. The photo stays in the library with its versions, left alone, and can be
developed all the same; what of it is in Immich already is taken back as when a backfill is undone.
"""

from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.events import EventType
from immich_sidecar.library import companions, photos, processed
from immich_sidecar.library.companions import Kind, words_of
from immich_sidecar.library.database import Database
from immich_sidecar.library.events import EventLog
from immich_sidecar.library.originals import is_cached
from immich_sidecar.library.tables import CompanionRow, PhotoRow, Publish, Review, Source, WorkState, now
from immich_sidecar.pipeline import decisions
from immich_sidecar.pipeline.decisions import TAKE_BACK
from immich_sidecar.pipeline.notices import notice
from immich_sidecar.pipeline.publish_scene import may_be_there
from immich_sidecar.pipeline.take_back import decided_by_hand


class Pairing:
    """Makes companions of photos."""

    def __init__(self, database: Database, events: EventLog) -> None:
        self._database, self._events = database, events

    async def absorb(self, owner: str, sha256: str, picture: str) -> bool:
        """Make the photo `picture` the JPEG of the photo `sha256`; whether it is that now.

        It stays a photo of its own where a person has decided about it.
        """
        async with self._database.transaction() as session:
            raw, photo = await photos.get(session, owner, sha256), await photos.find(session, owner, picture)
            if photo is None or photo.is_raw or photo.sha256 == raw.sha256:
                return False
            if await decided_by_hand(session, photo) is not None:
                # Also where it was a companion already: as one that is developed anyway.
                return False
            known = await companions.of_photos(session, owner, [sha256])
            if any(row.sha256 == picture for row in known):
                return True
            await self._leave_alone(session, raw, photo)
            session.add(_companion(raw, photo))
            if photo.source is not Source.IMMICH:
                companions.publish_soon(session, raw)
        return True

    async def _leave_alone(self, session: AsyncSession, raw: PhotoRow, photo: PhotoRow) -> None:
        reason = words_of(Kind.JPEG, raw.file_name)
        versions = await processed.all_of(session, photo.owner_id, photo.sha256)
        before = decisions.snapshot(photo)
        photo.left_alone_reason = reason
        photo.revision += 1
        photo.updated_at = now()
        if any(map(may_be_there, versions)) and photo.review is not Review.NONE:
            # A version of it is in Immich, or on its way there: it goes out of the way as far as it is ours.
            photo.review = Review.REJECTED
            decisions.record(session, photo, TAKE_BACK, before)
            await decisions.reopen_publishing(session, photo)
            self._events.record(session, notice(EventType.REVIEWED, photo, change=TAKE_BACK))
        else:
            photo.state, photo.review = WorkState.LEFT_ALONE, Review.NONE
            decisions.clear_failure(photo)
            self._events.record(session, notice(EventType.LEFT_ALONE, photo, reason=reason))
        session.add(photo)


def _companion(raw: PhotoRow, photo: PhotoRow) -> CompanionRow:
    in_cache = photo.path is None or is_cached(photo.path)
    from_immich = photo.source is Source.IMMICH
    return CompanionRow(
        owner_id=raw.owner_id,
        photo=raw.sha256,
        kind=Kind.JPEG.value,
        file_name=photo.file_name,
        sha256=photo.sha256,
        sha1=photo.sha1,
        size=photo.size,
        path=None if in_cache else photo.path,
        immich_asset_id=photo.immich_asset_id,
        # What lives in Immich is left there as it is.
        publish=Publish.MARKED if from_immich else Publish.NONE,
    )
