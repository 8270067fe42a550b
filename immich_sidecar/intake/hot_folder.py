"""Hot folders: what is dropped into them becomes photos. Nothing here writes to them; see `leaving` for what does.

Three things go on at the same time: each folder is *followed* (changes that the system tells, or looking through it
every few seconds), files that are new are *watched* until they have stood still, and those are *taken*, one or two
at a time.
"""

import asyncio
import logging
import os
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlmodel import col, select
from watchfiles import Change, awatch

from immich_sidecar.errors import DiskFullError, PhotoError, StorageError
from immich_sidecar.intake.belonging import Absorb, AsCompanion, AsPhoto, Belonging, Homeless, Wait
from immich_sidecar.intake.mounts import needs_polling
from immich_sidecar.intake.scanning import Found, Territory, path_text
from immich_sidecar.intake.unfinished import looks_unfinished
from immich_sidecar.library.database import Database
from immich_sidecar.library.file_rows import DELETED, MOVED, FileKey
from immich_sidecar.library.files import FileChangedError
from immich_sidecar.library.intake import Intake
from immich_sidecar.library.space import Space
from immich_sidecar.library.tables import FileRow, IntakeState, Source
from immich_sidecar.settings import HotFolder

log = logging.getLogger(__name__)

#: Begins the reason of files that could not be read: they are tried again once they can be.
UNREADABLE = "cannot be read"
#: Files that may wait to stand still; beyond that, looking through a folder waits for them.
MAX_WAITING = 20_000

_Key = tuple[str, Path]


@dataclass(frozen=True)
class Pace:
    """How often and how long, in seconds."""

    #: A file is taken when size and time have not changed for this long.
    settle: float = 2.0
    #: Between two looks at files that are not settled yet.
    look: float = 0.5
    #: Between two looks through a folder whose changes nobody tells; longer where a look takes long.
    poll: float = 5.0
    #: Between two looks through a folder whose changes are told, in case something was not.
    rescan: float = 900.0
    #: Between two questions whether a missing folder is there, or space is free again.
    wait: float = 2.0
    #: Before a file is tried again that could not be stored; doubled each time, at most an hour.
    retry: float = 5.0
    #: How long a file that ends before it should has to stand still, or must be old: the rest may be on its way.
    unfinished: float = 60.0
    #: How long a picture waits for a RAW file of its name, in a folder that has RAW files, and a photo for an XMP file.
    pair: float = 5.0
    #: How long a file waits for another one that is there and cannot be taken.
    longest_pair: float = 120.0
    #: Of the time between two looks, the part that looking may take.
    share: float = 0.05


@dataclass
class _Waiting:
    """A file that is new, and since when it has stood still."""

    found: Found
    since: float
    #: Not to be taken before this moment.
    due: float = 0.0
    #: How often storing it failed.
    attempts: int = 0


@dataclass
class _Folder:
    """A hot folder and how it is doing."""

    path: Path
    owners: list[str]
    state: str = "starting"
    polled: bool = False
    #: Files that need no thought any more, each as a hash of its facts; saves asking the database.
    known: set[int] = field(default_factory=set)
    look_again: asyncio.Event = field(default_factory=asyncio.Event)


class HotFolders:
    """Follows hot folders and hands what appears in them to the intake.

    Parameters
    ----------
    folders : sequence of HotFolder
        Each with its owner; one folder may be given for several owners.
    database, intake, space
        What is known already, where photos go, and whether there is room.
    data_dir : Path
        The data directory: what was made there is not taken.
    polling : bool
        Look through every folder instead of asking the system for changes; done for network mounts anyway.
    copies : int
        Files that are taken at the same time.
    pairs : bool
        A RAW file and the JPEG of its name are one photo.
    leaves : bool
        What is taken is to leave its folder once it is safe; `pipeline.afterwards` sees to that.
    absorb : callable, optional
        Makes a photo the companion of another where nobody has decided about it; see `belonging.Absorb`.
    """

    def __init__(
        self,
        folders: Sequence[HotFolder],
        database: Database,
        intake: Intake,
        space: Space,
        *,
        data_dir: Path,
        polling: bool = False,
        copies: int = 2,
        pairs: bool = True,
        leaves: bool = False,
        absorb: Absorb | None = None,
        pace: Pace | None = None,
    ) -> None:
        by_path: OrderedDict[Path, _Folder] = OrderedDict()
        for folder in folders:
            path = Path(os.path.normpath(folder.path.absolute()))
            owners = by_path.setdefault(path, _Folder(path, [])).owners
            if folder.owner not in owners:
                owners.append(folder.owner)
        self._folders = list(by_path.values())
        self._intake, self._database, self._space = intake, database, space
        self._data_dir = data_dir.absolute()
        self._territory = Territory([folder.path for folder in self._folders], self._data_dir)
        self._polling, self._copies, self._pace, self._leaves = polling, copies, pace or Pace(), leaves
        self._belonging = Belonging(database, intake, self._pace, pairs=pairs, absorb=absorb)
        #: By folder: why files stay in it that should leave it.
        self._troubles: dict[Path, str] = {}
        #: Files that are new and not taken yet, the first seen first.
        self._waiting: OrderedDict[_Key, _Waiting] = OrderedDict()
        self._taking: set[_Key] = set()
        self._settled: asyncio.Queue[tuple[_Key, _Waiting, _Folder]] = asyncio.Queue(maxsize=max(2, copies))
        self._something = asyncio.Event()
        self._fewer = asyncio.Event()
        self._paused: str | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._stop = asyncio.Event()

    async def start(self) -> None:
        """Begin; returns at once."""
        self._stop.clear()
        self._tasks = [
            *(asyncio.create_task(self._follow(folder), name=f"hot folder {folder.path}") for folder in self._folders),
            asyncio.create_task(self._watch_waiting(), name="hot folders: settling"),
            *(asyncio.create_task(self._take_settled(), name="hot folders: taking") for _ in range(self._copies)),
        ]

    async def stop(self) -> None:
        """End; what was not taken is found again at the next start."""
        self._stop.set()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []

    def states(self) -> list[dict[str, str]]:
        """For each folder and owner: `path`, `owner`, and `state`, a word or a sentence for people."""
        return [
            {"path": path_text(folder.path), "owner": owner, "state": self._state(folder)}
            for folder in self._folders
            for owner in folder.owners
        ]

    def _state(self, folder: _Folder) -> str:
        trouble = self._troubles.get(folder.path)
        return self._paused or (f"{folder.state}; {trouble}" if trouble else folder.state)

    def tell(self, folder: Path, trouble: str | None) -> None:
        """Show with a folder why files stay in it that should leave it."""
        if trouble is None:
            self._troubles.pop(folder, None)
        else:
            self._troubles[folder] = trouble

    def owners_of(self, path: Path) -> tuple[Path, list[str]] | None:
        """The hot folder that a file belongs to, and the owners that take it; None where it is in none."""
        folder = self._folder_of(path)
        return None if folder is None else (folder.path, list(folder.owners))

    @property
    def unfinished(self) -> int:
        """Files that were noticed and are not taken yet."""
        return len(self._waiting) + len(self._taking)

    # Following

    async def _follow(self, folder: _Folder) -> None:
        missing = False
        while not self._stop.is_set():
            identity = await asyncio.to_thread(_identity, folder.path)
            if identity is None:
                folder.state = "is not there; waiting for it"
                if not missing:
                    log.warning("hot folder %s is not there; waiting for it", path_text(folder.path))
                missing = True
                await asyncio.sleep(self._pace.wait)
                continue
            missing = False
            if await asyncio.to_thread(self._territory.is_ours, folder.path):
                folder.state = "is not followed: what lies there was made here"
                log.error("hot folder %s lies in our own folders; not followed", path_text(folder.path))
                return
            folder.polled = self._polling or await asyncio.to_thread(needs_polling, folder.path)
            try:
                if folder.polled:
                    await self._poll(folder, identity)
                else:
                    await self._listen(folder, identity)
            except Exception as error:  # noqa: BLE001 - shown with the folder, and tried again
                told = error.strerror if isinstance(error, OSError) else None
                folder.state = f"{UNREADABLE}: {told or error}"
                log.warning("hot folder %s: %s", path_text(folder.path), folder.state)
                await asyncio.sleep(self._pace.wait)

    async def _poll(self, folder: _Folder, identity: tuple[int, int]) -> None:
        """Look through a folder again and again, until it is another one."""
        while await asyncio.to_thread(_identity, folder.path) == identity:
            began = time.monotonic()
            await self._scan(folder)
            pause = max(self._pace.poll, (time.monotonic() - began) / self._pace.share)
            folder.state = f"looked through every {pause:.0f} s"
            await asyncio.sleep(pause)

    async def _listen(self, folder: _Folder, identity: tuple[int, int]) -> None:
        """Hear of changes in a folder, until it is another one; look through it now and then all the same."""
        rescan_at = 0.0
        try:
            # The first answer, a timeout, says that the system is listening: nothing can appear unnoticed between
            # the look through the folder and the changes that are told.
            async for changes in awatch(
                folder.path,
                watch_filter=self._is_interesting,
                debounce=400,
                step=200,
                rust_timeout=1000,
                yield_on_timeout=True,
                stop_event=self._stop,
                recursive=True,
                ignore_permission_denied=True,
            ):
                if time.monotonic() >= rescan_at or folder.look_again.is_set():
                    folder.look_again.clear()
                    await self._scan(folder)
                    rescan_at = time.monotonic() + self._pace.rescan
                    folder.state = "watched"
                await self._hear(folder, changes)
                if await asyncio.to_thread(_identity, folder.path) != identity:
                    return
        except (RuntimeError, OSError) as error:
            if await asyncio.to_thread(_identity, folder.path) != identity:
                return
            # No more watches to be had (a system limit), or none on this file system.
            log.warning("hot folder %s is polled: %s", path_text(folder.path), error)
            folder.polled = True
            await self._poll(folder, identity)

    def _is_interesting(self, _change: Change, path: str) -> bool:
        return not path.startswith(f"{self._data_dir}{os.sep}") or any(
            path.startswith(f"{folder.path}{os.sep}")
            for folder in self._folders
            if self._data_dir in folder.path.parents or folder.path == self._data_dir
        )

    async def _hear(self, folder: _Folder, changes: Iterable[tuple[Change, str]]) -> None:
        paths = set()
        for change, name in changes:
            path = Path(name)
            if change is Change.deleted:
                for owner in folder.owners:
                    self._waiting.pop((owner, path), None)
            elif "\N{REPLACEMENT CHARACTER}" in name:
                # A name that is no UTF-8 is not told as it is: only a look finds it.
                folder.look_again.set()
            else:
                paths.add(path)
        if paths:
            found, folders = await asyncio.to_thread(self._look_at, folder.path, paths)
            await self._notice(folder, found)
            for new in folders:
                # It may have been there before the system began to tell what appears in it.
                await self._scan(folder, new)

    def _look_at(self, root: Path, paths: Iterable[Path]) -> tuple[list[Found], list[Path]]:
        admitted = [path for path in paths if self._territory.admits(root, path)]
        found = [one for path in admitted if (one := self._territory.look(path)) is not None]
        return found, [path for path in admitted if self._territory.enters(root, path)]

    async def _scan(self, folder: _Folder, start: Path | None = None) -> None:
        """Look through a folder, or one in it; what is new waits to stand still."""
        files = self._territory.files(folder.path, start)
        while (batch := await asyncio.to_thread(next, files, None)) is not None:
            await self._notice(folder, batch)
            if len(self._waiting) > MAX_WAITING:
                self._fewer.clear()
                await self._fewer.wait()

    async def _notice(self, folder: _Folder, batch: Sequence[Found]) -> None:
        for owner in folder.owners:
            fresh = [
                found
                for found in batch
                if _mark(owner, found) not in folder.known
                and (owner, found.path) not in self._waiting
                and (owner, found.path) not in self._taking
            ]
            for found in await self._unknown(folder, owner, fresh):
                self._waiting[owner, found.path] = _Waiting(found, time.monotonic())
                self._something.set()

    async def _unknown(self, folder: _Folder, owner: str, batch: Sequence[Found]) -> list[Found]:
        """Those of the files about which nothing was decided yet."""
        if not batch:
            return []
        texts = {path_text(found.path): found for found in batch}
        async with self._database.reading() as session:
            query = select(FileRow).where(col(FileRow.owner_id) == owner, col(FileRow.path).in_(texts))
            rows = (await session.exec(query)).all()
        decided = {(row.path, row.size, row.mtime_ns): row for row in rows}
        unknown = []
        for text, found in texts.items():
            row = decided.get((text, found.size, found.mtime_ns))
            if row is None or row.state is IntakeState.SEEN:
                unknown.append(found)
            elif row.state is IntakeState.FETCHED and row.after in (MOVED, DELETED):
                # It left, and is there again, or another one that looks like it.
                unknown.append(found)
            elif row.state is not IntakeState.FAILED:
                folder.known.add(_mark(owner, found))
            elif (row.reason or "").startswith(UNREADABLE) and os.access(found.path, os.R_OK):
                unknown.append(found)
        return unknown

    # Settling

    async def _watch_waiting(self) -> None:
        """Look at new files until each has stood still; then it is due to be taken."""
        while True:
            if not self._waiting:
                self._something.clear()
                await self._something.wait()
            await asyncio.sleep(self._pace.look)
            seen = list(self._waiting.items())
            facts = await asyncio.to_thread(self._look_at_all, [path for (_, path), _ in seen])
            for (key, waiting), found in zip(seen, facts, strict=True):
                if self._waiting.get(key) is not waiting:
                    continue
                moment = time.monotonic()
                if found is None:
                    del self._waiting[key]
                elif found != waiting.found:
                    waiting.found, waiting.since, waiting.attempts, waiting.due = found, moment, 0, 0.0
                elif moment - waiting.since >= self._pace.settle and moment >= waiting.due:
                    folder = self._folder_of(key[1])
                    if folder is None:
                        del self._waiting[key]
                        continue
                    # Waits while enough are being taken: no more is held than what is at hand.
                    await self._settled.put((key, waiting, folder))
                    self._taking.add(key)
                    self._waiting.pop(key, None)

            if len(self._waiting) <= MAX_WAITING:
                self._fewer.set()

    def _look_at_all(self, paths: Iterable[Path]) -> list[Found | None]:
        return [self._territory.look(path) for path in paths]

    def _folder_of(self, path: Path) -> _Folder | None:
        around = [folder for folder in self._folders if folder.path in path.parents]
        return max(around, key=lambda folder: len(folder.path.parts), default=None)

    # Taking

    async def _take_settled(self) -> None:
        while True:
            key, waiting, folder = await self._settled.get()
            try:
                await self._take(key, waiting, folder)
            except Exception:  # the database could not be written, most likely
                log.exception("%s could not be taken; it is tried again", path_text(key[1]))
                self._try_later(key, waiting)
            finally:
                self._taking.discard(key)

    async def _take(self, key: _Key, waiting: _Waiting, folder: _Folder) -> None:
        owner, path = key
        found = waiting.found
        row = FileKey(path_text(path), found.size, found.mtime_ns, leaves=self._leaves)
        # Between standing still and its turn a file may have waited for long.
        if await asyncio.to_thread(self._territory.look, path) != found:
            return self._wait_again(key, waiting)
        if (more := await asyncio.to_thread(self._still_to_wait, waiting)) > 0.0:
            due = time.monotonic() + more
            return self._wait_again(key, _Waiting(found, waiting.since, due, waiting.attempts))
        try:
            await self._until_there_is_room()
            decision = await self._belonging.decide(
                owner,
                path,
                waited=time.monotonic() - waiting.since,
                is_coming=lambda other: (owner, other) in self._waiting or (owner, other) in self._taking,
            )
            if isinstance(decision, Wait):
                due = time.monotonic() + decision.seconds
                return self._wait_again(key, _Waiting(found, waiting.since, due, waiting.attempts))
            await self._take_as(decision, owner, path, row)
        except PhotoError as error:
            log.info("%s: %s", row.path, error)
        except FileChangedError:
            self._wait_again(key, waiting)
        except DiskFullError as error:
            # Too large for what is left, which smaller ones may still find enough.
            log.info("%s: %s", row.path, error)
            due = time.monotonic() + self._pace.wait
            self._wait_again(key, _Waiting(found, waiting.since, due, waiting.attempts))
        except StorageError as error:
            await self._could_not(key, waiting, row, error)
        except Exception as error:
            # A fault of ours: remembered with the file, so that one file does not stop the others.
            log.exception("%s could not be taken", row.path)
            await self._intake.note(owner, row, IntakeState.FAILED, reason=f"could not be taken: {error!r}")
        else:
            if not self._leaves:
                folder.known.add(_mark(owner, found))
        return None

    def _still_to_wait(self, waiting: _Waiting) -> float:
        """Seconds that a file has to stand still yet, because what is there of it is not all."""
        still = time.monotonic() - waiting.since
        age = time.time() - waiting.found.mtime_ns / 1e9
        more = self._pace.unfinished - max(still, age)
        return more if more > 0.0 and looks_unfinished(waiting.found.path) else 0.0

    async def _take_as(self, decision: AsPhoto | AsCompanion | Homeless, owner: str, path: Path, row: FileKey) -> None:
        match decision:
            case Homeless(reason):
                await self._intake.note(owner, row, IntakeState.SKIPPED, reason=reason)
            case AsCompanion(sha256, kind):
                await self._belonging.take_companion(owner, path, row, sha256, kind)
                log.info("%s: kept with %s", row.path, sha256)
            case AsPhoto(xmps):
                beside = await self._belonging.receive(owner, xmps, leaves=self._leaves)
                taken = await self._intake.take(
                    owner, path, file_name=path.name, source=Source.HOT_FOLDER, file_row=row, beside=beside
                )
                log.info("%s: %s %s", row.path, "taken as" if taken.new else "is there already:", taken.sha256)
                await self._belonging.take_over(owner, path, taken.sha256)

    async def _could_not(self, key: _Key, waiting: _Waiting, row: FileKey, error: StorageError) -> None:
        """A file was not stored: is it gone, can it not be read, or is the fault on our side?"""
        owner, path = key
        if isinstance(error.__cause__, FileNotFoundError) and not await asyncio.to_thread(path.exists):
            return
        trouble = await asyncio.to_thread(_cannot_read, path)
        if trouble is not None:
            log.warning("%s %s: %s", row.path, UNREADABLE, trouble)
            await self._intake.note(owner, row, IntakeState.FAILED, reason=f"{UNREADABLE}: {trouble}")
            return
        log.warning("%s: %s", row.path, error)
        self._try_later(key, waiting)

    def _try_later(self, key: _Key, waiting: _Waiting) -> None:
        delay = min(3600.0, self._pace.retry * 2**waiting.attempts)
        self._wait_again(key, _Waiting(waiting.found, waiting.since, time.monotonic() + delay, waiting.attempts + 1))

    def _wait_again(self, key: _Key, waiting: _Waiting) -> None:
        self._waiting.setdefault(key, waiting)
        self._something.set()

    async def _until_there_is_room(self) -> None:
        while await asyncio.to_thread(self._space.short):
            if self._paused is None:
                self._paused = "paused: too little space is free in the data directory"
                log.warning("hot folders are paused: less than SIDECAR_MIN_FREE is free")
            await asyncio.sleep(self._pace.wait)
        if self._paused is not None:
            self._paused = None
            log.info("hot folders go on")


def _mark(owner: str, found: Found) -> int:
    return hash((owner, found.path, found.size, found.mtime_ns))


def _identity(folder: Path) -> tuple[int, int] | None:
    try:
        if not folder.is_dir():
            return None
        status = folder.stat()
    except OSError:
        return None
    return (status.st_dev, status.st_ino)


def _cannot_read(path: Path) -> str | None:
    """Why a file cannot be opened and read, or None where it can."""
    try:
        with path.open("rb") as opened:
            opened.read(1)
    except OSError as error:
        return error.strerror or str(error)
    return None
