from typing import Literal

NotificationLevel = Literal["error", "info", "success", "warning"]

NOTIFICATION_LEVEL_VALUES: set[NotificationLevel] = {
    "error",
    "info",
    "success",
    "warning",
}


def check_notification_level(value: str) -> NotificationLevel:
    if value in NOTIFICATION_LEVEL_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {NOTIFICATION_LEVEL_VALUES!r}")
