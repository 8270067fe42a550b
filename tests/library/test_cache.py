"""Caches keep to their size and give up nothing that matters; crashes leave nothing behind; space is watched."""

import os
import time
from pathlib import Path

import pytest

from immich_sidecar.errors import DiskFullError
from immich_sidecar.library.cache import Cache
from immich_sidecar.library.leftovers import remove_leftovers
from immich_sidecar.library.space import Space
from immich_sidecar.library.tables import WorkState
from tests.library.parts import NOON, Library, photo_row

NOW = time.time()


def _put(library: Library, path: str, *, size: int = 1000, age: float = 0) -> Path:
    file = library.layout.absolute(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(bytes(size))
    os.utime(file, (NOW - age, NOW - age))
    return file


async def test_what_was_used_longest_ago_goes_first(library: Library) -> None:
    layout = library.layout
    files = [
        _put(library, layout.thumbnail(owner, f"{n:064x}", 1), age=100 - n)
        for n in range(40)
        for owner in ("local", "anna")
    ]
    kept = _put(library, layout.processed("local", "ab" * 32, 1, "jpg", NOON), size=10**6, age=10**6)
    cache = Cache(layout, library.database, 50_000)
    cache.touch(files[0])
    old = _put(library, layout.preview("local", "ff" * 32, 1), age=10**5)
    cache.touch(old)  # read just now, although it was written long ago
    done = await cache.evict()
    left = [file for file in files if file.exists()]
    assert done.size == sum(file.stat().st_size for file in left) + 1000 <= 45_000
    assert done.size > 42_000  # and no more than needed
    assert left == files[-len(left) :]  # the newest ones
    assert old.exists()
    assert kept.exists()
    assert (done.evicted, done.files) == (80 - len(left), len(left) + 1)
    assert (await cache.evict()).evicted == 0


async def test_below_the_limit_nothing_goes(library: Library) -> None:
    file = _put(library, library.layout.preview("local", "ab" * 32, 0), age=10**7)
    done = await Cache(library.layout, library.database, 1000).evict()
    assert file.exists()
    assert (done.size, done.files, done.evicted) == (1000, 1, 0)


async def test_originals_stay_while_they_are_needed_or_the_only_copy(library: Library) -> None:
    paths = {}
    async with library.database.transaction() as session:
        for n, (name, state, asset, failed_at) in enumerate(
            [
                ("at work", WorkState.ADVISED, "asset", None),
                ("only copy", WorkState.KEPT, None, None),
                ("done", WorkState.KEPT, "asset", None),
                ("failed", WorkState.STORED, "asset", "analyse"),
            ]
        ):
            row = photo_row(n, owner="anna", state=state, immich_asset_id=asset, failed_at=failed_at)
            row.path = library.layout.cached_original("anna", row.sha256, "x.jpg")
            paths[name] = _put(library, row.path, age=1000)
            session.add(row)
    await Cache(library.layout, library.database, 0).evict()
    assert {name for name, path in paths.items() if path.exists()} == {"at work", "only copy"}


async def test_touch_writes_seldom(library: Library) -> None:
    file = _put(library, library.layout.preview("local", "ab" * 32, 0))
    before = file.stat()
    cache = Cache(library.layout, library.database, 0)
    cache.touch(file)
    cache.touch(library.layout.data_dir / "not there")
    assert file.stat().st_mtime_ns == before.st_mtime_ns
    assert file.stat().st_atime_ns == before.st_atime_ns


async def test_leftovers_of_a_crash_are_cleared_and_nothing_else(library: Library) -> None:
    layout = library.layout
    row = photo_row(5, state=WorkState.RENDERED, version=2)
    async with library.database.transaction() as session:
        session.add(row)
    gone = [
        _put(library, layout.temporary("local", "x.cr2")),
        _put(library, layout.temporary(layout.original("anna", row.sha256, "x", NOON))),
        _put(library, layout.temporary(layout.preview("local", row.sha256, 1))),
        _put(library, layout.rendering("local", row.sha256, 1, NOON)),  # an older version
        _put(library, layout.rendering("anna", row.sha256, 2, NOON)),  # of nobody
        _put(library, "recipes/2024/05/.0b5a.json.part"),
    ]
    stays = [
        _put(library, layout.rendering("local", row.sha256, 2, NOON)),  # only has to be kept
        _put(library, layout.original("local", row.sha256, "x.part", NOON)),
        _put(library, "originals/.somebodys.part"),
        _put(library, "originals/2024/05/.DS_Store"),
        _put(library, "inbox/.0123456789abcdef0123456789abcdef.part"),
        _put(library, ".0123456789abcdef0123456789abcdef.part"),
    ]
    done = await remove_leftovers(library.database, layout)
    assert [path for path in gone if path.exists()] == []
    assert [path for path in stays if not path.exists()] == []
    assert done.removed == len(gone)
    assert (await remove_leftovers(library.database, layout)).removed == 0


async def test_old_folders_are_not_read_at_every_start(library: Library) -> None:
    layout = library.layout
    await remove_leftovers(library.database, layout)
    old = _put(library, layout.temporary(layout.original("local", "ab" * 32, "x", NOON)))
    os.utime(old.parent, (NOW - 10**6, NOW - 10**6))
    new = _put(library, layout.temporary(layout.preview("local", "ab" * 32, 1)))
    assert (await remove_leftovers(library.database, layout)).removed == 1
    assert old.exists()
    assert not new.exists()


def test_space(tmp_path: Path) -> None:
    space = Space(tmp_path / "not" / "there" / "yet", 0)
    free = space.free()
    assert free > 0
    space.check()
    assert not Space(tmp_path, free // 2).short()
    assert Space(tmp_path, free // 2).short(free)
    with pytest.raises(DiskFullError, match="SIDECAR_MIN_FREE"):
        Space(tmp_path, free * 2).check()
