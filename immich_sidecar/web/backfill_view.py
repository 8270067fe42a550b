"""A backfill as pages and programs see it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from immich_sidecar.immich.backfill import Scope
from immich_sidecar.immich.rules import Rules
from immich_sidecar.library.backfills import Progress
from immich_sidecar.library.tables import BackfillRow, BackfillState, now
from immich_sidecar.pipeline.backfill_bench import Live
from immich_sidecar.pipeline.backfills import COMMANDS
from immich_sidecar.pipeline.take_back import Outcome
from immich_sidecar.web.words import iso

_STATES = {
    BackfillState.COUNTING: "Counting",
    BackfillState.READY: "Ready to start",
    BackfillState.RUNNING: "Running",
    BackfillState.PAUSED: "Paused",
    BackfillState.DONE: "Done",
    BackfillState.CANCELLED: "Cancelled",
    BackfillState.UNDOING: "Taking back",
    BackfillState.UNDONE: "Taken back",
    BackfillState.FAILED: "Stopped",
}
#: Seconds of a run from which its own pace counts.
_ENOUGH_SECONDS = 20.0


@dataclass(frozen=True)
class BackfillView:
    """Everything about one backfill."""

    row: BackfillRow
    progress: Progress
    live: Live

    @property
    def id(self) -> int:
        """Its number."""
        return self.row.id or 0

    @property
    def words(self) -> str:
        """What it is about."""
        return Scope.model_validate(self.row.scope).words

    @property
    def rules(self) -> Rules:
        """The rules that hold for it."""
        return Rules.read(self.row.rules)

    @property
    def state(self) -> str:
        """The state, as a word for programs."""
        return self.row.state.value

    @property
    def state_words(self) -> str:
        """The state, for people."""
        return _STATES[self.row.state]

    @property
    def is_active(self) -> bool:
        """Whether numbers may change by themselves."""
        return self.row.state in (BackfillState.COUNTING, BackfillState.RUNNING, BackfillState.UNDOING)

    @property
    def estimate(self) -> Mapping[str, Any]:
        """What the dry run found, or the count so far."""
        if self.row.state is BackfillState.COUNTING:
            return self.live.tally or {}
        return self.row.estimate or {}

    @property
    def samples(self) -> Sequence[Mapping[str, Any]]:
        """Examples of what would be taken."""
        found: Sequence[Mapping[str, Any]] = self.estimate.get("samples", ())
        return found

    @property
    def left_samples(self) -> Sequence[Mapping[str, Any]]:
        """Examples of what would be left alone."""
        found: Sequence[Mapping[str, Any]] = self.estimate.get("left_samples", ())
        return found

    @property
    def total(self) -> int:
        """How many photos the dry run would take."""
        return int(self.estimate.get("take", 0)) + int(self.estimate.get("look", 0))

    @property
    def done(self) -> int:
        """How many of them have come to an end; some end where their file says that they are not wanted."""
        return self.progress.done + min(self._skipped_late, max(0, self.total - self.progress.done))

    @property
    def _skipped_late(self) -> int:
        """Assets that were to be taken and were left alone in the end."""
        expected = sum(int(count) for count in self.estimate.get("left", {}).values())
        return max(0, sum((self.progress.skipped or {}).values()) - expected) if self._all_noticed else 0

    @property
    def _all_noticed(self) -> bool:
        return bool((self.row.cursor or {}).get("done"))

    @property
    def share(self) -> float:
        """How much of it is done, 0..1."""
        return 1.0 if self.row.state is BackfillState.DONE else min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def seconds_left(self) -> float | None:
        """How long it will take still: by its own pace, else as was estimated; None where it does not run."""
        if self.row.state is not BackfillState.RUNNING or not self.total:
            return None
        left = max(0, self.total - self.done)
        ran = (now() - self.row.started_at).total_seconds() if self.row.started_at else 0.0
        # A run that was paused or interrupted has no pace of its own: its clock went on meanwhile.
        if ran > _ENOUGH_SECONDS and self.done > 4 and not self.live.interrupted:
            return left * ran / self.done
        return left * float(self.estimate.get("seconds_each", 1.0))

    @property
    def outcomes(self) -> Sequence[tuple[str, int]]:
        """What came of its photos, for people."""
        progress = self.progress
        rows = (
            ("wait to be fetched", progress.waiting),
            ("are being worked on", progress.working),
            ("wait for you", progress.pending),
            ("approved", progress.approved),
            ("rejected", progress.rejected),
            ("needed nothing", progress.left_alone),
            ("failed", progress.failed),
            ("cancelled", progress.cancelled),
        )
        return [(word, count) for word, count in rows if count]

    @property
    def skipped(self) -> Sequence[tuple[str, int]]:
        """What was left where it is so far, by reason."""
        return list((self.progress.skipped or {}).items())

    @property
    def left(self) -> Sequence[tuple[str, int]]:
        """What the dry run would leave alone, by reason."""
        return list(self.estimate.get("left", {}).items())

    @property
    def undo(self) -> Mapping[str, Any]:
        """What came of taking it back, so far or in the end."""
        kept = (self.row.estimate or {}).get("undo")
        found = self.live.tally if self.row.state is BackfillState.UNDOING else kept
        return {**Outcome().to_json(), **(found or {})}

    def can(self, command: str) -> bool:
        """Whether a command is possible now."""
        if command == "undo" and self.row.started_at is None:
            return False
        return self.row.state in COMMANDS[command][0]

    def shows(self, asset_id: str) -> bool:
        """Whether an asset is one of its examples."""
        return any(item["asset_id"] == asset_id for item in (*self.samples, *self.left_samples))

    def to_json(self) -> dict[str, Any]:
        """It as the API tells it."""
        estimate = {name: value for name, value in self.estimate.items() if name not in ("way", "undo")}
        return {
            "id": self.id,
            "scope": self.row.scope,
            "words": self.words,
            "rules": self.row.rules,
            "state": self.state,
            "error": self.row.error,
            "waits_for": self.live.waits_for,
            "created_at": iso(self.row.created_at),
            "started_at": iso(self.row.started_at),
            "finished_at": iso(self.row.finished_at),
            "estimate": estimate or None,
            "progress": self.progress.to_json(),
            "total": self.total,
            "done": self.done,
            "seconds_left": self.seconds_left,
            "undo": dict(self.undo) if self.row.state in (BackfillState.UNDOING, BackfillState.UNDONE) else None,
            "commands": [command for command in COMMANDS if self.can(command)],
        }
