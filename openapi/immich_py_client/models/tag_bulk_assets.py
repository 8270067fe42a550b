from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

T = TypeVar("T", bound="TagBulkAssets")


@_attrs_define
class TagBulkAssets:
    """
    Attributes:
        tag_ids (list[str]):
        asset_ids (list[str]):
    """

    tag_ids: list[str]
    asset_ids: list[str]

    def to_dict(self) -> dict[str, Any]:
        tag_ids = self.tag_ids

        asset_ids = self.asset_ids

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "tagIds": tag_ids,
                "assetIds": asset_ids,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        tag_ids = cast(list[str], d.pop("tagIds"))

        asset_ids = cast(list[str], d.pop("assetIds"))

        tag_bulk_assets = cls(
            tag_ids=tag_ids,
            asset_ids=asset_ids,
        )

        return tag_bulk_assets
