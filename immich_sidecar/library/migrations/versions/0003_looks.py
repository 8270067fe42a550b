"""Presets that people made, colour tables, and how strong the look is that rules chose."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "presets",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("operations", sa.JSON(), nullable=False),
        _moment("created_at", nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_presets_owner_id"),
        sa.UniqueConstraint("owner_id", "name", name="uq_presets_owner_id_name"),
        sa.PrimaryKeyConstraint("id", name="pk_presets"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "luts",
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("points", "size")),
        sa.Column("path", sa.String(), nullable=False),
        _moment("created_at", nullable=False),
        _moment("removed_at"),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_luts_owner_id"),
        sa.PrimaryKeyConstraint("owner_id", "sha256", name="pk_luts"),
    )
    for table in ("assets", "photos"):
        op.add_column(table, sa.Column("preset_strength", sa.Float(), nullable=True))


def _moment(name: str, *, nullable: bool = True) -> "sa.Column[Any]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)
