from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.workflow_step_config import WorkflowStepConfig


T = TypeVar("T", bound="WorkflowStepCreate")


@_attrs_define
class WorkflowStepCreate:
    """
    Attributes:
        method (str):
        config (WorkflowStepConfig): Any JSON object.
        enabled (bool):
    """

    method: str
    config: WorkflowStepConfig
    enabled: bool

    def to_dict(self) -> dict[str, Any]:
        method = self.method

        config = self.config.to_dict()

        enabled = self.enabled

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "method": method,
                "config": config,
                "enabled": enabled,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.workflow_step_config import WorkflowStepConfig  # noqa: PLC0415

        d = dict(src_dict)
        method = d.pop("method")

        config = WorkflowStepConfig.from_dict(d.pop("config"))

        enabled = d.pop("enabled")

        workflow_step_create = cls(
            method=method,
            config=config,
            enabled=enabled,
        )

        return workflow_step_create
