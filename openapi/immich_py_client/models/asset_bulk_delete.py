from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

T = TypeVar("T", bound="AssetBulkDelete")


@_attrs_define
class AssetBulkDelete:
    """
    Attributes:
        ids (list[str]):
        force (bool): Gone at once instead of into the trash.
    """

    ids: list[str]
    force: bool

    def to_dict(self) -> dict[str, Any]:
        ids = self.ids

        force = self.force

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "ids": ids,
                "force": force,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        ids = cast(list[str], d.pop("ids"))

        force = d.pop("force")

        asset_bulk_delete = cls(
            ids=ids,
            force=force,
        )

        return asset_bulk_delete
