from __future__ import annotations

import datetime
from collections.abc import Mapping
from io import BytesIO
from typing import Any, TypeVar

from attrs import define as _attrs_define

from .. import types
from ..models.visibility import Visibility, check_visibility
from ..types import File

T = TypeVar("T", bound="AssetUpload")


@_attrs_define
class AssetUpload:
    """
    Attributes:
        device_asset_id (str):
        device_id (str):
        file_created_at (datetime.datetime):
        file_modified_at (datetime.datetime):
        metadata (str): JSON text of a list of objects with `key` and `value`.
        visibility (Visibility):
        asset_data (File):
    """

    device_asset_id: str
    device_id: str
    file_created_at: datetime.datetime
    file_modified_at: datetime.datetime
    metadata: str
    visibility: Visibility
    asset_data: File

    def to_dict(self) -> dict[str, Any]:
        device_asset_id = self.device_asset_id

        device_id = self.device_id

        file_created_at = self.file_created_at.isoformat()

        file_modified_at = self.file_modified_at.isoformat()

        metadata = self.metadata

        visibility: str = self.visibility

        asset_data = self.asset_data.to_tuple()

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "deviceAssetId": device_asset_id,
                "deviceId": device_id,
                "fileCreatedAt": file_created_at,
                "fileModifiedAt": file_modified_at,
                "metadata": metadata,
                "visibility": visibility,
                "assetData": asset_data,
            }
        )

        return field_dict

    def to_multipart(self) -> types.RequestFiles:
        files: types.RequestFiles = []

        files.append(("deviceAssetId", (None, str(self.device_asset_id).encode(), "text/plain")))

        files.append(("deviceId", (None, str(self.device_id).encode(), "text/plain")))

        files.append(("fileCreatedAt", (None, self.file_created_at.isoformat().encode(), "text/plain")))

        files.append(("fileModifiedAt", (None, self.file_modified_at.isoformat().encode(), "text/plain")))

        files.append(("metadata", (None, str(self.metadata).encode(), "text/plain")))

        files.append(("visibility", (None, str(self.visibility).encode(), "text/plain")))

        files.append(("assetData", self.asset_data.to_tuple()))

        return files

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        device_asset_id = d.pop("deviceAssetId")

        device_id = d.pop("deviceId")

        file_created_at = datetime.datetime.fromisoformat(d.pop("fileCreatedAt"))

        file_modified_at = datetime.datetime.fromisoformat(d.pop("fileModifiedAt"))

        metadata = d.pop("metadata")

        visibility = check_visibility(d.pop("visibility"))

        asset_data = File(payload=BytesIO(d.pop("assetData")))

        asset_upload = cls(
            device_asset_id=device_asset_id,
            device_id=device_id,
            file_created_at=file_created_at,
            file_modified_at=file_modified_at,
            metadata=metadata,
            visibility=visibility,
            asset_data=asset_data,
        )

        return asset_upload
