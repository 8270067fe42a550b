"""How calls reach Immich: one HTTP client per login, errors of one hierarchy, the server's clock, checked uploads."""

import hashlib
import io
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
from immich_py_client import AuthenticatedClient, Client

from immich_sidecar import __version__
from immich_sidecar.errors import (
    ImmichAwayError,
    ImmichCredentialsError,
    ImmichError,
    ImmichRefusedError,
    IntegrityError,
    SettingsError,
)
from immich_sidecar.immich.compatibility import Credential, error_of, error_of_transport

#: Told how many bytes of a file went over the wire so far, and how many there are; 0 where that is not known.
#: It is called for each chunk: who listens takes care not to do too much.
Progress = Callable[[int, int], None]

#: Seconds to wait for a connection, and for the next bytes of an answer.
CONNECT_SECONDS = 10
READ_SECONDS = 60
#: Seconds that Immich (or a proxy that passes the file on) may take to answer after the last byte of an upload.
UPLOAD_READ_SECONDS = 300
#: Immich closes a connection that is idle for 5 s; one second less, and it is not met half closed.
KEEPALIVE_SECONDS = 4

_METHODS_SAFE_TO_REPEAT = {"get", "put", "head"}
_LONGEST_USER_AGENT = 300


class Transport:
    """The connections to one Immich with one login, or none. Everything raises errors of `ImmichError`.

    Neither key nor token stands in an error, and cookies that Immich sets are not kept: one would win over the key.

    Parameters
    ----------
    url
        Address of the server without `/api`.
    key
        The API key; without it and without a token only what is open to all can be called.
    session_token
        The token of a user's session in Immich, instead of a key.
    user_agent
        What the user's browser calls itself: Immich shows it in the user's list of devices.
    """

    def __init__(
        self, url: str, key: str | None = None, *, session_token: str | None = None, user_agent: str | None = None
    ) -> None:
        if key is not None and session_token is not None:
            raise ValueError("a key or a token of a session, not both")
        if key is not None and not _fits_a_header(key):
            raise SettingsError("IMMICH_API_KEY=(hidden): not allowed; allowed: the letters and digits Immich showed")
        if session_token is not None and not _fits_a_header(session_token):
            raise ImmichCredentialsError("Could not sign in with the cookie of Immich: it is no token of a session")
        self.url = url
        #: What the calls are made with.
        self.credential = (
            Credential.KEY if key is not None else Credential.SESSION if session_token is not None else Credential.NONE
        )
        #: Immich's version; None until it was asked for.
        self.server_version: tuple[int, int, int] | None = None
        #: How far Immich's clock is ahead of ours; None until it answered with a date.
        self.clock_offset: timedelta | None = None
        self._client = self._make_client(key, session_token, _one_line(user_agent or ""))

    def _make_client(self, key: str | None, session_token: str | None, user_agent: str) -> AuthenticatedClient | Client:
        base_url = f"{self.url}/api"
        headers = {"User-Agent": user_agent or f"immich-sidecar/{__version__}", "Accept": "application/json"}
        timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS, pool=None)
        httpx_args = {"limits": httpx.Limits(max_connections=16, keepalive_expiry=KEEPALIVE_SECONDS)}
        client: AuthenticatedClient | Client
        if self.credential is Credential.NONE:
            client = Client(base_url=base_url, headers=headers, timeout=timeout, httpx_args=httpx_args)
        else:
            client = AuthenticatedClient(
                base_url=base_url,
                token=key or session_token or "",
                prefix="",
                auth_header_name="x-api-key" if self.credential is Credential.KEY else "x-immich-user-token",
                headers=headers,
                timeout=timeout,
                httpx_args=httpx_args,
            )
        # The setter takes a jar as it is, and this one lets no domain in.
        jar = CookieJar(DefaultCookiePolicy(allowed_domains=[]))
        client.get_async_httpx_client().cookies = jar
        return client

    @property
    def is_closed(self) -> bool:
        """Whether the connections were closed: every call is `ImmichAwayError` then."""
        return self._client.get_async_httpx_client().is_closed

    async def close(self) -> None:
        """Close the connections."""
        await self._client.get_async_httpx_client().aclose()

    async def call(
        self, operation: ModuleType, *arguments: Any, tried: str, repeatable: bool | None = None, **named: Any
    ) -> Any:
        """Make a call of the generated client and give its parsed answer.

        Where the connection breaks, a `repeatable` call is made once more; reading and replacing are repeatable
        unless it is said otherwise. `tried` completes the sentence "Could not ...".
        """
        request = operation._get_kwargs(*arguments, **named)
        if repeatable is None:
            repeatable = request["method"] in _METHODS_SAFE_TO_REPEAT
        response = await self._send(request, tried, repeatable=repeatable)
        return self._parse(operation, response, tried)

    async def call_raw(self, operation: ModuleType, *arguments: Any, tried: str, **named: Any) -> bytes:
        """Make a call that reads a JSON list and give it as it came."""
        response = await self._send(operation._get_kwargs(*arguments, **named), tried, repeatable=True)
        content = response.content.strip()
        if not (content.startswith(b"[") and content.endswith(b"]")):
            raise ImmichRefusedError(
                f"Could not {tried}: what answers at {self.url} is not Immich's API; check IMMICH_URL"
            )
        return content

    async def send_file(self, operation: ModuleType, *, tried: str, **named: Any) -> Any:
        """Make a call whose body is a form with files, streamed; give its parsed answer.

        Texts go before files, whichever order the generated client has: Immich judges a file by what it has read.
        """
        request = operation._get_kwargs(**named)
        request["files"] = sorted(request["files"], key=lambda part: part[1][0] is not None)
        # The generated boundary is fixed, and a file may contain it.
        del request["headers"]["Content-Type"]
        request["timeout"] = httpx.Timeout(UPLOAD_READ_SECONDS, connect=CONNECT_SECONDS, write=READ_SECONDS, pool=None)
        response = await self._send(request, tried, repeatable=False, transferring=True)
        return self._parse(operation, response, tried)

    @asynccontextmanager
    async def streaming(
        self, operation: ModuleType, *arguments: Any, tried: str, **named: Any
    ) -> AsyncIterator[httpx.Response]:
        """Make a call whose answer is read piece by piece, as it was sent."""
        request = operation._get_kwargs(*arguments, **named)
        request["headers"] = {"Accept": "*/*", "Accept-Encoding": "identity"}
        answered = False
        try:
            async with self._client.get_async_httpx_client().stream(**request) as response:
                answered = True
                self._note_clock(response)
                if not response.is_success:
                    await response.aread()
                    if refusal := error_of(response, tried, self.credential, transferring=True):
                        raise refusal
                yield response
        except (httpx.HTTPError, httpx.InvalidURL, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not self.is_closed:
                raise
            raise self._error(error, tried, transferring=answered) from error

    def _error(self, error: Exception, tried: str, *, transferring: bool) -> ImmichError:
        """The error that something on the way means; on a client that is closed, httpx raises RuntimeError."""
        if self.is_closed:
            # The owner connected anew, or disconnected, while this was on its way: nothing is wrong with it.
            return ImmichAwayError(f"Could not {tried}: the connection to Immich was ended; it is tried again")
        return _transport_error(error, tried, transferring=transferring)

    async def _send(
        self, request: dict[str, Any], tried: str, *, repeatable: bool, transferring: bool = False
    ) -> httpx.Response:
        client = self._client.get_async_httpx_client()
        try:
            try:
                response = await client.request(**request)
            except (httpx.RemoteProtocolError, httpx.ReadError, httpx.WriteError):
                # A connection that Immich closed just when we used it costs a repeatable call nothing.
                if not repeatable:
                    raise
                response = await client.request(**request)
        except (httpx.HTTPError, httpx.InvalidURL, RuntimeError) as error:
            if isinstance(error, RuntimeError) and not self.is_closed:
                raise
            raise self._error(error, tried, transferring=transferring) from error
        self._note_clock(response)
        if refusal := error_of(response, tried, self.credential, transferring=transferring):
            raise refusal
        return response

    def _parse(self, operation: ModuleType, response: httpx.Response, tried: str) -> Any:
        try:
            answer = operation._parse_response(client=self._client, response=response)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise ImmichRefusedError(
                f"Could not {tried}: what answers at {self.url} is not Immich's API; check IMMICH_URL"
            ) from error
        if answer is None and response.content:
            raise ImmichRefusedError(f"Could not {tried}: unexpected answer {response.status_code} of {self.url}")
        return answer

    def _note_clock(self, response: httpx.Response) -> None:
        try:
            date = parsedate_to_datetime(response.headers["date"])
        except (KeyError, ValueError, TypeError):
            return
        if date.tzinfo is None:
            date = date.replace(tzinfo=UTC)
        self.clock_offset = date - datetime.now(UTC)


def _fits_a_header(secret: str) -> bool:
    return bool(secret) and secret.isascii() and secret.isprintable() and " " not in secret


def _one_line(text: str) -> str:
    """A text that others chose as it may stand in a header."""
    return "".join(letter for letter in text if letter.isascii() and letter.isprintable())[:_LONGEST_USER_AGENT].strip()


def _transport_error(error: Exception, tried: str, *, transferring: bool) -> ImmichError:
    if isinstance(error, httpx.HTTPError):
        return error_of_transport(error, tried, transferring=transferring)
    return ImmichRefusedError(f"Could not {tried}: IMMICH_URL is no address of a server ({error})")


class CheckedFile(io.RawIOBase):
    """A file that is read once, and whose end is only given away if its bytes have the SHA-1 they should have."""

    def __init__(self, path: Path, sha1: str, on_bytes: Progress | None = None) -> None:
        super().__init__()
        self._path = path
        self._sha1 = sha1
        self._on_bytes = on_bytes
        self._digest = hashlib.sha1(usedforsecurity=False)
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise IntegrityError(f"Could not read {path} to upload it: {error}") from error
        self._size = self._left = os.fstat(self._file.fileno()).st_size

    def fileno(self) -> int:
        return self._file.fileno()

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1) -> bytes:
        chunk = self._file.read(self._left if size < 0 else min(size, self._left))
        self._digest.update(chunk)
        self._left -= len(chunk)
        changed = not chunk and self._left
        if changed or (not self._left and self._digest.hexdigest() != self._sha1.lower()):
            raise IntegrityError(f"{self._path} is not the file it was when it was stored; `verify` knows more")
        if self._on_bytes is not None and chunk:
            self._on_bytes(self._size - self._left, self._size)
        return chunk

    def close(self) -> None:
        self._file.close()
        super().close()
