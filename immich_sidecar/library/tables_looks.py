"""Tables of looks: presets that people made, and colour tables (LUTs) that they brought.

`tables` names them too; import them from there.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, Column, UniqueConstraint
from sqlmodel import Field, SQLModel

from immich_sidecar.library.columns import moment, now


class PresetRow(SQLModel, table=True):
    """A preset that an owner made; recipes hold a copy of what it does, so that it may go."""

    __tablename__ = "presets"
    # A number is never given twice: rules name presets by it.
    __table_args__ = (UniqueConstraint("owner_id", "name"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, primary_key=True)
    owner_id: str = Field(foreign_key="owners.id")
    name: str
    #: The look at 100 %: type of an operation to its parameters, in their normal form.
    operations: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    created_at: datetime = Field(sa_column=moment(nullable=False), default_factory=now)


class LutRow(SQLModel, table=True):
    """A colour table of an owner; its file stays when it is taken off the list, for the recipes that name it."""

    __tablename__ = "luts"

    owner_id: str = Field(foreign_key="owners.id", primary_key=True)
    #: SHA-256 of the file, which is in its normal form (`develop.cube`), hexadecimal.
    sha256: str = Field(primary_key=True)
    name: str
    #: Points along an edge.
    points: int
    #: Bytes of the file.
    size: int
    #: Where the file lies, relative to the data directory.
    path: str
    created_at: datetime = Field(sa_column=moment(nullable=False), default_factory=now)
    #: When it was taken off the list; None: it is on it.
    removed_at: datetime | None = Field(default=None, sa_column=moment())
