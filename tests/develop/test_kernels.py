"""The compiled loops of colour against the formulas that they stand for, whatever a row's length."""

import numpy as np
import pytest

from immich_sidecar.develop.colour import ColourPass, is_on_display_curve
from immich_sidecar.develop.curves import KNEE, display_curve, exposure_curve, exposure_numbers, linear_curve
from immich_sidecar.develop.icc import named_space
from immich_sidecar.develop.reading_kernels import nearly_linear
from immich_sidecar.develop.table_kernels import CODE_STEPS, PIECE, code_lights, nearly_displayed
from immich_sidecar.recipe.plan import ColourPlan, MonochromePlan, Plan


def passed(pixels, colour, space="sRGB", **more):
    out = np.empty(pixels.shape, np.uint16 if more.get("deep") else np.uint8)
    ColourPass(Plan(colour=colour), named_space(space), pixels.shape[1::-1], **more).run(pixels, out)
    return out


@pytest.mark.parametrize("space", ["sRGB", "Display P3", "Adobe RGB (1998)", "Rec. 2020"])
def test_every_code_value_comes_back(space) -> None:
    codes = np.repeat(np.arange(256, dtype=np.uint8)[:, np.newaxis], 3, axis=1)[np.newaxis]
    assert np.array_equal(passed(codes, ColourPlan(), space), codes)
    deep = passed(codes, ColourPlan(), space, deep=True)
    assert np.abs(deep.astype(int) - codes.astype(int) * 257).max() <= 6


@pytest.mark.parametrize(
    "colour",
    [
        ColourPlan(ev=0.6, contrast=15, temperature=5000.0, tint=8.0),
        ColourPlan(saturation=70, vibrance=60),
        ColourPlan(monochrome=MonochromePlan((0.5, 0.3, 0.2), toning=0.3)),
    ],
)
@pytest.mark.parametrize("deep", [False, True])
def test_a_pixel_does_not_depend_on_its_neighbours(colour, deep) -> None:
    """Pieces, whole vectors, and pixels that are laid together because they are vivid: all the same to a pixel."""
    row = np.random.default_rng(5).integers(0, 256, (1, 2 * PIECE + 13, 3), np.uint8)
    alone = passed(np.ascontiguousarray(row.transpose(1, 0, 2)), colour, deep=deep)
    assert np.array_equal(passed(row, colour, deep=deep), alone.transpose(1, 0, 2))


@pytest.mark.parametrize("ev", [0.3, 1.2, 2.5, -0.4, -2.0])
@pytest.mark.parametrize("brightest", [1.0, 0.6, 0.35])
def test_exposure_as_numbers_is_the_curve(ev, brightest) -> None:
    light = np.linspace(0.0, 1.0, 1001)
    before, after, bend = exposure_numbers(ev, brightest)
    y = light * before
    u = np.maximum(y - KNEE, 0.0) / (1.0 - KNEE)
    found = np.minimum((np.minimum(y, KNEE) + (1.0 - KNEE) * u / (1.0 + bend * u)) * after, 1.0)
    assert found == pytest.approx(np.minimum(exposure_curve(light, ev, 1.0, brightest), 1.0), abs=1e-12)


@pytest.mark.parametrize("ev", [0.8, -0.8])
def test_exposure_is_the_same_with_and_without_surroundings(ev) -> None:
    """A formula in one case and a table in the other."""
    pixels = np.random.default_rng(6).integers(0, 256, (64, 96, 3), np.uint8)
    by_formula = passed(pixels, ColourPlan(ev=ev, shadows=1e-9), small=pixels)
    assert np.abs(by_formula.astype(int) - passed(pixels, ColourPlan(ev=ev))).max() <= 1


def test_the_display_curve_as_a_polynomial() -> None:
    light = np.linspace(0.0, 1.0, 20001, dtype=np.float32)
    found = np.array([nearly_displayed(one) for one in light])
    assert np.abs(found - display_curve(light.astype(float))).max() * 255 < 0.04


def test_light_of_code_values_as_a_polynomial() -> None:
    codes = np.arange(256) / 255.0
    found = np.array([nearly_linear(np.float32(one)) for one in codes])
    # The step to the next code value, in light, is what an error counts against.
    steps = np.gradient(linear_curve(np.linspace(0.0, 1.0, 2551)), 0.1)[::10]
    assert (np.abs(found - linear_curve(codes)) / steps).max() < 0.013
    assert (np.diff(found) > 0).all()
    assert found[0] == 0
    assert found[-1] == pytest.approx(1.0, abs=1e-7)


def test_code_values_that_nothing_happens_to_stay_as_they_are() -> None:
    codes = np.arange(256, dtype=np.uint8).reshape(16, 16, 1).repeat(3, axis=2)
    for colour in (ColourPlan(shadows=1e-9), ColourPlan(saturation=1e-6)):
        assert (passed(codes, colour, small=codes) == codes).all()


@pytest.mark.parametrize(("space", "expected"), [("sRGB", True), ("Display P3", True), ("Adobe RGB (1998)", False)])
def test_only_code_values_on_the_display_curve_are_computed(space, expected) -> None:
    assert is_on_display_curve(named_space(space)) is expected


def test_computed_light_comes_to_the_same_code_values_as_looked_up() -> None:
    """The curve is that of sRGB in both; as a table it has to be looked up."""
    pixels = np.random.default_rng(8).integers(0, 256, (40, PIECE + 70, 3), np.uint8)
    colour = ColourPlan(ev=0.4, contrast=10, shadows=20, temperature=5200.0)
    computed, looked_up = np.empty_like(pixels), np.empty_like(pixels)
    one = ColourPass(Plan(colour=colour), named_space("sRGB"), pixels.shape[1::-1], small=pixels)
    one.run(pixels, computed)
    one._stages = one._stages._replace(is_display=False)
    one.run(pixels, looked_up)
    assert np.abs(computed.astype(int) - looked_up).max() <= 1
    assert (computed != looked_up).mean() < 0.03


def test_places_of_code_values_are_finer_than_an_eighth_of_one() -> None:
    lights = code_lights()
    assert len(lights) == CODE_STEPS
    assert (np.diff(lights) > 0).all()
    assert (lights[0], lights[-1]) == (0, 1)
    assert np.abs(np.diff(display_curve(lights.astype(float)))).max() * 255 < 0.125
