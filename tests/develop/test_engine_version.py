"""Renders are held to the engine's version: other pixels need another version.

When a change of the engine is meant, raise `ENGINE_VERSION` and write down what
`python -m tests.develop.test_engine_version` prints.
"""

import hashlib
import tempfile
from pathlib import Path

import numpy as np
import pytest

from immich_sidecar.develop.cube import read_cube
from immich_sidecar.develop.engine import ENGINE_VERSION, render
from immich_sidecar.recipe.recipe import merge
from immich_sidecar.recipe.run_lengths import written
from tests.develop.conftest import AT
from tests.develop.test_cube import text
from tests.photos import make

#: A table that swaps two colours and bends the third.
LUT = read_cube(text(5, lambda red, green, blue: (blue, green**1.5, red)))
#: The middle third of the columns, rows 1 to 3 of 4.
MASK = {"width": 6, "height": 4, "counts": written([9, 2, 2, 2, 9])}
CASES = {
    "nothing": {},
    "light": {"exposure": {"ev": 0.7}, "tone": {"black": -8, "white": 12, "contrast": 20}},
    "local": {"tone": {"shadows": 45, "highlights": -35, "contrast": -10}},
    "warm": {"white_balance": {"temperature": 7200, "tint": 12}},
    "gains": {"white_balance": {"gains": [1.1, 1.0, 0.8]}, "exposure": {"ev": -0.5}},
    "lifted": {"exposure": {"ev": 0.8, "brightest": 0.7}, "white_balance": {"gains": [0.8, 1.0, 1.3]}},
    "turned": {"straighten": {"degrees": 2.5}, "crop": {"x": 0.1, "y": 0.05, "width": 0.7, "height": 0.8}},
    "lens": {
        "lens": {
            "distortion": 80,
            "profile": {
                "source": "lensfun",
                "warp": {"radius": 0.6, "radial": [1.03, 0, -0.03], "red": [1.002], "blue": [0.998]},
                "falloff": {"radius": 1.0, "terms": [-0.4, 0.1]},
            },
        },
        "straighten": {"degrees": 1},
    },
    "laid": {
        "orientation": {"quarter_turns": 1, "mirror": True},
        "upright": {"vertical": 6, "horizontal": -3, "focal_length_35mm": 28},
        "straighten": {"degrees": -1.5},
    },
    "clean": {"denoise": {"luma": 25, "chroma": 30}},
    "colourful": {"saturation": {"saturation": 30, "vibrance": 40}},
    "grey": {"monochrome": {"red": 60, "green": 30, "blue": 10, "toning": 40}},
    "table": {"saturation": {"vibrance": 20}, "lut": {"sha256": LUT.sha256, "strength": 80}},
    "parts": {
        "subject": {"mask": MASK, "ev": 0.6, "saturation": 10},
        "background": {"mask": MASK, "ev": -0.4, "saturation": -50, "feather": 40},
        "straighten": {"degrees": 3},
    },
    "sharp": {"sharpen": {"amount": 50, "radius": 1.2}},
    "raw": {
        "decode": {"baseline_ev": 0.4, "tone_curve": [[0, 0], [0.1, 0.2], [0.4, 0.7], [1, 1]]},
        "exposure": {"ev": 0.2},
    },
    "raw part": {"decode": {}, "sky": {"mask": MASK, "ev": -0.8}},
    "raw fast": {"decode": {"demosaic": "fast"}, "tone": {"shadows": 20}},
    "raw blend": {"decode": {"highlight": "blend"}, "exposure": {"ev": -0.7}},
    "raw reconstruct": {"decode": {"highlight": "reconstruct"}, "exposure": {"ev": -0.7}},
}
#: The beginning of the hash of each render's pixels, and the mean of each channel in its four quarters. The
#: latter stand in where another compiler rounds otherwise, which may move pixels by one code value.
RENDERS = {
    "9": {
        "nothing": (
            "600f4b80611604b3",
            [169.8, 189.4, 215.7, 181.1, 184.9, 212.4, 118.1, 124.9, 96.0, 126.7, 128.1, 97.7],
        ),
        "light": (
            "43673e3c0899b683",
            [215.7, 227.8, 241.5, 226.6, 222.8, 236.2, 155.1, 163.1, 121.8, 164.2, 167.3, 123.3],
        ),
        "local": (
            "dd50cb42db74bbbf",
            [156.0, 173.6, 197.8, 166.4, 169.9, 194.8, 114.5, 120.5, 94.2, 122.2, 123.4, 95.6],
        ),
        "warm": (
            "c6c43251cb3cee3d",
            [179.6, 187.2, 210.6, 190.4, 182.6, 207.2, 124.3, 123.1, 93.1, 132.7, 126.3, 94.9],
        ),
        "gains": (
            "7cf86acb41d5cace",
            [151.5, 162.0, 167.2, 161.9, 158.2, 164.5, 105.0, 106.2, 72.8, 113.2, 109.6, 75.1],
        ),
        "lifted": (
            "10c7e5ee2c47b223",
            [195.8, 215.3, 243.6, 207.6, 211.5, 240.1, 137.7, 159.4, 138.3, 146.6, 163.7, 140.5],
        ),
        "turned": (
            "790176de5813d6b4",
            [171.7, 194.0, 216.1, 191.5, 192.4, 221.6, 121.4, 133.5, 107.8, 127.7, 119.2, 98.0],
        ),
        "lens": (
            "a03ae28554a5f3b8",
            [180.5, 200.6, 225.4, 192.8, 196.4, 224.7, 124.8, 131.6, 101.2, 134.3, 135.2, 103.6],
        ),
        "laid": (
            "4bdebc1951eb3818",
            [128.4, 127.7, 98.4, 186.1, 189.2, 217.9, 117.2, 123.4, 96.3, 169.6, 188.7, 214.5],
        ),
        "clean": (
            "425225503d22187d",
            [169.9, 189.4, 215.5, 181.3, 184.9, 212.3, 118.2, 124.9, 96.2, 126.8, 128.2, 97.9],
        ),
        "colourful": (
            "9de888f392fd6413",
            [158.5, 189.1, 229.3, 176.2, 182.3, 224.2, 115.9, 126.4, 75.6, 127.1, 129.0, 75.5],
        ),
        "grey": (
            "dc025b171b94f73e",
            [190.7, 180.1, 168.4, 195.4, 185.2, 174.1, 130.8, 116.2, 99.9, 137.0, 122.4, 106.2],
        ),
        "table": (
            "0439a18642292716",
            [208.7, 171.5, 177.7, 208.2, 166.4, 186.9, 97.0, 97.9, 112.7, 99.9, 100.4, 120.2],
        ),
        "parts": (
            "932041977c67c9e4",
            [175.5, 185.4, 200.4, 184.7, 186.2, 202.0, 113.3, 116.1, 102.1, 121.3, 121.1, 105.1],
        ),
        "sharp": (
            "9a7512a248d55266",
            [170.2, 189.8, 216.1, 181.6, 185.3, 212.8, 118.6, 125.3, 96.4, 126.9, 128.2, 97.9],
        ),
        "raw": (
            "c502f31d81c8cace",
            [227.5, 235.4, 246.1, 235.5, 232.2, 241.7, 189.8, 196.6, 155.3, 197.7, 201.7, 156.9],
        ),
        "raw part": (
            "e08e23deabe261e1",
            [167.5, 187.0, 213.9, 178.7, 182.6, 211.1, 114.8, 121.0, 92.5, 122.9, 124.1, 94.5],
        ),
        "raw fast": (
            "f2d4307e03f2f6d3",
            [168.8, 189.5, 215.9, 180.8, 184.6, 213.0, 118.3, 125.1, 95.8, 126.8, 128.2, 97.6],
        ),
        "raw blend": (
            "e923c8d30a033cf8",
            [161.4, 179.6, 199.3, 171.9, 175.3, 195.8, 111.2, 117.1, 89.6, 118.8, 119.8, 91.2],
        ),
        "raw reconstruct": (
            "a487bdc3e9d93311",
            [159.5, 176.9, 203.8, 170.0, 172.6, 200.7, 111.2, 117.1, 89.6, 119.1, 119.8, 91.3],
        ),
    },
}


def rendered(folder: Path, case: str):
    picture = make.scene(192, 128)
    operations = merge([], CASES[case], at=AT)
    path = folder / "a"
    if "decode" in CASES[case]:
        make.write_dng(path, picture, ev=0.5 if "highlight" in CASES[case]["decode"] else 0.0)
    else:
        make.write_png(path, picture)
    (folder / "table.cube").write_bytes(LUT.normal_form)
    return render(path, operations, luts=[folder]).image


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
