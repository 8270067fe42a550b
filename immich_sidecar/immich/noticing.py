"""Noticing new photos in Immich.

Two questions find them: every few seconds "what came in since the last time", and every hour "what changed", for
what was restored from the trash or made visible. Both ask for closed windows of time that overlap with the ones
before; each asset becomes one row, so seeing it again does no harm. A window that does not fit into one page is
halved until it does, because pages shift while assets change.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from immich_py_client.models import Asset
from immich_py_client.models.visibility import Visibility
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.errors import ImmichAwayError
from immich_sidecar.immich.api import LARGEST_PAGE, SearchWindow
from immich_sidecar.immich.connections import Connection
from immich_sidecar.immich.rules import CHANGEABLE, Skip, moment, reason_to_skip, sha1_of
from immich_sidecar.library.database import Database
from immich_sidecar.library.tables import AssetRow, ConnectionRow, IntakeState, PhotoRow, Publish, VersionRow

#: How much of what was already asked for is asked for again: transactions of Immich may commit late.
OVERLAP = timedelta(minutes=10)
#: How far a window reaches into the future, so that clocks need not agree to the second.
AHEAD = timedelta(minutes=1)
#: Time between two questions for what changed.
UPDATED_EVERY = timedelta(hours=1)

#: A clock that agrees with ours to this is taken for right.
_TRUSTED = timedelta(minutes=5)
_VISIBILITIES: tuple[Visibility, ...] = ("timeline", "archive")
_SMALLEST_WINDOW = timedelta(milliseconds=2)
#: Pages of a window that cannot be halved any more are read until nothing new turns up, but not for ever.
_PASSES = 10


@dataclass(frozen=True)
class Outcome:
    """What becomes of an asset's row."""

    state: IntakeState
    reason: str | None = None
    #: The photo, where it is one now.
    sha256: str | None = None
    #: Whether an attempt failed.
    failed: bool = False


class Noticing:
    """Keeps the rows of one connection's assets up to date; downloads nothing.

    Parameters
    ----------
    connection
        Has been refreshed before.
    database
        Where the rows are.
    page
        Assets per page of an answer, at most 1000.
    """

    def __init__(self, connection: Connection, database: Database, *, page: int = LARGEST_PAGE) -> None:
        self._connection = connection
        self._api = connection.api
        self._database = database
        self._page = page

    async def poll(self) -> int:
        """Notice what came into Immich since the last time; gives the number of assets that are to be fetched."""
        row, watch_from = await self._connection_row()
        return await self._read_since(row.created_cursor, watch_from, updated=False)

    async def poll_updated(self) -> int:
        """Notice what changed since the last time and came in since the connection began to watch."""
        row, watch_from = await self._connection_row()
        return await self._read_since(row.updated_cursor, watch_from, updated=True)

    async def updates_are_due(self) -> bool:
        """Whether an hour passed since the last time that changes were asked for."""
        cursor = (await self._connection_row())[0].updated_cursor
        return cursor is None or abs(self._api.server_now() - cursor) >= UPDATED_EVERY

    async def _connection_row(self) -> tuple[ConnectionRow, datetime]:
        """The connection's row, and since when it watches."""
        async with self._database.reading() as session:
            row = await session.get(ConnectionRow, self._connection.id)
        if row is None or row.watch_from is None or self._connection.user_id is None:
            raise ImmichAwayError("Could not search for new photos: it is not known yet whose they are")
        offset = self._api.clock_offset
        if offset is not None and abs(offset) < _TRUSTED and self._api.server_now() + _TRUSTED < row.watch_from:
            # Immich's clock was ahead when the connection was made and was set right since.
            return await self._watch_from_now(row)
        return row, row.watch_from

    async def _watch_from_now(self, stale: ConnectionRow) -> tuple[ConnectionRow, datetime]:
        watch_from = self._api.server_now() - OVERLAP
        async with self._database.transaction() as session:
            row = await session.get_one(ConnectionRow, stale.id)
            row.watch_from = row.created_cursor = row.updated_cursor = watch_from
            session.add(row)
        return row, watch_from

    async def _read_since(self, cursor: datetime | None, watch_from: datetime, *, updated: bool) -> int:
        now = self._api.server_now()
        # A clock that was set back must not leave a gap.
        start = max(watch_from, min(cursor or watch_from, now) - OVERLAP)
        windows = [(start, max(now, start) + AHEAD)]
        noticed = 0
        while windows:
            after, before = windows.pop()
            found = await self._read_window(after, before, updated=updated)
            if found is None:
                middle = after + (before - after) / 2
                windows += [(middle, before), (after, middle)]
                continue
            noticed += await self._record(found, watch_from, min(before, now), updated=updated)
        return noticed

    async def _read_window(self, after: datetime, before: datetime, *, updated: bool) -> list[Asset] | None:
        """All assets of a window, or None where it is to be halved."""
        found: list[Asset] = []
        for visibility in _VISIBILITIES:
            window = SearchWindow(after, before, visibility, updated)
            assets, more = await self._api.search(window, size=self._page)
            if more and before - after > _SMALLEST_WINDOW:
                return None
            found += assets if not more else await self._read_pages(window)
        return found

    async def _read_pages(self, window: SearchWindow) -> list[Asset]:
        """Read page after page of what was created in the same instant, until a pass finds nothing new."""
        found: dict[str, Asset] = {}
        for _ in range(_PASSES):
            known, page, more = len(found), 1, True
            while more:
                assets, more = await self._api.search(window, page=page, size=self._page)
                found.update((asset.id or "", asset) for asset in assets)
                page += 1
            if len(found) == known:
                break
        return list(found.values())

    async def _record(self, assets: Sequence[Asset], watch_from: datetime, cursor: datetime, *, updated: bool) -> int:
        """Write rows for assets and the cursor behind them in one transaction."""
        mine = {
            asset.id: asset
            for asset in assets
            if asset.id
            and asset.owner_id == self._connection.user_id
            and (moment(asset.created_at) or watch_from) >= watch_from
        }
        noticed = 0
        connection_id = self._connection.row_id
        async with self._database.transaction() as session:
            connection = await session.get_one(ConnectionRow, connection_id)
            query = select(AssetRow).where(AssetRow.connection_id == connection_id, col(AssetRow.asset_id).in_(mine))
            rows = {row.asset_id: row for row in (await session.exec(query)).all()} if mine else {}
            for asset_id, asset in mine.items():
                row = rows.get(asset_id)
                if row is not None and (row.state is not IntakeState.SKIPPED or row.reason not in CHANGEABLE):
                    continue
                outcome = await self.judged(session, asset) or Outcome(IntakeState.SEEN)
                row = row or self._new_row(connection_id, asset)
                row.state, row.reason, row.sha256 = outcome.state, outcome.reason, outcome.sha256
                row.attempts, row.due_at = 0, None
                session.add(row)
                noticed += outcome.state is IntakeState.SEEN
            if updated:
                connection.updated_cursor = cursor
            else:
                connection.created_cursor = cursor
            connection.last_seen_at = datetime.now(UTC)
            session.add(connection)
        return noticed

    def _new_row(self, connection_id: int, asset: Asset) -> AssetRow:
        return AssetRow(
            owner_id=self._connection.owner_id,
            connection_id=connection_id,
            asset_id=asset.id or "",
            sha1=sha1_of(asset),
            file_name=asset.original_file_name or "",
            created_at=moment(asset.created_at),
            file_created_at=moment(asset.file_created_at),
        )

    async def judged(self, session: AsyncSession, asset: Asset) -> Outcome | None:
        """What is known about an asset without asking Immich more; None where it is to be fetched."""
        if reason := reason_to_skip(asset):
            return Outcome(IntakeState.SKIPPED, reason)
        owner, sha1 = self._connection.owner_id, sha1_of(asset)
        if sha1 is None:
            return None
        ours = select(VersionRow.id).where(VersionRow.owner_id == owner, VersionRow.sha1 == sha1)
        if (await session.exec(ours)).first() is not None:
            return Outcome(IntakeState.SKIPPED, Skip.OURS)
        query = select(PhotoRow).where(PhotoRow.owner_id == owner, PhotoRow.sha1 == sha1)
        photo = (await session.exec(query)).first()
        if photo is None:
            return None
        if photo.immich_asset_id != asset.id:
            # Immich holds no two assets of a user with the same bytes: an asset known before is gone.
            photo.immich_asset_id = asset.id or None
            photo.original_publish, photo.original_publish_error = Publish.ORIGINAL_UPLOADED, None
        photo.connection_id = photo.connection_id or self._connection.id
        session.add(photo)
        return Outcome(IntakeState.FETCHED, sha256=photo.sha256)
