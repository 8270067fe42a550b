"""Saturation, vibrance and black and white: hues and lightness stay, grey stays grey, every space is treated alike."""

import numpy as np
import pytest

from immich_sidecar.develop.engine import render
from immich_sidecar.develop.icc import named_space
from tests.photos import make

#: Linear sRGB to cone responses, and their cube roots to lightness, a, b (Ottosson 2020).
_CONES = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)
#: Colours of middling saturation, four skins last.
COLOURS = [(140, 105, 98), (105, 135, 100), (100, 110, 150), (140, 135, 95), (125, 100, 140)]
SKINS = [(224, 172, 145), (141, 85, 60), (196, 151, 130), (115, 82, 68)]


def oklch(image):
    lightness, a, b = np.moveaxis(np.cbrt(make.linear_from_display(image) @ _CONES.T) @ _OKLAB.T, -1, 0)
    return lightness, np.hypot(a, b), np.degrees(np.arctan2(b, a))


def patches(colours, size=4):
    return np.repeat(np.repeat(np.array([colours], np.uint8), size, axis=0), size, axis=1)


@pytest.fixture
def changed(tmp_path, steps):
    def change(image, icc=None, **operations):
        path = make.write_png(tmp_path / "a.png", image, icc=icc)
        return render(path, steps(**operations)).image

    return change


@pytest.mark.parametrize("amount", [-100, -50, 25, 50])
def test_chroma_changes_by_the_factor_and_nothing_else(changed, amount) -> None:
    image = patches(COLOURS)
    light, chroma, hue = oklch(image)
    after = oklch(changed(image, saturation={"saturation": amount}))
    assert np.abs(after[0] - light).max() < 0.004
    assert after[1] == pytest.approx(chroma * (1 + amount / 100), abs=0.004)
    if amount > -100:
        assert np.abs(after[2] - hue).max() < 2.5


@pytest.mark.parametrize("operations", [{"saturation": 100}, {"vibrance": 100}, {"saturation": -60, "vibrance": -100}])
def test_grey_stays_grey_and_white_white(changed, operations) -> None:
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2).repeat(4, axis=0)
    assert np.array_equal(changed(ramp, saturation=operations), ramp)


def test_vivid_colours_do_not_run_into_each_other(changed) -> None:
    # Towards pure red: what is more saturated before is so afterwards, and the hue holds.
    line = np.array([[(200, v, v) for v in range(0, 200, 4)]], np.uint8).repeat(4, axis=0)
    after = changed(line, saturation={"saturation": 100})
    light, chroma, hue = oklch(line)
    new_light, new_chroma, new_hue = oklch(after)
    assert np.abs(new_light - light).max() < 0.006
    assert len(np.unique(after[0], axis=0)) == line.shape[1]
    assert np.abs(new_hue - hue)[0, :40].max() < 2
    assert (new_chroma >= chroma - 0.002).all()
    assert np.abs(after[0, 0].astype(int) - line[0, 0]).max() <= 1


def test_vibrance_spares_skin_and_what_is_vivid(changed) -> None:
    def gain(colours):
        image = patches(colours)
        return oklch(changed(image, saturation={"vibrance": 100}))[1].mean() / oklch(image)[1].mean()

    muted, skin, vivid = gain([(110, 120, 140), (110, 125, 110)]), gain(SKINS), gain([(30, 60, 220), (20, 180, 40)])
    assert muted > 1.5
    assert skin < 1.25
    assert vivid < 1.15


@pytest.mark.parametrize(
    "operations",
    [
        {"saturation": {"saturation": 35}},
        {"saturation": {"vibrance": 60}},
        {"monochrome": {"red": 60, "green": 30, "blue": 10}},
        {"monochrome": {"toning": 60, "toning_hue": 70}},
    ],
)
def test_a_picture_in_display_p3_looks_like_the_same_in_srgb(changed, operations) -> None:
    image = patches(COLOURS + SKINS)
    to_srgb = named_space("Display P3").to_srgb
    wide = make.display_from_linear(make.linear_from_display(image) @ np.linalg.inv(to_srgb).T)
    after = make.linear_from_display(changed(wide, icc=make.display_p3_icc(), **operations)) @ to_srgb.T
    seen = make.display_from_linear(np.clip(after, 0, 1)).astype(int)
    assert np.abs(seen - changed(image, **operations)).max() <= 4


def test_wide_colours_may_be_more_vivid_than_srgb(changed) -> None:
    image = patches([(230, 40, 60)])
    after = changed(image, icc=make.display_p3_icc(), saturation={"saturation": 60})
    red = make.linear_from_display(after) @ named_space("Display P3").to_srgb.T
    assert red[..., 0].max() > 1.02


def test_black_and_white_keeps_luminance_and_greys(changed) -> None:
    image = make.sample_photo("astronaut")
    grey = changed(image, monochrome={})
    assert (grey.max(axis=2) == grey.min(axis=2)).all()
    expected = make.linear_from_display(image) @ np.array([0.21, 0.72, 0.07])
    assert np.abs(make.display_from_linear(expected).astype(int) - grey[..., 0]).max() <= 1
    ramp = np.repeat(np.arange(256, dtype=np.uint8)[None, :, None], 3, axis=2).repeat(4, axis=0)
    assert np.abs(changed(ramp, monochrome={}).astype(int) - ramp).max() <= 1


def test_a_red_filter_darkens_the_sky(changed) -> None:
    sky, skin = changed(patches([(90, 130, 200), (200, 150, 120)]), monochrome={"red": 100, "green": 0, "blue": 0})[
        0, [0, 4], 0
    ].astype(int)
    plain = changed(patches([(90, 130, 200), (200, 150, 120)]), monochrome={})[0, [0, 4], 0].astype(int)
    assert sky < plain[0] - 20
    assert skin > plain[1] + 20


def test_black_and_white_in_part_lies_between(changed) -> None:
    image = patches(COLOURS)
    _, chroma, _ = oklch(image)
    half = oklch(changed(image, monochrome={"amount": 50}))[1]
    assert (half < 0.75 * chroma).all()
    assert (half > 0.25 * chroma).all()
    assert np.array_equal(changed(image, monochrome={"amount": 0}), image)


def test_a_tone_has_the_hue_that_was_asked_for_and_keeps_lightness(changed) -> None:
    ramp = np.repeat(np.arange(40, 220, 20, dtype=np.uint8)[None, :, None], 3, axis=2).repeat(4, axis=0)
    light, _, _ = oklch(ramp)
    for wanted in (70, 250):
        after = oklch(changed(ramp, monochrome={"toning": 80, "toning_hue": wanted}))
        assert np.abs(after[0] - light).max() < 0.006
        assert after[1].max() > 0.03
        assert np.abs((after[2] - wanted + 180) % 360 - 180).max() < 6
