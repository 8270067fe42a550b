"""People of one Immich in front of the pages: each with photos of their own, and each asking for the others'."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.test_utils import TestServer
from sqlalchemy import text
from sqlmodel import SQLModel

from immich_sidecar.library.owners import ensure_owner
from immich_sidecar.library.tables import ConnectionRow, PhotoRow, now
from immich_sidecar.web.identity import IMMICH_COOKIE
from tests.immich_server import ImmichServer, User
from tests.web.house import House, house

PASSWORD = "the operator's own"
#: What a browser sends with what a page of ours asks for.
FROM_OUR_PAGE = {"Sec-Fetch-Site": "same-origin", "HX-Request": "true"}


@dataclass
class Asker:
    """Somebody who asks, with what their browser sends along."""

    name: str
    session: aiohttp.ClientSession
    headers: dict[str, str] = field(default_factory=dict)
    user: User | None = None

    @property
    def owner(self) -> str:
        assert self.user is not None
        return self.user.id

    def ask(self, method: str, path: str, **more: Any) -> Any:
        """One request as a page of ours makes it; no redirect is followed."""
        headers = {**FROM_OUR_PAGE, **self.headers, **more.pop("headers", {})}
        return self.session.request(method, path, headers=headers, allow_redirects=False, **more)

    async def text(self, method: str, path: str, **more: Any) -> tuple[int, str]:
        """Status and body of the answer, with its headers before it: nothing of others may stand in either."""
        async with self.ask(method, path, **more) as response:
            headers = "".join(f"{name}: {value}\n" for name, value in response.headers.items())
            return response.status, headers + (await response.read()).decode("utf-8", "replace")

    async def page(self, path: str, status: int = 200) -> str:
        """A whole page, as a browser asks for it that was led there."""
        headers = {**self.headers, "Sec-Fetch-Site": "none"}
        async with self.session.get(path, headers=headers, allow_redirects=False) as response:
            body = await response.text()
            assert response.status == status, (response.status, body)
            return body


@dataclass
class Neighbours:
    """Everybody, and the house they ask at."""

    immich: ImmichServer
    home: House
    url: str
    stack: AsyncExitStack

    async def somebody(self, name: str, **headers: str) -> Asker:
        """Somebody nobody knows."""
        jar = aiohttp.DummyCookieJar()
        session = await self.stack.enter_async_context(aiohttp.ClientSession(self.url, cookie_jar=jar))
        return Asker(name, session, headers)

    async def person(self, name: str, *, is_admin: bool = False, set_up: bool = True) -> Asker:
        """A user of Immich whose browser brings Immich's cookie."""
        user = self.immich.add_user(name, is_admin=is_admin)
        token = self.immich.log_in(user)
        asker = await self.somebody(name, Cookie=f"{IMMICH_COOKIE}={token}")
        asker.user = user
        if set_up:
            async with self.home.database.transaction() as session:
                await ensure_owner(session, user.id, user.name)
                row = ConnectionRow(
                    owner_id=user.id,
                    url=self.immich.url,
                    immich_user_id=user.id,
                    immich_user_name=user.name,
                    key=f"secret of {name}",
                    state="ok",
                    is_admin=is_admin,
                    watch_from=now(),
                )
                session.add(row)
        return asker

    async def operator(self) -> Asker:
        return await self.somebody("operator", Authorization=f"Bearer {PASSWORD}")

    async def photo(self, owner: Asker, seed: int, status: str = "pending", **more: Any) -> PhotoRow:
        name = f"secret-of-{owner.name}-{seed}.jpg"
        return await self.home.shelf.put(status, owner=owner.owner, seed=seed, file_name=name, **more)

    async def rows_of(self, owner_id: str) -> dict[str, list[tuple[Any, ...]]]:
        """Everything that the database holds about an owner."""
        found = {}
        async with self.home.database.reading() as session:
            for table in SQLModel.metadata.sorted_tables:
                column = "id" if table.name == "owners" else "owner_id"
                if column not in table.columns:
                    assert table.name in ("cache_entries",), f"{table.name}: whose are its rows?"
                    continue
                query = text(f"SELECT * FROM {table.name} WHERE {column} = :owner ORDER BY 1, 2")
                found[table.name] = [tuple(row) for row in await session.exec(query, params={"owner": owner_id})]
        return found


@asynccontextmanager
async def neighbours(folder: Path, **settings: Any) -> AsyncIterator[Neighbours]:
    """An Immich, and pages beside it that ask for a sign-in."""
    async with AsyncExitStack() as stack:
        immich = await stack.enter_async_context(ImmichServer())
        settings.setdefault("password", PASSWORD)
        home = await stack.enter_async_context(house(folder, immich=True, immich_url=immich.url, **settings))
        server = await stack.enter_async_context(TestServer(home.app))
        yield Neighbours(immich, home, str(server.make_url("/")), stack)
