"""The rows that say which version we put into which album."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, delete, update
from sqlmodel import col, select

from immich_sidecar.immich.connections import Connection
from immich_sidecar.library.database import Database
from immich_sidecar.library.tables import AlbumEntryRow, PhotoRow, Publish, Review, VersionRow, now

#: Rows that are named in one statement.
_AT_ONCE = 500


@dataclass(frozen=True)
class Pair:
    """An original in Immich and the version of it that is its owner's choice."""

    photo: str
    n: int
    original_id: str
    version_id: str


class AlbumEntries:
    """What we put into albums for one connection.

    Parameters
    ----------
    database, connection
        Where the rows are, and whose photos they are about.
    """

    def __init__(self, database: Database, connection: Connection) -> None:
        self._database = database
        self._connection = connection

    async def begin(
        self, album_id: str, pairs: Sequence[Pair]
    ) -> tuple[dict[str, AlbumEntryRow], frozenset[int | None]]:
        """Write that versions are being added; gives the rows by asset of the version, and which were there before."""
        owner = self._connection.owner_id
        wanted = {(pair.photo, pair.n): pair for pair in pairs}
        query = select(AlbumEntryRow).where(
            col(AlbumEntryRow.owner_id) == owner,
            col(AlbumEntryRow.album_id) == album_id,
            col(AlbumEntryRow.photo).in_([pair.photo for pair in pairs]),
        )
        async with self._database.transaction() as session:
            there = [row for row in (await session.exec(query)).all() if (row.photo, row.n) in wanted]
            before = frozenset(row.id for row in there)
            missing = wanted.keys() - {(row.photo, row.n) for row in there}
            there += [
                AlbumEntryRow(owner_id=owner, photo=photo, n=n, album_id=album_id, added_at=None)
                for photo, n in sorted(missing)
            ]
            session.add_all(there)
            await session.flush()
        return {wanted[row.photo, row.n].version_id: row for row in there}, before

    async def settle(self, ids: Collection[int | None]) -> None:
        """Write that these were added."""
        statement = update(AlbumEntryRow).where(col(AlbumEntryRow.id).in_(ids)).values(added_at=now())
        async with self._database.transaction() as session:
            await (await session.connection()).execute(statement)

    async def forget(self, rows: Iterable[AlbumEntryRow]) -> None:
        """They are not in their albums any more, or not ours to take out."""
        ids = [row.id for row in rows]
        for start in range(0, len(ids), _AT_ONCE):
            some = delete(AlbumEntryRow).where(col(AlbumEntryRow.id).in_(ids[start : start + _AT_ONCE]))
            async with self._database.transaction() as session:
                await (await session.connection()).execute(some)

    async def of_version(self, photo: PhotoRow, n: int) -> Sequence[AlbumEntryRow]:
        """Those of one version."""
        query = select(AlbumEntryRow).where(
            col(AlbumEntryRow.owner_id) == photo.owner_id,
            col(AlbumEntryRow.photo) == photo.sha256,
            col(AlbumEntryRow.n) == n,
        )
        async with self._database.reading() as session:
            return (await session.exec(query)).all()

    async def are_any(self) -> bool:
        """Whether there is anything that could follow, or has followed."""
        approved = select(PhotoRow.sha256).where(
            col(PhotoRow.owner_id) == self._connection.owner_id,
            col(PhotoRow.review) == Review.APPROVED,
            col(PhotoRow.connection_id) == self._connection.row_id,
        )
        entered = select(AlbumEntryRow.photo).where(col(AlbumEntryRow.owner_id) == self._connection.owner_id)
        async with self._database.reading() as session:
            for query in (approved, entered):
                if (await session.exec(query.limit(1))).first() is not None:
                    return True
        return False

    async def albums(self) -> set[str]:
        """The albums that we put something into."""
        query = select(AlbumEntryRow.album_id).where(col(AlbumEntryRow.owner_id) == self._connection.owner_id)
        async with self._database.reading() as session:
            return set((await session.exec(query.distinct())).all())

    async def by_album(self) -> dict[str, list[AlbumEntryRow]]:
        """All of the connection, by album."""
        query = (
            select(AlbumEntryRow)
            .join(PhotoRow, _photo_of_entry())
            .where(
                col(AlbumEntryRow.owner_id) == self._connection.owner_id,
                col(PhotoRow.connection_id) == self._connection.row_id,
            )
        )
        found: dict[str, list[AlbumEntryRow]] = {}
        async with self._database.reading() as session:
            for row in await session.exec(query):
                found.setdefault(row.album_id, []).append(row)
        return found

    async def assets_in(self, album_id: str) -> dict[int | None, tuple[str | None, str | None]]:
        """Assets of original and version, by id of the row, of what we put into an album."""
        query = (
            select(AlbumEntryRow.id, PhotoRow.immich_asset_id, VersionRow.immich_asset_id)
            .join(PhotoRow, _photo_of_entry())
            .join(
                VersionRow,
                and_(
                    col(VersionRow.owner_id) == col(AlbumEntryRow.owner_id),
                    col(VersionRow.photo) == col(AlbumEntryRow.photo),
                    col(VersionRow.n) == col(AlbumEntryRow.n),
                ),
            )
            .where(col(AlbumEntryRow.owner_id) == self._connection.owner_id, col(AlbumEntryRow.album_id) == album_id)
        )
        async with self._database.reading() as session:
            return {entry: (original, version) for entry, original, version in await session.exec(query)}

    async def pairs(self) -> list[Pair]:
        """Every original with its approved version, where both are in Immich and in their place."""
        current = and_(
            col(VersionRow.owner_id) == col(PhotoRow.owner_id),
            col(VersionRow.photo) == col(PhotoRow.sha256),
            col(VersionRow.n) == col(PhotoRow.version),
        )
        query = (
            select(PhotoRow.sha256, VersionRow.n, PhotoRow.immich_asset_id, VersionRow.immich_asset_id)
            .join(VersionRow, current)
            .where(
                col(PhotoRow.owner_id) == self._connection.owner_id,
                col(PhotoRow.connection_id) == self._connection.row_id,
                col(PhotoRow.review) == Review.APPROVED,
                col(PhotoRow.immich_asset_id).is_not(None),
                col(VersionRow.immich_asset_id).is_not(None),
                col(VersionRow.publish).in_((Publish.STACKED, Publish.MARKED)),
                col(VersionRow.retired).is_(None),
            )
        )
        async with self._database.reading() as session:
            return [
                Pair(photo, n, original_id, version_id)
                for photo, n, original_id, version_id in await session.exec(query)
                if original_id is not None and version_id is not None
            ]


def _photo_of_entry() -> Any:
    return and_(col(PhotoRow.owner_id) == col(AlbumEntryRow.owner_id), col(PhotoRow.sha256) == col(AlbumEntryRow.photo))
