"""Tables that photos are found by: what they are like, in words and in numbers.

`tables` names them too; import them from there. Everything here follows from photos and can be made anew, but for
what an owner has said about a group.
"""

from datetime import datetime

from sqlalchemy import JSON, BigInteger, Column, ForeignKeyConstraint, Index, LargeBinary, UniqueConstraint
from sqlmodel import Field, SQLModel

from immich_sidecar.library.columns import moment, now


class EmbeddingRow(SQLModel, table=True):
    """The vector that a model made of one photo."""

    __tablename__ = "embeddings"
    # Numbers rise and are never given twice: the matrix that is searched is brought up to date by them.
    __table_args__ = (
        UniqueConstraint("owner_id", "photo", "model"),
        ForeignKeyConstraint(["owner_id", "photo"], ["photos.owner_id", "photos.sha256"]),
        Index("ix_embeddings_model", "owner_id", "model", "revision", "id"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    owner_id: str = Field(foreign_key="owners.id")
    #: SHA-256 of the photo, hexadecimal.
    photo: str
    #: Name of the model, as in `analysis/weights.toml`; vectors of different models cannot be compared.
    model: str
    #: What tells one set of weights from another; vectors of different revisions cannot be compared either.
    revision: str
    #: How many numbers the vector has.
    dim: int
    #: The numbers: float32, little-endian, of length 1.
    vector: bytes = Field(sa_column=Column(LargeBinary, nullable=False))
    created_at: datetime = Field(sa_column=moment(nullable=False), default_factory=now)


class PhotoWordsRow(SQLModel, table=True):
    """The words that a photo can be found by without any model; narrow, so that all of them are read quickly."""

    __tablename__ = "photo_words"
    # An owner's rows lie beside each other: reading a million of them takes a quarter of a second and not ten.
    __table_args__ = (
        ForeignKeyConstraint(["owner_id", "photo"], ["photos.owner_id", "photos.sha256"]),
        {"sqlite_with_rowid": False},
    )

    owner_id: str = Field(foreign_key="owners.id", primary_key=True)
    photo: str = Field(primary_key=True)
    #: File name, tags and description in small letters.
    words: str
    #: `created_at` of the photo, for the order of results.
    created_at: datetime = Field(sa_column=moment(nullable=False))


class LikenessRow(SQLModel, table=True):
    """What tells whether two photos show nearly the same, measured without any model."""

    __tablename__ = "likenesses"
    __table_args__ = (
        ForeignKeyConstraint(["owner_id", "photo"], ["photos.owner_id", "photos.sha256"]),
        Index("ix_likenesses_captured", "owner_id", "captured_at", "photo"),
    )

    owner_id: str = Field(foreign_key="owners.id", primary_key=True)
    photo: str = Field(primary_key=True)
    #: 64 bits about the large shapes of the picture, as a signed number.
    shapes: int = Field(sa_type=BigInteger)
    #: When it was taken; groups are looked for along this.
    captured_at: datetime | None = Field(default=None, sa_column=moment())
    #: Maker and model of the camera; empty where the file does not say.
    camera: str = ""
    #: Exposure value at ISO 100 that the camera chose: log2 of f-number squared over seconds, less the ISO's stops.
    exposure_value: float | None = None
    #: Whether the camera says that it took it as one of an exposure bracket.
    bracketed: bool = False
    #: How sharp it is, 0 to 1; ranks the photos of a burst.
    sharpness: float = 0.0
    made_at: datetime = Field(sa_column=moment(nullable=False), default_factory=now)


class PhotoGroupRow(SQLModel, table=True):
    """Photos that belong together, proposed to their owner; nothing is done with them by itself."""

    __tablename__ = "photo_groups"
    # A number is never given twice: addresses name groups by it.
    __table_args__ = (
        UniqueConstraint("owner_id", "key"),
        Index("ix_photo_groups_kind", "owner_id", "kind", "id"),
        {"sqlite_autoincrement": True},
    )

    id: int | None = Field(default=None, primary_key=True)
    owner_id: str = Field(foreign_key="owners.id")
    #: `duplicates`, `burst`, `bracket` or `panorama`.
    kind: str
    #: Digest of kind and members: the same group found again is the same row.
    key: str
    #: SHA-256 of the photos, the proposed best first where there is one, else in the order of capture.
    members: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    #: Whether the first is proposed as the best.
    has_best: bool = False
    #: Why they belong together, in words for a person.
    reason: str = ""
    #: When the owner put it aside; it is not shown again.
    dismissed_at: datetime | None = Field(default=None, sa_column=moment())
    found_at: datetime = Field(sa_column=moment(nullable=False), default_factory=now)
