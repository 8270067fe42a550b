"""What models may answer; anything else is refused before it goes anywhere."""

from typing import Any

import numpy as np

from immich_sidecar.analysis.findings import Face, FoundObject, Job, Mask, Quality, Words
from immich_sidecar.errors import ModelAnswerError

#: Points of a colour table along each axis.
TABLE_POINTS = 33
#: How far the length of an embedding may be from 1; half precision rounds.
_LENGTH = 0.02

_RECORDS = {Job.AESTHETIC: Quality, Job.TECHNICAL: Quality, Job.WORDS: Words}
_LISTS = {Job.DETECTION: FoundObject, Job.SEGMENTATION: Mask, Job.FACES: Face}


def checked(job: Job, model: str, value: Any) -> Any:
    """The answer of a model, in the form that its job has.

    Parameters
    ----------
    job
        What was asked for.
    model
        Who answered, for the message.
    value
        What came: a record of `analysis.findings`, a list or tuple of such, an embedding of shape (dimensions,) and
        length 1, or a colour table of shape (33, 33, 33, 3).

    Raises
    ------
    ModelAnswerError
        If it is something else.
    """
    if job in _RECORDS:
        if isinstance(value, _RECORDS[job]):
            return value
    elif job in _LISTS:
        if isinstance(value, list | tuple) and all(isinstance(one, _LISTS[job]) for one in value):
            return tuple(value)
    elif isinstance(value, np.ndarray) and value.dtype.kind == "f" and np.isfinite(value).all():
        table = value.astype(np.float32)
        if job is Job.TONE and table.shape == (TABLE_POINTS, TABLE_POINTS, TABLE_POINTS, 3):
            return table
        if job is Job.EMBEDDING and table.ndim == 1 and abs(float(np.linalg.norm(table)) - 1) < _LENGTH:
            return table
    shape = f" of shape {value.shape}" if isinstance(value, np.ndarray) else ""
    raise ModelAnswerError(f"{model}: its answer ({type(value).__name__}{shape}) is none to {job.value}")
