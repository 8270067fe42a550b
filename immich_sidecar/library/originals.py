"""Originals: found, put back, and removed only where that was asked for."""

import asyncio
from contextlib import suppress
from pathlib import Path

from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.errors import IntegrityError
from immich_sidecar.library import companions, photos
from immich_sidecar.library.database import Database, after_commit
from immich_sidecar.library.files import adopt, hash_file
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.tables import PhotoRow


class EvictedError(IntegrityError):
    """Our copy of an original that lives in Immich was evicted or removed; it can be fetched again."""


def is_cached(path: str) -> bool:
    """Whether a stored path lies in a cache, where it may vanish."""
    return path.startswith("cache/") or (path.startswith("owners/") and path.split("/", 3)[2:3] == ["cache"])


def locate(layout: Layout, photo: PhotoRow) -> Path:
    """Where the original's bytes are.

    Raises
    ------
    EvictedError
        If we hold no copy at present, and that is as it should be: fetch it again by its asset.
    IntegrityError
        If our copy is missing.
    """
    if photo.path is None:
        raise EvictedError(f"{photo.file_name} ({photo.sha256}): our copy was removed; Immich holds the original")
    path = layout.absolute(photo.path)
    if path.is_file():
        return path
    if is_cached(photo.path):
        raise EvictedError(f"{photo.file_name} ({photo.sha256}): our copy was evicted; Immich holds the original")
    raise IntegrityError(f"{path}: the original of {photo.owner_id} is missing; `immich-sidecar verify` tells more")


async def put_back(database: Database, layout: Layout, owner_id: str, sha256: str, fetched: Path) -> Path:
    """Make a file that was fetched again the photo's copy, after checking its SHA-256.

    `fetched` lies in the data directory under a temporary name and is moved; on any error it is left.

    Raises
    ------
    NotFoundError
        If the owner has no such photo.
    IntegrityError
        If the bytes are not the photo's.
    """
    digests = await asyncio.to_thread(hash_file, fetched)
    if digests.sha256 != sha256:
        raise IntegrityError(f"{fetched}: has the SHA-256 {digests.sha256}, not {sha256}; it is another file")
    async with database.reading() as session:
        photo = await photos.get(session, owner_id, sha256)
    path = photo.path or layout.cached_original(owner_id, sha256, photo.file_name)
    await asyncio.to_thread(adopt, fetched, layout.absolute(path))
    if path != photo.path:
        async with database.transaction() as session:
            current = await photos.get(session, owner_id, sha256)
            current.path = path
            session.add(current)
    return layout.absolute(path)


async def remove_copy(session: AsyncSession, layout: Layout, owner_id: str, sha256: str) -> None:
    """Give up our copy in the caller's transaction (`SIDECAR_KEEP_ORIGINALS=false`).

    The caller has made sure that Immich holds the same bytes. The file goes after the commit, so that no row ever
    names a file that was removed; a crash in between leaves a surplus file, which `verify` mentions.
    """
    photo = await photos.get(session, owner_id, sha256)
    if photo.path is not None:
        await companions.forget_path(session, photo)
        file = layout.absolute(photo.path)
        photo.path = None
        session.add(photo)
        after_commit(session, lambda: _remove(file))


def _remove(file: Path) -> None:
    with suppress(OSError):
        file.unlink()
