from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

T = TypeVar("T", bound="BulkUploadCheckItem")


@_attrs_define
class BulkUploadCheckItem:
    """
    Attributes:
        id (str):
        checksum (str):
    """

    id: str
    checksum: str

    def to_dict(self) -> dict[str, Any]:
        id = self.id

        checksum = self.checksum

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "id": id,
                "checksum": checksum,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        id = d.pop("id")

        checksum = d.pop("checksum")

        bulk_upload_check_item = cls(
            id=id,
            checksum=checksum,
        )

        return bulk_upload_check_item
