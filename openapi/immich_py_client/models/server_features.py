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
        facial_recognition (bool | Unset):
        import_faces (bool | Unset):
        oauth (bool | Unset):
        oauth_auto_launch (bool | Unset):
        password_login (bool | Unset):
        search (bool | Unset):
        smart_search (bool | Unset):
    """

    trash: bool | Unset = UNSET
    sidecar: bool | Unset = UNSET
    duplicate_detection: bool | Unset = UNSET
    facial_recognition: bool | Unset = UNSET
    import_faces: bool | Unset = UNSET
    oauth: bool | Unset = UNSET
    oauth_auto_launch: bool | Unset = UNSET
    password_login: bool | Unset = UNSET
    search: bool | Unset = UNSET
    smart_search: bool | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        trash = self.trash

        sidecar = self.sidecar

        duplicate_detection = self.duplicate_detection

        facial_recognition = self.facial_recognition

        import_faces = self.import_faces

        oauth = self.oauth

        oauth_auto_launch = self.oauth_auto_launch

        password_login = self.password_login

        search = self.search

        smart_search = self.smart_search

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if trash is not UNSET:
            field_dict["trash"] = trash
        if sidecar is not UNSET:
            field_dict["sidecar"] = sidecar
        if duplicate_detection is not UNSET:
            field_dict["duplicateDetection"] = duplicate_detection
        if facial_recognition is not UNSET:
            field_dict["facialRecognition"] = facial_recognition
        if import_faces is not UNSET:
            field_dict["importFaces"] = import_faces
        if oauth is not UNSET:
            field_dict["oauth"] = oauth
        if oauth_auto_launch is not UNSET:
            field_dict["oauthAutoLaunch"] = oauth_auto_launch
        if password_login is not UNSET:
            field_dict["passwordLogin"] = password_login
        if search is not UNSET:
            field_dict["search"] = search
        if smart_search is not UNSET:
            field_dict["smartSearch"] = smart_search

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        trash = d.pop("trash", UNSET)

        sidecar = d.pop("sidecar", UNSET)

        duplicate_detection = d.pop("duplicateDetection", UNSET)

        facial_recognition = d.pop("facialRecognition", UNSET)

        import_faces = d.pop("importFaces", UNSET)

        oauth = d.pop("oauth", UNSET)

        oauth_auto_launch = d.pop("oauthAutoLaunch", UNSET)

        password_login = d.pop("passwordLogin", UNSET)

        search = d.pop("search", UNSET)

        smart_search = d.pop("smartSearch", UNSET)

        server_features = cls(
            trash=trash,
            sidecar=sidecar,
            duplicate_detection=duplicate_detection,
            facial_recognition=facial_recognition,
            import_faces=import_faces,
            oauth=oauth,
            oauth_auto_launch=oauth_auto_launch,
            password_login=password_login,
            search=search,
            smart_search=smart_search,
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
