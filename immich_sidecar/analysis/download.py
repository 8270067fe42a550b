"""Fetching the weights of a model from where they are published; only ever when a person asks for it."""

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import httpx
from filelock import FileLock, Timeout

from immich_sidecar.analysis import transfer, weights
from immich_sidecar.analysis.models_catalogue import HUB, Entry, WeightFile
from immich_sidecar.analysis.weights_record import Record, Seen, digest, now_text, read_record, write_record
from immich_sidecar.errors import DiskFullError, DownloadError, StorageError, WeightsDamagedError, WeightsRefusedError


@dataclass(frozen=True)
class Progress:
    """How far a download has come."""

    #: The file that is arriving; empty between two.
    file: str
    #: Bytes of the whole model that are here.
    done: int
    #: Bytes of the whole model, as far as is known; None where nothing is.
    total: int | None

    @property
    def share(self) -> float | None:
        """0 to 1; None where nobody knows."""
        return min(1.0, self.done / self.total) if self.total else None


Tell = Callable[[Progress], None]


def address_of(entry: Entry, file: str, *, mirror: str | None = None, revision: str = "") -> str:
    """Where a file of a model is fetched from.

    Parameters
    ----------
    mirror
        What stands in for https://huggingface.co; sources elsewhere have none.
    revision
        The commit to fetch; default: the one of the list.
    """
    if entry.repository is None:
        return f"{entry.url}/{quote(file)}"
    return f"{mirror or HUB}/{entry.repository}/resolve/{quote(revision or entry.revision, safe='')}/{quote(file)}"


async def download(
    entry: Entry,
    folder: Path,
    *,
    mirror: str | None = None,
    min_free: int = 0,
    consents: Collection[str] = (),
    tell: Tell = lambda progress: None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> weights.Standing:
    """Fetch what is missing of a model, going on where an earlier download broke off.

    Parameters
    ----------
    folder
        The folder of all models.
    mirror
        Address in place of https://huggingface.co.
    min_free
        Bytes of the disk that have to stay free.
    consents
        Names of models that somebody agreed to by a setting.
    tell
        Called as bytes arrive.

    Raises
    ------
    WeightsRefusedError
        If somebody has to agree first.
    DownloadError
        If a file cannot be fetched; what came so far stays.
    WeightsDamagedError
        If what came is not what was pinned or recorded; it is not kept.
    DiskFullError
        If there is no room.
    StorageError
        If the folder cannot be written to, or somebody else is fetching the same.
    """
    before = weights.standing(entry, folder, consents)
    if before.needs_consent is not None:
        raise WeightsRefusedError(before.refusal)
    home = weights.folder_of(entry, folder)
    try:
        home.mkdir(parents=True, exist_ok=True)
        with FileLock(folder / f".{entry.name}.lock", timeout=0):
            async with transfer.client() as http:
                await _Download(entry, folder, http, mirror, min_free, tell, sleep).run()
    except Timeout:
        raise StorageError(f"{entry.name}: is being fetched already; wait for that to end") from None
    except DownloadError as error:
        raise DownloadError(f"{entry.name}: {error}. {_by_hand(entry, home, mirror)}") from error
    except OSError as error:
        raise StorageError(f"{error.filename or home}: cannot be written ({error.strerror or error})") from error
    return weights.standing(entry, folder, consents)


@dataclass
class _Download:
    entry: Entry
    folder: Path
    http: httpx.AsyncClient
    mirror: str | None
    min_free: int
    tell: Tell
    sleep: Callable[[float], Awaitable[None]]

    def __post_init__(self) -> None:
        self.home = weights.folder_of(self.entry, self.folder)
        self.record = read_record(self.entry, self.folder)
        self.done = 0
        about = self.entry.about_mb
        self.total = self.entry.size or (about * 1_000_000 if about is not None else None)

    async def run(self) -> None:
        """All files, one after the other, the small ones first as the list has them."""
        self._room((self.total or 0) - self._arrived())
        for file in self.entry.files:
            if file.sharded and await self._has_pieces(file):
                index = self.home / f"{file.path}.index.json"
                for piece in weights.pieces(self.entry, index):
                    await self._bring(piece)
            else:
                await self._bring(file)
        self.tell(Progress("", self.done, self.done))

    async def _has_pieces(self, file: WeightFile) -> bool:
        if (self.home / file.path).exists():
            return False
        return await self._bring(WeightFile(path=f"{file.path}.index.json", optional=True))

    async def _bring(self, file: WeightFile) -> bool:
        """Bring one file; False where it is one that need not be and is not."""
        path = self.home / file.path
        seen = await self._here_already(file, path)
        if seen is None:
            try:
                seen = await self._fetch(file, path)
            except transfer.NotThereError:
                if file.optional:
                    return False
                raise
        self.done += seen.size
        return True

    async def _here_already(self, file: WeightFile, path: Path) -> Seen | None:
        before = self.record.files.get(file.path)
        here = _looked_at(path)
        if here is None:
            return None
        if before is not None and (before.size, before.mtime_ns) == here:
            return before
        seen, blob = await asyncio.to_thread(digest, path)
        if weights.mismatch(file, seen, blob) or (before is not None and before.sha256 != seen.sha256):
            return None
        self._keep(file, seen, "")
        return seen

    async def _fetch(self, file: WeightFile, path: Path) -> Seen:
        before = self.record.files.get(file.path)
        part = path.with_name(path.name + weights.PART)
        wish = transfer.Wish(
            address=address_of(self.entry, file.path, mirror=self.mirror, revision=self.record.revision),
            part=part,
            size=file.size,
            sha256=file.sha256,
        )

        def tell(here: int, whole: int | None) -> None:
            done = self.done + here
            total = max(self.total or 0, self.done + (whole or 0)) or None
            self.tell(Progress(file.path, done, total))

        arrived = await transfer.fetch(self.http, wish, room=self._room, tell=tell, sleep=self.sleep)
        seen, blob = Seen(size=arrived.size, sha256=arrived.sha256, mtime_ns=part.stat().st_mtime_ns), ""
        if file.git_blob is not None:
            seen, blob = await asyncio.to_thread(digest, part)
        problem = weights.mismatch(file, seen, blob)
        if not problem and before is not None and before.sha256 != seen.sha256:
            problem = (
                f"the SHA-256 of {file.path} is {seen.sha256}; recorded on {self.record.at[:10]} was {before.sha256}. "
                f"If the source is meant to have changed: `immich-sidecar models remove --forget {self.entry.name}`"
            )
        if problem:
            part.unlink()
            raise WeightsDamagedError(f"{self.entry.name}: {wish.address} sent something else: {problem}")
        await asyncio.to_thread(_move, part, path)
        self._keep(file, seen, arrived.commit)
        return seen

    def _keep(self, file: WeightFile, seen: Seen, commit: str) -> None:
        self.record = Record(
            revision=self.record.revision or commit,
            at=self.record.at or now_text(),
            files={**self.record.files, file.path: seen},
        )
        write_record(self.entry, self.folder, self.record)

    def _arrived(self) -> int:
        return sum(path.stat().st_size for path in self.home.rglob("*") if path.is_file())

    def _room(self, needed: int) -> None:
        free = shutil.disk_usage(self.home).free
        if free - max(0, needed) < self.min_free:
            raise DiskFullError(
                f"{self.entry.name}: {_megabytes(needed)} are to come, {_megabytes(free)} are free in {self.folder} "
                f"and {_megabytes(self.min_free)} have to stay free (SIDECAR_MIN_FREE); free some space, or name "
                "another folder (SIDECAR_MODELS_DIR)"
            )


def _looked_at(path: Path) -> tuple[int, int] | None:
    """Size and time of change of a file; None where there is none."""
    try:
        status = path.stat()
    except FileNotFoundError:
        return None
    return status.st_size, status.st_mtime_ns


def _move(part: Path, path: Path) -> None:
    part.replace(path)
    part.with_name(part.name + ".json").unlink(missing_ok=True)
    if os.name == "posix":
        handle = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _by_hand(entry: Entry, home: Path, mirror: str | None) -> str:
    """How to go on without a network."""
    names = ", ".join(
        file.path + (" (or its pieces)" if file.sharded else "") for file in entry.files if not file.optional
    )
    where = address_of(entry, "", mirror=mirror).rstrip("/")
    return (
        f"Try again later, what has come stays; or fetch {names} from {where} on another computer, put them into "
        f"{home} and run `immich-sidecar models verify {entry.name}`"
    )


def _megabytes(size: int) -> str:
    return f"{size / (1 << 20):,.0f} MiB"
