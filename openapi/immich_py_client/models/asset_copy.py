from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

T = TypeVar("T", bound="AssetCopy")


@_attrs_define
class AssetCopy:
    """Each switch is true in Immich where it is not sent, so all are required here.

    Attributes:
        source_id (str):
        target_id (str):
        stack (bool):
        albums (bool):
        favorite (bool):
        shared_links (bool):
        sidecar (bool):
    """

    source_id: str
    target_id: str
    stack: bool
    albums: bool
    favorite: bool
    shared_links: bool
    sidecar: bool

    def to_dict(self) -> dict[str, Any]:
        source_id = self.source_id

        target_id = self.target_id

        stack = self.stack

        albums = self.albums

        favorite = self.favorite

        shared_links = self.shared_links

        sidecar = self.sidecar

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "sourceId": source_id,
                "targetId": target_id,
                "stack": stack,
                "albums": albums,
                "favorite": favorite,
                "sharedLinks": shared_links,
                "sidecar": sidecar,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        source_id = d.pop("sourceId")

        target_id = d.pop("targetId")

        stack = d.pop("stack")

        albums = d.pop("albums")

        favorite = d.pop("favorite")

        shared_links = d.pop("sharedLinks")

        sidecar = d.pop("sidecar")

        asset_copy = cls(
            source_id=source_id,
            target_id=target_id,
            stack=stack,
            albums=albums,
            favorite=favorite,
            shared_links=shared_links,
            sidecar=sidecar,
        )

        return asset_copy
