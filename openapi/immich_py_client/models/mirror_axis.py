from typing import Literal

MirrorAxis = Literal["horizontal", "vertical"]

MIRROR_AXIS_VALUES: set[MirrorAxis] = {
    "horizontal",
    "vertical",
}


def check_mirror_axis(value: str) -> MirrorAxis:
    if value in MIRROR_AXIS_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {MIRROR_AXIS_VALUES!r}")
