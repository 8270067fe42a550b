from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define

from ..models.visibility import Visibility, check_visibility
from ..types import UNSET, Unset

T = TypeVar("T", bound="AssetUpdate")


@_attrs_define
class AssetUpdate:
    """
    Attributes:
        rating (int | None | Unset): 1 to 5; null takes it away, from 2.6 on. 0 is refused by 3.x and -1 forgotten.
        is_favorite (bool | Unset):
        description (str | Unset):
        date_time_original (str | Unset):
        latitude (float | Unset):
        longitude (float | Unset):
        visibility (Visibility | Unset):
    """

    rating: int | None | Unset = UNSET
    is_favorite: bool | Unset = UNSET
    description: str | Unset = UNSET
    date_time_original: str | Unset = UNSET
    latitude: float | Unset = UNSET
    longitude: float | Unset = UNSET
    visibility: Visibility | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        rating: int | None | Unset
        if isinstance(self.rating, Unset):
            rating = UNSET
        else:
            rating = self.rating

        is_favorite = self.is_favorite

        description = self.description

        date_time_original = self.date_time_original

        latitude = self.latitude

        longitude = self.longitude

        visibility: str | Unset = UNSET
        if not isinstance(self.visibility, Unset):
            visibility = self.visibility

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if rating is not UNSET:
            field_dict["rating"] = rating
        if is_favorite is not UNSET:
            field_dict["isFavorite"] = is_favorite
        if description is not UNSET:
            field_dict["description"] = description
        if date_time_original is not UNSET:
            field_dict["dateTimeOriginal"] = date_time_original
        if latitude is not UNSET:
            field_dict["latitude"] = latitude
        if longitude is not UNSET:
            field_dict["longitude"] = longitude
        if visibility is not UNSET:
            field_dict["visibility"] = visibility

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)

        def _parse_rating(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        rating = _parse_rating(d.pop("rating", UNSET))

        is_favorite = d.pop("isFavorite", UNSET)

        description = d.pop("description", UNSET)

        date_time_original = d.pop("dateTimeOriginal", UNSET)

        latitude = d.pop("latitude", UNSET)

        longitude = d.pop("longitude", UNSET)

        _visibility = d.pop("visibility", UNSET)
        visibility: Visibility | Unset
        if isinstance(_visibility, Unset):
            visibility = UNSET
        else:
            visibility = check_visibility(_visibility)

        asset_update = cls(
            rating=rating,
            is_favorite=is_favorite,
            description=description,
            date_time_original=date_time_original,
            latitude=latitude,
            longitude=longitude,
            visibility=visibility,
        )

        return asset_update
