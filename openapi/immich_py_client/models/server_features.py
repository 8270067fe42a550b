from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="ServerFeatures")


@_attrs_define
class ServerFeatures:
    """
    Attributes:
        trash (bool | Unset):
        sidecar (bool | Unset):
        duplicate_detection (bool | Unset):
    """

    trash: bool | Unset = UNSET
    sidecar: bool | Unset = UNSET
    duplicate_detection: bool | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        trash = self.trash

        sidecar = self.sidecar

        duplicate_detection = self.duplicate_detection

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if trash is not UNSET:
            field_dict["trash"] = trash
        if sidecar is not UNSET:
            field_dict["sidecar"] = sidecar
        if duplicate_detection is not UNSET:
            field_dict["duplicateDetection"] = duplicate_detection

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        trash = d.pop("trash", UNSET)

        sidecar = d.pop("sidecar", UNSET)

        duplicate_detection = d.pop("duplicateDetection", UNSET)

        server_features = cls(
            trash=trash,
            sidecar=sidecar,
            duplicate_detection=duplicate_detection,
        )

        server_features.additional_properties = d
        return server_features

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
