from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, TypeVar, cast

from attrs import define as _attrs_define
from attrs import field as _attrs_field

from ..types import UNSET, Unset

if TYPE_CHECKING:
    from ..models.person import Person


T = TypeVar("T", bound="Face")


@_attrs_define
class Face:
    """
    Attributes:
        id (str | Unset):
        bounding_box_x1 (int | Unset):
        bounding_box_y1 (int | Unset):
        bounding_box_x2 (int | Unset):
        bounding_box_y2 (int | Unset):
        image_width (int | Unset):
        image_height (int | Unset):
        source_type (str | Unset):
        person (None | Person | Unset):
    """

    id: str | Unset = UNSET
    bounding_box_x1: int | Unset = UNSET
    bounding_box_y1: int | Unset = UNSET
    bounding_box_x2: int | Unset = UNSET
    bounding_box_y2: int | Unset = UNSET
    image_width: int | Unset = UNSET
    image_height: int | Unset = UNSET
    source_type: str | Unset = UNSET
    person: None | Person | Unset = UNSET
    additional_properties: dict[str, Any] = _attrs_field(init=False, factory=dict)

    def to_dict(self) -> dict[str, Any]:
        from ..models.person import Person  # noqa: PLC0415

        id = self.id

        bounding_box_x1 = self.bounding_box_x1

        bounding_box_y1 = self.bounding_box_y1

        bounding_box_x2 = self.bounding_box_x2

        bounding_box_y2 = self.bounding_box_y2

        image_width = self.image_width

        image_height = self.image_height

        source_type = self.source_type

        person: dict[str, Any] | None | Unset
        if isinstance(self.person, Unset):
            person = UNSET
        elif isinstance(self.person, Person):
            person = self.person.to_dict()
        else:
            person = self.person

        field_dict: dict[str, Any] = {}
        field_dict.update(self.additional_properties)
        field_dict.update({})
        if id is not UNSET:
            field_dict["id"] = id
        if bounding_box_x1 is not UNSET:
            field_dict["boundingBoxX1"] = bounding_box_x1
        if bounding_box_y1 is not UNSET:
            field_dict["boundingBoxY1"] = bounding_box_y1
        if bounding_box_x2 is not UNSET:
            field_dict["boundingBoxX2"] = bounding_box_x2
        if bounding_box_y2 is not UNSET:
            field_dict["boundingBoxY2"] = bounding_box_y2
        if image_width is not UNSET:
            field_dict["imageWidth"] = image_width
        if image_height is not UNSET:
            field_dict["imageHeight"] = image_height
        if source_type is not UNSET:
            field_dict["sourceType"] = source_type
        if person is not UNSET:
            field_dict["person"] = person

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        from ..models.person import Person  # noqa: PLC0415

        d = dict(src_dict)
        id = d.pop("id", UNSET)

        bounding_box_x1 = d.pop("boundingBoxX1", UNSET)

        bounding_box_y1 = d.pop("boundingBoxY1", UNSET)

        bounding_box_x2 = d.pop("boundingBoxX2", UNSET)

        bounding_box_y2 = d.pop("boundingBoxY2", UNSET)

        image_width = d.pop("imageWidth", UNSET)

        image_height = d.pop("imageHeight", UNSET)

        source_type = d.pop("sourceType", UNSET)

        def _parse_person(data: object) -> None | Person | Unset:
            if data is None:
                return data
            if isinstance(data, Unset):
                return data
            try:
                if not isinstance(data, dict):
                    raise TypeError()
                person_type_1 = Person.from_dict(data)

                return person_type_1
            except (TypeError, ValueError, AttributeError, KeyError):
                pass
            return cast(None | Person | Unset, data)

        person = _parse_person(d.pop("person", UNSET))

        face = cls(
            id=id,
            bounding_box_x1=bounding_box_x1,
            bounding_box_y1=bounding_box_y1,
            bounding_box_x2=bounding_box_x2,
            bounding_box_y2=bounding_box_y2,
            image_width=image_width,
            image_height=image_height,
            source_type=source_type,
            person=person,
        )

        face.additional_properties = d
        return face

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
