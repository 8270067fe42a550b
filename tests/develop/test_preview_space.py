"""The camera's own picture in a RAW file is understood in the colour space that it is in."""

import struct
from pathlib import Path

import numpy as np
import pytest

from immich_sidecar.develop.decode import decode
from immich_sidecar.develop.icc import matrix_profile, named_space
from immich_sidecar.develop.jpeg import Header
from immich_sidecar.develop.preview_space import space_of_preview
from immich_sidecar.develop.probe import probe
from immich_sidecar.develop.proxy import load_proxy
from immich_sidecar.develop.raw import embedded_preview
from immich_sidecar.develop.tiff import Directory, Exif
from tests.photos import make

ADOBE = "Adobe RGB (1998)"


def exif(space: int, interoperability: bytes = b"") -> bytes:
    """An EXIF segment that names a colour space in the way of DCF."""
    entries = [struct.pack("<HHIHH", 0xA001, 3, 1, space, 0)]
    if interoperability:
        # Behind the header, the main directory, and an EXIF directory of two entries.
        entries.append(struct.pack("<HHII", 0xA005, 4, 1, 8 + 18 + 30))
    block = b"II*\0" + struct.pack("<IHHHIII", 8, 1, 0x8769, 4, 1, 26, 0)
    block += struct.pack("<H", len(entries)) + b"".join(entries) + bytes(4)
    if interoperability:
        block += struct.pack("<HHHI4sI", 1, 1, 2, 4, interoperability, 0)
    return b"Exif\0\0" + block


def in_adobe_rgb(picture: np.ndarray) -> np.ndarray:
    """An sRGB picture in code values of Adobe RGB."""
    space = named_space(ADOBE)
    linear = make.linear_from_display(picture) @ np.linalg.inv(space.to_srgb).T
    codes = np.round(np.clip(linear, 0, 1) * 65535).astype(np.uint16)
    return np.stack([space.encoding[i][codes[..., i]] for i in range(3)], axis=-1)


def colourful() -> np.ndarray:
    """A picture whose colours differ much between the two spaces."""
    across, down = np.meshgrid(np.linspace(0.05, 0.95, 240), np.linspace(0.05, 0.95, 160))
    return np.round(np.stack([0.5 * across, 0.3 + 0.6 * down, 0.4 * (1 - across)], axis=-1) * 255).astype(np.uint8)


@pytest.mark.parametrize(
    "said",
    [
        {"preview_icc": matrix_profile(ADOBE)},
        {"preview_exif": exif(65535, b"R03\0")},
        {"preview_space": 3},
        # What the preview says of itself counts more than what is said about it.
        {"preview_icc": matrix_profile(ADOBE), "preview_exif": exif(1), "preview_space": 2},
    ],
)
def test_adobe_rgb_is_understood(tmp_path: Path, said) -> None:
    shown = colourful()
    path = make.write_dng(tmp_path / "a.dng", shown, preview=in_adobe_rgb(shown), **said)
    found = embedded_preview(path)
    assert found is not None
    assert np.abs(found.astype(int) - shown).mean() < 2
    assert np.abs(in_adobe_rgb(shown).astype(int) - shown).mean() > 8, "the test could not fail"
    # The look is fitted to the same picture.
    seen = load_proxy(path).embedded
    assert seen is not None
    assert np.array_equal(seen, found)


@pytest.mark.parametrize("said", [{}, {"preview_exif": exif(1), "preview_space": 3}, {"preview_exif": exif(65535)}])
def test_what_is_not_said_to_be_wide_is_srgb(tmp_path: Path, said) -> None:
    shown = colourful()
    path = make.write_dng(tmp_path / "a.dng", shown, preview=shown, **said)
    found = embedded_preview(path)
    assert found is not None
    assert np.abs(found.astype(int) - shown).mean() < 2


def test_the_file_around_it_is_believed_where_it_says_nothing() -> None:
    uncalibrated = Exif(exif=Directory({0xA001: (65535,)}), interop=Directory({1: (b"R03\0",)}))
    assert space_of_preview(Header(()), uncalibrated).name == ADOBE
    assert space_of_preview(Header(()), Exif()).is_srgb


def test_a_photo_in_adobe_rgb_by_exif_alone(tmp_path: Path) -> None:
    path = make.write_jpeg(tmp_path / "a.jpg", in_adobe_rgb(colourful()), exif=exif(65535, b"R03\0"))
    assert decode(path, probe(path)).space.name == ADOBE
