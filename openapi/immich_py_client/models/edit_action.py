from typing import Literal

EditAction = Literal["crop", "mirror", "rotate"]

EDIT_ACTION_VALUES: set[EditAction] = {
    "crop",
    "mirror",
    "rotate",
}


def check_edit_action(value: str) -> EditAction:
    if value in EDIT_ACTION_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {EDIT_ACTION_VALUES!r}")
