"""Files and assets that could not be taken: listed with their reason, as long as they are what is there."""

import asyncio
import os
import threading
from pathlib import Path
from typing import Any

import pytest

from immich_sidecar.library.tables import AssetRow, ConnectionRow, FileRow, IntakeState, Publish
from immich_sidecar.web import not_taken
from tests.web.conftest import Build, Front

RUBBISH = "text-named.jpg is no photo, although it is named like one."


def facts(path: Path) -> dict[str, Any]:
    status = path.stat()
    return {"path": str(path), "size": status.st_size, "mtime_ns": status.st_mtime_ns}


async def note(front: Front, path: Path, state: IntakeState = IntakeState.FAILED, **columns: Any) -> None:
    columns = {"reason": RUBBISH, "owner_id": "local"} | columns
    async with front.home.database.transaction() as session:
        session.add(FileRow(**facts(path), state=state, **columns))


async def failed_asset(front: Front, **columns: Any) -> None:
    async with front.home.database.transaction() as session:
        session.add(ConnectionRow(owner_id="local", url="http://immich:2283"))
        await session.flush()
        session.add(
            AssetRow(
                owner_id="local",
                connection_id=1,
                asset_id="a1",
                file_name="broken.nef",
                state=IntakeState.FAILED,
                reason="broken.nef is a damaged NEF.",
                **columns,
            )
        )


@pytest.fixture
def rubbish(tmp_path: Path) -> Path:
    path = tmp_path / "text-named.jpg"
    path.write_text("this is no picture")
    return path


async def badge(front: Front, show: str = "failed") -> str:
    text = await front.page(f"/filters?show={show}")
    return text.split('>Failed<span class="number">')[1].split("<")[0]


async def test_they_are_listed_where_people_look(front: Front, rubbish: Path) -> None:
    await front.shelf.put("failed")
    await note(front, rubbish)
    await failed_asset(front)
    queue = await front.json("GET", "/api/queue")
    assert queue["failed_count"] == 3
    by_name = {item["name"]: item for item in queue["failed_files"]}
    assert by_name["text-named.jpg"]["reason"] == RUBBISH
    assert by_name["text-named.jpg"]["path"] == str(rubbish)
    assert by_name["text-named.jpg"]["source"] == "hot_folder"
    assert by_name["broken.nef"]["path"] is None
    assert by_name["broken.nef"]["source"] == "immich"
    for path in ("/queue", "/?show=failed", "/failed-files"):
        text = await front.page(path)
        assert RUBBISH in text, path
        assert "broken.nef is a damaged NEF." in text, path
        assert "when the file changes" in text, path
    assert await badge(front) == "3"
    assert RUBBISH not in await front.page("/"), "only under its filter"
    assert RUBBISH not in await front.page("/?show=failed&owner=local&after=" + await cursor(front))


async def cursor(front: Front) -> str:
    for seed in range(2):
        await front.shelf.put("failed", seed=50 + seed, size=(24, 16))
    page = await front.json("GET", "/api/photos?status=failed&limit=1")
    return str(page["next"])


async def test_nothing_is_said_to_have_failed_where_only_files_did_not(front: Front, rubbish: Path) -> None:
    assert "Nothing failed" in await front.page("/?show=failed")
    await note(front, rubbish)
    text = await front.page("/?show=failed")
    assert '<div class="empty" id="empty" hidden>' in text
    assert "Nothing failed" not in await front.page("/queue")


async def test_superseded_ones_are_not_shown(front: Front, tmp_path: Path) -> None:
    for name in ("stays", "changes", "vanishes", "fetched", "again"):
        path = tmp_path / f"{name}.jpg"
        path.write_text("rubbish")
        await note(front, path)
    (tmp_path / "changes.jpg").write_text("other rubbish")
    (tmp_path / "vanishes.jpg").unlink()
    os.utime(tmp_path / "fetched.jpg", ns=(1, 1))
    await note(front, tmp_path / "fetched.jpg", IntakeState.FETCHED, sha256="0" * 64)
    os.utime(tmp_path / "again.jpg", ns=(1, 1))
    await note(front, tmp_path / "again.jpg", reason="Still rubbish.")
    queue = await front.json("GET", "/api/queue")
    assert {(item["name"], item["reason"]) for item in queue["failed_files"]} == {
        ("stays.jpg", RUBBISH),
        ("again.jpg", "Still rubbish."),
    }
    assert queue["failed_count"] == 2
    status = await front.json("GET", "/api/status")
    assert {item["name"] for item in status["not_taken"]} == {"stays.jpg", "again.jpg"}


async def test_each_owner_sees_their_own(front: Front, rubbish: Path) -> None:
    await front.shelf.put("pending", owner="anna")
    await note(front, rubbish, owner_id="anna")
    assert (await front.json("GET", "/api/queue"))["failed_files"] == []
    assert len((await front.json("GET", "/api/queue?owner=anna"))["failed_files"]) == 1


async def test_a_mount_that_hangs_does_not_hold_up_the_page(
    front: Front, rubbish: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import time

    await note(front, rubbish)
    monkeypatch.setattr(not_taken, "PATIENCE", 0.05)
    monkeypatch.setattr(not_taken, "_lies_there", lambda _row: time.sleep(0.4))
    queue = await front.json("GET", "/api/queue")
    assert [item["name"] for item in queue["failed_files"]] == ["text-named.jpg"], "shown where nothing is known"


async def test_a_mount_that_hangs_takes_no_thread_from_all_that_reads_files(
    front: Front, rubbish: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    await note(front, rubbish)
    monkeypatch.setattr(not_taken, "PATIENCE", 0.01)
    goes_on = threading.Event()
    monkeypatch.setattr(not_taken, "_lies_there", lambda _row: goes_on.wait())
    try:
        for _ in range(40):  # more than there are such threads on any machine
            assert await badge(front) == "1"
        assert await asyncio.wait_for(asyncio.to_thread(lambda: True), 60)
    finally:
        goes_on.set()


async def test_retry_all_asks_the_intake_too(front: Front, build: Build) -> None:
    await failed_asset(front)
    assert "Retry all" in await front.page("/queue")
    assert (await front.json("POST", "/api/queue/retry"))["retried"] == 0, "there is no intake here"
    asked: list[str] = []

    async def retry_intake(owner: str) -> int:
        asked.append(owner)
        return 4

    other = await build(retry_intake=retry_intake)
    await other.shelf.put("failed")
    assert (await other.json("POST", "/api/queue/retry"))["retried"] == 5
    async with other.client.post("/queue/retry", headers={"HX-Request": "true"}) as response:
        assert response.status == 200
    assert asked == ["local", "local"]


async def test_a_blocked_original_is_told(front: Front) -> None:
    reason = "The photo is in the trash of Immich."
    row = await front.shelf.put("left_alone", original_publish=Publish.BLOCKED, original_publish_error=reason)
    blocked = (await front.json("GET", "/api/queue"))["blocked"]
    assert blocked == [{"id": row.sha256, "file_name": row.file_name, "version": 0, "reason": reason}]
    told = await front.json("GET", f"/api/photos/{row.sha256}")
    assert (told["original_publish"], told["original_publish_error"]) == ("blocked", reason)
    assert reason in await front.page(f"/photos/{row.sha256}")
