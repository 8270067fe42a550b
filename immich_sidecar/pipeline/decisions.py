"""The log of decisions, and what each of them does to the rows of a photo.

Used by the commands of a person and by `auto`. Every function here works inside its caller's transaction.
"""

import hashlib
import json
from datetime import datetime
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.library import processed
from immich_sidecar.library.tables import DecisionRow, PhotoRow, Publish, Review, VersionRow, now
from immich_sidecar.recipe.recipe import Recipe, derived_id

#: The kind of the decision that takes a photo back when its backfill is undone.
TAKE_BACK = "take_back"
#: Priority of work that a person has just asked for and waits for.
INTERACTIVE = 100


def snapshot(photo: PhotoRow) -> dict[str, Any]:
    """What undo needs to know of a photo."""
    return {
        "review": photo.review.value,
        "version": photo.version,
        "recipe_id": photo.recipe_id,
        "state": photo.state.value,
        "left_alone_reason": photo.left_alone_reason,
    }


def record(session: AsyncSession, photo: PhotoRow, kind: str, before: dict[str, Any], *, undone: bool = False) -> None:
    """Log a decision; `before` is the snapshot taken before the photo was changed."""
    session.add(
        DecisionRow(
            owner_id=photo.owner_id,
            photo=photo.sha256,
            kind=kind,
            before=before,
            after=snapshot(photo),
            undone=undone,
        )
    )


async def newest(session: AsyncSession, photo: PhotoRow) -> DecisionRow | None:
    """The newest decision that is not undone."""
    rows = await session.exec(
        select(DecisionRow)
        .where(
            col(DecisionRow.owner_id) == photo.owner_id,
            col(DecisionRow.photo) == photo.sha256,
            col(DecisionRow.undone).is_(False),
        )
        .order_by(col(DecisionRow.id).desc())
        .limit(1)
    )
    return rows.first()


async def standing(session: AsyncSession, photo: PhotoRow) -> int | None:
    """Number of the version that its owner had approved when the changes were made that wait now; None without one."""
    if photo.review is not Review.PENDING:
        return None
    rows = await session.exec(
        select(DecisionRow.before, DecisionRow.after)
        .where(
            col(DecisionRow.owner_id) == photo.owner_id,
            col(DecisionRow.photo) == photo.sha256,
            col(DecisionRow.undone).is_(False),
        )
        .order_by(col(DecisionRow.id).desc())
    )
    number = photo.version
    for before, after in rows:
        if after.get("version") != number or before.get("version") == number:
            continue
        number = int(before.get("version") or 0)
        if before.get("review") != Review.PENDING.value:
            return number if before.get("review") == Review.APPROVED.value else None
    return None


async def next_version(session: AsyncSession, photo: PhotoRow) -> int:
    """A version number that was never given before, not even to a version that was undone before it was rendered."""
    number = await processed.next_number(session, photo.owner_id, photo.sha256)
    decisions = await session.exec(
        select(DecisionRow.after, DecisionRow.before).where(
            col(DecisionRow.owner_id) == photo.owner_id, col(DecisionRow.photo) == photo.sha256
        )
    )
    for after, before in decisions:
        number = max(number, int(after.get("version") or 0) + 1, int(before.get("version") or 0) + 1)
    return number


def recipe_id(photo: PhotoRow, version: int) -> str:
    """The id of the recipe behind a version: a UUID that follows from photo and version.

    A step that is repeated after a crash so writes the same file again instead of leaving an orphan.
    """
    text = f"{photo.owner_id}\n{photo.sha256}\n{version}"
    return derived_id(text)


def proposal_id(photo: PhotoRow, recipe: Recipe) -> str:
    """The id of what is proposed for a photo that is left alone: another look that proposes the same gives the same."""
    data = recipe.model_dump(mode="json", include={"ai_metadata", "user_overrides"})
    steps = [(operation.type, operation.parameters) for operation in recipe.operations]
    content = hashlib.sha256(json.dumps([data, steps], sort_keys=True).encode()).hexdigest()
    return derived_id(f"{photo.owner_id}\n{photo.sha256}\n0\n{content}")


def clear_failure(photo: PhotoRow) -> None:
    """Forget what went wrong; the work goes on where it stood."""
    photo.failed_at = None
    photo.last_error = None
    photo.attempts = 0
    photo.crashes = 0
    photo.interruptions = 0
    photo.due_at = None


async def reopen_publishing(session: AsyncSession, photo: PhotoRow, *, at: datetime | None = None) -> None:
    """Send every version of the photo that Immich holds, or may have to hold, through publishing again.

    `due_at` says when a version is looked at next, and None that there is nothing to do. A mark is no longer
    taken for true; what is blocked stays blocked.
    """
    if photo.connection_id is None:
        return
    moment = at or now()
    rows = await session.exec(
        select(VersionRow).where(col(VersionRow.owner_id) == photo.owner_id, col(VersionRow.photo) == photo.sha256)
    )
    for version in rows:
        if version.publish is Publish.BLOCKED:
            if version.blocked_from is Publish.MARKED:
                version.blocked_from = Publish.STACKED
        elif version.immich_asset_id is not None or version.n == photo.version:
            if version.publish is Publish.MARKED:
                version.publish = Publish.STACKED
            version.attempts = 0
            version.due_at = moment
        session.add(version)
