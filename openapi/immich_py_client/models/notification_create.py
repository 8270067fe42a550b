from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from attrs import define as _attrs_define

from ..models.notification_level import NotificationLevel, check_notification_level

T = TypeVar("T", bound="NotificationCreate")


@_attrs_define
class NotificationCreate:
    """
    Attributes:
        user_id (str):
        title (str):
        description (str):
        level (NotificationLevel):
    """

    user_id: str
    title: str
    description: str
    level: NotificationLevel

    def to_dict(self) -> dict[str, Any]:
        user_id = self.user_id

        title = self.title

        description = self.description

        level: str = self.level

        field_dict: dict[str, Any] = {}

        field_dict.update(
            {
                "userId": user_id,
                "title": title,
                "description": description,
                "level": level,
            }
        )

        return field_dict

    @classmethod
    def from_dict(cls: type[T], src_dict: Mapping[str, Any]) -> T:
        d = dict(src_dict)
        user_id = d.pop("userId")

        title = d.pop("title")

        description = d.pop("description")

        level = check_notification_level(d.pop("level"))

        notification_create = cls(
            user_id=user_id,
            title=title,
            description=description,
            level=level,
        )

        return notification_create
