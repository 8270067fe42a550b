"""Files that are still on their way are not taken for photos that end there."""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path

import pytest

from immich_sidecar.intake.unfinished import looks_unfinished
from immich_sidecar.library.tables import IntakeState, PhotoRow
from tests.intake.test_hot_folder import PACE, _count, _files, _following, _until_decided
from tests.library.parts import Library, open_library
from tests.photos import make

WRITERS = [
    make.write_jpeg,
    make.write_jpeg_with_everything,
    make.write_png,
    make.write_tiff,
    make.write_webp,
    make.write_avif,
    make.write_heic,
    make.write_dng,
]


@pytest.fixture
async def library(tmp_path: Path) -> AsyncIterator[Library]:
    async with open_library(tmp_path / "data") as opened:
        yield opened


@pytest.mark.parametrize("write", WRITERS)
def test_what_ends_early_is_told_by_its_content(tmp_path: Path, write: Callable[..., Path]) -> None:
    whole = write(tmp_path / "whole", make.sample_photo("coffee"))
    assert not looks_unfinished(whole)
    content = whole.read_bytes()
    for part in (0.05, 0.3, 0.6, 0.95):
        cut = tmp_path / "cut"
        cut.write_bytes(content[: int(len(content) * part)])
        assert looks_unfinished(cut), part


def test_what_follows_a_picture_is_part_of_no_measure(tmp_path: Path) -> None:
    path = make.write_jpeg(tmp_path / "a.jpg", make.sample_photo("coffee"))
    path.write_bytes(path.read_bytes() + bytes(5000))
    assert not looks_unfinished(path)


@pytest.mark.parametrize("content", [b"", b"no photo at all", b"II"])
def test_what_is_no_photo_tells_nothing_or_is_waited_for(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    assert looks_unfinished(path) is (content == b"II")
    assert not looks_unfinished(tmp_path / "nothing.jpg")


def test_of_real_photos_those_that_were_cut(photos: Path) -> None:
    found = {path.name for path in photos.rglob("*") if path.is_file() and looks_unfinished(path)}
    assert found == {"cut-in-half.jpg", "cut.cr2", "truncated.jpg"}


async def test_a_copy_that_pauses_becomes_one_photo(library: Library, tmp_path: Path) -> None:
    root = tmp_path / "photos"
    root.mkdir()
    content = make.write_jpeg(tmp_path / "whole.jpg", make.sample_photo("coffee")).read_bytes()
    async with _following(library, (root, "local"), pace=replace(PACE, unfinished=300.0)):
        with (root / "slow.jpg").open("wb") as file:
            file.write(content[: len(content) // 3])
            file.flush()
            await asyncio.sleep(5 * PACE.settle)
            assert await _files(library) == {}
            file.write(content[len(content) // 3 :])
        rows = await _until_decided(library, "slow.jpg")
    assert rows["slow.jpg"].size == len(content)
    assert await _count(library, PhotoRow) == 1


@pytest.mark.parametrize("is_old", [False, True])
async def test_a_file_that_was_cut_for_good_does_not_wait_for_ever(
    library: Library, tmp_path: Path, is_old: bool
) -> None:
    root = tmp_path / "photos"
    root.mkdir()
    content = make.write_jpeg(tmp_path / "whole.jpg", make.sample_photo("coffee")).read_bytes()
    cut = root / "cut.jpg"
    began = time.monotonic()
    cut.write_bytes(content[: len(content) // 2])
    if is_old:
        os.utime(cut, (time.time() - 1000, time.time() - 1000))
    async with _following(library, (root, "local"), pace=replace(PACE, unfinished=500.0 if is_old else 2.0)):
        rows = await _until_decided(library, "cut.jpg", seconds=90)
    assert rows["cut.jpg"].state is IntakeState.FETCHED
    if not is_old:
        # Times of files are a little coarse.
        assert time.monotonic() - began >= 1.9
