from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

T = TypeVar("T", bound="Exif")


@_attrs_define
class Exif:
    """
    Attributes:
        make (None | str | Unset):
        model (None | str | Unset):
        lens_model (None | str | Unset):
        description (None | str | Unset):
        rating (float | None | Unset):
        exif_image_width (float | None | Unset):
        exif_image_height (float | None | Unset):
        file_size_in_byte (int | None | Unset):
        orientation (None | str | Unset):
        date_time_original (None | str | Unset):
        time_zone (None | str | Unset):
        latitude (float | None | Unset):
        longitude (float | None | Unset):
        projection_type (None | str | Unset):
    """

    make: None | str | Unset = UNSET
    model: None | str | Unset = UNSET
    lens_model: None | str | Unset = UNSET
    description: None | str | Unset = UNSET
    rating: float | None | Unset = UNSET
    exif_image_width: float | None | Unset = UNSET
    exif_image_height: float | None | Unset = UNSET
    file_size_in_byte: int | None | Unset = UNSET
    orientation: None | str | Unset = UNSET
    date_time_original: None | str | Unset = UNSET
    time_zone: None | str | Unset = UNSET
    latitude: float | None | Unset = UNSET
    longitude: float | None | Unset = UNSET
    projection_type: None | str | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        make: None | str | Unset
        if isinstance(self.make, Unset):
            make = UNSET
        else:
            make = self.make

        model: None | str | Unset
        if isinstance(self.model, Unset):
            model = UNSET
        else:
            model = self.model

        lens_model: None | str | Unset
        if isinstance(self.lens_model, Unset):
            lens_model = UNSET
        else:
            lens_model = self.lens_model

        description: None | str | Unset
        if isinstance(self.description, Unset):
            description = UNSET
        else:
            description = self.description

        rating: float | None | Unset
        if isinstance(self.rating, Unset):
            rating = UNSET
        else:
            rating = self.rating

        exif_image_width: float | None | Unset
        if isinstance(self.exif_image_width, Unset):
            exif_image_width = UNSET
        else:
            exif_image_width = self.exif_image_width

        exif_image_height: float | None | Unset
        if isinstance(self.exif_image_height, Unset):
            exif_image_height = UNSET
        else:
            exif_image_height = self.exif_image_height

        file_size_in_byte: int | None | Unset
        if isinstance(self.file_size_in_byte, Unset):
            file_size_in_byte = UNSET
        else:
            file_size_in_byte = self.file_size_in_byte

        orientation: None | str | Unset
        if isinstance(self.orientation, Unset):
            orientation = UNSET
        else:
            orientation = self.orientation

        date_time_original: None | str | Unset
        if isinstance(self.date_time_original, Unset):
            date_time_original = UNSET
        else:
            date_time_original = self.date_time_original

        time_zone: None | str | Unset
        if isinstance(self.time_zone, Unset):
            time_zone = UNSET
        else:
            time_zone = self.time_zone

        latitude: float | None | Unset
        if isinstance(self.latitude, Unset):
            latitude = UNSET
        else:
            latitude = self.latitude

        longitude: float | None | Unset
        if isinstance(self.longitude, Unset):
            longitude = UNSET
        else:
            longitude = self.longitude

        projection_type: None | str | Unset
        if isinstance(self.projection_type, Unset):
            projection_type = UNSET
        else:
            projection_type = self.projection_type

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if make is not UNSET:
            field_dict["make"] = make
        if model is not UNSET:
            field_dict["model"] = model
        if lens_model is not UNSET:
            field_dict["lensModel"] = lens_model
        if description is not UNSET:
            field_dict["description"] = description
        if rating is not UNSET:
            field_dict["rating"] = rating
        if exif_image_width is not UNSET:
            field_dict["exifImageWidth"] = exif_image_width
        if exif_image_height is not UNSET:
            field_dict["exifImageHeight"] = exif_image_height
        if file_size_in_byte is not UNSET:
            field_dict["fileSizeInByte"] = file_size_in_byte
        if orientation is not UNSET:
            field_dict["orientation"] = orientation
        if date_time_original is not UNSET:
            field_dict["dateTimeOriginal"] = date_time_original
        if time_zone is not UNSET:
            field_dict["timeZone"] = time_zone
        if latitude is not UNSET:
            field_dict["latitude"] = latitude
        if longitude is not UNSET:
            field_dict["longitude"] = longitude
        if projection_type is not UNSET:
            field_dict["projectionType"] = projection_type

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)

        def _parse_make(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        make = _parse_make(d.pop("make", UNSET))

        def _parse_model(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        model = _parse_model(d.pop("model", UNSET))

        def _parse_lens_model(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        lens_model = _parse_lens_model(d.pop("lensModel", UNSET))

        def _parse_description(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        description = _parse_description(d.pop("description", UNSET))

        def _parse_rating(data: object) -> float | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(float | None | Unset, data)

        rating = _parse_rating(d.pop("rating", UNSET))

        def _parse_exif_image_width(data: object) -> float | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(float | None | Unset, data)

        exif_image_width = _parse_exif_image_width(d.pop("exifImageWidth", UNSET))

        def _parse_exif_image_height(data: object) -> float | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(float | None | Unset, data)

        exif_image_height = _parse_exif_image_height(d.pop("exifImageHeight", UNSET))

        def _parse_file_size_in_byte(data: object) -> int | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(int | None | Unset, data)

        file_size_in_byte = _parse_file_size_in_byte(d.pop("fileSizeInByte", UNSET))

        def _parse_orientation(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        orientation = _parse_orientation(d.pop("orientation", UNSET))

        def _parse_date_time_original(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        date_time_original = _parse_date_time_original(d.pop("dateTimeOriginal", UNSET))

        def _parse_time_zone(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        time_zone = _parse_time_zone(d.pop("timeZone", UNSET))

        def _parse_latitude(data: object) -> float | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(float | None | Unset, data)

        latitude = _parse_latitude(d.pop("latitude", UNSET))

        def _parse_longitude(data: object) -> float | None | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(float | None | Unset, data)

        longitude = _parse_longitude(d.pop("longitude", UNSET))

        def _parse_projection_type(data: object) -> None | str | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            return cast(None | str | Unset, data)

        projection_type = _parse_projection_type(d.pop("projectionType", UNSET))

        exif = cls(
            make=make,
            model=model,
            lens_model=lens_model,
            description=description,
            rating=rating,
            exif_image_width=exif_image_width,
            exif_image_height=exif_image_height,
            file_size_in_byte=file_size_in_byte,
            orientation=orientation,
            date_time_original=date_time_original,
            time_zone=time_zone,
            latitude=latitude,
            longitude=longitude,
            projection_type=projection_type,
        )

        exif.additional_properties = d
        return exif

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
