"""Killed at any moment of intake and started again: every photo is there once, files and rows agree."""

import asyncio
import contextlib
import random
import sys
from pathlib import Path

import pytest
from sqlmodel import select

from immich_sidecar.library.integrity import ProblemKind, verify
from immich_sidecar.library.leftovers import remove_leftovers
from immich_sidecar.library.tables import EventRow, FileRow, IntakeState, PhotoRow
from tests.library.parts import open_library, write_photo

NUMBER = 24
ROOT = Path(__file__).parents[2]


async def _run(data_dir: Path, folder: Path, *, photos: int, delay: float = 0.0) -> int:
    """Start taking, kill it a moment after it has taken so many photos; returns how many it told of."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.intake.taking", str(data_dir), str(folder)),
        cwd=ROOT,
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    told = 0
    try:
        assert (await asyncio.wait_for(process.stdout.readline(), 110)).strip() == b"ready"
        while told < photos and await asyncio.wait_for(process.stdout.readline(), 110):
            told += 1
        await asyncio.sleep(delay)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    return told


@pytest.mark.timeout(900)
async def test_killed_while_taking(tmp_path: Path) -> None:
    data_dir, folder = tmp_path / "data", tmp_path / "hot"
    for n in range(NUMBER):
        # Some are large, so that some deaths fall into the copying.
        path = write_photo(folder / f"{n}.jpg", n)
        if n % 4 == 0:
            with path.open("ab") as file:
                file.write(random.Random(n).randbytes(6_000_000))
    rng = random.Random(5)
    told = 0
    for _ in range(3):
        told += await _run(data_dir, folder, photos=rng.randrange(4, 11), delay=rng.random() * 0.05)
        async with open_library(data_dir) as library:
            found = (await verify(library.database, library.layout)).problems
            # Bytes may have come without their row, and never a row without its bytes.
            assert {problem.kind for problem in found} <= {ProblemKind.ORPHAN}
            async with library.database.reading() as session:
                done = len((await session.exec(select(PhotoRow))).all())
    assert told <= done < 2 * NUMBER
    await _run(data_dir, folder, photos=2 * NUMBER - done)
    async with open_library(data_dir) as library:
        await remove_leftovers(library.database, library.layout)
        report = await verify(library.database, library.layout)
        assert report.problems == []
        assert report.leftovers == 0
        assert report.originals == 2 * NUMBER
        async with library.database.reading() as session:
            photos = (await session.exec(select(PhotoRow))).all()
            files = (await session.exec(select(FileRow))).all()
            events = (await session.exec(select(EventRow))).all()
    assert len({(photo.owner_id, photo.sha256) for photo in photos}) == 2 * NUMBER
    assert len(events) == 2 * NUMBER  # each was told of once
    assert {file.state for file in files} == {IntakeState.FETCHED}
    assert len({(file.owner_id, file.path) for file in files}) == len(files) == 2 * NUMBER
    assert len(library.files()) == 2 * NUMBER
