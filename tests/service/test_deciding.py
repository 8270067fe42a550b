"""What Immich holds before and after each decision, in each mode."""

from __future__ import annotations

import asyncio
import functools
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from tests.immich_server import ImmichServer
from tests.service import pictures
from tests.service.running import Home, RefusedCommandError, home, immich_running, until

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def immich(immich_version: str) -> AsyncIterator[ImmichServer]:
    async with immich_running(immich_version) as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stacking(tmp_path_factory: pytest.TempPathFactory, immich: ImmichServer) -> AsyncIterator[Home]:
    async with home(tmp_path_factory.mktemp("stack"), immich, "Sue", SIDECAR_MODE="stack") as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def reviewing(tmp_path_factory: pytest.TempPathFactory, immich: ImmichServer) -> AsyncIterator[Home]:
    async with home(tmp_path_factory.mktemp("review"), immich, "Ray", SIDECAR_MODE="review") as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def automatic(tmp_path_factory: pytest.TempPathFactory, immich: ImmichServer) -> AsyncIterator[Home]:
    async with home(tmp_path_factory.mktemp("auto"), immich, "Amy", SIDECAR_MODE="auto") as opened:
        yield opened


@pytest.mark.every_immich
class TestStackMode:
    async def test_a_version_comes_back_once_beneath_its_original_and_both_are_marked(self, stacking: Home) -> None:
        before = stacking.uploaded()
        original, photo = await stacking.developed(pictures.dark(1), "lake.jpg")
        (ours,) = stacking.ours(original)
        assert photo["status"] == "pending"
        assert ours.name == "lake_processed_v1.jpg"
        assert stacking.stack(original) == ["lake.jpg", "lake_processed_v1.jpg"]
        assert stacking.uploaded() == before + 1
        recipe = photo["recipe"]
        (switch,) = stacking.service.rows("SELECT value FROM switches WHERE name = 'installation'")
        installation = json.loads(switch["value"])
        assert stacking.mark(ours) == {
            "is_processed": True,
            "original_asset_id": original.id,
            "processing_recipe_id": recipe["id"],
            "processing_recipe": {"operations": recipe["operations"]},
            "ai_analysis": recipe["ai_metadata"],
            "version": 1,
            "review": "pending",
            "sha256": photo["id"],
            "installation": installation,
        }
        assert [operation["type"] for operation in recipe["operations"]] == ["exposure"]
        assert stacking.mark(original) == {
            "is_original": True,
            "processing_recipe_id": recipe["id"],
            "version": 1,
            "review": "pending",
            "sha256": photo["id"],
            "installation": installation,
        }
        assert photo["immich"]["asset_id"] == original.id
        assert photo["immich"]["stack_id"] == original.stack_id

    async def test_the_version_lies_where_its_original_lies_in_time_and_space(self, stacking: Home) -> None:
        original, _ = await stacking.developed(pictures.dark(2), "place.jpg")
        (ours,) = stacking.ours(original)
        await stacking.immich.settled()
        assert original.local_date_time == datetime(2023, 7, 14, 18, 5, 9, 123000, tzinfo=UTC)
        assert ours.local_date_time == original.local_date_time
        assert ours.file_created_at == original.file_created_at
        for fact in ("dateTimeOriginal", "latitude", "longitude", "make", "model", "lensModel", "iso", "timeZone"):
            assert ours.exif.get(fact) == original.exif.get(fact), fact
        assert ours.exif["latitude"] == pytest.approx(52.52, abs=0.01)
        assert (ours.width, ours.height) == pictures.SIZE
        assert ours.thumbhash

    async def test_the_original_keeps_its_bytes(self, stacking: Home) -> None:
        content = pictures.dark(3)
        original, photo = await stacking.developed(content, "kept.jpg")
        await stacking.service.approve(photo)
        assert original.file.read_bytes() == content
        assert original.deleted_at is None
        assert original.visibility == "timeline"

    async def test_every_decision_and_every_undo_arrives(self, stacking: Home) -> None:
        service = stacking.service
        original, photo = await stacking.developed(pictures.dark(4), "walk.jpg")
        below = ["walk.jpg", "walk_processed_v1.jpg"]
        on_top = ["walk_processed_v1.jpg", "walk.jpg"]
        uploaded = stacking.uploaded()

        def seen() -> tuple[list[str], list[str], str]:
            mark = stacking.mark(original) or {}
            return stacking.stack(original), stacking.reviews(original), mark["review"]

        assert seen() == (below, ["pending"], "pending")
        await service.approve(photo)
        assert seen() == (on_top, ["approved"], "approved")
        await service.undo(photo)
        assert seen() == (below, ["pending"], "pending")
        await service.reject(photo)
        assert seen() == (below, ["rejected"], "rejected")
        await service.approve(photo)
        assert seen() == (on_top, ["approved"], "approved")
        await service.reject(photo)
        assert seen() == (below, ["rejected"], "rejected")
        for expected in ("approved", "rejected", "pending"):
            await service.undo(photo)
            assert seen() == (on_top if expected == "approved" else below, [expected], expected)
        with pytest.raises(RefusedCommandError) as refused:
            await service.undo(photo)
        assert refused.value.status == 409
        assert stacking.uploaded() == uploaded

    async def test_a_changed_version_is_uploaded_when_it_is_approved(self, stacking: Home) -> None:
        service = stacking.service
        original, photo = await stacking.developed(pictures.dark(5), "more.jpg")
        uploaded = stacking.uploaded()
        photo = await service.change(photo, exposure={"ev": 1.0})
        assert (photo["version"], photo["review"]) == (2, "pending")
        assert stacking.uploaded() == uploaded
        assert stacking.reviews(original) == ["superseded"]
        assert stacking.stack(original) == ["more.jpg", "more_processed_v1.jpg"]

        photo = await service.approve(photo)
        assert stacking.uploaded() == uploaded + 1
        assert stacking.stack(original) == ["more_processed_v2.jpg", "more.jpg", "more_processed_v1.jpg"]
        assert stacking.reviews(original) == ["superseded", "approved"]
        mark = stacking.mark(original) or {}
        assert (mark["version"], mark["processing_recipe_id"]) == (2, photo["recipe"]["id"])
        second = stacking.mark(stacking.ours(original)[1]) or {}
        assert second["processing_recipe"]["operations"][0]["source"] == "user"

        await service.undo(photo)
        assert stacking.stack(original)[0] == "more.jpg"
        assert stacking.reviews(original) == ["superseded", "pending"]
        photo = await service.undo(photo)
        assert photo["version"] == 1
        assert stacking.reviews(original) == ["pending", "superseded"]
        await service.approve(photo)
        assert stacking.stack(original)[0] == "more_processed_v1.jpg"
        assert stacking.reviews(original) == ["approved", "superseded"]
        assert stacking.uploaded() == uploaded + 1

    async def test_rejecting_a_change_takes_the_earlier_approved_version_from_the_top(self, stacking: Home) -> None:
        service = stacking.service
        original, photo = await stacking.developed(pictures.dark(6), "back.jpg")
        await service.approve(photo)
        photo = await service.change(photo, exposure={"ev": 0.5})
        uploaded = stacking.uploaded()
        photo = await service.reject(photo)
        assert photo["review"] == "rejected"
        assert stacking.stack(original) == ["back.jpg", "back_processed_v1.jpg"]
        assert stacking.uploaded() == uploaded

    async def test_reset_is_a_new_version_as_proposed(self, stacking: Home) -> None:
        service = stacking.service
        original, photo = await stacking.developed(pictures.dark(7), "reset.jpg")
        proposed = photo["recipe"]["operations"]
        await service.change(photo, exposure={"ev": 0.5})
        photo = await service.command("reset", photo)
        assert photo["version"] == 3
        await service.approve(photo)
        # The same recipe gives the same bytes, which Immich has: there is one asset for both.
        third = stacking.immich.assets[(await service.photo("reset.jpg"))["versions"][0]["immich_asset_id"]]
        mark = stacking.mark(third) or {}
        assert [operation["parameters"] for operation in mark["processing_recipe"]["operations"]] == [
            operation["parameters"] for operation in proposed
        ]
        assert stacking.stack(original)[0] == third.name

    async def test_a_photo_that_is_left_alone_leaves_no_trace_in_immich_until_it_is_developed(
        self, stacking: Home
    ) -> None:
        uploaded = stacking.uploaded()
        original, photo = await stacking.developed(pictures.good(8), "fine.jpg")
        assert photo["status"] == "left_alone"
        assert photo["left_alone_reason"]
        assert (stacking.ours(original), stacking.stack(original), stacking.mark(original)) == ([], [], None)
        assert stacking.uploaded() == uploaded
        photo = await stacking.service.command("develop", photo)
        assert photo["review"] == "pending"
        assert stacking.stack(original) == ["fine.jpg", "fine_processed_v1.jpg"]
        await stacking.service.undo(photo)
        assert stacking.reviews(original) == ["superseded"]

    async def test_decisions_taken_during_an_upload_are_neither_lost_nor_overtaken(self, stacking: Home) -> None:
        service, immich = stacking.service, stacking.immich
        gate = immich.hold("/api/assets$", times=2)
        uploaded = stacking.uploaded()
        approved = stacking.add(pictures.dark(9), "hasty.jpg")
        changed = stacking.add(pictures.dark(10), "second thoughts.jpg")

        async def awaiting(name: str) -> bool:
            return bool((await service.photo(name))["review"] == "pending")

        for name in ("hasty.jpg", "second thoughts.jpg"):
            await until(functools.partial(awaiting, name), f"{name} is developed", service)
        assert stacking.uploaded() == uploaded
        for command in ("approve", "reject", "approve"):
            await service.decide(command, await service.photo("hasty.jpg"))
        changing = asyncio.create_task(service.change(await service.photo("second thoughts.jpg"), exposure={"ev": 1.0}))

        async def is_changed() -> bool:
            return bool((await service.photo("second thoughts.jpg"))["version"] == 2)

        await until(is_changed, "it is changed", service)
        assert stacking.uploaded() == uploaded
        gate.set()
        photo = await changing
        await service.settled()
        assert stacking.uploaded() == uploaded + 2
        assert stacking.stack(approved) == ["hasty_processed_v1.jpg", "hasty.jpg"]
        assert stacking.reviews(approved) == ["approved"]
        assert (photo["version"], photo["review"]) == (2, "pending")
        assert stacking.stack(changed) == ["second thoughts.jpg", "second thoughts_processed_v1.jpg"]
        assert stacking.reviews(changed) == ["superseded"]


class TestReviewMode:
    async def test_nothing_is_written_before_approval(self, reviewing: Home) -> None:
        service = reviewing.service
        written = _writes(reviewing)
        original, photo = await reviewing.developed(pictures.dark(21), "quiet.jpg")
        assert photo["status"] == "pending"
        photo = await service.change(photo, exposure={"ev": 1.5})
        photo = await service.reject(photo)
        photo = await service.undo(photo)
        assert _writes(reviewing) == written
        assert (reviewing.stack(original), reviewing.mark(original)) == ([], None)

        await service.approve(photo)
        assert reviewing.stack(original) == ["quiet_processed_v2.jpg", "quiet.jpg"]
        assert reviewing.reviews(original) == ["approved"]
        await service.undo(photo)
        assert reviewing.stack(original) == ["quiet.jpg", "quiet_processed_v2.jpg"]
        assert reviewing.reviews(original) == ["pending"]
        await service.reject(photo)
        assert reviewing.reviews(original) == ["rejected"]
        await service.approve(photo)
        assert reviewing.stack(original)[0] == "quiet_processed_v2.jpg"

    async def test_approval_puts_it_on_top_at_once(self, reviewing: Home) -> None:
        original, photo = await reviewing.developed(pictures.dark(22), "direct.jpg")
        uploaded = reviewing.uploaded()
        await reviewing.service.approve(photo)
        assert reviewing.stack(original) == ["direct_processed_v1.jpg", "direct.jpg"]
        assert reviewing.uploaded() == uploaded + 1


class TestAutoMode:
    async def test_what_is_certain_goes_on_top_by_itself_and_can_be_undone(self, automatic: Home) -> None:
        service = automatic.service
        original, photo = await automatic.developed(pictures.dark(31), "sure.jpg")
        assert photo["confidence"] >= 0.9
        assert photo["review"] == "approved"
        assert automatic.stack(original) == ["sure_processed_v1.jpg", "sure.jpg"]
        assert automatic.reviews(original) == ["approved"]
        photo = await service.undo(photo)
        assert photo["review"] == "pending"
        assert automatic.stack(original) == ["sure.jpg", "sure_processed_v1.jpg"]
        assert automatic.reviews(original) == ["pending"]
        await service.reject(photo)
        assert automatic.reviews(original) == ["rejected"]

    async def test_what_is_less_certain_waits_beneath_its_original(self, automatic: Home) -> None:
        original, photo = await automatic.developed(pictures.dim(32), "unsure.jpg")
        assert 0.6 <= photo["confidence"] < 0.9
        assert photo["review"] == "pending"
        assert automatic.stack(original) == ["unsure.jpg", "unsure_processed_v1.jpg"]
        await automatic.service.approve(photo)
        assert automatic.stack(original)[0] == "unsure_processed_v1.jpg"

    async def test_a_change_of_what_was_approved_by_itself_asks_its_owner(self, automatic: Home) -> None:
        original, photo = await automatic.developed(pictures.dark(33), "mine.jpg")
        photo = await automatic.service.change(photo, exposure={"ev": 2.0})
        assert (photo["version"], photo["review"]) == (2, "pending")
        assert automatic.reviews(original) == ["superseded"]
        photo = await automatic.service.approve(photo)
        assert automatic.stack(original)[0] == "mine_processed_v2.jpg"


def _writes(home: Home) -> int:
    """How many requests of this test's Immich changed something, whoever sent them."""
    harmless = ("/api/search/metadata", "/api/assets/bulk-upload-check")
    return sum(
        seen.method not in ("GET", "HEAD") and seen.path not in harmless and seen.headers.get("x-api-key") == home.key
        for seen in home.immich.requests
    )
