"""Taking photos through the API: streamed to disk, hashed, then the same way as from a hot folder."""

import asyncio
from pathlib import Path
from typing import BinaryIO, Protocol

from aiohttp import BodyPartReader, web

from immich_sidecar.library.intake import Taken
from immich_sidecar.library.tables import Source
from immich_sidecar.web.context import WebContext, context_of, owner_of

#: Largest upload, in bytes: more than any camera's file, less than a disk.
MAX_UPLOAD = 1 << 30
#: Bytes read at once.
CHUNK = 1 << 18


class Reader(Protocol):
    """Gives a file piece by piece; nothing at its end."""

    async def read_chunk(self, size: int) -> bytes:
        """The next piece, of `size` bytes at most."""
        ...


class _RawBody:
    def __init__(self, request: web.Request) -> None:
        self._content = request.content

    async def read_chunk(self, size: int) -> bytes:
        return await self._content.read(size)


async def upload(request: web.Request) -> web.Response:
    """Take one photo: the first file of a multipart form, or the raw body named by `?name=`."""
    context, owner = context_of(request), (await owner_of(request)).id
    check_size(request.content_length or 0)
    if request.content_type == "multipart/form-data":
        part = await _file_part(request)
        taken = await take(context, owner, part.filename or "photo", part)
    else:
        taken = await take(context, owner, request.query.get("name") or "photo", _RawBody(request))
    return web.json_response({"id": taken.sha256, "new": taken.new}, status=201 if taken.new else 200)


async def take(context: WebContext, owner: str, name: str, reader: Reader) -> Taken:
    """Read a file to its end and make it a photo of the owner.

    Raises
    ------
    PhotoError, DiskFullError, StorageError
        If it cannot be taken.
    web.HTTPException
        If it is empty or too large.
    """
    context.space.check()
    temporary = context.layout.absolute(context.layout.temporary(f"{context.layout.home(owner)}originals/upload"))
    try:
        await _write(reader, temporary)
        taken = await context.intake.take(owner, temporary, file_name=name, source=Source.UPLOAD, move=True)
    finally:
        temporary.unlink(missing_ok=True)
    context.dispatcher.wake()
    return taken


async def _file_part(request: web.Request) -> BodyPartReader:
    parts = await request.multipart()
    while (part := await parts.next()) is not None:
        if isinstance(part, BodyPartReader):
            if part.filename:
                return part
            await part.release()
    raise web.HTTPBadRequest(text="The form has no file.")


async def _write(reader: Reader, path: Path) -> None:
    count = 0
    file = await asyncio.to_thread(_open, path)
    try:
        while chunk := await reader.read_chunk(CHUNK):
            count += len(chunk)
            check_size(count)
            await asyncio.to_thread(file.write, chunk)
    finally:
        await asyncio.to_thread(file.close)
    if not count:
        raise web.HTTPBadRequest(text="The file is empty.")


def _open(path: Path) -> BinaryIO:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path.open("xb")


def check_size(size: int) -> None:
    """Refuse a file of so many bytes where that is too large.

    Raises
    ------
    web.HTTPRequestEntityTooLarge
        If it is.
    """
    if size > MAX_UPLOAD:
        raise web.HTTPRequestEntityTooLarge(
            max_size=MAX_UPLOAD, actual_size=size, text=f"A photo may have {MAX_UPLOAD >> 20} MiB at most."
        )
