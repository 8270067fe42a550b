"""One backfill at work: it is counted, its photos are noticed and fetched, or everything is taken back."""

import asyncio
import logging
import time
from datetime import timedelta
from typing import Any
from uuid import uuid4

from sqlalchemy.exc import SQLAlchemyError

from immich_sidecar.errors import (
    DiskFullError,
    ImmichAwayError,
    ImmichCredentialsError,
    ImmichError,
    ImmichPermissionError,
    ImmichServerError,
    SidecarError,
)
from immich_sidecar.immich.at_work import Connected
from immich_sidecar.immich.backfill import Scope
from immich_sidecar.immich.backfill_intake import BackfillIntake
from immich_sidecar.immich.rules import Rules
from immich_sidecar.immich.survey import Sample, Tally
from immich_sidecar.library import backfills, presets
from immich_sidecar.library.tables import BackfillRow, BackfillState, PhotoRow, now
from immich_sidecar.pipeline import decisions, pace, tasks
from immich_sidecar.pipeline.backfill_bench import Bench, Live, backfill_event
from immich_sidecar.pipeline.executor import ExecutorUnavailableError, TaskFailed, WorkerLost
from immich_sidecar.pipeline.take_back import Outcome, TakingBack
from immich_sidecar.pipeline.work_queue import read_pauses

_log = logging.getLogger(__name__)

#: Photos of an owner's backfills that may be fetched and not finished, here and in Immich.
AHEAD = 24
#: Assets that may be noticed and not fetched before more are looked for.
NOTICED_AHEAD = 200
#: Assets per answer when noticing: their rows are written in one go, and everything else waits for that.
NOTICED_AT_ONCE = 400
#: Assets that are fetched before anything new is looked for again.
AT_ONCE = 4
#: Seconds until it is looked again whether there is something to do, and where Immich is away or the disk full.
SOON, LATER = 1.0, 15.0
#: Seconds between two live events; five times that where there are so many photos.
TELL_EVERY = 1.0
LARGE = 5_000
#: Seconds that judging one sample may take.
SAMPLE_TIMEOUT = 60.0
#: A count reaches a little into the future, because clocks need not agree to the second.
_AHEAD = timedelta(seconds=5)

_TRANSIENT = (ImmichAwayError, ImmichServerError, ImmichCredentialsError, SQLAlchemyError)


class BackfillRun:
    """Carries one backfill on for as long as its state says that there is something to do.

    Parameters
    ----------
    bench
        What it works with.
    identity
        The row's id.
    live
        Where it says what it is doing.
    """

    def __init__(self, bench: Bench, identity: int, live: Live) -> None:
        self._bench = bench
        self._database = bench.database
        self._id = identity
        self._live = live
        self._told_at = 0.0

    async def work(self) -> None:
        """Go on until the state says that nothing is to be done; what fails is written into the row."""
        while True:
            row = await self._row()
            if row is None or row.state not in backfills.ACTIVE:
                self._live.waits_for = None
                return
            try:
                wait = await self._on(row)
            except _TRANSIENT as error:
                _log.info("backfill %s: %s; tried again", self._id, error)
                wait = self._waits(str(error), LATER)
            except DiskFullError as error:
                wait = self._waits(str(error), LATER)
            except SidecarError as error:
                await self._fail(str(error))
                return
            except Exception as error:  # noqa: BLE001  the boundary: a defect ends this backfill and nothing else
                _log.exception("backfill %s failed", self._id)
                await self._fail(f"{type(error).__name__}: {error}")
                return
            if wait:
                await asyncio.sleep(wait)

    async def _on(self, row: BackfillRow) -> float:
        """One piece of work; gives the seconds until the next."""
        one = self._bench.grounds.of_id(row.connection_id)
        if one is None:
            return self._waits("It goes on once Immich is connected again.", LATER)
        if not one.connection.may_take:
            check = one.connection.last_check
            return self._waits((check and check.message) or "It waits for Immich.", SOON)
        match row.state:
            case BackfillState.COUNTING:
                await self._count(row, one)
                return 0
            case BackfillState.UNDOING:
                return await self._take_back(row)
        return await self._run(row, one)

    # ---- the dry run

    async def _count(self, row: BackfillRow, one: Connected) -> None:
        scope, rules = Scope.model_validate(row.scope), Rules.read(row.rules)
        intake = BackfillIntake(one.connection, self._database)
        until = one.connection.api.server_now() + _AHEAD
        way: dict[str, Any] = {"until": until.isoformat()}
        if scope.is_by_likeness:
            way["ids"] = await intake.walk(scope, rules, until).ids_alike()
        self._live.waits_for, tally = None, Tally()
        async for tally in intake.survey(
            scope, rules, until, cursor={name: way[name] for name in way if name == "ids"}
        ):
            self._live.tally = tally.to_json()
            self._tell(row)
            if not await self._still(row):
                return
        estimate = await self._estimate(tally, one)
        estimate["way"] = way
        estimate["samples"] = await self._judged(tally.taken_samples, one)
        async with self._database.transaction() as session:
            current = await session.get_one(BackfillRow, self._id)
            if current.state is BackfillState.COUNTING:
                current.estimate, current.state = estimate, BackfillState.READY
                session.add(current)
                self._bench.events.record(session, backfill_event(current))
        self._live.tally = None

    async def _estimate(self, tally: Tally, one: Connected) -> dict[str, Any]:
        """How many, how long, how much space."""
        async with self._database.reading() as session:
            speed = await pace.measure(session, self._bench.workers)
        count = tally.take + tally.look
        share = tally.raw / count if count else 0.0
        versions = speed.version_bytes(tally.bytes, share)
        try:
            free = (await one.connection.api.me()).free_bytes
        except ImmichError:
            free = None
        return {
            **tally.to_json(),
            "seconds": round(count * speed.seconds),
            "seconds_each": round(speed.seconds, 2),
            "seconds_measured": speed.measured,
            "version_bytes": versions,
            "cache_bytes": min(tally.bytes, self._bench.cache_max),
            "immich_free_bytes": free,
        }

    async def _judged(self, samples: list[Sample], one: Connected) -> list[dict[str, Any]]:
        """The samples, each with what would be done to it as far as its preview tells."""
        judged: list[dict[str, Any]] = []
        for sample in samples:
            steps: list[dict[str, Any]] | None = None
            left_alone = None
            try:
                steps, left_alone = await self._judge(sample, one)
            except (ImmichError, TaskFailed, WorkerLost, ExecutorUnavailableError, SidecarError, OSError) as error:
                _log.info("backfill %s: the preview of %s tells nothing: %s", self._id, sample.name, error)
            judged.append({**sample.to_json(), "steps": steps, "left_alone": left_alone})
        return judged

    async def _judge(self, sample: Sample, one: Connected) -> tuple[list[dict[str, Any]], str | None]:
        data, _ = await one.connection.api.thumbnail(sample.asset_id, size="preview")
        folder = self._bench.layout.absolute(f"{self._bench.layout.home(one.owner_id)}cache/incoming")
        path = folder / f"sample-{uuid4().hex}.jpg"
        async with self._bench.database.reading() as session:
            preset = await presets.find_or_usual(session, one.owner_id, sample.preset, sample.preset_strength)
        try:
            await asyncio.to_thread(_write, path, data)
            told: tasks.PreviewAdvice = await self._bench.executor.run(
                tasks.judge_preview,
                str(path),
                preset,
                sample.allowed,
                sample.is_raw,
                sample.from_camera,
                timeout=SAMPLE_TIMEOUT,
            )
        finally:
            await asyncio.to_thread(path.unlink, missing_ok=True)
        return [dict(step) for step in told.steps], told.left_alone

    # ---- running

    async def _run(self, row: BackfillRow, one: Connected) -> float:
        """Notice or fetch a little, or end where everything is done; gives the seconds until the next piece."""
        moment = now()
        async with self._database.reading() as session:
            if (pauses := await read_pauses(session)).everybody or row.owner_id in pauses.owners:
                return self._waits("The queue is paused.", SOON)
            noticed = await backfills.waiting(session, row, NOTICED_AHEAD, at=moment)
            new_ones = await backfills.new_ones_wait(session, one.id, at=moment)
            room = AHEAD - await backfills.backlog(session, row.owner_id)
        self._tell(row)
        all_noticed = bool((row.cursor or {}).get("done"))
        if not all_noticed and len(noticed) < NOTICED_AHEAD:
            await self._notice(row, one)
            if not noticed:
                return 0
        if new_ones:
            return self._waits("New photos go first.", SOON)
        if room <= 0:
            return self._waits(None, SOON / 2)
        if noticed:
            self._live.waits_for = None
            await self._fetch(one, noticed[: min(room, AT_ONCE)])
            return 0
        if not all_noticed:
            return 0
        return await self._end(row)

    async def _notice(self, row: BackfillRow, one: Connected) -> None:
        found = await BackfillIntake(one.connection, self._database, page=NOTICED_AT_ONCE).notice(row)
        if found.linked:
            async with self._database.transaction() as session:
                for key in found.linked:
                    await decisions.reopen_publishing(session, await session.get_one(PhotoRow, key))
            self._bench.wake()

    async def _fetch(self, one: Connected, rows: Any) -> None:
        try:
            await one.intake.fetch_rows(rows)
        except (ImmichError, DiskFullError) as error:
            if isinstance(error, ImmichError):
                await one.connection.note(error, self._database, self._bench.events)
            if isinstance(error, ImmichPermissionError):
                raise ImmichAwayError(str(error)) from error
            raise

    async def _end(self, row: BackfillRow) -> float:
        """Call it done where nothing of it is under way any more."""
        async with self._database.reading() as session:
            if await backfills.is_under_way(session, row):
                return self._waits(None, SOON)
        await self._change(BackfillState.RUNNING, BackfillState.DONE)
        return 0

    # ---- taking back

    async def _take_back(self, row: BackfillRow) -> float:
        taking, outcome, after = TakingBack(self._database, self._bench.events), Outcome(), ""
        self._live.waits_for = None
        while photos := await taking.begin(row, after):
            self._bench.wake()
            await self._until_settled(taking, row.owner_id, [photo.sha256 for photo in photos])
            await taking.sum_up(row.owner_id, photos, outcome)
            after = photos[-1].sha256
            self._live.tally = outcome.to_json()
            self._tell(row)
        self._live.tally = None
        await self._change(BackfillState.UNDOING, BackfillState.UNDONE, undo=outcome.to_json())
        return 0

    async def _until_settled(self, taking: TakingBack, owner: str, sha256s: list[str]) -> None:
        """Wait until publishing has done with these photos what is to be done, however long Immich is away."""
        while True:
            if await taking.is_settled(owner, sha256s):
                self._live.waits_for = None
                return
            async with self._database.reading() as session:
                pauses = await read_pauses(session)
            is_paused = pauses.everybody or owner in pauses.owners
            self._live.waits_for = "The queue is paused." if is_paused else "Immich is brought to what it was."
            await asyncio.sleep(SOON / 4)

    # ---- rows and words

    async def _row(self) -> BackfillRow | None:
        async with self._database.reading() as session:
            return await session.get(BackfillRow, self._id)

    async def _still(self, row: BackfillRow) -> bool:
        current = await self._row()
        return current is not None and current.state is row.state

    async def _change(self, before: BackfillState, after: BackfillState, **more: Any) -> None:
        async with self._database.transaction() as session:
            row = await session.get_one(BackfillRow, self._id)
            if row.state is not before:
                return
            row.state, row.finished_at = after, now()
            row.estimate = {**(row.estimate or {}), **more}
            session.add(row)
            self._bench.events.record(session, backfill_event(row))

    async def _fail(self, error: str) -> None:
        async with self._database.transaction() as session:
            row = await session.get(BackfillRow, self._id)
            if row is None or row.state not in backfills.ACTIVE:
                return
            row.state, row.error = BackfillState.FAILED, error
            session.add(row)
            self._bench.events.record(session, backfill_event(row))

    def _waits(self, reason: str | None, seconds: float) -> float:
        self._live.waits_for = reason
        return seconds

    def _tell(self, row: BackfillRow) -> None:
        """Let pages look again, not too often: counting a large backfill takes a moment."""
        photos = int((row.estimate or {}).get("take", 0))
        if time.monotonic() - self._told_at >= TELL_EVERY * (1 if photos < LARGE else 5):
            self._told_at = time.monotonic()
            self._bench.events.publish_live(backfill_event(row))


def _write(path: Any, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
