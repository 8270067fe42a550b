"""Photos whose lean is known, and the same photos turned by known angles.

`tilt_truth.csv` names them: `collection` is a folder, `photo` the file's name without ending, `lean` the degrees by
which it leans as it is (looked at with a grid laid over it; empty where nothing in it tells), and `place` what was
photographed where several photos show the same. Photos in which one may argue about the level are not named. The
leans of `coco-more` are such proposals of the program as were seen to be right, with the photo turned by them and a
grid laid over it; photos on which the program fails are missing there. `coco-blind` is what was left of the same
photos, and some more: which edges are upright or level was chosen by eye, before the program was asked, among numbered
straight lines that a detector drew; a lean is what those edges say together, with the uprights meeting in one point.
So both together are photos as they are, and `coco-blind` alone is harder. After the program was asked, leans whose
edges did not agree among themselves were left out (seven) or told anew (two). One of `shared` (`sea-poles-sony-h9`) was
told anew, too: its poles lean, and used to be taken for the lean, but its horizon is the sea, and level.

Collections: `shared` (the folder of test photos), `scikit-image` (ships with that package), `kodak` (Kodak
Lossless True Color suite, released for unrestricted use), `coco` (the first 128 photos of COCO train2017, each under a
Creative Commons licence), `coco-more` and `coco-blind` (other photos of COCO, named by their numbers; COCO says under
which such licence each is, for 27 the list was not at hand), `exif` (ianare/exif-samples), `lund`, `berlin`
(mapillary/OpenSfM, BSD), `sacre` (cvg/Hierarchical-Localization, Apache-2.0), `halt` (haltakov/simple-photo-gallery,
MIT). None of them is kept here.
"""

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from immich_sidecar.develop.proxy import load_proxy
from tests.photos.make import Display, sample_photo, tilted

TRUTH = Path(__file__).with_name("tilt_truth.csv")
#: Longer edge of the picture that is turned, and of what is measured.
_EDGE, _SEEN = 1400, 1024
#: Turns from (at least) to (at most), in degrees, each to both sides.
_TURNS = ((0.1, 0.45), (0.6, 1.5), (1.5, 3.0), (3.0, 5.0), (5.0, 8.0))


@dataclass(frozen=True)
class Known:
    """A photo whose lean is known."""

    name: str
    path: Path | None
    #: Degrees; None where nothing in the photo tells.
    lean: float | None
    #: Photos of one place belong together.
    place: str

    def picture(self) -> Display:
        """The photo, with its longer edge at most 1400 pixels, without the frames of film scans."""
        if self.path is None:
            return sample_photo(self.name.split("/")[1], shrink=1)
        display = load_proxy(self.path, max_edge=_EDGE).display
        return display[12:-12, 12:-12] if self.name.startswith(("kodak", "halt")) else display


def known_photos(folders: list[Path]) -> Iterator[Known]:
    """The photos of the list that are found in the folders (each holding folders of collections)."""
    files: dict[tuple[str, str], Path] = {}
    for folder in folders:
        for collection in sorted(p for p in folder.iterdir() if p.is_dir()):
            name = "shared" if collection.name == "photos" else collection.name
            for path in sorted(collection.rglob("*")):
                if path.is_file():
                    files.setdefault((name, path.stem), path)
    with TRUTH.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            name = f"{row['collection']}/{row['photo']}"
            path = files.get((row["collection"], row["photo"]))
            if path is not None or row["collection"] == "scikit-image":
                lean = float(row["lean"]) if row["lean"] else None
                yield Known(name, path, lean, row["place"] or name)


def turns(name: str) -> list[float]:
    """Angles by which a photo is turned: none, and two of each size; the same ones every time."""
    random = np.random.default_rng(list(name.encode()))
    both = [(sign, span) for span in _TURNS for sign in (-1.0, 1.0)]
    return [0.0, *(float(sign * random.uniform(*span)) for sign, span in both)]


def turned(picture: Display, degrees: float) -> Display:
    """A turned picture of the size that is measured."""
    whole = tilted(picture, degrees) if degrees else picture
    scale = _SEEN / max(whole.shape)
    if scale >= 1:
        return np.ascontiguousarray(whole)
    return np.asarray(cv2.resize(whole, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
