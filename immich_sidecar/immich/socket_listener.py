"""Hearing of new photos and changes through Immich's socket, where a key may do everything.

What is told is told once: nothing is repeated after a pause, so this only makes faster what asking finds anyway.
"""

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from enum import StrEnum
from typing import Any

log = logging.getLogger(__name__)

#: Where Immich's socket is. It takes no other transport than this one.
PATH = "/api/socket.io"
TRANSPORT = "websocket"
#: Seconds to wait for the first sign that Immich accepts the key.
GREETING_SECONDS = 15.0
#: Seconds between two attempts to connect: first, and at most.
FIRST_WAIT_SECONDS = 1.0
LONGEST_WAIT_SECONDS = 300.0


class Change(StrEnum):
    """What became of assets in Immich."""

    TRASHED = "trashed"
    RESTORED = "restored"
    DELETED = "deleted"


#: Events about a new photo, and where in their first argument its id is.
_NEW: Mapping[str, tuple[str, ...]] = {
    "on_upload_success": ("id",),
    "AssetUploadReadyV1": ("asset", "id"),
    "AssetUploadReadyV2": ("asset", "id"),
}
#: Events about photos that are there; their argument is an id or a list of ids.
_CHANGES: Mapping[str, Change] = {
    "on_asset_trash": Change.TRASHED,
    "on_asset_restore": Change.RESTORED,
    "on_asset_delete": Change.DELETED,
}


class SocketListener:
    """Keeps one socket to Immich open, and tells what it says. Start and stop it once.

    Parameters
    ----------
    url
        Address of Immich without `/api`.
    headers
        What shows who we are: a key with the permission `all`.
    on_new
        Given the id of each new photo.
    on_change
        Given what became of which assets.
    on_version
        Given Immich's version each time that the socket opened.
    """

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        *,
        on_new: Callable[[str], object],
        on_change: Callable[[Change, Sequence[str]], Awaitable[None]],
        on_version: Callable[[str], object],
    ) -> None:
        self._url = url
        self._headers = dict(headers)
        self._on_new = on_new
        self._on_change = on_change
        self._on_version = on_version
        self._task: asyncio.Task[None] | None = None
        self._greeted = asyncio.Event()
        self._wait = FIRST_WAIT_SECONDS
        #: Why nothing is heard, as a sentence; None: the socket is open.
        self.problem: str | None = "The socket to Immich is not open yet."

    def start(self) -> None:
        """Begin to connect, and to connect again whenever that is needed."""
        self._task = asyncio.create_task(self._run(), name="socket to Immich")

    async def stop(self) -> None:
        """Close the socket."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    async def _run(self) -> None:
        while True:
            try:
                await self._listen()
            except Exception as error:  # noqa: BLE001  the boundary: whatever ends a socket, a new one is tried
                self.problem = f"The socket to Immich cannot be opened: {error or type(error).__name__}"
                log.info("%s", self.problem)
            await asyncio.sleep(self._wait * random.uniform(0.8, 1.2))  # noqa: S311  no secret
            self._wait = min(self._wait * 2, LONGEST_WAIT_SECONDS)

    async def _listen(self) -> None:
        """Open a socket and hear it to its end."""
        from socketio import AsyncClient

        client = AsyncClient(reconnection=False, handle_sigint=False)
        ended = asyncio.Event()
        self._greeted.clear()
        client.on("disconnect", lambda *_: ended.set())
        client.on("*", self._heard)
        try:
            await client.connect(self._url, headers=self._headers, transports=[TRANSPORT], socketio_path=PATH)
            await self._until_greeted(ended)
            await ended.wait()
            self.problem = "The socket to Immich was closed; it is opened again."
        finally:
            with suppress(Exception):
                await client.disconnect()

    async def _until_greeted(self, ended: asyncio.Event) -> None:
        """Wait for Immich's first word: that a socket opens does not say that the key is accepted."""
        waiting = [asyncio.create_task(event.wait()) for event in (self._greeted, ended)]
        try:
            await asyncio.wait(waiting, timeout=GREETING_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in waiting:
                task.cancel()
        if not self._greeted.is_set():
            self._wait = LONGEST_WAIT_SECONDS
            raise ConnectionError("Immich does not accept the API key there; it needs the permission `all`")

    async def _heard(self, event: str, *arguments: Any) -> None:
        told = arguments[0] if arguments else None
        if event == "on_server_version":
            self._wait, self.problem = FIRST_WAIT_SECONDS, None
            self._greeted.set()
            numbers = told if isinstance(told, Mapping) else {}
            self._on_version(".".join(str(numbers.get(name)) for name in ("major", "minor", "patch")))
        elif event in _NEW:
            for name in _NEW[event]:
                told = told.get(name) if isinstance(told, Mapping) else None
            if isinstance(told, str):
                self._on_new(told)
        elif event in _CHANGES:
            ids = [one for one in (told if isinstance(told, list) else [told]) if isinstance(one, str)]
            if ids:
                await self._on_change(_CHANGES[event], ids)
