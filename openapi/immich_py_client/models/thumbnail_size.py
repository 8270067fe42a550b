from typing import Literal

ThumbnailSize = Literal["fullsize", "preview", "thumbnail"]

THUMBNAIL_SIZE_VALUES: set[ThumbnailSize] = {
    "fullsize",
    "preview",
    "thumbnail",
}


def check_thumbnail_size(value: str) -> ThumbnailSize:
    if value in THUMBNAIL_SIZE_VALUES:
        return value
    raise TypeError(f"Unexpected value {value!r}. Expected one of {THUMBNAIL_SIZE_VALUES!r}")
