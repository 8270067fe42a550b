"""How calls reach Immich: one HTTP client per key, errors of one hierarchy, the server's clock, checked uploads."""

import hashlib
import io
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
from immich_py_client import AuthenticatedClient

from immich_sidecar import __version__
from immich_sidecar.errors import ImmichError, ImmichRefusedError, IntegrityError, SettingsError
from immich_sidecar.immich.compatibility import error_of, error_of_transport

#: Seconds to wait for a connection, and for the next bytes of an answer.
CONNECT_SECONDS = 10
READ_SECONDS = 60
#: Seconds that Immich (or a proxy that passes the file on) may take to answer after the last byte of an upload.
UPLOAD_READ_SECONDS = 300
#: Immich closes a connection that is idle for 5 s; one second less, and it is not met half closed.
KEEPALIVE_SECONDS = 4

_METHODS_SAFE_TO_REPEAT = {"get", "put", "head"}


class Transport:
    """The connections to one Immich with one API key. Everything raises errors of `ImmichError`.

    Parameters
    ----------
    url
        Address of the server without `/api`.
    key
        The API key.
    """

    def __init__(self, url: str, key: str) -> None:
        if not key or not key.isascii() or not key.isprintable() or " " in key:
            raise SettingsError("IMMICH_API_KEY=(hidden): not allowed; allowed: the letters and digits Immich showed")
        self.url = url
        #: How far Immich's clock is ahead of ours; None until it answered with a date.
        self.clock_offset: timedelta | None = None
        self._client = AuthenticatedClient(
            base_url=f"{url}/api",
            token=key,
            prefix="",
            auth_header_name="x-api-key",
            headers={"User-Agent": f"immich-sidecar/{__version__}", "Accept": "application/json"},
            timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS, pool=None),
            httpx_args={"limits": httpx.Limits(max_connections=16, keepalive_expiry=KEEPALIVE_SECONDS)},
        )

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

    async def send_file(self, operation: ModuleType, *, tried: str, **named: Any) -> Any:
        """Make a call whose body is a form with a file, streamed; give its parsed answer."""
        request = operation._get_kwargs(**named)
        # The generated boundary is fixed, and a file may contain it.
        del request["headers"]["Content-Type"]
        request["timeout"] = httpx.Timeout(UPLOAD_READ_SECONDS, connect=CONNECT_SECONDS, write=READ_SECONDS, pool=None)
        response = await self._send(request, tried, repeatable=False, transferring=True)
        return self._parse(operation, response, tried)

    @asynccontextmanager
    async def streaming(self, operation: ModuleType, *arguments: Any, tried: str) -> AsyncIterator[httpx.Response]:
        """Make a call whose answer is read piece by piece, as it was sent."""
        request = operation._get_kwargs(*arguments)
        request["headers"] = {"Accept": "*/*", "Accept-Encoding": "identity"}
        answered = False
        try:
            async with self._client.get_async_httpx_client().stream(**request) as response:
                answered = True
                self._note_clock(response)
                if not response.is_success:
                    await response.aread()
                    if refusal := error_of(response, tried):
                        raise refusal
                yield response
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _transport_error(error, tried, transferring=answered) from error

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
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise _transport_error(error, tried, transferring=transferring) from error
        self._note_clock(response)
        if refusal := error_of(response, tried):
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


def _transport_error(error: Exception, tried: str, *, transferring: bool) -> ImmichError:
    if isinstance(error, httpx.HTTPError):
        return error_of_transport(error, tried, transferring=transferring)
    return ImmichRefusedError(f"Could not {tried}: IMMICH_URL is no address of a server ({error})")


class CheckedFile(io.RawIOBase):
    """A file that is read once, and whose end is only given away if its bytes have the SHA-1 they should have."""

    def __init__(self, path: Path, sha1: str) -> None:
        super().__init__()
        self._path = path
        self._sha1 = sha1
        self._digest = hashlib.sha1(usedforsecurity=False)
        try:
            self._file = path.open("rb")
        except OSError as error:
            raise IntegrityError(f"Could not read {path} to upload it: {error}") from error
        self._left = os.fstat(self._file.fileno()).st_size

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
        return chunk

    def close(self) -> None:
        self._file.close()
        super().close()
