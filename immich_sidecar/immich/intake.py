"""Taking new photos from Immich: noticed by `noticing`, fetched here.

What was noticed is fetched by rows that are due, two at a time: looked at once more, streamed to disk, compared with
Immich's SHA-1 and handed to the library. Failures wait and are repeated; what concerns the whole connection (Immich
away, no room on the disk) stops the round and counts against nobody.
"""

import asyncio
import logging
import random
import shutil
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

from immich_py_client.models import Asset
from sqlmodel import col, or_, select

from immich_sidecar.errors import (
    DiskFullError,
    ImmichAwayError,
    ImmichCredentialsError,
    ImmichError,
    ImmichGoneError,
    ImmichPermissionError,
    IntegrityError,
    PhotoError,
    SidecarError,
    UndecodableError,
)
from immich_sidecar.immich import marks
from immich_sidecar.immich.connections import Connection, ConnectionState
from immich_sidecar.immich.noticing import Noticing, Outcome
from immich_sidecar.immich.rules import Skip, is_extracted, moment, sha1_of
from immich_sidecar.library import originals
from immich_sidecar.library.database import Database
from immich_sidecar.library.events import EventLog
from immich_sidecar.library.intake import Intake
from immich_sidecar.library.layout import Layout, clean_name
from immich_sidecar.library.space import Space
from immich_sidecar.library.tables import AssetRow, IntakeState, PhotoRow, Source

log = logging.getLogger(__name__)

#: Downloads at the same time.
DOWNLOADS = 2
#: Attempts to fetch an asset, and the seconds between them: doubled each time, +-20 %, at most the last.
ATTEMPTS = 8
FIRST_WAIT_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 3600.0
#: Seconds until an asset is looked at again that Immich has not read yet.
EXTRACTION_WAIT_SECONDS = 1.0
#: Rows that are handled between two looks at the database.
BATCH = 50

#: Errors after which fetching other assets makes no sense now.
_STOPS = (ImmichAwayError, ImmichCredentialsError, ImmichPermissionError, DiskFullError)


class ImmichIntake:
    """Takes the new photos of one connection.

    Parameters
    ----------
    connection, database, layout, space, events
        What it belongs to and works with; `refresh` of the connection comes first, `tick` calls it.
    intake
        Takes the downloaded files over.
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
    ) -> None:
        self._connection = connection
        self._api = connection.api
        self._database = database
        self._intake = intake
        self._layout = layout
        self._space = space
        self._events = events
        self._noticing = Noticing(connection, database)
        self._incoming = layout.absolute(f"{layout.home(connection.owner_id)}cache/incoming")
        self._run = uuid4().hex
        self._is_first_round = True
        self._busy = asyncio.Lock()
        #: Why nothing is fetched at the moment although something is due; None where nothing is in the way.
        self.paused: str | None = None

    async def tick(self, *, patience: float = 10) -> None:
        """One round: make sure of the connection, notice, fetch. What Immich fails in is recorded, not raised.

        Ends at once where an earlier round is still at work. `patience` is how many seconds to wait for assets
        that Immich is still reading.
        """
        if self._busy.locked():
            return
        async with self._busy:
            if self._is_first_round:
                await asyncio.to_thread(self._remove_leftovers)
                self._is_first_round = False
            try:
                if self._connection.state is not ConnectionState.OK:
                    await self._connection.refresh(self._database, self._events)
                if not self._connection.may_take:
                    return
                await self._noticing.poll()
                if await self._noticing.updates_are_due():
                    await self._noticing.poll_updated()
                await self.fetch_due(patience=patience)
            except ImmichError as error:
                await self._connection.note(error, self._database, self._events)
                log.info("intake of %s: %s", self._connection.owner_id, error)
            except DiskFullError as error:
                log.warning("intake of %s: %s", self._connection.owner_id, error)

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
        while True:
            due = await self._due()
            if due:
                taken += await self._fetch_all(due)
                continue
            wait = await self._seconds_until_due()
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
        if photo.immich_asset_id is None or photo.owner_id != self._connection.owner_id:
            raise ImmichGoneError(f"Could not download {photo.file_name}: its asset in Immich is not known")
        self._space.check(photo.size)
        async with self._downloaded(photo.immich_asset_id, photo.file_name, photo.sha1) as part:
            return await originals.put_back(self._database, self._layout, photo.owner_id, photo.sha256, part)

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

    async def _due(self) -> Sequence[AssetRow]:
        async with self._database.reading() as session:
            query = (
                select(AssetRow)
                .where(
                    AssetRow.owner_id == self._connection.owner_id,
                    AssetRow.connection_id == self._connection.id,
                    AssetRow.state == IntakeState.SEEN,
                    or_(col(AssetRow.due_at).is_(None), col(AssetRow.due_at) <= datetime.now(UTC)),
                )
                .order_by(col(AssetRow.created_at), col(AssetRow.id))
                .limit(BATCH)
            )
            return (await session.exec(query)).all()

    async def _seconds_until_due(self) -> float | None:
        async with self._database.reading() as session:
            query = (
                select(AssetRow.due_at)
                .where(
                    AssetRow.owner_id == self._connection.owner_id,
                    AssetRow.connection_id == self._connection.id,
                    AssetRow.state == IntakeState.SEEN,
                )
                .order_by(col(AssetRow.due_at))
                .limit(1)
            )
            due_at = (await session.exec(query)).first()
        return None if due_at is None else max(0.05, (due_at - datetime.now(UTC)).total_seconds())

    async def _fetch_all(self, rows: Sequence[AssetRow]) -> int:
        """Fetch these assets, a few at a time; stops at the first error that concerns all of them."""
        left = list(reversed(rows))
        stops: list[SidecarError] = []
        taken = 0

        async def work() -> None:
            nonlocal taken
            while left and not stops:
                row = left.pop()
                try:
                    taken += await self._fetch(row)
                except _STOPS as error:
                    stops.append(error)

        # Each ends before anything is raised: none must go on unseen.
        ended = await asyncio.gather(*(work() for _ in range(DOWNLOADS)), return_exceptions=True)
        for bug in ended:
            if bug is not None:
                raise bug
        if stops:
            self.paused = str(stops[0])
            raise stops[0]
        return taken

    async def _fetch(self, row: AssetRow) -> bool:
        """Fetch one asset and write what came of it; whether it is a photo now."""
        try:
            outcome = await self._take(row)
        except _STOPS:
            raise
        except UndecodableError as error:
            outcome = Outcome(IntakeState.FAILED, str(error))
        except PhotoError as error:
            outcome = Outcome(IntakeState.SKIPPED, str(error))
        except (SidecarError, OSError) as error:
            last = row.attempts + 1 >= ATTEMPTS
            outcome = Outcome(IntakeState.FAILED if last else IntakeState.SEEN, str(error), failed=True)
        if outcome.state is IntakeState.FAILED:
            log.warning("asset %s (%s): %s", row.asset_id, row.file_name, outcome.reason)
        await self._settle(row, outcome)
        return outcome.state is IntakeState.FETCHED

    async def _settle(self, row: AssetRow, outcome: Outcome) -> None:
        async with self._database.transaction() as session:
            current = await session.get(AssetRow, row.id)
            if current is None:
                return
            current.state, current.reason = outcome.state, outcome.reason
            current.sha256 = outcome.sha256 or current.sha256
            current.due_at = None
            if outcome.failed:
                current.attempts += 1
                current.due_at = datetime.now(UTC) + _wait(current.attempts)
            elif outcome.state is IntakeState.SEEN:
                current.due_at = datetime.now(UTC) + timedelta(seconds=EXTRACTION_WAIT_SECONDS)
            session.add(current)

    async def _take(self, row: AssetRow) -> Outcome:
        """Look at the asset as it is now, and take its bytes where nothing speaks against it."""
        try:
            asset = await self._api.asset(row.asset_id)
        except ImmichGoneError:
            return Outcome(IntakeState.SKIPPED, Skip.GONE)
        async with self._database.transaction() as session:
            if outcome := await self._noticing.judged(session, asset):
                return outcome
        if not is_extracted(asset, self._api.server_now()):
            return Outcome(IntakeState.SEEN)
        mark = await self._api.metadata(row.asset_id, marks.KEY)
        if mark is not None:
            return Outcome(IntakeState.SKIPPED, Skip.OURS if mark.get("is_processed") else Skip.PROCESSED_EARLIER)
        return await self._download(row, asset)

    async def _download(self, row: AssetRow, asset: Asset) -> Outcome:
        exif = asset.exif_info
        self._space.check(exif.file_size_in_byte or 0 if exif else 0)
        name = asset.original_file_name or row.file_name or f"{row.asset_id}.jpg"
        sha1 = sha1_of(asset)
        async with self._downloaded(row.asset_id, name, sha1) as part:
            return await self._hand_over(row, part, name, moment(asset.file_created_at), sha1)

    @asynccontextmanager
    async def _downloaded(self, asset_id: str, name: str, sha1: str | None) -> AsyncIterator[Path]:
        """An original in a file of its own that is gone at the end, unless it was moved."""
        # Under its own name: it says how rubbish is judged, and tells a few kinds of RAW apart.
        folder = self._incoming / self._run / uuid4().hex
        part = folder / clean_name(name)
        folder.mkdir(parents=True)
        try:
            arrived = await self._api.download(asset_id, part, name=name)
            if sha1 is not None and arrived != sha1:
                raise IntegrityError(
                    f"Could not download {name}: what arrived has the SHA-1 {arrived}, Immich says {sha1}; "
                    "it is tried again"
                )
            yield part
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _remove_leftovers(self) -> None:
        """Remove what interrupted downloads of earlier runs left; the assets are fetched again."""
        if self._incoming.is_dir():
            for folder in self._incoming.iterdir():
                if folder.name != self._run:
                    shutil.rmtree(folder, ignore_errors=True)

    async def _hand_over(
        self, row: AssetRow, part: Path, name: str, captured_at: datetime | None, sha1: str | None
    ) -> Outcome:
        taken = await self._intake.take(
            self._connection.owner_id,
            part,
            file_name=name,
            source=Source.IMMICH,
            captured_at=captured_at,
            connection_id=self._connection.id,
            immich_asset_id=row.asset_id,
            move=True,
            expected_sha1=sha1,
        )
        return Outcome(IntakeState.FETCHED, sha256=taken.sha256)


def _wait(attempts: int) -> timedelta:
    """How long to wait after so many failed attempts."""
    seconds = min(FIRST_WAIT_SECONDS * 2 ** (attempts - 1), LONGEST_WAIT_SECONDS)
    return timedelta(seconds=seconds * random.uniform(0.8, 1.2))  # noqa: S311  # no secret
