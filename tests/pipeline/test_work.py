"""The way of a photo from stored to kept, and what happens to it when a step fails."""

import asyncio
import errno
from pathlib import Path

import pytest

from immich_sidecar.errors import (
    DataDirectoryBusyError,
    ImmichAwayError,
    StorageError,
    UndecodableError,
)
from immich_sidecar.events import EventType
from immich_sidecar.library.files import hash_file
from immich_sidecar.library.layout import Layout
from immich_sidecar.library.tables import Review, WorkState
from immich_sidecar.pipeline import dispatcher as dispatcher_module
from immich_sidecar.pipeline import retrying
from immich_sidecar.pipeline.executor import TaskFailed, WorkerDied, WorkerTimeout
from immich_sidecar.pipeline.work_queue import MOST_INTERRUPTIONS
from immich_sidecar.settings import Mode
from tests.pipeline.house import House, ThreadExecutor, developed, left_alone, open_house, truncated


async def test_a_photo_becomes_a_version_that_awaits_its_owner(house: House) -> None:
    sha = await house.drop(developed())
    await house.settled()
    photo = await house.photo(sha)
    assert (photo.state, photo.review, photo.version) == (WorkState.KEPT, Review.PENDING, 1)
    assert not photo.running
    assert photo.analysis
    (version,) = await house.versions(sha)
    digests = hash_file(house.layout.absolute(version.path))
    assert (digests.sha256, digests.sha1, digests.size) == (version.sha256, version.sha1, version.size)
    (recipe,) = await house.recipes(sha)
    assert version.recipe_id == photo.recipe_id == recipe.id
    for n in (0, 1):
        assert house.layout.absolute(house.layout.thumbnail("local", sha, n)).is_file()
        assert house.layout.absolute(house.layout.preview("local", sha, n)).is_file()
    assert await house.history(sha) == ["kept"]
    assert await house.event_types(sha) == [
        EventType.PHOTO_ADDED,
        EventType.ANALYSED,
        EventType.SUGGESTED,
        EventType.READY,
    ]
    assert await house.is_clean()


async def test_a_photo_that_needs_nothing_is_left_alone_with_its_reason(house: House) -> None:
    sha = await house.drop(left_alone())
    await house.settled()
    photo = await house.photo(sha)
    assert (photo.state, photo.review, photo.version) == (WorkState.LEFT_ALONE, Review.NONE, 0)
    assert "panorama" in (photo.left_alone_reason or "")
    assert await house.versions(sha) == []
    assert await house.history(sha) == ["left_alone"]
    assert house.executor.called("render_file") == 0
    assert house.layout.absolute(house.layout.thumbnail("local", sha, 0)).is_file()
    assert await house.is_clean()


async def test_two_owners_with_the_same_photo_have_each_their_own(house: House) -> None:
    sha = await house.drop(developed())
    assert await house.drop(developed(), owner="ada") == sha
    await house.settled()
    mine, hers = await house.photo(sha), await house.photo(sha, "ada")
    assert mine.recipe_id != hers.recipe_id
    (my_version,), (her_version,) = await house.versions(sha), await house.versions(sha, "ada")
    assert my_version.path != her_version.path
    await house.commands.approve("ada", sha, 1)
    assert (await house.photo(sha)).review is Review.PENDING
    assert (await house.photo(sha, "ada")).review is Review.APPROVED
    assert await house.is_clean()


async def test_a_damaged_photo_fails_at_once_and_keeps_what_is_known(house: House) -> None:
    sha = await house.drop(truncated())
    await house.settled()
    photo = await house.photo(sha)
    assert photo.failed_at == "analyse"
    assert photo.last_error
    assert photo.state is WorkState.STORED
    assert await house.history(sha) == ["failed"]
    assert (await house.event_types(sha))[-1] == EventType.FAILED


async def test_a_later_failure_keeps_the_analysis_and_retry_goes_on_there(house: House) -> None:
    house.executor.plan["render_file"] = [UndecodableError("the second half is missing")]
    sha = await house.drop(developed())
    await house.settled()
    photo = await house.photo(sha)
    assert (photo.failed_at, photo.state) == ("render", WorkState.ADVISED)
    assert photo.analysis
    assert photo.last_error == "the second half is missing"
    await house.commands.retry("local", sha, 1)
    await house.settled()
    photo = await house.photo(sha)
    assert (photo.state, photo.failed_at, photo.version) == (WorkState.KEPT, None, 1)
    assert house.executor.called("analyse_file") == 1
    assert len(await house.recipes(sha)) == 1
    assert await house.history(sha) == ["failed", "kept"]
    assert await house.is_clean()


@pytest.mark.parametrize("surprise", [TaskFailed("ZeroDivisionError: x"), RuntimeError("a defect of ours")])
async def test_surprises_fail_the_photo_and_nothing_else(house: House, surprise: Exception) -> None:
    house.executor.plan["analyse_file"] = [surprise]
    first = await house.drop(developed(1))
    await house.settled()
    second = await house.drop(developed(2))
    await house.settled()
    assert (await house.photo(first)).failed_at == "analyse"
    assert (await house.photo(second)).state is WorkState.KEPT


async def test_storage_errors_are_tried_again_with_longer_waits(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "FIRST_WAIT", 0.02)
    house.executor.plan["render_file"] = [StorageError("the share is gone"), OSError(errno.EIO, "broken")]
    sha = await house.drop(developed())
    await house.until(lambda: house.executor.called("render_file") == 3)
    await house.settled()
    photo = await house.photo(sha)
    assert (photo.state, photo.attempts, photo.last_error) == (WorkState.KEPT, 0, None)


async def test_after_eight_attempts_it_is_given_up(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retrying, "FIRST_WAIT", 0.001)
    monkeypatch.setattr(dispatcher_module, "RECORD_WAIT", 0.01)
    house.executor.plan["render_file"] = [StorageError("the share is gone") for _ in range(20)]
    sha = await house.drop(developed())

    async def failed() -> bool:
        return (await house.photo(sha)).failed_at is not None

    await house.until(failed)
    assert (await house.photo(sha)).failed_at == "render"
    assert house.executor.called("render_file") == retrying.ATTEMPTS == 8


def test_waits_double_up_to_an_hour() -> None:
    for attempts, expected in [(1, 5), (2, 10), (3, 20), (7, 320), (11, 3600), (60, 3600)]:
        for _ in range(50):
            wait = retrying.wait_after(attempts)
            assert expected * 0.8 - 1e-9 <= wait <= min(expected * 1.2, 3600) + 1e-9


@pytest.mark.parametrize("lost", [WorkerDied, WorkerTimeout])
async def test_one_death_is_an_accident_and_two_are_the_photo(house: House, lost: type[Exception]) -> None:
    house.executor.plan["analyse_file"] = [lost("gone")]
    once = await house.drop(developed(1))
    await house.settled()
    assert (await house.photo(once)).state is WorkState.KEPT
    house.executor.plan["analyse_file"] = [lost("gone"), lost("gone")]
    twice = await house.drop(developed(2))
    await house.settled()
    photo = await house.photo(twice)
    assert photo.failed_at == "analyse"
    assert "crashed the decoder" in (photo.last_error or "")
    assert photo.crashes == 2


async def test_the_next_state_forgets_the_deaths_of_the_one_before(house: House) -> None:
    house.executor.plan["analyse_file"] = [WorkerDied("gone")]
    house.executor.plan["render_file"] = [WorkerDied("gone")]
    sha = await house.drop(developed())
    await house.settled()
    photo = await house.photo(sha)
    assert (photo.state, photo.crashes) == (WorkState.KEPT, 0)


async def test_immich_away_counts_no_attempt(house: House) -> None:
    house.executor.plan["analyse_file"] = [ImmichAwayError("no answer")]
    sha = await house.drop(developed())
    await house.until(lambda: house.executor.called("analyse_file") == 1)

    async def waits() -> bool:
        return (await house.photo(sha)).due_at is not None

    await house.until(waits)
    photo = await house.photo(sha)
    assert (photo.attempts, photo.failed_at, photo.running) == (0, None, False)
    await house.commands.retry("local", sha, 0)
    await house.settled()
    assert (await house.photo(sha)).state is WorkState.KEPT


async def test_an_immich_that_is_away_is_not_asked_for_every_photo(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher_module, "AWAY_PAUSE", 1000.0)
    house.executor.plan["analyse_file"] = [ImmichAwayError("no answer")] * 9
    await house.commands.pause(None)
    for seed in range(9):
        await house.drop(left_alone(seed))
    await house.commands.resume(None)
    await house.until(lambda: house.executor.called("analyse_file") and not house.dispatcher.in_work)
    await house.dispatcher._fill()
    assert not house.dispatcher.in_work
    assert house.executor.called("analyse_file") <= 2


async def test_without_space_rendering_waits_and_goes_on_by_itself(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dispatcher_module, "SPACE_INTERVAL", 0.05)
    house.space.is_short = True
    dark, panorama = await _store(house, developed()), await _store(house, left_alone())
    house.dispatcher.wake()

    async def stands_still() -> bool:
        return (await house.photo(dark)).state is WorkState.ADVISED and (
            await house.photo(panorama)
        ).state is WorkState.LEFT_ALONE

    await house.until(stands_still)
    await asyncio.sleep(0.2)
    assert (await house.dispatcher.status()).waits_for_space
    photo = await house.photo(dark)
    assert (photo.state, photo.attempts, photo.failed_at) == (WorkState.ADVISED, 0, None)
    house.space.is_short = False
    await house.settled()
    assert (await house.photo(dark)).state is WorkState.KEPT
    assert not (await house.dispatcher.status()).waits_for_space
    # Each shortage is told once when it begins and once when it ends; taking the photos may have made one more.
    told = (await house.event_types(None)).count(EventType.QUEUE_CHANGED)
    assert told in (2, 4)


async def _store(house: House, content: bytes) -> str:
    """Take a photo although there is no space: intake would wait as well."""
    house.space.is_short, before = False, house.space.is_short
    sha = await house.drop(content)
    house.space.is_short = before
    return sha


async def test_space_that_ends_while_rendering_counts_no_attempt(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dispatcher_module, "SPACE_INTERVAL", 0.05)
    original = house.executor.run

    async def run(function, *args, **more):  # type: ignore[no-untyped-def]
        if function.__name__ == "advise_photo":
            house.space.is_short = True
        return await original(function, *args, **more)

    monkeypatch.setattr(house.executor, "run", run)
    sha = await house.drop(developed())

    async def waits() -> bool:
        return (await house.dispatcher.status()).waits_for_space

    await house.until(waits)
    house.space.is_short = False
    await house.settled()
    photo = await house.photo(sha)
    assert (photo.state, photo.attempts) == (WorkState.KEPT, 0)


async def test_higher_priority_first_then_age(tmp_path: Path) -> None:
    async with open_house(tmp_path, slots=1, start=False) as house:
        first, second, third = [await house.drop(developed(seed)) for seed in (1, 2, 3)]
        await house.commands.first("local", third, 0)
        await house.dispatcher.start()
        await house.settled()
        order = [args[0] for name, args in house.executor.calls if name == "analyse_file"]
        assert [next(sha for sha in (first, second, third) if sha in path) for path in order] == [
            third,
            first,
            second,
        ]


async def test_one_that_is_put_first_overtakes_between_steps(tmp_path: Path) -> None:
    async with open_house(tmp_path, slots=1) as house:
        gate = house.executor.hold("analyse_file")
        first = await house.drop(developed(1))
        await house.until(lambda: house.executor.called("analyse_file") == 1)
        second = await house.drop(developed(2))
        await house.commands.first("local", second, 0)
        gate.set()
        await house.settled()
        renders = [args[0] for name, args in house.executor.calls if name == "render_file"]
        assert second in renders[0]
        assert first in renders[1]


async def test_pausing_finishes_the_step_and_begins_nothing(house: House) -> None:
    gate = house.executor.hold("analyse_file")
    sha = await house.drop(developed(1))
    await house.until(lambda: house.executor.called("analyse_file") == 1)
    await house.commands.pause("local")
    gate.set()

    async def rests() -> bool:
        return not (await house.photo(sha)).running

    await house.until(rests)
    other = await house.drop(developed(2))
    hers = await house.drop(developed(3), owner="ada")
    await house.until(lambda: _is(house, hers, WorkState.KEPT, "ada"))
    assert (await house.photo(sha)).state is WorkState.ANALYSED
    assert (await house.photo(other)).state is WorkState.STORED
    status = await house.dispatcher.status("local")
    assert status.paused
    assert status.waiting == 2
    await house.commands.resume("local")
    await house.settled()
    assert (await house.photo(sha)).state is (await house.photo(other)).state is WorkState.KEPT


async def _is(house: House, sha: str, state: WorkState, owner: str = "local") -> bool:
    return (await house.photo(sha, owner)).state is state


async def test_pausing_everybody_survives_a_restart(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        await house.commands.pause(None)
        sha = await house.drop(developed())
    async with open_house(tmp_path) as house:
        await asyncio.sleep(0.3)
        assert (await house.photo(sha)).state is WorkState.STORED
        assert (await house.dispatcher.status()).paused_all
        await house.commands.resume(None)
        await house.settled()
        assert (await house.photo(sha)).state is WorkState.KEPT


async def test_no_more_in_flight_than_slots(tmp_path: Path) -> None:
    most = 0

    class Counting(ThreadExecutor):
        running = 0

        async def run(self, function, /, *args, **more):  # type: ignore[no-untyped-def]
            nonlocal most
            self.running += 1
            most = max(most, self.running)
            try:
                return await super().run(function, *args, **more)
            finally:
                self.running -= 1

    async with open_house(tmp_path, executor=Counting(), slots=2) as house:
        for seed in range(6):
            await house.drop(developed(seed))
        await house.settled()
    assert most == 2


async def test_a_lost_rendering_is_made_again(house: House) -> None:
    house.executor.plan["preview_file"] = [UndecodableError("stop here")]
    sha = await house.drop(developed())
    await house.settled()
    photo = await house.photo(sha)
    assert (photo.failed_at, photo.state) == ("keep", WorkState.RENDERED)
    (version,) = await house.versions(sha)
    house.layout.absolute(version.path).unlink()
    await house.commands.retry("local", sha, 1)
    await house.settled()
    (again,) = await house.versions(sha)
    assert (again.sha256, again.n) == (version.sha256, 1)
    assert house.executor.called("render_file") == 2
    assert await house.is_clean()


async def test_auto_approves_what_is_certain_and_can_be_undone(tmp_path: Path) -> None:
    async with open_house(tmp_path, mode=Mode.AUTO) as house:
        sha = await house.drop(developed())
        await house.settled()
        (recipe,) = await house.recipes(sha)
        assert min(s["confidence"] for s in recipe.ai_metadata["suggestions"] if s["applied"]) >= 0.9
        assert (await house.photo(sha)).review is Review.APPROVED
        (decision,) = await house.decisions(sha)
        assert (decision.kind, decision.before["review"]) == ("auto", "pending")
        await house.commands.undo("local", sha, 1)
        assert (await house.photo(sha)).review is Review.PENDING


async def test_the_data_directory_has_one_dispatcher(house: House, tmp_path: Path) -> None:
    with pytest.raises(DataDirectoryBusyError, match="in use by another"):
        async with open_house(tmp_path):
            pass


def test_a_lock_that_cannot_be_taken_is_told_in_words(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    layout.lock.mkdir()
    with pytest.raises(StorageError, match="cannot be locked"):
        dispatcher_module.hold_data_directory(layout)


async def test_stopping_is_quick_and_what_ran_goes_on_without_a_mark(tmp_path: Path) -> None:
    async with open_house(tmp_path) as house:
        house.executor.hold("render_file")
        sha = await house.drop(developed())
        await house.until(lambda: house.executor.called("render_file") == 1)
        # It would never come back by itself.
        await asyncio.wait_for(house.dispatcher.stop(), 60)
        photo = await house.photo(sha)
        assert (photo.state, photo.running, photo.interruptions) == (WorkState.ADVISED, False, 0)
    async with open_house(tmp_path) as house:
        await house.settled()
        assert (await house.photo(sha)).state is WorkState.KEPT
        assert await house.is_clean()


async def test_interrupted_photos_go_on_then_run_alone_then_fail(tmp_path: Path) -> None:
    async with open_house(tmp_path, start=False) as house:
        once, twice, often, calm = [await house.drop(developed(seed)) for seed in (1, 2, 3, 4)]
        await house.change(once, running=True)
        await house.change(twice, running=True, interruptions=1)
        await house.change(often, running=True, interruptions=MOST_INTERRUPTIONS - 1)
        together: list[set[str]] = []
        original = house.executor.run

        async def run(function, *args, **more):  # type: ignore[no-untyped-def]
            together.append({step.sha256 for step in (await house.dispatcher.status()).running})
            return await original(function, *args, **more)

        house.executor.run = run
        await house.dispatcher.start()
        await house.settled()
        for sha in (once, twice, calm):
            photo = await house.photo(sha)
            assert (photo.state, photo.interruptions) == (WorkState.KEPT, 0)
        assert {twice} in together
        # From its first step on it was alone; once it had passed that state it was one of many again.
        first = next(present for present in together if twice in present)
        assert first == {twice}
        photo = await house.photo(often)
        assert photo.failed_at == "analyse"
        assert "5 times" in (photo.last_error or "")
        assert await house.history(often) == ["failed"]
