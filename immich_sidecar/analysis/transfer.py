"""Fetching one large file: resumed where it broke off, and never taken for whole when it is not.

What arrives lies in `{name}.part`; `{name}.part.json` remembers which file of which server that is. A rest is asked for
with `Range` and `If-Range` (RFC 9110, sections 13.1.5 and 14), so a file that changed in between comes whole and from
its beginning; a server that answers with another range than was asked for is not believed.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import re
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import httpx

from immich_sidecar import __version__
from immich_sidecar.errors import DownloadError

#: Tries in a row that bring nothing, and tries altogether, before it is given up.
FRUITLESS, TRIES = 5, 100
#: Seconds before the next try: doubled each time up to the second number.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
#: Seconds without a byte after which a connection counts as broken.
SILENCE = 60.0
REDIRECTS = 6

_PIECE = 1 << 20
_MOVED = {301, 302, 303, 307, 308}
_LATER = {408, 425, 429, 500, 502, 503, 504}
_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)\Z")
_SHA256 = re.compile(r'(?:W/)?"?([0-9a-f]{64})"?\Z')


@dataclass(frozen=True)
class Arrived:
    """A file that is here as a whole, in its `.part`."""

    size: int
    sha256: str
    #: The commit that the server says it belongs to; empty where it says none.
    commit: str


@dataclass(frozen=True)
class Wish:
    """What is to be fetched."""

    address: str
    part: Path
    #: What is known of it beforehand.
    size: int | None = None
    sha256: str | None = None


#: Called before anything is written, with the bytes that are still to come; raises where there is no room for them.
Room = Callable[[int], None]
#: Called with the bytes that are here, and those there will be, where that is known.
Tell = Callable[[int, int | None], None]
Sleep = Callable[[float], Awaitable[None]]


class _TryAgainError(Exception):
    """The try brought nothing final; the next may."""

    def __init__(self, why: str, after: float | None = None) -> None:
        super().__init__(why)
        self.after = after


class NotThereError(DownloadError):
    """The server has no such file."""


def client() -> httpx.AsyncClient:
    """A client with patience for large files; whoever makes it closes it."""
    return httpx.AsyncClient(
        follow_redirects=False,
        timeout=httpx.Timeout(SILENCE, connect=20.0),
        headers={"User-Agent": f"immich-sidecar/{__version__}", "Accept-Encoding": "identity"},
    )


async def fetch(
    http: httpx.AsyncClient, wish: Wish, *, room: Room, tell: Tell, sleep: Sleep = asyncio.sleep
) -> Arrived:
    """Bring a file into its `.part`, going on with what is there.

    Raises
    ------
    NotThereError
        If the server has no such file.
    DownloadError
        If it cannot be had: refused, unreachable, or never whole.
    DiskFullError
        By `room`.
    """
    fruitless, pause, why = 0, FIRST_PAUSE, ""
    for _ in range(TRIES):
        receiver = await asyncio.to_thread(_Receiver, wish)
        try:
            return await _try(http, wish, receiver, room, tell)
        except _TryAgainError as again:
            why, after = str(again), again.after
        except (httpx.TransportError, httpx.StreamError) as error:
            why, after = _words(error), None
        finally:
            await asyncio.to_thread(receiver.close)
        fruitless = 0 if receiver.gained else fruitless + 1
        if fruitless >= FRUITLESS:
            break
        pause = FIRST_PAUSE if receiver.gained else min(LONGEST_PAUSE, pause * 2)
        await sleep(min(LONGEST_PAUSE, after if after is not None else pause))
    raise DownloadError(f"{wish.address}: {why}")


async def _try(http: httpx.AsyncClient, wish: Wish, receiver: "_Receiver", room: Room, tell: Tell) -> Arrived:
    asked = receiver.resumable_from
    headers = {"Range": f"bytes={asked}-"} if asked else {}
    if asked and receiver.etag:
        headers["If-Range"] = receiver.etag
    commit, linked = "", None
    address = httpx.URL(wish.address)
    for _ in range(REDIRECTS):
        async with http.stream("GET", address, headers=headers) as response:
            # Hugging Face names commit and digest before it leads to where large files are.
            commit = commit or response.headers.get("X-Repo-Commit", "")
            if (found := _SHA256.match(response.headers.get("X-Linked-Etag", ""))) and linked is None:
                linked = found[1]
            if response.status_code in _MOVED and "Location" in response.headers:
                address = _led_to(response)
                continue
            total = _begin(response, receiver, asked, wish)
            tell(receiver.size, total)
            if response.status_code != 416:
                room(max(0, (total or 0) - receiver.size))
                await _receive(response, receiver, total, tell)
        return await _finish(wish, receiver, total, commit, linked)
    raise DownloadError(f"{wish.address}: leads from one address to the next without end")


def _led_to(response: httpx.Response) -> httpx.URL:
    address = response.url.join(response.headers["Location"])
    if response.url.scheme == "https" and address.scheme != "https":
        raise DownloadError(f"{response.url}: leads to {address}, which is not encrypted; it was not followed")
    return address


def _begin(response: httpx.Response, receiver: "_Receiver", asked: int, wish: Wish) -> int | None:
    """Get ready for the body of an answer; returns how long the whole file will be, where that is known."""
    status = response.status_code
    if status in (404, 410):
        raise NotThereError(f"{wish.address}: there is no such file ({status})")
    if status in (401, 403):
        raise DownloadError(
            f"{wish.address}: the server refuses it ({status}); it may be one that only people with an account may "
            "have who accepted its terms"
        )
    if status == 416:
        given = _RANGE.match(response.headers.get("Content-Range", ""))
        if given and given[3] == str(receiver.size):
            receiver.was_resumed = True
            return receiver.size
        receiver.restart()
        raise _TryAgainError("the server says that there is less than came before")
    if status in _LATER:
        after = response.headers.get("Retry-After", "")
        raise _TryAgainError(f"the server answers {status}", float(after) if after.isdecimal() else None)
    if status not in (200, 206):
        raise DownloadError(f"{wish.address}: the server answers {status}")
    encoded = response.headers.get("Content-Encoding", "identity").lower() != "identity"
    length = response.headers.get("Content-Length", "")
    total = int(length) if length.isdecimal() and not encoded else None
    if status == 206:
        given = _RANGE.match(response.headers.get("Content-Range", ""))
        whole = int(given[3]) if given and given[3] != "*" else None
        if not asked or encoded or given is None or given[1] is None or int(given[1]) != asked:
            receiver.restart()
            raise _TryAgainError("the server answers with another part than was asked for")
        if whole is not None and receiver.total not in (None, whole):
            receiver.restart()
            raise _TryAgainError("the file has changed since its first part came")
        total = whole
    else:
        receiver.restart()
    measured = length.isdecimal() or total is not None or "chunked" in _coding(response)
    if not measured and wish.size is None and wish.sha256 is None:
        raise DownloadError(f"{wish.address}: the server does not say how long the file is, so nobody could see a cut")
    if total is not None and wish.size is not None and total != wish.size:
        raise DownloadError(f"{wish.address}: has {total} bytes, not {wish.size}; this is another file")
    receiver.note(response.headers.get("ETag", ""), total, keep=not encoded)
    return total


async def _receive(response: httpx.Response, receiver: "_Receiver", total: int | None, tell: Tell) -> None:
    waiting = bytearray()
    try:
        async for piece in response.aiter_bytes():
            waiting += piece
            if len(waiting) >= _PIECE:
                full, waiting = bytes(waiting), bytearray()
                await asyncio.to_thread(receiver.write, full)
                tell(receiver.size, total)
    finally:
        if waiting:
            receiver.write(bytes(waiting))
            tell(receiver.size, total)


async def _finish(wish: Wish, receiver: "_Receiver", total: int | None, commit: str, linked: str | None) -> Arrived:
    size = wish.size if wish.size is not None else total
    if size is not None and receiver.size < size:
        raise _TryAgainError(f"the connection ended after {receiver.size} of {size} bytes")
    sha256 = await asyncio.to_thread(receiver.seal)
    for expected in (wish.sha256, linked):
        if expected is not None and sha256 != expected:
            resumed = receiver.was_resumed
            receiver.restart(forget=True)
            if resumed:  # what lay here may have been the part of another file
                raise _TryAgainError("what came does not fit what was here before")
            raise DownloadError(f"{wish.address}: what came has the SHA-256 {sha256}, not {expected}; it was not kept")
    if size is not None and receiver.size > size:
        receiver.restart(forget=True)
        raise DownloadError(f"{wish.address}: more than {size} bytes came; it was not kept")
    return Arrived(receiver.size, sha256, commit)


class _Receiver:
    """The `.part` of a file: takes bytes, knows their digest, remembers whose they are."""

    def __init__(self, wish: Wish) -> None:
        self._note = wish.part.with_name(wish.part.name + ".json")
        self._known = wish.sha256 is not None
        wish.part.parent.mkdir(parents=True, exist_ok=True)
        self._stream: BinaryIO = wish.part.open("a+b")
        self._sha256 = hashlib.sha256()
        #: A cancellation does not end the thread that writes: what is closed waits for it, or is not written to.
        self._turn = threading.Lock()
        self.size = 0
        self.etag = ""
        self.total: int | None = None
        #: Whether the newest try brought anything, and whether it went on with what was there.
        self.gained = self.was_resumed = False
        self._read_note(wish.address)
        self._stream.seek(0)
        while piece := self._stream.read(_PIECE):
            self._sha256.update(piece)
            self.size += len(piece)

    def _read_note(self, address: str) -> None:
        try:
            note = json.loads(self._note.read_bytes())
            if note["address"] != address:
                raise ValueError("of another file")
            self.etag, self.total = str(note["etag"]), None if note["total"] is None else int(note["total"])
        except (OSError, ValueError, KeyError, TypeError):
            self._stream.truncate(0)
        self._address = address

    @property
    def resumable_from(self) -> int:
        """Where to go on; 0 where nothing would tell whether the rest fits."""
        return self.size if self.etag or self._known else 0

    def note(self, etag: str, total: int | None, *, keep: bool) -> None:
        """Remember which file this is; a weak mark, or none, is no help (RFC 9110, section 13.1.5)."""
        self.etag, self.total = ("" if etag.startswith("W/") else etag), total
        self.was_resumed = self.size > 0
        if keep:
            self._note.write_text(json.dumps({"address": self._address, "etag": self.etag, "total": total}))
        else:
            self._note.unlink(missing_ok=True)

    def restart(self, *, forget: bool = False) -> None:
        """Drop what is there."""
        self._stream.truncate(0)
        self._sha256, self.size, self.etag, self.total = hashlib.sha256(), 0, "", None
        if forget:
            self._note.unlink(missing_ok=True)

    def write(self, piece: bytes) -> None:
        """Take more bytes; none after `close`."""
        with self._turn:
            if self._stream.closed:
                return
            self._stream.write(piece)
            self._sha256.update(piece)
            self.size += len(piece)
            self.gained = True

    def seal(self) -> str:
        """Make sure that it is on the disk; returns its SHA-256."""
        self._stream.flush()
        os.fsync(self._stream.fileno())
        return self._sha256.hexdigest()

    def close(self) -> None:
        """Let go of the file; an empty one is not left lying about."""
        with self._turn:
            self._stream.close()
            if self.size == 0:
                for path in (Path(self._stream.name), self._note):
                    with contextlib.suppress(OSError):
                        path.unlink(missing_ok=True)


def _coding(response: httpx.Response) -> str:
    return str(response.headers.get("Transfer-Encoding", "")).lower()


def _words(error: Exception) -> str:
    if isinstance(error, httpx.ConnectError):
        return f"cannot be reached ({error})"
    if isinstance(error, httpx.TimeoutException):
        return "no answer in time"
    return f"the connection broke ({error or type(error).__name__})"
