"""What a crash left behind, put in order at the start, before anything else writes.

Only files with the temporary names of ours, in our own folders, are touched: bytes that never became a file, a
version that was rendered but is not wanted any more, a recipe's copy that was waiting for its row.
"""

import asyncio
import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from immich_sidecar.library import photos, switches
from immich_sidecar.library.database import Database
from immich_sidecar.library.layout import CACHE_FOLDERS, KEPT_FOLDERS, Layout, is_temporary
from immich_sidecar.library.owners import ensure_owner
from immich_sidecar.library.tables import LOCAL_OWNER, RecipeRow, WorkState

#: Seconds by which the clock may have been set back since the last start.
CLOCK_SECONDS = 86_400

_CLEARED = "leftovers_cleared_at"
_RENDERING = re.compile(r"\.([0-9a-f]{64})_v([0-9]+)\.part\Z")
_WAITING_RECIPE = re.compile(r"\.([0-9A-Za-z-]{1,64})\.json\.part\Z")


@dataclass(frozen=True)
class Leftovers:
    """What was done about them."""

    #: Temporary files removed.
    removed: int = 0
    #: Copies of recipes that got their name.
    finished: int = 0


async def remove_leftovers(database: Database, layout: Layout) -> Leftovers:
    """Remove temporary files of ours that nothing waits for, and finish what only lacked its name.

    Call it at the start, while no other process uses the data directory. What cannot be removed stays. Only folders
    that changed since the last call are read, so that a million files do not delay the start.
    """
    began = time.time()
    async with database.reading() as session:
        since = await switches.get(session, LOCAL_OWNER, _CLEARED, 0.0) - CLOCK_SECONDS
    removed = finished = 0
    for owner_id, path in await asyncio.to_thread(lambda: list(temporary_files(layout, since=since))):
        if match := _WAITING_RECIPE.match(path.name):
            async with database.reading() as session:
                row = await session.get(RecipeRow, match[1])
            if row is not None and row.owner_id == owner_id and layout.absolute(row.path).parent == path.parent:
                with suppress(OSError):
                    await asyncio.to_thread(path.replace, layout.absolute(row.path))
                    finished += 1
                continue
        elif match := _RENDERING.match(path.name):
            async with database.reading() as session:
                photo = await photos.find(session, owner_id, match[1])
            if photo is not None and photo.state is WorkState.RENDERED and photo.version == int(match[2]):
                continue  # a finished version that only has to be kept
        with suppress(OSError):
            await asyncio.to_thread(path.unlink)
            removed += 1
    async with database.transaction() as session:
        await ensure_owner(session, LOCAL_OWNER)
        await switches.put(session, LOCAL_OWNER, _CLEARED, began)
    return Leftovers(removed, finished)


def temporary_files(layout: Layout, *, since: float = 0.0) -> Iterator[tuple[str, Path]]:
    """Every file of ours with a temporary name, with its owner. Blocks; follows no links.

    Folders of a month (of two digits, in the caches) whose last change is before `since` are not read.
    """
    for owner_id, home in layout.homes():
        for folder in (*KEPT_FOLDERS, *(f"cache/{name}" for name in CACHE_FOLDERS)):
            # originals/2026/11 and cache/previews/ab: where most files are, and nothing below.
            depth = 1 if folder.startswith("cache/") else 2
            for path in _names(home / folder, depth, since):
                if is_temporary(path.name) or _WAITING_RECIPE.match(path.name):
                    yield owner_id, path


def _names(folder: Path, depth: int, since: float) -> Iterator[Path]:
    """Files with a hidden name in a folder and the `depth` levels below it."""
    try:
        if not depth and folder.stat().st_mtime < since:
            return
        entries = os.scandir(folder)
    except OSError:
        return
    with entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if depth:
                    yield from _names(Path(entry.path), depth - 1, since)
            elif entry.name.startswith("."):
                yield Path(entry.path)
