"""Sharpening: what was blurred comes back, edges have no halos, noise and colours stay."""

import cv2
import numpy as np
import pytest

from immich_sidecar.develop.engine import render
from immich_sidecar.develop.sharpen import blur_weights
from immich_sidecar.develop.sharpen import sharpened as sharpened_pixels
from immich_sidecar.recipe.plan import DetailPlan
from tests.develop.conftest import mean_difference
from tests.photos import make


@pytest.fixture
def sharpened(tmp_path, steps):
    def sharpen(image, max_edge=None, **parameters):
        path = make.write_png(tmp_path / "a.png", image)
        return render(path, steps(sharpen=parameters), max_edge=max_edge).image

    return sharpen


def luma(image):
    return image.astype(float) @ np.array([0.299, 0.587, 0.114])


def test_a_soft_photo_comes_nearer_to_what_it_was(sharpened) -> None:
    truth = make.sample_photo("astronaut")
    soft = cv2.GaussianBlur(truth, (0, 0), 1.0)
    assert mean_difference(sharpened(soft, amount=50, threshold=0), truth) < 0.8 * mean_difference(soft, truth)


def test_nothing_asked_is_nothing_done(sharpened) -> None:
    image = make.sample_photo("coffee")
    assert np.array_equal(sharpened(image, amount=0), image)


def test_an_edge_gets_steeper_without_a_halo(sharpened) -> None:
    edge = np.full((32, 64, 3), 80, np.uint8)
    edge[:, 32:] = 170
    edge = cv2.GaussianBlur(edge, (0, 0), 1.2)
    line = sharpened(edge, amount=100, radius=1.5)[16, :, 0].astype(int)
    assert np.diff(line).max() > 1.3 * np.diff(edge[16, :, 0].astype(int)).max()
    assert line.min() >= 80 - 7
    assert line.max() <= 170 + 7


def test_noise_below_the_threshold_is_left_alone(sharpened) -> None:
    flat = np.full((256, 256, 3), 120, np.uint8)
    grainy = make.degraded(flat, noise=3.0)
    strong = sharpened(grainy, amount=60, threshold=0).std()
    spared = sharpened(grainy, amount=60, threshold=100 * 3.0 / 25.5).std()
    assert strong > 1.5 * grainy.std()
    assert spared < 1.2 * grainy.std()


def test_colours_move_together(sharpened) -> None:
    image = cv2.GaussianBlur(make.sample_photo("coffee"), (0, 0), 0.8)
    after = sharpened(image, amount=60).astype(int)
    change = after - image
    inside = (after.min(axis=2) > 0) & (after.max(axis=2) < 255)
    assert (change.max(axis=2) - change.min(axis=2))[inside].max() == 0
    assert np.abs(change).max() > 5


def test_a_preview_shows_what_the_full_picture_will(tmp_path, sharpened) -> None:
    image = cv2.GaussianBlur(make.scene(1600, 1200), (0, 0), 2.0)
    full = sharpened(image, amount=80, radius=3.0, threshold=0)
    small = sharpened(image, 800, amount=80, radius=3.0, threshold=0)
    expected = cv2.resize(full, (800, 600), interpolation=cv2.INTER_AREA)
    plain = cv2.resize(image, (800, 600), interpolation=cv2.INTER_AREA)
    assert mean_difference(small, expected) < 0.35 * mean_difference(plain, expected)


def test_strips_leave_no_seams(sharpened) -> None:
    image = np.repeat(cv2.GaussianBlur(make.scene(200, 4), (0, 0), 1.0)[:1], 400, axis=0)
    after = sharpened(image, amount=80, radius=2.0)
    assert (after == after[:1]).all()


@pytest.mark.parametrize("deviation", [0.3, 0.5, 0.6, 1.0, 1.7, 3.0, 5.0])
def test_weights_in_parts_of_256_are_a_gaussian(deviation) -> None:
    weights = blur_weights(deviation).astype(float)
    places = np.arange(len(weights))
    assert weights[0] + 2 * weights[1:].sum() == 256
    assert (np.diff(weights) <= 0).all()
    assert np.sqrt(2 * (weights * places**2).sum() / 256) == pytest.approx(deviation, rel=0.03)


@pytest.mark.parametrize("size", [(2, 2), (3, 50), (40, 2), (67, 131)])
@pytest.mark.parametrize("radius", [0.5, 1.0, 5.0])
def test_what_is_computed_is_the_formula(size, radius) -> None:
    rough = np.random.default_rng(4).integers(0, 256, (*size, 3), np.uint8)
    picture = cv2.blur(rough, (3, 3))
    found = sharpened_pixels(picture.copy(), DetailPlan(sharpen=60, sharpen_radius=radius, sharpen_threshold=4))
    # The weights of ITU-R BT.601, in parts of 256.
    grey = (picture.astype(int) @ (77, 150, 29) + 128) // 256.0
    weights = blur_weights(radius)
    side = len(weights) - 1
    line = np.concatenate([weights[:0:-1], weights]) / 256
    around = np.pad(grey, side, mode="reflect")
    soft = sum(a * b * around[y : y + size[0], x : x + size[1]] for y, a in enumerate(line) for x, b in enumerate(line))
    difference = grey - soft
    spared = (2.0 * 25.5 * 0.04) ** 4
    change = 1.2 * difference * difference**4 / (difference**4 + spared)
    reach = max(1, round(radius))
    near = np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)
    light, dark = cv2.dilate(grey, near), cv2.erode(grey, near)
    more = (light - dark) / 16 + 1
    wanted = np.clip(picture + (np.clip(grey + change, dark - more, light + more) - grey)[..., None], 0, 255)
    # The blur's rows are rounded on their way to its columns.
    assert np.abs(found - wanted).max() < 2.5
    assert np.abs(found - wanted).mean() < 0.5
