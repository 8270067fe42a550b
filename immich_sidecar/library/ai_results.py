"""Answers of models, kept as files for a day: a photo that is looked at again is not computed again.

They lie in the cache, are evicted with it, and are never the only copy of anything that rows need.
"""

import base64
import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from pydantic import TypeAdapter, ValidationError

from immich_sidecar.analysis.findings import Face, FoundObject, Job, Mask, ModelRun, Quality, Tag, Words
from immich_sidecar.library.files import make_folder, storage
from immich_sidecar.library.layout import Layout, is_temporary

#: Seconds for which an answer holds.
HOLDS = 24 * 3600.0

_FORMS: dict[Job, TypeAdapter[Any]] = {
    Job.DETECTION: TypeAdapter(tuple[FoundObject, ...]),
    Job.SEGMENTATION: TypeAdapter(tuple[Mask, ...]),
    Job.AESTHETIC: TypeAdapter(Quality),
    Job.TECHNICAL: TypeAdapter(Quality),
    Job.FACES: TypeAdapter(tuple[Face, ...]),
    Job.WORDS: TypeAdapter(Words),
}
_TAGS = TypeAdapter(tuple[Tag, ...])


@dataclass(frozen=True)
class Kept:
    """An answer that was kept."""

    run: ModelRun
    #: A record, a tuple of records, or an array, as the model of the job answers.
    value: Any
    #: Words that fit an embedding.
    tags: tuple[Tag, ...] = ()


def store(  # noqa: PLR0917  whose, what, by whom, and what came
    layout: Layout, owner_id: str, sha256: str, model: str, revision: str, kept: Kept
) -> None:
    """Keep an answer. Blocks.

    Parameters
    ----------
    model, revision
        What tells this answer from those of other models and weights; for outlines, the boxes' as well.

    Raises
    ------
    StorageError
        If it cannot be written.
    """
    form = _FORMS.get(kept.run.job)
    if form is not None:
        value = form.dump_python(kept.value, mode="json")
    else:
        array = np.ascontiguousarray(kept.value, np.float32)
        value = {"shape": array.shape, "float32": base64.b64encode(array.astype("<f4").tobytes()).decode()}
    content = {
        "run": kept.run.model_dump(mode="json"),
        "value": value,
        "tags": [tag.model_dump(mode="json") for tag in kept.tags],
    }
    path = _path(layout, owner_id, sha256, kept.run.job, model, revision)
    # Not synced: what a loss of power leaves of it is found damaged and computed again.
    temporary = path.with_name(f".{uuid4().hex}.part")
    with storage(f"writing {path}"):
        make_folder(path.parent)
        try:
            temporary.write_text(json.dumps(content, sort_keys=True))
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def load(  # noqa: PLR0917
    layout: Layout, owner_id: str, sha256: str, job: Job, model: str, revision: str
) -> Kept | None:
    """The answer that was kept; None where there is none, where it is too old, and where it cannot be read. Blocks."""
    path = _path(layout, owner_id, sha256, job, model, revision)
    try:
        if time.time() - path.stat().st_mtime > HOLDS:
            path.unlink(missing_ok=True)
            return None
        content = json.loads(path.read_bytes())
        run = ModelRun.model_validate(content["run"])
        form, value = _FORMS.get(job), content["value"]
        if form is not None:
            value = form.validate_python(value)
        else:
            value = np.frombuffer(base64.b64decode(value["float32"]), "<f4").reshape(value["shape"]).astype(np.float32)
        return Kept(run.model_copy(update={"cached": True}), value, _TAGS.validate_python(content["tags"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        # Damaged, or of another version: computed again.
        with suppress(OSError):
            path.unlink(missing_ok=True)
        return None


def forget_old(layout: Layout) -> int:
    """Remove the answers that hold no longer; returns how many. Blocks."""
    count, oldest = 0, time.time() - HOLDS
    for path in _files(layout):
        with suppress(OSError):
            if path.stat().st_mtime < oldest:
                path.unlink()
                count += 1
    return count


def _files(layout: Layout) -> Iterator[Path]:
    for _, home in layout.homes():
        for folder in sorted((home / "cache/ai_results").glob("[0-9a-f][0-9a-f]")):
            yield from (path for path in folder.glob("*.json") if not is_temporary(path.name))


def _path(layout: Layout, owner_id: str, sha256: str, job: Job, model: str, revision: str) -> Path:  # noqa: PLR0917
    known = hashlib.sha256(f"{model}\0{revision}".encode()).hexdigest()[:24]
    return layout.absolute(layout.ai_results(owner_id, sha256, f"{job.value}_{known}.json"))
