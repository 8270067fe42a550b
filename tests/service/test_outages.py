"""Immich fails, refuses, goes away and comes back; the service is killed. Nothing is lost, nothing comes twice."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from immich_sidecar.immich.compatibility import NEEDED_PERMISSIONS
from tests.immich_server import Asset
from tests.service import pictures
from tests.service.running import KEY, Home, connected, home, immich_running, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stacking(tmp_path_factory: pytest.TempPathFactory, immich_version: str) -> AsyncIterator[Home]:
    async with immich_running(immich_version) as immich, home(tmp_path_factory.mktemp("outages"), immich) as opened:
        yield opened


def assert_there_once(stacking: Home, original: Asset, review: str = "pending") -> None:
    """Exactly one version, in one stack with its original, and both marked."""
    (ours,) = stacking.ours(original)
    expected = {original.name, ours.name}
    assert set(stacking.stack(original)) == expected
    assert stacking.stack(original)[0] == (ours.name if review == "approved" else original.name)
    assert stacking.reviews(original) == [review]
    assert (stacking.mark(original) or {})["review"] == review
    assert [asset.name for asset in stacking.immich.assets.values()].count(ours.name) == 1


async def blocked(stacking: Home, name: str) -> str:
    """Wait until publishing of the photo waits for a person; gives the reason."""

    async def look() -> str | None:
        versions = (await stacking.service.photo(name))["versions"]
        return next((str(one["blocked_reason"]) for one in versions if one["publish"] == "blocked"), None)

    reason = str(await until(look, f"publishing {name} is blocked", stacking.service))
    # It stands on the page of the photo and in the queue, in the same words.
    photo = await stacking.service.photo(name)
    assert f"Waits for you: {reason}" in await stacking.service.page(f"/photos/{photo['id']}")
    assert reason in await stacking.service.page("/queue")
    return reason


async def test_immich_dies_in_the_middle_of_an_upload_and_comes_back(stacking: Home) -> None:
    immich = stacking.immich
    immich.cut_upload_after(4096)
    begun = len(immich.uploads)
    original = stacking.add(pictures.dark(200), "cut.jpg")
    await until(lambda: len(immich.uploads) > begun and immich.uploads[begun].received >= 4096, "the upload runs")
    await immich.go_away()
    assert immich.uploads[begun].status is None
    await asyncio.sleep(0.5)
    await immich.come_back()
    await stacking.service.settled()
    assert_there_once(stacking, original)
    assert len(immich.uploads) == begun + 2


async def test_answers_that_are_lost_and_stacks_that_fail_cost_nothing_but_time(stacking: Home) -> None:
    begun = len(stacking.immich.uploads)
    stacking.immich.lose_answer_next("/api/assets$", method="POST")
    refusal = {"message": "Failed to create stack"}
    stacking.immich.answer_next("/api/stacks$", 500, refusal, method="POST", times=6)
    unheard = stacking.add(pictures.dark(201), "unheard.jpg")
    stubborn = stacking.add(pictures.dark(202), "stubborn.jpg")
    for original in (unheard, stubborn):
        await stacking.service.photo(original.name)
    await stacking.service.settled()
    for original in (unheard, stubborn):
        assert_there_once(stacking, original)
    # What Immich had taken was not sent again.
    assert len(stacking.immich.uploads) == begun + 2


async def test_what_the_quota_refuses_is_sent_on_request(stacking: Home) -> None:
    stacking.immich.quota(stacking.user, 0)
    original = stacking.add(pictures.dark(203), "full.jpg")
    assert "uota" in await blocked(stacking, "full.jpg")
    assert (await stacking.service.photo("full.jpg"))["status"] == "pending"
    assert stacking.ours(original) == []
    stacking.immich.quota(stacking.user, None)
    await stacking.service.retry_all()
    await stacking.service.settled()
    assert_there_once(stacking, original)


async def test_what_a_proxy_finds_too_large_is_sent_on_request(stacking: Home) -> None:
    stacking.immich.answer_next("/api/assets$", 413, "<h1>413 Request Entity Too Large</h1>", method="POST")
    original = stacking.add(pictures.dark(204), "large.jpg")
    assert "413" in await blocked(stacking, "large.jpg")
    photo = await stacking.service.command("retry", await stacking.service.photo("large.jpg"))
    assert photo["versions"][0]["publish"] == "marked"
    assert_there_once(stacking, original)


@pytest.mark.parametrize(("lacking", "seed"), [("asset.upload", 205), ("stack.create", 206), ("asset.update", 207)])
async def test_what_the_key_may_not_do_is_done_once_it_may(stacking: Home, lacking: str, seed: int) -> None:
    name = f"no {lacking}.jpg"
    stacking.immich.set_permissions(stacking.key, [one for one in NEEDED_PERMISSIONS if one != lacking])
    original = stacking.add(pictures.dark(seed), name)
    assert lacking in await blocked(stacking, name)
    stacking.immich.set_permissions(stacking.key, list(NEEDED_PERMISSIONS))
    await stacking.service.retry_all()
    await stacking.service.settled()
    assert_there_once(stacking, original)


async def test_an_immich_that_is_slow_keeps_nobody_from_deciding(stacking: Home) -> None:
    gate = stacking.immich.hold("/api/assets$")
    uploaded = stacking.uploaded()
    original = stacking.add(pictures.dark(260), "slow.jpg")
    photo = await stacking.service.photo("slow.jpg")
    await until(lambda: _reviewable(stacking, photo), "it is developed", stacking.service)
    # Nothing that is sent to Immich meanwhile is answered.
    await asyncio.wait_for(stacking.service.decide("approve", photo), 60)
    assert (await stacking.service.photo("slow.jpg"))["review"] == "approved"
    assert stacking.uploaded() == uploaded
    gate.set()
    stacking.immich.no_faults()
    await stacking.service.settled()
    assert_there_once(stacking, original, "approved")


async def test_an_original_thrown_away_meanwhile_blocks_with_words_and_goes_on_once_it_is_back(stacking: Home) -> None:
    original, photo = await stacking.developed(pictures.dark(261), "thrown meanwhile.jpg")
    assert_there_once(stacking, original)
    await stacking.service.change(photo, exposure={"ev": 0.4})
    stacking.immich.trash(original)
    await stacking.service.decide("approve", photo)
    assert "trash" in await blocked(stacking, "thrown meanwhile.jpg")
    assert len(stacking.ours(original)) == 1
    original.deleted_at = None
    await stacking.service.retry_all()
    await stacking.service.settled()
    assert len(stacking.ours(original)) == 2


async def test_in_maintenance_everything_waits_and_decisions_are_taken(stacking: Home) -> None:
    original, photo = await stacking.developed(pictures.dark(208), "patient.jpg")
    stacking.immich.maintenance = True
    await connected(stacking.service, "away")
    later = stacking.add(pictures.dark(209), "later.jpg")
    await stacking.service.decide("approve", photo)
    assert (await stacking.service.photo("patient.jpg"))["review"] == "approved"
    await asyncio.sleep(0.5)
    assert_there_once(stacking, original, "pending")
    page = await stacking.service.page(f"/photos/{photo['id']}")
    assert "Waits for Immich, and goes on by itself" in page
    assert "maintenance" in page
    assert "Waits for Immich, and goes on by itself" in await stacking.service.page("/queue")
    stacking.immich.maintenance = False
    await stacking.service.photo("later.jpg")
    await stacking.service.settled()
    assert_there_once(stacking, original, "approved")
    assert_there_once(stacking, later)


async def test_keys_are_revoked_confused_and_replaced(stacking: Home) -> None:
    service, immich = stacking.service, stacking.immich
    original, photo = await stacking.developed(pictures.dark(210), "hers.jpg")
    immich.revoke_key(stacking.key)
    assert "key" in (await connected(service, "credentials"))["last_error"]
    await service.decide("approve", photo)
    unseen = stacking.add(pictures.dark(211), "unseen.jpg")
    (service.inbox / "dropped.jpg").write_bytes(pictures.good(214))
    await service.photo("dropped.jpg")
    assert_there_once(stacking, original, "pending")
    await service.stop()

    # The key of another user writes nothing and takes nothing.
    bob = immich.add_user("Bob")
    his = immich.add_asset(bob, pictures.dark(213), "his.jpg", ready=False)
    await service.start(IMMICH_API_KEY=immich.add_key(bob))
    said = (await connected(service, "refused"))["last_error"]
    assert "Bob" in said
    assert "Ada" in said
    await service.decide("undo", photo)
    await service.decide("approve", photo)
    await asyncio.sleep(1.5)
    assert [asset.name for asset in immich.assets.values() if asset.owner is bob] == ["his.jpg"]
    assert immich.metadata_of(his, KEY) is None
    assert "his.jpg" not in [one["file_name"] for one in await service.photos()]
    assert_there_once(stacking, original, "pending")
    await service.stop()

    stacking.key = immich.add_key(stacking.user, list(NEEDED_PERMISSIONS))
    await service.start(IMMICH_API_KEY=stacking.key)
    await service.photo("unseen.jpg")
    await service.settled()
    assert_there_once(stacking, original, "approved")
    assert_there_once(stacking, unseen)
    assert immich.asset_named("dropped.jpg").owner is stacking.user


async def test_immich_is_away_when_the_service_starts(stacking: Home) -> None:
    service, immich = stacking.service, stacking.immich
    await service.stop()
    await immich.go_away()
    await service.start()
    await connected(service, "away")
    (service.inbox / "dropped dark.jpg").write_bytes(pictures.dark(215))
    photo = await service.photo("dropped dark.jpg")
    await until(lambda: _reviewable(stacking, photo), "it is developed without Immich", service)
    missed = stacking.add(pictures.dark(216), "missed.jpg")
    await immich.come_back()
    await connected(service)
    await service.photo("missed.jpg")
    await service.settled()
    assert_there_once(stacking, immich.asset_named("dropped dark.jpg"))
    assert_there_once(stacking, missed)


async def _reviewable(stacking: Home, photo: dict[str, Any]) -> bool:
    return bool((await stacking.service.get(f"/api/photos/{photo['id']}"))["review"] == "pending")


async def test_killed_at_any_moment_of_publishing_nothing_is_lost_and_nothing_comes_twice(stacking: Home) -> None:
    service, immich = stacking.service, stacking.immich
    random.seed(4)

    def seen(method: str, path: str) -> Callable[[], bool]:
        count = _count(stacking, method, path)
        return lambda: _count(stacking, method, path) > count

    begun = len(immich.uploads)
    moments: list[tuple[str, Callable[[], bool]]] = [
        ("an upload is being received", lambda: len(immich.uploads) > begun and immich.uploads[-1].received > 0),
        ("an upload was obeyed", seen("POST", "/api/assets")),
        ("a stack was made", seen("POST", "/api/stacks")),
        ("a mark was written", seen("PUT", "/metadata")),
    ]
    originals = []
    for number, (what, moment) in enumerate(moments):
        originals += [stacking.add(pictures.dark(220 + 10 * number + i), f"killed {number} {i}.jpg") for i in range(2)]
        await until(moment, what, service)
        await service.kill()
        await service.start()
    await asyncio.sleep(random.uniform(0, 0.5))
    await service.kill()
    await service.start()
    for original in originals:
        await service.photo(original.name)
    await service.settled()
    for original in originals:
        assert_there_once(stacking, original)
    # A decision is interrupted in its turn.
    happened = seen("PUT", "/api/stacks/")
    await service.decide("approve", await service.photo(originals[0].name))
    await until(happened, "the stack is arranged", service)
    await service.kill()
    await service.start()
    await connected(service)
    await service.settled()
    assert_there_once(stacking, originals[0], "approved")
    for original in originals[1:]:
        assert_there_once(stacking, original)
    assert len({photo["id"] for photo in await service.photos()}) == len(await service.photos())


def _count(stacking: Home, method: str, path: str) -> int:
    return sum(seen.method == method and path in seen.path for seen in stacking.immich.requests)


@pytest.mark.parametrize(("command", "seed"), [("undo", 270), ("reject", 271)])
async def test_an_approval_taken_back_before_its_upload_was_heard_of_leaves_no_orphan(
    stacking: Home, command: str, seed: int
) -> None:
    service, immich = stacking.service, stacking.immich
    original, photo = await stacking.developed(pictures.dark(seed), f"taken back {command}.jpg")
    photo = await service.change(photo, exposure={"ev": 0.3})
    immich.lose_answer_next("/api/assets$", method="POST")
    await service.decide("approve", photo)
    await until(lambda: len(stacking.ours(original)) == 2, "Immich has it", service)
    await service.decide(command, photo)
    await service.settled()
    assert len(stacking.ours(original)) == 2
    assert set(stacking.stack(original)) == {original.name, *(asset.name for asset in stacking.ours(original))}
    assert stacking.stack(original)[0] == original.name
    assert "approved" not in stacking.reviews(original)
    assert service.rows("SELECT 1 FROM versions WHERE written LIKE '%\"sent\"%'") == []
