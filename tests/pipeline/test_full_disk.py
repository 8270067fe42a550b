"""Work on a full disk: it waits, counts nothing against a photo, and goes on by itself."""

import asyncio

import pytest

from immich_sidecar.errors import DiskFullError
from immich_sidecar.library.tables import WorkState
from immich_sidecar.pipeline import dispatcher
from tests.pipeline.house import House, developed


@pytest.mark.parametrize(
    ("task", "state"),
    [
        ("analyse_file", WorkState.STORED),
        ("advise_photo", WorkState.ANALYSED),
        ("preview_file", WorkState.RENDERED),
    ],
)
async def test_a_step_that_finds_no_room_is_not_repeated_at_once(
    house: House, monkeypatch: pytest.MonkeyPatch, task: str, state: WorkState
) -> None:
    monkeypatch.setattr(dispatcher, "SPACE_INTERVAL", 0.5)
    house.executor.plan[task] = [DiskFullError("no space is left")] * 1000
    await house.commands.pause(None)
    sha = await house.drop(developed())
    rendering = house.executor.hold("render_file")
    if state is WorkState.RENDERED:
        # There is room until it is being rendered.
        await house.commands.resume(None)
        await house.until(lambda: house.executor.called("render_file"))
    house.space.is_short = True
    rendering.set()
    await house.commands.resume(None)
    await house.until(lambda: house.executor.called(task))
    before = house.executor.called(task)
    await asyncio.sleep(1.2)
    assert house.executor.called(task) - before <= 3
    photo = await house.photo(sha)
    assert (photo.state, photo.attempts, photo.failed_at) == (state, 0, None)
    house.space.is_short = False
    house.executor.plan[task] = []

    async def is_kept() -> bool:
        return (await house.photo(sha)).state is WorkState.KEPT

    await house.until(is_kept)
    assert await house.is_clean()
