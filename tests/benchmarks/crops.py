"""Contact sheets of crops: `python -m tests.benchmarks.crops FOLDER [PHOTO ...]`.

Draws what `advise.crop` offers for the sample photos of scikit-image and ultralytics and those of the folder of test
data (or for the photos given), each with every frame it would make, into JPEGs in FOLDER, to be looked at: no head may
be cut, and none may be framed worse than it was. What models would find is written by hand in `annotations/`, so that
the sheets show the framing and not a model; of photos that nothing is written of, salience alone decides. Prints
seconds and the gain of each suggestion.
"""

import argparse
import importlib.util
import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageOps

from immich_sidecar.advise.crop import Crop, crops, suggest
from immich_sidecar.analysis.findings import Box, Face, Findings, FoundObject
from immich_sidecar.analysis.measure.glance import Glance, measure_glance
from immich_sidecar.recipe.plan import GeometryPlan

ANNOTATIONS = Path(__file__).with_name("annotations") / "subjects.json"
#: Longer side of a picture on the sheets, rows of photos on a sheet, and what is drawn beside it.
EDGE, ROWS, COLUMNS = 300, 6, 7


def annotated(name: str) -> Findings:
    """What was written by hand of a photo; nothing where it is not among them."""
    known: dict[str, Any] = json.loads(ANNOTATIONS.read_text()).get(name, {})
    return Findings(
        objects=tuple(
            FoundObject(label=label, score=0.9, box=Box(x=x, y=y, width=width, height=height))
            for label, x, y, width, height in known.get("objects", ())
        ),
        faces=tuple(
            Face(
                box=Box(x=face[0], y=face[1], width=face[2], height=face[3]),
                score=0.9,
                landmarks=tuple((x, y) for x, y in face[4]) if len(face) > 4 else (),
                source="by hand",
            )
            for face in known.get("faces", ())
        ),
    )


def sample_photos() -> list[Path]:
    """The annotated photos that are on this machine."""
    places = []
    for package, folder in (("skimage", "data"), ("ultralytics", "assets")):
        found = importlib.util.find_spec(package)
        if found is not None and found.origin is not None:
            places.append(Path(found.origin).parent / folder)
    data = os.environ.get("SIDECAR_TEST_DATA")
    if data:
        places.append(Path(data) / "photos")
    names = json.loads(ANNOTATIONS.read_text())
    return [place / name for name in names for place in places if (place / name).is_file()]


def opened(path: Path) -> tuple[Image.Image, tuple[int, int], Glance]:
    """A photo, small and upright, with its own size and its glance."""
    with Image.open(path) as file:
        size = file.size
        file.draft("RGB", (1200, 1200))
        picture = ImageOps.exif_transpose(file.convert("RGB"))
    picture.thumbnail((1024, 1024))
    upright = picture.width >= picture.height
    full = (max(size), min(size)) if upright else (min(size), max(size))
    return picture, full, measure_glance(np.asarray(picture))


def row(path: Path) -> tuple[Image.Image, str]:
    """A photo with its suggestion drawn in, followed by what each frame makes of it."""
    picture, size, glance = opened(path)
    findings = annotated(path.name)
    began = time.perf_counter()
    offered = crops(findings, glance, size)
    seconds = time.perf_counter() - began
    chosen = suggest(findings, glance, size, GeometryPlan())
    line = Image.new("RGB", (COLUMNS * (EDGE + 8), EDGE + 22), "black")
    draw = ImageDraw.Draw(line)
    first = picture.copy()
    first.thumbnail((EDGE, EDGE))
    if chosen is not None:
        part = chosen.parameters
        left, top = part["x"] * first.width, part["y"] * first.height
        box = (left, top, left + part["width"] * first.width - 1, top + part["height"] * first.height - 1)
        ImageDraw.Draw(first).rectangle(box, outline=(255, 220, 0), width=2)
    line.paste(first, (0, 0))
    draw.text((2, EDGE + 4), f"{path.name}: {chosen.reason if chosen else 'as it is'}"[:52], fill="white")
    for number, one in enumerate(offered[: COLUMNS - 1], start=1):
        cut = framed(picture, one)
        cut.thumbnail((EDGE, EDGE))
        line.paste(cut, (number * (EDGE + 8), 0))
        draw.text((number * (EDGE + 8) + 2, EDGE + 4), f"{one.shape} {one.gain:+.3f} {one.reason}"[:52], fill="white")
    told = f"{chosen.confidence:.2f}  {chosen.reason}" if chosen else "      as it is"
    return line, f"{path.name:<40} {1000 * seconds:6.1f} ms  {len(offered)} frames  {told}"


def framed(picture: Image.Image, one: Crop) -> Image.Image:
    """What a frame leaves of a picture."""
    left, top, right, bottom = one.rect
    width, height = picture.size
    return picture.crop((round(left * width), round(top * height), round(right * width), round(bottom * height)))


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("photos", nargs="*", type=Path)
    asked = parser.parse_args()
    asked.folder.mkdir(parents=True, exist_ok=True)
    lines = []
    for path in asked.photos or sample_photos():
        line, told = row(path)
        lines.append(line)
        print(told)
    for number, first in enumerate(range(0, len(lines), ROWS), start=1):
        part = lines[first : first + ROWS]
        sheet = Image.new("RGB", (part[0].width, len(part) * part[0].height), "black")
        for place, line in enumerate(part):
            sheet.paste(line, (0, place * line.height))
        sheet.save(asked.folder / f"crops-{number}.jpg", quality=85)


if __name__ == "__main__":
    main()
