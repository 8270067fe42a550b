from __future__ import annotations

import datetime
from collections.abc import Mapping
from io import BytesIO
from typing import Any, TypeVar

from attrs import define as _attrs_define

from .. import types
from ..models.visibility import Visibility, check_visibility
from ..models.yes_no import YesNo, check_yes_no
from ..types import UNSET, File, FileTypes, Unset

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
        is_favorite (YesNo | Unset):
        live_photo_video_id (str | Unset):
        sidecar_data (File | Unset):
    """

    device_asset_id: str
    device_id: str
    file_created_at: datetime.datetime
    file_modified_at: datetime.datetime
    metadata: str
    visibility: Visibility
    asset_data: File
    is_favorite: YesNo | Unset = UNSET
    live_photo_video_id: str | Unset = UNSET
    sidecar_data: File | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        device_asset_id = self.device_asset_id

        device_id = self.device_id

        file_created_at = self.file_created_at.isoformat()

        file_modified_at = self.file_modified_at.isoformat()

        metadata = self.metadata

        visibility: str = self.visibility

        asset_data = self.asset_data.to_tuple()

        is_favorite: str | Unset = UNSET
        if not isinstance(self.is_favorite, Unset):
            is_favorite = self.is_favorite

        live_photo_video_id = self.live_photo_video_id

        sidecar_data: FileTypes | Unset = UNSET
        if not isinstance(self.sidecar_data, Unset):
            sidecar_data = self.sidecar_data.to_tuple()

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
        if is_favorite is not UNSET:
            field_dict["isFavorite"] = is_favorite
        if live_photo_video_id is not UNSET:
            field_dict["livePhotoVideoId"] = live_photo_video_id
        if sidecar_data is not UNSET:
            field_dict["sidecarData"] = sidecar_data

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

        if not isinstance(self.is_favorite, Unset):
            files.append(("isFavorite", (None, str(self.is_favorite).encode(), "text/plain")))

        if not isinstance(self.live_photo_video_id, Unset):
            files.append(("livePhotoVideoId", (None, str(self.live_photo_video_id).encode(), "text/plain")))

        if not isinstance(self.sidecar_data, Unset):
            files.append(("sidecarData", self.sidecar_data.to_tuple()))

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

        _is_favorite = d.pop("isFavorite", UNSET)
        is_favorite: YesNo | Unset
        if isinstance(_is_favorite, Unset):
            is_favorite = UNSET
        else:
            is_favorite = check_yes_no(_is_favorite)

        live_photo_video_id = d.pop("livePhotoVideoId", UNSET)

        _sidecar_data = d.pop("sidecarData", UNSET)
        sidecar_data: File | Unset
        if isinstance(_sidecar_data, Unset):
            sidecar_data = UNSET
        else:
            sidecar_data = File(payload=BytesIO(_sidecar_data))

        asset_upload = cls(
            device_asset_id=device_asset_id,
            device_id=device_id,
            file_created_at=file_created_at,
            file_modified_at=file_modified_at,
            metadata=metadata,
            visibility=visibility,
            asset_data=asset_data,
            is_favorite=is_favorite,
            live_photo_video_id=live_photo_video_id,
            sidecar_data=sidecar_data,
        )

        return asset_upload
