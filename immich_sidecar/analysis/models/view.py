"""The picture that models look at: decoded once per photo, and resized once per size for all of them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from immich_sidecar.analysis.findings import Box

Made = TypeVar("Made")

#: Longest edge of the picture that models get, in pixels; that of the previews that are made anyway.
VIEW_EDGE = 1440


class View:
    """A photo as models see it: oriented, sRGB, at most `VIEW_EDGE` pixels long.

    Parameters
    ----------
    display
        (height, width, 3) uint8, RGB, encoded as sRGB.
    """

    def __init__(self, display: NDArray[np.uint8]) -> None:
        if display.ndim != 3 or display.shape[2] != 3 or display.dtype != np.uint8:
            raise ValueError(f"a picture of shape (height, width, 3) and uint8, not {display.shape} {display.dtype}")
        self.display = np.ascontiguousarray(display)
        self._resized: dict[tuple[int, int], NDArray[np.uint8]] = {}
        self._kept: dict[str, Any] = {}

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a JPEG preview that the service itself has written, already oriented.

        Raises
        ------
        UndecodableError
            If it is no JPEG.
        """
        import simplejpeg

        from immich_sidecar.errors import UndecodableError

        try:
            return cls(simplejpeg.decode_jpeg(path.read_bytes(), colorspace="RGB"))
        except ValueError as error:
            raise UndecodableError(
                f"{path.name}: the preview cannot be read ({error}); it will be made anew"
            ) from error

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        height, width = self.display.shape[:2]
        return width, height

    def resized(self, width: int, height: int) -> NDArray[np.uint8]:
        """The picture at exactly that size, shape (height, width, 3); area-averaged where it shrinks."""
        import cv2

        key = (width, height)
        if key not in self._resized:
            if key == self.size:
                self._resized[key] = self.display
            else:
                shrinks = width < self.size[0]
                method = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
                self._resized[key] = np.asarray(cv2.resize(self.display, key, interpolation=method), np.uint8)
        return self._resized[key]

    def fitted(self, edge: int) -> NDArray[np.uint8]:
        """The picture in its own shape with a longest edge of at most `edge` pixels."""
        width, height = self.size
        scale = min(1.0, edge / max(width, height))
        return self.resized(max(1, round(width * scale)), max(1, round(height * scale)))

    def kept(self, name: str, make: Callable[[], Made]) -> Made:
        """What a model made of the picture under that name before, or makes of it now; it lives as long as the view."""
        if name not in self._kept:
            self._kept[name] = make()
        return cast(Made, self._kept[name])


@dataclass(frozen=True)
class Prompted:
    """A picture, and what to outline in it; one mask is answered for each box and then for each point."""

    view: View
    boxes: tuple[Box, ...] = ()
    #: Places that someone pointed at (x, y), in fractions of the oriented photo.
    points: tuple[tuple[float, float], ...] = ()


@dataclass(frozen=True)
class Asked:
    """A picture, and what is known of it already, in words for a language model."""

    view: View
    facts: str = ""
