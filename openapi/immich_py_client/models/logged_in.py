from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="LoggedIn")


@_attrs_define
class LoggedIn:
    """
    Attributes:
        access_token (str | Unset):
        user_id (str | Unset):
        user_email (str | Unset):
        name (str | Unset):
        is_admin (bool | Unset):
        should_change_password (bool | Unset):
    """

    access_token: str | Unset = UNSET
    user_id: str | Unset = UNSET
    user_email: str | Unset = UNSET
    name: str | Unset = UNSET
    is_admin: bool | Unset = UNSET
    should_change_password: bool | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        access_token = self.access_token

        user_id = self.user_id

        user_email = self.user_email

        name = self.name

        is_admin = self.is_admin

        should_change_password = self.should_change_password

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if access_token is not UNSET:
            field_dict["accessToken"] = access_token
        if user_id is not UNSET:
            field_dict["userId"] = user_id
        if user_email is not UNSET:
            field_dict["userEmail"] = user_email
        if name is not UNSET:
            field_dict["name"] = name
        if is_admin is not UNSET:
            field_dict["isAdmin"] = is_admin
        if should_change_password is not UNSET:
            field_dict["shouldChangePassword"] = should_change_password

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        access_token = d.pop("accessToken", UNSET)

        user_id = d.pop("userId", UNSET)

        user_email = d.pop("userEmail", UNSET)

        name = d.pop("name", UNSET)

        is_admin = d.pop("isAdmin", UNSET)

        should_change_password = d.pop("shouldChangePassword", UNSET)

        logged_in = cls(
            access_token=access_token,
            user_id=user_id,
            user_email=user_email,
            name=name,
            is_admin=is_admin,
            should_change_password=should_change_password,
        )

        logged_in.additional_properties = d
        return logged_in

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
