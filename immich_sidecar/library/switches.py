"""Small facts of an owner that survive a restart: paused or not, the id of an album."""

from typing import Any

from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.library.tables import SwitchRow


async def get(session: AsyncSession, owner_id: str, name: str, default: Any = None) -> Any:
    """The value that was put last, or `default` where none was."""
    row = await session.get(SwitchRow, (owner_id, name))
    return default if row is None else row.value


async def put(session: AsyncSession, owner_id: str, name: str, value: Any) -> None:
    """Remember a value that JSON can hold; None is a value too."""
    row = await session.get(SwitchRow, (owner_id, name))
    if row is None:
        session.add(SwitchRow(owner_id=owner_id, name=name, value=value))
    else:
        row.value = value
        session.add(row)
    await session.flush()
