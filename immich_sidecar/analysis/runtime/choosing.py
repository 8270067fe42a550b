"""Which models a photo gets, by the operator's choices and by what there is."""

from collections.abc import Mapping
from dataclasses import dataclass

from immich_sidecar.analysis.findings import Job

#: Jobs of the profile `standard`; `full` adds words.
STANDARD = (Job.DETECTION, Job.SEGMENTATION, Job.EMBEDDING, Job.AESTHETIC, Job.TECHNICAL, Job.FACES)


def setting_of(job: Job) -> str:
    """The setting that chooses the model of a job."""
    if job in {Job.AESTHETIC, Job.TECHNICAL}:
        return "SIDECAR_SCORING"
    return "SIDECAR_TONE_MODEL" if job is Job.TONE else f"SIDECAR_{job.value.upper()}"


@dataclass(frozen=True)
class Choices:
    """What the settings say about models, each as its setting has it."""

    #: `auto`, `basic`, `standard` or `full`.
    profile: str = "auto"
    detection: str = "default"
    segmentation: str = "default"
    embedding: str = "default"
    scoring: str = "default"
    faces: str = "default"
    words: str = "default"
    tone: str = "off"

    def of(self, job: Job) -> str:
        """The choice for a job: `default`, `off`, or a name."""
        if job in {Job.AESTHETIC, Job.TECHNICAL}:
            return self.scoring
        return str(getattr(self, job.value))


def profile_of(choices: Choices, *, has_gpu: bool, is_installed: bool) -> str:
    """The profile that `auto` means here; any other is what it says.

    Parameters
    ----------
    has_gpu
        Whether there is a GPU that models can compute on.
    is_installed
        Whether the libraries of the `ai` extra are there.
    """
    if choices.profile != "auto":
        return choices.profile
    return "standard" if has_gpu and is_installed else "basic"


def wanted(choices: Choices, *, has_gpu: bool, is_installed: bool) -> Mapping[Job, str]:
    """The jobs that are to be done, each with the model's name or `default`.

    A profile says what `default` means: the usual model, or none. A model that is named is used under every profile
    but a `basic` that was asked for in so many words.
    """
    if choices.profile == "basic":
        return {}
    profile = profile_of(choices, has_gpu=has_gpu, is_installed=is_installed)
    usual = {"basic": (), "standard": STANDARD, "full": (*STANDARD, Job.WORDS)}[profile]
    found = {}
    for job in Job:
        choice = choices.of(job)
        if (choice == "default" and job in usual) or choice not in {"default", "off"}:
            found[job] = choice
    return found
