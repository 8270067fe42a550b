"""Files that are whole, and written otherwise than most: they are developed like others."""

import io
import math
import struct
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image

from immich_sidecar.develop.decode import decode
from immich_sidecar.develop.engine import develop, render
from immich_sidecar.develop.icc import matrix_profile, read_profile, rgb_to_xyz
from immich_sidecar.develop.probe import probe
from immich_sidecar.errors import UndecodableError, UnsupportedError
from immich_sidecar.recipe.recipe import Recipe, new_recipe
from tests.photos import make

AT = datetime(2024, 5, 6, tzinfo=UTC)


def recipe(**wanted: dict) -> Recipe:
    return new_recipe("a" * 64, [], wanted, at=AT, recipe_id="00000000-0000-4000-8000-000000000000")


def grey_profile(gamma: float) -> bytes:
    """An ICC profile of greys with a power for a curve (ICC.1:2010)."""
    curve = b"curv" + bytes(4) + struct.pack(">IHxx", 1, round(gamma * 256))
    white = b"XYZ " + bytes(4) + struct.pack(">3i", 63190, 65536, 54061)
    tags = {b"kTRC": curve, b"wtpt": white}
    table, body, start = b"", b"", 132 + 12 * len(tags)
    for name, content in tags.items():
        table += struct.pack(">4sII", name, start + len(body), len(content))
        body += content
    head = struct.pack(">I4sI4s4s4s", start + len(body), bytes(4), 0x02400000, b"mntr", b"GRAY", b"XYZ ")
    head += struct.pack(">6H", 2024, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head + bytes(128 - len(head)) + struct.pack(">I", len(tags)) + table + body


@pytest.mark.parametrize("gamma", [1.0, 1.8, 2.2])
@pytest.mark.parametrize("kind", ["png", "tif", "big.tif"])
def test_deep_greys_with_a_profile(tmp_path: Path, kind: str, gamma: float) -> None:
    ramp = np.tile(np.linspace(0, 65535, 512).astype(np.uint16), (64, 1))
    path, shallow = tmp_path / f"deep.{kind}", tmp_path / "shallow.png"
    icc = grey_profile(gamma)
    if kind == "png":
        import cv2

        encoded = cv2.imencode(".png", ramp)[1].tobytes()
        # Behind the header: 8 bytes of signature, 25 of IHDR.
        chunk = io.BytesIO()
        Image.new("L", (1, 1)).save(chunk, "PNG", icc_profile=icc)
        data = chunk.getvalue()
        at = data.index(b"iCCP") - 4
        end = at + 12 + struct.unpack_from(">I", data, at)[0]
        path.write_bytes(encoded[:33] + data[at:end] + encoded[33:])
    else:
        tifffile.imwrite(path, ramp, photometric="minisblack", iccprofile=icc, bigtiff=kind == "big.tif")
    Image.fromarray((ramp >> 8).astype(np.uint8)).save(shallow, icc_profile=icc)
    deep, known = decode(path, probe(path)), decode(shallow, probe(shallow))
    assert deep.pixels.dtype == np.uint16
    assert deep.space.name == known.space.name == "sRGB"
    # The shallow one was cut to whole code values before its curve was asked, which is steep in the dark for 1.0.
    light = np.arange(64, 512)
    distance = np.abs(deep.pixels[:, light] / 257.0 - known.pixels[:, light].astype(float)).max()
    assert distance < (3.0 if gamma == 1.0 else 1.6)
    assert (np.diff(deep.pixels[0, :, 0].astype(int)) > 0).all()
    out = tmp_path / "out.jpg"
    develop(path, recipe(exposure={"ev": 0.3}), out)
    assert (probe(out).width, probe(out).height) == (512, 64)


def test_a_jpeg_without_its_last_mark_is_whole(tmp_path: Path) -> None:
    whole = make.write_jpeg(tmp_path / "whole.jpg", make.sample_photo("coffee"))
    content = whole.read_bytes()
    assert content.endswith(b"\xff\xd9")
    short = tmp_path / "short.jpg"
    short.write_bytes(content[:-2])
    for at_least in (None, 100):
        found, known = (decode(path, probe(path), at_least=at_least) for path in (short, whole))
        assert np.array_equal(found.pixels, known.pixels)
    out = tmp_path / "out.jpg"
    develop(short, recipe(exposure={"ev": 0.3}), out)
    develop(short, recipe(orientation={"quarter_turns": 1}), out)
    assert (probe(out).width, probe(out).height) == (200, 300)


@pytest.mark.parametrize("missing", [3, 10, 300, 5000])
def test_a_jpeg_without_its_last_pixels_is_damaged(tmp_path: Path, missing: int) -> None:
    path = make.write_jpeg(tmp_path / "whole.jpg", make.sample_photo("coffee"))
    path.write_bytes(path.read_bytes()[:-missing])
    with pytest.raises(UndecodableError, match="is a damaged JPEG: Premature end of JPEG file"):
        decode(path, probe(path))


KINDS = {
    "byte": (1, 1, b"\x06"),
    "signed short": (8, 1, struct.pack("<h", 6)),
    "signed long": (9, 1, struct.pack("<i", 6)),
    "two shorts": (3, 2, struct.pack("<HH", 6, 0)),
    "float": (11, 1, struct.pack("<f", 6.0)),
    "long": (4, 1, struct.pack("<I", 6)),
}


@pytest.mark.parametrize("name", KINDS)
def test_an_orientation_in_an_odd_kind_of_number(tmp_path: Path, name: str) -> None:
    kind, count, value = KINDS[name]
    entry = struct.pack("<HHI", 274, kind, count) + value.ljust(4, b"\0")
    exif = b"Exif\0\0II*\0\x08\0\0\0" + struct.pack("<H", 1) + entry + bytes(4)
    path = make.write_jpeg(tmp_path / "a.jpg", make.sample_photo("coffee"), exif=exif)
    assert (probe(path).orientation, probe(path).width, probe(path).height) == (6, 200, 300)
    out = tmp_path / "out.jpg"
    develop(path, recipe(exposure={"ev": 0.3}), out)
    assert (probe(out).orientation, probe(out).width, probe(out).height) == (1, 200, 300)
    develop(path, recipe(orientation={"quarter_turns": 1}), out)
    assert (probe(out).orientation, probe(out).width, probe(out).height) == (3, 300, 200)


@pytest.mark.parametrize(("kind", "words"), [("float32", "32 bits, floating point"), ("uint32", "32 bits")])
def test_a_tiff_that_is_not_read_says_of_which_kind_it_is(tmp_path: Path, kind: str, words: str) -> None:
    path = tmp_path / "hdr.tif"
    tifffile.imwrite(path, np.zeros((20, 30, 3), kind), photometric="rgb")
    with pytest.raises(UnsupportedError, match=rf"^hdr\.tif is a TIFF of a kind that is not read \({words}\)\.$"):
        probe(path)


def test_what_pillow_does_not_know_is_told_without_its_place(tmp_path: Path) -> None:
    path = tmp_path / "a.webp"
    path.write_bytes(b"RIFF\x10\0\0\0WEBPVP8 " + bytes(20))
    with pytest.raises(UndecodableError) as caught:
        probe(path)
    assert str(tmp_path) not in str(caught.value)


def test_pictures_up_to_the_limit_are_pictures(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    Image.new("L", (20_000, 10_000)).save(path, compress_level=1)
    assert (probe(path).width, probe(path).height) == (20_000, 10_000)
    Image.new("1", (20_000, 16_000)).save(path, compress_level=1)
    with pytest.raises(UnsupportedError, match="pixels"):
        probe(path)


@pytest.mark.parametrize("number", [math.nan, math.inf])
def test_a_colour_space_that_is_no_number(tmp_path: Path, number: float) -> None:
    inner = struct.pack("<HHHIfI", 1, 0xA001, 11, 1, number, 0)
    outer = struct.pack("<HHHIII", 1, 0x8769, 4, 1, 26, 0)
    picture = make.sample_photo("coffee")
    path = make.write_jpeg(tmp_path / "a.jpg", picture, exif=b"Exif\0\0II*\0\x08\0\0\0" + outer + inner)
    assert decode(path, probe(path)).space.name == "sRGB"


@pytest.mark.parametrize("mode", ["LA", "L"])
def test_transparent_greys_with_a_profile_lie_over_white(tmp_path: Path, mode: str) -> None:
    grey = np.full((20, 30), 120, np.uint8)
    grey[:, :10] = 0
    if mode == "LA":
        picture = Image.fromarray(np.dstack([grey, np.where(grey, 255, 0).astype(np.uint8)]), "LA")
        picture.save(tmp_path / "a.png", icc_profile=grey_profile(2.2))
    else:
        Image.fromarray(grey).save(tmp_path / "a.png", icc_profile=grey_profile(2.2), transparency=0)
    pixels = decode(tmp_path / "a.png", probe(tmp_path / "a.png")).pixels
    assert (pixels[:, :10] == 255).all()
    assert (np.abs(pixels[:, 10:].astype(int) - 120) < 4).all()


def odd_space(rows: list[list[float]]) -> bytes:
    """An ICC profile whose linear colours make linear sRGB by a matrix."""
    profile = bytearray(matrix_profile("sRGB"))
    columns = (rgb_to_xyz("sRGB") @ np.array(rows)).T
    for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), columns, strict=True):
        at = struct.unpack_from(">I", profile, profile.index(name, 128) + 4)[0]
        struct.pack_into(">3i", profile, at + 8, *(round(value * 65536) for value in column))
    return bytes(profile)


def test_a_profile_whose_white_lacks_a_channel_is_not_reckoned_with() -> None:
    assert read_profile(odd_space([[1, 0, 0], [0, 1, 0], [0, 0, 1]])) is not None
    assert read_profile(odd_space([[1, -1, 0], [0, 1, 0], [0, 0, 1]])) is None
    assert read_profile(odd_space([[1, -2, 0], [0, 1, 0], [0, 0, 1]])) is None


def test_a_curve_that_is_cut_short_is_damage(tmp_path: Path) -> None:
    profile = bytearray(matrix_profile("sRGB"))
    place = profile.index(b"rTRC", 128)
    at = struct.unpack_from(">I", profile, place + 4)[0]
    struct.pack_into(">I", profile, place + 8, 16)
    struct.pack_into(">H", profile, at + 8, 1)
    path = make.write_png(tmp_path / "a.png", make.sample_photo("coffee"), icc=bytes(profile))
    assert decode(path, probe(path)).space.name == "sRGB"


def test_shadows_in_a_space_with_less_light_than_none(tmp_path: Path) -> None:
    """Blue of ACES, for one, has a negative luminance."""
    icc = odd_space([[1.2, -0.1, -0.1], [0.0, 1.2, -0.2], [0.0, 0.0, 1.0]])
    space = read_profile(icc)
    assert space is not None
    assert space.luminance[2] < -0.05
    picture = np.zeros((80, 120, 3), np.uint8)
    picture[..., 2] = np.linspace(0, 255, 120)
    path = make.write_png(tmp_path / "a.png", picture, icc=icc)
    with np.errstate(invalid="raise"):
        image = render(path, recipe(tone={"shadows": 60})).image
    assert (image[..., 0] < 8).all()
