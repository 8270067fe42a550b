from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

T = TypeVar("T", bound="StackUpdate")


@_attrs_define
class StackUpdate:
    """
    Attributes:
        primary_asset_id (str):
    """

    primary_asset_id: str

    def to_dict(self) -> dict[str, Any]:
        primary_asset_id = self.primary_asset_id

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "primaryAssetId": primary_asset_id,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        primary_asset_id = d.pop("primaryAssetId")

        stack_update = cls(
            primary_asset_id=primary_asset_id,
        )

        return stack_update
