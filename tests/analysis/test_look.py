"""The camera's look is found again from its embedded picture, and nothing ruins a RAW file."""

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from immich_sidecar.analysis.measure.look import Look, LookSource, developed, fit_look
from tests.photos.make import Display, display_from_linear, linear_from_display, random_look, sample_photo, scene

#: A camera's curve, linear to linear: contrast, shoulder.
CURVE_X = np.array([0.0, 0.01, 0.03, 0.08, 0.18, 0.4, 0.8, 1.6, 2.8])
CURVE_Y = np.array([0.0, 0.004, 0.018, 0.075, 0.22, 0.50, 0.80, 0.96, 1.0])


def raw_and_shown(ev: float = -1.5) -> tuple[NDArray[np.float32], Display]:
    """Scene-linear values, darker by `ev` than what the camera makes of them, and the camera's picture."""
    linear = linear_from_display(scene(960, 640))
    exposed = linear * 2.2
    high, low = exposed.max(axis=2, keepdims=True), exposed.min(axis=2, keepdims=True)
    top, bottom = np.interp(high, CURVE_X, CURVE_Y), np.interp(low, CURVE_X, CURVE_Y)
    shown = bottom + (exposed - low) / np.maximum(high - low, 1e-6) * (top - bottom)
    return (exposed * 2**ev).astype(np.float32).clip(0, 1), display_from_linear(shown)


def distance(a: Display, b: Display) -> float:
    """Mean dE2000 of slightly blurred pictures."""
    from skimage.color import deltaE_ciede2000, rgb2lab

    size = (480, 320)
    pictures = [rgb2lab(cv2.GaussianBlur(cv2.resize(p, size, interpolation=cv2.INTER_AREA), (0, 0), 1)) for p in (a, b)]
    return float(deltaE_ciede2000(*pictures).mean())


def check(look: Look) -> None:
    """What every look has to be: rising from black to white, and acceptable to the recipe."""
    from immich_sidecar.recipe.operations import validate

    x, y = np.array(look.tone_curve).T
    assert x[0] == y[0] == 0
    assert y[-1] == 1
    assert (np.diff(x) > 0).all()
    assert (np.diff(y) >= 0).all()
    parameters = {"baseline_ev": look.baseline_ev, "tone_curve": [list(p) for p in look.tone_curve]}
    if look.correction is not None:
        # Saturated pixels reach the end of the curve in all channels: they are white.
        sums = np.array(look.correction).sum(axis=1)
        assert sums.min() == pytest.approx(1, abs=1e-4)
        assert sums.max() < 1.6
        assert np.ptp(developed(np.ones((2, 2, 3), np.float32), look)[0]) == 0
        parameters["colour_matrix"] = [list(row) for row in look.correction]
    validate("decode", parameters)


@pytest.mark.parametrize("ev", [-2.5, -1.5, -0.5])
def test_known_curve_is_found(ev: float) -> None:
    linear, shown = raw_and_shown(ev)
    look = fit_look(linear, shown)

    check(look)
    assert look.source is LookSource.PAIRS
    ours = distance(developed(linear, look)[0], shown)
    assert ours < 3.0
    assert ours < 0.35 * distance(display_from_linear(linear), shown)


@pytest.mark.parametrize("seed", range(8))
def test_known_looks_with_colours_are_found(seed: int) -> None:
    linear = linear_from_display(sample_photo("coffee" if seed % 2 else "astronaut", shrink=1))
    shown = random_look(seed)(linear)
    dark = linear * np.float32(2.0 ** (-0.4 * seed))
    look = fit_look(dark, shown)

    check(look)
    assert look.source is LookSource.PAIRS
    assert distance(developed(dark, look)[0], shown) < 2.2
    assert fit_look(dark, shown) == look


def test_colours_of_the_picture_become_those_of_the_camera() -> None:
    """The matrix of the recipe is one of camera RGB."""
    linear = linear_from_display(sample_photo("coffee", shrink=1))
    to_srgb = np.array([[1.85, -1.0, 0.15], [-0.04, 1.34, -0.3], [0.06, -0.36, 1.3]])
    with_colours = fit_look(linear, random_look(3)(linear), to_srgb)
    without = fit_look(linear, None, to_srgb)

    assert with_colours.correction is not None
    np.testing.assert_allclose(with_colours.colour_matrix, np.array(with_colours.correction) @ to_srgb, atol=1e-5)
    np.testing.assert_allclose(without.colour_matrix, to_srgb, atol=1e-5)


@pytest.mark.parametrize("part", [0.986, 1.0, 1.02])
def test_pictures_that_show_a_little_less_are_laid_on_the_same_places(part: float) -> None:
    """Cameras cut a little off; a shift of one place spoils the pairs at every edge."""
    linear = linear_from_display(sample_photo("astronaut", shrink=1))
    meant = random_look(5)(linear)
    edge = round(512 * (1 - 1 / part) / 2) if part > 1 else round(512 * (1 - part) / 2)
    inner = slice(edge, 512 - edge) if edge else slice(None)
    dark, shown = linear * np.float32(0.5), meant
    if part < 1:
        shown = meant[inner, inner]
    elif part > 1:
        dark = np.ascontiguousarray(dark[inner, inner])
    look = fit_look(dark, shown)

    check(look)
    assert distance(developed(linear * np.float32(0.5), look)[0], meant) < 2.0


@pytest.mark.parametrize("tint", [(1.0, 1.0, 1.0), (1.0, 0.82, 0.6)])
def test_a_monochrome_picture_lends_its_brightness_alone(tint: tuple[float, float, float]) -> None:
    linear = linear_from_display(sample_photo("coffee", shrink=1))
    grey = np.repeat((linear @ np.array([0.2126, 0.7152, 0.0722], np.float32))[..., None], 3, axis=2)
    look = fit_look(linear * np.float32(0.4), display_from_linear(grey * np.array(tint)))

    check(look)
    assert look.correction is None
    assert distance(developed(linear * np.float32(0.4), look)[0], display_from_linear(linear)) < 6


def test_small_cropped_turned_and_grey_pictures_serve_as_well() -> None:
    linear, shown = raw_and_shown()
    grey = np.repeat(cv2.cvtColor(shown, cv2.COLOR_RGB2GRAY)[..., None], 3, axis=2)
    pictures = {
        "small": cv2.resize(shown, (160, 107), interpolation=cv2.INTER_AREA),
        "4:3 of 3:2": shown[:, 53:-53],
        "16:9 of 3:2": shown[50:-50],
        "upside down": np.ascontiguousarray(shown[::-1, ::-1]),
        "on its side": np.ascontiguousarray(np.rot90(shown)),
        "black and white": grey,
    }
    for name, picture in pictures.items():
        look = fit_look(linear, picture)
        check(look)
        assert distance(developed(linear, look)[0], shown) < 4.5, name


def test_wrong_or_missing_pictures_do_not_ruin_anything() -> None:
    linear, shown = raw_and_shown()
    alone = fit_look(linear, None)
    check(alone)
    random = np.random.default_rng(1)
    strange = [
        np.zeros((400, 600, 3), np.uint8),
        np.full((400, 600, 3), 255, np.uint8),
        random.integers(0, 255, (400, 600, 3), dtype=np.uint8),
        sample_photo("chelsea", shrink=1),
        np.ascontiguousarray(255 - shown),
        np.ascontiguousarray(np.roll(shown, 1, axis=2)),
        np.where(shown > 110, 255, 0).astype(np.uint8),
        np.zeros((8, 8, 3), np.uint8),
    ]
    reference = distance(developed(linear, alone)[0], shown)
    for picture in strange:
        look = fit_look(linear, picture)
        check(look)
        assert distance(developed(linear, look)[0], shown) < reference + 4


@pytest.mark.parametrize("ev", [-3.0, -1.5, 0.0])
def test_without_a_picture_nothing_is_dark_or_flat(ev: float) -> None:
    linear = linear_from_display(scene(960, 640)) * np.float32(2.0**ev)
    look = fit_look(linear, None)
    check(look)
    display = developed(linear, look)[0]

    assert 90 < np.median(display) < 175
    assert np.percentile(display, 99) - np.percentile(display, 1) > 150


@pytest.mark.parametrize("value", [0.0, 1.0, 0.2])
def test_empty_frames_give_a_look(value: float) -> None:
    linear = np.full((200, 300, 3), value, np.float32)

    check(fit_look(linear, None))
    check(fit_look(linear, np.full((200, 300, 3), 128, np.uint8)))


def test_night_stays_night() -> None:
    linear = np.full((400, 600, 3), 0.0005, np.float32)
    linear[180:220, 250:350] = 0.9
    look = fit_look(linear, None)

    assert np.median(developed(linear, look)[0]) < 40
