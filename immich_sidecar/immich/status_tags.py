"""Tags on originals that say where they stand, so that Immich can list what waits: `Sidecar/Review`.

`PhotoRow.tagged` remembers the tag that we gave. What is to be tagged, or not any more, is where it differs from what
review and state ask for, which an index answers: where nothing changed, nothing is read and nothing is asked. A tag
that its owner takes off does not come back while the photo stands where it stood.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import ColumnElement, literal_column, update
from sqlmodel import col, select

from immich_sidecar.errors import ImmichGoneError
from immich_sidecar.immich.annotate import LONGEST_READING, has_been_read
from immich_sidecar.immich.api import Api
from immich_sidecar.immich.choices import Choices
from immich_sidecar.immich.tagging import ROOT, Tagging
from immich_sidecar.library.database import Database
from immich_sidecar.library.tables import PhotoRow, Review, UtcDateTime, WorkState, now

log = logging.getLogger(__name__)

#: On an original whose version waits for its owner.
REVIEW = f"{ROOT}/Review"
#: On an original that needs nothing.
LEFT_ALONE = f"{ROOT}/Left alone"

#: Photos that are tagged with one call.
AT_ONCE = 500
#: Photos that Immich is asked about at a time whether it has read them.
ASKED_AT_ONCE = 50
#: Calls in one go; the rest is done the next time.
MOST_CALLS = 20
#: In `PhotoRow.tagged`: there is nothing that could be tagged.
_IMPOSSIBLE = ""


@dataclass(frozen=True)
class _Kind:
    """Photos that stand alike."""

    review: Review
    states: tuple[WorkState, ...] = tuple(WorkState)


@dataclass(frozen=True)
class _Photo:
    """What is read of a photo."""

    sha256: str
    immich_asset_id: str | None
    read_only: bool
    tagged: str | None


class StatusTags:
    """Brings the tags of one connection's originals to where the photos stand.

    Parameters
    ----------
    api, tagging, database
        Of the connection.
    owner_id, connection_id
        Whose photos, and the row of the connection.
    """

    def __init__(self, api: Api, tagging: Tagging, database: Database, *, owner_id: str, connection_id: int) -> None:
        self._api = api
        self._tagging = tagging
        self._database = database
        self._owner_id = owner_id
        self._connection_id = connection_id

    async def bring_up_to_date(self, choices: Choices) -> int:
        """Tag and untag what is to be; gives for how many photos.

        Raises
        ------
        ImmichError
            If Immich does not do it; what was done is remembered.
        """
        review = REVIEW if choices.review_tag else None
        alone = LEFT_ALONE if choices.tags else None
        done = 0
        for kind, wanted in (
            (_Kind(Review.PENDING), review),
            (_Kind(Review.NONE, (WorkState.LEFT_ALONE,)), alone),
            (_Kind(Review.NONE, tuple(set(WorkState) - {WorkState.LEFT_ALONE})), None),
            (_Kind(Review.APPROVED), None),
            (_Kind(Review.REJECTED), None),
        ):
            done += await self._clear(kind, wanted)
            if wanted is not None:
                done += await self._give(kind, wanted)
        return done

    async def _clear(self, kind: _Kind, wanted: str | None) -> int:
        """Take off what no longer holds."""
        tagged = col(PhotoRow.tagged)
        # Ranges of the index, where `!=` would read all that are as they should be.
        stale = (
            [tagged >= _IMPOSSIBLE] if wanted is None else [(tagged > _IMPOSSIBLE) & (tagged < wanted), tagged > wanted]
        )
        done = 0
        for where in stale:
            for _ in range(MOST_CALLS):
                rows = await self._rows(kind, where, AT_ONCE)
                if not rows:
                    break
                for tag in sorted({row.tagged or _IMPOSSIBLE for row in rows}):
                    some = [row for row in rows if row.tagged == tag]
                    if tag != _IMPOSSIBLE:
                        await self._tagging.remove(tag, [row.immich_asset_id for row in some if row.immich_asset_id])
                        done += len(some)
                    await self._write(some, None, expected=tag)
        return done

    async def _give(self, kind: _Kind, wanted: str) -> int:
        """Tag what is to be tagged and is not."""
        untagged = col(PhotoRow.tagged).is_(None) & col(PhotoRow.immich_asset_id).is_not(None)
        # Immich has read all that came long ago; what is new is asked about.
        long_ago = now() - LONGEST_READING
        done = 0
        for _ in range(MOST_CALLS):
            rows = await self._rows(kind, untagged & _came_before(long_ago), AT_ONCE)
            if not rows:
                break
            done += await self._tag(await self._possible(rows), wanted)
        rows = await self._rows(kind, untagged & ~_came_before(long_ago), ASKED_AT_ONCE)
        return done + await self._tag(await self._read_by_immich(await self._possible(rows)), wanted)

    async def _possible(self, rows: Sequence[_Photo]) -> list[_Photo]:
        """Those of the photos at which Immich can keep a tag: it cannot beside files that it only reads."""
        await self._write([row for row in rows if row.read_only], _IMPOSSIBLE, expected=None)
        return [row for row in rows if not row.read_only]

    async def _read_by_immich(self, rows: Sequence[_Photo]) -> list[_Photo]:
        """Those of the photos that Immich has read; what it has not got is not to be tagged."""
        ready, never = [], []
        for row in rows:
            try:
                asset = await self._api.asset(row.immich_asset_id or "")
            except ImmichGoneError:
                never.append(row)
                continue
            if asset.library_id:
                never.append(row)
            elif has_been_read(asset, self._api.server_now()):
                ready.append(row)
        await self._write(never, _IMPOSSIBLE, expected=None)
        return ready

    async def _tag(self, rows: Sequence[_Photo], wanted: str) -> int:
        if not rows:
            return 0
        refused = await self._tagging.add_to_all(wanted, [row.immich_asset_id or "" for row in rows])
        for asset_id, why in refused.items():
            log.info("asset %s is not tagged with %s: %s", asset_id, wanted, why)
        tagged = [row for row in rows if row.immich_asset_id not in refused]
        # Where a decision came between, the tag is the wrong one now, and goes off again the next time.
        await self._write(tagged, wanted, expected=None)
        await self._write([row for row in rows if row not in tagged], _IMPOSSIBLE, expected=None)
        return len(tagged)

    async def _rows(self, kind: _Kind, where: ColumnElement[bool], limit: int) -> list[_Photo]:
        query = (
            select(PhotoRow.sha256, PhotoRow.immich_asset_id, PhotoRow.read_only, PhotoRow.tagged)
            .where(
                col(PhotoRow.owner_id) == self._owner_id,
                col(PhotoRow.review) == kind.review,
                col(PhotoRow.state).in_(kind.states),
                col(PhotoRow.connection_id) == self._connection_id,
                where,
            )
            .limit(limit)
        )
        async with self._database.reading() as session:
            return [_Photo(*row) for row in await session.exec(query)]

    async def _write(self, rows: Sequence[_Photo], tagged: str | None, *, expected: str | None) -> None:
        """Remember the tag of these photos, where it is still the expected one."""
        if not rows:
            return
        now_there = col(PhotoRow.tagged)
        statement = (
            update(PhotoRow)
            .where(
                col(PhotoRow.owner_id) == self._owner_id,
                col(PhotoRow.sha256).in_([row.sha256 for row in rows]),
                now_there.is_(None) if expected is None else now_there == expected,
            )
            .values(tagged=tagged)
        )
        async with self._database.transaction() as session:
            await (await session.connection()).execute(statement)


def _came_before(moment: datetime) -> ColumnElement[bool]:
    # The plus keeps SQLite from finding by time what another index finds by tag.
    created_at: ColumnElement[datetime] = literal_column("+photos.created_at", UtcDateTime())
    return created_at < moment
