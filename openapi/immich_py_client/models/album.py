from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.album_user import AlbumUser


T = TypeVar("T", bound="Album")


@_attrs_define
class Album:
    """
    Attributes:
        id (str | Unset):
        album_name (str | Unset):
        description (str | Unset):
        owner_id (str | Unset): Of 2.x; 3.x names the owner among the users.
        shared (bool | Unset):
        asset_count (int | Unset):
        album_users (list[AlbumUser] | Unset):
    """

    id: str | Unset = UNSET
    album_name: str | Unset = UNSET
    description: str | Unset = UNSET
    owner_id: str | Unset = UNSET
    shared: bool | Unset = UNSET
    asset_count: int | Unset = UNSET
    album_users: list[AlbumUser] | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        id = self.id

        album_name = self.album_name

        description = self.description

        owner_id = self.owner_id

        shared = self.shared

        asset_count = self.asset_count

        album_users: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.album_users, Unset):
            album_users = []
            for album_users_item_data in self.album_users:
                album_users_item = album_users_item_data.to_dict()
                album_users.append(album_users_item)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if id is not UNSET:
            field_dict["id"] = id
        if album_name is not UNSET:
            field_dict["albumName"] = album_name
        if description is not UNSET:
            field_dict["description"] = description
        if owner_id is not UNSET:
            field_dict["ownerId"] = owner_id
        if shared is not UNSET:
            field_dict["shared"] = shared
        if asset_count is not UNSET:
            field_dict["assetCount"] = asset_count
        if album_users is not UNSET:
            field_dict["albumUsers"] = album_users

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.album_user import AlbumUser  # noqa: PLC0415

        d = dict(src_dict)
        id = d.pop("id", UNSET)

        album_name = d.pop("albumName", UNSET)

        description = d.pop("description", UNSET)

        owner_id = d.pop("ownerId", UNSET)

        shared = d.pop("shared", UNSET)

        asset_count = d.pop("assetCount", UNSET)

        _album_users = d.pop("albumUsers", UNSET)
        album_users: list[AlbumUser] | Unset = UNSET
        if _album_users is not UNSET:
            album_users = []
            for album_users_item_data in _album_users:
                album_users_item = AlbumUser.from_dict(album_users_item_data)

                album_users.append(album_users_item)

        album = cls(
            id=id,
            album_name=album_name,
            description=description,
            owner_id=owner_id,
            shared=shared,
            asset_count=asset_count,
            album_users=album_users,
        )

        album.additional_properties = d
        return album

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
