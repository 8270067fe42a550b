from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, TypeVar

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
            with_deleted=with_deleted,
            with_exif=with_exif,
            order=order,
            page=page,
            size=size,
        )

        return metadata_search
