"""How models, and the machine they are on, stand: for the status page and the API."""

from dataclasses import dataclass
from typing import Any

from immich_sidecar.pipeline.looking import LookingState
from immich_sidecar.pipeline.resources import Allowance


@dataclass(frozen=True)
class ModelsState:
    """Everything that a person wants to know about them."""

    looking: LookingState
    #: Photos that wait for words.
    to_describe: int
    #: What is allowed of the workers that there are.
    allowance: Allowance
    workers: int

    @property
    def devices(self) -> tuple[str, ...]:
        """Where models compute; nothing before the first photo."""
        return () if self.looking.ready is None else self.looking.ready.devices

    @property
    def problems(self) -> tuple[str, ...]:
        """What is wrong with all of them together."""
        device = None if self.looking.ready is None else self.looking.ready.problem
        return tuple(text for text in (self.looking.problem, device) if text)

    @property
    def models(self) -> list[dict[str, Any]]:
        """Each job with its model, and why that is off where it is."""
        ready, standing = self.looking.ready, self.looking.standing
        loaded = {} if standing is None else {one.job: one for one in standing.models}
        found = []
        for job in sorted(self.looking.jobs):
            one = loaded.get(job)
            name, revision = ("", "") if ready is None else ready.models.get(job, ("", ""))
            found.append(
                {
                    "job": job.value,
                    "model": name,
                    "revision": revision,
                    "devices": [] if one is None else list(one.devices),
                    "loaded": one is not None and one.is_loaded,
                    "waiting": 0 if one is None else one.waiting,
                    "off": one.off if one is not None else None if ready is None else ready.missing.get(job),
                }
            )
        return found

    @property
    def memory(self) -> dict[str, dict[str, int]]:
        """Bytes that are free and that there are, by device; known while models run."""
        standing = self.looking.standing
        if standing is None:
            return {}
        return {name: {"free": memory.free, "total": memory.total} for name, memory in standing.memory.items()}

    def to_json(self) -> dict[str, Any]:
        """The state as the API tells it."""
        return {
            "devices": list(self.devices),
            "problems": list(self.problems),
            "running": self.looking.standing is not None,
            "waiting": self.looking.waiting,
            "to_describe": self.to_describe,
            "models": self.models,
            "memory": self.memory,
            "workers": {
                "allowed": self.allowance.workers,
                "of": self.workers,
                "reason": self.allowance.reason,
                "batch": self.allowance.batch,
            },
        }
