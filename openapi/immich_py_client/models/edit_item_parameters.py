from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

from ..models.mirror_axis import MirrorAxis, check_mirror_axis
from ..types import UNSET, Unset

T = TypeVar("T", bound="EditItemParameters")


@_attrs_define
class EditItemParameters:
    """Those of the action, all of them.

    Attributes:
        x (int | Unset):
        y (int | Unset):
        width (int | Unset):
        height (int | Unset):
        angle (int | Unset):
        axis (MirrorAxis | Unset):
    """

    x: int | Unset = UNSET
    y: int | Unset = UNSET
    width: int | Unset = UNSET
    height: int | Unset = UNSET
    angle: int | Unset = UNSET
    axis: MirrorAxis | Unset = UNSET

    def to_dict(self) -> dict[str, Any]:
        x = self.x

        y = self.y

        width = self.width

        height = self.height

        angle = self.angle

        axis: str | Unset = UNSET
        if not isinstance(self.axis, Unset):
            axis = self.axis

        field_dict: dict[str, Any] = {}

        field_dict.update({})
        if x is not UNSET:
            field_dict["x"] = x
        if y is not UNSET:
            field_dict["y"] = y
        if width is not UNSET:
            field_dict["width"] = width
        if height is not UNSET:
            field_dict["height"] = height
        if angle is not UNSET:
            field_dict["angle"] = angle
        if axis is not UNSET:
            field_dict["axis"] = axis

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        x = d.pop("x", UNSET)

        y = d.pop("y", UNSET)

        width = d.pop("width", UNSET)

        height = d.pop("height", UNSET)

        angle = d.pop("angle", UNSET)

        _axis = d.pop("axis", UNSET)
        axis: MirrorAxis | Unset
        if isinstance(_axis, Unset):
            axis = UNSET
        else:
            axis = check_mirror_axis(_axis)

        edit_item_parameters = cls(
            x=x,
            y=y,
            width=width,
            height=height,
            angle=angle,
            axis=axis,
        )

        return edit_item_parameters
