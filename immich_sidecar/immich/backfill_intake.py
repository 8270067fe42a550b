"""Going through older photos of a connection: to say what would be taken, and to notice what is.

Noticing writes rows for the assets of one step together with the place that was reached, so that an end at any moment
loses nothing and does nothing twice. An asset that has a row already keeps it: whoever asked first, it is one photo.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlmodel import col, select
from sqlmodel.ext.asyncio.session import AsyncSession

from immich_sidecar.immich.backfill import Scope, Step, Walk
from immich_sidecar.immich.connections import Connection
from immich_sidecar.immich.memberships import Memberships
from immich_sidecar.immich.noticing import new_row, note_verdict
from immich_sidecar.immich.rules import Rules, other_rules_may_take, sha1_of
from immich_sidecar.immich.survey import Fate, Finding, Tally, look_at
from immich_sidecar.immich.traits import Traits
from immich_sidecar.library.database import Database
from immich_sidecar.library.tables import (
    AssetRow,
    BackfillRow,
    BackfillState,
    ConnectionRow,
    IntakeState,
    PhotoRow,
    Publish,
    Review,
    WorkState,
)


@dataclass(frozen=True)
class Noticed:
    """What one step of a backfill brought."""

    #: Whether the way is at its end.
    done: bool
    #: Photos that were here already, from elsewhere, and belong to the connection now: `(owner, sha256)`.
    linked: tuple[tuple[str, str], ...] = ()


class BackfillIntake:
    """Looks through what a connection's user has in Immich.

    Parameters
    ----------
    connection
        Was checked: it is known whose it is.
    database
        Where rows are.
    page
        Assets per answer.
    """

    def __init__(self, connection: Connection, database: Database, *, page: int = 1000) -> None:
        self._connection = connection
        self._api = connection.api
        self._database = database
        self._page = page

    def walk(self, scope: Scope, rules: Rules, until: datetime) -> Walk:
        """The way through a scope, up to what came into Immich at `until`."""
        return Walk(
            self._api,
            self._connection.user_id or "",
            scope,
            until=until,
            hidden=rules.takes_hidden,
            page=self._page,
        )

    async def survey(
        self, scope: Scope, rules: Rules, until: datetime, *, cursor: Mapping[str, Any] | None = None
    ) -> AsyncIterator[Tally]:
        """Count what rules would do with everything in a scope; gives the count so far after each step."""
        tally, walk, memberships = Tally(), self.walk(scope, rules, until), Memberships(self._api, rules)
        while True:
            step = await walk.step(cursor)
            traits = await self._traits(memberships, step)
            async with self._database.reading() as session:
                row = await session.get_one(ConnectionRow, self._connection.row_id)
                findings = await look_at(session, row, step.assets, traits, rules)
            tally.add(findings, traits)
            yield tally
            cursor = step.cursor
            if cursor is None:
                return

    async def notice(self, backfill: BackfillRow) -> Noticed:
        """One step on: write rows for what it found, and where it got to.

        Raises
        ------
        ImmichError, NotFoundError
            If Immich cannot be asked, or what it is about is gone; nothing is written then.
        """
        rules, scope = Rules.read(backfill.rules), Scope.model_validate(backfill.scope)
        cursor = backfill.cursor or {}
        if cursor.get("done"):
            return Noticed(done=True)
        until = datetime.fromisoformat(cursor["until"])
        at = {name: value for name, value in cursor.items() if name != "until"}
        step = await self.walk(scope, rules, until).step(at or None)
        traits = await self._traits(Memberships(self._api, rules), step)
        next_cursor = {"done": True, **cursor} if step.cursor is None else {**step.cursor, "until": cursor["until"]}
        async with self._database.transaction() as session:
            row = await session.get_one(BackfillRow, backfill.id)
            if row.state is not BackfillState.RUNNING or row.cursor != backfill.cursor:
                # Paused or cancelled meanwhile, or another run of it was faster.
                return Noticed(done=False)
            connection = await session.get_one(ConnectionRow, self._connection.row_id)
            findings = await look_at(session, connection, step.assets, traits, rules)
            await self._write(session, row, findings)
            linked = await self._link(session, findings)
            row.cursor = next_cursor
            session.add(row)
        return Noticed(step.cursor is None, linked)

    async def _traits(self, memberships: Memberships, step: Step) -> dict[str, Traits]:
        if step.filters:
            return await memberships.of_window(step.assets, step.filters)
        return {asset.id: await memberships.of_asset(asset) for asset in step.assets if asset.id}

    async def _write(self, session: AsyncSession, backfill: BackfillRow, findings: Sequence[Finding]) -> None:
        ids = [finding.asset.id for finding in findings if finding.asset.id]
        query = select(AssetRow).where(
            AssetRow.connection_id == self._connection.row_id, col(AssetRow.asset_id).in_(ids)
        )
        rows = {row.asset_id: row for row in await session.exec(query)}
        for finding in findings:
            asset, verdict = finding.asset, finding.verdict
            row = rows.get(asset.id or "")
            if finding.fate is Fate.HERE or (
                row is not None and not (row.state is IntakeState.SKIPPED and other_rules_may_take(row.reason))
            ):
                continue
            row = row or new_row(self._connection, asset, "backfill")
            wanted = finding.fate in (Fate.TAKE, Fate.LOOK)
            row.state = IntakeState.SEEN if wanted else IntakeState.SKIPPED
            row.reason = None if wanted else finding.reason
            row.backfill_id = backfill.id
            row.attempts, row.due_at = 0, None
            note_verdict(row, verdict)
            session.add(row)

    async def _link(self, session: AsyncSession, findings: Sequence[Finding]) -> tuple[tuple[str, str], ...]:
        """Photos from a hot folder, kept before there was a connection, are published from now on."""
        here = {sha1: one.asset for one in findings if one.fate is Fate.HERE and (sha1 := sha1_of(one.asset))}
        query = select(PhotoRow).where(
            PhotoRow.owner_id == self._connection.owner_id,
            col(PhotoRow.sha1).in_(list(here)),
            col(PhotoRow.connection_id).is_(None),
        )
        linked = []
        for photo in await session.exec(query):
            photo.connection_id = self._connection.id
            photo.immich_asset_id = here[photo.sha1].id or None
            photo.original_publish, photo.original_publish_error = Publish.ORIGINAL_UPLOADED, None
            session.add(photo)
            if photo.state is WorkState.KEPT and photo.review is not Review.NONE:
                linked.append((photo.owner_id, photo.sha256))
        return tuple(linked)
