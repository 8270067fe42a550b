"""Photos in every state, put into a real library by hand, so that pages can be looked at without waiting for work."""

import hashlib
import io
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

from PIL import Image

from immich_sidecar.library import recipes
from immich_sidecar.library.database import Database
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.owners import ensure_owner
from immich_sidecar.library.tables import PhotoRow, Publish, Review, Source, VersionRow, WorkState
from immich_sidecar.recipe.recipe import new_recipe
from tests.photos.make import scene

SUGGESTIONS: tuple[dict[str, Any], ...] = (
    {
        "operation": "straighten",
        "parameters": {"degrees": 2.1},
        "confidence": 0.93,
        "reason": "The horizon leans 2.1 degrees to the left.",
        "applied": True,
    },
    {
        "operation": "exposure",
        "parameters": {"ev": 0.55},
        "confidence": 0.81,
        "reason": "The picture is darker than its middle tones ask for.",
        "applied": True,
    },
    {
        "operation": "white_balance",
        "parameters": {"temperature": 7100.0, "tint": 4.0},
        "confidence": 0.41,
        "reason": "A slight blue cast, which may be the light of the evening.",
        "applied": False,
    },
)


class HereExecutor:
    """Runs what workers do in this process."""

    async def run(self, function: Callable[..., Any], /, *args: Any, timeout: float, on_progress: Any = None) -> Any:  # noqa: ASYNC109
        import asyncio

        return await asyncio.to_thread(function, *args)


class Shelf:
    """Puts photos into a library."""

    def __init__(self, database: Database, layout: Layout) -> None:
        self.database = database
        self.layout = layout
        self._seconds = 0

    async def put(
        self,
        status: str = "pending",
        *,
        owner: str = "local",
        seed: int = 1,
        source: Path | None = None,
        size: tuple[int, int] = (360, 240),
        file_name: str | None = None,
        suggestions: Sequence[Mapping[str, Any]] = SUGGESTIONS,
        error: str | None = None,
        reason: str | None = None,
        **columns: Any,
    ) -> PhotoRow:
        """One photo of that status, with its files."""
        picture = _picture(source, size, seed)
        data = _jpeg(picture, 92)
        digest = hashlib.sha256(data).hexdigest()
        self._seconds += 1
        at = datetime.now(UTC) - timedelta(hours=1) + timedelta(seconds=self._seconds)
        name = file_name or (source.name if source else f"scene-{seed}.jpg")
        path = self.layout.original(owner, digest, name, at)
        self._write(path, data)
        states = {"failed": WorkState.STORED, "left_alone": WorkState.LEFT_ALONE, "cancelled": WorkState.CANCELLED}
        states |= {"analysing": WorkState.STORED, "rendering": WorkState.ADVISED}
        if status == "left_alone":
            suggestions = [{**item, "applied": False} for item in suggestions]
        review = Review(status) if status in ("pending", "approved", "rejected") else Review.NONE
        made = review is not Review.NONE
        photo = PhotoRow(
            owner_id=owner,
            sha256=digest,
            sha1=hashlib.sha1(data).hexdigest(),
            size=len(data),
            file_name=name,
            source=Source.HOT_FOLDER,
            path=path,
            media_type="image/jpeg",
            width=picture.width,
            height=picture.height,
            captured_at=at - timedelta(days=40),
            state=states.get(status, WorkState.KEPT),
            review=review,
            version=1 if made else 0,
            failed_at="analyse" if status == "failed" else None,
            last_error=error or ("The file ends in the middle of the picture." if status == "failed" else None),
            left_alone_reason=reason or ("Nothing to gain." if status == "left_alone" else None),
            created_at=at,
        )
        for column, value in columns.items():
            setattr(photo, column, value)
        for n in (0, 1) if made else (0,):
            shown = picture if n == 0 else picture.point(lambda value: min(255, int(value * 1.25)))
            for edge, place in (
                (480, self.layout.thumbnail(owner, digest, n)),
                (1440, self.layout.preview(owner, digest, n)),
            ):
                small = shown.copy()
                small.thumbnail((edge, edge))
                self._write(place, _jpeg(small, 85))
        async with self.database.transaction() as session:
            await ensure_owner(session, owner)
            session.add(photo)
            await session.flush()
            if made or status in ("rendering", "left_alone"):
                noted = {"kind": "photo"} | {name: columns[name] for name in ("preset",) if name in columns}
                recipe = new_recipe(digest, suggestions, at=at, recipe_id=str(uuid4()), ai_metadata=noted)
                await recipes.save(session, self.layout, recipe, owner)
                photo.recipe_id = recipe.id
            if made:
                session.add(self._version(photo, picture, at))
        return photo

    def _version(self, photo: PhotoRow, picture: Image.Image, at: datetime) -> VersionRow:
        data = _jpeg(picture.point(lambda value: min(255, int(value * 1.25))), 92)
        path = self.layout.processed(photo.owner_id, photo.sha256, 1, "jpg", at)
        self._write(path, data)
        return VersionRow(
            owner_id=photo.owner_id,
            photo=photo.sha256,
            n=1,
            recipe_id=photo.recipe_id or "",
            path=path,
            size=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
            sha1=hashlib.sha1(data).hexdigest(),
            width=picture.width,
            height=picture.height,
            publish=Publish.NONE,
        )

    def _write(self, relative: str, data: bytes) -> None:
        path = self.layout.absolute(relative)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def _picture(source: Path | None, size: tuple[int, int], seed: int) -> Image.Image:
    if source is None:
        return Image.fromarray(scene(*size, seed=seed))
    from PIL import ImageOps

    with Image.open(source) as opened:
        opened.draft("RGB", (2000, 2000))
        picture = ImageOps.exif_transpose(opened.convert("RGB"))
    picture.thumbnail((1800, 1800))
    return picture


def _jpeg(picture: Image.Image, quality: int) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()
