"""Files leave a hot folder only when every one who should hold their bytes holds them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from sqlmodel import select

from immich_sidecar.errors import ImmichAwayError
from immich_sidecar.intake import leaving
from immich_sidecar.library.file_rows import DELETED, LEAVES, LEAVING, MOVED, STAYS, FileKey
from immich_sidecar.library.tables import ConnectionRow, FileRow, PhotoRow, Source, now
from immich_sidecar.pipeline.afterwards import Afterwards
from immich_sidecar.settings import After
from tests.library.parts import Library, open_library, write_photo


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[Library]:
    async with open_library(tmp_path / "data") as opened:
        yield opened


class _Publisher:
    """Immich's word about a file."""

    def __init__(self, answer: bool | Exception) -> None:
        self.answer = answer
        self.asked: list[tuple[str, str]] = []

    async def confirm(self, asset_id: str, sha1: str) -> bool:
        self.asked.append((asset_id, sha1))
        if isinstance(self.answer, Exception):
            raise self.answer
        return self.answer


def _afterwards(
    library: Library,
    root: Path,
    *,
    owners: tuple[str, ...] = ("local",),
    after: After = After.DELETE,
    targets: Mapping[int, Any] | None = None,
    told: dict[Path, str | None] | None = None,
) -> Afterwards:
    return Afterwards(
        library.database,
        library.layout,
        lambda: targets or {},
        after=after,
        folder_of=lambda path: (root, owners) if root in path.parents else None,
        tell=lambda folder, text: (told if told is not None else {}).update({folder: text}),
        trusted_after=timedelta(0),
    )


def _key(path: Path) -> FileKey:
    status = path.stat()
    return FileKey(str(path), status.st_size, status.st_mtime_ns, leaves=True)


async def _take(library: Library, path: Path, owner: str = "local") -> PhotoRow:
    key = _key(path)
    taken = await library.intake.take(owner, path, file_name=path.name, source=Source.HOT_FOLDER, file_row=key)
    await _change(library, FileRow, after_due_at=now() - timedelta(seconds=1))
    photo = await library.photo(owner, taken.sha256)
    assert photo is not None
    return photo


async def _change(library: Library, table: Any, **values: Any) -> None:
    async with library.database.transaction() as session:
        for row in (await session.exec(select(table))).all():
            for name, value in values.items():
                setattr(row, name, value)
            session.add(row)


async def _rows(library: Library) -> list[FileRow]:
    async with library.database.reading() as session:
        return list((await session.exec(select(FileRow).order_by(FileRow.id))).all())


async def _connect(library: Library, **values: Any) -> None:
    async with library.database.transaction() as session:
        session.add(ConnectionRow(id=1, owner_id="local", url="http://immich"))
    await _change(library, PhotoRow, connection_id=1, **values)


async def test_without_a_connection_our_own_copy_is_enough_if_it_is_whole(library: Library, tmp_path: Path) -> None:
    path = write_photo(tmp_path / "hot" / "a.jpg", 1)
    photo = await _take(library, path)
    kept = library.layout.absolute(photo.path or "")
    content = kept.read_bytes()
    kept.write_bytes(content[:-1] + b"x")
    afterwards = _afterwards(library, tmp_path / "hot")
    assert await afterwards.see_to_due() == 0
    (row,) = await _rows(library)
    assert path.exists()
    assert row.after == LEAVES
    assert "damaged" in (row.after_reason or "")
    kept.write_bytes(content)
    await _change(library, FileRow, after_due_at=now())
    assert await afterwards.see_to_due() == 1
    assert not path.exists()
    assert (await _rows(library))[0].after == DELETED


@pytest.mark.parametrize("answer", [False, ImmichAwayError("away")], ids=["not held", "away"])
async def test_with_a_connection_immich_has_to_confirm_it_now(library: Library, tmp_path: Path, answer: Any) -> None:
    path = write_photo(tmp_path / "hot" / "a.jpg", 1)
    photo = await _take(library, path)
    publisher = _Publisher(answer)
    afterwards = _afterwards(library, tmp_path / "hot", targets={1: SimpleNamespace(publisher=publisher)})
    await _connect(library)
    assert await afterwards.see_to_due() == 0
    assert "not in Immich yet" in ((await _rows(library))[0].after_reason or "")
    await _change(library, PhotoRow, immich_asset_id="one")
    await _change(library, FileRow, after_due_at=now())
    assert await afterwards.see_to_due() == 0
    assert publisher.asked == [("one", photo.sha1)]
    assert path.exists()
    publisher.answer = True
    await _change(library, FileRow, after_due_at=now())
    assert await afterwards.see_to_due() == 1
    assert not path.exists()


async def test_where_nobody_holds_it_the_source_stays(library: Library, tmp_path: Path) -> None:
    """Our copy was given up, and Immich has it no more: the source is the last one."""
    path = write_photo(tmp_path / "hot" / "a.jpg", 1)
    photo = await _take(library, path)
    library.layout.absolute(photo.path or "").unlink()
    await _connect(library, immich_asset_id="one", path=None)
    targets = {1: SimpleNamespace(publisher=_Publisher(False))}
    assert await _afterwards(library, tmp_path / "hot", targets=targets).see_to_due() == 0
    # Neither where the connection has ended since.
    await _change(library, ConnectionRow, disconnected_at=now())
    await _change(library, FileRow, after_due_at=now())
    assert await _afterwards(library, tmp_path / "hot", targets=targets).see_to_due() == 0
    assert path.exists()
    assert (await _rows(library))[0].after_reason == "there is no copy of it here"


async def test_a_folder_of_two_owners_keeps_a_file_until_both_have_it(library: Library, tmp_path: Path) -> None:
    path = write_photo(tmp_path / "hot" / "a.jpg", 1)
    await _take(library, path)
    afterwards = _afterwards(library, tmp_path / "hot", owners=("local", "anna"), after=After.MOVE)
    assert await afterwards.see_to_due() == 0
    assert "anna" in ((await _rows(library))[0].after_reason or "")
    await _take(library, path, "anna")
    assert await afterwards.see_to_due() == 1
    assert (tmp_path / "hot" / "Processed" / "a.jpg").exists()
    assert [row.after for row in await _rows(library)] == [MOVED, MOVED]


async def test_a_folder_that_cannot_be_written_to_is_told(
    library: Library, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_photo(tmp_path / "hot" / "a.jpg", 1)
    await _take(library, path)
    told: dict[Path, str | None] = {}

    def refuse(*_: object) -> None:
        raise OSError(30, "Read-only file system")

    monkeypatch.setattr(Path, "rename", refuse)
    afterwards = _afterwards(library, tmp_path / "hot", told=told)
    assert await afterwards.see_to_due() == 0
    assert told == {tmp_path / "hot": "files stay in it: a.jpg cannot leave its folder: Read-only file system"}
    assert path.exists()
    (row,) = await _rows(library)
    assert row.after == LEAVES
    monkeypatch.undo()
    await _change(library, FileRow, after_due_at=now())
    assert await afterwards.see_to_due() == 1
    assert told == {tmp_path / "hot": None}


async def test_a_file_that_changed_since_stays_for_good(library: Library, tmp_path: Path) -> None:
    path = write_photo(tmp_path / "hot" / "a.jpg", 1)
    await _take(library, path)
    path.write_bytes(path.read_bytes() + b"more")
    assert await _afterwards(library, tmp_path / "hot").see_to_due() == 0
    (row,) = await _rows(library)
    assert (row.after, row.after_due_at) == (STAYS, None)
    assert path.exists()


@pytest.mark.parametrize("gone", [False, True], ids=["hidden", "gone"])
async def test_what_was_interrupted_is_put_back_or_finished(library: Library, tmp_path: Path, gone: bool) -> None:
    path = write_photo(tmp_path / "hot" / "a.jpg", 1)
    await _take(library, path)
    (row,) = await _rows(library)
    await _change(library, FileRow, after=LEAVING, after_due_at=None)
    hidden = leaving.Leaver(path, row.size, row.mtime_ns, row.sha256 or "", row.id or 0).hidden
    path.rename(hidden)
    if gone:
        hidden.unlink()
        write_photo(tmp_path / "hot" / "another.jpg", 2)
    # Also where files are to stay by now.
    afterwards = _afterwards(library, tmp_path / "hot", after=After.KEEP)
    await afterwards.start()
    await afterwards.stop()
    (row,) = await _rows(library)
    assert path.exists() is not gone
    assert row.after == (DELETED if gone else LEAVES)


@pytest.mark.parametrize("place", [None, "Processed/a.jpg"], ids=["deleted", "moved"])
async def test_a_share_that_is_away_hides_nothing_for_good(library: Library, tmp_path: Path, place: str | None) -> None:
    """Interrupted while a file had its hidden name; at the next start its share is not there, then it is."""
    path = write_photo(tmp_path / "hot" / "a.jpg", 1)
    content = path.read_bytes()
    await _take(library, path)
    (row,) = await _rows(library)
    reason = None if place is None else f"moved to {tmp_path / 'hot' / place}"
    await _change(library, FileRow, after=LEAVING, after_due_at=None, after_reason=reason)
    path.rename(leaving.Leaver(path, row.size, row.mtime_ns, row.sha256 or "", row.id or 0).hidden)
    (tmp_path / "hot").rename(tmp_path / "away")
    (tmp_path / "hot").mkdir()
    for _ in range(2):
        afterwards = _afterwards(library, tmp_path / "hot", after=After.KEEP)
        await afterwards.start()
        await afterwards.stop()
        assert (await _rows(library))[0].after == LEAVING
    (tmp_path / "hot").rmdir()
    (tmp_path / "away").rename(tmp_path / "hot")
    afterwards = _afterwards(library, tmp_path / "hot", after=After.KEEP)
    await afterwards.start()
    await afterwards.stop()
    assert path.read_bytes() == content
    assert (await _rows(library))[0].after == LEAVES


async def test_a_folder_that_is_not_there_is_waited_for(library: Library, tmp_path: Path) -> None:
    path = write_photo(tmp_path / "hot" / "trip" / "a.jpg", 1)
    await _take(library, path)
    (tmp_path / "hot" / "trip").rename(tmp_path / "away")
    assert await _afterwards(library, tmp_path / "hot").see_to_due() == 0
    (row,) = await _rows(library)
    assert row.after == LEAVES
    assert row.after_due_at is not None
    (tmp_path / "away").rename(tmp_path / "hot" / "trip")
    await _change(library, FileRow, after_due_at=now())
    assert await _afterwards(library, tmp_path / "hot").see_to_due() == 1


async def test_a_name_that_is_no_utf8_is_the_reason_to_stay(library: Library, tmp_path: Path) -> None:
    await _take(library, write_photo(tmp_path / "hot" / "a.jpg", 1))
    await _change(library, FileRow, path="bytes:/hot/caf\\xe9.jpg")
    assert await _afterwards(library, tmp_path / "hot").see_to_due() == 0
    (row,) = await _rows(library)
    assert (row.after, row.after_reason) == (STAYS, "its name is no UTF-8")
