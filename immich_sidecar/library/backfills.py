"""Rows of backfills: which there are, and how far each has come."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, case, func, or_, union
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.errors import NotFoundError
from immich_sidecar.library.photos import AT_WORK
from immich_sidecar.library.tables import (
    AssetRow,
    BackfillRow,
    BackfillState,
    IntakeState,
    PhotoRow,
    Publish,
    Review,
    VersionRow,
    WorkState,
)

#: States in which something is done for a backfill without anybody asking again.
ACTIVE = (BackfillState.COUNTING, BackfillState.RUNNING, BackfillState.UNDOING)
#: States in which it may still take photos.
OPEN = (*ACTIVE, BackfillState.READY, BackfillState.PAUSED)

_ON_ITS_WAY = (Publish.NONE, Publish.ORIGINAL_UPLOADED, Publish.UPLOADED, Publish.STACKED)


@dataclass(frozen=True)
class Progress:
    """What came of the photos of a backfill so far."""

    #: Noticed, not fetched yet.
    waiting: int = 0
    #: Fetched, and something is still to be done here.
    working: int = 0
    #: A version awaits its owner.
    pending: int = 0
    approved: int = 0
    rejected: int = 0
    left_alone: int = 0
    failed: int = 0
    cancelled: int = 0
    #: Assets that were left where they are, by reason.
    skipped: Mapping[str, int] | None = None

    @property
    def done(self) -> int:
        """Photos whose work has come to an end."""
        return self.pending + self.approved + self.rejected + self.left_alone + self.failed + self.cancelled

    def to_json(self) -> dict[str, object]:
        """The counts as the API tells them."""
        return {**self.__dict__, "done": self.done, "skipped": dict(self.skipped or {})}


async def get(session: AsyncSession, owner_id: str, backfill_id: int) -> BackfillRow:
    """The owner's backfill.

    Raises
    ------
    NotFoundError
        If the owner has none of that number.
    """
    row = await session.get(BackfillRow, backfill_id)
    if row is None or row.owner_id != owner_id:
        raise NotFoundError(f"There is no backfill {backfill_id}.")
    return row


async def all_of(session: AsyncSession, owner_id: str) -> Sequence[BackfillRow]:
    """The owner's backfills, newest first."""
    query = select(BackfillRow).where(BackfillRow.owner_id == owner_id).order_by(col(BackfillRow.id).desc())
    return (await session.exec(query)).all()


async def active(session: AsyncSession) -> Sequence[BackfillRow]:
    """The backfills of everybody for which something is to be done."""
    return (await session.exec(select(BackfillRow).where(col(BackfillRow.state).in_(ACTIVE)))).all()


async def progress(session: AsyncSession, backfill: BackfillRow) -> Progress:
    """What came of its photos so far."""
    assets = await session.exec(
        select(AssetRow.state, AssetRow.reason, func.count())
        .where(AssetRow.backfill_id == backfill.id)
        .group_by(col(AssetRow.state), col(AssetRow.reason))
    )
    counts: dict[str, int] = {}
    skipped: dict[str, int] = {}
    for state, reason, number in assets:
        if state is IntakeState.SEEN:
            counts["waiting"] = counts.get("waiting", 0) + number
        elif state is IntakeState.FAILED:
            counts["failed"] = counts.get("failed", 0) + number
        elif state is IntakeState.SKIPPED:
            skipped[reason or ""] = skipped.get(reason or "", 0) + number
    failed = case((col(PhotoRow.failed_at).is_not(None), 1), else_=0)
    photos = await session.exec(
        select(PhotoRow.state, PhotoRow.review, failed, func.count())
        .where(PhotoRow.backfill_id == backfill.id)
        .group_by(col(PhotoRow.state), col(PhotoRow.review), failed)
    )
    for work, review, has_failed, number in photos:
        word = _word(WorkState(work), Review(review), failed=bool(has_failed))
        counts[word] = counts.get(word, 0) + number
    ordered = dict(sorted(skipped.items(), key=lambda item: -item[1]))
    return Progress(**counts, skipped=ordered)


async def backlog(session: AsyncSession, owner_id: str) -> int:
    """Photos of an owner's backfills that are fetched and not through with everything yet, Immich included."""
    return (await session.exec(select(func.count()).select_from(_unfinished(owner_id).subquery()))).one()


async def is_under_way(session: AsyncSession, backfill: BackfillRow) -> bool:
    """Whether anything that it noticed is still to be fetched, worked on or published."""
    seen = select(AssetRow.id).where(AssetRow.backfill_id == backfill.id, AssetRow.state == IntakeState.SEEN).limit(1)
    if (await session.exec(seen)).first() is not None:
        return True
    mine = col(PhotoRow.backfill_id) == backfill.id
    unfinished = select(func.count()).select_from(_unfinished(backfill.owner_id, mine).subquery())
    return (await session.exec(unfinished)).one() > 0


def _unfinished(owner_id: str, *conditions: ColumnElement[bool]) -> CompoundSelect[Any]:
    """SHA-256 of photos of backfills with work to do here, or with a version that is on its way into Immich.

    Both parts read an index of what is under way, not the whole library.
    """
    of_backfill = (col(PhotoRow.owner_id) == owner_id, col(PhotoRow.backfill_id).is_not(None), *conditions)
    working = select(PhotoRow.sha256).where(
        *of_backfill, col(PhotoRow.state).in_(AT_WORK), col(PhotoRow.failed_at).is_(None)
    )
    publishing = (
        select(PhotoRow.sha256)
        .join(
            VersionRow,
            (col(VersionRow.owner_id) == col(PhotoRow.owner_id)) & (col(VersionRow.photo) == col(PhotoRow.sha256)),
        )
        .where(*of_backfill, col(VersionRow.publish).in_(_ON_ITS_WAY), col(VersionRow.due_at).is_not(None))
    )
    return union(working, publishing)


async def waiting(session: AsyncSession, backfill: BackfillRow, limit: int, *, at: datetime) -> Sequence[AssetRow]:
    """Assets that it has noticed and that are due to be fetched, in the order in which they were noticed."""
    query = (
        select(AssetRow)
        .where(
            AssetRow.backfill_id == backfill.id,
            AssetRow.state == IntakeState.SEEN,
            or_(col(AssetRow.due_at).is_(None), col(AssetRow.due_at) <= at),
        )
        .order_by(col(AssetRow.id))
        .limit(limit)
    )
    return (await session.exec(query)).all()


async def new_ones_wait(session: AsyncSession, connection_id: int, *, at: datetime) -> bool:
    """Whether a new photo is to be fetched: those go first."""
    query = (
        select(AssetRow.id)
        .where(
            AssetRow.connection_id == connection_id,
            AssetRow.state == IntakeState.SEEN,
            col(AssetRow.backfill_id).is_(None),
            or_(col(AssetRow.due_at).is_(None), col(AssetRow.due_at) <= at),
        )
        .limit(1)
    )
    return (await session.exec(query)).first() is not None


async def photos_of(
    session: AsyncSession, backfill: BackfillRow, *, after: str = "", limit: int = 100
) -> Sequence[PhotoRow]:
    """Its photos, by their SHA-256."""
    query = (
        select(PhotoRow)
        .where(PhotoRow.backfill_id == backfill.id, PhotoRow.sha256 > after)
        .order_by(col(PhotoRow.sha256))
        .limit(limit)
    )
    return (await session.exec(query)).all()


def _word(state: WorkState, review: Review, *, failed: bool) -> str:
    if failed:
        return "failed"
    if state in (WorkState.LEFT_ALONE, WorkState.CANCELLED):
        return state.value
    if state is WorkState.KEPT and review is not Review.NONE:
        return review.value
    return "working"
