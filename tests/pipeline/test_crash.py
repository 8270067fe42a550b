"""Killed at any point and started again, every photo ends in the right state once, and files and rows agree."""

import asyncio
import contextlib
import random
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from immich_sidecar.library import integrity
from immich_sidecar.library.database import Database
from immich_sidecar.library.layout import Layout
from tests.pipeline.house import developed, left_alone
from tests.pipeline.running import Running

#: (state in which a photo is found running, task before which the service stands still)
HELD = [
    ("stored", "analyse_file"),
    ("analysed", "advise_photo"),
    ("advised", "render_file"),
    ("rendered", "preview_file"),
]


def _verify(data: Path) -> integrity.Report:
    async def look() -> integrity.Report:
        layout = Layout(data)
        database = Database(layout.database)
        await database.open()
        try:
            return await integrity.verify(database, layout)
        finally:
            await database.close()

    return asyncio.run(look())


def _whole_way(folder: Path, seed: int) -> None:
    """Kill a service in each state of the work, while it writes, and while it is given commands."""
    chance = random.Random(seed)
    with Running(folder) as service:
        service.start(SIDECAR_TEST_HOLD="analyse_file")
        for number in range(3):
            service.drop(f"dark-{number}.jpg", developed(seed * 10 + number))
        service.drop("panorama.jpg", left_alone(seed))
        # While files are being taken.
        service.until(lambda: service.rows("select 1 from files") or service.rows("select 1 from photos"))
        time.sleep(chance.uniform(0, 0.2))
        service.kill()

        for state, task in HELD:
            service.start(SIDECAR_TEST_HOLD=task)
            service.until(lambda state=state: service.rows("select 1 from photos where running and state = ?", state))
            time.sleep(chance.uniform(0, 0.3))
            service.kill()
            if state == "analysed":
                # In the middle of writing a version.
                service.start(SIDECAR_TEST_HOLD="half_render")
                service.until(lambda: list(service.data.rglob("processed/**/.*.half")))
                service.kill()
                for path in service.data.rglob("processed/**/.*.half"):
                    path.unlink()

        # As soon as something is kept, with others still on their way.
        service.start()
        service.until(lambda: service.rows("select 1 from photos where state = 'kept'"))
        service.kill()

        service.start()
        service.until(lambda: not service.working() and service.rows("select count(*) = 4 from photos") == [(1,)])
        _kill_during_commands(service, chance)

        service.start()
        service.until(lambda: not service.working())
        assert service.stop() < 45

        _ended_well(service)


def _kill_during_commands(service: Running, chance: random.Random) -> None:
    photos = [sha for (sha,) in service.rows("select sha256 from photos where state = 'kept'")]
    ended = threading.Event()
    refused: list[Any] = []

    def decide() -> None:
        while not ended.is_set():
            sha = chance.choice(photos)
            ((version,),) = service.rows("select version from photos where sha256 = ?", sha)
            path, method, body = chance.choice(
                [
                    ("approve", "POST", {}),
                    ("undo", "POST", {}),
                    ("reject", "POST", {}),
                    ("recipe", "PUT", {"operations": {"exposure": {"ev": round(chance.uniform(0.5, 3), 2)}}}),
                ]
            )
            with contextlib.suppress(OSError):
                status, answer = service.ask(method, f"/api/photos/{sha}/{path}", body | {"version": version})
                if status not in (200, 409):
                    refused.append((status, method, path, answer))

    thread = threading.Thread(target=decide)
    thread.start()
    try:
        service.until(lambda: service.rows("select 1 from decisions"))
        time.sleep(chance.uniform(0, 0.9))
        service.kill()
    finally:
        ended.set()
        thread.join()
    assert not refused, (refused, (service.folder / "service.log").read_text()[-6000:])
    assert service.rows("select count(*) from decisions")[0][0] > 0


def _ended_well(service: Running) -> None:
    for sha, state, failed_at, running, review in service.rows(
        "select sha256, state, failed_at, running, review from photos"
    ):
        assert failed_at is None, service.rows("select last_error from photos where sha256 = ?", sha)
        assert not running
        assert state in ("kept", "left_alone")
        assert (review == "none") == (state == "left_alone")
    assert service.rows("select count(*) from photos where state = 'left_alone'") == [(1,)]
    # Nothing twice: one row a version, one recipe a version, the first version kept once.
    assert not service.rows("select photo, n from versions group by owner_id, photo, n having count(*) > 1")
    firsts = service.rows("select count(*), count(distinct photo) from versions where n = 1")
    assert firsts == [(3, 3)]
    kept = service.rows(
        "select original_file_hash, recipe_id from processing_history where status = 'kept' "
        "group by 1, 2 having count(*) > 1"
    )
    assert not kept or _came_back(service, kept)
    report = _verify(service.data)
    assert report.clean, report.problems
    assert report.leftovers == 0


def _came_back(service: Running, kept: list[tuple[Any, ...]]) -> bool:
    """A version that was left before it was kept, and to which undo led back, is finished once more."""
    return all(service.rows("select 1 from decisions where photo = ? and kind = 'undo'", sha) for sha, _ in kept)


@pytest.mark.timeout(900)
def test_killed_once_in_each_state(tmp_path: Path) -> None:
    _whole_way(tmp_path, 1)


@pytest.mark.crash
@pytest.mark.timeout(900)
@pytest.mark.parametrize("number", range(10))
def test_ten_rounds(tmp_path: Path, number: int) -> None:
    _whole_way(tmp_path, 100 + number)
