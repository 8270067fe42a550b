"""The engine against known truth: what was spoilt by a known amount is repaired by the same amount."""

from pathlib import Path

import numpy as np
import pytest

from immich_sidecar.develop.engine import ENGINE_VERSION, develop, render
from immich_sidecar.develop.probe import probe
from immich_sidecar.errors import RecipeError, UndecodableError
from tests.develop.conftest import mean_difference
from tests.photos import make


@pytest.fixture(scope="module")
def picture():
    return make.sample_photo("astronaut")


@pytest.fixture(scope="module")
def scene():
    return make.scene(960, 640)


def png(tmp_path, image, name="a.png"):
    return make.write_png(tmp_path / name, image)


def luminance(image):
    return make.linear_from_display(image) @ np.array([0.2126, 0.7152, 0.0722])


NEUTRAL = {
    "exposure": {"ev": 0},
    "tone": {},
    "denoise": {},
    "straighten": {"degrees": 0},
    "crop": {"x": 0, "y": 0, "width": 1, "height": 1},
    "white_balance": {"temperature": 6500, "tint": 0},
}


def test_neutral_parameters_change_nothing(tmp_path, picture, steps) -> None:
    assert np.array_equal(render(png(tmp_path, picture), steps(**NEUTRAL)).image, picture)


@pytest.mark.parametrize("depth", [np.uint8, np.uint16])
def test_the_colour_pass_itself_is_the_identity_for_tiny_changes(tmp_path, depth, steps) -> None:
    ramp = np.arange(256, dtype=depth) * (257 if depth == np.uint16 else 1)
    image = np.stack(np.broadcast_arrays(ramp[None, :], ramp[::-1][None, :], ramp[None, :] // 2), axis=-1)
    image = np.repeat(image, 8, axis=0)
    shown = (image // 257 if depth == np.uint16 else image).astype(int)
    tiny = steps(
        exposure={"ev": 1e-6},
        tone={"contrast": 1e-6, "shadows": 1e-6, "highlights": 1e-6, "black": 1e-6, "white": 1e-6},
        white_balance={"gains": [1, 1, 1.000001]},
    )
    assert np.abs(render(png(tmp_path, image), tiny).image - shown).max() <= 1


@pytest.mark.parametrize("ev", [0.5, 1.0, 1.5, 2.0])
def test_a_dark_photo_gets_its_light_back(tmp_path, picture, steps, ev) -> None:
    dark = png(tmp_path, make.degraded(picture, ev=-ev))
    repaired = render(dark, steps(exposure={"ev": ev})).image
    middle = (picture.max(axis=2) < 200) & (picture.min(axis=2) > 25)
    error = np.abs(repaired.astype(int) - picture)[middle].mean()
    # Eight bits of a picture that is darker by 2 EV hold no more.
    assert error < 1.5 + ev
    assert mean_difference(repaired, picture) < 0.25 * mean_difference(render(dark, ()).image, picture)


def test_brightening_cuts_nothing_and_darkening_is_its_inverse(tmp_path, steps) -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2).repeat(8, axis=0)
    bright = render(png(tmp_path, ramp), steps(exposure={"ev": 1.5})).image
    line = bright[0, :, 0].astype(int)
    assert (np.diff(line) >= 0).all()
    assert line[0] == 0
    assert line[-1] == 255
    # A plain product would make white of the 100 brightest values.
    assert (line == 255).sum() <= 20
    back = render(png(tmp_path, bright, "b.png"), steps(exposure={"ev": -1.5})).image
    # Five code values become one in the shoulder, so that rounding there comes back five times as large.
    assert np.abs(back[0, :180].astype(int) - ramp[0, :180]).max() <= 3
    assert np.abs(back[0, :160].astype(int) - ramp[0, :160]).max() <= 1


def test_exposure_is_exact_below_the_shoulder(tmp_path, picture, steps) -> None:
    image = render(png(tmp_path, picture), steps(exposure={"ev": 0.5})).image
    before, after = make.linear_from_display(picture), make.linear_from_display(image)
    middle = (before.max(axis=2) < 0.5) & (before.min(axis=2) > 0.02)
    assert np.median(after[middle] / before[middle]) == pytest.approx(2**0.5, rel=0.01)


def test_a_dark_photo_whose_brightest_light_is_known_comes_back_whole(tmp_path, picture, steps) -> None:
    dark = png(tmp_path, make.degraded(picture, ev=-1.5))
    exact = render(dark, steps(exposure={"ev": 1.5, "brightest": 2**-1.5})).image
    careful = render(dark, steps(exposure={"ev": 1.5})).image
    bright = picture.min(axis=2) > 240
    assert np.abs(exact[bright].astype(int) - picture[bright]).mean() < 1.5
    assert np.abs(careful[bright].astype(int) - picture[bright]).mean() > 3
    # What is brighter than was said is cut, and order is kept.
    row = np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (4, 1, 3))
    once = render(png(tmp_path, row), steps(exposure={"ev": 1.0, "brightest": 0.6})).image[0, :, 0]
    assert (np.diff(once.astype(int)) >= 0).all()
    assert once[-1] == 255


def test_what_a_cast_has_cut_off_is_not_drawn_beneath_the_other_channels(tmp_path, steps) -> None:
    warm = np.zeros((8, 24, 3), np.uint8)
    # White and light grey under a warm light whose red is cut off; a red thing; middle grey.
    for i, linear in enumerate([(1.0, 1.0, 1.0), (0.9, 0.9, 0.9), (1.0, 0.1, 0.1), (0.3, 0.3, 0.3)]):
        warm[:, 6 * i : 6 * i + 6] = make.display_from_linear(np.array(linear) * (1.3, 1.0, 0.7))
    image = render(png(tmp_path, warm), steps(white_balance={"gains": [1 / 1.3, 1.0, 1 / 0.7]})).image[0]
    for x in (3, 9, 21):
        assert np.ptp(image[x].astype(int)) < 6, image[x]
    assert image[15, 0] > image[15, 1] + 80


def test_a_cast_is_taken_away_by_its_inverse(tmp_path, picture, steps) -> None:
    cast = (0.9, 0.75, 0.6)
    spoilt = png(tmp_path, make.degraded(picture, cast=cast))
    repaired = render(spoilt, steps(white_balance={"gains": [1 / c for c in cast]})).image
    assert mean_difference(repaired, picture) < 1.5
    assert mean_difference(render(spoilt, ()).image, picture) > 10


def test_temperature_and_tint_go_the_right_way(tmp_path, steps) -> None:
    path = png(tmp_path, np.full((16, 16, 3), 128, np.uint8))

    def colour(**parameters):
        return render(path, steps(white_balance=parameters)).image[0, 0].astype(int)

    red, _, blue = colour(temperature=8000)
    assert red > 128 > blue
    red, _, blue = colour(temperature=5000)
    assert red < 128 < blue
    red, green, blue = colour(tint=40)
    assert green < 128 < min(red, blue)
    for parameters in ({"temperature": 4000}, {"temperature": 9000, "tint": -30}):
        grey = colour(**parameters)
        light = luminance(grey.astype(np.uint8)[None, None])[0, 0]
        assert light == pytest.approx(luminance(np.full((1, 1, 3), 128, np.uint8))[0, 0], rel=0.03)


def test_clipped_white_stays_white(tmp_path, steps) -> None:
    path = png(tmp_path, np.full((8, 8, 3), 255, np.uint8))
    assert (render(path, steps(white_balance={"temperature": 4000})).image == 255).all()


def test_each_tone_parameter_moves_what_it_names(tmp_path, scene, steps) -> None:
    path = png(tmp_path, scene)
    before = luminance(scene)
    dark, bright = before < 0.03, (before > 0.4) & (before < 0.6)

    def change(**tone):
        after = luminance(render(path, steps(tone=tone)).image)
        return (after[dark].mean() / before[dark].mean(), after[bright].mean() / before[bright].mean())

    lifted, kept = change(shadows=60)
    assert lifted > 1.15
    assert kept == pytest.approx(1.0, abs=0.04)
    kept, lowered = change(highlights=-80)
    assert kept == pytest.approx(1.0, abs=0.1)
    assert lowered < 0.85
    darker, brighter = change(contrast=40)
    assert darker < 0.9
    assert brighter > 1.03
    assert change(black=30)[0] > 1.2
    assert change(black=-40)[0] < 0.8
    assert change(white=40)[1] > 1.1
    assert change(white=-40)[1] < 0.9


def test_tone_keeps_hues_and_order(tmp_path, picture, steps) -> None:
    image = render(
        png(tmp_path, picture), steps(tone={"contrast": 35, "black": 10, "white": 20}, exposure={"ev": 0.4})
    ).image
    before, after = make.linear_from_display(picture), make.linear_from_display(image)
    spread = before.max(axis=2) - before.min(axis=2)
    clear = (spread > 0.08) & (after.max(axis=2) < 0.98) & (after.max(axis=2) - after.min(axis=2) > 0.08)

    def middle(linear):
        ordered = np.sort(linear[clear], axis=1)
        return (ordered[:, 1] - ordered[:, 0]) / (ordered[:, 2] - ordered[:, 0])

    assert np.abs(middle(before) - middle(after)).mean() < 0.01


@pytest.mark.parametrize("tilt", [-7.0, -2.0, 1.0, 3.5])
def test_a_leaning_photo_is_straightened(tmp_path, scene, steps, tilt) -> None:
    leaning = make.degraded(scene, tilt=tilt)
    result = render(png(tmp_path, leaning), steps(straighten={"degrees": tilt})).image
    height, width = result.shape[:2]
    # Both were turned about the same centre, so the truth is the middle of the scene.
    top, left = (scene.shape[0] - height) // 2, (scene.shape[1] - width) // 2
    truth = scene[top : top + height, left : left + width]
    wrong = render(png(tmp_path, leaning, "b.png"), steps(straighten={"degrees": -tilt})).image
    wrong = wrong[:height, :width]
    assert mean_difference(result, truth) < 0.6 * mean_difference(wrong, truth[: wrong.shape[0], : wrong.shape[1]])
    # No corner shows anything from outside the picture.
    assert width > 0.7 * leaning.shape[1]


def test_a_crop_without_a_turn_is_exact(tmp_path, picture, steps) -> None:
    crop = {"x": 0.25, "y": 0.125, "width": 0.5, "height": 0.75}
    image = render(png(tmp_path, picture), steps(crop=crop)).image
    assert np.array_equal(image, picture[32:224, 64:192])


def test_a_crop_after_a_turn_is_that_part_of_the_turned_picture(tmp_path, scene, steps) -> None:
    path = png(tmp_path, scene)
    turned = render(path, steps(straighten={"degrees": 3})).image
    crop = {"x": 0.25, "y": 0.25, "width": 0.5, "height": 0.5}
    part = render(path, steps(straighten={"degrees": 3}, crop=crop)).image
    top, left = round(turned.shape[0] * 0.25), round(turned.shape[1] * 0.25)
    expected = turned[top : top + part.shape[0], left : left + part.shape[1]]
    difference = np.abs(part.astype(int) - expected)
    # Which neighbouring places share their weights differs; they are a 64th of a pixel apart.
    assert difference.max() <= 4
    assert difference.mean() < 0.05


@pytest.mark.parametrize(("luma", "chroma"), [(8.0, 0.0), (0.0, 8.0), (6.0, 6.0)])
def test_noise_goes_and_the_picture_stays(tmp_path, luma, chroma, steps) -> None:
    truth = make.sample_photo("astronaut", shrink=1)
    noisy = make.degraded(truth, noise=luma, chroma_noise=chroma)
    strength = {"luma": 100 * max(luma, 0.5 * chroma) / 25.5, "chroma": 100 * chroma / 25.5}
    clean = render(png(tmp_path, noisy), steps(denoise=strength)).image

    def psnr(image):
        error = ((image.astype(float) - truth) ** 2).mean()
        return 10 * np.log10(255**2 / error)

    assert psnr(clean) > psnr(noisy) + 2.0


def test_raw_colours_are_the_truth(tmp_path, steps) -> None:
    truth = make.shrunk(make.scene(1200, 800), 2)
    image = render(make.write_dng(tmp_path / "a.dng", truth), steps(decode={})).image
    inner = (slice(2, -2), slice(2, -2))
    error = np.abs(image.astype(int) - truth)[inner].max(axis=2)
    # Demosaicing invents edges; surfaces it does not.
    assert np.median(error) <= 1
    assert np.percentile(error, 75) <= 4
    assert image.mean(axis=(0, 1)) == pytest.approx(truth.mean(axis=(0, 1)), abs=1.5)


def test_raw_goes_through_its_tone_curve(tmp_path, steps) -> None:
    path = make.write_dng(tmp_path / "a.dng", np.full((64, 64, 3), 118, np.uint8))
    grey = float(make.linear_from_display(np.full((1, 1, 3), 118, np.uint8))[0, 0, 0])
    plain = render(path, steps(decode={})).image[20:40, 20:40]
    assert np.abs(plain.astype(int) - 118).max() <= 1
    curve = [[0, 0], [grey, 0.5], [1, 1]]
    lifted = render(path, steps(decode={"tone_curve": curve})).image[20:40, 20:40]
    assert np.abs(lifted.astype(int) - make.display_from_linear(np.array([0.5]))).max() <= 1
    shifted = render(path, steps(decode={"baseline_ev": 1.0})).image[20:40, 20:40]
    assert np.abs(shifted.astype(int) - make.display_from_linear(np.array([2 * grey]))).max() <= 2


@pytest.mark.parametrize("highlight", ["clip", "blend", "reconstruct"])
def test_blown_highlights_of_a_raw_are_not_pink(tmp_path, steps, highlight) -> None:
    truth = np.full((96, 96, 3), 150, np.uint8)
    truth[:48] = 255
    path = make.write_dng(tmp_path / "a.dng", truth, ev=1.5)
    image = render(path, steps(decode={"highlight": highlight})).image[8:40, 8:88].astype(int)
    assert image.min() > 235
    assert (image.max(axis=2) - image.min(axis=2)).max() <= 8


def test_all_highlight_modes_have_the_same_brightness(tmp_path, steps) -> None:
    path = make.write_dng(tmp_path / "a.dng", make.sample_photo("coffee"), ev=-1)
    clip = render(path, steps(decode={})).image
    for mode in ("blend", "reconstruct"):
        assert mean_difference(render(path, steps(decode={"highlight": mode})).image, clip) < 2


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
def test_raw_is_turned_upright(tmp_path, orientation, steps) -> None:
    truth = make.sample_photo("astronaut")[:, :200]
    stored = make.oriented(truth, orientation)
    path = make.write_dng(tmp_path / "a.dng", stored, orientation=orientation)
    image = render(path, steps(decode={})).image
    assert image.shape == truth.shape
    assert mean_difference(image, truth) < 8


def test_an_own_colour_matrix_is_used(tmp_path, steps) -> None:
    truth = make.sample_photo("coffee")
    path = make.write_dng(tmp_path / "a.dng", truth)
    camera = make.XYZ_TO_CAMERA @ make.SRGB_TO_XYZ
    balanced = np.diag(1 / (camera @ np.ones(3))) @ camera
    image = render(path, steps(decode={"colour_matrix": np.linalg.inv(balanced).tolist()})).image
    assert mean_difference(image, render(path, steps(decode={})).image) < 1.5


def test_decode_is_refused_for_what_is_no_raw(tmp_path, picture, steps) -> None:
    with pytest.raises(RecipeError, match="no RAW"):
        render(png(tmp_path, picture), steps(decode={}))


def test_small_renders_show_the_same_as_large_ones(tmp_path, steps) -> None:
    path = make.write_jpeg(tmp_path / "a.jpg", make.scene(1600, 1200))
    wanted = steps(
        exposure={"ev": 0.5},
        tone={"shadows": 40, "highlights": -40, "contrast": 15},
        straighten={"degrees": 2},
        crop={"x": 0.1, "y": 0.1, "width": 0.8, "height": 0.8},
    )
    full = render(path, wanted).image
    small = render(path, wanted, max_edge=400).image
    assert max(small.shape) == 400
    import cv2

    expected = cv2.resize(full, small.shape[1::-1], interpolation=cv2.INTER_AREA)
    assert mean_difference(small, expected) < 4


def test_developing_twice_gives_the_same_bytes(tmp_path, recipe) -> None:
    path = make.write_jpeg_with_everything(tmp_path / "a.jpg", make.sample_photo("coffee", shrink=1), orientation=6)
    wanted = recipe(
        exposure={"ev": 0.3},
        straighten={"degrees": 1.5},
        tone={"shadows": 20},
        denoise={"luma": 10, "chroma": 10},
    )
    heard = []
    first = develop(path, wanted, tmp_path / "1.jpg", on_progress=heard.append)
    second = develop(path, wanted, tmp_path / "2.jpg")
    data = (tmp_path / "1.jpg").read_bytes()
    assert data == (tmp_path / "2.jpg").read_bytes()
    assert (first.sha256, first.sha1, first.size) == (second.sha256, second.sha1, len(data))
    assert first.engine == ENGINE_VERSION
    assert heard == sorted(heard)
    assert heard[-1] == 1.0
    facts = probe(tmp_path / "1.jpg")
    assert (facts.width, facts.height, facts.orientation) == (first.width, first.height, 1)
    assert set(first.seconds) == {"decode", "geometry", "colour", "detail", "encode", "metadata", "write"}


def test_a_failure_leaves_no_output(tmp_path, recipe) -> None:
    (tmp_path / "a.jpg").write_bytes(make.write_jpeg(tmp_path / "b.jpg", make.scene(64, 48)).read_bytes()[:900])
    with pytest.raises(UndecodableError):
        develop(tmp_path / "a.jpg", recipe(), tmp_path / "out.jpg")
    assert not (tmp_path / "out.jpg").exists()


def test_the_original_is_not_touched(tmp_path, recipe) -> None:
    path = make.write_jpeg_with_everything(tmp_path / "a.jpg", make.sample_photo("coffee"))
    before = (path.read_bytes(), path.stat().st_mtime_ns)
    path.chmod(0o400)
    develop(path, recipe(exposure={"ev": 1}), tmp_path / "out.jpg")
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before


def test_a_full_disk_leaves_no_output(tmp_path, recipe) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    original = tmp_path / "a.jpg"
    make.write_jpeg(original, make.scene(64, 48))
    link = tmp_path / "out.jpg"
    link.symlink_to(full)
    with pytest.raises(OSError, match="No space left"):
        develop(original, recipe(), link)
    assert not link.is_symlink()
