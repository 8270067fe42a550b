"""The models behind the choices: built from what is on disk, or the reason that there is none."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

from immich_sidecar.analysis import weights
from immich_sidecar.analysis.findings import Job
from immich_sidecar.analysis.models.model import ModelFiles
from immich_sidecar.analysis.runtime.runner import Offer
from immich_sidecar.errors import CommandError, ModelError

_log = logging.getLogger(__name__)

#: Models that run on other servers, by the word that chooses them: job and class.
ELSEWHERE = {
    "immich": (Job.EMBEDDING, "immich_sidecar.analysis.models.immich_ml:ImmichMl"),
    "endpoint": (Job.WORDS, "immich_sidecar.analysis.models.endpoint:Endpoint"),
}


@dataclass(frozen=True)
class Sources:
    """Where models come from; must pickle."""

    #: The folder of all weights.
    folder: Path
    #: Models that somebody agreed to by a setting.
    consents: tuple[str, ...] = ()
    #: Options of the models on other servers, by the word that chooses them; never shown, as a key is among them.
    elsewhere: Mapping[str, Mapping[str, Any]] = field(default_factory=dict, repr=False)


def offered(wanted: Mapping[Job, str], sources: Sources) -> dict[Job, Offer]:
    """A model for each job that is wanted, not loaded yet, or the reason that there is none.

    Parameters
    ----------
    wanted
        The model of each job by its name, or `default`.
    """
    return {job: _offer(job, name, sources) for job, name in wanted.items()}


def _offer(job: Job, name: str, sources: Sources) -> Offer:
    try:
        if name in ELSEWHERE:
            return _elsewhere(job, name, sources)
        entry = weights.default_for(job) if name == "default" else weights.find(name)
        if entry is None:
            return ModelError(f"there is no usual model for {job.value}; name one")
        if entry.job is not job:
            return ModelError(f"{entry.name} is a model for {entry.job.value}, not for {job.value}")
        return weights.build(entry, sources.folder, frozenset(sources.consents))
    except ModelError as error:
        return error
    except CommandError as error:
        return ModelError(str(error))
    except Exception as error:  # noqa: BLE001  the boundary: a model that cannot be built is off, and says why
        _log.warning("%s: %s", job.value, name, exc_info=True)
        return ModelError(f"{name}: {type(error).__name__}: {error}")


def _elsewhere(job: Job, name: str, sources: Sources) -> Offer:
    its_job, loader = ELSEWHERE[name]
    if job is not its_job:
        return ModelError(f"“{name}” is a model for {its_job.value}, not for {job.value}")
    module, _, kind = loader.partition(":")
    options = sources.elsewhere.get(name, {})
    files = ModelFiles(
        name=name, folder=sources.folder, revision=str(options.get("model", "")), licence="", options=options
    )
    offer: Offer = getattr(import_module(module), kind)(files)
    return offer
