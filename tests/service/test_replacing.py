"""The whole service replaces its versions in Immich, is killed at it, and loses, doubles and trashes nothing else."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from tests.immich_server import Asset
from tests.service import pictures
from tests.service.running import Home, connected, home, immich_running, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def retiring(tmp_path_factory: pytest.TempPathFactory, immich_version: str) -> AsyncIterator[Home]:
    """A service that may move to the trash what it has replaced."""
    async with immich_running(immich_version) as immich, home(tmp_path_factory.mktemp("replacing"), immich) as opened:
        await opened.service.stop()
        choices = json.dumps({"retire": True})
        opened.service.let_time_pass("UPDATE connections SET choices = ?", choices)
        await opened.service.start()
        await connected(opened.service)
        yield opened


def trashed(retiring: Home) -> set[str]:
    return {asset.name for asset in retiring.immich.assets.values() if asset.deleted_at is not None}


def live(retiring: Home, original: Asset) -> list[str]:
    names = [asset.name for asset in retiring.immich.stack_of(original) if asset.deleted_at is None]
    return names[:1] + sorted(names[1:])


async def replaced(retiring: Home, seed: int, name: str) -> tuple[Asset, dict[str, Any]]:
    """A photo whose first version was approved, and whose second waits."""
    original, photo = await retiring.developed(pictures.dark(seed), f"{name}.jpg")
    await retiring.service.approve(photo)
    return original, await retiring.service.change(photo, exposure={"ev": 0.7})


async def test_replaced_undone_and_rejected(retiring: Home) -> None:
    original, photo = await replaced(retiring, 300, "one")
    first = retiring.ours(original)[0]
    first.is_favorite = True
    photo = await retiring.service.approve(photo)
    assert live(retiring, original) == ["one_processed_v2.jpg", "one.jpg"]
    assert retiring.ours(original)[1].is_favorite
    assert trashed(retiring) == {"one_processed_v1.jpg"}
    assert [version["retired"] for version in photo["versions"]] == [None, "trashed"]
    await retiring.service.undo(photo)
    await retiring.service.undo(photo)
    assert live(retiring, original) == ["one_processed_v1.jpg", "one.jpg"]
    assert trashed(retiring) == {"one_processed_v2.jpg"}
    first.is_favorite = False
    await retiring.service.reject(photo)
    assert live(retiring, original) == ["one.jpg"]
    assert trashed(retiring) == {"one_processed_v1.jpg", "one_processed_v2.jpg"}
    await retiring.service.undo(photo)
    assert live(retiring, original)[0] == "one_processed_v1.jpg"
    assert retiring.uploaded() == 2


async def test_killed_at_any_moment_of_replacing_nothing_is_lost_and_nothing_else_goes(retiring: Home) -> None:
    service, immich = retiring.service, retiring.immich

    def seen(method: str, path: str) -> Callable[[], bool]:
        def count() -> int:
            return sum(one.method == method and one.path.startswith(path) for one in immich.requests)

        before = count()
        return lambda: count() > before

    others = {asset.id for asset in immich.assets.values() if asset.deleted_at is None}
    moments = [
        ("an upload was begun", "POST", "/api/assets"),
        ("it joined the stack", "PUT", "/api/assets/copy"),
        ("it came on top", "PUT", "/api/stacks/"),
        ("something was trashed", "DELETE", "/api/assets"),
    ]
    for number, (what, method, path) in enumerate(moments):
        name = f"killed {number}"
        original, photo = await replaced(retiring, 310 + number, name)
        # What is done takes its time, so that the end comes in the middle of it.
        immich.slow_down(path, 0.05)
        happened = seen(method, path)
        await service.decide("approve", photo)
        await until(happened, what, service)
        await service.kill()
        immich.no_faults()
        await service.start()
        await connected(service)
        await service.settled()
        assert live(retiring, original) == [f"{name}_processed_v2.jpg", f"{name}.jpg"], what
        assert f"{name}_processed_v1.jpg" in trashed(retiring)
        if number % 2 == 0:
            continue
        # And the way back.
        immich.slow_down("/api/trash", 0.05)
        restored = seen("POST", "/api/trash/restore/assets")
        await service.undo(photo)
        await service.decide("undo", photo)
        if number == 3:
            await until(restored, "something was restored", service)
        await service.kill()
        immich.no_faults()
        await service.start()
        await connected(service)
        await service.settled()
        assert live(retiring, original) == [f"{name}_processed_v1.jpg", f"{name}.jpg"], what
        assert f"{name}_processed_v1.jpg" not in trashed(retiring)
    names = [asset.name for asset in immich.assets.values()]
    assert len(names) == len(set(names)), "nothing is there twice"
    assert others <= {asset.id for asset in immich.assets.values() if asset.deleted_at is None}
    assert all("_processed_v" in name for name in trashed(retiring))


async def test_a_burst_replaced_all_at_once(retiring: Home) -> None:
    """Six photos in one stack of the user's: each gets a version, and each of those a successor, at the same time."""
    names = [f"burst {number}.jpg" for number in range(6)]
    assets = [retiring.add(pictures.dark(330 + number), name) for number, name in enumerate(names)]
    stack = retiring.immich.add_stack(*assets)
    shown = [await retiring.service.photo(name) for name in names]
    await retiring.service.settled()
    await asyncio.gather(*(retiring.service.decide("approve", photo) for photo in shown))
    await retiring.service.settled()
    top = "burst 0_processed_v1.jpg"
    assert live(retiring, assets[0])[0] == top
    assert len(live(retiring, assets[0])) == 12
    for photo in shown:
        await retiring.service.change(photo, exposure={"ev": 0.6})
    await asyncio.gather(*(retiring.service.decide("approve", photo) for photo in shown))
    await retiring.service.settled()
    assert live(retiring, assets[0])[0] == "burst 0_processed_v2.jpg"
    assert set(live(retiring, assets[0])) == {*names, *(name.replace(".jpg", "_processed_v2.jpg") for name in names)}
    assert {asset.stack_id for asset in assets} == {stack.id}


async def test_a_raw_and_its_jpeg_in_one_stack_do_not_take_each_others_place(retiring: Home) -> None:
    """Both are processed, as photos of their own."""
    pair = [retiring.add(pictures.dark(350 + number), f"pair{number}.jpg") for number in range(2)]
    retiring.immich.add_stack(*pair)
    photos = [await retiring.service.photo(asset.name) for asset in pair]
    await retiring.service.settled()
    await retiring.service.approve(photos[1])
    assert live(retiring, pair[0])[0] == "pair0.jpg"
    await retiring.service.approve(photos[0])
    assert live(retiring, pair[0])[0] == "pair0_processed_v1.jpg"
    await retiring.service.reject(photos[0])
    assert live(retiring, pair[0]) == ["pair0.jpg", "pair1.jpg", "pair1_processed_v1.jpg"]


async def test_a_stack_that_lost_its_child_is_joined_again(retiring: Home) -> None:
    """On 2.7 a stack of one asset stays when its only child is deleted for good; on 3.1 it is dissolved."""
    original, photo = await replaced(retiring, 360, "single")
    retiring.immich.delete(retiring.ours(original)[0])
    await retiring.service.approve(photo)
    assert live(retiring, original) == ["single_processed_v2.jpg", "single.jpg"]


async def test_from_noticed_to_stacked_takes_no_waiting(retiring: Home) -> None:
    """There is no pause in the queue between a kept version and its upload."""
    original = retiring.add(pictures.dark(370), "swift.jpg")
    await retiring.service.photo("swift.jpg")
    kept: list[float] = []

    async def stacked() -> bool:
        rows = retiring.service.rows(
            "SELECT p.state, v.publish FROM photos p JOIN versions v ON v.photo = p.sha256 WHERE p.file_name = ?",
            "swift.jpg",
        )
        if rows and rows[0]["state"] == "kept" and not kept:
            kept.append(time.monotonic())
        return bool(rows) and rows[0]["publish"] in ("stacked", "marked")

    await until(stacked, "it is stacked", retiring.service)
    # Upload, two looks at the stack and a stack of small files: well below a poll or a look at the rows.
    assert time.monotonic() - kept[0] < 25
    assert live(retiring, original) == ["swift.jpg", "swift_processed_v1.jpg"]
