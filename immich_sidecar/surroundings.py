"""What `immich-sidecar check`, `verify` and `health` look at."""

import os
import sqlite3
import urllib.error
import urllib.request
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from immich_sidecar.errors import ImmichError, ImmichRefusedError, SettingsError, StorageError
from immich_sidecar.immich.api import Api
from immich_sidecar.immich.compatibility import check_version
from immich_sidecar.immich.connections import Connection, ConnectionCheck
from immich_sidecar.immich.secrets import Secrets
from immich_sidecar.library import integrity
from immich_sidecar.library.database import Database
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.space import Space
from immich_sidecar.library.tables import LOCAL_OWNER
from immich_sidecar.settings import Settings


@dataclass(frozen=True)
class Finding:
    """One thing that `immich-sidecar check` looked at."""

    #: What was looked at.
    what: str
    #: Whether it is as it should be.
    ok: bool
    #: What was found, and what can be done about it.
    words: str


async def verify_library(settings: Settings, *, deep: bool) -> integrity.Report:
    """Hold files against rows.

    Raises
    ------
    StorageError
        If there is no database yet.
    """
    layout = Layout(settings.data_dir)
    if not layout.database.exists():
        raise StorageError(
            f"{layout.database}: there is nothing to verify; SIDECAR_DATA_DIR names the folder to look in"
        )
    database = Database(layout.database)
    await database.open()
    try:
        return await integrity.verify(database, layout, deep=deep)
    finally:
        await database.close()


async def check_surroundings(settings: Settings) -> list[Finding]:
    """Look whether folders are usable and whether Immich is, without changing anything there."""
    findings = [_check_data_directory(settings)]
    findings += [_check_hot_folder(folder.path, folder.owner) for folder in settings.folders()]
    findings += await _check_immich(settings)
    return findings


def _check_data_directory(settings: Settings) -> Finding:
    what = f"data directory {settings.data_dir}"
    existing = next(folder for folder in (settings.data_dir, *settings.data_dir.parents) if folder.exists())
    if not existing.is_dir() or not os.access(existing, os.W_OK | os.X_OK):
        return Finding(what, False, f"{existing} cannot be written to; change its permissions or SIDECAR_DATA_DIR")
    space = Space(existing, settings.min_free)
    if space.short():
        return Finding(what, False, f"{space.free() >> 20} MiB are free, less than SIDECAR_MIN_FREE; work would pause")
    return Finding(what, True, f"writable, {space.free() >> 30} GiB free")


def _check_hot_folder(path: Path, owner: str) -> Finding:
    what = f"hot folder {path} (owner {owner})"
    if not path.is_dir():
        return Finding(what, False, "does not exist; it is taken from as soon as it does")
    if not os.access(path, os.R_OK | os.X_OK):
        return Finding(what, False, "cannot be read; change its permissions")
    return Finding(what, True, "readable")


async def _check_immich(settings: Settings) -> list[Finding]:
    key = settings.api_key()
    if not settings.immich_url:
        return [Finding("Immich", True, "none is set; IMMICH_URL connects one")]
    kept, problem = _kept_connections(settings)
    connections = [
        Connection(owner_id=owner, url=settings.immich_url, key=secret, from_settings=False) for owner, secret in kept
    ]
    if key is not None:
        connections.insert(
            0, Connection(owner_id=LOCAL_OWNER, url=settings.immich_url, key=key, albums=settings.albums)
        )
    findings = [] if problem is None else [problem]
    if not connections and problem is None:
        findings += await _check_server(settings.immich_url)
    for connection in connections:
        try:
            findings += _found(connection, await connection.check(), version=not findings)
        finally:
            await connection.close()
    return findings


def _found(connection: Connection, check: ConnectionCheck, *, version: bool) -> list[Finding]:
    what = f"Immich {connection.url}"
    findings = []
    if check.version and version:
        findings.append(Finding(f"{what} version", True, check.version))
    if check.user_name:
        kind = "API key" if connection.from_settings else f"API key of owner {connection.owner_id}"
        findings.append(Finding(kind, True, f"belongs to {check.user_name}"))
    words = check.message or "reachable, with all permissions that are needed"
    findings.append(Finding(what if connection.from_settings else f"{what} for {connection.owner_id}", check.ok, words))
    return findings


async def _check_server(url: str) -> list[Finding]:
    """Nobody is connected: look whether somebody could be."""
    what = f"Immich {url}"
    api = Api(url)
    try:
        if not await api.ping():
            raise ImmichRefusedError(f"what answers at {url} is not Immich; check IMMICH_URL")
        version = check_version(*await api.version())
    except ImmichError as error:
        return [Finding(what, False, str(error))]
    finally:
        await api.close()
    return [
        Finding(f"{what} version", True, version),
        Finding(what, True, "reachable; nobody is connected yet: sign in on the page, or set IMMICH_API_KEY"),
    ]


def _kept_connections(settings: Settings) -> tuple[list[tuple[str, str]], Finding | None]:
    """Owner and key of each connection that a user made, and what is wrong with their keys; changes nothing."""
    database = Layout(settings.data_dir).database
    if not database.exists():
        return [], None
    with closing(sqlite3.connect(f"{database.as_uri()}?mode=ro", uri=True)) as opened:
        try:
            rows = opened.execute(
                "SELECT owner_id, key FROM connections WHERE key IS NOT NULL AND disconnected_at IS NULL ORDER BY id"
            ).fetchall()
        except sqlite3.Error:
            # A database of an earlier release: it has none.
            return [], None
    if not rows:
        return [], None
    what = "keys of connected users"
    try:
        secrets = Secrets.load(settings, make=False)
        return [(owner, secrets.decrypt(key)) for owner, key in rows], None
    except SettingsError as error:
        return [], Finding(what, False, str(error))


def ask_health(settings: Settings) -> bool:
    """Whether a service on this computer answers."""
    host = settings.host if settings.host not in ("0.0.0.0", "::", "") else "127.0.0.1"  # noqa: S104
    host = f"[{host}]" if ":" in host else host
    try:
        with urllib.request.urlopen(f"http://{host}:{settings.port}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
