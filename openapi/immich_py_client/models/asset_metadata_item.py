from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from attrs import define as _attrs_define

if TYPE_CHECKING:
    from ..models.metadata_value import MetadataValue


T = TypeVar("T", bound="AssetMetadataItem")


@_attrs_define
class AssetMetadataItem:
    """
    Attributes:
        key (str):
        value (MetadataValue): Any JSON object.
    """

    key: str
    value: MetadataValue

    def to_dict(self) -> dict[str, Any]:
        key = self.key

        value = self.value.to_dict()

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "key": key,
                "value": value,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.metadata_value import MetadataValue  # noqa: PLC0415

        d = dict(src_dict)
        key = d.pop("key")

        value = MetadataValue.from_dict(d.pop("value"))

        asset_metadata_item = cls(
            key=key,
            value=value,
        )

        return asset_metadata_item
