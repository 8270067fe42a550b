"""Pictures of tiles in HEIC files: the same pixels as libheif makes of the whole."""

import cv2
import numpy as np
import pillow_heif
import pytest
from PIL import Image

from immich_sidecar.develop.decode import decode
from immich_sidecar.develop.heic import code_levels, grid_of, read
from immich_sidecar.develop.icc import named_space
from immich_sidecar.develop.probe import probe
from immich_sidecar.errors import UndecodableError

SIZE = (150, 100)


def written(path, *, deep=False, chroma="420", orientation=1, tile=64):
    """A smooth picture of rough colours, in tiles."""
    rough = np.random.default_rng(3).integers(0, 65536, (SIZE[1] // 4, SIZE[0] // 4, 3)).astype(np.uint16)
    pixels = cv2.resize(rough, SIZE, interpolation=cv2.INTER_LINEAR)
    pixels = pixels if deep else (pixels >> 8).astype(np.uint8)
    exif = Image.Exif()
    exif[274] = orientation
    heif = pillow_heif.from_bytes("RGB;16" if deep else "RGB", SIZE, pixels.tobytes())
    heif.info["exif"] = exif.tobytes()
    heif.save(path, quality=80, chroma=chroma, tile_size=tile, icc_profile=named_space("Display P3").profile)
    return path


def by_libheif(path):
    heif = pillow_heif.open_heif(path, convert_hdr_to_8bit=False)
    pixels = np.asarray(heif)
    depth = heif.info["bit_depth"]
    return pixels if depth == 8 else code_levels(((1 << depth) - 1) << (16 - depth))[pixels]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_tiles_are_turned_upright_with_the_whole(tmp_path, orientation) -> None:
    path = written(tmp_path / "a.heic", orientation=orientation)
    grid = grid_of(path.read_bytes())
    assert grid is not None
    assert len(grid.tiles) == 6
    expected = by_libheif(path)
    assert expected.shape[:2] == (SIZE if orientation >= 5 else SIZE[::-1])
    assert np.array_equal(read(path).pixels, expected)


@pytest.mark.parametrize("chroma", ["420", "422", "444"])
@pytest.mark.parametrize("deep", [False, True])
def test_tiles_have_the_pixels_of_the_whole(tmp_path, chroma, deep) -> None:
    path = written(tmp_path / "a.heic", deep=deep, chroma=chroma)
    found = read(path)
    assert found.pixels.dtype == (np.uint16 if deep else np.uint8)
    assert np.array_equal(found.pixels, by_libheif(path))
    assert found.icc == named_space("Display P3").profile


def test_photos_of_phones_have_the_pixels_of_the_whole(photos) -> None:
    for name in ("wall-cable.heic", "formats/motion-photo-samsung.heic"):
        assert grid_of((photos / name).read_bytes()) is not None
        assert np.array_equal(read(photos / name).pixels, by_libheif(photos / name))


def test_what_is_no_grid_is_decoded_as_a_whole(tmp_path) -> None:
    path = written(tmp_path / "a.heic", tile=0)
    assert grid_of(path.read_bytes()) is None
    assert np.array_equal(read(path).pixels, by_libheif(path))


@pytest.mark.parametrize("harm", ["cut", "empty"])
def test_a_tile_that_is_not_there_is_damage(tmp_path, harm) -> None:
    path = written(tmp_path / "a.heic")
    facts, data = probe(path), bytearray(path.read_bytes())
    grid = grid_of(data)
    assert grid is not None
    (start, end), *_ = grid.tiles[-1]
    if harm == "cut":
        del data[start + 1 :]
    else:
        data[start:end] = bytes(end - start)
    path.write_bytes(data)
    with pytest.raises(UndecodableError):
        decode(path, facts)


def test_threads_of_other_readers_are_left_alone(tmp_path) -> None:
    before = pillow_heif.options.DECODE_THREADS
    read(written(tmp_path / "a.heic"))
    assert before == pillow_heif.options.DECODE_THREADS
