"""Fetching what was noticed: an asset of Immich becomes a photo here.

An asset is looked at as it is now, streamed to disk, compared with Immich's SHA-1 and handed to the library.
Failures wait and are repeated; what concerns the whole connection (Immich away, no room on the disk) is raised and
counts against nobody. Nobody fetches what somebody else has in hand.
"""

import asyncio
import logging
import random
import shutil
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from immich_py_client.models import Asset
from sqlalchemy import ColumnElement
from sqlmodel import col, or_, select

from immich_sidecar.errors import (
    DiskFullError,
    ImmichAwayError,
    ImmichCredentialsError,
    ImmichGoneError,
    ImmichPermissionError,
    ImmichTransferError,
    IntegrityError,
    PhotoError,
    SidecarError,
    UndecodableError,
)
from immich_sidecar.immich import marks
from immich_sidecar.immich.connections import Connection
from immich_sidecar.immich.memberships import Memberships
from immich_sidecar.immich.noticing import ASKED_FOR, Noticing, Outcome
from immich_sidecar.immich.pairs import Pairs
from immich_sidecar.immich.rules import (
    WHATEVER_IT_IS,
    NotWantedError,
    Rules,
    Skip,
    is_extracted,
    judge,
    moment,
    sha1_of,
)
from immich_sidecar.immich.traits import Traits, with_facts
from immich_sidecar.library import originals
from immich_sidecar.library.companions import Kind, words_of
from immich_sidecar.library.database import Database
from immich_sidecar.library.files import hash_file
from immich_sidecar.library.intake import Consider, Intake
from immich_sidecar.library.layout import Layout, clean_name
from immich_sidecar.library.space import Space
from immich_sidecar.library.tables import (
    AssetRow,
    BackfillRow,
    BackfillState,
    ConnectionRow,
    IntakeState,
    PhotoRow,
    Source,
)

if TYPE_CHECKING:
    from immich_sidecar.develop.probe import FileFacts

log = logging.getLogger(__name__)

#: Attempts to fetch an asset, and the seconds between them: doubled each time, +-20 %, at most the last.
ATTEMPTS = 8
FIRST_WAIT_SECONDS = 5.0
LONGEST_WAIT_SECONDS = 3600.0
#: Rows that are read at once.
BATCH = 20
#: Priority of a photo that a backfill asked for: whatever is new goes first.
BACKFILL_PRIORITY = -10

#: Errors after which fetching other assets makes no sense now.
STOPS = (ImmichAwayError, ImmichCredentialsError, ImmichPermissionError, DiskFullError)


@dataclass(frozen=True)
class Sight:
    """An asset as Immich has it now."""

    asset: Asset
    #: Our mark at it, where there is one.
    mark: dict[str, Any] | None


class Fetching:
    """Makes assets of one connection photos, one at a time for each who calls.

    Parameters
    ----------
    connection, database, layout, space
        What it belongs to and works with.
    intake
        Takes the downloaded files over.
    noticing
        Judges assets as they are now.
    pairs
        Knows which JPEG belongs to which RAW file.
    """

    def __init__(
        self,
        connection: Connection,
        database: Database,
        layout: Layout,
        *,
        intake: Intake,
        space: Space,
        noticing: Noticing,
        pairs: Pairs,
    ) -> None:
        self._connection = connection
        self._api = connection.api
        self._database = database
        self._intake = intake
        self._layout = layout
        self._space = space
        self._noticing = noticing
        self._pairs = pairs
        self._incoming = layout.absolute(f"{layout.home(connection.owner_id)}cache/incoming")
        self._run = uuid4().hex
        self._is_tidy = False
        #: Assets that somebody looks at or fetches at this moment.
        self._in_hand: set[str] = set()

    @contextmanager
    def holding(self, asset_id: str) -> Iterator[bool]:
        """Take an asset in hand; gives False where somebody else has it."""
        if asset_id in self._in_hand:
            yield False
            return
        self._in_hand.add(asset_id)
        try:
            yield True
        finally:
            self._in_hand.discard(asset_id)

    async def fetch_due(self) -> int:
        """Fetch one after the other what is due and in nobody's hand; gives the number of photos taken.

        Raises
        ------
        ImmichError
            Where Immich is away or the key is not accepted; what is left stays due, no attempt is counted.
        DiskFullError
            Where there is no room; likewise.
        """
        taken = 0
        await self._pairs.settle()
        while due := await self._due():
            taken += await self.fetch_each(due)
        return taken

    async def fetch_each(self, rows: Sequence[AssetRow]) -> int:
        """Fetch these, one after the other, but for what somebody else has in hand by then; raises as `fetch_due`."""
        taken = 0
        for row in rows:
            with self.holding(row.asset_id) as held:
                if held and await self._is_still_due(row):
                    taken += await self.fetch(row)
        return taken

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

    async def see(self, asset_id: str) -> Sight:
        """Read an asset and our mark at it, at the same time."""
        asset, mark = await asyncio.gather(
            self._api.asset(asset_id), self._api.metadata(asset_id, marks.KEY), return_exceptions=True
        )
        for answer in (asset, mark):
            if isinstance(answer, BaseException):
                raise answer
        assert isinstance(asset, Asset)  # noqa: S101  for the type checker
        return Sight(asset, None if isinstance(mark, BaseException) else mark)

    async def fetch(self, row: AssetRow, sight: Sight | None = None) -> bool:
        """Fetch an asset that is held, and write what came of it; whether it is a photo now. Raises as `fetch_due`."""
        try:
            outcome = await self._take(row, sight)
        except STOPS:
            raise
        except UndecodableError as error:
            outcome = Outcome(IntakeState.FAILED, str(error))
        except PhotoError as error:
            outcome = Outcome(IntakeState.SKIPPED, str(error))
        except ImmichTransferError as error:
            # Where Immich is away altogether, that is no attempt at this file, and others need not be tried.
            await self._api.ping()
            outcome = _failed(row, error)
        except (SidecarError, OSError) as error:
            outcome = _failed(row, error)
        if outcome.state is IntakeState.FAILED:
            log.warning("asset %s (%s): %s", row.asset_id, row.file_name, outcome.reason)
        await self._settle(row, outcome)
        if outcome.state is IntakeState.FETCHED:
            await self._pairs.raw_taken(row)
        return outcome.state is IntakeState.FETCHED

    async def seconds_until_due(self) -> float | None:
        """Seconds until something is due that is in nobody's hand; None where there is nothing."""
        async with self._database.reading() as session:
            query = select(AssetRow.due_at).where(*self._waiting()).order_by(col(AssetRow.due_at)).limit(1)
            due_at = (await session.exec(query)).first()
        return None if due_at is None else max(0.05, (due_at - datetime.now(UTC)).total_seconds())

    async def tidy(self) -> None:
        """Remove what interrupted downloads of earlier runs left, the first time; the assets are fetched again."""
        if not self._is_tidy:
            self._is_tidy = True
            await asyncio.to_thread(self._remove_leftovers)

    def _waiting(self) -> tuple[ColumnElement[bool], ...]:
        """Conditions on assets that are to be fetched and in nobody's hand."""
        return (
            col(AssetRow.owner_id) == self._connection.owner_id,
            col(AssetRow.connection_id) == self._connection.id,
            col(AssetRow.state) == IntakeState.SEEN,
            # What a backfill asked for is fetched by it, after everything that is new.
            _is_ours_to_fetch(),
            col(AssetRow.asset_id).not_in(self._in_hand),
        )

    async def _due(self) -> Sequence[AssetRow]:
        async with self._database.reading() as session:
            query = (
                select(AssetRow)
                .where(
                    *self._waiting(),
                    or_(col(AssetRow.due_at).is_(None), col(AssetRow.due_at) <= datetime.now(UTC)),
                )
                .order_by(col(AssetRow.created_at), col(AssetRow.id))
                .limit(BATCH)
            )
            return (await session.exec(query)).all()

    async def _is_still_due(self, row: AssetRow) -> bool:
        """Whether nobody was faster: rows are read before they are taken in hand."""
        async with self._database.reading() as session:
            current = await session.get(AssetRow, row.id)
        return current is not None and current.state is IntakeState.SEEN and current.attempts == row.attempts

    async def _settle(self, row: AssetRow, outcome: Outcome) -> None:
        async with self._database.transaction() as session:
            current = await session.get(AssetRow, row.id)
            if current is None:
                return
            if current.state is not IntakeState.SEEN and outcome.state is not IntakeState.FETCHED:
                # Meanwhile nobody wants it any more, as where its backfill was cancelled.
                return
            current.state, current.reason = outcome.state, outcome.reason
            current.sha256 = outcome.sha256 or current.sha256
            current.due_at = None
            if outcome.failed:
                current.attempts += 1
                current.due_at = datetime.now(UTC) + _wait(current.attempts)
            elif outcome.state is IntakeState.SEEN:
                current.due_at = datetime.now(UTC) + timedelta(seconds=FIRST_WAIT_SECONDS)
            session.add(current)
            await self._pairs.was_settled(session, current, raw_row=outcome.raw_row)

    async def _take(self, row: AssetRow, sight: Sight | None = None) -> Outcome:
        """Take an asset's bytes where nothing speaks against it as it is now."""
        rules, was_judged = await self._rules_of(row), sight is not None
        if sight is None:
            try:
                sight = await self.see(row.asset_id)
            except ImmichGoneError:
                return Outcome(IntakeState.SKIPPED, Skip.GONE)
        traits = await Memberships(self._api, rules).of_asset(sight.asset)
        if not was_judged:
            kept = await self._noticing.originals_kept([sight.asset])
            async with self._database.transaction() as session:
                outcome = await self._noticing.judged(session, sight.asset, traits, rules, kept)
            if outcome.state is not IntakeState.SEEN:
                return outcome
        if sight.mark is not None and sight.mark.get("is_processed"):
            return Outcome(IntakeState.SKIPPED, Skip.OURS)
        if sight.mark is not None and row.noticed_by != ASKED_FOR:
            # Nothing is known of it here any more; who asks for it by name begins anew.
            return Outcome(IntakeState.SKIPPED, Skip.PROCESSED_EARLIER)
        if (pair := await self._pairs.raw_of(row, sight.asset)) is not None:
            if pair.raw_name is None:
                return Outcome(IntakeState.SEEN)
            return Outcome(IntakeState.SKIPPED, words_of(Kind.JPEG, pair.raw_name), raw_row=pair.raw_row)
        return await self._download(row, sight.asset, _consider(row, sight.asset, traits, rules))

    async def _rules_of(self, row: AssetRow) -> Rules:
        """The rules that hold for an asset: those of the backfill that asked for it, or of the connection."""
        if row.noticed_by == ASKED_FOR:
            return WHATEVER_IT_IS
        async with self._database.reading() as session:
            if row.backfill_id is not None:
                return Rules.read((await session.get_one(BackfillRow, row.backfill_id)).rules)
            return Rules.read((await session.get_one(ConnectionRow, row.connection_id)).rules)

    async def _download(self, row: AssetRow, asset: Asset, consider: Consider) -> Outcome:
        size = (asset.exif_info.file_size_in_byte or 0) if asset.exif_info else 0
        self._space.check(size)
        name = asset.original_file_name or row.file_name or f"{row.asset_id}.jpg"
        sha1 = sha1_of(asset)
        async with self._downloaded(row.asset_id, name, sha1) as part:
            if sha1 is None and size:
                await self._make_sure(part, row.asset_id, name, size)
            return await self._hand_over(row, part, name, asset, sha1=sha1, consider=consider)

    async def _make_sure(self, part: Path, asset_id: str, name: str, size: int) -> None:
        """Make sure of a file that Immich knows no checksum of, since it lies in an external library.

        One of another size than Immich has noted was changed there, or cut on its way: read once more, it has to be
        the same.

        Raises
        ------
        IntegrityError
            If it is not.
        """
        if (await asyncio.to_thread(part.stat)).st_size == size:
            return
        first = await asyncio.to_thread(hash_file, part)
        async with self._downloaded(asset_id, name, first.sha1):
            pass

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
        if self._incoming.is_dir():
            for folder in self._incoming.iterdir():
                if folder.name != self._run:
                    shutil.rmtree(folder, ignore_errors=True)

    async def _hand_over(
        self, row: AssetRow, part: Path, name: str, asset: Asset, *, sha1: str | None, consider: Consider
    ) -> Outcome:
        # Until Immich has read the file, its date is the one that the uploader said.
        known = moment(asset.file_created_at)
        captured_at = known if is_extracted(asset, self._api.server_now()) else None
        taken = await self._intake.take(
            self._connection.owner_id,
            part,
            file_name=name,
            source=Source.IMMICH,
            captured_at=captured_at,
            made_at=known,
            connection_id=self._connection.id,
            immich_asset_id=row.asset_id,
            move=True,
            expected_sha1=sha1,
            consider=consider,
        )
        return Outcome(IntakeState.FETCHED, sha256=taken.sha256)


def _is_ours_to_fetch() -> ColumnElement[bool]:
    """Whether nobody else fetches an asset: a backfill that goes on fetches what it asked for, after all that is new.

    What is tried again after its backfill ended is left to us.
    """
    ended = select(BackfillRow.id).where(col(BackfillRow.state).in_((BackfillState.DONE, BackfillState.CANCELLED)))
    return or_(col(AssetRow.backfill_id).is_(None), col(AssetRow.backfill_id).in_(ended))


def _consider(row: AssetRow, asset: Asset, traits: Traits, rules: Rules) -> Consider:
    """What `Intake.take` asks about the file: whether the rules take it, and what they choose for it."""

    def consider(facts: "FileFacts", size: int) -> Mapping[str, Any]:
        verdict = judge(with_facts(traits, facts, size), rules)
        if not verdict.take:
            raise NotWantedError(verdict.reason or Skip.NOT_WANTED)
        return {
            "mode": verdict.mode,
            "preset": verdict.preset,
            "preset_strength": verdict.preset_strength,
            "allowed": list(verdict.allowed),
            "backfill_id": row.backfill_id,
            "priority": 0 if row.backfill_id is None else BACKFILL_PRIORITY,
            "read_only": bool(asset.library_id),
        }

    return consider


def _failed(row: AssetRow, error: Exception) -> Outcome:
    last = row.attempts + 1 >= ATTEMPTS
    return Outcome(IntakeState.FAILED if last else IntakeState.SEEN, str(error), failed=True)


def _wait(attempts: int) -> timedelta:
    """How long to wait after so many failed attempts."""
    seconds = min(FIRST_WAIT_SECONDS * 2 ** (attempts - 1), LONGEST_WAIT_SECONDS)
    return timedelta(seconds=seconds * random.uniform(0.8, 1.2))  # noqa: S311  # no secret
