from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

from ..models.workflow_start import WorkflowStart, check_workflow_start

if TYPE_CHECKING:
    from ..models.workflow_step_create import WorkflowStepCreate


T = TypeVar("T", bound="WorkflowCreate")


@_attrs_define
class WorkflowCreate:
    """
    Attributes:
        trigger (WorkflowStart):
        name (str):
        description (str):
        enabled (bool):
        steps (list[WorkflowStepCreate]):
    """

    trigger: WorkflowStart
    name: str
    description: str
    enabled: bool
    steps: list[WorkflowStepCreate]

    def to_dict(self) -> dict[str, Any]:
        trigger: str = self.trigger

        name = self.name

        description = self.description

        enabled = self.enabled

        steps = []
        for steps_item_data in self.steps:
            steps_item = steps_item_data.to_dict()
            steps.append(steps_item)

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "trigger": trigger,
                "name": name,
                "description": description,
                "enabled": enabled,
                "steps": steps,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.workflow_step_create import WorkflowStepCreate  # noqa: PLC0415

        d = dict(src_dict)
        trigger = check_workflow_start(d.pop("trigger"))

        name = d.pop("name")

        description = d.pop("description")

        enabled = d.pop("enabled")

        steps = []
        _steps = d.pop("steps")
        for steps_item_data in _steps:
            steps_item = WorkflowStepCreate.from_dict(steps_item_data)

            steps.append(steps_item)

        workflow_create = cls(
            trigger=trigger,
            name=name,
            description=description,
            enabled=enabled,
            steps=steps,
        )

        return workflow_create
