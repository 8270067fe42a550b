"""The tables, and the states their rows go through.

Four facts about a photo are independent of each other and each has its own column: how far the *work* on its
newest recipe is (`PhotoRow.state`), where it stands with its owner (`PhotoRow.review`), how far the
*publishing* of each version is (`VersionRow.publish`), and, before its bytes are stored, how far *intake* is
(`FileRow.state`, `AssetRow.state`). Rows are the truth; files are written before the rows that name them.

A JSON column notices only a new value, not a change inside the old one: assign it anew.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, Column, ForeignKeyConstraint, Index, UniqueConstraint, text
from sqlmodel import Field, SQLModel

from immich_sidecar.library.columns import UtcDateTime, moment, now, word
from immich_sidecar.library.states import BackfillState, IntakeState, Publish, Review, Source, WorkState
from immich_sidecar.library.tables_finding import EmbeddingRow, LikenessRow, PhotoGroupRow, PhotoWordsRow
from immich_sidecar.library.tables_immich import AlbumEntryRow, BackfillRow, CompanionRow, SessionRow
from immich_sidecar.library.tables_looks import LutRow, PresetRow

__all__ = [
    "LOCAL_OWNER",
    "AlbumEntryRow",
    "AssetRow",
    "BackfillRow",
    "BackfillState",
    "CompanionRow",
    "ConnectionRow",
    "DecisionRow",
    "EmbeddingRow",
    "EventRow",
    "FileRow",
    "IntakeState",
    "LikenessRow",
    "LutRow",
    "OwnerRow",
    "PhotoGroupRow",
    "PhotoRow",
    "PhotoWordsRow",
    "PresetRow",
    "ProcessingHistoryRow",
    "Publish",
    "RecipeRow",
    "Review",
    "SessionRow",
    "Source",
    "SwitchRow",
    "UploadRow",
    "UtcDateTime",
    "VersionRow",
    "WorkState",
    "now",
]

#: The owner that exists from the start: whoever runs the service.
LOCAL_OWNER = "local"


class OwnerRow(SQLModel, table=True):
    """Whose photos they are."""

    __tablename__ = "owners"

    #: Short name used in addresses and folders: `local`, or letters, digits, `-` and `_`.
    id: str = Field(primary_key=True)
    #: What the pages call the owner.
    name: str
    created_at: datetime = Field(sa_column=moment(nullable=False), default_factory=now)


class ConnectionRow(SQLModel, table=True):
    """One Immich user that belongs to an owner."""

    __tablename__ = "connections"
    __table_args__ = (Index("ix_connections_user", "immich_user_id", unique=True),)

    id: int | None = Field(default=None, primary_key=True)
    owner_id: str = Field(foreign_key="owners.id", index=True, unique=True)
    url: str
    #: The Immich user the key belonged to when the connection was made; another one is refused.
    immich_user_id: str | None = None
    immich_user_name: str | None = None
    immich_user_email: str | None = None
    #: Whether that user administers Immich.
    is_admin: bool = False
    #: The API key, encrypted (`immich.secrets`); None where it comes from the settings, or was removed.
    key: str | None = None
    #: The id that Immich gave the key, where it is known.
    key_id: str | None = None
    #: Whether we made the key, and so remove it when the connection ends.
    key_made_by_us: bool = False
    #: What the webhook must send to be believed: the SHA-256 of the secret, hexadecimal; None: no webhook.
    webhook_secret_sha256: str | None = None
    #: Workflows that we made in Immich, and remove when the connection ends.
    workflow_ids: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    #: What the user chose, as `immich.choices.Choices` in JSON.
    choices: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    #: Which photos are taken, as `immich.rules.Rules` in JSON.
    rules: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    connected_at: datetime = Field(sa_column=moment(nullable=False), default_factory=now)
    #: Set when the user ended the connection; the row stays, for the photos that name it.
    disconnected_at: datetime | None = Field(default=None, sa_column=moment())
    #: Server version as text, e.g. `3.1.0`.
    version: str | None = None
    #: Permissions of the key.
    permissions: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    #: Assets created before this moment are not taken without backfill.
    watch_from: datetime | None = Field(default=None, sa_column=moment())
    #: Everything created before this moment has been noticed.
    created_cursor: datetime | None = Field(default=None, sa_column=moment())
    #: Everything updated before this moment has been noticed.
    updated_cursor: datetime | None = Field(default=None, sa_column=moment())
    #: `ok`, `away`, `credentials`, `permission`, `refused` or `unknown`.
    state: str = "unknown"
    last_error: str | None = None
    #: When Immich answered last.
    last_seen_at: datetime | None = Field(default=None, sa_column=moment())


class FileRow(SQLModel, table=True):
    """One file of a hot folder, at one size and one modification time."""

    __tablename__ = "files"
    __table_args__ = (
        UniqueConstraint("owner_id", "path", "size", "mtime_ns"),
        Index("ix_files_owner_state", "owner_id", "state"),
        # Files that are to leave their folder (few among many), and those of one photo.
        Index("ix_files_after", "after_due_at", sqlite_where=text("after_due_at IS NOT NULL")),
        Index("ix_files_sha256", "owner_id", "sha256"),
    )

    id: int | None = Field(default=None, primary_key=True)
    owner_id: str = Field(foreign_key="owners.id")
    path: str
    size: int = Field(sa_type=BigInteger)
    mtime_ns: int = Field(sa_type=BigInteger)
    state: IntakeState = Field(default=IntakeState.SEEN, sa_type=word(IntakeState))
    reason: str | None = None
    #: The photo that it is, or that it belongs to.
    sha256: str | None = None
    #: SHA-256 of its own bytes where it belongs to a photo and is none (`CompanionRow`).
    companion_sha256: str | None = None
    #: What becomes of the file itself (`SIDECAR_HOT_FOLDER_AFTER`), in words of `library.file_rows`; None: it stays.
    after: str | None = None
    #: Why it has not left its folder yet, or never will.
    after_reason: str | None = None
    #: When leaving is tried next; None: not at all.
    after_due_at: datetime | None = Field(default=None, sa_column=moment())
    seen_at: datetime = Field(sa_column=moment(nullable=False), default_factory=now)


class AssetRow(SQLModel, table=True):
    """One asset of a connection, whether its bytes were taken or not."""

    __tablename__ = "assets"
    __table_args__ = (
        UniqueConstraint("connection_id", "asset_id"),
        # What was not taken is counted by reason from this index alone.
        Index("ix_assets_owner_state", "owner_id", "state", "reason"),
        Index("ix_assets_owner_sha256", "owner_id", "sha256"),
        # How far a backfill is, however large.
        Index("ix_assets_backfill", "backfill_id", "state", "reason"),
        # The RAW file of a JPEG has its name.
        Index("ix_assets_file_name", "connection_id", "file_name"),
    )

    id: int | None = Field(default=None, primary_key=True)
    owner_id: str = Field(foreign_key="owners.id")
    connection_id: int = Field(foreign_key="connections.id")
    asset_id: str
    #: SHA-1 as Immich tells it, hexadecimal; None for external libraries.
    sha1: str | None = None
    file_name: str = ""
    state: IntakeState = Field(default=IntakeState.SEEN, sa_type=word(IntakeState))
    reason: str | None = None
    sha256: str | None = None
    #: When the asset came into Immich.
    created_at: datetime | None = Field(default=None, sa_column=moment())
    #: When the file was made, as Immich tells it.
    file_created_at: datetime | None = Field(default=None, sa_column=moment())
    #: How it was noticed first: `poll`, `webhook`, `socket` or `backfill`.
    noticed_by: str = "poll"
    #: The backfill that asked for it, where one did.
    backfill_id: int | None = Field(default=None, foreign_key="backfills.id")
    #: The external library that it lies in.
    library_id: str | None = None
    #: What the rules chose for it: mode and preset (None: those of the connection), and the strength of the preset's
    #: look in percent (None: 100).
    mode: str | None = None
    preset: str | None = None
    preset_strength: float | None = None
    #: Kinds of photos that the rule is about which are left alone otherwise (`immich.traits.Special`).
    allowed: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    attempts: int = 0
    due_at: datetime | None = Field(default=None, sa_column=moment())
    seen_at: datetime = Field(sa_column=moment(nullable=False), default_factory=now)


class PhotoRow(SQLModel, table=True):
    """One original of one owner."""

    __tablename__ = "photos"
    __table_args__ = (
        # What is due, per owner and state: `ORDER BY priority DESC, created_at` reads it in order.
        Index("ix_photos_due", "owner_id", "state", "failed_at", "running", text("priority DESC"), "created_at"),
        # Originals on their way into Immich (few among many), and those that wait for a person.
        Index(
            "ix_photos_original_due",
            "original_publish_due_at",
            sqlite_where=text("original_publish_due_at IS NOT NULL"),
        ),
        # The same of one connection, in order: another's hundred thousand are not walked through.
        Index(
            "ix_photos_original_due_here",
            "connection_id",
            "owner_id",
            "original_publish_due_at",
            sqlite_where=text("original_publish_due_at IS NOT NULL"),
        ),
        Index("ix_photos_original_publish", "owner_id", "original_publish", "created_at"),
        # Lists, newest first, and the same for what failed (few among many).
        Index("ix_photos_created", "owner_id", "created_at", "sha256"),
        Index("ix_photos_failed", "owner_id", "created_at", "sha256", sqlite_where=text("failed_at IS NOT NULL")),
        # Counting by status reads this index alone.
        Index("ix_photos_status", "owner_id", "state", "review", "failed_at"),
        Index("ix_photos_sha1", "owner_id", "sha1"),
        Index("ix_photos_review", "owner_id", "review", "created_at", "sha256"),
        Index("ix_photos_state", "owner_id", "state", "created_at", "sha256"),
        # How far a backfill is, however large.
        Index("ix_photos_backfill", "backfill_id", "state", "review", "failed_at"),
        # Whose tag in Immich is not the one that its state asks for.
        Index("ix_photos_tagged", "owner_id", "review", "state", "tagged"),
    )

    owner_id: str = Field(foreign_key="owners.id", primary_key=True)
    #: SHA-256 of the original's bytes, hexadecimal: the photo's identity within its owner.
    sha256: str = Field(primary_key=True)
    #: SHA-1 of the same bytes, hexadecimal: what Immich knows.
    sha1: str
    size: int = Field(sa_type=BigInteger)
    #: The name the photo came with, without folders.
    file_name: str
    source: Source = Field(sa_type=word(Source))
    #: Where the original lies, relative to the data directory; None once our copy was removed on purpose.
    path: str | None
    #: Content type by content, e.g. `image/jpeg`, `image/x-raw`.
    media_type: str = ""
    is_raw: bool = False
    #: Oriented size in pixels; 0 until known.
    width: int = 0
    height: int = 0
    #: When it was taken (EXIF, else file time); decides the YYYY/MM folder.
    captured_at: datetime | None = Field(default=None, sa_column=moment())
    #: The connection that publishes it; None: never published.
    connection_id: int | None = Field(default=None, foreign_key="connections.id")

    #: Work: how far the newest recipe is.
    state: WorkState = Field(default=WorkState.STORED, sa_type=word(WorkState))
    #: Whether a worker holds it now; found true at start it was interrupted.
    running: bool = False
    #: The step that gave up, or None.
    failed_at: str | None = None
    last_error: str | None = None
    #: Failed attempts of the present step that may be repeated.
    attempts: int = 0
    #: Deaths and timeouts of a worker that the executor reported in the present state.
    crashes: int = 0
    #: Times the service died while this photo was running in the present state.
    interruptions: int = 0
    #: Not to be picked before this moment.
    due_at: datetime | None = Field(default=None, sa_column=moment())
    #: Higher is earlier.
    priority: int = 0
    #: What was measured, as `analysis.Analysis` in JSON; kept also when a later step fails.
    analysis: dict[str, Any] | None = Field(default=None, sa_column=Column(JSON))
    left_alone_reason: str | None = None

    #: Review.
    review: Review = Field(default=Review.NONE, sa_type=word(Review))
    #: Raised by each command; a step commits only if the one it read still holds.
    revision: int = 0
    #: The newest recipe, and the number of the version made or to be made from it (0: none).
    recipe_id: str | None = None
    version: int = 0

    #: The backfill that asked for it, where one did.
    backfill_id: int | None = Field(default=None, foreign_key="backfills.id")
    #: What the rules chose for it: mode and preset (None: those of the connection), and the strength of the preset's
    #: look in percent (None: 100).
    mode: str | None = None
    preset: str | None = None
    preset_strength: float | None = None
    #: Kinds of photos that its rule is about which are left alone otherwise (`immich.traits.Special`).
    allowed: list[str] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    #: Why the pair or the container that the photo belongs to is left as it is, for a badge: `live_photo`,
    #: `motion_photo`, `gain_map`, `panorama`; None: nothing of that kind.
    badge: str | None = None
    #: Whether Immich cannot write beside the original (an external library): then only the key-value store is used.
    read_only: bool = False
    #: Edits of Immich's own that we made on the original, as it was told them; None: none.
    native_edits: list[dict[str, Any]] | None = Field(default=None, sa_column=Column(JSON))
    #: The tag that we gave the original in Immich for where the photo stands (`immich.status_tags`); empty: it cannot
    #: be tagged; None: none.
    tagged: str | None = None

    #: Immich: the asset of the original, the stack, and the primary that was there before us.
    immich_asset_id: str | None = None
    immich_stack_id: str | None = None
    immich_primary_before: str | None = None
    #: Whether the original itself was put into Immich by us and is there (or need not be).
    original_publish: Publish = Field(default=Publish.NONE, sa_type=word(Publish))
    original_publish_error: str | None = None
    original_publish_attempts: int = 0
    original_publish_due_at: datetime | None = Field(default=None, sa_column=moment())

    created_at: datetime = Field(sa_column=moment(nullable=False), default_factory=now)
    updated_at: datetime = Field(sa_column=moment(nullable=False), default_factory=now)


class RecipeRow(SQLModel, table=True):
    """One immutable recipe. The row is the truth; the JSON file is its copy."""

    __tablename__ = "recipes"
    __table_args__ = (
        ForeignKeyConstraint(["owner_id", "original_hash"], ["photos.owner_id", "photos.sha256"]),
        Index("ix_recipes_original", "owner_id", "original_hash"),
    )

    id: str = Field(primary_key=True)
    owner_id: str = Field(foreign_key="owners.id")
    original_hash: str
    created_at: datetime = Field(sa_column=moment(nullable=False), default_factory=now)
    operations: list[dict[str, Any]] = Field(default_factory=list, sa_column=Column(JSON, nullable=False))
    ai_metadata: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    user_overrides: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    #: Where the JSON copy lies, relative to the data directory.
    path: str = ""


class VersionRow(SQLModel, table=True):
    """One rendering of one recipe."""

    __tablename__ = "versions"
    __table_args__ = (
        UniqueConstraint("owner_id", "photo", "n"),
        ForeignKeyConstraint(["owner_id", "photo"], ["photos.owner_id", "photos.sha256"]),
        Index("ix_versions_publish", "publish", "due_at"),
        # What is due for Immich of one owner, in order: another's hundred thousand are not walked through.
        Index("ix_versions_due", "owner_id", "publish", "due_at"),
        Index("ix_versions_sha1", "owner_id", "sha1"),
    )

    id: int | None = Field(default=None, primary_key=True)
    owner_id: str = Field(foreign_key="owners.id")
    #: SHA-256 of the original.
    photo: str
    #: 1, 2, 3, ...
    n: int
    recipe_id: str = Field(foreign_key="recipes.id")
    #: Where the file lies, relative to the data directory.
    path: str
    size: int = Field(sa_type=BigInteger)
    sha256: str
    sha1: str
    width: int
    height: int
    #: Version of the engine that made it.
    engine: str = ""
    created_at: datetime = Field(sa_column=moment(nullable=False), default_factory=now)
    #: Publishing.
    publish: Publish = Field(default=Publish.NONE, sa_type=word(Publish))
    #: The state it goes on from once what blocks it is gone.
    blocked_from: Publish | None = Field(default=None, sa_type=word(Publish))
    blocked_reason: str | None = None
    immich_asset_id: str | None = None
    #: What became of it when a newer version took its place, or it was rejected: `trashed`, `tagged`, `marked`, `kept`
    #: or `gone` (`immich.retire.Fate`); None: nothing yet.
    retired: str | None = None
    retired_at: datetime | None = Field(default=None, sa_column=moment())
    #: What we wrote into Immich beside the file (tags, rating, description, albums), to keep from writing it over
    #: what the user made of it since.
    written: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    last_error: str | None = None
    attempts: int = 0
    running: bool = False
    due_at: datetime | None = Field(default=None, sa_column=moment())


class UploadRow(SQLModel, table=True):
    """A version that Immich has taken: it is never uploaded again, even where its owner deleted it there."""

    __tablename__ = "uploads"
    __table_args__ = (
        UniqueConstraint("owner_id", "original_hash", "version"),
        Index("ix_uploads_processed", "owner_id", "immich_processed_id"),
        ForeignKeyConstraint(["owner_id", "original_hash"], ["photos.owner_id", "photos.sha256"]),
    )

    id: int | None = Field(default=None, primary_key=True)
    owner_id: str = Field(foreign_key="owners.id")
    original_hash: str
    #: Number of the version; 0 for the original itself.
    version: int = 0
    immich_original_id: str | None = None
    immich_processed_id: str | None = None
    uploaded_at: datetime = Field(sa_column=moment(nullable=False), default_factory=now)


class ProcessingHistoryRow(SQLModel, table=True):
    """One line per finished or failed run of the work on a photo; only ever added to."""

    __tablename__ = "processing_history"
    __table_args__ = (Index("ix_history_original", "owner_id", "original_file_hash"),)

    id: int | None = Field(default=None, primary_key=True)
    owner_id: str = Field(foreign_key="owners.id")
    original_file_hash: str
    original_path: str
    processed_at: datetime = Field(sa_column=moment(nullable=False), default_factory=now)
    recipe_id: str | None = None
    #: `kept`, `left_alone`, `failed`, `cancelled`.
    status: str
    error_message: str | None = None


class DecisionRow(SQLModel, table=True):
    """One command of a person (or of `auto`), with what undo needs."""

    __tablename__ = "decisions"
    __table_args__ = (
        ForeignKeyConstraint(["owner_id", "photo"], ["photos.owner_id", "photos.sha256"]),
        Index("ix_decisions_photo", "owner_id", "photo", "id"),
    )

    id: int | None = Field(default=None, primary_key=True)
    owner_id: str = Field(foreign_key="owners.id")
    photo: str
    #: `approve`, `reject`, `change`, `preset`, `reset`, `develop`, `auto`, `undo`.
    kind: str
    #: `{review, version, recipe_id, state}` before and after.
    before: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    after: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    at: datetime = Field(sa_column=moment(nullable=False), default_factory=now)
    undone: bool = False


class EventRow(SQLModel, table=True):
    """One stored event; pruned after a day."""

    __tablename__ = "events"
    __table_args__ = (Index("ix_events_owner", "owner_id", "id"), {"sqlite_autoincrement": True})

    id: int | None = Field(default=None, primary_key=True)
    owner_id: str = Field(foreign_key="owners.id")
    sha256: str | None = None
    type: str
    data: dict[str, Any] = Field(default_factory=dict, sa_column=Column(JSON, nullable=False))
    at: datetime = Field(sa_column=moment(nullable=False, index=True), default_factory=now)


class SwitchRow(SQLModel, table=True):
    """A small fact of an owner that must survive a restart, such as `paused` or an album's id."""

    __tablename__ = "switches"

    owner_id: str = Field(foreign_key="owners.id", primary_key=True)
    name: str = Field(primary_key=True)
    value: Any = Field(default=None, sa_column=Column(JSON))
