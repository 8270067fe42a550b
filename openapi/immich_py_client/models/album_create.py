from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..types import UNSET, Unset

T = TypeVar("T", bound="AlbumCreate")


@_attrs_define
class AlbumCreate:
    """
    Attributes:
        album_name (str):
        description (str | Unset):
        asset_ids (list[str] | Unset):
    """

    album_name: str
    description: str | Unset = UNSET
    asset_ids: list[str] | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        album_name = self.album_name

        description = self.description

        asset_ids: list[str] | Unset = UNSET
        if not isinstance(self.asset_ids, Unset):
            asset_ids = self.asset_ids

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "albumName": album_name,
            }
        )
        if description is not UNSET:
            field_dict["description"] = description
        if asset_ids is not UNSET:
            field_dict["assetIds"] = asset_ids

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        album_name = d.pop("albumName")

        description = d.pop("description", UNSET)

        asset_ids = cast(list[str], d.pop("assetIds", UNSET))

        album_create = cls(
            album_name=album_name,
            description=description,
            asset_ids=asset_ids,
        )

        return album_create
