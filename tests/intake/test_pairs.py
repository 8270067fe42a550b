"""RAW files, their JPEGs and XMP files in hot folders: what belongs together becomes one photo, in whatever order."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlmodel import select

from immich_sidecar.intake.hot_folder import HotFolders, Pace
from immich_sidecar.intake.pairs import Neighbours, Role, role_of
from immich_sidecar.library.companions import Shot, is_same_shot
from immich_sidecar.library.integrity import ProblemKind, verify
from immich_sidecar.library.tables import CompanionRow, FileRow, IntakeState, PhotoRow, WorkState
from immich_sidecar.pipeline.pairing import Pairing
from immich_sidecar.settings import HotFolder
from tests.intake.clock import Clock
from tests.library.parts import Library, open_library
from tests.photos import shots

PACE = Pace(settle=0.2, look=0.04, poll=0.1, wait=0.1, retry=0.1, share=0.5, pair=1.0, longest_pair=120.0)


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[Library]:
    async with open_library(tmp_path / "data") as opened:
        yield opened
        # Whatever happened: every row has its bytes, and every byte its row.
        report = await verify(opened.database, opened.layout)
        assert report.problems == []


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "hot"
    folder.mkdir()
    return folder


@asynccontextmanager
async def _following(library: Library, root: Path, *, pairs: bool = True) -> AsyncIterator[HotFolders]:
    following = HotFolders(
        [HotFolder(root, "local")],
        library.database,
        library.intake,
        library.space,
        data_dir=library.layout.data_dir,
        polling=True,
        pairs=pairs,
        absorb=Pairing(library.database, library.events).absorb,
        pace=PACE,
    )
    await following.start()
    try:
        yield following
    finally:
        await following.stop()


async def _rows(library: Library, table: type) -> list:
    async with library.database.reading() as session:
        return list((await session.exec(select(table))).all())


async def _files(library: Library) -> dict[str, FileRow]:
    return {Path(row.path).name: row for row in await _rows(library, FileRow)}


async def _photos(library: Library) -> dict[str, PhotoRow]:
    return {row.file_name: row for row in await _rows(library, PhotoRow)}


async def _companions(library: Library) -> dict[str, CompanionRow]:
    return {row.file_name: row for row in await _rows(library, CompanionRow)}


async def _until(condition: Callable[[], object], seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if asyncio.iscoroutine(result):
            result = await result
        if result:
            return
        assert time.monotonic() < end, "it did not happen in time"
        await asyncio.sleep(0.03)


async def _until_decided(library: Library, *names: str) -> dict[str, FileRow]:
    async def decided() -> bool:
        return set(names) <= set(await _files(library))

    await _until(decided)
    return await _files(library)


def _kept(library: Library, row: CompanionRow) -> bytes:
    assert row.path is not None
    return library.layout.absolute(row.path).read_bytes()


async def test_a_raw_file_its_jpeg_and_its_xmp_are_one_photo(library: Library, root: Path) -> None:
    (root / "IMG_1.DNG").write_bytes(shots.raw(1))
    (root / "img_1.jpg").write_bytes(shots.jpeg(1))
    (root / "IMG_1.DNG.xmp").write_bytes(shots.xmp(4))
    (root / "IMG_1.xmp").write_bytes(shots.xmp(2))
    async with _following(library, root):
        rows = await _until_decided(library, "IMG_1.DNG", "img_1.jpg", "IMG_1.DNG.xmp", "IMG_1.xmp")
    photos = await _photos(library)
    assert list(photos) == ["IMG_1.DNG"]
    companions = await _companions(library)
    assert {name: row.kind for name, row in companions.items()} == {
        "img_1.jpg": "jpeg",
        "IMG_1.DNG.xmp": "xmp",
        "IMG_1.xmp": "xmp",
    }
    assert {row.photo for row in companions.values()} == {photos["IMG_1.DNG"].sha256}
    assert _kept(library, companions["img_1.jpg"]) == shots.jpeg(1)
    assert _kept(library, companions["IMG_1.DNG.xmp"]) == shots.xmp(4)
    assert {row.state for row in rows.values()} == {IntakeState.FETCHED}
    assert rows["img_1.jpg"].reason == "JPEG of IMG_1.DNG"
    assert rows["IMG_1.xmp"].reason == "XMP file of IMG_1.DNG"


async def test_the_jpeg_waits_for_a_raw_file_that_is_arriving(
    library: Library, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    content = shots.raw(2)
    async with _following(library, root) as following:
        (root / "a.jpg").write_bytes(shots.jpeg(2))
        with (root / "a.DNG").open("wb") as file:
            # Longer than the JPEG alone would wait.
            for start in range(0, len(content), len(content) // 10 + 1):
                file.write(content[start : start + len(content) // 10 + 1])
                file.flush()
                await _until(lambda: following.unfinished == 2)
                clock.pass_by(0.9 * PACE.settle)
                await asyncio.sleep(0.15)
                assert await _files(library) == {}
        clock.go_on()
        await _until_decided(library, "a.jpg", "a.DNG")
    assert list(await _photos(library)) == ["a.DNG"]
    assert list(await _companions(library)) == ["a.jpg"]


async def test_the_jpeg_waits_for_a_raw_file_that_arrives_under_another_name(
    library: Library, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    async with _following(library, root) as following:
        (root / ".a.DNG.Xy12Zq").write_bytes(shots.raw(2)[:1000])
        (root / "a.jpg").write_bytes(shots.jpeg(2))
        await _until(lambda: following.unfinished == 1)
        clock.pass_by(5 * (PACE.settle + PACE.pair))
        await asyncio.sleep(0.5)
        assert await _files(library) == {}
        (root / ".a.DNG.Xy12Zq").write_bytes(shots.raw(2))
        (root / ".a.DNG.Xy12Zq").rename(root / "a.DNG")
        clock.go_on()
        await _until_decided(library, "a.jpg", "a.DNG")
    assert list(await _photos(library)) == ["a.DNG"]


async def test_where_there_are_raw_files_a_jpeg_waits_a_moment_for_its_own(
    library: Library, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    (root / "other.DNG").write_bytes(shots.raw(3))
    (root / "a.jpg").write_bytes(shots.jpeg(2))
    async with _following(library, root) as following:
        await _until(lambda: following.unfinished == 2)
        clock.pass_by(PACE.settle)
        await _until_decided(library, "other.DNG")
        assert "a.jpg" not in await _files(library)
        (root / "a.DNG").write_bytes(shots.raw(2))
        clock.go_on()
        await _until_decided(library, "a.jpg", "a.DNG")
        (root / "alone.jpg").write_bytes(shots.jpeg(4))
        await _until_decided(library, "alone.jpg")
    assert set(await _photos(library)) == {"other.DNG", "a.DNG", "alone.jpg"}


async def test_a_jpeg_that_was_taken_first_is_taken_over_while_nobody_decided(library: Library, root: Path) -> None:
    (root / "a.jpg").write_bytes(shots.jpeg(2))
    (root / "b.jpg").write_bytes(shots.jpeg(3))
    async with _following(library, root):
        await _until_decided(library, "a.jpg", "b.jpg")
        async with library.database.transaction() as session:
            from immich_sidecar.library.tables import DecisionRow

            photo = (await _photos(library))["b.jpg"]
            session.add(DecisionRow(owner_id="local", photo=photo.sha256, kind="approve", before={}, after={}))
        (root / "a.DNG").write_bytes(shots.raw(2))
        (root / "b.DNG").write_bytes(shots.raw(3))
        await _until_decided(library, "a.DNG", "b.DNG")
        await _until(lambda: _companions(library))
        await asyncio.sleep(0.3)
    photos = await _photos(library)
    assert set(photos) == {"a.jpg", "b.jpg", "a.DNG", "b.DNG"}
    assert photos["a.jpg"].state is WorkState.LEFT_ALONE
    assert photos["a.jpg"].left_alone_reason == "JPEG of a.DNG"
    assert photos["b.jpg"].state is WorkState.STORED
    companions = await _companions(library)
    assert list(companions) == ["a.jpg"]
    assert _kept(library, companions["a.jpg"]) == shots.jpeg(2)


@pytest.mark.parametrize(
    "jpeg",
    [
        shots.jpeg(2, taken="2024:06:01 12:30:46"),
        shots.jpeg(2, camera="Another"),
    ],
    ids=["another second", "another camera"],
)
async def test_another_shot_of_the_same_name_is_a_photo_of_its_own(library: Library, root: Path, jpeg: bytes) -> None:
    (root / "a.DNG").write_bytes(shots.raw(2))
    (root / "a.jpg").write_bytes(jpeg)
    (root / "a.xmp").write_bytes(shots.xmp())
    async with _following(library, root):
        await _until_decided(library, "a.DNG", "a.jpg", "a.xmp")
    photos = await _photos(library)
    assert set(photos) == {"a.DNG", "a.jpg"}
    companions = await _companions(library)
    assert {name: row.photo for name, row in companions.items()} == {"a.xmp": photos["a.DNG"].sha256}


async def test_a_jpeg_beside_a_raw_file_that_cannot_be_read_is_a_photo(library: Library, root: Path) -> None:
    (root / "a.DNG").write_bytes(b"rubbish" * 1000)
    (root / "a.jpg").write_bytes(shots.jpeg(2))
    (root / "a.xmp").write_bytes(shots.xmp())
    async with _following(library, root):
        rows = await _until_decided(library, "a.DNG", "a.jpg", "a.xmp")
    assert rows["a.DNG"].state is IntakeState.FAILED
    photos = await _photos(library)
    assert set(photos) == {"a.jpg"}
    assert (await _companions(library))["a.xmp"].photo == photos["a.jpg"].sha256


async def test_without_pairs_both_are_photos(library: Library, root: Path) -> None:
    (root / "a.DNG").write_bytes(shots.raw(2))
    (root / "a.jpg").write_bytes(shots.jpeg(2))
    async with _following(library, root, pairs=False):
        await _until_decided(library, "a.DNG", "a.jpg")
    assert set(await _photos(library)) == {"a.DNG", "a.jpg"}


async def test_an_xmp_file_that_changes_is_kept_again_and_the_earlier_one_stays(library: Library, root: Path) -> None:
    (root / "a.jpg").write_bytes(shots.jpeg(2))
    async with _following(library, root):
        await _until_decided(library, "a.jpg")
        (root / "a.jpg.xmp").write_bytes(shots.xmp(1))
        await _until_decided(library, "a.jpg.xmp")
        (root / "a.jpg.xmp").write_bytes(shots.xmp(5) + b"\n<!-- later -->")

        async def two() -> bool:
            return len(await _rows(library, CompanionRow)) == 2

        await _until(two)
    kept = [_kept(library, row) for row in await _rows(library, CompanionRow)]
    assert kept == [shots.xmp(1), shots.xmp(5) + b"\n<!-- later -->"]
    assert len(await _photos(library)) == 1


async def test_an_xmp_file_without_a_photo_is_said_and_goes_with_one_that_comes(library: Library, root: Path) -> None:
    (root / "late.xmp").write_bytes(shots.xmp())
    async with _following(library, root):
        rows = await _until_decided(library, "late.xmp")
        assert rows["late.xmp"].state is IntakeState.SKIPPED
        assert rows["late.xmp"].reason == "no photo of its name lies beside it"
        (root / "late.DNG").write_bytes(shots.raw(2))
        await _until_decided(library, "late.DNG")
        rows = await _files(library)
    assert rows["late.xmp"].state is IntakeState.FETCHED
    assert list(await _companions(library)) == ["late.xmp"]


async def test_an_xmp_file_finds_its_photo_after_that_has_left_the_folder(library: Library, root: Path) -> None:
    (root / "a.DNG").write_bytes(shots.raw(2))
    async with _following(library, root):
        await _until_decided(library, "a.DNG")
        (root / "a.DNG").unlink()
        (root / "a.DNG.xmp").write_bytes(shots.xmp(1))
        (root / "a.xmp").write_bytes(shots.xmp(2))
        (root / "a.jpg").write_bytes(shots.jpeg(2))
        rows = await _until_decided(library, "a.DNG.xmp", "a.xmp", "a.jpg")
    assert {row.state for row in rows.values()} == {IntakeState.FETCHED}
    assert set(await _companions(library)) == {"a.DNG.xmp", "a.xmp", "a.jpg"}
    assert list(await _photos(library)) == ["a.DNG"]


async def test_verify_reads_companions(library: Library, root: Path) -> None:
    (root / "a.DNG").write_bytes(shots.raw(2))
    (root / "a.jpg").write_bytes(shots.jpeg(2))
    async with _following(library, root):
        await _until_decided(library, "a.DNG", "a.jpg")
    row = (await _companions(library))["a.jpg"]
    file = library.layout.absolute(row.path or "")
    content = file.read_bytes()
    file.write_bytes(content[:-1] + b"x")
    found = await verify(library.database, library.layout)
    assert [problem.kind for problem in found.problems] == [ProblemKind.DAMAGED]
    file.unlink()
    found = await verify(library.database, library.layout)
    assert [problem.kind for problem in found.problems] == [ProblemKind.MISSING]
    assert found.companions == 1
    file.write_bytes(content)


def test_roles() -> None:
    assert [role_of(name) for name in ("a.CR2", "a.Jpg", "a.HEIC", "a.xmp", "a.png", "a")] == [
        Role.RAW,
        Role.PICTURE,
        Role.PICTURE,
        Role.XMP,
        Role.OTHER,
        Role.OTHER,
    ]


def test_neighbours_by_name(tmp_path: Path) -> None:
    names = ("IMG_1.CR2", "img_1.JPG", "IMG_1.dng", "IMG_10.CR2", "IMG_1.CR2.xmp", "IMG_1.xmp", "IMG_1.heic", "x.y.NEF")
    for name in (*names, "x.y.jpg", "x.y.xmp"):
        (tmp_path / name).write_bytes(b"x")
    look = Neighbours()
    assert [path.name for path in look.raws_of(tmp_path / "img_1.JPG")] == ["IMG_1.CR2", "IMG_1.dng"]
    assert {path.name for path in look.pictures_of(tmp_path / "IMG_1.CR2")} == {"img_1.JPG", "IMG_1.heic"}
    assert [path.name for path in look.xmps_of(tmp_path / "IMG_1.CR2")] == ["IMG_1.CR2.xmp", "IMG_1.xmp"]
    assert [path.name for path in look.xmps_of(tmp_path / "img_1.JPG")] == ["IMG_1.xmp"]
    assert [path.name for path in look.photos_of(tmp_path / "IMG_1.CR2.xmp")] == ["IMG_1.CR2"]
    assert next(path.name for path in look.photos_of(tmp_path / "IMG_1.xmp")) == "IMG_1.CR2"
    assert [path.name for path in look.raws_of(tmp_path / "x.y.jpg")] == ["x.y.NEF"]
    assert [path.name for path in look.photos_of(tmp_path / "x.y.xmp")] == ["x.y.NEF", "x.y.jpg"]
    assert not look.is_raw_arriving(tmp_path / "new.jpg")
    (tmp_path / "new.NEF.part").write_bytes(b"x")
    os.utime(tmp_path / "new.NEF.part", (1, 1))
    assert not Neighbours().is_raw_arriving(tmp_path / "new.jpg")
    (tmp_path / "new.NEF.part").write_bytes(b"xy")
    assert Neighbours().is_raw_arriving(tmp_path / "new.jpg")


def test_same_shot() -> None:
    noon = datetime(2024, 6, 1, 12, 30, 45, tzinfo=UTC)
    shot = Shot(noon, "Canon EOS R5")
    assert is_same_shot(shot, Shot(noon.replace(microsecond=900_000), "CANON  EOS R5"), sure=True)
    assert not is_same_shot(shot, Shot(noon.replace(second=46), "Canon EOS R5"), sure=True)
    # The camera's clock without an offset, and with one.
    two_hours_off = Shot(noon.replace(hour=10), "Canon EOS R5")
    assert is_same_shot(shot, two_hours_off, sure=False)
    assert not is_same_shot(shot, two_hours_off, sure=True)
    assert is_same_shot(shot, Shot(None, None), sure=False)
    assert not is_same_shot(shot, Shot(None, "Canon EOS R5"), sure=True)
    assert not is_same_shot(shot, Shot(noon, "Canon EOS R6"), sure=False)
