"""Pictures for the pages: cached files that are made again where they were evicted, and previews of changes."""

import asyncio
import hashlib
import itertools
import json
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from immich_sidecar.errors import IntegrityError
from immich_sidecar.library.cache import Cache
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.originals import EvictedError, locate
from immich_sidecar.library.tables import PhotoRow, VersionRow
from immich_sidecar.pipeline.executor import Executor
from immich_sidecar.web.preview_tasks import (
    NormalLut,
    normalise_lut,
    render_preview,
    try_look,
    try_operations,
    write_picture,
)

#: Longer sides in pixels; those of `develop.preview`, which is too heavy to be imported here (a test compares).
PREVIEW_EDGE, THUMBNAIL_EDGE = 1440, 480
#: Longer side of the pictures that show what looks make of a photo.
LOOK_EDGE = 240
_LOOK_EDGES = (PREVIEW_EDGE, LOOK_EDGE)
#: Seconds that one preview may take.
TIMEOUT = 60.0
#: Bytes of rendered previews that are kept in memory.
MEMORY = 24 << 20

Operations = Sequence[Mapping[str, Any]]
#: Fetches an original that lives in Immich again and returns where it lies then.
Refetch = Callable[[PhotoRow], Awaitable[Path]]


class Previews:
    """Makes pictures in workers, one at a time: a person looks at one.

    Parameters
    ----------
    cache
        Is told which files are used, so that those stay longest.
    executor
        Where pictures are made; best one of its own, so that a person does not wait for the photos in work.
    refetch
        Fetches an original again that lives in Immich and was evicted here; None where there is no Immich.
    """

    def __init__(self, layout: Layout, cache: Cache, executor: Executor, *, refetch: Refetch | None = None) -> None:
        self._layout = layout
        self._cache = cache
        self._executor = executor
        self._refetch = refetch
        self._fetching: dict[tuple[str, str], asyncio.Task[Path]] = {}
        self._lane = asyncio.Lock()
        # No number comes twice: one that was asked for earlier and still waits must not take itself for the newest.
        self._numbers = itertools.count(1)
        self._newest: dict[tuple[str, str], int] = {}
        self._made: OrderedDict[str, bytes] = OrderedDict()
        self._bytes = 0

    async def thumbnail(self, photo: PhotoRow, version: VersionRow | None) -> Path:
        """The file of a small picture of a version, or of the original (None)."""
        relative = self._layout.thumbnail(photo.owner_id, photo.sha256, version.n if version else 0)
        return await self._file(photo, version, relative, THUMBNAIL_EDGE)

    async def preview(self, photo: PhotoRow, version: VersionRow | None) -> Path:
        """The file of a picture of a version, or of the original (None), that fills a screen."""
        relative = self._layout.preview(photo.owner_id, photo.sha256, version.n if version else 0)
        return await self._file(photo, version, relative, PREVIEW_EDGE)

    async def original(self, photo: PhotoRow) -> Path:
        """The file of the original; fetched from Immich again where our copy was evicted.

        Raises
        ------
        IntegrityError
            If our copy is missing, or was evicted and there is no Immich to ask.
        ImmichError, DiskFullError
            If it cannot be fetched.
        """
        try:
            return await asyncio.to_thread(locate, self._layout, photo)
        except EvictedError:
            if self._refetch is None or photo.immich_asset_id is None:
                raise EvictedError(
                    f"The original of {photo.file_name} is not kept here any more, and there is no connection to the "
                    "Immich that has it. Connect Immich, or put the photo into a hot folder again."
                ) from None
        # Pictures are asked for in twos and threes: they wait for one download, and it outlives those who gave up.
        key = (photo.owner_id, photo.sha256)
        fetching = self._fetching.get(key)
        if fetching is None:
            fetching = self._fetching[key] = asyncio.ensure_future(self._refetch(photo))
            fetching.add_done_callback(lambda _: self._fetching.pop(key, None))
        return await asyncio.shield(fetching)

    async def rendered(self, photo: PhotoRow, operations: Operations, *, max_edge: int = PREVIEW_EDGE) -> bytes:
        """A JPEG of the original with operations done to it.

        Raises
        ------
        IntegrityError, ImmichError, DiskFullError
            If the original is not here and cannot be fetched.
        """
        key = self._key(photo, operations, max_edge)
        if (kept := self._kept(key)) is not None:
            return kept
        source = str(await self.original(photo))
        async with self._lane:
            return await self._make(key, render_preview, source, _plain(operations), max_edge, self._luts(photo))

    async def rendered_newest(
        self, photo: PhotoRow, operations: Operations, *, client: str, max_edge: int = PREVIEW_EDGE
    ) -> bytes | None:
        """As `rendered`, but None where the same client has asked for something newer while this one waited."""
        key = self._key(photo, operations, max_edge)
        place = (photo.owner_id, client)
        mine = self._newest[place] = next(self._numbers)
        try:
            if (kept := self._kept(key)) is not None:
                return kept
            source = await self.original(photo)
            async with self._lane:
                if client and self._newest.get(place) != mine:
                    return None
                picture = self._layout.absolute(self._source_name(photo, operations, max_edge))
                self._cache.touch(picture)
                asked = (str(source), str(picture), _plain(operations), max_edge, self._luts(photo))
                return await self._make(key, try_operations, *asked)
        finally:
            if self._newest.get(place) == mine:
                del self._newest[place]

    async def look(self, photo: PhotoRow, operations: Operations) -> bytes:
        """A very small JPEG of the original with operations done to it; many of one photo cost little.

        Raises
        ------
        IntegrityError, ImmichError, DiskFullError
            If the original is not here and cannot be fetched.
        """
        key = self._key(photo, operations, LOOK_EDGE)
        if (kept := self._kept(key)) is not None:
            return kept
        source = await self.original(photo)
        async with self._lane:
            large, small = (self._layout.absolute(self._source_name(photo, operations, e)) for e in _LOOK_EDGES)
            self._cache.touch(small)
            asked = (str(source), str(large), str(small), _plain(operations), *_LOOK_EDGES, self._luts(photo))
            return await self._make(key, try_look, *asked)

    async def normalised(self, data: bytes) -> NormalLut:
        """A `.cube` file, read and brought into the form in which it is kept.

        Raises
        ------
        UnsupportedError
            If it is none, or one that is not supported.
        """
        read: NormalLut = await self._executor.run(normalise_lut, data, timeout=TIMEOUT)
        return read

    async def make_ready(self, photo: PhotoRow, operations: Operations, *, client: str) -> None:
        """Decode the small picture that sliders work on, so that the first one that is moved need not wait for it.

        Nothing happens where it is there, or where the same client looks at another photo by then. An original that
        was evicted is not fetched for this.
        """
        picture = self._layout.absolute(self._source_name(photo, operations, PREVIEW_EDGE))
        if await asyncio.to_thread(picture.is_file):
            self._cache.touch(picture)
            return
        if (photo.owner_id, client) in self._newest:
            # A slider was moved already: what that asks for decodes it as well, and must not be overtaken by this.
            return
        with suppress(EvictedError):
            await asyncio.to_thread(locate, self._layout, photo)
            await self.rendered_newest(photo, operations, client=client)

    async def _make(self, key: str, function: Callable[..., bytes], *args: Any) -> bytes:
        if (kept := self._kept(key)) is not None:
            return kept
        data: bytes = await self._executor.run(function, *args, timeout=TIMEOUT)
        self._made[key] = data
        self._bytes += len(data)
        while self._bytes > MEMORY:
            self._bytes -= len(self._made.popitem(last=False)[1])
        return data

    def _luts(self, photo: PhotoRow) -> str:
        return str(self._layout.absolute(self._layout.luts(photo.owner_id)))

    def _source_name(self, photo: PhotoRow, operations: Operations, max_edge: int) -> str:
        """Where the decoded small picture lies that sliders work on; it depends on what LibRaw was asked for."""
        decode: Mapping[str, Any] = next((item["parameters"] for item in operations if item["type"] == "decode"), {})
        # With a matrix of the recipe the picture is camera RGB, whatever the numbers are.
        has_matrix = decode.get("colour_matrix") is not None
        asked = json.dumps([decode.get("white_balance"), decode.get("highlight"), has_matrix, max_edge])
        digest = hashlib.sha256(asked.encode()).hexdigest()[:8]
        return self._layout.ai_results(photo.owner_id, photo.sha256, f"preview-{digest}.npy")

    async def _file(self, photo: PhotoRow, version: VersionRow | None, relative: str, edge: int) -> Path:
        target = self._layout.absolute(relative)
        if target.is_file():
            self._cache.touch(target)
            return target
        source = self._layout.absolute(version.path) if version else await self.original(photo)
        async with self._lane:
            if not target.is_file():
                if not source.is_file():
                    raise IntegrityError(f"{source.name} is missing; `immich-sidecar verify` tells more.")
                await self._executor.run(write_picture, str(source), str(target), edge, timeout=TIMEOUT)
        return target

    def _kept(self, key: str) -> bytes | None:
        if key in self._made:
            self._made.move_to_end(key)
        return self._made.get(key)

    @staticmethod
    def _key(photo: PhotoRow, operations: Operations, max_edge: int) -> str:
        steps = [(item["type"], item["parameters"]) for item in operations]
        return f"{photo.owner_id} {photo.sha256} {max_edge} {json.dumps(steps, sort_keys=True)}"


def _plain(operations: Operations) -> list[dict[str, Any]]:
    return [{"type": item["type"], "parameters": dict(item["parameters"])} for item in operations]
