from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.asset_stack import AssetStack
    from ..models.exif import Exif
    from ..models.person import Person
    from ..models.tag import Tag


T = TypeVar("T", bound="Asset")


@_attrs_define
class Asset:
    """
    Attributes:
        id (str | Unset):
        owner_id (str | Unset):
        library_id (None | str | Unset):
        type_ (str | Unset):
        original_file_name (str | Unset):
        original_mime_type (str | Unset):
        checksum (str | Unset):
        thumbhash (None | str | Unset):
        created_at (str | Unset):
        updated_at (str | Unset):
        file_created_at (str | Unset):
        file_modified_at (str | Unset):
        local_date_time (str | Unset):
        visibility (str | Unset):
        is_favorite (bool | Unset):
        is_trashed (bool | Unset):
        is_offline (bool | Unset):
        is_edited (bool | Unset):
        duplicate_id (None | str | Unset):
        live_photo_video_id (None | str | Unset):
        width (float | None | Unset):
        height (float | None | Unset):
        exif_info (Exif | None | Unset):
        stack (AssetStack | None | Unset):
        tags (list[Tag] | Unset):
        people (list[Person] | Unset):
    """

    id: str | Unset = UNSET
    owner_id: str | Unset = UNSET
    library_id: None | str | Unset = UNSET
    type_: str | Unset = UNSET
    original_file_name: str | Unset = UNSET
    original_mime_type: str | Unset = UNSET
    checksum: str | Unset = UNSET
    thumbhash: None | str | Unset = UNSET
    created_at: str | Unset = UNSET
    updated_at: str | Unset = UNSET
    file_created_at: str | Unset = UNSET
    file_modified_at: str | Unset = UNSET
    local_date_time: str | Unset = UNSET
    visibility: str | Unset = UNSET
    is_favorite: bool | Unset = UNSET
    is_trashed: bool | Unset = UNSET
    is_offline: bool | Unset = UNSET
    is_edited: bool | Unset = UNSET
    duplicate_id: None | str | Unset = UNSET
    live_photo_video_id: None | str | Unset = UNSET
    width: float | None | Unset = UNSET
    height: float | None | Unset = UNSET
    exif_info: Exif | None | Unset = UNSET
    stack: AssetStack | None | Unset = UNSET
    tags: list[Tag] | Unset = UNSET
    people: list[Person] | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.asset_stack import AssetStack  # noqa: PLC0415
        from ..models.exif import Exif  # noqa: PLC0415

        id = self.id

        owner_id = self.owner_id

        library_id: None | str | Unset
        if isinstance(self.library_id, Unset):
            library_id = UNSET
        else:
            library_id = self.library_id

        type_ = self.type_

        original_file_name = self.original_file_name

        original_mime_type = self.original_mime_type

        checksum = self.checksum

        thumbhash: None | str | Unset
        if isinstance(self.thumbhash, Unset):
            thumbhash = UNSET
        else:
            thumbhash = self.thumbhash

        created_at = self.created_at

        updated_at = self.updated_at

        file_created_at = self.file_created_at

        file_modified_at = self.file_modified_at

        local_date_time = self.local_date_time

        visibility = self.visibility

        is_favorite = self.is_favorite

        is_trashed = self.is_trashed

        is_offline = self.is_offline

        is_edited = self.is_edited

        duplicate_id: None | str | Unset
        if isinstance(self.duplicate_id, Unset):
            duplicate_id = UNSET
        else:
            duplicate_id = self.duplicate_id

        live_photo_video_id: None | str | Unset
        if isinstance(self.live_photo_video_id, Unset):
            live_photo_video_id = UNSET
        else:
            live_photo_video_id = self.live_photo_video_id

        width: float | None | Unset
        if isinstance(self.width, Unset):
            width = UNSET
        else:
            width = self.width

        height: float | None | Unset
        if isinstance(self.height, Unset):
            height = UNSET
        else:
            height = self.height

        exif_info: dict[str, Any] | None | Unset
        if isinstance(self.exif_info, Unset):
            exif_info = UNSET
        elif isinstance(self.exif_info, Exif):
            exif_info = self.exif_info.to_dict()
        else:
            exif_info = self.exif_info

        stack: dict[str, Any] | None | Unset
        if isinstance(self.stack, Unset):
            stack = UNSET
        elif isinstance(self.stack, AssetStack):
            stack = self.stack.to_dict()
        else:
            stack = self.stack

        tags: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.tags, Unset):
            tags = []
            for tags_item_data in self.tags:
                tags_item = tags_item_data.to_dict()
                tags.append(tags_item)

        people: list[dict[str, Any]] | Unset = UNSET
        if not isinstance(self.people, Unset):
            people = []
            for people_item_data in self.people:
                people_item = people_item_data.to_dict()
                people.append(people_item)

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if id is not UNSET:
            field_dict["id"] = id
        if owner_id is not UNSET:
            field_dict["ownerId"] = owner_id
        if library_id is not UNSET:
            field_dict["libraryId"] = library_id
        if type_ is not UNSET:
            field_dict["type"] = type_
        if original_file_name is not UNSET:
            field_dict["originalFileName"] = original_file_name
        if original_mime_type is not UNSET:
            field_dict["originalMimeType"] = original_mime_type
        if checksum is not UNSET:
            field_dict["checksum"] = checksum
        if thumbhash is not UNSET:
            field_dict["thumbhash"] = thumbhash
        if created_at is not UNSET:
            field_dict["createdAt"] = created_at
        if updated_at is not UNSET:
            field_dict["updatedAt"] = updated_at
        if file_created_at is not UNSET:
            field_dict["fileCreatedAt"] = file_created_at
        if file_modified_at is not UNSET:
            field_dict["fileModifiedAt"] = file_modified_at
        if local_date_time is not UNSET:
            field_dict["localDateTime"] = local_date_time
        if visibility is not UNSET:
            field_dict["visibility"] = visibility
        if is_favorite is not UNSET:
            field_dict["isFavorite"] = is_favorite
        if is_trashed is not UNSET:
            field_dict["isTrashed"] = is_trashed
        if is_offline is not UNSET:
            field_dict["isOffline"] = is_offline
        if is_edited is not UNSET:
            field_dict["isEdited"] = is_edited
        if duplicate_id is not UNSET:
            field_dict["duplicateId"] = duplicate_id
        if live_photo_video_id is not UNSET:
            field_dict["livePhotoVideoId"] = live_photo_video_id
        if width is not UNSET:
            field_dict["width"] = width
        if height is not UNSET:
            field_dict["height"] = height
        if exif_info is not UNSET:
            field_dict["exifInfo"] = exif_info
        if stack is not UNSET:
            field_dict["stack"] = stack
        if tags is not UNSET:
            field_dict["tags"] = tags
        if people is not UNSET:
            field_dict["people"] = people

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.asset_stack import AssetStack  # noqa: PLC0415
        from ..models.exif import Exif  # noqa: PLC0415
        from ..models.person import Person  # noqa: PLC0415
        from ..models.tag import Tag  # noqa: PLC0415

        d = dict(src_dict)
        id = d.pop("id", UNSET)

        owner_id = d.pop("ownerId", UNSET)

        def _parse_library_id(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        library_id = _parse_library_id(d.pop("libraryId", UNSET))

        type_ = d.pop("type", UNSET)

        original_file_name = d.pop("originalFileName", UNSET)

        original_mime_type = d.pop("originalMimeType", UNSET)

        checksum = d.pop("checksum", UNSET)

        def _parse_thumbhash(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        thumbhash = _parse_thumbhash(d.pop("thumbhash", UNSET))

        created_at = d.pop("createdAt", UNSET)

        updated_at = d.pop("updatedAt", UNSET)

        file_created_at = d.pop("fileCreatedAt", UNSET)

        file_modified_at = d.pop("fileModifiedAt", UNSET)

        local_date_time = d.pop("localDateTime", UNSET)

        visibility = d.pop("visibility", UNSET)

        is_favorite = d.pop("isFavorite", UNSET)

        is_trashed = d.pop("isTrashed", UNSET)

        is_offline = d.pop("isOffline", UNSET)

        is_edited = d.pop("isEdited", UNSET)

        def _parse_duplicate_id(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        duplicate_id = _parse_duplicate_id(d.pop("duplicateId", UNSET))

        def _parse_live_photo_video_id(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        live_photo_video_id = _parse_live_photo_video_id(d.pop("livePhotoVideoId", UNSET))

        def _parse_width(data: object) -> float | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(float | None | Unset, data)

        width = _parse_width(d.pop("width", UNSET))

        def _parse_height(data: object) -> float | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(float | None | Unset, data)

        height = _parse_height(d.pop("height", UNSET))

        def _parse_exif_info(data: object) -> Exif | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                exif_info_type_1 = Exif.from_dict(data)

                return exif_info_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(Exif | None | Unset, data)

        exif_info = _parse_exif_info(d.pop("exifInfo", UNSET))

        def _parse_stack(data: object) -> AssetStack | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                stack_type_1 = AssetStack.from_dict(data)

                return stack_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(AssetStack | None | Unset, data)

        stack = _parse_stack(d.pop("stack", UNSET))

        _tags = d.pop("tags", UNSET)
        tags: list[Tag] | Unset = UNSET
        if _tags is not UNSET:
            tags = []
            for tags_item_data in _tags:
                tags_item = Tag.from_dict(tags_item_data)

                tags.append(tags_item)

        _people = d.pop("people", UNSET)
        people: list[Person] | Unset = UNSET
        if _people is not UNSET:
            people = []
            for people_item_data in _people:
                people_item = Person.from_dict(people_item_data)

                people.append(people_item)

        asset = cls(
            id=id,
            owner_id=owner_id,
            library_id=library_id,
            type_=type_,
            original_file_name=original_file_name,
            original_mime_type=original_mime_type,
            checksum=checksum,
            thumbhash=thumbhash,
            created_at=created_at,
            updated_at=updated_at,
            file_created_at=file_created_at,
            file_modified_at=file_modified_at,
            local_date_time=local_date_time,
            visibility=visibility,
            is_favorite=is_favorite,
            is_trashed=is_trashed,
            is_offline=is_offline,
            is_edited=is_edited,
            duplicate_id=duplicate_id,
            live_photo_video_id=live_photo_video_id,
            width=width,
            height=height,
            exif_info=exif_info,
            stack=stack,
            tags=tags,
            people=people,
        )

        asset.additional_properties = d
        return asset

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
