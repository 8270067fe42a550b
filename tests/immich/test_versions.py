"""Versions beside those that everything is tested with: too old, too new, and one that says more than we know."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image

from immich_sidecar.immich.publish import WantPrimary
from tests.immich.stage import connect, open_library, picture
from tests.immich_server import ImmichServer

DATES = {"fileCreatedAt": "2026-01-02T03:04:05Z", "fileModifiedAt": "2026-01-02T03:04:05Z"}
DEVICE = {"deviceAssetId": "photo-1", "deviceId": "phone"}


@pytest.mark.parametrize("version", ["2.4.0", "2.4.9", "4.0.0"])
async def test_what_is_not_supported_is_read_and_never_written_to(version: str, tmp_path: Path) -> None:
    async with ImmichServer(version=version) as server, open_library(tmp_path) as library:
        user = server.add_user("Ada")
        connection = connect(server, server.add_key(user))
        check = await connection.refresh(library.database, library.events)
        server.add_asset(user, picture(), "new.jpg")
        assert not check.ok
        assert not connection.may_publish
        assert version in (check.message or "")
        await library.taker(connection).tick(patience=5)
        await connection.close()
        assert [row.file_name for row in await library.assets()] == ["new.jpg"]
        reading = {"/api/search/metadata", "/api/search/statistics"}
        assert not [seen for seen in server.requests if seen.method != "GET" and seen.path not in reading]


async def test_what_3_2_says_more_is_passed_over(tmp_path: Path) -> None:
    """Unknown fields in every object, unknown permissions and roles: noticed, fetched, uploaded, stacked, marked."""
    async with ImmichServer(version="3.2.0", extraction_delay=0, thumbnail_delay=0) as server:
        async with open_library(tmp_path / "data") as library:
            user = server.add_user("Ada")
            connection = connect(server, server.add_key(user), albums=True)
            assert (await connection.refresh(library.database, library.events)).ok
            original = server.add_asset(user, picture(), "new.jpg")
            await library.taker(connection).tick(patience=5)
            (photo,) = await library.photos()
            assert photo.immich_asset_id == original.id

            publisher = library.publisher(connection)
            content = picture(2)
            version = tmp_path / "version.jpg"
            version.write_bytes(content)
            mark = {"is_processed": True, "original_asset_id": original.id, "version": 1}
            now = datetime.now(UTC)
            uploaded = await publisher.upload_version(
                version,
                file_name="new_processed_v1.jpg",
                sha1=_sha1(content),
                captured_at=now,
                modified_at=now,
                mark=mark,
            )
            stacked = await publisher.stack(
                original.id,
                uploaded.asset_id,
                want_primary=WantPrimary.OURS,
                primary_before=None,
                our_ids=frozenset(),
                stacked_before=False,
            )
            await publisher.mark(original.id, {"is_original": True})
            await publisher.add_to_albums(original.id, uploaded.asset_id)
            await connection.close()
        assert stacked.primary_now == uploaded.asset_id
        assert [asset.id for asset in server.stack_of(original)] == [uploaded.asset_id, original.id]
        assert sorted(album.name for album in server.store.albums.values()) == ["Originals", "Processed"]


def _sha1(content: bytes) -> str:
    import hashlib

    return hashlib.sha1(content, usedforsecurity=False).hexdigest()


# ---- what the recordings of answers do not show


async def _upload(client: httpx.AsyncClient, content: bytes, name: str, **fields: str) -> httpx.Response:
    return await client.post("/assets", data={**DATES, **fields}, files={"assetData": (name, content, "image/jpeg")})


async def _told(version: str) -> dict[str, Any]:
    """The first arguments of each event of an upload and of a change of an album."""
    async with ImmichServer(version=version, extraction_delay=0, thumbnail_delay=0) as server:
        user = server.add_user("Ada")
        headers = {"x-api-key": server.add_key(user)}
        async with httpx.AsyncClient(base_url=f"{server.url}/api", headers=headers, timeout=90) as client:
            assert (await _upload(client, picture(3), "a.jpg", **DEVICE)).status_code == 201
        await server.settled()
        return {told.event: told.args for told in reversed(server.store.told)}


@pytest.mark.parametrize("version", ["2.5.6", "2.7.5"])
async def test_events_of_immich_2_are_those_of_its_recording(version: str, test_data: Path) -> None:
    recorded = json.loads((test_data / "immich" / "recordings-2.7.5" / "events.json").read_bytes())["samples"]
    told = await _told(version)
    assert "AssetUploadReadyV2" not in told
    for event in ("on_upload_success", "AssetUploadReadyV1"):
        (ours,), (theirs,) = told[event], recorded[event]["args"]
        assert ours.keys() == theirs.keys()
        for part in ours.keys() & {"asset", "exif"}:
            assert ours[part].keys() == theirs[part].keys()
    (asset,) = told["on_upload_success"]
    assert (asset["deviceAssetId"], asset["deviceId"]) == ("photo-1", "phone")


async def test_events_of_immich_3_have_their_names() -> None:
    told = await _told("3.1.0")
    assert "AssetUploadReadyV1" not in told
    assert "createdAt" in told["AssetUploadReadyV2"][0]["asset"]


async def test_a_video_has_a_duration_in_words_in_immich_2_and_in_milliseconds_in_immich_3() -> None:
    for version, duration in (("2.7.5", "00:00:02.500"), ("3.1.0", 2500)):
        async with ImmichServer(version=version) as server:
            user = server.add_user("Ada")
            video = server.add_asset(user, b"a film", "film.mp4", duration=2500)
            headers = {"x-api-key": server.add_key(user)}
            async with httpx.AsyncClient(base_url=f"{server.url}/api", headers=headers, timeout=90) as client:
                assert (await client.get(f"/assets/{video.id}")).json()["duration"] == duration


async def test_replacing_a_file_keeps_the_id_and_trashes_a_copy_of_what_was() -> None:
    async with ImmichServer(version="2.7.5", extraction_delay=0, thumbnail_delay=0) as server:
        user = server.add_user("Ada")
        asset = server.add_asset(user, picture(4), "a.jpg")
        before, headers = asset.checksum, {"x-api-key": server.add_key(user)}
        async with httpx.AsyncClient(base_url=f"{server.url}/api", headers=headers, timeout=90) as client:
            files = {"assetData": ("b.jpg", picture(5, edge=64), "image/jpeg")}
            answer = (await client.put(f"/assets/{asset.id}/original", data=DATES | DEVICE, files=files)).json()
            await server.settled()
            image = Image.open(io.BytesIO((await client.get(f"/assets/{asset.id}/original")).content))
        copy = server.assets[answer["id"]]
        assert (answer["status"], copy.checksum, copy.deleted_at is not None) == ("replaced", before, True)
        assert (asset.name, asset.width, image.size, asset.deleted_at) == ("b.jpg", 64, (64, 64), None)


async def test_what_only_one_of_the_two_knows(tmp_path: Path) -> None:
    """Routes of the other are unknown ones; no version has PATCH in Immich 2."""
    for version, there, not_there in (
        ("2.7.5", "/plugins/triggers", "/tags"),
        ("3.1.0", "/workflows/triggers", "/assets/device/phone"),
    ):
        async with ImmichServer(version=version) as server:
            headers = {"x-api-key": server.add_key(server.add_user("Ada"))}
            async with httpx.AsyncClient(base_url=f"{server.url}/api", headers=headers, timeout=90) as client:
                assert (await client.get(there)).status_code == 200
                assert (await client.patch(not_there)).status_code == 404


async def test_a_rating_cannot_be_taken_away_in_2_5(tmp_path: Path) -> None:
    for version, status in (("2.5.6", 400), ("2.7.5", 200), ("3.1.0", 200)):
        async with ImmichServer(version=version) as server:
            user = server.add_user("Ada")
            asset = server.add_asset(user, picture(6))
            headers = {"x-api-key": server.add_key(user)}
            async with httpx.AsyncClient(base_url=f"{server.url}/api", headers=headers, timeout=90) as client:
                assert (await client.put(f"/assets/{asset.id}", json={"rating": 3})).status_code == 200
                assert (await client.put(f"/assets/{asset.id}", json={"rating": None})).status_code == status


async def test_a_poll_finds_the_archive_in_every_version(tmp_path: Path) -> None:
    """Immich 2 shows the timeline only unless it is asked for more."""
    for version in ("2.5.6", "2.7.5", "3.1.0"):
        async with ImmichServer(version=version) as server, open_library(tmp_path / version) as library:
            user = server.add_user("Ada")
            connection = connect(server, server.add_key(user))
            await connection.refresh(library.database, library.events)
            moment = datetime.now(UTC) + timedelta(seconds=1)
            server.add_asset(user, picture(7), "shown.jpg", created_at=moment)
            server.add_asset(user, picture(8), "archived.jpg", created_at=moment, visibility="archive")
            await library.taker(connection).poll()
            await connection.close()
            assert sorted(row.file_name for row in await library.assets()) == ["archived.jpg", "shown.jpg"]
