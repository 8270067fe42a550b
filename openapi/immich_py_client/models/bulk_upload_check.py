from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.bulk_upload_check_item import BulkUploadCheckItem


T = TypeVar("T", bound="BulkUploadCheck")


@_attrs_define
class BulkUploadCheck:
    """
    Attributes:
        assets (list[BulkUploadCheckItem]):
    """

    assets: list[BulkUploadCheckItem]

    def to_dict(self) -> dict[str, Any]:
        assets = []
        for assets_item_data in self.assets:
            assets_item = assets_item_data.to_dict()
            assets.append(assets_item)

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "assets": assets,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.bulk_upload_check_item import BulkUploadCheckItem  # noqa: PLC0415

        d = dict(src_dict)
        assets = []
        _assets = d.pop("assets")
        for assets_item_data in _assets:
            assets_item = BulkUploadCheckItem.from_dict(assets_item_data)

            assets.append(assets_item)

        bulk_upload_check = cls(
            assets=assets,
        )

        return bulk_upload_check
