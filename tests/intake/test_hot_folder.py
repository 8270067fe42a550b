"""Hot folders with real files: what is dropped is taken once, whatever happens to it meanwhile."""

import asyncio
import itertools
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from sqlmodel import select

from immich_sidecar.errors import StorageError
from immich_sidecar.intake import hot_folder
from immich_sidecar.intake.hot_folder import HotFolders, Pace
from immich_sidecar.library.tables import FileRow, IntakeState, PhotoRow
from immich_sidecar.settings import HotFolder
from tests.intake.clock import Clock
from tests.library.parts import Library, jpeg_bytes, open_library, write_photo

PACE = Pace(settle=0.3, look=0.05, poll=0.1, wait=0.1, retry=0.1, share=0.5)


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[Library]:
    async with open_library(tmp_path / "data") as opened:
        yield opened


@pytest.fixture(params=["watched", "polled"])
def polling(request: pytest.FixtureRequest) -> bool:
    return bool(request.param == "polled")


@asynccontextmanager
async def _following(
    library: Library, *folders: tuple[Path, str], polling: bool = False, pace: Pace = PACE
) -> AsyncIterator[HotFolders]:
    following = HotFolders(
        [HotFolder(path, owner) for path, owner in folders],
        library.database,
        library.intake,
        library.space,
        data_dir=library.layout.data_dir,
        polling=polling,
        pace=pace,
    )
    await following.start()
    try:
        yield following
    finally:
        await following.stop()


async def _files(library: Library, owner: str = "local") -> dict[str, FileRow]:
    """The newest row of each file, by its name."""
    async with library.database.reading() as session:
        rows = (await session.exec(select(FileRow).where(FileRow.owner_id == owner).order_by(FileRow.id))).all()
    return {Path(row.path).name: row for row in rows}


async def _count(library: Library, table: type, owner: str = "local") -> int:
    async with library.database.reading() as session:
        return len((await session.exec(select(table).where(table.owner_id == owner))).all())


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


async def _until_decided(
    library: Library, *names: str, owner: str = "local", seconds: float = 90
) -> dict[str, FileRow]:
    async def decided() -> bool:
        return set(names) <= set(await _files(library, owner))

    await _until(decided, seconds)
    return await _files(library, owner)


async def test_what_is_there_and_what_comes_is_taken(library: Library, tmp_path: Path, polling: bool) -> None:
    root = tmp_path / "photos"
    write_photo(root / "before.jpg", 1)
    write_photo(root / "2024" / "May" / "deep.jpg", 2)
    async with _following(library, (root, "local"), polling=polling):
        await _until_decided(library, "before.jpg", "deep.jpg")
        write_photo(root / "after.jpg", 3)
        write_photo(root / "new folder" / "in it" / "x.jpg", 4)
        moved = tmp_path / "prepared"
        write_photo(moved / "a" / "moved.jpg", 5)
        moved.rename(root / "moved")
        rows = await _until_decided(library, "after.jpg", "x.jpg", "moved.jpg")
    assert {row.state for row in rows.values()} == {IntakeState.FETCHED}
    assert await _count(library, PhotoRow) == 5


async def test_a_file_is_taken_only_once_it_has_stood_still(
    library: Library, tmp_path: Path, polling: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    root = tmp_path / "photos"
    root.mkdir()
    content = jpeg_bytes() + bytes(5000)
    async with _following(library, (root, "local"), polling=polling):
        with (root / "slow.jpg").open("wb") as file:
            for start in range(0, len(content), 500):
                file.write(content[start : start + 500])
                file.flush()
                # Together far longer than it takes to settle, but never so long without another write.
                clock.pass_by(0.9 * PACE.settle)
                await asyncio.sleep(0.1)
                assert await _files(library) == {}
        clock.go_on()
        rows = await _until_decided(library, "slow.jpg")
    assert rows["slow.jpg"].size == len(content)
    assert rows["slow.jpg"].state is IntakeState.FETCHED
    assert await _count(library, FileRow) == 1


async def test_the_folder_is_never_written_to(library: Library, tmp_path: Path) -> None:
    root = tmp_path / "photos"
    write_photo(root / "sub" / "a.jpg")
    (root / "rubbish.jpg").write_text("no photo")
    for folder in (root / "sub", root):
        os.utime(folder, (1, 1))
    before = {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in [root, *root.rglob("*")]}
    async with _following(library, (root, "local")):
        await _until_decided(library, "a.jpg", "rubbish.jpg")
    assert {path: (path.stat().st_mtime_ns, path.stat().st_size) for path in [root, *root.rglob("*")]} == before


async def test_what_is_known_is_not_read_again(
    library: Library, tmp_path: Path, polling: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "photos"
    write_photo(root / "a.jpg")
    (root / "notes.txt").write_text("text")
    (root / "rubbish.jpg").write_text("no photo")
    async with _following(library, (root, "local"), polling=polling):
        await _until_decided(library, "a.jpg", "notes.txt", "rubbish.jpg")
    seen: list[str] = []
    take = library.intake.take

    async def noted(owner: str, path: Path, **more: object) -> object:
        seen.append(path.name)
        return await take(owner, path, **more)

    monkeypatch.setattr(library.intake, "take", noted)
    async with _following(library, (root, "local"), polling=polling):
        write_photo(root / "new.jpg", 7)
        await _until_decided(library, "new.jpg")
        os.utime(root / "a.jpg")  # another time: a new file, as far as anybody can tell
        await _until(lambda: seen == ["new.jpg", "a.jpg"])
        (root / "rubbish.jpg").write_bytes(jpeg_bytes(8))  # now it is one

        async def repaired() -> bool:
            return (await _files(library))["rubbish.jpg"].state is IntakeState.FETCHED

        await _until(repaired)
    assert seen == ["new.jpg", "a.jpg", "rubbish.jpg"]
    assert await _count(library, PhotoRow) == 3


async def test_what_is_no_photo(library: Library, tmp_path: Path) -> None:
    root = tmp_path / "photos"
    write_photo(root / "photo.without.extension")
    (root / "notes.txt").write_text("text")
    (root / "rubbish.jpg").write_text("no photo")
    (root / "film.mp4").write_bytes(b"\0\0\0\x18ftypmp42" + bytes(500))
    for silent in ("Thumbs.db", "a.jpg.part", ".hidden.jpg", "a.pp3", "~$x.jpg"):
        (root / silent).write_bytes(jpeg_bytes(9))
    (root / "empty.jpg").touch()
    async with _following(library, (root, "local")) as following:
        rows = await _until_decided(library, "photo.without.extension", "notes.txt", "rubbish.jpg", "film.mp4")
        await _until(lambda: following.unfinished == 0)
    assert {name: row.state.value for name, row in rows.items()} == {
        "photo.without.extension": "fetched",
        "notes.txt": "skipped",
        "film.mp4": "skipped",
        "rubbish.jpg": "failed",
    }
    assert all(row.reason for row in rows.values() if row.state is not IntakeState.FETCHED)
    assert (root / "rubbish.jpg").exists()


async def test_a_file_that_goes_before_it_is_taken(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch)
    root = tmp_path / "photos"
    root.mkdir()
    async with _following(library, (root, "local")) as following:
        gone = write_photo(root / "gone.jpg", 1)
        await _until(lambda: following.unfinished == 1)
        gone.unlink()
        clock.go_on()
        write_photo(root / "stays.jpg", 2)
        await _until_decided(library, "stays.jpg")
        await _until(lambda: following.unfinished == 0)
    assert set(await _files(library)) == {"stays.jpg"}


async def test_a_file_that_goes_while_it_is_copied(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "photos"
    gone = write_photo(root / "gone.jpg", 1)
    take = library.intake.take

    async def too_late(owner: str, path: Path, **more: object) -> object:
        if path.name == "gone.jpg":
            await asyncio.to_thread(path.unlink)
        return await take(owner, path, **more)

    monkeypatch.setattr(library.intake, "take", too_late)
    async with _following(library, (root, "local")) as following:
        await _until(lambda: not gone.exists())
        write_photo(root / "next.jpg", 2)
        await _until_decided(library, "next.jpg")
        await _until(lambda: following.unfinished == 0)
    assert set(await _files(library)) == {"next.jpg"}
    assert len(library.files()) == 1


async def test_a_missing_folder_is_waited_for(library: Library, tmp_path: Path, polling: bool) -> None:
    root = tmp_path / "later"
    async with _following(library, (root, "local"), polling=polling) as following:
        await _until(lambda: "waiting" in following.states()[0]["state"])
        write_photo(root / "a.jpg", 1)
        await _until_decided(library, "a.jpg")
        assert "waiting" not in following.states()[0]["state"]
        root.rename(tmp_path / "away")  # a disk that is taken out, and another put in
        await _until(lambda: "waiting" in following.states()[0]["state"])
        write_photo(root / "b.jpg", 2)
        await _until_decided(library, "b.jpg")


async def test_two_folders_of_two_owners_with_the_same_photo(library: Library, tmp_path: Path) -> None:
    write_photo(tmp_path / "ours" / "a.jpg")
    write_photo(tmp_path / "annas" / "a.jpg")
    both = tmp_path / "shared"
    write_photo(both / "s.jpg", 2)
    folders = [(tmp_path / "ours", "local"), (tmp_path / "annas", "anna"), (both, "local"), (both, "anna")]
    async with _following(library, *folders) as following:
        await _until_decided(library, "a.jpg", "s.jpg")
        await _until_decided(library, "a.jpg", "s.jpg", owner="anna")
        assert [(state["owner"], Path(state["path"]).name) for state in following.states()] == [
            ("local", "ours"),
            ("anna", "annas"),
            ("local", "shared"),
            ("anna", "shared"),
        ]
    assert await _count(library, PhotoRow) == await _count(library, PhotoRow, "anna") == 2
    assert len(library.files()) == 4


async def test_nested_folders_and_the_data_directory_in_one(library: Library, tmp_path: Path, polling: bool) -> None:
    """The whole tree is hot, with anna's folder and our own data in it."""
    write_photo(tmp_path / "a.jpg", 1)
    write_photo(tmp_path / "anna" / "b.jpg", 2)
    async with _following(library, (tmp_path, "local"), (tmp_path / "anna", "anna"), polling=polling) as following:
        await _until_decided(library, "a.jpg")
        await _until_decided(library, "b.jpg", owner="anna")
        write_photo(tmp_path / "anna" / "c.jpg", 3)
        await _until_decided(library, "c.jpg", owner="anna")
        write_photo(library.layout.absolute("processed/2024/05/made here.jpg"), 4)
        write_photo(tmp_path / "d.jpg", 5)
        await _until_decided(library, "d.jpg")
        await asyncio.sleep(0.6)
        await _until(lambda: following.unfinished == 0)
    assert set(await _files(library)) == {"a.jpg", "d.jpg"}
    assert set(await _files(library, "anna")) == {"b.jpg", "c.jpg"}


async def test_our_own_folders_cannot_be_hot(library: Library, tmp_path: Path) -> None:
    write_photo(library.layout.absolute("originals/2024/05/x.jpg"))
    inbox = library.layout.data_dir / "inbox"
    write_photo(inbox / "in.jpg", 2)
    async with _following(library, (library.layout.data_dir / "originals", "local"), (inbox, "local")) as following:
        await _until(lambda: "made here" in following.states()[0]["state"])
        await _until_decided(library, "in.jpg")
    assert set(await _files(library)) == {"in.jpg"}


async def test_strange_names(library: Library, tmp_path: Path, polling: bool) -> None:
    root = tmp_path / "photos"
    root.mkdir()
    async with _following(library, (root, "local"), polling=polling):
        names = ["ü 日本 🌄.jpg", "new\nline.jpg", "'; DROP TABLE photos; --.jpg", "<script>.jpg", "-rf.jpg"]
        for seed, name in enumerate(names):
            write_photo(root / name, seed)
        with open(os.fsencode(root) + b"/caf\xe9.jpg", "wb") as file:  # noqa: ASYNC230, PTH123 - a path of bytes
            file.write(jpeg_bytes(50))
        rows = await _until_decided(library, *names, "caf\\xe9.jpg")
    assert {row.state for row in rows.values()} == {IntakeState.FETCHED}
    assert await _count(library, PhotoRow) == 6


async def test_intake_pauses_while_space_is_short(library: Library, tmp_path: Path) -> None:
    root = tmp_path / "photos"
    write_photo(root / "a.jpg", 1)
    library.space.min_free = 1 << 60
    async with _following(library, (root, "local")) as following:
        await _until(lambda: "paused" in following.states()[0]["state"])
        assert await _files(library) == {}
        library.space.min_free = 0
        await _until_decided(library, "a.jpg")
        assert "paused" not in following.states()[0]["state"]


async def test_a_file_that_is_too_large_for_what_is_left_holds_up_no_other(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "photos"
    large = write_photo(root / "large.jpg", 1)
    large.write_bytes(large.read_bytes() + bytes(50_000))
    library.space.min_free = 1_000_000
    free = 1_020_000
    monkeypatch.setattr(library.space, "free", lambda: free)
    async with _following(library, (root, "local")) as following:
        write_photo(root / "small.jpg", 2)
        await _until_decided(library, "small.jpg")
        assert set(await _files(library)) == {"small.jpg"}
        assert following.unfinished == 1
        free = 2_000_000
        await _until_decided(library, "large.jpg")


async def test_a_file_that_cannot_be_read_is_told_left_and_tried_again(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Permissions mean nothing to root, so the answer of the system is made up."""
    root = tmp_path / "photos"
    write_photo(root / "locked.jpg", 1)
    write_photo(root / "open.jpg", 2)
    locked = threading.Event()
    locked.set()
    take = library.intake.take

    async def refused(owner: str, path: Path, **more: object) -> object:
        if path.name == "locked.jpg" and locked.is_set():
            raise StorageError("permission denied") from PermissionError(13, "Permission denied")
        return await take(owner, path, **more)

    monkeypatch.setattr(library.intake, "take", refused)
    monkeypatch.setattr(hot_folder, "_cannot_read", lambda _path: "Permission denied" if locked.is_set() else None)
    monkeypatch.setattr(hot_folder.os, "access", lambda _path, _mode: not locked.is_set())
    async with _following(library, (root, "local"), polling=True):
        rows = await _until_decided(library, "locked.jpg", "open.jpg")
        assert rows["locked.jpg"].state is IntakeState.FAILED
        assert rows["locked.jpg"].reason == "cannot be read: Permission denied"
        assert (root / "locked.jpg").exists()
        locked.clear()

        async def taken() -> bool:
            return (await _files(library))["locked.jpg"].state is IntakeState.FETCHED

        await _until(taken)


async def test_trouble_on_our_side_is_tried_again(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "photos"
    write_photo(root / "a.jpg", 1)
    attempts: list[float] = []
    take = library.intake.take

    async def broken(owner: str, path: Path, **more: object) -> object:
        attempts.append(time.monotonic())
        if len(attempts) < 4:
            raise StorageError("the data directory is on a sick disk")
        return await take(owner, path, **more)

    monkeypatch.setattr(library.intake, "take", broken)
    async with _following(library, (root, "local")):
        rows = await _until_decided(library, "a.jpg")
    assert rows["a.jpg"].state is IntakeState.FETCHED
    gaps = [later - earlier for earlier, later in itertools.pairwise(attempts)]
    # Longer each time: 0.1, 0.2, 0.4 s.
    assert [gap >= least for gap, least in zip(gaps, (0.1, 0.2, 0.4), strict=True)] == [True] * 3


async def test_a_fault_with_one_file_does_not_stop_the_others(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    root = tmp_path / "photos"
    for n in range(5):
        write_photo(root / f"{n}.jpg", n)
    take = library.intake.take

    async def faulty(owner: str, path: Path, **more: object) -> object:
        if path.name in ("0.jpg", "1.jpg"):
            raise ZeroDivisionError("a bug of ours")
        return await take(owner, path, **more)

    monkeypatch.setattr(library.intake, "take", faulty)
    async with _following(library, (root, "local")):
        rows = await _until_decided(library, *(f"{n}.jpg" for n in range(5)))
    assert [rows[f"{n}.jpg"].state.value for n in range(5)] == ["failed"] * 2 + ["fetched"] * 3
    assert "a bug of ours" in (rows["0.jpg"].reason or "")


async def test_stopping_in_the_middle_loses_nothing(library: Library, tmp_path: Path) -> None:
    root = tmp_path / "photos"
    for n in range(30):
        write_photo(root / f"{n}.jpg", n)
    for _ in range(3):
        async with _following(library, (root, "local")):
            before = await _count(library, PhotoRow)
            await _until(lambda before=before: _more_than(library, before))
    async with _following(library, (root, "local")) as following:
        await _until_decided(library, *(f"{n}.jpg" for n in range(30)))
        await _until(lambda: following.unfinished == 0)
    assert await _count(library, PhotoRow) == 30
    assert await _count(library, FileRow) == 30
    assert len([name for name in library.files() if ".part" not in name]) == 30


async def _more_than(library: Library, number: int) -> bool:
    return await _count(library, PhotoRow) > number


async def test_when_the_system_gives_no_watches_the_folder_is_polled(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_args: object, **_more: object) -> None:
        raise OSError(28, "OS file watch limit reached")

    monkeypatch.setattr(hot_folder, "awatch", refused)
    root = tmp_path / "photos"
    root.mkdir()
    async with _following(library, (root, "local")) as following:
        await _until(lambda: "looked through" in following.states()[0]["state"])
        write_photo(root / "a.jpg", 1)
        await _until_decided(library, "a.jpg")


async def test_many_files_at_once(library: Library, tmp_path: Path) -> None:
    """Hundreds that appear together are all taken, a few at a time."""
    root = tmp_path / "photos"
    root.mkdir()
    at_once = most = 0
    take = library.intake.take

    async def counted(owner: str, path: Path, **more: object) -> object:
        nonlocal at_once, most
        at_once += 1
        most = max(most, at_once)
        try:
            return await take(owner, path, **more)
        finally:
            at_once -= 1

    library.intake.take = counted  # type: ignore[method-assign]  # to count
    async with _following(library, (root, "local")) as following:
        for n in range(150):
            write_photo(root / f"{n % 7}" / f"{n}.jpg", n)

        async def all_taken() -> bool:
            return await _count(library, PhotoRow) == 150

        await _until(all_taken, 120)
        await _until(lambda: following.unfinished == 0)
    assert most <= 2
    assert await _count(library, FileRow) == 150
