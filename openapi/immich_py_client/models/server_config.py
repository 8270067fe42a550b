from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="ServerConfig")


@_attrs_define
class ServerConfig:
    """
    Attributes:
        external_domain (str | Unset):
        is_initialized (bool | Unset):
        login_page_message (str | Unset):
        maintenance_mode (bool | Unset):
        oauth_button_text (str | Unset):
        trash_days (int | Unset):
    """

    external_domain: str | Unset = UNSET
    is_initialized: bool | Unset = UNSET
    login_page_message: str | Unset = UNSET
    maintenance_mode: bool | Unset = UNSET
    oauth_button_text: str | Unset = UNSET
    trash_days: int | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        external_domain = self.external_domain

        is_initialized = self.is_initialized

        login_page_message = self.login_page_message

        maintenance_mode = self.maintenance_mode

        oauth_button_text = self.oauth_button_text

        trash_days = self.trash_days

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if external_domain is not UNSET:
            field_dict["externalDomain"] = external_domain
        if is_initialized is not UNSET:
            field_dict["isInitialized"] = is_initialized
        if login_page_message is not UNSET:
            field_dict["loginPageMessage"] = login_page_message
        if maintenance_mode is not UNSET:
            field_dict["maintenanceMode"] = maintenance_mode
        if oauth_button_text is not UNSET:
            field_dict["oauthButtonText"] = oauth_button_text
        if trash_days is not UNSET:
            field_dict["trashDays"] = trash_days

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        external_domain = d.pop("externalDomain", UNSET)

        is_initialized = d.pop("isInitialized", UNSET)

        login_page_message = d.pop("loginPageMessage", UNSET)

        maintenance_mode = d.pop("maintenanceMode", UNSET)

        oauth_button_text = d.pop("oauthButtonText", UNSET)

        trash_days = d.pop("trashDays", UNSET)

        server_config = cls(
            external_domain=external_domain,
            is_initialized=is_initialized,
            login_page_message=login_page_message,
            maintenance_mode=maintenance_mode,
            oauth_button_text=oauth_button_text,
            trash_days=trash_days,
        )

        server_config.additional_properties = d
        return server_config

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
