"""The pages, asked as a browser or a script would ask them."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from tests.web.house import House, house


class Front:
    """A house and a client that stands before it."""

    def __init__(self, home: House, client: TestClient) -> None:
        self.home = home
        self.client = client
        self.shelf = home.shelf

    async def json(self, method: str, path: str, body: Any = None, *, status: int = 200, **more: Any) -> Any:
        """Ask the API and check the status."""
        if body is not None:
            more["json"] = body
        async with self.client.request(method, path, **more) as response:
            assert response.status == status, await response.text()
            return await response.json()

    async def page(self, path: str, *, status: int = 200, **more: Any) -> str:
        """Ask for a page and check the status."""
        async with self.client.get(path, **more) as response:
            text = await response.text()
            assert response.status == status, text
            return text


Build = Callable[..., Awaitable[Front]]


@pytest.fixture
async def build(tmp_path: Path) -> AsyncIterator[Build]:
    """Makes a front with settings of the test's own."""
    async with AsyncExitStack() as stack:
        number = 0

        async def make(**settings: Any) -> Front:
            nonlocal number
            number += 1
            home = await stack.enter_async_context(house(tmp_path / f"data{number}", **settings))
            client = await stack.enter_async_context(TestClient(TestServer(home.app)))
            return Front(home, client)

        yield make


@pytest.fixture
async def front(build: Build) -> Front:
    """An open service on loopback."""
    return await build()
