"""Versions follow their originals into albums, and out again.

An approved version goes into every album that its original is in and that its owner may write to: own ones, and
those shared with them as an editor. A version that nobody approved goes nowhere, because others may look at an album.
What we put there is remembered (`AlbumEntryRow`) and taken out when the original leaves, or the version is not wanted
any more; what its owner took out is not put back, and what its owner put in stays.

Albums are looked through only where they changed: one list says of every album when it changed and how much is in it.
"""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from immich_py_client.models import Album

from immich_sidecar.errors import ImmichGoneError, ImmichPermissionError, ImmichRefusedError
from immich_sidecar.immich.album_entries import AlbumEntries, Pair
from immich_sidecar.immich.albums import ORIGINALS, PROCESSED, Albums
from immich_sidecar.immich.api import LARGEST_PAGE, SearchFilter
from immich_sidecar.immich.compatibility import role_in
from immich_sidecar.immich.connections import Connection
from immich_sidecar.immich.moments import moment
from immich_sidecar.library import switches
from immich_sidecar.library.database import Database
from immich_sidecar.library.tables import AlbumEntryRow, PhotoRow, VersionRow

log = logging.getLogger(__name__)

#: Seconds between two looks at the list of albums, and until the rest is looked through where there was too much.
EVERY_SECONDS, GO_ON_SECONDS = 600.0, 20.0
#: Requests of one look, at most; an album that was begun is read to its end.
MOST_REQUESTS = 60
#: An album is looked through again after this long even if nothing seems to have changed in it.
LOOK_ANYWAY = timedelta(days=1)
#: Assets put into an album, or taken out, with one call.
AT_ONCE = 500

#: What the key has to allow.
PERMISSIONS = ("album.read", "albumAsset.create")


@dataclass
class _Budget:
    """Requests of one look."""

    spent: int = 0

    def spend(self, number: int = 1) -> None:
        self.spent += number

    @property
    def is_used_up(self) -> bool:
        return self.spent >= MOST_REQUESTS


@dataclass
class _Known:
    """What was seen of the albums: by id what changes with them, and when they were looked through."""

    albums: dict[str, list[str]] = field(default_factory=dict)

    def is_fresh(self, album_id: str, mark: str, at: datetime) -> bool:
        seen_mark, read_at = self.albums.get(album_id, ("", ""))
        looked = moment(read_at)
        return seen_mark == mark and looked is not None and at - looked < LOOK_ANYWAY


class FollowedAlbums:
    """The albums of one connection.

    Parameters
    ----------
    connection, database
        Whose albums they are.
    albums
        Knows our own two albums, which nobody follows anybody into.
    """

    def __init__(self, connection: Connection, database: Database, albums: Albums) -> None:
        self._connection = connection
        self._api = connection.api
        self._database = database
        self._albums = albums
        self._entries = AlbumEntries(database, connection)
        self._next_look = 0.0
        self._rests = False

    # ---- one photo, while it is published

    async def put(self, photo: PhotoRow, version: VersionRow) -> None:
        """Put an approved version into the albums that its original is in."""
        if photo.immich_asset_id is None or version.immich_asset_id is None:
            return
        try:
            listed = await self._api.albums(asset_id=photo.immich_asset_id)
        except (ImmichGoneError, ImmichPermissionError) as error:
            # No reason to keep a photo from being published.
            log.info("%s is put into no album: %s", photo.file_name, error)
            return
        own = await self._own()
        entered = {row.album_id for row in await self._entries.of_version(photo, version.n) if row.added_at is not None}
        pair = Pair(photo.sha256, version.n, photo.immich_asset_id, version.immich_asset_id)
        for album in listed:
            if not album.id or album.id in own or album.id in entered:
                continue
            if self._is_open(album):
                await self._add(album.id, [pair])
            else:
                log.info("%s stays out of the album %s: its owner lets us look only", photo.file_name, album.id)

    async def take_out(self, photo: PhotoRow, version: VersionRow) -> None:
        """Take a version that is not wanted (any more) out of the albums that we put it into."""
        rows = await self._entries.of_version(photo, version.n)
        for row in rows:
            if version.immich_asset_id is not None:
                await self._remove(row.album_id, [version.immich_asset_id])
        await self._entries.forget(rows)

    # ---- all of them, now and then

    async def look(self) -> int:
        """Look for albums that changed, and let versions follow their originals; gives the number of requests.

        Most calls do nothing: the list is asked for every ten minutes.

        Raises
        ------
        ImmichError
            If Immich does not answer; what was done is remembered.
        """
        if time.monotonic() < self._next_look:
            return 0
        self._next_look, self._rests = time.monotonic() + EVERY_SECONDS, False
        if not await self._entries.are_any():
            return 0
        budget = _Budget()
        budget.spend()
        listed = {album.id: album for album in await self._api.albums() if album.id}
        known, at = await self._read_known(), datetime.now(UTC)
        known.albums = {album_id: seen for album_id, seen in known.albums.items() if album_id in listed}
        own = await self._own()
        changed = {
            album_id: album
            for album_id, album in listed.items()
            if album_id not in own and not known.is_fresh(album_id, self._mark(album), at)
        }
        gone = await self._entries.albums() - listed.keys()
        if not changed and not gone:
            return budget.spent
        pairs, entries = await self._entries.pairs(), await self._entries.by_album()
        for album_id in gone & entries.keys():
            # Deleted, or not shared with us any more: there is nothing to take out of it.
            await self._entries.forget(entries[album_id])
        try:
            for album_id, album in changed.items():
                mark = self._mark(album)
                if budget.is_used_up:
                    self._next_look = time.monotonic() + GO_ON_SECONDS
                    break
                again = self._is_open(album) and await self._look_through(
                    album_id, pairs, entries.get(album_id, ()), budget
                )
                # Read before what we did, so that the next list shows our own change: looked through once more.
                known.albums[album_id] = ["" if again else mark, at.isoformat()]
        finally:
            await self._write_known(known)
        return budget.spent

    async def rest(self) -> None:
        """Follow nobody for now; once that begins again, every album is looked through."""
        if not self._rests:
            await self._write_known(_Known())
            self._rests = True
            self.look_soon()

    def look_soon(self) -> None:
        """Let the next `look` ask, whenever the last one was."""
        self._next_look = 0.0

    async def _look_through(
        self, album_id: str, pairs: Sequence[Pair], entries: Sequence[AlbumEntryRow], budget: _Budget
    ) -> bool:
        """Let versions follow into one album and out of it; whether it is to be looked through again."""
        inside = await self._inside(album_id, budget)
        if inside is None:
            return False
        ours = {(row.photo, row.n) for row in entries if row.added_at is not None}
        begun = {(row.photo, row.n) for row in entries if row.added_at is None}
        new = [
            pair
            for pair in pairs
            if pair.original_id in inside
            and (pair.version_id not in inside or (pair.photo, pair.n) in begun)
            and (pair.photo, pair.n) not in ours
        ]
        for start in range(0, len(new), AT_ONCE):
            budget.spend()
            await self._add(album_id, new[start : start + AT_ONCE])
        left, is_all = await self._have_left(album_id, entries, inside, budget)
        versions = [version_id for _, version_id in left if version_id is not None]
        for start in range(0, len(versions), AT_ONCE):
            budget.spend()
            await self._remove(album_id, versions[start : start + AT_ONCE])
        await self._entries.forget([row for row, _ in left])
        return bool(new or left) or not is_all

    async def _inside(self, album_id: str, budget: _Budget) -> set[str] | None:
        """What is in the album, also in the trash; None where it cannot be read any more."""
        inside: set[str] = set()
        for visibility in ("timeline", "archive"):
            wanted = SearchFilter(visibility, album_ids=(album_id,), with_deleted=True)
            page, more = 1, True
            while more:
                budget.spend()
                try:
                    found, more = await self._api.search_assets(wanted, page=page, size=LARGEST_PAGE, with_exif=False)
                except (ImmichGoneError, ImmichRefusedError):
                    return None
                inside.update(asset.id for asset in found if asset.id)
                page += 1
        return inside

    async def _have_left(
        self, album_id: str, entries: Sequence[AlbumEntryRow], inside: set[str], budget: _Budget
    ) -> tuple[list[tuple[AlbumEntryRow, str | None]], bool]:
        """Entries whose original is not in the album any more, with the asset of the version; and whether it is all.

        Each is asked about by itself: pages shift, and an original that was deleted or hidden did not leave.
        """
        if not entries:
            return [], True
        assets = await self._entries.assets_in(album_id)
        left: list[tuple[AlbumEntryRow, str | None]] = []
        for row in entries:
            original_id, version_id = assets.get(row.id, (None, None))
            if original_id is None or original_id in inside:
                continue
            if budget.is_used_up:
                return left, False
            budget.spend(2)
            if await self._has_left(album_id, original_id):
                left.append((row, version_id))
        return left, True

    async def _has_left(self, album_id: str, original_id: str) -> bool:
        try:
            asset = await self._api.asset(original_id)
            if asset.is_trashed or asset.visibility not in ("timeline", "archive"):
                return False
            return album_id not in {album.id for album in await self._api.albums(asset_id=original_id)}
        except ImmichGoneError:
            return False

    # ---- inside

    def _is_open(self, album: Album) -> bool:
        """Whether we may put our versions there: it is the user's own, or shared with them as an editor."""
        return role_in(album, self._connection.user_id) in ("owner", "editor")

    def _mark(self, album: Album) -> str:
        """What changes with an album, or with what we may do there."""
        changed = album.additional_properties.get("updatedAt")
        return f"{changed}|{album.asset_count or 0}|{'open' if self._is_open(album) else 'closed'}"

    async def _add(self, album_id: str, pairs: Sequence[Pair]) -> None:
        """Add versions, and remember those that we added.

        It is written before that we are about to: what is found there after a crash is known to be our doing, and
        what is found there otherwise was put there by its owner.
        """
        rows, begun_before = await self._entries.begin(album_id, pairs)
        try:
            results = await self._api.add_to_album(album_id, [pair.version_id for pair in pairs])
        except (ImmichGoneError, ImmichPermissionError) as error:
            log.info("nothing is put into the album %s: %s", album_id, error)
            await self._entries.forget(rows.values())
            return
        added = set()
        for result in results:
            row = rows.get(result.id or "")
            if row is not None and (result.success or (result.error == "duplicate" and row.id in begun_before)):
                added.add(row.id)
            elif result.error != "duplicate":
                log.info("asset %s is not put into the album %s: %s", result.id, album_id, result.error)
        await self._entries.forget([row for row in rows.values() if row.id not in added])
        await self._entries.settle(added)

    async def _remove(self, album_id: str, version_ids: Sequence[str]) -> None:
        """Take versions out; where that cannot be, they stay, and are their owner's."""
        try:
            results = await self._api.remove_from_album(album_id, list(version_ids))
        except (ImmichGoneError, ImmichPermissionError) as error:
            log.info("nothing is taken out of the album %s: %s", album_id, error)
            return
        for result in results:
            if not result.success and result.error != "not_found":
                log.info("asset %s stays in the album %s: %s", result.id, album_id, result.error)

    async def _own(self) -> set[str]:
        names = [await self._albums.remembered(name) for name in (ORIGINALS, PROCESSED)]
        return {name for name in names if name is not None}

    def _switch(self) -> str:
        return f"albums.{self._connection.row_id}.seen"

    async def _read_known(self) -> _Known:
        async with self._database.reading() as session:
            kept = await switches.get(session, self._connection.owner_id, self._switch())
        if not isinstance(kept, dict):
            return _Known()
        return _Known({key: value for key, value in kept.items() if isinstance(value, list) and len(value) == 2})

    async def _write_known(self, known: _Known) -> None:
        async with self._database.transaction() as session:
            await switches.put(session, self._connection.owner_id, self._switch(), known.albums)
