"""Rows of connections: one per owner, which stays when the connection ends, for the photos that name it."""

from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.errors import ConflictError
from immich_sidecar.library.owners import ensure_owner
from immich_sidecar.library.tables import ConnectionRow, now


async def every(session: AsyncSession) -> list[ConnectionRow]:
    """All rows, the first made first."""
    return list((await session.exec(select(ConnectionRow).order_by(col(ConnectionRow.id)))).all())


async def of_owner(session: AsyncSession, owner_id: str) -> ConnectionRow | None:
    """The owner's row."""
    return (await session.exec(select(ConnectionRow).where(ConnectionRow.owner_id == owner_id))).first()


async def of_user(session: AsyncSession, immich_user_id: str) -> ConnectionRow | None:
    """The row of an Immich user, also where it ended: their photos are that owner's."""
    return (await session.exec(select(ConnectionRow).where(ConnectionRow.immich_user_id == immich_user_id))).first()


async def begin(session: AsyncSession, owner_id: str, url: str, name: str | None = None) -> ConnectionRow:
    """The owner's row, made where it is missing (the owner too, called `name`).

    One that ended begins anew, as a new connection does: it watches from now on.
    """
    await ensure_owner(session, owner_id, name)
    row = await of_owner(session, owner_id) or ConnectionRow(owner_id=owner_id, url=url)
    if row.disconnected_at is not None:
        row.disconnected_at, row.connected_at = None, now()
        row.watch_from = row.created_cursor = row.updated_cursor = row.last_seen_at = None
    session.add(row)
    await session.flush()
    return row


async def end(session: AsyncSession, connection_id: int | None, state: str) -> ConnectionRow:
    """Forget the key and what was set up in Immich."""
    row = await session.get_one(ConnectionRow, connection_id)
    row.key = row.key_id = row.webhook_secret_sha256 = row.last_error = None
    row.key_made_by_us, row.workflow_ids, row.permissions = False, [], []
    row.disconnected_at, row.state = now(), state
    session.add(row)
    return row


async def change(session: AsyncSession, owner_id: str, **values: Any) -> None:
    """Change columns of the owner's row.

    Raises
    ------
    ConflictError
        If there is none.
    """
    row = await of_owner(session, owner_id)
    if row is None:
        raise ConflictError(f"The owner {owner_id} is not connected to Immich.")
    for name, value in values.items():
        setattr(row, name, value)
    session.add(row)
