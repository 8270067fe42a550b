"""The caches, held to a size: what was used longest ago goes first, and never the only copy of anything."""

import asyncio
import heapq
import os
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from sqlmodel import col, select

from immich_sidecar.library.database import Database
from immich_sidecar.library.layout import CACHE_FOLDERS, Layout, is_temporary
from immich_sidecar.library.photos import AT_WORK
from immich_sidecar.library.tables import PhotoRow

#: Part of the limit that is left after an eviction, so that the next one is not due at once.
FILL = 0.9
#: Seconds between two times that a file's use is noted.
TOUCH_SECONDS = 3600


@dataclass(frozen=True)
class CacheState:
    """How full the caches are."""

    #: Bytes in all caches of all owners.
    size: int
    #: Files in them.
    files: int
    #: Files removed just now, and their bytes.
    evicted: int = 0
    evicted_size: int = 0


class Cache:
    """Thumbnails, previews, stored results and fetched originals.

    Parameters
    ----------
    layout, database
        Where the files are, and which of them work is waiting for.
    limit : int
        Bytes that all caches may have together (`SIDECAR_CACHE_MAX`).
    """

    def __init__(self, layout: Layout, database: Database, limit: int) -> None:
        self._layout = layout
        self._database = database
        self.limit = limit

    def touch(self, path: Path) -> None:
        """Note that a file was used. Cheap; blocks for one or two system calls."""
        with suppress(OSError):
            # Its own note, because many systems are mounted so that reading leaves no trace.
            status = path.stat()
            if time.time() - max(status.st_atime, status.st_mtime) > TOUCH_SECONDS:
                os.utime(path, (time.time(), status.st_mtime))

    async def state(self) -> CacheState:
        """How full the caches are; looks at every file in them."""
        return await asyncio.to_thread(self._measure)

    async def evict(self) -> CacheState:
        """Remove what was used longest ago until the caches are within `FILL` of their limit, if they are over it.

        Originals stay while work on them is due, and while Immich is not known to hold them.
        """
        state = await self.state()
        if state.size <= self.limit:
            return state
        pinned = await self._pinned()
        return await asyncio.to_thread(self._evict, state, pinned)

    async def _pinned(self) -> frozenset[str]:
        """Stored paths of cached originals that must stay."""
        async with self._database.reading() as session:
            at_work = col(PhotoRow.state).in_(AT_WORK) & col(PhotoRow.failed_at).is_(None)
            query = select(PhotoRow.path).where(
                col(PhotoRow.path).like("%cache/originals/%"), at_work | col(PhotoRow.immich_asset_id).is_(None)
            )
            return frozenset(path for path in (await session.exec(query)).all() if path is not None)

    def _measure(self) -> CacheState:
        size = files = 0
        for _, status in self._files():
            size += status.st_size
            files += 1
        return CacheState(size, files)

    def _evict(self, state: CacheState, pinned: frozenset[str]) -> CacheState:
        needed = state.size - int(self.limit * FILL)
        # The files to remove, the most recently used of them on top: no list of all files is ever held.
        chosen: list[tuple[float, int, str]] = []
        held = 0
        for path, status in self._files():
            if pinned and self._layout.relative(Path(path)) in pinned:
                continue
            used = max(status.st_atime, status.st_mtime)
            if held >= needed and used >= -chosen[0][0]:
                continue
            heapq.heappush(chosen, (-used, status.st_size, path))
            held += status.st_size
            while chosen and held - chosen[0][1] >= needed:
                held -= heapq.heappop(chosen)[1]
        evicted = evicted_size = 0
        for _, size, path in chosen:
            with suppress(OSError):
                Path(path).unlink()
                evicted += 1
                evicted_size += size
        return CacheState(state.size - evicted_size, state.files - evicted, evicted, evicted_size)

    def _files(self) -> Iterator[tuple[str, os.stat_result]]:
        for _, home in self._layout.homes():
            for kind in CACHE_FOLDERS:
                yield from _walk(home / "cache" / kind)


def _walk(folder: Path) -> Iterator[tuple[str, os.stat_result]]:
    try:
        entries = os.scandir(folder)
    except OSError:
        return
    with entries:
        for entry in entries:
            with suppress(OSError):
                if entry.is_dir(follow_symlinks=False):
                    yield from _walk(Path(entry.path))
                elif entry.is_file(follow_symlinks=False) and not is_temporary(entry.name):
                    yield entry.path, entry.stat(follow_symlinks=False)
