"""Whose photos they are."""

from sqlmodel import select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.errors import ConflictError, NotFoundError
from immich_sidecar.library.layout import is_owner_id
from immich_sidecar.library.tables import OwnerRow


async def ensure_owner(session: AsyncSession, owner_id: str, name: str | None = None) -> OwnerRow:
    """The owner of that id, made where missing; `name` is what the pages call a new one.

    Raises
    ------
    ConflictError
        If the id is no name for an owner, or differs from another only in capitals: on file systems that ignore
        case both would share folders.
    """
    row = await session.get(OwnerRow, owner_id)
    if row is not None:
        return row
    if not is_owner_id(owner_id):
        raise ConflictError(f"{owner_id!r} cannot name an owner; use letters, digits, - and _, at most 64")
    for other in await owners(session):
        if other.id.casefold() == owner_id.casefold():
            raise ConflictError(f"an owner {other.id!r} exists; {owner_id!r} differs from it only in capitals")
    row = OwnerRow(id=owner_id, name=name or owner_id)
    session.add(row)
    await session.flush()
    return row


async def get(session: AsyncSession, owner_id: str) -> OwnerRow:
    """The owner of that id.

    Raises
    ------
    NotFoundError
        If there is none.
    """
    row = await session.get(OwnerRow, owner_id)
    if row is None:
        raise NotFoundError(f"there is no owner {owner_id!r}")
    return row


async def owners(session: AsyncSession) -> list[OwnerRow]:
    """All owners, the first made first."""
    return list((await session.exec(select(OwnerRow).order_by(OwnerRow.created_at, OwnerRow.id))).all())  # type: ignore[arg-type]  # columns
