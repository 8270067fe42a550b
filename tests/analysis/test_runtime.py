"""The runner: batches, memory that is not enough, models that misbehave, and words that give way."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any, ClassVar

import cv2
import numpy as np
import pytest

from immich_sidecar.analysis.findings import Box, Job
from immich_sidecar.analysis.models.model import CPU, Device, Model, ModelFiles
from immich_sidecar.analysis.models.view import View
from immich_sidecar.analysis.runtime.lane import Answer
from immich_sidecar.analysis.runtime.look import Looks, Request
from immich_sidecar.analysis.runtime.memory import Memory, batch_size, is_out_of_memory, measure
from immich_sidecar.analysis.runtime.placement import choose_devices, has_gpu, spread
from immich_sidecar.analysis.runtime.runner import Runner
from immich_sidecar.errors import WeightsMissingError
from tests.analysis import fake_models as fakes

GPU = Device("cuda", 0)
PLENTY = Memory(1 << 40, 1 << 40)


def files(name: str = "fake", **options: Any) -> ModelFiles:
    return ModelFiles(name=name, folder=Path(), revision="1", licence="MIT", options=options)


def view(brightness: int = 100) -> View:
    return View(np.full((60, 80, 3), brightness, np.uint8))


def ready(futures: list["Future[Answer]"]) -> list[Answer]:
    return [future.result(90) for future in futures]


@pytest.fixture
def runner() -> Iterator[Callable[..., Runner]]:
    made: list[Runner] = []

    def make(*offers: Any, **options: Any) -> Runner:
        named = {offer.job: offer for offer in offers}
        options = {"measure_memory": lambda _: PLENTY} | options
        made.append(Runner(named, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


# ---- batches


class Waiting(fakes.Aesthetic):
    """Holds its first batch until it is let go."""

    def __init__(self, given: ModelFiles) -> None:
        super().__init__(given)
        self.began, self.go = threading.Event(), threading.Event()

    def predict(self, batch: Any) -> Any:
        self.began.set()
        assert self.go.wait(90)
        return super().predict(batch)


def queued(made: Runner, model: Waiting, count: int) -> list["Future[Answer]"]:
    """Ask about photos of rising brightness, all of which but the first wait while the first is looked at."""
    first = made.ask(model.job, view(0))
    assert model.began.wait(90)
    rest = [made.ask(model.job, view(n)) for n in range(1, count)]
    model.go.set()
    return [first, *rest]


def test_photos_that_wait_share_batches_and_each_gets_its_own_answer(runner: Callable[..., Runner]) -> None:
    model = Waiting(files())
    answers = ready(queued(runner(model), model, 10))
    assert [round(answer.value.votes[9] * 255) for answer in answers] == list(range(10))
    assert model.batches == [1, 4, 4, 1]
    run = answers[0].run
    assert (run.model, run.revision, run.device, run.error) == ("fake", "1", "cpu", None)
    assert run.seconds > 0


def test_batches_are_as_large_as_memory_allows(runner: Callable[..., Runner]) -> None:
    model = Waiting(files(bytes=100))
    made = runner(model, devices=(GPU,), measure_memory=lambda _: Memory(10_000, 1_100))
    ready(queued(made, model, 20))
    assert model.batches == [1, 8, 8, 3]


def test_batches_can_be_limited_from_outside(runner: Callable[..., Runner]) -> None:
    model = Waiting(files())
    made = runner(model)
    made.batch_limit = 2
    ready(queued(made, model, 5))
    assert model.batches == [1, 2, 2]


@pytest.mark.parametrize(
    ("free", "largest", "is_loaded", "size"),
    [(10**9, 32, True, 32), (10**9, 6, True, 6), (1000, 32, False, 4), (1000, 32, True, 8), (150, 32, False, 0)],
)
def test_a_batch_takes_no_more_than_its_share(free: int, largest: int, is_loaded: bool, size: int) -> None:
    assert batch_size(lambda batch: 300 + 90 * batch if free > 200 else 400, free, largest, is_loaded=is_loaded) == size


# ---- memory


def test_out_of_memory_makes_batches_smaller(runner: Callable[..., Runner]) -> None:
    model = Waiting(files(most=3))
    made = runner(model, devices=(GPU,))
    answers = ready(queued(made, model, 17))
    assert all(answer.run.error is None and answer.run.device == "cuda:0" for answer in answers)
    assert [round(answer.value.votes[9] * 255) for answer in answers] == list(range(17))
    assert model.batches[:4] == [1, 16, 8, 4]
    # What was learnt holds for the next photos.
    assert max(model.batches[4:]) <= 3


def test_then_the_processor_takes_over(runner: Callable[..., Runner]) -> None:
    model = fakes.Aesthetic(files(most=0))
    (answer,) = ready([runner(model, devices=(GPU,)).ask(model.job, view())])
    assert (answer.run.error, answer.run.device) == (None, "cpu")
    assert model.loads == [GPU, CPU]


def test_a_model_that_does_not_fit_is_loaded_on_the_processor(runner: Callable[..., Runner]) -> None:
    model = fakes.Aesthetic(files(too_small=("cuda",)))
    (answer,) = ready([runner(model, devices=(GPU,)).ask(model.job, view())])
    assert (answer.run.error, answer.run.device) == (None, "cpu")


def test_and_then_it_is_done_without(runner: Callable[..., Runner]) -> None:
    model = fakes.Aesthetic(files(most=0, most_on_cpu=0))
    made = runner(model, devices=(GPU,))
    (answer,) = ready([made.ask(model.job, view())])
    assert answer.value is None
    assert "not enough memory, not even for one photo" in (answer.run.error or "")
    loads = len(model.loads)
    (again,) = ready([made.ask(model.job, view())])
    assert again.run.error == answer.run.error
    assert len(model.loads) == loads, "it is not tried again at once"
    (state,) = made.states()
    assert "not enough memory" in (state.off or "")


def test_a_model_is_not_loaded_into_memory_that_is_not_there(runner: Callable[..., Runner]) -> None:
    model = fakes.Aesthetic(files(weights=10**9))
    (answer,) = ready([runner(model, measure_memory=lambda _: Memory(10**9, 10**8)).ask(model.job, view())])
    assert "1.0 GB are needed on cpu" in (answer.run.error or "")
    assert model.loads == []


def test_idle_models_make_room(runner: Callable[..., Runner]) -> None:
    first, second = fakes.Aesthetic(files(weights=600)), fakes.Technical(files(weights=600))

    def memory(_: Device) -> Memory:
        return Memory(10_000, 2_000 - 1_000 * sum(model.is_loaded for model in (first, second)))

    made = runner(first, second, measure_memory=memory)
    ready([made.ask(first.job, view())])
    assert first.is_loaded
    (answer,) = ready([made.ask(second.job, view())])
    assert answer.run.error is None
    assert (first.is_loaded, second.is_loaded) == (False, True)


def test_models_are_unloaded_after_a_while_and_come_back(runner: Callable[..., Runner]) -> None:
    model = fakes.Aesthetic(files())
    made = runner(model, ttl=0.05)
    ready([made.ask(model.job, view())])
    deadline = time.monotonic() + 90
    while model.is_loaded:
        assert time.monotonic() < deadline
        time.sleep(0.02)
    (answer,) = ready([made.ask(model.job, view())])
    assert answer.run.error is None
    assert model.loads == [CPU, CPU]


def test_models_are_unloaded_when_memory_is_short(runner: Callable[..., Runner]) -> None:
    model = fakes.Aesthetic(files())
    is_short = threading.Event()
    made = runner(model, ttl=0, measure_memory=lambda _: Memory(10**12, 10**10 if is_short.is_set() else 10**12))
    ready([made.ask(model.job, view())])
    is_short.set()
    deadline = time.monotonic() + 90
    while model.is_loaded:
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_the_memory_of_a_container_is_its_limit(tmp_path: Path) -> None:
    (tmp_path / "memory.max").write_text(f"{1 << 28}\n")
    (tmp_path / "memory.current").write_text(f"{1 << 27}\n")
    (tmp_path / "memory.stat").write_text(f"anon 5\ninactive_file {1 << 26}\n")
    assert measure(cgroup=tmp_path) == Memory(1 << 28, (1 << 28) - (1 << 27) + (1 << 26))
    (tmp_path / "memory.max").write_text("max\n")
    assert measure(cgroup=tmp_path).total > 1 << 28


def test_libraries_say_out_of_memory_in_many_ways() -> None:
    torch = pytest.importorskip("torch")
    assert is_out_of_memory(torch.OutOfMemoryError("CUDA out of memory."))
    assert is_out_of_memory(MemoryError())
    assert is_out_of_memory(RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"))
    with pytest.raises(cv2.error) as caught:
        raise cv2.error("OpenCV: Insufficient memory: Failed to allocate 99999 bytes")
    assert is_out_of_memory(caught.value)
    assert not is_out_of_memory(RuntimeError("shapes do not match"))
    assert not is_out_of_memory(OSError("out of memory cards"))


# ---- models that misbehave


def test_a_photo_that_a_model_fails_at_costs_no_other(runner: Callable[..., Runner]) -> None:
    class Picky(Waiting):
        def answer(self, given: View) -> Any:
            if given.display[0, 0, 0] == 3:
                raise ZeroDivisionError("a defect")
            return super().answer(given)

    model = Picky(files())
    answers = ready(queued(runner(model), model, 6))
    assert [answer.run.error is None for answer in answers] == [True, True, True, False, True, True]
    assert "ZeroDivisionError: a defect" in (answers[3].run.error or "")


@pytest.mark.parametrize("behaviour", ["garbage", "short", "raise"])
def test_what_is_no_answer_is_told(runner: Callable[..., Runner], behaviour: str) -> None:
    for kind in (fakes.Detection, fakes.Embedding, fakes.Aesthetic, fakes.Faces):
        model = kind(files(behaviour=behaviour))
        (answer,) = ready([runner(model).ask(model.job, view())])
        assert answer.value is None
        assert answer.run.error


def test_an_embedding_that_is_no_direction_is_refused(runner: Callable[..., Runner]) -> None:
    class Long(fakes.Embedding):
        def answer(self, given: View) -> Any:
            return np.array([3.0, 4.0], np.float32)

    model = Long(files())
    (answer,) = ready([runner(model).ask(model.job, view())])
    assert "is none to embedding" in (answer.run.error or "")


def test_a_model_that_cannot_be_loaded_is_left_alone_for_a_while(runner: Callable[..., Runner]) -> None:
    model = fakes.Aesthetic(files(behaviour="unloadable"))
    made = runner(model)
    for _ in range(3):
        (answer,) = ready([made.ask(model.job, view())])
        assert answer.run.error == "fake: its weights cannot be read; download them again"
    assert model.loads == [CPU]


def test_a_job_without_a_model_says_why(runner: Callable[..., Runner]) -> None:
    made = Runner({Job.FACES: WeightsMissingError("its weights are not here")})
    assert made.ask(Job.FACES, view()).result(0).run.error == "its weights are not here"
    assert made.ask(Job.TONE, view()).result(0).run.error == "no model is chosen for this"


def test_what_goes_to_a_model_is_announced(runner: Callable[..., Runner]) -> None:
    heard: list[Any] = []
    model = fakes.Aesthetic(files())
    made = runner(model, on_batch=lambda name, job, tags: heard.append((name, job, list(tags))))
    made.ask(model.job, view(), "photo 1").result(90)
    (began, ended) = heard
    assert began[0] == ended[0]
    assert (began[1], began[2], ended[2]) == (Job.AESTHETIC, ["photo 1"], [])
    assert made.longest() is None


def test_questions_can_be_taken_back(runner: Callable[..., Runner]) -> None:
    model = Waiting(files())
    made = runner(model)
    first = made.ask(model.job, view())
    assert model.began.wait(90)
    second, third = made.ask(model.job, view()), made.ask(model.job, view())
    assert made.longest()[0] is model.job
    assert second.cancel()
    model.go.set()
    ready([first, third])
    assert sum(model.batches) == 2


def test_closing_takes_back_what_waits(runner: Callable[..., Runner]) -> None:
    model = Waiting(files())
    made = runner(model)
    first = made.ask(model.job, view())
    assert model.began.wait(90)
    second = made.ask(model.job, view())
    model.go.set()
    made.close()
    assert first.result(90).run.error is None
    assert second.cancelled() or second.result(0).run.error is None
    assert not model.is_loaded
    assert made.ask(model.job, view()).cancelled()


# ---- words


def test_words_give_way_to_whoever_waits(runner: Callable[..., Runner]) -> None:
    order: list[str] = []

    class Slow(Waiting):
        def answer(self, given: Any) -> Any:
            order.append("quality")
            return super().answer(given)

    class Speaking(fakes.Describing):
        spoke = threading.Event()

        def answer(self, given: Any) -> Any:
            for _ in range(40):
                self.give_way()
                order.append("word")
                self.spoke.set()
                time.sleep(0.01)
            return super().answer(given)

    quality, words = Slow(files()), Speaking(files("talker"))
    made = runner(quality, words)
    from immich_sidecar.analysis.models.view import Asked

    told = made.ask(Job.WORDS, Asked(view()))
    assert words.spoke.wait(90)
    # All three wait before the first has been looked at.
    asked = [made.ask(quality.job, view()) for _ in range(3)]
    quality.go.set()
    ready(asked)
    said = order.count("word")
    assert order.count("quality") == 3
    assert told.result(90).value.description.startswith("A photo")
    assert order.count("word") > said, "it went on after them"
    first, last = order.index("quality"), len(order) - 1 - order[::-1].index("quality")
    assert order[first : last + 1].count("word") <= 1, "it paused while they were looked at"


# ---- a whole photo


@pytest.fixture
def preview(tmp_path: Path) -> Path:
    cv2.imwrite(str(tmp_path / "preview.jpg"), np.full((120, 160, 3), 128, np.uint8))
    return tmp_path / "preview.jpg"


def looked(made: Runner, request: Request) -> dict[Job, tuple[Any, Any]]:
    found: dict[Job, tuple[Any, Any]] = {}
    done = threading.Event()

    def hear(job: Job, run: Any, value: Any) -> None:
        assert job not in found
        found[job] = (run, value)
        if len(found) == len(request.jobs):
            done.set()

    looks = Looks(made)
    looks.begin(request, hear)
    assert done.wait(90)
    looks.close()
    return found


def test_a_photo_is_looked_at_by_all_and_outlined_where_something_is(
    runner: Callable[..., Runner], preview: Path
) -> None:
    made = runner(*(kind(files()) for kind in (fakes.Detection, fakes.Segmentation, fakes.Embedding, fakes.Faces)))
    jobs = frozenset({Job.DETECTION, Job.SEGMENTATION, Job.EMBEDDING, Job.FACES, Job.TECHNICAL})
    found = looked(made, Request("a", preview, jobs))
    assert [item.label for item in found[Job.DETECTION][1]] == ["dog"]
    assert len(found[Job.SEGMENTATION][1]) == 1
    assert found[Job.EMBEDDING][1].shape == (4,)
    assert found[Job.TECHNICAL][0].error == "no model is chosen for this"


def test_without_boxes_there_is_nothing_to_outline_and_it_says_why(
    runner: Callable[..., Runner], preview: Path
) -> None:
    made = runner(fakes.Detection(files(behaviour="raise")), fakes.Segmentation(files()))
    found = looked(made, Request("a", preview, frozenset({Job.DETECTION, Job.SEGMENTATION})))
    assert "ZeroDivisionError" in found[Job.SEGMENTATION][0].error


def test_places_that_a_person_points_at_are_outlined(runner: Callable[..., Runner], preview: Path) -> None:
    made = runner(fakes.Detection(files()), fakes.Segmentation(files()))
    box = Box(x=0, y=0, width=0.5, height=0.5)
    request = Request("a", preview, frozenset({Job.SEGMENTATION}), boxes=(box,), points=((0.5, 0.5),))
    assert len(looked(made, request)[Job.SEGMENTATION][1]) == 2


def test_a_preview_that_is_gone_is_told_for_each_job(runner: Callable[..., Runner], tmp_path: Path) -> None:
    request = Request("a", tmp_path / "none.jpg", frozenset({Job.EMBEDDING, Job.FACES}))
    found = looked(runner(fakes.Embedding(files())), request)
    assert all("the preview cannot be read" in run.error for run, _ in found.values())


# ---- devices


def test_devices_are_those_that_are_there_and_wanted() -> None:
    assert choose_devices("auto", (), {}) == ((CPU,), None)
    assert choose_devices("auto", (), {"xpu": 1}) == ((CPU,), None)
    assert choose_devices("auto", (), {"rocm": 2}) == ((Device("rocm", 0),), None)
    assert choose_devices("cuda", (1, 0), {"cuda": 2}) == ((Device("cuda", 1), Device("cuda", 0)), None)
    devices, problem = choose_devices("cuda", (), {"rocm": 1})
    assert devices == (CPU,)
    assert "no such device" in (problem or "")
    devices, problem = choose_devices("cuda", (0, 7), {"cuda": 1})
    assert devices == (GPU,)
    assert "no device 7" in (problem or "")


def test_models_are_spread_where_they_do_not_all_fit() -> None:
    first, second = Device("cuda", 0), Device("cuda", 1)
    needs: dict[Job, Callable[[Device], int]] = {
        Job.DETECTION: lambda _: 30,
        Job.EMBEDDING: lambda _: 20,
        Job.WORDS: lambda _: 70,
    }
    memory = {first: Memory(100, 100), second: Memory(100, 200)}
    assert set(spread(needs, (first,), {first: Memory(1000, 1000)}).values()) == {(first,)}
    both = {device: Memory(1000, 1000) for device in (first, second)}
    assert set(spread(needs, (first, second), both).values()) == {(first, second)}
    placed = spread(needs, (first, second), memory)
    assert placed == {Job.WORDS: (second,), Job.DETECTION: (second,), Job.EMBEDDING: (first,)}
    tight = spread(needs, (first,), {first: Memory(100, 60)}, anywhere=[Job.WORDS])
    assert tight == {Job.WORDS: (CPU,), Job.DETECTION: (first,), Job.EMBEDDING: (CPU,)}


def test_several_devices_share_the_photos(runner: Callable[..., Runner]) -> None:
    used: set[str] = set()
    both = threading.Barrier(2, timeout=90)

    class Meeting(fakes.Aesthetic):
        def predict(self, batch: Any) -> Any:
            used.add(str(self.device))
            both.wait()
            return super().predict(batch)

    model = Meeting(files(bytes=10))
    made = runner(model, devices=(GPU, Device("cuda", 1)))
    made.batch_limit = 1
    ready([made.ask(model.job, view()) for _ in range(2)])
    assert used == {"cuda:0", "cuda:1"}


def test_gpus_are_noticed_without_loading_anything(tmp_path: Path) -> None:
    assert not has_gpu(tmp_path)
    node = tmp_path / "sys/class/kfd/kfd/topology/nodes/1"
    node.mkdir(parents=True)
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/kfd").touch()
    (node / "properties").write_text("cpu_cores_count 8\nsimd_count 0\n")
    assert not has_gpu(tmp_path)
    (node / "properties").write_text("cpu_cores_count 0\nsimd_count 104\n")
    assert has_gpu(tmp_path)
    (tmp_path / "dev/kfd").unlink()
    assert not has_gpu(tmp_path)
    (tmp_path / "dev/nvidia0").touch()
    assert has_gpu(tmp_path)


# ---- a real network


def test_a_real_network_answers_the_same_alone_and_in_company(runner: Callable[..., Runner]) -> None:
    torch = pytest.importorskip("torch")

    class Tiny(Model[View, Any]):
        job: ClassVar[Job] = Job.EMBEDDING
        has_gradients: ClassVar[list[bool]] = []

        def memory(self, batch: int, device: Device) -> int:
            return 10_000 * batch

        def _load(self, device: Device) -> None:
            torch.manual_seed(1)
            self._network = torch.nn.Sequential(
                torch.nn.Conv2d(3, 8, 3, stride=2), torch.nn.ReLU(), torch.nn.AdaptiveAvgPool2d(2), torch.nn.Flatten()
            ).to(device.torch_name)

        def _unload(self) -> None:
            del self._network

        def predict(self, batch: Any) -> Any:
            pixels = np.stack([one.resized(32, 32) for one in batch]).transpose(0, 3, 1, 2)
            found = self._network(torch.from_numpy(pixels.astype(np.float32) / 255))
            self.has_gradients.append(bool(found.requires_grad))
            return list(torch.nn.functional.normalize(found, dim=1).numpy())

    rng = np.random.default_rng(3)
    views = [View(rng.integers(0, 256, (50, 70, 3), np.uint8)) for _ in range(9)]
    model = Tiny(files("tiny"))
    made = runner(model)
    together = ready([made.ask(model.job, one) for one in views])
    alone = [ready([made.ask(model.job, one)])[0] for one in views]
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_allclose(a.value, b.value, atol=1e-6)
    assert model.has_gradients
    assert not any(model.has_gradients)
