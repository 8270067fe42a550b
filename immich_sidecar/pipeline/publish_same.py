"""Versions of one photo with the same bytes: Immich keeps one asset for them, and one version owns it.

Going back to an earlier recipe makes the earlier file again. Its asset then passes from the earlier version to the
current one, with all that we know of it, and back when that is undone; it is never sent a second time.
"""

from collections.abc import Iterable
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.immich.retire import HANDED_ON
from immich_sidecar.library import processed
from immich_sidecar.library.tables import AlbumEntryRow, Publish, VersionRow
from immich_sidecar.pipeline.publish_scene import CARRIED, NATIVE, NATIVE_REFUSED, SENT, same_as

#: In `VersionRow.written`: what is said of the version, and not of its asset.
_OF_THE_VERSION = (SENT, NATIVE, NATIVE_REFUSED, HANDED_ON)
_IN_PLACE = (Publish.STACKED, Publish.MARKED)


async def owner_of(session: AsyncSession, version: VersionRow, asset_id: str | None) -> VersionRow | None:
    """The other version of the same photo and bytes that owns this asset; None where there is none."""
    rows = await processed.all_of(session, version.owner_id, version.photo)
    return next((row for row in same_as(version, rows) if asset_id and row.immich_asset_id == asset_id), None)


async def take_over(session: AsyncSession, version: VersionRow, earlier: VersionRow) -> None:
    """Let a version own the asset of another one with the same bytes, wherever we have put that."""
    version.immich_asset_id, earlier.immich_asset_id = earlier.immich_asset_id, None
    version.retired, earlier.retired = earlier.retired, None
    version.retired_at, earlier.retired_at = earlier.retired_at, None
    stood = earlier.blocked_from if earlier.publish is Publish.BLOCKED else earlier.publish
    # What was in its stack and is not any more was taken out of it by its owner.
    version.publish = Publish.STACKED if stood in _IN_PLACE else Publish.UPLOADED
    earlier.publish, earlier.blocked_from, earlier.blocked_reason = Publish.NONE, None, None
    earlier.attempts, earlier.last_error, earlier.due_at = 0, None, None
    of_asset = {name: value for name, value in earlier.written.items() if name not in _OF_THE_VERSION}
    if version.retired is not None:
        # What other versions were given since is carried over to it anew.
        of_asset.pop(CARRIED, None)
    version.written = {**_only(version.written, (NATIVE, NATIVE_REFUSED)), **of_asset}
    earlier.written = {**_only(earlier.written, (NATIVE, NATIVE_REFUSED)), HANDED_ON: version.n}
    session.add(version)
    session.add(earlier)
    await _pass_on_albums(session, version, earlier)


async def _pass_on_albums(session: AsyncSession, version: VersionRow, earlier: VersionRow) -> None:
    entries = (
        await session.exec(
            select(AlbumEntryRow).where(
                col(AlbumEntryRow.owner_id) == version.owner_id, col(AlbumEntryRow.photo) == version.photo
            )
        )
    ).all()
    there = {entry.album_id for entry in entries if entry.n == version.n}
    for entry in entries:
        if entry.n != earlier.n:
            continue
        if entry.album_id in there:
            await session.delete(entry)
        else:
            entry.n = version.n
            session.add(entry)


def _only(written: dict[str, Any], names: Iterable[str]) -> dict[str, Any]:
    return {name: written[name] for name in names if name in written}
