"""Renders are held to the engine's version: other pixels need another version.

When a change of the engine is meant, raise `ENGINE_VERSION` and write down what
`python -m tests.develop.test_engine_version` prints.
"""

import hashlib
import tempfile
from pathlib import Path

import numpy as np
import pytest

from immich_sidecar.develop.engine import ENGINE_VERSION, render
from immich_sidecar.recipe.recipe import merge
from tests.develop.conftest import AT
from tests.photos import make

CASES = {
    "nothing": {},
    "light": {"exposure": {"ev": 0.7}, "tone": {"black": -8, "white": 12, "contrast": 20}},
    "local": {"tone": {"shadows": 45, "highlights": -35, "contrast": -10}},
    "warm": {"white_balance": {"temperature": 7200, "tint": 12}},
    "gains": {"white_balance": {"gains": [1.1, 1.0, 0.8]}, "exposure": {"ev": -0.5}},
    "turned": {"straighten": {"degrees": 2.5}, "crop": {"x": 0.1, "y": 0.05, "width": 0.7, "height": 0.8}},
    "clean": {"denoise": {"luma": 25, "chroma": 30}},
    "raw": {
        "decode": {"baseline_ev": 0.4, "tone_curve": [[0, 0], [0.1, 0.2], [0.4, 0.7], [1, 1]]},
        "exposure": {"ev": 0.2},
    },
}
#: The beginning of the hash of each render's pixels, and the mean of each channel in its four quarters. The
#: latter stand in where another compiler rounds otherwise, which may move pixels by one code value.
RENDERS = {
    "1": {
        "nothing": (
            "600f4b80611604b3",
            [169.8, 189.4, 215.7, 181.1, 184.9, 212.4, 118.1, 124.9, 96.0, 126.7, 128.1, 97.7],
        ),
        "light": (
            "36da7484fa1afd2c",
            [215.7, 227.8, 241.5, 226.6, 222.7, 236.3, 155.1, 163.1, 121.8, 164.2, 167.2, 123.3],
        ),
        "local": (
            "e053a0587f8369ca",
            [156.0, 173.6, 197.7, 166.4, 169.8, 194.7, 114.5, 120.6, 94.3, 122.2, 123.4, 95.6],
        ),
        "warm": (
            "84990d86a7c27618",
            [179.5, 187.2, 210.6, 190.3, 182.7, 207.3, 124.3, 123.1, 93.1, 132.7, 126.4, 94.9],
        ),
        "gains": (
            "13ecba88f352dd8c",
            [151.5, 162.0, 167.1, 161.9, 158.2, 164.5, 105.0, 106.3, 72.8, 113.2, 109.7, 75.1],
        ),
        "turned": (
            "1c2b28751e1b9b79",
            [171.7, 194.0, 216.1, 191.6, 192.4, 221.6, 121.4, 133.5, 107.8, 127.7, 119.2, 98.0],
        ),
        "clean": (
            "7e53a09ba59769db",
            [169.8, 189.5, 215.7, 181.1, 184.9, 212.4, 118.1, 125.1, 96.3, 126.7, 128.3, 98.0],
        ),
        "raw": (
            "e746f578be76da16",
            [226.7, 235.4, 245.9, 235.4, 232.0, 242.0, 187.9, 196.4, 155.1, 197.7, 201.4, 156.7],
        ),
    },
}


def rendered(folder: Path, case: str):
    picture = make.scene(192, 128)
    operations = merge([], CASES[case], at=AT)
    path = folder / "a"
    if case == "raw":
        make.write_dng(path, picture)
    else:
        make.write_png(path, picture)
    return render(path, operations).image


def fingerprint(image) -> tuple[str, list[int]]:
    blocks = [band.mean(axis=(0, 1)) for row in np.array_split(image, 2) for band in np.array_split(row, 2, axis=1)]
    digest = hashlib.sha256(image.tobytes() + str(image.shape).encode()).hexdigest()[:16]
    return digest, [round(float(v), 1) for b in blocks for v in b]


@pytest.mark.parametrize("case", CASES)
def test_renders_are_those_of_this_version(tmp_path, case) -> None:
    assert ENGINE_VERSION in RENDERS, "write down the renders of the new version"
    digest, means = fingerprint(rendered(tmp_path, case))
    expected_digest, expected_means = RENDERS[ENGINE_VERSION][case]
    assert digest == expected_digest or means == pytest.approx(expected_means, abs=0.15), (
        "the engine makes other pixels than version " + ENGINE_VERSION
    )


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as name:
        for each in CASES:
            print(f'        "{each}": {fingerprint(rendered(Path(name), each))},')
