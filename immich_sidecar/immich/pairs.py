"""RAW files and their JPEGs in Immich: a JPEG of the same shot is left as it is, because its RAW file is developed.

A pair has one owner, one base name, one second of capture, one camera, one visibility, and in an external library one
folder; all that is known for certain only once Immich has read both. Candidates are found by their names among the
assets that were noticed, without a question to Immich; where there is none, nothing waits. Stacks are not touched:
where the two are in one, our version joins it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import PurePath

from immich_py_client.models import Asset
from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.develop.formats import RAW_NAMES, has_raw_name
from immich_sidecar.errors import ImmichError, ImmichGoneError
from immich_sidecar.immich.connections import Connection
from immich_sidecar.immich.moments import moment
from immich_sidecar.immich.rules import BACKFILL_CANCELLED, is_extracted, sha1_of
from immich_sidecar.library import companions, photos
from immich_sidecar.library.companions import Kind, Shot, is_same_shot, words_of
from immich_sidecar.library.database import Database
from immich_sidecar.library.tables import (
    AssetRow,
    BackfillRow,
    BackfillState,
    CompanionRow,
    IntakeState,
    PhotoRow,
    Publish,
)

#: Makes a photo (the second hash) the companion of another one of an owner, where nobody has decided about it.
Absorb = Callable[[str, str, str], Awaitable[bool]]

#: How long a JPEG waits for its RAW file to be fetched, and a pair for Immich to read both.
PATIENCE = timedelta(minutes=2)

#: Assets of one name that are looked at, each with a question to Immich.
MOST_OF_A_NAME = 20

#: States of a RAW file that is a photo, or may become one.
_HOPEFUL = (IntakeState.FETCHED, IntakeState.SEEN)
#: States of a backfill of which nothing more is taken.
_CALLED_OFF = (BackfillState.CANCELLED, BackfillState.UNDOING, BackfillState.UNDONE)
_PICTURES = ("jpg", "jpeg", "jpe", "heic", "heif", "hif")


@dataclass(frozen=True)
class Found:
    """What was found out about a JPEG."""

    #: Name of the RAW file; None: not known yet.
    raw_name: str | None
    #: Its row.
    raw_row: int | None = None


#: Cannot be told yet: Immich is still reading one of the two, or the RAW file is still to be fetched.
LATER = Found(None)


class Pairs:
    """Knows the pairs of one connection.

    Parameters
    ----------
    connection
        Its `pairs` says whether there are any.
    absorb
        Makes a JPEG that became a photo first the companion of its RAW file; None: such a one stays a photo.
    """

    def __init__(self, connection: Connection, database: Database, absorb: Absorb | None) -> None:
        self._connection, self._api = connection, connection.api
        self._database, self._absorb = database, absorb
        #: Rows of RAW files that were fetched and whose JPEGs cannot be told yet, with when that is given up.
        self._open: dict[int, datetime] = {}
        self._turn = asyncio.Lock()

    async def raw_of(self, row: AssetRow, asset: Asset) -> Found | None:
        """The RAW file of an asset's shot, `LATER`, or None where the asset is a photo of its own.

        Raises
        ------
        ImmichError
            If Immich does not answer.
        """
        if not self._connection.pairs or not _is_picture(row.file_name):
            return None
        for raw in await self._named(row.file_name, _raw_endings(), _HOPEFUL):
            same = await self._same_shot(asset, raw.asset_id)
            waited = datetime.now(UTC) - row.seen_at
            if same is False or (same is None and waited > PATIENCE):
                continue
            if same is None or (raw.state is IntakeState.SEEN and waited < PATIENCE and row.backfill_id is None):
                return LATER
            if raw.sha256 is not None:
                await self._remember(raw, row, asset)
            return Found(raw.file_name, raw.id)
        return None

    async def is_absorbed(self, photo: PhotoRow, asset: Asset) -> bool:
        """Whether a photo turned out to be the JPEG of a RAW file that came after it; it is its companion then."""
        if not self._connection.pairs or self._absorb is None or not _is_picture(photo.file_name):
            return False
        for raw in await self._named(photo.file_name, _raw_endings(), (IntakeState.FETCHED,)):
            if raw.sha256 and raw.sha256 != photo.sha256 and await self._same_shot(asset, raw.asset_id):
                return await self._absorb(photo.owner_id, raw.sha256, photo.sha256)
        return False

    async def was_settled(self, session: AsyncSession, row: AssetRow, *, raw_row: int | None) -> None:
        """Look again at JPEGs whose RAW file does not become a photo; inside of what settles the one or the other.

        `raw_row` is the row of the RAW file because of which this one is left alone.
        """
        if raw_row is not None:
            raw = await session.get(AssetRow, raw_row)
            if raw is None or raw.state not in _HOPEFUL:
                await _look_again(session, row)
        elif row.state not in _HOPEFUL:
            await without_raw(session, row)

    async def raw_taken(self, row: AssetRow) -> None:
        """A RAW file became a photo: its JPEGs that are known already become its companions, now or in `settle`."""
        if self._connection.pairs and has_raw_name(row.file_name) and row.id is not None:
            self._open[row.id] = datetime.now(UTC) + PATIENCE
            await self.settle()

    async def settle(self) -> None:
        """Look again at pairs that could not be told."""
        if not self._open or self._turn.locked():
            return
        async with self._turn:
            for row_id, until in list(self._open.items()):
                try:
                    settled = await self._is_settled(row_id)
                except ImmichError:
                    # The next round asks again.
                    settled = False
                if settled or datetime.now(UTC) > until:
                    self._open.pop(row_id, None)

    async def _is_settled(self, row_id: int) -> bool:
        async with self._database.reading() as session:
            raw = await session.get(AssetRow, row_id)
        if raw is None or raw.sha256 is None:
            return True
        settled = True
        states = (IntakeState.FETCHED, IntakeState.SKIPPED)
        for row in await self._named(raw.file_name, _PICTURES, states):
            if row.state is IntakeState.SKIPPED and row.reason != words_of(Kind.JPEG, raw.file_name):
                continue
            try:
                asset = await self._api.asset(row.asset_id)
            except ImmichGoneError:
                continue
            same = await self._same_shot(asset, raw.asset_id)
            settled = settled and same is not None
            if not same:
                continue
            if row.state is IntakeState.SKIPPED:
                await self._remember(raw, row, asset)
            elif self._absorb is not None and row.sha256 is not None:
                await self._absorb(raw.owner_id, raw.sha256, row.sha256)
        return settled

    async def _same_shot(self, picture: Asset, raw_id: str) -> bool | None:
        """Whether two assets are of one shot; None where Immich has not read both."""
        try:
            raw = await self._api.asset(raw_id)
        except ImmichGoneError:
            return False
        if raw.is_trashed or raw.owner_id != picture.owner_id or raw.visibility != picture.visibility:
            return False
        if (raw.library_id or None) != (picture.library_id or None):
            return False
        if raw.library_id and _folder(raw) != _folder(picture):
            return False
        server_now = self._api.server_now()
        if not (is_extracted(raw, server_now) and is_extracted(picture, server_now)):
            return None
        return is_same_shot(_shot_of(raw), _shot_of(picture), sure=True)

    async def _named(self, file_name: str, endings: Iterable[str], states: Sequence[IntakeState]) -> list[AssetRow]:
        """The last noticed assets of the same base name with one of these endings, in small or capital letters.

        Cameras begin again after 9999: there may be many of a name, and those of one shot are noticed together.
        """
        names = _names(file_name, endings)
        async with self._database.reading() as session:
            query = (
                select(AssetRow)
                .where(
                    AssetRow.connection_id == self._connection.row_id,
                    AssetRow.owner_id == self._connection.owner_id,
                    col(AssetRow.file_name).in_(names),
                    col(AssetRow.state).in_(states),
                )
                .order_by(col(AssetRow.id).desc())
                .limit(MOST_OF_A_NAME)
            )
            return sorted((await session.exec(query)).all(), key=lambda row: row.id or 0)

    async def _remember(self, raw: AssetRow, row: AssetRow, asset: Asset) -> None:
        """Note the JPEG with the photo of the RAW file."""
        async with self._database.transaction() as session:
            photo = await photos.find(session, raw.owner_id, raw.sha256 or "")
            if photo is not None and not await _is_known(session, photo, row.asset_id):
                session.add(
                    CompanionRow(
                        owner_id=raw.owner_id,
                        photo=photo.sha256,
                        kind=Kind.JPEG.value,
                        file_name=row.file_name,
                        sha1=sha1_of(asset),
                        size=int((asset.exif_info.file_size_in_byte or 0) if asset.exif_info else 0),
                        immich_asset_id=row.asset_id,
                        # It is there, and is left there as it is.
                        publish=Publish.MARKED,
                    )
                )


async def without_raw(session: AsyncSession, raw: AssetRow) -> None:
    """Look again at the JPEGs that were left alone for a RAW file which does not become a photo; others have none."""
    if not has_raw_name(raw.file_name):
        return
    query = select(AssetRow).where(
        AssetRow.connection_id == raw.connection_id,
        col(AssetRow.file_name).in_(_names(raw.file_name, _PICTURES)),
        AssetRow.state == IntakeState.SKIPPED,
        AssetRow.reason == words_of(Kind.JPEG, raw.file_name),
    )
    for picture in await session.exec(query):
        await _look_again(session, picture)


async def _is_known(session: AsyncSession, photo: PhotoRow, asset_id: str) -> bool:
    rows = await companions.of_photos(session, photo.owner_id, [photo.sha256])
    return any(row.immich_asset_id == asset_id for row in rows)


def _names(file_name: str, endings: Iterable[str]) -> list[str]:
    stem = PurePath(file_name).stem
    return [f"{stem}.{ending}" for one in endings for ending in (one, one.upper(), one.capitalize())]


async def _look_again(session: AsyncSession, row: AssetRow) -> None:
    backfill = None if row.backfill_id is None else await session.get(BackfillRow, row.backfill_id)
    if backfill is not None and backfill.state in _CALLED_OFF:
        row.state, row.reason = IntakeState.SKIPPED, BACKFILL_CANCELLED
    else:
        row.state, row.reason = IntakeState.SEEN, None
    row.attempts, row.due_at = 0, None
    session.add(row)


def _is_picture(file_name: str) -> bool:
    return PurePath(file_name).suffix.lower().lstrip(".") in _PICTURES


def _raw_endings() -> list[str]:
    # What was converted to DNG comes after what it was made of.
    return sorted(RAW_NAMES, key=lambda ending: (ending == "dng", ending))


def _shot_of(asset: Asset) -> Shot:
    exif = asset.exif_info or None
    if exif is None:
        return Shot(None, None)
    camera = " ".join(part for part in (exif.make, exif.model) if part)
    return Shot(moment(exif.date_time_original), camera or None)


def _folder(asset: Asset) -> PurePath:
    return PurePath(str(asset.additional_properties.get("originalPath") or "")).parent
