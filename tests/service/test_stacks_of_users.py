"""Photos that their owner has stacked, or stacks otherwise later: what the service leaves as it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from tests.immich_server import Asset
from tests.service import pictures
from tests.service.running import Home, home, immich_running, until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.every_immich]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stacking(tmp_path_factory: pytest.TempPathFactory, immich_version: str) -> AsyncIterator[Home]:
    async with immich_running(immich_version) as immich, home(tmp_path_factory.mktemp("stacks"), immich) as opened:
        yield opened


async def burst(stacking: Home, *names: str, seed: int) -> tuple[list[Asset], list[dict[str, Any]]]:
    """Photos that come in as one stack, the first on top: names with `dark` get a version, others are left alone."""
    assets = [
        stacking.add((pictures.dark if "dark" in name else pictures.good)(seed + place), name)
        for place, name in enumerate(names)
    ]
    stacking.immich.add_stack(*assets)
    for name in names:
        await stacking.service.photo(name)
    await stacking.service.settled()
    return assets, [await stacking.service.photo(name) for name in names]


def put_on_top(stacking: Home, asset: Asset) -> None:
    """The user chooses another picture for the top of a stack."""
    assert asset.stack_id is not None
    stacking.immich.stacks[asset.stack_id].primary_asset_id = asset.id


def take_apart(stacking: Home, asset: Asset) -> None:
    """The user ends a stack."""
    assert asset.stack_id is not None
    members = stacking.immich.stack_of(asset)
    del stacking.immich.stacks[asset.stack_id]
    for member in members:
        member.stack_id = None


async def test_the_primary_of_a_stack_gets_its_version_into_the_same_stack(stacking: Home) -> None:
    (top, _), (photo, _) = await burst(stacking, "dark top.jpg", "b.jpg", seed=100)
    stack = top.stack_id
    assert stacking.stack(top) == ["dark top.jpg", "b.jpg", "dark top_processed_v1.jpg"]
    await stacking.service.approve(photo)
    assert stacking.stack(top) == ["dark top_processed_v1.jpg", "b.jpg", "dark top.jpg"]
    await stacking.service.undo(photo)
    assert stacking.stack(top)[0] == "dark top.jpg"
    assert top.stack_id == stack


async def test_a_child_of_a_stack_gets_its_version_as_a_child(stacking: Home) -> None:
    (top, child), (_, photo) = await burst(stacking, "c.jpg", "dark child.jpg", seed=110)
    stack = top.stack_id
    together = ["c.jpg", "dark child.jpg", "dark child_processed_v1.jpg"]
    assert stacking.stack(child) == together
    for command in ("approve", "reject", "undo", "undo"):
        await stacking.service.command(command, photo)
        assert stacking.stack(child) == together, command
    await stacking.service.approve(photo)
    assert stacking.reviews(child) == ["approved"]
    assert (top.stack_id, child.stack_id) == (stack, stack)


async def test_two_photos_of_a_burst_do_not_take_each_other_s_place(stacking: Home) -> None:
    (top, other), (photo, other_photo) = await burst(stacking, "dark one.jpg", "dark two.jpg", seed=120)
    everybody = {"dark one.jpg", "dark two.jpg", "dark one_processed_v1.jpg", "dark two_processed_v1.jpg"}
    await stacking.service.approve(other_photo)
    assert stacking.stack(top)[0] == "dark one.jpg"
    await stacking.service.approve(photo)
    assert stacking.stack(top)[0] == "dark one_processed_v1.jpg"
    await stacking.service.reject(other_photo)
    assert stacking.stack(top)[0] == "dark one_processed_v1.jpg"
    await stacking.service.reject(photo)
    assert stacking.stack(top)[0] == "dark one.jpg"
    assert set(stacking.stack(other)) == everybody


async def test_what_the_user_puts_on_top_later_stays_there(stacking: Home) -> None:
    (top, choice), (photo, _) = await burst(stacking, "dark d.jpg", "choice.jpg", seed=130)
    await stacking.service.approve(photo)
    put_on_top(stacking, choice)
    for command in ("undo", "approve", "reject"):
        await stacking.service.command(command, photo)
        assert stacking.stack(top)[0] == "choice.jpg", command
    # The latest choice of the user is what a rejection brings back, not the first one.
    put_on_top(stacking, stacking.ours(top)[0])
    await stacking.service.undo(photo)
    await stacking.service.reject(photo)
    assert stacking.stack(top)[0] == "choice.jpg"


async def test_stacks_that_the_user_takes_apart_stay_apart(stacking: Home) -> None:
    original, photo = await stacking.developed(pictures.dark(140), "apart.jpg")
    (ours,) = stacking.ours(original)
    take_apart(stacking, original)
    for command, review in (("approve", "approved"), ("reject", "rejected"), ("undo", "approved")):
        await stacking.service.command(command, photo)
        assert stacking.reviews(original) == [review]
        assert (original.stack_id, ours.stack_id) == (None, None)


async def test_a_version_that_the_user_trashed_does_not_hide_its_original(stacking: Home) -> None:
    original, photo = await stacking.developed(pictures.dark(150), "thrown.jpg")
    await stacking.service.approve(photo)
    (ours,) = stacking.ours(original)
    stacking.immich.trash(ours)
    await stacking.service.reject(photo)
    assert stacking.stack(original)[0] == "thrown.jpg"
    assert ours.deleted_at is not None


async def test_a_version_that_the_user_deleted_is_not_uploaded_again(stacking: Home) -> None:
    original, photo = await stacking.developed(pictures.dark(160), "gone.jpg")
    (ours,) = stacking.ours(original)
    stacking.immich.delete(ours)
    uploaded = stacking.uploaded()
    photo = await stacking.service.approve(photo)
    assert photo["review"] == "approved"
    assert photo["versions"][0]["publish"] == "blocked"
    assert ours.id in photo["versions"][0]["blocked_reason"]
    await stacking.service.retry_all()
    await stacking.service.settled()
    assert stacking.uploaded() == uploaded
    assert stacking.ours(original) == []
    # The next version is another one, and may go there.
    photo = await stacking.service.change(photo, exposure={"ev": 0.5})
    await stacking.service.approve(photo)
    assert stacking.stack(original) == ["gone_processed_v2.jpg", "gone.jpg"]


async def test_an_original_that_the_user_deleted_blocks_its_version_alone(stacking: Home) -> None:
    original, photo = await stacking.developed(pictures.dark(170), "lost.jpg")
    stacking.immich.delete(original)
    photo = await stacking.service.approve(photo)
    assert photo["review"] == "approved"
    assert photo["versions"][0]["publish"] == "blocked"
    other, _ = await stacking.developed(pictures.dark(171), "next.jpg")
    assert stacking.stack(other) == ["next.jpg", "next_processed_v1.jpg"]


async def test_a_version_of_an_archived_photo_goes_into_the_archive(stacking: Home) -> None:
    asset = stacking.immich.add_asset(stacking.user, pictures.dark(180), "old.jpg", ready=True, visibility="archive")
    photo = await stacking.service.photo("old.jpg")
    await stacking.service.settled()
    (ours,) = stacking.ours(asset)
    assert ours.visibility == "archive"
    await stacking.service.approve(photo)
    assert stacking.stack(asset) == ["old_processed_v1.jpg", "old.jpg"]
    await until(lambda: (stacking.mark(ours) or {}).get("review") == "approved", "the mark says so")
