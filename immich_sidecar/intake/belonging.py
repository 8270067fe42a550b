"""What a file of a hot folder becomes: a photo, what belongs to one, or nothing yet.

A RAW file and the JPEG of its name are one photo where both come from the same shot. The JPEG waits while its RAW file
is arriving; where it was taken first, the RAW file takes it over as long as nobody has decided about it. An XMP file
waits for its photo.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from immich_sidecar.errors import PhotoError, StorageError
from immich_sidecar.intake.pairs import Neighbours, Role, role_of
from immich_sidecar.intake.scanning import path_text
from immich_sidecar.library import photos
from immich_sidecar.library.companions import LARGEST_XMP, Arrived, Kind, Shot, is_same_shot
from immich_sidecar.library.database import Database
from immich_sidecar.library.file_rows import FileKey, files_named, newest_files
from immich_sidecar.library.intake import Intake
from immich_sidecar.library.tables import FileRow, IntakeState, PhotoRow

#: Makes a photo (the second hash) the companion of another one (the first) of an owner, unless somebody has decided
#: about it or publishes it otherwise; returns whether it is one now.
Absorb = Callable[[str, str, str], Awaitable[bool]]

#: Seconds between two looks whether what is waited for has come.
_AGAIN = 0.5
NO_PHOTO = "no photo of its name lies beside it"


class Patience(Protocol):
    """How long files wait for each other, in seconds."""

    @property
    def settle(self) -> float: ...

    @property
    def pair(self) -> float: ...

    @property
    def longest_pair(self) -> float: ...


@dataclass(frozen=True)
class AsPhoto:
    """It becomes a photo, with these XMP files."""

    xmps: tuple[Path, ...] = ()


@dataclass(frozen=True)
class AsCompanion:
    """It belongs to the photo of this SHA-256."""

    sha256: str
    kind: Kind


@dataclass(frozen=True)
class Homeless:
    """It belongs to a photo, and there is none."""

    reason: str


@dataclass(frozen=True)
class Wait:
    """Not yet; ask again after so many seconds."""

    seconds: float = _AGAIN


class Belonging:
    """Decides what files are to each other, by their names, their rows, and what they say of themselves."""

    def __init__(
        self, database: Database, intake: Intake, patience: Patience, *, pairs: bool, absorb: Absorb | None
    ) -> None:
        self._database, self._intake, self._patience = database, intake, patience
        self._pairs, self._absorb = pairs, absorb
        self._neighbours = Neighbours()

    async def decide(
        self, owner: str, path: Path, *, waited: float, is_coming: Callable[[Path], bool]
    ) -> AsPhoto | AsCompanion | Homeless | Wait:
        """What becomes of a file that has stood still for `waited` seconds.

        `is_coming` tells of other files whether they are about to be taken.
        """
        role = role_of(path.name)
        if role is Role.XMP:
            return await self._home_of(owner, path, waited, is_coming)
        if role is Role.PICTURE and self._pairs:
            raw = await self._raw_of(owner, path, waited, is_coming)
            if raw is not None:
                return raw
        return await self._with_xmps(path, waited)

    async def take_companion(self, owner: str, path: Path, key: FileKey, sha256: str, kind: Kind) -> None:
        """Keep a file with a photo. One whose bytes are a photo of their own already stays that.

        Raises
        ------
        FileChangedError, StorageError
            As `Companions.receive`.
        """
        companions = self._intake.companions
        arrived = await companions.receive(owner, path, kind, key=key)
        async with self._database.reading() as session:
            itself = await photos.find(session, owner, arrived.digests.sha256)
        if itself is not None and kind is Kind.JPEG:
            await companions.discard(arrived)
            await self._intake.note(owner, key, IntakeState.FETCHED, sha256=itself.sha256)
            if self._absorb is not None:
                await self._absorb(owner, sha256, itself.sha256)
            return
        if await companions.keep(owner, sha256, arrived) and self._intake.wake is not None:
            self._intake.wake()

    async def receive(self, owner: str, xmps: Sequence[Path], *, leaves: bool) -> list[Arrived]:
        """Copy XMP files that go with a photo; one that cannot be read now comes later, by itself."""
        arrived = []
        for path in xmps:
            try:
                status = await asyncio.to_thread(path.stat)
                key = FileKey(path_text(path), status.st_size, status.st_mtime_ns, leaves=leaves)
                arrived.append(await self._intake.companions.receive(owner, path, Kind.XMP, key=key))
            except (OSError, StorageError):
                continue
        return arrived

    async def take_over(self, owner: str, raw: Path, sha256: str) -> None:
        """After a RAW file was taken: make the pictures of its shot its companions that were photos before it came."""
        if not self._pairs or self._absorb is None or role_of(raw.name) is not Role.RAW:
            return
        pictures = await asyncio.to_thread(self._neighbours.pictures_of, raw)
        rows = await self._rows(owner, raw, pictures)
        for path, row in rows.items():
            was_photo = row.state is IntakeState.FETCHED and row.sha256 and row.companion_sha256 is None
            if role_of(path.name) is Role.PICTURE and was_photo and row.sha256 != sha256:
                async with self._database.reading() as session:
                    photo = await photos.find(session, owner, row.sha256 or "")
                    own = await photos.get(session, owner, sha256)
                if photo is not None and await self._is_same_shot(own, raw, self._copy_of(photo) or path):
                    await self._absorb(owner, sha256, photo.sha256)

    async def _raw_of(
        self, owner: str, picture: Path, waited: float, is_coming: Callable[[Path], bool]
    ) -> AsCompanion | Wait | None:
        """The RAW file of a picture's shot; None where the picture is a photo of its own."""
        raws = await asyncio.to_thread(self._neighbours.raws_of, picture)
        rows = await self._rows(owner, picture, raws)
        patient = waited < self._patience.longest_pair
        if patient and any(is_coming(raw) or raw not in rows for raw in raws):
            return Wait()
        for raw in [*raws, *(path for path in rows if path not in raws)]:
            row = rows.get(raw)
            if row is None or row.state is not IntakeState.FETCHED or role_of(raw.name) is not Role.RAW:
                continue
            async with self._database.reading() as session:
                photo = await photos.find(session, owner, row.sha256 or "")
            if photo is not None and await self._is_same_shot(photo, raw, picture):
                return AsCompanion(photo.sha256, Kind.JPEG)
        if raws:
            return None
        if patient and await asyncio.to_thread(self._neighbours.is_raw_arriving, picture):
            return Wait()
        expects = await asyncio.to_thread(self._neighbours.has_raws, picture.parent)
        return Wait() if expects and waited < self._patience.settle + self._patience.pair else None

    async def _home_of(
        self, owner: str, xmp: Path, waited: float, is_coming: Callable[[Path], bool]
    ) -> AsCompanion | Homeless | Wait:
        """The photo of an XMP file, also one whose own file has left the folder."""
        if (await asyncio.to_thread(xmp.stat)).st_size > LARGEST_XMP:
            return Homeless("too large for an XMP file")
        there = await asyncio.to_thread(self._neighbours.photos_of, xmp)
        rows = await self._rows(owner, xmp, there)
        whole = path_text(xmp.with_suffix(""))
        left = sorted((path for path in rows if path not in there), key=lambda path: path_text(path) != whole)
        for photo in [*there, *left]:
            row = rows.get(photo)
            if waited < self._patience.longest_pair and (is_coming(photo) or (row is None and photo in there)):
                return Wait()
            if (
                row is not None
                and row.state is IntakeState.FETCHED
                and row.sha256
                and role_of(photo.name) is not Role.XMP
            ):
                return AsCompanion(row.sha256, Kind.XMP)
        return Homeless(NO_PHOTO)

    async def _with_xmps(self, path: Path, waited: float) -> AsPhoto | Wait:
        xmps = await asyncio.to_thread(self._neighbours.xmps_of, path)
        if role_of(path.name) is Role.PICTURE and xmps:
            # `IMG_1.xmp` is about the RAW file where there is one.
            raws = await asyncio.to_thread(self._neighbours.raws_of, path)
            xmps = [xmp for xmp in xmps if not raws or xmp.stem.lower() == path.name.lower()]
        still, moving = [], False
        for xmp in xmps:
            try:
                status = await asyncio.to_thread(xmp.stat)
            except OSError:
                continue
            moving = moving or time.time() - status.st_mtime < self._patience.settle
            if 0 < status.st_size <= LARGEST_XMP:
                still.append(xmp)
        if moving and waited < self._patience.settle + self._patience.pair:
            return Wait()
        return AsPhoto(tuple(still))

    async def _rows(self, owner: str, path: Path, others: Sequence[Path]) -> dict[Path, FileRow]:
        """The newest rows about these files, and about those of the same stem that were there once."""
        texts = {path_text(other): other for other in others}
        stem = path_text(path.with_suffix(""))
        async with self._database.reading() as session:
            # Of `IMG_1.CR2.xmp` the whole rest is a file's name.
            rows = await files_named(session, owner, stem) | await newest_files(session, owner, [*texts, stem])
        return {texts.get(text) or Path(text): row for text, row in rows.items() if text != path_text(path)}

    async def _is_same_shot(self, raw: PhotoRow, raw_path: Path, picture: Path) -> bool:
        """Whether two files of one name say the same time and camera, as far as they say anything."""
        first = await _shot_of(raw_path) or await _shot_of(self._copy_of(raw)) or Shot(raw.captured_at, None)
        second = await _shot_of(picture)
        return second is not None and is_same_shot(first, second, sure=False)

    def _copy_of(self, photo: PhotoRow) -> Path | None:
        return self._intake.copy_of(photo)


async def _shot_of(path: Path | None) -> Shot | None:
    """What a file says of its shot; None where it cannot be read as a photo."""
    from immich_sidecar.develop.probe import probe

    if path is None:
        return None
    try:
        facts = await asyncio.to_thread(probe, path)
    except (PhotoError, OSError, ValueError):
        return None
    return Shot(facts.captured_at, facts.model)
