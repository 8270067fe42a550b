"""The models that the settings ask for, as the service uses them."""

import functools
import logging
from collections.abc import Mapping
from importlib.util import find_spec

from immich_sidecar.analysis import vocabulary
from immich_sidecar.analysis.findings import Job
from immich_sidecar.analysis.runtime.choosing import Choices, wanted
from immich_sidecar.analysis.runtime.offers import Sources, offered
from immich_sidecar.analysis.runtime.placement import has_gpu
from immich_sidecar.analysis.runtime.tagging import Tagger
from immich_sidecar.library.layout import Layout
from immich_sidecar.pipeline.looking import Looking
from immich_sidecar.pipeline.model_host import Setup
from immich_sidecar.settings import Settings

_log = logging.getLogger(__name__)


def choices_of(settings: Settings) -> Choices:
    """What the settings say about models."""
    return Choices(
        profile=settings.profile,
        detection=settings.detection,
        segmentation=settings.segmentation,
        embedding=settings.embedding,
        scoring=settings.scoring,
        faces=settings.faces,
        words=settings.words,
        tone=settings.tone_model,
    )


def sources_of(settings: Settings) -> Sources:
    """Where the settings say that models are."""
    key = settings.words_key
    return Sources(
        settings.weights_dir(),
        settings.models_consent,
        {
            "immich": {"url": settings.immich_ml_url, "model": settings.immich_ml_model},
            "endpoint": {
                "url": settings.words_url,
                "model": settings.words_model,
                "key": None if key is None else key.get_secret_value(),
            },
        },
    )


def jobs_of(settings: Settings) -> Mapping[Job, str]:
    """What models are asked for here: the jobs, each with the name of a model or `default`."""
    gpu = settings.device not in {"auto", "cpu"} or (settings.device == "auto" and has_gpu())
    return wanted(choices_of(settings), has_gpu=gpu, is_installed=find_spec("torch") is not None)


def looking_of(settings: Settings, layout: Layout) -> Looking:
    """The door to the models; loads nothing, and asks the system no more than which files are there."""
    jobs = jobs_of(settings)
    if jobs:
        _log.info("models: %s", ", ".join(f"{job.value} ({name})" for job, name in jobs.items()))
    setup = Setup(
        functools.partial(offered, jobs, sources_of(settings)),
        device=settings.device,
        device_ids=settings.device_ids,
        ttl=settings.model_ttl,
        tags=Tagger(layout.data_dir / vocabulary.FILE_NAME, layout.data_dir / "cache/vectors"),
        log_level=logging.getLevelName(settings.log_level.upper()),
    )
    return Looking(setup, jobs, layout, timeout=settings.model_timeout)
