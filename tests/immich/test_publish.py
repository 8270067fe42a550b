"""Uploading, marking and albums: what arrives, what is refused, and that repeating does no harm."""

from __future__ import annotations

import asyncio
import hashlib
import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from immich_sidecar.errors import (
    ImmichAwayError,
    ImmichCredentialsError,
    ImmichError,
    ImmichGoneError,
    ImmichPermissionError,
    ImmichQuotaError,
    ImmichRefusedError,
    ImmichServerError,
    ImmichTransferError,
    IntegrityError,
)
from immich_sidecar.immich import marks
from immich_sidecar.immich.connections import Connection
from immich_sidecar.immich.publish import LONGEST_FORM_MARK, Publisher, UploadResult, version_file_name
from tests.immich.desk import until
from tests.immich.stage import NOBODY, TAKEN, Library, connect, picture
from tests.immich_server import Asset, ImmichServer, User

MODIFIED = datetime(2024, 6, 1, 12, 0, 0, 123456, tzinfo=timezone(timedelta(hours=2)))


class Files:
    """Files to upload, with what an upload needs to know about them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def make(self, content: bytes, name: str = "file.jpg") -> dict[str, Any]:
        path = self.folder / f"{len(list(self.folder.iterdir()))}.jpg"
        path.write_bytes(content)
        sha1 = hashlib.sha1(content).hexdigest()
        return {"path": path, "file_name": name, "sha1": sha1, "captured_at": TAKEN, "modified_at": MODIFIED}


@pytest.fixture
def files(tmp_path: Path) -> Files:
    folder = tmp_path / "files"
    folder.mkdir()
    return Files(folder)


@pytest.fixture
def original(immich: ImmichServer, ada: User) -> Asset:
    return immich.add_asset(ada, picture(1), "IMG_1.jpg")


def mark_for(original_id: str) -> dict[str, Any]:
    return marks.mark_of_version(
        original_asset_id=original_id,
        recipe_id="r1",
        recipe={"operations": []},
        ai_analysis={"suggestions": []},
        version=1,
        review="pending",
        sha256="ab" * 32,
    )


async def test_a_version_arrives_marked(
    immich: ImmichServer, publisher: Publisher, files: Files, original: Asset
) -> None:
    content = picture(2)
    mark = mark_for(original.id)
    result = await publisher.upload_version(**files.make(content, 'Süd "1"_processed_v1.jpg'), mark=mark)
    assert (result.status, result.is_trashed) == ("created", False)
    asset = immich.assets[result.asset_id]
    assert asset.file.read_bytes() == content
    # From its first moment on, in the upload itself.
    assert immich.metadata_of(asset, "immich-sidecar") == mark
    assert asset.name == "Süd _1__processed_v1.jpg"
    (upload,) = immich.uploads
    assert upload.parts[-1] == "assetData"
    assert upload.checksum_header == hashlib.sha1(content).hexdigest()
    assert upload.fields["deviceAssetId"]
    assert upload.fields["deviceId"] == "immich-sidecar"
    assert datetime.fromisoformat(upload.fields["fileCreatedAt"]) == TAKEN
    assert datetime.fromisoformat(upload.fields["fileModifiedAt"]) == MODIFIED
    assert upload.fields["visibility"] == "timeline"
    assert await publisher.confirm(asset.id, hashlib.sha1(content).hexdigest())


def test_names_of_versions() -> None:
    assert version_file_name("IMG_1234.CR2", 2) == "IMG_1234_processed_v2.jpg"
    assert version_file_name("a/b\\c\n.tif", 1) == "a_b_c__processed_v1.jpg"
    assert version_file_name("no extension", 3) == "no extension_processed_v3.jpg"


async def test_beside_an_archived_original_it_goes_into_the_archive(
    immich: ImmichServer, publisher: Publisher, files: Files, original: Asset
) -> None:
    original.visibility = "archive"
    result = await publisher.upload_version(**files.make(picture(2)), mark=mark_for(original.id))
    assert immich.assets[result.asset_id].visibility == "archive"


async def test_without_its_original_nothing_is_uploaded(
    immich: ImmichServer, publisher: Publisher, files: Files, original: Asset
) -> None:
    file = files.make(picture(2))
    with pytest.raises(ImmichGoneError):
        await publisher.upload_version(**file, mark=mark_for(NOBODY))
    immich.trash(original)
    with pytest.raises(ImmichGoneError, match="trash"):
        await publisher.upload_version(**file, mark=mark_for(original.id))
    assert not immich.uploads


async def test_a_mark_too_long_for_a_form_is_cut_to_what_recognises_it(
    immich: ImmichServer, publisher: Publisher, files: Files, original: Asset
) -> None:
    mark = mark_for(original.id)
    mark["ai_analysis"] = {"suggestions": ["x" * LONGEST_FORM_MARK]}
    result = await publisher.upload_version(**files.make(picture(2)), mark=mark)
    kept = immich.metadata_of(immich.assets[result.asset_id], marks.KEY)
    assert kept is not None
    assert kept["is_processed"] is True
    assert kept["original_asset_id"] == original.id
    assert "ai_analysis" not in kept
    await publisher.mark(result.asset_id, mark)
    assert immich.metadata_of(immich.assets[result.asset_id], marks.KEY) == mark


async def test_what_is_there_already_is_not_sent(immich: ImmichServer, publisher: Publisher, files: Files) -> None:
    file = files.make(picture(2))
    first = await publisher.upload_original(**file)
    again = await publisher.upload_original(**file)
    assert again == UploadResult(first.asset_id, "duplicate")
    assert len(immich.uploads) == 1


async def test_a_duplicate_in_the_trash_is_told_and_stays_there(
    immich: ImmichServer, publisher: Publisher, files: Files
) -> None:
    file = files.make(picture(2))
    first = await publisher.upload_original(**file)
    immich.trash(immich.assets[first.asset_id])
    assert await publisher.upload_original(**file) == UploadResult(first.asset_id, "duplicate", is_trashed=True)
    assert immich.assets[first.asset_id].deleted_at is not None
    assert not await publisher.confirm(first.asset_id, file["sha1"])


async def test_somebody_faster_makes_it_a_duplicate(
    immich: ImmichServer, ada: User, publisher: Publisher, files: Files
) -> None:
    # Large: Immich answers long before the last byte is sent.
    content = picture(2, edge=2500)
    immich.answer_next("/bulk-upload-check", 200, {"results": [{"id": "1", "action": "accept"}]})
    there = immich.add_asset(ada, content, "theirs.jpg")
    immich.trash(there)
    assert await publisher.upload_original(**files.make(content)) == UploadResult(there.id, "duplicate", True)


async def test_the_same_bytes_of_two_users(
    immich: ImmichServer, library: Library, publisher: Publisher, files: Files
) -> None:
    bob = connect(immich, immich.add_key(immich.add_user("Bob")), "bob")
    await bob.refresh(library.database)
    file = files.make(picture(2))
    mine = await publisher.upload_original(**file)
    his = await library.publisher(bob).upload_original(**file)
    await bob.close()
    assert (mine.status, his.status) == ("created", "created")
    assert mine.asset_id != his.asset_id


async def test_an_upload_cut_in_the_middle_makes_no_asset_and_is_repeated(
    immich: ImmichServer, publisher: Publisher, files: Files
) -> None:
    file = files.make(picture(2, edge=1200))
    immich.cut_upload_after(200_000)
    with pytest.raises(ImmichServerError):
        await publisher.upload_original(**file)
    assert not immich.assets
    assert (await publisher.upload_original(**file)).status == "created"
    assert len(immich.assets) == 1


async def test_the_server_goes_in_the_middle_of_an_upload_and_comes_back(
    immich: ImmichServer, publisher: Publisher, files: Files
) -> None:
    file = files.make(picture(2, edge=1200))
    immich.slow_down("/api/assets$", 120, times=1)
    uploading = asyncio.create_task(publisher.upload_original(**file))
    await until(lambda: immich.delayed, "it is being sent")
    await immich.go_away()
    with pytest.raises(ImmichServerError):
        await uploading
    with pytest.raises(ImmichAwayError):
        await publisher.upload_original(**file)
    await immich.come_back()
    assert (await publisher.upload_original(**file)).status == "created"
    assert len(immich.assets) == 1


async def test_a_lost_answer_does_not_make_a_second_asset(
    immich: ImmichServer, publisher: Publisher, files: Files
) -> None:
    file = files.make(picture(2))
    immich.lose_answer_next("/api/assets$", method="POST")
    with pytest.raises(ImmichServerError):
        await publisher.upload_original(**file)
    assert (await publisher.upload_original(**file)).status == "duplicate"
    assert len(immich.assets) == 1


async def test_a_file_that_changed_on_our_disk_does_not_arrive(
    immich: ImmichServer, publisher: Publisher, files: Files
) -> None:
    file = files.make(picture(2, edge=400))
    content = bytearray(file["path"].read_bytes())
    content[-100] ^= 1
    file["path"].write_bytes(content)
    with pytest.raises(IntegrityError):
        await publisher.upload_original(**file)
    file["path"].write_bytes(content[:-10])
    with pytest.raises(IntegrityError):
        await publisher.upload_original(**file)
    file["path"].unlink()
    with pytest.raises(IntegrityError):
        await publisher.upload_original(**file)
    await asyncio.sleep(0.05)
    assert not immich.assets


async def test_a_file_that_looks_like_the_border_of_a_form(
    immich: ImmichServer, publisher: Publisher, files: Files
) -> None:
    content = (
        picture(2) + b'\r\n--+++\r\nContent-Disposition: form-data; name="visibility"\r\n\r\nlocked\r\n--+++--\r\n'
    )
    result = await publisher.upload_original(**files.make(content))
    assert immich.assets[result.asset_id].file.read_bytes() == content


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (413, "<html>413 Request Entity Too Large</html>", ImmichQuotaError),
        (400, {"message": "Quota has been exceeded!"}, ImmichQuotaError),
        (
            400,
            {"message": "Quota has been exceeded!", "error": "Bad Request", "statusCode": 400, "correlationId": "x"},
            ImmichQuotaError,
        ),
        (401, {"message": "Invalid API key"}, ImmichCredentialsError),
        (403, {"message": "Missing required permission: asset.upload"}, ImmichPermissionError),
        (400, {"message": ["deviceId should not be empty"], "error": "Bad Request"}, ImmichRefusedError),
        (
            400,
            {"message": "Validation failed", "errors": [{"path": ["fileCreatedAt"], "message": "Invalid"}]},
            ImmichRefusedError,
        ),
        (400, {"message": "Not found or no asset.upload access"}, ImmichGoneError),
        (404, {"message": "Not Found"}, ImmichGoneError),
        (404, {"message": "Cannot POST /api/assets"}, ImmichAwayError),
        (404, "404 page not found", ImmichAwayError),
        (429, {"message": "slow down"}, ImmichAwayError),
        (500, {"message": "Internal server error"}, ImmichServerError),
        (408, None, ImmichTransferError),
        (502, "<html>Bad Gateway</html>", ImmichTransferError),
        (503, None, ImmichTransferError),
        (504, "<html>Gateway Time-out</html>", ImmichTransferError),
        (521, "<html>Web server is down</html>", ImmichAwayError),
        (418, {"message": "I'm a teapot"}, ImmichRefusedError),
        (200, "<html>Please log in</html>", ImmichRefusedError),
        (200, {"surprise": 1}, ImmichServerError),
        (201, [1, 2], ImmichRefusedError),
    ],
)
async def test_what_refusals_mean(
    immich: ImmichServer, publisher: Publisher, files: Files, *, status: int, body: Any, error: type[ImmichError]
) -> None:
    immich.answer_next("/api/assets$", status, body, method="POST")
    with pytest.raises(ImmichError) as caught:
        await publisher.upload_original(**files.make(picture(2), "IMG_1.jpg"))
    assert type(caught.value) is error
    assert "IMG_1.jpg" in str(caught.value)
    # What Immich said, where it said something, and in which field.
    if isinstance(body, dict) and "errors" in body:
        assert "fileCreatedAt: Invalid" in str(caught.value)


async def test_a_real_quota(immich: ImmichServer, ada: User, publisher: Publisher, files: Files) -> None:
    immich.quota(ada, 1000)
    with pytest.raises(ImmichQuotaError, match="quota"):
        await publisher.upload_original(**files.make(picture(2)))


async def test_a_revoked_key_and_a_missing_permission(
    immich: ImmichServer, key: str, publisher: Publisher, files: Files
) -> None:
    file = files.make(picture(2))
    immich.set_permissions(key, ["asset.read"])
    with pytest.raises(ImmichPermissionError, match=r"asset\.upload"):
        await publisher.upload_original(**file)
    immich.revoke_key(key)
    with pytest.raises(ImmichCredentialsError):
        await publisher.upload_original(**file)


async def test_a_mark_is_written_whole(immich: ImmichServer, publisher: Publisher, original: Asset) -> None:
    original.metadata["mobile-app"] = ({"keep": "me"}, datetime.now(UTC))
    await publisher.mark(original.id, {"is_original": True, "old": 1})
    mark = marks.mark_of_original(recipe_id="r2", version=2, review="approved", sha256="cd" * 32)
    await publisher.mark(original.id, mark)
    assert immich.metadata_of(original, marks.KEY) == mark
    assert immich.metadata_of(original, "mobile-app") == {"keep": "me"}
    with pytest.raises(ImmichGoneError):
        await publisher.mark(NOBODY, mark)


def test_marks_carry_the_fields_that_were_asked_for() -> None:
    ours = mark_for("o")
    assert {"is_processed", "original_asset_id", "processing_recipe_id", "processing_recipe", "ai_analysis"} <= set(
        ours
    )
    theirs = marks.mark_of_original(recipe_id=None, version=0, review="none", sha256="ab" * 32)
    assert {"is_original", "processing_recipe_id"} <= set(theirs)
    assert json.loads(json.dumps(ours)) == ours


# ---- albums


@pytest.fixture
def version(immich: ImmichServer, ada: User) -> Asset:
    return immich.add_asset(ada, picture(2), "IMG_1_processed_v1.jpg")


def albums_of(immich: ImmichServer, user: User) -> dict[str, list[str]]:
    return {album.name: album.asset_ids for album in immich.store.albums.values() if album.owner is user}


async def test_albums_are_made_once_and_filled(
    immich: ImmichServer, ada: User, library: Library, connection: Connection, original: Asset, *, version: Asset
) -> None:
    for _ in range(2):
        # A service that starts anew knows them too.
        publisher = library.publisher(connection)
        await asyncio.gather(*(publisher.add_to_albums(original.id, version.id) for _ in range(3)))
    assert albums_of(immich, ada) == {"Originals": [original.id], "Processed": [version.id]}
    assert len(immich.store.albums) == 2


async def test_an_album_of_that_name_is_used_but_not_another_users(
    immich: ImmichServer, ada: User, library: Library, publisher: Publisher, original: Asset
) -> None:
    bob = connect(immich, immich.add_key(immich.add_user("Bob")), "bob")
    await bob.refresh(library.database)
    await bob.api.make_album("Originals")
    his = list(immich.store.albums.values())
    mine = await publisher._api.make_album("Originals")
    for album in his:
        # Shared with Ada, it is listed for her as well.
        immich.answer_next(
            "/api/albums$",
            200,
            [
                {"id": album.id, "albumName": "Originals", "ownerId": bob.user_id, "createdAt": "2020-01-01"},
                {
                    "id": mine,
                    "albumName": "Originals",
                    "createdAt": "2021-01-01",
                    "albumUsers": [{"role": "owner", "user": {"id": ada.id}}],
                },
            ],
            method="GET",
        )
    await publisher.add_to_albums(original.id)
    await bob.close()
    assert immich.store.albums[mine].asset_ids == [original.id]
    assert all(not album.asset_ids for album in his)


async def test_a_renamed_album_stays_ours_and_a_deleted_one_is_made_anew(
    immich: ImmichServer, ada: User, publisher: Publisher, original: Asset, version: Asset
) -> None:
    await publisher.add_to_albums(original.id)
    (album,) = immich.store.albums.values()
    album.name = "Negatives"
    await publisher.add_to_albums(version.id)
    assert albums_of(immich, ada) == {"Negatives": [original.id, version.id]}
    immich.store.albums.clear()
    await publisher.add_to_albums(original.id)
    assert albums_of(immich, ada) == {"Originals": [original.id]}


async def test_an_asset_that_is_gone_goes_into_no_album(immich: ImmichServer, publisher: Publisher) -> None:
    with pytest.raises(ImmichGoneError):
        await publisher.add_to_albums(NOBODY)
