"""What looks cost: `python -m tests.benchmarks.looks [PHOTO]`.

Small pictures of one photo with every look, as its page shows them, against one preview of a moved slider; a preview
with a table of colours against the same without; and reading a `.cube` file of 65 points against numpy's own reading of
its numbers. CPU seconds of one thread, medians of rounds that take turns.
"""

import argparse
import io
import statistics
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table

from immich_sidecar.advise.looks import with_preset
from immich_sidecar.advise.presets import MEANINGS, chosen
from immich_sidecar.develop.cube import read_cube
from immich_sidecar.develop.preview import PreviewSource
from immich_sidecar.recipe.recipe import merge, new_recipe
from immich_sidecar.web.previews import LOOK_EDGE
from tests.develop.test_cube import swapped, text
from tests.photos.make import scene, write_jpeg

AT = datetime(2024, 5, 6, tzinfo=UTC)
ROUNDS = 9


def medians(works: dict[str, Callable[[], object]]) -> dict[str, float]:
    """CPU seconds of each, after one round that does not count."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    for number in range(ROUNDS + 1):
        for name, work in works.items():
            began = time.process_time()
            work()
            if number:
                seconds[name].append(time.process_time() - began)
    return {name: statistics.median(values) for name, values in seconds.items()}


def measure(photo: Path, folder: Path) -> Table:
    """Everything, as a table."""
    cube = read_cube(text(65, swapped))
    (folder / f"{cube.sha256}.cube").write_bytes(cube.normal_form)
    large = PreviewSource.of(photo)
    small = large.smaller(LOOK_EDGE)
    recipe = new_recipe("0" * 64, [], {"exposure": {"ev": 0.3}}, at=AT)
    looks = [preset for preset, meaning in MEANINGS.items() if meaning.on_photos]
    steps = [with_preset(recipe, chosen(preset), is_raw=False, at=AT).operations for preset in looks]
    slider = merge([], {"exposure": {"ev": 0.3}, "tone": {"contrast": 20}}, at=AT)
    tabled = merge(slider, {"lut": {"sha256": cube.sha256}}, at=AT)
    found = medians(
        {
            "slider": lambda: large.jpeg(slider),
            "looks": lambda: [small.jpeg(each, quality=80) for each in steps],
            "lut": lambda: large.jpeg(tabled, luts=[folder]),
            "cube": lambda: read_cube(cube.normal_form),
            "loadtxt": lambda: np.loadtxt(io.BytesIO(cube.normal_form), skiprows=1),
        }
    )
    table = Table("what", "ms", "against", "ratio", title=f"Looks on {photo.name}")
    for what, name, peer, word in (
        (f"all {len(looks)} small pictures of looks", "looks", "slider", "one slider preview at 1440 px"),
        ("preview at 1440 px with a LUT of 65 points", "lut", "slider", "the same without"),
        ("reading a .cube of 65 points, with its digest's text", "cube", "loadtxt", "numpy.loadtxt of it"),
    ):
        table.add_row(what, f"{1000 * found[name]:.1f}", word, f"{found[name] / found[peer]:.2f}")
    return table


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("photo", nargs="?", type=Path, help="a JPEG; without one it is made")
    given = parser.parse_args().photo
    with tempfile.TemporaryDirectory() as name:
        photo = given or write_jpeg(Path(name) / "made.jpg", scene(2400, 1600, seed=1))
        Console().print(measure(photo, Path(name)))


if __name__ == "__main__":
    main()
