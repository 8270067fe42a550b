"""A library in a temporary folder, made of the real parts, and small real photos for it."""

import io
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from PIL import Image

from immich_sidecar.library.database import Database
from immich_sidecar.library.events import EventLog
from immich_sidecar.library.intake import Intake, Taken
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.owners import ensure_owner
from immich_sidecar.library.space import Space
from immich_sidecar.library.tables import LOCAL_OWNER, PhotoRow, Source, WorkState

NOON = datetime(2024, 5, 17, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Library:
    """The parts that `app` builds, for one data directory."""

    layout: Layout
    database: Database
    events: EventLog
    space: Space
    intake: Intake

    async def take(self, owner: str, path: Path, **more: object) -> Taken:
        """Take a file as an upload."""
        return await self.intake.take(owner, path, file_name=path.name, source=Source.UPLOAD, **more)

    async def photo(self, owner: str, sha256: str) -> PhotoRow | None:
        async with self.database.reading() as session:
            return await session.get(PhotoRow, (owner, sha256))

    def files(self) -> list[str]:
        """Every file in the data directory but the database's, relative to it."""
        return sorted(
            path.relative_to(self.layout.data_dir).as_posix()
            for path in self.layout.data_dir.rglob("*")
            if path.is_file() and not path.name.startswith("sidecar.db")
        )


@asynccontextmanager
async def open_library(data_dir: Path, *, min_free: int = 0) -> AsyncIterator[Library]:
    """A library with the owners `local` and `anna`."""
    layout = Layout(data_dir)
    database = Database(layout.database)
    await database.open()
    events, space = EventLog(database), Space(data_dir, min_free)
    try:
        async with database.transaction() as session:
            await ensure_owner(session, LOCAL_OWNER)
            await ensure_owner(session, "anna", "Anna")
        yield Library(layout, database, events, space, Intake(database, layout, events, space))
    finally:
        await database.close()


def jpeg_bytes(seed: int = 0, *, taken: datetime | None = None) -> bytes:
    """A small JPEG, another one for each seed; with a capture time (UTC) where one is given."""
    image = Image.new("RGB", (48, 32), ((seed * 37) % 256, (seed // 256) % 256, (seed * 91) % 256))
    image.putpixel((seed % 48, 5), (255, 255, 255))
    exif = Image.Exif()
    if taken is not None:
        exif.get_ifd(0x8769).update({0x9003: taken.strftime("%Y:%m:%d %H:%M:%S"), 0x9011: "+00:00"})
    exif[0x010E] = f"number {seed}"
    target = io.BytesIO()
    image.save(target, "JPEG", quality=85, exif=exif)
    return target.getvalue()


def write_photo(path: Path, seed: int = 0, *, taken: datetime | None = None) -> Path:
    """`jpeg_bytes` as a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(jpeg_bytes(seed, taken=taken))
    return path


def photo_row(n: int, *, owner: str = LOCAL_OWNER, state: WorkState = WorkState.STORED, **more: object) -> PhotoRow:
    """A row without a file; `n` decides hash and age (higher is newer)."""
    return PhotoRow(
        owner_id=owner,
        sha256=f"{n:064x}",
        sha1=f"{n:040x}",
        size=1,
        file_name=f"{n}.jpg",
        source=Source.UPLOAD,
        path=None,
        state=state,
        created_at=NOON + timedelta(seconds=n),
        **more,
    )
