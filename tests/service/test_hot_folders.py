"""Photos from hot folders where there is a connection: originals first, deduplicated, then versions and stacks."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import pytest_asyncio

from tests.immich_server import Asset, ImmichServer
from tests.service import pictures
from tests.service.running import Home, Service, connected, home, immich_running, until

pytestmark = [pytest.mark.asyncio(loop_scope="module"), pytest.mark.every_immich]


@dataclass
class Dropped:
    """A home with hot folders of two owners, into which photos were dropped at once."""

    home: Home
    #: Was in Immich before, with the bytes of a dropped photo.
    known: Asset
    #: Likewise, and lies in Immich's trash.
    trashed: Asset
    #: Made new assets out of the dropped photos.
    uploaded: int

    @property
    def immich(self) -> ImmichServer:
        return self.home.immich

    @property
    def service(self) -> Service:
        return self.home.service


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def dropped(tmp_path_factory: pytest.TempPathFactory, immich_version: str) -> AsyncIterator[Dropped]:
    folder = tmp_path_factory.mktemp("hot")
    mine, eves = folder / "mine", folder / "eve"
    mine.mkdir()
    eves.mkdir()
    folders = f"{mine}:{eves}=eve"
    async with (
        immich_running(immich_version) as immich,
        home(folder, immich, SIDECAR_ALBUMS="true", SIDECAR_HOT_FOLDERS=folders) as opened,
    ):
        # Older than the connection: not noticed, but known by its bytes.
        known = immich.add_asset(opened.user, pictures.dark(303), "known in immich.jpg", created_at=_long_ago(immich))
        trashed = immich.add_asset(opened.user, pictures.dark(304), "trashed.jpg", created_at=_long_ago(immich))
        immich.trash(trashed)
        before = opened.uploaded()
        # Albums fail at first; that must not be forgotten.
        immich.answer_next("/api/albums/", 500, {"message": "Internal server error"}, method="PUT", times=3)
        for name, content in {
            "dark.jpg": pictures.dark(301),
            "good.jpg": pictures.good(302),
            "known.jpg": pictures.dark(303),
            "trashed.jpg": pictures.dark(304),
        }.items():
            (mine / name).write_bytes(content)
        (eves / "dark.jpg").write_bytes(pictures.dark(301))
        for name in ("dark.jpg", "good.jpg", "known.jpg", "trashed.jpg"):
            await opened.service.photo(name)
        await opened.service.photo("dark.jpg", "eve")
        await opened.service.settled()
        yield Dropped(opened, known, trashed, opened.uploaded() - before)


def _long_ago(immich: ImmichServer) -> object:
    return immich.store.now().replace(year=2020)


async def test_the_original_goes_first_then_the_version_then_the_stack(dropped: Dropped) -> None:
    original = dropped.immich.asset_named("dark.jpg")
    assert original.file.read_bytes() == pictures.dark(301)
    assert dropped.home.stack(original) == ["dark.jpg", "dark_processed_v1.jpg"]
    names = [upload.file_name for upload in dropped.immich.uploads]
    assert names.index("dark.jpg") < names.index("dark_processed_v1.jpg")
    mark = dropped.home.mark(original) or {}
    assert mark["is_original"] is True
    assert dropped.home.reviews(original) == ["pending"]
    await dropped.service.approve(await dropped.service.photo("dark.jpg"))
    assert dropped.home.stack(original) == ["dark_processed_v1.jpg", "dark.jpg"]


async def test_the_original_of_a_photo_that_is_left_alone_goes_there_too(dropped: Dropped) -> None:
    assert (await dropped.service.photo("good.jpg"))["status"] == "left_alone"
    original = dropped.immich.asset_named("good.jpg")
    assert original.file.read_bytes() == pictures.good(302)
    assert dropped.home.ours(original) == []


async def test_what_immich_has_already_is_not_sent_again(dropped: Dropped) -> None:
    assert dropped.home.stack(dropped.known) == ["known in immich.jpg", "known_processed_v1.jpg"]
    assert (await dropped.service.photo("known.jpg"))["immich"]["asset_id"] == dropped.known.id
    # Two originals and two versions, and nothing of what was known, trashed or Eve's.
    assert dropped.uploaded == 4


async def test_albums_hold_originals_and_versions(dropped: Dropped) -> None:
    albums = {album.name: album.asset_ids for album in dropped.immich.store.albums.values()}
    names = {name: sorted(dropped.immich.assets[asset_id].name for asset_id in ids) for name, ids in albums.items()}
    assert names == {
        "Originals": ["dark.jpg", "good.jpg", "known in immich.jpg"],
        "Processed": ["dark_processed_v1.jpg", "known_processed_v1.jpg"],
    }
    assert len(dropped.immich.store.albums) == 2


async def test_what_lies_in_the_trash_is_reported_and_not_revived(dropped: Dropped) -> None:
    service = dropped.service
    assert dropped.trashed.deleted_at is not None
    assert dropped.home.ours(dropped.trashed) == []
    photo = await service.photo("trashed.jpg")
    assert photo["review"] == "pending"
    assert "trash" in photo["versions"][0]["blocked_reason"]
    waits = {wait["version"]: wait for wait in (await service.get("/api/queue"))["blocked"]}
    assert sorted(waits) == [0, 1]
    assert {wait["id"] for wait in waits.values()} == {photo["id"]}
    assert "trash" in waits[0]["reason"]

    dropped.trashed.deleted_at = None
    await service.retry_all()
    await service.settled()
    assert dropped.home.stack(dropped.trashed) == ["trashed.jpg", "trashed_processed_v1.jpg"]


async def test_owners_keep_apart(dropped: Dropped) -> None:
    mine, eves = await dropped.service.photo("dark.jpg"), await dropped.service.photo("dark.jpg", "eve")
    assert mine["id"] == eves["id"]
    assert (eves["immich"], eves["review"]) == (None, "pending")
    approved = await dropped.service.approve(eves)
    assert approved["versions"][0]["publish"] == "none"
    assert sum(asset.name.startswith("dark") for asset in dropped.immich.assets.values()) == 2
    assert [row["owner_id"] for row in dropped.service.rows("SELECT DISTINCT owner_id FROM uploads")] == ["local"]


async def test_what_was_uploaded_is_not_taken_for_new(dropped: Dropped) -> None:
    count = len(await dropped.service.photos())
    await rounds(dropped.home, 3)
    assert len(await dropped.service.photos()) == count == 4
    states = dropped.service.rows("SELECT file_name, state, reason, sha256 FROM assets ORDER BY file_name")
    by_name = {row["file_name"]: row for row in states}
    assert by_name["dark.jpg"]["state"] == "fetched"
    assert by_name["dark.jpg"]["sha256"] == (await dropped.service.photo("dark.jpg"))["id"]
    assert by_name["dark_processed_v1.jpg"]["reason"] == "made by the sidecar"
    version = (
        dropped.service.data / dropped.service.rows("SELECT path FROM versions WHERE owner_id = 'local'")[0]["path"]
    )
    (dropped.service.folder / "mine" / "again.jpg").write_bytes(version.read_bytes())
    reason = await until(lambda: _reason(dropped.service, "again.jpg"), "our own file is refused", dropped.service)
    assert "version 1" in reason
    assert len(await dropped.service.photos()) == count


async def test_a_photo_that_comes_while_immich_hesitates_for_the_first_time_and_whose_copy_is_not_kept(
    tmp_path: Path,
) -> None:
    async with immich_running() as immich:
        user = immich.add_user("Ida")
        variables = {
            "IMMICH_URL": immich.url,
            "IMMICH_API_KEY": immich.add_key(user),
            "SIDECAR_KEEP_ORIGINALS": "false",
        }
        service = Service(tmp_path, variables)
        service.inbox.mkdir(parents=True)
        (service.inbox / "early.jpg").write_bytes(pictures.dark(310))
        (service.inbox / "fine.jpg").write_bytes(pictures.good(311))
        gate = immich.hold("/api/server/ping", times=1)
        await service.start()
        opened = Home(immich, user, variables["IMMICH_API_KEY"], service)
        try:
            await service.photo("early.jpg")
            await service.photo("fine.jpg")
            gate.set()
            await connected(service)
            await until(lambda: len(immich.assets) == 3, "both originals and the version are in Immich", service)
            original = immich.asset_named("early.jpg")
            await until(lambda: opened.mark(original) is not None, "both are marked", service)
            assert opened.stack(original) == ["early.jpg", "early_processed_v1.jpg"]

            await service.stop()
            service.let_time_pass("UPDATE photos SET original_publish_due_at = datetime('now', '-1 minute')")
            await service.start()
            kept = service.data / "originals"
            await until(
                lambda: not [path for path in kept.rglob("*") if path.is_file()], "our copies are gone", service
            )
            assert (service.inbox / "early.jpg").read_bytes() == pictures.dark(310)
            # What is needed again is fetched again.
            await service.settled()
            photo = await service.change(await service.photo("early.jpg"), exposure={"ev": 1.0})
            await service.approve(photo)
            assert opened.stack(original)[0] == "early_processed_v2.jpg"
        finally:
            if service.runs:
                await service.stop()
        await service.verify()


async def rounds(home: Home, count: int) -> None:
    """Wait until Immich was asked so many times more."""

    def asked() -> int:
        return sum(seen.path == "/api/search/metadata" for seen in home.immich.requests)

    # Each round asks for the timeline and for the archive.
    wanted = asked() + 2 * count
    await until(lambda: asked() >= wanted, "Immich is asked again", home.service)


async def _reason(service: Service, name: str) -> str | None:
    try:
        return (await service.not_taken()).get(name)
    except sqlite3.OperationalError:
        return None
