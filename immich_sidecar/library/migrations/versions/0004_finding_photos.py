"""Vectors of photos, the words they are found by, and which of them belong together."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "embeddings",
        sa.Column("id", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("owner_id", "photo", "model", "revision")),
        sa.Column("dim", sa.Integer(), nullable=False),
        sa.Column("vector", sa.LargeBinary(), nullable=False),
        _moment("created_at", nullable=False),
        _owner("embeddings"),
        _photo("embeddings"),
        sa.UniqueConstraint("owner_id", "photo", "model", name="uq_embeddings_owner_id_photo_model"),
        sa.PrimaryKeyConstraint("id", name="pk_embeddings"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_embeddings_model", "embeddings", ["owner_id", "model", "revision", "id"])
    op.create_table(
        "photo_words",
        *(sa.Column(name, sa.String(), nullable=False) for name in ("owner_id", "photo", "words")),
        _moment("created_at", nullable=False),
        _owner("photo_words"),
        _photo("photo_words"),
        sa.PrimaryKeyConstraint("owner_id", "photo", name="pk_photo_words"),
        sqlite_with_rowid=False,
    )
    # SQLite's own `lower` knows the letters of English alone.
    driver: Any = op.get_bind().connection.driver_connection
    driver.create_function("casefold", 1, str.casefold, deterministic=True)
    op.execute(
        "INSERT INTO photo_words (owner_id, photo, words, created_at) "
        "SELECT owner_id, sha256, casefold(file_name), created_at FROM photos ORDER BY owner_id, sha256"
    )
    op.create_table(
        "likenesses",
        *(sa.Column(name, sa.String(), nullable=False) for name in ("owner_id", "photo")),
        sa.Column("shapes", sa.BigInteger(), nullable=False),
        _moment("captured_at"),
        sa.Column("camera", sa.String(), nullable=False),
        sa.Column("exposure_value", sa.Float(), nullable=True),
        sa.Column("bracketed", sa.Boolean(), nullable=False),
        sa.Column("sharpness", sa.Float(), nullable=False),
        _moment("made_at", nullable=False),
        _owner("likenesses"),
        _photo("likenesses"),
        sa.PrimaryKeyConstraint("owner_id", "photo", name="pk_likenesses"),
    )
    op.create_index("ix_likenesses_captured", "likenesses", ["owner_id", "captured_at", "photo"])
    op.create_table(
        "photo_groups",
        sa.Column("id", sa.Integer(), nullable=False),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("owner_id", "kind", "key")),
        sa.Column("members", sa.JSON(), nullable=False),
        sa.Column("has_best", sa.Boolean(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        _moment("dismissed_at"),
        _moment("found_at", nullable=False),
        _owner("photo_groups"),
        sa.UniqueConstraint("owner_id", "key", name="uq_photo_groups_owner_id_key"),
        sa.PrimaryKeyConstraint("id", name="pk_photo_groups"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_photo_groups_kind", "photo_groups", ["owner_id", "kind", "id"])


def _owner(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name=f"fk_{table}_owner_id")


def _photo(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["owner_id", "photo"], ["photos.owner_id", "photos.sha256"], name=f"fk_{table}_owner_id_photo"
    )


def _moment(name: str, *, nullable: bool = True) -> "sa.Column[Any]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)
