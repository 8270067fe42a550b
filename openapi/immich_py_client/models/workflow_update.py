from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

from ..models.workflow_start import WorkflowStart, check_workflow_start
from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.workflow_step_create import WorkflowStepCreate


T = TypeVar("T", bound="WorkflowUpdate")


@_attrs_define
class WorkflowUpdate:
    """
    Attributes:
        trigger (WorkflowStart | Unset):
        name (str | Unset):
        description (str | Unset):
        enabled (bool | Unset):
        steps (list[WorkflowStepCreate] | Unset):
    """

    trigger: WorkflowStart | Unset = UNSET
    name: str | Unset = UNSET
    description: str | Unset = UNSET
    enabled: bool | Unset = UNSET
    steps: list[WorkflowStepCreate] | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        trigger: str | Unset = UNSET
        if not isinstance(self.trigger, Unset):
            trigger = self.trigger

        name = self.name

        description = self.description

        enabled = self.enabled

        steps: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.steps, Unset):
            steps = []
            for steps_item_data in self.steps:
                steps_item = steps_item_data.to_dict()
                steps.append(steps_item)

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if trigger is not UNSET:
            field_dict["trigger"] = trigger
        if name is not UNSET:
            field_dict["name"] = name
        if description is not UNSET:
            field_dict["description"] = description
        if enabled is not UNSET:
            field_dict["enabled"] = enabled
        if steps is not UNSET:
            field_dict["steps"] = steps

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.workflow_step_create import WorkflowStepCreate  # noqa: PLC0415

        d = dict(src_dict)
        _trigger = d.pop("trigger", UNSET)
        trigger: WorkflowStart | Unset
        if isinstance(_trigger, Unset):
            trigger = UNSET
        else:
            trigger = check_workflow_start(_trigger)

        name = d.pop("name", UNSET)

        description = d.pop("description", UNSET)

        enabled = d.pop("enabled", UNSET)

        _steps = d.pop("steps", UNSET)
        steps: list[WorkflowStepCreate] | Unset = UNSET
        if _steps is not UNSET:
            steps = []
            for steps_item_data in _steps:
                steps_item = WorkflowStepCreate.from_dict(steps_item_data)

                steps.append(steps_item)

        workflow_update = cls(
            trigger=trigger,
            name=name,
            description=description,
            enabled=enabled,
            steps=steps,
        )

        return workflow_update
