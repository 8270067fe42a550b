"""What the stand-in offers to tests beyond what the recordings show: several users, faults, coming and going."""

from __future__ import annotations

import asyncio
import io
import os
import re
import signal
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import httpx
import pytest
from PIL import ExifTags, Image

from . import ImmichServer, User

DATES = {"fileCreatedAt": "2026-01-02T03:04:05Z", "fileModifiedAt": "2026-01-02T03:04:05Z"}


def picture(colour: str = "olive", *, taken: str | None = None, offset: str | None = None) -> bytes:
    exif = Image.Exif()
    if taken:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.DateTimeOriginal] = taken
    if offset:
        exif.get_ifd(ExifTags.IFD.Exif)[ExifTags.Base.OffsetTimeOriginal] = offset
    buffer = io.BytesIO()
    Image.new("RGB", (64, 48), colour).save(buffer, "JPEG", exif=exif)
    return buffer.getvalue()


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
    async with httpx.AsyncClient(base_url=f"{server.url}/api", headers=headers, timeout=90) as open_client:
        yield open_client


async def upload(client: httpx.AsyncClient, content: bytes, name: str = "a.jpg", **fields: str) -> httpx.Response:
    files = {"assetData": (name, content, "image/jpeg")}
    return await client.post("/assets", data={**DATES, **fields}, files=files)


async def test_the_date_in_the_file_replaces_that_of_the_form(server: ImmichServer, client: httpx.AsyncClient) -> None:
    server.hold_processing()
    content = picture(taken="2021:06:07 08:09:10", offset="+02:00")
    asset_id = (await upload(client, content)).json()["id"]
    before = (await client.get(f"/assets/{asset_id}")).json()
    assert (before["thumbhash"], before["fileCreatedAt"]) == (None, "2026-01-02T03:04:05.000Z")
    server.go_on_processing()
    await server.settled()
    after = (await client.get(f"/assets/{asset_id}")).json()
    assert after["thumbhash"]
    assert (after["width"], after["height"]) == (64, 48)
    assert after["fileCreatedAt"] == "2021-06-07T06:09:10.000Z"
    assert after["localDateTime"] == "2021-06-07T08:09:10.000Z"
    assert after["exifInfo"]["timeZone"] == "UTC+2"
    preview = await client.get(f"/assets/{asset_id}/thumbnail", params={"size": "preview"})
    assert Image.open(io.BytesIO(preview.content)).size == (64, 48)


async def test_users_see_only_their_own(server: ImmichServer, ada: User, client: httpx.AsyncClient) -> None:
    foreign = server.add_asset(server.add_user("Bob"), picture(), "same.jpg")
    own = server.add_asset(ada, picture(), "same.jpg")
    found = (await client.post("/search/metadata", json={})).json()["assets"]["items"]
    assert [item["id"] for item in found] == [own.id]
    assert (await client.get(f"/assets/{foreign.id}")).status_code == 400
    assert (await client.get(f"/assets/{own.id}/original")).content == picture()


async def test_an_upload_that_is_cut_leaves_nothing(server: ImmichServer, client: httpx.AsyncClient) -> None:
    content = picture() + os.urandom(4_000_000)
    server.cut_upload_after(1_000_000)
    with pytest.raises(httpx.TransportError):
        await upload(client, content)
    assert not server.assets
    assert 1_000_000 <= server.uploads[0].received < len(content)
    assert not list(server.store.folder.iterdir())
    assert (await upload(client, content)).status_code == 201


async def test_an_answer_that_is_lost_was_still_obeyed(server: ImmichServer, client: httpx.AsyncClient) -> None:
    server.lose_answer_next("/api/assets$", method="POST")
    with pytest.raises(httpx.TransportError):
        await upload(client, picture())
    assert len(server.assets) == 1
    again = await upload(client, picture())
    assert (again.status_code, again.json()["status"]) == (200, "duplicate")


async def test_ordered_answers(server: ImmichServer, client: httpx.AsyncClient) -> None:
    server.answer_next("/stacks$", 500, {"message": "Failed to create stack"}, times=2)
    server.answer_next("/users/me", 502, "<html>Bad Gateway</html>")
    assert [(await client.post("/stacks", json={})).status_code for _ in range(3)] == [500, 500, 400]
    gateway = await client.get("/users/me")
    assert (gateway.status_code, gateway.headers["content-type"]) == (502, "text/html; charset=utf-8")
    assert (await client.get("/users/me")).status_code == 200


async def test_going_away_and_coming_back_on_the_same_port(
    server: ImmichServer, ada: User, client: httpx.AsyncClient
) -> None:
    asset = server.add_asset(ada, picture())
    assert (await client.get(f"/assets/{asset.id}")).status_code == 200
    await server.go_away()
    with pytest.raises(httpx.TransportError):
        await client.get("/server/ping")
    await server.come_back()
    assert (await client.get(f"/assets/{asset.id}")).status_code == 200


async def test_going_away_in_the_middle_of_an_upload(server: ImmichServer, client: httpx.AsyncClient) -> None:
    arrived, gone = asyncio.Event(), asyncio.Event()

    async def slowly() -> AsyncIterator[bytes]:
        yield b'--x\r\nContent-Disposition: form-data; name="assetData"; filename="a.jpg"\r\n\r\n'
        yield os.urandom(200_000)
        arrived.set()
        await gone.wait()
        while True:
            yield os.urandom(200_000)

    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    sending = asyncio.create_task(client.post("/assets", content=slowly(), headers=headers))
    await arrived.wait()
    await server.go_away()
    gone.set()
    with pytest.raises(httpx.TransportError):
        await sending
    await server.come_back()
    assert not server.assets


async def test_keys_can_be_revoked_and_narrowed(server: ImmichServer, ada: User) -> None:
    secret = server.add_key(ada, ["asset.read"])
    async with httpx.AsyncClient(base_url=f"{server.url}/api", headers={"x-api-key": secret}, timeout=90) as client:
        assert (await client.post("/search/metadata", json={})).status_code == 200
        server.set_permissions(secret, ["user.read"])
        refused = await client.post("/search/metadata", json={})
        assert (refused.status_code, refused.json()["message"]) == (403, "Missing required permission: asset.read")
        server.revoke_key(secret)
        assert (await client.get("/users/me")).json() == {"message": "Invalid API key"}


async def test_a_quota_refuses_the_upload(server: ImmichServer, ada: User, client: httpx.AsyncClient) -> None:
    server.quota(ada, 10)
    refused = await upload(client, picture())
    assert (refused.status_code, refused.json()) == (400, {"message": "Quota has been exceeded!"})
    server.quota(ada, None)
    assert (await upload(client, picture())).status_code == 201


async def test_maintenance_answers_404_to_all_but_a_few(
    server: ImmichServer, ada: User, client: httpx.AsyncClient
) -> None:
    asset = server.add_asset(ada, picture())
    server.maintenance = True
    answer = await client.get(f"/assets/{asset.id}")
    assert (answer.status_code, answer.json()) == (404, {"message": f"Cannot GET /api/assets/{asset.id}"})
    assert (await client.get("/server/config")).json()["maintenanceMode"] is True
    assert (await client.get("/server/ping")).status_code == 200
    server.maintenance = False
    assert (await client.get(f"/assets/{asset.id}")).status_code == 200


async def test_slow_answers(server: ImmichServer, client: httpx.AsyncClient) -> None:
    server.slow_down("/server/ping", 60, times=1)
    with pytest.raises(httpx.ReadTimeout):
        await client.get("/server/ping", timeout=0.1)
    assert (await client.get("/server/ping", timeout=90)).status_code == 200


async def test_downloads_can_be_cut_and_spoiled(server: ImmichServer, ada: User, client: httpx.AsyncClient) -> None:
    asset = server.add_asset(ada, content := os.urandom(2_000_000))
    server.cut_download_after(500_000)
    with pytest.raises(httpx.TransportError):
        await client.get(f"/assets/{asset.id}/original")
    server.spoil_next_download()
    assert (await client.get(f"/assets/{asset.id}/original")).content != content
    assert (await client.get(f"/assets/{asset.id}/original")).content == content


async def test_the_clock_can_be_ahead(server: ImmichServer, ada: User, client: httpx.AsyncClient) -> None:
    server.store.clock_skew = timedelta(hours=1)
    before = datetime.now(UTC)
    date = parsedate_to_datetime((await client.get("/server/ping")).headers["Date"])
    after = datetime.now(UTC)
    assert before - timedelta(seconds=2) < date - timedelta(hours=1) < after + timedelta(seconds=2)
    assert server.add_asset(ada, picture()).created_at > datetime.now(UTC) + timedelta(minutes=59)


async def test_dates_of_a_search_are_inclusive(server: ImmichServer, ada: User, client: httpx.AsyncClient) -> None:
    moment = datetime(2026, 3, 4, 5, 6, 7, 890_000, tzinfo=UTC)
    asset = server.add_asset(ada, picture(), created_at=moment)
    at = "2026-03-04T05:06:07.890Z"

    async def found(**query: Any) -> list[str]:
        items = (await client.post("/search/metadata", json=query)).json()["assets"]["items"]
        return [item["id"] for item in items]

    assert await found(createdAfter=at) == await found(createdBefore=at) == [asset.id]
    assert await found(createdAfter="2026-03-04T05:06:07.891Z") == []
    assert await found(createdBefore="2026-03-04T05:06:07.889Z") == []
    assert await found(visibility="archive") == []
    assert (await client.post("/search/metadata", json={"createdAfter": "2026-03-04"})).status_code == 400


async def test_copying_a_stack(server: ImmichServer, ada: User, client: httpx.AsyncClient) -> None:
    """A new asset joins; a stacked one takes the source's stack over; two of one stack lose it."""
    a, b, c, d, e = (server.add_asset(ada, os.urandom(20), f"{name}.jpg") for name in "abcde")
    first = server.add_stack(a, b)

    async def copy(source: Any, target: Any) -> int:
        switches = dict.fromkeys(("albums", "sharedLinks", "sidecar", "favorite"), False)
        body = {"sourceId": source.id, "targetId": target.id, "stack": True, **switches}
        return (await client.put("/assets/copy", json=body)).status_code

    assert await copy(b, c) == 204
    assert server.stack_of(c) == [a, b, c]
    assert c.stack_id == first.id
    second = server.add_stack(d, e)
    assert await copy(a, e) == 204
    assert list(server.stacks) == [second.id]
    assert set(server.stack_of(a)) == {a, b, c, d, e}
    assert await copy(a, b) == 204
    assert not server.stacks
    assert a.stack_id is None


async def test_the_log_shows_what_was_asked(server: ImmichServer, client: httpx.AsyncClient) -> None:
    nobody = "00000000-0000-4000-8000-000000000000"
    await client.get("/albums", params={"assetId": nobody}, headers={"X-Correlation-ID": "one"})
    (seen,) = server.requests
    assert (seen.method, seen.path, seen.query, seen.status) == ("GET", "/api/albums", {"assetId": nobody}, 200)
    assert seen.headers["x-correlation-id"] == "one"


async def test_it_runs_as_a_program() -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.immich_server", "--port", "0"), stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    lines = [(await asyncio.wait_for(process.stdout.readline(), 60)).decode() for _ in range(2)]
    found = re.fullmatch(r"IMMICH_URL=(\S+)\nIMMICH_API_KEY=(\S+)\n", "".join(lines))
    assert found
    async with httpx.AsyncClient(headers={"x-api-key": found[2]}, timeout=90) as client:
        assert (await client.get(f"{found[1]}/api/users/me")).json()["name"] == "Admin"
    process.send_signal(signal.SIGINT)
    assert await asyncio.wait_for(process.wait(), 30) == 0
