"""What photos are like, and which of them belong together: rows of both."""

import hashlib
from collections.abc import Sequence

from sqlalchemy import Text, cast, func
from sqlalchemy import select as select_columns
from sqlmodel import col, delete, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.advise.groups import Group, Like
from immich_sidecar.errors import NotFoundError
from immich_sidecar.library.tables import LikenessRow, PhotoGroupRow, PhotoRow, WorkState, now

#: Stands for the shapes of a photo that has no picture; a picture has as many bits of one kind as of the other.
NO_PICTURE = -1


async def without_likeness(session: AsyncSession, *, limit: int) -> list[PhotoRow]:
    """Photos that were looked at and whose likeness is not known, of any owner."""
    there = (col(LikenessRow.owner_id) == PhotoRow.owner_id) & (col(LikenessRow.photo) == PhotoRow.sha256)
    query = (
        select(PhotoRow)
        .outerjoin(LikenessRow, there)
        .where(
            col(LikenessRow.photo).is_(None),
            col(PhotoRow.state) != WorkState.STORED,
            col(PhotoRow.failed_at).is_(None),
            col(PhotoRow.analysis).is_not(None),
        )
        .limit(limit)
    )
    return list((await session.exec(query)).all())


async def forget_unmeasured(session: AsyncSession) -> None:
    """Let photos be measured again of which there was no picture."""
    await session.exec(delete(LikenessRow).where(col(LikenessRow.shapes) == NO_PICTURE))


async def likes_of(session: AsyncSession, owner_id: str, *, after: str = "", limit: int) -> list[Like]:
    """Photos of an owner of which there is a picture, in the order of their SHA-256, those beyond `after`.

    No rows of the mapper's: making those of a large library would hold up everybody for seconds.
    """
    query = (
        select_columns(
            col(LikenessRow.photo),
            col(LikenessRow.shapes),
            col(LikenessRow.captured_at),
            col(LikenessRow.camera),
            col(LikenessRow.exposure_value),
            col(LikenessRow.bracketed),
            col(LikenessRow.sharpness),
        )
        .where(
            col(LikenessRow.owner_id) == owner_id,
            col(LikenessRow.photo) > after,
            col(LikenessRow.shapes) != NO_PICTURE,
        )
        .order_by(col(LikenessRow.photo))
        .limit(limit)
    )
    return [Like(*row) for row in await (await session.connection()).execute(query)]


async def replace(session: AsyncSession, owner_id: str, groups: Sequence[Group]) -> None:
    """Keep these groups instead of those that were found before; what its owner has put aside stays so."""
    found = {key_of(group): group for group in groups}
    rows = await session.exec(select(PhotoGroupRow).where(col(PhotoGroupRow.owner_id) == owner_id))
    for row in rows.all():
        group = found.pop(row.key, None)
        if group is not None:
            row.members, row.has_best, row.reason = list(group.members), group.has_best, group.reason
            session.add(row)
        elif row.dismissed_at is None:
            await session.delete(row)
    for key, group in found.items():
        session.add(
            PhotoGroupRow(
                owner_id=owner_id,
                kind=group.kind.value,
                key=key,
                members=list(group.members),
                has_best=group.has_best,
                reason=group.reason,
            )
        )


async def shown(
    session: AsyncSession,
    owner_id: str,
    *,
    kind: str | None = None,
    photo: str | None = None,
    after: int | None = None,
    limit: int = 50,
) -> list[PhotoGroupRow]:
    """Groups that their owner has not put aside, the newest first.

    Of one kind, with the photo of one SHA-256, and below the number `after`, where these are given.
    """
    query = select(PhotoGroupRow).where(
        col(PhotoGroupRow.owner_id) == owner_id, col(PhotoGroupRow.dismissed_at).is_(None)
    )
    if kind is not None:
        query = query.where(col(PhotoGroupRow.kind) == kind)
    if photo is not None:
        # The list as it is written: reading it as JSON takes several times as long, and digests hold each other never.
        query = query.where(cast(col(PhotoGroupRow.members), Text).contains(photo, autoescape=True))
    if after is not None:
        query = query.where(col(PhotoGroupRow.id) < after)
    return list((await session.exec(query.order_by(col(PhotoGroupRow.id).desc()).limit(limit))).all())


async def counts(session: AsyncSession, owner_id: str) -> dict[str, int]:
    """How many groups of each kind are shown."""
    query = (
        select(PhotoGroupRow.kind, func.count())
        .where(col(PhotoGroupRow.owner_id) == owner_id, col(PhotoGroupRow.dismissed_at).is_(None))
        .group_by(col(PhotoGroupRow.kind))
    )
    return dict((await session.exec(query)).all())


async def dismiss(session: AsyncSession, owner_id: str, number: int) -> PhotoGroupRow:
    """Put a group aside.

    Raises
    ------
    NotFoundError
        If this owner has no such group.
    """
    row = await session.get(PhotoGroupRow, number)
    if row is None or row.owner_id != owner_id:
        raise NotFoundError("There is no such group of yours.")
    row.dismissed_at = row.dismissed_at or now()
    session.add(row)
    return row


def key_of(group: Group) -> str:
    """What a group is known by: kind and members, whatever their order."""
    return hashlib.sha256("\n".join((group.kind.value, *sorted(group.members))).encode()).hexdigest()[:32]
