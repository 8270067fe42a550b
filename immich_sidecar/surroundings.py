"""What `immich-sidecar check`, `verify` and `health` look at."""

import os
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

from immich_sidecar.errors import StorageError
from immich_sidecar.immich.connections import Connection
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
        return [Finding("Immich", True, "none is set; IMMICH_URL and IMMICH_API_KEY connect one")]
    what = f"Immich {settings.immich_url}"
    if not key:
        return [Finding(what, False, "IMMICH_API_KEY is not set; make a key in Immich's account settings")]
    connection = Connection(owner_id=LOCAL_OWNER, url=settings.immich_url, key=key, albums=settings.albums)
    try:
        check = await connection.check()
    finally:
        await connection.close()
    findings = []
    if check.version:
        findings.append(Finding(f"{what} version", True, check.version))
    if check.user_name:
        findings.append(Finding("API key", True, f"belongs to {check.user_name}"))
    words = check.message or "reachable, with all permissions that are needed"
    findings.append(Finding(what, check.ok, words))
    return findings


def ask_health(settings: Settings) -> bool:
    """Whether a service on this computer answers."""
    host = settings.host if settings.host not in ("0.0.0.0", "::", "") else "127.0.0.1"  # noqa: S104
    host = f"[{host}]" if ":" in host else host
    try:
        with urllib.request.urlopen(f"http://{host}:{settings.port}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (OSError, urllib.error.URLError):
        return False
