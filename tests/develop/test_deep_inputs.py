"""Files of more than 8 bits, and JPEG XL: read at their depth, in their colours, upright."""

import imagecodecs
import numpy as np
import pillow_heif
import pytest
import tifffile

from immich_sidecar.develop import jxl
from immich_sidecar.develop.decode import decode
from immich_sidecar.develop.icc import named_space
from immich_sidecar.develop.orientation import oriented
from immich_sidecar.develop.packets import Packets
from immich_sidecar.develop.preview import preview_jpeg
from immich_sidecar.develop.probe import contents_of, probe
from immich_sidecar.errors import UndecodableError, UnsupportedError
from tests.develop.conftest import mean_difference
from tests.photos import make


def read(path):
    return decode(path, probe(path))


@pytest.fixture
def gradient():
    """16 bits, smooth, in colour: (64, 1024, 3)."""
    across = np.linspace(2000, 62000, 1024)
    return np.stack([np.tile(across * f, (64, 1)) for f in (1.0, 0.9, 0.8)], axis=-1).astype(np.uint16)


def write_heic(path, pixels, **options):
    heif = pillow_heif.from_bytes("RGB;16", (pixels.shape[1], pixels.shape[0]), pixels.tobytes())
    heif.save(path, quality=95, chroma=444, **options)
    return path


def test_heic_of_ten_bits(tmp_path, gradient) -> None:
    path = write_heic(tmp_path / "a.heic", gradient, icc_profile=named_space("Display P3").profile)
    decoded = read(path)
    assert probe(path).bit_depth == 10
    assert decoded.pixels.dtype == np.uint16
    assert decoded.space.name == "Display P3"
    assert np.abs(decoded.pixels.astype(int) - gradient).mean() < 150
    assert len(np.unique(decoded.pixels[32, :, 1])) > 600


def test_white_of_ten_bits_is_white(tmp_path) -> None:
    path = write_heic(tmp_path / "a.heic", np.full((64, 64, 3), 65535, np.uint16))
    assert read(path).pixels.min() > 65400
    assert read(path).pixels.max() == 65535


@pytest.mark.parametrize("depth", [10, 12])
def test_avif_of_more_bits(tmp_path, gradient, depth) -> None:
    path = tmp_path / "a.avif"
    path.write_bytes(imagecodecs.avif_encode(gradient >> (16 - depth), level=95, speed=8, bitspersample=depth))
    decoded = read(path)
    assert probe(path).bit_depth == depth
    assert decoded.pixels.dtype == np.uint16
    assert np.abs(decoded.pixels.astype(int) - gradient).mean() < 200
    assert len(np.unique(decoded.pixels[32, :, 1])) > 600


def test_sixteen_bits_of_jpeg_xl(tmp_path, gradient) -> None:
    path = tmp_path / "a.jxl"
    path.write_bytes(jxl.written(gradient, named_space("sRGB").profile, Packets(), distance=0.3, effort=4))
    decoded = read(path)
    assert (probe(path).bit_depth, probe(path).icc) == (16, "sRGB")
    assert decoded.pixels.dtype == np.uint16
    assert np.abs(decoded.pixels.astype(int) - gradient).mean() < 150


def test_linear_and_floating_jpeg_xl(tmp_path, gradient) -> None:
    """The binding of libjxl writes these as linear light; they are read in a space that says so."""
    for number, pixels in enumerate((gradient, (gradient / 65535.0).astype(np.float32))):
        path = tmp_path / f"{number}.jxl"
        path.write_bytes(imagecodecs.jpegxl_encode(pixels, distance=0.3, effort=4))
        decoded = read(path)
        assert decoded.pixels.dtype == np.uint16
        assert np.abs(decoded.pixels.astype(int) - gradient).mean() < 250
        middle = decoded.space.decoding(256)[1, 128]
        assert middle == pytest.approx(0.5, abs=0.01), "the curve of the space is a straight line"


@pytest.mark.parametrize("space", ["sRGB", "Display P3", "Rec. 2020"])
def test_colour_spaces_of_jpeg_xl(tmp_path, space) -> None:
    picture = make.sample_photo("coffee")
    path = tmp_path / "a.jxl"
    path.write_bytes(jxl.written(picture, named_space(space).profile, Packets(), distance=0.5, effort=4))
    decoded = read(path)
    np.testing.assert_allclose(decoded.space.to_xyz, named_space(space).to_xyz, atol=1e-3)
    assert mean_difference(decoded.pixels, picture) < 3
    assert probe(path).icc == space


def test_another_space_becomes_a_wider_one(tmp_path) -> None:
    """Adobe RGB has no short name in JPEG XL; its colours are kept in one that holds them."""
    picture = make.sample_photo("coffee")
    adobe = named_space("Adobe RGB (1998)")
    path = tmp_path / "a.jxl"
    path.write_bytes(jxl.written(picture, adobe.profile, Packets(), distance=0.5, effort=4))
    decoded = read(path)
    assert probe(path).icc == "Rec. 2020"
    light = np.stack([adobe.decoding(256)[i][picture[..., i]] for i in range(3)], -1) @ adobe.to_xyz.T
    seen = np.stack([decoded.space.decoding(256)[i][decoded.pixels[..., i]] for i in range(3)], -1)
    assert np.abs(seen @ decoded.space.to_xyz.T - light).mean() < 0.006


def test_grey_and_transparent_jpeg_xl(tmp_path) -> None:
    picture = make.sample_photo("coffee")
    grey, clear = tmp_path / "grey.jxl", tmp_path / "clear.jxl"
    grey.write_bytes(imagecodecs.jpegxl_encode(np.ascontiguousarray(picture[..., 1]), distance=0.5))
    assert mean_difference(read(grey).pixels, np.repeat(picture[..., 1:2], 3, axis=2)) < 2
    clear.write_bytes(imagecodecs.jpegxl_encode(np.dstack([picture, np.zeros_like(picture[..., :1])]), lossless=True))
    assert read(clear).pixels.min() == 255, "what is transparent is white"


def test_a_real_jpeg_xl(photos, tmp_path) -> None:
    path = photos / "formats" / "8bit-sRGB.jxl"
    facts = probe(path)
    pixels = read(path).pixels
    assert (facts.format, facts.media_type, facts.bit_depth) == ("jxl", "image/jxl", 8)
    assert pixels.shape == (facts.height, facts.width, 3)
    assert np.array_equal(pixels, imagecodecs.jpegxl_decode(path.read_bytes())[..., :3])
    assert preview_jpeg(path, max_edge=200).startswith(b"\xff\xd8")


def test_packed_metadata_of_jpeg_xl_is_read(tmp_path) -> None:
    plain = jxl.written(make.scene(64, 64), named_space("sRGB").profile, Packets(), distance=1.0, effort=3)
    exif, xmp = make.full_exif().removeprefix(b"Exif\0\0"), make.XMP
    packed = plain
    for kind, content in ((b"Exif", bytes(4) + exif), (b"xml ", xmp)):
        body = kind + bytes(imagecodecs.brotli_encode(content))
        packed += (len(body) + 8).to_bytes(4, "big") + b"brob" + body
    path = tmp_path / "a.jxl"
    path.write_bytes(packed)
    contents = contents_of(path)
    assert (contents.exif_block, contents.xmp) == (exif, xmp)
    assert probe(path).lens == "Known Lens 35mm f/1.8"


def test_damaged_jpeg_xl(tmp_path) -> None:
    whole = jxl.written(make.scene(64, 64), named_space("sRGB").profile, Packets(), distance=1.0, effort=3)
    random = np.random.default_rng(1)
    path = tmp_path / "a.jxl"
    for _ in range(40):
        broken = bytearray(whole[: random.integers(40, len(whole))])
        broken[random.integers(32, len(broken))] ^= 1 << random.integers(0, 8)
        path.write_bytes(bytes(broken))
        try:
            decode(path, probe(path))
        except (UndecodableError, UnsupportedError):
            continue
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UndecodableError):
        read(path)


@pytest.mark.parametrize(("transfer", "word"), [(16, "PQ"), (18, "HLG")])
def test_hdr_curves_are_left_alone_and_say_why(tmp_path, gradient, transfer, word) -> None:
    avif = tmp_path / "a.avif"
    avif.write_bytes(
        imagecodecs.avif_encode(gradient >> 6, bitspersample=10, speed=9, primaries=9, transfer=transfer, matrix=9)
    )
    with pytest.raises(UnsupportedError, match=rf"HDR picture \({word}\); a developed copy would lose"):
        probe(avif)
    codestream = imagecodecs.jpegxl_encode((gradient / 65535.0).astype(np.float32), distance=1.0)
    told = jxl.renamed(codestream, jxl.BT2100_PRIMARIES, 16, transfer=transfer)
    path = tmp_path / "a.jxl"
    path.write_bytes(told)
    with pytest.raises(UnsupportedError, match=word):
        probe(path)


@pytest.mark.parametrize("orientation", [3, 6, 7])
def test_a_turned_codestream_stands_upright(tmp_path, orientation) -> None:
    """JPEG XL has an orientation of its own, which readers obey; the one in EXIF only repeats it."""
    picture = make.sample_photo("coffee")
    exif = make.full_exif(orientation=orientation).removeprefix(b"Exif\0\0")
    whole = jxl.written(picture, named_space("Display P3").profile, Packets(exif=exif), distance=0.5, effort=4)
    start = whole.index(b"jxlc") + 4
    stream = whole[start:]
    header = jxl.read_header(stream)
    # More than the plain fields: orientation, no size, preview or animation of its own; plain tone mapping at the end.
    plain, end = header.depth_at[0] - 1, header.colour_at[1]
    bits = int.from_bytes(stream[: end // 8 + 2], "little")
    pieces = [(bits & ((1 << plain) - 1), plain), (1, 1), (orientation - 1, 3), (0, 3)]
    pieces += [(bits >> (plain + 1) & ((1 << (end - plain - 1)) - 1), end - plain - 1), (1, 1), (bits >> end & 7, 3)]
    value, length = 0, 0
    for piece, count in pieces:
        value |= piece << length
        length += count
    told = value.to_bytes((length + 7) // 8, "little") + stream[(end + 3 + 7) // 8 :]
    path = tmp_path / "a.jxl"
    path.write_bytes(whole[: start - 8] + (len(told) + 8).to_bytes(4, "big") + b"jxlc" + told)
    facts, decoded = probe(path), read(path)
    upright = oriented(picture, orientation)
    assert (facts.orientation, facts.height, facts.width) == (1, *upright.shape[:2])
    assert mean_difference(decoded.pixels, upright) < 3


def test_a_jpeg_xl_that_ends_too_early_says_so(photos, tmp_path) -> None:
    path = tmp_path / "cut.jxl"
    path.write_bytes((photos / "formats" / "8bit-sRGB.jxl").read_bytes()[:400_000])
    with pytest.raises(UndecodableError, match=r"cut\.jxl is damaged: it ends too early"):
        decode(path, probe(path))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(
    "layout",
    [
        {},
        {"planarconfig": "separate"},
        {"planarconfig": "separate", "tile": (32, 48)},
        {"tile": (64, 64), "compression": "deflate", "predictor": True},
        {"compression": "lzw", "predictor": True, "rowsperstrip": 10},
    ],
)
def test_tiff_of_sixteen_bits_however_it_is_laid_out(tmp_path, gradient, order, layout) -> None:
    path = tmp_path / "a.tif"
    pixels = gradient.transpose(2, 0, 1) if layout.get("planarconfig") == "separate" else gradient
    tifffile.imwrite(path, pixels, photometric="rgb", byteorder=order, **layout)
    assert np.array_equal(read(path).pixels, gradient)


def test_tiff_of_sixteen_bits_in_grey(tmp_path, gradient) -> None:
    grey = gradient[..., 0]
    for name, photometric, stored in (("a.tif", "minisblack", grey), ("b.tif", "miniswhite", 65535 - grey)):
        tifffile.imwrite(tmp_path / name, stored, photometric=photometric)
        assert np.array_equal(read(tmp_path / name).pixels, np.repeat(grey[..., None], 3, axis=2))


@pytest.mark.parametrize("planes", ["contig", "separate"])
def test_transparent_tiff_of_sixteen_bits_lies_over_white(tmp_path, gradient, planes) -> None:
    """Colours may have been multiplied by alpha, or not; what is neither kind of alpha is left out."""
    alpha = np.full((64, 1024, 1), 32768, np.uint16)
    half = ((gradient.astype(np.uint32) * 32768 + 32767) // 65535).astype(np.uint16)
    for name, kind, light, wanted in (
        ("a.tif", "unassalpha", gradient, half + 32767),
        ("b.tif", "assocalpha", half, half + 32767),
        ("c.tif", "unspecified", gradient, gradient),
    ):
        pixels = np.concatenate([light, alpha], axis=2)
        pixels = pixels.transpose(2, 0, 1) if planes == "separate" else pixels
        tifffile.imwrite(tmp_path / name, pixels, photometric="rgb", extrasamples=[kind], planarconfig=planes)
        assert np.abs(read(tmp_path / name).pixels.astype(int) - wanted).max() <= 1


def test_a_tiff_of_sixteen_bits_that_ends_too_early_is_damaged(tmp_path, gradient) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, gradient, photometric="rgb")
    path.write_bytes(path.read_bytes()[:-20_000])
    with pytest.raises(UndecodableError):
        read(path)
