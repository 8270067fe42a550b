from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="ServerMediaTypes")


@_attrs_define
class ServerMediaTypes:
    """
    Attributes:
        image (list[str] | Unset):
        video (list[str] | Unset):
        sidecar (list[str] | Unset):
    """

    image: list[str] | Unset = UNSET
    video: list[str] | Unset = UNSET
    sidecar: list[str] | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        image: list[str] | Unset = UNSET
        if not isinstance(self.image, Unset):
            image = self.image

        video: list[str] | Unset = UNSET
        if not isinstance(self.video, Unset):
            video = self.video

        sidecar: list[str] | Unset = UNSET
        if not isinstance(self.sidecar, Unset):
            sidecar = self.sidecar

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if image is not UNSET:
            field_dict["image"] = image
        if video is not UNSET:
            field_dict["video"] = video
        if sidecar is not UNSET:
            field_dict["sidecar"] = sidecar

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        image = cast(list[str], d.pop("image", UNSET))

        video = cast(list[str], d.pop("video", UNSET))

        sidecar = cast(list[str], d.pop("sidecar", UNSET))

        server_media_types = cls(
            image=image,
            video=video,
            sidecar=sidecar,
        )

        server_media_types.additional_properties = d
        return server_media_types

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
