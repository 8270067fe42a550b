"""A million assets that cost nothing: what is found among them, and that one of them is an asset like any other."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from . import Crowd, ImmichServer, User
from .test_server import picture
from .wire import js_date

FIRST = datetime(2024, 1, 1, tzinfo=UTC)


@pytest.fixture
async def server() -> AsyncIterator[ImmichServer]:
    async with ImmichServer(extraction_delay=0, thumbnail_delay=0) as running:
        yield running


@pytest.fixture
def ada(server: ImmichServer) -> User:
    return server.add_user("Ada")


@pytest.fixture
async def client(server: ImmichServer, ada: User) -> AsyncIterator[httpx.AsyncClient]:
    headers = {"x-api-key": server.add_key(ada)}
    async with httpx.AsyncClient(base_url=f"{server.url}/api", headers=headers, timeout=30) as opened:
        yield opened


async def search(client: httpx.AsyncClient, **query: Any) -> dict[str, Any]:
    answer: dict[str, Any] = (await client.post("/search/metadata", json=query)).json()["assets"]
    return answer


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_pages_hold_each_asset_once_and_in_order(
    server: ImmichServer, ada: User, client: httpx.AsyncClient, order: str
) -> None:
    """Two crowds that overlap, own assets between them, some taken out: as if each had been put there."""
    server.add_crowd(ada, 60, first=FIRST, step=timedelta(seconds=10))
    crowd = server.add_crowd(ada, 40, first=FIRST + timedelta(seconds=95), step=timedelta(seconds=7), name="B{}.png")
    for index in range(25):
        moment = FIRST + timedelta(seconds=index * 20)
        server.add_asset(ada, bytes([index]) * 30, f"own{index}.jpg", file_created_at=moment, created_at=moment)
    server.delete(server.assets[crowd.id_of(3)])
    server.assets[crowd.id_of(5)].is_favorite = True
    rows: list[tuple[str, str]] = []
    page: str | None = "1"
    while page is not None:
        answer = await search(client, page=int(page), size=17, order=order)
        rows += [(item["fileCreatedAt"], item["id"]) for item in answer["items"]]
        page = answer["nextPage"]
    assert len(rows) == len(set(rows)) == 60 + 39 + 25
    assert rows == sorted(rows, reverse=order == "desc")


async def test_a_window_of_a_million_is_counted(server: ImmichServer, ada: User, client: httpx.AsyncClient) -> None:
    crowd = server.add_crowd(ada, 1_000_000, first=FIRST, step=timedelta(seconds=1))
    new = server.add_asset(ada, picture(), "new.jpg")
    since = js_date(FIRST + timedelta(seconds=999_998))
    assert [item["id"] for item in (await search(client, createdAfter=since))["items"]] == [
        *(new.id, crowd.id_of(999_999), crowd.id_of(999_998)),
    ]
    window = {
        "createdAfter": js_date(FIRST + timedelta(seconds=10)),
        "createdBefore": js_date(FIRST + timedelta(hours=1)),
    }
    assert (await client.post("/search/statistics", json=window)).json() == {"total": 3591}
    assert (await client.post("/search/statistics", json={})).json() == {"total": 1_000_001}
    assert (await client.get("/assets/statistics")).json()["total"] == 1_000_001
    deep = await search(client, page=900, size=1000, order="asc")
    assert deep["items"][0]["id"] == crowd.id_of(899_000)
    assert len(server.assets) == 1


async def test_one_of_a_crowd_is_an_asset_like_any_other(
    server: ImmichServer, ada: User, client: httpx.AsyncClient
) -> None:
    crowd: Crowd = server.add_crowd(ada, 1000, first=FIRST, is_favorite=True)
    asset_id = crowd.id_of(77)
    shown = (await client.get(f"/assets/{asset_id}")).json()
    assert (shown["originalFileName"], shown["isFavorite"]) == ("IMG_0000077.jpg", True)
    original = (await client.get(f"/assets/{asset_id}/original")).content
    assert hashlib.sha1(original).digest() == crowd.checksum(77)
    assert (await client.get(f"/assets/{asset_id}/thumbnail")).status_code == 200
    assert [item["id"] for item in (await search(client, checksum=crowd.checksum(78).hex()))["items"]] == [
        crowd.id_of(78)
    ]
    item = {"id": "x", "checksum": crowd.checksum(79).hex()}
    check = (await client.post("/assets/bulk-upload-check", json={"assets": [item]})).json()
    assert check["results"][0]["assetId"] == crowd.id_of(79)
    await client.put(f"/assets/{asset_id}", json={"isFavorite": False, "rating": 4})
    await server.settled()
    assert (await search(client, isFavorite=False))["items"][0]["id"] == asset_id
    assert (await client.post("/search/statistics", json={"isFavorite": True})).json() == {"total": 999}
    await client.request("DELETE", "/assets", json={"ids": [asset_id], "force": True})
    await server.settled()
    assert (await client.get(f"/assets/{asset_id}")).status_code == 400
    assert (await client.post("/search/statistics", json={})).json() == {"total": 999}
    assert (await client.get(f"/assets/{crowd.id_of(1000)}")).status_code == 400
