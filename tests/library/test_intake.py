"""From a file to a photo, in every way that can go well or wrong."""

import asyncio
import hashlib
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlmodel import select

from immich_sidecar.errors import (
    DiskFullError,
    IntegrityError,
    NotAPhotoError,
    StorageError,
    UndecodableError,
    UnsupportedError,
)
from immich_sidecar.events import EventType
from immich_sidecar.library import files as library_files
from immich_sidecar.library import intake as intake_module
from immich_sidecar.library.intake import FileKey, Intake
from immich_sidecar.library.originals import EvictedError, locate, put_back, remove_copy
from immich_sidecar.library.space import Space
from immich_sidecar.library.tables import (
    AssetRow,
    ConnectionRow,
    EventRow,
    FileRow,
    IntakeState,
    PhotoRow,
    Publish,
    Source,
    VersionRow,
    WorkState,
)
from tests.library.parts import Library, jpeg_bytes, photo_row, write_photo

TAKEN = datetime(2021, 12, 31, 23, 59, tzinfo=UTC)


async def _connect(library: Library, owner: str = "local") -> int:
    async with library.database.transaction() as session:
        row = ConnectionRow(owner_id=owner, url="http://immich")
        session.add(row)
        await session.flush()
        assert row.id is not None
        return row.id


async def _rows(library: Library, table: type) -> list:
    async with library.database.reading() as session:
        return list((await session.exec(select(table))).all())


async def test_a_photo_is_copied_and_entered(library: Library, tmp_path: Path) -> None:
    path = write_photo(tmp_path / "Bild 1.JPG", taken=TAKEN)
    woken: list[bool] = []
    library.intake.wake = lambda: woken.append(True)
    before = path.stat()
    taken = await library.take("local", path)
    after = path.stat()
    content = path.read_bytes()
    assert taken.new
    assert taken.sha256 == hashlib.sha256(content).hexdigest()
    photo = await library.photo("local", taken.sha256)
    assert photo is not None
    assert photo.path == f"originals/2021/12/{taken.sha256}_Bild 1.JPG"
    assert locate(library.layout, photo).read_bytes() == content
    assert (photo.sha1, photo.size) == (hashlib.sha1(content).hexdigest(), len(content))
    assert (photo.width, photo.height, photo.media_type, photo.is_raw) == (48, 32, "image/jpeg", False)
    assert (photo.captured_at, photo.state, photo.file_name) == (TAKEN, WorkState.STORED, "Bild 1.JPG")
    assert (photo.connection_id, photo.immich_asset_id, photo.original_publish) == (None, None, Publish.NONE)
    assert library.files() == [photo.path]
    assert woken == [True]
    # All but when it was read last.
    assert (after.st_ino, after.st_mode, after.st_mtime_ns) == (before.st_ino, before.st_mode, before.st_mtime_ns)
    events = await _rows(library, EventRow)
    assert [(event.type, event.sha256) for event in events] == [(EventType.PHOTO_ADDED, taken.sha256)]
    assert events[0].data["status"] == "analysing"


async def test_the_same_bytes_again_change_nothing(library: Library, tmp_path: Path) -> None:
    first = await library.take("local", write_photo(tmp_path / "a.jpg"))
    again = await library.take("local", write_photo(tmp_path / "other name.jpg"))
    assert (again.new, again.sha256) == (False, first.sha256)
    assert len(library.files()) == 1
    assert len(await _rows(library, PhotoRow)) == 1
    assert len(await _rows(library, EventRow)) == 1


async def test_the_same_bytes_at_the_same_moment_are_one_photo(library: Library, tmp_path: Path) -> None:
    paths = [write_photo(tmp_path / f"{n}.jpg") for n in range(8)]
    taken = await asyncio.gather(*(library.take("local", path) for path in paths))
    assert sorted(one.new for one in taken) == [False] * 7 + [True]
    assert len(library.files()) == 1


async def test_two_owners_with_the_same_photo(library: Library, tmp_path: Path) -> None:
    path = write_photo(tmp_path / "a.jpg", taken=TAKEN)
    ours, annas = await asyncio.gather(library.take("local", path), library.take("anna", path))
    assert ours.new
    assert annas.new
    assert library.files() == [
        f"originals/2021/12/{ours.sha256}_a.jpg",
        f"owners/anna/originals/2021/12/{ours.sha256}_a.jpg",
    ]
    owned = await library.photo("local", ours.sha256)
    assert owned is not None
    locate(library.layout, owned).unlink()
    other = await library.photo("anna", ours.sha256)
    assert other is not None
    assert locate(library.layout, other).read_bytes() == path.read_bytes()


async def test_a_file_without_a_capture_time_takes_its_own(library: Library, tmp_path: Path) -> None:
    path = write_photo(tmp_path / "a.jpg")
    os.utime(path, (TAKEN.timestamp(), TAKEN.timestamp()))
    photo = await library.photo("local", (await library.take("local", path)).sha256)
    assert photo is not None
    assert photo.captured_at == TAKEN
    os.utime(write_photo(tmp_path / "b.jpg", 2), (0, -(2**40)))
    assert (await library.take("local", tmp_path / "b.jpg")).new


async def test_hot_folder_rows_say_what_became_of_a_file(library: Library, tmp_path: Path) -> None:
    write_photo(tmp_path / "photo.jpg")
    (tmp_path / "rubbish.jpg").write_text("this is no photo")
    (tmp_path / "notes.txt").write_text("hello")
    (tmp_path / "picture.gif").write_bytes(b"GIF89a" + bytes(100))
    (tmp_path / "cut.jpg").write_bytes(jpeg_bytes(5)[:30])
    for name in ("photo.jpg", "rubbish.jpg", "notes.txt", "picture.gif", "cut.jpg"):
        path = tmp_path / name
        key = FileKey(str(path), path.stat().st_size, path.stat().st_mtime_ns)
        with suppress(UndecodableError, NotAPhotoError, UnsupportedError):
            await library.intake.take("local", path, file_name=name, source=Source.HOT_FOLDER, file_row=key)
    rows = {Path(row.path).name: row for row in await _rows(library, FileRow)}
    assert {name: row.state for name, row in rows.items()} == {
        "photo.jpg": IntakeState.FETCHED,
        "rubbish.jpg": IntakeState.FAILED,
        "notes.txt": IntakeState.SKIPPED,
        "picture.gif": IntakeState.SKIPPED,
        "cut.jpg": IntakeState.FAILED,
    }
    assert rows["photo.jpg"].sha256
    for name, row in rows.items():
        # In the words of whoever gave the file its name, not of our temporary ones.
        assert name == "photo.jpg" or (name in row.reason and ".part" not in row.reason), row.reason
    assert len(library.files()) == 1


async def test_what_is_no_photo_is_not_even_copied(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(intake_module, "copy_hashed", lambda *_a, **_k: pytest.fail("copied"))
    (tmp_path / "film.mov").write_bytes(b"\0\0\0\x14ftypqt  " + bytes(1000))
    with pytest.raises((NotAPhotoError, UnsupportedError)):
        await library.take("local", tmp_path / "film.mov")


async def test_moving_consumes_the_temporary_file_in_every_case(library: Library) -> None:
    for content, accepted in ((jpeg_bytes(), True), (jpeg_bytes(), False), (b"nothing", False)):
        temporary = library.layout.absolute(library.layout.temporary("local"))
        temporary.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(content)
        try:
            taken = await library.intake.take("local", temporary, file_name="a.jpg", source=Source.UPLOAD, move=True)
            assert taken.new == accepted
        except UndecodableError:
            assert content == b"nothing"
        assert not temporary.exists()
    assert len(library.files()) == 1


async def test_hostile_names_are_tamed(library: Library, tmp_path: Path) -> None:
    path = write_photo(tmp_path / "a.jpg")
    name = "../../../etc/<b>pass\nwd\udce9" + "x" * 300 + ".jpg"
    taken = await library.intake.take("local", path, file_name=name, source=Source.UPLOAD)
    photo = await library.photo("local", taken.sha256)
    assert photo is not None
    assert photo.path is not None
    assert photo.path.startswith("originals/")
    assert ".." not in Path(photo.path).parts
    assert "/" not in photo.file_name
    assert "\n" not in photo.file_name
    assert locate(library.layout, photo).is_file()


async def test_an_asset_of_immich_goes_to_the_cache(library: Library) -> None:
    connection = await _connect(library)
    temporary = library.layout.absolute(library.layout.temporary("local", "x.jpg"))
    temporary.parent.mkdir(parents=True, exist_ok=True)
    temporary.write_bytes(jpeg_bytes())
    taken = await library.intake.take(
        "local",
        temporary,
        file_name="IMG.jpg",
        source=Source.IMMICH,
        captured_at=TAKEN,
        connection_id=connection,
        immich_asset_id="asset-1",
        move=True,
        expected_sha1=hashlib.sha1(jpeg_bytes()).hexdigest().upper(),
    )
    photo = await library.photo("local", taken.sha256)
    assert photo is not None
    assert photo.path == f"cache/originals/{taken.sha256[:2]}/{taken.sha256}_IMG.jpg"
    assert (photo.connection_id, photo.immich_asset_id) == (connection, "asset-1")
    assert photo.original_publish is Publish.ORIGINAL_UPLOADED
    (asset,) = await _rows(library, AssetRow)
    assert (asset.state, asset.sha256, asset.asset_id) == (IntakeState.FETCHED, taken.sha256, "asset-1")
    # Evicted, and fetched again.
    locate(library.layout, photo).unlink()
    with pytest.raises(EvictedError):
        locate(library.layout, photo)
    fetched = library.layout.absolute(library.layout.temporary("local"))
    fetched.write_bytes(jpeg_bytes(9))
    with pytest.raises(IntegrityError, match="another file"):
        await put_back(library.database, library.layout, "local", taken.sha256, fetched)
    fetched.write_bytes(jpeg_bytes())
    await put_back(library.database, library.layout, "local", taken.sha256, fetched)
    assert locate(library.layout, photo).read_bytes() == jpeg_bytes()


async def test_a_download_that_was_damaged_is_refused(library: Library, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match="damaged"):
        await library.take("local", write_photo(tmp_path / "a.jpg"), expected_sha1="0" * 40)
    assert library.files() == []
    assert await _rows(library, PhotoRow) == []


async def test_a_photo_that_is_here_learns_its_asset(library: Library, tmp_path: Path) -> None:
    path = write_photo(tmp_path / "a.jpg", taken=TAKEN)
    sha256 = (await library.take("local", path)).sha256
    connection = await _connect(library)
    again = await library.intake.take(
        "local", path, file_name="a.jpg", source=Source.IMMICH, connection_id=connection, immich_asset_id="asset-1"
    )
    photo = await library.photo("local", sha256)
    assert photo is not None
    assert not again.new
    assert (photo.immich_asset_id, photo.connection_id) == ("asset-1", connection)
    assert photo.path == f"originals/2021/12/{sha256}_a.jpg"  # stays where it is
    assert photo.original_publish is Publish.ORIGINAL_UPLOADED
    # A second asset with the same bytes does not replace the first.
    await library.intake.take(
        "local", path, file_name="a.jpg", source=Source.IMMICH, connection_id=connection, immich_asset_id="asset-2"
    )
    photo = await library.photo("local", sha256)
    assert photo is not None
    assert photo.immich_asset_id == "asset-1"
    assert {row.asset_id for row in await _rows(library, AssetRow)} == {"asset-1", "asset-2"}


async def test_a_photo_gets_its_connection_when_it_is_taken(library: Library, tmp_path: Path) -> None:
    early = await library.take("local", write_photo(tmp_path / "early.jpg", 1))
    connection = await _connect(library)
    late = await library.take("local", write_photo(tmp_path / "late.jpg", 2))
    again = await library.take("local", tmp_path / "early.jpg")
    assert again.sha256 == early.sha256
    before, after = await library.photo("local", early.sha256), await library.photo("local", late.sha256)
    assert before is not None
    assert after is not None
    assert (before.connection_id, after.connection_id) == (None, connection)
    other = await library.take("anna", tmp_path / "late.jpg")
    annas = await library.photo("anna", other.sha256)
    assert annas is not None
    assert annas.connection_id is None


async def test_a_lost_original_is_healed_by_the_same_bytes(library: Library, tmp_path: Path) -> None:
    path = write_photo(tmp_path / "a.jpg")
    photo = await library.photo("local", (await library.take("local", path)).sha256)
    assert photo is not None
    locate(library.layout, photo).unlink()
    with pytest.raises(IntegrityError, match="missing"):
        locate(library.layout, photo)
    await library.take("local", path)
    assert locate(library.layout, photo).read_bytes() == path.read_bytes()


async def test_a_damaged_original_is_healed_by_the_same_bytes(library: Library, tmp_path: Path) -> None:
    path = write_photo(tmp_path / "a.jpg")
    photo = await library.photo("local", (await library.take("local", path)).sha256)
    assert photo is not None
    kept = locate(library.layout, photo)
    kept.write_bytes(kept.read_bytes()[:-1] + b"x")
    taken = await library.take("local", path)
    assert not taken.new
    assert kept.read_bytes() == path.read_bytes()


async def test_a_copy_can_be_given_up_once_immich_has_the_original(library: Library, tmp_path: Path) -> None:
    photo = await library.photo("local", (await library.take("local", write_photo(tmp_path / "a.jpg"))).sha256)
    assert photo is not None
    async with library.database.transaction() as session:
        await remove_copy(session, library.layout, "local", photo.sha256)
        assert library.files()  # not before the commit
    assert library.files() == []
    photo = await library.photo("local", photo.sha256)
    assert photo is not None
    with pytest.raises(EvictedError):
        locate(library.layout, photo)


async def test_what_was_rendered_here_is_not_developed_again(library: Library, tmp_path: Path) -> None:
    path = write_photo(tmp_path / "a_processed_v1.jpg")
    digests = library_files.hash_file(path)
    async with library.database.transaction() as session:
        session.add(photo_row(1))
        await session.flush()
        await (await session.connection()).exec_driver_sql(
            "INSERT INTO recipes VALUES ('r', 'local', ?, '2024-01-01 00:00:00.000000', '[]', '{}', '{}', '')",
            (photo_row(1).sha256,),
        )
        session.add(
            VersionRow(
                owner_id="local",
                photo=photo_row(1).sha256,
                n=1,
                recipe_id="r",
                path="x",
                size=1,
                sha256=digests.sha256,
                sha1=digests.sha1,
                width=1,
                height=1,
            )
        )
    with pytest.raises(UnsupportedError, match="version 1"):
        await library.take("local", path)
    assert (await library.take("anna", path)).new


async def test_nothing_is_taken_while_space_is_short(library: Library, tmp_path: Path) -> None:
    space = Space(library.layout.data_dir, 1 << 60)
    intake = Intake(library.database, library.layout, library.events, space)
    with pytest.raises(DiskFullError, match="SIDECAR_MIN_FREE"):
        await intake.take("local", write_photo(tmp_path / "a.jpg"), file_name="a.jpg", source=Source.UPLOAD)
    assert library.files() == []


@pytest.mark.parametrize("step", ["copy_hashed", "adopt", "_new_row", "note_file"])
async def test_a_failure_at_any_step_leaves_no_row_and_no_temporary_file(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    path = write_photo(tmp_path / "a.jpg")
    key = FileKey(str(path), path.stat().st_size, path.stat().st_mtime_ns)

    def fails(*_args: object, **_more: object) -> None:
        raise StorageError("injected")

    with monkeypatch.context() as patch:
        patch.setattr(intake_module, step, fails)
        with pytest.raises(StorageError, match="injected"):
            await library.take("local", path, file_row=key)
    assert not [name for name in library.files() if ".part" in name]
    assert await _rows(library, PhotoRow) == []
    # Repeated, it goes well, and nothing is there twice.
    assert (await library.take("local", path, file_row=key)).new
    assert len(library.files()) == 1


async def test_a_cancelled_copy_leaves_nothing(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(library_files, "_CHUNK", 64)
    path = tmp_path / "a.jpg"
    path.write_bytes(jpeg_bytes() + bytes(20_000_000))
    task = asyncio.create_task(library.take("local", path))
    for _ in range(20_000):
        if list(library.layout.data_dir.rglob("*.part*")):
            break
        await asyncio.sleep(0.001)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    for _ in range(3000):
        if not library.files():
            break
        await asyncio.sleep(0.02)
    assert library.files() == []
    assert await _rows(library, PhotoRow) == []


async def test_facts_may_be_told_by_another_process(library: Library, tmp_path: Path) -> None:
    from immich_sidecar.develop.probe import FileFacts, probe

    async def elsewhere(path: Path) -> FileFacts:
        await asyncio.sleep(0)
        return probe(path)

    intake = Intake(library.database, library.layout, library.events, library.space, facts=elsewhere)
    path = write_photo(tmp_path / "a.jpg")
    assert (await intake.take("local", path, file_name="a.jpg", source=Source.UPLOAD)).new


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("beers-24mp.jpg", None),
        ("bird-house-iphone-12mp.heic", None),
        ("raw/canon-30d-landscape.cr2", None),
        ("phone-box-orientation6-nikon-d40.jpg", None),
        ("broken/jpeg-named.nef", None),
        ("broken/text-named.jpg", UndecodableError),
    ],
)
async def test_real_photos(library: Library, photos: Path, name: str, error: type[Exception] | None) -> None:
    path = photos / name
    if error is not None:
        with pytest.raises(error):
            await library.take("local", path)
        return
    photo = await library.photo("local", (await library.take("local", path)).sha256)
    assert photo is not None
    assert locate(library.layout, photo).stat().st_size == path.stat().st_size
    assert photo.width > 0
    assert photo.is_raw == name.endswith("cr2")
