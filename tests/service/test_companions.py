"""RAW files, their JPEGs and XMP files, from hot folders and in Immich; and what becomes of the files afterwards."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from tests.immich_server import Asset, ImmichServer
from tests.photos import shots
from tests.service.running import Home, home, immich_running, until

pytestmark = pytest.mark.timeout(400)


def _raw(seed: int) -> bytes:
    return shots.raw(seed, size=(240, 160))


def _jpeg(seed: int, **more: Any) -> bytes:
    return shots.jpeg(seed, size=(240, 160), **more)


def _companions(opened: Home) -> dict[str, dict[str, Any]]:
    return {row["file_name"]: row for row in opened.service.rows("SELECT * FROM companions ORDER BY id")}


def _names(immich: ImmichServer) -> list[str]:
    return sorted(asset.name for asset in immich.assets.values())


async def _companion(opened: Home, name: str, publish: str = "stacked") -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        row = _companions(opened).get(name)
        return row if row is not None and row["publish"] == publish else None

    return dict(await until(look, f"{name} is {publish}", opened.service))


async def test_from_a_hot_folder_both_are_uploaded_and_stacked_with_our_version(tmp_path: Path) -> None:
    async with immich_running() as immich, home(tmp_path, immich, SIDECAR_ALBUMS="true") as opened:
        service = opened.service
        (service.inbox / "IMG_1.DNG").write_bytes(_raw(1))
        (service.inbox / "IMG_1.JPG").write_bytes(_jpeg(1))
        (service.inbox / "IMG_1.DNG.xmp").write_bytes(shots.xmp(3))
        (service.inbox / "IMG_1.xmp").write_bytes(shots.xmp(5))
        photo = await service.photo("IMG_1.DNG")
        await _companion(opened, "IMG_1.JPG")
        await service.settled()
        original = immich.asset_named("IMG_1.DNG")
        assert opened.stack(original) == ["IMG_1.DNG", "IMG_1.JPG", "IMG_1_processed_v1.jpg"]
        assert immich.asset_named("IMG_1.JPG").file.read_bytes() == _jpeg(1)
        # The XMP file of the whole name went with the original.
        assert original.exif.get("rating") == 3
        sidecars = _companions(opened)
        assert (sidecars["IMG_1.DNG.xmp"]["publish"], sidecars["IMG_1.DNG.xmp"]["last_error"]) == ("uploaded", None)
        assert "another XMP file" in sidecars["IMG_1.xmp"]["last_error"]
        # The JPEG, noticed in Immich, is not taken for a photo.
        await until(
            lambda: service.rows("SELECT 1 FROM assets WHERE file_name = 'IMG_1.JPG'"), "it is noticed", service
        )
        assert (await service.not_taken())["IMG_1.JPG"] == "JPEG of IMG_1.DNG"
        assert len(await service.photos()) == 1
        approved = await service.approve(photo)
        assert opened.stack(original) == ["IMG_1_processed_v1.jpg", "IMG_1.DNG", "IMG_1.JPG"]
        shown = {item["file_name"]: item for item in approved["companions"]}
        assert shown["IMG_1.JPG"]["immich_asset_id"] == immich.asset_named("IMG_1.JPG").id
        # Later: kept, and said that Immich takes it no more.
        (service.inbox / "IMG_1.DNG.xmp").write_bytes(shots.xmp(1) + b" ")
        await until(
            lambda: service.rows("SELECT 1 FROM companions WHERE last_error LIKE 'Immich takes an XMP%'"),
            "the changed XMP file is kept",
            service,
        )
        assert original.exif.get("rating") == 3


async def test_a_jpeg_that_lies_in_immichs_trash_waits_and_keeps_nothing_back(tmp_path: Path) -> None:
    async with immich_running() as immich, home(tmp_path, immich) as opened:
        service = opened.service
        trashed = immich.add_asset(opened.user, _jpeg(2), "old.jpg", created_at=immich.store.now().replace(year=2020))
        trashed.deleted_at = immich.store.now()
        (service.inbox / "a.DNG").write_bytes(_raw(2))
        (service.inbox / "a.jpg").write_bytes(_jpeg(2))
        row = await _companion(opened, "a.jpg", "blocked")
        assert "trash" in row["last_error"]
        photo = await service.photo("a.DNG")
        await service.settled()
        assert opened.stack(immich.asset_named("a.DNG")) == ["a.DNG", "a_processed_v1.jpg"]
        trashed.deleted_at = None
        await service.retry_all()
        await _companion(opened, "a.jpg")
        assert opened.stack(immich.asset_named("a.DNG")) == ["a.DNG", "a_processed_v1.jpg", "old.jpg"]
        assert (await service.approve(photo))["review"] == "approved"


@pytest.mark.parametrize("first", ["raw", "jpeg"])
async def test_in_immich_the_jpeg_of_a_raw_file_is_left_as_it_is(tmp_path: Path, first: str) -> None:
    async with immich_running(extraction_delay=0.4) as immich, home(tmp_path, immich) as opened:
        service = opened.service
        files = {"IMG_7.DNG": _raw(7), "IMG_7.JPG": _jpeg(7, ev=-2.5)}
        for name in sorted(files, reverse=first == "jpeg"):
            opened.add(files[name], name)
            if first == "jpeg":
                await service.photo(name)
        other = opened.add(_jpeg(8, ev=-2.5, taken="2024:06:01 12:30:59"), "IMG_8.JPG")
        opened.add(_raw(8), "IMG_8.DNG")
        for name in ("IMG_7.DNG", "IMG_8.DNG", "IMG_8.JPG"):
            await service.photo(name)
        await _companion(opened, "IMG_7.JPG", "marked")
        await service.settled()
        raw, jpeg = immich.asset_named("IMG_7.DNG"), immich.asset_named("IMG_7.JPG")
        assert opened.stack(raw) == ["IMG_7.DNG", "IMG_7_processed_v1.jpg"]
        assert _live(opened, jpeg) in ([], ["IMG_7.JPG"])
        # Another second: a photo of its own.
        assert opened.stack(other) == ["IMG_8.JPG", "IMG_8_processed_v1.jpg"]
        if first == "raw":
            assert (await service.not_taken())["IMG_7.JPG"] == "JPEG of IMG_7.DNG"
        else:
            photo = await service.photo("IMG_7.JPG")
            # By how far a version of it had come when the RAW file was known.
            assert photo["status"] in ("left_alone", "rejected")
            assert photo["left_alone_reason"] == "JPEG of IMG_7.DNG"
        assert [item["file_name"] for item in (await service.photo("IMG_7.DNG"))["companions"]] == ["IMG_7.JPG"]


@pytest.mark.parametrize("when", ["is being sent", "is there"])
async def test_a_version_of_the_jpeg_is_taken_back_when_its_raw_file_comes(tmp_path: Path, when: str) -> None:
    async with immich_running() as immich, home(tmp_path, immich) as opened:
        service = opened.service
        if when == "is being sent":
            gate = immich.hold(r"^/api/assets$", times=1)
        jpeg = opened.add(_jpeg(7, ev=-2.5), "IMG_7.JPG")
        await service.photo("IMG_7.JPG")
        if when == "is being sent":
            await until(lambda: service.rows("SELECT 1 FROM versions WHERE written LIKE '%sent%'"), "sent", service)
        else:
            await service.settled()
            assert opened.stack(jpeg) == ["IMG_7.JPG", "IMG_7_processed_v1.jpg"]
        raw = opened.add(_raw(7), "IMG_7.DNG")
        await _companion(opened, "IMG_7.JPG", "marked")
        if when == "is being sent":
            assert opened.ours(jpeg) == [], "it was still on its way"
            gate.set()
        await service.photo("IMG_7.DNG")
        await service.settled()
        (version,) = opened.ours(jpeg)
        assert version.deleted_at is not None
        assert _live(opened, jpeg) in ([], ["IMG_7.JPG"])
        assert _live(opened, raw) == ["IMG_7.DNG", "IMG_7_processed_v1.jpg"]
        photo = await service.photo("IMG_7.JPG")
        assert (photo["status"], photo["left_alone_reason"]) == ("rejected", "JPEG of IMG_7.DNG")
        assert (jpeg.deleted_at, raw.deleted_at) == (None, None)


def _live(opened: Home, asset: Asset) -> list[str]:
    """Names in the asset's stack, without what lies in the trash."""
    return sorted(member.name for member in opened.immich.stack_of(asset) if member.deleted_at is None)


async def test_our_version_joins_a_stack_that_the_user_made(tmp_path: Path) -> None:
    async with immich_running() as immich, home(tmp_path, immich, SIDECAR_MODE="review") as opened:
        service = opened.service
        raw, jpeg = opened.add(_raw(7), "a.DNG"), opened.add(_jpeg(7), "a.JPG")
        immich.add_stack(jpeg, raw)
        photo = await service.photo("a.DNG")
        await _companion(opened, "a.JPG", "marked")
        await service.settled()
        await service.approve(photo)
        assert opened.stack(raw) == ["a.JPG", "a.DNG", "a_processed_v1.jpg"]


async def test_without_pairs_both_are_photos(tmp_path: Path) -> None:
    async with immich_running() as immich, home(tmp_path, immich, SIDECAR_PAIRS="false") as opened:
        opened.add(_raw(7), "a.DNG")
        opened.add(_jpeg(7, ev=-2.5), "a.JPG")
        for name in ("a.DNG", "a.JPG"):
            await opened.service.photo(name)
        await opened.service.settled()
        assert _companions(opened) == {}


async def test_files_leave_only_when_immich_has_confirmed_them(tmp_path: Path) -> None:
    """Deleted and our copies given up at the same time: at each moment somebody holds every file."""
    async with (
        immich_running() as immich,
        home(tmp_path, immich, SIDECAR_HOT_FOLDER_AFTER="delete", SIDECAR_KEEP_ORIGINALS="false") as opened,
    ):
        service = opened.service
        files = {"a.DNG": _raw(3), "a.jpg": _jpeg(3), "b.jpg": _jpeg(4, ev=-2.5), "t.jpg": _jpeg(5)}
        trashed = immich.add_asset(
            opened.user, files["t.jpg"], "t.jpg", created_at=immich.store.now().replace(year=2020)
        )
        trashed.deleted_at = immich.store.now()
        for name, content in files.items():
            (service.inbox / name).write_bytes(content)
        (service.inbox / "a.xmp").write_bytes(shots.xmp())
        (service.inbox / "rubbish.jpg").write_bytes(b"rubbish" * 99)
        _everything_is_somewhere(opened, files)
        for _ in range(2):
            await service.photo("b.jpg")
            await until(lambda: _everything_is_somewhere(opened, files), "all is somewhere", service)
            await service.kill()
            _everything_is_somewhere(opened, files)
            await service.start()

        def only(*names: str) -> bool:
            _everything_is_somewhere(opened, files)
            return _seen(service.inbox) == set(names)

        await until(lambda: only("rubbish.jpg", "t.jpg"), "what is confirmed has left", service)
        assert hashlib.sha256(immich.asset_named("a.jpg").file.read_bytes()).digest()
        (row,) = await until(
            lambda: service.rows("SELECT after, after_reason FROM files WHERE path LIKE '%t.jpg'"),
            "t.jpg is noticed",
            service,
        )
        assert row["after"] == "leaves"
        assert _names(immich).count("a.DNG") == 1


async def test_files_are_moved_with_what_belongs_to_them(tmp_path: Path) -> None:
    async with immich_running() as immich, home(tmp_path, immich, SIDECAR_HOT_FOLDER_AFTER="move") as opened:
        service = opened.service
        folder = service.inbox / "2024" / "May"
        taken = service.inbox / "Processed" / "2024" / "May"
        folder.mkdir(parents=True)
        files = {"a.DNG": _raw(3), "a.jpg": _jpeg(3), "a.DNG.xmp": shots.xmp()}
        for name, content in files.items():
            (folder / name).write_bytes(content)
        await until(lambda: _seen(folder) == set(), "all has left", service)
        assert {path.name: path.read_bytes() for path in taken.iterdir()} == files
        # Not taken again, also after a start; the same name with other bytes gets a number, and stays together.
        others = {"a.DNG": _raw(5), "a.jpg": _jpeg(5), "a.DNG.xmp": shots.xmp(1)}
        for name, content in others.items():
            (folder / name).write_bytes(content)
        await until(lambda: _seen(folder) == set(), "all has left", service)
        found = {path.name: path.read_bytes() for path in taken.iterdir()}
        numbered = {name.replace("a.", "a (2)."): content for name, content in others.items()}
        assert found == files | numbered
        assert len(await service.photos()) == 2
        await service.stop()
        await service.start()
        assert len(await service.photos()) == 2
        assert len(service.rows("SELECT 1 FROM files")) == 6


def _seen(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.startswith(".")}


def _everything_is_somewhere(opened: Home, files: dict[str, bytes]) -> bool:
    """Each file lies in the hot folder (under its name or a hidden one), in our folders, or in Immich."""
    wanted = {content: name for name, content in files.items()}
    # In the order in which a file moves on, so that none passes unseen.
    places: list[Path] = []
    for folder in (opened.service.inbox, opened.service.data / "originals"):
        places += [path for path in folder.rglob("*") if path.is_file()]
    for path in places:
        try:
            wanted.pop(path.read_bytes(), None)
        except FileNotFoundError:
            continue
    for asset in opened.immich.assets.values():
        if asset.deleted_at is None and asset.file.is_file():
            wanted.pop(asset.file.read_bytes(), None)
    assert not wanted, f"lost: {sorted(wanted.values())}"
    return True
