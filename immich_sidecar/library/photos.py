"""Photos of an owner: one, a page of them, how many.

Lists are read by key, newest first: a cursor names the last photo of a page, the next page begins after it, and
photos that arrive meanwhile shift nothing. Every order here is one that an index has.
"""

import base64
import binascii
import heapq
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, case, func, literal, tuple_
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.errors import CommandError, NotFoundError
from immich_sidecar.library.tables import PhotoRow, Review, UtcDateTime, WorkState

#: States in which work on a photo goes on by itself.
AT_WORK = (WorkState.STORED, WorkState.ANALYSED, WorkState.ADVISED, WorkState.RENDERED)
#: What lists can be filtered by, in the words of the pages; `counts` has a number for each.
STATUSES = ("pending", "approved", "rejected", "left_alone", "failed", "cancelled", "in_progress")
#: Photos that one page may have at most.
MAX_PAGE = 1000

_DOING = {
    WorkState.STORED: "analysing",
    WorkState.ANALYSED: "advising",
    WorkState.ADVISED: "rendering",
    WorkState.RENDERED: "keeping",
}


@dataclass(frozen=True)
class Page:
    """A piece of a list."""

    #: Photos, newest first.
    items: Sequence[PhotoRow]
    #: Where the next page begins, or None at the end.
    next: str | None


def status_of(photo: PhotoRow) -> str:
    """One word for people and scripts: `failed`, `left_alone`, `cancelled`, the review, or what is being done."""
    return _status(photo.state, photo.review, failed=photo.failed_at is not None)


async def find(session: AsyncSession, owner_id: str, sha256: str) -> PhotoRow | None:
    """The photo, or None where this owner has none of that hash."""
    return await session.get(PhotoRow, (owner_id, sha256))


async def get(session: AsyncSession, owner_id: str, sha256: str) -> PhotoRow:
    """The photo.

    Raises
    ------
    NotFoundError
        If this owner has none of that hash.
    """
    row = await find(session, owner_id, sha256)
    if row is None:
        raise NotFoundError(f"{owner_id} has no photo {sha256[:64]}")
    return row


async def find_by_sha1(session: AsyncSession, owner_id: str, sha1: str) -> PhotoRow | None:
    """The photo whose bytes have that SHA-1 (hexadecimal), as Immich names them."""
    query = select(PhotoRow).where(col(PhotoRow.owner_id) == owner_id, col(PhotoRow.sha1) == sha1).limit(1)
    return (await session.exec(query)).first()


async def page(
    session: AsyncSession,
    owner_id: str,
    *,
    status: str | None = None,
    review: Review | str | None = None,
    state: WorkState | str | Collection[WorkState | str] | None = None,
    failed: bool | None = None,
    after: str | None = None,
    limit: int = 60,
) -> Page:
    """A page of the owner's photos, newest first; all filters that are given hold together.

    Parameters
    ----------
    status : str, optional
        One of `STATUSES`; each photo that `status_of` gives that word (`in_progress`: any word of work).
    review, state : optional
        Exact values of the columns; several states are any of them.
    failed : bool, optional
        Only photos of which a step gave up (True), or none of those (False).
    after : str, optional
        `next` of the page before.

    Raises
    ------
    CommandError
        If a filter or the cursor has a value that does not exist.
    """
    limit = max(1, min(int(limit), MAX_PAGE))
    try:
        conditions = [] if status is None else _status_conditions(status)
        if review is not None:
            conditions.append(col(PhotoRow.review) == Review(review))
        states = _states(state, status)
    except ValueError as error:
        raise CommandError(f"{error}; status is one of {', '.join(STATUSES)}") from None
    if failed is not None:
        failed_at = col(PhotoRow.failed_at)
        conditions.append(failed_at.is_not(None) if failed else failed_at.is_(None))
    if after is not None:
        conditions.append(_key() < _key_of(*_read_cursor(after)))
    # One walk along the index for each state, then merged: an `IN` would have to sort everything it finds.
    found: list[list[PhotoRow]] = []
    for one in states if states is not None else (None,):
        only = _in_state(one, unreviewed=status == "in_progress")
        few = one is None and (status == "failed" or failed is True)
        found.append(await _newest(session, owner_id, [*conditions, *only], limit + 1, few=few))
    rows = found[0] if len(found) == 1 else list(heapq.merge(*found, key=_sort_key, reverse=True))
    more = len(rows) > limit
    rows = rows[:limit]
    return Page(rows, _write_cursor(rows[-1]) if more else None)


async def counts(session: AsyncSession, owner_id: str) -> dict[str, int]:
    """How many photos the owner has of each status, and in `total`; reads one index, no photo."""
    failed = case((col(PhotoRow.failed_at).is_not(None), 1), else_=0)
    query = (
        select(col(PhotoRow.state), col(PhotoRow.review), failed, func.count())
        .where(col(PhotoRow.owner_id) == owner_id)
        .group_by(col(PhotoRow.state), col(PhotoRow.review), failed)
    )
    result = dict.fromkeys((*STATUSES, "total"), 0)
    for state, review, has_failed, number in (await session.exec(query)).all():
        status = _status(state, review, failed=bool(has_failed))
        result[status if status in STATUSES else "in_progress"] += number
        result["total"] += number
    return result


async def next_pending(session: AsyncSession, owner_id: str, after_sha: str | None = None) -> PhotoRow | None:
    """The photo to look at after this one: the next older one that is pending, else the newest; None if no other is."""
    return await _neighbour(session, owner_id, after_sha, newer=False)


async def previous_pending(session: AsyncSession, owner_id: str, before_sha: str) -> PhotoRow | None:
    """The photo to look at before this one: the next newer one that is pending, else None."""
    return await _neighbour(session, owner_id, before_sha, newer=True)


def _status(state: WorkState, review: Review, *, failed: bool) -> str:
    if failed:
        return "failed"
    if state in (WorkState.LEFT_ALONE, WorkState.CANCELLED):
        return state.value
    if review is not Review.NONE:
        return review.value
    return _DOING.get(state, "keeping")


async def _neighbour(session: AsyncSession, owner_id: str, sha256: str | None, *, newer: bool) -> PhotoRow | None:
    conditions = _status_conditions("pending")
    current = None if sha256 is None else await find(session, owner_id, sha256)
    if current is not None:
        conditions.append(col(PhotoRow.sha256) != current.sha256)
        here = _key_of(current.created_at, current.sha256)
        if newer:
            found = await _newest(session, owner_id, [*conditions, _key() > here], 1, backwards=True)
            return found[0] if found else None
        found = await _newest(session, owner_id, [*conditions, _key() < here], 1)
        if found:
            return found[0]
    found = await _newest(session, owner_id, conditions, 1)
    return found[0] if found else None


async def _newest(
    session: AsyncSession,
    owner_id: str,
    conditions: Sequence[ColumnElement[bool]],
    limit: int,
    *,
    backwards: bool = False,
    few: bool = False,
) -> list[PhotoRow]:
    keys = (col(PhotoRow.created_at), col(PhotoRow.sha256))
    # To SQLite the index of all photos is as good as that of the few that failed, and it may read all of them. That of
    # all is of no use to it for what is no plain column.
    owner = col(PhotoRow.owner_id).concat("") if few else col(PhotoRow.owner_id)
    query = (
        select(PhotoRow)
        .where(owner == owner_id, *conditions)
        .order_by(*(key if backwards else key.desc() for key in keys))
        .limit(limit)
    )
    return list((await session.exec(query)).all())


def _status_conditions(status: str) -> list[ColumnElement[bool]]:
    failed_at, state, review = col(PhotoRow.failed_at), col(PhotoRow.state), col(PhotoRow.review)
    if status == "failed":
        return [failed_at.is_not(None)]
    whole = failed_at.is_(None)
    if status in ("left_alone", "cancelled"):
        return [whole, state == WorkState(status)]
    if status == "in_progress":
        return [whole]  # and the states of `_states` without a review, see `_in_state`
    if status in ("pending", "approved", "rejected"):
        return [whole, review == Review(status), state.not_in((WorkState.LEFT_ALONE, WorkState.CANCELLED))]
    raise ValueError(f"{status!r} is no status")


def _in_state(wanted: WorkState | None, *, unreviewed: bool) -> list[ColumnElement[bool]]:
    """That work has come so far (None: however far), and where that is asked that there is no review yet.

    Both at once are said so that SQLite has one index to walk along, that of the fewer: few photos are at work, and few
    of those that are kept have no review.
    """
    state, review = col(PhotoRow.state), col(PhotoRow.review)
    if wanted is None:
        return []
    if not unreviewed:
        return [state == wanted]
    if wanted is WorkState.KEPT:
        return [state.not_in([one for one in WorkState if one is not wanted]), review == Review.NONE]
    return [state == wanted, review.not_in([one for one in Review if one is not Review.NONE])]


def _states(
    state: WorkState | str | Collection[WorkState | str] | None, status: str | None
) -> tuple[WorkState, ...] | None:
    wanted: tuple[WorkState, ...] | None = None
    if isinstance(state, str):  # also a WorkState, which is one
        wanted = (WorkState(state),)
    elif state is not None:
        wanted = tuple(WorkState(one) for one in dict.fromkeys(state))
    if status == "in_progress":
        # `kept` without a review lasts no longer than a transaction; counted as work all the same.
        working = (*AT_WORK, WorkState.KEPT)
        wanted = working if wanted is None else tuple(one for one in working if one in wanted)
    return wanted


def _key() -> Any:
    return tuple_(col(PhotoRow.created_at), col(PhotoRow.sha256))


def _key_of(created_at: datetime, sha256: str) -> Any:
    return tuple_(literal(created_at, UtcDateTime()), literal(sha256))


def _sort_key(photo: PhotoRow) -> tuple[datetime, str]:
    return (photo.created_at, photo.sha256)


def _write_cursor(photo: PhotoRow) -> str:
    microseconds = int((photo.created_at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1_000_000 + 0.5)
    return base64.urlsafe_b64encode(f"{microseconds}.{photo.sha256}".encode()).decode().rstrip("=")


def _read_cursor(cursor: str) -> tuple[datetime, str]:
    try:
        text = base64.urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4)).decode("ascii")
        microseconds, _, sha256 = text.partition(".")
        seconds, rest = divmod(int(microseconds), 1_000_000)
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=rest), sha256
    except (ValueError, OverflowError, OSError, binascii.Error):
        raise CommandError("this is no cursor of a list; begin again without one") from None
