"""Backfills by the real service: counted, run, interrupted, paused, cancelled, taken back."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from immich_sidecar.pipeline.backfill_run import AHEAD
from tests.immich_server import Asset, ImmichServer, User
from tests.immich_server.snapshot import Difference, differences
from tests.service import pictures
from tests.service.running import KEY, Service, home, immich_running, until

LONG_AGO = datetime.now(UTC) - timedelta(days=40)


def older(immich: ImmichServer, user: User, contents: Sequence[bytes]) -> list[Asset]:
    """Photos that came into Immich long before the service was connected."""
    return [
        immich.add_asset(user, content, f"old-{n}.jpg", created_at=LONG_AGO + timedelta(hours=5 * n))
        for n, content in enumerate(contents)
    ]


async def ask(service: Service, method: str, path: str, **arguments: Any) -> dict[str, Any]:
    return dict(await service._ask(method, path, **arguments))


async def counted(service: Service, scope: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A new backfill after its dry run."""
    body = {"scope": scope or {"kind": "library"}, **more}
    made = await ask(service, "POST", "/api/backfills", json=body)
    assert made["state"] == "counting"
    return await reaches(service, made, "ready")


async def command(service: Service, backfill: dict[str, Any], name: str) -> dict[str, Any]:
    return await ask(service, "POST", f"/api/backfills/{backfill['id']}/{name}")


async def reaches(service: Service, backfill: dict[str, Any], state: str, patience: float = 90) -> dict[str, Any]:
    async def look() -> dict[str, Any] | None:
        found = await ask(service, "GET", f"/api/backfills/{backfill['id']}")
        assert found["state"] != "failed" or state == "failed", found
        return found if found["state"] == state else None

    return dict(await until(look, f"the backfill is {state}", service, patience))


async def run(service: Service, scope: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """A backfill from its dry run to its end."""
    backfill = await counted(service, scope, **more)
    await command(service, backfill, "start")
    return await reaches(service, backfill, "done")


def number(service: Service, condition: str = "1") -> int:
    """How many photos there are."""
    return int(service.rows(f"SELECT count(*) AS n FROM photos WHERE {condition}")[0]["n"])


def fields(found: Sequence[Difference]) -> set[tuple[str, str]]:
    return {(one.kind, one.field) for one in found}


async def test_a_library_is_counted_processed_and_taken_back(tmp_path: Path) -> None:
    async with immich_running() as immich:
        ada = immich.add_user("Ada")
        dark = [pictures.dark(seed) for seed in (900, 901, 902)]
        old = older(immich, ada, [*dark, pictures.good(903), pictures.leaning(904)])
        film = immich.add_asset(ada, b"film", "film.mp4", created_at=LONG_AGO)
        immich.add_asset(ada, pictures.dark(905), "Screenshot 1.jpg", created_at=LONG_AGO)
        service = Service(
            tmp_path,
            {"IMMICH_URL": immich.url, "IMMICH_API_KEY": immich.add_key(ada), "SIDECAR_WORKERS": "1"},
        )
        await service.start()
        try:
            await until(lambda: service.rows("SELECT 1 FROM connections WHERE state = 'ok'"), "it is connected")
            before = immich.snapshot(contents=True)
            ready = await counted(service)
            estimate = ready["estimate"]
            assert (estimate["found"], estimate["take"], estimate["here"]) == (7, 5, 0)
            assert estimate["left"] == {"a video": 1, "a screenshot": 1}
            assert estimate["bytes"] == sum(asset.size for asset in old)
            assert estimate["seconds"] > 0
            assert estimate["version_bytes"] > 0
            assert not estimate["seconds_measured"]
            assert {sample["name"] for sample in estimate["samples"]} == {asset.name for asset in old}
            judged = {sample["name"]: sample for sample in estimate["samples"]}
            assert [step["operation"] for step in judged["old-0.jpg"]["steps"]] == ["exposure"]
            assert judged["old-3.jpg"]["left_alone"]
            assert await service.photos() == [], "a dry run takes nothing"
            assert not differences(before, immich.snapshot(contents=True)), "and changes nothing in Immich"

            await command(service, ready, "start")
            done = await reaches(service, ready, "done")
            assert (done["progress"]["pending"], done["progress"]["left_alone"], done["done"]) == (4, 1, 5)
            assert done["progress"]["skipped"] == {"a video": 1, "a screenshot": 1}
            photos = {photo["file_name"]: photo for photo in await service.photos()}
            assert set(photos) == {asset.name for asset in old}
            # One is decided about by hand, one is changed in Immich.
            await service.approve(photos["old-0.jpg"])
            ours = {
                asset.name: asset
                for asset in immich.assets.values()
                if (immich.metadata_of(asset, KEY) or {}).get("is_processed")
            }
            assert len(ours) == 4
            favourite = next(asset for name, asset in ours.items() if name.startswith("old-1_"))
            favourite.is_favorite = True

            await command(service, done, "undo")
            undone = await reaches(service, done, "undone")
            assert (undone["undo"]["taken_back"], undone["undo"]["left_out"]) == (2, 2)
            assert {item["file_name"]: item["why"] for item in undone["undo"]["listed"]} == {
                "old-0.jpg": "you approved it",
                "old-1.jpg": "it is a favourite",
            }
            assert {asset.name for asset in ours.values() if asset.deleted_at is None} == {
                ours[name].name for name in ours if name.startswith(("old-0_", "old-1_"))
            }
            # Of what its owner had before nothing differs but the stack and our mark; what was decided about stays.
            found = [
                one
                for one in differences(before, immich.snapshot(contents=True))
                if one.id in {asset.id for asset in (*old, film)}
            ]
            assert fields(found) <= {("asset", "stack"), ("asset", "metadata")}, found
            assert (await service.photo("old-2.jpg"))["review"] == "rejected"
            # Whoever wants one back after all gets it.
            again = await service.undo(await service.photo("old-2.jpg"))
            assert again["review"] == "pending"
            assert next(asset for name, asset in ours.items() if name.startswith("old-2_")).deleted_at is None
        finally:
            if service.runs:
                await service.stop()
        await service.verify()


@pytest.mark.parametrize("moment", ["counting", "running", "undoing"])
async def test_it_goes_on_where_it_was_killed(tmp_path: Path, moment: str) -> None:
    async with immich_running() as immich:
        ada = immich.add_user("Ada")
        old = older(immich, ada, [pictures.dark(seed) for seed in range(920, 928)])
        service = Service(tmp_path, {"IMMICH_URL": immich.url, "IMMICH_API_KEY": immich.add_key(ada)})
        await service.start()
        try:
            await until(lambda: service.rows("SELECT 1 FROM connections WHERE state = 'ok'"), "it is connected")
            if moment == "counting":
                made = await ask(service, "POST", "/api/backfills", json={"scope": {"kind": "library"}})
                await service.kill()
                await service.start()
                made = await reaches(service, made, "ready")
                assert made["estimate"]["take"] == len(old)
            else:
                made = await counted(service)
            await command(service, made, "start")
            if moment == "running":
                for least in (1, 3, 5):
                    await until(lambda least=least: number(service) >= least, f"{least} photos are there", service)
                    await service.kill()
                    await service.start()
            done = await reaches(service, made, "done")
            assert done["progress"]["pending"] == len(old)
            assert {photo["file_name"] for photo in await service.photos()} == {asset.name for asset in old}
            assert sum(upload.status == 201 for upload in immich.uploads) == len(old), "none is uploaded twice"
            await command(service, done, "undo")
            if moment == "undoing":
                await until(lambda: number(service, "review = 'rejected'") > 1, "some are rejected", service)
                await service.kill()
                await service.start()
            undone = await reaches(service, done, "undone")
            assert undone["undo"]["taken_back"] == len(old)
            assert sum(asset.deleted_at is not None for asset in immich.assets.values()) == len(old)
            assert all(asset.deleted_at is None for asset in old)
        finally:
            if service.runs:
                await service.stop()
        await service.verify()


async def test_new_photos_go_first_and_it_can_be_paused_and_cancelled(tmp_path: Path) -> None:
    async with immich_running() as immich, home(tmp_path, immich) as ada:
        old = older(immich, ada.user, [pictures.dark(seed) for seed in range(930, 945)])
        service = ada.service
        made = await counted(service)
        await command(service, made, "start")
        await until(lambda: service.rows("SELECT 1 FROM photos LIMIT 1"), "it has begun", service)
        await command(service, made, "pause")
        # What is under way is finished.
        await until(lambda: not service.rows("SELECT 1 FROM photos WHERE state != 'kept'"), "it rests", service)
        count = len(await service.photos())
        ada.add(pictures.dark(999), "new.jpg")
        await service.photo("new.jpg")
        assert len(await service.photos()) == count + 1
        assert (await ask(service, "GET", f"/api/backfills/{made['id']}"))["state"] == "paused"
        await command(service, made, "resume")
        ada.add(pictures.dark(998), "newer.jpg")
        newer = await service.photo("newer.jpg")
        (priority,) = service.rows("SELECT priority FROM photos WHERE sha256 = ?", newer["id"])
        assert priority["priority"] >= 0
        cancelled = await command(service, made, "cancel")
        assert cancelled["state"] == "cancelled"
        await service.settled()
        left = len(service.rows("SELECT 1 FROM assets WHERE reason = 'its backfill was cancelled'"))
        taken = number(service, "backfill_id IS NOT NULL")
        assert left + taken == len(old)
        # Another one goes on with what was left, and does nothing again.
        done = await run(service)
        assert done["estimate"]["here"] == taken + 2
        assert done["progress"]["pending"] == left
        assert sum(upload.status == 201 for upload in immich.uploads) == len(old) + 2


async def test_only_so_many_are_fetched_ahead(tmp_path: Path) -> None:
    async with immich_running() as immich, home(tmp_path, immich) as ada:
        older(immich, ada.user, [pictures.good(seed) for seed in range(950, 984)])
        service = ada.service
        await ask(service, "POST", "/api/queue/pause")
        made = await counted(service)
        await command(service, made, "start")
        paused = await until(lambda: ask(service, "GET", f"/api/backfills/{made['id']}"), "it is asked", service)
        assert paused["state"] == "running"
        await until(lambda: _waits(service, made, "The queue is paused."), "it says what it waits for", service)
        assert not await service.photos()
        await ask(service, "POST", "/api/queue/resume")
        most = 0
        while (await ask(service, "GET", f"/api/backfills/{made['id']}"))["state"] != "done":
            most = max(most, number(service, "state IN ('stored', 'analysed', 'advised', 'rendered')"))
        assert 4 < most <= AHEAD
        assert number(service) == 34


async def _waits(service: Service, made: dict[str, Any], words: str) -> bool:
    return (await ask(service, "GET", f"/api/backfills/{made['id']}"))["waits_for"] == words


async def test_without_leave_to_trash_versions_go_to_the_archive(tmp_path: Path) -> None:
    async with immich_running() as immich:
        ada = immich.add_user("Ada")
        (original,) = older(immich, ada, [pictures.dark(991)])
        from immich_sidecar.immich.compatibility import NEEDED_PERMISSIONS

        key = immich.add_key(ada, [*NEEDED_PERMISSIONS])
        service = Service(tmp_path, {"IMMICH_URL": immich.url, "IMMICH_API_KEY": key})
        await service.start()
        try:
            await until(lambda: service.rows("SELECT 1 FROM connections WHERE state = 'ok'"), "it is connected")
            done = await run(service, mode="auto")
            (ours,) = [asset for asset in immich.assets.values() if asset is not original]
            assert immich.stack_of(original)[0] is ours, "it is on top: the rule said auto"
            await command(service, done, "undo")
            undone = await reaches(service, done, "undone")
            assert undone["undo"]["taken_back"] == 1, undone["undo"]
            assert (ours.visibility, ours.deleted_at) == ("archive", None)
            assert immich.stack_of(original)[0] is original
            await service.undo(await service.photo("old-0.jpg"))
            assert ours.visibility == "timeline"
        finally:
            await service.stop()


async def test_scopes_that_cannot_be(tmp_path: Path) -> None:
    async with immich_running() as immich, home(tmp_path, immich) as ada:
        service = ada.service
        gone = await ask(service, "POST", "/api/backfills", json={"scope": {"kind": "tag", "tag": "nobody/has"}})
        failed = await reaches(service, gone, "failed")
        assert "nobody/has" in failed["error"]
        likeness = {"kind": "search", "query": "beach", "by": "likeness"}
        switched_off = await reaches(
            service, await ask(service, "POST", "/api/backfills", json={"scope": likeness}), "failed"
        )
        assert "Could not search" in switched_off["error"]
        immich.about.smart_search = True
        older(immich, ada.user, [pictures.dark(996)])
        immich.asset_named("old-0.jpg").name = "beach.jpg"
        await command(service, switched_off, "retry")
        ready = await reaches(service, switched_off, "ready")
        assert ready["estimate"]["take"] == 1
