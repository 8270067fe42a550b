from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="BulkUploadCheckResult")


@_attrs_define
class BulkUploadCheckResult:
    """
    Attributes:
        id (str | Unset):
        action (str | Unset):
        reason (str | Unset):
        asset_id (str | Unset):
        is_trashed (bool | Unset):
    """

    id: str | Unset = UNSET
    action: str | Unset = UNSET
    reason: str | Unset = UNSET
    asset_id: str | Unset = UNSET
    is_trashed: bool | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = self.id

        action = self.action

        reason = self.reason

        asset_id = self.asset_id

        is_trashed = self.is_trashed

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if id is not UNSET:
            field_dict["id"] = id
        if action is not UNSET:
            field_dict["action"] = action
        if reason is not UNSET:
            field_dict["reason"] = reason
        if asset_id is not UNSET:
            field_dict["assetId"] = asset_id
        if is_trashed is not UNSET:
            field_dict["isTrashed"] = is_trashed

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        id = d.pop("id", UNSET)

        action = d.pop("action", UNSET)

        reason = d.pop("reason", UNSET)

        asset_id = d.pop("assetId", UNSET)

        is_trashed = d.pop("isTrashed", UNSET)

        bulk_upload_check_result = cls(
            id=id,
            action=action,
            reason=reason,
            asset_id=asset_id,
            is_trashed=is_trashed,
        )

        bulk_upload_check_result.additional_properties = d
        return bulk_upload_check_result

    @property
    def additional_keys(self) -> list[str]:
        return list(self.additional_properties.keys())

    def __getitem__(self, key: str) -> Any:
        return self.additional_properties[key]

    def __setitem__(self, key: str, value: Any) -> None:
        self.additional_properties[key] = value

    def __delitem__(self, key: str) -> None:
        del self.additional_properties[key]

    def __contains__(self, key: str) -> bool:
        return key in self.additional_properties
