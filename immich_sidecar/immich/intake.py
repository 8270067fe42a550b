"""The intake from one Immich: what is new is noticed (`noticing`) and fetched (`fetching`), two at a time.

A photo is fetched as soon as it is noticed, also before Immich has read it. What only that reading tells (a moving
part, a panorama) is looked at again before anything is published: `look_again`.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from sqlmodel import select

from immich_sidecar.errors import (
    DiskFullError,
    ImmichAwayError,
    ImmichCredentialsError,
    ImmichError,
    ImmichGoneError,
    ImmichPermissionError,
    ImmichServerError,
    SidecarError,
)
from immich_sidecar.immich.connections import Connection, ConnectionState, state_of
from immich_sidecar.immich.fetching import STOPS, Fetching
from immich_sidecar.immich.noticing import Noticing
from immich_sidecar.immich.pairs import Absorb, Pairs
from immich_sidecar.immich.rules import Skip, is_extracted, may_change, reason_to_skip
from immich_sidecar.library.database import Database
from immich_sidecar.library.events import EventLog
from immich_sidecar.library.intake import Intake
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.space import Space
from immich_sidecar.library.tables import AssetRow, IntakeState, PhotoRow, Source, UploadRow

log = logging.getLogger(__name__)

#: Downloads at the same time, beside those of photos that a webhook or the socket told about.
DOWNLOADS = 2
#: Seconds that are waited for Immich to read a photo before its publishing is put off, and between two looks.
READING_SECONDS = 3.0
READING_INTERVAL_SECONDS = 0.3


class ImmichIntake:
    """Takes the new photos of one connection.

    Parameters
    ----------
    connection, database, layout, space, events
        What it belongs to and works with; `refresh` of the connection comes first, `tick` calls it.
    intake
        Takes the downloaded files over.
    absorb
        Makes a JPEG that became a photo first the companion of its RAW file.
    """

    def __init__(
        self,
        connection: Connection,
        database: Database,
        intake: Intake,
        layout: Layout,
        *,
        space: Space,
        events: EventLog | None = None,
        absorb: Absorb | None = None,
    ) -> None:
        self._connection = connection
        self._api = connection.api
        self._database = database
        self._events = events
        self._noticing = Noticing(connection, database)
        self._pairs = Pairs(connection, database, absorb)
        self._fetching = Fetching(
            connection, database, layout, intake=intake, space=space, noticing=self._noticing, pairs=self._pairs
        )
        self._busy = asyncio.Lock()
        #: Why nothing is fetched at the moment although something is due; None where nothing is in the way.
        self.paused: str | None = None
        #: Why new photos are not noticed although Immich answers otherwise, as a sentence; None: they are.
        self.problem: str | None = None

    async def tick(self, *, patience: float = 0) -> None:
        """One round: make sure of the connection, notice, fetch. What Immich fails in is recorded, not raised.

        Ends at once where an earlier round is still at work. `patience` is how many seconds to wait for assets
        whose next attempt is due then.
        """
        if await self.notice():
            await self.fetch(patience=patience)

    async def notice(self) -> bool:
        """Make sure of the connection and notice what is new; gives whether there may be something to fetch.

        What Immich fails in is recorded, not raised. Does nothing where an earlier call is still at work.
        """
        if self._busy.locked():
            return False
        async with self._busy, self._recording():
            await self._connection.make_sure(self._database, self._events)
            if not self._connection.may_take:
                self.problem = None
                return False
            try:
                await self._noticing.poll()
                if await self._noticing.updates_are_due():
                    await self._noticing.poll_updated()
            except ImmichError as error:
                # What ends the whole connection is said by its state.
                self.problem = None if state_of(error) else f"New photos are not noticed: {error}"
                raise
            self.problem = None
            return True
        return False

    async def fetch(self, *, patience: float = 0) -> None:
        """Fetch what is due, a few at a time; what Immich fails in is recorded, not raised."""
        async with self._recording():
            await self.fetch_due(patience=patience)

    async def fetch_alone(self) -> None:
        """Fetch what is due, one after the other; what Immich fails in is recorded, not raised.

        May be called several times at once. Does nothing while it is not known that the key is the right user's: to
        another user's key Immich says that an asset is not there.
        """
        if not self._connection.may_take:
            return
        async with self._recording():
            self.paused = None
            await self._fetching.tidy()
            await self._side_by_side([self._fetching.fetch_due])

    async def look(self, asset_id: str, *, by: str) -> bool:
        """Look at an asset that a webhook or the socket told about, and take it at once; whether it is a photo now.

        Nothing that was told is believed: the asset is read with our key. One that is in hand, known, another user's
        or older than the connection is left as it is. What Immich fails in is recorded, not raised; polling finds
        the asset again.
        """
        if not self._connection.may_take:
            return False
        with self._fetching.holding(asset_id) as held:
            if held:
                async with self._recording():
                    await self._fetching.tidy()
                    return await self._look(asset_id, by)
        return False

    async def ask_for(self, asset_id: str) -> AssetRow:
        """Note that the owner wants this very photo, however old it is and whatever rules say; gives its row.

        It is fetched with what is due next; a row that is skipped says why it cannot be.

        Raises
        ------
        ImmichGoneError
            If there is no such asset, or it is another user's.
        ImmichError
            If Immich does not answer.
        """
        asset = await self._api.asset(asset_id)
        if asset.owner_id != self._connection.user_id:
            raise ImmichGoneError(f"Could not take asset {asset_id}: it is another user's")
        return await self._noticing.ask_for(asset)

    async def look_again(self, photo: PhotoRow) -> str | None:
        """Why a photo is to be left alone after all, now that Immich has read it; None where nothing speaks against it.

        For the moment before something of a photo is written to Immich for the first time.

        Raises
        ------
        ImmichGoneError
            If the original is not in Immich any more.
        ImmichServerError
            If Immich has not read the photo yet; worth repeating.
        ImmichError
            If Immich does not answer.
        """
        if photo.immich_asset_id is None or photo.source is not Source.IMMICH:
            return None
        end = asyncio.get_running_loop().time() + READING_SECONDS
        while True:
            asset = await self._api.asset(photo.immich_asset_id)
            if reason := reason_to_skip(asset, photo.allowed):
                return reason
            if is_extracted(asset, self._api.server_now()):
                if await self._pairs.is_absorbed(photo, asset):
                    raise ImmichServerError(f"{photo.file_name} is the JPEG of a RAW file now; it is looked at again")
                return None
            if asyncio.get_running_loop().time() > end:
                raise ImmichServerError(
                    f"Could not publish {photo.file_name} yet: Immich is still reading it; it is tried again"
                )
            await asyncio.sleep(READING_INTERVAL_SECONDS)

    async def poll(self) -> int:
        """Notice what came into Immich since the last time; gives the number of assets that are to be fetched."""
        return await self._noticing.poll()

    async def poll_updated(self) -> int:
        """Notice what changed since the last time and came in since the connection began to watch."""
        return await self._noticing.poll_updated()

    async def fetch_due(self, *, patience: float = 0) -> int:
        """Fetch what is due; gives the number of photos taken.

        Raises
        ------
        ImmichError
            Where Immich is away or the key is not accepted; what is left stays due, no attempt is counted.
        DiskFullError
            Where there is no room; likewise.
        """
        taken = 0
        end = asyncio.get_running_loop().time() + patience
        self.paused = None
        await self._fetching.tidy()
        while True:
            taken += await self._side_by_side([self._fetching.fetch_due] * DOWNLOADS)
            wait = await self._fetching.seconds_until_due()
            if wait is None or asyncio.get_running_loop().time() + wait > end:
                return taken
            await asyncio.sleep(wait)

    async def refetch(self, photo: PhotoRow) -> Path:
        """Fetch the original of a photo again whose copy was evicted; gives where it is now.

        Raises
        ------
        ImmichError
            If Immich does not give it.
        IntegrityError
            If what it gives has other bytes.
        DiskFullError
            If there is no room.
        """
        await self._make_sure_of_the_user()
        return await self._fetching.refetch(photo)

    async def retry_failed(self) -> int:
        """Try again, at once, what was given up; gives the number of assets."""
        async with self._database.transaction() as session:
            query = select(AssetRow).where(
                AssetRow.owner_id == self._connection.owner_id,
                AssetRow.connection_id == self._connection.id,
                AssetRow.state == IntakeState.FAILED,
            )
            rows = (await session.exec(query)).all()
            for row in rows:
                row.state, row.reason, row.attempts, row.due_at = IntakeState.SEEN, None, 0, None
                session.add(row)
        return len(rows)

    async def fetch_rows(self, rows: Sequence[AssetRow]) -> int:
        """Fetch these assets, a few at a time; gives the number of photos taken.

        Raises
        ------
        ImmichError, DiskFullError
            As `fetch_due`.
        """
        parts = [rows[number::DOWNLOADS] for number in range(DOWNLOADS)]
        return await self._side_by_side([partial(self._fetching.fetch_each, part) for part in parts])

    async def _make_sure_of_the_user(self) -> None:
        """Do nothing where the key is known to be the right user's; another's would not find what is there."""
        if self._connection.may_take:
            return
        check = await self._connection.refresh(self._database, self._events)
        if self._connection.may_take:
            return
        message = check.message or f"Immich at {self._connection.url} does not say whose API key it is"
        if check.state in (ConnectionState.CREDENTIALS, ConnectionState.REFUSED):
            raise ImmichCredentialsError(message)
        raise ImmichPermissionError(message) if check.state is ConnectionState.PERMISSION else ImmichAwayError(message)

    async def _side_by_side(self, works: Sequence[Callable[[], Awaitable[int]]]) -> int:
        """Do these at the same time; gives their sum, and raises what stops all of them once each has ended."""
        stops: list[SidecarError] = []
        taken = 0

        async def work(one: Callable[[], Awaitable[int]]) -> None:
            nonlocal taken
            try:
                taken += await one()
            except STOPS as error:
                stops.append(error)

        # Each ends before anything is raised: none must go on unseen.
        ended = await asyncio.gather(*(work(one) for one in works), return_exceptions=True)
        for bug in ended:
            if bug is not None:
                raise bug
        if stops:
            self.paused = str(stops[0])
            raise stops[0]
        return taken

    @asynccontextmanager
    async def _recording(self) -> AsyncIterator[None]:
        """What stops everything is remembered at the connection, and ends the block."""
        try:
            yield
        except ImmichError as error:
            await self._connection.note(error, self._database, self._events)
            log.info("intake of %s: %s", self._connection.owner_id, error)
        except DiskFullError as error:
            log.warning("intake of %s: %s", self._connection.owner_id, error)

    async def _look(self, asset_id: str, by: str) -> bool:
        row = await self._known(asset_id)
        if row is not None and not _is_open(row):
            return False
        try:
            sight = await self._fetching.see(asset_id)
        except ImmichGoneError:
            # Gone, or never this user's: nothing is noted about what is not ours.
            return False
        if sight.asset.owner_id != self._connection.user_id:
            return False
        if row is None or row.state is IntakeState.SKIPPED:
            noted = await self._noticing.note([sight.asset], by=by)
            # Asking may have noticed it in between, and leaves what is held to us.
            row = noted[0] if noted else await self._known(asset_id)
            if row is None or row.state is not IntakeState.SEEN:
                return False
        return await self._fetching.fetch(row, sight)

    async def _known(self, asset_id: str) -> AssetRow | None:
        """The row of an asset; for a version of ours one that is not kept, so that nothing is asked about it."""
        owner, connection = self._connection.owner_id, self._connection.row_id
        async with self._database.reading() as session:
            query = select(AssetRow).where(AssetRow.connection_id == connection, AssetRow.asset_id == asset_id)
            row = (await session.exec(query)).first()
            ours = select(UploadRow.id).where(UploadRow.owner_id == owner, UploadRow.immich_processed_id == asset_id)
            if row is None and (await session.exec(ours)).first() is not None:
                return AssetRow(
                    owner_id=owner,
                    connection_id=connection,
                    asset_id=asset_id,
                    state=IntakeState.SKIPPED,
                    reason=Skip.OURS,
                )
        return row


def _is_open(row: AssetRow) -> bool:
    """Whether a row says that the asset may still become a photo, now."""
    if row.state is IntakeState.SEEN:
        return row.due_at is None or row.due_at <= datetime.now(UTC)
    return row.state is IntakeState.SKIPPED and may_change(row.reason)
