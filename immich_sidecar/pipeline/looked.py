"""What a look at a photo gave: single answers put together, whichever of them came."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.analysis.findings import Face, Findings, FoundObject, Job, ModelRun
from immich_sidecar.analysis.runtime.look import outlined
from immich_sidecar.library.ai_results import Kept


@dataclass(frozen=True, eq=False)
class Vector:
    """An embedding, and what made it."""

    model: str
    revision: str
    #: (dimensions,) float32 of length 1.
    values: NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class Looked:
    """What models found in a photo."""

    #: None where no model was asked.
    findings: Findings | None = None
    embedding: Vector | None = None
    #: A colour table of shape (33, 33, 33, 3), where a model made one.
    table: NDArray[np.float32] | None = None


def put_together(answers: Mapping[Job, Kept], faces: tuple[Face, ...] = ()) -> Looked:
    """Findings out of the answers that came; `faces` are those that Immich had found already."""
    values: dict[Job, Any] = {job: kept.value for job, kept in answers.items() if kept.run.error is None}
    objects: list[FoundObject] = list(values.get(Job.DETECTION, ()))
    for index, mask in zip(outlined(objects), values.get(Job.SEGMENTATION, ()), strict=False):
        objects[index] = objects[index].model_copy(update={"mask": mask})
    runs = [answers[job].run for job in Job if job in answers]
    if faces:
        runs.append(ModelRun(job=Job.FACES, model="immich"))
    vector = values.get(Job.EMBEDDING)
    findings = Findings(
        objects=tuple(objects),
        faces=faces or values.get(Job.FACES, ()),
        aesthetic=values.get(Job.AESTHETIC),
        technical=values.get(Job.TECHNICAL),
        tags=answers[Job.EMBEDDING].tags if vector is not None else (),
        words=values.get(Job.WORDS),
        runs=tuple(runs),
    )
    embedding = None
    if vector is not None:
        run = answers[Job.EMBEDDING].run
        embedding = Vector(run.model, run.revision, vector)
    return Looked(findings, embedding, values.get(Job.TONE))
