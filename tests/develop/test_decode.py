"""Every format gives the same picture; damaged files give an error, never half a picture."""

import contextlib
import io
import struct

import numpy as np
import pytest
from PIL import Image

from immich_sidecar.develop.decode import decode
from immich_sidecar.develop.engine import render
from immich_sidecar.develop.icc import matrix_profile, named_space, read_profile
from immich_sidecar.develop.probe import probe
from immich_sidecar.errors import PhotoError, UndecodableError
from tests.develop.conftest import mean_difference
from tests.photos import make


@pytest.fixture(scope="module")
def picture():
    return make.sample_photo("coffee")


def rendered(path):
    return render(path, ()).image


@pytest.mark.parametrize(
    ("write", "tolerance"),
    [
        (make.write_png, 0.0),
        (make.write_tiff, 0.0),
        (make.write_webp, 0.0),
        (make.write_jpeg, 2.5),
        (make.write_avif, 2.5),
        (make.write_heic, 2.5),
    ],
)
def test_every_format_gives_the_picture(tmp_path, picture, write, tolerance) -> None:
    assert mean_difference(rendered(write(tmp_path / "a", picture)), picture) <= tolerance


@pytest.mark.parametrize("write", [make.write_png, make.write_tiff])
def test_sixteen_bits_are_decoded_deep(tmp_path, picture, write) -> None:
    deep = picture.astype(np.uint16) * 257
    path = write(tmp_path / "a", deep)
    decoded = decode(path, probe(path))
    assert decoded.pixels.dtype == np.uint16
    assert np.array_equal(decoded.pixels, deep)
    assert np.abs(rendered(path).astype(int) - picture).max() <= 1


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_grey_becomes_three_equal_channels(tmp_path, picture, depth) -> None:
    grey = picture[..., 1].astype(depth) * (257 if depth == np.uint16 else 1)
    image = rendered(make.write_png(tmp_path / "a.png", grey))
    assert np.abs(image.astype(int) - picture[..., 1:2]).max() <= 1


def test_transparency_is_laid_over_white(tmp_path, picture) -> None:
    alpha = np.full((*picture.shape[:2], 1), 128, np.uint8)
    alpha[:50] = 0
    image = rendered(make.write_png(tmp_path / "a.png", np.concatenate([picture, alpha], axis=2)))
    assert (image[:50] == 255).all()
    expected = picture[50:] * (128 / 255) + 255 * (127 / 255)
    assert np.abs(image[50:] - expected).max() <= 1


def test_grey_and_cmyk_jpegs(tmp_path, picture) -> None:
    for mode, tolerance in (("L", 2.0), ("CMYK", 2.0)):
        path = tmp_path / f"{mode}.jpg"
        Image.fromarray(picture).convert(mode).save(path, quality=95)
        expected = np.asarray(Image.fromarray(picture).convert(mode).convert("RGB"))
        assert mean_difference(rendered(path), expected) < tolerance


@pytest.mark.parametrize("orientation", range(1, 9))
def test_all_orientations_are_the_same_picture(tmp_path, picture, orientation, steps) -> None:
    path = make.write_tiff(tmp_path / "a.tif", make.oriented(picture, orientation), orientation=orientation)
    assert np.array_equal(rendered(path), picture)
    turn = steps(straighten={"degrees": 7}, crop={"x": 0.1, "y": 0.2, "width": 0.6, "height": 0.5})
    plain = make.write_tiff(tmp_path / "b.tif", picture)
    assert mean_difference(render(path, turn).image, render(plain, turn).image) < 0.6


@pytest.mark.parametrize("orientation", [3, 5, 6, 8])
@pytest.mark.parametrize("write", [make.write_jpeg, make.write_png, make.write_webp, make.write_avif])
def test_orientation_of_other_containers(tmp_path, picture, orientation, write) -> None:
    exif = make.full_exif(orientation=orientation)
    path = write(tmp_path / "a", make.oriented(picture, orientation), exif=exif)
    assert (probe(path).width, probe(path).height) == (300, 200)
    assert mean_difference(rendered(path), picture) < 3


def test_heic_is_not_turned_twice(photos) -> None:
    from PIL import ImageOps
    from pillow_heif import open_heif

    for name in ("bird-house-iphone-12mp.heic", "wall-cable.heic"):
        facts = probe(photos / name)
        image = render(photos / name, (), max_edge=400).image
        expected = ImageOps.contain(open_heif(photos / name).to_pillow(), (400, 400))
        assert image.shape[:2] == expected.size[::-1]
        assert (facts.width < facts.height) == (image.shape[1] < image.shape[0])
        assert mean_difference(image, np.asarray(expected)) < 4


@pytest.mark.parametrize("name", ["Display P3", "Adobe RGB (1998)", "sRGB"])
def test_our_profiles_mean_what_littlecms_takes_them_to_mean(name) -> None:
    from PIL import ImageCms

    pixels = np.random.default_rng(4).integers(0, 256, (64, 64, 3), np.uint8)
    profile = matrix_profile(name)
    assert profile == matrix_profile(name)
    expected = ImageCms.profileToProfile(
        Image.fromarray(pixels),
        ImageCms.ImageCmsProfile(io.BytesIO(profile)),
        ImageCms.createProfile("sRGB"),
        renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
    )
    space = read_profile(profile)
    assert space is not None
    assert space.name == name
    curves = space.decoding(256)
    linear = np.stack([curves[i][pixels[..., i]] for i in range(3)], axis=-1) @ space.to_srgb.T
    ours = make.display_from_linear(linear)
    assert np.abs(ours.astype(int) - np.asarray(expected)).max() <= 1


def test_a_wide_colour_space_is_kept(tmp_path, picture, steps) -> None:
    p3 = make.display_p3_icc()
    path = make.write_png(tmp_path / "a.png", picture, icc=p3)
    result = render(path, steps(exposure={"ev": 0.0}))
    assert result.icc == p3
    assert np.array_equal(result.image, picture)
    assert render(make.write_png(tmp_path / "b.png", picture), ()).icc == named_space("sRGB").profile


def test_the_same_correction_means_the_same_colour_in_another_space(tmp_path, picture, steps) -> None:
    p3 = named_space("Display P3")
    linear = make.linear_from_display(picture) @ np.linalg.inv(p3.to_srgb).T
    as_p3 = make.write_png(tmp_path / "p3.png", make.display_from_linear(linear), icc=make.display_p3_icc())
    as_srgb = make.write_png(tmp_path / "srgb.png", picture)
    warm = steps(white_balance={"gains": [1.2, 1.0, 0.7]})
    wide = make.linear_from_display(render(as_p3, warm).image) @ p3.to_srgb.T
    assert mean_difference(make.display_from_linear(wide), render(as_srgb, warm).image) < 1.0


def test_an_odd_profile_becomes_srgb(photos) -> None:
    result = render(photos / "formats" / "multiple-icc-segments.jpg", ())
    assert read_profile(result.icc).name == "sRGB"
    assert result.image.shape == (140, 140, 3)


@pytest.mark.parametrize(
    "write", [make.write_jpeg, make.write_png, make.write_webp, make.write_avif, make.write_heic, make.write_tiff]
)
@pytest.mark.parametrize("part", [0.4, 0.9])
def test_cut_files_fail(tmp_path, write, part) -> None:
    whole = write(tmp_path / "whole", make.sample_photo("astronaut")).read_bytes()
    path = tmp_path / "cut.jpg"
    path.write_bytes(whole[: int(len(whole) * part)])
    with pytest.raises(UndecodableError, match=r"cut\.jpg"):
        rendered(path)


def test_cut_raw_fails(tmp_path, picture) -> None:
    path = make.write_dng(tmp_path / "a.dng", picture)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(PhotoError):
        rendered(path)


def test_a_jpeg_with_something_behind_its_end_is_whole(tmp_path, picture) -> None:
    plain = make.write_jpeg(tmp_path / "a.jpg", picture)
    for trailer in (b"\0" * 10, b"SEFT" * 100, plain.read_bytes()):
        assert np.array_equal(rendered(make.write_jpeg(tmp_path / "b.jpg", picture, trailer=trailer)), rendered(plain))


def test_a_jpeg_with_stray_bytes_before_its_end_is_whole(tmp_path, picture) -> None:
    plain = make.write_jpeg(tmp_path / "a.jpg", picture)
    data = plain.read_bytes()
    (tmp_path / "b.jpg").write_bytes(data[:-2] + b"\x11\x22\x33" + data[-2:])
    assert np.array_equal(rendered(tmp_path / "b.jpg"), rendered(plain))


def test_a_jpeg_with_bytes_lost_in_its_middle_fails(tmp_path, picture) -> None:
    path = tmp_path / "a.jpg"
    Image.fromarray(picture).save(path, quality=95, restart_marker_rows=1)
    data = path.read_bytes()
    assert mean_difference(rendered(path), picture) < 5
    fifth = data.index(b"\xff\xd5")
    path.write_bytes(data[: fifth - 400] + data[fifth:])
    with pytest.raises(UndecodableError):
        rendered(path)


@pytest.mark.parametrize(
    "write",
    [
        *(make.write_jpeg_with_everything, make.write_png, make.write_tiff, make.write_webp),
        *(make.write_avif, make.write_heic, make.write_dng),
    ],
    ids=lambda w: w.__name__,
)
def test_damage_of_any_kind_is_an_error_of_the_photo(tmp_path, write) -> None:
    whole = write(tmp_path / "whole", make.sample_photo("coffee", shrink=4)).read_bytes()
    random = np.random.default_rng(7)
    path = tmp_path / "damaged"
    for _ in range(25):
        damaged = bytearray(whole[: random.integers(1, len(whole))] if random.random() < 0.3 else whole)
        for place in random.integers(0, min(len(damaged), 2000), 5):
            damaged[place] = random.integers(0, 256)
        path.write_bytes(damaged)
        with contextlib.suppress(PhotoError):
            assert rendered(path).ndim == 3


@pytest.mark.parametrize("place", [1 << 62, (1 << 63) - 1, 1 << 63])
def test_a_file_that_names_a_place_outside_of_itself_is_damaged(tmp_path, place) -> None:
    """What the system says of such a place is no failing disk, which would be asked again and again."""
    path = tmp_path / "far.tif"
    path.write_bytes(b"II+\0" + struct.pack("<HHQ", 8, 0, place) + bytes(100))
    with pytest.raises(UndecodableError, match=r"far\.tif is damaged"):
        rendered(path)


def test_real_files_decode_or_fail_as_they_should(photos) -> None:
    for name in ("cut-in-half.jpg", "truncated.jpg", "cut.cr2", "text-named.jpg", "empty.jpg"):
        with pytest.raises(UndecodableError, match=name):
            rendered(photos / "broken" / name)
    names = ["broken/jpeg-named.nef", "computer-screen-panasonic-lx7.jpg", "raw/kodak-c330-yrgb.raw"]
    names += ["raw/kodak-dc50.kdc", "formats/IMG_2682.heic", "formats/webpvp8x.webp", "formats/density_plot.png"]
    for name in names:
        result = render(photos / name, (), max_edge=256)
        assert max(result.image.shape) == 256
        assert result.image.std() > 5


def test_a_jpeg_whose_channels_are_sampled_in_a_way_that_has_no_name(tmp_path) -> None:
    """Grey blocks alone, whose scan can be written by hand: all blocks of a kind cost the same bits."""
    target = io.BytesIO()
    Image.new("RGB", (16, 16), (128, 128, 128)).save(target, "JPEG", subsampling=2)
    data = bytearray(target.getvalue())
    frame, scan = data.index(b"\xff\xc0"), data.index(b"\xff\xda")
    for number, factors in enumerate((0x22, 0x21, 0x12)):
        data[frame + 11 + 3 * number] = factors
    # Four blocks of luma (no difference, end of block: 00 1010), two of each chroma (00 00).
    path = tmp_path / "a.jpg"
    path.write_bytes(data[: scan + 14] + bytes.fromhex("28a28a0000ffd9"))
    assert np.array_equal(rendered(path), np.full((16, 16, 3), 128, np.uint8))
