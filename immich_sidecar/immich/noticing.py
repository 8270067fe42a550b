"""Noticing new photos in Immich.

Two questions find them: every few seconds "what came in since the last time", and every hour "what changed", for
what was restored from the trash or made visible. Both ask for closed windows of time that overlap with the ones
before; each asset becomes one row, so seeing it again does no harm. A window that does not fit into one page is
halved until it does, because pages shift while assets change.

What a webhook or the socket tells comes faster and may be lost: it leads to the same rows, and moves no cursor.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from immich_py_client.models import Asset
from immich_py_client.models.visibility import Visibility
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.errors import ImmichAwayError, ImmichGoneError, ImmichPermissionError, ImmichRefusedError
from immich_sidecar.immich.api import LARGEST_PAGE, SearchFilter
from immich_sidecar.immich.connections import Connection
from immich_sidecar.immich.memberships import Memberships
from immich_sidecar.immich.rules import (
    WHATEVER_IT_IS,
    Rules,
    Skip,
    Verdict,
    judge,
    may_change,
    moment,
    never_taken,
    sha1_of,
)
from immich_sidecar.immich.traits import Traits, traits_of
from immich_sidecar.library import companions
from immich_sidecar.library.companions import Kind, words_of
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


#: `AssetRow.noticed_by` of what its owner asked for by name.
ASKED_FOR = "asked for"


@dataclass(frozen=True)
class Outcome:
    """What becomes of an asset's row."""

    state: IntakeState
    reason: str | None = None
    #: The photo, where it is one now.
    sha256: str | None = None
    #: Whether an attempt failed.
    failed: bool = False
    #: What the rules say of one that is to be fetched; None: nothing more than that.
    verdict: Verdict | None = None
    #: Row of the RAW file because of which a JPEG is left alone.
    raw_row: int | None = None


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
        noticed = await self._read_since(row.updated_cursor, watch_from, updated=True)
        return noticed + await self._read_albums(Rules.read(row.rules), watch_from)

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
        visibilities = await self._visibilities()
        noticed = 0
        while windows:
            after, before = windows.pop()
            asked = [_filter(visibility, after, before, watch_from, updated=updated) for visibility in visibilities]
            # A window that is too small to be halved is read page by page.
            found = await self._read_window(asked, halve=before - after > _SMALLEST_WINDOW)
            if found is None:
                middle = after + (before - after) / 2
                windows += [(middle, before), (after, middle)]
                continue
            noticed += len(await self._record(found, watch_from, min(before, now), updated=updated, filters=asked))
        return noticed

    async def _visibilities(self) -> tuple[Visibility, ...]:
        """Which photos are asked for: hidden ones only where a rule is about them."""
        row, _ = await self._connection_row()
        return (*_VISIBILITIES, "hidden") if Rules.read(row.rules).takes_hidden else _VISIBILITIES

    async def _read_albums(self, rules: Rules, watch_from: datetime) -> int:
        """Look at the albums of the rules: putting a photo into one changes nothing that a search would find."""
        noticed = 0
        for album in sorted(rules.albums):
            for visibility in _VISIBILITIES:
                wanted = SearchFilter(visibility, created_after=watch_from, album_ids=(album,))
                page, more = 1, True
                while more:
                    try:
                        found, more = await self._api.search_assets(wanted, page=page, size=self._page)
                    except (ImmichGoneError, ImmichPermissionError, ImmichRefusedError):
                        # The album is gone, or closed to the key; its rule says so where it keeps a photo back.
                        break
                    noticed += len(await self._record(found, watch_from, None, updated=True, filters=[wanted]))
                    page += 1
        return noticed

    async def note(self, assets: Sequence[Asset], *, by: str) -> list[AssetRow]:
        """Write rows for assets that were read one by one; gives the rows of those that are to be fetched.

        The same is left out as in a search: what is another user's, or came in before the connection watched.
        """
        _, watch_from = await self._connection_row()
        return await self._record(assets, watch_from, None, updated=False, by=by)

    async def ask_for(self, asset: Asset) -> AssetRow:
        """Write the row of an asset that its owner asked for by name, however old it is and whatever rules say.

        What is a photo already stays as it is; what no rule can take says why.
        """
        connection_id = self._connection.row_id
        query = select(AssetRow).where(AssetRow.connection_id == connection_id, AssetRow.asset_id == asset.id)
        kept = await self.originals_kept([asset])
        async with self._database.transaction() as session:
            row = (await session.exec(query)).first() or new_row(self._connection, asset, ASKED_FOR)
            if row.state is not IntakeState.FETCHED:
                outcome = await self.judged(session, asset, traits_of(asset), WHATEVER_IT_IS, kept)
                row.noticed_by, row.backfill_id = ASKED_FOR, None
                row.state, row.reason, row.sha256 = outcome.state, outcome.reason, outcome.sha256
                row.attempts, row.due_at = 0, None
                note_verdict(row, outcome.verdict)
                session.add(row)
        return row

    async def _read_window(self, filters: Sequence[SearchFilter], *, halve: bool) -> list[Asset] | None:
        """All assets of a window, asked for one visibility after the other, or None where it is to be halved."""
        found: list[Asset] = []
        for wanted in filters:
            assets, more = await self._api.search_assets(wanted, size=self._page)
            if more and halve:
                return None
            found += assets if not more else await self._api.search_to_the_end(wanted, size=self._page)
        return found

    async def _record(
        self,
        assets: Sequence[Asset],
        watch_from: datetime,
        cursor: datetime | None,
        *,
        updated: bool,
        by: str = "poll",
        filters: Sequence[SearchFilter] = (),
    ) -> list[AssetRow]:
        """Write rows for assets, and the cursor behind them where there is one, in one transaction.

        Gives the rows of those that are to be fetched. `filters` are what found the assets; where there are none, the
        assets were read one by one.
        """
        mine = {
            asset.id: asset
            for asset in assets
            if asset.id
            and asset.owner_id == self._connection.user_id
            and (moment(asset.created_at) or watch_from) >= watch_from
        }
        noticed = []
        connection_id = self._connection.row_id
        query = select(AssetRow).where(AssetRow.connection_id == connection_id, col(AssetRow.asset_id).in_(mine))
        async with self._database.reading() as session:
            rules = Rules.read((await session.get_one(ConnectionRow, connection_id)).rules)
            known = {row.asset_id: row for row in (await session.exec(query)).all()} if mine else {}
        undecided = [asset for asset_id, asset in mine.items() if _may_be_taken(known.get(asset_id))]
        traits = await self._traits(undecided, rules, filters)
        kept = await self.originals_kept(undecided)
        async with self._database.transaction() as session:
            connection = await session.get_one(ConnectionRow, connection_id)
            rows = {row.asset_id: row for row in (await session.exec(query)).all()} if mine else {}
            for asset in undecided:
                asset_id = asset.id or ""
                row = rows.get(asset_id)
                if not _may_be_taken(row):
                    continue
                outcome = await self.judged(session, asset, traits[asset_id], rules, kept)
                row = row or new_row(self._connection, asset, by)
                row.state, row.reason, row.sha256 = outcome.state, outcome.reason, outcome.sha256
                row.attempts, row.due_at = 0, None
                note_verdict(row, outcome.verdict)
                session.add(row)
                if outcome.state is IntakeState.SEEN:
                    noticed.append(row)
            if cursor is not None and updated:
                connection.updated_cursor = cursor
            elif cursor is not None:
                connection.created_cursor = cursor
            connection.last_seen_at = datetime.now(UTC)
            session.add(connection)
        return noticed

    async def _traits(
        self, assets: Sequence[Asset], rules: Rules, filters: Sequence[SearchFilter]
    ) -> dict[str, Traits]:
        memberships = Memberships(self._api, rules, page=self._page)
        if filters:
            return await memberships.of_window(assets, filters)
        return {asset.id: await memberships.of_asset(asset) for asset in assets if asset.id}

    async def originals_kept(self, assets: Sequence[Asset]) -> frozenset[str]:
        """Ids of other assets that are originals of photos with the bytes of these, and that Immich still has.

        Raises
        ------
        ImmichError
            If Immich does not answer.
        """
        by_sha1 = {sha1: asset.id for asset in assets if (sha1 := sha1_of(asset))}
        if not by_sha1:
            return frozenset()
        query = select(PhotoRow.sha1, PhotoRow.immich_asset_id).where(
            PhotoRow.owner_id == self._connection.owner_id,
            col(PhotoRow.sha1).in_(by_sha1),
            col(PhotoRow.immich_asset_id).is_not(None),
        )
        async with self._database.reading() as session:
            others = [before for sha1, before in await session.exec(query) if before and before != by_sha1[sha1]]
        return frozenset([asset_id for asset_id in others if await self._is_there(asset_id)])

    async def _is_there(self, asset_id: str) -> bool:
        try:
            return not (await self._api.asset(asset_id)).is_trashed
        except ImmichGoneError:
            return False

    async def judged(
        self, session: AsyncSession, asset: Asset, traits: Traits, rules: Rules, kept: frozenset[str] = frozenset()
    ) -> Outcome:
        """What becomes of an asset by all that is known without its file; `seen` where it is to be fetched.

        A photo that is here already, from a hot folder, belongs to the asset from then on, whatever rules say; one
        whose original is among `kept` (see `originals_kept`) stays with that.
        """
        if reason := never_taken(asset):
            return Outcome(IntakeState.SKIPPED, reason)
        owner, sha1 = self._connection.owner_id, sha1_of(asset)
        photo = None
        if sha1 is not None:
            ours = select(VersionRow.id).where(VersionRow.owner_id == owner, VersionRow.sha1 == sha1)
            if (await session.exec(ours)).first() is not None:
                return Outcome(IntakeState.SKIPPED, Skip.OURS)
            query = select(PhotoRow).where(PhotoRow.owner_id == owner, PhotoRow.sha1 == sha1)
            photo = (await session.exec(query)).first()
            if photo is None and (companion := await companions.find_by_sha1(session, owner, sha1)):
                # It came with a photo from a hot folder.
                row, file_name = companion
                row.immich_asset_id = row.immich_asset_id or asset.id or None
                session.add(row)
                return Outcome(IntakeState.SKIPPED, words_of(Kind(row.kind), file_name))
        if photo is None:
            verdict = judge(traits, rules)
            if verdict.take is False:
                return Outcome(IntakeState.SKIPPED, verdict.reason)
            return Outcome(IntakeState.SEEN, verdict=verdict)
        if photo.immich_asset_id != asset.id and photo.immich_asset_id not in kept:
            # Outside of external libraries Immich holds no two assets of a user with the same bytes: one known
            # before is gone.
            photo.immich_asset_id = asset.id or None
            photo.original_publish, photo.original_publish_error = Publish.ORIGINAL_UPLOADED, None
        photo.connection_id = photo.connection_id or self._connection.id
        session.add(photo)
        return Outcome(IntakeState.FETCHED, sha256=photo.sha256)


def new_row(connection: Connection, asset: Asset, by: str) -> AssetRow:
    """The row of an asset that nothing was known of; `by` is how it was noticed."""
    return AssetRow(
        owner_id=connection.owner_id,
        connection_id=connection.row_id,
        asset_id=asset.id or "",
        sha1=sha1_of(asset),
        file_name=asset.original_file_name or "",
        created_at=moment(asset.created_at),
        file_created_at=moment(asset.file_created_at),
        library_id=asset.library_id or None,
        noticed_by=by,
    )


def note_verdict(row: AssetRow, verdict: Verdict | None) -> None:
    """Write what the rules chose for an asset into its row."""
    row.mode = verdict.mode if verdict else None
    row.preset = verdict.preset if verdict else None
    row.preset_strength = verdict.preset_strength if verdict else None
    row.allowed = list(verdict.allowed) if verdict else []


def _may_be_taken(row: AssetRow | None) -> bool:
    """Whether anything is still to be decided about the asset."""
    return row is None or (row.state is IntakeState.SKIPPED and may_change(row.reason))


def _filter(
    visibility: Visibility, after: datetime, before: datetime, watch_from: datetime, *, updated: bool
) -> SearchFilter:
    if updated:
        # What came in earlier is not taken: a change of the whole library must not be read through.
        return SearchFilter(visibility, updated_after=after, updated_before=before, created_after=watch_from)
    return SearchFilter(visibility, created_after=after, created_before=before)
