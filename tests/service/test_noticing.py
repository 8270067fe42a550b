"""What is taken from Immich and what is left where it is, with the reason."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio

from tests.service import pictures
from tests.service.running import KEY, Home, connected, home, immich_running
from tests.service.test_hot_folders import rounds

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.every_immich]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def watching(tmp_path_factory: pytest.TempPathFactory, immich_version: str) -> AsyncIterator[Home]:
    async with immich_running(immich_version) as immich, home(tmp_path_factory.mktemp("noticing"), immich) as opened:
        yield opened


async def test_what_is_not_taken_says_why_and_is_left_as_it_is(watching: Home, tmp_path: Path) -> None:
    immich, user = watching.immich, watching.user
    film = immich.add_asset(user, b"a film", "film.mp4")
    content = iter(pictures.dark(seed) for seed in range(400, 420))
    panorama = {"projectionType": "EQUIRECTANGULAR"}
    listed = {
        film: "a video",
        immich.add_asset(user, next(content), "live.jpg", live_photo_video_id=film.id): "a live or motion photo",
        immich.add_asset(user, next(content), "wide.jpg", exif=panorama): "a panorama",
        immich.add_asset(user, next(content), "edited.jpg", is_edited=True): "edited in Immich",
        immich.add_asset(user, next(content), "library.jpg", library_id=film.id): "in an external library",
        immich.add_asset(user, next(content), "offline.jpg", is_offline=True): "offline in Immich",
        immich.add_asset(user, b"GIF89a", "moving.gif"): "animated pictures are not developed (.gif)",
    }
    unseen = [
        immich.add_asset(user, next(content), "hidden.jpg", visibility="hidden"),
        immich.add_asset(user, next(content), "locked.jpg", visibility="locked"),
        immich.add_asset(user, next(content), "thrown away.jpg", deleted_at=datetime.now(UTC)),
        immich.add_asset(immich.add_user("Somebody else"), next(content), "somebody's.jpg"),
    ]
    files = [watching.add(pictures.gain_map(tmp_path, 430), "gain map.jpg")]
    # Immich has taken the video out and linked it.
    motion = immich.add_asset(user, pictures.motion_photo(tmp_path, 431), "motion.jpg")
    listed[motion] = "a live or motion photo"
    rubbish = immich.add_asset(user, b"this is no picture at all", "rubbish.jpg", created_at=datetime.now(UTC))
    rubbish.width = rubbish.height = 1
    before = len(immich.uploads)
    for asset in files:
        photo = await watching.service.photo(asset.name)
        await watching.service.settled()
        photo = await watching.service.photo(asset.name)
        assert photo["status"] == "left_alone"
        assert photo["left_alone_reason"]
    await rounds(watching, 2)
    reasons = await watching.service.not_taken()
    assert {name: reason for name, reason in reasons.items() if name != "rubbish.jpg"} == {
        asset.name: reason for asset, reason in listed.items()
    }
    assert "rubbish.jpg" in reasons["rubbish.jpg"]
    assert {photo["file_name"] for photo in await watching.service.photos()} == {"gain map.jpg"}
    downloaded = {seen.path.split("/")[3] for seen in immich.requests if seen.path.endswith("/original")}
    assert downloaded == {asset.id for asset in [*files, rubbish]}
    for asset in [*listed, *unseen, *files]:
        assert (asset.metadata, asset.stack_id) == ({}, None), asset.name
    assert len(immich.uploads) == before


async def test_an_original_that_was_processed_by_a_lost_installation_is_left_alone(watching: Home) -> None:
    mark = {"is_original": True, "processing_recipe_id": None, "version": 1, "review": "approved", "sha256": "0" * 64}
    earlier = watching.immich.add_asset(
        watching.user, pictures.dark(440), "earlier.jpg", metadata={KEY: (mark, datetime.now(UTC))}
    )
    await rounds(watching, 3)
    await watching.service.settled()
    assert (await watching.service.not_taken())["earlier.jpg"] == "processed earlier"
    assert "earlier.jpg" not in {photo["file_name"] for photo in await watching.service.photos()}
    assert watching.mark(earlier) == mark


async def test_our_own_versions_are_never_developed(watching: Home) -> None:
    _, photo = await watching.developed(pictures.dark(441), "round.jpg")
    photo = await watching.service.change(photo, exposure={"ev": 1.0})
    await watching.service.approve(photo)
    count = len(await watching.service.photos())
    await rounds(watching, 3)
    await watching.service.settled()
    assert len(await watching.service.photos()) == count
    rows = watching.service.rows("SELECT file_name, reason FROM assets WHERE file_name LIKE 'round!_%' ESCAPE '!'")
    assert {row["file_name"]: row["reason"] for row in rows} == {
        "round_processed_v1.jpg": "made by the sidecar",
        "round_processed_v2.jpg": "made by the sidecar",
    }
    # They are no news to their owner.
    assert not [name for name in await watching.service.not_taken() if name.startswith("round_")]


async def test_what_was_there_before_is_not_touched_and_what_becomes_visible_is_taken(watching: Home) -> None:
    immich, service = watching.immich, watching.service
    moment = datetime.now(UTC).replace(year=2020)
    immich.add_asset(watching.user, pictures.dark(442), "old.jpg", created_at=moment, updated_at=moment)
    restored = immich.add_asset(watching.user, pictures.dark(443), "restored.jpg", deleted_at=datetime.now(UTC))
    await rounds(watching, 2)
    restored.deleted_at = None
    restored.updated_at = immich.store.now()
    await service.stop()
    service.let_time_pass("UPDATE connections SET updated_cursor = datetime(updated_cursor, '-2 hours')")
    await service.start()
    await connected(service)
    await service.photo("restored.jpg")
    await service.settled()
    assert watching.stack(restored) == ["restored.jpg", "restored_processed_v1.jpg"]
    assert "old.jpg" not in {photo["file_name"] for photo in await service.photos()}
    assert (await service.get("/api/status"))["immich"]["watched_since"]


async def test_a_suggestion_follows_at_once(watching: Home, record_property: Callable[[str, object], None]) -> None:
    # The first photo after a start waits for the workers.
    await watching.developed(pictures.dark(444), "warm.jpg")
    _, photo = await watching.developed(pictures.dark(445), "timed.jpg")
    (asset,) = watching.service.rows("SELECT seen_at FROM assets WHERE sha256 = ?", photo["id"])
    events = watching.service.rows("SELECT type, at FROM events WHERE sha256 = ? ORDER BY id", photo["id"])
    kinds = [event["type"] for event in events]
    assert kinds[:4] == ["photo_added", "photo_analysed", "photo_suggested", "photo_ready"]
    assert set(kinds[4:]) == {"publish_changed"}
    noticed = datetime.fromisoformat(asset["seen_at"])
    seconds = [(datetime.fromisoformat(event["at"]) - noticed).total_seconds() for event in events]
    assert min(seconds) >= 0
    figures = {"suggested": seconds[2], "ready": seconds[3], "published": seconds[-1]}
    print(f"seconds from being noticed: {figures}")
    record_property("seconds_from_noticed", figures)
