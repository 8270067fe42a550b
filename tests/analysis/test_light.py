"""Exposure, cast and noise: what is done to a picture by a known amount is measured."""

import numpy as np
import pytest

from immich_sidecar.analysis.measure.exposure import LUMINANCE, measure_exposure
from immich_sidecar.analysis.measure.light import WEIGHTS, level_answer, measure_light
from immich_sidecar.analysis.measure.light_features import light_features, vector
from immich_sidecar.analysis.measure.noise import Noise, measure_noise
from immich_sidecar.analysis.measure.sharpness import measure_sharpness
from tests.photos.make import Display, degraded, linear_from_display, sample_photo, scene


def patches(display: Display) -> tuple[list[np.ndarray], list[np.ndarray]]:
    rgb = display.astype(np.float32) / 255
    luma = rgb @ np.array([0.299, 0.587, 0.114], np.float32)
    chroma = np.stack([(rgb[..., 2] - luma) / 1.772, (rgb[..., 0] - luma) / 1.402], axis=-1)
    return [luma], [chroma]


def noise_of(display: Display) -> Noise:
    return measure_noise(*patches(display))


@pytest.mark.parametrize("ev", [-0.5, -1.0, -2.0])
def test_headroom_grows_with_missing_light(ev: float) -> None:
    picture = sample_photo("astronaut")
    before = measure_exposure(picture, linear_from_display(picture))
    dark = degraded(picture, ev=ev)
    after = measure_exposure(dark, linear_from_display(dark))

    assert after.headroom - before.headroom == pytest.approx(-ev, abs=0.15)
    assert after.percentiles[3] - before.percentiles[3] == pytest.approx(ev, abs=0.1)


def test_clipping_is_counted_per_channel() -> None:
    picture = np.full((100, 100, 3), 100, np.uint8)
    picture[:25, :, 0] = 255
    picture[:10] = 255
    exposure = measure_exposure(picture, linear_from_display(picture))

    assert exposure.clipped == pytest.approx((0.25, 0.10, 0.10, 0.10), abs=0.01)


def test_veil_is_seen_where_black_is_missing() -> None:
    picture = scene()
    flat = degraded(picture, contrast=0.6)

    assert measure_exposure(picture, linear_from_display(picture)).veil < 15
    assert measure_exposure(flat, linear_from_display(flat)).veil > 40


@pytest.mark.parametrize("cast", [(0.75, 1.0, 0.75), (1.3, 1.0, 1.3), (1.25, 1.0, 0.8), (0.8, 1.0, 1.25)])
def test_light_of_a_cast_is_found(cast: tuple[float, float, float]) -> None:
    # Greys of many brightnesses and a few colours: no doubt about the light.
    random = np.random.default_rng(1)
    grey = np.kron(random.uniform(0.03, 0.7, (24, 32, 1)), np.ones((24, 24, 1)))
    picture = grey * (1 + 0.15 * np.kron(random.normal(0, 1, (24, 32, 3)), np.ones((24, 24, 1))) * 0.5)
    picture *= 1 + 0.05 * random.normal(0, 1, (*picture.shape[:2], 1))
    linear = np.clip(picture * np.array(cast) / np.mean(cast), 0, 1).astype(np.float32)

    found = measure_light(linear)

    assert found.colour == pytest.approx((np.log2(cast[0] / cast[1]), np.log2(cast[2] / cast[1])), abs=0.3)
    # A slight warmth is offered, the others are taken away.
    assert found.colour_confidence > (0.35 if cast[0] > cast[2] else 0.6)


@pytest.mark.parametrize("name", ["astronaut", "coffee"])
@pytest.mark.parametrize("ev", [-2.0, -1.0])
def test_missing_light_is_told_in_stops(name: str, ev: float) -> None:
    dark = degraded(sample_photo(name, shrink=1), ev=ev)
    found = measure_light(linear_from_display(dark))

    assert found.ev == pytest.approx(ev, abs=0.4)
    assert found.ev_confidence > 0.6


def test_an_evening_sky_glows_and_a_cast_does_not() -> None:
    # Orange where it is light, blue where it is dark; and grey things under one warm light.
    height = np.linspace(0, 1, 300)[:, None, None]
    sky = height * np.array([0.9, 0.45, 0.12]) + (1 - height) * np.array([0.02, 0.03, 0.06])
    evening = np.repeat(sky, 400, axis=1).astype(np.float32)
    grey = np.kron(np.random.default_rng(2).uniform(0.03, 0.7, (15, 20, 1)), np.ones((20, 20, 1)))
    lit = (grey * np.array([1.3, 1.0, 0.7])).astype(np.float32)

    assert measure_light(evening).glow > 1.0
    assert measure_light(np.clip(lit, 0, 1)).glow < 0.5


def test_features_are_the_same_in_number_and_finite_for_every_picture() -> None:
    sizes = set()
    for shape in ((1, 1), (3, 500), (17, 23), (400, 300)):
        for value in (0.0, 0.2, 1.0):
            found = vector(light_features(np.full((*shape, 3), value, np.float32)))
            assert np.isfinite(found).all()
            sizes.add(found.shape)
    assert len(sizes) == 1


@pytest.mark.parametrize(("ev", "cast"), [(-1.5, (1.0, 1.0, 1.0)), (-1.0, (0.76, 1.0, 0.76)), (0.0, (1.0, 1.0, 0.7))])
def test_what_was_cut_off_before_tells_how_light_was_changed(ev: float, cast: tuple[float, float, float]) -> None:
    # Lights of three kinds, each of which has cut off another channel: none of them is white.
    random = np.random.default_rng(4)
    picture = random.uniform(0.02, 0.5, (240, 320, 3))
    for channel in range(3):
        picture[:12, 100 * channel : 100 * channel + 90, channel] = 1.0
    changed = (picture * np.array(cast) * 2.0**ev).astype(np.float32)

    found = light_features(changed)["ceilings"]

    assert found[:2] == pytest.approx((np.log2(cast[0]), np.log2(cast[2])), abs=0.02)
    assert found[2:5] == pytest.approx(ev + np.log2(cast), abs=0.02)


@pytest.mark.parametrize(("ev", "cast"), [(-1.5, (1.0, 1.0, 1.0)), (-1.0, (0.76, 1.0, 0.76)), (-0.7, (0.9, 1.0, 0.6))])
def test_what_was_cut_off_tells_the_light_nearly_exactly(ev: float, cast: tuple[float, float, float]) -> None:
    # A photo with a little more light than its brightest parts can hold; four in a hundred pixels are level.
    photo = degraded(sample_photo("astronaut", shrink=1), ev=0.5)
    linear = linear_from_display(degraded(photo, ev=ev, cast=cast))
    stops = np.log2(cast)
    wanted = (stops[0] - stops[1], stops[2] - stops[1], float(np.log2(2.0 ** (stops + ev) @ LUMINANCE)))

    assert level_answer(vector(light_features(linear))[None])[0] == pytest.approx(wanted, abs=0.04)
    found = measure_light(linear)
    assert (*found.colour, found.ev) == pytest.approx(wanted, abs=0.1)


def test_a_top_that_is_level_is_told_from_one_that_is_not() -> None:
    smooth = np.linspace(0, 0.6, 300)[:, None, None] * np.ones((300, 400, 3))
    level = np.minimum(smooth, 0.5)
    # Each channel by itself, a twentieth of the pixels and more below the top.
    below_top = slice(5, 20)

    slopes = light_features(smooth.astype(np.float32))["ceilings"][below_top]
    levels = light_features(level.astype(np.float32))["ceilings"][below_top]

    assert levels == pytest.approx(np.log2(0.01), abs=0.01)
    assert slopes[:3].min() > levels.max() + 2


def test_the_same_picture_is_judged_the_same_each_time() -> None:
    linear = linear_from_display(sample_photo("coffee", shrink=1))

    assert measure_light(linear) == measure_light(linear.copy())


def test_what_was_learnt_is_small() -> None:
    assert WEIGHTS.stat().st_size < 1_000_000


def test_black_and_white_has_no_variety_of_colours() -> None:
    photo = sample_photo("astronaut", shrink=1)
    grey = photo.mean(axis=2, keepdims=True).repeat(3, axis=2).astype(np.uint8)
    toned = degraded(grey, cast=(1.15, 1.0, 0.8))

    assert measure_light(linear_from_display(photo)).variety > 0.3
    for picture in (grey, toned):
        assert measure_light(linear_from_display(picture)).variety < 0.1


@pytest.mark.parametrize("sigma", [3.0, 8.0, 15.0])
def test_noise_is_measured_within_a_fifth(sigma: float) -> None:
    smooth = degraded(scene(1024, 768), ev=0)
    noisy = degraded(smooth, noise=sigma)

    assert noise_of(noisy).luma == pytest.approx(sigma, rel=0.2, abs=1.0)


def test_colour_noise_is_told_from_brightness_noise() -> None:
    noisy = noise_of(degraded(scene(1024, 768), chroma_noise=12))
    grey = noise_of(degraded(scene(1024, 768), noise=12))

    assert noisy.chroma > 4
    assert grey.chroma < 2
    assert noise_of(scene(1024, 768)).luma < 4


def test_blur_widens_edges() -> None:
    import cv2

    sharp = scene(1024, 768)
    blurred = np.asarray(cv2.GaussianBlur(sharp, (0, 0), 3.0), np.uint8)

    crisp, soft = measure_sharpness(patches(sharp)[0]), measure_sharpness(patches(blurred)[0])

    assert crisp.edge_width is not None
    assert soft.edge_width is not None
    assert soft.edge_width > 1.5 * crisp.edge_width
    assert soft.score < crisp.score
