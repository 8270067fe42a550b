"""The first tables."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "owners",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_owners"),
    )
    op.create_table(
        "connections",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=False),
        sa.Column("immich_user_id", sa.String(), nullable=True),
        sa.Column("immich_user_name", sa.String(), nullable=True),
        sa.Column("version", sa.String(), nullable=True),
        sa.Column("permissions", sa.JSON(), nullable=False),
        sa.Column("watch_from", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_cursor", sa.DateTime(timezone=True), nullable=True),
        sa.Column("updated_cursor", sa.DateTime(timezone=True), nullable=True),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.Column("last_seen_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_connections_owner_id"),
        sa.PrimaryKeyConstraint("id", name="pk_connections"),
    )
    op.create_index("ix_connections_owner_id", "connections", ["owner_id"], unique=True)

    op.create_table(
        "events",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=True),
        sa.Column("type", sa.String(), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_events_owner_id"),
        sa.PrimaryKeyConstraint("id", name="pk_events"),
        sqlite_autoincrement=True,
    )
    op.create_index("ix_events_at", "events", ["at"])
    op.create_index("ix_events_owner", "events", ["owner_id", "id"])

    op.create_table(
        "files",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("mtime_ns", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("sha256", sa.String(), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_files_owner_id"),
        sa.PrimaryKeyConstraint("id", name="pk_files"),
        sa.UniqueConstraint("owner_id", "path", "size", "mtime_ns", name="uq_files_owner_id_path_size_mtime_ns"),
    )
    op.create_index("ix_files_owner_state", "files", ["owner_id", "state"])

    op.create_table(
        "processing_history",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("original_file_hash", sa.String(), nullable=False),
        sa.Column("original_path", sa.String(), nullable=False),
        sa.Column("processed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("recipe_id", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("error_message", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_processing_history_owner_id"),
        sa.PrimaryKeyConstraint("id", name="pk_processing_history"),
    )
    op.create_index("ix_history_original", "processing_history", ["owner_id", "original_file_hash"])

    op.create_table(
        "switches",
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("value", sa.JSON(), nullable=True),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_switches_owner_id"),
        sa.PrimaryKeyConstraint("owner_id", "name", name="pk_switches"),
    )
    op.create_table(
        "assets",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("connection_id", sa.Integer(), nullable=False),
        sa.Column("asset_id", sa.String(), nullable=False),
        sa.Column("sha1", sa.String(), nullable=True),
        sa.Column("file_name", sa.String(), nullable=False),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("reason", sa.String(), nullable=True),
        sa.Column("sha256", sa.String(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("file_created_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("seen_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["connection_id"], ["connections.id"], name="fk_assets_connection_id"),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_assets_owner_id"),
        sa.PrimaryKeyConstraint("id", name="pk_assets"),
        sa.UniqueConstraint("connection_id", "asset_id", name="uq_assets_connection_id_asset_id"),
    )
    op.create_index("ix_assets_owner_sha256", "assets", ["owner_id", "sha256"])
    op.create_index("ix_assets_owner_state", "assets", ["owner_id", "state"])

    op.create_table(
        "photos",
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("sha1", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("file_name", sa.String(), nullable=False),
        sa.Column("source", sa.String(32), nullable=False),
        sa.Column("path", sa.String(), nullable=True),
        sa.Column("media_type", sa.String(), nullable=False),
        sa.Column("is_raw", sa.Boolean(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("captured_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("connection_id", sa.Integer(), nullable=True),
        sa.Column("state", sa.String(32), nullable=False),
        sa.Column("running", sa.Boolean(), nullable=False),
        sa.Column("failed_at", sa.String(), nullable=True),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("crashes", sa.Integer(), nullable=False),
        sa.Column("interruptions", sa.Integer(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("analysis", sa.JSON(), nullable=True),
        sa.Column("left_alone_reason", sa.String(), nullable=True),
        sa.Column("review", sa.String(32), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("recipe_id", sa.String(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("immich_asset_id", sa.String(), nullable=True),
        sa.Column("immich_stack_id", sa.String(), nullable=True),
        sa.Column("immich_primary_before", sa.String(), nullable=True),
        sa.Column("original_publish", sa.String(32), nullable=False),
        sa.Column("original_publish_error", sa.String(), nullable=True),
        sa.Column("original_publish_attempts", sa.Integer(), nullable=False),
        sa.Column("original_publish_due_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(["connection_id"], ["connections.id"], name="fk_photos_connection_id"),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_photos_owner_id"),
        sa.PrimaryKeyConstraint("owner_id", "sha256", name="pk_photos"),
    )
    op.create_index("ix_photos_created", "photos", ["owner_id", "created_at", "sha256"])
    op.create_index(
        "ix_photos_failed",
        "photos",
        ["owner_id", "created_at", "sha256"],
        sqlite_where=sa.text("failed_at IS NOT NULL"),
    )
    op.create_index(
        "ix_photos_original_due",
        "photos",
        ["original_publish_due_at"],
        sqlite_where=sa.text("original_publish_due_at IS NOT NULL"),
    )
    op.create_index("ix_photos_original_publish", "photos", ["owner_id", "original_publish", "created_at"])
    op.create_index(
        "ix_photos_due", "photos", ["owner_id", "state", "failed_at", "running", sa.text("priority DESC"), "created_at"]
    )
    op.create_index("ix_photos_review", "photos", ["owner_id", "review", "created_at", "sha256"])
    op.create_index("ix_photos_sha1", "photos", ["owner_id", "sha1"])
    op.create_index("ix_photos_state", "photos", ["owner_id", "state", "created_at", "sha256"])
    op.create_index("ix_photos_status", "photos", ["owner_id", "state", "review", "failed_at"])

    op.create_table(
        "decisions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("photo", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("before", sa.JSON(), nullable=False),
        sa.Column("after", sa.JSON(), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("undone", sa.Boolean(), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id", "photo"], ["photos.owner_id", "photos.sha256"], name="fk_decisions_owner_id_photo"
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_decisions_owner_id"),
        sa.PrimaryKeyConstraint("id", name="pk_decisions"),
    )
    op.create_index("ix_decisions_photo", "decisions", ["owner_id", "photo", "id"])

    op.create_table(
        "recipes",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("original_hash", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("operations", sa.JSON(), nullable=False),
        sa.Column("ai_metadata", sa.JSON(), nullable=False),
        sa.Column("user_overrides", sa.JSON(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id", "original_hash"],
            ["photos.owner_id", "photos.sha256"],
            name="fk_recipes_owner_id_original_hash",
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_recipes_owner_id"),
        sa.PrimaryKeyConstraint("id", name="pk_recipes"),
    )
    op.create_index("ix_recipes_original", "recipes", ["owner_id", "original_hash"])

    op.create_table(
        "uploads",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("original_hash", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("immich_original_id", sa.String(), nullable=True),
        sa.Column("immich_processed_id", sa.String(), nullable=True),
        sa.Column("uploaded_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["owner_id", "original_hash"],
            ["photos.owner_id", "photos.sha256"],
            name="fk_uploads_owner_id_original_hash",
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_uploads_owner_id"),
        sa.PrimaryKeyConstraint("id", name="pk_uploads"),
        sa.UniqueConstraint("owner_id", "original_hash", "version", name="uq_uploads_owner_id_original_hash_version"),
    )
    op.create_index("ix_uploads_processed", "uploads", ["owner_id", "immich_processed_id"])

    op.create_table(
        "versions",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("owner_id", sa.String(), nullable=False),
        sa.Column("photo", sa.String(), nullable=False),
        sa.Column("n", sa.Integer(), nullable=False),
        sa.Column("recipe_id", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("sha1", sa.String(), nullable=False),
        sa.Column("width", sa.Integer(), nullable=False),
        sa.Column("height", sa.Integer(), nullable=False),
        sa.Column("engine", sa.String(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("publish", sa.String(32), nullable=False),
        sa.Column("blocked_from", sa.String(32), nullable=True),
        sa.Column("blocked_reason", sa.String(), nullable=True),
        sa.Column("immich_asset_id", sa.String(), nullable=True),
        sa.Column("last_error", sa.String(), nullable=True),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("running", sa.Boolean(), nullable=False),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["owner_id", "photo"], ["photos.owner_id", "photos.sha256"], name="fk_versions_owner_id_photo"
        ),
        sa.ForeignKeyConstraint(["owner_id"], ["owners.id"], name="fk_versions_owner_id"),
        sa.ForeignKeyConstraint(["recipe_id"], ["recipes.id"], name="fk_versions_recipe_id"),
        sa.PrimaryKeyConstraint("id", name="pk_versions"),
        sa.UniqueConstraint("owner_id", "photo", "n", name="uq_versions_owner_id_photo_n"),
    )
    op.create_index("ix_versions_publish", "versions", ["publish", "due_at"])
    op.create_index("ix_versions_sha1", "versions", ["owner_id", "sha1"])
