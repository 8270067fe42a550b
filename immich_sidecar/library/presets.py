"""Presets that people made: their rows, and any preset by its name."""

from collections.abc import Mapping
from typing import Any

from sqlmodel import col, func, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.advise.presets import MEANINGS, Chosen, chosen, is_builtin, own_number
from immich_sidecar.errors import ConflictError, InvalidParameterError, NotFoundError
from immich_sidecar.library.tables import PresetRow
from immich_sidecar.recipe.look import USUAL, check_strength, checked

#: Presets of one owner, and letters of a name.
MOST_PRESETS, LONGEST_NAME = 100, 80


def name_of(row: PresetRow) -> str:
    """The word by which rules, recipes and addresses name a person's own preset."""
    return f"own-{row.id}"


async def all_of(session: AsyncSession, owner_id: str) -> list[PresetRow]:
    """An owner's presets, by name."""
    query = select(PresetRow).where(col(PresetRow.owner_id) == owner_id).order_by(func.lower(PresetRow.name))
    return list((await session.exec(query)).all())


async def get(session: AsyncSession, owner_id: str, name: str) -> PresetRow:
    """One of an owner's own presets by its word.

    Raises
    ------
    NotFoundError
        If the owner has no such preset.
    """
    number = own_number(name)
    row = await session.get(PresetRow, number) if number is not None else None
    if row is None or row.owner_id != owner_id:
        raise NotFoundError(f"There is no preset {name[:40]!r} of yours.")
    return row


async def find(session: AsyncSession, owner_id: str, name: str, strength: float | None = None) -> Chosen:
    """A preset that the owner may use, everybody's or an own one, with a strength (None: 100 %).

    Raises
    ------
    NotFoundError
        If there is none of that name.
    InvalidParameterError
        If the strength is not from 0 to 200.
    """
    strength = check_strength(USUAL if strength is None else strength)
    if is_builtin(name):
        return chosen(name, strength)
    row = await get(session, owner_id, name)
    return Chosen(name_of(row), row.name, strength, row.operations)


async def find_or_usual(session: AsyncSession, owner_id: str, name: str | None, strength: float | None) -> Chosen:
    """As `find`, for a name that was chosen some time ago: what is not there any more counts as the usual preset."""
    try:
        return await find(session, owner_id, name or "", strength)
    except NotFoundError:
        return chosen(None)


async def create(session: AsyncSession, owner_id: str, name: str, operations: Mapping[str, Any]) -> PresetRow:
    """Keep a new preset.

    Raises
    ------
    InvalidParameterError, UnknownOperationError
        If the name or the operations cannot be used.
    ConflictError
        If the owner has one of that name, or too many.
    """
    look = checked(operations)
    if not look:
        raise InvalidParameterError("operations: a preset needs at least one step.", field="operations")
    count = await session.exec(select(func.count()).where(col(PresetRow.owner_id) == owner_id))
    if count.one() >= MOST_PRESETS:
        raise ConflictError(f"There are {MOST_PRESETS} presets of yours; delete one before you make another.")
    row = PresetRow(owner_id=owner_id, name=await _free_name(session, owner_id, name), operations=look)
    session.add(row)
    await session.flush()
    return row


async def rename(session: AsyncSession, owner_id: str, name: str, new_name: str) -> PresetRow:
    """Give a preset another name; raises what `get` and `create` raise."""
    row = await get(session, owner_id, name)
    row.name = await _free_name(session, owner_id, new_name, besides=row)
    session.add(row)
    return row


async def delete(session: AsyncSession, owner_id: str, name: str) -> None:
    """Delete a preset; photos that were developed with it keep their look. Raises what `get` raises."""
    await session.delete(await get(session, owner_id, name))


def clean_name(text: str) -> str:
    """A name that can be shown in one line.

    Raises
    ------
    InvalidParameterError
        If nothing is left of it, or too much.
    """
    name = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    if not 1 <= len(name) <= LONGEST_NAME:
        raise InvalidParameterError(f"name: 1 to {LONGEST_NAME} letters.", field="name")
    return name


async def _free_name(session: AsyncSession, owner_id: str, text: str, besides: PresetRow | None = None) -> str:
    name = clean_name(text)
    taken = {row.name.casefold() for row in await all_of(session, owner_id) if row is not besides}
    taken |= {meaning.label.casefold() for meaning in MEANINGS.values()}
    if name.casefold() in taken:
        raise ConflictError(f"There is a preset “{name}” already; choose another name.")
    return name
