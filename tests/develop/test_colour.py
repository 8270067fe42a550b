"""The colour pass by itself: strips, falloff, tables of colours, and that what is not asked for does nothing."""

import numpy as np
import pytest

from immich_sidecar.develop.colour import MAP_EDGE, ColourPass, Falloff, coloured
from immich_sidecar.develop.decode import Decoded, display_space
from immich_sidecar.develop.icc import named_space
from immich_sidecar.develop.proxy import shrunk
from immich_sidecar.recipe.plan import ColourPlan, LutPlan, MonochromePlan, Plan
from tests.photos import make


@pytest.fixture(scope="module")
def scene():
    return make.scene(960, 640)


def passed(pixels, colour, space="sRGB", **more):
    decoded = Decoded(pixels, named_space(space), 1, pixels.shape[1::-1])
    return coloured(decoded, pixels, Plan(colour=colour), **more)


def lut(function, size=17, strength=1.0):
    steps = np.linspace(0.0, 1.0, size)
    blue, green, red = np.meshgrid(steps, steps, steps, indexing="ij")
    values = function(np.stack([red, green, blue], axis=-1))
    return LutPlan(size, values.astype("<f4").tobytes(), strength)


def test_strips_give_what_the_whole_gives(scene) -> None:
    plan = Plan(colour=ColourPlan(ev=0.3, shadows=40, contrast=10, saturation=20, temperature=5500))
    space = display_space()
    whole = coloured(Decoded(scene, space, 1, (960, 640)), scene, plan)
    one = ColourPass(plan, space, (960, 640), small=shrunk(scene, MAP_EDGE))
    out = np.empty_like(scene)
    for row in range(0, 640, 100):
        one.run(scene[row : row + 100], out[row : row + 100], first_row=row)
    assert np.array_equal(out, whole)


def test_linear_light_is_the_same_in_both_kinds_of_numbers(scene) -> None:
    light = make.linear_from_display(scene).astype(np.float32)
    codes = np.round(light * 65535).astype(np.uint16)
    one = ColourPass(Plan(colour=ColourPlan(ev=0.5)), display_space(), (960, 640), is_linear=True)
    from_floats, from_codes = np.empty_like(scene), np.empty_like(scene)
    one.run(light, from_floats)
    one.run(codes, from_codes)
    assert np.abs(from_floats.astype(int) - from_codes).max() <= 1
    assert np.abs(from_floats.astype(int) - passed(scene, ColourPlan(ev=0.5))).max() <= 1


def test_shadows_need_a_small_picture() -> None:
    with pytest.raises(ValueError, match="small picture"):
        ColourPass(Plan(colour=ColourPlan(shadows=10)), display_space(), (10, 10))


@pytest.mark.parametrize("degrees", [0.0, 12.0])
def test_corners_that_a_lens_darkened_are_bright_again(degrees) -> None:
    truth = np.full((400, 600, 3), 150, np.uint8)
    angle = np.radians(degrees)
    turn = np.array([[np.cos(angle), np.sin(angle), 0], [-np.sin(angle), np.cos(angle), 0], [0, 0, 1]])
    centre = np.array([[1 / 360, 0, -310.5 / 360], [0, 1 / 360, -180.5 / 360], [0, 0, 1]])
    y, x = np.mgrid[:400, :600]
    u, v, _ = np.einsum("ij,jyx->iyx", turn @ centre, np.stack([x, y, np.ones_like(x)]))
    lost = 1 - 0.4 * np.minimum(u * u + v * v, 1)
    dark = make.display_from_linear(make.linear_from_display(truth) * lost[..., None])
    factors = (1 / (1 - 0.4 * np.linspace(0, 1, 257))).astype(np.float32)
    bright = passed(dark, ColourPlan(), falloff=Falloff(factors, turn @ centre))
    assert np.abs(dark.astype(int) - truth).max() > 25
    assert np.abs(bright.astype(int) - truth).max() <= 2


def test_an_even_table_of_colours_changes_nothing(scene) -> None:
    assert np.abs(passed(scene, ColourPlan(lut=lut(lambda c: c))).astype(int) - scene).max() <= 1


def test_a_table_of_colours_does_what_it_says_in_part_or_wholly(scene) -> None:
    def swapped(colours):
        return 1 - colours[..., [1, 2, 0]]

    # Tetrahedral interpolation is exact for what is linear.
    whole = passed(scene, ColourPlan(lut=lut(swapped, size=5)))
    assert np.abs(whole.astype(int) - (255 - scene[..., [1, 2, 0]])).max() <= 1
    half = passed(scene, ColourPlan(lut=lut(swapped, strength=0.5)))
    expected = (scene.astype(float) + 255 - scene[..., [1, 2, 0]]) / 2
    assert np.abs(half - expected).max() <= 1.5
    curved = passed(scene, ColourPlan(lut=lut(np.square, size=33)))
    assert np.abs(curved - 255 * (scene / 255) ** 2).max() <= 1


def test_a_table_of_colours_means_the_same_in_a_wide_space() -> None:
    srgb = make.sample_photo("astronaut")
    light = make.linear_from_display(srgb) @ np.linalg.inv(named_space("Display P3").to_srgb).T
    wide = make.display_from_linear(light)
    table = lut(lambda c: np.stack([c[..., 0] ** 0.8, c[..., 1], c[..., 2] ** 1.3], axis=-1), size=33)
    as_srgb = make.linear_from_display(passed(wide, ColourPlan(lut=table), "Display P3"))
    back = make.display_from_linear(np.clip(as_srgb @ named_space("Display P3").to_srgb.T, 0, 1))
    error = np.abs(back.astype(int) - passed(srgb, ColourPlan(lut=table)))
    assert np.percentile(error, 99) <= 2


def test_what_is_outside_of_srgb_stays_where_a_table_does_little() -> None:
    green = np.zeros((4, 4, 3), np.uint8)
    green[..., 1] = 230
    kept = passed(green, ColourPlan(lut=lut(lambda c: c, strength=0.001)), "Display P3")
    assert np.abs(kept.astype(int) - green).max() <= 1


def test_grey_has_no_colour_after_the_mixer_and_a_tone_keeps_black_and_white(scene) -> None:
    grey = passed(scene, ColourPlan(monochrome=MonochromePlan((0.2126, 0.7152, 0.0722))))
    assert (grey.max(axis=2) == grey.min(axis=2)).all()
    ends = np.zeros((2, 2, 3), np.uint8)
    ends[1] = 255
    toned = passed(ends, ColourPlan(monochrome=MonochromePlan((0.2, 0.7, 0.1), hue=70, toning=1.0)))
    assert np.array_equal(toned, ends)
