"""Files for libraries that take a name as text only: where a name's bytes are no UTF-8, they get the content."""

from pathlib import Path
from typing import Any


def has_text_name(path: Path) -> bool:
    """Whether the bytes of a path are UTF-8."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def exiv2_image(path: Path) -> Any:
    """A file opened by Exiv2; to be closed.

    Raises
    ------
    RuntimeError
        If Exiv2 cannot make anything of it.
    OSError
        If it cannot be read.
    """
    import pyexiv2

    pyexiv2.set_log_level(4)
    return pyexiv2.Image(str(path)) if has_text_name(path) else pyexiv2.ImageData(path.read_bytes())


def libraw_file(path: Path) -> Any:
    """A file opened by LibRaw; to be closed. Raises what `rawpy.imread` raises."""
    import rawpy

    if has_text_name(path):
        return rawpy.imread(str(path))
    with path.open("rb") as file:
        return rawpy.imread(file)
