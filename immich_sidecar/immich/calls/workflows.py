"""Calls about workflows, which can call a webhook from Immich 3.0 on."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from immich_py_client.api.workflows import (
    create_workflow,
    delete_workflow,
    get_workflow,
    get_workflow_triggers,
    search_workflows,
    update_workflow,
)
from immich_py_client.models import (
    Workflow,
    WorkflowCreate,
    WorkflowStepConfig,
    WorkflowStepCreate,
    WorkflowTrigger,
    WorkflowUpdate,
)
from immich_py_client.models.workflow_start import WorkflowStart
from immich_py_client.types import UNSET

from immich_sidecar.errors import ImmichGoneError, ImmichRefusedError, ImmichVersionError
from immich_sidecar.immich.calls.server import ServerCalls
from immich_sidecar.immich.compatibility import knows_workflows


@dataclass(frozen=True)
class WorkflowStep:
    """What a workflow does: a method of a plugin, such as `immich-plugin-core#webhook`."""

    method: str
    #: The method's settings. Immich does not check them, and they may hold a secret.
    config: dict[str, Any] = field(repr=False)
    enabled: bool = True

    def body(self) -> WorkflowStepCreate:
        """The step as it is sent."""
        return WorkflowStepCreate(
            method=self.method, config=WorkflowStepConfig.from_dict(self.config), enabled=self.enabled
        )


class WorkflowCalls(ServerCalls):
    """The user's workflows. Before Immich 3.0 each call raises ImmichVersionError and asks nothing."""

    async def workflows(self) -> list[Workflow]:
        """All workflows, with their steps."""
        tried = "list the workflows"
        await self._must_know_workflows(tried)
        answer: list[Workflow] = await self.call(search_workflows, tried=tried)
        return answer

    async def workflow(self, workflow_id: str) -> Workflow:
        """The workflow, with its steps."""
        tried = f"read workflow {workflow_id}"
        await self._must_know_workflows(tried)
        answer: Workflow = await self.call(get_workflow, workflow_id, tried=tried)
        return answer

    async def make_workflow(
        self,
        *,
        trigger: WorkflowStart,
        name: str,
        description: str,
        steps: Iterable[WorkflowStep],
        enabled: bool = True,
    ) -> str:
        """Make a workflow and give its id."""
        tried = f"make the workflow {name}"
        await self._must_know_workflows(tried)
        body = WorkflowCreate(
            trigger=trigger,
            name=name,
            description=description,
            enabled=enabled,
            steps=[step.body() for step in steps],
        )
        answer: Workflow = await self.call(create_workflow, tried=tried, body=body)
        if not answer.id:
            raise ImmichRefusedError(f"Could not {tried}: the answer names none")
        return answer.id

    async def change_workflow(
        self,
        workflow_id: str,
        *,
        enabled: bool | None = None,
        name: str | None = None,
        description: str | None = None,
        steps: Iterable[WorkflowStep] | None = None,
        trigger: WorkflowStart | None = None,
    ) -> None:
        """Change a workflow; what is not given stays."""
        tried = f"change workflow {workflow_id}"
        await self._must_know_workflows(tried)
        body = WorkflowUpdate(
            enabled=UNSET if enabled is None else enabled,
            name=UNSET if name is None else name,
            description=UNSET if description is None else description,
            steps=UNSET if steps is None else [step.body() for step in steps],
            trigger=UNSET if trigger is None else trigger,
        )
        await self.call(update_workflow, workflow_id, tried=tried, body=body)

    async def delete_workflow(self, workflow_id: str) -> None:
        """Delete a workflow; one that is gone is fine."""
        tried = f"delete workflow {workflow_id}"
        await self._must_know_workflows(tried)
        try:
            await self.call(delete_workflow, workflow_id, tried=tried, repeatable=True)
        except ImmichGoneError:
            return

    async def workflow_triggers(self) -> tuple[str, ...]:
        """What may start a workflow, such as `AssetCreate`."""
        tried = "ask Immich what may start a workflow"
        await self._must_know_workflows(tried)
        answer: list[WorkflowTrigger] = await self.call(get_workflow_triggers, tried=tried)
        return tuple(item.trigger for item in answer if item.trigger)

    async def _must_know_workflows(self, tried: str) -> None:
        version = await self.known_version()
        if not knows_workflows(version):
            text = ".".join(str(number) for number in version)
            raise ImmichVersionError(f"Could not {tried}: Immich {text} has no workflows of this kind; 3.0 has")
