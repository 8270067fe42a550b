"""Colour tables: what is read, what is refused and why, and what they do to a picture."""

import hashlib
import itertools
from pathlib import Path

import numpy as np
import pytest

from immich_sidecar.develop import cube as cube_module
from immich_sidecar.develop.cube import MOST_BYTES, read_cube
from immich_sidecar.develop.engine import render
from immich_sidecar.develop.preview import PreviewSource, preview_jpeg
from immich_sidecar.errors import RecipeError, UnsupportedError
from immich_sidecar.recipe.recipe import merge
from tests.develop.conftest import AT
from tests.photos import make


def text(points: int, function, *head: str) -> bytes:
    """A cube over 0..1 of a function of red, green and blue."""
    even = np.linspace(0, 1, points)
    rows = [function(red, green, blue) for blue, green, red in itertools.product(even, even, even)]
    lines = [*head, f"LUT_3D_SIZE {points}", *(" ".join(f"{value:.7f}" for value in row) for row in rows)]
    return "\n".join(lines).encode()


def swapped(red: float, green: float, blue: float) -> tuple[float, float, float]:
    return blue, red, green


def kept(folder: Path, data: bytes) -> str:
    """Put a table where recipes find it; gives its digest."""
    cube = read_cube(data)
    folder.mkdir(exist_ok=True)
    (folder / f"{cube.sha256}.cube").write_bytes(cube.normal_form)
    return cube.sha256


def steps(digest: str, **parameters):
    return merge([], {"lut": {"sha256": digest, **parameters}}, at=AT)


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "a.png"
    make.write_png(path, make.scene(96, 64))
    return path


def test_the_normal_form_is_one_whatever_the_file_looked_like() -> None:
    plain = read_cube(text(5, swapped))
    other = text(
        5, swapped, "\ufeff# by someone", 'TITLE "Swapped \x07 colours"', "DOMAIN_MIN 0 0 0", "DOMAIN_MAX 1 1 1.0"
    )
    other = other.replace(b"\n", b"\r\n\r\n").replace(b"0.0000000", b"-0")
    dressed = read_cube(other)
    assert dressed.title == "Swapped  colours"
    assert dressed.sha256 == plain.sha256 == hashlib.sha256(plain.normal_form).hexdigest()
    again = read_cube(plain.normal_form)
    assert again.normal_form == plain.normal_form
    assert np.array_equal(again.table, plain.table)
    assert plain.table.shape == (5, 5, 5, 3)
    assert plain.table[1, 2, 4] == pytest.approx([0.25, 1.0, 0.5]), "blue, green, red"


def test_curves_become_a_cube() -> None:
    curve = "\n".join(f"{x:.6f} {x * x:.6f} {1 - x:.6f}" for x in np.linspace(0, 1, 1024))
    cube = read_cube(f"LUT_1D_SIZE 1024\nLUT_1D_INPUT_RANGE 0 1\n{curve}".encode())
    assert cube.is_curves
    assert cube.size == 65
    assert cube.table[16, 32, 48] == pytest.approx([0.75, 0.25, 0.75], abs=1e-4)


def test_another_domain_is_brought_to_the_usual_one() -> None:
    rows = "\n".join(f"{r} {g} {b}" for b, g, r in itertools.product((-0.5, 1.5), (0, 2), (0, 1)))
    cube = read_cube(f"LUT_3D_SIZE 2\nDOMAIN_MIN 0 0 -0.5\nDOMAIN_MAX 1 2 1.5\n{rows}".encode())
    assert cube.table[16, 32, 64] == pytest.approx([1.0, 0.5, 0.25], abs=1e-5)
    narrow = read_cube(b"LUT_1D_SIZE 2\nDOMAIN_MIN 0.5 0.5 0.5\n0 0 0\n1 1 1\n")
    assert narrow.table[0, 32, 48] == pytest.approx([0.5, 0, 0])


GOOD = b"0 0 0\n" * 8


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "says neither"),
        (b"\x89PNG\r\n\0\0", "not text"),
        (b"{}", "Line 1"),
        (b"LUT_3D_SIZE 2\n0 0 0", "= 8 rows of numbers and has 1"),
        (b"LUT_3D_SIZE 2\n" + GOOD + b"0 0 0", "has 9"),
        (b"LUT_3D_SIZE 66\n" + GOOD, "from 2 to 65"),
        (b"LUT_3D_SIZE 1\n0 0 0", "from 2 to 65"),
        (b"LUT_3D_SIZE 2e0\n" + GOOD, "Line 1"),
        (b"LUT_1D_SIZE 99999999999\n" + GOOD, "from 2 to 65536"),
        (b"# x\n\nLUT_3D_SIZE 2\n\n" + GOOD[6:] + b"0 0 x\n", "Line 12"),
        (b"LUT_3D_SIZE 2\n" + GOOD[6:] + b"0 0 1 1\n", "Line 9"),
        (b"LUT_3D_SIZE 2\n" + GOOD[6:] + b"0 0 1e9\n", "no colours"),
        (b"LUT_3D_SIZE 2\n" + GOOD[6:] + b"0 0 +nan\n", "no colours"),
        (b"LUT_3D_SIZE 2\n0 0 0\nTITLE x\n" + GOOD, "among the numbers"),
        (b"LUT_3D_SIZE 2\nDOMAIN_MIN 1 1 1\n" + GOOD, "less than"),
        (b"LUT_3D_SIZE 2\nDOMAIN_MAX 1 1\n" + GOOD, "Line 2: 3 numbers"),
        (b"LUT_1D_SIZE 8\nLUT_3D_SIZE 2\n" + GOOD, "a curve and a cube"),
        (b"LUT_3D_SIZE 2\nLUT_IN_VIDEO_RANGE\n" + GOOD, "video"),
        (b"#" * (MOST_BYTES + 1), "16 MiB"),
    ],
)
def test_bad_files_are_refused_with_the_reason(data: bytes, words: str) -> None:
    with pytest.raises(UnsupportedError, match=words):
        read_cube(data)


def test_a_table_does_to_a_picture_what_it_says(tmp_path, picture) -> None:
    digest = kept(tmp_path / "luts", text(9, swapped))
    before = render(picture, ()).image.astype(int)
    after = render(picture, steps(digest, name="Swap"), luts=[tmp_path / "luts"]).image
    assert np.abs(after - before[..., [2, 0, 1]]).max() <= 1
    half = render(picture, steps(digest, strength=50), luts=[tmp_path / "luts"]).image
    assert np.abs(half - (before + before[..., [2, 0, 1]]) / 2).max() <= 2
    none = render(picture, steps(digest, strength=0)).image
    assert np.array_equal(none, before), "and needs no table"


def test_strength_goes_evenly_from_nothing_to_all(tmp_path, picture) -> None:
    digest = kept(tmp_path / "luts", text(3, lambda r, g, b: (1 - r, 1 - g, 1 - b)))
    before = render(picture, ()).image.astype(int)
    moved = [
        np.abs(render(picture, steps(digest, strength=s), luts=[tmp_path / "luts"]).image - before).mean()
        for s in (0, 20, 40, 60, 80, 100)
    ]
    assert moved[0] == 0
    assert all(less < more for less, more in itertools.pairwise(moved))


def test_previews_use_it_too(tmp_path, picture) -> None:
    import simplejpeg

    digest = kept(tmp_path / "luts", text(3, lambda r, g, b: (0.2, 0.4, 0.6)))
    for data in (
        preview_jpeg(picture, steps(digest), luts=[tmp_path / "luts"]),
        PreviewSource.of(picture).jpeg(steps(digest), luts=[tmp_path / "luts"]),
        PreviewSource.of(picture).smaller(32).jpeg(steps(digest), luts=[tmp_path / "luts"]),
    ):
        assert simplejpeg.decode_jpeg(data).mean(axis=(0, 1)) == pytest.approx([51, 102, 153], abs=2)


def test_a_missing_or_damaged_table_is_an_error_that_names_it(tmp_path, picture) -> None:
    folder = tmp_path / "luts"
    digest = kept(folder, text(3, swapped))
    for folders in ([], [tmp_path / "elsewhere"]):
        with pytest.raises(RecipeError, match=rf"“Swap” with the SHA-256 {digest}.*--luts"):
            render(picture, steps(digest, name="Swap"), luts=folders)
    place = folder / f"{digest}.cube"
    place.write_bytes(place.read_bytes().replace(b"0.500000", b"0.600000"))
    cube_module._checked.cache_clear()
    with pytest.raises(RecipeError, match="damaged"):
        render(picture, steps(digest), luts=[folder])


def test_a_folder_of_files_as_they_came_will_do(tmp_path, picture) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "aaa.cube").write_text("no table")
    (folder / "my look.cube").write_bytes(text(3, swapped, 'TITLE "x"'))
    digest = read_cube(text(3, swapped)).sha256
    assert render(picture, steps(digest), luts=[tmp_path / "none", folder]).image.shape == (64, 96, 3)
