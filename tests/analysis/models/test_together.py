"""The models themselves, of random weights, behind the runner: a photo goes in, objects, outlines, words come out."""

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import simplejpeg

from immich_sidecar.analysis import masks
from immich_sidecar.analysis.findings import Findings, FoundObject, Job, Mask, ModelRun, Words
from immich_sidecar.analysis.models import segmentation
from immich_sidecar.analysis.models.detection import Detector
from immich_sidecar.analysis.models.segmentation import Segmenter
from immich_sidecar.analysis.models.words import QwenVl
from immich_sidecar.analysis.runtime.look import MOST_OUTLINED, Looks, Request
from immich_sidecar.analysis.runtime.runner import Runner
from tests.analysis.models import test_detection, test_segmentation, test_words
from tests.analysis.models.test_detection import checkpoints  # noqa: F401
from tests.analysis.models.test_segmentation import folder  # noqa: F401
from tests.analysis.models.test_words import folders  # noqa: F401

torch = pytest.importorskip("torch")

JOBS = frozenset({Job.DETECTION, Job.SEGMENTATION, Job.WORDS})


@pytest.fixture
def offers(checkpoints: Any, folder: Any, folders: Any) -> dict[Job, Any]:  # noqa: F811
    """Not loaded yet."""
    return {
        Job.DETECTION: Detector(test_detection.files(checkpoints["rt_detr_v2"], threshold=0.3)),
        Job.SEGMENTATION: Segmenter(test_segmentation.files(folder)),
        Job.WORDS: QwenVl(test_words.files(folders["qwen3"])),
    }


@pytest.fixture
def previews(pictures: list[np.ndarray], tmp_path: Path) -> list[Path]:
    paths = [tmp_path / f"{place}.jpg" for place in range(len(pictures))]
    for path, picture in zip(paths, pictures, strict=True):
        path.write_bytes(simplejpeg.encode_jpeg(picture, quality=95, colorspace="RGB"))
    return paths


def looked(offers: dict[Job, Any], previews: list[Path]) -> list[dict[Job, tuple[ModelRun, Any]]]:
    """What comes of each photo, all asked about at once."""
    runner = Runner(offers)
    looks = Looks(runner)
    found: list[dict[Job, tuple[ModelRun, Any]]] = [{} for _ in previews]
    done = threading.Semaphore(0)

    def hear(place: int, job: Job, run: ModelRun, value: Any) -> None:
        found[place][job] = (run, value)
        done.release()

    try:
        for place, preview in enumerate(previews):
            looks.begin(
                Request(str(place), preview, JOBS),
                lambda job, run, value, place=place: hear(place, job, run, value),
            )
        for _ in range(len(previews) * len(JOBS)):
            assert done.acquire(timeout=240)
    finally:
        looks.close()
        runner.close()
    return found


def test_a_photo_gets_objects_outlines_and_words(offers: dict[Job, Any], previews: list[Path]) -> None:
    for answers in looked(offers, previews):
        assert {job: run.error for job, (run, _) in answers.items()} == dict.fromkeys(JOBS)
        objects: tuple[FoundObject, ...] = answers[Job.DETECTION][1]
        outlines: list[Mask] = answers[Job.SEGMENTATION][1]
        words: Words = answers[Job.WORDS][1]
        assert objects
        assert len(outlines) == min(MOST_OUTLINED, len(objects))
        assert all(max(masks.decode(mask).shape) == segmentation.GRID_EDGE for mask in outlines)
        assert words.malformed
        kept = Findings(objects=objects, words=words, runs=tuple(run for run, _ in answers.values()))
        assert Findings.model_validate_json(kept.model_dump_json()) == kept
        assert {run.device for run in kept.runs} == {"cpu"}


def test_what_one_model_cannot_do_the_others_do(
    offers: dict[Job, Any], previews: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(offers[Job.DETECTION], "predict", full)
    (answers,) = looked(offers, previews[:1])
    assert "memory" in (answers[Job.DETECTION][0].error or "")
    assert "outlined" in (answers[Job.SEGMENTATION][0].error or "")
    assert answers[Job.WORDS][0].error is None
