"""What is compiled when a worker starts is all that its photos need."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.photos import make

#: Develops the named files and prints what was compiled for them that warming up had not compiled.
PROGRAM = """
import sys
from datetime import UTC, datetime
from pathlib import Path

from immich_sidecar.analysis.analysis import analyse
from immich_sidecar.develop import engine
from immich_sidecar.pipeline import tasks
from immich_sidecar.recipe.recipe import new_recipe

def compiled():
    found = set()
    for name, module in list(sys.modules.items()):
        if name.startswith("immich_sidecar."):
            for function in vars(module).values():
                for signature in getattr(function, "signatures", ()):
                    found.add((function.__name__, str(signature)))
    return found

tasks.warm_up()
before = compiled()
assert len(before) > 10, "kernels are not found"
steps = {
    "exposure": {"ev": 0.3}, "tone": {"shadows": 20, "contrast": 10}, "straighten": {"degrees": 1.0},
    "denoise": {"luma": 10, "chroma": 10}, "sharpen": {"amount": 30},
}
for path in map(Path, sys.argv[1:]):
    analyse(path)
    for format in ("jpeg", "tiff16"):
        recipe = new_recipe("a" * 64, [], steps | {"output": {"format": format}}, at=datetime(2024, 1, 1, tzinfo=UTC))
        engine.develop(path, recipe, path.with_suffix(".out"))
print(sorted(compiled() - before))
"""


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> list[Path]:
    import cv2

    folder = tmp_path_factory.mktemp("warm")
    picture = make.scene(192, 128)
    deep = folder / "deep.tiff"
    cv2.imwrite(str(deep), picture.astype(np.uint16) * 257)
    return [make.write_jpeg(folder / "a.jpg", picture), deep, make.write_dng(folder / "a.dng", picture)]


def test_no_photo_waits_for_a_compiler(files) -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM, *files], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
