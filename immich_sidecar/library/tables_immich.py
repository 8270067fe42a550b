"""Tables of what came with people and with Immich: sign-ins, backfills, companions, albums.

`tables` names them too; import them from there.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, ForeignKeyConstraint, Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from immich_sidecar.library.columns import moment, now, word
from immich_sidecar.library.states import BackfillState, Publish


class SessionRow(SQLModel, table=True):
    """One sign-in of a browser; deleting the row ends it."""

    __tablename__ = "sessions"

    #: SHA-256 of the cookie's value, hexadecimal.
    id: str = Field(primary_key=True)
    owner_id: str = Field(foreign_key="owners.id", index=True)
    #: `password`, or `immich`.
    kind: str
    #: Who signed in, where that was an Immich user.
    immich_user_id: str | None = None
    user_name: str | None = None
    is_admin: bool = False
    #: The browser, as it named itself, shortened.
    browser: str = ""
    created_at: datetime = Field(sa_column=moment(nullable=False), default_factory=now)
    seen_at: datetime = Field(sa_column=moment(nullable=False), default_factory=now)
    expires_at: datetime = Field(sa_column=moment(nullable=False, index=True))


class BackfillRow(SQLModel, table=True):
    """Older photos of a connection that its owner wants processed, asked for as a whole."""

    __tablename__ = "backfills"

    id: int | None = Field(default=None, primary_key=True)
    owner_id: str = Field(foreign_key="owners.id", index=True)
    connection_id: int = Field(foreign_key="connections.id")
    #: What it is about, as `immich.backfill.Scope` in JSON: everything, an album, a range of dates, a search, a tag.
    scope: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    #: The rules that hold for it, as `immich.rules.Rules` in JSON.
    rules: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    state: BackfillState = Field(default=BackfillState.COUNTING, sa_type=word(BackfillState))
    #: What the dry run found: numbers, seconds, bytes, reasons, samples.
    estimate: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))
    #: Where noticing goes on.
    cursor: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))
    error: str | None = None
    created_at: datetime = Field(sa_column=moment(nullable=False), default_factory=now)
    started_at: datetime | None = Field(default=None, sa_column=moment())
    finished_at: datetime | None = Field(default=None, sa_column=moment())


class CompanionRow(SQLModel, table=True):
    """A file that belongs to a photo: the JPEG of a RAW, an XMP sidecar."""

    __tablename__ = "companions"
    __table_args__ = (
        UniqueConstraint("owner_id", "photo", "sha256"),
        ForeignKeyConstraint(["owner_id", "photo"], ["photos.owner_id", "photos.sha256"]),
        Index("ix_companions_asset", "owner_id", "immich_asset_id"),
        Index("ix_companions_sha256", "owner_id", "sha256"),
        Index("ix_companions_sha1", "owner_id", "sha1"),
    )

    id: int | None = Field(default=None, primary_key=True)
    owner_id: str = Field(foreign_key="owners.id")
    #: SHA-256 of the original that it belongs to.
    photo: str
    #: `jpeg` or `xmp`.
    kind: str
    file_name: str
    #: Both hexadecimal; None where Immich alone has the file, and its bytes were never read here.
    sha256: str | None = None
    sha1: str | None = None
    size: int = Field(default=0, sa_type=BigInteger)
    #: Our copy, relative to the data directory; None where Immich alone has it.
    path: str | None = None
    immich_asset_id: str | None = None
    publish: Publish = Field(default=Publish.NONE, sa_type=word(Publish))
    last_error: str | None = None
    created_at: datetime = Field(sa_column=moment(nullable=False), default_factory=now)


class AlbumEntryRow(SQLModel, table=True):
    """A version that we put into an album because its original is in it; with the original it goes out again."""

    __tablename__ = "album_entries"
    __table_args__ = (
        UniqueConstraint("owner_id", "photo", "n", "album_id"),
        ForeignKeyConstraint(["owner_id", "photo"], ["photos.owner_id", "photos.sha256"]),
    )

    id: int | None = Field(default=None, primary_key=True)
    owner_id: str = Field(foreign_key="owners.id")
    photo: str
    #: Number of the version.
    n: int
    album_id: str
    #: None while it is being added: the service may have ended in between.
    added_at: datetime | None = Field(default_factory=now, sa_column=moment())
