"""Undoing a backfill: everything that it put into Immich is taken back, as far as that is ours.

Each of its photos that nobody decided about by hand is rejected by a decision of its own kind. Publishing then does
the rest as for any rejection: what was on top of the stack before us comes back, the marks say so, and our version
goes to Immich's trash, or into its archive where the key may not trash. No original is touched. A person may approve
such a photo later, or undo the decision; then its version comes back.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.events import EventType
from immich_sidecar.immich.retire import KEPT_BECAUSE, Fate
from immich_sidecar.library import backfills, processed
from immich_sidecar.library.database import Database
from immich_sidecar.library.events import EventLog
from immich_sidecar.library.tables import BackfillRow, DecisionRow, PhotoRow, Publish, Review, WorkState, now
from immich_sidecar.pipeline import analysing_again, decisions
from immich_sidecar.pipeline.decisions import TAKE_BACK
from immich_sidecar.pipeline.notices import notice

#: Photos that are taken back together.
TOGETHER = 50
#: Photos that are listed by name with why they were left out; all are counted.
LISTED = 200

#: What nobody did by hand; taking what another look offered is done by hand.
_NOT_BY_HAND = ("auto", TAKE_BACK, analysing_again.KIND)


@dataclass
class Outcome:
    """What came of taking back."""

    taken_back: int = 0
    #: Photos of which nothing had been put into Immich.
    nothing: int = 0
    #: How many were left out, and the first of them with why.
    left_out: int = 0
    listed: list[dict[str, str]] = field(default_factory=list)

    def leave_out(self, photo: PhotoRow, why: str) -> None:
        """Count a photo that stays as it is."""
        self.left_out += 1
        if len(self.listed) < LISTED:
            self.listed.append({"id": photo.sha256, "file_name": photo.file_name, "why": why})

    def to_json(self) -> dict[str, Any]:
        """It as a row holds it."""
        return dict(self.__dict__)


async def decided_by_hand(session: AsyncSession, photo: PhotoRow) -> str | None:
    """What a person decided about a photo and did not undo; None where nobody did anything."""
    query = (
        select(DecisionRow.kind)
        .where(
            col(DecisionRow.owner_id) == photo.owner_id,
            col(DecisionRow.photo) == photo.sha256,
            col(DecisionRow.undone).is_(False),
            col(DecisionRow.kind).not_in(_NOT_BY_HAND),
        )
        .order_by(col(DecisionRow.id).desc())
        .limit(1)
    )
    return (await session.exec(query)).first()


class TakingBack:
    """Takes the photos of one backfill back, a few at a time; repeating it changes nothing.

    Parameters
    ----------
    database, events
        Where rows are, and who is told.
    """

    def __init__(self, database: Database, events: EventLog) -> None:
        self._database = database
        self._events = events

    async def begin(self, backfill: BackfillRow, after: str) -> Sequence[PhotoRow]:
        """Reject the next photos, in the order of their SHA-256; gives them, and nothing at the end."""
        async with self._database.transaction() as session:
            rows = await backfills.photos_of(session, backfill, after=after, limit=TOGETHER)
            for photo in rows:
                await self._reject(session, photo)
        return rows

    async def is_settled(self, owner: str, sha256s: Sequence[str]) -> bool:
        """Whether Immich holds of these photos what it should, or waits for a person."""
        async with self._database.reading() as session:
            for sha256 in sha256s:
                for version in await processed.all_of(session, owner, sha256):
                    if version.due_at is not None and version.publish is not Publish.BLOCKED:
                        return False
        return True

    async def sum_up(self, owner: str, photos: Sequence[PhotoRow], outcome: Outcome) -> None:
        """Add what came of these photos."""
        async with self._database.reading() as session:
            for read in photos:
                photo = await session.get_one(PhotoRow, (owner, read.sha256))
                if kind := await decided_by_hand(session, photo):
                    outcome.leave_out(photo, _BY_HAND.get(kind, "you decided about it"))
                    continue
                versions = await processed.all_of(session, owner, photo.sha256)
                there = [version for version in versions if version.immich_asset_id is not None]
                kept = next((one for one in there if one.retired == Fate.KEPT), None)
                blocked = next((one for one in versions if one.publish is Publish.BLOCKED), None)
                if not there:
                    outcome.nothing += 1
                elif kept is not None:
                    outcome.leave_out(photo, str(kept.written.get(KEPT_BECAUSE) or "it was changed in Immich"))
                elif blocked is not None:
                    outcome.leave_out(photo, blocked.blocked_reason or "Immich refused it")
                else:
                    outcome.taken_back += 1

    async def _reject(self, session: AsyncSession, photo: PhotoRow) -> None:
        if await decided_by_hand(session, photo) is not None:
            return
        before = decisions.snapshot(photo)
        if photo.review in (Review.PENDING, Review.APPROVED):
            photo.review = Review.REJECTED
        elif photo.review is Review.NONE and photo.state not in (WorkState.LEFT_ALONE, WorkState.CANCELLED):
            # Nothing of it was shown to anybody yet.
            photo.state = WorkState.CANCELLED
            decisions.clear_failure(photo)
        else:
            return
        photo.revision += 1
        photo.updated_at = now()
        session.add(photo)
        decisions.record(session, photo, TAKE_BACK, before)
        await decisions.reopen_publishing(session, photo)
        kind = EventType.REVIEWED if photo.review is Review.REJECTED else EventType.CANCELLED
        self._events.record(session, notice(kind, photo, change=TAKE_BACK))


_BY_HAND = {
    "approve": "you approved it",
    "reject": "you rejected it yourself",
    "change": "you changed it",
    "reset": "you changed it",
    "develop": "you had it developed",
}
