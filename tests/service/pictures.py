"""Small photos whose outcome is known: developed for certain, developed with less certainty, or left alone."""

from __future__ import annotations

import functools
import io
from pathlib import Path

from PIL import Image

from tests.photos import make

#: Pixels of all photos here.
SIZE = (480, 320)


@functools.cache
def dark(seed: int) -> bytes:
    """Much too dark: gets a version, and `auto` is certain of it. Has a date, an offset and a place."""
    return _jpeg(make.degraded(make.scene(*SIZE, seed=seed), ev=-3.0))


@functools.cache
def leaning(seed: int) -> bytes:
    """Leans by four degrees: gets a version."""
    return _jpeg(make.degraded(make.scene(*SIZE, seed=seed), tilt=4.0))


@functools.cache
def dim(seed: int) -> bytes:
    """Darker than it was, hardly for certain: gets a version that `auto` asks about."""
    return _jpeg(make.degraded(make.scene(*SIZE, seed=seed), ev=-0.85))


@functools.cache
def good(seed: int) -> bytes:
    """Needs nothing: is left alone."""
    return _jpeg(make.scene(*SIZE, seed=seed))


def gain_map(folder: Path, seed: int) -> bytes:
    """Dark, and carries a gain map: left alone for that."""
    picture = make.degraded(make.scene(*SIZE, seed=seed), ev=-2.5)
    return make.write_gain_map_jpeg(folder / "gain_map.jpg", picture).read_bytes()


def motion_photo(folder: Path, seed: int) -> bytes:
    """Dark, and carries a short film that Immich did not find."""
    picture = make.degraded(make.scene(*SIZE, seed=seed), ev=-2.5)
    return make.write_motion_photo(folder / "motion.jpg", picture).read_bytes()


def _jpeg(picture: make.Display) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, "JPEG", quality=92, exif=make.full_exif())
    return buffer.getvalue()
