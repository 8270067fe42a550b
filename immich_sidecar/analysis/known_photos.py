"""Photos whose content is known, and what a model that sees says about them.

They ship with libraries: scikit-image's (`astronaut`, `chelsea`, `coffee`) and Ultralytics' (`bus`, `zidane`); where
neither is installed, a folder may hold them.
"""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from immich_sidecar.analysis.findings import Box
from immich_sidecar.analysis.models.view import View
from immich_sidecar.errors import NotFoundError, UndecodableError


@dataclass(frozen=True)
class KnownPhoto:
    """One photo and what everybody sees in it."""

    name: str
    file: str
    #: Classes of COCO that are in it.
    labels: frozenset[str]
    #: A sentence that fits it better than those of the other photos.
    sentence: str
    #: Words of which a description has at least one.
    words: tuple[str, ...]
    #: Where something with a clear outline is, and where a face is.
    thing: Box | None = None
    face: Box | None = None


def _box(x: float, y: float, width: float, height: float) -> Box:
    return Box(x=x, y=y, width=width, height=height)


#: Places were read off the photos.
KNOWN_PHOTOS = (
    KnownPhoto(
        "astronaut",
        "astronaut.png",
        frozenset({"person"}),
        "a photo of an astronaut in an orange space suit",
        ("woman", "astronaut", "person", "suit"),
        face=_box(0.34, 0.13, 0.19, 0.23),
    ),
    KnownPhoto(
        "chelsea",
        "chelsea.png",
        frozenset({"cat"}),
        "a photo of a cat",
        ("cat", "kitten", "tabby"),
    ),
    KnownPhoto(
        "coffee",
        "coffee.png",
        frozenset({"cup"}),
        "a photo of a cup of coffee",
        ("coffee", "cup", "espresso"),
        thing=_box(0.125, 0.03, 0.68, 0.95),
    ),
    KnownPhoto(
        "bus",
        "bus.jpg",
        frozenset({"bus", "person"}),
        "a photo of a bus in a street",
        ("bus",),
        thing=_box(0.0, 0.21, 1.0, 0.49),
    ),
    KnownPhoto(
        "zidane",
        "zidane.jpg",
        frozenset({"person"}),
        "a photo of two men beside a football pitch",
        ("man", "men", "person", "people"),
        thing=_box(0.59, 0.06, 0.3, 0.93),
        face=_box(0.69, 0.1, 0.13, 0.28),
    ),
)
_LIBRARIES: Mapping[str, str] = {"skimage": "data", "ultralytics": "assets"}


def read_known_photos(folder: Path | None = None) -> dict[KnownPhoto, View]:
    """The known photos that are here: those in the folder, else those of the libraries that are installed.

    Raises
    ------
    NotFoundError
        If there is none.
    UndecodableError
        If one cannot be read.
    """
    places = [folder] if folder is not None else [*_places_of_libraries()]
    found: dict[KnownPhoto, View] = {}
    for photo in KNOWN_PHOTOS:
        path = next((place / photo.file for place in places if (place / photo.file).is_file()), None)
        if path is not None:
            found[photo] = _read(path)
    if not found:
        names = ", ".join(photo.file for photo in KNOWN_PHOTOS)
        raise NotFoundError(
            f"{folder or 'This installation'} has none of the photos that the self-test knows ({names}); they are in "
            "the packages scikit-image (skimage/data) and ultralytics (ultralytics/assets): name their folder by "
            "--photos, or `pip install scikit-image`"
        )
    return found


def _places_of_libraries() -> list[Path]:
    # Looked up without importing: these libraries are heavy, and only their files are wanted.
    specs = [(importlib.util.find_spec(name), below) for name, below in _LIBRARIES.items()]
    return [Path(spec.origin).parent / below for spec, below in specs if spec is not None and spec.origin]


def _read(path: Path) -> View:
    import numpy as np
    from PIL import Image

    try:
        with Image.open(path) as image:
            return View(np.array(image.convert("RGB"), np.uint8))
    except OSError as error:
        raise UndecodableError(f"{path}: cannot be read ({error})") from error
