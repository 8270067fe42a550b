"""`output`: formats, sizes, depths and colour spaces, read by others than those who wrote."""

import io

import imagecodecs
import numpy as np
import pillow_heif
import pytest
import tifffile
from PIL import Image, ImageCms

from immich_sidecar.develop import jxl
from immich_sidecar.develop.engine import develop, render
from immich_sidecar.develop.icc import named_space, read_profile
from immich_sidecar.develop.probe import probe
from immich_sidecar.errors import InvalidParameterError
from immich_sidecar.recipe.operations import plan, validate
from immich_sidecar.recipe.plan import OUTPUT_FORMATS, OutputPlan
from tests.develop.conftest import mean_difference
from tests.photos import make

FORMATS = list(OUTPUT_FORMATS)


def opened(path) -> np.ndarray:
    """Pixels of a version in 8 bits, by its own library."""
    if path.suffix == ".heic":
        return np.asarray(pillow_heif.open_heif(path, convert_hdr_to_8bit=True))[..., :3]
    if path.suffix == ".jxl":
        pixels = imagecodecs.jpegxl_decode(path.read_bytes())
    elif path.suffix == ".tif":
        pixels = tifffile.imread(path)
    else:
        pixels = np.asarray(Image.open(path).convert("RGB"))
    return pixels if pixels.dtype == np.uint8 else np.round(pixels / 257.0).astype(np.uint8)


@pytest.fixture(scope="module")
def picture():
    return make.sample_photo("coffee", shrink=1)


@pytest.fixture
def made(tmp_path, recipe):
    """A function that develops a file with an output step, and perhaps others."""

    def make_version(original, *, others=None, **output):
        path = tmp_path / f"out.{plan(recipe(output=output).operations).output.extension}"
        report = develop(original, recipe(**(others or {}), output=output), path)
        assert report.size == path.stat().st_size
        return path

    return make_version


def test_what_is_not_said_is_written_down() -> None:
    assert validate("output", {}) == {"format": "jpeg", "quality": 92, "longest_edge": 0, "profile": "keep"}
    assert validate("output", {"format": "heic"})["quality"] == 60
    assert "quality" not in validate("output", {"format": "tiff16", "quality": 50})
    with pytest.raises(InvalidParameterError, match=r"output\.format"):
        validate("output", {"format": "gif"})
    assert plan([]).output == OutputPlan()


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_shows_the_picture(tmp_path, picture, recipe, made, name) -> None:
    original = make.write_jpeg(tmp_path / "a.jpg", picture)
    steps = {"exposure": {"ev": 0.3}}
    path = made(original, others=steps, format=name)
    truth = render(original, recipe(**steps)).image
    seen = opened(path)
    assert seen.shape == truth.shape
    assert mean_difference(seen, truth) < (0.51 if name == "tiff16" else 4.0)
    facts = probe(path)
    assert (facts.media_type, facts.width, facts.height) == (OUTPUT_FORMATS[name][1], 600, 400)


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("block", [b"garbage!", b"II*\0", b"MM\0*\0\0\0\x08\xff\xff"])
def test_a_damaged_exif_block_spoils_no_version(tmp_path, made, name, block) -> None:
    plain, segment = make.write_jpeg(tmp_path / "a.jpg", make.scene(150, 100)).read_bytes(), b"Exif\0\0" + block
    original = tmp_path / "b.jpg"
    original.write_bytes(plain[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2, "big") + segment + plain[2:])
    path = made(original, others={"exposure": {"ev": 0.3}}, format=name)
    assert opened(path).shape == (100, 150, 3)
    assert probe(path).width == 150


@pytest.mark.parametrize("name", FORMATS)
def test_the_longer_side_is_held(tmp_path, picture, made, name) -> None:
    original = make.write_jpeg_with_everything(tmp_path / "a.jpg", picture, orientation=6)
    facts = probe(made(original, format=name, longest_edge=300))
    assert (facts.width, facts.height) == (200, 300)
    facts = probe(made(original, format=name, longest_edge=5000))
    assert (facts.width, facts.height) == (400, 600)


def test_small_is_jpegli_and_smaller_than_libjpeg_at_equal_error(tmp_path, made) -> None:
    picture = make.sample_photo("chelsea", shrink=1)
    original = make.write_png(tmp_path / "a.png", picture)
    path = made(original, format="small", quality=85)
    small, error = path.stat().st_size, np.square(opened(path).astype(float) - picture).mean()
    target = io.BytesIO()
    for quality in range(40, 96):
        target = io.BytesIO()
        Image.fromarray(picture).save(target, "JPEG", quality=quality, subsampling="4:2:0", optimize=True)
        if np.square(np.asarray(Image.open(target)).astype(float) - picture).mean() <= error:
            break
    assert small < 0.95 * len(target.getvalue())


def test_quality_is_heard(tmp_path, picture, made) -> None:
    original = make.write_jpeg(tmp_path / "a.jpg", picture)
    for name in ("jpeg", "small", "heic", "avif", "jxl"):
        low = made(original, format=name, quality=30).stat().st_size
        assert low < 0.7 * made(original, format=name, quality=92).stat().st_size, name


@pytest.mark.parametrize("name", FORMATS)
def test_wide_gamut_is_kept_or_turned(tmp_path, made, name) -> None:
    p3 = named_space("Display P3")
    red = np.full((64, 64, 3), (250, 20, 20), np.uint8)
    original = make.write_jpeg(tmp_path / "a.jpg", red, icc=p3.profile, quality=100)
    path = made(original, format=name)
    assert mean_difference(opened(path), red) < 3
    space = read_profile(profile_of(path))
    assert space is not None
    np.testing.assert_allclose(space.to_xyz, p3.to_xyz, atol=1e-3)
    turned = opened(made(original, format=name, profile="srgb"))[32, 32]
    assert abs(int(turned[0]) - 255) < 4
    assert turned[1:].max() < 12, "the green and blue that P3's red lacks in sRGB are cut at zero"


def profile_of(path) -> bytes:
    if path.suffix == ".heic":
        return pillow_heif.open_heif(path).info["icc_profile"]
    if path.suffix == ".jxl":
        return jxl.profile(path.read_bytes())
    with Image.open(path) as image:
        return image.info["icc_profile"]


def test_srgb_in_p3_looks_the_same(tmp_path, picture, made) -> None:
    original = make.write_png(tmp_path / "a.png", picture)
    path = made(original, format="tiff16", profile="p3")
    p3, srgb = (ImageCms.ImageCmsProfile(io.BytesIO(named_space(n).profile)) for n in ("Display P3", "sRGB"))
    back = ImageCms.profileToProfile(Image.fromarray(opened(path)), p3, srgb)
    assert mean_difference(opened(path), picture) > 1
    assert mean_difference(np.asarray(back), picture) < 0.6


@pytest.fixture
def ramp(tmp_path):
    """A TIFF of 16 bits with 4096 levels of grey."""
    levels = np.linspace(0, 65535, 4096).round().astype(np.uint16)
    path = tmp_path / "ramp.tif"
    tifffile.imwrite(path, np.repeat(np.tile(levels, (16, 1))[..., None], 3, axis=2), photometric="rgb")
    return path


def test_sixteen_bits_stay_sixteen_bits(ramp, made) -> None:
    assert np.array_equal(tifffile.imread(made(ramp, format="tiff16")), tifffile.imread(ramp))
    brighter = tifffile.imread(made(ramp, format="tiff16", others={"exposure": {"ev": 0.5}}))[0, :, 1]
    assert len(np.unique(brighter)) > 3500
    assert np.all(np.diff(brighter.astype(int)) >= 0)


def test_other_formats_keep_more_than_eight_bits_of_a_deep_picture(ramp, tmp_path, picture, made) -> None:
    heif = pillow_heif.open_heif(made(ramp, format="heic", quality=95), convert_hdr_to_8bit=False)
    assert heif.info["bit_depth"] == 10
    assert len(np.unique(np.asarray(heif)[..., 1])) > 500
    deep = imagecodecs.jpegxl_decode(made(ramp, format="jxl", quality=95).read_bytes())
    assert deep.dtype == np.uint16
    assert np.abs(deep.astype(int) - tifffile.imread(ramp)).mean() < 200
    shallow = make.write_jpeg(tmp_path / "a.jpg", picture)
    assert pillow_heif.open_heif(made(shallow, format="heic")).info["bit_depth"] == 8
    assert imagecodecs.jpegxl_decode(made(shallow, format="jxl").read_bytes()).dtype == np.uint8


def test_noise_removal_reaches_deep_pictures(tmp_path, made) -> None:
    random = np.random.default_rng(3)
    noisy = np.clip(30000 + random.normal(0, 2000, (256, 256, 3)), 0, 65535).astype(np.uint16)
    path = tmp_path / "noisy.tif"
    tifffile.imwrite(path, noisy, photometric="rgb")
    clean = tifffile.imread(made(path, format="tiff16", others={"denoise": {"luma": 40, "chroma": 40}}))
    assert clean.std() < 0.5 * noisy.std()
    assert abs(clean.mean() - noisy.mean()) < 150
    assert len(np.unique(clean)) > 300


def test_the_same_recipe_makes_the_same_bytes(tmp_path, picture, made) -> None:
    original = make.write_jpeg_with_everything(tmp_path / "a.jpg", picture)
    for name in FORMATS:
        assert made(original, format=name).read_bytes() == made(original, format=name).read_bytes(), name


def test_a_heic_of_many_tiles_is_whole(tmp_path, made) -> None:
    """Larger than one tile in both directions, and of odd size."""
    picture = make.scene(1501, 1203, seed=6)
    original = make.write_png(tmp_path / "a.png", picture)
    seen = opened(made(original, format="heic", quality=90))
    assert seen.shape == picture.shape
    for part in (np.s_[-40:, -40:], np.s_[1000:1048, 1000:1048], np.s_[:40, -40:]):
        assert mean_difference(seen[part], picture[part]) < 4
