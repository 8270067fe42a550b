from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="Me")


@_attrs_define
class Me:
    """
    Attributes:
        id (str | Unset):
        name (str | Unset):
        email (str | Unset):
        is_admin (bool | Unset):
        quota_size_in_bytes (int | None | Unset):
        quota_usage_in_bytes (int | None | Unset):
    """

    id: str | Unset = UNSET
    name: str | Unset = UNSET
    email: str | Unset = UNSET
    is_admin: bool | Unset = UNSET
    quota_size_in_bytes: int | None | Unset = UNSET
    quota_usage_in_bytes: int | None | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = self.id

        name = self.name

        email = self.email

        is_admin = self.is_admin

        quota_size_in_bytes: int | None | Unset
        if isinstance(self.quota_size_in_bytes, Unset):
            quota_size_in_bytes = UNSET
        else:
            quota_size_in_bytes = self.quota_size_in_bytes

        quota_usage_in_bytes: int | None | Unset
        if isinstance(self.quota_usage_in_bytes, Unset):
            quota_usage_in_bytes = UNSET
        else:
            quota_usage_in_bytes = self.quota_usage_in_bytes

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if id is not UNSET:
            field_dict["id"] = id
        if name is not UNSET:
            field_dict["name"] = name
        if email is not UNSET:
            field_dict["email"] = email
        if is_admin is not UNSET:
            field_dict["isAdmin"] = is_admin
        if quota_size_in_bytes is not UNSET:
            field_dict["quotaSizeInBytes"] = quota_size_in_bytes
        if quota_usage_in_bytes is not UNSET:
            field_dict["quotaUsageInBytes"] = quota_usage_in_bytes

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        id = d.pop("id", UNSET)

        name = d.pop("name", UNSET)

        email = d.pop("email", UNSET)

        is_admin = d.pop("isAdmin", UNSET)

        def _parse_quota_size_in_bytes(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        quota_size_in_bytes = _parse_quota_size_in_bytes(d.pop("quotaSizeInBytes", UNSET))

        def _parse_quota_usage_in_bytes(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        quota_usage_in_bytes = _parse_quota_usage_in_bytes(d.pop("quotaUsageInBytes", UNSET))

        me = cls(
            id=id,
            name=name,
            email=email,
            is_admin=is_admin,
            quota_size_in_bytes=quota_size_in_bytes,
            quota_usage_in_bytes=quota_usage_in_bytes,
        )

        me.additional_properties = d
        return me

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
