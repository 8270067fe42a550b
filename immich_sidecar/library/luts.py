"""Colour tables (LUTs) of owners: rows, and one file each in the owner's folder.

Recipes name a LUT by its digest. So its file is never changed and stays when the LUT is taken off the list.
"""

import asyncio
import hashlib

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.errors import ConflictError, NotFoundError
from immich_sidecar.library.files import holds, make_folder, write_atomically
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.presets import clean_name
from immich_sidecar.library.tables import LutRow, now

#: LUTs of one owner.
MOST_LUTS = 200


async def all_of(session: AsyncSession, owner_id: str) -> list[LutRow]:
    """The LUTs on an owner's list, by name."""
    query = (
        select(LutRow)
        .where(col(LutRow.owner_id) == owner_id, col(LutRow.removed_at).is_(None))
        .order_by(func.lower(LutRow.name), col(LutRow.sha256))
    )
    return list((await session.exec(query)).all())


async def get(session: AsyncSession, owner_id: str, sha256: str) -> LutRow:
    """A LUT on an owner's list.

    Raises
    ------
    NotFoundError
        If there is none of that digest.
    """
    row = await session.get(LutRow, (owner_id, sha256))
    if row is None or row.removed_at is not None:
        raise NotFoundError("There is no such LUT of yours.")
    return row


async def keep(
    session: AsyncSession, layout: Layout, owner_id: str, *, name: str, normal_form: bytes, points: int
) -> tuple[LutRow, bool]:
    """Keep a LUT in its normal form, and say whether it is new on the list.

    Raises
    ------
    InvalidParameterError
        If the name cannot be used.
    ConflictError
        If there are too many.
    StorageError
        If the file cannot be written.
    """
    sha256 = hashlib.sha256(normal_form).hexdigest()
    row = await session.get(LutRow, (owner_id, sha256))
    is_new = row is None or row.removed_at is not None
    if is_new and len(await all_of(session, owner_id)) >= MOST_LUTS:
        raise ConflictError(f"There are {MOST_LUTS} LUTs of yours; remove one before you bring another.")
    if row is None:
        path = layout.lut(owner_id, sha256)
        row = LutRow(
            owner_id=owner_id,
            sha256=sha256,
            name=clean_name(name),
            points=points,
            size=len(normal_form),
            path=path,
        )
    elif is_new:
        row.name, row.removed_at = clean_name(name), None
    await _write(layout, row, normal_form)
    session.add(row)
    await session.flush()
    return row, is_new


async def keep_unlisted(
    session: AsyncSession, layout: Layout, owner_id: str, *, name: str, normal_form: bytes, points: int
) -> str:
    """Keep a LUT that belongs to one photo, off the owner's list, and return its digest; recipes may name it.

    One that the owner has already, on the list or off it, stays as it is.

    Raises
    ------
    StorageError
        If the file cannot be written.
    """
    sha256 = hashlib.sha256(normal_form).hexdigest()
    row = await session.get(LutRow, (owner_id, sha256))
    if row is None:
        row = LutRow(
            owner_id=owner_id,
            sha256=sha256,
            name=clean_name(name),
            points=points,
            size=len(normal_form),
            path=layout.lut(owner_id, sha256),
            removed_at=now(),
        )
    await _write(layout, row, normal_form)
    session.add(row)
    await session.flush()
    return sha256


async def _write(layout: Layout, row: LutRow, normal_form: bytes) -> None:
    """Have the file in its place; also one that was lost, or damaged, since the LUT came first."""
    place = layout.absolute(row.path)
    if not await asyncio.to_thread(holds, place, row.sha256):
        await asyncio.to_thread(make_folder, place.parent)
        await asyncio.to_thread(write_atomically, place, normal_form)


async def rename(session: AsyncSession, owner_id: str, sha256: str, name: str) -> LutRow:
    """Give a LUT another name; raises what `get` and `keep` raise."""
    row = await get(session, owner_id, sha256)
    row.name = clean_name(name)
    session.add(row)
    return row


async def remove(session: AsyncSession, owner_id: str, sha256: str) -> None:
    """Take a LUT off the list; raises what `get` raises."""
    row = await get(session, owner_id, sha256)
    row.removed_at = now()
    session.add(row)


async def has(session: AsyncSession, owner_id: str, sha256: str) -> bool:
    """Whether the owner has ever brought it: then its file is here, and recipes may name it."""
    return await session.get(LutRow, (owner_id, sha256)) is not None
