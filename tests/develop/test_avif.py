"""AVIF in tiles: the same picture and the same metadata as in one piece, with a part of the memory."""

import struct
import subprocess
import sys

import imagecodecs
import numpy as np
import pytest
from PIL import Image

from immich_sidecar.develop import avif
from immich_sidecar.develop.icc import named_space
from immich_sidecar.develop.packets import Packets
from immich_sidecar.develop.probe import probe
from tests.develop.conftest import mean_difference
from tests.photos import make

ICC = named_space("Display P3").profile
PACKETS = Packets(
    exif=make.full_exif().removeprefix(b"Exif\0\0"),
    xmp=make.xmp_with('xmp:Label="a label"', 'xmlns:xmp="http://ns.adobe.com/xap/1.0/"'),
)


def decoders(data: bytes, path) -> list[np.ndarray]:
    path.write_bytes(data)
    with Image.open(path) as image:
        return [np.asarray(image.convert("RGB")), imagecodecs.avif_decode(data)[..., :3]]


@pytest.mark.parametrize("size", [(1025, 40), (40, 1100), (1500, 1100), (2049, 1024)])
def test_tiles_make_the_picture(tmp_path, size) -> None:
    picture = make.scene(*size)
    data = avif.written(picture, ICC, PACKETS, quality=90)
    whole = np.asarray(Image.open(_written(tmp_path, picture)).convert("RGB"))
    for seen in decoders(data, tmp_path / "a.avif"):
        assert seen.shape == picture.shape
        assert mean_difference(seen, picture) < 1.05 * mean_difference(whole, picture) + 0.05
    facts = probe(tmp_path / "a.avif")
    assert (facts.width, facts.height) == size


def _written(folder, picture):
    path = folder / "whole.avif"
    Image.fromarray(picture).save(path, "AVIF", quality=90, subsampling="4:4:4", speed=8)
    return path


def test_there_are_no_seams(tmp_path) -> None:
    """What is smooth in the picture is smooth where tiles meet."""
    across = np.linspace(60.0, 200.0, 1600)
    picture = np.repeat(np.broadcast_to(across, (1200, 1600))[..., None], 3, axis=2).round().astype(np.uint8)
    wide, tall = 832, 640
    for seen in decoders(avif.written(picture, ICC, Packets(), quality=60), tmp_path / "a.avif"):
        assert np.abs(np.diff(seen.astype(int), axis=1)[:, wide - 2 : wide + 1]).max() <= 3
        assert np.abs(np.diff(seen.astype(int), axis=0)[tall - 2 : tall + 1]).max() <= 3


@pytest.mark.parametrize("size", [(600, 400), (1200, 80)])
def test_metadata_and_profile_are_there_as_they_were(tmp_path, size) -> None:
    path = tmp_path / "a.avif"
    path.write_bytes(avif.written(make.scene(*size), ICC, PACKETS, quality=50))
    with Image.open(path) as image:
        assert image.info["icc_profile"] == ICC
        assert image.info["xmp"] == PACKETS.xmp
        assert image.info["exif"].endswith(PACKETS.exif)


def test_without_metadata_there_are_no_items_for_it(tmp_path) -> None:
    path = tmp_path / "a.avif"
    path.write_bytes(avif.written(make.scene(1100, 70), ICC, Packets(), quality=50))
    with Image.open(path) as image:
        assert not {"xmp", "exif"} & set(image.info)


@pytest.mark.parametrize("size", [(300, 200), (1100, 70)])
@pytest.mark.parametrize("exif", [b"garbage, and more of it", b"II*\0", b""])
def test_a_damaged_exif_block_does_not_spoil_the_file(tmp_path, size, exif) -> None:
    data = avif.written(make.scene(*size), ICC, Packets(exif=exif, xmp=PACKETS.xmp), quality=50)
    for seen in decoders(data, tmp_path / "a.avif"):
        assert seen.shape == (size[1], size[0], 3)
    with Image.open(tmp_path / "a.avif") as image:
        assert image.info["xmp"] == PACKETS.xmp


@pytest.mark.parametrize("length", [1, 64, 1024, 1025, 5640, 9504, 16385, 40000])
def test_tiles_cover_a_length_and_each_has_some_of_it(length) -> None:
    side = avif._side(length)
    assert side % 64 == 0
    assert 64 <= side <= 1024
    count = -(-length // side)
    assert (count - 1) * side < length <= count * side


def test_a_grid_says_its_size_in_as_many_bits_as_it_takes() -> None:
    assert avif._grid(2, 3, 2000, 1500) == bytes((0, 0, 1, 2)) + struct.pack(">HH", 2000, 1500)
    assert avif._grid(1, 70, 70000, 900) == bytes((0, 1, 0, 69)) + struct.pack(">II", 70000, 900)


def test_memory_does_not_grow_with_the_picture() -> None:
    """12 megapixels would take 500 MB in one piece."""
    program = """if True:
        import numpy as np
        from immich_sidecar.develop import avif
        from immich_sidecar.develop.packets import Packets
        from tests.photos.make import scene
        picture = np.tile(scene(500, 375), (8, 8, 1))
        def peak():
            status = open("/proc/self/status", encoding="ascii").read()
            return float(status.split("VmHWM:")[1].split()[0]) * 1024
        before = peak()
        avif.written(picture, b"", Packets(), quality=50)
        print(peak() - before)
    """
    done = subprocess.run([sys.executable, "-c", program], check=True, capture_output=True, text=True)
    assert float(done.stdout) < 130e6
