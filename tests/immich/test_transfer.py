"""Files on their way: progress, what goes beside them, and how much memory they take."""

from __future__ import annotations

import asyncio
import hashlib
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from immich_sidecar.errors import ImmichAwayError, IntegrityError
from immich_sidecar.immich.api import Api
from tests.immich.stage import picture
from tests.immich_server import ImmichServer, User

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
MIB = 1 << 20


def sent_as(path: Path, **more: Any) -> dict[str, Any]:
    return {
        "file_name": path.name,
        "sha1": hashlib.sha1(CONTENT, usedforsecurity=False).hexdigest(),
        "created_at": MOMENT,
        "modified_at": MOMENT,
        "metadata": {"our.key": {"version": 1}},
        **more,
    }


@pytest.fixture
async def api(immich: ImmichServer, key: str) -> AsyncIterator[Api]:
    made = Api(immich.url, key)
    yield made
    await made.close()


CONTENT = picture(1, edge=600)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "IMG_1.jpg"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture
def another_file(tmp_path: Path) -> Path:
    """As long, and with other bytes at its end."""
    path = tmp_path / "IMG_2.jpg"
    path.write_bytes(CONTENT[:-1] + b"\0")
    return path


async def test_progress_of_an_upload_rises_to_all(api: Api, file: Path) -> None:
    told: list[tuple[int, int]] = []
    await api.upload(file, **sent_as(file), on_bytes=lambda done, total: told.append((done, total)))
    size = len(CONTENT)
    assert size > 200_000
    assert len(told) > 2
    assert {total for _, total in told} == {size}
    done = [item for item, _ in told]
    assert done == sorted(set(done))
    assert done[-1] == size


async def test_progress_of_a_download(api: Api, file: Path, tmp_path: Path) -> None:
    asset_id, _ = await api.upload(file, **sent_as(file))
    told: list[tuple[int, int]] = []
    target = tmp_path / "target"
    sha1 = await api.download(asset_id, target, name="it", on_bytes=lambda *both: told.append(both))
    assert sha1 == hashlib.sha1(CONTENT, usedforsecurity=False).hexdigest()
    assert told == sorted(set(told))
    assert told[-1] == (len(CONTENT), len(CONTENT))


async def test_what_goes_beside_a_file_stands_in_an_order_that_immich_takes(
    api: Api, immich: ImmichServer, ada: User, file: Path
) -> None:
    video = immich.add_asset(ada, b"\0moving", "IMG_1.mov", visibility="hidden")
    asset_id, duplicate = await api.upload(
        file, **sent_as(file, favorite=True, live_photo_video_id=video.id, sidecar=b"<x:xmpmeta/>")
    )
    assert (asset_id in immich.assets, duplicate) == (True, False)
    (upload,) = immich.uploads
    # Texts first: Immich judges a file by those before it. The XMP last: before the file it could not be told apart.
    assert upload.parts[-2:] == ["assetData", "sidecarData"]
    assert set(upload.parts[:-2]) == set(upload.fields)
    assert upload.fields["isFavorite"] == "true"
    assert upload.fields["livePhotoVideoId"] == video.id
    assert json.loads(upload.fields["metadata"]) == [{"key": "our.key", "value": {"version": 1}}]
    assert "filename" not in upload.fields


async def test_without_them_nothing_is_said_of_them(api: Api, immich: ImmichServer, file: Path) -> None:
    await api.upload(file, **sent_as(file))
    (upload,) = immich.uploads
    assert not {"isFavorite", "livePhotoVideoId", "sidecarData"} & set(upload.parts)


async def test_progress_never_says_all_of_a_file_that_is_another(
    api: Api, immich: ImmichServer, another_file: Path
) -> None:
    told: list[tuple[int, int]] = []
    with pytest.raises(IntegrityError):
        await api.upload(another_file, **sent_as(another_file), on_bytes=lambda *both: told.append(both))
    assert told
    assert all(done < total for done, total in told)
    assert not immich.assets


# ---- memory

#: Moves a file of 300 MB after a small one and prints by how many bytes the peak of its memory rose.
CLIENT = """
import asyncio, hashlib, sys
from datetime import UTC, datetime
from pathlib import Path
from immich_sidecar.immich.api import Api

url, way, folder, size = sys.argv[1:]

def sha1_of(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha1").hexdigest()

async def move(name, size):
    api, now, path = Api(url, "key"), datetime.now(UTC), Path(folder) / name
    told = []
    listen = lambda done, total: told.append((done, total)) if done == total else None
    if way == "up":
        with path.open("wb") as file:
            file.truncate(size)
        await api.upload(path, file_name="big.dng", sha1=sha1_of(path), created_at=now, modified_at=now, metadata={},
                         sidecar=b"<x:xmpmeta/>", on_bytes=listen)
    else:
        assert await api.download(str(size), path, name="big.dng", on_bytes=listen) == sha1_of(path)
    assert told == [(size, size)] and path.stat().st_size == size
    await api.close()

def peak():
    # Not getrusage: its peak is inherited from the process that started this one.
    (line,) = [line for line in open("/proc/self/status") if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024

asyncio.run(move("small", 1_000_000))
before = peak()
asyncio.run(move("big", int(size)))
print(peak() - before)
"""


@asynccontextmanager
async def drain() -> AsyncIterator[str]:
    """A server that swallows uploads, and gives out as many zeros as the asset's id says."""

    async def swallow(request: web.Request) -> web.Response:
        async for _ in request.content.iter_chunked(MIB):
            pass
        return web.json_response({"id": "1", "status": "created"}, status=201)

    async def pour(request: web.Request) -> web.StreamResponse:
        size = int(request.match_info["size"])
        response = web.StreamResponse(headers={"Content-Length": str(size)})
        await response.prepare(request)
        for start in range(0, size, MIB):
            await response.write(bytes(min(MIB, size - start)))
        return response

    app = web.Application()
    app.router.add_post("/api/assets", swallow)
    app.router.add_get("/api/assets/{size}/original", pour)
    runner = web.AppRunner(app, shutdown_timeout=0.1, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    await runner.cleanup()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads the peak of memory from /proc")
@pytest.mark.parametrize("way", ["up", "down"])
async def test_memory_stays_flat_while_300_mb_pass(way: str, tmp_path: Path) -> None:
    async with drain() as url:
        client = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", CLIENT, url, way, str(tmp_path), "300000000"),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        out, problems = await client.communicate()
    assert client.returncode == 0, problems.decode()
    grown = int(out)
    print(f"{way}: {grown / 1e6:.1f} MB more for 300 MB")
    assert grown < 16 * MIB


async def test_a_client_that_is_closed_is_away(immich: ImmichServer, ada: User, key: str, file: Path) -> None:
    """Its owner connects anew while something is on its way."""
    asset = immich.add_asset(ada, content=CONTENT)
    api = Api(immich.url, key)
    await api.asset(asset.id)
    await api.close()
    with pytest.raises(ImmichAwayError, match="was ended"):
        await api.asset(asset.id)
    with pytest.raises(ImmichAwayError, match="was ended"):
        await api.upload(file, **sent_as(file))
    with pytest.raises(ImmichAwayError, match="was ended"):
        await api.download(asset.id, file.with_name("there.jpg"), name="there.jpg")


async def test_a_call_whose_client_is_closed_meanwhile_is_away(immich: ImmichServer, ada: User, key: str) -> None:
    asset = immich.add_asset(ada, content=CONTENT)
    immich.slow_down("/api/assets/", 0.5)
    api = Api(immich.url, key)
    call = asyncio.create_task(api.asset(asset.id))
    await asyncio.sleep(0.2)
    await api.close()
    with pytest.raises(ImmichAwayError, match="was ended"):
        await call
