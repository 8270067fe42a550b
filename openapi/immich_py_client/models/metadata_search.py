from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.asset_kind import AssetKind, check_asset_kind
from ..models.search_order import SearchOrder, check_search_order
from ..models.visibility import Visibility, check_visibility
from ..types import UNSET, Unset

T = TypeVar("T", bound="MetadataSearch")


@_attrs_define
class MetadataSearch:
    """
    Attributes:
        visibility (Visibility):
        id (str | Unset):
        checksum (str | Unset):
        type_ (AssetKind | Unset):
        created_after (datetime.datetime | Unset):
        created_before (datetime.datetime | Unset):
        updated_after (datetime.datetime | Unset):
        updated_before (datetime.datetime | Unset):
        taken_after (datetime.datetime | Unset):
        taken_before (datetime.datetime | Unset):
        make (str | Unset):
        model (str | Unset):
        lens_model (str | Unset):
        rating (int | Unset):
        is_favorite (bool | Unset):
        is_motion (bool | Unset):
        is_offline (bool | Unset):
        is_not_in_album (bool | Unset):
        library_id (str | Unset):
        album_ids (list[str] | Unset):
        tag_ids (list[str] | Unset):
        person_ids (list[str] | Unset):
        original_file_name (str | Unset):
        description (str | Unset):
        with_stacked (bool | Unset):
        with_people (bool | Unset):
        with_deleted (bool | Unset):
        with_exif (bool | Unset):
        order (SearchOrder | Unset):
        page (int | Unset):
        size (int | Unset):
    """

    visibility: Visibility
    id: str | Unset = UNSET
    checksum: str | Unset = UNSET
    type_: AssetKind | Unset = UNSET
    created_after: datetime.datetime | Unset = UNSET
    created_before: datetime.datetime | Unset = UNSET
    updated_after: datetime.datetime | Unset = UNSET
    updated_before: datetime.datetime | Unset = UNSET
    taken_after: datetime.datetime | Unset = UNSET
    taken_before: datetime.datetime | Unset = UNSET
    make: str | Unset = UNSET
    model: str | Unset = UNSET
    lens_model: str | Unset = UNSET
    rating: int | Unset = UNSET
    is_favorite: bool | Unset = UNSET
    is_motion: bool | Unset = UNSET
    is_offline: bool | Unset = UNSET
    is_not_in_album: bool | Unset = UNSET
    library_id: str | Unset = UNSET
    album_ids: list[str] | Unset = UNSET
    tag_ids: list[str] | Unset = UNSET
    person_ids: list[str] | Unset = UNSET
    original_file_name: str | Unset = UNSET
    description: str | Unset = UNSET
    with_stacked: bool | Unset = UNSET
    with_people: bool | Unset = UNSET
    with_deleted: bool | Unset = UNSET
    with_exif: bool | Unset = UNSET
    order: SearchOrder | Unset = UNSET
    page: int | Unset = UNSET
    size: int | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        visibility: str = self.visibility

        id = self.id

        checksum = self.checksum

        type_: str | Unset = UNSET
        if not isinstance(self.type_, Unset):
            type_ = self.type_

        created_after: str | Unset = UNSET
        if not isinstance(self.created_after, Unset):
            created_after = self.created_after.isoformat()

        created_before: str | Unset = UNSET
        if not isinstance(self.created_before, Unset):
            created_before = self.created_before.isoformat()

        updated_after: str | Unset = UNSET
        if not isinstance(self.updated_after, Unset):
            updated_after = self.updated_after.isoformat()

        updated_before: str | Unset = UNSET
        if not isinstance(self.updated_before, Unset):
            updated_before = self.updated_before.isoformat()

        taken_after: str | Unset = UNSET
        if not isinstance(self.taken_after, Unset):
            taken_after = self.taken_after.isoformat()

        taken_before: str | Unset = UNSET
        if not isinstance(self.taken_before, Unset):
            taken_before = self.taken_before.isoformat()

        make = self.make

        model = self.model

        lens_model = self.lens_model

        rating = self.rating

        is_favorite = self.is_favorite

        is_motion = self.is_motion

        is_offline = self.is_offline

        is_not_in_album = self.is_not_in_album

        library_id = self.library_id

        album_ids: list[str] | Unset = UNSET
        if not isinstance(self.album_ids, Unset):
            album_ids = self.album_ids

        tag_ids: list[str] | Unset = UNSET
        if not isinstance(self.tag_ids, Unset):
            tag_ids = self.tag_ids

        person_ids: list[str] | Unset = UNSET
        if not isinstance(self.person_ids, Unset):
            person_ids = self.person_ids

        original_file_name = self.original_file_name

        description = self.description

        with_stacked = self.with_stacked

        with_people = self.with_people

        with_deleted = self.with_deleted

        with_exif = self.with_exif

        order: str | Unset = UNSET
        if not isinstance(self.order, Unset):
            order = self.order

        page = self.page

        size = self.size

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "visibility": visibility,
            }
        )
        if id is not UNSET:
            field_dict["id"] = id
        if checksum is not UNSET:
            field_dict["checksum"] = checksum
        if type_ is not UNSET:
            field_dict["type"] = type_
        if created_after is not UNSET:
            field_dict["createdAfter"] = created_after
        if created_before is not UNSET:
            field_dict["createdBefore"] = created_before
        if updated_after is not UNSET:
            field_dict["updatedAfter"] = updated_after
        if updated_before is not UNSET:
            field_dict["updatedBefore"] = updated_before
        if taken_after is not UNSET:
            field_dict["takenAfter"] = taken_after
        if taken_before is not UNSET:
            field_dict["takenBefore"] = taken_before
        if make is not UNSET:
            field_dict["make"] = make
        if model is not UNSET:
            field_dict["model"] = model
        if lens_model is not UNSET:
            field_dict["lensModel"] = lens_model
        if rating is not UNSET:
            field_dict["rating"] = rating
        if is_favorite is not UNSET:
            field_dict["isFavorite"] = is_favorite
        if is_motion is not UNSET:
            field_dict["isMotion"] = is_motion
        if is_offline is not UNSET:
            field_dict["isOffline"] = is_offline
        if is_not_in_album is not UNSET:
            field_dict["isNotInAlbum"] = is_not_in_album
        if library_id is not UNSET:
            field_dict["libraryId"] = library_id
        if album_ids is not UNSET:
            field_dict["albumIds"] = album_ids
        if tag_ids is not UNSET:
            field_dict["tagIds"] = tag_ids
        if person_ids is not UNSET:
            field_dict["personIds"] = person_ids
        if original_file_name is not UNSET:
            field_dict["originalFileName"] = original_file_name
        if description is not UNSET:
            field_dict["description"] = description
        if with_stacked is not UNSET:
            field_dict["withStacked"] = with_stacked
        if with_people is not UNSET:
            field_dict["withPeople"] = with_people
        if with_deleted is not UNSET:
            field_dict["withDeleted"] = with_deleted
        if with_exif is not UNSET:
            field_dict["withExif"] = with_exif
        if order is not UNSET:
            field_dict["order"] = order
        if page is not UNSET:
            field_dict["page"] = page
        if size is not UNSET:
            field_dict["size"] = size

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        visibility = check_visibility(d.pop("visibility"))

        id = d.pop("id", UNSET)

        checksum = d.pop("checksum", UNSET)

        _type_ = d.pop("type", UNSET)
        type_: AssetKind | Unset
        if isinstance(_type_, Unset):
            type_ = UNSET
        else:
            type_ = check_asset_kind(_type_)

        _created_after = d.pop("createdAfter", UNSET)
        created_after: datetime.datetime | Unset
        if isinstance(_created_after, Unset):
            created_after = UNSET
        else:
            created_after = datetime.datetime.fromisoformat(_created_after)

        _created_before = d.pop("createdBefore", UNSET)
        created_before: datetime.datetime | Unset
        if isinstance(_created_before, Unset):
            created_before = UNSET
        else:
            created_before = datetime.datetime.fromisoformat(_created_before)

        _updated_after = d.pop("updatedAfter", UNSET)
        updated_after: datetime.datetime | Unset
        if isinstance(_updated_after, Unset):
            updated_after = UNSET
        else:
            updated_after = datetime.datetime.fromisoformat(_updated_after)

        _updated_before = d.pop("updatedBefore", UNSET)
        updated_before: datetime.datetime | Unset
        if isinstance(_updated_before, Unset):
            updated_before = UNSET
        else:
            updated_before = datetime.datetime.fromisoformat(_updated_before)

        _taken_after = d.pop("takenAfter", UNSET)
        taken_after: datetime.datetime | Unset
        if isinstance(_taken_after, Unset):
            taken_after = UNSET
        else:
            taken_after = datetime.datetime.fromisoformat(_taken_after)

        _taken_before = d.pop("takenBefore", UNSET)
        taken_before: datetime.datetime | Unset
        if isinstance(_taken_before, Unset):
            taken_before = UNSET
        else:
            taken_before = datetime.datetime.fromisoformat(_taken_before)

        make = d.pop("make", UNSET)

        model = d.pop("model", UNSET)

        lens_model = d.pop("lensModel", UNSET)

        rating = d.pop("rating", UNSET)

        is_favorite = d.pop("isFavorite", UNSET)

        is_motion = d.pop("isMotion", UNSET)

        is_offline = d.pop("isOffline", UNSET)

        is_not_in_album = d.pop("isNotInAlbum", UNSET)

        library_id = d.pop("libraryId", UNSET)

        album_ids = cast(list[str], d.pop("albumIds", UNSET))

        tag_ids = cast(list[str], d.pop("tagIds", UNSET))

        person_ids = cast(list[str], d.pop("personIds", UNSET))

        original_file_name = d.pop("originalFileName", UNSET)

        description = d.pop("description", UNSET)

        with_stacked = d.pop("withStacked", UNSET)

        with_people = d.pop("withPeople", UNSET)

        with_deleted = d.pop("withDeleted", UNSET)

        with_exif = d.pop("withExif", UNSET)

        _order = d.pop("order", UNSET)
        order: SearchOrder | Unset
        if isinstance(_order, Unset):
            order = UNSET
        else:
            order = check_search_order(_order)

        page = d.pop("page", UNSET)

        size = d.pop("size", UNSET)

        metadata_search = cls(
            visibility=visibility,
            id=id,
            checksum=checksum,
            type_=type_,
            created_after=created_after,
            created_before=created_before,
            updated_after=updated_after,
            updated_before=updated_before,
            taken_after=taken_after,
            taken_before=taken_before,
            make=make,
            model=model,
            lens_model=lens_model,
            rating=rating,
            is_favorite=is_favorite,
            is_motion=is_motion,
            is_offline=is_offline,
            is_not_in_album=is_not_in_album,
            library_id=library_id,
            album_ids=album_ids,
            tag_ids=tag_ids,
            person_ids=person_ids,
            original_file_name=original_file_name,
            description=description,
            with_stacked=with_stacked,
            with_people=with_people,
            with_deleted=with_deleted,
            with_exif=with_exif,
            order=order,
            page=page,
            size=size,
        )

        return metadata_search
