from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

from ..models.edit_action import EditAction, check_edit_action

if TYPE_CHECKING:
    from ..models.edit_item_parameters import EditItemParameters


T = TypeVar("T", bound="EditItem")


@_attrs_define
class EditItem:
    """
    Attributes:
        action (EditAction):
        parameters (EditItemParameters): Those of the action, all of them.
    """

    action: EditAction
    parameters: EditItemParameters

    def to_dict(self) -> dict[str, Any]:
        action: str = self.action

        parameters = self.parameters.to_dict()

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "action": action,
                "parameters": parameters,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.edit_item_parameters import EditItemParameters  # noqa: PLC0415

        d = dict(src_dict)
        action = check_edit_action(d.pop("action"))

        parameters = EditItemParameters.from_dict(d.pop("parameters"))

        edit_item = cls(
            action=action,
            parameters=parameters,
        )

        return edit_item
