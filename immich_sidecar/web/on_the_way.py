"""What is on its way to Immich, for the queue and the photo page: uploads by bytes, what waits, and why."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.immich.retire import HANDED_ON, KEPT_BECAUSE, Fate
from immich_sidecar.library.tables import ConnectionRow, PhotoRow, Publish, Review, VersionRow, WorkState
from immich_sidecar.pipeline.publish_queue import PublishQueue
from immich_sidecar.pipeline.uploads import Upload
from immich_sidecar.web import words


@dataclass(frozen=True)
class OnTheWay:
    """What of an owner's is on its way to Immich."""

    uploads: Sequence[Upload]
    #: Versions and originals that are still to be brought to what is wanted in Immich; blocked ones are not counted.
    waiting: int
    #: Bytes a second of all uploads together.
    rate: int
    #: Why nothing goes on at the moment; None where it does.
    waits_for: str | None

    def to_json(self) -> dict[str, Any]:
        """As the API tells it."""
        return {
            "uploads": [
                {
                    "id": upload.sha256,
                    "file_name": upload.file_name,
                    "version": upload.n,
                    "sent": upload.sent,
                    "total": upload.total,
                }
                for upload in self.uploads
            ],
            "waiting": self.waiting,
            "rate": self.rate,
            "waits_for": self.waits_for,
        }


async def read_on_the_way(session: AsyncSession, queue: PublishQueue | None, owner: str) -> OnTheWay:
    """What is on its way of one owner."""
    versions = select(func.count()).where(
        col(VersionRow.owner_id) == owner,
        col(VersionRow.publish).in_([state for state in Publish if state is not Publish.BLOCKED]),
        col(VersionRow.due_at).is_not(None),
    )
    # Most photos are in none of these states and few are due: asked by connection, the index of the due ones answers.
    originals = select(func.count()).where(
        col(PhotoRow.owner_id) == owner,
        col(PhotoRow.connection_id).in_(select(ConnectionRow.id).where(col(ConnectionRow.owner_id) == owner)),
        col(PhotoRow.original_publish_due_at).is_not(None),
        col(PhotoRow.original_publish).not_in([state for state in Publish if state is not Publish.NONE]),
    )
    waiting = (await session.exec(versions)).one() + (await session.exec(originals)).one()
    return OnTheWay(
        uploads=[] if queue is None else queue.uploads.of(owner),
        waiting=waiting,
        rate=0 if queue is None else queue.uploads.rate(owner),
        waits_for=await _outage(session, queue, owner) if waiting else None,
    )


async def _outage(session: AsyncSession, queue: PublishQueue | None, owner: str) -> str | None:
    row = (await session.exec(select(ConnectionRow).where(col(ConnectionRow.owner_id) == owner))).first()
    if queue is None or row is None or row.id is None:
        return None
    return queue.outages().get(row.id)


def publish_words(
    photo: PhotoRow,
    row: VersionRow,
    *,
    current: bool,
    mode: str,
    outage: str | None = None,
    upload: Upload | None = None,
) -> str:
    """Where a version is on its way into Immich, in a sentence or two.

    Parameters
    ----------
    current
        Whether it is the version that the photo shows now.
    mode
        The mode that holds for the photo.
    outage
        Why publishing waits for Immich; None where it does not.
    upload
        The upload of this version, where it is being sent.
    """
    if upload is not None:
        return f"Being sent to Immich: {words.size(upload.sent)} of {words.size(upload.total or row.size)}."
    if row.publish is not Publish.BLOCKED:
        if photo.state is WorkState.LEFT_ALONE and row.immich_asset_id is None:
            return "Not in Immich: the photo was left alone."
        if row.publish is Publish.MARKED and row.immich_asset_id is None:
            # There is no asset of it.
            if not current:
                return "Superseded: it was an edit of the original in Immich."
            return "In Immich, as an edit of the original that Undo takes away again; the file itself stays as it is."
        if row.immich_asset_id is None and HANDED_ON in row.written and not current:
            return "Superseded: a later version is the same picture, and has its place in Immich."
        if row.retired is not None and (retired := _retired(photo, row, current=current)):
            return retired
    said = words.publish(
        row.publish,
        photo.review,
        current=current,
        connected=photo.connection_id is not None,
        mode=mode,
        reason=row.blocked_reason,
    )
    if row.due_at is None or row.publish is Publish.BLOCKED:
        return said
    if outage is not None:
        return f"{said} Waits for Immich, and goes on by itself: {outage}"
    if row.attempts and row.last_error:
        times = f"{row.attempts} time{'s' * (row.attempts != 1)}"
        return f"{said} Tried {times}, and again at {words.moment(row.due_at)}: {row.last_error}"
    return said


def _retired(photo: PhotoRow, row: VersionRow, *, current: bool) -> str | None:
    rejected = current and photo.review is Review.REJECTED
    match row.retired:
        case Fate.TRASHED | Fate.TRASHING:
            if rejected:
                return "Rejected: moved to Immich's trash, from which Undo brings it back."
            return "Superseded: moved to Immich's trash, from which Undo brings it back."
        case Fate.GONE:
            return "You removed it in Immich; that stays so."
        case Fate.KEPT:
            why = row.written.get(KEPT_BECAUSE, "something speaks against moving it away")
            return f"{'Rejected' if rejected else 'Superseded'}, and kept in Immich: {why}."
    return None
