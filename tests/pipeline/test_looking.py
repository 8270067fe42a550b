"""Having models look at photos, through a real process: late, dead and broken models cost no photo its suggestion."""

import asyncio
import functools
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import psutil
import pytest

from immich_sidecar.analysis.findings import Box, Face, Job
from immich_sidecar.analysis.runtime.choosing import Choices, profile_of, wanted
from immich_sidecar.analysis.runtime.tagging import Tagger
from immich_sidecar.errors import ModelError
from immich_sidecar.library.layout import Layout
from immich_sidecar.pipeline import model_queue
from immich_sidecar.pipeline.asking import ModelsAsked
from immich_sidecar.pipeline.looking import Looking
from immich_sidecar.pipeline.model_host import Setup
from tests.analysis.fake_models import offered

ALL = ("detection", "segmentation", "embedding", "aesthetic", "technical", "faces")
BRIGHT = 0.9


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[Callable[..., Looking]]:
    """Makes models, by job and options."""
    opened: list[Looking] = []

    def make(models: dict[str, dict[str, Any]] | None = None, revision: str = "1", **options: Any) -> Looking:
        models = {job: {} for job in ALL} if models is None else models
        ttl = options.pop("ttl", 300.0)
        tags = options.pop("tags", None)
        setup = Setup(functools.partial(offered, models, revision), device="cpu", ttl=ttl, tags=tags)
        options = {"timeout": 120.0} | options
        opened.append(Looking(setup, [Job(job) for job in models], Layout(tmp_path / "data"), **options))
        return opened[-1]

    yield make
    for one in opened:
        await one.stop()


@pytest.fixture
def preview(tmp_path: Path) -> Callable[[float], tuple[str, str, Path]]:
    """A photo of that brightness: its owner, its SHA-256 and its preview."""

    def make(brightness: float = 0.5) -> tuple[str, str, Path]:
        path = tmp_path / f"{brightness}.jpg"
        cv2.imwrite(str(path), np.full((60, 80, 3), round(brightness * 255), np.uint8))
        return "local", f"{round(brightness * 1000):064x}", path

    return make


Photo = Callable[..., tuple[str, str, Path]]
Make = Callable[..., Looking]


async def test_everything_that_models_find_is_put_together(house: Make, preview: Photo) -> None:
    made = house()
    assert made.pid is None, "nothing runs before the first photo"
    looked = await made.look(*preview(0.5))
    found = looked.findings
    assert found is not None
    assert [(item.label, item.score) for item in found.objects] == [("dog", pytest.approx(0.5, abs=0.01))]
    assert found.objects[0].mask is not None
    assert found.aesthetic is not None
    assert found.technical is not None
    assert [face.source for face in found.faces] == ["fake-faces"]
    assert found.missing == ()
    assert {run.job.value for run in found.runs} == set(ALL)
    assert all(run.device == "cpu" and run.revision == "1" for run in found.runs)
    assert looked.embedding is not None
    assert (looked.embedding.model, looked.embedding.values.dtype) == ("fake-embedding", np.float32)
    assert psutil.Process(made.pid).nice() == min(19, os.nice(0) + 10)


async def test_without_jobs_there_is_no_process(house: Make, preview: Photo) -> None:
    made = house({})
    looked = await made.look(*preview(0.5))
    assert (looked.findings, looked.embedding, made.pid) == (None, None, None)


async def test_answers_are_kept_and_not_computed_again(house: Make, preview: Photo, tmp_path: Path) -> None:
    first = await house().look(*preview(0.5))
    # Another process, as after a restart, whose models would fail.
    broken = {job: {"behaviour": "raise"} for job in ALL}
    again = await house(broken).look(*preview(0.5))
    assert again.findings is not None
    assert all(run.cached and run.error is None for run in again.findings.runs)
    assert first.findings is not None
    assert again.findings.objects == first.findings.objects
    assert np.array_equal(again.embedding.values, first.embedding.values)
    # Other weights are asked.
    other = await house(broken, revision="2").look(*preview(0.5))
    assert len(other.findings.missing) == len(ALL)
    # And so are the same, a day later.
    for path in (tmp_path / "data/cache/ai_results").rglob("*.json"):
        os.utime(path, (0, time.time() - 25 * 3600))
    assert len((await house(broken).look(*preview(0.5))).findings.missing) == len(ALL)


async def test_what_was_kept_and_is_damaged_is_computed_again(house: Make, preview: Photo, tmp_path: Path) -> None:
    await house().look(*preview(0.5))
    kept = list((tmp_path / "data/cache/ai_results").rglob("*.json"))
    assert len(kept) == len(ALL)
    for path in kept:
        path.write_bytes(path.read_bytes()[:50])
    looked = await house().look(*preview(0.5))
    assert not any(run.cached for run in looked.findings.runs)
    assert looked.findings.missing == ()


@pytest.mark.parametrize("job", ALL)
async def test_one_model_that_fails_costs_its_own_answer(house: Make, preview: Photo, job: str) -> None:
    looked = await house({name: {"behaviour": "raise"} if name == job else {} for name in ALL}).look(*preview(0.5))
    missing = {run.job.value for run in looked.findings.missing}
    assert missing == ({job, "segmentation"} if job == "detection" else {job})
    assert all("ZeroDivisionError" in (run.error or "") for run in looked.findings.missing)


async def test_what_is_late_is_not_waited_for_and_kept_for_later(house: Make, preview: Photo) -> None:
    made = house({"aesthetic": {"seconds": 3.0}, "technical": {}}, timeout=2.0)
    looked = await made.look(*preview(0.5))
    while looked.findings.run(Job.TECHNICAL).error:  # the process itself took too long to start
        looked = await made.look(*preview(0.5))
    if (late := looked.findings.run(Job.AESTHETIC)).error:
        assert "no answer within 2 s" in late.error
    deadline = time.monotonic() + 90
    while not (await made.look(*preview(0.5))).findings.run(Job.AESTHETIC).cached:
        assert time.monotonic() < deadline


async def test_a_photo_that_crashes_the_models_twice_goes_on_without(
    house: Make, preview: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_queue, "FIRST_WAIT", 0.05)
    models = {"aesthetic": {"behaviour": "crash", "from": BRIGHT}, "embedding": {}}
    made = house(models)
    dark, bad, grey = await asyncio.gather(
        made.look(*preview(0.1)), made.look(*preview(0.95)), made.look(*preview(0.5))
    )
    assert dark.findings.missing == grey.findings.missing == ()
    assert "looking at this photo crashed the models 2 times" in bad.findings.run(Job.AESTHETIC).error
    assert bad.findings.run(Job.EMBEDDING).error is None
    # And nothing is left of it.
    assert (await made.look(*preview(0.3))).findings.missing == ()


async def test_a_process_that_ends_without_a_photo_harms_none(house: Make, preview: Photo) -> None:
    made = house()
    await made.look(*preview(0.2))
    os.kill(made.pid, signal.SIGKILL)
    assert (await made.look(*preview(0.4))).findings.missing == ()


async def test_a_process_that_never_lives_long_is_given_up_for_a_while(
    house: Make, preview: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = house({"aesthetic": {"behaviour": "crash"}})
    # Two ends for the first photo, which is not asked about again; one for the second.
    for brightness, wait in ((0.1, 0.05), (0.2, 120.0)):
        monkeypatch.setattr(model_queue, "FIRST_WAIT", wait)
        looked = await made.look(*preview(brightness))
        assert looked.findings.missing
    began = time.monotonic()
    looked = await made.look(*preview(0.3))
    assert "ended 3 times in a row" in looked.findings.missing[0].error
    assert time.monotonic() - began < 60
    assert "in a row" in ((await made.state()).problem or "")


async def test_a_model_that_hangs_is_ended_and_its_photo_goes_on(
    house: Make, preview: Photo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(model_queue, "FIRST_WAIT", 0.05)
    made = house({"aesthetic": {"behaviour": "hang", "from": BRIGHT}, "technical": {}}, hung=5.0)
    looked = await made.look(*preview(0.95))
    assert "crashed the models 2 times" in looked.findings.run(Job.AESTHETIC).error
    assert looked.findings.run(Job.TECHNICAL).error is None


async def test_nobody_waits_for_a_look_that_was_cancelled(house: Make, preview: Photo) -> None:
    made = house({"aesthetic": {"seconds": 0.3}})
    await made.look(*preview(0.1))
    task = asyncio.create_task(made.look(*preview(0.2)))
    await asyncio.sleep(0.1)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (await made.state()).waiting == 0
    assert (await made.look(*preview(0.3))).findings.missing == ()


async def test_a_look_is_ended_by_the_end_of_the_service(house: Make, preview: Photo) -> None:
    made = house({"aesthetic": {"seconds": 60}})
    task = asyncio.create_task(made.look(*preview(0.1)))
    deadline = time.monotonic() + 90
    while made.pid is None:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    pid = made.pid
    await made.stop()
    looked = await asyncio.wait_for(task, 90)
    assert "stopped" in looked.findings.missing[0].error
    assert not psutil.pid_exists(pid) or psutil.Process(pid).status() == "zombie"


async def test_the_process_goes_when_it_has_been_idle(house: Make, preview: Photo) -> None:
    made = house({"aesthetic": {}}, ttl=0.3)
    await made.look(*preview(0.1))
    deadline = time.monotonic() + 90
    while made.pid is not None:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.02)
    assert (await made.look(*preview(0.2))).findings.missing == ()


async def test_models_that_came_or_went_are_noticed_by_another_process(house: Make, preview: Photo) -> None:
    made = house()
    made.renew()
    assert made.pid is None, "nothing has begun"
    await made.look(*preview(0.5))
    first = made.pid
    made.renew()
    looked = await made.look(*preview(0.6))
    assert looked.findings is not None
    assert looked.findings.missing == ()
    assert made.pid not in (None, first)
    await gone(first)


async def test_what_is_looked_at_is_finished_before_models_are_renewed(house: Make, preview: Photo) -> None:
    made = house({"detection": {"seconds": 1.5}, "aesthetic": {}})
    await made.look(*preview(0.4))
    first = made.pid
    looks = [asyncio.create_task(made.look(*preview(0.5)))]
    await asyncio.sleep(0.3)
    made.renew()
    looks.append(asyncio.create_task(made.look(*preview(0.6))))
    for looked in await asyncio.gather(*looks):
        assert looked.findings is not None
        assert looked.findings.missing == ()
    assert made.pid != first
    await gone(first)


async def gone(pid: int | None) -> None:
    """Wait until a process has ended."""
    if pid is None:
        return
    async with asyncio.timeout(90):
        while psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_faces_that_immich_knows_are_not_looked_for(house: Make, preview: Photo) -> None:
    ada = Face(box=Box(x=0, y=0, width=0.1, height=0.1), score=0.9, source="immich", name="Ada")
    looked = await house({"faces": {"behaviour": "raise"}, "aesthetic": {}}).look(*preview(0.5), faces=(ada,))
    assert looked.findings.faces == (ada,)
    assert looked.findings.run(Job.FACES).model == "immich"
    assert looked.findings.missing == ()
    alone = await house({}).look(*preview(0.5), faces=(ada,))
    assert alone.findings.faces == (ada,)


async def test_words_are_asked_for_apart(house: Make, preview: Photo) -> None:
    made = house({"words": {}, "aesthetic": {}})
    looked = await made.look(*preview(0.5))
    assert looked.findings.run(Job.WORDS) is None
    words, run = await made.describe(*preview(0.5))
    assert words.description.startswith("A photo of brightness 0.5")
    assert run.error is None
    again, run = await made.describe(*preview(0.5))
    assert again == words
    assert run.cached


async def test_a_person_points_and_searches(house: Make, preview: Photo) -> None:
    made: ModelsAsked = house()
    assert made.why_not(Job.EMBEDDING) is None
    assert (await made.outline(preview(0.5)[2], 0.2, 0.3)).width == 2
    found = await made.encode_text("a dog")
    assert (found.model, found.revision, found.vector.tolist()) == ("fake-embedding", "1", [1, 0, 0, 0])
    with pytest.raises(ModelError, match="no such word"):
        await made.encode_text("unknown")
    # What was pointed at is not taken for what a detector found.
    assert len((await made.look(*preview(0.5))).findings.objects) == 1
    without = house({"aesthetic": {}})
    with pytest.raises(ModelError, match="SIDECAR_SEGMENTATION"):
        await without.outline(preview(0.5)[2], 0.2, 0.3)
    with pytest.raises(ModelError, match="SIDECAR_EMBEDDING"):
        await without.encode_text("a dog")


async def test_tags_come_with_the_vector(house: Make, preview: Photo, tmp_path: Path) -> None:
    (tmp_path / "vocabulary.txt").write_text("right\nup\n")
    tagger = Tagger(tmp_path / "vocabulary.txt", tmp_path / "vectors")
    looked = await house({"embedding": {}}, tags=tagger).look(*preview(0.1))
    assert [tag.word for tag in looked.findings.tags] == ["right"]
    again = await house({"embedding": {"behaviour": "raise"}}, tags=tagger).look(*preview(0.1))
    assert again.findings.tags == looked.findings.tags
    (tmp_path / "vocabulary.txt").write_bytes(b"\xff")
    looked = await house({"embedding": {}}, revision="2", tags=tagger).look(*preview(0.1))
    assert (looked.findings.tags, looked.findings.missing) == ((), ())


async def test_the_state_tells_who_is_off_and_why(house: Make, preview: Photo) -> None:
    made = house({"aesthetic": {"behaviour": "unloadable"}, "technical": {}})
    before = await made.state()
    assert before.ready is None
    assert before.jobs == {Job.AESTHETIC, Job.TECHNICAL}
    await made.look(*preview(0.5))
    state = await made.state()
    assert state.ready.devices == ("cpu",)
    models = {model.job: model for model in state.standing.models}
    assert "download them again" in models[Job.AESTHETIC].off
    assert (models[Job.TECHNICAL].off, models[Job.TECHNICAL].is_loaded) == (None, True)
    assert state.standing.memory["cpu"].total > 0


_SERVICE = """
import asyncio, functools, sys
from pathlib import Path
from immich_sidecar.analysis.findings import Job
from immich_sidecar.library.layout import Layout
from immich_sidecar.pipeline.looking import Looking
from immich_sidecar.pipeline.model_host import Setup
from tests.analysis.fake_models import offered

async def main():
    setup = Setup(functools.partial(offered, {"aesthetic": {"behaviour": "hang"}}), device="cpu")
    looking = Looking(setup, [Job.AESTHETIC], Layout(Path(sys.argv[1])))
    task = asyncio.create_task(looking.look("local", "0" * 64, Path(sys.argv[2])))
    while looking.pid is None:
        await asyncio.sleep(0.01)
    print(looking.pid, "torch" in sys.modules, flush=True)
    await task

if __name__ == "__main__":
    asyncio.run(main())
"""


def test_the_process_ends_when_the_service_is_killed(tmp_path: Path, preview: Photo) -> None:
    root = Path(__file__).parents[2]
    service = subprocess.Popen(
        [sys.executable, "-c", _SERVICE, str(tmp_path / "data"), str(preview(0.5)[2])],
        cwd=root,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert service.stdout is not None
        pid, has_torch = service.stdout.readline().split()
        assert has_torch == "False"
        models = psutil.Process(int(pid))
    finally:
        service.kill()
        service.wait()
    _, alive = psutil.wait_procs([models], timeout=90)
    assert not [process for process in alive if process.status() != psutil.STATUS_ZOMBIE]


# ---- which models


def test_profiles_say_what_default_means() -> None:
    assert profile_of(Choices(), has_gpu=True, is_installed=True) == "standard"
    assert profile_of(Choices(), has_gpu=True, is_installed=False) == "basic"
    assert profile_of(Choices(), has_gpu=False, is_installed=True) == "basic"
    assert profile_of(Choices(profile="full"), has_gpu=False, is_installed=False) == "full"


@pytest.mark.parametrize(
    ("choices", "jobs"),
    [
        (Choices(), set()),
        (Choices(profile="standard"), set(ALL)),
        (Choices(profile="full"), {*ALL, "words"}),
        (Choices(profile="full", words="off", scoring="off"), {"detection", "segmentation", "embedding", "faces"}),
        (Choices(embedding="immich"), {"embedding"}),
        (Choices(profile="basic", embedding="immich"), set()),
        (Choices(profile="standard", words="endpoint", tone="lut"), {*ALL, "words", "tone"}),
    ],
)
def test_each_model_is_on_or_off_by_its_setting(choices: Choices, jobs: set[str]) -> None:
    assert {job.value for job in wanted(choices, has_gpu=False, is_installed=True)} == jobs
