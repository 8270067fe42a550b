"""The real service in a process of its own, and the Immich beside it."""

from __future__ import annotations

import asyncio
import contextlib
import html
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp

from immich_sidecar.library import integrity
from immich_sidecar.library.database import Database
from immich_sidecar.library.layout import Layout
from tests.immich_server import Asset, ImmichServer, User
from tests.immich_server.dialect import NEWEST
from tests.immich_server.recorded_calls import undeclared

#: Our key in Immich's key-value store.
KEY = "immich-sidecar"
#: Seconds until something that must happen counts as failed.
PATIENCE = 90.0

#: Rows that say there is still something to do, now or at a known time.
_UNDONE = """
SELECT 'work on ' || file_name FROM photos
    WHERE state IN ('stored', 'analysed', 'advised', 'rendered') AND failed_at IS NULL
UNION ALL SELECT 'original ' || file_name FROM photos
    WHERE original_publish_due_at IS NOT NULL AND original_publish != 'blocked'
UNION ALL SELECT 'version ' || n || ' of ' || photo || ' is ' || publish || ', ' || coalesce(last_error, '')
    FROM versions WHERE due_at IS NOT NULL AND publish != 'blocked'
UNION ALL SELECT 'asset ' || file_name FROM assets WHERE state = 'seen'
"""


class RefusedCommandError(Exception):
    """The API answered a command with an error."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(f"{status}: {body}")
        self.status = status
        self.body = body


class Service:
    """`immich-sidecar run` in its own process; it can be killed and started again on the same data directory."""

    def __init__(self, folder: Path, variables: dict[str, str]) -> None:
        self.folder = folder
        self.data = folder / "data"
        self.inbox = self.data / "inbox"
        self.log = folder / "service.log"
        self.variables = {
            "SIDECAR_DATA_DIR": str(self.data),
            "SIDECAR_PORT": "0",
            "SIDECAR_WORKERS": "1",
            "SIDECAR_MIN_FREE": "0",
            "SIDECAR_POLL_SECONDS": "1",
            "SIDECAR_LOG_LEVEL": "info",
            **variables,
        }
        self.address = ""
        self._process: asyncio.subprocess.Process | None = None
        self._session: aiohttp.ClientSession | None = None

    async def start(self, **variables: str) -> None:
        """Start it, and wait until its pages answer."""
        self.variables |= variables
        self.folder.mkdir(parents=True, exist_ok=True)
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith(("SIDECAR_", "IMMICH_"))
        }
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "immich_sidecar",
                "run",
                env=environment | self.variables,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        line = (await asyncio.wait_for(self._process.stdout.readline(), PATIENCE)).decode()
        assert "http://" in line, f"it did not start: {line}{self.log.read_text()}"
        self.address = line.partition(": ")[2].strip()
        self._session = aiohttp.ClientSession(self.address)

    async def stop(self) -> int:
        """End it as a system does; gives its exit status."""
        process = await self._let_go()
        process.send_signal(signal.SIGTERM)
        return await asyncio.wait_for(process.wait(), 120)

    async def kill(self) -> None:
        """End it and its workers at once, without a word."""
        process = await self._let_go()
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()

    async def _let_go(self) -> asyncio.subprocess.Process:
        process, self._process = self._process, None
        assert process is not None
        if self._session is not None:
            await self._session.close()
        return process

    @property
    def runs(self) -> bool:
        return self._process is not None

    # ---- looking

    async def get(self, path: str, **query: Any) -> Any:
        return await self._ask("GET", path, params=query)

    async def page(self, path: str, **query: Any) -> str:
        """The text of a page."""
        assert self._session is not None
        async with self._session.get(path, params=query) as answer:
            assert answer.status == 200, await answer.text()
            return html.unescape(await answer.text())

    async def photos(self, owner: str = "local") -> list[dict[str, Any]]:
        """The photos of an owner, newest first."""
        return list((await self.get("/api/photos", limit=200, owner=owner))["items"])

    async def photo(self, name: str, owner: str = "local") -> dict[str, Any]:
        """The photo with this file name, as soon as there is one."""

        async def look() -> dict[str, Any] | None:
            found = [photo for photo in await self.photos(owner) if photo["file_name"] == name]
            assert len(found) <= 1, f"{name} is there {len(found)} times"
            return found[0] if found else None

        return await until(look, f"{name} is noticed", self)

    async def not_taken(self) -> dict[str, str]:
        """What was not taken, with the reason, as the status tells it."""
        return {item["name"]: item["reason"] for item in (await self.get("/api/status"))["not_taken"]}

    def rows(self, query: str, *arguments: Any) -> list[dict[str, Any]]:
        """Rows of the database, read beside the service."""
        address = f"file:{self.data}/sidecar.db?mode=ro"
        with contextlib.closing(sqlite3.connect(address, uri=True, timeout=10)) as opened:
            opened.row_factory = sqlite3.Row
            return [dict(row) for row in opened.execute(query, arguments)]

    def let_time_pass(self, statement: str, *arguments: Any) -> None:
        """Change moments in the rows while the service does not run, instead of waiting for them."""
        assert not self.runs
        with contextlib.closing(sqlite3.connect(self.data / "sidecar.db")) as opened, opened:
            assert opened.execute(statement, arguments).rowcount > 0

    async def settled(self, patience: float = PATIENCE) -> None:
        """Wait until there is nothing left to do, here or in Immich."""

        def undone() -> bool:
            return not self.rows(_UNDONE)

        await until(undone, "all is done", self, patience)

    # ---- commands

    async def approve(self, photo: dict[str, Any]) -> dict[str, Any]:
        return await self.command("approve", photo)

    async def reject(self, photo: dict[str, Any]) -> dict[str, Any]:
        return await self.command("reject", photo)

    async def undo(self, photo: dict[str, Any]) -> dict[str, Any]:
        return await self.command("undo", photo)

    async def command(self, action: str, photo: dict[str, Any]) -> dict[str, Any]:
        """Run a command on a photo as it stands now; then wait until all is done and give the photo again."""
        await self.decide(action, photo)
        await self.settled()
        return await self._again(photo)

    async def decide(self, action: str, photo: dict[str, Any]) -> None:
        """Run a command on a photo as it stands now, without waiting for what follows."""
        version = (await self._again(photo))["version"]
        query = {"owner": photo["owner"]}
        await self._ask("POST", f"/api/photos/{photo['id']}/{action}", json={"version": version}, params=query)

    async def change(self, photo: dict[str, Any], **operations: Any) -> dict[str, Any]:
        """Change the recipe; wait until the new version is there and give the photo again."""
        body = {"version": (await self._again(photo))["version"], "operations": operations}
        await self._ask("PUT", f"/api/photos/{photo['id']}/recipe", json=body)
        await self.settled()
        return await self._again(photo)

    async def retry_all(self) -> None:
        await self._ask("POST", "/api/queue/retry")

    async def _again(self, photo: dict[str, Any]) -> dict[str, Any]:
        return dict(await self.get(f"/api/photos/{photo['id']}", owner=photo["owner"]))

    async def _ask(self, method: str, path: str, **arguments: Any) -> Any:
        assert self._session is not None
        async with self._session.request(method, path, **arguments) as answer:
            body = await answer.json()
            if answer.status >= 400:
                raise RefusedCommandError(answer.status, body)
            return body

    async def verify(self) -> None:
        """Hold files against rows, while the service does not run."""
        layout = Layout(self.data)
        database = Database(layout.database)
        await database.open()
        try:
            report = await integrity.verify(database, layout)
        finally:
            await database.close()
        assert report.clean, report.problems


async def until(
    condition: Callable[[], Any], what: str, service: Service | None = None, patience: float = PATIENCE
) -> Any:
    """Wait for something to become true, and give it."""
    deadline = time.monotonic() + patience
    while True:
        result = condition()
        if isinstance(result, Awaitable):
            result = await result
        if result:
            return result
        if time.monotonic() > deadline:
            left = [next(iter(row.values())) for row in service.rows(_UNDONE)] if service else []
            log = "\n".join(service.log.read_text().splitlines()[-25:]) if service else ""
            raise AssertionError(f"after {patience:.0f} s it is still not so that {what}; left: {left}\n{log}")
        await asyncio.sleep(0.03)


@dataclass
class Home:
    """One Immich user whose photos the service develops."""

    immich: ImmichServer
    user: User
    key: str
    service: Service

    def add(self, content: bytes, name: str, **attributes: Any) -> Asset:
        """Another client uploads a photo."""
        return self.immich.add_asset(self.user, content, name, ready=False, **attributes)

    async def developed(self, content: bytes, name: str, **attributes: Any) -> tuple[Asset, dict[str, Any]]:
        """Another client uploads a photo, and the service has done with it what it does by itself."""
        asset = self.add(content, name, **attributes)
        await self.service.photo(name)
        await self.service.settled()
        return asset, await self.service.photo(name)

    def ours(self, original: Asset) -> list[Asset]:
        """The assets in Immich that say they were made from this one, by version; several of one version fail."""
        found = {}
        for asset in self.immich.assets.values():
            mark = self.immich.metadata_of(asset, KEY)
            if mark and mark.get("original_asset_id") == original.id:
                assert mark["version"] not in found, f"version {mark['version']} of {original.name} is there twice"
                found[mark["version"]] = asset
        return [found[n] for n in sorted(found)]

    def mark(self, asset: Asset) -> dict[str, Any] | None:
        return self.immich.metadata_of(asset, KEY)

    def reviews(self, original: Asset) -> list[str]:
        """What the marks of our versions say, oldest first."""
        return [(self.mark(asset) or {})["review"] for asset in self.ours(original)]

    def stack(self, asset: Asset) -> list[str]:
        """Names in the asset's stack, the primary first and the others by name."""
        names = [member.name for member in self.immich.stack_of(asset)]
        return names[:1] + sorted(names[1:])

    def uploaded(self) -> int:
        """How many uploads made a new asset."""
        return sum(upload.status == 201 for upload in self.immich.uploads)


@asynccontextmanager
async def immich_running(version: str = NEWEST, **delays: float) -> AsyncIterator[ImmichServer]:
    """An Immich of that version. What it was asked for must be what the sidecar says it asks for."""
    delays = {"extraction_delay": 0.02, "thumbnail_delay": 0.02} | delays
    async with ImmichServer(version=version, **delays) as running:
        yield running
    assert not undeclared(running)


@asynccontextmanager
async def home(folder: Path, immich: ImmichServer, name: str = "Ada", **variables: str) -> AsyncIterator[Home]:
    """A user of this Immich and a service that watches it already."""
    user = immich.add_user(name)
    key = immich.add_key(user)
    service = Service(folder, {"IMMICH_URL": immich.url, "IMMICH_API_KEY": key, **variables})
    await service.start()
    try:
        await connected(service)
        yield Home(immich, user, key, service)
    finally:
        if service.runs:
            await service.stop()
    # Only where the test passed: its own failure says more.
    await service.verify()
    assert "Traceback" not in service.log.read_text(), service.log.read_text()


async def connected(service: Service, state: str = "ok") -> dict[str, Any]:
    """Wait until the connection stands so; gives what the status says of it."""

    async def look() -> dict[str, Any] | None:
        said = (await service.get("/api/status"))["immich"]
        return dict(said) if said and said["state"] == state else None

    return dict(await until(look, f"the connection is {state}", service))
