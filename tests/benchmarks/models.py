"""How much of what the bare models could do does a photo get: the whole profile `standard` against its forward passes.

Run ``python -m tests.benchmarks.models [--device cpu] [--batch 4] [--photos 24] [--only detection,embedding]``. The
networks have the sizes of the default models (RT-DETRv2 R50, SAM 2.1 tiny, ViT-B-16, twice NIMA's MobileNet) with
random weights, which cost the same time; they are written to a folder that is removed at the end, and loaded through
the same classes as ever. Faces are left out where no weights are: YuNet has no configuration to make random ones from.

First the bare forward passes: each network alone, in batches of the given size, after a warm-up, the best of some
rounds. SAM's are its image encoder and its decoder for two boxes a photo, NIMA's all that follows the resizing. Then
photos: JPEG previews of 1440 x 960 through `Looks`, as the service sends them, decoding, resizing, batching, boxes and
masks included. The ratio of the two is what the issue asks to be at least 0.7; on a machine that does other things too,
the processor's own time says more than the clock. Memory is the largest that torch had
allocated on the device, on processors the largest resident size of the process.
"""

import argparse
import json
import os
import resource
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ["HF_HUB_OFFLINE"] = "1"
os.environ["KERAS_BACKEND"] = "torch"

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from immich_sidecar.analysis.findings import Box, FoundObject, Job
from immich_sidecar.analysis.models.model import Device, Model, ModelFiles
from immich_sidecar.analysis.models.view import Prompted, View
from immich_sidecar.analysis.models_catalogue import default_for
from immich_sidecar.analysis.runtime.look import Looks, Request
from immich_sidecar.analysis.runtime.placement import choose_devices, find_devices
from immich_sidecar.analysis.runtime.runner import Runner

VIEW = (1440, 960)
#: What a detector with random weights finds is noise: these stand for what would be found, so that masks are made.
BOXES = (Box(x=0.1, y=0.2, width=0.3, height=0.5), Box(x=0.5, y=0.3, width=0.4, height=0.4))


def detection(folder: Path) -> ModelFiles:
    import transformers

    config = transformers.RTDetrV2Config(backbone_config=transformers.RTDetrResNetConfig(out_indices=[2, 3, 4]))
    transformers.RTDetrV2ForObjectDetection(config).save_pretrained(folder)
    transformers.RTDetrImageProcessor().save_pretrained(folder)
    return _files("detection", folder)


def segmentation(folder: Path) -> ModelFiles:
    import transformers

    transformers.Sam2Model(transformers.Sam2Config()).save_pretrained(folder)
    transformers.Sam2Processor(transformers.Sam2ImageProcessor()).save_pretrained(folder)
    return _files("segmentation", folder)


def embedding(folder: Path) -> ModelFiles:
    import open_clip
    from safetensors.torch import save_file

    config = {
        "model_cfg": open_clip.get_model_config("ViT-B-16"),
        "preprocess_cfg": {
            "mean": [0.48145466, 0.4578275, 0.40821073],
            "std": [0.26862954, 0.26130258, 0.27577711],
            "interpolation": "bicubic",
            "resize_mode": "shortest",
        },
    }
    (folder / "open_clip_config.json").write_text(json.dumps(config))
    network = open_clip.create_model(f"local-dir:{folder}", load_weights=False)
    weights = {name: value.clone().contiguous() for name, value in network.state_dict().items()}
    save_file(weights, folder / "open_clip_model.safetensors")
    return _files("embedding", folder)


def quality(folder: Path) -> ModelFiles:
    import keras

    base = keras.applications.MobileNet(input_shape=(224, 224, 3), weights=None, include_top=False, pooling="avg")
    votes = keras.layers.Dense(10, activation="softmax")(keras.layers.Dropout(0.75)(base.output))
    keras.Model(base.inputs, votes).save(folder / "model.h5")
    return _files(folder.name, folder, weights=folder / "model.h5")


MAKERS: dict[Job, Callable[[Path], ModelFiles]] = {
    Job.DETECTION: detection,
    Job.SEGMENTATION: segmentation,
    Job.EMBEDDING: embedding,
    Job.AESTHETIC: quality,
    Job.TECHNICAL: quality,
}


def build(job: Job, folder: Path) -> Model[Any, Any]:
    """The usual model of a job, with random weights."""
    folder.mkdir()
    files = MAKERS[job](folder)
    entry = default_for(job)
    assert entry is not None
    kind = entry.model_class()
    if job is not Job.DETECTION:
        return kind(files)

    class Finding(kind):  # type: ignore[misc,valid-type]  # the answers alone are others
        def predict(self, batch: Any) -> Any:
            super().predict(batch)
            return [tuple(FoundObject(label="person", score=0.9, box=box) for box in BOXES) for _ in batch]

    return Finding(files)


def _files(name: str, folder: Path, **parts: Path) -> ModelFiles:
    return ModelFiles(name=name, folder=folder, revision="random", licence="none", files=parts)


def _clocks() -> Any:
    return np.array([time.perf_counter(), time.process_time()])


class Bare:
    """Times the forward passes inside of a model's `predict`: everything that its network's modules take."""

    def __init__(self, model: Model[Any, Any], device: Device) -> None:
        self._model = model
        self._device = device
        self.seconds = np.zeros(2)

    def time(self, given: list[Any], rounds: int) -> Any:
        """Seconds of the network alone for one batch, by the clock and of the processor, the best of some rounds."""
        import torch

        modules = [value for value in vars(self._model).values() if isinstance(value, torch.nn.Module)]
        # SAM's encoder is called on its own: one look at a photo serves all of its boxes.
        modules += [module.vision_encoder for module in modules if hasattr(module, "vision_encoder")]
        # A network without modules is its `predict`, which finds the prepared picture in the view.
        predict = self._model.predict if modules else self.wrap(self._model.predict)
        best = np.full(2, np.inf)
        for number in range(rounds + 1):
            self.seconds = np.zeros(2)
            with torch.inference_mode(), _timed(modules, self):
                predict(given)
            if number:
                best = np.minimum(best, self.seconds)
        return best

    def wrap(self, function: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **keywords: Any) -> Any:
            self._wait()
            began = _clocks()
            answer = function(*args, **keywords)
            self._wait()
            self.seconds += _clocks() - began
            return answer

        return timed

    def _wait(self) -> None:
        import torch

        if self._device.kind in {"cuda", "rocm"}:
            torch.cuda.synchronize()


class _timed:  # noqa: N801  a context manager
    """The outermost calls of some modules, timed."""

    _NAMES = ("forward", "encode_image", "get_image_embeddings")

    def __init__(self, modules: list[Any], bare: Bare) -> None:
        self._modules, self._bare = modules, bare
        self._depth = 0

    def __enter__(self) -> None:
        for module in self._modules:
            for name in self._NAMES:
                if hasattr(module, name):
                    setattr(module, name, self._outermost(getattr(module, name)))

    def __exit__(self, *_: object) -> None:
        for module in self._modules:
            for name in self._NAMES:
                module.__dict__.pop(name, None)

    def _outermost(self, function: Callable[..., Any]) -> Callable[..., Any]:
        timed = self._bare.wrap(function)

        def call(*args: Any, **keywords: Any) -> Any:
            self._depth += 1
            try:
                return (timed if self._depth == 1 else function)(*args, **keywords)
            finally:
                self._depth -= 1

        return call


def bare(models: dict[Job, Model[Any, Any]], device: Device, batch: int, rounds: int) -> dict[Job, Any]:
    """Seconds for one photo of each network alone."""
    rng = np.random.default_rng(1)
    found = {}
    for job, model in models.items():
        model.load(device)
        views = [View(rng.integers(0, 256, (VIEW[1], VIEW[0], 3), np.uint8)) for _ in range(batch)]
        given = [Prompted(view, BOXES) for view in views] if job is Job.SEGMENTATION else views
        found[job] = Bare(model, device).time(given, rounds) / batch
        model.unload()
    return found


def whole(models: dict[Job, Model[Any, Any]], device: Device, batch: int, previews: list[Path]) -> Any:
    """Seconds for one photo of the whole profile, models loaded."""
    runner = Runner(models, (device,), ttl=0)
    runner.batch_limit = batch
    looks = Looks(runner)

    def look(paths: list[Path]) -> Any:
        left, done, errors = [len(paths) * len(models)], threading.Event(), []
        lock = threading.Lock()

        def answered(_: Job, run: Any, __: Any) -> None:
            with lock:
                if run.error is not None:
                    errors.append(run.error)
                left[0] -= 1
                if not left[0]:
                    done.set()

        began = _clocks()
        for number, path in enumerate(paths):
            looks.begin(Request(str(number), path, frozenset(models)), answered)
        done.wait()
        if errors:
            raise SystemExit(f"a model failed: {errors[0]}")
        return _clocks() - began

    look(previews[: max(2, batch)])
    seconds = look(previews) / len(previews)
    looks.close()
    runner.close()
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--device", default="cpu", choices=["auto", "cpu", "cuda", "rocm", "mps", "xpu"])
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--photos", type=int, default=24)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default=",".join(job.value for job in MAKERS), help="jobs, separated by commas")
    wanted = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    devices, problem = find_devices(wanted.device) if wanted.device != "cpu" else choose_devices("cpu", (), {})
    if problem:
        raise SystemExit(problem)
    device = devices[0]
    rng = np.random.default_rng(2)
    with tempfile.TemporaryDirectory() as text:
        folder = Path(text)
        models: dict[Job, Model[Any, Any]] = {}
        for name in wanted.only.split(","):
            models[Job(name)] = build(Job(name), folder / name)
        previews = []
        for number in range(wanted.photos):
            picture = cv2.resize(rng.integers(0, 256, (60, 90, 3), np.uint8), VIEW, interpolation=cv2.INTER_CUBIC)
            previews.append(folder / f"{number}.jpg")
            cv2.imwrite(str(previews[-1]), picture)
        alone = bare(models, device, wanted.batch, wanted.rounds)
        if device.kind in {"cuda", "rocm"}:
            torch.cuda.reset_peak_memory_stats()
        seconds = whole(models, device, wanted.batch, previews)
        if device.kind in {"cuda", "rocm"}:
            memory = torch.cuda.max_memory_allocated()
        else:
            memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    table = Table(title=f"{device}, batch {wanted.batch}, {wanted.photos} photos of {VIEW[0]} x {VIEW[1]}")
    for name in ("what", "ms a photo", "photos a second", "ms of the processor"):
        table.add_column(name, justify="right" if name != "what" else "left")
    total = np.sum(list(alone.values()), axis=0)
    rows = {f"{job.value}, forward pass": each for job, each in alone.items()}
    for name, (clock, own) in {**rows, "all forward passes": total, "the whole profile": seconds}.items():
        table.add_row(name, f"{clock * 1000:.1f}", f"{1 / clock:.2f}", f"{own * 1000:.1f}")
    console = Console(width=100)
    console.print(table)
    clock, own = total / seconds
    console.print(f"ratio {clock:.2f} by the clock, {own:.2f} by the processor's own time (asked for: 0.7)")
    console.print(f"memory at its largest: {memory / 1e9:.2f} GB")


if __name__ == "__main__":
    main()
