"""What models find goes to JSON and back, and the picture that they get is resized once for all."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from immich_sidecar.analysis.analysis import Analysis, analyse
from immich_sidecar.analysis.findings import Box, Face, Findings, FoundObject, Job, Mask, ModelRun, Quality, Words
from immich_sidecar.analysis.models.view import View
from immich_sidecar.errors import UndecodableError


def test_findings_come_back_from_json() -> None:
    box = Box(x=0.1, y=0.2, width=0.3, height=0.4)
    findings = Findings(
        objects=(
            FoundObject(
                label="dog",
                score=0.9,
                box=box,
                mask=Mask(width=4, height=3, counts="04"),
            ),
        ),
        faces=(Face(box=box, score=0.8, landmarks=((0.1, 0.2),), source="immich", name="Ada"),),
        aesthetic=Quality(votes=(0.1,) * 10),
        words=Words(description="A dog."),
        runs=(ModelRun(job=Job.DETECTION, model="a", error="its weights are not here"),),
    )
    assert Findings.model_validate(findings.model_dump(mode="json")) == findings
    assert [run.job for run in findings.missing] == [Job.DETECTION]


def test_analyses_from_before_there_were_models_are_read(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "a.jpg"), np.full((300, 400, 3), 90, np.uint8))
    measured = analyse(tmp_path / "a.jpg")
    stored = measured.model_dump(mode="json")
    del stored["findings"]
    assert Analysis.model_validate(stored).findings is None
    seen = measured.model_copy(update={"findings": Findings(runs=(ModelRun(job=Job.FACES, model="a"),))})
    assert Analysis.from_json(seen.to_json()) == seen


def test_votes_have_a_mean_and_a_spread() -> None:
    assert Quality(votes=(0.0,) * 9 + (1.0,)).mean == 10
    assert Quality(votes=(0.0,) * 9 + (1.0,)).spread == 0
    assert Quality(votes=(0.5, *(0.0,) * 8, 0.5)).spread == pytest.approx(4.5)


def test_a_view_is_resized_once() -> None:
    view = View(np.random.default_rng(1).integers(0, 256, (300, 400, 3), np.uint8))
    assert view.fitted(100).shape == (75, 100, 3)
    assert view.fitted(100) is view.resized(100, 75)
    assert view.fitted(1000) is view.display


def test_a_preview_that_is_none_is_told(tmp_path: Path) -> None:
    (tmp_path / "preview.jpg").write_bytes(b"nothing")
    with pytest.raises(UndecodableError, match=r"preview\.jpg"):
        View.read(tmp_path / "preview.jpg")


def test_what_a_model_made_of_a_view_is_made_once() -> None:
    view = View(np.zeros((30, 40, 3), np.uint8))
    first = view.kept("small", lambda: view.resized(4, 3))
    assert view.kept("small", lambda: view.resized(2, 2)) is first
