"""From settings to models: what is chosen, and what is said where nothing was downloaded."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from immich_sidecar.analysis.findings import Job
from immich_sidecar.analysis.models.model import Model
from immich_sidecar.analysis.runtime.offers import Sources, offered
from immich_sidecar.errors import ModelError
from immich_sidecar.library.layout import Layout
from immich_sidecar.pipeline.model_setup import looking_of
from immich_sidecar.settings import Settings

STANDARD = {"detection", "segmentation", "embedding", "aesthetic", "technical", "faces"}


@pytest.mark.parametrize(
    ("chosen", "jobs"),
    [
        ({"profile": "basic"}, set()),
        ({"profile": "auto", "device": "cpu"}, set()),
        ({"profile": "standard"}, STANDARD),
        ({"profile": "full", "detection": "off"}, STANDARD - {"detection"} | {"words"}),
        ({"profile": "auto", "device": "cpu", "embedding": "immich"}, {"embedding"}),
    ],
)
def test_settings_choose_jobs(tmp_path: Path, chosen: dict[str, Any], jobs: set[str]) -> None:
    settings = Settings(data_dir=tmp_path, immich_ml_url="http://127.0.0.1:9", **chosen)
    assert {job.value for job in looking_of(settings, Layout(tmp_path)).jobs} == jobs


async def test_without_weights_each_job_says_what_to_do(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.jpg"), np.full((60, 80, 3), 90, np.uint8))
    looking = looking_of(Settings(data_dir=tmp_path, profile="standard", device="cpu"), Layout(tmp_path))
    try:
        looked = await looking.look("local", "0" * 64, tmp_path / "a.jpg")
        assert looked.findings is not None
        assert {run.job.value for run in looked.findings.missing} == STANDARD
        assert all("immich-sidecar models download" in (run.error or "") for run in looked.findings.missing)
        assert "models download" in (looking.why_not(Job.DETECTION) or "")
    finally:
        await looking.stop()


@pytest.mark.parametrize(
    ("job", "name", "said"),
    [
        (Job.DETECTION, "nothing-like-it", "There is no model 'nothing-like-it'"),
        (Job.DETECTION, "sam2.1-tiny", "is a model for segmentation, not for detection"),
        (Job.DETECTION, "immich", "is a model for embedding, not for detection"),
        (Job.TONE, "default", "there is no usual model for tone"),
    ],
)
def test_a_wrong_choice_is_off_and_says_why(tmp_path: Path, job: Job, name: str, said: str) -> None:
    (offer,) = offered({job: name}, Sources(tmp_path)).values()
    assert isinstance(offer, ModelError)
    assert said in str(offer)


def test_models_on_other_servers_are_built_from_their_settings(tmp_path: Path) -> None:
    elsewhere = {
        "immich": {"url": "http://127.0.0.1:9", "model": "ViT-B-32__openai"},
        "endpoint": {"url": "http://127.0.0.1:9/v1", "model": "qwen2.5vl:7b", "key": "secret"},
    }
    found = offered({Job.EMBEDDING: "immich", Job.WORDS: "endpoint"}, Sources(tmp_path, elsewhere=elsewhere))
    for offer in found.values():
        assert isinstance(offer, Model)
        assert offer.is_elsewhere
        assert "secret" not in offer.revision
