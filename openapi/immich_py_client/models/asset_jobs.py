from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.asset_job import AssetJob, check_asset_job

T = TypeVar("T", bound="AssetJobs")


@_attrs_define
class AssetJobs:
    """
    Attributes:
        asset_ids (list[str]):
        name (AssetJob):
    """

    asset_ids: list[str]
    name: AssetJob

    def to_dict(self) -> dict[str, Any]:
        asset_ids = self.asset_ids

        name: str = self.name

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "assetIds": asset_ids,
                "name": name,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        asset_ids = cast(list[str], d.pop("assetIds"))

        name = check_asset_job(d.pop("name"))

        asset_jobs = cls(
            asset_ids=asset_ids,
            name=name,
        )

        return asset_jobs
