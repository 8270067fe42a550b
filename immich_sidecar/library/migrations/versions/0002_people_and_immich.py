"""People who sign in, backfills, companions, albums, and what a connection keeps."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    _new_tables()
    _add(
        "connections",
        _moment("disconnected_at"),
        *(
            sa.Column(name, sa.String(), nullable=True)
            for name in ("immich_user_email", "key", "key_id", "webhook_secret_sha256")
        ),
        filled={
            "is_admin": (sa.Boolean(), sa.false()),
            "key_made_by_us": (sa.Boolean(), sa.false()),
            "workflow_ids": (sa.JSON(), "[]"),
            "choices": (sa.JSON(), "{}"),
            "rules": (sa.JSON(), "{}"),
            "connected_at": (sa.DateTime(timezone=True), sa.func.current_timestamp()),
        },
    )
    op.create_index("ix_connections_user", "connections", ["immich_user_id"], unique=True)
    _add(
        "assets",
        sa.Column("backfill_id", sa.Integer(), nullable=True),
        *(sa.Column(name, sa.String(), nullable=True) for name in ("library_id", "mode", "preset")),
        filled={"noticed_by": (sa.String(), "poll"), "allowed": (sa.JSON(), "[]")},
        to_backfill=True,
    )
    op.drop_index("ix_assets_owner_state", "assets")
    op.create_index("ix_assets_owner_state", "assets", ["owner_id", "state", "reason"])
    op.create_index("ix_assets_file_name", "assets", ["connection_id", "file_name"])
    _add(
        "files",
        *(sa.Column(name, sa.String(), nullable=True) for name in ("companion_sha256", "after", "after_reason")),
        _moment("after_due_at"),
        filled={},
    )
    op.create_index("ix_files_after", "files", ["after_due_at"], sqlite_where=sa.text("after_due_at IS NOT NULL"))
    op.create_index("ix_files_sha256", "files", ["owner_id", "sha256"])
    # A rebuilt table loses its index over an expression.
    op.drop_index("ix_photos_due", "photos")
    _add(
        "photos",
        sa.Column("backfill_id", sa.Integer(), nullable=True),
        *(sa.Column(name, sa.String(), nullable=True) for name in ("mode", "preset", "badge", "tagged")),
        sa.Column("native_edits", sa.JSON(), nullable=True),
        filled={"read_only": (sa.Boolean(), sa.false()), "allowed": (sa.JSON(), "[]")},
        to_backfill=True,
    )
    op.create_index(
        "ix_photos_due", "photos", ["owner_id", "state", "failed_at", "running", sa.text("priority DESC"), "created_at"]
    )
    op.create_index(
        "ix_photos_original_due_here",
        "photos",
        ["connection_id", "owner_id", "original_publish_due_at"],
        sqlite_where=sa.text("original_publish_due_at IS NOT NULL"),
    )
    op.create_index("ix_photos_tagged", "photos", ["owner_id", "review", "state", "tagged"])
    _add(
        "versions",
        sa.Column("retired", sa.String(), nullable=True),
        _moment("retired_at"),
        filled={"written": (sa.JSON(), "{}")},
    )
    op.create_index("ix_versions_due", "versions", ["owner_id", "publish", "due_at"])


def _add(
    name: str,
    *columns: "sa.Column[Any]",
    filled: dict[str, tuple[Any, Any]],
    to_backfill: bool = False,
) -> None:
    """Add columns; those of `filled` are never null and get their value in the rows that are there."""
    with op.batch_alter_table(name) as table:
        for column in columns:
            table.add_column(column)
        for column_name, (type_, value) in filled.items():
            table.add_column(sa.Column(column_name, type_, nullable=False, server_default=value))
        if to_backfill:
            table.create_foreign_key(f"fk_{name}_backfill_id", "backfills", ["backfill_id"], ["id"])
    with op.batch_alter_table(name) as table:
        for column_name, (type_, _) in filled.items():
            table.alter_column(column_name, existing_type=type_, existing_nullable=False, server_default=None)
    if to_backfill:
        more = ["reason"] if name == "assets" else ["review", "failed_at"]
        op.create_index(f"ix_{name}_backfill", name, ["backfill_id", "state", *more])


def _new_tables() -> None:
    op.create_table(
        "sessions",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("immich_user_id", sa.String(), nullable=True),
        sa.Column("user_name", sa.String(), nullable=True),
        sa.Column("is_admin", sa.Boolean(), nullable=False),
        sa.Column("browser", sa.String(), nullable=False),
        _moment("created_at", nullable=False),
        _moment("seen_at", nullable=False),
        _moment("expires_at", nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_sessions_owner_id"),
        sa.PrimaryKeyConstraint("id", name="pk_sessions"),
    )
    op.create_index("ix_sessions_owner_id", "sessions", ["owner_id"])
    op.create_index("ix_sessions_expires_at", "sessions", ["expires_at"])
    op.create_table(
        "backfills",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("connection_id", sa.Integer(), nullable=False),
        sa.Column("scope", sa.JSON(), nullable=False),
        sa.Column("rules", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("estimate", sa.JSON(), nullable=True),
        sa.Column("cursor", sa.JSON(), nullable=True),
        sa.Column("error", sa.String(), nullable=True),
        _moment("created_at", nullable=False),
        _moment("started_at"),
        _moment("finished_at"),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_backfills_owner_id"),
        sa.ForeignKeyConstraint(["connection_id"], ["connections.id"], name="fk_backfills_connection_id"),
        sa.PrimaryKeyConstraint("id", name="pk_backfills"),
    )
    op.create_index("ix_backfills_owner_id", "backfills", ["owner_id"])
    op.create_table(
        "companions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("photo", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("file_name", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=True),
        sa.Column("sha1", sa.String(), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("path", sa.String(), nullable=True),
        sa.Column("immich_asset_id", sa.String(), nullable=True),
        sa.Column("publish", sa.String(length=32), nullable=False),
        sa.Column("last_error", sa.String(), nullable=True),
        _moment("created_at", nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_companions_owner_id"),
        sa.ForeignKeyConstraint(
            ["owner_id", "photo"], ["photos.owner_id", "photos.sha256"], name="fk_companions_owner_id_photo"
        ),
        sa.UniqueConstraint("owner_id", "photo", "sha256", name="uq_companions_owner_id_photo_sha256"),
        sa.PrimaryKeyConstraint("id", name="pk_companions"),
    )
    op.create_index("ix_companions_asset", "companions", ["owner_id", "immich_asset_id"])
    op.create_index("ix_companions_sha256", "companions", ["owner_id", "sha256"])
    op.create_index("ix_companions_sha1", "companions", ["owner_id", "sha1"])
    op.create_table(
        "album_entries",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("photo", sa.String(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("album_id", sa.String(), nullable=False),
        _moment("added_at"),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_album_entries_owner_id"),
        sa.ForeignKeyConstraint(
            ["owner_id", "photo"], ["photos.owner_id", "photos.sha256"], name="fk_album_entries_owner_id_photo"
        ),
        sa.UniqueConstraint("owner_id", "photo", "n", "album_id", name="uq_album_entries_owner_id_photo_n_album_id"),
        sa.PrimaryKeyConstraint("id", name="pk_album_entries"),
    )


def _moment(name: str, *, nullable: bool = True) -> "sa.Column[Any]":
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)
