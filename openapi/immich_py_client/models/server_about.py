from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="ServerAbout")


@_attrs_define
class ServerAbout:
    """
    Attributes:
        version (str | Unset):
        third_party_documentation_url (str | Unset):
        third_party_source_url (str | Unset):
        third_party_support_url (str | Unset):
        third_party_bug_feature_url (str | Unset):
    """

    version: str | Unset = UNSET
    third_party_documentation_url: str | Unset = UNSET
    third_party_source_url: str | Unset = UNSET
    third_party_support_url: str | Unset = UNSET
    third_party_bug_feature_url: str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        version = self.version

        third_party_documentation_url = self.third_party_documentation_url

        third_party_source_url = self.third_party_source_url

        third_party_support_url = self.third_party_support_url

        third_party_bug_feature_url = self.third_party_bug_feature_url

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if version is not UNSET:
            field_dict["version"] = version
        if third_party_documentation_url is not UNSET:
            field_dict["thirdPartyDocumentationUrl"] = third_party_documentation_url
        if third_party_source_url is not UNSET:
            field_dict["thirdPartySourceUrl"] = third_party_source_url
        if third_party_support_url is not UNSET:
            field_dict["thirdPartySupportUrl"] = third_party_support_url
        if third_party_bug_feature_url is not UNSET:
            field_dict["thirdPartyBugFeatureUrl"] = third_party_bug_feature_url

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        version = d.pop("version", UNSET)

        third_party_documentation_url = d.pop("thirdPartyDocumentationUrl", UNSET)

        third_party_source_url = d.pop("thirdPartySourceUrl", UNSET)

        third_party_support_url = d.pop("thirdPartySupportUrl", UNSET)

        third_party_bug_feature_url = d.pop("thirdPartyBugFeatureUrl", UNSET)

        server_about = cls(
            version=version,
            third_party_documentation_url=third_party_documentation_url,
            third_party_source_url=third_party_source_url,
            third_party_support_url=third_party_support_url,
            third_party_bug_feature_url=third_party_bug_feature_url,
        )

        server_about.additional_properties = d
        return server_about

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
