"""Versions of a photo: their rows, and their numbers."""

from sqlalchemy import func
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.errors import NotFoundError
from immich_sidecar.library import photos
from immich_sidecar.library.tables import VersionRow


async def find(session: AsyncSession, owner_id: str, sha256: str, n: int) -> VersionRow | None:
    """Version `n` of the owner's photo, or None."""
    query = select(VersionRow).where(
        col(VersionRow.owner_id) == owner_id, col(VersionRow.photo) == sha256, col(VersionRow.n) == n
    )
    return (await session.exec(query)).first()


async def get(session: AsyncSession, owner_id: str, sha256: str, n: int) -> VersionRow:
    """Version `n` of the owner's photo.

    Raises
    ------
    NotFoundError
        If there is none.
    """
    row = await find(session, owner_id, sha256, n)
    if row is None:
        raise NotFoundError(f"photo {sha256[:64]} of {owner_id} has no version {n}")
    return row


async def all_of(session: AsyncSession, owner_id: str, sha256: str) -> list[VersionRow]:
    """All versions of the owner's photo, the first one first."""
    query = (
        select(VersionRow)
        .where(col(VersionRow.owner_id) == owner_id, col(VersionRow.photo) == sha256)
        .order_by(col(VersionRow.n))
    )
    return list((await session.exec(query)).all())


async def next_number(session: AsyncSession, owner_id: str, sha256: str) -> int:
    """The number of the next version: higher than every one that was given, also those never rendered.

    Raises
    ------
    NotFoundError
        If the owner has no such photo.
    """
    photo = await photos.get(session, owner_id, sha256)
    query = select(func.max(VersionRow.n)).where(col(VersionRow.owner_id) == owner_id, col(VersionRow.photo) == sha256)
    return max((await session.exec(query)).one() or 0, photo.version) + 1


async def find_by_sha1(session: AsyncSession, owner_id: str, sha1: str) -> VersionRow | None:
    """The version whose file has that SHA-1 (hexadecimal): how our own outputs are known in Immich."""
    query = select(VersionRow).where(col(VersionRow.owner_id) == owner_id, col(VersionRow.sha1) == sha1).limit(1)
    return (await session.exec(query)).first()
