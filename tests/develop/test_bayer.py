"""Bayer sensors: every arrangement of colours, blacks and whites gives the picture that was photographed."""

import contextlib
import itertools
import struct

import numpy as np
import pytest
import rawpy

from immich_sidecar.develop import bayer, raw
from immich_sidecar.develop.bayer import Mosaic
from immich_sidecar.develop.engine import render
from immich_sidecar.develop.raw import LinearPixels, read_pixels
from immich_sidecar.errors import PhotoError
from immich_sidecar.recipe.plan import DecodePlan
from tests.develop.conftest import mean_difference
from tests.photos import make

PHASES = {"RGGB": (0, 1, 1, 2), "BGGR": (2, 1, 1, 0), "GRBG": (1, 0, 2, 1), "GBRG": (1, 2, 0, 1)}


@pytest.fixture(scope="module")
def picture():
    return make.sample_photo("rocket")[:212]


def developed(path, **plan):
    """Plain development, without a curve."""
    linear = read_pixels(path, DecodePlan(**plan))
    assert isinstance(linear, LinearPixels)
    return make.display_from_linear(linear.pixels.astype(np.float64) / 65535.0 * linear.headroom)


def by_libraw(path, algorithm=rawpy.DemosaicAlgorithm.AHD):
    with rawpy.imread(str(path)) as file:
        pixels = file.postprocess(
            demosaic_algorithm=algorithm,
            use_camera_wb=True,
            output_bps=16,
            no_auto_bright=True,
            adjust_maximum_thr=0.0,
            gamma=(1, 1),
            user_flip=0,
        )
    return make.display_from_linear(pixels / 65535.0)


def psnr(image, truth, margin=8):
    difference = (image.astype(float) - truth)[margin:-margin, margin:-margin]
    return float(10.0 * np.log10(255.0**2 / np.mean(difference * difference)))


def is_ours(path):
    return isinstance(read_pixels(path, DecodePlan(), keep_mosaic=True), Mosaic)


@pytest.mark.parametrize("name", ["astronaut", "coffee", "chelsea", "rocket"])
def test_both_qualities_find_more_than_libraw_does(tmp_path, name) -> None:
    truth = make.sample_photo(name)
    truth = truth[: truth.shape[0] // 2 * 2, : truth.shape[1] // 2 * 2]
    path = make.write_dng(tmp_path / "a.dng", truth)
    fast, best = psnr(developed(path, demosaic="fast"), truth), psnr(developed(path, demosaic="best"), truth)
    theirs = [psnr(by_libraw(path, getattr(rawpy.DemosaicAlgorithm, n)), truth) for n in ("AHD", "DHT")]
    assert fast > max(theirs)
    assert best > max(theirs) + 1.0
    assert best > fast


@pytest.mark.parametrize("quality", ["fast", "best"])
@pytest.mark.parametrize("phase", PHASES)
def test_every_arrangement_of_the_colours(tmp_path, picture, phase, quality) -> None:
    path = make.write_dng(tmp_path / "a.dng", picture, pattern=PHASES[phase])
    straight = make.write_dng(tmp_path / "b.dng", picture)
    assert is_ours(path)
    image = developed(path, demosaic=quality)
    assert psnr(image, picture) > psnr(developed(straight, demosaic=quality), picture) - 0.7
    assert mean_difference(image, picture) < (2.6 if quality == "best" else 3.7)


@pytest.mark.parametrize(
    ("height", "width"), [(200, 301), (201, 300), (201, 301), (35, 37), (97, 512), (65, 257), (65, 513), (66, 520)]
)
def test_odd_sizes(tmp_path, height, width) -> None:
    truth = make.scene(width, height)
    path = make.write_dng(tmp_path / "a.dng", truth, even=False)
    assert is_ours(path)
    for quality in ("fast", "best"):
        image = developed(path, demosaic=quality)
        assert image.shape == truth.shape
        peer = rawpy.DemosaicAlgorithm.LINEAR if quality == "fast" else rawpy.DemosaicAlgorithm.AHD
        assert psnr(image, truth) > psnr(by_libraw(path, peer), truth)
        # The border is no worse than the rest.
        edges = np.abs(image.astype(float) - truth)
        border = np.concatenate([edges[:2].ravel(), edges[-2:].ravel(), edges[:, :2].ravel(), edges[:, -2:].ravel()])
        assert border.mean() < 2.5 * max(edges.mean(), 2.0)


@pytest.mark.parametrize("crop", [(6, 4, 288, 192), (7, 5, 287, 191), (8, 9, 280, 185)])
def test_a_crop_of_the_sensor_keeps_its_colours(tmp_path, picture, crop) -> None:
    left, top, width, height = crop
    path = make.write_dng(tmp_path / "a.dng", picture, active=(top, left, top + height, left + width))
    assert is_ours(path)
    image = developed(path)
    # LibRaw cuts to even places and sizes.
    left, top = left + left % 2, top + top % 2
    width, height = width - crop[0] % 2, height - crop[1] % 2
    assert image.shape == (height // 2 * 2, width // 2 * 2, 3)
    assert mean_difference(image, picture[top : top + image.shape[0], left : left + image.shape[1]]) < 2.8


def test_rows_do_not_depend_on_how_they_are_cut(tmp_path, picture) -> None:
    # The same pixels, once in the middle of a tile and once at the seam of two.
    whole = developed(make.write_dng(tmp_path / "a.dng", picture, ev=-1))
    moved = developed(make.write_dng(tmp_path / "b.dng", picture[24:, 24:], ev=-1))
    assert np.array_equal(whole[48:-16, 48:-16], moved[24:-16, 24:-16])


def test_each_place_has_its_own_black(tmp_path, picture) -> None:
    dark = picture // 3
    plain = developed(make.write_dng(tmp_path / "a.dng", dark))
    path = make.write_dng(tmp_path / "b.dng", dark, black=(480, 512, 560, 700))
    assert is_ours(path)
    assert mean_difference(developed(path), plain) < 0.35
    assert mean_difference(developed(path), dark) < 2.5


def test_a_larger_pattern_of_blacks_is_left_to_libraw(tmp_path, picture) -> None:
    blacks = tuple(500 + 5 * i for i in range(8))
    path = make.write_dng(tmp_path / "a.dng", picture, black=blacks, black_size=(2, 4))
    assert not is_ours(path)
    assert mean_difference(developed(path), picture) < 4.0


@pytest.mark.parametrize("half", [False, True])
def test_colours_are_those_of_libraw(tmp_path, picture, half) -> None:
    from skimage.color import deltaE_ciede2000, rgb2lab

    path = make.write_dng(tmp_path / "a.dng", picture, cast=(0.8, 1.0, 0.7))
    ours = read_pixels(path, DecodePlan(), half_size=half).pixels
    with rawpy.imread(str(path)) as file:
        theirs = raw._by_libraw(file, DecodePlan(), half_size=half).pixels
    assert ours.shape == theirs.shape
    step = 4 if half else 8
    labs = []
    for linear in (ours, theirs):
        height, width = (n // step * step for n in linear.shape[:2])
        blocks = linear[:height, :width].reshape(height // step, step, width // step, step, 3).mean(axis=(1, 3))
        labs.append(rgb2lab(make.display_from_linear(blocks / 65535.0)))
    assert deltaE_ciede2000(*labs).mean() < (0.05 if half else 0.8)


@pytest.mark.parametrize("white_balance", ["as_shot", "daylight", "auto"])
def test_white_balances_are_those_of_libraw(tmp_path, picture, white_balance) -> None:
    path = make.write_dng(tmp_path / "a.dng", picture, ev=-0.5, cast=(0.9, 1.0, 0.6))
    plan = DecodePlan(white_balance=white_balance)
    ours = read_pixels(path, plan, half_size=True).pixels.astype(float)
    with rawpy.imread(str(path)) as file:
        theirs = raw._by_libraw(file, plan, half_size=True).pixels.astype(float)
    assert ours.mean(axis=(0, 1)) == pytest.approx(theirs.mean(axis=(0, 1)), rel=0.02)


@pytest.mark.parametrize("highlight", ["clip", "blend", "reconstruct"])
@pytest.mark.parametrize("quality", ["fast", "best"])
@pytest.mark.parametrize("stop", [16383, 15600])
def test_a_blown_sky_is_never_pink(tmp_path, highlight, quality, stop) -> None:
    # From dark to three stops above saturation, a little blue; a sensor that stops where it should or below.
    ramp = np.linspace(0.0, 1.0, 400) ** 2
    sky = np.repeat((ramp[None, :, None] * np.array([0.93, 0.98, 1.0])), 120, axis=0)
    truth = make.display_from_linear(sky)
    path = make.write_dng(tmp_path / "a.dng", truth, ev=3.0, stop=stop)
    linear = read_pixels(path, DecodePlan(highlight=highlight, demosaic=quality))
    rgb = np.minimum(linear.pixels.astype(np.float64) / 65535.0 * linear.headroom, 1.0)
    shown = make.display_from_linear(rgb).astype(int)
    # Pink is where green is the least of the three.
    assert (shown[..., 1] - np.minimum(shown[..., 0], shown[..., 2])).min() >= -3
    assert (shown[:, -40:] == 255).all()
    middle = rgb[60].sum(axis=1)
    assert (np.diff(middle) > -0.02).all()


def test_what_is_left_above_white_is_kept_when_asked(tmp_path) -> None:
    ramp = np.linspace(0.2, 1.0, 400) ** 2
    truth = make.display_from_linear(np.repeat(ramp[None, :, None] * np.ones(3), 120, axis=0))
    path = make.write_dng(tmp_path / "a.dng", truth, ev=1.0)
    tops = {}
    for highlight in ("clip", "blend", "reconstruct"):
        linear = read_pixels(path, DecodePlan(highlight=highlight))
        tops[highlight] = linear.pixels[60].astype(float).mean(axis=1) / 65535.0 * linear.headroom
    assert tops["clip"].max() <= 1.0
    for highlight in ("blend", "reconstruct"):
        assert tops[highlight].max() > 1.3
        below = tops["clip"] < 0.9
        assert np.abs(tops[highlight] - tops["clip"])[below].max() < 0.01


def test_reconstruction_comes_nearer_to_the_truth_than_what_was_measured(tmp_path) -> None:
    truth = make.sample_photo("coffee")
    path = make.write_dng(tmp_path / "a.dng", truth, ev=0.7)
    scene = make.linear_from_display(truth) * 2.0**0.7
    errors = {}
    for highlight in ("clip", "reconstruct"):
        linear = read_pixels(path, DecodePlan(highlight=highlight))
        light = linear.pixels.astype(float) / 65535.0 * linear.headroom
        over = scene.max(axis=2) > 1.1
        assert over.sum() > 500
        errors[highlight] = np.abs(light - scene)[over].mean()
    assert errors["reconstruct"] < 0.8 * errors["clip"]


def test_dark_parts_are_not_lifted_by_noise(tmp_path) -> None:
    black = np.zeros((160, 160, 3), np.uint8)
    path = make.write_dng(tmp_path / "a.dng", black, shot=0.004)
    ours = read_pixels(path, DecodePlan()).pixels.mean()
    with rawpy.imread(str(path)) as file:
        theirs = raw._by_libraw(file, DecodePlan(), half_size=False).pixels.mean()
    assert ours < 1.3 * theirs


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_turn_and_crop_come_after_colour(tmp_path, picture, orientation, steps) -> None:
    turn = {"straighten": {"degrees": 4}, "crop": {"x": 0.1, "y": 0.2, "width": 0.6, "height": 0.5}}
    tone = {"decode": {}, "tone": {"shadows": 30}}
    straight = make.write_dng(tmp_path / "a.dng", picture)
    turned = make.write_dng(tmp_path / "b.dng", make.oriented(picture, orientation), orientation=orientation)
    for operations in (tone, tone | turn):
        expected = render(straight, steps(**operations)).image
        image = render(turned, steps(**operations)).image
        assert mean_difference(image, expected) < 3.5
    assert mean_difference(render(turned, steps(decode={})).image, picture) < 2.6


def test_small_and_large_renders_show_the_same(tmp_path, picture, steps) -> None:
    big = np.kron(picture[:200, :300], np.ones((4, 4, 1), np.uint8))
    path = make.write_dng(tmp_path / "a.dng", big)
    recipe = steps(decode={}, tone={"shadows": 40, "highlights": -30}, exposure={"ev": 0.4})
    large, small = render(path, recipe).image, render(path, recipe, max_edge=300).image
    assert mean_difference(make.shrunk(large, 4), small) < 1.8


def test_other_sensors_go_through_libraw(tmp_path, picture) -> None:
    path = make.write_linear_dng(tmp_path / "a.dng", picture)
    assert not is_ours(path)
    assert mean_difference(developed(path), picture) < 1.0


def test_the_real_files(photos) -> None:
    assert is_ours(photos / "raw" / "canon-30d-landscape.cr2")
    assert not is_ours(photos / "raw" / "kodak-c330-yrgb.raw")
    ours = read_pixels(photos / "raw" / "canon-30d-landscape.cr2", DecodePlan()).pixels
    with rawpy.imread(str(photos / "raw" / "canon-30d-landscape.cr2")) as file:
        theirs = raw._by_libraw(file, DecodePlan(), half_size=False).pixels
    assert ours.shape == theirs.shape == (2335, 3504, 3)
    assert ours.mean(axis=(0, 1)) == pytest.approx(theirs.mean(axis=(0, 1)), rel=0.005)
    for y, x in itertools.product(range(200, 2000, 600), range(200, 3200, 900)):
        a, b = (p[y : y + 100, x : x + 100].astype(float) for p in (ours, theirs))
        assert a.mean(axis=(0, 1)) == pytest.approx(b.mean(axis=(0, 1)), rel=0.02)


def test_a_damaged_mosaic_is_an_error_of_the_photo(tmp_path, picture, photos) -> None:
    from immich_sidecar.errors import UndecodableError

    whole = make.write_dng(tmp_path / "a.dng", picture).read_bytes()
    (tmp_path / "cut.dng").write_bytes(whole[: len(whole) * 2 // 3])
    for path in (tmp_path / "cut.dng", photos / "broken" / "cut.cr2"):
        with pytest.raises(UndecodableError, match=path.name):
            render(path, ())


def test_a_mosaic_gives_its_memory_back(tmp_path, picture) -> None:
    mosaic = read_pixels(make.write_dng(tmp_path / "a.dng", picture), DecodePlan(), keep_mosaic=True)
    assert isinstance(mosaic, Mosaic)
    mosaic.release()
    mosaic.release()
    with pytest.raises(ValueError, match="released"):
        bayer.full(mosaic)
    with pytest.raises(ValueError, match="released"):
        bayer.binned(mosaic)


def test_sensors_whose_black_libraw_keeps_to_itself_are_left_to_it(tmp_path, picture) -> None:
    path = make.write_dng(tmp_path / "a.dng", picture)
    path.write_bytes(path.read_bytes().replace(b"Sidecar\0", b"Leaf XY\0"))
    assert not is_ours(path)


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ((9000, 10000), (9000, 0)),
        ((9000, 10000), (0, 0)),
        ((10000, 10000), (10000, 1)),
        ((10000, 10000), (1, 0)),
        ((10000, 10000), (0, 10000)),
    ],
)
def test_numbers_that_mean_nothing_do_no_harm(tmp_path, picture, right, wrong) -> None:
    # The matrix (its first number is 0.9) or the white balance (1 for green) of a damaged file.
    path = make.write_dng(tmp_path / "a.dng", picture)
    data = path.read_bytes()
    assert struct.pack("<II", *right) in data
    path.write_bytes(data.replace(struct.pack("<II", *right), struct.pack("<II", *wrong)))
    with contextlib.suppress(PhotoError):
        assert render(path, ()).image.shape == picture.shape


def test_nothing_is_left_to_be_compiled_after_warming(tmp_path, picture, steps) -> None:
    from immich_sidecar.develop import demosaic, engine, kernels

    engine.warm()
    compiled = [f for module in (demosaic, kernels) for f in vars(module).values() if hasattr(f, "signatures")]
    before = {f.py_func.__name__: len(f.signatures) for f in compiled}
    assert before["demosaic_rows"] == before["binned_rows"] == 1
    assert before["colour_planes"] >= 1
    path = make.write_dng(tmp_path / "a.dng", picture[:, :301], even=False, cast=(1.0, 1.2, 1.0))
    for decode in ({"demosaic": "fast"}, {"highlight": "blend"}, {"highlight": "reconstruct"}):
        for tone in ({}, {"tone": {"shadows": 20}}):
            render(path, steps(decode=decode, **tone))
            render(path, steps(decode=decode, **tone), max_edge=80)
            render(path, steps(decode=decode, **tone), max_edge=250)
    assert {f.py_func.__name__: len(f.signatures) for f in compiled} == before
