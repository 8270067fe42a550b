"""A data directory of the release before opens, with everything that was in it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import create_engine
from sqlmodel import SQLModel, select

from immich_sidecar.errors import StorageError
from immich_sidecar.library import database as database_module
from immich_sidecar.library import photo_words, tables
from immich_sidecar.library.database import Database
from immich_sidecar.library.tables import ConnectionRow, IntakeState, PhotoRow, Publish, Review, VersionRow, WorkState

AT = "2025-01-02 03:04:05.000000"
SHA256, OTHER = "a" * 64, "b" * 64

#: What a service of the first release had written; what is not named gets a value of its type.
ROWS: list[tuple[str, dict[str, Any]]] = [
    ("owners", {"id": "local", "name": "local"}),
    ("owners", {"id": "ada", "name": "Ada"}),
    (
        "connections",
        {"id": 7, "owner_id": "local", "url": "http://immich:2283", "immich_user_id": "user-1", "state": "ok"}
        | {"immich_user_name": "Ada", "permissions": '["all"]', "watch_from": AT, "created_cursor": AT},
    ),
    ("photos", {"owner_id": "local", "sha256": SHA256, "source": "immich", "state": "kept", "review": "pending"}
     | {"connection_id": 7, "immich_asset_id": "asset-1", "original_publish": "original_uploaded", "version": 1}
     | {"analysis": '{"tilt": 1}', "recipe_id": "recipe-1", "priority": 3, "file_name": "ÄRGER.JPG"}),
    ("photos", {"owner_id": "ada", "sha256": OTHER, "source": "hot_folder", "state": "stored", "review": "none"}
     | {"original_publish": "none", "connection_id": None}),
    ("assets", {"id": 1, "owner_id": "local", "connection_id": 7, "asset_id": "asset-1", "state": "fetched"}
     | {"sha256": SHA256}),
    ("assets", {"id": 2, "owner_id": "local", "connection_id": 7, "asset_id": "asset-2", "state": "skipped"}
     | {"reason": "a video"}),
    ("recipes", {"id": "recipe-1", "owner_id": "local", "original_hash": SHA256, "operations": "[]"}),
    ("versions", {"id": 1, "owner_id": "local", "photo": SHA256, "n": 1, "recipe_id": "recipe-1"}
     | {"publish": "stacked", "blocked_from": None, "immich_asset_id": "asset-9"}),
    ("uploads", {"id": 1, "owner_id": "local", "original_hash": SHA256, "version": 1}),
    ("files", {"id": 1, "owner_id": "local", "path": "/in/a.jpg", "state": "fetched"}),
    ("processing_history", {"id": 1, "owner_id": "local", "original_file_hash": SHA256, "status": "kept"}),
    ("decisions", {"id": 1, "owner_id": "local", "photo": SHA256, "kind": "approve", "before": "{}"}),
    ("events", {"id": 41, "owner_id": "local", "type": "photo_ready", "data": "{}"}),
    ("switches", {"owner_id": "local", "name": "paused", "value": "true"}),
]  # fmt: skip


def first_release(path: Path) -> None:
    """Make the database as the first release left it, with rows in every table."""
    engine = create_engine(f"sqlite:///{path}")
    config = Config()
    config.set_main_option("script_location", str(database_module._MIGRATIONS))
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    engine.dispose()
    with closing(sqlite3.connect(path)) as opened, opened:
        tables_there = {
            row[0]
            for row in opened.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if not row[0].startswith(("sqlite_", "alembic_"))
        }
        assert tables_there == {name for name, _ in ROWS}
        for name, given in ROWS:
            values = {}
            for _, column, kind, required, *_ in opened.execute(f"PRAGMA table_info({name})"):
                if column in given:
                    values[column] = given[column]
                elif required:
                    values[column] = (
                        AT if "DATE" in kind else "[]" if kind == "JSON" else 0 if "CHAR" not in kind else "x"
                    )
            marks = ", ".join("?" * len(values))
            opened.execute(f"INSERT INTO {name} ({', '.join(values)}) VALUES ({marks})", list(values.values()))
        assert opened.execute("PRAGMA foreign_key_check").fetchall() == []


def contents(path: Path, columns: dict[str, list[str]] | None = None) -> dict[str, list[dict[str, Any]]]:
    """All rows by table; of some columns only, where that is said."""
    with closing(sqlite3.connect(path)) as opened:
        opened.row_factory = sqlite3.Row
        names = dict.fromkeys(name for name, _ in ROWS)
        return {
            name: [
                {column: row[column] for column in (columns[name] if columns else row.keys())}
                for row in opened.execute(f"SELECT * FROM {name} ORDER BY rowid")
            ]
            for name in names
        }


async def test_everything_of_the_first_release_is_there_and_can_be_used(tmp_path: Path) -> None:
    path = tmp_path / "sidecar.db"
    first_release(path)
    before = contents(path)
    database = Database(path)
    await database.open()
    async with database.reading() as session:
        for table in SQLModel.__subclasses__():
            if table.__module__.startswith("immich_sidecar.library.tables"):
                list((await session.exec(select(table))).all())
        connection = (await session.exec(select(ConnectionRow))).one()
        photo = (await session.exec(select(PhotoRow).where(PhotoRow.sha256 == SHA256))).one()
        version = (await session.exec(select(VersionRow))).one()
        asset = await session.get_one(tables.AssetRow, 2)
        assert await photo_words.search(session, "local", "ärger", limit=5) == [SHA256]
    assert (connection.id, connection.state, connection.permissions) == (7, "ok", ["all"])
    assert (connection.key, connection.choices, connection.rules, connection.workflow_ids) == (None, {}, {}, [])
    assert (connection.disconnected_at, connection.is_admin, connection.key_made_by_us) == (None, False, False)
    assert connection.created_cursor is not None
    assert (photo.state, photo.review, photo.analysis) == (WorkState.KEPT, Review.PENDING, {"tilt": 1})
    assert (photo.mode, photo.badge, photo.read_only, photo.backfill_id) == (None, None, False, None)
    assert (version.publish, version.retired, version.written) == (Publish.STACKED, None, {})
    assert (asset.state, asset.noticed_by, asset.reason) == (IntakeState.SKIPPED, "poll", "a video")
    await database.close()
    old = {name: list(rows[0]) for name, rows in before.items()}
    assert contents(path, old) == before
    # A second opening changes nothing more.
    after = contents(path)
    await database.open()
    await database.close()
    assert contents(path) == after


async def test_a_migration_that_fails_leaves_the_database_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "sidecar.db"
    first_release(path)
    with closing(sqlite3.connect(path)) as opened, opened:
        opened.execute("PRAGMA foreign_keys = OFF")
        opened.execute("UPDATE versions SET recipe_id = 'gone'")
    before = contents(path)
    with pytest.raises(StorageError, match="versions"):
        await Database(path).open()
    assert contents(path) == before
    with closing(sqlite3.connect(path)) as opened:
        assert opened.execute("SELECT version_num FROM alembic_version").fetchall() == [("0001",)]
