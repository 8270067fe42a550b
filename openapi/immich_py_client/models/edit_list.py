from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.edit_item import EditItem


T = TypeVar("T", bound="EditList")


@_attrs_define
class EditList:
    """
    Attributes:
        edits (list[EditItem]): A crop comes first, in pixels of the upright original.
    """

    edits: list[EditItem]

    def to_dict(self) -> dict[str, Any]:
        edits = []
        for edits_item_data in self.edits:
            edits_item = edits_item_data.to_dict()
            edits.append(edits_item)

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "edits": edits,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.edit_item import EditItem  # noqa: PLC0415

        d = dict(src_dict)
        edits = []
        _edits = d.pop("edits")
        for edits_item_data in _edits:
            edits_item = EditItem.from_dict(edits_item_data)

            edits.append(edits_item)

        edit_list = cls(
            edits=edits,
        )

        return edit_list
