"""Files of one press of the shutter: a RAW file, the camera's JPEG of it, an XMP file."""

from __future__ import annotations

import functools
import io
import tempfile
from pathlib import Path

from PIL import Image

from tests.photos import make

TAKEN = "2024:06:01 12:30:45"
CAMERA = "Known Truth"
SIZE = (96, 64)


@functools.cache
def raw(seed: int, *, taken: str = TAKEN, size: tuple[int, int] = SIZE) -> bytes:
    """A RAW file of the camera that `make.write_dng` invents."""
    with tempfile.TemporaryDirectory() as folder:
        return make.write_dng(Path(folder) / "x.dng", make.scene(*size, seed=seed), captured=taken).read_bytes()


@functools.cache
def jpeg(
    seed: int,
    *,
    taken: str | None = TAKEN,
    camera: str | None = CAMERA,
    offset: str | None = None,
    size: tuple[int, int] = SIZE,
    ev: float = 0.0,
) -> bytes:
    """What the same camera writes beside it."""
    exif = Image.Exif()
    if camera:
        exif[271], exif[272] = "Sidecar", camera
    if taken:
        exif.get_ifd(0x8769)[0x9003] = taken
        if offset:
            exif.get_ifd(0x8769)[0x9011] = offset
    buffer = io.BytesIO()
    picture = make.scene(*size, seed=seed)
    picture = make.degraded(picture, ev=ev) if ev else picture
    Image.fromarray(picture).save(buffer, "JPEG", quality=90, exif=exif)
    return buffer.getvalue()


def xmp(rating: int = 4) -> bytes:
    """What a program writes beside a photo."""
    return make.xmp_with(f'xmp:Rating="{rating}"', 'xmlns:xmp="http://ns.adobe.com/xap/1.0/"')
