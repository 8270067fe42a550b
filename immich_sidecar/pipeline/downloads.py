"""What the operator does to models while the service runs: fetching, checking, agreeing, removing.

Nothing happens here by itself: no model is fetched at the start, and a download that the service's end broke off waits
until somebody resumes it.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any

from immich_sidecar.analysis import weights
from immich_sidecar.analysis.download import Progress, download
from immich_sidecar.analysis.models_catalogue import Entry
from immich_sidecar.errors import ConflictError, SidecarError
from immich_sidecar.events import Event, EventType
from immich_sidecar.library.events import EventLog
from immich_sidecar.library.tables import LOCAL_OWNER
from immich_sidecar.settings import Settings

_log = logging.getLogger(__name__)

#: Seconds between two pieces of news about the same download.
NEWS = 0.25


@dataclass
class Doing:
    """What is being done to a model now, or what came of the last of it."""

    #: `download` or `verify`.
    what: str
    file: str = ""
    done: int = 0
    total: int | None = None
    #: What went wrong, in words for a person; empty while it runs, and where nothing did.
    error: str = ""
    running: bool = True

    def to_json(self) -> dict[str, Any]:
        """As the API and the socket tell it."""
        return {
            "what": self.what,
            "file": self.file,
            "done": self.done,
            "total": self.total,
            "error": self.error or None,
            "running": self.running,
        }


@dataclass
class Downloads:
    """The models of an installation, for the operator.

    Parameters
    ----------
    settings
        Where weights are, what stands in for their source, how much space has to stay free, and who agreed to what.
    events
        Takes news of what is under way.
    changed
        Called when a model came, went, or was agreed to, so that it is used from then on.
    """

    settings: Settings
    events: EventLog
    changed: Callable[[], None] = lambda: None
    _doing: dict[str, Doing] = field(default_factory=dict)
    _tasks: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    _told: float = 0.0

    async def overview(self) -> list[tuple[weights.Standing, Doing | None]]:
        """How every model of the list stands, and what is being done to it or went wrong with the last of it."""
        # What is being done first: what ends meanwhile is then shown as going on, and not as never done.
        doing = {name: replace(one) for name, one in self._doing.items()}
        standings = await asyncio.to_thread(lambda: [self.standing(entry) for entry in weights.catalogue()])
        return [(standing, doing.get(standing.entry.name)) for standing in standings]

    async def one(self, entry: Entry) -> tuple[weights.Standing, Doing | None]:
        """The same for one model."""
        doing = self._doing.get(entry.name)
        doing = None if doing is None else replace(doing)
        return await asyncio.to_thread(self.standing, entry), doing

    def standing(self, entry: Entry) -> weights.Standing:
        """How one stands; looks at the disk."""
        return weights.standing(entry, self.settings.weights_dir(), self.settings.models_consent)

    @property
    def is_busy(self) -> bool:
        """Whether anything is under way."""
        return any(doing.running for doing in self._doing.values())

    def begin_download(self, entry: Entry) -> None:
        """Fetch a model, or go on where that broke off.

        Raises
        ------
        WeightsRefusedError
            If somebody has to agree first.
        ConflictError
            If something is being done to it already.
        """
        standing = self.standing(entry)
        if standing.needs_consent is not None:
            raise ConflictError(f"{standing.needs_consent} Agree to it first.")
        self._begin(entry, "download", self._download)

    def begin_verify(self, entry: Entry) -> None:
        """Read all files of a model and hold them against what is known of them.

        Raises
        ------
        ConflictError
            If something is being done to it already.
        """
        self._begin(entry, "verify", self._verify)

    async def cancel(self, entry: Entry) -> None:
        """Stop what is being done to a model; what has arrived stays."""
        task = self._tasks.get(entry.name)
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def remove(self, entry: Entry, *, forget: bool = False) -> int:
        """Delete a model's files; returns the bytes that are free again.

        Raises
        ------
        ConflictError
            If something is being done to it.
        StorageError
            If a file cannot be deleted.
        """
        self._refuse_if_busy(entry)
        freed = await asyncio.to_thread(weights.remove, entry, self.settings.weights_dir(), forget=forget)
        self._doing.pop(entry.name, None)
        self._has_changed()
        return freed

    async def agree(self, entry: Entry, *, by: str, agrees: bool = True) -> None:
        """Keep that the operator agreed to use a model, or takes that back.

        Raises
        ------
        ConflictError
            If nobody has to agree to it, or it was agreed to by a setting, which only the setting takes back.
        StorageError
            If it cannot be written.
        """
        if entry.why_consent() is None:
            raise ConflictError(f"{entry.name} needs nobody's consent.")
        folder = self.settings.weights_dir()
        if agrees:
            await asyncio.to_thread(weights.consent_to, entry, folder, by)
        else:
            if any(entry.is_called(name) for name in self.settings.models_consent):
                raise ConflictError(f"{entry.name} is agreed to by SIDECAR_MODELS_CONSENT; take it out there.")
            await asyncio.to_thread(weights.withdraw_consent, entry, folder)
        self._has_changed()

    async def stop(self) -> None:
        """End what is under way; what has arrived stays."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def snapshot(self) -> dict[str, dict[str, Any]]:
        """What is under way, by model."""
        return {name: doing.to_json() for name, doing in self._doing.items() if doing.running}

    # ---- inside

    def _begin(self, entry: Entry, what: str, work: Callable[[Entry, Doing], Coroutine[Any, Any, None]]) -> None:
        self._refuse_if_busy(entry)
        self._doing[entry.name] = doing = Doing(what)
        self._tasks[entry.name] = asyncio.create_task(self._run(entry, doing, work), name=f"{what} {entry.name}")
        self._tell()

    def _refuse_if_busy(self, entry: Entry) -> None:
        doing = self._doing.get(entry.name)
        if doing is not None and doing.running:
            words = {"download": "fetched", "verify": "verified"}[doing.what]
            raise ConflictError(f"{entry.name} is being {words} already.")

    async def _run(self, entry: Entry, doing: Doing, work: Callable[[Entry, Doing], Coroutine[Any, Any, None]]) -> None:
        try:
            await work(entry, doing)
        except SidecarError as error:
            doing.error = str(error)
            _log.warning("%s of %s: %s", doing.what, entry.name, error)
        except Exception as error:  # noqa: BLE001  the boundary of a background task: the page has to hear of it
            doing.error = f"{entry.name}: {type(error).__name__}: {error}"
            _log.exception("%s of %s failed", doing.what, entry.name)
        finally:
            doing.running = False
            self._tasks.pop(entry.name, None)
            if not doing.error:
                self._doing.pop(entry.name, None)
            self._has_changed()

    async def _download(self, entry: Entry, doing: Doing) -> None:
        def tell(progress: Progress) -> None:
            doing.file, doing.done, doing.total = progress.file, progress.done, progress.total
            self._tell_soon()

        _log.info("fetching %s from %s", entry.name, self.settings.models_mirror or entry.source)
        await download(
            entry,
            self.settings.weights_dir(),
            mirror=self.settings.models_mirror,
            min_free=self.settings.min_free,
            consents=self.settings.models_consent,
            tell=tell,
        )
        _log.info("%s is here", entry.name)

    async def _verify(self, entry: Entry, doing: Doing) -> None:
        doing.total = self.standing(entry).size
        loop = asyncio.get_running_loop()

        def count(read: int) -> None:
            doing.done += read
            self._tell_soon()

        def tell(read: int) -> None:
            loop.call_soon_threadsafe(count, read)

        verdict = await asyncio.to_thread(weights.verify, entry, self.settings.weights_dir(), tell=tell)
        problems = [file.problem for file in verdict.files if file.problem]
        if not verdict.is_right:
            doing.error = f"{entry.name}: {'; '.join(problems) or 'nothing of it is here'}"

    def _has_changed(self) -> None:
        self.changed()
        self._tell()

    def _tell_soon(self) -> None:
        if time.monotonic() - self._told >= NEWS:
            self._tell()

    def _tell(self) -> None:
        self._told = time.monotonic()
        # The operator's own owner: models are nobody's photos, and nobody else hears of them.
        self.events.publish_live(Event(EventType.MODELS_CHANGED, LOCAL_OWNER, data={"models": self.snapshot()}))
