from typing import Literal

Visibility = Literal["archive", "hidden", "locked", "timeline"]

VISIBILITY_VALUES: set[Visibility] = {
    "archive",
    "hidden",
    "locked",
    "timeline",
}


def check_visibility(value: str) -> Visibility:
    if value in VISIBILITY_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {VISIBILITY_VALUES!r}")
