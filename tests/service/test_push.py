"""Immich tells of new photos by itself: the real service behind its webhook, and killed in the middle of it."""

from __future__ import annotations

import json
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from tests.service import pictures
from tests.service.running import Home, home, immich_running, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@pytest_asyncio.fixture(loop_scope="module")
async def called(tmp_path: Path) -> AsyncIterator[Home]:
    """A service that asks so rarely that only the webhook can have told it."""
    port = free_port()
    variables = {
        "SIDECAR_PORT": str(port),
        "SIDECAR_WEBHOOK_URL": f"http://127.0.0.1:{port}",
        "SIDECAR_POLL_SECONDS": "3000",
    }
    async with immich_running() as immich, home(tmp_path, immich, **variables) as opened:
        await opened.service.stop()
        opened.service.let_time_pass("UPDATE connections SET choices = ?", json.dumps({"webhook": True}))
        await opened.service.start()
        await until(lambda: immich.workflows_of(opened.user), "the webhook is made", opened.service)
        yield opened


async def upload(called: Home, content: bytes, name: str) -> None:
    """Another client uploads a photo through the API, so that workflows run."""
    form = aiohttp.FormData()
    for field in ("fileCreatedAt", "fileModifiedAt"):
        form.add_field(field, "2024-05-06T07:08:09.000Z")
    form.add_field("assetData", content, filename=name)
    async with (
        aiohttp.ClientSession(headers={"x-api-key": called.key}) as session,
        session.post(f"{called.immich.url}/api/assets", data=form) as answer,
    ):
        assert answer.status == 201, await answer.text()


def noticed_by(called: Home) -> list[tuple[str, str]]:
    rows = called.service.rows("SELECT file_name, noticed_by FROM assets WHERE state = 'fetched' ORDER BY file_name")
    return [(row["file_name"], row["noticed_by"]) for row in rows]


async def test_a_photo_is_developed_as_soon_as_immich_tells_of_it(called: Home) -> None:
    await upload(called, pictures.dark(900), "told.jpg")
    photo = await called.service.photo("told.jpg")
    await called.service.settled()
    assert noticed_by(called) == [("told.jpg", "webhook")]
    original = called.immich.asset_named("told.jpg")
    assert len(called.ours(original)) == 1
    # Our own version was told of too, and is not taken for a new photo.
    await called.immich.settled()
    assert len(called.immich.deliveries) == 2
    assert [one["file_name"] for one in await called.service.photos()] == [photo["file_name"]]


async def test_killed_after_it_was_told(called: Home) -> None:
    original = "/original$"
    called.immich.slow_down(original, 20, times=1)
    await upload(called, pictures.dark(901), "killed.jpg")
    await until(lambda: called.service.rows("SELECT 1 FROM assets WHERE state = 'seen'"), "it was told", called.service)
    await called.service.kill()
    await upload(called, pictures.dark(902), "meanwhile.jpg")
    called.immich.no_faults()
    await called.service.start()
    await called.service.photo("killed.jpg")
    await called.service.photo("meanwhile.jpg")
    await called.service.settled()
    assert noticed_by(called) == [("killed.jpg", "webhook"), ("meanwhile.jpg", "poll")]
    for name in ("killed.jpg", "meanwhile.jpg"):
        assert len(called.ours(called.immich.asset_named(name))) == 1
